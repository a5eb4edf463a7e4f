package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// attempt is one attempt of a trial, from its folder to its end.
type attempt struct {
	run.Attempt
	sup    *Supervisor
	cancel chan struct{}     // closed when it is to end before it has a process
	main   chan *mainProcess // its process, once: taken and put back by whoever reads it

	// The following belong to run.
	begun    bool             // its output folder is what it is to find
	restored map[string]int64 // see run.Started

	mu      sync.Mutex
	stopped bool // it was signalled to end
	killed  bool
	proc    *mainProcess
	logs    [2]*cappedLog
}

// mainProcess is the process that is the trial.
type mainProcess struct {
	pid    int
	start  int64
	forked bool
	wait   func() (status syscall.WaitStatus, lost bool)
}

// signal sends the attempt SIGTERM, or kills it.
func (a *attempt) signal(hard bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.stopped = true
		close(a.cancel)
	}
	a.killed = a.killed || hard
	a.deliver()
}

// deliver sends the process what it is to get. a.mu is held.
func (a *attempt) deliver() {
	switch {
	case a.proc == nil:
	case a.killed:
		kill(a.proc.pid, a.proc.start, syscall.SIGKILL)
	case a.stopped:
		kill(a.proc.pid, a.proc.start, syscall.SIGTERM)
	}
}

// errCancelled says that an attempt was to end before it had a process.
var errCancelled = errors.New("signalled to end before it was started")

// run is the life of the attempt. What the machine has too little for at the moment is tried again until there is
// enough.
func (a *attempt) run() run.AttemptEnd {
	for wait := time.Duration(0); ; {
		end, lacking := a.once()
		if lacking == nil {
			return end
		}
		if !a.await(&wait, lacking) {
			return run.AttemptEnd{Signal: int(syscall.SIGTERM)}
		}
	}
}

// once is the attempt's life. If lacking is set it has not begun: the machine has too little of something.
func (a *attempt) once() (end run.AttemptEnd, lacking error) {
	begin := time.Now()
	descriptors := startingDescriptors
	if !a.sup.descriptors.take(descriptors, a.cancel, a.crowded) {
		return run.AttemptEnd{Signal: int(syscall.SIGTERM)}, nil
	}
	defer func() { a.sup.descriptors.give(descriptors) }()
	switch err := a.begin(); {
	case errors.Is(err, errCancelled):
		return run.AttemptEnd{Signal: int(syscall.SIGTERM)}, nil
	case scarce(err):
		return end, err
	case err != nil:
		return unbegun(err), nil
	}
	t, err := a.prepare()
	if scarce(err) {
		return end, err
	}
	if err != nil {
		return internal(err), nil
	}
	defer t.close()
	proc, err := a.start(t)
	if scarce(err) {
		return end, err
	}
	if broken := (*startError)(nil); errors.As(err, &broken) {
		a.sup.send(run.Update{LoadFailed: &run.Error{Type: "Error", Origin: run.FromProcess, Text: broken.Error()}})
		<-a.cancel // the engine ends all trials
		err = errCancelled
	}
	switch {
	case errors.Is(err, errCancelled):
		return run.AttemptEnd{Signal: int(syscall.SIGTERM)}, nil
	case errors.Is(err, errLost):
		return run.AttemptEnd{Lost: true}, nil
	case err != nil:
		return internal(err), nil
	}
	t.handedOver()
	a.sup.descriptors.give(descriptors - runningDescriptors)
	descriptors = runningDescriptors
	a.mu.Lock()
	a.proc = proc
	a.deliver()
	a.mu.Unlock()
	a.sup.send(run.Update{ID: a.AttemptID, Started: &run.Started{PID: proc.pid, Restored: a.restored}})
	var outcome trialOutcome
	keeps := newKeeping(a.keep, t.events)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		a.listen(t.events, keeps, &outcome)
	}()
	status, lost := proc.wait()
	token := a.sup.tokens.attempt(a.Trial, a.Number)
	a.sup.procs.clear(proc.pid, proc.start, token, time.Since(begin) < time.Second)
	keeps.close() // nobody is left who would wait for it
	// Everything that could still write is gone. Only a process that hides from us could keep the channel open. What is
	// in it is read in any case.
	_ = t.events.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	<-listened
	for _, l := range t.logs {
		a.capLog(l)
	}
	a.sup.footprints.ended(begin)
	if t.start.Socket != "" {
		_ = os.Remove(t.start.Socket)
	}
	a.mu.Lock()
	a.proc = nil
	a.mu.Unlock()
	if outcome.refused != "" && scarce(outcome.errno) {
		return end, outcome.errno
	}
	end = run.AttemptEnd{
		Returned: outcome.result != nil, Metrics: outcome.result, Error: outcome.err, Program: outcome.program,
		Internal: outcome.refused, Lost: lost,
		Seconds: time.Since(begin).Seconds(), Output: t.output(),
	}
	if outcome.refused != "" {
		end.Reason = whose(outcome.errno)
	}
	if status.Signaled() {
		end.Signal = int(status.Signal())
	} else {
		end.Exit = status.ExitStatus()
	}
	return end, nil
}

// attemptFiles are the files of an attempt.
type attemptFiles struct {
	start  startMessage
	out    *os.File
	err    *os.File
	theirs *os.File // the trial's end of events
	events *os.File
	logs   [2]*cappedLog
}

func (t *attemptFiles) close() {
	t.handedOver()
	_ = t.events.Close()
}

// handedOver closes what the trial has its own descriptors of.
func (t *attemptFiles) handedOver() {
	_ = t.out.Close()
	_ = t.err.Close()
	_ = t.theirs.Close()
}

// output is the trial's output folder if there is something in it. An empty one is removed.
func (t *attemptFiles) output() string {
	if syscall.Rmdir(t.start.Output) == nil { // a link that the trial put there stays
		return ""
	}
	if _, err := os.Lstat(t.start.Output); err != nil {
		return ""
	}
	return t.start.Output
}

// prepare makes the attempt's folder and files. Nothing of an earlier process of the same attempt is left running.
func (a *attempt) prepare() (*attemptFiles, error) {
	s := a.sup
	dir := s.opts.Folder.Attempt(a.Trial, a.Number)
	if _, err := os.Lstat(s.opts.Folder.Spec()); err != nil {
		return nil, fmt.Errorf("the run's folder is gone: %w", err)
	}
	t := &attemptFiles{start: startMessage{
		Type: "start", Trial: a.Trial, Attempt: a.Number, Token: s.tokens.attempt(a.Trial, a.Number), Folder: dir,
		Output: s.opts.Folder.Output(a.Trial), Seed: a.Seed, Env: s.trialEnv(a.Slot),
	}}
	if s.sockets != "" {
		t.start.Socket = filepath.Join(s.sockets,
			fmt.Sprintf("%d-%d-%d", s.opts.Spec.Server.Revision, a.Trial, a.Number))
		if err := os.Remove(t.start.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("make the socket of worker %d: %w", a.Trial, err)
		}
	}
	if s.opts.Spec.TrialCwd {
		t.start.Cwd = s.opts.Folder.Cwd(a.Trial)
		if err := os.MkdirAll(t.start.Cwd, 0o700); err != nil {
			return nil, fmt.Errorf("make the working directory of trial %d: %w", a.Trial, err)
		}
	}
	if a.Trial < len(s.opts.Table) {
		row, err := folder.FormatRow(s.opts.Table[a.Trial])
		if err != nil {
			return nil, fmt.Errorf("parameters of trial %d: %w", a.Trial, err)
		}
		t.start.Row, t.start.Whole = row, s.opts.Spec.Whole
	}
	var err error
	if t.out, t.err, err = a.makeFolder(dir); err != nil {
		return nil, err
	}
	if t.events, t.theirs, err = eventsPair(); err != nil {
		_ = t.out.Close()
		_ = t.err.Close()
		return nil, err
	}
	for i, stream := range []string{folder.Stdout, folder.Stderr} {
		t.logs[i] = &cappedLog{s.opts.Folder.CapLog(a.Trial, a.Number, stream), stream}
	}
	a.mu.Lock()
	a.logs = t.logs
	a.mu.Unlock()
	return t, nil
}

// makeFolder makes the attempt's folder and logs. A worker must be started again also where the disk has no room for
// another file: then the attempt goes on in the folder of the one before it, and in its logs.
func (a *attempt) makeFolder(dir string) (out, errs *os.File, err error) {
	f := a.sup.opts.Folder
	out, errs, err = openLogs(dir, os.O_TRUNC)
	if folder.NoSpace(err) && a.sup.opts.Spec.Server != nil && a.Number > 1 {
		_ = os.RemoveAll(dir)
		if os.Rename(f.Attempt(a.Trial, f.LatestAttempt(a.Trial)), dir) == nil {
			out, errs, err = openLogs(dir, 0)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make the folder of %s %d: %w", a.sup.what(), a.Trial, err)
	}
	return out, errs, nil
}

// trialEnv deals the machine's GPUs out to the slots, like cards.
func (s *Supervisor) trialEnv(slot int) map[string]string {
	env := map[string]string{}
	if len(s.gpus) == 0 {
		return env
	}
	slots := max(min(s.opts.Spec.Parallelism, s.opts.Spec.Completions), 1)
	if s.opts.Spec.Server != nil {
		slots = max(s.opts.Spec.Completions, 1)
	}
	var mine []string
	for i := slot % len(s.gpus); i < len(s.gpus); i += slots {
		mine = append(mine, s.gpus[i])
	}
	env["CUDA_VISIBLE_DEVICES"] = strings.Join(mine, ",")
	return env
}

// findGPUs lists the GPUs that trials may use, as CUDA names them.
func findGPUs() []string {
	if v, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set {
		return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
	}
	var gpus []string
	for i := range 64 {
		if _, err := os.Lstat("/dev/nvidia" + strconv.Itoa(i)); err != nil {
			break
		}
		gpus = append(gpus, strconv.Itoa(i))
	}
	return gpus
}

// errLost says that the loader ended before the trial was forked.
var errLost = errors.New("the loader was killed")

// start gets the attempt a process: a fork of the loader, the loader itself, or a fresh one.
func (a *attempt) start(t *attemptFiles) (*mainProcess, error) {
	if a.sup.opts.Spec.Fresh {
		return a.fresh(t)
	}
	a.sup.mu.Lock()
	verdict := a.sup.verdict
	l := a.sup.loader
	a.sup.mu.Unlock()
	if verdict != nil && !verdict.Fork && (l == nil || !l.usable()) {
		return a.fresh(t)
	}
	l, err := a.sup.loaderFor()
	if err != nil {
		return nil, err
	}
	select {
	case <-l.ready:
	case <-a.cancel:
		return nil, errCancelled
	}
	switch {
	case l.failed != nil:
		<-a.cancel // the engine knows, and ends us
		return nil, errCancelled
	case l.lost:
		return nil, errLost
	case l.loaded.Fork:
		return a.fork(l, t)
	case l.claim():
		return a.become(l, t)
	default:
		return a.fresh(t)
	}
}

// claim takes a loader that cannot be forked for one trial.
func (l *loader) claim() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.became
	l.became = true
	return !taken
}

func (t *attemptFiles) fds() []int {
	return []int{int(t.out.Fd()), int(t.err.Fd()), int(t.theirs.Fd())}
}

func (a *attempt) fork(l *loader, t *attemptFiles) (*mainProcess, error) {
	f := &forked{started: make(chan loaderMessage, 1), exited: make(chan syscall.WaitStatus, 1)}
	l.mu.Lock()
	l.forks[a.AttemptID] = f
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		delete(l.forks, a.AttemptID)
		l.mu.Unlock()
	}
	if err := l.write(t.start, t.fds()...); err != nil {
		forget()
		if processLives(l.child) && !errors.Is(err, syscall.EPIPE) {
			return nil, err
		}
		return nil, errLost
	}
	var started loaderMessage
	select {
	case started = <-f.started:
	case <-l.dead:
		forget()
		return nil, errLost
	}
	if started.PID == 0 {
		forget()
		return nil, fmt.Errorf("fork a trial: %w", syscall.Errno(max(started.Errno, 1)))
	}
	return &mainProcess{
		pid: started.PID, start: started.StartTime, forked: true,
		wait: func() (syscall.WaitStatus, bool) {
			defer forget()
			select {
			case status := <-f.exited:
				return status, false
			case <-l.dead:
			}
			select {
			case status := <-f.exited: // it was the last thing that the loader said
				return status, false
			default:
			}
			// The trial dies with its loader, at once; and now it is our child, to be reaped by us.
			for wait := time.Millisecond; folder.StartTime(started.PID) == started.StartTime &&
				started.StartTime != 0; wait = pause(wait) {
				kill(started.PID, started.StartTime, syscall.SIGKILL)
			}
			return syscall.WaitStatus(syscall.SIGKILL), true
		},
	}, nil
}

// become makes the loader the trial: what it loaded need not be loaded again.
func (a *attempt) become(l *loader, t *attemptFiles) (*mainProcess, error) {
	start := t.start
	start.Become = true
	if err := l.write(start, t.fds()...); err != nil {
		return nil, errLost
	}
	return childProcess(l.child), nil
}

func childProcess(c *child) *mainProcess {
	return &mainProcess{pid: c.pid, start: c.start, wait: func() (syscall.WaitStatus, bool) {
		<-c.exited
		return c.status, false
	}}
}

// fresh starts a process that loads the program itself.
func (a *attempt) fresh(t *attemptFiles) (*mainProcess, error) {
	conn, theirs, err := frame.Pair()
	if err != nil {
		return nil, fmt.Errorf("make a connection to Python: %w", err)
	}
	defer func() { _ = conn.Close() }()
	defer theirs.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	env := make([]string, 0, len(a.sup.env))
	for _, v := range a.sup.env {
		if !strings.HasPrefix(v, tokenVariable+"=") {
			env = append(env, v)
		}
	}
	c, err := a.sup.procs.run(command{
		argv: []string{a.sup.opts.Spec.Python, "-m", "metaml._loader.attempt"},
		env:  append(env, tokenVariable+"="+t.start.Token),
		dir:  t.start.Folder, files: []*os.File{null, t.out, t.err, theirs},
	})
	if err != nil {
		return nil, err
	}
	_ = theirs.Close()
	// A process that ends before it has read them says why on stderr.
	if err := frame.Write(conn, a.sup.loadMessage()); err == nil {
		_ = frame.Write(conn, t.start, t.fds()...)
	}
	return childProcess(c), nil
}
