package local

import (
	"os"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// TestTheEnvironmentOfAFailedRunExpires, since it may hold secrets; until then a resume has it.
func TestTheEnvironmentOfAFailedRunExpires(t *testing.T) {
	b := newTarget(t)
	spec := submit(t, b, 1)
	f := b.Folder(spec.Name)
	finish(t, f, spec, run.Event{Type: run.EventEnded, State: run.Failed})
	b.expireEnvironments(time.Now().Add(environmentKept - time.Hour))
	if !there(f.EnvironmentFile()) {
		t.Fatal("it is gone within its time")
	}
	b.expireEnvironments(time.Now().Add(environmentKept + time.Hour))
	if there(f.EnvironmentFile()) {
		t.Error("it is kept for ever")
	}
}

// TestTheEnvironmentOfAnActiveRunStays, however old it is.
func TestTheEnvironmentOfAnActiveRunStays(t *testing.T) {
	b := newTarget(t)
	f := b.Folder(submit(t, b, 1).Name)
	write(t, f.Events(), "")
	old := time.Now().Add(-2 * environmentKept)
	if err := os.Chtimes(f.Events(), old, old); err != nil {
		t.Fatal(err)
	}
	b.expireEnvironments(time.Now().Add(expireEvery))
	if !there(f.EnvironmentFile()) {
		t.Error("it went while the run goes on")
	}
}

// TestEnvironmentsAreReadOnceAnHour, and not at every submission.
func TestEnvironmentsAreReadOnceAnHour(t *testing.T) {
	last := time.Now().Add(2 * environmentKept)
	for _, c := range []struct {
		name  string
		after time.Duration
		gone  bool
	}{
		{"within the hour", expireEvery - time.Second, false},
		{"after the hour", expireEvery, true},
		{"before the last time, by a clock that was set back", -time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTarget(t)
			spec := submit(t, b, 1)
			f := b.Folder(spec.Name)
			b.expireEnvironments(last)
			finish(t, f, spec, run.Event{Type: run.EventEnded, State: run.Failed})
			b.expireEnvironments(last.Add(c.after))
			if gone := !there(f.EnvironmentFile()); gone != c.gone {
				t.Errorf("the environment is gone: %t, want %t", gone, c.gone)
			}
		})
	}
}
