package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// limited gives the bench a monitor that is started under a shell's limits.
func (b *bench) limited(ulimit string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "agent")
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n%s\nexec %s \"$@\"\n", ulimit, b.Agent),
		0o700); err != nil {
		b.t.Fatal(err)
	}
	b.Agent = path
}

// TestMoreTrialsThanTheSoftLimitOfFiles has all of them run at a time, each with the limit that its user has set.
func TestMoreTrialsThanTheSoftLimitOfFiles(t *testing.T) {
	b := newBench(t)
	b.limited("ulimit -Sn 64")
	const trials = 80
	spec := b.spec(trials)
	spec.Parallelism = trials
	l := b.run(spec, fmt.Sprintf(`
import os, resource, time
def train(i):
    open(f"here.{i}", "w").close()
    while len([f for f in os.listdir() if f.startswith("here.")]) < %d: time.sleep(0.02)
    return {"soft": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
`, trials), rows("i", numbers(trials)...))
	if l.State.Phase != run.Succeeded || l.State.Count().Succeeded != trials || !l.State.Loaded.Fork {
		t.Fatal(b.describe(l))
	}
	for _, trial := range l.State.Trials {
		if trial.Metrics["soft"] != 64 {
			t.Errorf("trial %d has the limit %v", trial.Index, trial.Metrics)
		}
	}
}

// TestFewerFilesThanTrials has trials wait for their turn, as forks and as fresh processes.
func TestFewerFilesThanTrials(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			b := newBench(t)
			b.limited("ulimit -n 40")
			spec := b.spec(30)
			spec.Parallelism, spec.Fresh = 30, fresh
			l := b.run(spec, "import time\ndef train(i):\n    time.sleep(0.1)\n    return i\n",
				rows("i", numbers(30)...))
			if l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 30 {
				t.Fatal(b.describe(l))
			}
			notes := 0
			for _, n := range l.State.Notes {
				if strings.Contains(n.Text,
					"fewer trials run at a time than requested, since this process may open 40 files") {
					notes++
				}
			}
			if notes != 1 {
				t.Errorf("noted %+v", l.State.Notes)
			}
		})
	}
}

// TestAForkThatFailsIsTriedAgain has the system refuse some.
func TestAForkThatFailsIsTriedAgain(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(3), `
import errno, os
fork, refusals = os.fork, [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.EAGAIN]
def refuse():
    if loaded and refusals:
        number = refusals.pop()
        raise OSError(number, os.strerror(number))
    return fork()
os.fork, loaded = refuse, True
def train(i):
    return i
`, rows("i", 0, 1, 2))
	if l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 3 || l.State.Trials[0].Attempt != 1 {
		t.Error(b.describe(l))
	}
}

// TestATrialThatCannotOpenItsFilesIsTriedAgain has the system's limit met after the fork.
func TestATrialThatCannotOpenItsFilesIsTriedAgain(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(2), `
import errno, os
openat = os.open
def limited(path, *more, **named):
    if str(path).endswith("lock") and not os.path.exists("refused"):
        open("refused", "w").close()
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))
    return openat(path, *more, **named)
os.open = limited
def train(i):
    return i
`, rows("i", 0, 1))
	if l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 2 || l.State.Trials[0].Attempt != 1 {
		t.Error(b.describe(l))
	}
}

func numbers(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}
