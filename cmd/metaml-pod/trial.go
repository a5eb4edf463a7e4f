package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/metaml/metaml/agent"
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
	in          string // folder of what is run
	folder      folder.Run
	message     string // file of the termination message
	annotations string // file of the pod's annotations; "" is none
	python      string

	spec    run.Spec
	attempt run.AttemptID
	stopped atomic.Bool // the stop annotation was seen
	evicted atomic.Bool // SIGTERM came
}

// run runs the trial to its end and gives the exit code. It is the whole life of a pod.
func (t *trial) run() int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	if err := t.prepare(); err != nil {
		return t.unable(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { t.await(ctx, terminated) })
	beside.Go(func() { t.copyStreams(ctx) })
	err := train.Run(ctx, train.Options{Folder: t.folder, Only: &t.attempt, Supervise: supervise})
	cancel(nil)
	beside.Wait()
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
	code, reason := pod.ExitProgram, run.ReasonProgram
	if _, isPath := errors.AsType[*os.PathError](err); isPath {
		code, reason = pod.ExitOurs, run.ReasonFolder
	}
	return t.say(code, &run.Trial{
		Index: t.attempt.Trial, Attempt: max(t.attempt.Number, 1), Phase: run.Failed, Reason: reason, Text: err.Error(),
	})
}

// say writes the termination message.
func (t *trial) say(code int, ended *run.Trial) int {
	if err := os.WriteFile(t.message, pod.Of(ended).Encode(), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod: the termination message cannot be written:", err)
	}
	return code
}

// prepare makes the run folder of this pod.
func (t *trial) prepare() error {
	data, err := os.ReadFile(filepath.Join(t.in, pod.SpecName))
	if err != nil {
		return fmt.Errorf("read what is to run: %w", err)
	}
	if err := json.Unmarshal(data, &t.spec); err != nil {
		return fmt.Errorf("read %s: %w", pod.SpecName, err)
	}
	if t.attempt, err = pod.Attempt(os.Getenv, t.spec.Completions); err != nil {
		return err
	}
	python, err := findPython(t.python)
	if err != nil {
		return err
	}
	work := filepath.Join(string(t.folder), "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fmt.Errorf("make the working directory: %w", err)
	}
	// What belongs to where the run was submitted is left behind, and who retries is the Job.
	t.spec.Python, t.spec.Cwd, t.spec.Path, t.spec.Env = python, work, nil, nil
	t.spec.Retries, t.spec.Parallelism, t.spec.BootID, t.spec.Notify = 0, 1, "", ""
	if err := unpack(filepath.Join(t.in, pod.ProgramName), t.folder.Program()); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(t.in, pod.TableName), t.folder.TableFile()); err != nil {
		return fmt.Errorf("read the hyperparameters: %w", err)
	}
	return folder.ReplaceJSON(t.folder.Spec(), t.spec)
}

// findPython finds the image's Python.
func findPython(named string) (string, error) {
	names := []string{"python3", "python"}
	if named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("the image has no Python: neither %s nor %s is on its PATH; --image-python names another",
		names[0], names[len(names)-1])
}

// copyFile copies a file that need not be there.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// lookEvery is how often the annotations are read, and the streams copied.
const lookEvery = 50 * time.Millisecond

// await asks the trial to end when SIGTERM comes or the stop annotation is there.
func (t *trial) await(ctx context.Context, terminated <-chan os.Signal) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-terminated:
			t.evicted.Store(true)
			t.stop()
		case <-tick.C:
			if t.stopped.Load() || t.annotations == "" {
				continue
			}
			if text, err := os.ReadFile(t.annotations); err == nil && pod.StopRequested(text) {
				t.stopped.Store(true)
				t.stop()
			}
		}
	}
}

// stop asks the engine to end the trial, which has 30 seconds to keep what it has.
func (t *trial) stop() {
	if err := t.folder.AppendStop(folder.Stop{Trial: &t.attempt.Trial, Time: time.Now().UTC()}); err != nil {
		fmt.Fprintln(os.Stderr, "metaml-pod:", err)
	}
}

// copyStreams copies what the trial prints to the pod's own streams, to the last byte, until ctx ends.
func (t *trial) copyStreams(ctx context.Context) {
	streams := []struct {
		from *folder.LogReader
		to   io.Writer
	}{
		{t.folder.NewLogReader(t.attempt.Trial, t.attempt.Number, folder.Stdout), os.Stdout},
		{t.folder.NewLogReader(t.attempt.Trial, t.attempt.Number, folder.Stderr), os.Stderr},
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := false; ; {
		for _, s := range streams {
			_ = s.from.CopyTo(s.to) // it is in the file
		}
		if last {
			return
		}
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
	}
}

// supervise makes what runs the trial.
func supervise(job engine.Job) (train.Supervisor, error) {
	module, err := pymodule.Dir()
	if err != nil {
		return nil, err
	}
	sup, err := agent.New(agent.Options{
		Spec: job.Spec, Folder: job.Folder, Table: job.Table, Module: module, KeepGPUs: true,
	})
	if err != nil {
		return nil, err
	}
	return scalars.Wrap(sup, job), nil
}
