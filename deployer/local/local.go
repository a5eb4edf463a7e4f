// Package local is the target "local": runs are processes on this machine, each run a folder (deployer/folder) and one
// detached process, `metaml-agent monitor`, that owns it (docs/internals/engine.md).
//
// Read [Target] and [Target.Submit] first. The package itself starts nothing but monitors; every question about a run
// is answered from its folder, so that it can be asked from any process, also after the machine was restarted.
//
// It imports deployer/run and deployer/folder alone.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Target is the runs of this machine's user.
type Target struct {
	Dir   string // the folder that holds the run folders
	Agent string // path of metaml-agent
}

// New gives the target whose monitors are started from the binary agent. Its folder is made when the first run is
// submitted.
func New(agent string) (*Target, error) {
	dir, err := folder.Runs()
	if err != nil {
		return nil, err
	}
	return &Target{Dir: dir, Agent: agent}, nil
}

// Liveness says who looks after a run.
type Liveness string

// The kinds of liveness.
const (
	Ended Liveness = "ended" // nobody needs to
	Alive Liveness = "alive" // its monitor; or the front of a server, which starts another
	// nobody, for all were killed; the next command that waits for the run starts another monitor
	Dead      Liveness = "dead"
	Restarted Liveness = "restarted" // the machine was restarted meanwhile; nothing goes on before Resume
	// its folder was not made here by this user; nothing of it is executed before Resume
	Copied Liveness = "copied"
)

// broken reports whether nobody goes on with a run that has not ended, unless it is resumed.
func (l Liveness) broken() bool { return l == Restarted || l == Copied }

// Active reports whether trials of the run may still start by themselves.
func (l Liveness) Active() bool { return l == Alive || l == Dead }

// Listed is a run as its folder tells it.
type Listed struct {
	Spec     run.Spec
	State    *run.State
	Liveness Liveness
	Size     int64 // of events.jsonl when it was read, in bytes; as long as it has that size, the run is as State says
	Folder   folder.Run
	Damaged  string // why the folder cannot be read; then only Spec.Name and Folder are set
}

// NotFound says that no run has a name.
type NotFound struct {
	Name    string
	Nearest string // the closest name there is, or ""
}

// Error is a sentence for the user.
func (e *NotFound) Error() string {
	switch {
	case e.Name == Last:
		return "there is no run yet"
	case e.Nearest != "":
		return fmt.Sprintf("there is no run %q; the nearest name is %q", e.Name, e.Nearest)
	default:
		return fmt.Sprintf("there is no run %q; metaml runs lists them", e.Name)
	}
}

// Last is the name that stands for the newest run.
const Last = "last"

// Folder is where the run of exactly this name lies.
func (t *Target) Folder(name string) folder.Run { return folder.Run(filepath.Join(t.Dir, name)) }

// OutputPath is metaml.output() of a trial.
func (t *Target) OutputPath(name string, trial int) string { return t.Folder(name).Output(trial) }

// names lists the run folders, unsorted.
func (t *Target) names() ([]string, error) {
	entries, err := os.ReadDir(t.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, friendly(err, "list the runs in", t.Dir)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// List gives all runs, newest first. It starts nothing. Of runs that have ended it tells what their summary does,
// without the course of metrics, errors and notes: [Target.Load] has these.
func (t *Target) List(ctx context.Context) ([]Listed, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	all := make([]Listed, 0, len(names))
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		l, err := t.glance(name)
		if errors.Is(err, fs.ErrNotExist) && !exists(string(t.Folder(name))) {
			continue // deleted meanwhile
		}
		if err != nil {
			l = Listed{
				Spec: run.Spec{Name: name}, State: &run.State{Name: name}, Folder: t.Folder(name), Damaged: err.Error(),
			}
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Listed) int {
		if c := b.Spec.Created.Compare(a.Spec.Created); c != 0 {
			return c
		}
		return strings.Compare(b.Spec.Name, a.Spec.Name)
	})
	return all, nil
}

// Load gives one run by its name, a prefix that only it has, or "last".
func (t *Target) Load(ctx context.Context, name string) (Listed, error) {
	full, err := t.resolve(ctx, name)
	if err != nil {
		return Listed{}, err
	}
	l, err := t.read(full)
	if err != nil {
		return Listed{}, usererror.Wrap(err, usererror.CodeDamaged, fmt.Sprintf("run %s cannot be read: %v", full, err),
			"metaml delete "+full+" removes it")
	}
	return l, nil
}

func (t *Target) resolve(ctx context.Context, name string) (string, error) {
	names, err := t.names()
	if err != nil {
		return "", err
	}
	if slices.Contains(names, name) {
		return name, nil
	}
	if name == Last {
		return t.last(ctx, names)
	}
	var hits []string
	newest, highest := "", 0 // of the series that is called so
	for _, n := range names {
		if name == "" || !strings.HasPrefix(n, name) {
			continue
		}
		hits = append(hits, n)
		if ordinal, err := strconv.Atoi(strings.TrimPrefix(n, name+"-")); err == nil && ordinal > highest {
			newest, highest = n, ordinal
		}
	}
	if newest != "" {
		return newest, nil
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return "", &NotFound{Name: name, Nearest: prose.Nearest(name, names)}
	default:
		slices.Sort(hits)
		return "", &usererror.Error{
			Code: usererror.CodeAmbiguous, Text: fmt.Sprintf("%q is the beginning of several runs", name),
			Hint: "say which: " + strings.Join(hits[:min(len(hits), 8)], ", "),
		}
	}
}

// last finds the newest run without reading its events.
func (t *Target) last(ctx context.Context, names []string) (string, error) {
	var newest run.Spec
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return "", context.Cause(ctx)
		}
		spec, err := t.Folder(n).ReadSpec()
		if err == nil && (newest.Name == "" || !spec.Created.Before(newest.Created)) {
			newest = spec
			newest.Name = n
		}
	}
	if newest.Name == "" {
		return "", &NotFound{Name: Last}
	}
	return newest.Name, nil
}

// open reads a run's description.
func (t *Target) open(name string) (Listed, error) {
	l := Listed{Folder: t.Folder(name)}
	var err error
	if l.Spec, err = l.Folder.ReadSpec(); err == nil && l.Spec.Name != name {
		err = fmt.Errorf("the folder %q belongs to the run %q", name, l.Spec.Name)
	}
	return l, err
}

// glance reads a run for a list: the summary of one that has ended, else its events.
func (t *Target) glance(name string) (Listed, error) {
	l, err := t.open(name)
	if err != nil {
		return l, err
	}
	if l.State, l.Size = l.Folder.ReadSummary(l.Spec); l.State != nil {
		l.Liveness = Ended
		return l, nil
	}
	err = fold(&l)
	return l, err
}

// read folds a run from its folder.
func (t *Target) read(name string) (Listed, error) {
	l, err := t.open(name)
	if err != nil {
		return l, err
	}
	err = fold(&l)
	return l, err
}

func fold(l *Listed) error {
	l.State = run.NewState(l.Spec)
	l.Size = 0
	// Before they are read: what comes meanwhile makes the size another one.
	if info, err := os.Stat(l.Folder.Events()); err == nil {
		l.Size = info.Size()
	}
	if err := each(l.Folder, func(e run.Event) error { l.State.Apply(e); return nil }); err != nil {
		return err
	}
	if l.Liveness = liveness(l.Folder, l.Spec, l.State); l.Liveness.broken() {
		for _, e := range brokenOff(l.Spec.Name, l.State, l.Liveness) {
			l.State.Apply(e)
		}
	}
	return nil
}

// each hands out the events that are there now.
func each(f folder.Run, fn func(run.Event) error) error {
	file, err := os.Open(f.Events())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	defer file.Close()
	r, err := folder.NewReader(file, "")
	if err != nil {
		return err
	}
	for {
		e, err := r.Next()
		if err != nil {
			return endOf(err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

func liveness(f folder.Run, spec run.Spec, state *run.State) Liveness {
	if state.Phase.Final() {
		return Ended
	}
	if f.Monitored() || state.Server != nil && isFront(state.Server.Front, f) {
		return Alive
	}
	if f.Own(&spec) != "" {
		return Copied
	}
	m := f.ReadMonitor()
	boot := m.BootID
	if boot == "" {
		boot = spec.BootID
	}
	if now := folder.BootID(); boot != "" && now != "" && boot != now {
		return Restarted
	}
	if m.PID == 0 && time.Since(spec.Created) < startup {
		return Alive // its first monitor is on its way
	}
	return Dead
}

// startup is how long a new run may be without a monitor before that is told to people.
const startup = 5 * time.Second

// brokenOff gives the events that stand, for readers, for what nobody was there to write.
func brokenOff(name string, state *run.State, why Liveness) []run.Event {
	reason, cause := run.ReasonRestarted, "the machine was restarted"
	if why == Copied {
		reason, cause = run.ReasonCopied, "the folder of the run was made elsewhere"
	}
	var events []run.Event
	now := time.Now()
	for i := range state.Trials {
		if t := &state.Trials[i]; t.Phase == run.Running {
			events = append(events, run.Event{
				V: 1, Run: name, Time: now, Type: run.EventTrialEnded, Trial: &t.Index, Attempt: t.Attempt,
				State:  run.Failed,
				Reason: reason, Code: run.CodeDisruption,
			})
		}
	}
	text := cause + " while it was going; metaml resume " + name + " goes on with its unfinished trials"
	switch {
	case state.Server != nil:
		text = cause + "; metaml resume " + name + " starts the server"
	case why == Copied:
		text = cause + "; metaml resume " + name + " runs its unfinished trials here"
	}
	return append(events, run.Event{
		V: 1, Run: name, Time: now, Type: run.EventEnded, State: run.Failed, Reason: reason, Text: text,
	})
}

// Events hands out every event that is there now.
func (t *Target) Events(ctx context.Context, name string, fn func(run.Event) error) error {
	full, err := t.resolve(ctx, name)
	if err != nil {
		return err
	}
	return each(t.Folder(full), fn)
}

// Table gives the parameters of all trials.
func (t *Target) Table(ctx context.Context, name string) ([]run.Row, error) {
	full, err := t.resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	return t.Folder(full).ReadTable()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// friendly turns what a full disk or a wrong permission says into a sentence.
func friendly(err error, doing, path string) error {
	switch {
	case folder.NoSpace(err):
		return usererror.Wrap(err, usererror.CodeDiskFull,
			fmt.Sprintf("no space left on the disk to %s %s", doing, path),
			"free some space, or set XDG_DATA_HOME to a folder on another disk")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return usererror.Wrap(err, usererror.CodeUnwritable, fmt.Sprintf("no permission to %s %s", doing, path),
			"make the folder writable, or set XDG_DATA_HOME to a folder of your own")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return usererror.Wrap(err, usererror.CodeFolder, fmt.Sprintf("cannot %s %s: %s", doing, path, errno),
			"see what is there, or set XDG_DATA_HOME to a folder of your own")
	}
	return fmt.Errorf("%s %s: %w", doing, path, err)
}
