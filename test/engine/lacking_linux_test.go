package engine_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/deployer/run"
)

// A process of a server that may open no more files does what it can, and all that it has to do when it may. (Only
// Linux lets one process limit another.)
func TestAServerWithoutDescriptors(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), double)
	// From now on it may open none, and then as many as before.
	limit := func(pid int) (restore func()) {
		t.Helper()
		var before unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
			t.Fatal(err)
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: before.Max}, nil); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
				t.Error(err)
			}
		}
	}
	restore := limit(s.liveProcess("front"))
	s.kill("worker")
	s.waitFor("the front to miss a descriptor", func() bool {
		text, _ := os.ReadFile(s.Folder(s.name).FrontLog())
		return strings.Contains(string(text), "dial worker 0: ") &&
			strings.Contains(string(text), "too many open files")
	})
	restore()
	s.waitForAnswer("2", `{"twice":4}`)

	restore = limit(s.liveProcess("monitor"))
	s.kill("loader")
	s.waitFor("the monitor to miss a descriptor", func() bool {
		return slices.ContainsFunc(s.load().State.Notes, func(n run.Note) bool { return n.Code == "scarce" })
	})
	restore()
	s.waitForAnswer("3", `{"twice":6}`)
	if l := s.load(); l.State.Phase != run.Running {
		t.Error(s.describe())
	}
}
