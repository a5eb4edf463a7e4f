package front

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metaml/metaml/agent/front/jsonarray"
	"github.com/metaml/metaml/deployer/run"
)

// limits are what a front bounds. The defaults are documented (docs/reference/limits.md); tests have smaller ones.
type limits struct {
	queued   int           // requests of a revision that wait for a worker
	bytes    int64         // of requests in memory
	body     int           // of one request
	patience time.Duration // after its deadline, before a worker that has not answered is given up
	header   time.Duration // to send a request's header, and each 64 KiB of its body
	conns    int           // connections at a time
	quiet    time.Duration // between two server-sent events, before a sign of life
}

var defaultLimits = limits{
	queued: 1024, bytes: 256 << 20, body: 64 << 20, patience: 5 * time.Second, header: 30 * time.Second, conns: 8 << 10,
	quiet: 15 * time.Second,
}

// call is one request on its way through a revision. Its handler makes it, hands it to push and waits on done; in
// between it belongs to whoever has it in hand: the queue, or the worker that it was sent to.
type call struct {
	item     *buffer // of the call's frame; nil when it was sent
	prefix   int     // of an array: where its data begins
	kind     byte
	arrived  time.Time
	deadline time.Time
	conn     net.Conn // of the client, to see whether it is still there; nil: it is
	done     chan struct{}

	// What came of it, to be read after done.
	failure  error  // nil: the rest is set
	borrowed []byte // of the answer, in the reader's buffer
	out      []byte // room for the response's body
	answer   answer
	sent     time.Time // when it was handed to a worker; zero: never

	// Of a stream, while it goes on: what its worker must know.
	worker *worker
	id     uint64
}

// answer is what a worker has answered.
type answer struct {
	status int
	kind   byte
	dtype  *jsonarray.Encoder
	shape  []uint32
	head   []byte // what the function says of the content type and the headers
	data   []byte // ours
}

// Why a call has no answer.
var (
	errFull    = errors.New("too many requests wait for an answer")
	errMoved   = errors.New("another revision answers now") // ask that one
	errTimeout = errors.New("the function did not answer in time")
	errNobody  = errors.New("no worker was there to answer in time")
	errLost    = errors.New("the worker ended while it answered")
	errGone    = errors.New("the client has gone")
	errStopped = errors.New("the server is stopping")
	errRetired = errors.New("this revision is not served any more")
	errMonitor = errors.New("the server is being started again")
)

// slowEnough is how long a request must have waited for its client to count as slow.
const slowEnough = 10 * time.Millisecond

// lookahead is how much work, by its measured time, a worker is handed at once where it cannot be done at once.
const lookahead = time.Millisecond

// mostBytes of calls go to a worker in one frame, unless one alone is larger.
const mostBytes = 16 << 20

// revision is the queue of one version of the function, and its workers.
type revision struct {
	run.FrontRevision
	route route
	sites sites
	lock  lock
	front *front
	hello atomic.Pointer[hello] // nil: no worker has connected yet
	known chan struct{}         // closed when hello is set

	mu          sync.Mutex
	waiting     fifo
	workers     []*worker // by index; nil: there is none
	connected   int
	gathering   bool // who pushed a call is about to dispatch it, with those that come until then
	outstanding int  // calls that were pushed and have no answer yet; streams that have not ended
	draining    bool
	drained     bool // and was said to be
	closed      error
	gone        chan struct{} // closed with it: nobody need wait for a first worker
	timer       *time.Timer   // armed while calls are outstanding
	armed       bool
	attempts    map[int]int // the latest of each worker
}

func newRevision(f *front, r run.FrontRevision) *revision {
	return &revision{
		FrontRevision: r, route: newRoute(r.Path), sites: newSites(r), lock: newLock(r.Token), front: f,
		known: make(chan struct{}), gone: make(chan struct{}),
		workers: make([]*worker, r.Workers), attempts: map[int]int{},
	}
}

// push hands a call over. Without an error, c.done receives, once; with one, the call is the caller's still. toWatch
// is the worker that has it, if the answer is worth watching for.
func (r *revision) push(c *call) (toWatch *worker, err error) {
	r.mu.Lock()
	switch {
	case r.draining:
		r.mu.Unlock()
		return nil, errMoved
	case r.closed != nil:
		err := r.closed
		r.mu.Unlock()
		return nil, err
	case r.waiting.len() >= r.front.limits.queued:
		r.mu.Unlock()
		return nil, errFull
	}
	r.outstanding++
	if !r.armed {
		r.arm()
	}
	r.waiting.push(c)
	if r.Batch > 0 && r.outstanding > 1 {
		if r.gathering || !slices.ContainsFunc(r.workers, func(w *worker) bool { return w != nil && w.free() }) {
			r.mu.Unlock()
			return nil, nil
		}
		// What other goroutines have read is to go along, or every batch is followed by one of a single call. They only
		// get their turn first: nothing is waited for.
		r.gathering = true
		r.mu.Unlock()
		runtime.Gosched()
		r.mu.Lock()
		r.gathering = false
	}
	toWatch = r.deal()
	r.mu.Unlock()
	return toWatch, nil
}

// deal hands what waits to workers that are free. r.mu is held, and not held while workers are written to. toWatch is
// the worker that has the only call there is, if its answer is worth watching for.
func (r *revision) deal() (toWatch *worker) {
	for _, w := range r.workers {
		if w == nil || r.waiting.len() == 0 || !w.free() {
			continue
		}
		if r.outstanding == 1 && w.pace < watchable {
			toWatch = w
		}
		next := r.assign(w)
		r.mu.Unlock()
		w.dispatch(next)
		r.mu.Lock()
	}
	return toWatch
}

// free reports whether a worker can be handed calls. revision.mu is held.
func (w *worker) free() bool { return w.busy < w.hello.Concurrent && !w.leaving }

// room says how many of those that wait a worker can be handed now. r.mu is held.
func (r *revision) room(w *worker) int {
	if !w.free() {
		return 0
	}
	if w.hello.Batch > 0 { // all that wait, but for the share of others that have nothing to do
		idle := 0
		for _, o := range r.workers {
			if o != nil && o.busy == 0 && !o.leaving {
				idle++
			}
		}
		return min(w.hello.Batch, (r.waiting.len()+idle-1)/max(idle, 1))
	}
	if w.hello.Concurrent > 1 {
		return w.hello.Concurrent - w.busy
	}
	// One call at a time. Several short ones in a frame save system calls, but none may wait behind long ones, and
	// every worker gets its share.
	n := 1
	if w.pace > 0 {
		n = int(lookahead / w.pace)
	}
	share := (r.waiting.len() + r.connected - 1) / max(r.connected, 1)
	return max(1, min(n, share, 64))
}

// assignment is what a worker is to be sent: calls whose numbers begin with id. Its zero value is none.
type assignment struct {
	id       uint64
	jobs     *[]job
	shipment *shipment
}

// assign gives a worker what waits, as far as it has room. r.mu is held; once it is not, the caller hands what it got
// to [worker.dispatch], so that nobody waits for a write.
func (r *revision) assign(w *worker) assignment {
	if r.waiting.len() == 0 {
		return assignment{}
	}
	room := r.room(w)
	if room == 0 {
		return assignment{}
	}
	now := time.Now()
	n, bytes := 0, 0
	jobs := w.jobs()
	for n < room && r.waiting.len() > 0 {
		c := r.waiting.front()
		if n > 0 && bytes+len(c.item.b) > mostBytes {
			break
		}
		if n > 0 && w.hello.Batch == 0 && w.hello.Concurrent == 1 && bytes+len(c.item.b) > 64<<10 {
			break
		}
		r.waiting.pop()
		if now.Sub(c.arrived) > slowEnough && c.gone() {
			r.finish(c, errGone)
			continue
		}
		bytes += len(c.item.b)
		*jobs = append(*jobs, job{c, c.item, c.prefix, c.kind})
		c.item, c.sent = nil, now
		id := w.next + uint64(n)
		n++
		w.flights[id] = flight{call: c, deadline: c.deadline}
		c.worker, c.id = w, id
	}
	if n == 0 {
		w.put(jobs)
		return assignment{}
	}
	id := w.next
	w.next += uint64(n)
	s := &shipment{count: n, left: n, sent: now}
	for i := range uint64(n) {
		fl := w.flights[id+i]
		fl.shipment = s
		w.flights[id+i] = fl
	}
	w.busy += w.weight(n)
	return assignment{id, jobs, s}
}

// dispatch sends a worker what it was assigned. revision.mu is not held.
func (w *worker) dispatch(next assignment) {
	if next.jobs == nil {
		return
	}
	w.revision.front.metrics.batch.Update(float64(len(*next.jobs)))
	if !w.send(next.id, *next.jobs, next.shipment) {
		w.again(next.id, *next.jobs)
	}
	w.put(next.jobs)
}

// again has other workers do what this one, which has gone, was not sent.
func (w *worker) again(id uint64, jobs []job) {
	r := w.revision
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, j := range slices.Backward(jobs) { // so that they are answered in the order in which they came
		w.putBack(id+uint64(i), j.item)
	}
	r.deal()
}

// putBack has another worker do a call that this one has not begun. r.mu is held.
func (w *worker) putBack(id uint64, item *buffer) {
	r, c := w.revision, w.flights[id].call
	delete(w.flights, id)
	if c == nil { // nobody waits for it any more
		item.release()
		return
	}
	if c.item = item; r.closed != nil {
		r.finish(c, r.closed)
		return
	}
	r.waiting.putBack(c)
}

// finish ends a call without an answer. r.mu is held, and the call is in nobody's hands.
func (r *revision) finish(c *call, failure error) {
	c.failure = failure
	if c.item != nil {
		c.item.release()
		c.item = nil
	}
	r.left()
	c.done <- struct{}{}
}

// left counts a call that has ended. r.mu is held.
func (r *revision) left() {
	r.outstanding--
	r.settle()
}

// settle says once that a revision which gets no more requests has answered those it had. r.mu is held.
func (r *revision) settle() {
	if r.draining && r.outstanding == 0 && !r.drained {
		r.drained = true
		r.front.notify(run.FrontNotice{Type: run.NoticeDrained, Revision: r.Number})
	}
}

// drain has the revision take no more requests.
func (r *revision) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	r.settle()
}

// undrain makes it the one that answers.
func (r *revision) undrain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining, r.drained = false, false
}

// close ends what waits and what is being answered, and hangs up.
func (r *revision) close(cause error) {
	r.mu.Lock()
	r.closed = cause
	select {
	case <-r.gone:
	default:
		close(r.gone)
	}
	for r.waiting.len() > 0 {
		r.finish(r.waiting.pop(), cause)
	}
	workers := append([]*worker(nil), r.workers...)
	r.mu.Unlock()
	for _, w := range workers {
		if w != nil {
			w.drop(cause)
		}
	}
}

// why says why the revision takes no requests.
func (r *revision) why() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return errMoved
	}
	return r.closed
}

// closeWaiting ends what no worker has yet.
func (r *revision) closeWaiting(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = cause
	for r.waiting.len() > 0 {
		r.finish(r.waiting.pop(), cause)
	}
}

// tick is how often deadlines are checked, so that no request needs a timer of its own.
func (r *revision) tick() time.Duration {
	return min(max(r.Timeout/20, 5*time.Millisecond), 100*time.Millisecond)
}

// arm has the deadlines checked while there are calls. r.mu is held.
func (r *revision) arm() {
	r.armed = true
	if r.timer == nil {
		r.timer = time.AfterFunc(r.tick(), r.look)
		return
	}
	r.timer.Reset(r.tick())
}

// look ends the calls whose deadline has passed, and gives up the workers that have not answered long after it.
func (r *revision) look() {
	now := time.Now()
	var hung []*worker
	r.mu.Lock()
	for r.waiting.len() > 0 && now.After(r.waiting.front().deadline) {
		failure := errTimeout
		if r.connected == 0 {
			failure = errNobody
		}
		r.finish(r.waiting.pop(), failure)
	}
	for _, w := range r.workers {
		if w == nil {
			continue
		}
		for id, fl := range w.flights {
			if fl.deadline.IsZero() || now.Before(fl.deadline) {
				continue
			}
			if c := fl.call; c != nil {
				fl.call = nil
				w.flights[id] = fl
				r.finish(c, errTimeout)
			}
			if now.After(fl.deadline.Add(r.front.limits.patience)) {
				hung = append(hung, w)
				break
			}
		}
	}
	busy := r.outstanding > 0
	for _, w := range r.workers {
		busy = busy || w != nil && len(w.flights) > 0
	}
	r.armed = false
	if busy {
		r.arm()
	}
	r.mu.Unlock()
	for _, w := range hung {
		w.hung()
	}
}

// gone reports whether the client of a call has hung up, as far as that can be seen without writing to it.
func (c *call) gone() bool {
	conn, ok := c.conn.(*client)
	if !ok {
		return false
	}
	gone := false
	err := conn.socket.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	return gone || err != nil
}

// fifo is a queue of calls in a ring that grows.
type fifo struct {
	ring []*call
	head int
	size int
}

func (q *fifo) len() int     { return q.size }
func (q *fifo) front() *call { return q.ring[q.head] }

func (q *fifo) push(c *call) {
	q.makeRoom()
	q.ring[(q.head+q.size)%len(q.ring)] = c
	q.size++
}

// putBack makes c the first again.
func (q *fifo) putBack(c *call) {
	q.makeRoom()
	q.head = (q.head + len(q.ring) - 1) % len(q.ring)
	q.ring[q.head] = c
	q.size++
}

func (q *fifo) makeRoom() {
	if q.size < len(q.ring) {
		return
	}
	grown := make([]*call, max(16, 2*len(q.ring)))
	for i := range q.size {
		grown[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = grown, 0
}

func (q *fifo) pop() *call {
	c := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) % len(q.ring)
	q.size--
	return c
}
