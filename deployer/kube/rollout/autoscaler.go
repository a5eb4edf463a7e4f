package rollout

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// Replicas is how many pods a Deployment is to have, and the autoscaler that chooses the number; nil is none, or one
// that may not be read. Nothing is asked of a Deployment that never had one.
func Replicas(
	ctx context.Context, c *cluster.Cluster, d *appsv1.Deployment,
) (run.Replicas, *autoscalingv2.HorizontalPodAutoscaler, error) {
	said := manifest.ReplicasOf(d)
	if !said.Ranged() {
		return said, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	a, err := c.Autoscaling.Autoscalers(c.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err): // somebody has removed it
		fixed := d.DeepCopy()
		delete(fixed.Annotations, manifest.AnnotationReplicas)
		return manifest.ReplicasOf(fixed), nil, nil
	case apierrors.IsForbidden(err):
		return said, nil, nil
	case err != nil:
		return said, nil, c.Explain(err, "read the autoscaler of server "+d.Name)
	}
	return manifest.RangeOf(a), a, nil
}
