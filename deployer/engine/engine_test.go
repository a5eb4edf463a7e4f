package engine_test

import (
	"errors"
	"os"
	"testing"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// folderOf makes a run's folder with events.
func folderOf(t *testing.T, kind run.Kind, events ...run.Event) folder.Run {
	t.Helper()
	f := folder.Run(t.TempDir())
	if err := folder.ReplaceJSON(f.Spec(), run.Spec{V: 1, Name: "r-1", Kind: kind, Completions: 1}); err != nil {
		t.Fatal(err)
	}
	file, err := f.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := folder.OpenLog(file, func(run.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		e.V, e.Source, e.Run = 1, engine.Source, "r-1"
		if err := log.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func options(f folder.Run, resume bool) engine.Options {
	return engine.Options{
		Folder: f, Resume: resume,
		Fold: func(spec run.Spec) (func(run.Event), *run.State) {
			state := run.NewState(spec)
			return func(e run.Event) { state.Apply(e) }, state
		},
	}
}

// restartMachine makes the folder one whose latest monitor ran before the machine was restarted.
func restartMachine(t *testing.T, f folder.Run) {
	t.Helper()
	if err := folder.ReplaceJSON(f.MonitorFile(), folder.Monitor{PID: 1, StartTime: 1, BootID: "another"}); err != nil {
		t.Fatal(err)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	ended := run.Event{Type: run.EventEnded, State: run.Stopped, Reason: run.ReasonStopped}
	submitted := run.Event{Type: run.EventSubmitted}
	for _, test := range []struct {
		name      string
		kind      run.Kind
		events    []run.Event
		restarted bool
		resume    bool
		taken     bool
		reopened  bool
		failure   string
	}{
		{name: "a new run", taken: true},
		{name: "one whose monitor was killed", events: []run.Event{submitted}, taken: true},
		{name: "one that has ended", events: []run.Event{submitted, ended}},
		{
			name: "one that has ended, resumed", events: []run.Event{submitted, ended},
			resume: true, taken: true, reopened: true,
		},
		{name: "one that goes on, resumed", events: []run.Event{submitted}, resume: true, taken: true},
		{
			name: "one of before the machine's restart", events: []run.Event{submitted}, restarted: true,
			failure: "the machine was restarted while the run was going: metaml resume goes on with it",
		},
		{
			name: "a server of before the machine's restart", kind: run.Serve,
			events: []run.Event{submitted}, restarted: true,
			failure: "the machine was restarted while the server was going: metaml resume starts it again",
		},
		{
			name: "one of before the machine's restart, resumed", events: []run.Event{submitted}, restarted: true,
			resume: true, taken: true, reopened: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := folderOf(t, test.kind, test.events...)
			if test.restarted {
				restartMachine(t, f)
			}
			if err := f.AppendStop(folder.Stop{}); err != nil {
				t.Fatal(err)
			}
			r, err := engine.Take(t.Context(), options(f, test.resume))
			if (r != nil) != test.taken {
				t.Fatalf("taken: %v, %v", r != nil, err)
			}
			if test.failure == "" && err != nil {
				t.Fatal(err)
			}
			if test.failure != "" && (!errors.Is(err, engine.ErrRestarted) || err.Error() != test.failure) {
				t.Fatalf("%v, want %q", err, test.failure)
			}
			if r == nil {
				return
			}
			defer r.Close()
			if r.Reopened != test.reopened || r.Rebooted != test.restarted || r.State.Name != "r-1" {
				t.Errorf("%+v", r)
			}
			if stops, _, err := f.ReadStops(0); err != nil || (len(stops) == 0) != test.resume {
				t.Errorf("stop requests: %v, %v", stops, err)
			}
			if f.ReadMonitor().PID != os.Getpid() {
				t.Errorf("the monitor is %+v", f.ReadMonitor())
			}
		})
	}
}

func TestFinishLeavesASummaryAndNoReserve(t *testing.T) {
	t.Parallel()
	f := folderOf(t, run.Train)
	r, err := engine.Take(t.Context(), options(f, false))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := os.Stat(f.Reserve()); err != nil {
		t.Errorf("no reserve while the run goes on: %v", err)
	}
	end := run.Event{
		V: 1, Source: engine.Source, Run: "r-1", Type: run.EventEnded, State: run.Failed, Reason: run.ReasonDisk,
	}
	if err := r.Log.Append(&end); err != nil {
		t.Fatal(err)
	}
	r.State.Apply(end)
	r.Sync()
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Reserve()); !os.IsNotExist(err) {
		t.Errorf("the reserve is left: %v", err)
	}
	if _, err := os.Stat(string(f) + "/summary.json"); err != nil {
		t.Error(err)
	}
}
