package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

var seriesName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// Provisional is the name that the next run of a series will have if nobody else submits one meanwhile.
func (t *Target) Provisional(_ context.Context, series string) (string, error) {
	if !seriesName.MatchString(series) {
		return "", badSeries(series)
	}
	data, _ := os.ReadFile(t.seriesLock(series))
	next, err := t.next(series, data)
	return fmt.Sprintf("%s-%d", series, next), err
}

func badSeries(series string) error {
	return &usererror.Error{
		Code: usererror.CodeName, Text: fmt.Sprintf("%q cannot be the name of a series of runs", series),
		Hint: "Use letters, digits, '-', '_' and '.', at most 100, and begin with a letter or a digit.",
	}
}

// seriesLock is the lock of a series; its content is the highest ordinal ever used, so that a deleted run's name stays
// free of a second meaning.
func (t *Target) seriesLock(series string) string {
	return filepath.Join(t.Dir, ".series", series)
}

func (t *Target) next(series string, used []byte) (int, error) {
	highest, _ := strconv.Atoi(strings.TrimSpace(string(used)))
	names, err := folder.Names(t.Dir)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, series+"-"); ok {
			if n, err := strconv.Atoi(rest); err == nil {
				highest = max(highest, n)
			}
		}
	}
	return highest + 1, nil
}

// Active gives an active run with this key, or nil.
func (t *Target) Active(ctx context.Context, key string) (*run.Spec, error) {
	names, err := folder.Names(t.Dir)
	if err != nil {
		return nil, err
	}
	var newest *run.Spec
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if spec, err := t.Folder(name).ReadSpec(); err != nil || spec.Key != key {
			continue
		}
		l, err := t.Exactly(name)
		if err == nil && l.Active() && (newest == nil || l.Spec.Created.After(newest.Created)) {
			newest = &l.Spec
		}
	}
	return newest, nil
}

// Submit makes the run's folder, whole or not at all, and starts its monitor; or it finds the active run of the same
// key. Two submissions of one series at the same moment come one after the other.
//
// It is done before ctx ends, or not at all. progress gets nothing: there is nothing to build here.
func (t *Target) Submit(ctx context.Context, s run.Submission, _ func(run.Event)) (run.Submitted, error) {
	series := s.Spec.Series
	if !seriesName.MatchString(series) {
		return run.Submitted{}, badSeries(series)
	}
	if s.Table != nil && len(s.Table) < s.Spec.Completions {
		return run.Submitted{}, fmt.Errorf("submit %q: %d rows of parameters for %d trials", series, len(s.Table),
			s.Spec.Completions)
	}
	if err := os.MkdirAll(filepath.Join(t.Dir, ".series"), 0o700); err != nil {
		return run.Submitted{}, folder.Explain(err, "make the folder", t.Dir)
	}
	lock, err := folder.LockFile(ctx, t.seriesLock(series))
	if err != nil {
		return run.Submitted{}, folder.Explain(err, "lock the series in", t.Dir)
	}
	defer lock.Close()
	t.expireEnvironments(time.Now())
	t.sweep(time.Now().Add(-abandoned))
	if s.Spec.Kind == run.Serve {
		return t.submitServer(ctx, s, lock)
	}
	if !s.Again && s.Spec.Key != "" {
		active, err := t.Active(ctx, s.Spec.Key)
		if err != nil {
			return run.Submitted{}, err
		}
		if active != nil {
			return run.Submitted{Spec: *active, Attached: true, Differs: run.Differs(*active, s.Spec)}, nil
		}
	}
	name, err := t.take(lock, series)
	if err != nil {
		return run.Submitted{}, err
	}
	spec := s.Spec
	spec.V, spec.ID, spec.Name, spec.BootID = 1, folder.NewID(), name, folder.BootID()
	if spec.Created.IsZero() {
		spec.Created = time.Now().UTC()
	}
	if err := ctx.Err(); err != nil {
		return run.Submitted{}, context.Cause(ctx)
	}
	if err := t.make(spec, s); err != nil {
		return run.Submitted{}, folder.Explain(err, "write the folder of the run in", t.Dir)
	}
	if err := t.start(t.Folder(spec.Name), false); err != nil {
		return run.Submitted{}, errors.Join(err, os.RemoveAll(string(t.Folder(spec.Name))))
	}
	return run.Submitted{Spec: spec}, nil
}

// abandoned is how old a folder without a name must be to count as left behind by a process that was killed.
const abandoned = time.Hour

// sweep removes what was being made or deleted when its process was killed, before a moment.
func (t *Target) sweep(before time.Time) {
	entries, err := os.ReadDir(t.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".new-") && !strings.HasPrefix(e.Name(), ".deleted-") {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = os.RemoveAll(filepath.Join(t.Dir, e.Name()))
		}
	}
}

// take gives the series' next name and notes in its lock that it is taken.
func (t *Target) take(lock *os.File, series string) (string, error) {
	used, err := io.ReadAll(lock)
	if err != nil {
		return "", folder.Explain(err, "read the lock of the series in", t.Dir)
	}
	ordinal, err := t.next(series, used)
	if err != nil {
		return "", err
	}
	_, err = lock.WriteAt([]byte(strconv.Itoa(ordinal)), 0)
	if err := errors.Join(lock.Truncate(int64(len(strconv.Itoa(ordinal)))), err); err != nil {
		return "", folder.Explain(err, "write the lock of the series in", t.Dir)
	}
	return fmt.Sprintf("%s-%d", series, ordinal), nil
}

// make writes the run's folder under a temporary name and renames it.
func (t *Target) make(spec run.Spec, s run.Submission) (err error) {
	dir, err := os.MkdirTemp(t.Dir, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := folder.ReplaceJSON(folder.Run(dir).Spec(), spec); err != nil {
		return err
	}
	if err := fill(folder.Run(dir), s); err != nil {
		return err
	}
	return t.place(dir, &spec)
}

// place gives a folder that is whole its name, and notes that it was made here.
func (t *Target) place(dir string, spec *run.Spec) error {
	f := t.Folder(spec.Name)
	if err := f.Claim(spec.ID, dir); err != nil {
		return err
	}
	return os.Rename(dir, string(f))
}

// fill writes what a run, or a revision of a server, is made of beside its run.json.
func fill(f folder.Run, s run.Submission) error {
	if s.Table != nil {
		if err := f.WriteTable(s.Table); err != nil {
			return err
		}
	}
	// A monitor that is started later, from another shell, gives its trials the same surroundings.
	environ := s.Environ
	if environ == nil {
		environ = os.Environ()
	}
	if err := folder.ReplaceJSON(f.EnvironmentFile(), environment(environ)); err != nil {
		return err
	}
	if s.Program != "" {
		// Last, since a rename takes it away from the caller.
		if err := takeIn(s.Program, f.Program()); err != nil {
			return fmt.Errorf("take in the program %q: %w", s.Program, err)
		}
	}
	return nil
}

func takeIn(from, to string) error {
	err := os.Rename(from, to)
	if err == nil {
		return nil
	}
	if !errors.Is(err, syscall.EXDEV) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// environment is what a run's processes get of the submitter's: not our own variables, and no plotting into a notebook
// that is not there.
func environment(of []string) []string {
	env := slices.DeleteFunc(slices.Clone(of), func(v string) bool {
		return strings.HasPrefix(v, "METAML_") || strings.HasPrefix(v, "_METAML_") || strings.HasPrefix(v, "JPY_") ||
			strings.HasPrefix(v, "MPLBACKEND=module://")
	})
	slices.Sort(env)
	return env
}

// start starts a monitor for the run, as nobody's child. If one is alive already, the new one ends at once.
func (t *Target) start(f folder.Run, resume bool) error {
	if !resume && t.frontLives(f) {
		return nil // it has the socket, and starts a monitor as soon as it has answered what it had
	}
	from := f
	if n := f.NewestRevision(); n > 0 {
		from = f.Revision(n)
	}
	env, err := from.ReadEnvironment()
	if errors.Is(err, fs.ErrNotExist) {
		env = environment(os.Environ())
		err = folder.ReplaceJSON(from.EnvironmentFile(), env) // for the monitors after this one
	}
	if err != nil {
		return folder.Explain(err, "read the environment of the run in", string(f))
	}
	log, err := folder.OpenOwn(f.MonitorLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return folder.Explain(err, "write the log of the monitor in", string(f))
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("start the run's monitor: %w", err)
	}
	defer null.Close()
	args := []string{t.Agent, "monitor", "--detach", "--dir", string(f)}
	if resume {
		args = append(args, "--resume")
	}
	process, err := os.StartProcess(t.Agent, args, &os.ProcAttr{
		Dir: string(f), Env: env, Files: []*os.File{null, log, log}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	var state *os.ProcessState
	if err == nil {
		// It ends as soon as it has started the monitor; a signal that ends it earlier was not meant for the run.
		state, err = process.Wait()
	}
	if err == nil && !state.Success() {
		err = fmt.Errorf("%s; %s has the reason", state, f.MonitorLog())
	}
	if err != nil {
		return usererror.Wrap(err, usererror.CodeAgent,
			fmt.Sprintf("the run's monitor cannot be started from %s: %v", t.Agent, err),
			"metaml doctor says what is missing.")
	}
	return nil
}
