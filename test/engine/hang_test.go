package engine_test

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// A note names a fork that waits for a lock that is never released, and not one that sleeps.
func TestAForkThatMayHangIsNamed(t *testing.T) {
	agent, err := impatientAgent()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.Agent = agent
	name := b.submit(b.spec(2), `
import threading, time
lock = threading.Lock()
lock.acquire()

def train(i):
    time.sleep(600) if i == 0 else lock.acquire()
`, rows("i", 0, 1))
	b.waitForEvent(name, "the note", func(e run.Event) bool { return e.Type == run.EventNote && e.Code == "may-hang" })
	if err := b.Stop(t.Context(), name, nil, true); err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	for _, n := range l.State.Notes {
		if n.Code == "may-hang" && (n.Trial == nil || *n.Trial != 1 || !strings.Contains(n.Hint, "--fresh-process")) {
			t.Error(b.describe(l))
		}
	}
}

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
		t.Errorf("it was told %q", said)
	}
}
