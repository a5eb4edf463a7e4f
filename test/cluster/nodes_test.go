//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

const imports = `
import metaml
import numpy

@metaml.Train(settings={"completions": 2, "parallelism": 2})
def fit():
    return {"loss": float(numpy.zeros(1)[0])}
`

// plain is a person who names no image, on a base that the cluster has.
func plain(t *testing.T, space string, env ...string) *person {
	t.Helper()
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "METAML_IMAGE=") })
	p.env = append(p.env, "METAML_BASE="+inside.BarePython)
	p.env = append(p.env, env...)
	return p
}

// ran gives the container in which the trials of a run were.
func ran(t *testing.T, space, name string) corev1.Container {
	t.Helper()
	name, _, _ = strings.Cut(name, "@")
	job, err := client(t, inside.Admin).BatchV1().Jobs(space).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return job.Spec.Template.Spec.Containers[0]
}

// Where no registry is, the image is loaded onto the nodes, and no pod asks a registry for it.
func TestTheNodesAreLoaded(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := plain(t, space, "METAML_LOAD=ctr")
	name := p.submits(imports)
	p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" || s.counts("succeeded") != 2 {
		t.Errorf("it is %+v", s)
	}
	c := ran(t, space, name)
	if !strings.HasPrefix(c.Image, "metaml.local/environments:") || c.ImagePullPolicy != corev1.PullNever {
		t.Errorf("its image is %s, pulled %s", c.Image, c.ImagePullPolicy)
	}
}

// reads lets everybody read a ConfigMap, as a namespace for the public is meant.
func reads(t *testing.T, namespace, name string) {
	t.Helper()
	rights := client(t, inside.Admin).RbacV1()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name},
			Verbs: []string{"get"},
		}},
	}
	if _, err := rights.Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{
			{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:authenticated"},
		},
	}
	if _, err := rights.RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A cluster that names a registry for whoever develops on it gets the image there.
func TestTheRegistryOfTheClusterIsFound(t *testing.T) {
	const hosting = "local-registry-hosting" // KEP-1755
	admin := client(t, inside.Admin).CoreV1().ConfigMaps("kube-public")
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: hosting},
		Data:       map[string]string{"localRegistryHosting.v1": "host: \"" + registry + "\"\n"},
	}
	if _, err := admin.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	reads(t, "kube-public", hosting)
	t.Cleanup(func() { _ = admin.Delete(context.Background(), hosting, metav1.DeleteOptions{}) })
	space := namespace(t)
	p := plain(t, space)
	p.hasLogin(registry)
	name := p.submits(imports, "--image-pull-secret", "login")
	p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" {
		t.Errorf("it is %+v", s)
	}
	secrets := client(t, inside.Admin).CoreV1().Secrets(space)
	secret, err := secrets.Get(t.Context(), "fit-1-pull", metav1.GetOptions{})
	if err != nil || !strings.Contains(string(secret.Data[corev1.DockerConfigJsonKey]), `"username":"ann"`) ||
		strings.Contains(string(secret.Data[corev1.DockerConfigJsonKey]), "other.example") {
		t.Errorf("its pull secret is %+v: %v", secret, err)
	}
	if c := ran(t, space, name); !strings.HasPrefix(c.Image, registry+"/metaml/environments@sha256:") {
		t.Errorf("its image is %s", c.Image)
	}
	p.must("delete", name)
	for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
		if _, err := secrets.Get(t.Context(), "fit-1-pull", metav1.GetOptions{}); apierrors.IsNotFound(err) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its pull secret stays")
		}
	}
}

// hasLogin lets a person be logged in at a registry, and at another.
func (p *person) hasLogin(registry string) {
	p.t.Helper()
	config := filepath.Join(p.home, ".docker", "config.json")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		p.t.Fatal(err)
	}
	text := `{"auths":{"` + registry + `":{"auth":"YW5uOnA="},"other.example":{"auth":"YTpi"}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// Where an image can go nowhere, nothing is started, and it is said what can be done.
func TestAnImageNeedsAPlace(t *testing.T) {
	space := namespace(t)
	p := plain(t, space)
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(imports), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options []string
		want    string
	}{
		{nil, "metaml login REGISTRY, and then --repository REGISTRY/NAME. Or take a cluster on this machine"},
		{
			[]string{"--no-publish", "--repository", registry + "/env"},
			"can have an image from a registry alone, and --no-publish sends it to none",
		},
		{[]string{"--load", "k3d"}, "k3d, which loads images onto the nodes of k3d cluster"},
		{
			[]string{"--repository", registry + "/env", "--image-pull-secret", "login"},
			"this machine has no login for registry " + registry,
		},
	} {
		t.Run(strings.Join(c.options, " "), func(t *testing.T) {
			out, code := p.metaml(append([]string{"run", "sweep.py", "--python", python(t)}, c.options...)...)
			if code != 2 || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
	}
	if jobs, err := client(t, inside.Admin).BatchV1().Jobs(space).List(t.Context(), metav1.ListOptions{}); err != nil ||
		len(jobs.Items) > 0 {
		t.Errorf("there are %d Jobs: %v", len(jobs.Items), err)
	}
}

// Nodes may call the repository otherwise than this machine.
func TestNodesPullByAnotherName(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	here, there := registry+"/"+space, strings.Replace(registry, "localhost", "127.0.0.1", 1)+"/"+space
	if here == there {
		t.Fatalf("the registry has one name, %s", registry)
	}
	p := plain(t, space, "METAML_REPOSITORY="+here, "METAML_PULL_REPOSITORY="+there)
	name := p.submits(imports)
	p.must("attach", name)
	if s := p.show(name); s.State != "succeeded" {
		t.Errorf("it is %+v", s)
	}
	if c := ran(t, space, name); !strings.HasPrefix(c.Image, there+"@sha256:") {
		t.Errorf("its image is %s", c.Image)
	}
}
