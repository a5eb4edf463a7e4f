//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/metaml/metaml/test/cluster/internal/inside"
	"github.com/metaml/metaml/test/cluster/internal/node"
	"github.com/metaml/metaml/test/cluster/internal/sandbox"
)

// TestMain runs the tests of this package again, inside one cluster that all of them share. Where no cluster can run,
// it says so in one line; under CI that is a failure.
func TestMain(m *testing.M) {
	if code, done := sandbox.Stage(node.Inside); done {
		os.Exit(code)
	}
	if _, is := inside.Here(); is {
		os.Exit(m.Run())
	}
	code, err := runInside(context.Background(), 0, os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "tests in a cluster not run: %v\n", err)
		if os.Getenv("CI") == "true" {
			code = 1
		}
	}
	os.Exit(code)
}

// here is the cluster around the tests.
func here(t *testing.T) inside.Cluster {
	t.Helper()
	cluster, is := inside.Here()
	if !is {
		t.Fatal("this test runs in a cluster")
	}
	return cluster
}

// simulated adds nodes that KWOK plays to the cluster, once for all tests.
func simulated(t *testing.T) {
	t.Helper()
	if err := simulating(); err != nil {
		t.Fatal(err)
	}
}

var simulating = sync.OnceValue(func() error {
	cluster, _ := inside.Here() // all tests are
	return cluster.Simulate(context.Background(), 8)
})

// queues installs Kueue, once for all tests.
func queues(t *testing.T) {
	t.Helper()
	if err := queueing(); err != nil {
		t.Fatal(err)
	}
}

var queueing = sync.OnceValue(func() error {
	cluster, _ := inside.Here() // all tests are
	return cluster.Queues(context.Background())
})

// client asks the API server as a user.
func client(t *testing.T, user string) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", here(t).Kubeconfig(user))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	made, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// namespace makes a namespace for one test in which pods must keep the restricted profile, and removes it at the end
// with all that is in it.
func namespace(t *testing.T) string {
	t.Helper()
	admin := client(t, inside.Admin)
	made, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "test-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's has ended
		err := admin.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{})
		if err != nil {
			t.Errorf("remove the namespace %s: %v", made.Name, err)
		}
	})
	eventually(t, "the namespace has its account", func(ctx context.Context) (bool, error) {
		_, err := admin.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	return made.Name
}

// administer runs kubectl as the administrator, with a text as its input.
func administer(t *testing.T, input string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "kubectl", args...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// patience is how long something may take that happens by itself. Several tests run at once, perhaps on a slow machine:
// only what never happens takes so long.
const patience = 3 * time.Minute

// eventually asks again until it is so.
func eventually(t *testing.T, what string, is func(context.Context) (bool, error)) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for {
		so, err := is(ctx)
		if so {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s (%v)", patience, what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logs is what a pod has written.
func logs(t *testing.T, namespace, pod string) string {
	t.Helper()
	stream, err := client(t, inside.Admin).CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{}).
		Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// allow gives a user rights in a namespace: verbs on resources of the core group.
func allow(t *testing.T, user, namespace string, verbs, resources []string) {
	t.Helper()
	rights := client(t, inside.Admin).RbacV1()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Verbs: verbs, Resources: resources}},
	}
	if _, err := rights.Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{Kind: "Role", APIGroup: rbacv1.GroupName, Name: user},
	}
	if _, err := rights.RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
