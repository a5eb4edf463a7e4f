package mirror

import (
	"context"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
)

// asking are the pods that the cluster names when it is asked for them. Informers of pods and of Jobs are not equally
// fast: where one has lost its connection, the Job may have ended for a while of which the last pod was not seen. So
// that a pod is gone is said by an answer alone that was given after the pod had been there.
type asking struct {
	at   time.Time // when the last question was sent that was answered; the zero value: there was none
	pods []*corev1.Pod
	over time.Time // since when the Jobs are seen to have ended

	monitor *batchv1.Job // the monitor's, if none of its pods was seen
}

// podPage is how many pods are asked for at once: of a thousand all would be 10 MB.
const podPage = 100

// listPods asks the cluster for the pods of the run, those of its monitor among them.
func (m *mirror) listPods(ctx context.Context) ([]*corev1.Pod, error) {
	var (
		pods []*corev1.Pod
		slim slimmer
	)
	options := metav1.ListOptions{LabelSelector: m.selector(), Limit: podPage}
	for {
		page, err := m.listPage(ctx, options)
		if err != nil {
			return nil, m.cluster.Explain(err, "list the pods of run "+m.name)
		}
		for i := range page.Items {
			pods = append(pods, slim.pod(&page.Items[i]))
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return pods, nil
		}
	}
}

func (m *mirror) listPage(ctx context.Context, options metav1.ListOptions) (*corev1.PodList, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	return m.cluster.Core.Pods(m.cluster.Namespace).List(ctx, options)
}

// addUnseen adds to what is seen the pods that the cluster has and the informers do not, where something depends on it.
// Where that cannot be said now, it is noted that what is not seen may be there.
func (m *mirror) addUnseen(ctx context.Context, s *seen) {
	if s.owner == nil {
		return
	}
	a := &m.asked
	switch over := m.gone.over(s); {
	case !over:
		a.over, a.monitor = time.Time{}, nil
	case a.over.IsZero():
		a.over = s.now
	}
	if since := m.unseenSince(s); a.at.Before(since) || m.staleUnseen(s) || a.monitor == nil && m.monitorUnseen(s) {
		asked := time.Now()
		if pods, monitor, err := m.ask(ctx, s); err == nil {
			a.at, a.pods, a.monitor = asked, pods, monitor
		}
		s.unsure = a.at.Before(since) || a.monitor == nil && m.monitorUnseen(s)
	}
	m.gone.asked = a.at
	for _, p := range m.unseen(s) {
		if j := s.jobOf(p); j != nil {
			j.pods = append(j.pods, p)
		} else if s.monitor.job != nil && p.Labels[batchv1.JobNameLabel] == s.monitor.job.Name {
			s.monitor.pods = append(s.monitor.pods, p)
		}
	}
	if off := (&monitorSeen{job: a.monitor}); !a.over.IsZero() && a.monitor != nil && off.off() {
		s.monitor.job = a.monitor
	}
}

// ask asks for the pods of a run, and for the Job of its monitor where that has none: it may have been suspended.
func (m *mirror) ask(ctx context.Context, s *seen) (pods []*corev1.Pod, monitor *batchv1.Job, err error) {
	if pods, err = m.listPods(ctx); err != nil || s.monitor.off() || s.monitor.running() != nil {
		return pods, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	monitor, err = m.cluster.Batch.Jobs(m.cluster.Namespace).Get(ctx, s.monitor.job.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		monitor = s.monitor.job.DeepCopy()
		monitor.Spec.Suspend, err = new(true), nil // it is as if
	}
	return pods, monitor, err
}

// unseenSince is the moment since when something depends on pods that are not seen; the zero value: nothing does.
func (m *mirror) unseenSince(s *seen) time.Time {
	since := m.gone.due(s, m.curves.left)
	over := m.asked.over
	if over.IsZero() || m.planner.state.Phase.Final() || !over.After(since) {
		return since
	}
	if m.monitorUnseen(s) {
		return over // it may have reports
	}
	for i := range s.jobs {
		if m.planner.lacksPod(&s.jobs[i]) {
			return over
		}
	}
	return since
}

// monitorUnseen reports whether the run is over and its monitor seems to be on, and no pod of it is seen.
func (m *mirror) monitorUnseen(s *seen) bool {
	return m.live != nil && !m.asked.over.IsZero() && !m.planner.state.Phase.Final() && !s.monitor.off() &&
		s.monitor.running() == nil
}

// staleUnseen reports whether a pod runs, by the last answer, that the informers do not know, and that answer is old.
func (m *mirror) staleUnseen(s *seen) bool {
	return s.now.Sub(m.asked.at) > lookAgain && slices.ContainsFunc(m.unseen(s), func(p *corev1.Pod) bool {
		return !manifest.Ended(p)
	})
}

// unseen are the pods of the last answer that are not seen.
func (m *mirror) unseen(s *seen) (pods []*corev1.Pod) {
	if len(m.asked.pods) == 0 {
		return nil
	}
	there := s.there()
	for _, p := range m.asked.pods {
		if !there[p.UID] {
			pods = append(pods, p)
		}
	}
	return pods
}

// there are all pods that are seen.
func (s *seen) there() map[types.UID]bool {
	there := map[types.UID]bool{}
	for i := range s.jobs {
		for _, p := range s.jobs[i].pods {
			there[p.UID] = true
		}
	}
	for _, p := range s.monitor.pods {
		there[p.UID] = true
	}
	return there
}

// jobOf finds the Job of a pod, nil if it is none of the trials'.
func (s *seen) jobOf(p *corev1.Pod) *jobSeen {
	for i := range s.jobs {
		if s.jobs[i].Name == p.Labels[batchv1.JobNameLabel] {
			return &s.jobs[i]
		}
	}
	return nil
}

// lacksPod reports whether a trial of a Job has not ended in the record, and no pod is seen that says, or will say, how
// it does.
func (p *planner) lacksPod(j *jobSeen) bool {
	held := map[int]bool{}
	for _, at := range j.pods {
		id, ok := j.id(at, p.spec.Completions)
		if !ok || held[id.Trial] || p.recorded(id) {
			continue
		}
		a := read(at, id, p.spec).takenBack(j.Job)
		held[id.Trial] = a.end.Type == "" || !a.again
	}
	for _, i := range j.trials(len(p.state.Trials)) {
		if !p.state.Trials[i].Phase.Final() && !held[i] {
			return true
		}
	}
	return false
}
