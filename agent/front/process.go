package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/run"
)

// Options say how a front is started.
type Options struct {
	Folder string   // the run's, where a front whose monitor died starts a new one
	Binary string   // metaml-agent
	Log    *os.File // its standard output and error
	// Listeners are kept by the front from its first moment on, for the monitor after this one. Connections are taken
	// there when Listen says so. They stay the caller's.
	Listeners []*os.File
	// Spawn starts a process with the files as its descriptors 0, 1, 2 …, and does not make it die with its parent: a
	// front outlives its monitor, to start another. The files are the caller's.
	Spawn func(argv []string, files []*os.File) (Child, error)
}

// Child is a process as the one place that starts and reaps children knows it.
type Child interface {
	PID() int
	Wait() (exit, signal int) // returns when it has been reaped
	Kill()
}

// Process is a front, as its monitor sees it. Its methods may be called by several goroutines; the errors that they
// give mean that the process is as good as gone, which Updates says too.
type Process struct {
	child   Child
	conn    *net.UnixConn
	updates chan run.FrontUpdate
	quit    chan struct{}
	once    sync.Once
	writing sync.Mutex
	mu      sync.Mutex
	fault   string // why we ended it
}

// writeTimeout bounds how long a front may leave its control socket unread, which it does nothing else for.
const writeTimeout = 10 * time.Second

// Start starts a front. It knows nothing yet: give it listeners, revisions and workers, and then to switch.
func Start(o Options) (*Process, error) {
	conn, theirs, err := frame.Pair()
	if err != nil {
		return nil, fmt.Errorf("start the front: %w", err)
	}
	defer theirs.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start the front: %w", err)
	}
	defer null.Close()
	argv, files := withListeners([]string{o.Binary, "front", "--dir", o.Folder},
		[]*os.File{null, o.Log, o.Log, theirs}, o.Listeners)
	child, err := o.Spawn(argv, files)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start the front: %w", err)
	}
	p := &Process{child: child, conn: conn, updates: make(chan run.FrontUpdate, 16), quit: make(chan struct{})}
	go p.listen()
	return p, nil
}

// PID is the process's.
func (p *Process) PID() int { return p.child.PID() }

// Updates are what the front reports, until it has ended; the channel is closed then. Somebody must read it.
func (p *Process) Updates() <-chan run.FrontUpdate { return p.updates }

// Listen has the front take connections. The listener stays the caller's.
func (p *Process) Listen(address string, listener *os.File) error {
	return p.send(run.FrontOrder{Type: run.OrderListen, Address: address}, int(listener.Fd()))
}

// Unlisten has the front take no more connections there.
func (p *Process) Unlisten(address string) error {
	return p.send(run.FrontOrder{Type: run.OrderUnlisten, Address: address})
}

// Revision makes a revision known. It gets no requests before Switch.
func (p *Process) Revision(r run.FrontRevision) error { return p.send(r.Order()) }

// Scale has a revision so many workers from now on. Those that are too many answer what they have, which Left says.
func (p *Process) Scale(revision, workers int) error {
	return p.send(run.FrontOrder{Type: run.OrderScale, Revision: revision, Workers: workers})
}

// Worker has the front dial a worker, in place of an earlier attempt of it.
func (p *Process) Worker(w run.FrontWorker) error { return p.send(w.Order()) }

// Probe calls the function as a request would. body is JSON; "" means the example of its signature.
func (p *Process) Probe(revision int, body string) error {
	o := run.FrontOrder{Type: run.OrderProbe, Revision: revision}
	if body != "" {
		o.Body = &body
	}
	return p.send(o)
}

// Switch has new requests go to a revision. The one before answers what it has, which Drained says.
func (p *Process) Switch(revision int) error {
	return p.send(run.FrontOrder{Type: run.OrderSwitch, Revision: revision})
}

// Retire has the front forget a revision.
func (p *Process) Retire(revision int) error {
	return p.send(run.FrontOrder{Type: run.OrderRetire, Revision: revision})
}

// Leave has each answer end its connection from now on, so that clients go elsewhere before the front is stopped.
func (p *Process) Leave() error { return p.send(run.FrontOrder{Type: run.OrderLeave}) }

// Stop has the front refuse what is new, answer what is there for at most grace, and end.
func (p *Process) Stop(grace time.Duration) error {
	return p.send(run.FrontOrder{Type: run.OrderStop, GraceMS: grace.Milliseconds()})
}

// Kill ends the process at once. What it was answering is lost, connections that wait are not.
func (p *Process) Kill() { p.child.Kill() }

// Close kills the process, if it has not ended, and waits for its end. Updates need not be read any more.
func (p *Process) Close(ctx context.Context) error {
	p.once.Do(func() { close(p.quit) })
	p.child.Kill()
	for {
		select {
		case _, more := <-p.updates:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the front: %w", context.Cause(ctx))
		}
	}
}

func (p *Process) send(o run.FrontOrder, fds ...int) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := frame.Write(p.conn, o, fds...); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.fail("it did not read its orders")
		}
		return fmt.Errorf("tell the front to %s: %w", o.Type, err)
	}
	return nil
}

// fail ends a front that does not keep to the protocol.
func (p *Process) fail(text string) {
	p.mu.Lock()
	if p.fault == "" {
		p.fault = text
	}
	p.mu.Unlock()
	p.child.Kill()
}

// listen passes on what the front says until it is gone.
func (p *Process) listen() {
	defer close(p.updates)
	for {
		var n run.FrontNotice
		if err := frame.Read(p.conn, &n); err != nil {
			break
		}
		if u, known := n.Update(); known {
			p.update(u)
		}
	}
	// A front without its control socket would start another monitor beside this one.
	p.child.Kill()
	end := &run.FrontEnd{}
	end.Exit, end.Signal = p.child.Wait()
	_ = p.conn.Close()
	p.mu.Lock()
	end.Text = p.fault
	p.mu.Unlock()
	p.update(run.FrontUpdate{Ended: end})
}

func (p *Process) update(u run.FrontUpdate) {
	select {
	case p.updates <- u:
	case <-p.quit:
	}
}
