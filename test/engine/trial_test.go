package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestHowATrialEnds(t *testing.T) {
	b := newBench(t)
	source := `
import os, signal, sys

class Odd:
    def __repr__(self):
        return "<odd>"

def train(how):
    if how == "dict": return {"a": 1, "b": float("nan"), "c": True, "d": "text"}
    if how == "number": return 0.5
    if how == "none": return None
    if how == "odd": return Odd()
    if how == "raise": raise ValueError("bad value")
    if how == "exit0": sys.exit()
    if how == "exit3": sys.exit(3)
    if how == "exittext": sys.exit("no data")
    if how == "_exit0": os._exit(0)
    if how == "_exit5": os._exit(5)
    if how == "segv": os.kill(os.getpid(), signal.SIGSEGV)
    if how == "interrupt": raise KeyboardInterrupt
    if how == "numpy":
        import numpy
        return {"a": numpy.float32(0.5), "b": numpy.array([2.0]), "c": numpy.arange(3)}
    if how == "history":
        class History: pass
        h = History(); h.epoch = [0, 1]; h.history = {"loss": [2.0, 1.0]}
        return h
    if how == "async":
        async def f(): return {"a": 7}
        return f()
`
	cases := []struct {
		how     string
		phase   run.Phase
		reason  run.Reason
		attempt int
		exit    int
		metrics string
		text    string // in the error
		note    string
	}{
		{"dict", run.Succeeded, "", 1, 0, "map[a:1 b:NaN c:1]", "", "left out of the result, since not numbers: d"},
		{"number", run.Succeeded, "", 1, 0, "map[value:0.5]", "", ""},
		{"none", run.Succeeded, "", 1, 0, "map[]", "", ""},
		{"odd", run.Succeeded, "", 1, 0, "map[]", "", "the function returned a Odd, not numbers: <odd>"},
		{"raise", run.Failed, run.ReasonException, 1, 42, "map[]", "bad value", ""},
		{"exit0", run.Succeeded, "", 1, 0, "map[]", "", ""},
		{"exit3", run.Failed, run.ReasonExit, 1, 3, "map[]", "3", ""},
		{"exittext", run.Failed, run.ReasonExit, 1, 1, "map[]", "no data", ""},
		{"_exit0", run.Failed, run.ReasonExit, 1, 0, "map[]", "", ""},
		{"_exit5", run.Failed, run.ReasonExit, 1, 5, "map[]", "", ""},
		{"segv", run.Failed, run.ReasonSignal, 2, 128 + 11, "map[]", "", ""},
		{"interrupt", run.Failed, run.ReasonException, 1, 42, "map[]", "", ""},
		{"numpy", run.Succeeded, "", 1, 0, "map[a:0.5 b:2]", "", "left out of the result, since not numbers: c"},
		{"history", run.Succeeded, "", 1, 0, "map[loss:1]", "", ""},
		{"async", run.Succeeded, "", 1, 0, "map[a:7]", "", ""},
	}
	var how []string
	for _, c := range cases {
		how = append(how, c.how)
	}
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			spec := b.spec(len(cases))
			spec.Fresh, spec.Key = fresh, t.Name()
			l := b.run(spec, source, rows("how", how...))
			for i, c := range cases {
				t.Run(c.how, func(t *testing.T) {
					trial := l.State.Trials[i]
					if trial.Phase != c.phase || trial.Reason != c.reason || trial.Attempt != c.attempt {
						t.Errorf("%s %s in attempt %d", trial.Phase, trial.Reason, trial.Attempt)
					}
					if trial.Exit == nil || *trial.Exit != c.exit {
						t.Errorf("exit %v", trial.Exit)
					}
					if got := fmt.Sprint(map[string]float64(trial.Metrics)); got != c.metrics {
						t.Errorf("metrics %s", got)
					}
					if c.text != "" && (trial.Error == nil || trial.Error.Text != c.text) {
						t.Errorf("error %+v", trial.Error)
					}
					if c.note != "" && !hasNote(l, i, c.note) {
						t.Errorf("no note %q in %+v", c.note, l.State.Notes)
					}
				})
			}
			if t.Failed() {
				t.Log(b.describe(l))
			}
		})
	}
}

func hasNote(l run.Listed, trial int, text string) bool {
	for _, n := range l.State.Notes {
		if n.Trial != nil && *n.Trial == trial && strings.Contains(n.Text, text) {
			return true
		}
	}
	return false
}

func TestAnErrorPointsAtTheCell(t *testing.T) {
	b := newBench(t)
	dir := b.program("import helper\n\n\ndef train():\n    return helper.divide(1, 0)\n")
	write(t, filepath.Join(dir, "code", "helper.py"), "def divide(a, b):\n    return a / b\n")
	write(t, filepath.Join(dir, "map.json"), `{"v": 1, "lines": [{"script": 5, "cell": 9, "label": 7, "line": 2}]}`)
	done, err := b.Submit(t.Context(), run.Submission{Spec: b.spec(1), Program: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := b.await(done.Spec.Name)
	e := l.State.Trials[0].Error
	if e == nil || e.Type != "ZeroDivisionError" || len(e.Frames) != 2 {
		t.Fatal(b.describe(l))
	}
	want := run.Frame{
		File: "main.py", Line: 5, Function: "train", Text: "return helper.divide(1, 0)", Cell: 7, CellLine: 2,
		Mine: true,
	}
	if e.Frames[0] != want {
		t.Errorf("frame %+v, want %+v", e.Frames[0], want)
	}
	if f := e.Frames[1]; f.File != "helper.py" || f.Line != 2 || !f.Mine || f.Cell != 0 {
		t.Errorf("frame %+v", f)
	}
	if !strings.HasPrefix(e.Traceback, "Traceback (most recent call last):\n  cell 7, line 2, in train\n") ||
		strings.Contains(e.Traceback, "metaml/_trial/") {
		t.Errorf("traceback %s", e.Traceback)
	}
	if log := b.log(l.Spec.Name, 0, "stderr"); !strings.Contains(log, "ZeroDivisionError") {
		t.Errorf("stderr: %q", log)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAProgramThatDoesNotLoad(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct{ source, kind, text string }{
		"raises":   {"x = 1\ny = x / 0\n", "ZeroDivisionError", "division by zero"},
		"syntax":   {"x = 1\nthis does not parse\n", "SyntaxError", ""},
		"exits":    {"import sys\nsys.exit(4)\n", "SystemExit", "4"},
		"no entry": {"x = 1\n", "AttributeError", ""},
		"_exits": {
			"import os\nos._exit(9)\n", "Error",
			"Python ended with exit status 9 while it executed the program's top level",
		},
		"crashes": {
			"import os\nos.kill(os.getpid(), 11)\n", "Error",
			"Python was ended by signal 11 (segmentation fault) each time it executed the program's top level",
		},
	} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s fresh=%v", name, fresh), func(t *testing.T) {
				if fresh && (name == "_exits" || name == "crashes") {
					return // then it is a trial like any other
				}
				spec := b.spec(5)
				spec.Key, spec.Fresh, spec.Retries = t.Name(), fresh, 3
				l := b.run(spec, c.source, nil)
				if l.State.Phase != run.Failed || l.State.Reason != run.ReasonProgram {
					t.Error(b.describe(l))
				}
				shown := 0
				for _, trial := range l.State.Trials {
					if trial.Phase != run.Failed || trial.Reason != run.ReasonProgram {
						t.Errorf("trial %d: %s %s", trial.Index, trial.Phase, trial.Reason)
					}
					if e := trial.Error; e != nil {
						shown++
						if e.Type != c.kind || (c.text != "" && e.Text != c.text) {
							t.Errorf("error %s: %s", e.Type, e.Text)
						}
						if name == "raises" && (len(e.Frames) != 1 || e.Frames[0].Line != 2) {
							t.Errorf("frames %+v", e.Frames)
						}
					}
				}
				if shown != 1 {
					t.Errorf("the traceback is shown %d times\n%s", shown, b.describe(l))
				}
			})
		}
	}
}

func TestAnInterpreterThatIsNotThere(t *testing.T) {
	b := newBench(t)
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			spec := b.spec(3)
			spec.Key, spec.Python, spec.Fresh = "", "/nowhere/python", fresh
			l := b.run(spec, "def train(): pass\n", nil)
			c := l.State.Count()
			if l.State.Reason != run.ReasonProgram || c.Failed != 3 {
				t.Error(b.describe(l))
			}
			text := ""
			for _, trial := range l.State.Trials {
				if trial.Error != nil {
					text += trial.Error.Text
				}
			}
			if text != "the Python interpreter /nowhere/python cannot be started: no such file or directory" {
				t.Errorf("%q", text)
			}
		})
	}
}

func TestSeeds(t *testing.T) {
	b := newBench(t)
	source := `
import random
import numpy as np

rng = np.random.default_rng()
old = np.random.RandomState()
mine = random.Random()
left = np.random.default_rng(7)

def train():
    ours = {"r": random.random(), "n": np.random.random(), "g": rng.random()}
    return {**ours, "o": old.random(), "m": mine.random(), "l": left.random()}
`
	late := `
import random

def train():
    import numpy as np
    return {"r": random.random(), "n": np.random.random()}
`
	get := func(source string, change func(*run.Spec)) []run.Metrics {
		t.Helper()
		spec := b.spec(3)
		seed := int64(5)
		spec.Key, spec.Seed, spec.Reseed = "", &seed, []string{"rng", "old", "mine"}
		change(&spec)
		l := b.run(spec, source, nil)
		var all []run.Metrics
		for _, trial := range l.State.Trials {
			if trial.Phase != run.Succeeded {
				t.Fatal(b.describe(l))
			}
			all = append(all, trial.Metrics)
		}
		return all
	}
	forked := get(source, func(*run.Spec) {})
	for name, v := range forked[0] {
		if name == "l" {
			if forked[1][name] != v {
				t.Errorf("a generator with a seed of its own differs: %v", forked)
			}
			continue
		}
		if v == forked[1][name] || v == forked[2][name] || forked[1][name] == forked[2][name] {
			t.Errorf("%s is the same in several trials: %v", name, forked)
		}
	}
	if again := get(source, func(*run.Spec) {}); fmt.Sprint(again) != fmt.Sprint(forked) {
		t.Errorf("--seed does not repeat:\n%v\n%v", forked, again)
	}
	if fresh := get(source, func(s *run.Spec) { s.Fresh = true }); fmt.Sprint(fresh) != fmt.Sprint(forked) {
		t.Errorf("fresh processes draw otherwise than forks:\n%v\n%v", forked, fresh)
	}
	noReseed := func(s *run.Spec) { s.Reseed = nil }
	lateForked, lateFresh := get(late, noReseed), get(late, func(s *run.Spec) { s.Fresh, s.Reseed = true, nil })
	if fmt.Sprint(lateForked) != fmt.Sprint(lateFresh) || lateForked[0]["n"] != forked[0]["n"] ||
		lateForked[0]["n"] == lateForked[1]["n"] {
		t.Errorf("a library that the trial imports is not seeded alike:\n%v\n%v\n%v", lateForked, lateFresh, forked)
	}
	self := get("import random\nrandom.seed(1)\ndef train():\n    return {'r': random.random()}\n", func(s *run.Spec) {
		s.SelfSeeded, s.Reseed = []string{"random"}, nil
	})
	if self[0]["r"] != self[1]["r"] || self[0]["r"] != 0.13436424411240122 {
		t.Errorf("a library that the program seeds itself was reseeded: %v", self)
	}
}

// TestWhichTrial calls trial(), attempt() and seed() in a trial, in a process that it starts, at top level and in a
// second attempt.
func TestWhichTrial(t *testing.T) {
	b := newBench(t)
	source := `
import metaml, os, signal, subprocess, sys

above = metaml.trial(), metaml.attempt(), metaml.seed()

def train():
    if metaml.trial() == 1 and metaml.attempt() == 1: os.kill(os.getpid(), signal.SIGKILL)
    ask = "import metaml; print(metaml.trial(), metaml.attempt(), metaml.seed())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.check_output([sys.executable, "-c", ask], env=environment, text=True)
    mine = metaml.trial(), metaml.attempt(), metaml.seed()
    same = child.split() == [str(x) for x in mine]
    top = above[:2] == (None, None)
    return {"trial": mine[0], "attempt": mine[1], "seed": mine[2], "child": same, "top": top, "load": above[2]}
`
	var before []run.Trial
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			spec := b.spec(2)
			seed := int64(3)
			spec.Key, spec.Seed, spec.Fresh = "", &seed, fresh
			l := b.run(spec, source, nil)
			for i, trial := range l.State.Trials {
				m := trial.Metrics
				if m["trial"] != float64(i) || m["attempt"] != float64(i+1) || trial.Seed == nil ||
					m["seed"] != float64(*trial.Seed) || m["child"] != 1 || m["top"] != 1 {
					t.Errorf("trial %d: %v\n%s", i, m, b.describe(l))
				}
				if before != nil && (m["seed"] != before[i].Metrics["seed"] || m["load"] != before[i].Metrics["load"]) {
					t.Errorf("trial %d: %v, as a fork %v", i, m, before[i].Metrics)
				}
			}
			before = l.State.Trials
		})
	}
}

func TestWhyATrialIsNoFork(t *testing.T) {
	b := newBench(t)
	write(t, filepath.Join(b.cwd, "d.txt"), "data")
	for name, c := range map[string]struct{ source, cause string }{
		"a file": {"import os\n\nf = open('d.txt')\n", "d.txt is open, line 3"},
		"npz": {
			"import numpy as np\nnp.savez('d.npz', a=np.arange(3))\nd = np.load('d.npz')\n",
			"d.npz is open, line 3",
		},
		"a thread": {"import threading, time\nt = threading.Thread(target=time.sleep, args=(600,), daemon=True, " +
			"name='ticker')\nt.start()\n", "thread 'ticker' is running, line 3"},
		"a child": {
			"import subprocess\np = subprocess.Popen(['sleep', '600'])\n",
			"a child process is running, line 2",
		},
		"a socket": {"import socket\ns = socket.socket()\n", "a socket is open, line 2"},
		"a pipe":   {"import os\nr, w = os.pipe()\n", "a pipe is open, line 2"},
		"compiled": {"import ctypes\nlibc = ctypes.CDLL(None); " +
			"libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)\n", "of a compiled library"},
		"an executor": {"from concurrent.futures import ThreadPoolExecutor\npool = " +
			"ThreadPoolExecutor(1)\npool.submit(int).result()\n", "thread 'ThreadPoolExecutor-0_0' is running, line 3"},
		"fresh":   {"x = 1\n", "--fresh-process"},
		"nothing": {"import numpy as np\nnp.random.rand(500, 500) @ np.random.rand(500, 500)\n", ""},
		"a mapping": {
			"import numpy as np\nnp.save('a.npy', np.arange(1000))\na = np.load('a.npy', mmap_mode='r')\n",
			"",
		},
		"a temporary":  {"import tempfile\nf = tempfile.TemporaryFile()\n", ""},
		"a closed one": {"with open('d.txt') as f:\n    text = f.read()\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := b.spec(3)
			spec.Key, spec.Fresh = t.Name(), name == "fresh"
			l := b.run(spec, c.source+"def train(x):\n    import os\n    return {'x': x, 'pid': os.getpid()}\n",
				rows("x", 1, 2, 3))
			if l.State.Phase != run.Succeeded || l.State.Loaded == nil {
				t.Fatal(b.describe(l))
			}
			causes := strings.Join(l.State.Loaded.Causes, "; ")
			if l.State.Loaded.Fork != (c.cause == "") || !strings.Contains(causes, c.cause) {
				t.Errorf("fork %v, causes %q, want %q", l.State.Loaded.Fork, causes, c.cause)
			}
			if c.cause == "of a compiled library" && !strings.Contains(causes, "line 2") {
				t.Errorf("causes %q name no line", causes)
			}
			pids := map[float64]bool{}
			for i, trial := range l.State.Trials {
				pids[trial.Metrics["pid"]] = true
				if trial.Metrics["x"] != float64(i+1) {
					t.Errorf("trial %d: %v", i, trial.Metrics)
				}
			}
			if len(pids) != 3 {
				t.Errorf("%d processes for 3 trials", len(pids))
			}
		})
	}
}

func TestTheProgramIsTheRealMain(t *testing.T) {
	b := newBench(t)
	source := `
import multiprocessing, os, pickle, sys, logging, atexit
from concurrent.futures import ProcessPoolExecutor
import joblib

class Net:
    def __init__(self, x): self.x = x

def square(n):
    return Net(n.x * n.x)

if __name__ == "__main__":
    raise SystemExit("the guard is not for trials")

def train(how):
    assert sys.modules["__main__"].Net is Net and Net.__module__ == "__main__"
    assert pickle.loads(pickle.dumps(Net(3))).x == 3
    logging.basicConfig(filename="log-" + how)
    logging.warning("kept")
    left_open = globals()["f"] = open("open-" + how, "w")
    left_open.write("flushed")
    atexit.register(lambda: open("exit-" + how, "w").write("ran"))
    nets = [Net(i) for i in range(4)]
    if how == "joblib":
        out = joblib.Parallel(n_jobs=2)(joblib.delayed(square)(n) for n in nets)
    elif how == "threads":
        out = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(square)(n) for n in nets)
    else:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how)) as pool:
            out = list(pool.map(square, nets))
    return {"sum": sum(n.x for n in out)}
`
	hows := []string{"fork", "spawn", "forkserver", "joblib", "threads"}
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			spec := b.spec(len(hows))
			spec.Key, spec.Fresh = "", fresh
			l := b.run(spec, source, rows("how", hows...))
			for i, how := range hows {
				if l.State.Trials[i].Metrics["sum"] != 14 {
					t.Errorf("%s fresh=%v failed", how, fresh)
				}
				for file, want := range map[string]string{
					"log-": "WARNING:root:kept\n", "open-": "flushed",
					"exit-": "ran",
				} {
					t.Run(how+" "+file, func(t *testing.T) {
						got, _ := os.ReadFile(filepath.Join(b.cwd, file+how))
						if string(got) != want {
							t.Errorf("got %q, want %q", got, want)
						}
						_ = os.Remove(filepath.Join(b.cwd, file+how))
					})
				}
			}
			if t.Failed() {
				t.Fatal(b.describe(l))
			}
		})
	}
}
