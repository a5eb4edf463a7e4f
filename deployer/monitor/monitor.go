package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Options say how to run a monitor.
type Options struct {
	Folder folder.Run
	Resume bool // go on with the unfinished trials of a run that has ended, or whose machine was restarted
	// Supervise makes what runs the attempts. It may start nothing before the first Start, or Sweep.
	Supervise func(Job) (Supervisor, error)
}

// ErrRestarted says that the machine was started again since the run's last monitor: nothing goes on by itself.
var ErrRestarted = errors.New("the machine was restarted while the run was going: metaml resume goes on with it")

// Run is the life of a monitor: it takes the run over from the monitors before, and returns when the run has ended. That it
// returns early, with the cause of ctx, is like being killed: the next monitor goes on. It returns [folder.ErrLocked] at once
// if a monitor is there.
func Run(ctx context.Context, o Options) (err error) {
	lock, err := lockFor(ctx, o)
	if err != nil {
		return err
	}
	defer lock.Close()
	spec, err := o.Folder.ReadSpec()
	if err != nil {
		return err
	}
	before := o.Folder.ReadMonitor()
	rebooted := before.BootID != "" && before.BootID != folder.BootID()
	file, err := os.OpenFile(o.Folder.Events(), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the event file: %w", err)
	}
	defer file.Close()
	past := NewPast(spec)
	log, err := folder.OpenLog(file, past.Apply)
	if err != nil {
		return err
	}
	switch {
	case o.Resume:
		// What was asked of the run before it is resumed does not count.
		if err := os.Remove(o.Folder.StopFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("resume: %w", err)
		}
	case past.State.Phase.Final():
		return nil
	case rebooted:
		return ErrRestarted
	}
	if err := folder.ReplaceJSON(o.Folder.MonitorFile(), folder.Monitor{
		PID: os.Getpid(), StartTime: folder.StartTime(os.Getpid()), BootID: folder.BootID(),
	}); err != nil {
		return err
	}
	table, err := o.Folder.ReadTable()
	if err != nil {
		return err
	}
	reserve(o.Folder)
	sup, err := o.Supervise(Job{Spec: spec, Folder: o.Folder, Table: table})
	if err != nil {
		return err
	}
	defer sup.Close()
	if s, ok := sup.(Sweeper); ok {
		if err := s.Sweep(ctx, past.Running()); err != nil {
			return err
		}
	}
	syncer := newSyncer(log)
	defer syncer.close()
	engine := NewEngine(spec, past, log, syncer.wake, time.Now, sup)
	engine.Open(o.Resume, rebooted)
	d := driver{folder: o.Folder, engine: engine, sup: sup}
	if err := d.drive(ctx); err != nil {
		return d.failed(err)
	}
	if err := log.Sync(); err != nil {
		return fmt.Errorf("write the event file: %w", err)
	}
	_ = os.Remove(o.Folder.Reserve())
	_ = o.Folder.WriteSummary(engine.State(), log.Size()) // lists are slower without it
	if engine.State().Phase == run.Succeeded {
		_ = os.Remove(o.Folder.EnvironmentFile())
	}
	return nil
}

// lockFor takes the monitor's lock. Whoever resumes a run that has just ended waits until the monitor that ended it is gone.
func lockFor(ctx context.Context, o Options) (io.Closer, error) {
	for end := time.Now().Add(5 * time.Second); ; {
		lock, err := o.Folder.LockMonitor()
		if !o.Resume || !errors.Is(err, folder.ErrLocked) || time.Now().After(end) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// driver feeds an engine.
type driver struct {
	folder folder.Run
	engine *Engine
	sup    Supervisor
	stops  int64 // offset of the stop requests that were read
}

// errDeleted says that the run's folder is gone.
var errDeleted = errors.New("the run's folder was deleted")

// batchSize bounds the updates that are written at once.
const batchSize = 512

// lookEvery is how often the monitor makes sure that its folder is there.
const lookEvery = 2 * time.Second

func (d *driver) drive(ctx context.Context) error {
	// The file is there to be watched, before it is read for the first time.
	f, err := os.OpenFile(d.folder.StopFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("make the file for stop requests: %w", err)
	}
	_ = f.Close()
	watch := folder.NewWatch(d.folder.StopFile())
	defer watch.Close()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
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
		case <-look.C:
			if _, err := os.Lstat(d.folder.Spec()); errors.Is(err, fs.ErrNotExist) {
				return errDeleted
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
	case errors.Is(err, context.Canceled), errors.Is(err, errDeleted), errors.Is(err, ErrTerminated):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		reason, text = run.ReasonDisk, fmt.Sprintf("no space left on the disk of %s; free some and metaml resume %s goes on", d.folder, d.engine.spec.Name)
	default:
		reason, text = run.ReasonFolder, fmt.Sprintf("the run's folder cannot be written: %v", err)
	}
	_ = os.Remove(d.folder.Reserve())
	return errors.Join(err, d.engine.Fail(reason, text))
}

// ErrTerminated is the cause to cancel Run's context with when the process is asked to end.
var ErrTerminated = errors.New("the monitor was asked to end")

// reserve keeps some space, so that on a full disk there is room for the events that say so.
func reserve(f folder.Run) {
	const size = 256 << 10
	if info, err := os.Stat(f.Reserve()); err == nil && info.Size() == size {
		return
	}
	_ = os.WriteFile(f.Reserve(), make([]byte, size), 0o600)
}

// syncer brings events to the disk beside the engine's work: many are on their way at once, and one fsync does for all.
type syncer struct {
	c    chan struct{}
	done chan struct{}
}

// syncEvery is between two fsyncs: thousands of short trials need not have one each.
const syncEvery = 20 * time.Millisecond

func newSyncer(log *folder.Log) *syncer {
	s := &syncer{c: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for range s.c {
			_ = log.Sync() // the last one, in Run, reports what is wrong
			<-time.After(syncEvery)
		}
	}()
	return s
}

// wake asks for an fsync of what was written so far.
func (s *syncer) wake() {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

func (s *syncer) close() {
	close(s.c)
	<-s.done
}
