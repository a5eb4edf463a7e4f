package deployer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Target is where runs execute.
type Target interface {
	// Provisional gives the name that the next run of a series would get.
	Provisional(ctx context.Context, series string) (string, error)
	// Active gives an active run with the key, or nil.
	Active(ctx context.Context, key string) (*run.Spec, error)
	// Server gives the active server of which spec would be another revision, or nil.
	Server(ctx context.Context, spec run.Spec) (*run.Listed, error)
	// Submit takes the program folder over and starts the run. Two submissions of one key at once make one run.
	Submit(ctx context.Context, s run.Submission) (run.Submitted, error)
	// List gives every run, newest first. It starts nothing.
	List(ctx context.Context) ([]run.Listed, error)
	// Ask asks servers whether they answer now, all at once and for a second at most. It starts nothing.
	Ask(ctx context.Context, listed ...*run.Listed)
	// Load gives one run by name, unique prefix or "last".
	Load(ctx context.Context, name string) (run.Listed, error)
	// Table gives the hyperparameters of a run, or nil.
	Table(ctx context.Context, name string) ([]run.Row, error)
	// Events calls fn for every event there is now.
	Events(ctx context.Context, name string, fn func(run.Event) error) error
	// Follow calls fn for every event after cursor until the run ends.
	Follow(ctx context.Context, name, cursor string, fn func(e run.Event, cursor string) error) error
	// Log writes what a trial printed: attempt 0 is the latest; stream is "stdout", "stderr" or "both". Of a server it
	// is what worker number trial printed, in all its attempts.
	Log(ctx context.Context, name string, trial, attempt int, stream string, follow bool, w io.Writer) error
	// Places says where a run keeps things. It asks nobody.
	Places(name string, trial, attempt int) run.Places
	// RevisionPlaces is the same for a worker of a server.
	RevisionPlaces(name string, revision, worker, attempt int) run.Places
	// Seen notes that somebody was shown how the run ended.
	Seen(ctx context.Context, name string) error
	// Stop stops a run, or one trial of it.
	Stop(ctx context.Context, name string, trial *int, now bool) error
	// StopRevision gives up a revision of a server that does not answer yet.
	StopRevision(ctx context.Context, name string, revision int) error
	// Resume goes on with what a run left unfinished; a server answers again.
	Resume(ctx context.Context, name string) error
	// Delete removes a run that is not active, with all that it kept.
	Delete(ctx context.Context, name string) error
}

// Local is the target "local", whose monitors are started from the binary agent.
func Local(agent string) (Target, error) {
	t, err := local.New(agent)
	if err != nil {
		return nil, err
	}
	return localTarget{t}, nil
}

// localTarget gives local.Target the shape that all targets share.
type localTarget struct{ *local.Target }

func (t localTarget) List(ctx context.Context) ([]run.Listed, error) {
	all, err := t.Target.List(ctx)
	if err != nil {
		return nil, err
	}
	listed := make([]run.Listed, len(all))
	for i := range all {
		listed[i] = shared(all[i])
		_, err := os.Stat(t.seen(all[i].Spec.Name))
		listed[i].Seen = err == nil
	}
	return listed, nil
}

func (t localTarget) Ask(ctx context.Context, listed ...*run.Listed) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var asked sync.WaitGroup
	turns := make(chan struct{}, askAtOnce)
	for _, l := range listed {
		l.Health = ""
		if l.Liveness != run.Alive || l.State.Server == nil || l.State.Server.Address == "" {
			continue
		}
		asked.Go(func() { l.Health = health(ctx, l.State.Server.Address, turns) })
	}
	asked.Wait()
}

// health asks one server until it answers or the time is over: a worker or front that has just ended is there again in
// milliseconds, and requests wait for it meanwhile.
func health(ctx context.Context, address string, turns chan struct{}) run.Health {
	found := run.HealthSilent
	for {
		turns <- struct{}{}
		said := local.Health(ctx, address)
		<-turns
		if said == run.HealthReady {
			return said
		}
		if said != run.HealthSilent { // of a silent one it is not known whether the time was over
			found = said
		}
		select {
		case <-ctx.Done():
			return found
		case <-time.After(askAgain):
		}
	}
}

// How long servers are asked for their health, after what time again, and how many at a time.
const (
	askPatience = time.Second
	askAgain    = 20 * time.Millisecond
	askAtOnce   = 64
)

func (t localTarget) Load(ctx context.Context, name string) (run.Listed, error) {
	l, err := t.Target.Load(ctx, name)
	if _, ok := errors.AsType[*local.NotFound](err); ok {
		return run.Listed{}, usererror.Wrap(err, usererror.CodeNotFound, err.Error(), "")
	}
	listed := shared(l)
	if err == nil && l.Damaged == "" {
		listed.NotOwn = l.Folder.Own(&l.Spec)
	}
	return listed, err
}

func shared(l local.Listed) run.Listed {
	listed := run.Listed{
		Spec: l.Spec, State: l.State, Liveness: run.Liveness(l.Liveness), Damage: l.Damaged, Size: l.Size,
	}
	if l.Damaged != "" {
		listed.Liveness = run.Damaged
	}
	return listed
}

func (t localTarget) Server(ctx context.Context, spec run.Spec) (*run.Listed, error) {
	l, err := t.Target.Server(ctx, spec)
	if l == nil || err != nil {
		return nil, err
	}
	listed := shared(*l)
	return &listed, nil
}

func (t localTarget) Places(name string, trial, attempt int) run.Places {
	return places(t.Folder(name), t.Folder(name), trial, attempt)
}

func (t localTarget) RevisionPlaces(name string, revision, worker, attempt int) run.Places {
	return places(t.Folder(name), t.Folder(name).Revision(revision), worker, attempt)
}

// places are those in a run's folder, or in the folder of a revision of it.
func places(of, in folder.Run, trial, attempt int) run.Places {
	logs := in.Attempt(trial, attempt)
	return run.Places{
		Folder: string(of), Output: in.Output(trial), Stdout: filepath.Join(logs, folder.Stdout),
		Stderr: filepath.Join(logs, folder.Stderr),
		Result: in.Result(trial, attempt),
	}
}

// seen is the file that stands for "shown to its end".
func (t localTarget) seen(name string) string { return filepath.Join(string(t.Folder(name)), "seen") }

func (t localTarget) Resume(ctx context.Context, name string) error {
	l, err := t.Load(ctx, name)
	if err != nil {
		return err
	}
	if err := t.Target.Resume(ctx, l.Spec.Name); err != nil {
		return err
	}
	_ = os.Remove(t.seen(l.Spec.Name)) // nobody has seen how it will end now
	return nil
}

func (t localTarget) Seen(_ context.Context, name string) error {
	f, err := folder.OpenOwn(t.seen(name), os.O_CREATE|os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("note that %s was shown: %w", name, err)
	}
	return f.Close()
}
