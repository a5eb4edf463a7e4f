package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// loadMessage is what the loader must know about the program (docs/internals/protocols.md §5).
type loadMessage struct {
	Type       string            `json:"type"`
	Dir        string            `json:"dir"`
	Main       string            `json:"main"`
	Argv0      string            `json:"argv0"`
	Entry      string            `json:"entry"`
	Path       []string          `json:"path"`
	Env        map[string]string `json:"env"`
	Cwd        string            `json:"cwd"`
	Seed       int64             `json:"seed"`
	SelfSeeded []string          `json:"self_seeded"`
	Reseed     []string          `json:"reseed"`
	Expected   string            `json:"expected,omitempty"` // the file that says how kept names look in the session
	// the key with which that file was made, where it has no values
	ExpectedKey string        `json:"expected_key,omitempty"`
	Strict      bool          `json:"strict,omitempty"` // what differs is no note, but refuses the program
	Serve       *serveMessage `json:"serve,omitempty"`  // of a server's program
}

// serveMessage says how the entry function is served.
type serveMessage struct {
	Batch int    `json:"batch"`
	Path  string `json:"path"`
	Auth  string `json:"auth,omitempty"` // what callers must have, which is published
}

// startMessage starts a trial. With it come three descriptors: stdout, stderr, events.
type startMessage struct {
	Type    string            `json:"type"`
	Trial   int               `json:"trial"`
	Attempt int               `json:"attempt"`
	Token   string            `json:"token"`
	Folder  string            `json:"folder"`
	Output  string            `json:"output"`
	Cwd     string            `json:"cwd"`
	Row     json.RawMessage   `json:"row"`
	Whole   string            `json:"whole,omitempty"` // the parameter that gets the row as one dict
	Seed    int64             `json:"seed"`
	Env     map[string]string `json:"env"`
	Become  bool              `json:"become,omitempty"` // the loader is to be the trial itself
	Socket  string            `json:"socket,omitempty"` // where a worker listens
}

// loaderMessage is anything that the loader says.
type loaderMessage struct {
	Type      string     `json:"type"`
	Fork      bool       `json:"fork"`
	Causes    []cause    `json:"causes"`
	Seconds   float64    `json:"seconds"`
	Error     *run.Error `json:"error"`
	Trial     int        `json:"trial"`
	Attempt   int        `json:"attempt"`
	PID       int        `json:"pid"`
	StartTime int64      `json:"start_time"`
	Status    int        `json:"status"`
	Errno     int        `json:"errno"` // unstarted: why

	Differs []difference      `json:"differs"`
	Modules map[string]string `json:"modules"`
}

// cause is one reason for which a program may not be forked.
type cause struct {
	Text string `json:"text"`
	Line int    `json:"line"` // of main.py; 0 is unknown
}

// loader is a Python process that has loaded the program, or is about to.
type loader struct {
	sup    *Supervisor
	child  *child
	conn   *net.UnixConn
	ready  chan struct{} // closed when it is decided how trials run
	dead   chan struct{} // closed when the process is gone and everything it said was taken in
	failed *run.Error    // to be read after ready: the top level raised
	lost   bool          // to be read after ready: it ended before it had loaded
	loaded run.Loaded    // to be read after ready

	writing sync.Mutex // frames are not mixed

	mu     sync.Mutex
	forks  map[run.AttemptID]*forked
	became bool // it is a trial now
}

// forked is what becomes of a start message.
type forked struct {
	started chan loaderMessage      // one at most
	exited  chan syscall.WaitStatus // one at most
}

func (s *Supervisor) loadMessage() loadMessage {
	spec := s.opts.Spec
	code := s.opts.Folder.Code()
	expected := s.opts.Folder.Expected()
	if _, err := os.Lstat(expected); err != nil {
		expected = ""
	}
	var serve *serveMessage
	if s := spec.Server; s != nil {
		serve = &serveMessage{Batch: s.Batch, Path: s.Path, Auth: s.Auth}
	}
	return loadMessage{
		Type: "load", Serve: serve, Dir: code, Main: filepath.Join(code, "main.py"),
		Argv0: filepath.Join(code, "main.py"), Entry: spec.Entry,
		Path: spec.Path, Env: spec.Env, Cwd: spec.Cwd, Seed: loadSeed(spec), SelfSeeded: spec.SelfSeeded,
		Reseed:   spec.Reseed,
		Expected: expected, ExpectedKey: s.opts.ExpectedKey, Strict: spec.Strict,
	}
}

// loaderFor gives the loader that is to run the next trial, starting one if there is none.
func (s *Supervisor) loaderFor() (*loader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the run is being ended")
	}
	if s.loader != nil && s.loader.usable() {
		return s.loader, nil
	}
	l, err := s.startLoader()
	if err == nil {
		s.loader = l
	}
	return l, err
}

func (l *loader) usable() bool {
	select {
	case <-l.dead:
		return false
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.became && processLives(l.child)
}

func processLives(c *child) bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// startLoader is called with the Supervisor's mutex held.
func (s *Supervisor) startLoader() (_ *loader, err error) {
	dir := s.opts.Folder.Loader()
	flag := os.O_TRUNC
	if s.opts.KeepLoads {
		flag = 0
	}
	out, errs, err := openLogs(dir, flag)
	if err != nil {
		return nil, fmt.Errorf("make the loader's folder: %w", err)
	}
	defer out.Close()
	defer errs.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	conn, theirs, err := frame.Pair()
	if err != nil {
		return nil, fmt.Errorf("make a connection to Python: %w", err)
	}
	defer theirs.Close()
	c, err := s.procs.run(command{
		argv: []string{s.opts.Spec.Python, "-m", "metaml._loader"}, env: s.env, dir: dir,
		files: []*os.File{null, out, errs, theirs},
	})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l := &loader{
		sup: s, child: c, conn: conn, ready: make(chan struct{}), dead: make(chan struct{}),
		forks: map[run.AttemptID]*forked{},
	}
	s.group.Go(l.listen)
	if err := l.write(s.loadMessage()); err != nil {
		l.close()
	}
	return l, nil
}

// openLogs opens the logs of a process in its folder, which is made if it is missing.
func openLogs(dir string, flag int) (out, errs *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	open := func(name string) (*os.File, error) {
		return folder.OpenOwn(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|flag)
	}
	if out, err = open(folder.Stdout); err != nil {
		return nil, nil, err
	}
	if errs, err = open(folder.Stderr); err != nil {
		_ = out.Close()
		return nil, nil, err
	}
	return out, errs, nil
}

func (l *loader) write(v any, fds ...int) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return frame.Write(l.conn, v, fds...)
}

// listen takes in what the loader says until it is gone.
func (l *loader) listen() {
	decided := false
	for {
		var m loaderMessage
		if err := frame.Read(l.conn, &m); err != nil {
			break
		}
		switch m.Type {
		case "ready":
			l.loaded = run.Loaded{Seconds: m.Seconds, Fork: m.Fork}
			for _, c := range m.Causes {
				l.loaded.Causes = append(l.loaded.Causes, l.sup.sources.explain(c))
			}
			decided = true
			l.sup.loaded(l.loaded, nil)
			close(l.ready)
		case "differs":
			l.sup.differs(m.Differs)
		case "modules":
			if !l.sup.opts.NoLock {
				l.sup.lock(m.Modules)
			}
		case "load_failed":
			if len(m.Differs) > 0 {
				m.Error = differError(m.Differs)
			}
			if m.Error == nil {
				m.Error = &run.Error{Type: "Error", Origin: run.FromProcess, Text: "the program's top level failed"}
			}
			l.sup.sources.mapError(m.Error)
			l.failed, decided = m.Error, true
			l.sup.send(run.Update{LoadFailed: m.Error})
			close(l.ready)
			l.hangUp()
		case "started", "unstarted":
			if f := l.fork(m); f != nil {
				f.started <- m
			}
		case "exited":
			if f := l.fork(m); f != nil {
				f.exited <- syscall.WaitStatus(m.Status)
			}
		}
	}
	l.mu.Lock()
	became := l.became
	l.mu.Unlock()
	if !became {
		// It hung up: it has ended, or it is about to.
		l.wait()
	}
	if !decided {
		l.lost = true
		l.diedLoading()
		close(l.ready)
	}
	_ = l.conn.Close()
	close(l.dead)
}

func (l *loader) fork(m loaderMessage) *forked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forks[run.AttemptID{Trial: m.Trial, Number: m.Attempt}]
}

// patience is how long a loader may take whose input was closed: it runs the program's exit handlers.
const patience = 2 * time.Second

func (l *loader) wait() {
	select {
	case <-l.child.exited:
	case <-time.After(patience):
		kill(l.child.pid, l.child.start, syscall.SIGKILL)
		<-l.child.exited
	}
}

// hangUp lets the loader end.
func (l *loader) hangUp() { _ = l.conn.CloseWrite() }

// close ends the loader, with patience only if no trials are left that would go on.
func (l *loader) close() {
	l.mu.Lock()
	became := l.became
	l.mu.Unlock()
	if became {
		return
	}
	select {
	case <-l.ready:
		l.hangUp()
	default:
		kill(l.child.pid, l.child.start, syscall.SIGKILL)
	}
	<-l.dead
}

// diedLoading counts loaders that ended while they loaded. After some of them it is the program that ends them.
func (l *loader) diedLoading() {
	const enough = 3
	s := l.sup
	s.mu.Lock()
	s.deaths++
	deaths, closed := s.deaths, s.closed
	s.mu.Unlock()
	status := l.child.status
	if closed || (deaths < enough && status.Signaled()) {
		return
	}
	how := fmt.Sprintf("Python ended with exit status %d while it executed the program's top level",
		status.ExitStatus())
	if status.Signaled() {
		how = fmt.Sprintf("Python was ended by signal %d (%s) each time it executed the program's top level",
			status.Signal(), status.Signal())
	}
	l.failed = &run.Error{
		Type: "Error", Origin: run.FromProcess, Text: how,
		Traceback: folder.Tail(filepath.Join(s.opts.Folder.Loader(), folder.Stderr), 200, 16<<10),
	}
	s.send(run.Update{LoadFailed: l.failed})
}

// loaded reports once how the program was loaded, and what came out otherwise than in the session, if that is known.
func (s *Supervisor) loaded(v run.Loaded, differs []difference) {
	s.mu.Lock()
	first := s.verdict == nil
	s.deaths = 0
	if first {
		s.verdict = &v
	}
	s.mu.Unlock()
	if first {
		s.send(run.Update{Loaded: &v})
	}
	s.differs(differs)
}

// differs reports once what is otherwise than in the session: each loader compares, and of fresh processes only one.
func (s *Supervisor) differs(all []difference) {
	s.mu.Lock()
	report := len(all) > 0 && !s.compared
	s.compared = s.compared || report
	s.mu.Unlock()
	if report {
		s.note(run.AttemptID{}, differNote(all))
	}
}
