package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/engine/crash"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// A simulation is a server whose monitor is cut off again and again, in the middle of a write, between a write and what
// follows from it, between two orders; whose workers, loaders and fronts die at any moment; and to which revisions are
// submitted, some of which never get ready. Now and then the machine loses power and what was not synced. In the end
// nothing dies any more, and the server must come to rest. Everything follows from the seed.

const simulations = 10_000

func TestSimulationsKeepEveryPromise(t *testing.T) {
	t.Parallel()
	first, count := uint64(0), uint64(simulations)
	if seed, err := strconv.ParseUint(os.Getenv("SIMULATION_SEED"), 10, 64); err == nil {
		first, count = seed, 1
	}
	for seed := first; seed < first+count; seed++ {
		w := newWorld(seed)
		if err := w.simulate(); err != nil {
			t.Logf("the events:\n%s", w.disk.Data)
			t.Fatalf("seed %d (SIMULATION_SEED=%d repeats it): %v", seed, seed, err)
		}
	}
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 2))
	return &world{
		rng: rng, disk: &crash.Disk{Rand: rng, Left: -1}, clock: time.Unix(1e9, 0), sups: map[int]*simSupervisor{},
	}
}

func (w *world) simulate() error {
	rng := w.rng
	w.submit(fates[rng.IntN(len(fates))])
	lives := rng.IntN(6) // that are cut off
	resume, rebooted := false, false
	for life := 0; ; life++ {
		w.disk.Left = -1
		last := life >= lives
		if !last {
			w.disk.Left = rng.IntN(150)
		}
		over, err := w.live(resume, rebooted, last)
		if err == nil {
			err = w.err
		}
		if err != nil {
			return fmt.Errorf("life %d of %d: %w", life, lives, err)
		}
		if over && last && w.engine != nil {
			return w.check()
		}
		w.monitorDies()
		resume, rebooted = over, false // an ended server goes on when it is resumed
		if rng.IntN(8) == 0 {
			resume, rebooted = true, true
			w.disk.LosePower()
			w.front, w.orphan = nil, nil
		}
		if resume {
			w.stops, w.stopped = nil, false
		}
	}
}

// monitorDies takes everything away that dies with a monitor. Its front stays, to start the next one.
func (w *world) monitorDies() {
	clear(w.sups)
	w.open, w.coming, w.engine = nil, nil, nil
	if f := w.front; f != nil && !f.stopping && w.rng.IntN(4) > 0 {
		w.orphan = f
	}
	w.front = nil
}

// live is the life of one monitor. over says that it has seen the server's end.
func (w *world) live(resume, rebooted, last bool) (over bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != any(crash.ErrCut) {
				panic(r)
			}
		}
	}()
	spec := w.revisions[0].spec
	j := newJournal(spec, func() time.Time { return w.clock })
	if j.log, err = folder.OpenLog(w.disk, j.fold); err != nil {
		return false, err
	}
	ended := j.state.Phase.Final()
	if ended && !resume {
		return true, nil
	}
	j.sync, j.reserve = func() { _ = j.log.Sync() }, w
	e := newEngine(j, w, w, w)
	w.engine, w.good, w.fault = e, 0, false
	var inherited []*listener
	if w.orphan != nil {
		for _, address := range slices.Sorted(maps.Keys(w.orphan.kept)) {
			l := w.orphan.kept[address]
			w.open, inherited = append(w.open, l), append(inherited, l)
		}
		if len(inherited) == 0 {
			return false, errors.New("the front that is left has no socket: who connects is refused")
		}
	}
	e.open(resume && (ended || rebooted), inherited)
	for _, s := range w.stops {
		e.stopRequest(s)
	}
	steps := 400
	if last {
		steps = w.rng.IntN(100)
	}
	for range steps {
		if over, err := w.commit(e); over || err != nil {
			return over, err
		}
		w.step(e)
	}
	if last {
		return w.rest(e)
	}
	return false, nil
}

// commit writes, and compares what answers with what did. over says that the server has ended.
func (w *world) commit(e *Engine) (over bool, err error) {
	_ = e.commit() // what has no room waits
	if e.over() {
		w.disk.Full = false
		return true, e.last()
	}
	if w.err != nil {
		return false, w.err
	}
	good := w.answers()
	if w.good > 0 && good == 0 && !w.fault && !w.stopped {
		last := w.revisions[len(w.revisions)-1]
		return false,
			fmt.Errorf("revision %d does not answer any more, and nothing follows it; the newest is for %s:%d, "+
				"the front has %+v", w.good, last.host, last.spec.Server.Port, w.front)
	}
	w.good, w.fault = good, false
	serving := 0
	for _, r := range e.revisions {
		if r.state == answering || r.state == reviving || r.state == returning {
			serving++
			if r != e.answering {
				return false, fmt.Errorf("revision %d and another one answer", r.n)
			}
		}
	}
	if serving > 1 {
		return false, errors.New("two revisions answer")
	}
	return false, nil
}

// answers is the revision that answers when the front has carried out its orders; 0 is none.
func (w *world) answers() int {
	f := w.front
	if f == nil || f.ordered.over || f.ordered.current == 0 || len(f.ordered.addresses) == 0 {
		return 0
	}
	for address := range f.ordered.addresses {
		if !slices.ContainsFunc(w.open, func(l *listener) bool { return l.address == address }) {
			return 0
		}
	}
	s := w.sups[f.ordered.current]
	if s == nil {
		return 0
	}
	for _, p := range append(s.dead, s.workers...) {
		if p != nil && p.ready && !p.signaled && !p.leaving {
			return s.n
		}
	}
	return 0
}

// step lets one thing happen.
func (w *world) step(e *Engine) {
	switch n := w.rng.IntN(100); {
	case n < 35:
		w.deliver(e)
	case n < 45:
		w.deliver(e)
		w.deliver(e)
	case n < 80:
		w.advance()
	case n < 88:
		for _, s := range w.sups {
			if len(s.dead) > 0 {
				s.r.harmed += maxDisrupted + 1 // its test may be judged before the news of its death
			}
		}
		w.clock = w.clock.Add(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
		if at, ok := e.next(); ok && w.rng.IntN(2) == 0 && at.After(w.clock) {
			w.clock = at
		}
		e.tick()
	case n < 92:
		w.kill()
	case n < 95:
		if len(w.revisions) < 8 {
			w.submit(fates[w.rng.IntN(len(fates))])
		}
		e.scan()
	case n < 96 && w.rng.IntN(2) == 0:
		w.taken = !w.taken
	case n < 96:
		w.disk.Full = !w.disk.Full && w.rng.IntN(3) == 0
	case n < 97 && w.rng.IntN(4) == 0:
		w.ask(e, folder.Stop{Now: w.rng.IntN(3) == 0})
	case n < 98:
		w.scale(e)
	case n < 99:
		n := 1 + w.rng.IntN(len(w.revisions))
		w.revisions[n-1].revoked = true
		w.ask(e, folder.Stop{Revision: n})
	}
}

func (w *world) ask(e *Engine, s folder.Stop) {
	w.stops = append(w.stops, s)
	if s.Revision == 0 {
		w.stopped = true
	}
	e.stopRequest(s)
}

// scale requests another number of replicas.
func (w *world) scale(e *Engine) {
	w.replicas = 1 + w.rng.IntN(mostWorkers)
	w.disk.Cut() // the request is written, and the monitor may be killed before it reads it
	e.rescale()
}

// advance lets one process get on, if one can.
func (w *world) advance() bool {
	var able []func() bool
	for n := range len(w.revisions) {
		if s := w.sups[n+1]; s != nil {
			for _, p := range s.workers {
				able = append(able, func() bool { return s.advance(p) })
			}
		}
	}
	if f := w.front; f != nil {
		able = append(able, f.advance)
	}
	for _, i := range w.rng.Perm(len(able)) {
		if able[i]() {
			return true
		}
	}
	return false
}

// kill lets something die: a worker, in several ways, a loader with all its workers, a front.
func (w *world) kill() {
	w.fault = true
	what := w.rng.IntN(5)
	if f := w.front; f != nil && what == 0 {
		f.end(run.FrontEnd{Signal: 9})
		return
	}
	var with []*simSupervisor
	for n := range len(w.revisions) {
		if s := w.sups[n+1]; s != nil && slices.ContainsFunc(s.workers, func(p *simWorker) bool { return p != nil }) {
			with = append(with, s)
		}
	}
	if len(with) == 0 {
		return
	}
	s := with[w.rng.IntN(len(with))]
	if what == 1 { // the loader
		s.loaded, s.broken = false, false
		for _, p := range s.workers {
			if p != nil {
				s.r.harmed++
				s.end(p, run.AttemptEnd{Lost: true})
			}
		}
		return
	}
	for _, i := range w.rng.Perm(len(s.workers)) {
		p := s.workers[i]
		if p == nil {
			continue
		}
		switch what {
		case 2:
			s.r.harmed += maxDisrupted + 1 // no death from outside
			s.end(p, run.AttemptEnd{Signal: 11})
		case 3:
			if w.front != nil && p.ready {
				s.r.harmed += maxDisrupted + 1
				p.hung = true
				id := run.WorkerID{Revision: s.n, Index: i, Attempt: p.id.Number}
				w.front.say(run.FrontUpdate{Hung: &id})
			}
		default:
			s.r.harmed++
			s.end(p, run.AttemptEnd{Signal: 9})
		}
		return
	}
}

// rest lets a server come to rest to which nothing happens any more, compares it with what it must have become, and
// ends it.
func (w *world) rest(e *Engine) (over bool, err error) {
	w.calm, w.disk.Full, w.taken = true, false, false
	for range w.rng.IntN(4) {
		if w.submit(good); w.rng.IntN(2) == 0 {
			w.scale(e)
		}
		e.scan()
		for range w.rng.IntN(80) {
			if over, err := w.commit(e); over || err != nil {
				return over, err
			}
			if w.rng.IntN(2) == 0 || !w.deliver(e) {
				w.advance()
			}
		}
	}
	if over, err := w.settle(e); over || err != nil {
		return over, err
	}
	if err := w.compare(e); err != nil {
		return false, err
	}
	w.ask(e, folder.Stop{Now: w.rng.IntN(2) == 0})
	over, err = w.settle(e)
	if err == nil && !over {
		err = errors.New("the server does not end, which was requested")
	}
	return over, err
}

// settle goes on until nothing happens for some minutes.
func (w *world) settle(e *Engine) (over bool, err error) {
	quiet := w.clock
	for steps := 0; w.clock.Sub(quiet) < 5*time.Minute; steps++ {
		if steps > 20_000 {
			return false, errors.New("the engine does not come to rest")
		}
		if over, err := w.commit(e); over || err != nil {
			return over, err
		}
		switch busy := w.rng.IntN(2) == 0 && w.deliver(e) || w.advance() || w.deliver(e); {
		case busy:
			quiet = w.clock
		default:
			w.clock = w.clock.Add(time.Second)
			if at, ok := e.next(); ok && at.After(w.clock) && at.Sub(w.clock) < 5*time.Minute {
				w.clock = at
			}
			e.tick()
		}
	}
	return false, nil
}

// compare compares a server that is at rest with what it must have become.
func (w *world) compare(e *Engine) error {
	if w.stopped {
		return errors.New("the server does not end, which was requested")
	}
	if e.ending != nil {
		return errors.New("the server does not come to its end")
	}
	s, newest := e.state.Server, len(w.revisions)
	r := w.revisions[newest-1]
	able := r.fate == good && !r.breaks && !r.revoked && r.harmed <= maxDisrupted && r.spec.Server.Port == 0
	if able && s.Revision != newest {
		return fmt.Errorf("revision %d is good and does not answer: %d does; it failed: %+v", newest, s.Revision,
			s.Failed)
	}
	f := w.front
	if s.Revision > 0 && (f == nil || f.current != s.Revision || len(f.listening) != 1 || w.answers() != s.Revision) {
		return fmt.Errorf("revision %d is ready, and the front has %+v", s.Revision, f)
	}
	if s.Revision > 0 && !e.listener.matches(&w.revisions[s.Revision-1].version) {
		return fmt.Errorf("revision %d answers on %s", s.Revision, s.Address)
	}
	if s.Revision > 0 && (s.Starting == s.Revision || e.answering.state != answering) {
		return fmt.Errorf("revision %d answers, and readers see that it is started", s.Revision)
	}
	if s.Starting > 0 && w.revisions[s.Starting-1].fate != hangs {
		return fmt.Errorf("revision %d is started for ever", s.Starting)
	}
	for n, sup := range w.sups {
		if n != s.Revision && n != s.Starting {
			return fmt.Errorf("revision %d is left", n)
		}
		for i, p := range sup.workers {
			if runs, wanted := p != nil, w.workers(n); runs != (i < wanted) {
				return fmt.Errorf("worker %d of revision %d runs: %v, and %d are wanted", i, n, runs, wanted)
			}
		}
	}
	if ready, known := s.CountWorkers(s.Revision); s.Revision > 0 &&
		(ready != w.workers(s.Revision) || known != ready || f.places[s.Revision] != ready) {
		return fmt.Errorf("%d of %d workers of revision %d are ready, the front has places for %d, and %d are wanted",
			ready, known, s.Revision, f.places[s.Revision], w.workers(s.Revision))
	}
	wanted := 1
	if e.starting != nil && e.starting.listener != nil {
		wanted = 2
	}
	if len(w.open) != wanted {
		return fmt.Errorf("%d sockets are open", len(w.open))
	}
	return nil
}

// check reads the log of a server that has ended, as a stranger would.
func (w *world) check() error {
	if len(w.sups) > 0 || w.front != nil || len(w.open) > 0 {
		return fmt.Errorf("%d revisions, %d sockets and the front %v are left", len(w.sups), len(w.open), w.front)
	}
	if n := bytes.Count(w.disk.Data, []byte("\n")); n == 0 || w.disk.Data[len(w.disk.Data)-1] != '\n' {
		return errors.New("the log does not end with a line")
	}
	state := run.NewState(w.revisions[0].spec)
	r, err := folder.NewReader(w.disk, "")
	if err != nil {
		return err
	}
	started, ready, ended := map[run.WorkerID]int{}, map[run.WorkerID]int{}, map[run.WorkerID]int{}
	begun, answered, n := map[int]bool{}, 0, int64(0)
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
		if state.Phase.Final() && e.Type != run.EventResumed {
			return fmt.Errorf("event %d, %s, follows the end", n, e.Type)
		}
		if !state.Apply(e) {
			return fmt.Errorf("event %d is there twice", n)
		}
		id := run.WorkerID{Revision: e.Revision, Attempt: e.Attempt}
		if e.Worker != nil {
			id.Index = *e.Worker
		}
		switch e.Type {
		case run.EventServerStarting:
			begun[e.Revision] = true
		case run.EventServerReady:
			if !begun[e.Revision] || e.Revision < answered || e.Address == "" {
				return fmt.Errorf("event %d: revision %d is ready after %d, started: %v",
					n, e.Revision, answered, begun[e.Revision])
			}
			answered = e.Revision
		case run.EventWorkerStarted:
			started[id]++
		case run.EventWorkerReady:
			if ready[id]++; started[id] == 0 || ended[id] > 0 {
				return fmt.Errorf("event %d: %+v is ready before its start or after its end", n, id)
			}
		case run.EventWorkerEnded:
			if e.Reason != run.ReasonScaled { // else it may have ended before
				ended[id]++
			}
			if started[id] == 0 {
				return fmt.Errorf("event %d: %+v ended before its start", n, id)
			}
		}
	}
	for id, n := range started {
		if n > 1 || ready[id] > 1 || ended[id] > 1 {
			return fmt.Errorf("%+v was started %d times, ready %d and ended %d", id, n, ready[id], ended[id])
		}
	}
	if !state.Phase.Final() {
		return fmt.Errorf("the log says %s", state.Phase)
	}
	if diff := cmp.Diff(w.engine.state.Server, state.Server); diff != "" {
		return fmt.Errorf("the log is of another server (-engine +log):\n%s", diff)
	}
	return nil
}
