// Package halt ends a run in a cluster, or some of its trials, without losing what they have: a stop is written into
// the run's owner, where pods that start later find it, and announced to the pods that run by an annotation, which
// they see in a quarter of a second. Only when no trial is left the Job is suspended, since that deletes its pods. (One
// in a queue gets a deadline instead.)
//
// Read [Request] first: it is what a command does. [Continue] is done by whoever follows the run; where nobody does,
// the pods end by themselves, one after the other.
package halt

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
)

// Run is a run that is to end, or some of whose trials are.
type Run struct {
	Stop pod.Stop
	Job  *batchv1.Job // the last one; nil: it has none
	Pods []Pod        // of the Job
}

// Pod is a pod of the run's Job.
type Pod struct {
	*corev1.Pod
	Trial int
}

// Request writes a stop of a run into its owner, beside what was requested before.
func Request(ctx context.Context, c *cluster.Cluster, run string, more pod.Stop) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		owner, err := c.Core.ConfigMaps(c.Namespace).Get(ctx, run, metav1.GetOptions{})
		if err != nil {
			return err
		}
		stop, _ := pod.ParseStop([]byte(owner.Data[pod.StopName])) // nothing was requested yet
		stop.All, stop.Now, stop.Round = stop.All || more.All, stop.Now || more.Now, max(stop.Round, more.Round)
		for _, trial := range more.Trials {
			if !slices.Contains(stop.Trials, trial) {
				stop.Trials = append(stop.Trials, trial)
			}
		}
		data, err := json.Marshal(stop)
		if err != nil {
			return err
		}
		if owner.Data[pod.StopName] == string(data) {
			return nil
		}
		owner.Data[pod.StopName] = string(data)
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]string{"resourceVersion": owner.ResourceVersion},
			"data":     map[string]string{pod.StopName: string(data)},
		})
		if err != nil {
			return err
		}
		_, err = c.Core.ConfigMaps(c.Namespace).Patch(ctx, run, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		return c.Explain(err, "stop run "+run)
	}
	return nil
}

// atOnce bounds the requests that are on their way at the same time.
const atOnce = 16

// Continue does what is left to do about the stop of a run: it announces it to the pods that do not know yet, sees to
// it that no others start, and suspends the Job when none is left. What fails is done the next time.
func Continue(ctx context.Context, c *cluster.Cluster, r Run) {
	if !r.Stop.All && len(r.Stop.Trials) == 0 {
		return
	}
	announce(ctx, c, r)
	if r.Stop.All && r.Job != nil {
		_ = dwindle(ctx, c, r)
	}
}

// announce annotates the pods whose trials are to end.
func announce(ctx context.Context, c *cluster.Cluster, r Run) {
	value := "stop"
	if r.Stop.Now {
		value = pod.StopNow
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, pod.StopAnnotation, value)
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, p := range r.Pods {
		known := p.Annotations[pod.StopAnnotation]
		if manifest.Ended(p.Pod) || known == value || known == pod.StopNow ||
			!r.Stop.All && !slices.Contains(r.Stop.Trials, p.Trial) {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			_, _ = c.Core.Pods(c.Namespace).Patch(ctx, p.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		})
	}
	all.Wait()
}

// dwindle lets a Job have no more pods than run, and none when none does. Of pods that are too many the Job controller
// deletes those first that do not run (Kubernetes, the package controller: ActivePods), which may never.
func dwindle(ctx context.Context, c *cluster.Cluster, r Run) error {
	left := 0
	for _, p := range r.Pods {
		if p.Status.Phase == corev1.PodRunning {
			left++
		}
	}
	spec := r.Job.Spec
	switch {
	case manifest.Halted(r.Job) || manifest.Finished(r.Job):
		return nil
	case r.Job.Labels[manifest.LabelQueue] != "":
		// Kueue takes back a Job with fewer pods than it let in, and with it those that save something; and it starts
		// one again that it let in and somebody suspended. So others may start meanwhile, which end by themselves, and
		// a deadline that is over ends the Job, now or when the queue lets it in.
		if left > 0 {
			return nil
		}
		return patchJob(ctx, c, r.Job.Name, `{"spec":{"activeDeadlineSeconds":0}}`)
	case left == 0:
		return patchJob(ctx, c, r.Job.Name, `{"spec":{"suspend":true}}`)
	case spec.Parallelism == nil || int(*spec.Parallelism) > left:
		return patchJob(ctx, c, r.Job.Name, fmt.Sprintf(`{"spec":{"parallelism":%d}}`, left))
	}
	return nil
}

func patchJob(ctx context.Context, c *cluster.Cluster, job, patch string) error {
	_, err := c.Batch.Jobs(c.Namespace).Patch(ctx, job, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Forget takes back what was requested of a run, which is about to go on.
func Forget(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}},"data":{%q:null}}`, manifest.AnnotationResumed,
		pod.StopName)
	_, err := c.Core.ConfigMaps(c.Namespace).Patch(ctx, owner.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return c.Explain(err, "resume run "+owner.Name)
}
