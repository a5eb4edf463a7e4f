package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// phase is where a revision is on its way.
type phase int

const (
	starting  phase = iota // its workers are started and tested
	switching              // the front was told to give it the requests
	answering              //
	draining               // another one answers; it has requests left
	ending                 // its processes are being ended
)

// revision is one version of the function, with the processes that it has.
type revision struct {
	n       int
	spec    run.Spec
	folder  folder.Run
	sup     Supervisor
	phase   phase
	begun   time.Time
	workers []*worker
	closing bool // nothing is alive, and the supervisor is being closed
	closed  chan struct{}

	loaded     bool       // its top level was executed
	broken     *run.Error // why the top level fails now, of one that had answered
	disrupted  int        // workers that were killed from outside before it was ready
	probing    bool
	doubted    bool      // the answer to its test was not the function's
	tried      string    // what that test was made with
	fails      func()    // why it fails, once it is known what a worker that ended was tried with
	listener   *listener // it wants another address than the one before it; taken over when it answers
	rebind     bool      // the same port on another address: bound when the one before it gives it up
	answer     float64
	example    string
	announce   bool // server.ready is told when all workers can be called
	next       int  // a newer revision that waits until this one answers
	complained bool
}

// worker is a process that calls the function, and those before it.
type worker struct {
	index     int
	attempt   int
	alive     bool
	begun     time.Time
	pid       int
	socket    string // where it listens; "" before that
	connected bool
	ready     bool // it could be called at some time
	told      bool // the event that it started is written
	asked     run.Reason
	pace      pace
}

func (w *worker) id() run.AttemptID { return run.AttemptID{Trial: w.index, Number: w.attempt} }

func (w *worker) event(kind string, r *revision) run.Event {
	index := w.index
	return run.Event{Type: kind, Revision: r.n, Worker: &index, Attempt: w.attempt}
}

// Of the attempts of a worker, so many folders are kept: the first, and the latest.
const (
	keptFirst = 3
	keptLast  = 20
)

// revive starts the revision again that answered before us. It gets the requests at once: they wait for its workers.
func (e *engine) revive(n int, announce bool) {
	r, err := e.load(n)
	if err != nil {
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonFolder, Text: err.Error()})
		e.finish(run.Failed, run.ReasonFolder, err.Error())
		return
	}
	r.phase, r.announce = answering, announce
	r.answer, r.example = e.state.Server.Answer, e.state.Server.Example
	e.answering = r
	if announce {
		e.emit(run.Event{Type: run.EventServerStarting, Revision: n})
	}
	e.introduce(r)
	e.tell(func(f Front) error { return f.Switch(n) })
	e.startWorkers(r)
}

// begin starts a revision beside the one that answers.
func (e *engine) begin(n int) {
	e.emit(run.Event{Type: run.EventServerStarting, Revision: n})
	r, err := e.load(n)
	if err != nil {
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonFolder, Text: err.Error()})
		e.orEnd(run.Failed, run.ReasonFolder, err.Error())
		return
	}
	e.starting = r
	if !e.listener.matches(r.spec) {
		r.listener, err = e.bind(r.spec, 0)
		r.rebind = errors.Is(err, syscall.EADDRINUSE) && r.spec.Server.Port == e.listener.port()
		if err != nil && !r.rebind {
			refused := folder.PortError(err, hostOf(r.spec), r.spec.Server.Port)
			e.fail(r, run.ReasonPort, nil, refused.Text, refused.Hint)
			return
		}
	}
	e.introduce(r)
	e.startWorkers(r)
	e.after(slowLoad, func() {
		if e.starting == r && !r.loaded {
			e.emit(run.Event{
				Type: run.EventNote, Revision: n, Code: "slow-load",
				Text: fmt.Sprintf("the top level of revision %d has been running for %d s, and goes on", n, int(slowLoad.Seconds())),
				Hint: "what it prints is in " + r.folder.Loader(),
			})
		}
	})
}

// load makes a revision of its folder. It has no processes yet.
func (e *engine) load(n int) (*revision, error) {
	f := e.opts.Folder.Revision(n)
	spec, err := f.ReadSpec()
	if err == nil && spec.Server == nil {
		err = errors.New("its run.json is not one of a server")
	}
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", n, err)
	}
	environ, err := f.ReadEnvironment()
	if errors.Is(err, os.ErrNotExist) {
		environ, err = os.Environ(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", n, err)
	}
	sup, err := e.opts.Supervise(Job{Spec: spec, Folder: f, Environ: environ})
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", n, err)
	}
	r := &revision{n: n, spec: spec, folder: f, sup: sup, begun: time.Now(), closed: make(chan struct{})}
	for i := range max(spec.Completions, 1) {
		r.workers = append(r.workers, &worker{index: i, attempt: f.LatestAttempt(i), pace: pace{most: maxDelay}})
	}
	e.revisions[n] = r
	e.seen = max(e.seen, n)
	e.group.Go(func() {
		for {
			select {
			case u := <-sup.Updates():
				e.post(func() { e.update(r, u) })
			case <-r.closed:
				return
			case <-e.done:
				return
			}
		}
	})
	return r, nil
}

// introduce tells the front of a revision.
func (e *engine) introduce(r *revision) {
	told := run.FrontRevision{
		Number: r.n, Path: r.spec.Server.Path, Batch: r.spec.Server.Batch, Timeout: r.spec.RequestTimeout(),
		Workers: len(r.workers), Origins: r.spec.Server.Origins,
	}
	told.Hosts, told.Addresses = names(r.spec)
	e.tell(func(f Front) error { return f.Revision(told) })
}

// dial tells the front of a worker that listens.
func (e *engine) dial(r *revision, w *worker) {
	if w.alive && w.socket != "" {
		e.tell(func(f Front) error {
			return f.Worker(run.FrontWorker{WorkerID: run.WorkerID{Revision: r.n, Index: w.index, Attempt: w.attempt}, PID: w.pid, Socket: w.socket})
		})
	}
}

func (e *engine) startWorkers(r *revision) {
	for _, w := range r.workers {
		e.startWorker(r, w)
	}
}

func (e *engine) startWorker(r *revision, w *worker) {
	if r.phase == ending || w.alive {
		return
	}
	*w = worker{index: w.index, attempt: w.attempt + 1, pace: w.pace, alive: true, begun: time.Now()}
	if old := w.attempt - keptLast; old > keptFirst {
		_ = os.RemoveAll(r.folder.Attempt(w.index, old))
	}
	r.sup.Start(run.Attempt{AttemptID: w.id(), Seed: r.spec.TrialSeed(w.index), Slot: w.index})
}

// update takes in what a supervisor says.
func (e *engine) update(r *revision, u run.Update) {
	switch {
	case u.Loaded != nil:
		if !r.loaded && (r.phase == starting || r.announce) {
			e.emit(run.Event{Type: run.EventLoaded, Revision: r.n, Seconds: u.Loaded.Seconds, Fork: u.Loaded.Fork, Causes: u.Loaded.Causes})
		}
		r.loaded, r.broken = true, nil
		return
	case u.LoadFailed != nil:
		e.loadFailed(r, u.LoadFailed)
		return
	case u.Note != nil:
		e.emit(run.Event{Type: run.EventNote, Revision: r.n, Code: u.Note.Code, Text: u.Note.Text, Hint: u.Note.Hint})
		return
	}
	_, w := e.worker(run.WorkerID{Revision: r.n, Index: u.ID.Trial, Attempt: u.ID.Number})
	if w == nil || !w.alive {
		return
	}
	switch {
	case u.Started != nil:
		w.pid, r.broken = u.Started.PID, nil
		attempt := w.attempt
		e.when(e.settle(), func() {
			if w.attempt != attempt || !w.alive {
				return
			}
			w.told = true
			ev := w.event(run.EventWorkerStarted, r)
			ev.PID = w.pid
			e.emit(ev)
			if w.ready {
				e.emit(w.event(run.EventWorkerReady, r))
			}
		})
	case u.Ready != nil:
		w.socket = u.Ready.Socket
		e.dial(r, w)
	case u.Ended != nil:
		w.alive, w.connected = false, false
		e.workerEnded(r, w, u.Ended)
	}
}

// loadFailed takes in that the top level raises. The supervisor's attempts wait to be ended.
func (e *engine) loadFailed(r *revision, err *run.Error) {
	if r.phase == starting {
		e.fail(r, run.ReasonProgram, err, "", "")
		return
	}
	r.broken = err
	for _, w := range r.workers {
		if w.alive && w.pid == 0 {
			r.sup.Signal(w.id(), true)
		}
	}
}

// connected takes in that a worker can be called. When all can, the revision is tested.
func (e *engine) connected(r *revision, w *worker) {
	if !w.ready && w.told {
		e.emit(w.event(run.EventWorkerReady, r))
	}
	w.connected, w.ready = true, true
	if e.ending != nil {
		return
	}
	for _, w := range r.workers {
		if !w.connected {
			return
		}
	}
	switch {
	case r.phase == starting && !r.probing:
		r.probing = true
		e.tell(func(f Front) error { return f.Probe(r.n, r.spec.Server.Example) })
	case r.phase == answering && r.announce:
		r.announce = false
		e.ready(r)
	}
}

// ready says that a revision answers.
func (e *engine) ready(r *revision) {
	e.emit(run.Event{
		Type: run.EventServerReady, Revision: r.n, Address: e.listener.url(r.spec.Server.Path), Seconds: time.Since(r.begun).Seconds(),
		Answer: r.answer, Example: r.example,
	})
}

// switchTo has new requests go to a revision that has passed its test.
func (e *engine) switchTo(r *revision) {
	if r.rebind {
		e.tell(func(f Front) error { return f.Unlisten(e.listener.address) })
		e.listener.close()
		l, err := e.bind(r.spec, r.spec.Server.Port)
		if err != nil {
			refused := folder.PortError(err, hostOf(r.spec), r.spec.Server.Port)
			e.fail(r, run.ReasonPort, nil, refused.Text, refused.Hint)
			return
		}
		e.listener, r.rebind = l, false
		e.tell(func(f Front) error { return f.Listen(l.address, l.file) })
	}
	r.phase = switching
	if l := r.listener; l != nil {
		e.tell(func(f Front) error { return f.Listen(l.address, l.file) })
	}
	e.tell(func(f Front) error { return f.Switch(r.n) })
}

// switched takes in that requests go to the revision. The one before it answers what it has.
func (e *engine) switched(r *revision) {
	old := e.answering
	e.answering, e.starting, r.phase = r, nil, answering
	if r.listener != nil {
		e.tell(func(f Front) error { return f.Unlisten(e.listener.address) })
		e.listener.close()
		e.listener, r.listener = r.listener, nil
	}
	e.ready(r)
	if old != nil {
		old.phase = draining
		e.after(drainGrace, func() {
			if old.phase == draining {
				e.retire(old)
			}
		})
	}
	if r.next > 0 {
		e.begin(r.next)
	}
}

// retire ends a revision that was replaced.
func (e *engine) retire(r *revision) {
	e.tell(func(f Front) error { return f.Retire(r.n) })
	e.end(r, false)
	_ = os.Remove(e.opts.Folder.Revision(r.n).EnvironmentFile()) // it may hold secrets, and this revision is never started again
}

// fail gives a revision up: it never gets ready, or had answered and cannot be started again. The one before it goes on.
func (e *engine) fail(r *revision, reason run.Reason, err *run.Error, text, hint string) {
	e.emit(run.Event{Type: run.EventServerFailed, Revision: r.n, Reason: reason, Error: err, Text: text, Hint: hint})
	e.forget(r)
	state := run.Failed
	if reason == run.ReasonStopped {
		state = run.Stopped
	}
	switch {
	case text != "" || err == nil:
	case err.Type == "Error" || err.Type == "Refused":
		text = err.Text // our own words
	default:
		text = fmt.Sprintf("the program's top level raised %s: %s", err.Type, err.Text)
	}
	e.orEnd(state, reason, text)
}

// forget ends a revision that gets no requests.
func (e *engine) forget(r *revision) {
	if e.starting == r {
		e.starting = nil
	}
	if e.answering == r {
		e.answering = nil
	}
	if r.listener != nil {
		r.listener.close()
		r.listener = nil
	}
	e.tell(func(f Front) error { return f.Retire(r.n) })
	e.end(r, true)
}

// orEnd ends the server if no revision is left that answers or may come to.
func (e *engine) orEnd(state run.Phase, reason run.Reason, text string) {
	if e.answering == nil && e.starting == nil {
		e.scan()
	}
	if e.answering == nil && e.starting == nil {
		e.finish(state, reason, text)
	}
}

// end ends the processes of a revision: with patience, or at once.
func (e *engine) end(r *revision, kill bool) {
	if r.phase == ending && !kill {
		return
	}
	r.phase = ending
	signal := func(kill bool) {
		for _, w := range r.workers {
			if w.alive {
				r.sup.Signal(w.id(), kill)
			}
		}
	}
	signal(kill)
	if !kill {
		e.after(workerGrace, func() { signal(true) })
	}
	e.closeIfEmpty(r)
}

// closeIfEmpty closes the supervisor of a revision whose workers have ended.
func (e *engine) closeIfEmpty(r *revision) {
	if r.phase != ending || r.closing {
		return
	}
	for _, w := range r.workers {
		if w.alive {
			return
		}
	}
	r.closing = true
	e.group.Go(func() {
		r.sup.Close()
		close(r.closed)
		e.post(func() { delete(e.revisions, r.n) })
	})
}

// workerEnded starts a worker again, unless it is the revision's own fault that it never gets ready.
func (e *engine) workerEnded(r *revision, w *worker, end *run.AttemptEnd) {
	if r.phase == ending {
		e.closeIfEmpty(r)
		return
	}
	reason, text := end.Why("worker")
	switch {
	case w.asked == run.ReasonHung:
		reason, text = run.ReasonHung, "it did not answer in time and was killed"
	case r.broken != nil:
		reason, text = run.ReasonProgram, "the program's top level failed when it was started again"
	}
	if w.told {
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
	if r.phase == starting {
		killed := end.Lost || syscall.Signal(end.Signal) == syscall.SIGKILL && w.asked == ""
		if !killed || r.disrupted >= maxDisrupted {
			e.lost(r, func() {
				what, hint := fmt.Sprintf("worker %d ended before the revision was ready", w.index), ""
				if r.tried != "" {
					what = fmt.Sprintf("worker %d ended while it answered %s", w.index, r.input(r.tried))
					hint = r.hint()
				}
				if text != "" {
					what += ": " + text
				}
				if end.Error == nil {
					what += e.lastLines(r, w)
				}
				e.fail(r, reason, end.Error, what, hint)
			})
			return
		}
		r.disrupted++
		r.probing, r.doubted = false, false
	}
	if w.told {
		r.logEnd(w, text)
	}
	delay := w.pace.next(time.Since(w.begun))
	switch {
	case r.broken == nil || w.pace.quick < complainAt || r.anyReady():
	case r.phase == draining:
		e.retire(r)
		return
	default:
		e.fail(r, run.ReasonProgram, r.broken, "", "")
		return
	}
	if w.pace.complains() && !r.complained {
		r.complained = true
		e.emit(run.Event{
			Type: run.EventNote, Revision: r.n, Code: "worker-dies",
			Text: fmt.Sprintf("worker %d of revision %d ended %d times within seconds: %s", w.index, r.n, w.pace.quick, text),
			Hint: fmt.Sprintf("metaml logs %s shows what it printed; it is started again after up to %d s each time", r.spec.Name, int(maxDelay.Seconds())),
		})
	}
	attempt := w.attempt
	e.when(delay, func() {
		if w.attempt == attempt {
			e.startWorker(r, w)
		}
	})
}

// stderr is the log of a worker, as this attempt of it writes it.
func (r *revision) stderr(w *worker) string {
	return filepath.Join(r.folder.Attempt(w.index, w.attempt), folder.Stderr)
}

// logEnd says in a worker's log how it ended: who got a 502 is sent there, and the worker itself cannot say it.
func (r *revision) logEnd(w *worker, text string) {
	if text == "" {
		return // it has told of an exception of its own
	}
	f, err := os.OpenFile(r.stderr(w), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	how, ended := strings.CutPrefix(text, "ended ")
	if !ended {
		how = "because " + text
	}
	_, err = fmt.Fprintf(f, "metaml: worker %d ended %s\n", w.index, how)
	if err = errors.Join(err, f.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (r *revision) anyReady() bool {
	for _, w := range r.workers {
		if w.connected {
			return true
		}
	}
	return false
}
