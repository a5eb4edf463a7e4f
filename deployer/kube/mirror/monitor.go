package mirror

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// monitorSeen is what the cluster has of the run's monitor.
type monitorSeen struct {
	job  *batchv1.Job  // nil: the run has none
	pods []*corev1.Pod // usually one
}

// off reports whether there is no monitor that could send anything.
func (m *monitorSeen) off() bool {
	return m.job == nil || manifest.Suspended(m.job) || manifest.Finished(m.job)
}

// running is the pod that runs, or nil.
func (m *monitorSeen) running() *corev1.Pod {
	for _, p := range m.pods {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			return p
		}
	}
	return nil
}

const (
	// monitorStarts is how long a monitor may take to start before that is said: its image may have to be pulled.
	monitorStarts = time.Minute
	// monitorAway is how long it may not be reached.
	monitorAway = 15 * time.Second
)

const (
	// caughtUp is how long it is silent once it has said that everything has come that it had.
	caughtUp = time.Second
	// backlog is how long a monitor is waited for that may have something of pods that are gone: its own may have gone
	// with them, and the Job controller waits before it makes another.
	backlog = 90 * time.Second
	// atMost is how long the end of a run is held back for that where all its trials are known to have ended.
	atMost = 5 * time.Second
	// unseen is how old a Job must be for pods of it to have come and gone while nobody here looked.
	unseen = 10 * time.Second
)

// coming reports whether the monitor may still send something of pods that ended while nobody here looked, and are
// gone. More says that this is expected at any moment.
func (m *mirror) coming(s *seen) (coming, more bool) {
	switch {
	case s.monitor.off() || len(s.jobs) == 0 || m.heardAll:
		return false, false
	case m.live == nil:
		return true, false // for whoever follows the run next
	}
	first, waited := s.jobs[0].CreationTimestamp.Time, time.Since(m.began)
	m.heardAll = m.live.caughtUp() || waited >= backlog || m.began.Sub(first) < unseen
	return !m.heardAll, !m.heardAll && waited < atMost
}

// lateReports is how long the end of a run is held back for reports of its trials that the monitor may have: so long it
// takes until both notice that nothing comes through their connection any more, and there is another.
const lateReports = collect.Patience + monitorAway

// reportsDue reports whether the monitor may still send what trials of a run that is over have reported. A connection
// that was made before may be one that nothing comes through: there is another then, and what comes over that is all. A
// monitor to which there is no way at all holds up no end.
func (m *mirror) reportsDue(ctx context.Context, s *seen) bool {
	if m.live == nil || s.monitor.off() || s.monitor.running() == nil || m.planner.state.Phase.Final() ||
		!m.gone.over(s) || !m.reportsMissing(s) {
		return false
	}
	if m.lastOver.IsZero() {
		m.lastOver = time.Now()
		m.live.anew(ctx)
	}
	return !m.live.caughtUp() && !m.live.cutOff() && time.Since(m.lastOver) < lateReports
}

// reportsMissing reports whether the record may lack reports of a pod of the last Job.
func (m *mirror) reportsMissing(s *seen) bool {
	if len(s.jobs) == 0 {
		return false
	}
	last := &s.jobs[len(s.jobs)-1]
	return slices.ContainsFunc(last.pods, func(p *corev1.Pod) bool {
		id, ok := last.id(p, m.spec.Completions)
		return ok && began(p) && !m.curves.whole(id)
	})
}

// lacksReports reports whether a monitor runs that may have reports of the trials which never came here.
func (m *mirror) lacksReports(s *seen) bool {
	return s.monitor.running() != nil && m.reportsMissing(s) && !m.live.caughtUp()
}

// noCurves says why what trials report does not arrive as they do so, "" if it does, or nobody waits for it.
func (m *mirror) noCurves(s *seen) (text, hint string) {
	if s.monitor.job == nil || m.live == nil || m.planner.state.Count().Running == 0 {
		return "", ""
	}
	const rest = "Curves have the last value of each second until it is."
	if manifest.Suspended(s.monitor.job) && !m.noted(run.NoteMonitor) { // by a queue that takes all Jobs, say
		return "no live curves: the Job of the process that collects them is suspended", rest
	}
	if s.monitor.off() {
		return "", ""
	}
	age := s.now.Sub(s.monitor.job.CreationTimestamp.Time)
	if s.monitor.running() == nil {
		if age < monitorStarts {
			return "", ""
		}
		for _, p := range s.monitor.pods {
			if why := whyPodWaits(p, *s); why != nil {
				return "no live curves: the process that collects them does not run yet: " + why.Text, rest
			}
		}
		if why := whyJobWaits(s.monitor.job, *s); why != nil {
			return "no live curves: the process that collects them does not run yet: " + why.Text, rest
		}
		return "no live curves: the process that collects them does not run yet", rest
	}
	if err := m.live.trouble(monitorAway); err != nil {
		return fmt.Sprintf("no live curves: the process that collects them cannot be reached: %v", err), rest
	}
	return "", ""
}

// tellCurves notes once that live curves are missing, and once that they are there again.
func (m *mirror) tellCurves(s *seen) []run.Event {
	text, hint := m.noCurves(s)
	// Why may change from one try to the next: that is no news.
	if (text == "") == (m.curvesSaid == "") || text == "" && !m.live.connected() {
		return nil
	}
	m.curvesSaid = text
	note := run.Event{Type: run.EventNote, Time: s.now, Code: run.NoteMonitor, Text: text, Hint: hint}
	if text == "" {
		note.Text = "curves are live again"
	}
	m.planner.state.Apply(note)
	return []run.Event{note}
}

// noted reports whether the record has a note of a kind.
func (m *mirror) noted(code string) bool {
	return slices.ContainsFunc(m.planner.state.Notes, func(n run.Note) bool { return n.Code == code })
}

// giveWay ends the monitor where it may be what keeps the run from beginning: nothing of it runs, and a trial has no
// room.
func (m *mirror) giveWay(ctx context.Context, s *seen) error {
	if s.monitor.off() || m.planner.state.Count().Running > 0 {
		return nil
	}
	for i := range m.planner.state.Trials {
		w := m.planner.state.Trials[i].Waiting
		if w == nil || w.Reason != run.WaitingQuota && w.Reason != run.WaitingUnschedulable ||
			s.now.Sub(w.Since) < monitorAway {
			continue
		}
		if !m.suspendMonitor(ctx, true) {
			return nil // it is tried again
		}
		note := run.Event{
			Type: run.EventNote, Time: s.now, Code: run.NoteMonitor,
			Text: "no live curves: the process that collects them gave its place to a trial",
			Hint: "Curves have the last value of each second.",
		}
		m.planner.state.Apply(note)
		m.curvesSaid = note.Text
		return m.write([]run.Event{note})
	}
	return nil
}

// letIn starts the monitor of a run that a queue has let in, or that was resumed while its end was seen to.
func (m *mirror) letIn(ctx context.Context, s *seen) {
	if s.monitor.job == nil || !manifest.Suspended(s.monitor.job) || m.curvesSaid != "" || len(s.jobs) == 0 {
		return
	}
	last := s.jobs[len(s.jobs)-1].Job
	late := last.Labels[manifest.LabelQueue] != "" || len(s.jobs) > 1
	if late && !manifest.Suspended(last) && !manifest.Finished(last) {
		m.suspendMonitor(ctx, false) // else it is tried again
	}
}

// suspendMonitor ends the run's monitor, or lets it go on. It reports whether the cluster took that.
func (m *mirror) suspendMonitor(ctx context.Context, suspend bool) bool {
	return SuspendMonitor(ctx, m.cluster, m.name, suspend) == nil
}

const fieldManager = "metaml"

// SuspendMonitor ends the monitor of a run, or starts it again, with nothing that it had.
func SuspendMonitor(ctx context.Context, c *cluster.Cluster, name string, suspend bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend)
	_, err := c.Batch.Jobs(c.Namespace).Patch(ctx, manifest.MonitorName(name), types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

const (
	lastFiles     = 300 * time.Millisecond // of silence: everything has come
	lastFilesMost = 5 * time.Second
)

// dismiss ends the monitor of a run that has ended, once everything has come from it. What cannot be done then is left:
// it ends by itself.
func (m *mirror) dismiss(ctx context.Context, s *seen) {
	if s.monitor.off() {
		return
	}
	end := time.Now().Add(lastFilesMost)
	for m.live.connected() && m.live.quiet() < lastFiles && time.Now().Before(end) && !m.askedSince() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lastFiles / 3):
		}
	}
	if !m.haveOutputs(ctx, s) || m.askedSince() {
		return // the monitor keeps them for a while, or the run may go on
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	m.suspendMonitor(ctx, true)
}

// askedSince reports whether somebody has wanted something of the run since it was seen to have ended: it may have been
// resumed.
func (m *mirror) askedSince() bool { return m.folder.Asked().After(m.over) }

// askOutputs has the files fetched that trials have left since it was asked last.
func (m *mirror) askOutputs(s *seen) {
	if p := s.monitor.running(); m.left && p != nil && m.live.connected() {
		m.left = false
		m.outputs.ask(asked{p.Name, m.log.Last()})
	}
}

// outputsFail is how long it may fail to fetch what trials left behind before their monitor is left alone with it.
const outputsFail = 20 * time.Second

// haveOutputs waits until the files that trials have left are here, however long that takes, or fails for a time.
func (m *mirror) haveOutputs(ctx context.Context, s *seen) bool {
	if s.monitor.running() == nil && m.live.never() {
		return true // it has not begun, and has nothing
	}
	for began := time.Now(); ; {
		m.askOutputs(s)
		all, failing := m.outputs.here()
		if all && !m.left || m.askedSince() {
			return true
		}
		if failing.IsZero() && m.left {
			failing = began // there is no connection
		}
		if !failing.IsZero() && time.Since(failing) > outputsFail {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}
