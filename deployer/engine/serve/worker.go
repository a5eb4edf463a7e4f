package serve

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// workerState is where a worker is on its way.
type workerState int

// The states of a worker, in their order.
const (
	workerDown      workerState = iota // it has no process
	workerStarting                     // the supervisor has the order to start it
	workerRunning                      // its process runs
	workerListening                    // it waits for the front
	workerConnected                    // it can be called
)

// worker is a process that calls the function, and those before it.
type worker struct {
	index     int
	attempt   int
	state     workerState
	begun     time.Time
	pid       int
	socket    string     // where it listens
	ready     bool       // this attempt could be called at some time
	announced bool       // the event that it started is written
	leaving   bool       // it is one too many and gets no more requests; this attempt does not come back
	dismissed bool       // it was signalled to end, since it is one too many
	killedFor run.Reason // why we killed it, if we did
	pace      pace
}

func (w *worker) alive() bool { return w.state != workerDown }

func (w *worker) id() run.AttemptID { return run.AttemptID{Trial: w.index, Number: w.attempt} }

func (w *worker) of(r *revision) run.WorkerID {
	return run.WorkerID{Revision: r.n, Index: w.index, Attempt: w.attempt}
}

func (w *worker) event(kind string, r *revision) run.Event {
	index := w.index
	return run.Event{Type: kind, Revision: r.n, Worker: &index, Attempt: w.attempt}
}

// Of the attempts of a worker, so many folders are kept: the first, and the latest.
const (
	keptFirst = 3
	keptLast  = 20
)

// worker finds the attempt of a worker, if it is the one of now.
func (e *Engine) worker(id run.WorkerID) (*revision, *worker) {
	r := e.revisions[id.Revision]
	if r == nil || id.Index < 0 || id.Index >= len(r.workers) || r.workers[id.Index].attempt != id.Attempt {
		return nil, nil
	}
	return r, r.workers[id.Index]
}

// dial has the front connect to a worker that listens.
func (e *Engine) dial(r *revision, w *worker) {
	if w.state >= workerListening && w.index < r.places && !w.leaving {
		e.order(func(f Front) error {
			return f.Worker(run.FrontWorker{WorkerID: w.of(r), PID: w.pid, Socket: w.socket})
		})
	}
}

func (e *Engine) startWorkers(r *revision) {
	for _, w := range r.wanted() {
		e.startWorker(r, w)
	}
}

func (e *Engine) startWorker(r *revision, w *worker) {
	if r.state.over() || w.alive() || w.index >= r.size {
		return
	}
	*w = worker{index: w.index, attempt: w.attempt + 1, pace: w.pace, state: workerStarting, begun: e.now()}
	if old := w.attempt - keptLast; old > keptFirst {
		e.files.RemoveAttempt(run.WorkerID{Revision: r.n, Index: w.index, Attempt: old})
	}
	r.sup.Start(run.Attempt{AttemptID: w.id(), Seed: r.spec.TrialSeed(w.index), Slot: w.index})
}

// workerUpdate takes in what the supervisor says of a worker that is alive.
func (e *Engine) workerUpdate(r *revision, w *worker, u run.Update) {
	switch {
	case u.Started != nil:
		w.state, w.pid, r.broken = max(w.state, workerRunning), u.Started.PID, nil
		attempt := w.attempt
		e.when(e.settle(), func() {
			if w.attempt != attempt || !w.alive() || w.leaving {
				return
			}
			w.announced = true
			ev := w.event(run.EventWorkerStarted, r)
			ev.PID = w.pid
			e.emit(ev)
			if w.ready {
				e.emit(w.event(run.EventWorkerReady, r))
			}
		})
	case u.Ready != nil:
		w.state, w.socket = max(w.state, workerListening), u.Ready.Socket
		e.dial(r, w)
	case u.Ended != nil:
		w.state = workerDown
		e.workerEnded(r, w, u.Ended)
	}
}

// workerEnded starts a worker again, unless it is the revision's own fault that it never gets ready.
func (e *Engine) workerEnded(r *revision, w *worker, end *run.AttemptEnd) {
	if r.state == ending {
		e.closeIfEmpty(r)
		return
	}
	if w.leaving || w.index >= r.size {
		e.workerLeft(r, w)
		return
	}
	reason, text := end.Why("worker")
	how := end.How("worker")
	switch {
	case w.killedFor == run.ReasonHung:
		reason, text = run.ReasonHung, "it did not answer in time and was killed"
		how = "because " + text
	case r.broken != nil:
		reason, text = run.ReasonProgram, "the program's top level failed when it was started again"
		how = "because " + text
	}
	if w.announced {
		ev := w.event(run.EventWorkerEnded, r)
		ev.Reason, ev.Text, ev.Error = reason, text, end.Error
		if end.Signal != 0 {
			exit := 128 + end.Signal
			ev.Exit = &exit
		} else if !end.Lost && end.Internal == "" {
			ev.Exit = &end.Exit
		}
		e.emit(ev)
	}
	if !r.state.tested() {
		killed := end.Lost || syscall.Signal(end.Signal) == syscall.SIGKILL && w.killedFor == ""
		if !killed || r.disrupted >= maxDisrupted {
			e.lost(r, func() { e.failLost(r, w, end, reason, text) })
			return
		}
		r.disrupted++
		if r.state == probing || r.state == doubting {
			r.state = connecting
		}
	}
	if w.announced && how != "" {
		// Who got a 502 is sent to the worker's log, and the worker itself cannot say it.
		e.files.AppendLog(w.of(r), fmt.Sprintf("metaml: worker %d ended %s", w.index, how))
	}
	delay := w.pace.next(e.now().Sub(w.begun))
	switch {
	case r.broken == nil || w.pace.quick < noteAfter || r.anyConnected():
	case r.state == draining:
		e.retire(r)
		return
	default:
		e.fail(r, run.ReasonProgram, r.broken, "", "")
		return
	}
	if w.pace.quick >= noteAfter {
		e.noteOnce(run.Event{
			Revision: r.n, Code: run.NoteWorkerDies,
			Text: fmt.Sprintf("worker %d of revision %d ended %d times within seconds: %s",
				w.index, r.n, w.pace.quick, text),
			Hint: fmt.Sprintf("metaml logs %s shows what it printed. It is started again after up to %d s each time.",
				r.spec.Name, int(maxWorkerDelay.Seconds())),
		})
	}
	attempt := w.attempt
	e.when(delay, func() {
		if w.attempt == attempt {
			e.startWorker(r, w)
		}
	})
}

// failLost fails a revision because a worker ended before it was ready.
func (e *Engine) failLost(r *revision, w *worker, end *run.AttemptEnd, reason run.Reason, text string) {
	what, hint := fmt.Sprintf("worker %d ended before the revision was ready", w.index), ""
	if r.tried != "" {
		what, hint = fmt.Sprintf("worker %d ended while it answered %s", w.index, r.input(r.tried)), r.hint()
	}
	if text != "" {
		what += ": " + text
	}
	if end.Error == nil {
		what += e.lastLines(w.of(r))
	}
	e.fail(r, reason, end.Error, what, hint)
}

func (r *revision) anyConnected() bool {
	return slices.ContainsFunc(r.workers, func(w *worker) bool { return w.state == workerConnected })
}
