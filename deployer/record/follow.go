package record

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Follow hands out the events after cursor ("" is the start), each with the cursor after it, until the run has ended.
// If nobody writes the record any more, Follow has the run's keeper start it again; after a restart of the machine it
// does not, and the last events, which are in no file, say so.
func (r *Reader) Follow(ctx context.Context, name, cursor string, fn func(e run.Event, cursor string) error) error {
	e, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	w, err := r.watch(e, cursor)
	if err != nil {
		return err
	}
	defer w.close()
	// What was before the cursor decides whether the run has ended as much as what comes after it.
	if cursor != "" {
		if err := e.folder.EachEvent(func(e run.Event) error { w.state.Apply(e); return nil }); err != nil {
			return err
		}
	}
	deliver := func(e run.Event) error { return fn(e, w.events.Cursor()) }
	for first := true; ; first = false {
		if err := w.catchUp(deliver); err != nil {
			return err
		}
		if first { // what is dead is not waited for
			if err := w.begin(ctx); err != nil {
				return err
			}
		}
		switch l, err := w.wait(ctx); {
		case err != nil:
			return err
		case l == run.Ended:
			return nil
		case broken(l):
			for _, e := range brokenOff(e.name.String(), w.state, l) {
				if err := deliver(e); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// Await returns when the record of a run has an event that ok accepts. It starts nothing again.
func (r *Reader) Await(ctx context.Context, name string, ok func(run.Event) bool) error {
	e, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	w, err := r.watch(e, "")
	if err != nil {
		return err
	}
	defer w.close()
	found := false
	for {
		if err := w.catchUp(func(e run.Event) error { found = found || ok(e); return nil }); err != nil || found {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.watch.C:
		case <-time.After(lookAfter):
		}
	}
}

// watched is a run that somebody waits for.
type watched struct {
	entry
	keeper Keeper
	spec   run.Spec
	state  *run.State
	file   *os.File
	events *folder.Reader
	watch  *folder.Watch
	kept   int   // times that the keeper was called since the last event
	n      int64 // the last event seen when it was
}

// watch opens the record of a run to be read from a cursor on, also while it grows.
func (r *Reader) watch(e entry, cursor string, also ...string) (*watched, error) {
	keeper, err := r.keeper(e)
	if err != nil {
		return nil, err
	}
	spec, err := e.folder.ReadSpec()
	if err != nil {
		return nil, err
	}
	spec.Name = e.name.String()
	// Its writer may not have made it yet. It is there to be read, so making it is harmless.
	file, err := folder.OpenOwn(e.folder.Events(), os.O_RDONLY|os.O_CREATE)
	if err != nil {
		return nil, folder.Explain(err, "read the events of the run in", string(e.folder))
	}
	events, err := folder.NewReader(file, cursor)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &watched{
		entry: e, keeper: keeper, spec: spec, state: run.NewState(spec), file: file, events: events,
		watch: folder.NewWatch(append(also, e.folder.Events())...),
	}, nil
}

func (w *watched) close() {
	w.watch.Close()
	_ = w.file.Close()
}

// catchUp applies the events that there are, and hands each to fn, which may be nil.
func (w *watched) catchUp(fn func(run.Event) error) error {
	return w.events.Each(func(e run.Event) error {
		w.state.Apply(e)
		if fn == nil {
			return nil
		}
		return fn(e)
	})
}

// wait waits for a change and sees to it that the record is written. The caller has applied all events that there are.
func (w *watched) wait(ctx context.Context) (run.Liveness, error) {
	if w.state.Phase.Final() {
		return run.Ended, nil
	}
	look := time.NewTimer(lookAfter)
	defer look.Stop()
	select {
	case <-ctx.Done():
		return run.Alive, context.Cause(ctx)
	case <-w.watch.C:
		return run.Alive, nil
	case <-look.C:
	}
	if !exists(w.folder.Spec()) {
		return run.Dead, usererror.Wrap(os.ErrNotExist, usererror.CodeDeleted,
			fmt.Sprintf("the folder of run %s was deleted", w.spec.Name), "")
	}
	return w.revive(ctx)
}

// begin has the record written by somebody. Who writes the copy of a run that is elsewhere may have lost the way there,
// and hears that somebody waits.
func (w *watched) begin(ctx context.Context) error {
	if _, err := w.revive(ctx); err != nil || w.keeper == nil || !w.away() || !w.folder.Monitored() {
		return err
	}
	return w.keeper.Keep(ctx, w.spec.Name)
}

// revive finds who writes the record, and calls the keeper if it is nobody.
func (w *watched) revive(ctx context.Context) (run.Liveness, error) {
	l := w.liveness(w.spec, w.state)
	if l != run.Dead || w.keeper == nil {
		return l, nil
	}
	if w.state.N != w.n {
		w.kept, w.n = 0, w.state.N
	}
	if w.kept++; w.kept > maxKept {
		return run.Dead, &usererror.Error{
			Code: usererror.CodeMonitor, Text: fmt.Sprintf("the monitor of run %s ends as soon as it is started",
				w.spec.Name),
			Hint: "See " + w.folder.MonitorLog() + " for its last words.",
		}
	}
	return l, w.keeper.Keep(ctx, w.spec.Name)
}

const (
	lookAfter = 500 * time.Millisecond // how long nothing may happen before it is checked whether the record is written
	maxKept   = 5                      // monitors that may die without writing an event
)

// Log copies what a trial's attempt printed (0 is the latest) to out: stream is [folder.Stdout], [folder.Stderr] or
// "both". With follow it goes on, through retries, until the trial has ended. Of a server it is what worker number
// trial printed, in all its attempts.
func (r *Reader) Log(
	ctx context.Context, name string, trial, attempt int, stream string, follow bool, out io.Writer,
) error {
	e, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	var streams []string
	switch stream {
	case folder.Stdout, folder.Stderr:
		streams = []string{stream}
	case "both":
		streams = []string{folder.Stdout, folder.Stderr}
	default:
		return fmt.Errorf("there is no stream %q: stdout, stderr or both", stream)
	}
	spec, err := e.folder.ReadSpec()
	if err != nil {
		return err
	}
	if spec.Kind == run.Serve {
		return r.serverLog(ctx, e, trial, attempt, streams, follow, out)
	}
	if trial < 0 || trial >= spec.Completions {
		return &usererror.Error{
			Code: usererror.CodeTrial, Text: fmt.Sprintf("run %s has no trial %d", e.name, trial),
			Hint: fmt.Sprintf("Its trials are 0 to %d.", spec.Completions-1),
		}
	}
	latest := attempt == 0
	if latest {
		attempt = e.folder.LatestAttempt(trial)
	}
	if !follow {
		return e.folder.NewLog(trial, attempt, streams...).CopyTo(out)
	}
	return r.followLog(ctx, e, trial, attempt, latest, streams, out)
}

func (r *Reader) followLog(
	ctx context.Context, e entry, trial, attempt int, latest bool, streams []string, out io.Writer,
) error {
	for {
		again, err := r.followAttempt(ctx, e, trial, attempt, latest, streams, out)
		if err != nil || !again {
			return err
		}
		attempt = max(attempt+1, e.folder.LatestAttempt(trial))
	}
}

// followAttempt copies until the attempt has ended. again says that there is another attempt to go on with.
func (r *Reader) followAttempt(
	ctx context.Context, e entry, trial, attempt int, latest bool, streams []string, out io.Writer,
) (again bool, err error) {
	w, err := r.watch(e, "", e.folder.Attempt(trial, attempt))
	if err != nil {
		return false, err
	}
	defer w.close()
	log := e.folder.NewLog(trial, attempt, streams...)
	for {
		if err := w.catchUp(nil); err != nil {
			return false, err
		}
		// Ask before the copy, so that nothing written before the end is missed.
		now := w.state.Trials[trial]
		over := now.Attempt > attempt || now.Attempt == attempt && now.Phase.Final()
		if err := log.CopyTo(out); err != nil {
			return false, err
		}
		if over {
			return latest && now.Attempt > attempt, nil
		}
		if l, err := w.wait(ctx); err != nil || l == run.Ended || broken(l) {
			return false, err
		}
	}
}
