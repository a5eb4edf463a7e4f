package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/engine/crash"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// A simulation is a run whose monitor is cut off again and again: in the middle of a write, between a write and what
// follows from it, between two actions; and now and then the machine loses power and what was not synced. Everything
// follows from the seed.

const simulations = 12_000

func TestSimulationsKeepEveryPromise(t *testing.T) {
	t.Parallel()
	for seed := range uint64(simulations) {
		if err := simulate(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// world runs the attempts, as data.
type world struct {
	rng     *rand.Rand
	disk    *crash.Disk
	clock   time.Time
	procs   map[int]*process      // by trial
	coming  []run.Update          // what the engine has not been sent yet, in order for each attempt
	started map[run.AttemptID]int // how often
	fates   map[int]string        // of a trial's own code: the same in each attempt
	stops   int                   // requests that may still come
	ended   map[int]bool          // trials of which the log says that their code ended them
	err     error

	most      int  // attempts at once
	stopNoted bool // the log says that the run is to stop
}

type process struct {
	id    run.AttemptID
	fate  string
	deaf  bool // ignores signals
	ended bool
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) Start(a run.Attempt) {
	w.disk.Cut()
	if p := w.procs[a.Trial]; p != nil {
		w.fail("trial %d: attempt %d was started while attempt %d runs", a.Trial, a.Number, p.id.Number)
	}
	if w.ended[a.Trial] {
		w.fail("trial %d was started again although its own code had ended it", a.Trial)
	}
	w.started[a.AttemptID]++
	fate := w.fates[a.Trial]
	if w.rng.IntN(6) == 0 {
		fate = []string{"signal", "lost", "internal"}[w.rng.IntN(3)] // what may be otherwise the next time
	}
	if len(w.procs) >= w.most {
		w.fail("%d attempts at once", len(w.procs)+1)
	}
	if w.stopNoted {
		w.fail("trial %d was started after the stop was written", a.Trial)
	}
	w.procs[a.Trial] = &process{id: a.AttemptID, fate: fate, deaf: w.rng.IntN(3) == 0}
	w.coming = append(w.coming, run.Update{ID: a.AttemptID, Started: &run.Started{PID: 1}})
	for i := range w.rng.IntN(3) {
		w.coming = append(w.coming, run.Update{
			ID: a.AttemptID, Report: &run.Report{Metrics: run.Metrics{"loss": float64(i)}},
		})
	}
	w.disk.Cut()
}

func (w *world) Signal(id run.AttemptID, kill bool) {
	w.disk.Cut()
	p := w.procs[id.Trial]
	if p == nil || p.id != id || p.ended || (p.deaf && !kill) {
		return
	}
	w.end(p, &run.AttemptEnd{Signal: 15})
}

func (w *world) end(p *process, e *run.AttemptEnd) {
	p.ended = true
	w.coming = append(w.coming, run.Update{ID: p.id, Ended: e})
}

func (w *world) Updates() <-chan run.Update { return nil }
func (w *world) Finish() []run.Note         { return nil }
func (w *world) Close()                     {}

// advance lets one process come to its end, if it has one.
func (w *world) advance() {
	var able []*process
	for trial := range len(w.fates) {
		if p := w.procs[trial]; p != nil && !p.ended && p.fate != "hangs" {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		return
	}
	p := able[w.rng.IntN(len(able))]
	w.end(p, map[string]*run.AttemptEnd{
		"returns": {Returned: true, Metrics: run.Metrics{"score": float64(p.id.Trial)}},
		"raises":  {Error: &run.Error{Type: "ValueError"}, Exit: 42},
		"exits":   {Exit: 3}, "signal": {Signal: 11}, "lost": {Lost: true}, "internal": {Internal: "no"},
	}[p.fate])
}

// deliver sends the engine one update. The order of those of different attempts is anybody's.
func (w *world) deliver(e *Engine) {
	if len(w.coming) == 0 {
		return
	}
	i := w.rng.IntN(len(w.coming))
	for j := range w.coming[:i] {
		if w.coming[j].ID == w.coming[i].ID {
			i = j
			break
		}
	}
	u := w.coming[i]
	w.coming = append(w.coming[:i], w.coming[i+1:]...)
	if u.Ended != nil {
		delete(w.procs, u.ID.Trial)
	}
	e.Update(u)
}

func simulate(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := &crash.Disk{Rand: rng}
	w := &world{
		rng: rng, disk: d, clock: time.Unix(1e9, 0), procs: map[int]*process{},
		started: map[run.AttemptID]int{}, fates: map[int]string{}, ended: map[int]bool{},
	}
	spec := run.Spec{Name: "r-1", Completions: 1 + rng.IntN(6), Parallelism: 1 + rng.IntN(3), Retries: rng.IntN(3)}
	w.most = spec.Parallelism
	hangs := false
	for i := range spec.Completions {
		w.fates[i] = []string{"returns", "returns", "returns", "raises", "exits", "hangs"}[rng.IntN(6)]
		hangs = hangs || w.fates[i] == "hangs"
	}
	if hangs || rng.IntN(4) == 0 {
		spec.Timeout = time.Minute
	}
	if rng.IntN(3) == 0 {
		w.stops = 1 + rng.IntN(3)
	}
	var stops []folder.Stop
	powerLost := false
	rebooted, resume := false, false
	cuts := rng.IntN(9)
	for life := 0; ; life++ {
		if life > 100 {
			return errors.New("no end in sight")
		}
		d.Left = -1
		if life < cuts {
			d.Left = rng.IntN(40)
		}
		over, err := w.live(spec, resume, rebooted, &stops)
		if err == nil {
			err = w.err
		}
		if err != nil {
			return err
		}
		if over {
			break
		}
		// The monitor is dead, and with it all its trials.
		w.procs, w.coming = map[int]*process{}, nil
		rebooted, resume = false, false
		if rng.IntN(5) == 0 {
			powerLost, rebooted, resume = true, true, true
			d.LosePower()
			stops = nil
			w.ended, w.stopNoted = map[int]bool{}, false
		}
	}
	return w.check(spec, powerLost, len(stops) > 0)
}

// live is the life of one monitor. over says that it has seen the run's end.
func (w *world) live(spec run.Spec, resume, rebooted bool, stops *[]folder.Stop) (over bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != any(crash.ErrCut) {
				panic(r)
			}
		}
	}()
	past := NewPast(spec)
	log, err := folder.OpenLog(w.disk, past.Apply)
	if err != nil {
		return false, err
	}
	if past.State.Phase.Final() {
		return true, nil
	}
	w.note(past.State)
	if resume {
		w.stopNoted = false
	}
	e := NewEngine(spec, past, log, func() { _ = log.Sync() }, func() time.Time { return w.clock }, w)
	e.Open(resume, rebooted)
	for _, s := range *stops {
		e.Stop(s)
	}
	for steps := 0; ; steps++ {
		if steps > 10_000 {
			return false, errors.New("the engine does not come to an end")
		}
		if err := e.Commit(); err != nil {
			return false, err
		}
		w.note(e.State())
		if e.Ended() {
			return true, nil
		}
		switch n := w.rng.IntN(100); {
		case n < 40:
			w.deliver(e)
		case n < 50:
			w.deliver(e)
			w.deliver(e)
		case n < 85:
			w.advance()
		case n < 97:
			w.clock = w.clock.Add(time.Duration(w.rng.IntN(20)) * time.Second)
			if at, ok := e.Next(); ok && w.rng.IntN(2) == 0 && at.After(w.clock) {
				w.clock = at
			}
			e.Tick()
		case w.stops > 0:
			w.stops--
			s := folder.Stop{Now: w.rng.IntN(3) == 0}
			if w.rng.IntN(3) > 0 {
				trial := w.rng.IntN(spec.Completions + 1) // one too many
				s.Trial = &trial
			}
			*stops = append(*stops, s)
			e.Stop(s)
		}
	}
}

// note remembers whose own code ended them, as far as the log says: no power of ours may start these again.
func (w *world) note(s *run.State) {
	w.stopNoted = s.StopAsked
	for i := range s.Trials {
		if t := &s.Trials[i]; t.Phase.Final() && !t.Unfinished() {
			w.ended[i] = true
		}
	}
}

// check reads the log as a stranger would.
func (w *world) check(spec run.Spec, powerLost, stopAsked bool) error {
	if n := bytes.Count(w.disk.Data, []byte("\n")); n == 0 || w.disk.Data[len(w.disk.Data)-1] != '\n' {
		return errors.New("the log does not end with a line")
	}
	state := run.NewState(spec)
	r, err := folder.NewReader(w.disk, "")
	if err != nil {
		return err
	}
	started, ended, counted, disrupted := map[run.AttemptID]int{}, map[run.AttemptID]int{}, map[int]int{}, map[int]int{}
	last := map[int]run.Event{} // the latest end of each trial
	ends := 0
	var n int64
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n++; e.N != n {
			return fmt.Errorf("event %d has the number %d", n, e.N)
		}
		if !state.Apply(e) {
			return fmt.Errorf("event %d is there twice", n)
		}
		switch e.Type {
		case run.EventTrialStarted:
			id := run.AttemptID{Trial: *e.Trial, Number: e.Attempt}
			if started[id]++; ended[id] > 0 {
				return fmt.Errorf("%v started after its end", id)
			}
		case run.EventTrialEnded:
			ended[run.AttemptID{Trial: *e.Trial, Number: e.Attempt}]++
			last[*e.Trial] = e
			switch {
			case e.Code == run.CodeDisruption:
				disrupted[*e.Trial]++
			case e.Reason.Retriable():
				counted[*e.Trial]++
			}
		case run.EventEnded:
			ends++
		case run.EventResumed:
			clear(counted)
			clear(disrupted)
			ends = 0
		}
	}
	for id, n := range started {
		if n != 1 || ended[id] != 1 {
			return fmt.Errorf("%v was started %d times and ended %d times", id, n, ended[id])
		}
	}
	for id, n := range ended {
		if n != 1 {
			return fmt.Errorf("%v ended %d times", id, n)
		}
	}
	for trial, n := range counted {
		if n > spec.Retries+1 {
			return fmt.Errorf("trial %d was retried %d times", trial, n-1)
		}
	}
	if ends != 1 || state.Phase != state.Outcome() {
		return fmt.Errorf("%d ends, %s where the trials say %s", ends, state.Phase, state.Outcome())
	}
	for i := range state.Trials {
		t := &state.Trials[i]
		switch {
		case !t.Phase.Final():
			return fmt.Errorf("trial %d is %s in the end", i, t.Phase)
		case t.Phase == run.Succeeded && (w.fates[i] != "returns" || t.Metrics["score"] != float64(i)):
			return fmt.Errorf("trial %d succeeded with %v", i, t.Metrics)
		case t.Phase == run.Stopped && !stopAsked && !powerLost:
			return fmt.Errorf("trial %d is stopped, which nobody requested", i)
		case t.Phase == run.Failed && t.Reason == "":
			return fmt.Errorf("trial %d failed for no reason", i)
		case last[i].Code == run.CodeDisruption && disrupted[i] <= maxDisruptions:
			return fmt.Errorf("trial %d was left alone after its monitor was killed", i)
		case last[i].Code == "" && t.Phase == run.Failed && t.Reason.Retriable() && counted[i] != spec.Retries+1:
			return fmt.Errorf("trial %d was given up after %d of %d attempts", i, counted[i], spec.Retries+1)
		}
	}
	return nil
}

func TestAFullDiskEndsTheRunWithTheReason(t *testing.T) {
	t.Parallel()
	d := &crash.Disk{Rand: rand.New(rand.NewPCG(1, 1)), Left: -1}
	w := &world{
		rng: d.Rand, disk: d, most: 2, clock: time.Unix(1e9, 0), procs: map[int]*process{},
		started: map[run.AttemptID]int{},
		fates:   map[int]string{0: "hangs", 1: "hangs"},
	}
	spec := run.Spec{Name: "r-1", Completions: 2, Parallelism: 2}
	past := NewPast(spec)
	log, err := folder.OpenLog(d, past.Apply)
	if err != nil {
		t.Fatal(err)
	}
	e := NewEngine(spec, past, log, func() {}, func() time.Time { return w.clock }, w)
	e.Open(false, false)
	if err := e.Commit(); err != nil {
		t.Fatal(err)
	}
	for len(w.coming) > 0 {
		w.deliver(e)
	}
	d.Full = true
	if err := e.Commit(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Commit on a full disk: %v", err)
	}
	d.Full = false // the reserve was given back
	if err := e.Fail(run.ReasonDisk, "no space left"); err != nil {
		t.Fatal(err)
	}
	again := run.NewState(spec)
	if _, err := folder.OpenLog(d, func(e run.Event) { again.Apply(e) }); err != nil {
		t.Fatal(err)
	}
	if again.Phase != run.Failed || again.Reason != run.ReasonDisk ||
		again.Trials[0].Reason != run.ReasonDisk || !strings.Contains(again.Text, "no space") {
		t.Errorf("%+v", again)
	}
}
