package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// trains saves at each epoch, writes junk beside, and meets its end in the third epoch of the first attempt, if there
// is one; its metrics depend on each epoch that it has seen. In the file seen is what each attempt found.
const trains = `
import json, os, random, signal, time
import metaml

def train(end=""):
    saved = metaml.output() / "state.json"
    state = {"epoch": -1, "loss": 1.0, "sum": 0}
    with open("seen", "a") as seen:
        print(metaml.attempt(), *sorted(f.name for f in metaml.output().iterdir()), file=seen)
    if metaml.attempt() > 1 and saved.exists():
        state = json.loads(saved.read_text())
    junk = metaml.output() / "junk"
    for epoch in range(state["epoch"] + 1, 6):
        state = {"epoch": epoch, "loss": state["loss"] * 0.9 + epoch, "sum": state["sum"] * 7 + epoch}
        metaml.report(step=epoch, loss=state["loss"])
        if metaml.attempt() == 1 and epoch == 3:
            saved.write_text("half of it")
            open("up", "w").write(str(os.getpid()))
            if end == "killed": os.kill(os.getpid(), signal.SIGKILL)
            while end: time.sleep(0.01)
        saved.write_text(json.dumps(state))
        junk.unlink(missing_ok=True)
        metaml.checkpoint()
        junk.write_text(f"after epoch {epoch}")
    return state
`

func TestAnAttemptGoesOnFromTheCheckpoint(t *testing.T) {
	undisturbed := newBench(t)
	want := undisturbed.run(undisturbed.spec(1), trains, nil).State.Trials[0].Metrics
	for _, c := range []struct {
		name, end string
		disturb   func(b *bench, name string)
	}{
		{"killed", "killed", func(*bench, string) {}},
		{"its loader is killed", "waits", func(b *bench, name string) {
			b.waitForFile("up")
			for _, pid := range b.processes("metaml._loader") {
				if strconv.Itoa(pid) != b.waitForFile("up") {
					_ = process.Signal(pid, syscall.SIGKILL)
				}
			}
		}},
		{"its monitor is killed", "waits", func(b *bench, name string) {
			b.waitForFile("up")
			if err := process.Signal(b.Folder(name).ReadMonitor().PID, syscall.SIGKILL); err != nil {
				b.t.Fatal(err)
			}
			b.waitFor("the monitor to end", func() bool { return !b.Folder(name).Monitored() })
		}},
		{"stopped and resumed", "waits", func(b *bench, name string) {
			b.waitForFile("up")
			if err := b.Stop(b.t.Context(), name, nil, true); err != nil {
				b.t.Fatal(err)
			}
			b.await(name)
			if err := b.Resume(b.t.Context(), name); err != nil {
				b.t.Fatal(err)
			}
		}},
	} {
		for _, fresh := range []bool{false, true} {
			if fresh && c.name == "its loader is killed" {
				continue // it has none
			}
			t.Run(fmt.Sprintf("%s, fresh=%v", c.name, fresh), func(t *testing.T) {
				b := newBench(t)
				spec := b.spec(1)
				spec.Fresh = fresh
				name := b.submit(spec, trains, rows("end", c.end))
				c.disturb(b, name)
				l := b.await(name)
				trial := l.State.Trials[0]
				if trial.Phase != run.Succeeded || trial.Attempt != 2 {
					t.Fatal(b.describe(l))
				}
				for metric, value := range want {
					if trial.Metrics[metric] != value {
						t.Errorf("%s is %v, and undisturbed %v", metric, trial.Metrics[metric], value)
					}
				}
				seen, _ := os.ReadFile(filepath.Join(b.cwd, "seen"))
				if string(seen) != "1\n2 state.json\n" {
					t.Errorf("the attempts found %q", seen)
				}
				for path, want := range map[string]string{
					filepath.Join(b.Folder(name).LeftOutput(0, 1), "junk"):       "after epoch 2",
					filepath.Join(b.Folder(name).LeftOutput(0, 1), "state.json"): "half of it",
					filepath.Join(b.Folder(name).Output(0), "junk"):              "after epoch 5",
				} {
					t.Run(filepath.Base(path), func(t *testing.T) {
						if got, _ := os.ReadFile(path); string(got) != want {
							t.Errorf("it is %q, want %q", got, want)
						}
					})
				}
			})
		}
	}
}

// What cannot be restored is said, and the attempt is not started on nothing; resume goes on when it can.
func TestACheckpointThatIsDamaged(t *testing.T) {
	b := newBench(t)
	spec := b.spec(1)
	name := b.submit(spec, trains, rows("end", "waits"))
	b.waitForFile("up")
	if err := b.Stop(t.Context(), name, nil, true); err != nil {
		t.Fatal(err)
	}
	b.await(name)
	index := filepath.Join(b.Folder(name).Checkpoints(0), "000003", "index")
	if err := os.Rename(index, index+".away"); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	if trial := l.State.Trials[0]; trial.Reason != run.ReasonOutput || l.State.Phase != run.Failed ||
		!strings.Contains(trial.Text, "give attempt 2 of trial 0 what was kept") {
		t.Error(b.describe(l))
	}
	if err := os.Rename(index+".away", index); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if l := b.await(name); l.State.Phase != run.Succeeded || l.State.Trials[0].Attempt != 3 {
		t.Error(b.describe(l))
	}
}

// Scalars that an attempt reported are not reported again by the one that finds their files, whether they were kept or
// not, and what it writes itself is.
func TestScalarsOfARestoredFileAreNotReportedAgain(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(1), `
import os, signal, time, metaml
from tensorboard.summary import Writer

def train():
    first = 3 * (metaml.attempt() - 1)
    w = Writer(str(metaml.output() / "logs"))
    for step in range(first, first + 3): w.add_scalar("loss", step + 0.5, step)
    w.flush()
    metaml.checkpoint()
    if metaml.attempt() == 1:
        w.add_scalar("loss", 99, 99)
        w.flush()
        time.sleep(1.5)
        os.kill(os.getpid(), signal.SIGKILL)
    w.close()
    time.sleep(1.5)
`, nil)
	if l.State.Phase != run.Succeeded {
		t.Fatal(b.describe(l))
	}
	steps := map[int][]float64{}
	_ = b.events(l.Spec.Name, func(e run.Event) error {
		if e.Type == run.EventTrialReport {
			steps[e.Attempt] = append(steps[e.Attempt], *e.Step)
		}
		return nil
	})
	if !slices.Equal(steps[1], []float64{0, 1, 2, 99}) || !slices.Equal(steps[2], []float64{3, 4, 5}) {
		t.Errorf("%v", steps)
	}
}

// A checkpoint on a disk without room says so, and leaves the one before.
func testACheckpointOnAFullDisk(t *testing.T) {
	b := newDiskBench(t)
	spec := b.spec(1)
	l := b.run(spec, `
import metaml, os
def train():
    saved = metaml.output() / "model"
    if metaml.attempt() == 2:
        return {"size": saved.stat().st_size}
    saved.write_bytes(bytes(1000))
    metaml.checkpoint()
    saved.write_bytes(os.urandom(2_500_000))
    metaml.checkpoint()
`, nil)
	failed := l.State.Trials[0]
	if l.State.Phase != run.Failed || failed.Reason != run.ReasonDisk || failed.Error == nil ||
		!strings.Contains(failed.Error.Text, "could not keep what is in output(), since the disk is full") {
		t.Fatal(b.describe(l))
	}
	if err := os.Remove(filepath.Join(b.Folder(l.Spec.Name).Output(0), "model")); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context(), l.Spec.Name); err != nil {
		t.Fatal(err)
	}
	if l := b.await(l.Spec.Name); l.State.Phase != run.Succeeded || l.State.Trials[0].Metrics["size"] != 1000 {
		t.Error(b.describe(l))
	}
}
