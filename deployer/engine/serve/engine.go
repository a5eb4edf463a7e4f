package serve

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

const (
	drainGrace   = 30 * time.Second // for requests that a replaced revision or a stopped server still has
	stopGrace    = 5 * time.Second  // beyond that, for a front to end
	workerGrace  = 10 * time.Second // for a worker that was signalled to end
	slowLoad     = time.Minute      // after which a note says that a revision still loads
	maxDisrupted = 3                // workers of a revision that is being started that may be killed from outside
)

// files is the server's folder, as far as the engine needs it.
type files interface {
	// Revisions lists those that were submitted, in their order.
	Revisions() []int
	// Version reads what revision n is.
	Version(n int) (*version, error)
	// LatestAttempt is the latest attempt of a worker of revision n; 0 is none.
	LatestAttempt(n, index int) int
	// Replicas is how many replicas were requested last, 0 being as many as the revisions say; ok is false where
	// nobody has.
	Replicas() (n int, ok bool)
	// Tail gives the last lines of a worker's log; "" is none.
	Tail(w run.WorkerID, lines int, size int64) string
	// AppendLog adds a line to a worker's log.
	AppendLog(w run.WorkerID, line string)
	// RemoveAttempt removes what an attempt of a worker wrote.
	RemoveAttempt(w run.WorkerID)
	// RemoveEnvironment removes the environment of a revision, which may hold secrets.
	RemoveEnvironment(n int)
	// Log writes to the monitor's own log.
	Log(err error)
}

// sockets are the addresses where connections are taken.
type sockets interface {
	// Listen makes the socket of a revision. before is the port where the server answered last, or 0.
	Listen(v *version, before int) (*listener, error)
	CloseListener(l *listener)
}

// processes are what serves: fronts and the supervisors of revisions.
type processes interface {
	// Supervise makes what runs the workers of revision n. What it says is handed to Engine.update.
	Supervise(n int, v *version) (engine.Supervisor, error)
	// CloseRevision closes the supervisor of revision n, whose workers have ended; Engine.closed is called after that.
	CloseRevision(n int)
	// StartFront starts a front that holds the listeners from its first moment on. What it says is handed to
	// Engine.frontUpdate, with the attempt.
	StartFront(attempt int, listeners []*listener) (Front, error)
	// TakenOver is called when a front has all its orders.
	TakenOver()
}

// Engine decides what happens in a server. It is a state machine without goroutines, files or clocks of its own: what
// happened is handed to its methods, what is to happen goes to files, sockets and processes at once, and commit writes
// the events after that. Time passes by calls of tick. It is not safe for concurrent use.
type Engine struct {
	*journal
	files     files
	sockets   sockets
	processes processes
	timers    []timer // by time

	revisions map[int]*revision // those that have processes
	answering *revision
	starting  *revision // beside it, or first
	seen      int       // the newest revision that was taken in
	listener  *listener // where requests come in
	front     *front
	frontPace pace
	frontLog  string          // where to find what fronts print
	noted     map[string]bool // notes that were given, which are not given again

	leaving bool       // clients are to go elsewhere
	stopNow bool       // the stop is not to wait for anything
	ending  *run.Event // how the server ends, once that is decided
}

func newEngine(j *journal, f files, s sockets, p processes) *Engine {
	return &Engine{
		journal: j, files: f, sockets: s, processes: p, revisions: map[int]*revision{}, noted: map[string]bool{},
		frontPace: pace{most: maxFrontDelay},
	}
}

// timer is a call that is due at a time.
type timer struct {
	at   time.Time
	call func()
}

// after calls f later, by tick.
func (e *Engine) after(d time.Duration, f func()) {
	at := e.now().Add(d)
	i, _ := slices.BinarySearchFunc(e.timers, at, func(t timer, at time.Time) int {
		if t.at.After(at) {
			return 1
		}
		return -1 // what was set before at the same time comes first
	})
	e.timers = slices.Insert(e.timers, i, timer{at, f})
}

// when calls f later, or now.
func (e *Engine) when(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	e.after(d, f)
}

// next is when tick has something to do; ok is false if time alone changes nothing.
func (e *Engine) next() (at time.Time, ok bool) {
	if len(e.timers) == 0 {
		return time.Time{}, false
	}
	return e.timers[0].at, true
}

// tick does what is due.
func (e *Engine) tick() {
	for now := e.now(); len(e.timers) > 0 && !e.timers[0].at.After(now); {
		call := e.timers[0].call
		e.timers = slices.Delete(e.timers, 0, 1)
		call()
	}
}

// listeners are the sockets that we hold.
func (e *Engine) listeners() []*listener {
	var all []*listener
	if e.listener != nil {
		all = append(all, e.listener)
	}
	for _, n := range slices.Sorted(maps.Keys(e.revisions)) {
		if l := e.revisions[n].listener; l != nil {
			all = append(all, l)
		}
	}
	return all
}

// open takes over from the monitors before. The revision that answered last is started again, and gets the requests at
// once; beside it one that has not failed and is newer. resumed says that the server had ended; inherited are the
// sockets of a front whose monitor died.
func (e *Engine) open(resumed bool, inherited []*listener) {
	s := e.state.Server
	if e.state.N == 0 {
		e.emit(run.Event{Type: run.EventSubmitted})
	}
	// Where no front has kept the socket nobody could answer, which is a start in the events.
	again, announce := s.Revision, s.Starting == s.Revision || resumed || len(inherited) == 0
	// Before the resumption, which readers take for a new start: what ends after it would be of no revision that they
	// know.
	for _, w := range slices.Clone(s.Workers) {
		if !w.Ended {
			e.emit(run.Event{
				Type: run.EventWorkerEnded, Revision: w.Revision, Worker: &w.Index, Attempt: w.Attempt,
				Reason: run.ReasonLost,
				Text:   "the process that watches over the server was killed, and the worker with it",
			})
		}
	}
	if resumed {
		e.emit(run.Event{Type: run.EventResumed})
	}
	e.takeReplicas()
	all := e.files.Revisions()
	if !slices.Contains(all, again) {
		again = 0
	}
	next := e.latest(all, max(again, failedRevision(s)))
	if again == 0 && next == 0 && len(all) > 0 {
		next = all[len(all)-1] // all have failed, and the server is to go on: the newest is tried once more
	}
	first := max(again, 1)
	if again == 0 {
		first = max(next, 1)
	}
	v, err := e.files.Version(first)
	if err != nil {
		e.finish(run.Failed, run.ReasonFolder, fmt.Sprintf("revision %d of the server cannot be read: %v", first, err))
		return
	}
	if err := e.listen(v, again > 0, inherited); err != nil {
		refused := folder.PortError(err, v.host, v.spec.Server.Port)
		e.emit(run.Event{
			Type: run.EventServerFailed, Revision: first, Reason: run.ReasonPort,
			Text: refused.Text, Hint: refused.Hint,
		})
		e.finish(run.Failed, run.ReasonPort, refused.Text)
		return
	}
	if again > 0 {
		e.revive(again, announce || e.listener.url(v.spec.Server.Path) != s.Address)
	}
	e.startFront()
	if next > 0 {
		e.begin(next)
	}
}

// listen makes or takes over the socket of the revision that is first to answer. answered says that it has before.
func (e *Engine) listen(v *version, answered bool, inherited []*listener) error {
	port := e.state.Server.Port()
	for _, l := range inherited {
		if e.listener == nil && (l.port() == port || port == 0 && l.matches(v)) {
			e.listener = l
		} else {
			e.sockets.CloseListener(l) // of a revision that did not answer yet
		}
	}
	if e.listener != nil && (answered || e.listener.matches(v)) {
		return nil
	}
	if e.listener != nil {
		e.sockets.CloseListener(e.listener)
	}
	var err error
	e.listener, err = e.sockets.Listen(v, port)
	return err
}

// latest is the newest revision after n; 0 is none. What was submitted between is given up.
func (e *Engine) latest(all []int, n int) int {
	after, _ := slices.BinarySearch(all, n+1)
	all = all[after:]
	if len(all) == 0 {
		return 0
	}
	newest := all[len(all)-1]
	e.seen = max(e.seen, newest)
	for _, skipped := range all[:len(all)-1] {
		e.emit(superseded(skipped, newest))
	}
	return newest
}

func superseded(revision, by int) run.Event {
	return run.Event{
		Type: run.EventServerFailed, Revision: revision, Reason: run.ReasonSuperseded,
		Text: fmt.Sprintf("revision %d was submitted before it was ready", by),
	}
}

func failedRevision(s *run.Server) int {
	if s.Failed == nil {
		return 0
	}
	return s.Failed.Revision
}

// scan takes in revisions that were submitted, and before that how many replicas were requested: a submission may have
// requested both.
func (e *Engine) scan() {
	if e.ending != nil {
		return
	}
	e.rescale()
	s := e.state.Server
	n := e.latest(e.files.Revisions(), max(e.seen, s.Revision, failedRevision(s)))
	if n == 0 {
		return
	}
	if r := e.starting; r != nil && r.state.tested() {
		// It has passed its test and is about to answer: that comes first.
		if r.next > 0 {
			e.emit(superseded(r.next, n))
		}
		r.next = n
		return
	} else if r != nil {
		e.emit(superseded(r.n, n))
		e.forget(r)
	}
	e.begin(n)
}

// stopRequest takes in a request to stop the server, or the start of a revision.
func (e *Engine) stopRequest(s folder.Stop) {
	switch {
	case s.Revision > 0:
		e.giveUp(s.Revision)
	case s.Trial == nil:
		e.stop(s.Now)
	}
}

// giveUp ends the start of a revision that is not wanted any more.
func (e *Engine) giveUp(n int) {
	e.scan()
	const text = "it was given up before it was ready"
	switch r := e.starting; {
	case r == nil:
	case r.n == n && !r.state.tested():
		e.fail(r, run.ReasonStopped, nil, text, "")
	case r.next == n:
		r.next = 0
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonStopped, Text: text})
	}
}

// leave has clients go elsewhere: each answer ends its connection from now on.
func (e *Engine) leave() {
	e.leaving = true
	e.order(Front.Leave)
}

// stop ends the server: nothing new is taken, what is there is answered.
func (e *Engine) stop(now bool) {
	if !e.state.StopAsked {
		e.emit(run.Event{Type: run.EventStopAsked})
	}
	e.stopNow = e.stopNow || now
	e.finish(run.Stopped, run.ReasonStopped, "")
	if e.stopNow {
		e.endAll()
	}
}

// finish begins the end of the server.
func (e *Engine) finish(state run.Phase, reason run.Reason, text string) {
	if e.ending != nil {
		return
	}
	e.ending = &run.Event{Type: run.EventEnded, State: state, Reason: reason, Text: text}
	for _, l := range e.listeners() {
		e.sockets.CloseListener(l)
	}
	e.listener = nil
	if r := e.starting; r != nil {
		e.starting, r.listener = nil, nil
		e.end(r, true)
	}
	if e.front == nil {
		e.endAll()
		return
	}
	f, grace := e.front, drainGrace
	if e.stopNow || state == run.Failed {
		grace = 0
	}
	e.order(func(f Front) error { return f.Stop(grace) })
	e.after(grace+stopGrace, func() {
		if e.front == f {
			f.Kill()
		}
	})
}

// endAll ends front and workers.
func (e *Engine) endAll() {
	if e.front != nil && e.stopNow {
		e.front.Kill()
	}
	for _, n := range slices.Sorted(maps.Keys(e.revisions)) {
		e.end(e.revisions[n], e.stopNow)
	}
}

// over reports whether nothing is left of a server that was to end, and says so.
func (e *Engine) over() bool {
	if e.ending == nil || len(e.revisions) > 0 || e.front != nil {
		return false
	}
	if e.ending.State == run.Stopped {
		for _, n := range e.files.Revisions() {
			e.files.RemoveEnvironment(n) // whoever resumes the server has an environment
		}
	}
	e.emit(*e.ending)
	return true
}

// noteOnce notes something, once for each revision.
func (e *Engine) noteOnce(n run.Event) {
	n.Type = run.EventNote
	key := fmt.Sprintf("%s of revision %d", n.Code, n.Revision)
	if !e.noted[key] {
		e.noted[key] = true
		e.emit(n)
	}
}
