// Package rollout changes what the Deployment of a server runs: another revision, an earlier one, more pods or none. A
// change is made only to what was read, so that whoever is later finds out.
//
// Read [Replace] first. It imports deployer/kube/cluster, deployer/kube/manifest and deployer/run.
package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Get reads the Deployment of a server; it is nil if there is none, or one that is no server of ours.
func Get(ctx context.Context, c *cluster.Cluster, server string) (*appsv1.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	d, err := c.Apps.Deployments(c.Namespace).Get(ctx, server, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, c.Explain(err, "read the Deployment of server "+server)
	}
	if d.Labels[manifest.LabelManagedBy] != manifest.ManagedBy || d.Labels[manifest.LabelRun] != server {
		return nil, nil //nolint:nilnil // it is somebody else's
	}
	return d, nil
}

// attempts bounds how often a change is tried that somebody else is faster than.
const attempts = 50

// Until has change try to change the Deployment of a server, once more whenever somebody else has changed it meanwhile.
// It gets the Deployment as it is, nil if there is none, and reports whether it is done.
func Until(
	ctx context.Context, c *cluster.Cluster, server string, change func(now *appsv1.Deployment) (done bool, err error),
) error {
	for range attempts {
		now, err := Get(ctx, c, server)
		if err != nil {
			return err
		}
		if done, err := change(now); err != nil || done {
			return err
		}
	}
	return fmt.Errorf("the Deployment of server %s was changed %d times meanwhile", server, attempts)
}

// step is one of a JSON patch (RFC 6902).
type step struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Replace has a Deployment run other pods, so many (the zero value is as many as now), if it has not been changed since
// it was read.
func Replace(
	ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, template *corev1.PodTemplateSpec,
	replicas run.Replicas,
) (done bool, err error) {
	steps := []step{{"replace", "/spec/template", template}}
	if replicas.Min > 0 {
		steps = append(steps, sized(now, replicas)...)
	}
	return patch(ctx, c, now, steps...)
}

// Resize has a Deployment have so many pods, if it has not been changed since it was read.
func Resize(
	ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, replicas run.Replicas,
) (done bool, err error) {
	steps := sized(now, replicas)
	if len(steps) == 0 {
		return true, nil
	}
	return patch(ctx, c, now, steps...)
}

// sized are the steps by which a Deployment has so many pods. Within a range the number is the autoscaler's.
func sized(now *appsv1.Deployment, replicas run.Replicas) []step {
	var steps []step
	has := 1 // what Kubernetes takes where none is named
	if n := now.Spec.Replicas; n != nil {
		has = int(*n)
	}
	if n := replicas.Within(has); n != has {
		steps = append(steps, step{"add", "/spec/replicas", n})
	}
	said, is := now.Annotations[manifest.AnnotationReplicas]
	switch text := replicas.String(); {
	case said == text || !is && !replicas.Ranged():
	case now.Annotations == nil:
		all := map[string]string{manifest.AnnotationReplicas: text}
		steps = append(steps, step{"add", "/metadata/annotations", all})
	default:
		path := "/metadata/annotations/" + strings.ReplaceAll(manifest.AnnotationReplicas, "/", "~1")
		steps = append(steps, step{"add", path, text})
	}
	return steps
}

// Scale has a Deployment have so many pods, if it has not been changed since it was read.
func Scale(ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, replicas int) (done bool, err error) {
	return patch(ctx, c, now, step{"add", "/spec/replicas", replicas})
}

func patch(ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, steps ...step) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	data, err := json.Marshal(append([]step{{"test", "/metadata/generation", now.Generation}}, steps...))
	if err != nil {
		return false, fmt.Errorf("write the change of Deployment %s: %w", now.Name, err)
	}
	_, err = c.Apps.Deployments(c.Namespace).Patch(ctx, now.Name, types.JSONPatchType, data, metav1.PatchOptions{})
	if apierrors.IsInvalid(err) && changed(ctx, c, now) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// changed reports whether a Deployment is another one than was read: a test that fails and a value that is refused have
// the same answer.
func changed(ctx context.Context, c *cluster.Cluster, was *appsv1.Deployment) bool {
	is, err := c.Apps.Deployments(c.Namespace).Get(ctx, was.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && (is.Generation != was.Generation || is.UID != was.UID)
}

// Back has a Deployment run an earlier revision again, whose pods may still be there.
func Back(ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, revision int) (done bool, err error) {
	template, err := Template(ctx, c, now, revision)
	if err != nil {
		return false, err
	}
	return Replace(ctx, c, now, template, run.Replicas{})
}

// Template gives the pods of a revision that a Deployment has run, as its ReplicaSet has them.
func Template(
	ctx context.Context, c *cluster.Cluster, now *appsv1.Deployment, revision int,
) (*corev1.PodTemplateSpec, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	list, err := c.Apps.ReplicaSets(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.ServerOf(now.Name),
	})
	if err != nil {
		return nil, c.Explain(err, "read the revisions of server "+now.Name)
	}
	for i := range list.Items {
		set := &list.Items[i]
		if metav1.IsControlledBy(set, now) && manifest.RevisionOf(set.Spec.Template.Labels) == revision {
			template := set.Spec.Template.DeepCopy()
			delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
			return template, nil
		}
	}
	return nil, usererror.New(usererror.CodeRevision, "revision %d of server %s is no longer in the cluster, which "+
		"keeps %d of those that answered", revision, now.Name, manifest.History)
}
