package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// Scalars count as metrics wherever the trial writes them; what it reports itself wins, and a damaged file is named
// once.
func TestScalarsOfTrials(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(2), `
import time, metaml
from tensorboard.summary import Writer

def write(where, **values):
    w = Writer(where)
    for name, value in values.items():
        for step in range(3): w.add_scalar(name, value + step, step)
    w.close()

def train(i):
    metaml.report(loss=0.5)
    write(str(metaml.output() / "logs"), inside=10 * i, loss=7)
    write("logs", beside=20 * i)
    if i == 1:
        (metaml.output() / "events.out.tfevents.1").write_bytes(b"no event file" * 100)
    time.sleep(2.5)
`, rows("i", 0, 1))
	if l.State.Phase != run.Succeeded {
		t.Fatal(b.describe(l))
	}
	damaged := 0
	for _, n := range l.State.Notes {
		if n.Code == "scalars" {
			damaged++
			if n.Trial == nil || *n.Trial != 1 || !strings.Contains(n.Text, "damaged") {
				t.Error(b.describe(l))
			}
		}
	}
	for i := range 2 {
		trial := l.State.Trials[i]
		for name, want := range map[string]float64{
			"inside": float64(10*i + 2), "beside": float64(20*i + 2),
			"loss": 0.5,
		} {
			t.Run(fmt.Sprintf("%s of trial %d", name, i), func(t *testing.T) {
				if got, ok := trial.Metrics[name]; !ok || got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		}
		if n := len(trial.Series["inside"].Values); n != 3 {
			t.Errorf("trial %d: %d values of inside", i, n)
		}
	}
	if damaged != 1 {
		t.Errorf("the damaged file was named %d times\n%s", damaged, b.describe(l))
	}
}

// boards lists the TensorBoards of this bench's runs.
func (b *bench) boards() []int {
	var found []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, _ := os.ReadFile(path)
		if strings.Contains(string(text), "tensorboard.main") && strings.Contains(string(text), b.Dir) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, pid)
		}
	}
	return found
}

const untilGo = `
import os, time

def train():
    while not os.path.exists("go"): time.sleep(0.01)
`

func TestABoardEndsWithItsRunAndItsMonitor(t *testing.T) {
	b := newBench(t)
	spec := b.spec(1)
	spec.TensorBoard = true
	name := b.submit(spec, untilGo, nil)
	addresses := 0
	announced := func() {
		t.Helper()
		addresses++
		b.waitFor("an address", func() bool {
			n := 0
			_ = b.events(name, func(e run.Event) error {
				if e.Code == run.NoteTensorBoard && strings.HasPrefix(e.Text, "http://127.0.0.1:") {
					n++
				}
				return nil
			})
			return n == addresses
		})
		if n := len(b.boards()); n != 1 {
			t.Fatalf("%d TensorBoards", n)
		}
	}
	announced()
	if err := process.Signal(b.Folder(name).ReadMonitor().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.waitFor("the board to die with its monitor", func() bool { return len(b.boards()) == 0 })
	done := make(chan run.Listed, 1)
	go func() { done <- b.await(name) }()
	announced()
	if err := os.WriteFile(filepath.Join(b.cwd, "go"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l := <-done; l.State.Phase != run.Succeeded {
		t.Error(b.describe(l))
	}
	b.waitFor("the board to end with its run", func() bool { return len(b.boards()) == 0 })
}

func TestABoardThatIsNotInstalledIsANote(t *testing.T) {
	b := newBench(t)
	spec := b.spec(1)
	spec.TensorBoard = true
	env := filepath.Join(t.TempDir(), "env")
	if out, err := exec.Command(spec.Python, "-m", "venv", "--without-pip", env).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	spec.Python = filepath.Join(env, "bin", "python")
	name := b.submit(spec, untilGo, nil)
	b.waitForEvent(name, "the note", func(e run.Event) bool {
		return e.Code == "tensorboard-missing" && strings.Contains(e.Hint, spec.Python+" -m pip install tensorboard")
	})
	if err := os.WriteFile(filepath.Join(b.cwd, "go"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l := b.await(name); l.State.Phase != run.Succeeded {
		t.Error(b.describe(l))
	}
}
