package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// takenWithin is how long a monitor may take to take in how many replicas are wanted.
const takenWithin = 20 * time.Second

// Scale has a server have so many replicas from now on. It returns when its monitor knows; the processes follow.
func (t *Target) Scale(ctx context.Context, name string, replicas run.Replicas) error {
	if replicas.Ranged() {
		return usererror.New(usererror.CodeOption,
			"server %s is on this machine, where nothing chooses from %s replicas", name, replicas).
			With("Name a number, such as metaml scale %s %d.", name, replicas.Max)
	}
	n := replicas.Min
	l, unlock, err := t.going(ctx, name, "replicas")
	if err != nil {
		return err
	}
	defer unlock()
	spec := l.Spec
	if current := t.currentRevision(&l); current != nil {
		spec = *current
	}
	if err := enough(&spec, n); err != nil {
		return err
	}
	return t.scale(ctx, l.Spec.Name, n)
}

// going finds a server that goes on, and locks its series, so that nobody else submits a revision of it or scales it
// meanwhile. has is what a run that is no server does not have.
func (t *Target) going(ctx context.Context, name, has string) (l run.Listed, unlock func(), err error) {
	if l, err = t.Load(ctx, name); err != nil {
		return l, nil, err
	}
	if l.State.Server == nil || l.Spec.Server == nil {
		return l, nil, &usererror.Error{
			Code: usererror.CodeRevision, Text: fmt.Sprintf("run %s is no server and has no %s", l.Spec.Name, has),
		}
	}
	lock, err := folder.LockFile(ctx, t.seriesLock(l.Spec.Series))
	if err != nil {
		return l, nil, folder.Explain(err, "lock the series in", t.Dir)
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if l, err = t.Exactly(l.Spec.Name); err != nil {
		return l, nil, err
	}
	switch {
	case l.State.Phase.Final():
		return l, nil, usererror.New(usererror.CodeEnded, "server %s is not going: it is %s already", l.Spec.Name,
			l.State.Phase)
	case !l.Active():
		return l, nil, usererror.New(usererror.CodeEnded, "server %s is not going", l.Spec.Name).
			With("metaml resume %s starts it again.", l.Spec.Name)
	case t.stopping(&l):
		return l, nil, usererror.New(usererror.CodeEnded, "server %s is being stopped", l.Spec.Name)
	}
	t.foresee(&l)
	return l, func() { _ = lock.Close() }, nil
}

// foresee puts into a server's state how many replicas were requested, be it that no monitor has read that yet.
func (t *Target) foresee(l *run.Listed) {
	if n, ok := t.Folder(l.Spec.Name).ReadReplicas(); ok && l.State.Server != nil {
		l.State.Server.Replicas = n
	}
}

// enough refuses more workers than a server can have.
func enough(spec *run.Spec, replicas int) error {
	if n := spec.WorkersOf(replicas); n > run.MaxWorkers {
		return usererror.New(usererror.CodeOption, "a server on this machine has at most %d workers, not %d",
			run.MaxWorkers, n).With("Its workers are replicas × workers.")
	}
	return nil
}

// scale requests n replicas of a server that goes on, and waits until its monitor has taken that in. The series is
// locked.
func (t *Target) scale(ctx context.Context, name string, n int) error {
	l, err := t.Exactly(name)
	if err != nil {
		return err
	}
	f := t.Folder(name)
	if now, ok := f.ReadReplicas(); ok && now == n && l.State.Server.Replicas == n {
		return t.wake(&l)
	}
	if err := f.WriteReplicas(n); err != nil {
		return folder.Explain(err, "write how many replicas are wanted in", string(f))
	}
	if err := t.wake(&l); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, takenWithin, &usererror.Error{
		Code: usererror.CodeMonitor,
		Text: fmt.Sprintf("the monitor of %s does not answer; the server is scaled to %d when it does", name, n),
		Hint: "See " + f.MonitorLog() + " for its last words.",
	})
	defer cancel()
	return t.Await(ctx, name, func(e run.Event) bool {
		return e.N > l.State.N && (e.Type == run.EventServerScaled && e.Replicas == n || e.Type == run.EventEnded)
	})
}

// wake starts a monitor for a server that is dead.
func (t *Target) wake(l *run.Listed) error {
	if l.Liveness == run.Dead {
		return t.start(t.Folder(l.Spec.Name), false)
	}
	return nil
}

// kept is how many replicas the next revision of a server has because somebody scaled that; 0: as many as it says.
func (t *Target) kept(server *run.Listed) int {
	if server == nil || server.State.Server.Replicas == 0 {
		return 0
	}
	if current := t.currentRevision(server); current != nil {
		if _, scaled := server.State.Server.ReplicasOf(current.Server); !scaled {
			return 0
		}
	}
	return server.State.Server.Replicas
}

// forgetReplicas has the next revision of a server have as many replicas as it says, unless the server was scaled.
func (t *Target) forgetReplicas(server *run.Listed) error {
	if t.kept(server) == server.State.Server.Replicas {
		return nil
	}
	return t.Folder(server.Spec.Name).WriteReplicas(0)
}

// attach is a submission of what a server does already, or is about to. It gets as many replicas as the cell says,
// unless it was scaled.
func (t *Target) attach(ctx context.Context, server *run.Listed, current run.Spec, asked *run.Spec) (
	run.Submitted, error,
) {
	done := run.Submitted{Attached: true, Replaces: server.State.Server.Revision}
	name, says := server.Spec.Name, asked.Server.Replicas
	if says > 0 {
		scaling := server.State.Server.ScaledTo(name, current.Server, asked.Server.Wanted())
		if scaling.Note != "" {
			done.Differs = []string{scaling.Note}
		}
		if scaling.Change {
			err := enough(asked, 0)
			if err == nil {
				err = t.scale(ctx, name, says)
			}
			if err != nil {
				return run.Submitted{}, err
			}
		}
	}
	if says > 0 && says != current.Server.Replicas {
		var err error
		if current, err = t.noteReplicas(current, asked); err != nil {
			return run.Submitted{}, folder.Explain(err, "write the description of the server in", t.Dir)
		}
	}
	done.Spec = current
	return done, t.wake(server)
}

// noteReplicas writes into a revision how many replicas its cell says now.
func (t *Target) noteReplicas(spec run.Spec, asked *run.Spec) (run.Spec, error) {
	spec.Server = new(*spec.Server)
	spec.Server.Replicas = asked.Server.Replicas
	spec.Completions = spec.WorkersOf(0)
	spec.Parallelism = spec.Completions
	spec.Settings = slices.Clone(spec.Settings)
	for _, is := range asked.Settings {
		for i := range spec.Settings {
			if is.Name == "replicas" && spec.Settings[i].Name == is.Name {
				spec.Settings[i] = is
			}
		}
	}
	f := t.Folder(spec.Name)
	if err := folder.ReplaceJSON(f.Revision(spec.Server.Revision).Spec(), spec); err != nil {
		return spec, err
	}
	newest, err := f.ReadSpec()
	if err != nil || newest.Server == nil || newest.Server.Revision != spec.Server.Revision {
		return spec, err
	}
	return spec, folder.ReplaceJSON(f.Spec(), spec)
}
