package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// remembered are pods that ended while nobody here watched, and are gone: with their nodes, say. What they wrote of
// their trials came from the monitor, so they are made anew as they would be seen, and everything that reads pods reads
// them.
type remembered struct {
	folder folder.Run
	pods   map[types.UID]rememberedPod
	since  map[string]time.Time // when what a pod sent was seen first, and the pod was not
	asked  time.Time            // when the cluster was asked last for its pods, and answered
}

type rememberedPod struct {
	*corev1.Pod
	round int
}

// missing is how long a pod must not be seen of which there is something: what the cluster says may be a little late.
const missing = 10 * time.Second

func newRemembered(f folder.Run) *remembered {
	return &remembered{folder: f, pods: map[types.UID]rememberedPod{}, since: map[string]time.Time{}}
}

// due gives the moment since when it matters whether pods are there of which something came, and which are not seen;
// the zero value: it does not yet.
func (r *remembered) due(s *seen, left map[string]collect.Source) (since time.Time) {
	if len(left) == 0 {
		return since
	}
	there := s.there()
	for uid := range left {
		if there[types.UID(uid)] || r.pods[types.UID(uid)].Pod != nil {
			continue
		}
		if _, before := r.since[uid]; !before {
			r.since[uid] = s.now
		}
		if at := r.since[uid]; (s.now.Sub(at) >= missing || r.over(s)) && at.After(since) {
			since = at
		}
	}
	return since
}

// add adds the pods that are gone to those that are seen. left are the sources whose attempts are not known. all says
// that nothing more comes of them: whose trial has not ended in what was sent went in the middle of it.
func (r *remembered) add(s *seen, left map[string]collect.Source, spec *run.Spec, all bool) {
	there := s.there()
	for uid, source := range left {
		if there[types.UID(uid)] || r.pods[types.UID(uid)].Pod != nil {
			continue
		}
		since, before := r.since[uid]
		if !before {
			since = s.now
			r.since[uid] = since
		}
		if s.now.Sub(since) < missing && !r.over(s) || r.asked.Before(since) {
			continue
		}
		if p, err := r.remember(s, source, spec, all); err == nil && p != nil {
			r.pods[types.UID(uid)] = rememberedPod{p, max(source.Round, 1)}
		}
	}
	for uid, p := range r.pods {
		if !there[uid] && p.round <= len(s.jobs) {
			j := &s.jobs[p.round-1]
			j.pods = append(j.pods, p.Pod)
		}
	}
}

// over reports whether all Jobs of the run have ended: no pod is still to be seen.
func (r *remembered) over(s *seen) bool {
	for i := range s.jobs {
		if !manifest.Finished(s.jobs[i].Job) {
			return false
		}
	}
	return len(s.jobs) > 0
}

// remember makes a pod anew from what it wrote; nil, if its trial had not ended and all of it may not be here.
func (r *remembered) remember(s *seen, source collect.Source, spec *run.Spec, all bool) (*corev1.Pod, error) {
	round := max(source.Round, 1)
	if round > len(s.jobs) || source.Trial >= spec.Completions {
		return nil, errors.New("its Job is not there")
	}
	j := &s.jobs[round-1]
	index, failures, ok := j.rows.index(source.Trial, source.Attempt)
	if !ok {
		return nil, errors.New("its Job did not have the trial")
	}
	begun, last, trial, err := r.read(source, spec)
	if err != nil || !trial.Phase.Final() && (!all || begun.IsZero()) {
		return nil, err
	}
	stop := stopOf(s.owner)
	asked := trial.Phase == run.Stopped && stop.Of(source.Trial, round)
	code := pod.ExitCode(trial, asked, trial.Phase == run.Stopped && !asked)
	terminated := &corev1.ContainerStateTerminated{
		ExitCode: int32(code), StartedAt: metav1.NewTime(begun), FinishedAt: metav1.NewTime(trial.Ended),
		Message: string(pod.Of(trial).Encode()),
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d-gone-%.8s", j.Name, index, source.ID), Namespace: j.Namespace,
			UID: types.UID(source.ID), CreationTimestamp: metav1.NewTime(begun),
			Labels: map[string]string{batchv1.JobNameLabel: j.Name},
			Annotations: map[string]string{
				indexAnnotation: strconv.Itoa(index), failureAnnotation: strconv.Itoa(failures),
			},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: manifest.TrialContainer}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodFailed,
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: manifest.TrialContainer, State: corev1.ContainerState{Terminated: terminated},
			}},
		},
	}
	switch {
	case !trial.Phase.Final():
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{
			Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(begun)},
		}
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(last),
			Message: "its pod was gone before the trial had ended: with its node, or deleted",
		}}
	case code == pod.ExitSucceeded:
		p.Status.Phase = corev1.PodSucceeded
	}
	return p, nil
}

// read folds what a pod wrote of its trial. begun is when it began, last when it wrote something last.
func (r *remembered) read(source collect.Source, spec *run.Spec) (
	begun, last time.Time, trial *run.Trial, err error,
) {
	file, err := os.Open(filepath.Join(collectedDir(r.folder, source.ID), eventsName))
	if err != nil {
		return begun, last, nil, err
	}
	defer file.Close()
	events, err := folder.NewReader(file, "")
	if err != nil {
		return begun, last, nil, err
	}
	state := run.NewState(*spec)
	err = events.Each(func(e run.Event) error {
		if e.Trial == nil || *e.Trial == source.Trial {
			state.Apply(e)
		}
		if begun.IsZero() {
			begun = e.Time
		}
		last = e.Time
		return nil
	})
	trial = &state.Trials[source.Trial]
	if !trial.Started.IsZero() {
		begun = trial.Started
	}
	return begun, last, trial, err
}

// index is the opposite of [rowsOf.id]: the index of a trial in its Job, and how many attempts of it there failed
// before.
func (rows rowsOf) index(trial, attempt int) (index, failures int, ok bool) {
	if rows == nil {
		return trial, attempt - 1, attempt >= 1
	}
	for i, r := range rows {
		if r.Trial == trial {
			return i, attempt - 1 - r.Attempts, attempt > r.Attempts
		}
	}
	return 0, 0, false
}
