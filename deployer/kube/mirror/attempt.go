package mirror

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// The annotations of a pod by which the Job controller says which attempt of its index it is (Kubernetes, "Backoff
// limit per index").
const (
	indexAnnotation   = "batch.kubernetes.io/job-completion-index"
	failureAnnotation = "batch.kubernetes.io/job-index-failure-count"
	ignoredAnnotation = "batch.kubernetes.io/job-index-ignored-failure-count"
)

// attempt is what a pod says about the attempt of a trial that it runs.
type attempt struct {
	run.AttemptID
	pod     *corev1.Pod
	started time.Time   // the zero value: its container does not run yet
	ended   time.Time   // the zero value: it has not ended
	end     run.Event   // how, where it has: State, Reason and what goes with them
	report  run.Metrics // the last values of what it reported, as it said at the end
	at      time.Time   // when it reported last
	again   bool        // the Job will start another
}

// rowsOf are the trials that the indexes of a Job stand for; nil: each is the trial of its number.
type rowsOf []pod.Row

// id finds which attempt of which trial a pod of the Job runs.
func (rows rowsOf) id(p *corev1.Pod, trials int) (id run.AttemptID, ok bool) {
	index, err := strconv.Atoi(p.Annotations[indexAnnotation])
	if err != nil || index < 0 {
		return id, false
	}
	id = run.AttemptID{Trial: index, Number: 1 + count(p, failureAnnotation) + count(p, ignoredAnnotation)}
	if rows != nil {
		if index >= len(rows) {
			return id, false
		}
		id.Trial, id.Number = rows[index].Trial, id.Number+rows[index].Attempts
	}
	return id, id.Trial >= 0 && id.Trial < trials
}

func count(p *corev1.Pod, annotation string) int {
	text, ok := p.Annotations[annotation]
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// began reports whether a pod has a log: its container runs, or it has ended.
func began(p *corev1.Pod) bool {
	status := containerStatus(p)
	return manifest.Ended(p) || status != nil && (status.State.Running != nil || status.State.Terminated != nil)
}

// read says what a pod says about the attempt that it runs.
func read(p *corev1.Pod, id run.AttemptID, spec *run.Spec) attempt {
	a := attempt{AttemptID: id, pod: p}
	status := containerStatus(p)
	switch {
	case status == nil:
	case status.State.Running != nil:
		a.started = status.State.Running.StartedAt.Time
	case status.State.Terminated != nil:
		a.started, a.ended = status.State.Terminated.StartedAt.Time, status.State.Terminated.FinishedAt.Time
	}
	if !manifest.Ended(p) {
		return a
	}
	if a.ended.IsZero() { // its node went, or it was evicted before it began
		a.ended = ending(p)
	}
	a.end, a.report = howEnded(p, status)
	// The time is that of the report itself: once the monitor has brought that, this one says nothing new.
	if a.at = a.ended; len(a.report) > 0 {
		if m, ok := messageOf(p); ok && !m.Reported.IsZero() {
			a.at = m.Reported
		}
	}
	a.again = a.end.State == run.Failed && followed(p, status, spec.Retries)
	return a
}

// takenBack sees to an attempt that was ended because its Job was suspended: that is not one of the retries.
func (a attempt) takenBack(j *batchv1.Job) attempt {
	if a.end.State != run.Failed || a.pod.DeletionTimestamp == nil || !manifest.Suspended(j) ||
		endsIndex(containerStatus(a.pod)) {
		return a
	}
	a.again, a.end.Reason, a.end.Code = true, run.ReasonEvicted, run.CodeDisruption
	a.end.Text, a.end.Hint = "its Job was suspended", ""
	if queue := j.Labels[manifest.LabelQueue]; queue != "" {
		a.end.Text = "its queue " + queue + " took it back"
	}
	return a
}

// containerStatus is that of the trial's container, or nil.
func containerStatus(p *corev1.Pod) *corev1.ContainerStatus {
	if c := statusOf(p.Status.ContainerStatuses, manifest.ServerContainer); c != nil {
		return c
	}
	return statusOf(p.Status.ContainerStatuses, manifest.TrialContainer)
}

// agentStatus is that of the container which brings metaml-pod, or nil.
func agentStatus(p *corev1.Pod) *corev1.ContainerStatus {
	return statusOf(p.Status.InitContainerStatuses, manifest.AgentContainer)
}

func statusOf(all []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// messageOf is what a pod said of its trial at the end, if it could.
func messageOf(p *corev1.Pod) (m pod.Message, ok bool) {
	status := containerStatus(p)
	if status == nil || status.State.Terminated == nil {
		return m, false
	}
	return pod.Decode(status.State.Terminated.Message)
}

// ending is when a pod ended of which no container says it.
func ending(p *corev1.Pod) time.Time {
	if p.DeletionTimestamp != nil {
		return p.DeletionTimestamp.Time
	}
	latest := p.CreationTimestamp.Time
	for i := range p.Status.Conditions {
		if at := p.Status.Conditions[i].LastTransitionTime.Time; at.After(latest) {
			latest = at
		}
	}
	return latest
}

// howEnded says how an attempt ended: by the message that the pod left, else by what its kubelet knows.
func howEnded(p *corev1.Pod, status *corev1.ContainerStatus) (end run.Event, reported run.Metrics) {
	var t *corev1.ContainerStateTerminated
	if status != nil {
		t = status.State.Terminated
	}
	end = run.Event{Type: run.EventTrialEnded, State: run.Failed}
	disrupted := condition(p, corev1.DisruptionTarget)
	if disrupted != nil {
		end.Code = run.CodeDisruption
	}
	if t != nil {
		if m, ok := messageOf(p); ok && t.Reason != "OOMKilled" {
			end.State, end.Reason, end.Text, end.Exit, end.Error = m.State, m.Reason, m.Text, m.Exit, m.Error
			if m.Reason == run.ReasonImage {
				end.Hint = otherImage
			}
			end.Metrics, reported = sorted(m)
			if m.State == run.Stopped && t.ExitCode != pod.ExitStopped { // it was ended, and will be run again
				end.State, end.Reason, end.Text = run.Failed, run.ReasonEvicted, evicted(p, disrupted)
				end.Code = run.CodeDisruption
			}
			return end, reported
		}
		exit := int(t.ExitCode)
		end.Exit = &exit
	}
	switch {
	case t == nil && brought(p) != "":
		end.Reason, end.Text, end.Hint = run.ReasonImage, brought(p), "Correct --agent-image."
	case t != nil && t.Reason == "OOMKilled":
		end.Reason = run.ReasonMemory
		end.Text, end.Hint = outOfMemory(p)
	case disrupted != nil || t == nil || p.Status.Reason == "Evicted":
		end.Reason, end.Text = run.ReasonEvicted, evicted(p, disrupted)
	case t.ExitCode == pod.ExitSucceeded:
		end.State, end.Reason = run.Succeeded, ""
	case t.ExitCode == pod.ExitStopped:
		end.State, end.Reason = run.Stopped, run.ReasonStopped
	case t.ExitCode == pod.ExitFailed:
		end.Reason = run.ReasonException
	case t.ExitCode == pod.ExitProgram:
		end.Reason, end.Text = run.ReasonImage, strings.TrimPrefix(lastLine(t.Message), "metaml-pod: ")
		end.Hint = otherImage
	case t.ExitCode > 128:
		end.Reason, end.Text = run.ReasonSignal, fmt.Sprintf(
			"ended by signal %d, with the process that watched over it",
			t.ExitCode-128,
		)
	default:
		end.Reason, end.Text = run.ReasonInternal, lastLine(t.Message)
	}
	return end, nil
}

// brought says what is wrong with the image of --agent-image, where metaml-pod could not be brought out of it, else "".
func brought(p *corev1.Pod) string {
	status := agentStatus(p)
	if status == nil || status.State.Terminated == nil || status.State.Terminated.ExitCode == 0 {
		return ""
	}
	return fmt.Sprintf("the image of --agent-image, %s, has no metaml-pod that can be started: %s", status.Image,
		sentence(status.State.Terminated.Message))
}

// otherImage is what to do about an image in which nothing can run.
const otherImage = "Name another image with --image."

// sorted gives the metrics that were returned, and those that were only reported.
func sorted(m pod.Message) (returned, reported run.Metrics) {
	for name, value := range m.Metrics {
		to := &reported
		if slices.Contains(m.Returned, name) {
			to = &returned
		}
		if *to == nil {
			*to = run.Metrics{}
		}
		(*to)[name] = value
	}
	return returned, reported
}

// followed reports whether the Job starts another attempt after a failed one, by the rules that its manifest has.
func followed(p *corev1.Pod, status *corev1.ContainerStatus, retries int) bool {
	if endsIndex(status) {
		return false
	}
	return condition(p, corev1.DisruptionTarget) != nil || count(p, failureAnnotation) < retries
}

// endsIndex reports whether a container ended in a way that no other attempt follows.
func endsIndex(status *corev1.ContainerStatus) bool {
	if status == nil || status.State.Terminated == nil {
		return false
	}
	switch status.State.Terminated.ExitCode {
	case pod.ExitFailed, pod.ExitStopped, pod.ExitProgram:
		return true
	}
	return false
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
