package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

const (
	lookEvery    = 2 * time.Second  // between two looks whether the folder is there
	drainGrace   = 30 * time.Second // for requests that a replaced revision or a stopped server still has
	stopGrace    = 5 * time.Second  // beyond that, for a front to end
	workerGrace  = 10 * time.Second // for a worker that was asked to end
	slowLoad     = time.Minute      // after which a note says that a revision still loads
	maxFrontLog  = 32 << 20         // bytes of front.log before it is begun anew
	closeGrace   = 5 * time.Second  // for a killed front to be gone
	maxDisrupted = 3                // workers of a revision that is being started that may be killed from outside
)

// engine decides what happens in a server. All of it belongs to the goroutine of run; what happens elsewhere is posted to it as a
// function.
type engine struct {
	*journal
	opts  Options
	inbox chan func()
	done  chan struct{} // closed when nobody takes from inbox any more
	group sync.WaitGroup

	revisions map[int]*revision // those that have processes
	answering *revision
	starting  *revision // beside it, or first
	seen      int       // the newest revision that was taken in
	listener  *listener // where requests come in
	bind      func(spec run.Spec, before int) (*listener, error)
	front     *front
	pace      pace // of fronts
	takenOver func()

	stops  int64      // offset of the stop requests that were read
	now    bool       // the stop is not to wait for anything
	ending *run.Event // how the server ends, once that is decided
}

func newEngine(o Options, j *journal) *engine {
	return &engine{
		journal: j, opts: o, inbox: make(chan func(), 256), done: make(chan struct{}), revisions: map[int]*revision{},
		takenOver: sync.OnceFunc(o.TakenOver), pace: pace{most: maxOurs},
	}
}

// post has the engine call f soon.
func (e *engine) post(f func()) {
	select {
	case e.inbox <- f:
	case <-e.done:
	}
}

// after has the engine call f later.
func (e *engine) after(d time.Duration, f func()) { time.AfterFunc(d, func() { e.post(f) }) }

// run is the life of the server, until it has ended or ctx has.
func (e *engine) run(ctx context.Context, resumed bool) error {
	e.bind = func(spec run.Spec, before int) (*listener, error) { return listen(ctx, spec, before) }
	defer e.close()
	watch, err := e.opts.Folder.WatchStops(filepath.Dir(string(e.opts.Folder.Revision(1))))
	if err != nil {
		return err
	}
	defer watch.Close()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	e.open(resumed)
	e.readStops()
	complained := false
	for {
		if err := e.commit(); err != nil && !complained {
			complained = true
			fmt.Fprintln(os.Stderr, err)
		}
		if e.over() {
			return e.last()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-e.inbox:
			f()
			e.drain()
		case <-watch.C:
			e.readStops()
			e.scan()
		case <-look.C:
			if e.opts.Folder.Gone() {
				return errDeleted
			}
			complained = false
			if e.full == nil {
				e.opts.Folder.KeepReserve() // it may have been taken
			}
			e.capFrontLog()
		}
	}
}

// drain takes in what else is there, so that it is written at once.
func (e *engine) drain() {
	for range cap(e.inbox) {
		select {
		case f := <-e.inbox:
			f()
		default:
			return
		}
	}
}

// close ends what is left.
func (e *engine) close() {
	close(e.done)
	if e.front != nil {
		// First of all, since it would start another monitor.
		e.front.Kill()
		select {
		case <-e.front.gone:
		case <-time.After(closeGrace):
		}
	}
	for _, r := range e.revisions {
		if !r.closing {
			e.group.Go(r.sup.Close)
		}
	}
	e.group.Wait()
	for _, l := range e.listeners() {
		l.close()
	}
}

// listeners are the sockets that we hold.
func (e *engine) listeners() []*listener {
	var all []*listener
	if e.listener != nil {
		all = append(all, e.listener)
	}
	for _, r := range e.revisions {
		if r.listener != nil {
			all = append(all, r.listener)
		}
	}
	return all
}

// open takes over from the monitors before. The revision that answered last is started again, and gets the requests at once; beside
// it one that has not failed and is newer. resumed says that the server had ended.
func (e *engine) open(resumed bool) {
	s := e.state.Server
	if e.state.N == 0 {
		e.emit(run.Event{Type: run.EventSubmitted})
	}
	// Where no front has kept the socket nobody could answer, which readers are told.
	again, announce := s.Revision, s.Starting == s.Revision || resumed || len(e.opts.Listeners) == 0
	if resumed {
		e.emit(run.Event{Type: run.EventResumed})
	}
	for _, w := range slices.Clone(s.Workers) {
		if !w.Ended {
			e.emit(run.Event{
				Type: run.EventWorkerEnded, Revision: w.Revision, Worker: &w.Index, Attempt: w.Attempt, Reason: run.ReasonLost,
				Text: "the process that watches over the server was killed, and the worker with it",
			})
		}
	}
	all := e.opts.Folder.Revisions()
	if !slices.Contains(all, again) {
		again = 0
	}
	next := e.latest(all, max(again, failedRevision(s)))
	if again == 0 && next == 0 && len(all) > 0 {
		next = all[len(all)-1] // all have failed; somebody wants it tried once more
	}
	first := max(again, 1)
	if again == 0 {
		first = max(next, 1)
	}
	spec, err := e.opts.Folder.Revision(first).ReadSpec()
	if err == nil && spec.Server == nil {
		err = errors.New("its run.json is not one of a server")
	}
	if err != nil {
		e.finish(run.Failed, run.ReasonFolder, fmt.Sprintf("revision %d of the server cannot be read: %v", first, err))
		return
	}
	if err := e.listen(spec, again > 0); err != nil {
		refused := folder.PortError(err, hostOf(spec), spec.Server.Port)
		e.emit(run.Event{Type: run.EventServerFailed, Revision: first, Reason: run.ReasonPort, Text: refused.Text, Hint: refused.Hint})
		e.finish(run.Failed, run.ReasonPort, refused.Text)
		return
	}
	if again > 0 {
		e.revive(again, announce || e.listener.url(spec.Server.Path) != s.Address)
	}
	e.startFront()
	if next > 0 {
		e.begin(next)
	}
}

// listen makes or takes over the socket of the revision that is first to answer.
func (e *engine) listen(spec run.Spec, answered bool) error {
	for _, file := range e.opts.Listeners {
		l, err := adopt(file)
		switch port := e.state.Server.Port(); {
		case err != nil:
			fmt.Fprintln(os.Stderr, err)
			_ = file.Close()
		case e.listener == nil && (l.port() == port || port == 0 && l.matches(spec)):
			e.listener = l
		default:
			l.close() // of a revision that did not answer yet
		}
	}
	if e.listener != nil && (answered || e.listener.matches(spec)) {
		return nil
	}
	if e.listener != nil {
		e.listener.close()
	}
	var err error
	e.listener, err = e.bind(spec, e.state.Server.Port())
	return err
}

// latest is the newest revision after n; 0 is none. What was submitted between is given up.
func (e *engine) latest(all []int, n int) int {
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

// scan takes in revisions that were submitted.
func (e *engine) scan() {
	if e.ending != nil {
		return
	}
	n := e.latest(e.opts.Folder.Revisions(), max(e.seen, e.state.Server.Revision, failedRevision(e.state.Server)))
	if n == 0 {
		return
	}
	if r := e.starting; r != nil && r.phase == starting {
		e.emit(superseded(r.n, n))
		e.forget(r)
	} else if r != nil {
		// It has passed its test and is about to answer: that comes first.
		if r.next > 0 {
			e.emit(superseded(r.next, n))
		}
		r.next = n
		return
	}
	e.begin(n)
}

func (e *engine) readStops() {
	stops, offset, err := e.opts.Folder.ReadStops(e.stops)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	e.stops = offset
	for _, s := range stops {
		switch {
		case s.Revision > 0:
			e.giveUp(s.Revision)
		case s.Trial == nil:
			e.stop(s.Now)
		}
	}
}

// giveUp ends the start of a revision that somebody does not want any more.
func (e *engine) giveUp(n int) {
	e.scan()
	const text = "it was given up before it was ready"
	switch r := e.starting; {
	case r == nil:
	case r.n == n && r.phase == starting:
		e.fail(r, run.ReasonStopped, nil, text, "")
	case r.next == n:
		r.next = 0
		e.emit(run.Event{Type: run.EventServerFailed, Revision: n, Reason: run.ReasonStopped, Text: text})
	}
}

// stop ends the server: nothing new is taken, what is there is answered.
func (e *engine) stop(now bool) {
	if !e.state.StopAsked {
		e.emit(run.Event{Type: run.EventStopAsked})
	}
	e.now = e.now || now
	e.finish(run.Stopped, run.ReasonStopped, "")
	if e.now {
		e.endAll()
	}
}

// finish begins the end of the server.
func (e *engine) finish(state run.Phase, reason run.Reason, text string) {
	if e.ending != nil {
		return
	}
	e.ending = &run.Event{Type: run.EventEnded, State: state, Reason: reason, Text: text}
	for _, l := range e.listeners() {
		l.close()
	}
	e.listener = nil
	if r := e.starting; r != nil {
		e.starting = nil
		r.listener = nil
		e.end(r, true)
	}
	if e.front == nil {
		e.endAll()
		return
	}
	f, grace := e.front, drainGrace
	if e.now || state == run.Failed {
		grace = 0
	}
	e.tell(func(f Front) error { return f.Stop(grace) })
	e.after(grace+stopGrace, func() {
		if e.front == f {
			f.Kill()
		}
	})
}

// endAll ends front and workers.
func (e *engine) endAll() {
	if e.front != nil && e.now {
		e.front.Kill()
	}
	for _, r := range e.revisions {
		e.end(r, e.now)
	}
}

// over reports whether nothing is left of a server that was to end, and says so.
func (e *engine) over() bool {
	if e.ending == nil || len(e.revisions) > 0 || e.front != nil {
		return false
	}
	if e.ending.State == run.Stopped {
		for _, n := range e.opts.Folder.Revisions() {
			_ = os.Remove(e.opts.Folder.Revision(n).EnvironmentFile()) // whoever resumes the server has an environment
		}
	}
	e.emit(*e.ending)
	return true
}

// capFrontLog begins the front's log anew when it has grown too long; what was in it is kept once.
func (e *engine) capFrontLog() {
	path := e.opts.Folder.FrontLog()
	info, err := os.Stat(path)
	if err != nil || info.Size() < maxFrontLog {
		return
	}
	data, err := os.ReadFile(path)
	if err == nil {
		_ = os.WriteFile(path+".1", data, 0o600)
		_ = os.Truncate(path, 0) // its writer appends
	}
}

// front is a process that takes requests.
type front struct {
	Front
	attempt int
	begun   time.Time
	told    bool
	gone    chan struct{} // closed when it has ended
}

// tell tells the front something, if there is one. One that cannot be told has ended, and the next is told all.
func (e *engine) tell(f func(Front) error) {
	if e.front != nil {
		_ = f(e.front.Front)
	}
}

// startFront starts a front and tells it all that it must know.
func (e *engine) startFront() {
	if e.ending != nil || e.front != nil {
		return
	}
	e.fronts++
	f := &front{attempt: e.fronts, begun: time.Now(), gone: make(chan struct{})}
	process, err := e.opts.StartFront(func(u run.FrontUpdate) {
		if u.Ended != nil {
			close(f.gone)
		}
		e.post(func() { e.frontSays(f, u) })
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		e.again(f, err.Error())
		return
	}
	f.Front = process
	e.front = f
	for _, n := range slices.Sorted(maps.Keys(e.revisions)) {
		r := e.revisions[n]
		if r.phase == ending {
			continue
		}
		e.introduce(r)
		for _, w := range r.workers {
			e.dial(r, w)
		}
	}
	switch {
	case e.starting != nil && e.starting.phase == switching:
		e.tell(func(f Front) error { return f.Switch(e.starting.n) })
	case e.answering != nil:
		e.tell(func(f Front) error { return f.Switch(e.answering.n) })
	}
	// Last, so that the first request finds a revision.
	for _, l := range e.listeners() {
		if l == e.listener || e.starting.phase == switching {
			e.tell(func(f Front) error { return f.Listen(l.address, l.file) })
		}
	}
	e.takenOver()
	e.when(e.settle(), func() {
		if e.front == f {
			f.told = true
			e.emit(run.Event{Type: run.EventFrontStarted, PID: f.PID(), Attempt: f.attempt})
		}
	})
}

// when calls f later, or now.
func (e *engine) when(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	e.after(d, f)
}

func (e *engine) frontSays(f *front, u run.FrontUpdate) {
	if e.front != f {
		return
	}
	switch {
	case u.Ended != nil:
		e.frontEnded(f, *u.Ended)
	case u.Connected != nil:
		if r, w := e.worker(*u.Connected); w != nil {
			e.connected(r, w)
		}
	case u.Hung != nil:
		if r, w := e.worker(*u.Hung); w != nil && w.alive {
			w.asked = run.ReasonHung
			r.sup.Signal(w.id(), true)
		}
	case u.Probed != nil:
		if r := e.starting; r != nil && r.n == u.Probed.Revision && r.probing && r.phase == starting {
			e.judge(r, *u.Probed)
		}
	case u.Switched > 0:
		if r := e.starting; r != nil && r.n == u.Switched && r.phase == switching {
			e.switched(r)
		}
	case u.Drained > 0:
		if r := e.revisions[u.Drained]; r != nil && r.phase == draining {
			e.retire(r)
		}
	}
}

// worker finds the attempt of a worker, if it is the one of now.
func (e *engine) worker(id run.WorkerID) (*revision, *worker) {
	r := e.revisions[id.Revision]
	if r == nil || id.Index < 0 || id.Index >= len(r.workers) || r.workers[id.Index].attempt != id.Attempt {
		return nil, nil
	}
	return r, r.workers[id.Index]
}

// frontEnded starts another. Workers stay as they are, and connections wait in the listening socket.
func (e *engine) frontEnded(f *front, end run.FrontEnd) {
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
	for _, r := range e.revisions {
		r.probing = false
		for _, w := range r.workers {
			w.connected = false
		}
		if r.phase == draining {
			e.end(r, false) // what it was answering is lost
		}
	}
	if e.ending != nil {
		e.endAll()
		return
	}
	if ev.Text = text; f.told {
		e.emit(ev)
	}
	e.again(f, text)
}

// again starts a front in place of one that has ended.
func (e *engine) again(f *front, text string) {
	delay := e.pace.next(time.Since(f.begun))
	if e.pace.complains() {
		e.emit(run.Event{
			Type: run.EventNote, Code: "front-dies", Text: fmt.Sprintf("the front of the server ended %d times within seconds: %s", e.pace.quick, text),
			Hint: "its last words are in " + e.opts.Folder.FrontLog(),
		})
	}
	e.when(delay, e.startFront)
}

// pace says how soon something that has ended is started again: at once, unless it keeps ending.
type pace struct {
	most  time.Duration // between two starts
	quick int           // ends within seconds, one after the other
	told  bool
}

const (
	quickly    = 10 * time.Second       // how long something must live to count as living
	firstDelay = 100 * time.Millisecond // after the second quick end
	maxDelay   = 30 * time.Second       // of a worker, whose program may take long to load and be at fault
	maxOurs    = time.Second            // of a front, which is ours
	complainAt = 5                      // quick ends
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

// complains reports, once, that it keeps ending.
func (p *pace) complains() bool {
	if p.told || p.quick < complainAt {
		return false
	}
	p.told = true
	return true
}
