package agent

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
)

// processes starts and reaps this process's children, and finds what they leave behind. There is one in a process: it reaps
// every child, also those that were inherited from a trial whose own parent had died.
type processes struct {
	spawn    chan func()
	signals  chan os.Signal
	quit     chan struct{}
	done     sync.WaitGroup
	reaping  sync.Mutex // held while children are reaped, and by whoever needs the list of them as it is
	mu       sync.Mutex // held while a child is started, so that it is known before it can be reaped
	children map[int]*child
}

// child is a process that we started.
type child struct {
	pid    int
	start  int64 // folder.StartTime
	exited chan struct{}
	status syscall.WaitStatus // to be read after exited
}

func newProcesses() (*processes, error) {
	if err := becomeSubreaper(); err != nil {
		return nil, fmt.Errorf("become the parent of orphaned processes: %w", err)
	}
	p := &processes{
		spawn: make(chan func()), signals: make(chan os.Signal, 1), quit: make(chan struct{}), children: map[int]*child{},
	}
	signal.Notify(p.signals, syscall.SIGCHLD)
	p.done.Go(func() {
		// Children die with the thread that started them (PR_SET_PDEATHSIG), so this thread lives as long as we do: the lock is
		// never given back, and the goroutine ends only when all children have.
		runtime.LockOSThread()
		for {
			select {
			case f := <-p.spawn:
				f()
			case <-p.quit:
				return
			}
		}
	})
	p.done.Go(func() {
		for {
			select {
			case <-p.signals:
				p.reap()
			case <-p.quit:
				return
			}
		}
	})
	return p, nil
}

// close ends the two goroutines. All children must have ended.
func (p *processes) close() {
	signal.Stop(p.signals)
	close(p.quit)
	p.done.Wait()
}

func (p *processes) reap() {
	p.reaping.Lock()
	defer p.reaping.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if pid <= 0 {
			return
		}
		p.mu.Lock()
		c := p.children[pid]
		delete(p.children, pid)
		p.mu.Unlock()
		if c != nil {
			c.status = status
			close(c.exited)
		}
	}
}

// command is what to start.
type command struct {
	argv  []string
	env   []string
	dir   string
	files []*os.File // descriptors 0, 1, 2, 3 …
}

// run starts a process that leads a session of its own and dies with us.
func (p *processes) run(c command) (*child, error) {
	var started *child
	var err error
	ready := make(chan struct{})
	p.spawn <- func() {
		defer close(ready)
		p.mu.Lock()
		defer p.mu.Unlock()
		files := make([]uintptr, len(c.files))
		for i, f := range c.files {
			files[i] = f.Fd()
		}
		var pid int
		pid, err = syscall.ForkExec(c.argv[0], c.argv, &syscall.ProcAttr{Dir: c.dir, Env: c.env, Files: files, Sys: childAttributes()})
		if err == nil {
			started = &child{pid: pid, start: folder.StartTime(pid), exited: make(chan struct{})}
			p.children[pid] = started
		}
	}
	<-ready
	runtime.KeepAlive(c.files)
	if err != nil {
		return nil, &startError{c.argv[0], err}
	}
	return started, nil
}

// startError says that the interpreter cannot be started: no trial of the run can.
type startError struct {
	path  string
	cause error
}

func (e *startError) Error() string {
	return fmt.Sprintf("the Python interpreter %s cannot be started: %v", e.path, e.cause)
}

func (e *startError) Unwrap() error { return e.cause }

// ours reports whether pid is a process that we started and that has not been reaped.
func (p *processes) ours(pid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.children[pid] != nil
}

// kill sends a signal to a process, unless its pid has come to mean another one.
func kill(pid int, start int64, sig syscall.Signal) {
	if start != 0 && folder.StartTime(pid) != start {
		return
	}
	_ = syscall.Kill(pid, sig)
}

// pause waits a little, more each time it is called with its result.
func pause(d time.Duration) time.Duration {
	time.Sleep(d) //nolint:forbidigo // the process table has no channel that tells of its changes
	return min(2*d, 50*time.Millisecond)
}

// token marks the processes of one attempt, in their environment. All tokens of a run begin alike and have the same length, since
// a forked trial overwrites its loader's in place.
type tokens struct{ run string }

func (t tokens) loader() string { return t.run + ".-------.----" }

func (t tokens) attempt(trial, number int) string {
	return fmt.Sprintf("%s.%07d.%04d", t.run, trial, number%10000)
}

func tokenOf(environ []string) string {
	for _, v := range environ {
		if t, ok := strings.CutPrefix(v, tokenVariable+"="); ok {
			return t
		}
	}
	return ""
}

const tokenVariable = "_METAML_TOKEN" //nolint:gosec // G101: a mark, no secret
