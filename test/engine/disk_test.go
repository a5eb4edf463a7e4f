package engine_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// fullDisk names the folder of the small disk in the process that has one.
const fullDisk = "METAML_TEST_FULL_DISK"

// A disk of 4 MiB of the test's own, in a mount namespace that ends with it.
func TestAFullDisk(t *testing.T) {
	if os.Getenv(fullDisk) == "" {
		if _, err := exec.LookPath("unshare"); err != nil {
			t.Skip("no unshare: namespaces are Linux's")
		}
		dir := t.TempDir()
		inner := exec.Command("unshare", "-rm", "sh", "-c",
			`mount -t tmpfs -o size=4m small "$1" && exec "$0" -test.run '^TestAFullDisk$' -test.v`, os.Args[0], dir)
		inner.Env = append(os.Environ(), fullDisk+"="+dir)
		if out, err := inner.CombinedOutput(); err != nil ||
			!strings.Contains(string(out), "--- PASS: TestAFullDisk/submit") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	t.Run("submit", func(t *testing.T) {
		b := newDiskBench(t)
		b.fill()
		_, err := b.Submit(t.Context(), run.Submission{Spec: b.spec(1), Program: b.program("def train(): pass\n")}, nil)
		var user *usererror.Error
		if !errors.As(err, &user) || user.Code != "disk-full" || !strings.Contains(user.Hint, "XDG_DATA_HOME") {
			t.Errorf("submitted to a full disk: %v", err)
		}
		entries, _ := os.ReadDir(b.Dir)
		for _, e := range entries {
			if e.Name() != ".series" && e.Name() != ".expired" { // which are of no run
				t.Errorf("left behind: %s", e.Name())
			}
		}
		b.free()
		if l := b.run(b.spec(1), "def train(): pass\n", nil); l.State.Phase != run.Succeeded {
			t.Error(b.describe(l))
		}
	})
	t.Run("read-only", func(t *testing.T) {
		b := newDiskBench(t)
		remount := func(how string) {
			t.Helper()
			// It is busy as long as the lock process or the last monitor has a file open for writing.
			var out []byte
			var err error
			//nolint:forbidigo // it waits for a state
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if out, err = exec.Command("mount", "-o", "remount,"+how,
					os.Getenv(fullDisk)).CombinedOutput(); err == nil {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("%v\n%s", err, out)
				}
			}
		}
		if l := b.run(b.spec(1), "def train(): pass\n", nil); l.State.Phase != run.Succeeded {
			t.Error(b.describe(l))
		}
		b.noneLeft()
		remount("ro")
		defer remount("rw")
		_, err := b.Submit(t.Context(), run.Submission{Spec: b.spec(1), Program: b.program("def train(): pass\n")}, nil)
		var user *usererror.Error
		if !errors.As(err, &user) || user.Code != "unwritable" {
			t.Errorf("submitted to a read-only disk: %v", err)
		}
		// What is there can still be read.
		if all, err := b.List(t.Context()); err != nil || len(all) != 1 || all[0].State.Phase != run.Succeeded {
			t.Errorf("listed %v, %v", all, err)
		}
		if err := b.Follow(t.Context(), record.Last, "", func(run.Event, string) error { return nil }); err != nil {
			t.Errorf("followed: %v", err)
		}
	})
	t.Run("a server", testAServerOnAFullDisk)
	t.Run("a server, no room for files", testAServerOnADiskWithoutFiles)
	t.Run("in a trial", testATrialOnAFullDisk)
	t.Run("in a checkpoint", testACheckpointOnAFullDisk)
	t.Run("in the top level", testATopLevelOnAFullDisk)
	t.Run("while it runs", func(t *testing.T) {
		b := newDiskBench(t)
		source := `
import os, time, metaml

def train(i):
    open("up", "w").write("1")
    while not os.path.exists("go"): time.sleep(0.005)
    for k in range(200): metaml.report(step=k, **{"a" * 100: k})
    return i
`
		spec := b.spec(4)
		name := b.submit(spec, source, rows("i", 1, 2, 3, 4))
		b.waitForFile("up")
		b.waitForEvent(name, "two trials", func(e run.Event) bool {
			return e.Type == run.EventTrialStarted && *e.Trial == 1
		})
		b.fill()
		if err := os.WriteFile(filepath.Join(b.cwd, "go"), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := b.await(name)
		if l.State.Phase != run.Failed || l.State.Reason != run.ReasonDisk ||
			!strings.Contains(l.State.Text, "no space left") ||
			!strings.Contains(l.State.Text, "metaml resume "+name) {
			t.Error(b.describe(l))
		}
		b.free()
		if err := b.Resume(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if l := b.await(name); l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 4 {
			t.Error(b.describe(l))
		}
	})
}

// A trial that cannot write says so, though its log cannot be written either, and is the machine's failure.
func testATrialOnAFullDisk(t *testing.T) {
	for _, c := range []struct{ name, write, kind string }{
		{"a file", `(metaml.output() / "model").write_bytes(bytes(8 << 20))`, "OSError"},
		{"a log", "print('x' * (8 << 20), flush=True)", "OSError"},
		{"an error of its own", `
        try: (metaml.output() / "model").write_bytes(bytes(8 << 20))
        except OSError: raise ValueError("no model") from None`, "ValueError"},
		{"a library", `raise RuntimeError("cannot write: No space left on device")`, "RuntimeError"},
		{"a chain", `
        try: (metaml.output() / "model").write_bytes(bytes(8 << 20))
        except OSError as e: raise KeyError("model") from e`, "KeyError"},
	} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fresh=%v", c.name, fresh), func(t *testing.T) {
				b := newDiskBench(t)
				spec := b.spec(2)
				spec.Parallelism, spec.Fresh = 1, fresh
				source := "import metaml, os\n\ndef train(i):\n    if i and not os.path.exists('free'):\n        " +
					c.write + "\n    return i\n"
				l := b.run(spec, source, rows("i", 0, 1))
				failed := l.State.Trials[1]
				reason := run.ReasonDisk
				if c.kind == "ValueError" {
					reason = run.ReasonException
				}
				if failed.Reason != reason || failed.Error == nil || failed.Error.Type != c.kind ||
					!strings.Contains(failed.Error.Traceback, c.kind) {
					t.Error(b.describe(l))
				}
				count := l.State.Count()
				if count.Succeeded != 1 || count.Failed != 1 ||
					(l.State.Phase == run.Failed) != (reason == run.ReasonDisk) {
					t.Error(b.describe(l))
				}
				if reason != run.ReasonDisk {
					return
				}
				// What filled the disk is gone, and the trial is repeated.
				write(t, filepath.Join(b.cwd, "free"), "")
				entries, _ := os.ReadDir(filepath.Join(string(b.Folder(l.Spec.Name)), "trials", "00001", "output"))
				for _, e := range entries {
					_ = os.Remove(filepath.Join(string(b.Folder(l.Spec.Name)), "trials", "00001", "output", e.Name()))
				}
				_ = os.Truncate(filepath.Join(b.Folder(l.Spec.Name).Attempt(1, 1), "stdout"), 0)
				if err := b.Resume(t.Context(), l.Spec.Name); err != nil {
					t.Fatal(err)
				}
				if l := b.await(l.Spec.Name); l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 2 ||
					l.State.Trials[0].Attempt != 1 {
					t.Error(b.describe(l))
				}
			})
		}
	}
}

// The same of the statements before the function.
func testATopLevelOnAFullDisk(t *testing.T) {
	b := newDiskBench(t)
	spec := b.spec(2)
	l := b.run(spec,
		"import os\nif not os.path.exists('free'): print('x' * (8 << 20), flush=True)\n\ndef train(i): return "+
			"i\n", rows("i", 0, 1))
	if l.State.Phase != run.Failed || l.State.Reason != run.ReasonDisk || l.State.Count().Failed != 2 {
		t.Error(b.describe(l))
	}
	said := func(t run.Trial) bool { return t.Error != nil && strings.Contains(t.Error.Text, "No space left") }
	if !slices.ContainsFunc(l.State.Trials, said) { // once is enough
		t.Error(b.describe(l))
	}
	write(t, filepath.Join(b.cwd, "free"), "")
	if err := b.Resume(t.Context(), l.Spec.Name); err != nil {
		t.Fatal(err)
	}
	if l := b.await(l.Spec.Name); l.State.Phase != run.Succeeded || l.State.Count().Succeeded != 2 {
		t.Error(b.describe(l))
	}
}

// A server that answers goes on answering, also when its processes die meanwhile.
func testAServerOnAFullDisk(t *testing.T) {
	s := newServer(t)
	s.Dir = filepath.Join(os.Getenv(fullDisk), "served")
	const talks = "print('loading', flush=True)\ndef serve(input):\n    print('asked', input, flush=True)\n    " +
		"print('x' * 10_000)\n    return {'twice': 2 * input['n']}\n"
	done := s.deploy(s.revisionSpec(1), talks)
	s.fill()
	// What the function prints is lost, but answers and error answers are not.
	for range 3 {
		s.expectAnswer(`{"n": 2}`, `{"twice":4}`)
	}
	if status, got, err := s.post(s.url(), "3"); status != 500 || !strings.Contains(got, `"id"`) {
		t.Errorf("%d %q %v", status, got, err)
	}
	var user *usererror.Error
	if _, err := s.Submit(t.Context(), run.Submission{
		Spec:    s.revisionSpec(1),
		Program: s.program(double),
	}, nil); !errors.As(err, &user) || user.Code != "disk-full" {
		t.Errorf("submitted to a full disk: %v", err)
	}
	s.free()
	s.expectAnswer(`{"n": 5}`, `{"twice":10}`)
	var log strings.Builder
	if err := s.Log(t.Context(), s.name, 0, 0, "both", false, &log); err != nil ||
		!strings.Contains(log.String(), "could not be written here: No space left on device\nasked {'n': 5}") {
		t.Errorf("%v\n%.2000s", err, log.String())
	}
	s.fill()
	for _, kind := range []string{"front", "worker", "loader", "monitor", "monitor"} {
		s.kill(kind)
		s.waitForAnswer(`{"n": 3}`, `{"twice":6}`)
	}
	s.killBoth()
	s.waitFor("the server to be dead", func() bool {
		return s.load().Liveness == run.Dead && len(s.processes("")) == 0
	})
	if again, err := s.Submit(t.Context(), run.Submission{Spec: done.Spec, Program: s.program(talks)},
		nil); err != nil ||
		!again.Attached {
		t.Errorf("%+v %v", again, err)
	}
	s.waitForAnswer(`{"n": 4}`, `{"twice":8}`)
	s.free()
	if done := s.deploy(s.revisionSpec(1), double); done.Spec.Server.Revision != 2 {
		t.Errorf("%+v", done)
	}
	s.expectAnswer("6", `{"twice":12}`)
	// What happened meanwhile was written when there was room.
	ended := map[string]bool{}
	if err := s.Events(t.Context(), s.name, func(e run.Event) error { ended[e.Type] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if !ended[run.EventFrontEnded] || !ended[run.EventWorkerEnded] {
		t.Error(s.describe())
	}
	// A stop works while the disk is full.
	s.waitFor("the reserve", func() bool {
		info, err := os.Stat(s.Folder(s.name).Reserve())
		return err == nil && info.Size() == 256<<10
	})
	s.fill()
	defer s.free()
	if err := s.Stop(t.Context(), s.name, nil, false); err != nil {
		t.Fatal(err)
	}
	if l := s.await(s.name); l.State.Phase != run.Stopped {
		t.Error(s.describe())
	}
}

// A disk may also have no room for another file.
func testAServerOnADiskWithoutFiles(t *testing.T) {
	s := newServer(t)
	s.Dir = filepath.Join(os.Getenv(fullDisk), "files")
	mount := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], append(args[1:], s.Dir)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount("mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "few")
	t.Cleanup(func() { s.stop(); s.noneLeft(); mount("umount", "-l") })
	s.deploy(s.revisionSpec(1), double)
	for i := 0; ; i++ {
		if err := os.Mkdir(filepath.Join(s.Dir, fmt.Sprint(".filler", i)), 0o700); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"worker", "front", "loader", "monitor", "worker"} {
		s.kill(kind)
		s.waitForAnswer("3", `{"twice":6}`)
	}
}

// newDiskBench keeps its runs on the small disk.
func newDiskBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.Dir = filepath.Join(os.Getenv(fullDisk), "runs")
	t.Cleanup(func() { b.noneLeft(); _ = os.RemoveAll(b.Dir) })
	return b
}

func (b *bench) filler() string { return filepath.Join(os.Getenv(fullDisk), "filler") }

// fill leaves no page of the disk free.
func (b *bench) fill() {
	b.t.Helper()
	f, err := os.Create(b.filler())
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) free() {
	b.t.Helper()
	if err := os.Remove(b.filler()); err != nil {
		b.t.Fatal(err)
	}
}
