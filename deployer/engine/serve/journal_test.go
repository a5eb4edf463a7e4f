package serve

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// disk is an event file that may have no room left.
type disk struct {
	*os.File
	full bool
}

func (d *disk) Write(p []byte) (int, error) {
	if !d.full {
		return d.File.Write(p)
	}
	n, _ := d.File.Write(p[:10])
	return n, syscall.ENOSPC
}

func newTestJournal(t *testing.T) (*journal, *disk, folder.Run) {
	t.Helper()
	f := folder.Run(t.TempDir())
	file, err := f.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	d := &disk{File: file}
	j := newJournal(run.Spec{Name: "serve-1", Kind: run.Serve}, time.Now)
	j.reserve, j.sync = diskReserve(f), func() {}
	if j.log, err = folder.OpenLog(d, j.fold); err != nil {
		t.Fatal(err)
	}
	return j, d, f
}

// lines reads the file as a stranger would.
func lines(t *testing.T, f folder.Run) []run.Event {
	t.Helper()
	file, err := f.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []run.Event
	if _, err := folder.OpenLog(file, func(e run.Event) { all = append(all, e) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEventsWaitWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	j, d, f := newTestJournal(t)
	j.emit(run.Event{Type: run.EventSubmitted})
	if err := j.commit(); err != nil {
		t.Fatal(err)
	}
	d.full = true
	for range 3 * maxWaiting {
		j.emit(run.Event{Type: run.EventNote, Code: "x", Text: "of no great importance"})
		if err := j.commit(); err == nil {
			t.Fatal("it was written to a full disk")
		}
	}
	j.emit(run.Event{Type: run.EventServerReady, Revision: 1})
	if err := j.commit(); err == nil || j.state.Server.Revision != 1 {
		t.Errorf("%v, and the state is %+v", err, j.state.Server)
	}
	d.full = false
	j.tried = time.Time{} // it is tried once a second
	if err := j.commit(); err != nil {
		t.Fatal(err)
	}
	all := lines(t, f)
	for i, e := range all {
		if e.N != int64(i+1) {
			t.Fatalf("line %d has the number %d", i+1, e.N)
		}
	}
	if last := all[len(all)-1]; all[0].Type != run.EventSubmitted || last.Type != run.EventServerReady ||
		len(all) > 2*maxWaiting+2 {
		t.Errorf("%d lines, the last %+v", len(all), last)
	}
	if _, err := os.Stat(f.Reserve()); err != nil {
		t.Errorf("no reserve for the next time: %v", err)
	}
}

// Some months of a worker that is killed as soon as it is ready: what is written of it is bounded, and true in the end.
func TestAWorkerThatKeepsDyingDoesNotFillTheDisk(t *testing.T) {
	t.Parallel()
	j, _, _ := newTestJournal(t)
	j.emit(run.Event{Type: run.EventServerReady, Revision: 1})
	zero, lived := 0, int64(0)
	const seconds = 120 * 24 * 3600
	for attempt := 1; lived < seconds; attempt++ {
		const life = 31 // seconds, with the delay before it
		lived += life
		if j.settle().Seconds() > life {
			continue
		}
		for _, kind := range []string{run.EventWorkerStarted, run.EventWorkerReady, run.EventWorkerEnded} {
			j.emit(run.Event{Type: kind, Revision: 1, Worker: &zero, Attempt: attempt})
		}
	}
	if n := len(j.batch); n < 256 || n > 5000 {
		t.Errorf("%d lines", n)
	}
	if j.settle().Seconds() <= 31 {
		t.Errorf("settle %v", j.settle())
	}
}
