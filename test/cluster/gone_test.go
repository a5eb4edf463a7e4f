//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// A run that somebody else deleted in the cluster is kept here, and says so.
func TestARunThatIsDeletedInTheClusterIsKeptHere(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p, elsewhere := newPerson(t, inside.Admin, space), newPerson(t, inside.Admin, space)
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(rates), 0o600); err != nil {
		t.Fatal(err)
	}
	const kept = "(kept here; no longer in the cluster)"
	p.must("run", "sweep.py", "--python", python(t))
	if out := p.must("runs"); strings.Contains(out, kept) {
		t.Errorf("it is there: %s", out)
	}
	elsewhere.must("runs", "--target", "kubernetes", "--namespace", space)
	elsewhere.must("delete", "fit-1")
	out := p.must("runs", "--target", "kubernetes", "--namespace", space)
	if !strings.Contains(out, "succeeded "+kept) {
		t.Errorf("it is listed as %s", out)
	}
	for _, command := range [][]string{{"runs"}, {"show", "fit-1"}} {
		if out := p.must(command...); !strings.Contains(out, "succeeded "+kept) {
			t.Errorf("%q says %s", command, out)
		}
	}
	if log := p.must("logs", "fit-1:2"); log != "the rate is 0.2\n" {
		t.Errorf("trial 2 printed %q", log)
	}
	if out, code := p.metaml("resume", "fit-1"); code != 2 || !strings.Contains(out, "no longer in the cluster") {
		t.Errorf("resume ended with %d: %s", code, out)
	}

	name := p.submits(saves)
	p.sees(name, "two trials run", func(s shown) bool { return s.counts("running") == 2 })
	owners := client(t, inside.Admin).CoreV1().ConfigMaps(space)
	if err := owners.Delete(t.Context(), bare(name), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.sees(name, "it was deleted", func(s shown) bool { return s.State == "stopped" && s.Reason == "deleted" })
	if out := p.must("runs"); strings.Count(out, kept) != 2 {
		t.Errorf("they are listed as %s", out)
	}
}

// bare is the name of a run without its place.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return name
}

func TestANamespaceThatIsNotThereIsSaid(t *testing.T) {
	p := newPerson(t, inside.Admin, "nowhere")
	if err := os.WriteFile(filepath.Join(p.home, "sweep.py"), []byte(rates), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"runs", 1, []string{"runs", "--target", "kubernetes"}},
		{"delete", 2, []string{"delete", "--older", "1d", "--yes", "--target", "kubernetes"}},
		{"run", 2, []string{"run", "sweep.py", "--python", python(t)}},
		{"plan", 2, []string{"plan", "sweep.py", "--python", python(t)}},
		{"doctor", 1, []string{"doctor", "--target", "kubernetes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := p.metaml(c.args...)
			if code != c.code || !strings.Contains(out, `cluster admin has no namespace "nowhere"`) ||
				!strings.Contains(out, "ask an administrator to make it") {
				t.Errorf("it ended with %d: %s", code, out)
			}
		})
	}
}
