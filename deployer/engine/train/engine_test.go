package train

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/engine/crash"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// bench is an engine whose supervisor notes what it is to do.
type bench struct {
	*Engine
	t     *testing.T
	spec  run.Spec
	disk  *crash.Disk
	clock time.Time
	done  []string
	only  *run.AttemptID
}

func newBench(t *testing.T, spec run.Spec) *bench {
	t.Helper()
	spec.Name, spec.Parallelism = "r-1", max(spec.Parallelism, 1)
	b := &bench{
		t: t, spec: spec, clock: time.Unix(1e9, 0), disk: &crash.Disk{Rand: rand.New(rand.NewPCG(1, 1)), Left: -1},
	}
	b.monitor(false, false)
	return b
}

// monitor has a new monitor take the run over.
func (b *bench) monitor(resume, rebooted bool) {
	b.t.Helper()
	past := NewPast(b.spec)
	log, err := folder.OpenLog(b.disk, past.Apply)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Engine = NewEngine(b.spec, past, log, func() {}, func() time.Time { return b.clock }, b)
	b.Engine.only = b.only
	b.Open(resume, rebooted)
	b.commit()
}

func (b *bench) commit() {
	b.t.Helper()
	if err := b.Commit(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) Start(a run.Attempt) { b.note("start", a.AttemptID) }

func (b *bench) Signal(id run.AttemptID, kill bool) {
	if kill {
		b.note("kill", id)
	} else {
		b.note("interrupt", id)
	}
}

func (b *bench) note(what string, id run.AttemptID) {
	b.done = append(b.done, fmt.Sprintf("%s %d.%d", what, id.Trial, id.Number))
}

func (b *bench) Updates() <-chan run.Update { return nil }
func (b *bench) Finish() []run.Note         { return nil }
func (b *bench) Close()                     {}

// started reports that an attempt runs.
func (b *bench) started(trial, attempt int) {
	b.update(trial, attempt, run.Update{Started: &run.Started{PID: 1}})
}

// ended reports how an attempt ended.
func (b *bench) ended(trial, attempt int, end run.AttemptEnd) {
	b.update(trial, attempt, run.Update{Ended: &end})
}

func (b *bench) update(trial, attempt int, u run.Update) {
	b.t.Helper()
	u.ID = run.AttemptID{Trial: trial, Number: attempt}
	b.Update(u)
	b.commit()
}

// wait lets time pass.
func (b *bench) wait(d time.Duration) {
	b.t.Helper()
	b.clock = b.clock.Add(d)
	b.Tick()
	b.commit()
}

// expect compares what the supervisor was to do, and what became of the trials.
func (b *bench) expect(actions, states string) {
	b.t.Helper()
	if got := strings.Join(b.done, ", "); got != actions {
		b.t.Errorf("the supervisor was to %q, want %q", got, actions)
	}
	var all []string
	for i := range b.State().Trials {
		trial := &b.State().Trials[i]
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s", trial.Phase, trial.Reason)))
	}
	if got := strings.Join(all, ", "); got != states {
		b.t.Errorf("the trials are %q, want %q", got, states)
	}
}

func TestWhatBecomesOfATrial(t *testing.T) {
	t.Parallel()
	valueError := &run.Error{Type: "ValueError", Text: "no"}
	for _, test := range []struct {
		name    string
		end     run.AttemptEnd
		retries int
		actions string
		state   string
	}{
		{"it returned", run.AttemptEnd{Returned: true}, 1, "start 0.1", "succeeded"},
		{"its code raised: no retry", run.AttemptEnd{Error: valueError, Exit: 1}, 1, "start 0.1", "failed exception"},
		{"it left by itself: no retry", run.AttemptEnd{Exit: 3}, 1, "start 0.1", "failed exit"},
		{"a signal", run.AttemptEnd{Signal: 11}, 0, "start 0.1", "failed signal"},
		{"a signal, with a retry left", run.AttemptEnd{Signal: 11}, 1, "start 0.1, start 0.2", "pending"},
		{"its loader was killed", run.AttemptEnd{Lost: true}, 1, "start 0.1, start 0.2", "pending"},
		{"killed after its return", run.AttemptEnd{Returned: true, Signal: 11}, 1, "start 0.1", "succeeded"},
		{
			"the disk is full: the run ends",
			run.AttemptEnd{Internal: "no room", Reason: run.ReasonDisk},
			1,
			"start 0.1", "failed disk full",
		},
		{
			"the top level raised",
			run.AttemptEnd{Error: valueError, Program: true},
			1,
			"start 0.1", "failed program",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, run.Spec{Completions: 1, Retries: test.retries})
			b.started(0, 1)
			b.ended(0, 1, test.end)
			b.expect(test.actions, test.state)
			if ends := test.state != "pending"; b.Ended() != ends {
				t.Errorf("the run has ended: %v", b.Ended())
			}
		})
	}
}

func TestOneAttemptAloneIsRun(t *testing.T) {
	t.Parallel()
	valueError := &run.Error{Type: "ValueError", Text: "no"}
	const other, others = "pending, ", ", pending"
	for _, test := range []struct {
		name    string
		act     func(b *bench)
		actions string
		states  string
		outcome run.Phase
	}{
		{
			"it returns", func(b *bench) { b.ended(1, 3, run.AttemptEnd{Returned: true}) },
			"start 1.3", other + "succeeded" + others, run.Succeeded,
		},
		{
			"it fails", func(b *bench) { b.ended(1, 3, run.AttemptEnd{Error: valueError, Exit: 42}) },
			"start 1.3", other + "failed exception" + others, run.Failed,
		},
		{
			"the top level fails",
			func(b *bench) { b.ended(1, 3, run.AttemptEnd{Error: valueError, Program: true}) },
			"start 1.3", other + "failed program" + others, run.Failed,
		},
		{
			"the run is stopped",
			func(b *bench) {
				b.Stop(folder.Stop{})
				b.commit()
				b.ended(1, 3, run.AttemptEnd{Signal: 15})
			},
			"start 1.3, interrupt 1.3", other + "stopped stopped" + others, run.Stopped,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := &bench{
				t: t, spec: run.Spec{Name: "r-1", Completions: 3, Parallelism: 1}, clock: time.Unix(1e9, 0),
				disk: &crash.Disk{Rand: rand.New(rand.NewPCG(1, 1)), Left: -1},
				only: &run.AttemptID{Trial: 1, Number: 3},
			}
			b.monitor(false, false)
			b.started(1, 3)
			test.act(b)
			b.expect(test.actions, test.states)
			if !b.Ended() || b.State().Phase != test.outcome {
				t.Errorf("the run has ended: %v, as %s", b.Ended(), b.State().Phase)
			}
		})
	}
}

func TestATrialWhoseTimeIsOverIsInterruptedAndThenKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, run.Spec{Completions: 1, Timeout: time.Minute})
	b.started(0, 1)
	b.wait(59 * time.Second)
	b.expect("start 0.1", "running")
	b.wait(time.Second)
	b.expect("start 0.1, interrupt 0.1", "running")
	b.wait(Grace)
	b.expect("start 0.1, interrupt 0.1, kill 0.1", "running")
	b.ended(0, 1, run.AttemptEnd{Signal: 9})
	b.expect("start 0.1, interrupt 0.1, kill 0.1", "failed timeout")
}

func TestAStop(t *testing.T) {
	t.Parallel()
	one := 1
	for _, test := range []struct {
		name    string
		stops   []folder.Stop
		actions string
		states  string
	}{
		{"of the run", []folder.Stop{{}}, "start 0.1, interrupt 0.1", "running, stopped stopped"},
		{"of the run, at once", []folder.Stop{{Now: true}}, "start 0.1, kill 0.1", "running, stopped stopped"},
		{"twice", []folder.Stop{{}, {}}, "start 0.1, interrupt 0.1", "running, stopped stopped"},
		{
			"and then at once",
			[]folder.Stop{{}, {Now: true}},
			"start 0.1, interrupt 0.1, kill 0.1",
			"running, stopped stopped",
		},
		{"of a trial that waits", []folder.Stop{{Trial: &one}}, "start 0.1", "running, stopped stopped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, run.Spec{Completions: 2})
			b.started(0, 1)
			for _, s := range test.stops {
				b.Stop(s)
				b.commit()
			}
			b.expect(test.actions, test.states)
		})
	}
}

func TestATopLevelThatRaisesEndsEveryTrialAndIsShownOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, run.Spec{Completions: 3, Parallelism: 2})
	b.Update(run.Update{LoadFailed: &run.Error{Type: "ValueError", Text: "no", Traceback: "where"}})
	b.commit()
	b.expect("start 0.1, start 1.1, kill 0.1, kill 1.1", "pending, pending, failed program")
	b.ended(0, 1, run.AttemptEnd{Signal: 9})
	b.ended(1, 1, run.AttemptEnd{Signal: 9})
	b.expect("start 0.1, start 1.1, kill 0.1, kill 1.1", "failed program, failed program, failed program")
	if !b.Ended() || strings.Count(string(b.disk.Data), `"traceback":"where"`) != 1 {
		t.Errorf("ended: %v; the events:\n%s", b.Ended(), b.disk.Data)
	}
}

func TestAMonitorThatWasKilledCountsForNoRetryUntilItIsTooOften(t *testing.T) {
	t.Parallel()
	b := newBench(t, run.Spec{Completions: 1})
	for n := 1; n <= maxDisruptions; n++ {
		b.started(0, n)
		b.monitor(false, false)
	}
	if want := fmt.Sprintf("start 0.%d", maxDisruptions+1); b.done[len(b.done)-1] != want || b.Ended() {
		t.Errorf("%q, want %q at last", b.done, want)
	}
	b.started(0, maxDisruptions+1)
	b.monitor(false, false)
	if state := b.State().Trials[0]; !b.Ended() || state.Reason != run.ReasonLost {
		t.Errorf("ended: %v, %+v", b.Ended(), state)
	}
}

func TestAResumedRunGoesOnWithWhatIsUnfinished(t *testing.T) {
	t.Parallel()
	b := newBench(t, run.Spec{Completions: 3, Parallelism: 3})
	for i := range 3 {
		b.started(i, 1)
	}
	b.ended(0, 1, run.AttemptEnd{Returned: true})
	b.ended(1, 1, run.AttemptEnd{Error: &run.Error{Type: "ValueError"}, Exit: 1})
	b.done = nil
	b.monitor(true, true) // after a restart of the machine
	b.expect("start 2.2", "succeeded, failed exception, pending")
}
