package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kept"
	"github.com/metaml/metaml/deployer/run"
)

// Options say what a Supervisor runs.
type Options struct {
	Spec   run.Spec
	Folder folder.Run
	Table  []run.Row // nil: the entry function is called without parameters
	Module string    // the folder that holds the Python module, for PYTHONPATH

	KeepGPUs  bool       // CUDA_VISIBLE_DEVICES stays as it is: what is visible here is all this run's
	KeepLoads bool       // what a loader prints goes on behind what those before it printed
	NoLock    bool       // no lock.txt is written, which the end of the run would wait for
	Processes *Processes // of this process, when others start children beside us; nil: we are alone
	Environ   []string   // what the run's processes get; nil: what we have
	// Keeper keeps what trials have in their output folders when they call checkpoint(); nil: it is kept in Folder.
	Keeper Keeper
	// ExpectedKey is the key of the codes in expected.json, where it has no values.
	ExpectedKey string

	// HangAfter is how long a fork may use no processor time and write nothing before it is suspected to hang; 0: 30 s.
	HangAfter time.Duration
}

// Supervisor runs the attempts of one run. Its methods may be called from any goroutine and return at once, but for
// Sweep and Close; what comes of them arrives on Updates.
type Supervisor struct {
	opts    Options
	env     []string // of the loader and of fresh processes
	tokens  tokens
	gpus    []string
	sources sourceMap
	procs   *Processes
	alone   bool   // procs is ours
	sockets string // folder of the workers' sockets; "" for a run that has trials
	updates chan run.Update
	closing chan struct{} // closed when nobody takes updates any more
	once    sync.Once
	group   sync.WaitGroup // attempts and the watch over them

	footprints  *footprints
	descriptors *descriptors
	keeper      Keeper
	keeps       chan struct{} // has an element for each attempt whose output is being kept
	crowd       sync.Once     // it was noted that attempts wait for descriptors

	mu       sync.Mutex
	closed   bool
	attempts map[run.AttemptID]*attempt
	loader   *loader
	locking  bool           // lock.txt is being written, or was
	compared bool           // it was noted what looks otherwise than in the session
	verdict  *run.Loaded    // what the first loader found
	deaths   int            // loaders that ended before they had loaded, one after the other
	notes    map[string]int // notes by code: the same complaint of 10,000 trials is sent a few times
}

// New makes a Supervisor. It starts nothing before the first Start.
func New(o Options) (*Supervisor, error) {
	if o.Spec.Python == "" {
		return nil, fmt.Errorf("run %s names no Python interpreter", o.Spec.Name)
	}
	sockets := ""
	if o.Spec.Server != nil {
		var err error
		if sockets, err = socketFolder(serverOf(o.Folder), o.Spec.Name); err != nil {
			return nil, err
		}
	}
	procs := o.Processes
	if procs == nil {
		var err error
		if procs, err = NewProcesses(); err != nil {
			return nil, err
		}
	}
	s := &Supervisor{
		opts: o, tokens: newTokens(o.Spec, o.Folder), procs: procs, alone: o.Processes == nil,
		sockets: sockets,
		sources: readSourceMap(o.Folder.Map()),
		updates: make(chan run.Update, 1024), closing: make(chan struct{}),
		descriptors: newDescriptors(), footprints: newFootprints(o.Spec, newTokens(o.Spec, o.Folder)),
		attempts: map[run.AttemptID]*attempt{}, notes: map[string]int{},
		keeper: o.Keeper, keeps: make(chan struct{}, keptAtOnce),
	}
	if s.keeper == nil {
		s.keeper = kept.Keeper{Folder: o.Folder}
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	s.env = s.environment(o.Environ)
	if !o.KeepGPUs {
		s.gpus = findGPUs()
	}
	s.group.Go(s.watch)
	return s, nil
}

// environment is that of the loader: ours, what the run sets, and what the module needs.
func (s *Supervisor) environment(of []string) []string {
	extra := map[string]string{}
	maps.Copy(extra, s.opts.Spec.Env)
	extra["_METAML_RUN"] = s.opts.Spec.Name
	if path := metamlBinary(); path != "" {
		extra["_METAML_BIN"] = path
	}
	if _, err := os.Lstat(s.opts.Folder.Model()); err == nil && s.opts.Spec.Server != nil {
		extra["_METAML_MODEL"] = s.opts.Folder.Model()
	}
	extra[tokenVariable] = s.tokens.loader()
	path := s.opts.Module
	var env []string
	for _, v := range of {
		name, value, _ := strings.Cut(v, "=")
		if name == "PYTHONPATH" {
			if value != "" {
				path = s.opts.Module + string(os.PathListSeparator) + value
			}
			continue
		}
		if _, ours := extra[name]; !ours {
			env = append(env, v)
		}
	}
	for k, v := range extra {
		env = append(env, k+"="+v)
	}
	return append(env, "PYTHONPATH="+path)
}

// metamlBinary is the `metaml` that was installed with us, or "": what the module reads other runs by. The
// interpreter may be one that has no MetaML beside it.
func metamlBinary() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	path := filepath.Join(filepath.Dir(self), "metaml")
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// Updates is what happened, in order for each attempt.
func (s *Supervisor) Updates() <-chan run.Update { return s.updates }

func (s *Supervisor) send(u run.Update) {
	select {
	case s.updates <- u:
	case <-s.closing:
	}
}

// Start begins an attempt.
func (s *Supervisor) Start(a run.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	at := &attempt{sup: s, Attempt: a, cancel: make(chan struct{}), main: make(chan *mainProcess, 1)}
	s.attempts[a.AttemptID] = at
	s.group.Go(func() {
		end := at.run()
		s.mu.Lock()
		delete(s.attempts, a.AttemptID)
		s.mu.Unlock()
		s.send(run.Update{ID: a.AttemptID, Ended: &end})
	})
}

// Signal sends a running attempt SIGTERM, or kills it.
func (s *Supervisor) Signal(id run.AttemptID, kill bool) {
	s.mu.Lock()
	a := s.attempts[id]
	s.mu.Unlock()
	if a != nil {
		a.signal(kill)
	}
}

// Sweep kills what monitors before this one left behind, and returns when nothing is left of it.
func (s *Supervisor) Sweep(ctx context.Context, running []run.AttemptID) error {
	if err := s.procs.sweep(ctx, s.tokens.run); err != nil {
		return err
	}
	// Whoever was not found by the token still holds the attempt's lock.
	end := time.Now().Add(10 * time.Second)
	for _, id := range running {
		for wait := time.Millisecond; s.opts.Folder.AttemptHeld(id.Trial, id.Number); wait = pause(wait) {
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case time.Now().After(end):
				return fmt.Errorf("trial %d is still running under another supervisor and cannot be ended", id.Trial)
			}
		}
	}
	return nil
}

// Finish says what should be noted about the run as a whole.
func (s *Supervisor) Finish() []run.Note { return s.footprints.notes() }

// what is the word for what is attempted.
func (s *Supervisor) what() string {
	if s.opts.Spec.Server != nil {
		return "worker"
	}
	return "trial"
}

// Close kills what still runs and returns when nothing is left of it.
func (s *Supervisor) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		for _, a := range s.attempts {
			a.signal(true)
		}
		l := s.loader
		s.mu.Unlock()
		close(s.closing)
		if l != nil {
			l.close()
		}
		s.group.Wait()
		if s.alone {
			s.procs.Close()
		}
	})
}

// note sends a note, unless much the same was said often enough.
func (s *Supervisor) note(id run.AttemptID, n run.Note) {
	const enough = 10
	s.mu.Lock()
	s.notes[n.Code]++
	count := s.notes[n.Code]
	s.mu.Unlock()
	if count > enough {
		return
	}
	if count == enough {
		n.Hint = strings.TrimSpace(n.Hint + " There may be more like this, which are left out.")
	}
	s.send(run.Update{ID: id, Note: &n})
}

// internal is an attempt's end that is not the program's doing.
func internal(err error) run.AttemptEnd {
	return run.AttemptEnd{Internal: err.Error(), Reason: whose(err)}
}

// whose is the reason that an error of the system stands for, "" if it has none of its own.
func whose(err error) run.Reason {
	switch {
	case folder.NoSpace(err):
		return run.ReasonDisk
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return run.ReasonFolder
	default:
		return ""
	}
}
