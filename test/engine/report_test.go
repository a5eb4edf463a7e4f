package engine_test

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// Only a trial's own process and its forks can report; in others report() prints that the values are lost.
func TestReportsOfProcessesThatATrialStarts(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(1), `
import multiprocessing, metaml

def work(how):
    metaml.report(**{how: 1})
    metaml.report(**{how: 2})

def train():
    for how in ("fork", "spawn", "forkserver"):
        p = multiprocessing.get_context(how).Process(target=work, args=(how,))
        p.start(); p.join()
        assert p.exitcode == 0
`, nil)
	if m := l.State.Trials[0].Metrics; l.State.Phase != run.Succeeded || len(m) != 1 || m["fork"] != 2 {
		t.Error(b.describe(l))
	}
	said := b.log(l.Spec.Name, 0, "stderr")
	if strings.Count(said, "metaml: report() is kept only from a trial's own process and its forks") != 2 {
		t.Errorf("it got %q", said)
	}
}
