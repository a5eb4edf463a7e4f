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

// What is exported of a server answers with kubectl alone, with its model and an autoscaler, and is removed by kubectl.
func TestAnExportedServerAnswersWithoutUs(t *testing.T) {
	t.Parallel()
	const name = "double"
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	source := strings.Replace(doubles, `"replicas": 2`, `"replicas": "1..2"`, 1)
	if err := os.WriteFile(filepath.Join(p.home, "serve.py"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	text := p.must("export", "serve.py", "--python", python(t))
	leavesNothing(t, space)
	if strings.Contains(text, p.home) {
		t.Error("a path of this machine is exported in clear")
	}
	for _, part := range []string{
		"kind: HorizontalPodAutoscaler", "kind: PodDisruptionBudget", "prometheus.io/scrape",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not exported", part)
		}
	}
	administer(t, text, "apply", "-n", space, "-f", "-")
	administer(t, "", "rollout", "status", "-n", space, "deployment/"+name, "--timeout="+patience.String())
	proxied := "/api/v1/namespaces/" + space + "/services/" + name + ":http/proxy/double"
	if answer := administer(t, "21", "create", "--raw", proxied, "-f", "-"); answer != "42" {
		t.Errorf("its Service answers %q", answer)
	}
	// A server that is submitted goes beside it.
	if said, code := p.serves(source); code != 0 || !strings.Contains(said, "double-1@") {
		t.Errorf("exit code %d: %s", code, said)
	}
	administer(t, text, "delete", "-n", space, "-f", "-")
	if _, answer := post(t, p.showServer("double-1").URL, "4"); answer != "8" {
		t.Errorf("the other answers %s", answer)
	}
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}
