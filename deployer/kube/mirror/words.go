package mirror

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
)

// evicted says why a pod was ended that nobody here ended.
func evicted(p *corev1.Pod, c *corev1.PodCondition) string {
	if c == nil {
		return cmp.Or(sentence(p.Status.Message), "its pod was deleted")
	}
	switch c.Reason {
	case "PreemptionByScheduler":
		return "its pod had to make room for one of higher priority"
	case "DeletionByTaintManager", "DeletionByPodGC":
		return fmt.Sprintf("its node %s went away", p.Spec.NodeName)
	case "EvictionByEvictionAPI":
		return fmt.Sprintf("its pod was evicted, as when node %s is drained", p.Spec.NodeName)
	case "TerminationByKubelet":
		return cmp.Or(sentence(p.Status.Message), "its node ended it: "+sentence(c.Message))
	}
	return sentence(c.Message)
}

// outOfMemory says that the kernel killed for memory, and what to try.
func outOfMemory(p *corev1.Pod) (text, hint string) {
	limit := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
	for i := range p.Spec.Containers {
		if c := &p.Spec.Containers[i]; c.Name == manifest.TrialContainer {
			limit = c.Resources.Limits[corev1.ResourceMemory]
		}
	}
	twice := limit.DeepCopy()
	twice.Add(limit)
	return fmt.Sprintf(
			"it used more than its %s of memory and was killed",
			&limit,
		), fmt.Sprintf(
			"Try --memory %s.",
			&twice,
		)
}

// sentence is what the cluster says as one line without its end.
func sentence(text string) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
}

// lastLine is the last line of a text that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
