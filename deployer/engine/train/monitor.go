package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Options say how to run a monitor.
type Options struct {
	Folder folder.Run
	Resume bool // go on with the unfinished trials of a run that has ended, or whose machine was restarted
	// Only is the attempt of a trial that is run here, once: somebody else decides on other trials and attempts. nil is
	// all of them.
	Only *run.AttemptID
	// Supervise makes what runs the attempts. It may start nothing before the first Start, or Sweep.
	Supervise func(engine.Job) (Supervisor, error)
	// Notify is called when the run has ended, if its Spec has a command for that. What went wrong is a note.
	Notify func(context.Context, *run.Spec, *run.State) *run.Note
}

// Run is the life of a monitor: it takes the run over from the monitors before, and returns when the run has ended.
// That it returns early, with the cause of ctx, is like being killed: the next monitor goes on. It returns
// [folder.ErrLocked] at once if a monitor is there.
func Run(ctx context.Context, o Options) error {
	spec, state, err := own(ctx, o)
	if state != nil && state.Phase.Final() && ctx.Err() == nil && o.Notify != nil && spec.Notify != "" {
		// The run's lock is free: whoever resumes or deletes the run need not wait for a command.
		if n := o.Notify(ctx, spec, state); n != nil {
			noteAtTheEnd(o.Folder, spec, *n)
		}
	}
	return err
}

// own is the time in which the run belongs to this monitor. It gives the state if this monitor brought the run to its
// end.
func own(ctx context.Context, o Options) (*run.Spec, *run.State, error) {
	var past *Past
	taken, err := engine.Take(ctx, engine.Options{
		Folder: o.Folder, Resume: o.Resume,
		Fold: func(spec run.Spec) (func(run.Event), *run.State) {
			past = NewPast(spec)
			return past.Apply, past.State
		},
	})
	if err != nil || taken == nil {
		return nil, nil, err
	}
	defer taken.Close()
	table, err := o.Folder.ReadTable()
	if err != nil {
		return nil, nil, err
	}
	sup, err := o.Supervise(engine.Job{Spec: taken.Spec, Folder: o.Folder, Table: table})
	if err != nil {
		return nil, nil, err
	}
	defer sup.Close()
	if s, ok := sup.(Sweeper); ok {
		if err := s.Sweep(ctx, past.Running()); err != nil {
			return nil, nil, err
		}
	}
	e := NewEngine(taken.Spec, past, taken.Log, taken.Sync, time.Now, sup)
	e.only = o.Only
	e.Open(o.Resume, taken.Rebooted)
	d := driver{folder: o.Folder, engine: e, sup: sup}
	if err := d.drive(ctx); err != nil {
		err = d.failed(err)
		return &taken.Spec, e.State(), err
	}
	if err := taken.Finish(); err != nil {
		return nil, nil, err
	}
	if e.State().Phase == run.Succeeded {
		_ = os.Remove(o.Folder.EnvironmentFile())
	}
	return &taken.Spec, e.State(), nil
}

// noteAtTheEnd adds a note to a run that has ended, unless it goes on again.
func noteAtTheEnd(f folder.Run, spec *run.Spec, n run.Note) {
	lock, err := f.LockMonitor()
	if err != nil {
		return
	}
	defer lock.Close()
	file, err := f.OpenEvents()
	if err != nil {
		return
	}
	defer file.Close()
	past := NewPast(*spec)
	log, err := folder.OpenLog(file, past.Apply)
	if err != nil || !past.State.Phase.Final() {
		return
	}
	e := &run.Event{
		V: 1, Source: engine.Source, Run: spec.Name, Time: time.Now().UTC(),
		Type: run.EventNote, Code: n.Code, Text: n.Text, Hint: n.Hint,
	}
	if log.Append(e) == nil {
		_ = f.WriteSummary(past.State, log.Size())
	}
}

// driver feeds an engine.
type driver struct {
	folder folder.Run
	engine *Engine
	sup    Supervisor
	stops  int64 // offset of the stop requests that were read
}

// batchSize bounds the updates that are written at once.
const batchSize = 512

func (d *driver) drive(ctx context.Context) error {
	watch, err := d.folder.WatchStops()
	if err != nil {
		return err
	}
	defer watch.Close()
	check := time.NewTicker(engine.LookEvery)
	defer check.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	if err := d.readStops(); err != nil {
		return err
	}
	for {
		if err := d.engine.Commit(); err != nil {
			return err
		}
		if d.engine.Ended() {
			return nil
		}
		wait := time.Hour
		if at, ok := d.engine.Next(); ok {
			wait = time.Until(at)
		}
		timer.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case u := <-d.sup.Updates():
			d.engine.Update(u)
			d.drain()
		case <-timer.C:
			d.engine.Tick()
		case <-watch.C:
			if err := d.readStops(); err != nil {
				return err
			}
		case <-check.C:
			if d.folder.Gone() {
				return engine.ErrDeleted
			}
			if err := d.readStops(); err != nil {
				return err
			}
		}
	}
}

// drain takes in what else is there, so that it is written at once.
func (d *driver) drain() {
	for range batchSize {
		select {
		case u := <-d.sup.Updates():
			d.engine.Update(u)
		default:
			return
		}
	}
}

func (d *driver) readStops() error {
	stops, offset, err := d.folder.ReadStops(d.stops)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return nil // for the moment: it is read again soon
	}
	if err != nil {
		return err
	}
	d.stops = offset
	for _, s := range stops {
		d.engine.Stop(s)
	}
	return nil
}

// failed ends a run whose folder cannot be written any more, with the reason where that can still be kept.
func (d *driver) failed(err error) error {
	d.sup.Close()
	var reason run.Reason
	var text string
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, engine.ErrDeleted), errors.Is(err, engine.ErrTerminated):
		return err
	case folder.NoSpace(err):
		reason, text = run.ReasonDisk, fmt.Sprintf(
			"no space left on the disk of %s; free some and metaml resume %s goes on", d.folder, d.engine.spec.Name)
	default:
		reason, text = run.ReasonFolder, fmt.Sprintf("the run's folder cannot be written: %v", err)
	}
	_ = os.Remove(d.folder.Reserve())
	return errors.Join(err, d.engine.Fail(reason, text))
}
