package serve

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// front is a process that takes requests.
type front struct {
	Front
	attempt   int
	begun     time.Time
	announced bool // the event that it started is written
}

// order has the front do something, if there is one. Where that fails the front has ended, and the next gets all
// orders.
func (e *Engine) order(f func(Front) error) {
	if e.front != nil {
		_ = f(e.front.Front)
	}
}

// startFront starts a front and sends it all that it must know.
func (e *Engine) startFront() {
	if e.ending != nil || e.front != nil {
		return
	}
	e.fronts++
	f := &front{attempt: e.fronts, begun: e.now()}
	var listeners []*listener
	for _, l := range e.listeners() {
		if l == e.listener || e.starting != nil && e.starting.state == switching {
			listeners = append(listeners, l)
		}
	}
	process, err := e.processes.StartFront(f.attempt, listeners)
	if err != nil {
		e.files.Log(err)
		e.frontAgain(f, err.Error())
		return
	}
	f.Front = process
	e.front = f
	for _, n := range slices.Sorted(maps.Keys(e.revisions)) {
		r := e.revisions[n]
		if r.state.over() {
			continue
		}
		e.introduce(r)
		for _, w := range r.workers {
			e.dial(r, w)
		}
	}
	switch {
	case e.starting != nil && e.starting.state == switching:
		e.order(func(f Front) error { return f.Switch(e.starting.n) })
	case e.answering != nil:
		e.order(func(f Front) error { return f.Switch(e.answering.n) })
	}
	if e.leaving {
		e.order(Front.Leave)
	}
	// Last, so that the first request finds a revision.
	for _, l := range listeners {
		e.order(func(f Front) error { return f.Listen(l.address, l.file) })
	}
	e.processes.TakenOver()
	e.when(e.settle(), func() {
		if e.front == f {
			f.announced = true
			e.emit(run.Event{Type: run.EventFrontStarted, PID: f.PID(), Attempt: f.attempt})
		}
	})
}

// frontUpdate takes in what a front says.
func (e *Engine) frontUpdate(attempt int, u run.FrontUpdate) {
	f := e.front
	if f == nil || f.attempt != attempt {
		return
	}
	switch {
	case u.Ended != nil:
		e.frontEnded(f, *u.Ended)
	case u.Connected != nil:
		if r, w := e.worker(*u.Connected); w != nil && w.alive() {
			e.connected(r, w)
		}
	case u.Hung != nil:
		if r, w := e.worker(*u.Hung); w != nil && w.alive() {
			w.killedFor = run.ReasonHung
			r.sup.Signal(w.id(), true)
		}
	case u.Left != nil:
		if r, w := e.worker(*u.Left); w != nil && w.alive() && w.leaving {
			e.dismiss(r, w)
		}
	case u.Probed != nil:
		if r := e.starting; r != nil && r.n == u.Probed.Revision {
			e.probed(r, *u.Probed)
		}
	case u.Switched > 0:
		if r := e.starting; r != nil && r.n == u.Switched && r.state == switching {
			e.switched(r)
		}
	case u.Drained > 0:
		if r := e.revisions[u.Drained]; r != nil && r.state == draining {
			e.retire(r)
		}
	}
}

// frontEnded starts another. Workers stay as they are, and connections wait in the listening socket.
func (e *Engine) frontEnded(f *front, end run.FrontEnd) {
	e.front = nil
	text := end.Text
	ev := run.Event{Type: run.EventFrontEnded, Attempt: f.attempt, Reason: run.ReasonExit, Exit: &end.Exit}
	if end.Signal != 0 {
		exit := 128 + end.Signal
		ev.Reason, ev.Exit = run.ReasonSignal, &exit
		if text == "" {
			text = fmt.Sprintf("ended by signal %d (%s)", end.Signal, syscall.Signal(end.Signal))
		}
	} else if text == "" {
		text = fmt.Sprintf("ended with exit status %d", end.Exit)
	}
	for _, n := range slices.Sorted(maps.Keys(e.revisions)) {
		r := e.revisions[n]
		switch r.state {
		case probing, doubting:
			r.state = connecting
		case draining:
			e.end(r, false) // what it was answering is lost
		default:
		}
		for _, w := range r.workers {
			if w.state == workerConnected {
				w.state = workerListening
			}
			if w.alive() && w.leaving {
				e.dismiss(r, w)
			}
		}
	}
	if e.ending != nil {
		e.endAll()
		return
	}
	if ev.Text = text; f.announced {
		e.emit(ev)
	}
	e.frontAgain(f, text)
}

// frontAgain starts a front in place of one that has ended.
func (e *Engine) frontAgain(f *front, text string) {
	delay := e.frontPace.next(e.now().Sub(f.begun))
	if e.frontPace.quick >= noteAfter {
		e.noteOnce(run.Event{
			Code: run.NoteFrontDies,
			Text: fmt.Sprintf("the front of the server ended %d times within seconds: %s", e.frontPace.quick, text),
			Hint: "See " + e.frontLog + " for its last words.",
		})
	}
	e.when(delay, e.startFront)
}

// pace says how soon something that has ended is started again: at once, unless it keeps ending.
type pace struct {
	most  time.Duration // between two starts
	quick int           // ends within seconds, one after the other
}

const (
	quickly        = 10 * time.Second       // how long something must live to count as living
	firstDelay     = 100 * time.Millisecond // after the second quick end
	maxWorkerDelay = 30 * time.Second       // of a worker, whose program may take long to load and be at fault
	maxFrontDelay  = time.Second            // of a front, which is ours
	noteAfter      = 5                      // quick ends
)

func (p *pace) next(lived time.Duration) time.Duration {
	if lived >= quickly {
		p.quick = 0
	}
	p.quick++
	if p.quick == 1 {
		return 0
	}
	return min(firstDelay<<min(p.quick-2, 20), p.most)
}
