package local

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// newTarget is a target in a folder of the test's own. Its monitors end at once and do nothing: what they do is tested
// in test/engine.
func newTarget(t *testing.T) *Target {
	t.Helper()
	dir := t.TempDir()
	agent := filepath.Join(dir, "agent")
	if err := os.WriteFile(agent, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return In(filepath.Join(dir, "runs"), agent)
}

// train describes a run with a number of trials.
func train(t *testing.T, trials int) run.Spec {
	t.Helper()
	return run.Spec{
		V: 1, Series: "train", Key: t.Name(), Kind: run.Train, Entry: "train", Python: "python", Cwd: t.TempDir(),
		Completions: trials, Parallelism: 2,
	}
}

// program is a program folder.
func program(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "program")
	if err := os.MkdirAll(filepath.Join(dir, "code"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// submit makes a run that nobody executes.
func submit(t *testing.T, target *Target, trials int) run.Spec {
	t.Helper()
	done, err := target.Submit(t.Context(), run.Submission{Spec: train(t, trials), Program: program(t), Again: true},
		nil)
	if err != nil {
		t.Fatal(err)
	}
	return done.Spec
}

// finish writes events into a run's folder as its monitor would, the last of which ends it, and the summary.
func finish(tb testing.TB, f folder.Run, spec run.Spec, events ...run.Event) *run.State {
	tb.Helper()
	file, err := os.OpenFile(f.Events(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	state := run.NewState(spec)
	log, err := folder.OpenLog(file, func(e run.Event) { state.Apply(e) })
	if err != nil {
		tb.Fatal(err)
	}
	batch := make([]*run.Event, 0, len(events))
	for _, e := range events {
		e.V, e.Source, e.Run, e.Time = 1, "monitor", spec.Name, time.Now()
		batch = append(batch, &e)
	}
	if err := log.Append(batch...); err != nil {
		tb.Fatal(err)
	}
	for _, e := range batch {
		state.Apply(*e)
	}
	if err := f.WriteSummary(state, log.Size()); err != nil {
		tb.Fatal(err)
	}
	return state
}

// ended is a run that has succeeded.
func ended(t *testing.T, target *Target) run.Spec {
	t.Helper()
	spec := submit(t, target, 1)
	finish(t, target.Folder(spec.Name), spec, run.Event{Type: run.EventEnded, State: run.Succeeded})
	return spec
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names is what lies in the target's folder and is a run.
func names(t *testing.T, target *Target) []string {
	t.Helper()
	all, err := folder.Names(target.Dir)
	if err != nil {
		t.Fatal(fmt.Errorf("list %s: %w", target.Dir, err))
	}
	return all
}
