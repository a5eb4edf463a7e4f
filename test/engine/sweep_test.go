package engine_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestASweepRuns(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(4), `
import os
import metaml
from metaml import report

def train(x):
    print("hello", x)
    report(step=1, loss=x / 2)
    report(step=2, loss=x / 4)
    (metaml.output() / "model.txt").write_text(str(x))
    return {"score": x * 2, "pid": os.getpid()}
`, rows("x", 1, 2, 3, 4))
	if l.State.Phase != run.Succeeded || l.Liveness != run.Ended {
		t.Fatal(b.describe(l))
	}
	if l.State.Loaded == nil || !l.State.Loaded.Fork {
		t.Errorf("not forked: %+v", l.State.Loaded)
	}
	pids := map[float64]bool{}
	for i, trial := range l.State.Trials {
		x := float64(i + 1)
		if trial.Metrics["score"] != 2*x || trial.Metrics["loss"] != x/4 || len(trial.Series["loss"].Values) != 2 {
			t.Errorf("trial %d: %v %v", i, trial.Metrics, trial.Series)
		}
		if got := b.log(l.Spec.Name, i, "stdout"); got != "hello "+string(rune('1'+i))+"\n" {
			t.Errorf("log of trial %d: %q", i, got)
		}
		if trial.Output != b.Folder(l.Spec.Name).Output(i) || !exists(trial.Output+"/model.txt") {
			t.Errorf("output of trial %d: %q", i, trial.Output)
		}
		pids[trial.Metrics["pid"]] = true
	}
	if len(pids) != 4 {
		t.Errorf("%d processes for 4 trials", len(pids))
	}
}
