package front

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// Where a client sends one request after the other, all processors sleep most of the time, and to wake one takes longer
// than many a function: on two cores 36 of 190 µs, twice for each request. So when nothing else is to be done, and
// there is more than one processor, the front polls a socket for a moment instead of sleeping. With both, one
// connection had 8,150 answers a second instead of 5,060, for the same processor time in all.

// watchable is how long a socket is watched, and the longest that a function may take, on the average, to be watched
// for.
const watchable = 150 * time.Microsecond

// With GOMAXPROCS 1 nothing else is done meanwhile, so all this is for one client that has the front for itself: whose
// last two requests no other client's came between.

// watching is what a front knows of it.
type watching struct {
	on      bool    // there are processors enough
	backoff backoff // of watching clients
	last    atomic.Pointer[client]
	alone   atomic.Bool
}

// request notes that a client has sent one.
func (w *watching) request(conn net.Conn) {
	if !w.on {
		return
	}
	c, ok := conn.(*client)
	if alone := w.last.Load() == c && ok; !alone || !w.alone.Load() {
		w.last.Store(c)
		w.alone.Store(alone)
	}
}

// backoff keeps what does not help from being tried again and again: negative, so many times it is not.
type backoff struct{ atomic.Int32 }

// afterVain is how often nothing is tried after something was tried in vain.
const afterVain = -16

// watch polls a socket until there is something to read, or for a moment. enough may end it earlier.
func (b *backoff) watch(socket syscall.RawConn, enough func() bool) {
	if b.Load() < 0 {
		b.Add(1)
		return
	}
	seen := false
	_ = socket.Control(func(fd uintptr) {
		var peeked [1]byte
		for began := time.Now(); !seen && time.Since(began) < watchable; {
			_, _, err := unix.Recvfrom(int(fd), peeked[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			seen = !errors.Is(err, unix.EAGAIN) || enough()
		}
	})
	if !seen {
		b.Store(afterVain)
	}
}

// watch waits for the answer of a call that nobody else has.
func (w *worker) watch(c *call) {
	w.backoff.watch(w.socket.raw, func() bool { return len(c.done) > 0 })
}

// connState watches for the next request of a client that has the front for itself, when its last one was answered.
func (f *front) connState(conn net.Conn, state fasthttp.ConnState) {
	c, ok := conn.(*client)
	if state == fasthttp.StateIdle && ok {
		c.waited()
	}
	if state != fasthttp.StateIdle || !ok || !f.watching.alone.Load() || f.watching.last.Load() != c {
		return
	}
	if r := f.current.Load(); r != nil && r.idle() {
		f.watching.backoff.watch(c.socket.raw, func() bool { return !r.idle() })
	}
}

// idle reports whether there are no calls.
func (r *revision) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outstanding == 0
}
