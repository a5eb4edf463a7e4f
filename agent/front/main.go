package front

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/run"
)

// MainOptions are what the process of a front is given.
type MainOptions struct {
	Folder  string   // the run's
	Control *os.File // the socket to the monitor: descriptor 3
	// Listeners are kept for the monitor after this one, and become the front's.
	Listeners []*os.File
	Alone     bool     // it ends with its monitor, and starts no other
	Log       *os.File // one JSON line for each request that ended with a status of 500 or more
}

// memoryLimit is where the garbage collector works harder: twice the bytes of requests that are allowed, and what is
// fixed.
const memoryLimit = 640 << 20

// front is the process: what the monitor has ordered, and the HTTP server.
type front struct {
	limits   limits
	budget   budget
	metrics  *meters
	server   *fasthttp.Server
	current  atomic.Pointer[revision] // nil: nothing was switched to yet
	stopping atomic.Bool
	refusing atomic.Bool  // requests that come from now on are not answered by the function
	leaving  atomic.Bool  // each answer ends its connection
	awaiting atomic.Int64 // requests that wait for a revision's first worker
	ended    chan struct{}
	watching watching
	crowd    crowd
	tasks    sync.WaitGroup // workers' connections, listeners, probes

	// Of the goroutine that hears the monitor, except that revisions is read by others.
	mu        sync.Mutex
	revisions map[int]*served
	listeners map[string]*listener

	control     *net.UnixConn
	notices     chan run.FrontNotice // for the monitor, in order; one goroutine writes them, so that no request waits
	noticesDone chan struct{}        // closed when there will be no more of them

	logging   sync.Mutex
	logTo     io.Writer
	logSecond int64
	logLines  int
	logLeft   int
}

func newFront(control *net.UnixConn, log io.Writer, l limits) *front {
	f := &front{
		limits: l, budget: budget{limit: l.bytes}, crowd: crowd{limit: l.conns}, ended: make(chan struct{}),
		revisions: map[int]*served{}, listeners: map[string]*listener{},
		control: control, notices: make(chan run.FrontNotice, 256), noticesDone: make(chan struct{}), logTo: log,
	}
	f.server = f.newServer()
	f.server.ConnState = f.connState
	f.metrics = newMeters(f)
	return f
}

// Main is the process of a front. It returns when it was ordered to stop and has, or when its monitor died and a new
// one was started, unless it is alone.
func Main(ctx context.Context, o MainOptions) error {
	c, err := net.FileConn(o.Control)
	if err != nil {
		return fmt.Errorf("descriptor %d is no socket to a monitor: %w", o.Control.Fd(), err)
	}
	_ = o.Control.Close()
	control, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("the control socket is a %T", c)
	}
	// The front's work is short and full of system calls; threads that look for more of it take the processors from the
	// workers. On two cores one thread needs 33 instead of 51 µs of processor for a request, at 8 connections.
	cores := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, cores/2))
	}
	debug.SetMemoryLimit(memoryLimit)
	began := time.Now()
	l := defaultLimits
	l.conns = connsWithin(l.conns)
	f := newFront(control, o.Log, l)
	f.watching.on = cores > 1
	for _, file := range o.Listeners {
		f.keep(file)
	}
	orphaned := f.serveOrders(ctx)
	if !orphaned || o.Alone {
		return nil
	}
	// A monitor that dies as soon as it is started must not make this a race.
	if wait := time.Second - time.Since(began); wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return f.startMonitor(ctx, o)
}

// notify sends a notice to the monitor.
func (f *front) notify(n run.FrontNotice) {
	select {
	case f.notices <- n:
	case <-f.noticesDone:
	}
}

// writeNotices writes to the monitor what notify was given. If it is gone, serveOrders will see it.
func (f *front) writeNotices() {
	gone := false
	write := func(n run.FrontNotice) {
		if gone {
			return
		}
		_ = f.control.SetWriteDeadline(time.Now().Add(writeTimeout))
		gone = frame.Write(f.control, n) != nil
	}
	for {
		select {
		case n := <-f.notices:
			write(n)
		case <-f.noticesDone:
			for {
				select {
				case n := <-f.notices:
					write(n)
				default:
					return
				}
			}
		}
	}
}

// end refuses what is new, gives what is there some time, and ends.
func (f *front) end(ctx context.Context, grace time.Duration) {
	f.stopping.Store(true)
	f.refusing.Store(true)
	if grace == 0 {
		for _, r := range f.all() {
			r.close(errStopped)
		}
	}
	f.release() // a descriptor that is left open would let connections wait that nobody takes
	f.shutdown(ctx, grace)
	close(f.ended)
	for _, r := range f.all() {
		r.close(errStopped)
	}
	f.shutdown(ctx, time.Second)
}

// orphan answers what is there when the monitor has died, and the workers with it.
func (f *front) orphan(ctx context.Context) {
	f.stopping.Store(true)
	close(f.ended)
	// Shutdown misses a listener whose goroutine has not come to serve it yet. The descriptors are kept for another
	// monitor.
	f.mu.Lock()
	for _, l := range f.listeners {
		l.hangUp()
	}
	f.mu.Unlock()
	for _, r := range f.all() {
		r.closeWaiting(errMonitor)
	}
	f.shutdown(ctx, orphanGrace)
	for _, r := range f.all() {
		r.close(errMonitor)
	}
	f.shutdown(ctx, time.Second)
}

// orphanGrace is how long workers may take to die with their monitor; what they were sent before is still answered.
const orphanGrace = 2 * time.Second

// shutdown takes no more connections, and waits for the requests that are being answered.
func (f *front) shutdown(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	_ = f.server.ShutdownWithContext(ctx)
}
