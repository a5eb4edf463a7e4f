// Package record reads runs: their list, states, events, logs, tables, outputs, and the revisions of servers. A run is
// read from its folder on this machine, wherever it runs: its monitor writes the folder here, or its target keeps a
// mirror of one that is elsewhere. So whoever reads a run need not know where it is.
//
// Read [Reader] first. Reading starts no process by itself; [Reader.Follow] and [Reader.Log] ask a [Keeper] to have one
// started where nobody writes a record that they wait for.
//
// It imports deployer/run, deployer/folder and the leaves alone.
package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Last is the name that stands for the newest run.
const Last = "last"

// Reader reads the runs of this machine's user.
type Reader struct {
	Dir string // the folder that holds the run folders
	// Keepers gives the keeper of a target's runs. Without it nothing is started and nothing is fetched.
	Keepers func(target string) (Keeper, error)
	// Missing is called for a name that no record has, before it is said that there is no such run: it may bring one
	// here that was submitted elsewhere.
	Missing func(ctx context.Context, name run.Name) error
}

// Keeper sees to the records of one target's runs.
type Keeper interface {
	// Keep has the record of a run written again, which nobody writes although the run has not ended.
	Keep(ctx context.Context, name string) error
	// Fetch brings the outputs of a trial to where the record has them, unless they are there.
	Fetch(ctx context.Context, name string, trial int) error
	// FetchCode brings the code of a run to where the record has it, unless it is there or nobody has it.
	FetchCode(ctx context.Context, name string) error
	// Kept says why what the trials of a run wrote and returned is not kept; nil where it is. It requests nothing.
	Kept(name string) error
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

// entry is a run folder: whose run it is and what it is called.
type entry struct {
	name   run.Name
	target string
	folder folder.Run
}

func (e entry) away() bool { return e.target != run.Local }

func (e entry) gone() bool { return e.away() && e.folder.MarkedGone() }

// Folder is where the record of the run of exactly this name lies.
func (r *Reader) Folder(name string) folder.Run {
	return r.exactly(name).folder
}

// exactly is the entry of a whole name, be there such a run or not.
func (r *Reader) exactly(name string) entry {
	e := entry{name: run.ParseName(name), target: run.Local, folder: folder.In(r.Dir, name)}
	if e.name.Place == "" {
		return e
	}
	for _, m := range folder.MirrorsIn(r.Dir) {
		if m.Place == e.name.Place {
			e.target, e.folder = m.Target, folder.In(m.Dir, e.name.Run)
			break
		}
	}
	return e
}

// entries lists the run folders, unsorted.
func (r *Reader) entries() ([]entry, error) {
	all, err := entriesIn(r.Dir, run.Local, "")
	if err != nil {
		return nil, err
	}
	for _, m := range folder.MirrorsIn(r.Dir) {
		more, err := entriesIn(m.Dir, m.Target, m.Place)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func entriesIn(dir, target, place string) ([]entry, error) {
	names, err := folder.Names(dir)
	if err != nil {
		return nil, err
	}
	all := make([]entry, len(names))
	for i, name := range names {
		all[i] = entry{name: run.Name{Run: name, Place: place}, target: target, folder: folder.In(dir, name)}
	}
	return all, nil
}

// List gives all runs, newest first. Of runs that have ended it gives what their summary has, without the course of
// metrics, errors and notes: [Reader.Load] has these.
func (r *Reader) List(ctx context.Context) ([]run.Listed, error) {
	entries, err := r.entries()
	if err != nil {
		return nil, err
	}
	all := make([]run.Listed, 0, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		l, err := e.glance()
		if errors.Is(err, fs.ErrNotExist) && !exists(string(e.folder)) {
			continue // deleted meanwhile
		}
		if err != nil {
			name := e.name.String()
			l = run.Listed{
				Spec: run.Spec{Name: name}, State: &run.State{Name: name}, Target: e.target, Liveness: run.Damaged,
				Damage: err.Error(),
			}
		}
		l.Seen, l.Gone = exists(e.folder.SeenFile()), e.gone()
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b run.Listed) int {
		if c := b.Spec.Created.Compare(a.Spec.Created); c != 0 {
			return c
		}
		return strings.Compare(b.Spec.Name, a.Spec.Name)
	})
	return all, nil
}

// EndedBefore gives the runs that ended before a moment, newest first. Of a run whose end nobody was there to write it
// counts when it was made; damaged ones are left out.
func (r *Reader) EndedBefore(ctx context.Context, moment time.Time) ([]run.Listed, error) {
	all, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	var old []run.Listed
	for i := range all {
		l := &all[i]
		if l.Liveness == run.Damaged || l.Active() {
			continue
		}
		ended := l.State.Ended
		if ended.IsZero() || l.Liveness == run.Restarted {
			ended = l.Spec.Created
		}
		if ended.Before(moment) {
			old = append(old, *l)
		}
	}
	return old, nil
}

// Load gives one run by its name, a prefix that only it has, the name of its series, or "last".
func (r *Reader) Load(ctx context.Context, name string) (run.Listed, error) {
	e, err := r.find(ctx, name)
	if err != nil {
		return run.Listed{}, err
	}
	l, err := e.read()
	if err != nil {
		return run.Listed{}, usererror.Wrap(err, usererror.CodeDamaged,
			fmt.Sprintf("run %s cannot be read: %v", e.name, err),
			fmt.Sprintf("metaml delete %s removes it.", e.name))
	}
	l.NotOwn, l.Gone = e.folder.Own(&l.Spec), e.gone()
	return l, nil
}

// Exactly gives the run of exactly this name. It looks for no other.
func (r *Reader) Exactly(name string) (run.Listed, error) { return r.exactly(name).read() }

// Find gives the whole name of the run that a name means, as [Reader.Load] takes it, and its target. It does not read
// the run, which may be damaged.
func (r *Reader) Find(ctx context.Context, name string) (full, target string, err error) {
	e, err := r.find(ctx, name)
	return e.name.String(), e.target, err
}

func (r *Reader) find(ctx context.Context, name string) (entry, error) {
	entries, err := r.entries()
	if err != nil {
		return entry{}, err
	}
	e, err := choose(ctx, entries, name)
	if _, ok := errors.AsType[*NotFound](err); ok && r.Missing != nil {
		if err := r.Missing(ctx, run.ParseName(name)); err != nil {
			return entry{}, err
		}
		if entries, err = r.entries(); err != nil {
			return entry{}, err
		}
		e, err = choose(ctx, entries, name)
	}
	if _, ok := errors.AsType[*NotFound](err); ok {
		err = usererror.Wrap(err, usererror.CodeNotFound, err.Error(), "")
	}
	return e, err
}

// choose finds the run that a name means among all. A run of this machine goes before one elsewhere that has the same
// name without its place.
func choose(ctx context.Context, entries []entry, text string) (entry, error) {
	if text == Last {
		return newest(ctx, entries)
	}
	name := run.ParseName(text)
	var exact, hits []entry
	var latest entry // of the series that is called so
	highest := 0
	for _, e := range entries { // those of this machine come first, and go before others that begin alike
		if e.away() && name.Place == "" && (len(exact) > 0 && !exact[0].away() || len(hits) > 0 && !hits[0].away()) {
			break
		}
		if name.Place != "" && e.name.Place != name.Place {
			continue
		}
		switch {
		case e.name.Run == name.Run:
			exact = append(exact, e)
		case name.Run != "" && strings.HasPrefix(e.name.Run, name.Run):
			hits = append(hits, e)
			if n, err := strconv.Atoi(strings.TrimPrefix(e.name.Run, name.Run+"-")); err == nil && n > highest {
				latest, highest = e, n
			}
		}
	}
	switch {
	case len(exact) == 1 || len(exact) > 1 && !exact[0].away(): // those of this machine come first
		return exact[0], nil
	case len(exact) > 1:
		return entry{}, ambiguous(fmt.Sprintf("%q is the name of several runs", text), exact)
	case highest > 0:
		return latest, nil
	case len(hits) == 1:
		return hits[0], nil
	case len(hits) > 1:
		return entry{}, ambiguous(fmt.Sprintf("%q is the beginning of several runs", text), hits)
	}
	return entry{}, &NotFound{Name: text, Nearest: prose.Nearest(text, namesOf(entries))}
}

func namesOf(entries []entry) []string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name.String()
	}
	return names
}

func ambiguous(text string, hits []entry) error {
	names := namesOf(hits)
	slices.Sort(names)
	return &usererror.Error{
		Code: usererror.CodeAmbiguous, Text: text,
		Hint: "Say which: " + strings.Join(names[:min(len(names), 8)], ", ") + ".",
	}
}

// newest finds the newest run without reading its events.
func newest(ctx context.Context, entries []entry) (entry, error) {
	var (
		latest entry
		of     run.Spec
	)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return entry{}, context.Cause(ctx)
		}
		spec, err := e.folder.ReadSpec()
		if err == nil && (of.Name == "" || !spec.Created.Before(of.Created)) {
			latest, of = e, spec
		}
	}
	if of.Name == "" {
		return entry{}, &NotFound{Name: Last}
	}
	return latest, nil
}

// open reads a run's description.
func (e entry) open() (run.Listed, error) {
	l := run.Listed{Target: e.target}
	var err error
	if l.Spec, err = e.folder.ReadSpec(); err == nil && l.Spec.Name != e.name.Run {
		err = fmt.Errorf("the folder %q belongs to the run %q", e.name.Run, l.Spec.Name)
	}
	l.Spec.Name = e.name.String()
	return l, err
}

// glance reads a run for a list: the summary of one that has ended, else its events.
func (e entry) glance() (run.Listed, error) {
	l, err := e.open()
	if err != nil {
		return l, err
	}
	if l.State, l.Size = e.folder.ReadSummary(l.Spec); l.State != nil {
		l.Liveness = run.Ended
		return l, nil
	}
	err = e.fold(&l)
	return l, err
}

// read folds a run from its folder.
func (e entry) read() (run.Listed, error) {
	l, err := e.open()
	if err != nil {
		return l, err
	}
	err = e.fold(&l)
	return l, err
}

func (e entry) fold(l *run.Listed) error {
	l.State = run.NewState(l.Spec)
	l.Size = 0
	// Before they are read: what comes meanwhile makes the size another one.
	if info, err := os.Stat(e.folder.Events()); err == nil {
		l.Size = info.Size()
	}
	if err := e.folder.EachEvent(func(e run.Event) error { l.State.Apply(e); return nil }); err != nil {
		return err
	}
	if l.Liveness = e.liveness(l.Spec, l.State); broken(l.Liveness) {
		for _, e := range brokenOff(l.Spec.Name, l.State, l.Liveness) {
			l.State.Apply(e)
		}
	}
	return nil
}

// Events hands out every event that is there now.
func (r *Reader) Events(ctx context.Context, name string, fn func(run.Event) error) error {
	e, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	return e.folder.EachEvent(fn)
}

// Table gives the hyperparameters of a run, or nil.
func (r *Reader) Table(ctx context.Context, name string) ([]run.Row, error) {
	e, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.folder.ReadTable()
}

// Seen notes that somebody was shown how the run ended.
func (r *Reader) Seen(ctx context.Context, name string) error {
	e, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	f, err := folder.OpenOwn(e.folder.SeenFile(), os.O_CREATE|os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("note that %s was shown: %w", name, err)
	}
	return f.Close()
}

// keeper gives who sees to a run's record, or nil.
func (r *Reader) keeper(e entry) (Keeper, error) {
	if r.Keepers == nil {
		return nil, nil //nolint:nilnil // a reader alone has none
	}
	return r.Keepers(e.target)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// RevisionSpec gives the spec of a revision of a server.
func (r *Reader) RevisionSpec(name string, revision int) (run.Spec, error) {
	return r.Folder(name).Revision(revision).ReadSpec()
}

// Outputs gives the folder with what a trial wrote into metaml.output(), as a path on this machine. What is elsewhere
// is fetched first.
func (r *Reader) Outputs(ctx context.Context, name string, trial int) (string, error) {
	e, err := r.find(ctx, name)
	if err != nil {
		return "", err
	}
	if k, err := r.keeper(e); err != nil {
		return "", err
	} else if k != nil {
		if err := k.Fetch(ctx, e.name.String(), trial); err != nil {
			return "", err
		}
	}
	return e.folder.Output(trial), nil
}

// Coming reports how many bytes of what [Reader.Outputs] fetches have come, and of how many; all is 0 where that is not
// known, ok false where nothing comes.
func (r *Reader) Coming(name string, trial int) (came, all int64, ok bool) {
	return r.Folder(name).Coming(trial)
}

// Kept says why what the trials of a run wrote and returned is not kept; nil where it is.
func (r *Reader) Kept(name string) error {
	k, err := r.keeper(r.exactly(name))
	if err != nil || k == nil {
		return err
	}
	return k.Kept(name)
}

// Attempt is where the record has what belongs to an attempt of a trial, or of a worker, as paths on this machine.
type Attempt struct {
	Output string // metaml.output() of the trial
	Stdout string
	Stderr string
	Result string // what the function returned, pickled
}

// Attempt gives the paths of an attempt of a trial. It checks nothing; the files may not be there.
func (r *Reader) Attempt(name string, trial, attempt int) Attempt {
	return attemptIn(r.Folder(name), trial, attempt)
}

// WorkerAttempt gives the paths of an attempt of a worker of a server's revision.
func (r *Reader) WorkerAttempt(name string, revision, worker, attempt int) Attempt {
	return attemptIn(r.Folder(name).Revision(revision), worker, attempt)
}

func attemptIn(f folder.Run, trial, attempt int) Attempt {
	return Attempt{
		Output: f.Output(trial), Stdout: f.Stream(trial, attempt, folder.Stdout),
		Stderr: f.Stream(trial, attempt, folder.Stderr), Result: f.Result(trial, attempt),
	}
}

// Where is the folder that a run keeps everything in, and the file whose growth says that something happened.
func (r *Reader) Where(name string) (dir, events string) {
	f := r.Folder(name)
	return string(f), f.Events()
}

// LoaderLog is the file with what a server's revision printed while it was loaded.
func (r *Reader) LoaderLog(name string, revision int) string {
	return r.Folder(name).Revision(revision).Loader()
}

// FrontLog opens the log of a server's front.
func (r *Reader) FrontLog(name string) *folder.LogReader { return r.Folder(name).NewFrontLogReader() }

// Scalars is the folder that TensorBoard shows of a run.
func (r *Reader) Scalars(name string) string { return r.Folder(name).Trials() }

// Code is the folder of the code that a run executes. What is elsewhere is fetched first; it is missing where nobody
// has it any more.
func (r *Reader) Code(ctx context.Context, name string) (string, error) {
	e := r.exactly(name)
	k, err := r.keeper(e)
	if err == nil && k != nil {
		err = k.FetchCode(ctx, e.name.String())
	}
	return e.folder.Code(), err
}
