package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

const waits = "import os, time\ndef train():\n    open('up', 'w').write('x')\n    while not os.path.exists('go'): " +
	"time.sleep(0.01)\n"

func (b *bench) writeGo() { write(b.t, filepath.Join(b.cwd, "go"), "x") }

func TestTwoSubmissionsAtOnceMakeOneRun(t *testing.T) {
	b := newBench(t)
	const submitters = 6
	done := make([]run.Submitted, submitters)
	var group sync.WaitGroup
	for i := range submitters {
		program := b.program(waits)
		group.Go(func() {
			var err error
			spec := b.spec(1)
			spec.Settings = []run.Setting{{Name: "parallelism", Value: string(rune('1' + i))}}
			if done[i], err = b.Submit(t.Context(), run.Submission{Spec: spec, Program: program}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	fresh := 0
	for _, d := range done {
		if d.Spec.Name != "train-1" {
			t.Errorf("a run %q", d.Spec.Name)
		}
		if !d.Attached {
			fresh++
		} else if len(d.Differs) != 1 || !strings.HasPrefix(d.Differs[0], "parallelism is ") {
			t.Errorf("differs: %q", d.Differs)
		}
	}
	if fresh != 1 {
		t.Errorf("%d new runs", fresh)
	}
	if name, err := b.Provisional(t.Context(), "train"); err != nil || name != "train-2" {
		t.Errorf("the next name: %q %v", name, err)
	}
	again, err := b.Submit(t.Context(), run.Submission{Spec: b.spec(1), Program: b.program(waits), Again: true}, nil)
	if err != nil || again.Attached || again.Spec.Name != "train-2" {
		t.Errorf("another beside it: %+v %v", again, err)
	}
	active, err := b.Active(t.Context(), t.Name())
	if err != nil || active == nil || active.Name != "train-2" {
		t.Errorf("active: %+v %v", active, err)
	}
	b.writeGo()
	b.await("train-1")
	b.await("train-2")
	if active, err := b.Active(t.Context(), t.Name()); err != nil || active != nil {
		t.Errorf("active in the end: %+v %v", active, err)
	}
	next, err := b.Submit(t.Context(), run.Submission{Spec: b.spec(1), Program: b.program(waits)}, nil)
	if err != nil || next.Attached || next.Spec.Name != "train-3" {
		t.Errorf("a finished run was attached to: %+v %v", next, err)
	}
	b.await("train-3")
}

func TestAnActiveRunIsNotDeleted(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), waits, nil)
	b.waitForFile("up")
	var user *usererror.Error
	err := b.Delete(t.Context(), name)
	if !errors.As(err, &user) || user.Hint != "metaml stop "+name+" ends it first." {
		t.Errorf("%v", err)
	}
	if err := b.Resume(t.Context(), name); !errors.As(err, &user) || user.Code != "active" {
		t.Errorf("resuming what goes: %v", err)
	}
	b.writeGo()
	b.await(name)
	if err := b.Delete(t.Context(), name); err != nil || exists(string(b.Folder(name))) {
		t.Errorf("%v", err)
	}
}

func TestAFollowerGoesOnFromItsCursor(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(3), "import metaml\ndef train(i):\n    metaml.report(a=i)\n", rows("i", 0, 1, 2))
	type seen struct {
		n      int64
		cursor string
	}
	var all []seen
	if err := b.Follow(t.Context(), l.Spec.Name, "", func(e run.Event, c string) error {
		all = append(all, seen{e.N, c})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		var rest []int64
		if err := b.Follow(t.Context(), l.Spec.Name, s.cursor, func(e run.Event, _ string) error {
			rest = append(rest, e.N)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(rest) != len(all)-i-1 || (len(rest) > 0 && rest[0] != s.n+1) {
			t.Errorf("after %d: %v", s.n, rest)
		}
	}
	if err := b.Follow(t.Context(), l.Spec.Name, "nonsense", nil); err == nil {
		t.Error("a cursor that is none was taken")
	}
	stop := errors.New("enough")
	if err := b.Follow(t.Context(), l.Spec.Name, "", func(run.Event, string) error {
		return stop
	}); !errors.Is(err, stop) {
		t.Errorf("the follower's own error: %v", err)
	}
}

func TestALogIsFollowedAcrossRetries(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), `
import os, time
def train():
    first = not os.path.exists("been")
    print("first" if first else "second", flush=True)
    open("been", "w").write("x")
    while not os.path.exists("go"): time.sleep(0.01)
    if first: os.kill(os.getpid(), 11)
    print("done")
`, nil)
	var text lockedText
	ended := make(chan error, 1)
	go func() { ended <- b.Log(t.Context(), name, 0, 0, "stdout", true, &text) }()
	b.waitFor("the first line", func() bool { return strings.Contains(text.String(), "first") })
	b.writeGo()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := text.String(); got != "first\nsecond\ndone\n" {
		t.Errorf("%q", got)
	}
	var user *usererror.Error
	if err := b.Log(t.Context(), name, 1, 0, "stdout", false, &text); !errors.As(err, &user) ||
		user.Hint != "Its trials are 0 to 0." {
		t.Errorf("a trial that is none: %v", err)
	}
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestFollowEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), waits, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Follow(ctx, name, "", func(run.Event, string) error {
		return nil
	}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	b.writeGo()
	b.await(name)
}

func TestTheEnvironmentOfTrials(t *testing.T) {
	t.Setenv("METAML_BASE", "no")
	t.Setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
	t.Setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
	t.Setenv("KEPT", "yes")
	b := newBench(t)
	spec := b.spec(4)
	spec.Env["OMP_NUM_THREADS"] = "1"
	spec.TrialCwd = true
	l := b.run(spec, `
import os, json, time
at_load = os.environ.get("OMP_NUM_THREADS")
def train(i):
    print(json.dumps({k: v for k, v in os.environ.items()}))
    open("mine", "w").write(str(i))
    return {"load": at_load == "1", "alone": len(os.listdir(".")), "cwd": os.getcwd() != os.path.dirname(__file__)}
`, rows("i", 0, 1, 2, 3))
	if l.State.Phase != run.Succeeded {
		t.Fatal(b.describe(l))
	}
	gpus := map[string]bool{}
	for i, trial := range l.State.Trials {
		env := b.log(l.Spec.Name, i, "stdout")
		if strings.Contains(env, "METAML_BASE") || strings.Contains(env, "matplotlib_inline") ||
			!strings.Contains(env, `"KEPT": "yes"`) {
			t.Errorf("environment: %s", env)
		}
		if !strings.Contains(env, `"_METAML_TRIAL": "`+string(rune('0'+i))+`"`) {
			t.Errorf("trial %d does not know its number", i)
		}
		for _, v := range []string{"4,6", "5"} {
			if strings.Contains(env, `"CUDA_VISIBLE_DEVICES": "`+v+`"`) {
				gpus[v] = true
			}
		}
		if trial.Metrics["load"] != 1 || trial.Metrics["alone"] != 1 || trial.Metrics["cwd"] != 1 {
			t.Errorf("trial %d: %v", i, trial.Metrics)
		}
	}
	if len(gpus) != 2 {
		t.Errorf("GPUs of the two slots: %v", gpus)
	}
}

func TestFilesThatSeveralTrialsWroteAreNamed(t *testing.T) {
	b := newBench(t)
	spec := b.spec(2)
	spec.Parallelism = 1
	// A file into which the waiting process writes its own output grows while trials run, and is no trial's.
	redirected, err := os.Create(filepath.Join(spec.Cwd, "out1.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer redirected.Close()
	l := b.run(spec,
		"import time\ndef train(i):\n    time.sleep(1.1)\n    open('model.bin', 'w').write(str(i))\n    "+
			"open('out1.txt', 'a').write('a line')\n    open(f'own-{i}', 'w').write('x')\n", rows("i", 0, 1))
	if n := l.State.Notes; len(n) != 1 || n[0].Code != "shared-file" ||
		!strings.HasPrefix(n[0].Text, "`model.bin` was written by several trials in ") ||
		!strings.Contains(n[0].Hint, "metaml.output()") {
		t.Errorf("%+v", n)
	}
}
