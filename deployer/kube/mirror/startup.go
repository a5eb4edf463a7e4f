package mirror

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/halt"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// giveUp stops a run of which nothing has run for as long as --start-timeout lets it wait, and notes why. The run is
// there.
func (m *mirror) giveUp(ctx context.Context, s seen) error {
	if m.patience == 0 || stopOf(s.owner).All {
		return nil
	}
	since, waits := s.waitsSince()
	if !waits || s.now.Sub(since) < m.patience {
		return nil
	}
	stop := pod.Stop{All: true, Round: manifest.Round(s.jobs[len(s.jobs)-1].Job)}
	if err := halt.Request(ctx, m.cluster, m.name, stop); err != nil {
		return nil //nolint:nilerr // the cluster does not answer: it is stopped the next time
	}
	note := run.Event{
		Type: run.EventNote, Time: s.now, Code: run.NoteStartTimeout,
		Text: fmt.Sprintf("it was stopped, since no trial started within %s", prose.Duration(m.patience)),
	}
	for i := range m.planner.state.Trials {
		if w := m.planner.state.Trials[i].Waiting; w != nil {
			note.Text, note.Hint = note.Text+": "+w.Text, w.Hint
			break
		}
	}
	m.planner.state.Apply(note)
	return m.write([]run.Event{note})
}

// waitsSince reports whether trials wait to start while none runs, and since when.
func (s *seen) waitsSince() (since time.Time, waits bool) {
	if len(s.jobs) == 0 {
		return since, false
	}
	j := &s.jobs[len(s.jobs)-1]
	if manifest.Finished(j.Job) || manifest.Suspended(j.Job) {
		return since, false
	}
	since = j.CreationTimestamp.Time
	if at := j.Status.StartTime; at != nil && at.After(since) { // a queue let it go on
		since = at.Time
	}
	for _, p := range j.pods {
		if p.Status.Phase == corev1.PodRunning {
			return since, false
		}
		status := containerStatus(p)
		if status != nil && status.State.Terminated != nil && status.State.Terminated.FinishedAt.After(since) {
			since = status.State.Terminated.FinishedAt.Time
		}
	}
	return since, true
}
