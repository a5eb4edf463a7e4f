package engine_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
)

// elsewhere is a second target: its runs execute in another folder of runs, which nobody who looks at them knows, and a
// process for each keeps a mirror of its record where all runs are read. That is how a cluster's runs will be seen.
type elsewhere struct {
	there *local.Target // where its runs execute
	here  string        // the folder of all runs of this machine
	t     *testing.T
}

var _ deployer.Target = (*elsewhere)(nil)

const place = "lab"

// mirrorOf names the folders that a process keeps alike: from and to.
const mirrorOf = "METAML_TEST_MIRROR"

func (e *elsewhere) Owner(environ []string) string { return e.there.Owner(environ) }

func (e *elsewhere) Environment(environ []string, processes int) map[string]string {
	return e.there.Environment(environ, processes)
}

func (e *elsewhere) whole(name string) string { return run.Name{Run: name, Place: place}.String() }

func (e *elsewhere) mirror(name string) folder.Run {
	return folder.In(folder.MirrorOf(e.here, "elsewhere", place).Dir, run.ParseName(name).Run)
}

func (e *elsewhere) Provisional(ctx context.Context, series string) (string, error) {
	name, err := e.there.Provisional(ctx, series)
	return e.whole(name), err
}

func (e *elsewhere) Active(ctx context.Context, key string) (*run.Spec, error) {
	spec, err := e.there.Active(ctx, key)
	if spec != nil {
		spec.Name = e.whole(spec.Name)
	}
	return spec, err
}

func (e *elsewhere) Server(ctx context.Context, spec run.Spec) (*run.Listed, error) {
	l, err := e.there.Server(ctx, spec)
	if l != nil {
		l.Spec.Name = e.whole(l.Spec.Name)
	}
	return l, err
}

func (e *elsewhere) Submit(ctx context.Context, s run.Submission, progress func(run.Event)) (run.Submitted, error) {
	done, err := e.there.Submit(ctx, s, progress)
	if err != nil {
		return done, err
	}
	name := done.Spec.Name
	done.Spec.Name = e.whole(name)
	to := e.mirror(name)
	if err := os.MkdirAll(string(to), 0o700); err != nil {
		return done, err
	}
	if err := to.Claim(done.Spec.ID, string(to)); err != nil {
		return done, err
	}
	if err := copyFile(e.there.Folder(name).Spec(), to.Spec()); err != nil {
		return done, err
	}
	return done, e.Keep(ctx, done.Spec.Name)
}

func (e *elsewhere) Stop(ctx context.Context, name string, trial *int, now bool) error {
	return e.there.Stop(ctx, run.ParseName(name).Run, trial, now)
}

func (e *elsewhere) StopRevision(ctx context.Context, name string, revision int) error {
	return e.there.StopRevision(ctx, run.ParseName(name).Run, revision)
}

func (e *elsewhere) Resume(ctx context.Context, name string) error {
	if err := e.there.Resume(ctx, run.ParseName(name).Run); err != nil {
		return err
	}
	return e.Keep(ctx, name)
}

func (e *elsewhere) Delete(ctx context.Context, name string) error {
	if err := e.there.Delete(ctx, run.ParseName(name).Run); err != nil {
		return err
	}
	e.mirror(name).Disclaim()
	return os.RemoveAll(string(e.mirror(name)))
}

// Keep starts a process that mirrors a run, unless one does.
func (e *elsewhere) Keep(_ context.Context, name string) error {
	to := e.mirror(name)
	if to.Monitored() {
		return nil
	}
	from := e.there.Folder(run.ParseName(name).Run)
	process := exec.Command(os.Args[0]) // it ends with the run that it mirrors
	process.Env = append(os.Environ(), mirrorOf+"="+string(from)+"\n"+string(to))
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		return err
	}
	e.t.Cleanup(func() { _ = process.Wait() })
	for end := time.Now().Add(10 * time.Second); !to.Monitored() && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	return nil
}

// Fetch copies the outputs of a trial.
func (e *elsewhere) Fetch(_ context.Context, name string, trial int) error {
	from, to := e.there.Folder(run.ParseName(name).Run).Output(trial), e.mirror(name).Output(trial)
	if exists(to) || !exists(from) {
		return nil
	}
	return os.CopyFS(to, os.DirFS(from))
}

// keepMirror is the process: it copies what a record has grown by, the events last, until the run has ended.
func keepMirror(from, to folder.Run) error {
	lock, err := to.LockMonitor()
	if err != nil {
		return nil // another process does it
	}
	defer lock.Close()
	for {
		spec, err := from.ReadSpec()
		if err != nil {
			return nil // the run was deleted
		}
		state := run.NewState(spec)
		events, err := os.ReadFile(from.Events())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		whole := events[:strings.LastIndexByte(string(events), '\n')+1]
		if err := copyRecord(from, to); err != nil {
			return err
		}
		if err := appendTo(to.Events(), whole); err != nil {
			return err
		}
		if err := readEvents(to, state); err != nil {
			return err
		}
		if state.Phase.Final() && !from.Monitored() {
			return nil
		}
		<-time.After(5 * time.Millisecond)
	}
}

func readEvents(f folder.Run, state *run.State) error {
	file, err := os.Open(f.Events())
	if err != nil {
		return err
	}
	defer file.Close()
	events, err := folder.NewReader(file, "")
	for err == nil {
		var e run.Event
		if e, err = events.Next(); err == nil {
			state.Apply(e)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// copyRecord copies all but the events, the outputs and what is the monitor's own.
func copyRecord(from, to folder.Run) error {
	return filepath.WalkDir(string(from), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, string(from)), "/")
		if d.IsDir() && (d.Name() == "output" || strings.HasPrefix(d.Name(), ".")) && name != "" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || strings.Contains(d.Name(), "lock") || strings.HasPrefix(name, "monitor") ||
			d.Name() == "environment.json" || path == from.Events() {
			return nil
		}
		return copyFile(path, filepath.Join(string(to), name))
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return appendTo(to, data)
}

// appendTo makes a file that grew there as long as data; one that was replaced is written anew.
func appendTo(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	old, _ := os.ReadFile(path)
	if len(old) == len(data) && string(old) == string(data) && exists(path) {
		return nil
	}
	if !strings.HasPrefix(string(data), string(old)) {
		return folder.Replace(path, data)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data[len(old):])
	return errors.Join(err, f.Close())
}
