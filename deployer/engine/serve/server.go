// Package serve is the process that owns a server: it holds the listening socket, starts the front and, for each
// revision, what runs its workers; it tests a new revision before requests go to it, and starts again whatever dies
// (docs/internals/engine.md).
//
// Read [Run] first, then engine.go: a state machine that decides everything, without goroutines, files or clocks of its
// own, so that a test can cut it off anywhere; driver.go runs it in the real process. What runs the workers is behind
// [Supervisor], the HTTP side behind [Front]; packages agent and agent/front have the real ones, and none imports the
// other: cmd/metaml-agent joins them.
//
// It imports deployer/engine, deployer/run and deployer/folder alone.
package serve

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Options say how to run a server.
type Options struct {
	Folder    folder.Run
	Resume    bool       // a server that has ended, or whose machine was restarted, is started again
	Listeners []*os.File // the sockets that a front had of a monitor that died
	// Sweep kills what monitors before this one left behind, and returns when nothing is left of it.
	Sweep func(context.Context, run.Spec) error
	// Supervise makes what runs the workers of a revision. It starts nothing before the first Start.
	Supervise func(engine.Job) (engine.Supervisor, error)
	// StartFront starts a front that holds the listeners, which stay the caller's, from its first moment on: were we
	// killed before we can order anything, it would be the last that has them. Its updates go to update, until
	// [run.FrontUpdate] Ended.
	StartFront func(listeners []*os.File, update func(run.FrontUpdate)) (Front, error)
	// Leave is closed when clients are to go elsewhere, some time before the server is stopped: each answer ends its
	// connection from then on. It may be nil.
	Leave <-chan struct{}
	// TakenOver is called once, when the first front has all its orders.
	TakenOver func()
}

// Front is the process that takes requests. Where a method fails the process is as good as gone, which an update says
// too.
type Front interface {
	PID() int
	Listen(address string, listener *os.File) error // the listener stays the caller's
	Unlisten(address string) error
	Revision(run.FrontRevision) error  // makes it known; it gets no requests before Switch
	Scale(revision, workers int) error // those that are too many answer what they have and are not called any more
	Worker(run.FrontWorker) error      // dials it, in place of an earlier attempt
	Probe(revision int, body string) error
	Switch(revision int) error // new requests go there
	Retire(revision int) error // forgets it
	Leave() error              // each answer ends its connection from now on
	Stop(grace time.Duration) error
	Kill()
}

// Run is the life of a server's monitor: it takes the server over from the monitors before, and returns when the server
// has ended. That it returns early, with the cause of ctx, is like being killed: the next monitor goes on. It returns
// [folder.ErrLocked] at once if a monitor is there.
func Run(ctx context.Context, o Options) error {
	var j *journal
	taken, err := engine.Take(ctx, engine.Options{
		Folder: o.Folder, Resume: o.Resume,
		Wait: len(o.Listeners) > 0, // a monitor that is killed hangs up on its front before it gives its locks away
		Fold: func(spec run.Spec) (func(run.Event), *run.State) {
			j = newJournal(spec, time.Now)
			return j.fold, j.state
		},
		NoRoom: func(err error) { fmt.Fprintln(os.Stderr, err) }, // a server answers without it
	})
	if err != nil || taken == nil {
		return err
	}
	defer taken.Close()
	if err := o.Sweep(ctx, taken.Spec); err != nil {
		return err
	}
	j.log, j.sync = taken.Log, taken.Sync
	if err := newDriver(ctx, o, j).drive(taken.Reopened); err != nil {
		return err
	}
	return taken.Finish()
}
