package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Follow hands out the events after cursor ("" is the start), each with the cursor after it, until the run has ended.
// If the run's monitor was killed, Follow starts another; after a restart of the machine it starts nothing, and the
// last events, which are in no file, say so.
func (t *Target) Follow(ctx context.Context, name, cursor string, fn func(e run.Event, cursor string) error) error {
	full, err := t.resolve(ctx, name)
	if err != nil {
		return err
	}
	w, err := t.watch(t.Folder(full))
	if err != nil {
		return err
	}
	defer w.close()
	reader, err := folder.NewReader(w.events, cursor)
	if err != nil {
		return err
	}
	// What was before the cursor decides whether the run has ended as much as what comes after it.
	if cursor != "" {
		if err := each(w.folder, func(e run.Event) error { w.state.Apply(e); return nil }); err != nil {
			return err
		}
	}
	for first := true; ; first = false {
		for {
			e, err := reader.Next()
			if err != nil {
				if endOf(err) == nil {
					break
				}
				return err
			}
			w.state.Apply(e)
			if err := fn(e, reader.Cursor()); err != nil {
				return err
			}
		}
		if first { // what is dead is not waited for
			if _, err := w.revive(); err != nil {
				return err
			}
		}
		switch l, err := w.wait(ctx); {
		case err != nil:
			return err
		case l == Ended:
			return nil
		case l.broken():
			for _, e := range brokenOff(full, w.state, l) {
				if err := fn(e, reader.Cursor()); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// watched is a run that somebody waits for.
type watched struct {
	target *Target
	folder folder.Run
	spec   run.Spec
	state  *run.State
	events *os.File
	watch  *folder.Watch
	starts int   // monitors started since the last event
	n      int64 // the last event seen when one was started
}

func (t *Target) watch(f folder.Run, also ...string) (*watched, error) {
	spec, err := f.ReadSpec()
	if err != nil {
		return nil, err
	}
	// The monitor may not have made it yet. It is there to be read, so making it is harmless.
	events, err := folder.OpenOwn(f.Events(), os.O_RDONLY|os.O_CREATE)
	if err != nil {
		return nil, friendly(err, "read the events of the run in", string(f))
	}
	return &watched{
		target: t, folder: f, spec: spec, state: run.NewState(spec), events: events,
		watch: folder.NewWatch(append(also, f.Events())...),
	}, nil
}

func (w *watched) close() {
	w.watch.Close()
	_ = w.events.Close()
}

// wait waits for a change and sees to it that a monitor is there. The caller has applied all events that there are.
func (w *watched) wait(ctx context.Context) (Liveness, error) {
	if w.state.Phase.Final() {
		return Ended, nil
	}
	look := time.NewTimer(lookAfter)
	defer look.Stop()
	select {
	case <-ctx.Done():
		return Alive, context.Cause(ctx)
	case <-w.watch.C:
		return Alive, nil
	case <-look.C:
	}
	if !exists(w.folder.Spec()) {
		return Dead, usererror.Wrap(os.ErrNotExist, usererror.CodeDeleted,
			fmt.Sprintf("the folder of run %s was deleted", w.spec.Name), "")
	}
	return w.revive()
}

// revive looks who looks after the run, and starts a monitor if it is nobody.
func (w *watched) revive() (Liveness, error) {
	l := liveness(w.folder, w.spec, w.state)
	if l != Dead {
		return l, nil
	}
	if w.state.N != w.n {
		w.starts, w.n = 0, w.state.N
	}
	if w.starts++; w.starts > maxStarts {
		return Dead, &usererror.Error{
			Code: usererror.CodeMonitor, Text: fmt.Sprintf("the monitor of run %s ends as soon as it is started",
				w.spec.Name),
			Hint: "its last words are in " + w.folder.MonitorLog(),
		}
	}
	return l, w.target.start(w.folder, false)
}

const (
	lookAfter = 500 * time.Millisecond // how long nothing may happen before one looks whether the monitor lives
	maxStarts = 5                      // monitors that may die without writing an event
)

// Log copies the output of a trial's attempt (0 is the latest) to w: folder.Stdout, folder.Stderr or "both". With
// follow it goes on, through retries, until the trial has ended.
func (t *Target) Log(
	ctx context.Context, name string, trial, attempt int, stream string, follow bool, out io.Writer,
) error {
	full, err := t.resolve(ctx, name)
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
	f := t.Folder(full)
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	if spec.Kind == run.Serve {
		return t.serverLog(ctx, f, trial, attempt, streams, follow, out)
	}
	if trial < 0 || trial >= spec.Completions {
		return &usererror.Error{
			Code: usererror.CodeTrial, Text: fmt.Sprintf("run %s has no trial %d", full, trial),
			Hint: fmt.Sprintf("its trials are 0 to %d", spec.Completions-1),
		}
	}
	latest := attempt == 0
	if latest {
		attempt = f.LatestAttempt(trial)
	}
	if !follow {
		return f.NewLog(trial, attempt, streams...).CopyTo(out)
	}
	return t.followLog(ctx, f, trial, attempt, latest, streams, out)
}

func (t *Target) followLog(
	ctx context.Context, f folder.Run, trial, attempt int, latest bool, streams []string, out io.Writer,
) error {
	for {
		again, err := t.followAttempt(ctx, f, trial, attempt, latest, streams, out)
		if err != nil || !again {
			return err
		}
		attempt = max(attempt+1, f.LatestAttempt(trial))
	}
}

// followAttempt copies until the attempt has ended. again says that there is another attempt to go on with.
func (t *Target) followAttempt(
	ctx context.Context, f folder.Run, trial, attempt int, latest bool, streams []string, out io.Writer,
) (again bool, err error) {
	w, err := t.watch(f, f.Attempt(trial, attempt))
	if err != nil {
		return false, err
	}
	defer w.close()
	events, err := folder.NewReader(w.events, "")
	if err != nil {
		return false, err
	}
	log := f.NewLog(trial, attempt, streams...)
	for {
		for {
			e, err := events.Next()
			if err != nil {
				if endOf(err) == nil {
					break
				}
				return false, err
			}
			w.state.Apply(e)
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
		if l, err := w.wait(ctx); err != nil || l == Ended || l.broken() {
			return false, err
		}
	}
}
