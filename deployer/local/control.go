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

// Stop asks for the end of a run, or of one of its trials. Trials get a signal and 30 seconds to save something; with
// now they are killed. It does not wait for the end: [Target.Follow] does.
func (t *Target) Stop(ctx context.Context, name string, trial *int, now bool) error {
	l, err := t.Load(ctx, name)
	if err != nil {
		return err
	}
	if !l.Liveness.Active() {
		return &usererror.Error{
			Code: usererror.CodeEnded, Text: fmt.Sprintf("run %s is not going: it is %s already", l.Spec.Name,
				l.State.Phase),
		}
	}
	if trial != nil && l.Spec.Kind == run.Serve {
		return &usererror.Error{
			Code: usererror.CodeTrial, Text: fmt.Sprintf("%s is a server: its workers are not stopped one by one",
				l.Spec.Name),
			Hint: "metaml stop " + l.Spec.Name + " stops the server",
		}
	}
	if trial != nil {
		if *trial < 0 || *trial >= len(l.State.Trials) {
			return &usererror.Error{
				Code: usererror.CodeTrial, Text: fmt.Sprintf("run %s has no trial %d", l.Spec.Name, *trial),
				Hint: fmt.Sprintf("its trials are 0 to %d", len(l.State.Trials)-1),
			}
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
func (t *Target) ask(l Listed, s folder.Stop) error {
	s.Time = time.Now().UTC()
	if err := l.Folder.AppendStop(s); err != nil {
		return friendly(err, "ask for the stop in", string(l.Folder))
	}
	if l.Liveness == Dead {
		return t.start(l.Folder, false)
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
	if l.Liveness == Alive {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is going already", l.Spec.Name),
			Hint: "metaml attach " + l.Spec.Name + " shows it",
		}
	}
	if err := t.adopt(&l); err != nil {
		return err
	}
	if l.Liveness == Copied {
		if l, err = t.Load(ctx, l.Spec.Name); err != nil {
			return err
		}
	}
	if l.Liveness == Dead {
		return t.start(l.Folder, false)
	}
	if l.Liveness == Ended && !resumable(l.State) {
		return &usererror.Error{
			Code: usererror.CodeFinished, Text: fmt.Sprintf("run %s has no unfinished trial", l.Spec.Name),
			Hint: "a trial that failed by its own code is not run again; --again makes a new run",
		}
	}
	w, err := t.watch(l.Folder)
	if err != nil {
		return err
	}
	defer w.close()
	if err := t.start(l.Folder, true); err != nil {
		return err
	}
	return w.resumed(ctx, l.State.N)
}

// adopt makes a run that was made elsewhere this user's own, which who resumes it asks for.
func (t *Target) adopt(l *Listed) error {
	if l.Folder.Own(&l.Spec) == "" {
		return nil
	}
	if err := l.Folder.Claim(l.Spec.ID, string(l.Folder)); err != nil {
		return friendly(err, "resume the run in", string(l.Folder))
	}
	if why := l.Folder.Own(&l.Spec); why != "" {
		return &usererror.Error{
			Code: usererror.CodeCopied, Text: fmt.Sprintf("run %s cannot be resumed: its folder %s", l.Spec.Name, why),
			Hint: "a copy of your own, with cp -r and chmod -R go-w, can be",
		}
	}
	return nil
}

// resumed waits for the event run.resumed that comes after the event n.
func (w *watched) resumed(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, &usererror.Error{
		Code: usererror.CodeMonitor, Text: fmt.Sprintf("the monitor of run %s did not start", w.spec.Name),
		Hint: "its last words are in " + w.folder.MonitorLog(),
	})
	defer cancel()
	reader, err := folder.NewReader(w.events, "")
	if err != nil {
		return err
	}
	for {
		e, err := reader.Next()
		switch {
		case err == nil:
			if e.Type == run.EventResumed && e.N > n {
				return nil
			}
			continue
		case endOf(err) != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.watch.C:
		case <-time.After(lookAfter):
		}
	}
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
	full, err := t.resolve(ctx, name)
	if err != nil {
		return err
	}
	f := t.Folder(full)
	if l, err := t.read(full); err == nil && l.Liveness.Active() {
		return &usererror.Error{
			Code: usererror.CodeActive, Text: fmt.Sprintf("run %s is still going", full),
			Hint: "metaml stop " + full + " ends it first",
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
		return friendly(err, "delete", gone)
	}
	if err := os.Rename(string(f), gone); err != nil {
		return friendly(err, "delete", string(f))
	}
	f.Disclaim()
	if err := os.RemoveAll(gone); err != nil {
		return friendly(err, "delete", gone)
	}
	return nil
}
