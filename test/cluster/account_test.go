//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// notebook is a pod in which somebody works: it has a Python and metaml, and no kubeconfig.
type notebook struct {
	t     *testing.T
	space string
	name  string
}

// notebookHome is the folder of the person in a notebook's pod.
const notebookHome = "/home/ada"

// newNotebook starts a pod of a service account, as a hub for notebooks does.
func newNotebook(t *testing.T, space, name, account string) notebook {
	t.Helper()
	pods := client(t, inside.Admin).CoreV1().Pods(space)
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName:            account,
			TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), FSGroup: new(int64(1000)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{
				{Name: "home", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
			Containers: []corev1.Container{{
				Name: "notebook", Image: inside.BarePython, Command: []string{"sleep", "infinity"},
				WorkingDir: notebookHome,
				Env: []corev1.EnvVar{
					{Name: "HOME", Value: notebookHome},
					{Name: "METAML_TARGET", Value: "kubernetes"},
					{Name: "METAML_IMAGE", Value: inside.BarePython},
					{Name: "METAML_CPU", Value: "50m"},
					{Name: "METAML_MEMORY", Value: "128Mi"},
				},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "home", MountPath: notebookHome}, {Name: "tmp", MountPath: "/tmp"},
				},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the notebook's pod runs", func(ctx context.Context) (bool, error) {
		p, err := pods.Get(ctx, name, metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.PodRunning, err
	})
	n := notebook{t, space, name}
	programs, err := exec.CommandContext(t.Context(), "tar", "-C", "../../bin", "-c", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if out, code := n.does(programs, "sh", "-c", "mkdir bin && tar -C bin -xmf -"); code != 0 {
		t.Fatalf("bring the programs into the pod: %s", out)
	}
	return n
}

// does runs a command in the pod, and gives what it printed and its exit code.
func (n notebook) does(input []byte, command ...string) (out string, code int) {
	n.t.Helper()
	c := exec.CommandContext(n.t.Context(), "kubectl",
		append([]string{"exec", "--stdin", "--namespace", n.space, n.name, "--"}, command...)...)
	c.Stdin = bytes.NewReader(input)
	text, err := c.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && n.t.Context().Err() == nil {
		return string(text), exit.ExitCode()
	}
	if err != nil {
		n.t.Fatalf("%q: %v\n%s", command, err, text)
	}
	return string(text), 0
}

func (n notebook) metaml(args ...string) (out string, code int) {
	n.t.Helper()
	return n.does(nil, append([]string{notebookHome + "/bin/metaml"}, args...)...)
}

func (n notebook) must(args ...string) string {
	n.t.Helper()
	out, code := n.metaml(args...)
	if code != 0 {
		n.t.Fatalf("metaml %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// A notebook in a pod, without a kubeconfig, runs sweeps in its own namespace as the pod's account.
func TestInAPodItsAccountIsUsed(t *testing.T) {
	t.Parallel()
	const account = "notebook"
	space := namespace(t)
	if _, err := client(t, inside.Admin).CoreV1().ServiceAccounts(space).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: account},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	user := "system:serviceaccount:" + space + ":" + account
	n := newNotebook(t, space, "monday", account)
	if out, code := n.does([]byte(rates), "sh", "-c", "cat > sweep.py"); code != 0 {
		t.Fatal(out)
	}
	if out, code := n.metaml("run", "sweep.py"); code != 2 ||
		!strings.Contains(out, "metaml setup rbac --namespace "+space+" --user "+user) {
		t.Errorf("without rights it ended with %d: %s", code, out)
	}
	newPerson(t, inside.Admin, space).mayRun(space, user)
	out, _ := n.metaml("doctor") // this Python has no ipykernel
	if !strings.Contains(out, "none; in this pod its account is used, namespace "+space) ||
		!strings.Contains(out, user) {
		t.Errorf("it does not say who it is, and where: %s", out)
	}
	name := "fit-1@in-cluster/" + space
	if out := n.must("run", "sweep.py"); !strings.Contains(out, name) {
		t.Errorf("it is not called %s: %s", name, out)
	}
	if out := n.must("show", name); !strings.Contains(out, "succeeded") {
		t.Errorf("it is %s", out)
	}
	if log := n.must("logs", "fit-1:2"); log != "the rate is 0.2\n" {
		t.Errorf("trial 2 printed %q", log)
	}

	// Another pod of the same account, which knows nothing yet.
	again := newNotebook(t, space, "tuesday", account)
	if out := again.must("runs", "--target", "kubernetes"); !strings.Contains(out, name+"   succeeded") {
		t.Errorf("it is not listed: %s", out)
	}
	again.must("delete", name)
	leavesNothing(t, space)
}
