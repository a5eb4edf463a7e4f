package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// placement is what a queue adds to of a pod template when it starts a Job.
type placement struct {
	NodeSelector map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations  []corev1.Toleration `json:"tolerations,omitempty"`
}

// notePlacement keeps the placement of a Job as it is before a queue has seen it.
func notePlacement(job *batchv1.Job) error {
	spec := &job.Spec.Template.Spec
	data, err := json.Marshal(placement{spec.NodeSelector, spec.Tolerations})
	if err != nil {
		return fmt.Errorf("note where pods are placed: %w", err)
	}
	job.Annotations = merged(job.Annotations, map[string]string{AnnotationPlacement: string(data)})
	return nil
}

// restorePlacement takes out of the template of a Job that follows another what a queue gave that one. A queue refuses
// to start a Job that has anything of this with another value than it would give it.
func restorePlacement(job, last *batchv1.Job) {
	noted, found := last.Annotations[AnnotationPlacement]
	var asked placement
	if !found || json.Unmarshal([]byte(noted), &asked) != nil {
		return // no queue has to do with it
	}
	job.Annotations = map[string]string{AnnotationPlacement: noted}
	template := &job.Spec.Template
	template.Spec.NodeSelector, template.Spec.Tolerations = asked.NodeSelector, asked.Tolerations
	queues := func(key string) bool { return strings.HasPrefix(key, kueuePrefix) }
	maps.DeleteFunc(template.Labels, func(key, _ string) bool { return queues(key) })
	maps.DeleteFunc(template.Annotations, func(key, _ string) bool { return queues(key) })
	template.Spec.SchedulingGates = slices.DeleteFunc(template.Spec.SchedulingGates,
		func(g corev1.PodSchedulingGate) bool { return queues(g.Name) })
}

// kueuePrefix begins the name of whatever is Kueue's.
const kueuePrefix = "kueue.x-k8s.io/"
