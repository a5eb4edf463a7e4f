//go:build linux

package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// rates is a sweep of three trials that needs no package.
const rates = `
import metaml

rates = {"rate": [0.3, 0.1, 0.2]}

@metaml.Train(settings={"hyper_parameters": "rates", "parallelism": 2})
def fit(rate):
    print("the rate is", rate)
    metaml.report(step=1, loss=rate * 2)
    return {"loss": rate}
`

func TestASweepNeedsTheMinimalRoleAlone(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	if err := os.WriteFile(filepath.Join(p.home, "train.py"), []byte(rates), 0o600); err != nil {
		t.Fatal(err)
	}
	command := []string{
		"run", "train.py", "--python", python(t),
		"--target", "kubernetes", "--image", inside.BarePython, "--namespace", space,
	}
	said, code := p.metaml(command...)
	want := "metaml setup rbac --namespace " + space + " --user researcher | kubectl apply -f -"
	if code != 2 || !strings.Contains(said, want) {
		t.Errorf("without rights it ended with %d, want 2 and what an administrator can do: %s", code, said)
	}
	if names := left(t.Context(), t, space); len(names) > 0 {
		t.Errorf("without rights it made %q", names)
	}

	p.mayRun(space, inside.Researcher)
	table := strings.Split(strings.TrimSpace(p.must(command...)), "\n")
	name := "fit-1@" + inside.Researcher + "/" + space
	end := regexp.MustCompile("^" + name + `   3 trials   succeeded in [0-9.]+ m?s   best loss 0\.100 \(trial 1\)$`)
	if last := table[len(table)-1]; !end.MatchString(last) {
		t.Errorf("the table ends with %q, want %s", last, end)
	}
	s := p.show("fit-1")
	if s.Name != name || s.State != "succeeded" || s.counts("succeeded") != 3 || s.Best == nil || *s.Best != 1 {
		t.Errorf("it is %+v", s)
	}
	for i, rate := range []float64{0.3, 0.1, 0.2} {
		if one := s.Trials[i]; one.Attempt != 1 || one.Parameters["rate"] != rate || one.Metrics["loss"] != rate {
			t.Errorf("trial %d is %+v", i, one)
		}
	}
	if log := p.must("logs", "fit-1:2"); log != "the rate is 0.2\n" {
		t.Errorf("trial 2 printed %q", log)
	}

	if names := left(t.Context(), t, space); !slices.Contains(names, "configmaps/fit-1") ||
		!slices.Contains(names, "jobs/fit-1") {
		t.Errorf("there are %q, not the run", names)
	}
	p.must("delete", "fit-1")
	leavesNothing(t, space)
	eventually(t, "nobody follows the run", func(ctx context.Context) (bool, error) {
		// It finds nothing, or there is an output.
		out, _ := exec.CommandContext(ctx, "pgrep", "-f", "metaml follow "+name).Output()
		return len(out) == 0, nil
	})
	if out := p.must("runs"); strings.Contains(out, "fit-1") {
		t.Errorf("it is still there: %s", out)
	}

	writes, err := here(t).Writes()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range writes {
		if one.Namespace == space && one.User == inside.Researcher && one.Code == http.StatusForbidden {
			t.Errorf("it went on without this right: %+v", one)
		}
	}
}

// mayRun gives a user the rights in a namespace that `metaml setup rbac` prints, and waits until they count.
func (p *person) mayRun(space, user string) {
	p.t.Helper()
	p.may(space, user, p.must("setup", "rbac", "--namespace", space, "--user", user))
}

// may gives a user the rights of a Role, and waits until they count.
func (p *person) may(space, user, role string) {
	p.t.Helper()
	administer(p.t, role, "apply", "-f", "-")
	eventually(p.t, "the role counts", func(ctx context.Context) (bool, error) {
		err := exec.CommandContext(ctx, "kubectl", "auth", "can-i", "list", "jobs", "-n", space, "--as", user).Run()
		return err == nil, err
	})
}
