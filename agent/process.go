package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// Processes starts and reaps this process's children, and finds what they leave behind. There is one in a process: it
// reaps every child, also those that were inherited from a trial whose own parent had died.
type Processes struct {
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

// NewProcesses begins to reap. From now on nothing else of this process may wait for a child.
func NewProcesses() (*Processes, error) {
	if err := becomeSubreaper(); err != nil {
		return nil, fmt.Errorf("become the parent of orphaned processes: %w", err)
	}
	p := &Processes{
		spawn: make(chan func()), signals: make(chan os.Signal, 1), quit: make(chan struct{}),
		children: map[int]*child{},
	}
	signal.Notify(p.signals, syscall.SIGCHLD)
	p.done.Go(func() {
		// Children die with the thread that started them (PR_SET_PDEATHSIG), so this thread lives as long as we do: the
		// lock is never given back, and the goroutine ends only when all children have.
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

// Close kills what was left to us, and ends the two goroutines. All children that we started must have ended.
func (p *Processes) Close() {
	p.orphans()
	signal.Stop(p.signals)
	close(p.quit)
	p.done.Wait()
}

func (p *Processes) reap() {
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

	outlives bool // it does not die with us
}

// Spawn starts a process that leads a session of its own and outlives us. The files, its descriptors 0, 1, 2 …, stay
// the caller's.
func (p *Processes) Spawn(argv []string, files []*os.File) (*Spawned, error) {
	c, err := p.run(command{argv: argv, env: os.Environ(), files: files, outlives: true})
	if err != nil {
		return nil, err
	}
	return &Spawned{c}, nil
}

// Spawned is a process that outlives us, if nobody kills it.
type Spawned struct{ child *child }

// PID is the process's.
func (s *Spawned) PID() int { return s.child.pid }

// Wait returns when the process has been reaped. If signal is 0 it ended by itself.
func (s *Spawned) Wait() (exit, signal int) {
	<-s.child.exited
	if s.child.status.Signaled() {
		return 0, int(s.child.status.Signal())
	}
	return s.child.status.ExitStatus(), 0
}

// Kill ends the process.
func (s *Spawned) Kill() { kill(s.child.pid, s.child.start, syscall.SIGKILL) }

// run starts a process that leads a session of its own and dies with us.
func (p *Processes) run(c command) (*child, error) {
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
		pid, err = syscall.ForkExec(c.argv[0], c.argv, &syscall.ProcAttr{
			Dir: c.dir, Env: c.env, Files: files, Sys: childAttributes(!c.outlives),
		})
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
func (p *Processes) ours(pid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.children[pid] != nil
}

// kill sends a signal to a process, unless its pid has come to mean another one.
func kill(pid int, start int64, sig syscall.Signal) {
	if start != 0 && folder.StartTime(pid) != start {
		return
	}
	_ = process.Signal(pid, sig)
}

// pause waits a little, more each time it is called with its result.
func pause(d time.Duration) time.Duration {
	time.Sleep(d) //nolint:forbidigo // the process table has no channel that reports its changes
	return min(2*d, 50*time.Millisecond)
}

// token marks the processes of one attempt, in their environment. All tokens of a run begin alike and have the same
// length, since a forked trial overwrites its loader's in place.
type tokens struct{ run string }

// newTokens makes those of a run. All tokens of a server begin alike, whatever the revision.
func newTokens(spec run.Spec, in folder.Run) tokens {
	if spec.Server != nil {
		return tokens{fmt.Sprintf("%s%04x", serverMark(serverOf(in), spec.Name), spec.Server.Revision&0xffff)}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", realPath(in), spec.Name, spec.Created.UnixNano()))
	return tokens{hex.EncodeToString(sum[:8])}
}

// serverMark is what the names of a server's processes and sockets begin with.
func serverMark(server folder.Run, name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", realPath(server), name))
	return hex.EncodeToString(sum[:6])
}

// serverOf is the folder of the server that a revision's folder lies in.
func serverOf(revision folder.Run) folder.Run {
	return folder.Run(filepath.Dir(filepath.Dir(string(revision))))
}

func realPath(f folder.Run) string {
	if path, err := filepath.EvalSymlinks(string(f)); err == nil {
		return path
	}
	return string(f)
}

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
