//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// person works with metaml on a machine of their own: a home folder that nobody else has.
type person struct {
	t    *testing.T
	home string
	env  []string
}

// newPerson is a new machine, on which a user works in a namespace.
func newPerson(t *testing.T, user, namespace string) *person {
	t.Helper()
	home := t.TempDir()
	p := &person{t: t, home: home, env: append(os.Environ(),
		"HOME="+home, "XDG_DATA_HOME="+filepath.Join(home, "data"), "KUBECONFIG="+here(t).Kubeconfig(user),
		"METAML_TARGET=kubernetes", "METAML_NAMESPACE="+namespace, "METAML_IMAGE="+inside.BarePython,
		"METAML_CPU=50m", "METAML_MEMORY=128Mi")}
	t.Cleanup(func() { // nobody follows what the test leaves behind, and its context has ended
		ctx := context.Background()
		_ = exec.CommandContext(ctx, "pkill", "-f", "metaml follow .*/"+namespace+"$").Run()
	})
	return p
}

// metaml runs a command line, and gives what it printed and its exit code.
func (p *person) metaml(args ...string) (out string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, binary(p.t), args...)
	c.Env, c.Dir = p.env, p.home
	text, err := c.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return string(text), exit.ExitCode()
	}
	if err != nil {
		p.t.Fatalf("metaml %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text), 0
}

// must runs a command line that goes well.
func (p *person) must(args ...string) string {
	p.t.Helper()
	out, code := p.metaml(args...)
	if code != 0 {
		p.t.Fatalf("metaml %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// submits writes a script and submits it without waiting for its end.
func (p *person) submits(script string, args ...string) string {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(script), 0o600); err != nil {
		p.t.Fatal(err)
	}
	lines := strings.Fields(p.must(append([]string{
		"run", "sweep.py", "--detach", "--python", python(p.t),
	}, args...)...))
	return lines[len(lines)-1]
}

// shown is what `metaml show --json` says.
type shown struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
	Trials []struct {
		State   string             `json:"state"`
		Reason  string             `json:"reason"`
		Text    string             `json:"text"`
		Attempt int                `json:"attempt"`
		Metrics map[string]float64 `json:"metrics"`
		Waiting *struct {
			Reason string `json:"reason"`
			Text   string `json:"text"`
			Hint   string `json:"hint"`
		} `json:"waiting"`
	} `json:"trials"`
}

func (p *person) show(name string) shown {
	p.t.Helper()
	var s shown
	out := p.must("show", "--json", name)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		p.t.Fatalf("%v in %s", err, out)
	}
	return s
}

// sees waits until a run looks so.
func (p *person) sees(name, what string, is func(shown) bool) shown {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		last := p.show(name)
		if is(last) {
			return last
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within a minute: %s; it is %+v", what, last)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// binary is the built command.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/metaml")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("make build comes first: %v", err)
	}
	return path
}

// python is the one of the tests, which has what metaml needs to read a script.
func python(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../build/venv-test/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// left are the names of what a namespace has of a run.
func left(t *testing.T, namespace, run string) []string {
	t.Helper()
	ctx, pick := t.Context(), metav1.ListOptions{LabelSelector: "metaml/run=" + run}
	admin := client(t, inside.Admin)
	var names []string
	maps, err := admin.CoreV1().ConfigMaps(namespace).List(ctx, pick)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maps.Items {
		names = append(names, "configmap/"+maps.Items[i].Name)
	}
	secrets, err := admin.CoreV1().Secrets(namespace).List(ctx, pick)
	if err != nil {
		t.Fatal(err)
	}
	for i := range secrets.Items {
		names = append(names, "secret/"+secrets.Items[i].Name)
	}
	jobs, err := admin.BatchV1().Jobs(namespace).List(ctx, pick)
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs.Items {
		names = append(names, "job/"+jobs.Items[i].Name)
	}
	pods, err := admin.CoreV1().Pods(namespace).List(ctx, pick)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		names = append(names, "pod/"+pods.Items[i].Name)
	}
	return names
}
