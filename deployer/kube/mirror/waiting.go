package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// whyPodWaits says why a pod does not run yet; nil where there is nothing to say yet.
func whyPodWaits(p *corev1.Pod, s seen) *run.Waiting {
	waiting := func(reason run.Reason, text, hint string) *run.Waiting {
		return &run.Waiting{Reason: reason, Text: text, Hint: hint, Since: s.now}
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			if e := s.newest(p.Name, "TriggeredScaleUp"); e != nil {
				return waiting(run.WaitingNode, "a node is being added", "")
			}
			return waiting(run.WaitingUnschedulable, unschedulable(c.Message), unschedulableHint(c.Message, p))
		}
	}
	if p.Spec.NodeName == "" {
		return nil // the scheduler has not looked at it
	}
	status, option := containerStatus(p), "--image"
	if agent := agentStatus(p); agent != nil && agent.State.Waiting != nil {
		status, option = agent, "--agent-image"
	}
	if status != nil && status.State.Waiting != nil {
		switch w := status.State.Waiting; w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
			"RegistryUnavailable", "SignatureValidationFailed":
			text, hint := imageTrouble(status.Image, option, w, s.pullFailure(p.Name))
			return waiting(run.WaitingImage, text, hint)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			text, hint := containerTrouble(option, w.Message)
			return waiting(run.WaitingConfiguration, text, hint)
		}
	}
	if e := s.newest(p.Name, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"); e != nil &&
		s.now.Sub(p.CreationTimestamp.Time) > 3*time.Second {
		return waiting(run.WaitingStorage, "its pod cannot be set up: "+sentence(e.message), "")
	}
	if e := s.newest(p.Name, "Pulling"); e != nil && s.newest(p.Name, "Pulled") == nil {
		return waiting(run.WaitingPulling, fmt.Sprintf("node %s is pulling the image", p.Spec.NodeName), "")
	}
	return waiting(run.WaitingStarting, "its container is being started", "")
}

// nodesMessage is what the scheduler says: "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) had …. preemption:
// …".
var nodesMessage = regexp.MustCompile(`^0/(\d+) nodes are available: (.*?)\.?( preemption:.*| no new claims.*)?$`)

// unschedulable says why no node takes a pod.
func unschedulable(message string) string {
	m := nodesMessage.FindStringSubmatch(sentence(message))
	if m == nil {
		return "no node takes it: " + sentence(message)
	}
	why := strings.NewReplacer("node(s)", "nodes").Replace(m[2])
	if m[1] == "1" {
		why = strings.TrimPrefix(strings.ReplaceAll(m[2], "node(s) ", "it "), "1 ")
		return "the only node does not take it: " + why
	}
	return fmt.Sprintf("none of %s nodes takes it: %s", m[1], why)
}

// unschedulableHint names the setting that asks for what is missing.
func unschedulableHint(message string, p *corev1.Pod) string {
	var c *corev1.Container
	for i := range p.Spec.Containers {
		if name := p.Spec.Containers[i].Name; name == manifest.TrialContainer || name == manifest.ServerContainer {
			c = &p.Spec.Containers[i]
		}
	}
	if c == nil {
		return ""
	}
	switch {
	case strings.Contains(message, "Insufficient cpu"):
		return fmt.Sprintf("It asks for --cpu %s.", c.Resources.Requests.Cpu())
	case strings.Contains(message, "Insufficient memory"):
		return fmt.Sprintf("It asks for --memory %s.", c.Resources.Requests.Memory())
	case strings.Contains(message, "Insufficient ephemeral-storage"):
		return "It needs room for its files on the node's disk."
	case strings.Contains(message, "/gpu"):
		return "It asks for --gpu; perhaps others hold all of them."
	case strings.Contains(message, "node affinity/selector"):
		return "Its --node-selector, --gpu-type or architecture fits none of them."
	case strings.Contains(message, "untolerated taint"):
		return "--toleration KEY[=VALUE][:EFFECT] lets it run on tainted nodes."
	case strings.Contains(message, "persistentvolumeclaim"):
		return "Check the claim that --mount names: kubectl get pvc."
	}
	return ""
}

// pullFailure finds the last event that says why an image could not be pulled: between those stand others which say
// that it will be tried again.
func (s *seen) pullFailure(pod string) *happening {
	why := *s
	why.events = slices.DeleteFunc(slices.Clone(s.events), func(e happening) bool {
		return strings.HasPrefix(e.message, "Error: ")
	})
	return why.newest(pod, "Failed")
}

// imageTrouble says why an image cannot be pulled.
func imageTrouble(image, option string, w *corev1.ContainerStateWaiting, failed *happening) (text, hint string) {
	why := w.Message
	if failed != nil && (w.Reason == "ImagePullBackOff" || why == "") {
		why = failed.message
	}
	switch lower := strings.ToLower(why); {
	case w.Reason == "InvalidImageName":
		return fmt.Sprintf("%q is not the name of an image", image), "Correct " + option + "."
	case strings.Contains(lower, "not found") || strings.Contains(lower, "manifest unknown"):
		return fmt.Sprintf("there is no image %s", image), "Check the name and tag of " + option + "."
	case strings.Contains(lower, "unauthorized") || strings.Contains(lower, "denied") ||
		strings.Contains(lower, "authentication required") || strings.Contains(lower, "401") ||
		strings.Contains(lower, "403"):
		return fmt.Sprintf("the registry does not let the nodes pull %s", image),
			"Name a Secret that has the login with --image-pull-secret, or have one made of yours: " +
				"--image-pull-secret login."
	case strings.Contains(lower, "no match for platform"):
		return fmt.Sprintf("the image %s is not made for the nodes' architecture", image),
			"Choose nodes with --node-selector kubernetes.io/arch=ARCH, or another image."
	}
	return fmt.Sprintf("the image %s cannot be pulled: %s", image, cmp.Or(sentence(why), w.Reason)),
		"It is tried again and again; metaml stop ends it."
}

// containerTrouble says why a container cannot be made.
func containerTrouble(option, message string) (text, hint string) {
	switch {
	case strings.Contains(message, "secret") && strings.Contains(message, "not found"):
		return "a Secret that it needs is not there: " + sentence(message), "Make it, or correct --secret."
	case strings.Contains(message, "couldn't find key"):
		return "a Secret lacks the key that it needs: " + sentence(message), "Correct --secret NAME=SECRET/KEY."
	case option == "--agent-image":
		return "its image has no metaml-pod that can be started: " + sentence(message), "Correct --agent-image."
	case strings.Contains(message, "executable file not found") || strings.Contains(message, "no such file"):
		return "the image cannot run it: " + sentence(message), "Name the image's Python with --image-python."
	}
	return "its container cannot be made: " + sentence(message), ""
}

// whyJobWaits says why a Job has fewer pods than it may have; nil where there is nothing to say.
func whyJobWaits(j *batchv1.Job, s seen) *run.Waiting {
	since := s.now
	if manifest.Suspended(j) {
		if queue := j.Labels[manifest.LabelQueue]; queue != "" {
			return &run.Waiting{Reason: run.WaitingQueue, Text: "it waits in queue " + queue, Since: since}
		}
		return &run.Waiting{
			Reason: run.WaitingQueue,
			Text:   "its Job was suspended by somebody else",
			Hint: fmt.Sprintf(
				"Let it go on: kubectl patch job %s -p '{\"spec\":{\"suspend\":false}}'.",
				j.Name,
			),
			Since: since,
		}
	}
	e := s.newest(j.Name, "FailedCreate")
	if e == nil {
		return nil
	}
	if made := s.newest(j.Name, "SuccessfulCreate"); made != nil && !made.at.Before(e.at) {
		return nil
	}
	return refusedPod(e.message, since)
}

// refusedPod says why the cluster did not take a pod.
func refusedPod(message string, now time.Time) *run.Waiting {
	_, why, found := strings.Cut(message, " is forbidden: ")
	if !found {
		why = message
	}
	if rest, quota := strings.CutPrefix(why, "exceeded quota: "); quota {
		return &run.Waiting{
			Reason: run.WaitingQuota, Text: "the namespace's quota is used up: " + sentence(rest),
			Hint: "It goes on when something else ends, or with a higher quota.", Since: now,
		}
	}
	if rest, account := strings.CutPrefix(why, "error looking up service account "); account {
		name, _, _ := strings.Cut(rest, ": ")
		return &run.Waiting{
			Reason: run.WaitingConfiguration, Text: "there is no service account " + name,
			Hint: "Correct --service-account, or ask an administrator of the namespace to make it.", Since: now,
		}
	}
	return &run.Waiting{
		Reason: run.WaitingAdmission, Text: "the cluster refuses its pod: " + sentence(why),
		Hint: "An administrator of the namespace knows the rule.", Since: now,
	}
}

// wayText words an error on the way to the cluster.
func wayText(c *cluster.Cluster, err error) (text, hint string) {
	err = c.Explain(err, "follow the run")
	if u, ok := errors.AsType[*usererror.Error](err); ok {
		return u.Text, u.Hint
	}
	return err.Error(), ""
}
