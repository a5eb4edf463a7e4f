package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/metaml/metaml/agent"
	"github.com/metaml/metaml/agent/setup"
	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/engine/train/scalars"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// trial is the trial of this pod.
type trial struct {
	in          setup.Input
	folder      folder.Run
	message     string // file of the termination message
	annotations string // file of the pod's annotations; "" is none
	python      string
	trials      string // folder of the run's trials on a volume; "": there is none
	noOutputs   bool   // no files of the trial are kept

	spec    run.Spec
	attempt run.AttemptID
	round   int        // of the Job, from 1
	notes   []run.Note // of what was found out before the trial began
	monitor monitor
	keeper  *keeper     // nil: there is nowhere to keep files
	output  *output     // nil until then
	key     string      // of the codes in expected.json
	stopped atomic.Bool // a stop was requested
	evicted atomic.Bool // SIGTERM came
}

// run runs the trial to its end and gives the exit code. It is the whole life of a pod.
func (t *trial) run() int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	if err := t.prepare(); errors.Is(err, errStopped) {
		return t.neverBegun()
	} else if err != nil {
		return t.unable(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { t.await(ctx, terminated) })
	t.output = newOutput(t.folder, t.attempt, os.Stdout, os.Stderr)
	for _, n := range t.notes {
		t.output.note(n)
	}
	beside.Go(func() { t.output.keep(ctx) })
	live := t.startLive(context.WithoutCancel(ctx)) // it has something to do after the trial
	if t.keeper = t.newKeeper(); t.keeper != nil {
		t.keeper.start(context.WithoutCancel(ctx))
	}
	err := train.Run(ctx, train.Options{Folder: t.folder, Only: &t.attempt, Supervise: t.supervise})
	cancel(nil)
	beside.Wait()
	code := t.ended(err)
	if t.keeper != nil {
		t.leave(context.WithoutCancel(ctx))
	}
	if live != nil { // what became of the trial is written already
		live.finish(context.WithoutCancel(ctx))
		t.output.writeNotes()
	}
	return code
}

// ended says what became of the trial.
func (t *trial) ended(err error) int {
	state := run.NewState(t.spec)
	if err == nil {
		err = t.folder.EachEvent(func(e run.Event) error { state.Apply(e); return nil })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod:", err)
		return t.say(pod.ExitOurs, &run.Trial{
			Index: t.attempt.Trial, Attempt: t.attempt.Number, Phase: run.Failed, Reason: run.ReasonInternal,
			Text: err.Error(),
		})
	}
	ended := &state.Trials[t.attempt.Trial]
	return t.say(pod.ExitCode(ended, t.stopped.Load(), t.evicted.Load()), ended)
}

// unable ends a pod in which nothing can run: so it would be in all others, unless the pod itself is to blame.
func (t *trial) unable(err error) int {
	fmt.Fprintln(os.Stderr, "metaml-pod:", err)
	code, reason := pod.ExitProgram, run.ReasonImage
	if setup.Ours(err) {
		code, reason = pod.ExitOurs, run.ReasonFolder
	}
	return t.say(code, &run.Trial{
		Index: t.attempt.Trial, Attempt: max(t.attempt.Number, 1), Phase: run.Failed, Reason: reason, Text: err.Error(),
	})
}

// errStopped is what became of a trial that was to stop before it began.
var errStopped = errors.New("the trial was stopped before it began")

// neverBegun ends a pod whose trial is not begun, since a stop was asked.
func (t *trial) neverBegun() int {
	fmt.Fprintln(os.Stderr, "metaml-pod:", errStopped)
	return t.say(pod.ExitStopped, &run.Trial{
		Index: t.attempt.Trial, Attempt: t.attempt.Number, Phase: run.Stopped, Reason: run.ReasonStopped,
		Text: errStopped.Error(),
	})
}

// say writes the termination message.
func (t *trial) say(code int, ended *run.Trial) int {
	message := pod.Of(ended).Encode()
	if m, _ := pod.Decode(string(message)); len(m.Metrics) < len(ended.Metrics) && t.output != nil {
		t.output.writeEnd(ended.Metrics)
	}
	if err := os.WriteFile(t.message, message, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod: the termination message cannot be written:", err)
	}
	return code
}

// prepare makes the run folder of this pod. The error is errStopped if its trial is not to begin.
func (t *trial) prepare() error {
	var err error
	if t.spec, err = t.in.Spec(); err != nil {
		return err
	}
	if err := t.identify(); err != nil {
		return err
	}
	for name, to := range map[string]*string{
		pod.ExpectedKeyVariable: &t.key, pod.MonitorVariable: &t.monitor.address,
		pod.MonitorTokenVariable: &t.monitor.token, pod.UIDVariable: &t.monitor.uid,
	} {
		if *to, err = setup.Take(name); err != nil {
			return err
		}
	}
	if asked, _, err := t.stopRequested(); err != nil {
		return err
	} else if asked {
		return errStopped
	}
	python, err := setup.FindPython(t.python)
	if err != nil {
		return err
	}
	note, err := t.in.Lay(context.Background(), python, func() error { return t.lay(python) })
	if note != nil {
		t.notes = append(t.notes, *note)
	}
	return err
}

// lay puts what is to run into the run folder.
func (t *trial) lay(python string) error {
	if err := setup.Adapt(&t.spec, python, filepath.Join(string(t.folder), "work")); err != nil {
		return err
	}
	if err := t.onVolume(); err != nil {
		return err
	}
	t.spec.Retries, t.spec.Parallelism = 0, 1 // who retries is the Job
	if err := t.in.UnpackProgram(t.folder, t.spec.Cwd); err != nil {
		return err
	}
	table, err := t.in.Read(pod.TableName)
	if err == nil {
		err = os.WriteFile(t.folder.TableFile(), table, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the hyperparameters: %w", err)
	}
	return folder.ReplaceJSON(t.folder.Spec(), t.spec)
}

// onVolume has the trials' folders be on the volume, where there is one: then an attempt finds there what the one
// before it left and kept, as on one machine.
func (t *trial) onVolume() error {
	if t.trials == "" {
		return nil
	}
	if err := os.MkdirAll(t.trials, 0o700); err != nil {
		return fmt.Errorf("make the folder of the trials on the volume: %w", err)
	}
	return os.Symlink(t.trials, t.folder.Trials())
}

// identify finds out which attempt of which trial this is, and of which Job.
func (t *trial) identify() error {
	var rows []pod.Row
	data, err := t.in.Read(pod.RowsName)
	if err == nil {
		rows, err = pod.ParseRows(data, t.spec.Completions)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if t.attempt, err = pod.Attempt(os.Getenv, rows, t.spec.Completions); err != nil {
		return err
	}
	t.round, err = pod.Round(os.Getenv)
	return err
}

// stopRequested reports whether the trial is to end, and whether at once: its pod is annotated, or the run's stop.json
// names it.
func (t *trial) stopRequested() (asked, now bool, err error) {
	if t.annotations != "" {
		text, err := os.ReadFile(t.annotations)
		if err != nil {
			return false, false, fmt.Errorf("read the annotations of the pod: %w", err)
		}
		asked, now = pod.StopRequested(text)
	}
	data, err := t.in.Read(pod.StopName)
	if errors.Is(err, os.ErrNotExist) {
		return asked, now, nil
	}
	if err != nil {
		return false, false, err
	}
	s, err := pod.ParseStop(data)
	if err == nil && s.Of(t.attempt.Trial, t.round) {
		asked, now = true, now || s.Now
	}
	return asked, now, err
}

// lookEvery is how often the annotations are read, and what goes into the pod's log.
const lookEvery = 50 * time.Millisecond

// await asks the trial to end when SIGTERM comes or a stop is requested.
func (t *trial) await(ctx context.Context, terminated <-chan os.Signal) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	killed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-terminated:
			t.evicted.Store(true)
			t.stop(false)
		case <-tick.C:
			asked, now, err := t.stopRequested()
			if err == nil && asked && (!t.stopped.Load() || now && !killed) {
				t.stopped.Store(true)
				killed = now
				t.stop(now)
			}
		}
	}
}

// stop asks the engine to end the trial, which has 30 seconds to keep what it has, unless it is to end now.
func (t *trial) stop(now bool) {
	s := folder.Stop{Trial: &t.attempt.Trial, Now: now, Time: time.Now().UTC()}
	if err := t.folder.AppendStop(s); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod:", err)
	}
}

// leaveEvicted is how long an evicted pod may take to send what its trial left: it is killed soon.
const leaveEvicted = 10 * time.Second

// leave keeps the files that the trial leaves behind.
func (t *trial) leave(ctx context.Context) {
	patience := leaveFor
	if t.evicted.Load() {
		patience = leaveEvicted
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	if err := t.keeper.finish(ctx, patience); err != nil {
		t.output.note(run.Note{
			Code: run.NoteOutputs,
			Text: fmt.Sprintf("what trial %d left in metaml.output() is not kept: %v", t.attempt.Trial, err),
			Hint: "Have it on a volume: --output pvc:NAME.",
		})
		t.output.writeNotes()
	}
}

// nowhere keeps nothing: the folder goes with the pod, and a note says so.
type nowhere struct{}

// Keep implements [agent.Keeper].
func (nowhere) Keep(context.Context, run.AttemptID, string) error { return nil }

// Restore implements [agent.Keeper].
func (nowhere) Restore(context.Context, run.AttemptID, string) error { return nil }

// supervise makes what runs the trial.
func (t *trial) supervise(job engine.Job) (train.Supervisor, error) {
	module, err := pymodule.Dir()
	if err != nil {
		return nil, err
	}
	var keeps agent.Keeper = nowhere{}
	switch {
	case t.trials != "":
		keeps = nil // in the folder, as on one machine
	case t.keeper != nil:
		keeps = t.keeper
	}
	sup, err := agent.New(agent.Options{
		Spec: job.Spec, Folder: job.Folder, Table: job.Table, Module: module, KeepGPUs: true,
		NoLock:      true, // the folder goes with the pod
		ExpectedKey: t.key,
		Keeper:      keeps,
	})
	if err != nil {
		return nil, err
	}
	return scalars.Wrap(sup, job), nil
}
