package front

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/venv"
)

func root(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// module is the folder of the Python module.
func module(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(root(tb), "jupyter-ext", "python")
}

// inside is a front in this process, so that the race detector sees it; all else is as with a process of its own.
type inside struct {
	done   chan struct{}
	cancel context.CancelCauseFunc
}

func (c *inside) PID() int                 { return os.Getpid() }
func (c *inside) Wait() (exit, signal int) { <-c.done; return 0, 0 }
func (c *inside) Kill()                    { c.cancel(errors.New("killed")) }

// lines is a log that tests look at.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// rig is a front with its monitor, which the test is.
type rig struct {
	*Process
	t     testing.TB
	front *front
	log   *lines
	url   string // without a path
	addr  string
	seen  *updates
}

// updates are what the front sent.
type updates struct {
	mu      sync.Mutex
	all     []run.FrontUpdate
	changed chan struct{}
}

func (u *updates) add(one run.FrontUpdate) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, one)
	close(u.changed)
	u.changed = make(chan struct{})
}

// find gives the first update that fits, when it has come.
func (r *rig) find(what string, fits func(run.FrontUpdate) bool) run.FrontUpdate {
	r.t.Helper()
	end := time.After(30 * time.Second)
	for {
		r.seen.mu.Lock()
		changed := r.seen.changed
		for _, u := range r.seen.all {
			if fits(u) {
				r.seen.mu.Unlock()
				return u
			}
		}
		all := fmt.Sprintf("%+v", r.seen.all)
		r.seen.mu.Unlock()
		select {
		case <-changed:
		case <-end:
			r.t.Fatalf("waited in vain for %s; the front sent %s, and its log has %s", what, all, r.log)
		}
	}
}

// newRig starts a front that listens, and checks in the end that it has let go of all requests.
func newRig(tb testing.TB, l limits) *rig {
	tb.Helper()
	r := &rig{t: tb, log: &lines{}, seen: &updates{changed: make(chan struct{})}}
	ctx, cancel := context.WithCancelCause(context.Background())
	child := &inside{done: make(chan struct{}), cancel: cancel}
	var err error
	r.Process, err = Start(Options{
		Folder: tb.TempDir(), Binary: "front",
		Spawn: func(_ []string, files []*os.File) (Child, error) {
			c, err := net.FileConn(files[3])
			if err != nil {
				return nil, err
			}
			r.front = newFront(c.(*net.UnixConn), r.log, l)
			r.front.watching.on = true
			go func() {
				defer close(child.done)
				defer cancel(nil)
				if r.front.serveOrders(ctx) {
					r.front.release()
				}
			}()
			return child, nil
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for u := range r.Updates() {
			r.seen.add(u)
		}
	}()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			tb.Error(err)
		}
		<-sent
		// Connections that were cut give their bytes back as their handlers end, which nobody waits for.
		for used := r.front.budget.used.Load(); used != 0; used = r.front.budget.used.Load() {
			select {
			case <-ctx.Done():
				tb.Fatalf("%d bytes of requests are still counted", used)
			case <-time.After(time.Millisecond):
			}
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r.addr = listener.Addr().String()
	r.url = "http://" + r.addr
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		tb.Fatal(err)
	}
	check(tb, r.Listen(r.addr, file))
	_, _ = file.Close(), listener.Close()
	return r
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-end:
			buf := make([]byte, 1<<20)
			tb.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		case <-look.C:
		}
	}
}

// process is a worker's.
type process struct {
	*exec.Cmd
	socket string
	stderr *lines
}

// startWorker starts testdata/worker.py and returns when it listens.
func startWorker(tb testing.TB, function string, batch int, environment ...string) *process {
	tb.Helper()
	dir, err := os.MkdirTemp("", "front") //nolint:usetesting // a socket's path has 108 bytes
	check(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &process{socket: filepath.Join(dir, "w"), stderr: &lines{}}
	p.Cmd = exec.Command(venv.Python(tb), filepath.Join("testdata", "worker.py"), p.socket, function,
		strconv.Itoa(batch))
	p.Env = append(os.Environ(), "PYTHONPATH="+module(tb), "OPENBLAS_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1")
	p.Env = append(p.Env, environment...)
	p.Stderr = p.stderr
	out, err := p.StdoutPipe()
	check(tb, err)
	check(tb, p.Start())
	tb.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
		if tb.Failed() && p.stderr.String() != "" {
			tb.Logf("worker: %s", p.stderr)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		_ = p.Wait()
		tb.Fatalf("the worker did not get ready: %q, %v: %s", line, err, p.stderr)
	}
	return p
}

// serve starts workers of a function, as a revision that answers.
func (r *rig) serve(number int, function string, o run.FrontRevision, environment ...string) []*process {
	r.t.Helper()
	o.Number = number
	o.Hosts = append(o.Hosts, "x") // short, for raw requests
	if o.Path == "" {
		o.Path = "/predict"
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	check(r.t, r.Revision(o))
	var all []*process
	for i := range o.Workers {
		p := startWorker(r.t, function, o.Batch, environment...)
		all = append(all, p)
		r.worker(number, i, 1, p)
	}
	r.switchTo(number)
	return all
}

func (r *rig) worker(revision, index, attempt int, p *process) {
	r.t.Helper()
	check(r.t, r.Worker(run.FrontWorker{
		WorkerID: run.WorkerID{Revision: revision, Index: index, Attempt: attempt}, PID: p.Process.Pid,
		Socket: p.socket,
	}))
	r.find("a connection to the worker", func(u run.FrontUpdate) bool {
		return u.Connected != nil && *u.Connected == run.WorkerID{Revision: revision, Index: index, Attempt: attempt}
	})
}

func (r *rig) switchTo(number int) {
	r.t.Helper()
	check(r.t, r.Switch(number))
	r.find("the switch", func(u run.FrontUpdate) bool { return u.Switched == number })
}

// reply is a whole HTTP response.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// ask sends a request and gives the answer.
func (r *rig) ask(method, path, contentType, body string) reply {
	r.t.Helper()
	got, err := r.try(method, path, contentType, body)
	check(r.t, err)
	return got
}

func (r *rig) post(body string) reply {
	r.t.Helper()
	return r.ask("POST", "/predict", "application/json", body)
}

func (r *rig) try(method, path, contentType, body string) (reply, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(data)}, err
}

// dial opens a connection for what http.Client does not send.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	check(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// rogue is a worker that does not keep to the protocol: after the hello, the test says what it does with each
// connection.
func rogue(tb testing.TB, hello string, then func(c *net.UnixConn)) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "front") //nolint:usetesting // as above
	check(tb, err)
	socket := filepath.Join(dir, "w")
	l, err := net.Listen("unix", socket)
	check(tb, err)
	hello += strings.Repeat(" ", pad8(len(hello))-len(hello))
	var conns sync.WaitGroup
	ctx := tb.Context()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // before the cleanup, which waits
			conns.Go(func() {
				defer stop()
				defer c.Close()
				if _, err := c.Write(append(appendHeader(nil, len(hello), frameHello, 0, 0, 0), hello...)); err == nil {
					then(c.(*net.UnixConn))
				}
			})
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-ended
		conns.Wait()
		_ = os.RemoveAll(dir)
	})
	return socket
}

const plainHello = `{"v":1,"pid":1,"function":"serve","input":{"kind":"json"},"batch":0,"concurrent":1}`

// rogueRevision makes a revision of rogue workers the one that answers.
func (r *rig) rogueRevision(o run.FrontRevision, sockets ...string) {
	r.t.Helper()
	o.Number, o.Path, o.Workers, o.Hosts = 1, "/predict", len(sockets), append(o.Hosts, "x")
	o.Timeout = cmp.Or(o.Timeout, run.DefaultRequestTimeout)
	check(r.t, r.Revision(o))
	for i, socket := range sockets {
		check(r.t, r.Worker(run.FrontWorker{WorkerID: run.WorkerID{Revision: 1, Index: i, Attempt: 1}, Socket: socket}))
	}
	r.switchTo(1)
}

// readCall reads a call's header and body.
func readCall(c net.Conn) (kind byte, count int, id uint64, body []byte, err error) {
	head := make([]byte, frameHeader)
	if _, err = io.ReadFull(c, head); err != nil {
		return
	}
	body = make([]byte, uint32At(head, 0))
	_, err = io.ReadFull(c, body)
	return head[4], int(head[6]) | int(head[7])<<8, uint64(uint32At(head, 8)), body, err
}
