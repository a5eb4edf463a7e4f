package manifest

import (
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/pod"
)

// Last is the Job that was made last.
func Last(jobs []batchv1.Job) *batchv1.Job {
	last := &jobs[0]
	for i := range jobs {
		if j := &jobs[i]; j.CreationTimestamp.After(last.CreationTimestamp.Time) ||
			j.CreationTimestamp.Equal(&last.CreationTimestamp) && len(j.Name) > len(last.Name) {
			last = j
		}
	}
	return last
}

// Finished reports whether nothing of a Job goes on.
func Finished(j *batchv1.Job) bool {
	return slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue
	})
}

// Ended reports whether nothing of a pod runs any more.
func Ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Suspended reports whether a Job starts no pods.
func Suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

// Halted reports whether a Job starts no pods any more. A queue may start one that is suspended; the deadline, which
// only a stop sets, ends it before it has a pod.
func Halted(j *batchv1.Job) bool {
	return j.Spec.ActiveDeadlineSeconds != nil || Suspended(j) && j.Labels[LabelQueue] == ""
}

// Going reports whether something of a run goes on, of which these are all Jobs.
func Going(owner *corev1.ConfigMap, jobs []batchv1.Job) bool {
	if len(jobs) == 0 {
		return false
	}
	last := Last(jobs)
	stop, _ := pod.ParseStop([]byte(owner.Data[pod.StopName])) // nothing was requested
	ended := stop.All && Halted(last) && last.Status.Active == 0
	return !Finished(last) && !ended
}

// Resumed makes the Job that goes on with what a run left: like the last one, with another table of rows. resumed
// counts from 1.
func Resumed(owner *corev1.ConfigMap, last *batchv1.Job, resumed, indexes int) *batchv1.Job {
	name := JobName(owner.Name, resumed)
	completions, suspend := int32(indexes), last.Labels[LabelQueue] != ""
	parallelism := completions
	if spec, err := ReadOwner(owner); err == nil && spec.Parallelism > 0 {
		parallelism = min(parallelism, int32(spec.Parallelism))
	}
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: owner.Namespace, Labels: last.Labels,
			OwnerReferences: []metav1.OwnerReference{OwnedBy(owner)},
		},
		Spec: batchv1.JobSpec{
			Completions: &completions, Parallelism: &parallelism, CompletionMode: last.Spec.CompletionMode,
			BackoffLimitPerIndex: last.Spec.BackoffLimitPerIndex, PodFailurePolicy: last.Spec.PodFailurePolicy,
			Suspend: &suspend, Template: *last.Spec.Template.DeepCopy(),
		},
	}
	restorePlacement(job, last)
	forgetJob(job.Spec.Template.Labels)
	for i := range job.Spec.Template.Spec.Containers {
		if c := &job.Spec.Template.Spec.Containers[i]; c.Name == TrialContainer {
			c.Env = replaced(c.Env, corev1.EnvVar{Name: pod.RoundVariable, Value: strconv.Itoa(resumed + 1)})
		}
	}
	for i := range job.Spec.Template.Spec.Volumes {
		v := &job.Spec.Template.Spec.Volumes[i]
		if v.Name != inVolume || v.Projected == nil {
			continue
		}
		v.Projected.Sources = append(slices.DeleteFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ConfigMap != nil && s.ConfigMap.Name == RowsName(last.Name)
		}), configMapProjection(RowsName(name)))
	}
	return job
}

// Again makes a Job like one that has ended, in its place.
func Again(ended *batchv1.Job) *batchv1.Job {
	goes := false
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Name: ended.Name, Namespace: ended.Namespace, Labels: ended.Labels, OwnerReferences: ended.OwnerReferences,
		},
		Spec: *ended.Spec.DeepCopy(),
	}
	job.Spec.Selector, job.Spec.Suspend = nil, &goes
	forgetJob(job.Spec.Template.Labels)
	return job
}

// forgetJob removes the labels of pods that the Job controller gives those of each Job.
func forgetJob(labels map[string]string) {
	for label := range labels {
		if strings.HasPrefix(label, "batch.kubernetes.io/") || label == "controller-uid" || label == "job-name" {
			delete(labels, label)
		}
	}
}

// Round is which of a run's Jobs one is: 1 the first, 2 the one that resumed it.
func Round(j *batchv1.Job) int {
	for _, c := range j.Spec.Template.Spec.Containers {
		for _, v := range c.Env {
			if n, err := strconv.Atoi(v.Value); err == nil && c.Name == TrialContainer && v.Name == pod.RoundVariable {
				return n
			}
		}
	}
	return 1
}

// RowsOf holds which trial each index of a resumed run's Job is.
func RowsOf(owner *corev1.ConfigMap, job string, rows []byte) *corev1.ConfigMap {
	yes := true
	labels := merged(owner.Labels, map[string]string{LabelComponent: ComponentRows})
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: RowsName(job), Namespace: owner.Namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{OwnedBy(owner)},
		},
		Immutable: &yes, BinaryData: map[string][]byte{pod.RowsName: rows},
	}
}
