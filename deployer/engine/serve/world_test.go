package serve

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/engine/crash"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// fate is what becomes of a revision's own code, whoever starts it.
type fate string

const (
	good    fate = "good"
	raises  fate = "raises"  // its top level
	exits   fate = "exits"   // before it listens
	hangs   fate = "hangs"   // in its top level
	wrong   fate = "wrong"   // the function raises at the test
	crashes fate = "crashes" // at the test
)

var fates = []fate{good, good, good, good, raises, exits, hangs, wrong, crashes}

// mostWorkers is how many a revision has at most.
const mostWorkers = 4

// submitted is a revision as it lies in the server's folder.
type submitted struct {
	version
	fate    fate
	breaks  bool // its top level raises when it is started again after it has answered
	harmed  int  // deaths that were not its own doing, since it was started last
	latest  [mostWorkers]int
	tested  bool // a front has called it, with whatever result
	passed  bool // and it answered
	damaged bool // its folder cannot be read
	revoked bool // its start was given up, or a newer one was submitted
}

// world is everything around the engine, as data: the folder, the sockets, the processes, the clock. It survives
// monitors.
type world struct {
	rng   *rand.Rand
	disk  *crash.Disk
	clock time.Time
	err   error

	revisions []*submitted // revision n is at n-1
	stops     []folder.Stop
	replicas  int // that were requested last; 0 is none
	sups      map[int]*simSupervisor
	front     *simFront   // the process that takes requests
	fronts    int         // how often one was started
	orphan    *simFront   // it is replaced by the next monitor's front
	open      []*listener // of the monitor
	taken     bool        // another program has port 7001, and port 7000 of another address
	coming    []message   // for the engine, in order for each sender

	engine  *Engine
	good    int              // the revision that answered at the last commit
	fault   bool             // something died since
	stopped bool             // a stop was requested
	calm    bool             // nothing dies any more
	failure *run.CallFailure // of a test of a wrong revision
}

// message is one thing that the engine has not been sent yet.
type message struct {
	from string
	tell func(*Engine)
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *world) send(from string, tell func(*Engine)) {
	w.coming = append(w.coming, message{from, tell})
}

// deliver hands one message over. The order of messages of different senders is anybody's.
func (w *world) deliver(e *Engine) bool {
	if len(w.coming) == 0 {
		return false
	}
	i := w.rng.IntN(len(w.coming))
	i = slices.IndexFunc(w.coming, func(m message) bool { return m.from == w.coming[i].from })
	m := w.coming[i]
	w.coming = slices.Delete(w.coming, i, i+1)
	m.tell(e)
	return true
}

// submit adds a revision to the folder.
func (w *world) submit(f fate) {
	n := len(w.revisions) + 1
	r := &submitted{fate: f, breaks: !w.calm && w.rng.IntN(8) == 0}
	r.spec = run.Spec{
		Name: "serve-1", Kind: run.Serve, Completions: 1 + w.rng.IntN(3),
		Server: &run.ServerSpec{Revision: n, Path: "/p", Workers: 1},
	}
	r.spec.Server.Replicas = r.spec.Completions
	if w.rng.IntN(2) == 0 {
		r.spec.Server.Example = "1"
	}
	r.host = "127.0.0.1"
	switch w.rng.IntN(8) {
	case 0:
		r.spec.Server.Port = 7000 + w.rng.IntN(2)
	case 1:
		r.host, r.spec.Server.Port = "0.0.0.0", 7000
	}
	for _, old := range w.revisions {
		old.revoked = true
	}
	w.revisions = append(w.revisions, r)
}

func (w *world) Revisions() []int {
	var all []int
	for i := range w.revisions {
		all = append(all, i+1)
	}
	return all
}

func (w *world) Version(n int) (*version, error) {
	if n > len(w.revisions) || w.revisions[n-1].damaged {
		return nil, os.ErrNotExist
	}
	v := w.revisions[n-1].version
	return &v, nil
}

func (w *world) LatestAttempt(n, index int) int { return w.revisions[n-1].latest[index] }
func (w *world) Replicas() (int, bool)          { return w.replicas, w.replicas > 0 }

// workers is how many are wanted of revision n.
func (w *world) workers(n int) int { return w.revisions[n-1].spec.WorkersOf(w.replicas) }

func (w *world) Tail(run.WorkerID, int, int64) string { return "" }
func (w *world) AppendLog(run.WorkerID, string)       {}
func (w *world) RemoveAttempt(run.WorkerID)           {}
func (w *world) RemoveEnvironment(int)                {}
func (w *world) Log(error)                            {}
func (w *world) TakenOver()                           { w.orphan = nil }
func (w *world) Keep()                                {}
func (w *world) GiveUp()                              {}

func (w *world) Listen(v *version, before int) (*listener, error) {
	w.disk.Cut()
	free := func(port int) bool {
		if w.taken && (port == 7001 || port == 7000 && v.host == "0.0.0.0") {
			return false
		}
		all := slices.Clone(w.open)
		if w.orphan != nil {
			all = slices.AppendSeq(all, maps.Values(w.orphan.kept))
		}
		return !slices.ContainsFunc(all, func(l *listener) bool {
			return l.port() == port && (l.host() == v.host || l.host() == "0.0.0.0" || v.host == "0.0.0.0")
		})
	}
	port := v.spec.Server.Port
	if port != 0 && !free(port) {
		return nil, syscall.EADDRINUSE
	}
	if port == 0 && before != 0 && free(before) {
		port = before
	}
	for first := 20_000; port == 0; first++ {
		if free(first) {
			port = first
		}
	}
	l := &listener{address: net.JoinHostPort(v.host, strconv.Itoa(port))}
	w.open = append(w.open, l)
	return l, nil
}

func (w *world) CloseListener(l *listener) {
	if i := slices.Index(w.open, l); i >= 0 {
		w.open = slices.Delete(w.open, i, i+1)
	} else {
		w.fail("%s was closed twice", l.address)
	}
}

func (w *world) Supervise(n int, _ *version) (engine.Supervisor, error) {
	w.disk.Cut()
	if w.sups[n] != nil {
		w.fail("revision %d has two supervisors", n)
	}
	s := &simSupervisor{w: w, n: n, r: w.revisions[n-1], workers: make([]*simWorker, mostWorkers)}
	s.r.harmed = 0
	w.sups[n] = s
	return s, nil
}

func (w *world) CloseRevision(n int) {
	w.disk.Cut()
	s := w.sups[n]
	if s == nil || s.closing {
		w.fail("the supervisor of revision %d was closed twice", n)
		return
	}
	s.closing = true
	for _, p := range s.workers {
		if p != nil {
			w.fail("the supervisor of revision %d was closed while a worker runs", n)
		}
	}
	w.send(s.name(), func(e *Engine) {
		delete(w.sups, n)
		e.closed(n)
	})
}

func (w *world) StartFront(attempt int, listeners []*listener) (Front, error) {
	w.disk.Cut()
	if w.front != nil {
		w.fail("a second front was started")
	}
	if !w.calm && w.rng.IntN(20) == 0 {
		return nil, syscall.EAGAIN
	}
	w.fronts++
	w.front = &simFront{
		w: w, attempt: attempt, pid: w.fronts, known: map[int]map[int]run.FrontWorker{},
		connected: map[run.WorkerID]bool{}, places: map[int]int{},
		kept: map[string]*listener{}, listening: map[string]*listener{},
		ordered: intent{addresses: map[string]bool{}},
	}
	for _, l := range listeners {
		w.front.kept[l.address] = l
	}
	return w.front, nil
}

// simSupervisor runs the workers of a revision.
type simSupervisor struct {
	w       *world
	n       int
	r       *submitted
	loaded  bool
	broken  bool // the top level raised, and attempts wait to be ended
	workers []*simWorker
	dead    []*simWorker // of which the engine does not know yet
	closing bool
}

type simWorker struct {
	id       run.AttemptID
	pid      int
	started  bool
	ready    bool
	signaled bool // the engine ends it
	leaving  bool // it gets no more requests
	deaf     bool // it goes on when it is signalled to end
	hung     bool // a front reported that it does not answer
}

func (s *simSupervisor) name() string { return fmt.Sprint("revision ", s.n) }

func (s *simSupervisor) send(u run.Update) {
	s.w.send(s.name(), func(e *Engine) { e.update(s.n, u) })
}

func (s *simSupervisor) Start(a run.Attempt) {
	s.w.disk.Cut()
	if s.closing || s.workers[a.Trial] != nil {
		s.w.fail("worker %d of revision %d was started while it runs, or after its supervisor was closed", a.Trial, s.n)
	}
	if a.Number <= s.r.latest[a.Trial] {
		s.w.fail("attempt %d of worker %d of revision %d was started twice", a.Number, a.Trial, s.n)
	}
	if s.broken { // another loader
		s.loaded, s.broken = false, false
	}
	s.r.latest[a.Trial] = a.Number
	s.workers[a.Trial] = &simWorker{id: a.AttemptID, pid: 100 + a.Number, deaf: s.w.rng.IntN(4) == 0}
}

func (s *simSupervisor) Signal(id run.AttemptID, kill bool) {
	s.w.disk.Cut()
	p := s.workers[id.Trial]
	if p == nil || p.id != id {
		return
	}
	if p.hung {
		s.w.fault = true
	} else {
		p.signaled = true
	}
	if kill || !p.deaf {
		s.end(p, run.AttemptEnd{Signal: map[bool]int{true: 9, false: 15}[kill]})
	}
}

func (s *simSupervisor) Updates() <-chan run.Update { return nil }
func (s *simSupervisor) Close()                     {}

func (s *simSupervisor) end(p *simWorker, end run.AttemptEnd) {
	s.workers[p.id.Trial] = nil
	if s.w.front != nil {
		delete(s.w.front.connected, run.WorkerID{Revision: s.n, Index: p.id.Trial, Attempt: p.id.Number})
	}
	s.dead = append(s.dead, p)
	s.w.send(s.name(), func(e *Engine) {
		s.dead = slices.DeleteFunc(s.dead, func(dead *simWorker) bool { return dead == p })
		s.w.fault = s.w.fault || !p.signaled
		e.update(s.n, run.Update{ID: p.id, Ended: &end})
	})
}

// advance lets a worker get on.
func (s *simSupervisor) advance(p *simWorker) bool {
	again := s.r.breaks && s.r.passed
	switch {
	case p == nil || p.ready || s.broken || s.r.fate == hangs:
		return false
	case !s.loaded && (s.r.fate == raises || again):
		s.broken = true
		s.send(run.Update{LoadFailed: &run.Error{Type: "ValueError", Text: "no"}})
	case !s.loaded:
		s.loaded = true
		s.send(run.Update{Loaded: &run.Loaded{Seconds: 1, Fork: true}})
	case !p.started:
		p.started = true
		s.send(run.Update{ID: p.id, Started: &run.Started{PID: p.pid}})
	case s.r.fate == exits:
		s.end(p, run.AttemptEnd{Exit: 1})
	default:
		p.ready = true
		s.send(run.Update{ID: p.id, Ready: &run.Ready{Socket: "s"}})
	}
	return true
}

// intent is what a front has orders for, whether it has got to them or not.
type intent struct {
	current   int
	addresses map[string]bool
	over      bool
}

// simFront is a process that takes requests.
type simFront struct {
	w         *world
	attempt   int
	pid       int
	orders    []func() // that it has not read yet
	ordered   intent
	known     map[int]map[int]run.FrontWorker // revision → worker
	places    map[int]int                     // revision → how many workers may be known
	connected map[run.WorkerID]bool
	kept      map[string]*listener // for another monitor
	listening map[string]*listener // of them, where connections are taken
	current   int
	draining  []int
	probes    []int
	leaving   []run.WorkerID // that answer what they have
	stopping  bool
	ended     bool
}

func (f *simFront) order(o func()) error {
	f.w.disk.Cut()
	if f.ended {
		return syscall.EPIPE
	}
	f.orders = append(f.orders, o)
	return nil
}

func (f *simFront) say(u run.FrontUpdate) {
	attempt := f.attempt
	f.w.send(fmt.Sprint("front ", attempt), func(e *Engine) { e.frontUpdate(attempt, u) })
}

func (f *simFront) PID() int { return f.pid }

func (f *simFront) Listen(address string, _ *os.File) error {
	f.ordered.addresses[address] = true
	i := slices.IndexFunc(f.w.open, func(l *listener) bool { return l.address == address })
	if i < 0 {
		f.w.fail("the front is to listen on %s, which is closed", address)
		return nil
	}
	l := f.w.open[i]
	return f.order(func() { f.kept[address], f.listening[address] = l, l })
}

func (f *simFront) Unlisten(address string) error {
	delete(f.ordered.addresses, address)
	return f.order(func() {
		delete(f.kept, address)
		delete(f.listening, address)
	})
}

func (f *simFront) Revision(r run.FrontRevision) error {
	return f.order(func() {
		f.known[r.Number] = map[int]run.FrontWorker{}
		f.places[r.Number] = r.Workers
	})
}

func (f *simFront) Scale(n, workers int) error {
	for i := workers; i < mostWorkers; i++ {
		if p := f.w.process(n, i); p != nil {
			p.leaving = true
		}
	}
	return f.order(func() {
		known := f.known[n]
		if known == nil {
			return
		}
		f.places[n] = workers
		for i := workers; i < mostWorkers; i++ {
			if w, there := known[i]; there {
				delete(known, i)
				f.leaving = append(f.leaving, w.WorkerID)
			}
		}
	})
}

func (f *simFront) Worker(worker run.FrontWorker) error {
	return f.order(func() {
		if workers := f.known[worker.Revision]; workers != nil && worker.Index < f.places[worker.Revision] {
			workers[worker.Index] = worker
		}
	})
}

func (f *simFront) Probe(n int, _ string) error {
	return f.order(func() { f.probes = append(f.probes, n) })
}

// Switch is where a wrong version could come to answer.
func (f *simFront) Switch(n int) error {
	r, s := f.w.revisions[n-1], f.w.engine.state.Server
	before := s.Revision == n // it was ready at some time
	switch {
	case n < s.Revision || n < f.ordered.current:
		f.w.fail("requests go back from revision %d or %d to %d", s.Revision, f.ordered.current, n)
	case before:
	case r.passed:
	case !r.tested:
		f.w.fail("requests go to revision %d, which was not tested", n)
	case s.Revision != 0 || r.spec.Server.Example != "":
		f.w.fail("requests go to revision %d (%s), which did not pass its test", n, r.fate)
	}
	f.ordered.current = n
	return f.order(func() {
		if old := f.current; old != 0 && old != n {
			f.draining = append(f.draining, old)
		}
		f.current = n
		f.say(run.FrontUpdate{Switched: n})
	})
}

func (f *simFront) Retire(n int) error {
	if f.ordered.current == n {
		f.ordered.current = 0
	}
	return f.order(func() {
		delete(f.known, n)
		if f.current == n {
			f.current = 0
		}
	})
}

// Leave changes nothing here: it is about the connections of clients, of which there are none.
func (f *simFront) Leave() error { return f.order(func() {}) }

func (f *simFront) Stop(time.Duration) error {
	f.ordered.over = true
	return f.order(func() { f.stopping = true })
}

func (f *simFront) Kill() {
	f.w.disk.Cut()
	f.ordered.over = true
	f.end(run.FrontEnd{Signal: 9})
}

func (f *simFront) end(end run.FrontEnd) {
	if !f.ended {
		f.ended = true
		f.w.front = nil
		f.say(run.FrontUpdate{Ended: &end})
	}
}

// process is a worker's process; nil is none.
func (w *world) process(revision, index int) *simWorker {
	if s := w.sups[revision]; s != nil {
		return s.workers[index]
	}
	return nil
}

// advance lets the front do one thing.
func (f *simFront) advance() bool {
	if len(f.orders) > 0 {
		f.orders[0]()
		f.orders = f.orders[1:]
		return true
	}
	if f.stopping {
		f.end(run.FrontEnd{})
		return true
	}
	for _, n := range slices.Sorted(maps.Keys(f.known)) {
		for i := range f.places[n] {
			known, there := f.known[n][i]
			p := f.w.process(n, i)
			if !there || f.connected[known.WorkerID] || p == nil || p.id.Number != known.Attempt {
				continue
			}
			f.connected[known.WorkerID] = true
			id := known.WorkerID
			f.say(run.FrontUpdate{Connected: &id})
			return true
		}
	}
	if len(f.probes) > 0 {
		n := f.probes[0]
		f.probes = f.probes[1:]
		f.probe(n)
		return true
	}
	if len(f.leaving) > 0 {
		id := f.leaving[0]
		f.leaving = f.leaving[1:]
		f.say(run.FrontUpdate{Left: &id})
		return true
	}
	if len(f.draining) > 0 {
		n := f.draining[0]
		f.draining = f.draining[1:]
		if n != f.current {
			f.say(run.FrontUpdate{Drained: n})
		}
		return true
	}
	return false
}

func (f *simFront) probe(n int) {
	r, s := f.w.revisions[n-1], f.w.sups[n]
	p := run.Probed{Revision: n, Example: "1", Seconds: 0.1}
	var at *simWorker
	for i := range f.places[n] {
		p := f.w.process(n, i)
		if p != nil && f.connected[run.WorkerID{Revision: n, Index: i, Attempt: p.id.Number}] {
			at = p
		}
	}
	r.tested = true
	switch {
	case at == nil:
		p.Status, p.Error = 502, "the worker was lost"
	case r.fate == crashes:
		s.end(at, run.AttemptEnd{Signal: 11})
		p.Status, p.Error = 502, "the worker was lost"
	case r.fate == wrong:
		p.Status, p.Error, p.Failure = 500, "ValueError", f.w.failure
	default:
		r.passed = true
		p.Status = 200
	}
	f.say(run.FrontUpdate{Probed: &p})
}
