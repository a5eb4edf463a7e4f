//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/metaml/metaml/internal/process"
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
	t.Cleanup(func() { endFollowers(t, namespace) })
	return p
}

// endFollowers ends the processes that follow what a test leaves behind in its namespace, and waits for their end: they
// write into the home folder, which is removed then.
func endFollowers(t *testing.T, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's has ended
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, "pgrep", "-f", "metaml follow .*/"+namespace+"$").Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
			return // there is none
		}
		if err != nil {
			t.Errorf("find who follows the runs in %s: %v", namespace, err)
			return
		}
		for id := range strings.FieldsSeq(string(out)) {
			if pid, err := strconv.Atoi(id); err == nil {
				_ = process.Signal(pid, syscall.SIGTERM) // it may have ended
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// metaml runs a command line, and gives what it printed and its exit code.
func (p *person) metaml(args ...string) (out string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
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
	Name   string  `json:"name"`
	State  string  `json:"state"`
	Reason string  `json:"reason"`
	Best   *int    `json:"best"`
	Trials []trial `json:"trials"`
}

type trial struct {
	State      string             `json:"state"`
	Reason     string             `json:"reason"`
	Text       string             `json:"text"`
	Attempt    int                `json:"attempt"`
	Parameters map[string]any     `json:"parameters"`
	Metrics    map[string]float64 `json:"metrics"`
	Waiting    *waiting           `json:"waiting"`
}

type waiting struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
	Hint   string `json:"hint"`
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
	for end := time.Now().Add(patience); ; {
		last := p.show(name)
		if is(last) {
			return last
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %s: %s; it is %+v", patience, what, last)
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

// python is the one of the tests, which has what metaml needs to read a script. A test is skipped where its version is
// not that of the images, and fails then under CI.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("METAML_TEST_PYTHON")
	if path == "" {
		path = "../../build/venv-test/bin/python"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	const version = "import sys; print('%d.%d' % sys.version_info[:2], end='')"
	out, err := exec.CommandContext(t.Context(), path, "-c", version).Output()
	if err != nil {
		t.Fatalf("make test-venvs comes first: %v", err)
	}
	if is := string(out); is != inside.PythonVersion {
		problem := fmt.Sprintf("the images have Python %s, and %s is %s", inside.PythonVersion, path, is)
		if os.Getenv("CI") == "true" {
			t.Fatal(problem)
		}
		t.Skip("not run: " + problem)
	}
	return path
}

// left is what a namespace has of metaml's, of whatever kind.
func left(ctx context.Context, t *testing.T, namespace string) []string {
	t.Helper()
	var names []string
	for _, one := range objects(ctx, t, namespace, "app.kubernetes.io/managed-by=metaml") {
		names = append(names, one.name)
	}
	return names
}

// object is an object of the cluster: its name with the resource before it, and all of it.
type object struct {
	name    string
	content map[string]any
}

// objects is what a namespace has, of every kind that the cluster knows.
func objects(ctx context.Context, t *testing.T, namespace, selector string) []object {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", here(t).Kubeconfig(inside.Admin))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{} // of kinds that nobody should use any more
	asked, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := client(t, inside.Admin).Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		t.Fatal(err)
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists)
	resources, err := discovery.GroupVersionResources(lists)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for one := range resources {
		list, err := asked.Resource(one).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			all = append(all, object{one.Resource + "/" + list.Items[i].GetName(), list.Items[i].Object})
		}
	}
	return all
}

// leavesNothing waits until nothing of metaml's is in a namespace: what belongs to a deleted object goes after it.
func leavesNothing(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, "nothing is left in the namespace", func(ctx context.Context) (bool, error) {
		names := left(ctx, t, namespace)
		return len(names) == 0, fmt.Errorf("%q are left", names)
	})
}
