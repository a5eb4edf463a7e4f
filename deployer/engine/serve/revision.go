package serve

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// state is where a revision is on its way.
type state int

// The states of a revision. One that is submitted goes through loading, connecting, probing, switching, answering,
// draining, ending and closing; one that answered before this monitor begins with reviving.
const (
	loading    state = iota // its top level is being executed
	connecting              // loaded; the front connects to its workers
	probing                 // all are connected; the front calls the function as a test
	doubting                // the front answered the test itself: that a worker was killed may be known soon
	losing                  // a worker ended during the test: what it was tried with may be known soon
	switching               // it passed; the front has the order to send it the requests
	reviving                // it has the requests again; its top level is being executed
	returning               // the same, loaded; the front connects to its workers
	answering               // it has the requests
	draining                // another one answers; it has requests left
	ending                  // its processes are being ended
	closing                 // they have ended, and its supervisor is being closed
)

// tested reports whether it has passed its test, or needs none.
func (s state) tested() bool { return s >= switching }

// over reports whether it gets no requests any more.
func (s state) over() bool { return s >= ending }

// version is what a revision is, as it was submitted.
type version struct {
	spec      run.Spec
	host      string   // the address that its spec has to listen on
	names     []string // by which the server may be called
	addresses bool     // it may also be called by any address
	loaderLog string   // where to find what its top level prints
	token     string   // sum of the token that callers must have; "": nobody is asked
}

// revision is one version of the function, with the processes that it has.
type revision struct {
	*version
	n       int
	sup     engine.Supervisor
	state   state
	begun   time.Time
	workers []*worker // all that there were; those from size on are too many
	size    int       // workers that are wanted
	places  int       // workers that fronts may call: more than size while none of the wanted ones answers

	broken    *run.Error // why the top level fails now, of one that had answered
	disrupted int        // workers that were killed from outside before it was ready
	tests     int        // that were begun
	tried     string     // what the test was made with; "" before it is known
	fails     func()     // while it is losing: why it fails
	listener  *listener  // it wants another address than the one before it; taken over when it answers
	answer    float64    // seconds that the test took
	example   string
	next      int // a newer revision that waits until this one answers
}

// revive starts the revision again that answered before us. It gets the requests at once: they wait for its workers.
func (e *Engine) revive(n int, announce bool) {
	r, err := e.load(n)
	if err != nil {
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonFolder, Text: err.Error()})
		e.finish(run.Failed, run.ReasonFolder, err.Error())
		return
	}
	r.state = answering
	r.answer, r.example = e.state.Server.Answer, e.state.Server.Example
	e.answering = r
	if announce {
		r.state = reviving
		e.emit(run.Event{Type: run.EventServerStarting, Revision: n})
	}
	e.introduce(r)
	e.order(func(f Front) error { return f.Switch(n) })
	e.startWorkers(r)
}

// begin starts a revision beside the one that answers.
func (e *Engine) begin(n int) {
	e.emit(run.Event{Type: run.EventServerStarting, Revision: n})
	r, err := e.load(n)
	if err != nil {
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonFolder, Text: err.Error()})
		e.orEnd(run.Failed, run.ReasonFolder, err.Error())
		return
	}
	e.starting = r
	if !e.listener.matches(r.version) {
		r.listener, err = e.sockets.Listen(r.version, 0)
		// The same port on another address can be had when the revision that answers gives it up: switchTo.
		later := errors.Is(err, syscall.EADDRINUSE) && r.spec.Server.Port == e.listener.port()
		if err != nil && !later {
			e.failPort(r, err)
			return
		}
	}
	e.introduce(r)
	e.startWorkers(r)
	e.after(slowLoad, func() {
		if e.starting == r && r.state == loading {
			e.noteOnce(run.Event{
				Revision: n, Code: run.NoteSlowLoad,
				Text: fmt.Sprintf(
					"the top level of revision %d has been running for %d s, and goes on", n, int(slowLoad.Seconds())),
				Hint: "See " + r.loaderLog + " for what it prints.",
			})
		}
	})
}

// load makes a revision of its folder. It has no processes yet.
func (e *Engine) load(n int) (*revision, error) {
	v, err := e.files.Version(n)
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", n, err)
	}
	sup, err := e.processes.Supervise(n, v)
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", n, err)
	}
	r := &revision{version: v, n: n, sup: sup, begun: e.now()}
	e.resize(r)
	r.places = r.size
	e.revisions[n] = r
	for _, known := range e.state.Server.WorkersOf(n) {
		if known.Index >= r.size { // of a monitor that was killed before it had said that it is one too many
			e.gone(r, known.Index)
		}
	}
	e.seen = max(e.seen, n)
	return r, nil
}

// introduce sends the front a revision.
func (e *Engine) introduce(r *revision) {
	known := run.FrontRevision{
		Number: r.n, Path: r.spec.Server.Path, Batch: r.spec.Server.Batch, Timeout: r.spec.RequestTimeout(),
		Workers: r.places, Hosts: r.names, Addresses: r.addresses, Origins: r.spec.Server.Origins,
		Token: r.token,
	}
	e.order(func(f Front) error { return f.Revision(known) })
}

// update takes in what the supervisor of revision n says.
func (e *Engine) update(n int, u run.Update) {
	r := e.revisions[n]
	if r == nil {
		return
	}
	switch {
	case u.Loaded != nil:
		e.loaded(r, *u.Loaded)
	case u.LoadFailed != nil:
		e.loadFailed(r, u.LoadFailed)
	case u.Note != nil:
		e.emit(run.Event{Type: run.EventNote, Revision: r.n, Code: u.Note.Code, Text: u.Note.Text, Hint: u.Note.Hint})
	default:
		_, w := e.worker(run.WorkerID{Revision: r.n, Index: u.ID.Trial, Attempt: u.ID.Number})
		if w != nil && w.alive() {
			e.workerUpdate(r, w, u)
		}
	}
}

// loaded takes in that the top level was executed. There is an event of it before the revision is ready, once.
func (e *Engine) loaded(r *revision, l run.Loaded) {
	r.broken = nil
	switch r.state {
	case loading:
		r.state = connecting
	case reviving:
		r.state = returning
	default:
		return
	}
	e.emit(run.Event{Type: run.EventLoaded, Revision: r.n, Seconds: l.Seconds, Fork: l.Fork, Causes: l.Causes})
}

// loadFailed takes in that the top level raises. The supervisor's attempts wait to be ended.
func (e *Engine) loadFailed(r *revision, err *run.Error) {
	if !r.state.tested() {
		e.fail(r, err.LoadReason(), err, "", "")
		return
	}
	r.broken = err
	for _, w := range r.workers {
		if w.state == workerStarting {
			r.sup.Signal(w.id(), true)
		}
	}
}

// connected takes in that a worker can be called. When all can, the revision is tested.
func (e *Engine) connected(r *revision, w *worker) {
	if !w.ready && w.announced {
		e.emit(w.event(run.EventWorkerReady, r))
	}
	w.state, w.ready = workerConnected, true
	e.release(r)
	e.proceed(r)
}

// proceed goes on with a revision of which all workers can be called.
func (e *Engine) proceed(r *revision) {
	if e.ending != nil {
		return
	}
	for _, w := range r.wanted() {
		if w.state != workerConnected || w.leaving {
			return
		}
	}
	switch r.state {
	case loading, connecting:
		r.state = probing
		r.tests++
		e.order(func(f Front) error { return f.Probe(r.n, r.spec.Server.Example) })
	case reviving, returning:
		r.state = answering
		e.ready(r)
	default:
	}
}

// ready says that a revision answers.
func (e *Engine) ready(r *revision) {
	e.emit(run.Event{
		Type: run.EventServerReady, Revision: r.n, Address: e.listener.url(r.spec.Server.Path),
		Seconds: e.now().Sub(r.begun).Seconds(), Answer: r.answer, Example: r.example,
	})
}

// switchTo has new requests go to a revision that has passed its test.
func (e *Engine) switchTo(r *revision) {
	if r.listener == nil && !e.listener.matches(r.version) {
		e.order(func(f Front) error { return f.Unlisten(e.listener.address) })
		e.sockets.CloseListener(e.listener)
		l, err := e.sockets.Listen(r.version, r.spec.Server.Port)
		if err != nil {
			e.listenAgain()
			e.failPort(r, err)
			return
		}
		e.listener = l
		e.order(func(f Front) error { return f.Listen(l.address, l.file) })
	}
	r.state = switching
	if l := r.listener; l != nil {
		e.order(func(f Front) error { return f.Listen(l.address, l.file) })
	}
	e.order(func(f Front) error { return f.Switch(r.n) })
}

// listenAgain listens where the server did, after that socket was given up for one that cannot be had.
func (e *Engine) listenAgain() {
	before := &version{host: e.listener.host(), spec: run.Spec{Server: &run.ServerSpec{Port: e.listener.port()}}}
	l, err := e.sockets.Listen(before, e.listener.port())
	if err != nil {
		e.listener = nil
		e.finish(run.Failed, run.ReasonPort, folder.PortError(err, before.host, before.spec.Server.Port).Text)
		return
	}
	e.listener = l
	e.order(func(f Front) error { return f.Listen(l.address, l.file) })
}

// switched takes in that requests go to the revision. The one before it answers what it has.
func (e *Engine) switched(r *revision) {
	old := e.answering
	e.answering, e.starting, r.state = r, nil, answering
	if r.listener != nil {
		e.order(func(f Front) error { return f.Unlisten(e.listener.address) })
		e.sockets.CloseListener(e.listener)
		e.listener, r.listener = r.listener, nil
	}
	e.ready(r)
	if old != nil {
		old.state = draining
		e.after(drainGrace, func() {
			if old.state == draining {
				e.retire(old)
			}
		})
	}
	if r.next > 0 {
		e.begin(r.next)
	}
}

// retire ends a revision that was replaced.
func (e *Engine) retire(r *revision) {
	e.order(func(f Front) error { return f.Retire(r.n) })
	e.end(r, false)
	e.files.RemoveEnvironment(r.n) // this revision is never started again
}

// fail gives a revision up: it never gets ready, or had answered and cannot be started again. The one before it goes
// on.
func (e *Engine) fail(r *revision, reason run.Reason, err *run.Error, text, hint string) {
	e.emit(run.Event{Type: run.EventServerFailed, Revision: r.n, Reason: reason, Error: err, Text: text, Hint: hint})
	e.forget(r)
	state := run.Failed
	if reason == run.ReasonStopped {
		state = run.Stopped
	}
	if text == "" && err != nil {
		text = err.LoadText()
	}
	e.orEnd(state, reason, text)
}

// failPort gives a revision up that cannot listen.
func (e *Engine) failPort(r *revision, err error) {
	refused := folder.PortError(err, r.host, r.spec.Server.Port)
	e.fail(r, run.ReasonPort, nil, refused.Text, refused.Hint)
}

// forget ends a revision that gets no requests.
func (e *Engine) forget(r *revision) {
	if e.starting == r {
		e.starting = nil
	}
	if e.answering == r {
		e.answering = nil
	}
	if r.listener != nil {
		e.sockets.CloseListener(r.listener)
		r.listener = nil
	}
	e.order(func(f Front) error { return f.Retire(r.n) })
	e.end(r, true)
}

// orEnd ends the server if no revision is left that answers or may come to.
func (e *Engine) orEnd(state run.Phase, reason run.Reason, text string) {
	if e.answering == nil && e.starting == nil {
		e.scan()
	}
	if e.answering == nil && e.starting == nil {
		e.finish(state, reason, text)
	}
}

// end ends the processes of a revision: after some time to end by themselves, or at once.
func (e *Engine) end(r *revision, kill bool) {
	if r.state == closing || r.state == ending && !kill {
		return
	}
	r.state = ending
	signal := func(kill bool) {
		for _, w := range r.workers {
			if w.alive() {
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
func (e *Engine) closeIfEmpty(r *revision) {
	for _, w := range r.workers {
		if w.alive() {
			return
		}
	}
	r.state = closing
	e.processes.CloseRevision(r.n)
}

// closed takes in that nothing is left of a revision.
func (e *Engine) closed(n int) { delete(e.revisions, n) }
