package record

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// called is a keeper that ends whatever waits for it.
type called struct{ end context.CancelCauseFunc }

var errKept = errors.New("the keeper was called")

func (c called) Keep(context.Context, string) error       { c.end(errKept); return nil }
func (c called) Fetch(context.Context, string, int) error { return nil }
func (c called) FetchCode(context.Context, string) error  { return nil }
func (c called) Kept(string) error                        { return nil }

// writer names, in the environment of a process, the folder of a run whose record it writes.
const writer = "METAML_TEST_WRITER"

// writes holds the lock of who writes a record, which counts for other processes alone, until this one is killed.
func writes(t *testing.T) {
	t.Helper()
	lock, err := folder.Run(os.Getenv(writer)).LockMonitor()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	<-t.Context().Done()
}

// Whoever writes the mirror of a run may have lost the way to it, and tries it seldom: it hears that somebody waits.
func TestWhoWaitsForARunElsewhereIsHeardOf(t *testing.T) {
	if os.Getenv(writer) != "" { // the process that is started below
		writes(t)
		return
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	reader := Reader{Dir: t.TempDir(), Keepers: func(string) (Keeper, error) { return called{cancel}, nil }}
	f := folder.In(folder.MirrorOf(reader.Dir, run.Kubernetes, "far/team").Dir, "fit-1")
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := folder.ReplaceJSON(f.Spec(), run.Spec{V: 1, Name: "fit-1", Kind: run.Train, Completions: 1}); err != nil {
		t.Fatal(err)
	}
	ends, end := context.WithCancelCause(t.Context())
	other := exec.CommandContext(ends, os.Args[0], "-test.run=^"+t.Name()+"$")
	other.Env = append(os.Environ(), writer+"="+string(f))
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		end(nil)
		_ = other.Wait() // it was killed
	}()
	for !f.Monitored() {
		<-time.After(10 * time.Millisecond)
	}
	err := reader.Follow(ctx, "fit-1@far/team", "", func(run.Event, string) error { return nil })
	if !errors.Is(err, errKept) {
		t.Errorf("got %v", err)
	}
}
