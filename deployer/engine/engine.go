// Package engine has what the engines of a run share: how the process that owns a run, its monitor, takes it over from
// the monitors before it. What happens then is decided by deployer/engine/train for a training run and by
// deployer/engine/serve for a server (docs/internals/engine.md).
//
// Read [Take] first. It imports deployer/run and deployer/folder alone.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Source is the one source of a local run's events.
const Source = "monitor"

// LookEvery is how often a monitor makes sure that its folder is there.
const LookEvery = 2 * time.Second

// LockWait is how long a monitor waits for the lock of the one before it, where that may be ending at this moment.
const LockWait = 5 * time.Second

var (
	// ErrRestarted says that the machine was started again since the run's last monitor: nothing goes on by itself.
	ErrRestarted = errors.New("the machine was restarted")
	// ErrDeleted says that the run's folder is gone.
	ErrDeleted = errors.New("the run's folder was deleted")
	// ErrTerminated is the cause with which the context of an engine ends when its process is signalled to end.
	ErrTerminated = errors.New("the monitor was signalled to end")
)

// Options say which run is taken over.
type Options struct {
	Folder folder.Run
	Resume bool // a run that has ended, or whose machine was restarted, goes on
	Wait   bool // for the lock of a monitor that is ending; Resume waits too
	// Fold prepares for the events that are there: fold is called with each, in their order, and state is what they
	// come to.
	Fold func(run.Spec) (fold func(run.Event), state *run.State)
	// NoRoom is called when the disk has no room for monitor.json, and the run goes on without it. Where it is nil,
	// that is an error.
	NoRoom func(error)
}

// Run is a run that belongs to this process until Close.
type Run struct {
	Folder   folder.Run
	Spec     run.Spec
	State    *run.State
	Log      *folder.Log
	Rebooted bool // the machine was restarted since the last monitor
	Reopened bool // it had ended, or its machine was restarted, and it is to go on

	lock   io.Closer
	file   *os.File
	syncer *folder.Syncer
}

// Take takes a run over: it waits for the lock, reads what was written, cuts a torn end, and notes that this process is
// the monitor. It gives nil if the run has ended and is not resumed, [folder.ErrLocked] if another monitor is there,
// and [ErrRestarted] if only Resume may go on.
func Take(ctx context.Context, o Options) (_ *Run, err error) {
	wait := time.Duration(0)
	if o.Resume || o.Wait {
		wait = LockWait
	}
	r := &Run{Folder: o.Folder}
	if r.lock, err = o.Folder.LockMonitorWithin(ctx, wait); err != nil {
		return nil, err
	}
	taken := false
	defer func() {
		if !taken {
			r.Close()
		}
	}()
	if r.Spec, err = o.Folder.ReadSpec(); err != nil {
		return nil, err
	}
	r.Rebooted = o.Folder.Rebooted()
	if r.file, err = o.Folder.OpenEvents(); err != nil {
		return nil, err
	}
	var fold func(run.Event)
	fold, r.State = o.Fold(r.Spec)
	if r.Log, err = folder.OpenLog(r.file, fold); err != nil {
		return nil, err
	}
	ended := r.State.Phase.Final()
	switch {
	case o.Resume:
		if err := o.Folder.ForgetStops(); err != nil {
			return nil, err
		}
		r.Reopened = ended || r.Rebooted
	case ended:
		return nil, nil //nolint:nilnil // nothing is left to do, and no error
	case r.Rebooted && r.Spec.Kind == run.Serve:
		return nil, fmt.Errorf("%w while the server was going: metaml resume starts it again", ErrRestarted)
	case r.Rebooted:
		return nil, fmt.Errorf("%w while the run was going: metaml resume goes on with it", ErrRestarted)
	}
	if err := o.Folder.WriteMonitor(); err != nil {
		if o.NoRoom == nil || !folder.NoSpace(err) {
			return nil, err
		}
		o.NoRoom(err)
	}
	o.Folder.KeepReserve()
	r.syncer = folder.NewSyncer(r.Log)
	taken = true
	return r, nil
}

// Sync brings what was written to the disk, beside the caller's work.
func (r *Run) Sync() { r.syncer.Wake() }

// Finish brings all events to the disk, gives the reserve back and keeps a summary for lists. The run has ended.
func (r *Run) Finish() error {
	if err := r.Log.Sync(); err != nil {
		return fmt.Errorf("write the event file: %w", err)
	}
	_ = os.Remove(r.Folder.Reserve())
	_ = r.Folder.WriteSummary(r.State, r.Log.Size()) // lists are slower without it
	return nil
}

// Close leaves the run to the next monitor.
func (r *Run) Close() {
	if r.syncer != nil {
		r.syncer.Close()
	}
	if r.file != nil {
		_ = r.file.Close()
	}
	_ = r.lock.Close()
}
