package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/venv"
)

// processes reaps for all tests of this package, since a process has one reaper. It ends with the tests.
var processes = sync.OnceValues(NewProcesses)

// bench is a Supervisor of a run of one program, closed when the test is over.
type bench struct {
	*Supervisor
	t *testing.T
}

// newBench supervises main.py's function train, which returns. change may alter what is run.
func newBench(t *testing.T, source string, change func(*Options)) *bench {
	t.Helper()
	procs, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	module, err := filepath.Abs(filepath.Join("..", "jupyter-ext", "python"))
	if err != nil {
		t.Fatal(err)
	}
	f := folder.Run(t.TempDir())
	o := Options{
		Spec: run.Spec{
			V: 1, Name: "train-1", Kind: run.Train, Entry: "train", Python: venv.Python(t), Cwd: t.TempDir(),
			Completions: 1, Parallelism: 1,
		},
		Folder: f, Module: module, Processes: procs,
	}
	if change != nil {
		change(&o)
	}
	writeFile(t, f.Spec(), "{}")
	writeFile(t, filepath.Join(f.Code(), "main.py"), source)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &bench{Supervisor: s, t: t}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// next gives the next update that is wanted, passing over others.
func (b *bench) next(wanted func(run.Update) bool) run.Update {
	b.t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case u := <-b.Updates():
			if wanted(u) {
				return u
			}
		case <-timeout:
			b.t.Fatal("there was no such update within 60 s")
		}
	}
}

var firstAttempt = run.AttemptID{Trial: 0, Number: 1}

// end runs the first attempt of trial 0 and gives how it ended.
func (b *bench) end() run.AttemptEnd {
	b.t.Helper()
	b.Start(run.Attempt{AttemptID: firstAttempt})
	return *b.next(func(u run.Update) bool { return u.Ended != nil }).Ended
}

// eachWay tests an attempt that is a fork of the loader, and one that is a process of its own.
func eachWay(t *testing.T, test func(t *testing.T, change func(*Options))) {
	t.Helper()
	for name, fresh := range map[string]bool{"fork": false, "fresh process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(o *Options) { o.Spec.Fresh = fresh })
		})
	}
}

func TestHowAnAttemptEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string // of the function
		want run.AttemptEnd
		kind string // of the exception; "" is none
	}{
		"it returns nothing":     {body: "pass", want: run.AttemptEnd{Returned: true}},
		"it returns metrics":     {body: "return {'loss': 0.5}", want: run.AttemptEnd{Returned: true}},
		"it raises":              {body: "raise ValueError('no')", want: run.AttemptEnd{Exit: 42}, kind: "ValueError"},
		"it exits with a status": {body: "os._exit(3)", want: run.AttemptEnd{Exit: 3}},
		"it kills itself": {
			body: "os.kill(os.getpid(), 9)",
			want: run.AttemptEnd{Signal: int(syscall.SIGKILL)},
		},
		"it exits without result": {body: "os._exit(0)", want: run.AttemptEnd{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			//nolint:thelper // it is the test, not a helper
			eachWay(t, func(t *testing.T, change func(*Options)) {
				end := newBench(t, "import os\ndef train():\n    "+c.body+"\n", change).end()
				got := run.AttemptEnd{Returned: end.Returned, Exit: end.Exit, Signal: end.Signal}
				if !reflect.DeepEqual(got, c.want) || end.Internal != "" || end.Lost {
					t.Errorf("%+v, want %+v", end, c.want)
				}
				if (end.Error != nil) != (c.kind != "") || end.Error != nil && end.Error.Type != c.kind {
					t.Errorf("the exception is %+v, want %q", end.Error, c.kind)
				}
				if name == "it returns metrics" && end.Metrics["loss"] != 0.5 {
					t.Errorf("metrics %v", end.Metrics)
				}
				if end.Seconds <= 0 {
					t.Errorf("it took %v s", end.Seconds)
				}
			})
		})
	}
}

func TestSignalEndsAnAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hard bool
		want syscall.Signal
		kind string // of the exception; "" is none
	}{"signalled to end": {false, 0, "KeyboardInterrupt"}, "killed": {true, syscall.SIGKILL, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			//nolint:thelper // it is the test, not a helper
			eachWay(t, func(t *testing.T, change func(*Options)) {
				const source = "import metaml, time\ndef train():\n    metaml.report(x=1)\n    time.sleep(600)\n"
				b := newBench(t, source, change)
				b.Start(run.Attempt{AttemptID: firstAttempt})
				b.next(func(u run.Update) bool { return u.Report != nil }) // a signal before the function is its end
				b.Signal(firstAttempt, c.hard)
				end := b.next(func(u run.Update) bool { return u.Ended != nil }).Ended
				if end.Signal != int(c.want) || end.Returned || (end.Error != nil) != (c.kind != "") ||
					end.Error != nil && end.Error.Type != c.kind {
					t.Errorf("%+v, %+v, want signal %d or %s", end, end.Error, c.want, c.kind)
				}
			})
		})
	}
}

func TestAnAttemptThatIsAskedToEndBeforeItHasAProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t, "def train():\n    pass\n", nil)
	b.descriptors = &descriptors{} // so it waits
	b.Start(run.Attempt{AttemptID: firstAttempt})
	b.next(func(u run.Update) bool { return u.Note != nil }) // it says that it waits
	b.Signal(firstAttempt, false)
	end := b.next(func(u run.Update) bool {
		if u.Started != nil {
			t.Error("it was started")
		}
		return u.Ended != nil
	}).Ended
	if end.Signal != int(syscall.SIGTERM) {
		t.Errorf("%+v", end)
	}
}

func TestNothingThatAnAttemptStartedIsLeft(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		b := newBench(t, `import subprocess
def train():
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    return {"pid": left.pid}
`, change)
		end := b.end()
		pid := end.Metrics["pid"]
		if left, ok := readProc(int(pid)); pid == 0 || ok && !left.zombie { // one that ended may wait to be reaped
			t.Errorf("process %v of an attempt that has ended is left", pid)
		}
	})
}

func TestTheFilesOfAnAttempt(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		b := newBench(t, `import os, sys
def train():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.system("echo of a child")
`, change)
		end := b.end()
		for stream, want := range map[string][]string{
			folder.Stdout: {"to stdout\n", "of a child\n"}, folder.Stderr: {"to stderr\n"},
		} {
			t.Run(stream, func(t *testing.T) {
				got := readFile(t, b.opts.Folder.Stream(0, 1, stream))
				for _, line := range want {
					if !strings.Contains(got, line) {
						t.Errorf("%q has no %q", got, line)
					}
				}
			})
		}
		if _, err := os.Lstat(b.opts.Folder.Output(0)); end.Output != "" || err == nil {
			t.Errorf("there was no output, and its folder is %q (%v)", end.Output, err)
		}
	})
}

func TestAnAttemptsOutputFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, "import metaml\ndef train():\n    (metaml.output() / 'model').write_text('x')\n", nil)
	if end := b.end(); end.Output != b.opts.Folder.Output(0) || readFile(t, filepath.Join(end.Output, "model")) != "x" {
		t.Errorf("%+v", end)
	}
}

func TestTheEnvironmentOfAnAttempt(t *testing.T) {
	t.Parallel()
	//nolint:thelper // it is the test, not a helper
	eachWay(t, func(t *testing.T, change func(*Options)) {
		b := newBench(t, `import json, os
def train(rate):
    print(json.dumps({"rate": rate, "cwd": os.getcwd(), **os.environ}))
`, func(o *Options) {
			change(o)
			o.Spec.TrialCwd = true
			o.Spec.Env = map[string]string{"OMP_NUM_THREADS": "7"}
			o.Environ = []string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=/nowhere", "OMP_NUM_THREADS=1", "KEPT=yes"}
			o.Table = []run.Row{{{Name: "rate", Value: json.RawMessage(`"low"`)}}}
		})
		b.gpus = []string{"5"}
		if end := b.end(); !end.Returned {
			t.Fatalf("%+v", end)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(readFile(t, b.opts.Folder.Stream(0, 1, folder.Stdout))), &got); err != nil {
			t.Fatal(err)
		}
		cwd, err := filepath.EvalSymlinks(b.opts.Folder.Cwd(0))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"rate": "low", "cwd": cwd, "OMP_NUM_THREADS": "7", "KEPT": "yes", "CUDA_VISIBLE_DEVICES": "5",
			"_METAML_RUN": "train-1", tokenVariable: b.tokens.attempt(0, 1),
		} {
			t.Run(name, func(t *testing.T) {
				if got[name] != want {
					t.Errorf("got %q, want %q", got[name], want)
				}
			})
		}
	})
}

func TestAnAttemptThatCannotBeRun(t *testing.T) {
	t.Parallel()
	t.Run("the run's folder is gone", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "def train():\n    pass\n", nil)
		if err := os.Remove(b.opts.Folder.Spec()); err != nil {
			t.Fatal(err)
		}
		end := b.end()
		if !strings.HasPrefix(end.Internal, "the run's folder is gone") || end.Reason != run.ReasonFolder {
			t.Errorf("%+v", end)
		}
	})
	t.Run("there is no interpreter", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "", func(o *Options) { o.Spec.Python = filepath.Join(t.TempDir(), "python") })
		b.Start(run.Attempt{AttemptID: firstAttempt})
		failed := b.next(func(u run.Update) bool { return u.LoadFailed != nil }).LoadFailed
		if !strings.Contains(failed.Text, "cannot be started") || failed.Origin != run.FromProcess {
			t.Errorf("%+v", failed)
		}
		b.Signal(firstAttempt, false) // as the engine does
		b.next(func(u run.Update) bool { return u.Ended != nil })
	})
	t.Run("the loader is killed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "import time\ndef train():\n    time.sleep(600)\n", nil)
		b.Start(run.Attempt{AttemptID: firstAttempt})
		b.next(func(u run.Update) bool { return u.Started != nil })
		b.mu.Lock()
		l := b.loader
		b.mu.Unlock()
		kill(l.child.pid, l.child.start, syscall.SIGKILL)
		if end := b.next(func(u run.Update) bool { return u.Ended != nil }).Ended; !end.Lost {
			t.Errorf("%+v", end)
		}
	})
}
