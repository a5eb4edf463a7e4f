package serve

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// bench is an engine in a world in which only that happens what a test says.
type bench struct {
	*world
	*Engine
	t *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{world: newWorld(1), t: t}
	b.calm = true
	return b
}

// openBench submits revisions with as many workers, and opens an engine.
func openBench(t *testing.T, workers int, fates ...fate) *bench {
	t.Helper()
	b := newBench(t)
	for _, f := range fates {
		b.add(f, workers, "127.0.0.1", 0)
	}
	b.take(false, false)
	return b
}

// add submits a revision with an example.
func (b *bench) add(f fate, workers int, host string, port int) {
	b.submit(f)
	r := b.world.revisions[len(b.world.revisions)-1]
	r.spec.Completions, r.spec.Server.Replicas, r.breaks, r.host = workers, workers, false, host
	r.spec.Server.Port, r.spec.Server.Example = port, "1"
}

// take has a new monitor take the server over.
func (b *bench) take(resumed, inherit bool) {
	b.t.Helper()
	j := newJournal(b.world.revisions[0].spec, func() time.Time { return b.clock })
	log, err := folder.OpenLog(b.disk, j.fold)
	if err != nil {
		b.t.Fatal(err)
	}
	j.log, j.sync, j.reserve = log, func() {}, b.world
	b.Engine = newEngine(j, b.world, b.world, b.world)
	b.engine = b.Engine
	var inherited []*listener
	if inherit {
		inherited = slices.Clone(b.world.open)
	}
	b.engine.open(resumed, inherited)
}

// run lets everything go on until nothing is left to do at this time.
func (b *bench) run() {
	b.t.Helper()
	for range 10_000 {
		if !b.deliver(b.engine) && !b.advance() {
			b.write()
			return
		}
	}
	b.t.Fatal("it goes on for ever")
}

func (b *bench) write() {
	b.t.Helper()
	if err := b.engine.commit(); err != nil {
		b.t.Fatal(err)
	}
	if b.err != nil {
		b.t.Fatal(b.err)
	}
}

// wait lets time pass.
func (b *bench) wait(d time.Duration) {
	b.clock = b.clock.Add(d)
	b.tick()
}

// process is a worker's process.
func (b *bench) process(revision, index int) *simWorker {
	b.t.Helper()
	p := b.world.process(revision, index)
	if p == nil {
		b.t.Fatalf("worker %d of revision %d does not run", index, revision)
	}
	return p
}

func (b *bench) kill(revision, index int) {
	b.t.Helper()
	b.sups[revision].end(b.process(revision, index), run.AttemptEnd{Signal: 9})
}

// events lists the events of some types, as "type revision".
func (b *bench) events(types ...string) string {
	b.t.Helper()
	var all []string
	if _, err := folder.OpenLog(b.disk, func(e run.Event) {
		if slices.Contains(types, e.Type) {
			all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %d %s", e.Type, e.Revision, e.Reason), " "))
		}
	}); err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

func (b *bench) expect(what, want string) {
	b.t.Helper()
	if what != want {
		b.t.Errorf("%s, want %s", what, want)
	}
}

// servers are the types of events about revisions.
var servers = []string{run.EventServerStarting, run.EventServerReady, run.EventServerFailed, run.EventEnded}

func TestARevisionThatNeverGetsReadyLeavesTheOneBeforeItAlone(t *testing.T) {
	t.Parallel()
	for f, want := range map[fate]string{
		good:    "server.ready 2",
		raises:  "server.failed 2 program",
		exits:   "server.failed 2 exit",
		wrong:   "server.failed 2 test",
		crashes: "server.failed 2 signal",
	} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			b := openBench(t, 2, good)
			b.run()
			b.add(f, 2, "127.0.0.1", 0)
			b.scan()
			b.run()
			b.wait(lostWait) // a test that a worker did not survive waits for the news of it
			b.run()
			b.expect(b.events(servers...), "server.starting 1, server.ready 1, server.starting 2, "+want)
			answers := 1
			if f == good {
				answers = 2
			}
			if got := b.answers(); got != answers {
				t.Errorf("revision %d answers", got)
			}
		})
	}
}

func TestATestThatTheFunctionFails(t *testing.T) {
	t.Parallel()
	mayBeInput := run.CallFailure{Text: "serve raised ValueError: too short", Error: run.Error{Type: "ValueError"}}
	fatal := run.CallFailure{
		Text: "serve raised NameError: name 'np' is not defined", Fatal: true, Error: run.Error{Type: "NameError"},
	}
	for _, test := range []struct {
		name    string
		failure run.CallFailure
		given   bool // the example, by whoever submitted it
		answers bool // another revision
		want    string
	}{
		{"the made example may be the cause, and nothing answers yet", mayBeInput, false, false, "server.ready"},
		{"no input can mend it", fatal, false, false, "server.failed"},
		{"a revision answers that would be replaced", mayBeInput, false, true, "server.failed"},
		{"the example was given", mayBeInput, true, false, "server.failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if test.answers {
				b.add(good, 1, "127.0.0.1", 0)
				b.take(false, false)
				b.run()
			}
			b.failure = &test.failure
			b.add(wrong, 1, "127.0.0.1", 0)
			n := len(b.world.revisions)
			if !test.given {
				b.world.revisions[n-1].spec.Server.Example = ""
			}
			if test.answers {
				b.scan()
			} else {
				b.take(false, false)
			}
			b.run()
			outcome := fmt.Sprint(test.want, " ", n)
			if test.want == "server.failed" {
				outcome += " test"
			}
			if got := b.events(servers...); !strings.HasSuffix(got, outcome) {
				t.Errorf("%s, want %s at last", got, outcome)
			}
			if noted := b.events(run.EventNote) != ""; noted != (test.want == "server.ready") {
				t.Errorf("noted: %v", noted)
			}
		})
	}
}

func TestARevisionWhoseFolderCannotBeReadFails(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	b.add(good, 1, "127.0.0.1", 0)
	b.world.revisions[1].damaged = true
	b.scan()
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1, server.starting 2, server.failed 2 folder")
	if b.answers() != 1 {
		t.Errorf("revision %d answers", b.answers())
	}
	// The next monitor cannot start the one that answered either.
	clear(b.sups)
	b.coming, b.world.front, b.world.open = nil, nil, nil
	b.world.revisions[0].damaged = true
	b.take(false, false)
	if !b.over() || b.ending.Reason != run.ReasonFolder {
		t.Errorf("it ends with %+v", b.ending)
	}
}

func TestAFirstRevisionThatNeverGetsReadyEndsTheServer(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, raises)
	b.run()
	if !b.over() {
		t.Fatal("it goes on")
	}
	if err := b.last(); err != nil {
		t.Fatal(err)
	}
	b.expect(b.events(servers...), "server.starting 1, server.failed 1 program, run.ended 0 program")
}

func TestANewerRevisionSupersedesOneThatIsStarting(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, hangs)
	b.run()
	b.add(good, 1, "127.0.0.1", 0)
	b.scan()
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.failed 1 superseded, server.starting 2, server.ready 2")
}

func TestANewerRevisionWaitsForOneThatIsSwitching(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	for b.starting.state != switching {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("it does not get ready")
		}
	}
	b.add(good, 1, "127.0.0.1", 0)
	b.scan()
	b.add(good, 1, "127.0.0.1", 0)
	b.scan()
	b.run()
	b.expect(b.events(servers...),
		"server.starting 1, server.failed 2 superseded, server.ready 1, server.starting 3, server.ready 3")
}

func TestAStartThatIsGivenUpLeavesTheRevisionBefore(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	b.add(hangs, 1, "127.0.0.1", 0)
	b.stopRequest(folder.Stop{Revision: 2})
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1, server.starting 2, server.failed 2 stopped")
	if b.answers() != 1 || len(b.sups) != 1 {
		t.Errorf("%d answers, %d have processes", b.answers(), len(b.sups))
	}
}

func TestAWorkerThatIsKilledBeforeItsRevisionIsReadyIsStartedThreeTimes(t *testing.T) {
	t.Parallel()
	for kills, want := range map[int]string{
		maxDisrupted:     "server.starting 1, server.ready 1",
		maxDisrupted + 1: "server.starting 1, server.failed 1 signal",
	} {
		t.Run(fmt.Sprint(kills), func(t *testing.T) {
			t.Parallel()
			b := openBench(t, 2, good)
			for range kills {
				b.wait(time.Second)
				b.kill(1, 1)
				for b.deliver(b.engine) {
				}
			}
			b.wait(time.Second)
			b.run()
			b.expect(b.events(servers...), want)
		})
	}
}

// probeOf brings a revision of two workers to where it is tested, and has a front answer that it lost the worker.
func probeOf(t *testing.T) *bench {
	t.Helper()
	b := openBench(t, 2, good)
	for b.starting.state != probing {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("it is not tested")
		}
	}
	b.world.front.orders = nil // the test is answered by this function
	b.frontUpdate(b.engine.front.attempt, run.FrontUpdate{Probed: &run.Probed{Revision: 1, Status: 502, Example: "1"}})
	if b.starting.state != doubting {
		t.Fatalf("state %d", b.starting.state)
	}
	return b
}

func TestATestWhoseWorkerWasKilledIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := probeOf(t)
	b.kill(1, 0)
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1")
}

func TestATestThatNoDeathExplainsFailsTheRevision(t *testing.T) {
	t.Parallel()
	b := probeOf(t)
	b.wait(lostWait)
	b.write()
	b.expect(b.events(servers...), "server.starting 1, server.failed 1 test")
}

// The worker was started again within the time that a test waits for the news of its death, and the second test takes
// longer.
func TestASecondTestIsNotJudgedByTheAnswerToTheFirst(t *testing.T) {
	t.Parallel()
	b := probeOf(t)
	b.kill(1, 0)
	for b.starting.state != probing {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("it is not tested again")
		}
	}
	b.wait(lostWait)
	b.wait(lostWait)
	b.write()
	b.expect(b.events(servers...), "server.starting 1")
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1")
}

// The front's news of a connection may come after that of the worker's death.
func TestAConnectionToADeadWorkerDoesNotCount(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	front := b.engine.front.attempt
	id := run.WorkerID{Revision: 1, Attempt: 1}
	b.update(1, run.Update{Loaded: &run.Loaded{}})
	b.update(1, run.Update{ID: run.AttemptID{Number: 1}, Started: &run.Started{PID: 1}})
	b.update(1, run.Update{ID: run.AttemptID{Number: 1}, Ready: &run.Ready{Socket: "s"}})
	b.sups[1].workers[0] = nil
	b.starting.workers[0].pace.quick = 1 // so that it is started again in a moment, not at once
	b.update(1, run.Update{ID: run.AttemptID{Number: 1}, Ended: &run.AttemptEnd{Signal: 9}})
	b.frontUpdate(front, run.FrontUpdate{Connected: &id})
	if b.starting.state != connecting {
		t.Errorf("state %d: a dead worker is tested", b.starting.state)
	}
	b.wait(time.Second)
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1")
}

func TestASocketThatCannotBeHadLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, host string
		port       int
		want       string
	}{
		{"another port", "127.0.0.1", 7001, "server.failed 2 port"},
		{"the same port on all addresses, once the one before is given up", "0.0.0.0", 7000, "server.failed 2 port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.add(good, 1, "127.0.0.1", 7000)
			b.take(false, false)
			b.run()
			b.taken = true
			b.add(good, 1, test.host, test.port)
			b.scan()
			b.run()
			b.expect(b.events(servers...), "server.starting 1, server.ready 1, server.starting 2, "+test.want)
			_, listens := b.world.front.listening["127.0.0.1:7000"]
			if !listens || b.answers() != 1 || len(b.world.open) != 1 {
				t.Errorf("%d answers at %v", b.answers(), b.world.front.listening)
			}
		})
	}
}

func TestARevisionThatWantsAnotherAddressListensThereBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	before := b.listener.address
	b.add(good, 1, "127.0.0.1", 7001)
	b.scan()
	for b.starting.state != switching {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("it does not get ready")
		}
	}
	if to := b.world.front.ordered.addresses; !to[before] || !to["127.0.0.1:7001"] {
		t.Errorf("before the switch the front listens at %v", to)
	}
	b.run()
	if to := b.world.front.ordered.addresses; to[before] || !to["127.0.0.1:7001"] || len(b.world.open) != 1 {
		t.Errorf("after the switch the front listens at %v", to)
	}
}

func TestAFrontThatIsStartedAgainIsToldEverythingSocketsLast(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	address := b.listener.address
	b.world.front.end(run.FrontEnd{Signal: 9})
	b.deliver(b.engine)
	for _, w := range b.answering.workers {
		if w.state != workerListening {
			t.Errorf("worker %d is in state %d while no front is connected to it", w.index, w.state)
		}
	}
	f := b.world.front
	if f == nil || f.ordered.current != 1 || !f.ordered.addresses[address] {
		t.Fatalf("the next front has %+v", f)
	}
	for i := range f.orders {
		if f.advance(); len(f.listening) > 0 && i < 4 {
			t.Errorf("it listens after %d of its orders", i+1)
		}
	}
	b.run()
	b.expect(b.events(servers...), "server.starting 1, server.ready 1")
	b.expect(b.events(run.EventFrontStarted, run.EventFrontEnded),
		"front.started 0, front.ended 0 signal, front.started 0")
}

func TestASocketThatIsInheritedIsKeptForTheSameAddressAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		answered bool
		port     int
		want     string
	}{
		{"of a server that answered", true, 0, "127.0.0.1:20000"},
		{"of one that never did, with an address that fits", false, 0, "127.0.0.1:20000"},
		{"of one that never did, and wants another port", false, 7001, "127.0.0.1:7001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := openBench(t, 1, map[bool]fate{true: good, false: hangs}[test.answered])
			b.run()
			if test.port > 0 {
				b.add(good, 1, "127.0.0.1", test.port)
			}
			clear(b.sups)
			b.coming, b.world.front = nil, nil
			b.take(false, true)
			if b.listener.address != test.want || len(b.world.open) != 1 {
				t.Errorf("it listens at %s, with %d sockets", b.listener.address, len(b.world.open))
			}
		})
	}
}

// Readers take a resumption for a new start: what would end after it would be of no revision that they know.
func TestWorkersThatAResumedServerLostAreToldOnce(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	for b.starting.state != connecting || b.events(run.EventWorkerStarted) == "" {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("no worker is started")
		}
		b.write()
	}
	for range 2 { // two restarts of the machine
		clear(b.sups)
		b.coming, b.world.front, b.world.open = nil, nil, nil
		b.take(true, false)
		b.write()
	}
	b.expect(b.events(run.EventWorkerStarted, run.EventWorkerEnded), "worker.started 1, worker.ended 1 lost")
}

func TestAStopAnswersWhatIsThereAndThenEndsWhatGoesOn(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	b.process(1, 0).deaf = true
	b.stopRequest(folder.Stop{})
	if len(b.world.open) > 0 || !b.world.front.ordered.over || b.sups[1].workers[0] == nil {
		t.Errorf("%d sockets are open, the front is %+v", len(b.world.open), b.world.front)
	}
	f := b.world.front
	f.orders = nil // it does not end by itself
	b.wait(drainGrace)
	if f.ended {
		t.Error("the front had no time to end")
	}
	b.wait(stopGrace)
	for b.deliver(b.engine) {
	}
	if !f.ended || b.sups[1].workers[0] == nil {
		t.Errorf("the front has ended: %v; the worker has not: %v", f.ended, b.sups[1].workers[0] != nil)
	}
	b.wait(workerGrace)
	for b.deliver(b.engine) {
	}
	if !b.over() {
		t.Error("the server goes on")
	}
}

func TestARevisionThatWasReplacedHasThirtySeconds(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	b.add(good, 1, "127.0.0.1", 0)
	b.scan()
	for b.answering.n == 1 {
		if !b.deliver(b.engine) && !b.advance() {
			t.Fatal("it does not get ready")
		}
	}
	b.world.front.draining = nil // a request takes long
	b.wait(drainGrace - time.Second)
	if b.engine.revisions[1].state != draining || b.sups[1].workers[0] == nil {
		t.Error("it was ended before its time")
	}
	b.process(1, 0).deaf = false
	b.wait(time.Second)
	b.run()
	if b.engine.revisions[1] != nil {
		t.Error("it is left")
	}
}

func TestAWorkerThatKeepsDyingIsNotedOnce(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	for range 3 * noteAfter {
		for i := range 2 {
			b.kill(1, i)
			for b.deliver(b.engine) {
			}
		}
		b.wait(maxWorkerDelay)
		b.clock = b.clock.Add(-maxWorkerDelay + time.Second) // as if each died soon after its start
		for i := range 2 {
			b.answering.workers[i].begun = b.clock
		}
	}
	b.run()
	b.expect(b.events(run.EventNote), "note 1")
	b.expect(b.events(servers...), "server.starting 1, server.ready 1")
}

func TestARevisionThatAnsweredAndCannotLoadAgainFails(t *testing.T) {
	t.Parallel()
	b := openBench(t, 1, good)
	b.run()
	b.world.revisions[0].breaks = true
	b.sups[1].loaded = false
	b.kill(1, 0)
	for range 2 * noteAfter {
		b.run()
		b.wait(time.Second)
		if b.over() {
			break
		}
	}
	if err := b.last(); err != nil {
		t.Fatal(err)
	}
	b.expect(b.events(servers...), "server.starting 1, server.ready 1, server.failed 1 program, run.ended 0 program")
}

func TestWhatKeepsEndingIsStartedEverMoreSlowly(t *testing.T) {
	t.Parallel()
	p := pace{most: maxWorkerDelay}
	for i, want := range []int64{0, 100, 200, 400, 800, 1600} {
		if got := p.next(time.Second); got.Milliseconds() != want {
			t.Errorf("end %d: %v", i+1, got)
		}
	}
	for range 100 {
		p.next(time.Second)
	}
	if got := p.next(time.Second); got != maxWorkerDelay {
		t.Errorf("in the end %v", got)
	}
	if got := p.next(quickly); got != 0 {
		t.Errorf("after a good while %v", got)
	}
}

// scaleTo requests so many replicas.
func (b *bench) scaleTo(n int) {
	b.replicas = n
	b.rescale()
}

// expectWorkers fails the test if the revision that answers has others than so many workers, or readers see others.
func (b *bench) expectWorkers(n int) {
	b.t.Helper()
	running := 0
	for _, p := range b.sups[b.answering.n].workers {
		if p != nil {
			running++
		}
	}
	ready, known := b.state.Server.CountWorkers(b.answering.n)
	if running != n || ready != n || known != n {
		b.t.Errorf("%d workers run, and %d of %d are ready, want %d", running, ready, known, n)
	}
}

func TestAServerIsScaled(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	for _, n := range []int{4, 1, 3} {
		b.scaleTo(n)
		b.run()
		b.wait(workerGrace) // some go on when they are signalled to end
		b.run()
		b.expectWorkers(n)
	}
	b.expect(b.events(append(servers, run.EventServerScaled)...),
		"server.starting 1, server.ready 1, server.scaled 0, server.scaled 0, server.scaled 0")
	if b.state.Server.Restarts != 0 || b.state.Server.Replicas != 3 {
		t.Errorf("%+v", b.state.Server)
	}
	// Another monitor, and another revision, have as many.
	clear(b.sups)
	b.coming, b.world.front = nil, nil
	b.take(false, true)
	b.run()
	b.expectWorkers(3)
	b.add(good, 1, "127.0.0.1", 0)
	b.scan()
	b.run()
	if b.answers() != 2 {
		t.Errorf("revision %d answers", b.answers())
	}
	b.expectWorkers(3)
}

func TestAWorkerThatLeavesIsEndedWhenItHasAnswered(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	for i := range 2 {
		b.process(1, i).deaf = false
	}
	b.scaleTo(1)
	for len(b.world.front.orders) > 0 {
		b.advance()
	}
	b.world.front.leaving = nil // it answers something
	b.wait(drainGrace - time.Second)
	b.run()
	b.process(1, 1)
	// It is wanted again, and as another attempt: a front does not call one again that has left.
	b.scaleTo(2)
	b.frontUpdate(b.engine.front.attempt, run.FrontUpdate{Left: &run.WorkerID{Revision: 1, Index: 1, Attempt: 1}})
	b.run()
	b.expectWorkers(2)
	if p := b.process(1, 1); p.id.Number != 2 {
		t.Errorf("attempt %d", p.id.Number)
	}
	// Where the front does not say that it has answered, it has as long as a revision that was replaced.
	b.scaleTo(1)
	for len(b.world.front.orders) > 0 {
		b.advance()
	}
	b.world.front.leaving = nil
	b.process(1, 1).deaf = false
	b.wait(drainGrace)
	b.run()
	b.expectWorkers(1)
}

func TestTheLastWorkerThatAnswersStaysUntilAnotherDoes(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	b.kill(1, 0)
	b.deliver(b.engine)
	b.scaleTo(1)
	if b.process(1, 1).leaving || b.answers() != 1 {
		t.Error("the only worker that answers has to leave")
	}
	b.run()
	b.wait(workerGrace)
	b.run()
	b.expectWorkers(1)
	b.process(1, 0)
}

func TestARevisionThatIsScaledWhileItIsStarted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		workers, scaleTo int
	}{{"up", 1, 3}, {"down", 3, 1}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := openBench(t, test.workers, good)
			for b.starting.state != probing {
				if !b.deliver(b.engine) && !b.advance() {
					t.Fatal("it is not tested")
				}
			}
			b.scaleTo(test.scaleTo)
			b.run()
			b.wait(workerGrace)
			b.run()
			b.expect(b.events(servers...), "server.starting 1, server.ready 1")
			b.expectWorkers(test.scaleTo)
		})
	}
}

func TestAWorkerThatWasDownIsForgottenWhenItIsOneTooMany(t *testing.T) {
	t.Parallel()
	b := openBench(t, 2, good)
	b.run()
	b.kill(1, 1)
	b.deliver(b.engine)
	b.run()
	b.kill(1, 1) // the second time it waits before it is started again
	b.deliver(b.engine)
	b.scaleTo(1)
	b.wait(maxWorkerDelay)
	b.run()
	b.expectWorkers(1)
}
