package collect

import (
	"bytes"
	"container/heap"
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
)

// defaultSeeds are what a test run plays; METAML_SEEDS has another number.
const defaultSeeds = 1000

// TestSimulation plays runs by seed, each with pods, a monitor and readers, and everything that can go wrong between
// them: requests, answers and frames that are lost before, within and after, that come twice or late; a monitor that
// starts again with its disk, with torn ends or without it; a disk that fails in the middle of a write; pods that end
// in order or vanish; readers that come and go, and are slow. Afterwards each reader has the files of the pods byte for
// byte.
func TestSimulation(t *testing.T) {
	seeds := uint64(defaultSeeds)
	if text := os.Getenv("METAML_SEEDS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = n
	} else if testing.Short() || raced {
		seeds = 300 // enough to play every fault
	}
	var sum simCounts
	for seed := range seeds {
		s := newSim(seed)
		s.run()
		if s.failed != nil {
			t.Fatalf("seed %d: %v", seed, s.failed)
		}
		sum.add(s.counts)
	}
	t.Logf("%d seeds: %+v", seeds, sum)
	if seeds >= 300 {
		sum.checkThatAllOccurred(t)
	}
}

// simCounts is what happened, so that a fault that is never played is seen.
type simCounts struct {
	Batches, Lost, CutWithin, AnswersLost, Twice, Late, DiskFaults, Restarts, WithoutDisk, Torn      int
	Acknowledged, Vanished, Messages, Frames, ReaderCuts, ReaderFaults, Stalled, Refused, WindowFull int
	Prefixes, Bytes                                                                                  int
}

func (c *simCounts) add(o simCounts) {
	for i, p := range o.all() {
		*c.all()[i].n += *p.n
	}
}

type namedCount struct {
	name string
	n    *int
}

func (c *simCounts) all() []namedCount {
	return []namedCount{
		{"batches", &c.Batches},
		{"lost", &c.Lost},
		{"cut within", &c.CutWithin},
		{"answers lost", &c.AnswersLost},
		{"twice", &c.Twice},
		{"late", &c.Late},
		{"disk faults", &c.DiskFaults},
		{"restarts", &c.Restarts},
		{"without disk", &c.WithoutDisk},
		{"torn", &c.Torn},
		{"acknowledged", &c.Acknowledged},
		{"vanished", &c.Vanished},
		{"messages", &c.Messages},
		{"frames", &c.Frames},
		{"reader cuts", &c.ReaderCuts},
		{"reader faults", &c.ReaderFaults},
		{"stalled", &c.Stalled},
		{"refused", &c.Refused},
		{"window full", &c.WindowFull},
		{"prefixes", &c.Prefixes},
		{"bytes", &c.Bytes},
	}
}

func (c *simCounts) checkThatAllOccurred(t *testing.T) {
	t.Helper()
	for _, count := range c.all() {
		if *count.n == 0 {
			t.Errorf("nothing of this kind was played: %s", count.name)
		}
	}
}

// simBytes is what the files of all simulated pods are cut from.
var simBytes = func() []byte {
	b := make([]byte, 4<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(b); i += 8 {
		v := random.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b
}()

// simEvent is something that happens at a time.
type simEvent struct {
	at    time.Time
	order int
	do    func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].order < q[j].order
	}
	return q[i].at.Before(q[j].at)
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)   { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

type sim struct {
	random *rand.Rand
	now    time.Time
	queue  simQueue
	order  int
	calm   bool // no more faults

	limits  Limits
	limited bool
	disk    *simDisk
	store   *Store // nil while there is no monitor
	starts  int
	lostAt  time.Time // when something on the disk was lost last

	pods    []*simPod
	readers []*simReader
	counts  simCounts
	failed  error
}

const (
	simTrouble = 100 * time.Second // faults happen, files grow
	simCalm    = 120 * time.Second // then everything has time to arrive
)

func newSim(seed uint64) *sim {
	s := &sim{random: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1_700_000_000, 0), limits: DefaultLimits}
	if s.limited = s.random.IntN(8) == 0; s.limited {
		s.limits = Limits{File: 20_000, Run: 60_000, Files: 3, RunFiles: 8, Sources: 4}
	}
	s.disk = &simDisk{sim: s, files: map[string][]byte{}}
	s.open()
	for i := range 1 + s.random.IntN(5) {
		s.pods = append(s.pods, s.newPod(i))
	}
	for range 1 + s.random.IntN(3) {
		s.readers = append(s.readers, s.newReader())
	}
	return s
}

// run plays the run and checks what came of it.
func (s *sim) run() {
	end := s.now.Add(simTrouble)
	s.after(s.between(time.Second, 60*time.Second), s.restart)
	s.play(end)
	s.calm = true
	if s.store == nil {
		s.open()
	}
	for _, r := range s.readers {
		if r.feed == nil {
			r.connect()
		}
	}
	s.play(end.Add(simCalm))
	for _, p := range s.pods {
		for _, r := range s.readers {
			s.check(p, r)
		}
	}
}

func (s *sim) play(until time.Time) {
	for s.failed == nil && len(s.queue) > 0 && !s.queue[0].at.After(until) {
		e := heap.Pop(&s.queue).(simEvent)
		s.now = e.at
		e.do()
		s.pump()
	}
	s.now = until
}

func (s *sim) after(d time.Duration, do func()) {
	s.order++
	heap.Push(&s.queue, simEvent{s.now.Add(d), s.order, do})
}

func (s *sim) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.random.Int64N(int64(high-low)))
}

// way is how long a message is on its way.
func (s *sim) way() time.Duration { return s.between(time.Millisecond, 40*time.Millisecond) }

// one reports, while there are faults, true in one of n cases.
func (s *sim) one(n int) bool { return !s.calm && s.random.IntN(n) == 0 }

func (s *sim) fail(format string, args ...any) {
	if s.failed == nil {
		s.failed = fmt.Errorf(format, args...)
	}
}

// open starts a monitor on the disk that there is.
func (s *sim) open() {
	s.starts++
	store, err := OpenStore(s.disk, fmt.Sprintf("store-%d", s.starts), s.limits)
	if err != nil {
		s.fail("open the store: %w", err)
		return
	}
	s.store = store
}

// restart ends the monitor, and starts it again later.
func (s *sim) restart() {
	if s.calm || s.store == nil {
		return
	}
	s.counts.Restarts++
	s.store = nil
	for _, r := range s.readers {
		r.close()
	}
	switch s.random.IntN(3) {
	case 0:
		s.counts.WithoutDisk++
		s.lostAt = s.now
		s.disk.files = map[string][]byte{}
	case 1:
		for _, name := range slices.Sorted(maps.Keys(s.disk.files)) {
			data := s.disk.files[name]
			if s.random.IntN(2) == 0 {
				s.counts.Torn++
				s.lostAt = s.now
				s.disk.files[name] = data[:s.random.IntN(len(data)+1)]
			}
		}
	}
	s.after(s.between(100*time.Millisecond, 20*time.Second), func() {
		if s.store == nil {
			s.open()
		}
		if s.one(2) {
			s.after(s.between(time.Second, 60*time.Second), s.restart)
		}
	})
}

// simDisk is a disk in memory.
type simDisk struct {
	sim   *sim
	files map[string][]byte
}

var errSim = errors.New("it went wrong on purpose")

func (d *simDisk) Write(name string, data []byte, offset int64) (int, error) {
	old := d.files[name]
	if int64(len(old)) != offset {
		d.sim.fail("the store writes %s at %d, not at its end at %d", name, offset, len(old))
		return 0, errSim
	}
	n, err := len(data), error(nil)
	if d.sim.one(60) {
		d.sim.counts.DiskFaults++
		n, err = d.sim.random.IntN(n+1), errSim
	}
	d.files[name] = append(old, data[:n]...)
	return n, err
}

func (d *simDisk) Read(name string, p []byte, offset int64) error {
	if d.sim.one(200) {
		return errSim
	}
	data := d.files[name]
	if offset+int64(len(p)) > int64(len(data)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, data[offset:])
	return nil
}

func (d *simDisk) Replace(name string, data []byte) error {
	if d.sim.one(60) {
		d.files[name] = bytes.Clone(data[:d.sim.random.IntN(len(data))])
		return errSim
	}
	d.files[name] = bytes.Clone(data)
	return nil
}

func (d *simDisk) Load(name string, _ int64) ([]byte, error) { return d.files[name], nil }

func (d *simDisk) Remove(name string) error {
	delete(d.files, name)
	return nil
}

func (d *simDisk) Walk(visit func(string, int64)) error {
	for name, data := range d.files {
		visit(name, int64(len(data)))
	}
	return nil
}

// simPod is a pod: files that grow, and their sender.
type simPod struct {
	sim       *sim
	source    Source
	sender    *Sender
	files     []*simFile
	flight    bool // a batch is on its way
	ending    bool
	ended     time.Time // when it began to end
	gone      bool
	acked     bool
	heard     time.Time // when the monitor handled the last batch whose answer came
	stopped   map[string]bool
	reachedBy int
}

// simFile has the bytes from start on of simBytes.
type simFile struct {
	name        string
	start, size int
}

func (s *sim) newPod(i int) *simPod {
	p := &simPod{
		sim: s, source: Source{ID: fmt.Sprintf("pod-%d", i), Trial: i, Attempt: 1}, stopped: map[string]bool{},
	}
	p.sender = NewSender(s.now, p.source)
	for j := range 1 + s.random.IntN(4) {
		f := &simFile{name: []string{"events.jsonl", "tb/a", "tb/b/c", "stdout"}[j], start: s.random.IntN(1 << 20)}
		p.files = append(p.files, f)
		p.growLater(f)
	}
	switch s.random.IntN(4) {
	case 0: // lives on
	case 1:
		s.after(s.between(0, simTrouble), p.vanish)
	default:
		s.after(s.between(time.Second, simTrouble), p.end)
	}
	p.step()
	return p
}

func (p *simPod) growLater(f *simFile) {
	p.sim.after(p.sim.between(10*time.Millisecond, 8*time.Second), func() {
		if p.gone || p.ending || p.sim.calm {
			return
		}
		more := 1 + p.sim.random.IntN(4000)
		if p.sim.random.IntN(400) == 0 {
			more = 1 << 20 // several batches, more than a window
		}
		f.size = min(f.size+more, len(simBytes)-f.start)
		p.step()
		p.growLater(f)
	})
}

func (p *simPod) entries() []Entry {
	var entries []Entry
	for _, f := range p.files {
		entries = append(entries, Entry{f.name, int64(f.size)})
	}
	return entries
}

func (p *simPod) file(name string) *simFile {
	for _, f := range p.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

// end is how a pod ends in order: it tries for some time to send what is left.
func (p *simPod) end() {
	if p.gone {
		return
	}
	p.ending, p.ended = true, p.sim.now
	p.sender.End(p.sim.now)
	p.sim.after(p.sim.between(time.Second, 30*time.Second), func() {
		if !p.gone {
			p.vanish()
		}
	})
	p.step()
}

func (p *simPod) vanish() {
	if !p.gone {
		p.gone = true
		p.sim.counts.Vanished++
	}
}

// step does what the loop of a pod's sender does.
func (p *simPod) step() {
	s := p.sim
	for _, note := range p.sender.Notes() {
		switch note.Kind {
		case Reached:
			p.reachedBy++
		case Unreached:
		case Stopped:
			s.counts.Refused++
			if p.stopped[note.File] || !s.limited {
				s.fail("%s: it says of %s: %s", p.source.ID, note.File, note.Text)
			}
			p.stopped[note.File] = true
		}
	}
	if p.reachedBy > 1 {
		s.fail("%s: it says more than once that it reached the monitor", p.source.ID)
	}
	if p.gone || p.flight {
		return
	}
	if p.ending && p.sender.Done(p.entries()) {
		p.gone, p.acked = true, true
		s.counts.Acknowledged++
		return
	}
	ranges, ok := p.sender.Plan(s.now, p.entries())
	if !ok {
		wait := p.sender.Wait(s.now)
		if wait == 0 {
			wait = AskEvery
		}
		s.after(wait, p.step)
		return
	}
	b := Batch{Source: p.source}
	for _, r := range ranges {
		f := p.file(r.File)
		from := f.start + int(r.Offset)
		b.Pieces = append(b.Pieces, Piece{r.File, r.Offset, simBytes[from : from+r.Length]})
	}
	p.send(AppendBatch(nil, b))
}

// send brings a batch to the monitor, or not.
func (p *simPod) send(body []byte) {
	s := p.sim
	s.counts.Batches++
	if len(body) > MaxBatchSize {
		s.fail("a batch of %d bytes", len(body))
	}
	p.flight = true
	lost := func(d time.Duration) { s.after(d, func() { p.answered(nil, time.Time{}) }) }
	timeout := s.between(time.Second, 10*time.Second)
	switch {
	case s.one(15):
		s.counts.Lost++
		lost(s.way())
	case s.one(15):
		s.counts.CutWithin++
		s.after(s.way(), func() { s.deliver(body[:s.random.IntN(len(body))]) })
		lost(timeout)
	case s.one(15):
		s.counts.AnswersLost++
		s.after(s.way(), func() { s.deliver(body) })
		lost(timeout)
	case s.one(15):
		s.counts.Late++
		s.after(s.between(time.Second, 60*time.Second), func() { s.deliver(body) })
		lost(s.way())
	default:
		if s.one(15) {
			s.counts.Twice++
			s.after(s.between(time.Millisecond, 60*time.Second), func() { s.deliver(body) })
		}
		s.after(s.way(), func() {
			at, answer := s.now, s.deliver(body)
			s.after(s.way(), func() { p.answered(answer, at) })
		})
	}
}

// deliver is what the monitor does with a request; nil is an answer that is an error.
func (s *sim) deliver(body []byte) []byte {
	if s.store == nil {
		return nil
	}
	b, err := DecodeBatch(body)
	if err != nil {
		return nil
	}
	answer, err := s.store.Take(s.now, b)
	if s.store.bytes > s.limits.Run || s.store.files > s.limits.RunFiles || len(s.store.sources) > s.limits.Sources {
		s.fail("the store has %d bytes, %d files, %d sources", s.store.bytes, s.store.files, len(s.store.sources))
	}
	if err != nil {
		return nil
	}
	return answer.Encode()
}

func (p *simPod) answered(data []byte, at time.Time) {
	p.flight = false
	if p.gone {
		return
	}
	answer, err := DecodeAnswer(data)
	if err != nil {
		p.sender.Failed(p.sim.now, err)
	} else {
		p.heard = at
		p.sender.Answered(p.sim.now, answer)
	}
	p.step()
}

// simReader is a reader with the files it keeps, over all its connections.
type simReader struct {
	sim        *sim
	sizes      map[string][]byte // by path: what it has
	held       map[string]Held
	connection int // which one it is; messages of others are void
	feed       *Feed
	reader     *Reader
	busyUntil  time.Time
	lastAt     time.Time // when the last message of the connection arrives: they keep their order
	lastBack   time.Time
}

func (s *sim) newReader() *simReader {
	r := &simReader{sim: s, sizes: map[string][]byte{}, held: map[string]Held{}}
	s.after(s.between(0, simTrouble), r.connect)
	s.after(s.between(0, PingEvery), r.tick)
	return r
}

// tick is what the monitor does beside its pings.
func (r *simReader) tick() {
	if r.feed != nil && r.feed.Stalled(r.sim.now) {
		r.sim.counts.Stalled++
		r.drop()
	}
	r.sim.after(PingEvery, r.tick)
}

func (r *simReader) connect() {
	s := r.sim
	if r.feed != nil {
		return
	}
	if s.store == nil {
		s.after(s.between(250*time.Millisecond, MaxPause), r.connect)
		return
	}
	var held, heard []Held
	for _, h := range r.held {
		held = append(held, h)
	}
	for _, message := range Hello(held) {
		part, _, err := DecodeHello(message)
		if err != nil {
			s.fail("hello: %w", err)
		}
		heard = append(heard, part...)
	}
	r.connection++
	r.reader, r.feed = NewReader(held), s.store.Feed(heard)
	if s.one(3) {
		s.after(s.between(0, 30*time.Second), r.cutIf(r.connection))
	}
}

func (r *simReader) cutIf(connection int) func() {
	return func() {
		if r.connection == connection && r.feed != nil && !r.sim.calm {
			r.sim.counts.ReaderCuts++
			r.drop()
		}
	}
}

func (r *simReader) close() {
	if r.feed != nil {
		r.feed.Close()
	}
	r.feed = nil
	r.connection++
	r.sim.after(r.sim.between(250*time.Millisecond, MaxPause), r.connect)
}

func (r *simReader) drop() { r.close() }

var simBuffer = make([]byte, MaxBatch)

// pump sends to the readers that were woken what there is.
func (s *sim) pump() {
	for _, r := range s.readers {
		woken := false
		if r.feed != nil {
			select {
			case <-r.feed.Wake():
				woken = true
			default:
			}
		}
		for woken && r.feed != nil {
			message, _, err := r.feed.Message(s.now, simBuffer, nil)
			if err != nil {
				r.drop()
			}
			if len(message) > MaxFramesSize {
				s.fail("a message of %d bytes", len(message))
			}
			if len(message) == 0 {
				break
			}
			r.send(message)
		}
		if f := r.feed; f != nil {
			if f.out-f.took > Window || len(f.waiting) > s.store.files || len(f.waiting) != len(f.queued) {
				s.fail("a feed has %d bytes out and %d files waiting", f.out-f.took, len(f.waiting))
			}
			if f.out-f.took == Window && len(f.waiting) > 0 {
				s.counts.WindowFull++
			}
		}
	}
}

func (r *simReader) send(data []byte) {
	s := r.sim
	s.counts.Messages++
	connection := r.connection
	at := s.now.Add(s.way())
	if at.Before(r.lastAt) {
		at = r.lastAt
	}
	r.lastAt = at
	s.after(at.Sub(s.now), func() { r.take(connection, data) })
	if s.one(80) {
		s.after(s.way(), r.cutIf(connection)) // before, with or after the message
	}
}

// take is what a reader does with a message, when it has time.
func (r *simReader) take(connection int, data []byte) {
	s := r.sim
	if connection != r.connection || r.feed == nil {
		return
	}
	if !s.now.Before(r.busyUntil) && s.one(120) {
		r.busyUntil = s.now.Add(s.between(time.Second, 60*time.Second))
	}
	if s.now.Before(r.busyUntil) {
		s.after(r.busyUntil.Sub(s.now), func() { r.take(connection, data) })
		return
	}
	frames, err := DecodeFrames(data)
	if err != nil || len(frames) == 0 {
		s.fail("a message of %d frames: %w", len(frames), err)
		return
	}
	total := int64(0)
	for _, frame := range frames {
		s.counts.Frames++
		if total = r.keep(frame); r.feed == nil {
			return
		}
	}
	took := EncodeTook(total)
	at := s.now.Add(s.way())
	if at.Before(r.lastBack) {
		at = r.lastBack
	}
	r.lastBack = at
	s.after(at.Sub(s.now), func() {
		if connection != r.connection || r.feed == nil {
			return
		}
		total, err := DecodeTook(took)
		if err == nil {
			err = r.feed.Took(s.now, total)
		}
		if err != nil {
			s.fail("took: %w", err)
		}
	})
}

// keep is what a reader does with a frame.
func (r *simReader) keep(frame Frame) (total int64) {
	s := r.sim
	fresh, err := r.reader.Fresh(frame)
	if err != nil {
		s.fail("%w", err)
		return 0
	}
	if len(fresh) != len(frame.Data) {
		s.fail("the monitor sent %d bytes of %s twice", len(frame.Data)-len(fresh), frame.File)
	}
	broken := s.one(150)
	if broken {
		s.counts.ReaderFaults++
		fresh = fresh[:s.random.IntN(len(fresh)+1)] // its disk is full
	}
	path := pathOf(frame.Source.ID, frame.File)
	r.sizes[path] = append(r.sizes[path], fresh...)
	r.held[path] = Held{frame.Source.ID, frame.File, int64(len(r.sizes[path]))}
	if broken {
		r.drop()
		return 0
	}
	return r.reader.Kept(frame)
}

// check compares what a reader has of a pod with what the pod wrote.
func (s *sim) check(p *simPod, r *simReader) {
	// What the monitor acknowledged after the end of a pod is as safe as its disk from then on.
	whole := !p.gone || p.acked && (s.lostAt.Before(p.heard) || s.lostAt.Before(p.ended))
	for _, f := range p.files {
		got := r.sizes[pathOf(p.source.ID, f.name)]
		want := simBytes[f.start : f.start+f.size]
		s.counts.Bytes += len(got)
		if from := s.store.sources[p.source.ID]; from != nil && from.files[f.name] != nil &&
			int64(len(got)) < from.files[f.name].size {
			s.fail("a reader has %d bytes of %s of %s, and the monitor %d", len(got), f.name, p.source.ID,
				from.files[f.name].size)
		}
		if whole && !p.stopped[f.name] {
			if !bytes.Equal(got, want) {
				s.fail("a reader has %d bytes of %s of %s (gone: %v), want %d: equal to what was written: %v",
					len(got), f.name, p.source.ID, p.gone, len(want), bytes.HasPrefix(want, got))
			}
			continue
		}
		s.counts.Prefixes++
		if !bytes.HasPrefix(want, got) {
			s.fail("a reader has other bytes of %s of %s than were written", f.name, p.source.ID)
		}
	}
}
