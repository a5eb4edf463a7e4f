package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/internal/usererror"
)

// started waits until a trial says so by a file in the working directory.
func (b *bench) waitForFile(file string) string {
	b.t.Helper()
	var text []byte
	b.waitFor(file, func() bool { text, _ = os.ReadFile(filepath.Join(b.cwd, file)); return len(text) > 0 })
	return string(text)
}

func TestStop(t *testing.T) {
	source := `
import os, signal, time

def train(i):
    if i == 2: signal.signal(signal.SIGTERM, lambda *_: None)
    open(f"up-{i}", "w").write(str(os.getpid()))
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        open(f"saved-{i}", "w").write("saved")
        raise
    finally:
        open(f"finally-{i}", "w").write("ran")
`
	t.Run("the run, gently", func(t *testing.T) {
		b := newBench(t)
		spec := b.spec(10)
		name := b.submit(spec, source, rows("i", 0, 1, 3, 4, 5, 6, 7, 8, 9, 10))
		b.waitForFile("up-0")
		b.waitForFile("up-1")
		if err := b.Stop(t.Context(), name, nil, false); err != nil {
			t.Fatal(err)
		}
		l := b.await(name)
		if c := l.State.Count(); l.State.Phase != run.Stopped || c.Stopped != 10 {
			t.Error(b.describe(l))
		}
		b.waitForFile("saved-0")
		b.waitForFile("finally-1")
		var user *usererror.Error
		if err := b.Stop(t.Context(), name, nil, false); !errors.As(err, &user) ||
			!strings.Contains(user.Text, "stopped already") {
			t.Errorf("stopping twice: %v", err)
		}
		// A resume runs the stopped trials as further attempts.
		if err := b.Resume(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		b.waitForEvent(name, "a second attempt", func(e run.Event) bool { return e.Type == run.EventTrialStarted })
		if l, err := b.Load(t.Context(), name); err != nil || l.State.Phase != run.Running ||
			l.Liveness != run.Alive {
			t.Errorf("resumed: %v %s %s", err, l.State.Phase, l.Liveness)
		}
		if err := b.Stop(t.Context(), name, nil, true); err != nil {
			t.Fatal(err)
		}
		if l := b.await(name); l.State.Phase != run.Stopped {
			t.Error(b.describe(l))
		}
	})
	t.Run("one trial", func(t *testing.T) {
		b := newBench(t)
		name := b.submit(b.spec(2), source, rows("i", 0, 1))
		b.waitForFile("up-0")
		b.waitForFile("up-1")
		for trial, want := range []run.Phase{run.Running, run.Stopped} {
			if err := b.Stop(t.Context(), name, &trial, false); err != nil {
				t.Fatal(err)
			}
			b.waitForEvent(name, "the trial's end", func(e run.Event) bool {
				return e.Type == run.EventTrialEnded && *e.Trial == trial
			})
			if trial == 0 {
				if l, err := b.Load(t.Context(), name); err != nil || l.State.Phase != want ||
					l.State.Trials[1].Phase != run.Running {
					t.Fatal(b.describe(l))
				}
			}
		}
		if l := b.await(name); l.State.Phase != run.Stopped {
			t.Error(b.describe(l))
		}
	})
	t.Run("now, a trial that does not listen", func(t *testing.T) {
		b := newBench(t)
		name := b.submit(b.spec(1), source, rows("i", 2))
		pid, _ := strconv.Atoi(b.waitForFile("up-2"))
		if err := b.Stop(t.Context(), name, nil, false); err != nil {
			t.Fatal(err)
		}
		b.waitForEvent(name, "the request", func(e run.Event) bool { return e.Type == run.EventStopAsked })
		if process.Signal(pid, 0) != nil {
			t.Error("a trial that does not listen was killed at once")
		}
		if err := b.Stop(t.Context(), name, nil, true); err != nil {
			t.Fatal(err)
		}
		if l := b.await(name); l.State.Phase != run.Stopped || *l.State.Trials[0].Exit != 128+9 {
			t.Error(b.describe(l))
		}
	})
	t.Run("while the program loads", func(t *testing.T) {
		b := newBench(t)
		name := b.submit(b.spec(1),
			"import time\nopen('loading', 'w').write('x')\ntime.sleep(600)\ndef train(): pass\n", nil)
		b.waitForFile("loading")
		if err := b.Stop(t.Context(), name, nil, false); err != nil {
			t.Fatal(err)
		}
		if l := b.await(name); l.State.Phase != run.Stopped {
			t.Error(b.describe(l))
		}
	})
}

func TestTimeout(t *testing.T) {
	b := newBench(t)
	spec := b.spec(2)
	spec.Timeout = 300 * time.Millisecond
	l := b.run(spec, "import time\ndef train(i):\n    if i: time.sleep(600)\n    return i\n", rows("i", 0, 1))
	if l.State.Trials[0].Phase != run.Succeeded || l.State.Trials[1].Phase != run.Failed ||
		l.State.Trials[1].Reason != run.ReasonTimeout || l.State.Trials[1].Attempt != 1 {
		t.Error(b.describe(l))
	}
}

func TestNothingIsLeftOfATrial(t *testing.T) {
	b := newBench(t)
	source := `
import os, subprocess, sys, time

def train(how):
    if how == "child": subprocess.Popen(["sleep", "601"])
    if how == "session": subprocess.Popen(["sleep", "602"], start_new_session=True)
    if how == "shell": os.system("(sleep 603 &) ; (setsid sleep 604 &)")
    if how == "fork":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(605)
            os._exit(0)
    if how == "nameless": subprocess.Popen(["setsid", "env", "-i", "sleep", "606"])
    if how == "pool":
        import multiprocessing
        global pool
        pool = multiprocessing.get_context("spawn").Pool(2)
        pool.map(abs, [1, 2])
    if how == "killed":
        subprocess.Popen(["sleep", "607"])
        os.kill(os.getpid(), 9)
    return 1
`
	spec := b.spec(7)
	spec.Retries = 0
	name := b.submit(spec, source, rows("how", "child", "session", "shell", "fork", "nameless", "pool", "killed"))
	l := b.await(name)
	if c := l.State.Count(); c.Succeeded != 6 || c.Failed != 1 {
		t.Error(b.describe(l))
	}
	// Follow returns with the last event: no process of the trial may be left then.
	for _, text := range []string{"sleep 601", "sleep 602", "sleep 603", "sleep 604", "sleep 607", "spawn_main"} {
		if left := b.processes(text); len(left) > 0 {
			t.Errorf("%q is left: %v", text, left)
		}
	}
	b.waitFor("what hides to be gone with the monitor", func() bool {
		return !b.Folder(name).Monitored() && len(everywhere("sleep\x00606")) == 0
	})
}

// everywhere lists processes by their command line alone.
func everywhere(text string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if cmd, _ := os.ReadFile(path); strings.Contains(string(cmd), text) {
			found = append(found, path)
		}
	}
	return found
}

func TestAHundredMegabytesOfOutput(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(1), `
def train():
    print("the first line")
    line = "x" * 1023
    for _ in range(100 * 1024):
        print(line)
    print("the last line")
`, nil)
	if l.State.Phase != run.Succeeded || !hasNote(l, 0, "stdout of trial 0 is longer than 64 MiB") {
		t.Fatal(b.describe(l))
	}
	var info syscall.Stat_t
	if err := syscall.Stat(filepath.Join(b.Folder(l.Spec.Name).Attempt(0, 1), "stdout"), &info); err != nil {
		t.Fatal(err)
	}
	if onDisk := info.Blocks * 512; onDisk > 64<<20 {
		t.Errorf("%d MiB on disk", onDisk>>20)
	}
	text := b.log(l.Spec.Name, 0, "stdout")
	if !strings.HasPrefix(text, "the first line\n") || !strings.HasSuffix(text, "the last line\n") ||
		!strings.Contains(text, "MiB left out …]") || strings.Contains(text, "\x00") {
		t.Errorf("%d bytes of log: %.40q … %.40q", len(text), text, text[max(0, len(text)-40):])
	}
}

// once is a training function that notices when two processes of one trial execute it at the same time, and counts how
// often it has ended.
const once = `
import fcntl, os, time, random as r

def train(i):
    lock = open(f"lock-{i}", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        open("twice", "a").write(f"{i}\n")
        return {"twice": 1}
    with open(f"pid-{i}", "w") as f: f.write(str(os.getpid()))
    time.sleep(0.02 + 0.02 * (i % 5))
    with open(f"count-{i}", "a") as f: f.write("x")
    return {"i": i}
`

func TestKillsAtAnyMoment(t *testing.T) {
	const trials = 40
	b := newBench(t)
	spec := b.spec(trials)
	spec.Parallelism, spec.Retries = 3, 50
	values := make([]int, trials)
	for i := range values {
		values[i] = i
	}
	name := b.submit(spec, once, rows("i", values...))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var killer sync.WaitGroup
	kills := map[string]int{}
	killer.Go(func() {
		for total := 0; total < 25; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(20+rng.IntN(300)) * time.Millisecond):
			}
			what := []string{"metaml-agent", "metaml._loader", "metaml._loader.attempt", ""}[rng.IntN(3)]
			var victims []int
			if what == "metaml-agent" {
				if m := b.Folder(name).ReadMonitor(); m.PID != 0 && folder.StartTime(m.PID) == m.StartTime {
					victims = []int{m.PID}
				}
			} else {
				victims = b.processes(what) // the loader and its forks look alike
			}
			if len(victims) > 0 {
				total++
				_ = process.Signal(victims[rng.IntN(len(victims))], syscall.SIGKILL)
				kills[what]++
			}
		}
	})
	var cursors []string
	err := b.Follow(ctx, name, "", func(_ run.Event, cursor string) error {
		cursors = append(cursors, cursor)
		return nil
	})
	cancel()
	killer.Wait()
	t.Logf("kills: %v", kills)
	if err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	for i, trial := range l.State.Trials {
		lost := trial.Phase == run.Failed && (trial.Reason == run.ReasonLost || trial.Reason == run.ReasonSignal)
		if trial.Phase != run.Succeeded && !lost {
			t.Errorf("trial %d: %s %s %s", i, trial.Phase, trial.Reason, trial.Text)
		}
		if trial.Phase == run.Succeeded && trial.Metrics["i"] != float64(i) {
			t.Errorf("trial %d: %v", i, trial.Metrics)
		}
	}
	if text, err := os.ReadFile(filepath.Join(b.cwd, "twice")); err == nil {
		t.Errorf("trials that ran twice at once: %s", text)
	}
	ends := map[string]int{}
	if err := b.Events(t.Context(), name, func(e run.Event) error {
		if e.Type == run.EventTrialEnded {
			ends[fmt.Sprintf("%d.%d", *e.Trial, e.Attempt)]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for attempt, n := range ends {
		if n != 1 {
			t.Errorf("attempt %s ended %d times", attempt, n)
		}
	}
	if len(cursors) != int(l.State.N) {
		t.Errorf("%d events were followed, %d are there", len(cursors), l.State.N)
	}
	if t.Failed() {
		t.Log(b.describe(l))
	}
}

func TestAKilledMonitorTakesItsTrialsWithIt(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1),
		"import os, time\ndef train():\n    open('up', 'a').write(str(os.getpid()) + '\\n')\n    if "+
			"len(open('up').readlines()) == 1: time.sleep(600)\n", nil)
	pid, _ := strconv.Atoi(strings.TrimSpace(b.waitForFile("up")))
	b.waitForEvent(name, "the news of the start", func(e run.Event) bool { return e.Type == run.EventTrialStarted })
	if err := process.Signal(b.Folder(name).ReadMonitor().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.waitFor("the trial to die", func() bool { return folder.StartTime(pid) == 0 || zombie(pid) })
	b.waitFor("the run to be dead", func() bool {
		l, err := b.Load(t.Context(), name)
		return err == nil && l.Liveness == run.Dead
	})
	if l := b.await(name); l.State.Phase != run.Succeeded || l.State.Trials[0].Attempt != 2 {
		t.Error(b.describe(l))
	}
}

func zombie(pid int) bool { return inState(pid, 'Z') }

// inState reports whether a process is in a state of proc_pid_stat(5).
func inState(pid int, state rune) bool {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Contains(string(data), fmt.Sprintf(") %c ", state))
}

func TestAKilledLoaderIsReplaced(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(2),
		"import os, time\ndef train(i):\n    open(f'up-{i}', 'a').write(str(os.getppid()) + '\\n')\n    if "+
			"len(open(f'up-{i}').readlines()) == 1: time.sleep(600)\n", rows("i", 0, 1))
	loader, _ := strconv.Atoi(strings.TrimSpace(b.waitForFile("up-0")))
	b.waitForFile("up-1")
	if err := process.Signal(loader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	for _, trial := range l.State.Trials {
		if trial.Phase != run.Succeeded || trial.Attempt != 2 {
			t.Error(b.describe(l))
		}
	}
}

func TestAfterTheMachineWasRestarted(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(2),
		"import time, os\ndef train(i):\n    open(f'up-{i}', 'a').write('x')\n    if i == 0 and open('up-0').read() "+
			"== 'x': time.sleep(600)\n    return 1\n", rows("i", 0, 1))
	b.waitForFile("up-0")
	b.waitForEvent(name, "the other trial's end", func(e run.Event) bool { return e.Type == run.EventTrialEnded })
	f := b.Folder(name)
	m := f.ReadMonitor()
	if err := process.Signal(m.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.waitFor("the monitor to be gone", func() bool { return !f.Monitored() })
	m.BootID = "another"
	if err := folder.ReplaceJSON(f.MonitorFile(), m); err != nil {
		t.Fatal(err)
	}
	l := b.await(name)
	if l.State.Trials[0].Phase != run.Failed || l.State.Trials[0].Reason != run.ReasonRestarted {
		t.Errorf("the trial that ran is %s", l.State.Trials[0].Phase)
	}
	if l.Liveness != run.Restarted || l.State.Phase != run.Failed || l.State.Reason != run.ReasonRestarted ||
		!strings.Contains(l.State.Text, "metaml resume "+name) {
		t.Error(b.describe(l))
	}
	if f.Monitored() {
		t.Error("a monitor was started by itself")
	}
	if err := b.Resume(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	l = b.await(name)
	if l.State.Phase != run.Succeeded || l.State.Trials[0].Attempt != 2 || l.State.Trials[1].Attempt != 1 {
		t.Error(b.describe(l))
	}
	var user *usererror.Error
	if err := b.Resume(t.Context(), name); !errors.As(err, &user) || user.Code != "finished" {
		t.Errorf("resuming what is finished: %v", err)
	}
}

func TestADeletedFolderEndsTheRun(t *testing.T) {
	b := newBench(t)
	name := b.submit(b.spec(1), "import time, os\ndef train():\n    open('up', 'w').write('x')\n    time.sleep(600)\n",
		nil)
	b.waitForFile("up")
	ended, following := make(chan error, 1), make(chan struct{})
	first := sync.OnceFunc(func() { close(following) })
	go func() {
		ended <- b.Follow(t.Context(), name, "", func(run.Event, string) error { first(); return nil })
	}()
	<-following
	if err := os.RemoveAll(string(b.Folder(name))); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the folder of run "+name+" was deleted") {
		t.Errorf("following: %v", err)
	}
	b.waitFor("everything to be gone", func() bool { return len(b.processes("")) == 0 })
}
