//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// kubectl runs kubectl in a namespace as a user who runs sweeps there, with a text as its input.
func kubectl(t *testing.T, namespace, input string, args ...string) string {
	t.Helper()
	config := here(t).Kubeconfig(inside.Researcher)
	args = append([]string{"--kubeconfig=" + config, "--namespace=" + namespace}, args...)
	c := exec.CommandContext(t.Context(), "kubectl", args...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What is exported runs with kubectl alone. Then it is a run as any other, though nothing of it has an owner.
func TestAnExportRunsWithoutUsAndIsARun(t *testing.T) {
	t.Parallel()
	const name = "exported-1"
	space := namespace(t)
	first, second := newPerson(t, inside.Researcher, space), newPerson(t, inside.Researcher, space)
	first.mayRun(space, inside.Researcher)
	if err := os.WriteFile(filepath.Join(first.home, "sweep.py"), []byte(counts), 0o600); err != nil {
		t.Fatal(err)
	}
	text := first.must("export", "sweep.py", "--name", "exported", "--python", python(t))
	leavesNothing(t, space)
	if strings.Contains(text, first.home) {
		t.Error("a path of this machine is exported in clear")
	}
	kubectl(t, space, text, "apply", "-f", "-")
	if end := ends(t, space, name); end != batchv1.JobComplete {
		t.Fatalf("its Job is %s", end)
	}
	if log := kubectl(t, space, "", "logs", "job/"+name); !strings.HasSuffix(log, "\nbegan\n") {
		t.Errorf("a pod printed %q", log)
	}
	if list := second.must("runs", "--target", "kubernetes"); !strings.Contains(list, name+"@") {
		t.Errorf("another machine sees %s", list)
	}
	if s := second.show(name); s.State != "succeeded" || s.counts("succeeded") != 3 {
		t.Errorf("it is %+v", s)
	}
	if log := second.must("logs", name+":1"); log != "began\n" {
		t.Errorf("trial 1 printed %q", log)
	}
	second.must("delete", "--older", "1ms", "--target", "kubernetes", "--yes")
	leavesNothing(t, space)
}

// An export and a run that was submitted share no object: neither breaks when the other is deleted.
func TestAnExportGoesBesideARunThatWasSubmitted(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	submitted := p.submits(counts)
	text := p.must("export", "sweep.py", "--python", python(t))
	kubectl(t, space, text, "apply", "-f", "-")
	p.must("attach", submitted)
	p.must("delete", submitted)
	if end := ends(t, space, "fit-2"); end != batchv1.JobComplete {
		t.Errorf("the Job of the other is %s", end)
	}
	kubectl(t, space, text, "delete", "-f", "-")
	leavesNothing(t, space)
}
