package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// worker is our connection to a worker's process. A new connection, or a new attempt, is a new value.
type worker struct {
	run.FrontWorker
	revision *revision
	conn     *net.UnixConn
	socket   *socket // conn's
	reader   *frameReader
	hello    *hello

	// Under revision.mu.
	flights map[uint64]flight // what it was sent and has not finished
	next    uint64            // id of the next call
	busy    int               // calls of the function that it has not answered; parts of streams requested from it
	pace    time.Duration     // moving average of the function's time, in which a longer one counts more
	gone    bool
	leaving bool // it gets no more calls, and leaves when it has none

	backoff backoff // of watching it

	writing  sync.Mutex
	scratch  []byte
	pending  []chunk // what the socket had no room for, and what came after
	flushing bool    // somebody writes pending
	latest   latest
	over     bool // nothing is sent any more
}

// latest is the frame that a worker was sent last, if that was a small one of calls. A worker that is killed before it
// has read all of it has begun none of them: others get them.
type latest struct {
	id     uint64    // of the first call
	items  []*buffer // ours until a call is answered, or another frame is sent
	unsent bool      // the worker had hung up before
}

// letGo releases the items.
func (l *latest) letGo() {
	for i, item := range l.items {
		item.release()
		l.items[i] = nil
	}
	l.items = l.items[:0]
}

// flight is a call that a worker has.
type flight struct {
	call     *call     // nil: nobody waits for the answer any more
	shipment *shipment // nil: a stream after its first part
	deadline time.Time // zero: it is a stream, and the client's turn
}

// shipment is a frame of calls.
type shipment struct {
	count, left int
	sent        time.Time
	written     bool // as far as we can; under worker.writing
}

// job is a call's item on its way into a frame.
type job struct {
	call   *call
	item   *buffer
	prefix int
	kind   byte
}

var jobLists = sync.Pool{New: func() any { return new([]job) }}

func (w *worker) jobs() *[]job { return jobLists.Get().(*[]job) }

func (w *worker) put(jobs *[]job) {
	clear(*jobs)
	*jobs = (*jobs)[:0]
	jobLists.Put(jobs)
}

// weight is how many calls of the function n items are.
func (w *worker) weight(n int) int {
	if w.hello.Batch > 0 {
		return 1
	}
	return n
}

// helloTimeout is how long a worker may take to greet, beside the time that a call may take: an earlier front's is
// ended first.
const helloTimeout = 10 * time.Second

// attach dials a worker and keeps the connection until it ends. It returns when the worker is gone, or ctx has ended.
func (r *revision) attach(ctx context.Context, info run.FrontWorker) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		w, err := r.dial(ctx, info)
		if err == nil {
			err = w.serve(ctx)
			wait = 10 * time.Millisecond
		}
		if errors.Is(err, errGarbage) {
			r.front.log(logLine{Error: fmt.Sprintf("worker %d of revision %d: %v", info.Index, info.Revision, err)})
			r.front.notify(info.Notice(run.NoticeHung))
			return
		}
		if lacking(err) {
			r.front.log(logLine{Error: err.Error()})
		} else if err != nil && !errors.Is(err, errEnded) {
			return // nobody listens: its process has ended, which the monitor sees
		}
		// It hung up. Mostly because its process ends; then it cannot be dialled again.
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// errEnded says that the other side hung up.
var errEnded = errors.New("the connection ended")

// dial connects to a worker and takes its hello.
func (r *revision) dial(ctx context.Context, info run.FrontWorker) (*worker, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", info.Socket)
	if err != nil {
		return nil, fmt.Errorf("dial worker %d: %w", info.Index, err)
	}
	w := &worker{FrontWorker: info, revision: r, conn: c.(*net.UnixConn), flights: map[uint64]flight{}, next: 1}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	_ = c.SetReadDeadline(time.Now().Add(r.Timeout + r.front.limits.patience + helloTimeout))
	if w.socket, err = newSocket(w.conn); err == nil {
		w.reader = newFrameReader(w.socket)
		w.hello, err = readHello(w.reader)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close()
		if errors.Is(err, errGarbage) {
			return nil, err
		}
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
			return nil, fmt.Errorf("%w: no hello", errGarbage)
		}
		return nil, errEnded
	}
	return w, nil
}

// serve takes what the worker says until the connection ends, and says why it did.
func (w *worker) serve(ctx context.Context) error {
	r := w.revision
	stop := context.AfterFunc(ctx, func() { w.drop(errLost) })
	defer stop()
	if !r.join(w) {
		w.drop(errLost)
		return context.Canceled
	}
	defer w.drop(errLost)
	var answered []*call
	for {
		f, err := w.reader.next()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if errors.Is(err, errGarbage) {
				return err
			}
			w.takeBack(err)
			if w.hasLeft() {
				return errLeft
			}
			return errEnded
		}
		if f.kind != frameReply {
			return fmt.Errorf("%w: a frame of type %d", errGarbage, f.kind)
		}
		if answered, err = w.take(f, answered[:0]); err != nil {
			return err
		}
		clear(answered)
	}
}

// takeBack has other workers do what this one has hung up on before it could begin it. The reader's error says whether
// it has read all that it was sent: Linux resets a Unix socket whose other side is closed with bytes in it that nobody
// has read (unix_release_sock in net/unix/af_unix.c); elsewhere it does not say.
func (w *worker) takeBack(err error) {
	w.writing.Lock()
	l := w.latest
	w.latest, w.over = latest{}, true
	w.writing.Unlock()
	r := w.revision
	r.mu.Lock()
	if w.gone || !l.unsent && !errors.Is(err, syscall.ECONNRESET) {
		r.mu.Unlock()
		l.letGo()
		return
	}
	for i, item := range slices.Backward(l.items) { // so that they are answered in the order in which they came
		w.putBack(l.id+uint64(i), item)
	}
	r.mu.Unlock()
	w.drop(errLost)
	r.mu.Lock()
	r.deal()
	r.mu.Unlock()
}

// join puts a worker into its place and gives it work. false: it is not wanted any more.
func (r *revision) join(w *worker) bool {
	r.mu.Lock()
	if r.closed != nil || w.Index >= r.Workers || r.attempts[w.Index] != w.Attempt {
		r.mu.Unlock()
		return false
	}
	if old := r.workers[w.Index]; old != nil {
		r.mu.Unlock()
		old.drop(errLost)
		r.mu.Lock()
	}
	r.workers[w.Index] = w
	r.connected++
	first := r.hello.CompareAndSwap(nil, w.hello)
	// Before it is given work, so that what the monitor hears is in order.
	r.front.notify(w.Notice(run.NoticeConnected))
	next := r.assign(w)
	r.mu.Unlock()
	w.dispatch(next)
	if first {
		close(r.known)
	}
	return true
}

// take gives the answers of a frame to those who wait for them, and the worker something to do before that.
func (w *worker) take(f wireFrame, answered []*call) ([]*call, error) {
	items, err := newReplyItems(f)
	if err != nil {
		return answered, err
	}
	r := w.revision
	var quit []uint64
	r.mu.Lock()
	if w.gone || f.id+uint64(f.count) > w.next {
		r.mu.Unlock()
		if w.gone {
			return answered, errEnded
		}
		return answered, fmt.Errorf("%w: an answer to call %d, and there were %d", errGarbage, f.id, w.next-1)
	}
	now := time.Now()
	for i := range uint64(f.count) {
		var item replyItem
		if err := items.next(&item); err != nil {
			r.mu.Unlock()
			w.deliver(answered, f.owned)
			return answered, err
		}
		id := f.id + i
		fl, known := w.flights[id]
		if !known {
			continue // a stream that was ended meanwhile
		}
		w.account(fl, now)
		part := isPart(item.kind)
		if !part || fl.call == nil {
			delete(w.flights, id)
		}
		c := fl.call
		if c == nil { // it came too late
			if part {
				quit = append(quit, id)
			}
			continue
		}
		if part {
			if fl.shipment == nil && fl.deadline.IsZero() {
				r.mu.Unlock()
				w.deliver(answered, f.owned)
				return answered, fmt.Errorf("%w: a part of a stream that was not requested", errGarbage)
			}
			w.flights[id] = flight{call: c}
		} else {
			r.left()
		}
		a := &c.answer
		a.status, a.kind, a.dtype = item.status, item.kind, item.dtype
		a.shape = append(a.shape[:0], item.shape...)
		a.head = bytes.Clone(item.head) // hardly any answer has one
		c.borrowed = item.data
		answered = append(answered, c)
	}
	next := r.assign(w)
	done := w.done()
	r.mu.Unlock()
	w.answered(f.id)
	w.dispatch(next)
	w.deliver(answered, f.owned)
	for _, id := range quit {
		w.writeFrame(frameQuit, id)
	}
	if done {
		w.leave()
		return answered, errLeft
	}
	return answered, nil
}

// answered notes that the worker has read a call, and so all that it was sent before.
func (w *worker) answered(id uint64) {
	w.writing.Lock()
	if id >= w.latest.id {
		w.latest.letGo()
	}
	w.writing.Unlock()
}

// done reports whether a worker that is one too many has answered all that it had. revision.mu is held.
func (w *worker) done() bool { return w.leaving && !w.gone && len(w.flights) == 0 }

// leave hangs up on a worker that is done, and says so.
func (w *worker) leave() {
	w.drop(errLeft)
	w.revision.front.notify(w.Notice(run.NoticeLeft))
}

func (w *worker) hasLeft() bool {
	w.revision.mu.Lock()
	defer w.revision.mu.Unlock()
	return w.leaving && w.gone
}

// deliver wakes those who wait. What they get is theirs.
func (w *worker) deliver(answered []*call, owned bool) {
	for _, c := range answered {
		if owned {
			c.answer.data = c.borrowed
		} else {
			c.answer.data = append(c.answer.data[:0], c.borrowed...)
		}
		c.borrowed = nil
		c.done <- struct{}{}
	}
}

// account counts an answer. revision.mu is held.
func (w *worker) account(fl flight, now time.Time) {
	s := fl.shipment
	if s == nil {
		w.busy--
		return
	}
	s.left--
	if w.hello.Batch == 0 {
		w.busy--
	}
	if s.left > 0 {
		return
	}
	if w.hello.Batch > 0 {
		w.busy--
	}
	took := now.Sub(s.sent) / time.Duration(s.count)
	if took > w.pace {
		w.pace = (w.pace + took) / 2
	} else {
		w.pace -= (w.pace - took) / 4
	}
}

// more requests the next part of a stream, which will come like the first.
func (w *worker) more(c *call) error {
	r := w.revision
	r.mu.Lock()
	fl, known := w.flights[c.id]
	if !known {
		r.mu.Unlock()
		return errLost
	}
	fl.deadline = time.Now().Add(r.Timeout)
	w.flights[c.id] = fl
	w.busy++
	if !r.armed {
		r.arm()
	}
	r.mu.Unlock()
	w.writeFrame(frameMore, c.id)
	return nil
}

// quit ends a stream of which no more parts are wanted. Ending one that has ended does nothing. due: a part was
// requested, and will not come any more.
func (w *worker) quit(c *call) (due bool) {
	r := w.revision
	r.mu.Lock()
	fl, known := w.flights[c.id]
	if !known || fl.call != c {
		r.mu.Unlock()
		return false
	}
	delete(w.flights, c.id)
	if due = !fl.deadline.IsZero(); due {
		w.busy--
	}
	r.left()
	next := r.assign(w)
	done := w.done()
	r.mu.Unlock()
	w.dispatch(next)
	w.writeFrame(frameQuit, c.id)
	if done {
		w.leave()
	}
	return due
}

// drop hangs up. What the worker had is lost, for the cause.
func (w *worker) drop(cause error) {
	w.writing.Lock()
	w.over = true
	w.latest.letGo()
	w.writing.Unlock()
	r := w.revision
	r.mu.Lock()
	if !w.gone {
		w.gone = true
		if r.workers[w.Index] == w {
			r.workers[w.Index] = nil
			r.connected--
		}
		for id, fl := range w.flights {
			if fl.shipment != nil && !fl.shipment.written {
				continue // it goes to another worker: see again
			}
			delete(w.flights, id)
			if fl.call == nil {
				continue
			}
			if fl.shipment == nil && fl.deadline.IsZero() { // the client's turn: its next request is answered
				r.left()
				continue
			}
			r.finish(fl.call, cause)
		}
	}
	r.mu.Unlock()
	_ = w.conn.Close()
}

// hung gives up a worker that has not answered long after a deadline.
func (w *worker) hung() {
	w.drop(errLost)
	w.revision.front.notify(w.Notice(run.NoticeHung))
}

// chunk is a piece of a frame that waits for the socket, and the buffer that it lies in, if any.
type chunk struct {
	b   []byte
	buf *buffer
}

// smallFrame is the size up to which a frame is put together in one piece.
const smallFrame = 64 << 10

// send writes a frame of calls. It never waits for the worker to read. false: the worker has gone, and got nothing.
func (w *worker) send(id uint64, jobs []job, s *shipment) bool {
	size := 0
	for _, j := range jobs {
		size += len(j.item.b)
	}
	var flags byte
	prefix := jobs[0].prefix
	if (len(jobs) > 1 || w.hello.Batch > 0) && stackable(jobs) {
		flags = flagStacked
		length := int(uint32At(jobs[0].item.b, 4))
		size = prefix + pad8(len(jobs)*length)
	}
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.over {
		return false
	}
	s.written = true
	w.latest.letGo()
	w.scratch = appendHeader(w.scratch[:0], size, frameCall, flags, len(jobs), id)
	if size <= smallFrame {
		b := w.scratch
		if flags == flagStacked {
			length := int(uint32At(jobs[0].item.b, 4))
			b = append(b, jobs[0].item.b[:prefix]...)
			for _, j := range jobs {
				b = append(b, j.item.b[prefix:prefix+length]...)
			}
			b = appendPadding(b, len(jobs)*length)
		} else {
			for _, j := range jobs {
				b = append(b, j.item.b...)
			}
		}
		w.latest.id = id
		for _, j := range jobs {
			w.latest.items = append(w.latest.items, j.item)
		}
		w.scratch = b
		w.write(b)
		return true
	}
	// Large ones are not copied, and written by a goroutine that may wait.
	w.pending = append(w.pending, chunk{b: bytes.Clone(w.scratch)})
	if flags == flagStacked {
		length := int(uint32At(jobs[0].item.b, 4))
		w.pending = append(w.pending, chunk{b: bytes.Clone(jobs[0].item.b[:prefix])})
		for _, j := range jobs {
			w.pending = append(w.pending, chunk{j.item.b[prefix : prefix+length], j.item})
		}
		w.pending = append(w.pending, chunk{b: appendPadding(nil, len(jobs)*length)})
	} else {
		for _, j := range jobs {
			w.pending = append(w.pending, chunk{j.item.b, j.item})
		}
	}
	w.flush()
	return true
}

func uint32At(b []byte, at int) uint32 {
	return uint32(b[at]) | uint32(b[at+1])<<8 | uint32(b[at+2])<<16 | uint32(b[at+3])<<24
}

// stackable reports whether all are arrays of one shape.
func stackable(jobs []job) bool {
	head := jobs[0].item.b[:jobs[0].prefix]
	for _, j := range jobs {
		if j.kind != itemArray || j.prefix != len(head) || head[2]&flagPath != 0 ||
			!bytes.Equal(j.item.b[:j.prefix], head) {
			return false
		}
	}
	return true
}

// writeFrame writes a frame without a body.
func (w *worker) writeFrame(kind byte, id uint64) {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.latest.letGo()
	w.scratch = appendHeader(w.scratch[:0], 0, kind, 0, 0, id)
	w.write(w.scratch)
}

// write gives b to the socket, which takes it at once almost always. w.writing is held; b may be used again.
func (w *worker) write(b []byte) {
	if len(w.pending) == 0 && !w.flushing {
		n, err := w.socket.writeNow(b)
		if err != nil {
			w.latest.unsent = true
		}
		if err != nil || n == len(b) {
			return // of an error the reader hears as well
		}
		b = b[n:]
	}
	w.pending = append(w.pending, chunk{b: bytes.Clone(b)})
	w.flush()
}

// flush has what waits written by a goroutine that ends when nothing does, or the connection is closed. w.writing is
// held.
func (w *worker) flush() {
	if w.flushing {
		return
	}
	w.flushing = true
	w.revision.front.tasks.Go(func() {
		for {
			w.writing.Lock()
			chunks := w.pending
			w.pending = nil
			w.flushing = len(chunks) > 0
			w.writing.Unlock()
			if len(chunks) == 0 {
				return
			}
			for _, c := range chunks {
				_, err := w.conn.Write(c.b)
				if c.buf != nil {
					c.buf.release()
				}
				if err != nil {
					w.writing.Lock()
					w.latest.unsent = true
					w.writing.Unlock()
					_ = w.conn.Close()
				}
			}
		}
	})
}
