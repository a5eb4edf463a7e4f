// Package elsewhere is a second target for tests: its runs execute in another folder of runs, which nobody who reads
// them knows, and a process for each keeps a mirror of its record where all runs are read. A cluster's runs are seen in
// the same way.
//
// A program that uses it calls [Mirror] first, since it is started again to keep mirrors.
package elsewhere

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Name is the target's name, one of those that the settings know. Place is where its runs are.
const (
	Name  = "kubernetes"
	Place = "lab"
)

// Variable names, in the environment of a test's metaml, the folder where its runs elsewhere execute.
const Variable = "METAML_TEST_ELSEWHERE"

// Target is the runs elsewhere.
type Target struct {
	there *local.Target // where its runs execute
	here  string        // the folder of all runs of this machine
}

var _ deployer.Target = (*Target)(nil)

// New gives a target whose runs execute in the folder there and are mirrored below here, with monitors started from the
// binary agent.
func New(here, there, agent string) *Target {
	return &Target{there: local.In(there, agent), here: here}
}

// Check refuses nothing.
func (t *Target) Check(*settings.Resolved) error { return nil }

// At is the one place that there is elsewhere.
func (t *Target) At(_ context.Context, _ *settings.Resolved, environ []string) (deployer.Place, error) {
	return t.From(environ), nil
}

// From gives the place for a session with this environment.
func (t *Target) From(environ []string) deployer.Place { return place{t, t.there.From(environ)} }

// place is elsewhere, for runs that are submitted from a session.
type place struct {
	*Target
	there local.Place
}

// ID distinguishes the place from others.
func (p place) ID() string { return Place }

// Remarks has nothing to say.
func (p place) Remarks(string) []run.Note { return nil }

// Outline has nothing to say.
func (p place) Outline(context.Context, run.Submission) ([]run.Section, error) { return nil, nil }

// Owner is who a run belongs to.
func (p place) Owner() string { return p.there.Owner() }

// Environment gives variables for each process of a run.
func (p place) Environment(processes int) map[string]string {
	return p.there.Environment(processes)
}

// Discover finds nothing: whoever submits there is here.
func (t *Target) Discover(context.Context, string, *settings.Resolved) (string, error) {
	return Place, nil
}

// Examine checks what the target needs, which is nothing more than its folder.
func (t *Target) Examine(context.Context, *settings.Resolved) []run.Check {
	return []run.Check{{Name: Place, OK: true, Text: "runs are in " + t.there.Dir}}
}

// Provisional gives the name that the next run of a series would get.
func (t *Target) Provisional(ctx context.Context, series string) (string, error) {
	name, err := t.there.Provisional(ctx, series)
	return whole(name), err
}

// Active gives an active run with the key, or nil.
func (t *Target) Active(ctx context.Context, key string) (*run.Spec, error) {
	spec, err := t.there.Active(ctx, key)
	if spec != nil {
		spec.Name = whole(spec.Name)
	}
	return spec, err
}

// Server gives the active server of which spec would be another revision, or nil.
func (t *Target) Server(ctx context.Context, spec run.Spec) (*run.Listed, error) {
	l, err := t.there.Server(ctx, spec)
	if l != nil {
		l.Spec.Name = whole(l.Spec.Name)
	}
	return l, err
}

// Submit starts a run there, and a process here that mirrors it.
func (t *Target) Submit(ctx context.Context, s run.Submission, progress func(run.Event)) (run.Submitted, error) {
	s.Spec.Name = run.ParseName(s.Spec.Name).Run
	if l, err := t.there.Server(ctx, s.Spec); err == nil && l != nil {
		if _, err := t.settle(l.Spec.Name); err != nil {
			return run.Submitted{}, err
		}
	}
	done, err := t.there.Submit(ctx, s, progress)
	if err != nil {
		return done, named(err, s.Spec.Name)
	}
	name := done.Spec.Name
	done.Spec.Name = whole(name)
	for i, sentence := range done.Differs {
		done.Differs[i] = strings.ReplaceAll(sentence, name, whole(name))
	}
	to := t.mirror(name)
	if err := os.MkdirAll(string(to), 0o700); err != nil {
		return done, err
	}
	if err := to.Claim(done.Spec.ID, string(to)); err != nil {
		return done, err
	}
	from := t.there.Folder(name)
	if err := errors.Join(copyFile(from.Spec(), to.Spec()), copyFile(from.TableFile(), to.TableFile())); err != nil {
		return done, err
	}
	if err := t.Keep(ctx, done.Spec.Name); err != nil {
		return done, err
	}
	return done, await("the newest revision", func() bool {
		return to.NewestRevision() == from.NewestRevision()
	})
}

// Stop stops a run, or one trial of it.
func (t *Target) Stop(ctx context.Context, name string, trial *int, now bool) error {
	if err := t.act(name, func(name string) error { return t.there.Stop(ctx, name, trial, now) }); err != nil {
		return err
	}
	return t.Keep(ctx, name)
}

// StopRevision gives up a revision of a server that does not answer yet.
func (t *Target) StopRevision(ctx context.Context, name string, revision int) error {
	return t.act(name, func(name string) error { return t.there.StopRevision(ctx, name, revision) })
}

// Scale has a server have so many replicas from now on.
func (t *Target) Scale(ctx context.Context, name string, n run.Replicas) error {
	if err := t.act(name, func(name string) error { return t.there.Scale(ctx, name, n) }); err != nil {
		return err
	}
	return t.Keep(ctx, name)
}

// Token gives the token that callers of a server must have.
func (t *Target) Token(ctx context.Context, name string) (token string, err error) {
	err = t.act(name, func(name string) error { token, err = t.there.Token(ctx, name); return err })
	return token, err
}

// Rollback gives a server another revision which is a copy of one that answered.
func (t *Target) Rollback(ctx context.Context, name string, revision int) (done run.Submitted, err error) {
	if err = t.act(name, func(name string) error {
		done, err = t.there.Rollback(ctx, name, revision)
		return err
	}); err != nil {
		return done, err
	}
	to := t.mirror(name)
	done.Spec.Name = whole(done.Spec.Name)
	if err := t.Keep(ctx, name); err != nil {
		return done, err
	}
	return done, await("the newest revision", func() bool {
		spec, err := to.ReadSpec()
		return err == nil && spec.Server.Revision >= done.Spec.Server.Revision
	})
}

// Resume goes on with what a run left unfinished.
func (t *Target) Resume(ctx context.Context, name string) error {
	if err := t.act(name, func(name string) error { return t.there.Resume(ctx, name) }); err != nil {
		return err
	}
	_ = os.Remove(t.mirror(name).SeenFile())
	l, err := t.there.Exactly(run.ParseName(name).Run)
	if err != nil {
		return err
	}
	if err := t.Keep(ctx, name); err != nil {
		return err
	}
	return await("the event of the resume", func() bool {
		state := run.NewState(l.Spec)
		_ = t.mirror(name).EachEvent(func(e run.Event) error { state.Apply(e); return nil })
		return state.N >= l.State.N
	})
}

// Delete removes a run that is not active, there and here.
func (t *Target) Delete(ctx context.Context, name string) error {
	if err := t.act(name, func(name string) error { return t.there.Delete(ctx, name) }); err != nil {
		return err
	}
	if err := await("the end of the mirror", func() bool { return !t.mirror(name).Monitored() }); err != nil {
		return err
	}
	t.mirror(name).Disclaim()
	return os.RemoveAll(string(t.mirror(name)))
}

// Fetch copies the outputs of a trial.
func (t *Target) Fetch(_ context.Context, name string, trial int) error {
	from, to := t.there.Folder(run.ParseName(name).Run).Output(trial), t.mirror(name).Output(trial)
	if exists(to) || !exists(from) {
		return nil
	}
	return os.CopyFS(to, os.DirFS(from))
}

// FetchCode copies the code of a run.
func (t *Target) FetchCode(_ context.Context, name string) error {
	from, to := t.there.Folder(run.ParseName(name).Run).Code(), t.mirror(name).Code()
	if exists(to) || !exists(from) {
		return nil
	}
	return os.CopyFS(to, os.DirFS(from))
}

// Kept says that everything is.
func (t *Target) Kept(string) error { return nil }

// Keep has a run there looked after again, and starts a process that mirrors it, unless one does.
func (t *Target) Keep(ctx context.Context, name string) error {
	bare, to := run.ParseName(name).Run, t.mirror(name)
	if dead, err := t.settle(bare); err != nil {
		return err
	} else if dead {
		if err := t.there.Keep(ctx, bare); err != nil {
			return err
		}
	}
	if to.Monitored() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process := exec.CommandContext(context.WithoutCancel(ctx), self)
	process.Env = append(os.Environ(), mirrors+"="+string(t.there.Folder(run.ParseName(name).Run))+"\n"+string(to))
	if err := process.Start(); err != nil {
		return err
	}
	go func() { _ = process.Wait() }() // ends with the run, or with this process
	return await("the mirror of "+name, to.Monitored)
}

// settle reports whether nobody looks after a run there. Then its mirror is about to end, which is waited for: who has
// the run looked after again starts another.
func (t *Target) settle(bare string) (dead bool, err error) {
	err = await("the end of the mirror of "+bare, func() bool {
		l, err := t.there.Exactly(bare)
		dead = err == nil && l.Liveness == run.Dead
		return !dead || !t.mirror(bare).Monitored()
	})
	return dead, err
}

func (t *Target) mirror(name string) folder.Run {
	return folder.In(folder.MirrorOf(t.here, Name, Place).Dir, run.ParseName(name).Run)
}

func whole(name string) string { return run.Name{Run: name, Place: Place}.String() }

// act does something with a run under its name there.
func (t *Target) act(name string, do func(name string) error) error {
	bare := run.ParseName(name).Run
	if _, err := t.settle(bare); err != nil {
		return err
	}
	return named(do(bare), bare)
}

// named gives a run its whole name in a mistake of the target there.
func named(err error, bare string) error {
	mistake, ok := errors.AsType[*usererror.Error](err)
	if !ok || bare == "" {
		return err
	}
	mirrored := *mistake
	mirrored.Text = strings.ReplaceAll(mirrored.Text, bare, whole(bare))
	mirrored.Hint = strings.ReplaceAll(mirrored.Hint, bare, whole(bare))
	return &mirrored
}

func await(what string, ok func() bool) error {
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
