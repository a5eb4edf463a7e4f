package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// MainOptions are what the process of a front is given.
type MainOptions struct {
	Folder  string   // the run's
	Control *os.File // the socket to the monitor: descriptor 3
	Log     *os.File // one JSON line for each request that ended with a status of 500 or more
}

// memoryLimit is where the garbage collector works harder: twice the bytes of requests that are allowed, and what is
// fixed.
const memoryLimit = 640 << 20

// front is the process: what the monitor has told it, and the HTTP server.
type front struct {
	limits   limits
	budget   budget
	metrics  *meters
	server   *fasthttp.Server
	current  atomic.Pointer[revision] // nil: nothing was switched to yet
	stopping atomic.Bool
	meeting  atomic.Int64 // requests that wait for a revision's first worker
	ended    chan struct{}
	watching watching
	crowd    crowd
	tasks    sync.WaitGroup // workers' connections, listeners, probes

	// Of the goroutine that hears the monitor, except that revisions is read by others.
	mu        sync.Mutex
	revisions map[int]*served
	listeners map[string]*listener

	control *net.UnixConn
	notices chan run.FrontNotice // for the monitor, in order; written by one goroutine, so that no request waits for it
	told    chan struct{}        // closed when nothing more is to be said

	logging   sync.Mutex
	logTo     io.Writer
	logSecond int64
	logLines  int
	logLeft   int
}

// served is a revision and what ends its connections.
type served struct {
	*revision
	ctx    context.Context //nolint:containedctx // the revision's life, which orders come to later
	cancel context.CancelCauseFunc
	slots  map[int]context.CancelCauseFunc
}

// listener is an address where connections are taken, and the descriptor, which is kept for another monitor.
type listener struct {
	net.Listener
	file *os.File
}

func newFront(control *net.UnixConn, log io.Writer, l limits) *front {
	f := &front{
		limits: l, budget: budget{limit: l.bytes}, crowd: crowd{limit: l.conns}, ended: make(chan struct{}),
		revisions: map[int]*served{}, listeners: map[string]*listener{},
		control: control, notices: make(chan run.FrontNotice, 256), told: make(chan struct{}), logTo: log,
	}
	f.server = f.newServer()
	f.server.ConnState = f.connState
	f.metrics = newMeters(f)
	return f
}

// Main is the process of a front. It returns when it was told to stop and has, or when its monitor died and a new one
// was started.
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
	orphaned := f.obey(ctx)
	if !orphaned {
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

// obey does what the monitor says. It returns when everything has ended; orphaned: because the monitor did.
func (f *front) obey(ctx context.Context) (orphaned bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	said := make(chan struct{})
	go func() {
		defer close(said)
		f.speak()
	}()
	defer func() {
		cancel(nil)
		f.tasks.Wait()
		close(f.told)
		<-said
		_ = f.control.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = f.control.CloseRead() })
	defer stop()
	in := frame.NewReader(f.control)
	defer in.Close()
	for {
		var o run.FrontOrder
		if err := frame.Read(in, &o); err != nil {
			if ctx.Err() != nil {
				f.end(context.WithoutCancel(ctx), 0)
				return false
			}
			if !errors.Is(err, io.EOF) {
				f.log(logLine{Error: "the monitor: " + err.Error()})
			}
			f.orphan(ctx)
			return true
		}
		switch o.Type {
		case run.OrderListen:
			f.listen(o.Address, in.Take())
		case run.OrderUnlisten:
			f.unlisten(o.Address)
		case run.OrderRevision:
			f.addRevision(ctx, o)
		case run.OrderWorker:
			f.addWorker(o) //nolint:contextcheck // its life is the revision's
		case run.OrderProbe:
			if r := f.revision(o.Revision); r != nil {
				f.tasks.Go(func() {
					probed := f.probe(r.revision, o.Body)
					f.tell(probed.Notice())
				})
			}
		case run.OrderSwitch:
			f.switchTo(o.Revision)
		case run.OrderRetire:
			f.retire(o.Revision)
		case run.OrderStop:
			f.end(ctx, time.Duration(o.GraceMS)*time.Millisecond)
			return false
		}
	}
}

// tell says something to the monitor.
func (f *front) tell(n run.FrontNotice) {
	select {
	case f.notices <- n:
	case <-f.told:
	}
}

// speak writes what is told. If the monitor is gone, obey will see it.
func (f *front) speak() {
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
		case <-f.told:
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

// all gives the revisions that there are.
func (f *front) all() []*revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*revision, 0, len(f.revisions))
	for _, r := range f.revisions {
		all = append(all, r.revision)
	}
	return all
}

func (f *front) revision(number int) *served {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revisions[number]
}

func (f *front) listen(address string, file *os.File) {
	if file == nil {
		f.log(logLine{Error: "the monitor sent no socket for " + address})
		return
	}
	f.unlisten(address)
	l, err := net.FileListener(file)
	if err != nil {
		_ = file.Close()
		f.log(logLine{Error: fmt.Sprintf("listen on %s: %v", address, err)})
		return
	}
	f.mu.Lock()
	f.listeners[address] = &listener{l, file}
	f.mu.Unlock()
	f.tasks.Go(func() { _ = f.server.Serve(patient{l, f}) })
}

// patient is a listener that goes on when there are too many open files, or a client was quicker in leaving: fasthttp
// would stop.
type patient struct {
	net.Listener
	front *front
}

// Accept returns io.EOF when the listener is closed.
func (p patient) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; {
		c, err := p.Listener.Accept()
		if err == nil {
			if c = p.front.welcome(c); c == nil {
				continue
			}
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, io.EOF
		}
		p.front.crowd.makeRoom() // for want of descriptors, most likely
		select {
		case <-p.front.ended:
			return nil, io.EOF
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

// full is the answer where everybody waits for one.
var full = func() []byte {
	body := `{"error":"too many connections are open; try again"}`
	return fmt.Appendf(nil,
		"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: %s\r\n%s: %s\r\nRetry-After: "+
			"1\r\nContent-Length: %d\r\n\r\n%s",
		typeJSON, nosniff, nosniffValue, len(body), body)
}()

// welcome counts a connection, or ends it where there are too many: nil.
func (f *front) welcome(c net.Conn) net.Conn {
	made := newClient(c, f.limits.body)
	if mine, ok := made.(*client); ok && !f.crowd.admit(mine) {
		_, _ = mine.socket.writeNow(full)
		_ = mine.Close()
		return nil
	}
	return made
}

func (f *front) unlisten(address string) {
	f.mu.Lock()
	l := f.listeners[address]
	delete(f.listeners, address)
	f.mu.Unlock()
	if l != nil {
		_ = l.Close()
		_ = l.file.Close()
	}
}

// maxWorkers bounds what an order can make us allocate.
const maxWorkers = 1 << 12

func (f *front) addRevision(ctx context.Context, o run.FrontOrder) {
	if f.revision(o.Revision) != nil || o.Workers < 1 || o.Workers > maxWorkers || !strings.HasPrefix(o.Path, "/") {
		return
	}
	r := newRevision(f, o.FrontRevision())
	s := &served{revision: r, slots: map[int]context.CancelCauseFunc{}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	f.mu.Lock()
	f.revisions[o.Revision] = s
	f.mu.Unlock()
}

func (f *front) addWorker(o run.FrontOrder) {
	s := f.revision(o.Revision)
	if s == nil || o.Worker < 0 || o.Worker >= s.Workers {
		return
	}
	s.mu.Lock()
	before := s.attempts[o.Worker]
	if o.Attempt > before {
		s.attempts[o.Worker] = o.Attempt
	}
	s.mu.Unlock()
	if o.Attempt <= before {
		return
	}
	if before > 0 {
		f.metrics.restarts.Inc()
		s.slots[o.Worker](errReplaced)
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.slots[o.Worker] = cancel
	f.tasks.Go(func() {
		s.attach(ctx, o.FrontWorker())
	})
}

var errReplaced = errors.New("another attempt has taken its place")

// switchTo has new requests go to a revision.
func (f *front) switchTo(number int) {
	s := f.revision(number)
	if s == nil {
		return
	}
	s.undrain()
	before := f.current.Swap(s.revision)
	f.tell(run.FrontNotice{Type: run.NoticeSwitched, Revision: number})
	if before != nil && before != s.revision {
		before.drain()
	}
}

func (f *front) retire(number int) {
	f.mu.Lock()
	s := f.revisions[number]
	delete(f.revisions, number)
	f.mu.Unlock()
	if s == nil {
		return
	}
	f.current.CompareAndSwap(s.revision, nil)
	s.drain()
	s.close(errRetired)
	s.cancel(errRetired)
}

// probeBody is how much of an answer the monitor is told.
const probeBody = 64 << 10

// probe calls the function as a request would.
func (f *front) probe(r *revision, body *string) run.Probed {
	n := run.Probed{Revision: r.Number}
	began := time.Now()
	c := newCall(began, nil)
	c.deadline = began.Add(r.Timeout)
	h := r.hello.Load()
	if h == nil {
		var p problem
		if h, p = f.meet(r, c); p.status != 0 {
			n.Status, n.Error = p.status, p.text
			return n
		}
	}
	text := string(h.Example)
	if body != nil {
		text = *body
	}
	if n.Example = text; text == "" || text == "null" && body == nil {
		n.Example, n.Skipped = "", true
		return n
	}
	began = time.Now()
	c.arrived = began
	q := request{named: r.route.named, contentType: typeJSON, body: newBuffer(&f.budget), size: len(text)}
	if !q.body.grow(8 + pad8(len(text))) {
		q.release()
		n.Status, n.Error = 503, f.noRoom().text
		return n
	}
	q.body.b = append(append(q.body.b[:0], make([]byte, 8)...), text...)
	p := f.call(r, c, &q)
	if p.status != 0 {
		q.release()
		n.Status, n.Error = p.status, p.text
		return n
	}
	n.Seconds = time.Since(began).Seconds()
	defer c.release()
	if c.failure != nil {
		p := f.problemOf(r, c.failure)
		n.Status, n.Error = p.status, p.text
		return n
	}
	n.Status = c.answer.status
	said, err := readHead(c.answer.head)
	if isPart(c.answer.kind) {
		n.ContentType = firstOf(said.Type, typeOfPart(c.answer.kind, c.answer.data))
		n.Body = shown(c.answer.data)
		f.probeRest(r, c, &n)
		return n
	}
	contentType, data, p := f.render(r, c)
	if err != nil {
		p = wrongHead(r, err)
	}
	if p.status != 0 {
		f.log(logLine{ID: newID(), Status: p.status, Path: r.Path, Error: p.log})
		n.Status, n.Error = p.status, p.log
		return n
	}
	n.ContentType, n.Body = firstOf(said.Type, contentType), shown(data)
	if n.Status >= 400 {
		_, n.Error = errorOf(data)
		n.Error = firstOf(n.Error, fasthttp.StatusMessage(n.Status))
	}
	return n
}

// How much of a stream is read to see whether it breaks.
const (
	probeStream = 250 * time.Millisecond
	probeParts  = 100
)

// probeRest reads what follows the first part of a stream, for a moment. What breaks there has a status already, so no
// caller is told.
func (f *front) probeRest(r *revision, c *call, n *run.Probed) {
	over := time.NewTimer(probeStream)
	defer over.Stop()
	for range probeParts {
		if err := c.worker.more(c); err != nil {
			p := f.problemOf(r, err)
			n.Status, n.Error = p.status, p.text
			return
		}
		select {
		case <-c.done:
		case <-over.C:
			if !c.worker.quit(c) {
				<-c.done // it is on its way
			}
			return
		}
		switch {
		case c.failure != nil:
			p := f.problemOf(r, c.failure)
			n.Status, n.Error = p.status, p.text
			return
		case c.answer.kind == replyEnd:
			return
		case !isPart(c.answer.kind):
			_, n.Error = errorOf(c.answer.data)
			n.Status, n.Body, n.Error = c.answer.status, shown(c.answer.data), firstOf(n.Error, "the stream broke off")
			return
		}
	}
	c.worker.quit(c)
}

func shown(data []byte) string {
	return strings.ToValidUTF8(string(data[:min(len(data), probeBody)]), "\ufffd")
}

// end refuses what is new, gives what is there some time, and ends.
func (f *front) end(ctx context.Context, grace time.Duration) {
	f.stopping.Store(true)
	for _, r := range f.all() {
		if grace == 0 {
			r.close(errStopped)
		} else {
			r.refuse(errStopped)
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
		_ = l.Close()
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

// release closes the listeners' descriptors.
func (f *front) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for address, l := range f.listeners {
		_ = l.Close()
		_ = l.file.Close()
		delete(f.listeners, address)
	}
}

// firstListener is the descriptor of a new monitor's first listener.
const firstListener = 4

// takeover is the descriptor on which a new monitor says that it has a front of its own.
const takeover = 3

// startMonitor starts a monitor in place of the one that died, with the sockets that it listened on, and leaves
// everything to it when it has a front of its own. One that is killed before that, or cannot go on, is replaced: nobody
// else would. What is lacking may be there again in a while: room on the disk, memory, processes, open files.
func (f *front) startMonitor(ctx context.Context, o MainOptions) error {
	defer f.release()
	for wait, until := 10*time.Millisecond, time.Now().Add(monitorPatience); ; wait = min(2*wait, monitorPause) {
		if _, err := os.Stat(folder.Run(o.Folder).Spec()); errors.Is(err, os.ErrNotExist) {
			return nil // the run was deleted: nothing is left to serve
		}
		done, err := f.handOver(ctx, o)
		if done || err != nil && time.Now().After(until) {
			return err
		}
		if err != nil {
			f.log(logLine{Error: err.Error()})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// How long a front tries to start a monitor that ends by itself each time, and the longest pause meanwhile.
const (
	monitorPatience = time.Hour
	monitorPause    = 5 * time.Second
)

// handOver starts a monitor and waits until it has a front, or needs none. It is not done when the monitor is killed
// before that.
func (f *front) handOver(ctx context.Context, o MainOptions) (done bool, err error) {
	binary, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	defer null.Close()
	log, err := folder.OpenOwn(folder.Run(o.Folder).MonitorLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		log = o.Log
	} else {
		defer log.Close()
	}
	said, says, err := os.Pipe()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	defer said.Close()
	args := []string{binary, "monitor", "--dir", o.Folder, "--takeover", fmt.Sprint(takeover)}
	files := []*os.File{null, log, log, says}
	var numbers []string
	f.mu.Lock()
	for _, l := range f.listeners {
		numbers = append(numbers, fmt.Sprint(firstListener+len(numbers)))
		files = append(files, l.file)
	}
	f.mu.Unlock()
	if len(numbers) > 0 {
		args = append(args, "--listener", strings.Join(numbers, ","))
	}
	p, err := os.StartProcess(binary, args, &os.ProcAttr{
		Dir: o.Folder, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	_ = says.Close()
	if err != nil {
		return false, fmt.Errorf("start a monitor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = said.Close() })
	defer stop()
	if n, _ := said.Read(make([]byte, 1)); n > 0 || ctx.Err() != nil {
		return true, p.Release()
	}
	state, err := p.Wait()
	switch {
	case err != nil:
		return false, fmt.Errorf("wait for the new monitor: %w", err)
	case state.Success():
		return true, nil // the server has ended, or another monitor is there
	case state.Exited():
		return false, fmt.Errorf("the new monitor ended with exit status %d; %s has the reason", state.ExitCode(),
			folder.Run(o.Folder).MonitorLog())
	default:
		return false, nil
	}
}
