// Package train is the process that owns a run: it writes the event stream, and its [Engine] decides from what is
// written which attempts of which trials to start, until every trial is final (docs/internals/engine.md).
//
// Read [Engine] first: it is a state machine without goroutines, files or clocks of its own, so that a test can cut it
// off after every write. [Run] drives it in the real process. What runs the attempts is behind [Supervisor]; package
// agent has the real one, and neither imports the other: cmd/metaml-agent joins them.
//
// It imports deployer/run and deployer/folder alone.
package train

import (
	"fmt"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Grace is how long a trial may go on after it was signalled to end.
const Grace = 30 * time.Second

// maxDisruptions bounds how often one trial is started again because its monitor was killed: a trial that takes its
// monitor down each time must come to an end.
const maxDisruptions = 10

// Engine decides what happens next in a run. Events are written before what follows from them is done: each method
// notes events and actions, and Commit writes the former and then carries out the latter. It is not safe for concurrent
// use.
type Engine struct {
	spec  run.Spec
	state *run.State
	log   *folder.Log
	sync  func()
	now   func() time.Time
	sup   Supervisor

	running     map[int]*attempt // by trial
	slots       []bool           // taken
	queue       []int            // trials to start, in this order
	head        int              // the first of queue that is left
	again       []int            // trials to start before those in queue
	retries     map[int]int      // attempts of a trial that counted as retries
	disruptions map[int]int      // attempts of a trial that were disrupted
	owed        map[int]bool     // until Open: see Past
	ended       bool
	loads       bool           // some attempt got beyond the program's top level
	unloadable  bool           // the program's top level failed
	broken      *run.Error     // why the top level failed, until an event has it
	only        *run.AttemptID // see Options

	batch   []*run.Event
	durable bool // batch has a state event
	actions []func()
}

// attempt is one that was started and has not ended.
type attempt struct {
	run.Attempt
	started  time.Time // zero until the supervisor says so
	deadline time.Time // --timeout; zero is none
	killAt   time.Time // when it is killed; zero before it was signalled
	killed   bool
	stopFor  run.Reason // why it was signalled to end, if it was
}

// NewEngine makes an engine for a run whose events were folded into past. sync is called after state events were
// written, now is the clock.
func NewEngine(spec run.Spec, past *Past, log *folder.Log, sync func(), now func() time.Time, sup Supervisor) *Engine {
	return &Engine{
		spec: spec, state: past.State, log: log, sync: sync, now: now, sup: sup,
		running: map[int]*attempt{}, slots: make([]bool, max(spec.Parallelism, 1)),
		retries: past.retries, disruptions: past.disruptions, owed: past.owed,
		ended: past.State.Phase.Final(), loads: past.State.Loaded != nil,
	}
}

// Open takes over from the monitors before: attempts that they left running (and of which nothing runs any more) are
// ended, a new run is announced, an ended one is reopened if resume is set. rebooted says that the machine was started
// meanwhile.
func (e *Engine) Open(resume, rebooted bool) {
	if e.state.N == 0 {
		e.emit(run.Event{Type: run.EventPlanned, Completions: e.spec.Completions, Parallelism: e.spec.Parallelism})
		e.emit(run.Event{Type: run.EventSubmitted})
	}
	wasEnded := e.ended
	if resume && (wasEnded || rebooted) {
		e.ended = false
		clear(e.retries)
		clear(e.disruptions)
		e.emit(run.Event{Type: run.EventResumed})
	}
	if e.ended {
		return
	}
	if e.only != nil && e.only.Number > 1 && e.state.Trials[e.only.Trial].Attempt == 0 {
		e.emit(run.Event{Type: run.EventTrialQueued, Trial: &e.only.Trial, Attempt: e.only.Number})
	}
	for i := range e.state.Trials {
		t := &e.state.Trials[i]
		switch {
		case !e.owns(i):
		case t.Phase == run.Running && rebooted:
			e.endTrial(t.Index, t.Attempt, run.Event{
				State: run.Failed, Reason: run.ReasonRestarted, Code: run.CodeDisruption,
			})
			e.requeue(t.Index, t.Attempt)
		case t.Phase == run.Running:
			e.disrupted(t)
		case t.Phase == run.Pending:
			e.queue = append(e.queue, t.Index)
		case resume && (wasEnded || rebooted) && t.Unfinished():
			e.requeue(t.Index, t.Attempt)
		case e.owed[i] && !e.state.StopAsked && !t.StopAsked:
			e.requeue(t.Index, t.Attempt)
		}
	}
}

// owns reports whether a trial is this engine's to run.
func (e *Engine) owns(trial int) bool { return e.only == nil || e.only.Trial == trial }

// disrupted ends an attempt whose monitor was killed.
func (e *Engine) disrupted(t *run.Trial) {
	if e.state.StopAsked || t.StopAsked {
		e.endTrial(t.Index, t.Attempt, run.Event{State: run.Stopped, Reason: run.ReasonStopped})
		return
	}
	e.disruptions[t.Index]++
	e.endTrial(t.Index, t.Attempt, run.Event{
		State: run.Failed, Reason: run.ReasonLost, Code: run.CodeDisruption,
		Text: "the process that watches over the run was killed, and the trial with it",
	})
	if e.disruptions[t.Index] <= maxDisruptions {
		e.requeue(t.Index, t.Attempt)
	}
}

// requeue puts a trial in line for its next attempt.
func (e *Engine) requeue(trial, before int) {
	e.emit(run.Event{Type: run.EventTrialQueued, Trial: &trial, Attempt: before + 1})
	e.again = append(e.again, trial)
}

// Update takes in what the supervisor says.
func (e *Engine) Update(u run.Update) {
	if e.ended {
		return
	}
	switch {
	case u.Loaded != nil:
		e.loads = true
		if e.state.Loaded == nil || e.state.Loaded.Fork != u.Loaded.Fork {
			e.emit(run.Event{
				Type: run.EventLoaded, Seconds: u.Loaded.Seconds, Fork: u.Loaded.Fork, Causes: u.Loaded.Causes,
			})
		}
		return
	case u.LoadFailed != nil:
		e.programFailed(u.LoadFailed, -1)
		return
	case u.Note != nil:
		e.note(u.ID, *u.Note)
		return
	}
	a := e.running[u.ID.Trial]
	if a == nil || a.AttemptID != u.ID {
		return // of an attempt that was given up
	}
	trial := a.Trial
	switch {
	case u.Started != nil:
		a.started = e.now()
		if e.spec.Timeout > 0 {
			a.deadline = a.started.Add(e.spec.Timeout)
		}
		e.emit(run.Event{
			Type: run.EventTrialStarted, Trial: &trial, Attempt: a.Number, PID: u.Started.PID, Seed: &a.Seed,
		})
	case u.Report != nil:
		e.emit(run.Event{
			Type: run.EventTrialReport, Trial: &trial, Attempt: a.Number, Step: u.Report.Step,
			Metrics: u.Report.Metrics,
		})
	case u.Ended != nil:
		e.attemptEnded(a, u.Ended)
	}
}

func (e *Engine) note(id run.AttemptID, n run.Note) {
	ev := run.Event{Type: run.EventNote, Code: n.Code, Text: n.Text, Hint: n.Hint}
	if id.Number > 0 {
		ev.Trial, ev.Attempt = &id.Trial, id.Number
	}
	e.emit(ev)
}

func (e *Engine) attemptEnded(a *attempt, end *run.AttemptEnd) {
	delete(e.running, a.Trial)
	e.slots[a.Slot] = false
	if end.Program && !e.loads && a.stopFor == "" {
		// The first process to execute the top level failed: so would all others.
		a.stopFor = end.Error.LoadReason()
		e.programFailed(end.Error, a.Trial)
	}
	if !end.Program && end.Internal == "" && !end.Lost {
		e.loads = true
	}
	ev := outcome(a.stopFor, end)
	// read by programFailed
	ofLoad := a.stopFor == run.ReasonProgram || a.stopFor == run.ReasonDiffers || a.stopFor == run.ReasonDisk
	if ev.Reason == a.stopFor && ofLoad {
		ev.Error, e.broken = e.broken, nil
	}
	ev.Seconds, ev.Output = end.Seconds, end.Output
	if end.Signal != 0 {
		exit := 128 + end.Signal
		ev.Exit = &exit
	} else if !end.Lost && end.Internal == "" {
		ev.Exit = &end.Exit
	}
	if end.Returned && end.Signal != 0 && a.stopFor == "" {
		e.note(a.AttemptID, run.Note{
			Code: run.NoteCrashAtExit,
			Text: fmt.Sprintf("trial %d was ended by signal %d after it had returned; what it returned counts",
				a.Trial, end.Signal),
		})
	}
	e.endTrial(a.Trial, a.Number, ev)
	if ev.Reason.Retriable() {
		if e.retries[a.Trial]++; e.retries[a.Trial] <= e.spec.Retries {
			e.requeue(a.Trial, a.Number)
		}
	}
	if end.Reason == run.ReasonDisk || end.Reason == run.ReasonFolder {
		e.abort(end.Reason, end.Internal)
	}
}

// outcome says in which state an attempt ended, and why. stopFor is why we signalled it to end, if we did.
func outcome(stopFor run.Reason, end *run.AttemptEnd) run.Event {
	switch {
	case end.Returned:
		return run.Event{State: run.Succeeded, Metrics: end.Metrics}
	case stopFor == run.ReasonStopped:
		return run.Event{State: run.Stopped, Reason: run.ReasonStopped, Error: end.Error}
	case stopFor != "":
		return run.Event{State: run.Failed, Reason: stopFor, Error: end.Error}
	default:
		reason, text := end.Why("trial")
		ev := run.Event{State: run.Failed, Reason: reason, Text: text}
		if end.Internal == "" {
			ev.Error = end.Error
		}
		return ev
	}
}

// programFailed ends every trial: the top level that they all need does not run. The traceback stands once, in the
// first of the attempts that were started. The trial except is about to be ended by the caller.
func (e *Engine) programFailed(err *run.Error, except int) {
	if e.unloadable {
		return // several attempts found out
	}
	e.unloadable, e.broken = true, err
	for i := range e.state.Trials {
		if a := e.running[i]; a != nil {
			a.stopFor = err.LoadReason()
			e.kill(a)
		} else if t := &e.state.Trials[i]; !t.Phase.Final() && i != except && e.owns(i) {
			e.endTrial(i, t.Attempt, run.Event{
				State: run.Failed, Reason: err.LoadReason(), Text: "the program's top level failed",
			})
		}
	}
	e.queue, e.head, e.again = nil, 0, nil
}

// Stop takes in a request to stop. The same request again changes nothing, but for asking to end at once.
func (e *Engine) Stop(s folder.Stop) {
	if e.ended {
		return
	}
	if s.Trial == nil {
		if !e.state.StopAsked {
			e.emit(run.Event{Type: run.EventStopAsked})
		}
		for i := range e.state.Trials {
			e.stopTrial(i, s.Now)
		}
		return
	}
	i := *s.Trial
	if i < 0 || i >= len(e.state.Trials) || e.state.Trials[i].Phase.Final() {
		return
	}
	if !e.state.Trials[i].StopAsked {
		e.emit(run.Event{Type: run.EventStopAsked, Trial: &i})
	}
	e.stopTrial(i, s.Now)
}

func (e *Engine) stopTrial(i int, now bool) {
	if a := e.running[i]; a != nil {
		e.askToEnd(a, run.ReasonStopped, now)
		return
	}
	if t := &e.state.Trials[i]; !t.Phase.Final() && e.owns(i) {
		e.endTrial(i, t.Attempt, run.Event{State: run.Stopped, Reason: run.ReasonStopped})
	}
}

// askToEnd signals an attempt to end, once; with now it is killed.
func (e *Engine) askToEnd(a *attempt, why run.Reason, now bool) {
	if a.stopFor == "" {
		a.stopFor = why
	}
	switch {
	case now:
		e.kill(a)
	case a.killAt.IsZero():
		a.killAt = e.now().Add(Grace)
		id := a.AttemptID
		e.actions = append(e.actions, func() { e.sup.Signal(id, false) })
	}
}

func (e *Engine) kill(a *attempt) {
	if a.killed {
		return
	}
	a.killed = true
	id := a.AttemptID
	e.actions = append(e.actions, func() { e.sup.Signal(id, true) })
}

// Tick does what is due. Call it at Next or later.
func (e *Engine) Tick() {
	now := e.now()
	for _, a := range e.running {
		if !a.deadline.IsZero() && a.stopFor == "" && !now.Before(a.deadline) {
			e.askToEnd(a, run.ReasonTimeout, false)
		}
		if !a.killAt.IsZero() && !now.Before(a.killAt) {
			e.kill(a)
		}
	}
}

// Next is when Tick has something to do; ok is false if time alone changes nothing.
func (e *Engine) Next() (at time.Time, ok bool) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	for _, a := range e.running {
		if a.stopFor == "" {
			earliest(a.deadline)
		}
		if !a.killed {
			earliest(a.killAt)
		}
	}
	return at, ok
}

// Commit starts what may be started, ends the run if nothing is left to do, writes the events of all this and carries
// out the actions. If writing fails, nothing was carried out and the engine must not be used but for [Engine.Fail].
func (e *Engine) Commit() error {
	if !e.ended {
		e.schedule()
		if len(e.running) == 0 {
			e.finish()
		}
	}
	if len(e.batch) > 0 {
		if err := e.log.Append(e.batch...); err != nil {
			return err
		}
		e.batch = e.batch[:0]
		if e.durable {
			e.durable = false
			e.sync()
		}
	}
	actions := e.actions
	e.actions = nil
	for _, act := range actions {
		act()
	}
	return nil
}

// schedule starts trials while there is room for more.
func (e *Engine) schedule() {
	if e.state.StopAsked {
		return
	}
	for len(e.running) < len(e.slots) {
		trial, ok := e.take()
		if !ok {
			return
		}
		a := &attempt{Attempt: run.Attempt{
			AttemptID: run.AttemptID{Trial: trial, Number: max(e.state.Trials[trial].Attempt, 1)},
			Seed:      e.spec.TrialSeed(trial),
		}}
		for e.slots[a.Slot] {
			a.Slot++
		}
		e.slots[a.Slot] = true
		e.running[trial] = a
		start := a.Attempt
		e.actions = append(e.actions, func() { e.sup.Start(start) })
	}
}

// take gives the next trial in line that still waits.
func (e *Engine) take() (int, bool) {
	for {
		var trial int
		switch {
		case len(e.again) > 0:
			trial, e.again = e.again[0], e.again[1:]
		case e.head < len(e.queue):
			trial = e.queue[e.head]
			e.head++
		default:
			return 0, false
		}
		if e.state.Trials[trial].Phase == run.Pending {
			return trial, true
		}
	}
}

// finish ends the run if all its trials are final, or the only one that is run here.
func (e *Engine) finish() {
	outcome := e.state.Outcome()
	if e.only != nil {
		outcome = e.state.Trials[e.only.Trial].Phase
	}
	if !outcome.Final() {
		return
	}
	for _, n := range e.sup.Finish() {
		e.note(run.AttemptID{}, n)
	}
	end := run.Event{Type: run.EventEnded, State: outcome}
	switch outcome {
	case run.Stopped:
		end.Reason = run.ReasonStopped
	case run.Failed:
		end.Reason = e.state.FailedAlike()
	case run.Pending, run.Running, run.Succeeded:
	}
	e.emit(end)
	e.ended = true
}

// abort ends the run although trials are left: nothing can be kept of them.
func (e *Engine) abort(reason run.Reason, text string) {
	for trial, a := range e.running {
		e.kill(a)
		e.endTrial(trial, a.Number, run.Event{State: run.Failed, Reason: reason})
	}
	clear(e.running)
	e.emit(run.Event{Type: run.EventEnded, State: run.Failed, Reason: reason, Text: text})
	e.ended = true
}

// Fail ends the run after Commit could not write, keeping what says how trials ended and leaving out the rest. The
// caller has closed the supervisor.
func (e *Engine) Fail(reason run.Reason, text string) error {
	kept := e.batch[:0]
	for _, ev := range e.batch {
		if ev.N > 0 && ev.N <= e.log.Last() {
			continue // it was written before the disk was full
		}
		if ev.Type == run.EventTrialEnded || ev.Type == run.EventEnded {
			kept = append(kept, ev)
		}
	}
	e.batch = kept
	if !e.ended {
		e.abort(reason, text)
	}
	if err := e.log.Append(e.batch...); err != nil {
		return err
	}
	e.batch = nil
	return e.log.Sync()
}

// Ended reports whether the run is over.
func (e *Engine) Ended() bool { return e.ended }

// State is what the run looks like. It belongs to the engine.
func (e *Engine) State() *run.State { return e.state }

func (e *Engine) endTrial(trial, attempt int, ev run.Event) {
	ev.Type, ev.Trial, ev.Attempt = run.EventTrialEnded, &trial, attempt
	e.emit(ev)
}

// emit notes an event for the next Commit and folds it into the state.
func (e *Engine) emit(ev run.Event) {
	ev.V, ev.Source, ev.Run, ev.Time = 1, engine.Source, e.spec.Name, e.now().UTC()
	e.state.Apply(ev) // without a Seq, which only the log gives
	if ev.Type != run.EventTrialReport && ev.Type != run.EventNote {
		e.durable = true
	}
	e.batch = append(e.batch, &ev)
}
