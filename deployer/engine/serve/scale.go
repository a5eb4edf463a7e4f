package serve

import (
	"fmt"
	"slices"

	"github.com/metaml/metaml/deployer/run"
)

// rescale takes in how many replicas are wanted. Revisions that have processes get more or fewer at once; one that was
// replaced keeps what it has until it ends.
func (e *Engine) rescale() {
	if e.ending != nil || !e.takeReplicas() || e.state.Server.Replicas == 0 {
		return // they have as many as they say
	}
	for _, r := range []*revision{e.answering, e.starting} {
		if r != nil {
			if e.resize(r); r.places < r.size {
				r.places = r.size
				e.order(func(f Front) error { return f.Scale(r.n, r.size) })
			}
			e.startWorkers(r)
			e.release(r)
			e.proceed(r)
		}
	}
}

// takeReplicas reads how many replicas are wanted, and reports whether they were others before.
func (e *Engine) takeReplicas() bool {
	n, ok := e.files.Replicas()
	if !ok || n == e.state.Server.Replicas {
		return false
	}
	e.emit(run.Event{Type: run.EventServerScaled, Replicas: n})
	return true
}

// resize gives a revision places for as many workers as are wanted. What is too many is left to release.
func (e *Engine) resize(r *revision) {
	n := min(r.spec.WorkersOf(e.state.Server.Replicas), run.MaxWorkers)
	for i := len(r.workers); i < n; i++ {
		latest := e.files.LatestAttempt(r.n, i)
		r.workers = append(r.workers, &worker{index: i, attempt: latest, pace: pace{most: maxWorkerDelay}})
	}
	r.size = n
}

// wanted are the workers of a revision that are not too many.
func (r *revision) wanted() []*worker { return r.workers[:r.size] }

// release has workers that are too many answer what they have and end. Of a revision that has the requests they stay
// while none of those that remain can be called.
func (e *Engine) release(r *revision) {
	extra := r.workers[r.size:]
	may := func(w *worker) bool { return w.alive() && !w.leaving }
	does := func(w *worker) bool { return w.state == workerConnected && !w.leaving }
	if r.state.over() || r.state.tested() && slices.ContainsFunc(extra, may) && !slices.ContainsFunc(r.wanted(), does) {
		return
	}
	if r.places > r.size {
		r.places = r.size
		e.order(func(f Front) error { return f.Scale(r.n, r.size) })
	}
	for _, w := range extra {
		switch {
		case !w.alive():
			e.gone(r, w.index)
		case w.leaving:
		case e.front == nil || w.state < workerListening: // no front calls it
			w.leaving = true
			e.dismiss(r, w)
		default:
			w.leaving = true
			attempt := w.attempt
			e.after(max(drainGrace, r.spec.RequestTimeout()), func() {
				if w.attempt == attempt && w.alive() && !r.state.over() {
					e.dismiss(r, w)
				}
			})
		}
	}
}

// dismiss ends the process of a worker that is leaving.
func (e *Engine) dismiss(r *revision, w *worker) {
	if w.dismissed || r.state.over() {
		return
	}
	w.dismissed = true
	attempt := w.attempt
	r.sup.Signal(w.id(), false)
	e.after(workerGrace, func() {
		if w.attempt == attempt && w.alive() && !r.state.over() {
			r.sup.Signal(w.id(), true)
		}
	})
}

// workerLeft takes in the end of a worker that was too many. It is started again if it is wanted by now.
func (e *Engine) workerLeft(r *revision, w *worker) {
	e.gone(r, w.index)
	if (r.state == probing || r.state == doubting) && !w.dismissed {
		r.state = connecting // it may have had the test
	}
	w.pace.quick = 0
	e.startWorker(r, w)
	e.release(r)
	e.proceed(r)
}

// gone says that a worker is no more, and that none takes its place, to those who know of it.
func (e *Engine) gone(r *revision, index int) {
	known := e.state.Server.WorkersOf(r.n)
	i := slices.IndexFunc(known, func(w run.Worker) bool { return w.Index == index })
	if i < 0 {
		return
	}
	e.emit(run.Event{
		Type: run.EventWorkerEnded, Revision: r.n, Worker: &index, Attempt: known[i].Attempt, Reason: run.ReasonScaled,
		Text: fmt.Sprintf("the server was scaled to %d workers", r.size),
	})
}
