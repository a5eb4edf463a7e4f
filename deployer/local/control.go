package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Stop requests the end of a run, or of one of its trials. Trials get a signal and 30 seconds to save something; with
// now they are killed. It does not wait for the end: [Target.Follow] does.
func (t *Target) Stop(ctx context.Context, name string, trial *int, now bool) error {
	l, err := t.Load(ctx, name)
	if err != nil {
		return err
	}
	if !l.Active() {
		return &usererror.Error{
			Code: usererror.CodeEnded, Text: fmt.Sprintf("run %s is not going: it is %s already", l.Spec.Name,
				l.State.Phase),
		}
	}
	if trial != nil {
		if err := l.CheckTrial(*trial); err != nil {
			return err
		}
		if p := l.State.Trials[*trial].Phase; p.Final() {
			return &usererror.Error{
				Code: usererror.CodeEnded, Text: fmt.Sprintf("trial %d of run %s is %s already", *trial, l.Spec.Name,
					p),
			}
		}
	}
	return t.ask(l, folder.Stop{Trial: trial, Now: now})
}

// ask leaves a request for the run's monitor, and sees to it that there is one.
func (t *Target) ask(l run.Listed, s folder.Stop) error {
	f := t.Folder(l.Spec.Name)
	s.Time = time.Now().UTC()
	if err := f.AppendStop(s); err != nil {
		return folder.Explain(err, "ask for the stop in", string(f))
	}
	if l.Liveness == run.Dead {
		return t.start(f, false)
	}
	return nil
}

// Resume goes on with the unfinished trials of a run that was stopped, whose machine was restarted or whose monitor was
// killed; a server answers again. It returns when the run is going again.
func (t *Target) Resume(ctx context.Context, name string) error {
	l, err := t.Load(ctx, name)
	if err != nil {
		return err
	}
	if l.Liveness == run.Alive {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is going already", l.Spec.Name),
			Hint: "metaml attach " + l.Spec.Name + " shows it.",
		}
	}
	if err := t.adopt(&l); err != nil {
		return err
	}
	if l.Liveness == run.Copied {
		if l, err = t.Load(ctx, l.Spec.Name); err != nil {
			return err
		}
	}
	f := t.Folder(l.Spec.Name)
	if l.Liveness == run.Dead {
		return t.start(f, false)
	}
	if l.Liveness == run.Ended && !resumable(l.State) {
		return &usererror.Error{
			Code: usererror.CodeFinished, Text: fmt.Sprintf("run %s has no unfinished trial", l.Spec.Name),
			Hint: "A trial that failed by its own code is not run again; --again makes a new run.",
		}
	}
	if err := t.start(f, true); err != nil {
		return err
	}
	_ = os.Remove(f.SeenFile()) // nobody has seen how it will end now
	return t.resumed(ctx, l.Spec.Name, l.State.N)
}

// adopt makes a run that was made elsewhere this user's own, which who resumes it wants.
func (t *Target) adopt(l *run.Listed) error {
	f := t.Folder(l.Spec.Name)
	if f.Own(&l.Spec) == "" {
		return nil
	}
	if err := f.Claim(l.Spec.ID, string(f)); err != nil {
		return folder.Explain(err, "resume the run in", string(f))
	}
	if why := f.Own(&l.Spec); why != "" {
		return &usererror.Error{
			Code: usererror.CodeCopied, Text: fmt.Sprintf("run %s cannot be resumed: its folder %s", l.Spec.Name, why),
			Hint: "A copy of your own, with cp -r and chmod -R go-w, can be.",
		}
	}
	return nil
}

// resumed waits for the event run.resumed that comes after the event n.
func (t *Target) resumed(ctx context.Context, name string, n int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, &usererror.Error{
		Code: usererror.CodeMonitor, Text: fmt.Sprintf("the monitor of run %s did not start", name),
		Hint: "See " + t.Folder(name).MonitorLog() + " for its last words.",
	})
	defer cancel()
	return t.Await(ctx, name, func(e run.Event) bool { return e.Type == run.EventResumed && e.N > n })
}

func resumable(s *run.State) bool {
	if s.Server != nil {
		return true
	}
	for i := range s.Trials {
		if s.Trials[i].Unfinished() {
			return true
		}
	}
	return false
}

// Delete removes a run that has ended, with everything it wrote.
func (t *Target) Delete(ctx context.Context, name string) error {
	full, _, err := t.Find(ctx, name)
	if err != nil {
		return err
	}
	f := t.Folder(full)
	if l, err := t.Load(ctx, full); err == nil && l.Active() {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is still going", full),
			Hint: "metaml stop " + full + " ends it first.",
		}
	}
	// Between its last event and its end a monitor tidies up.
	for end := time.Now().Add(2 * time.Second); f.Monitored() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	// Out of sight at once, so that no listing sees half a folder.
	gone := filepath.Join(t.Dir, ".deleted-"+full)
	if err := os.RemoveAll(gone); err != nil {
		return folder.Explain(err, "delete", gone)
	}
	if err := os.Rename(string(f), gone); err != nil {
		return folder.Explain(err, "delete", string(f))
	}
	f.Disclaim()
	if err := os.RemoveAll(gone); err != nil {
		return folder.Explain(err, "delete", gone)
	}
	return nil
}
