package kube

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// besides are the rights that a server with these settings needs beside those of every run.
func besides(s *settings.Resolved) (more []cluster.Rule) {
	if s.Kind == run.Serve && s.Text("auth") == run.AuthToken {
		more = append(more, cluster.Locking...)
	}
	if s.Replicas().Ranged() {
		more = append(more, cluster.Autoscaled...)
	}
	return more
}

// autoscale has an autoscaler choose the number of a server's pods, or none, before the Deployment is changed.
func autoscale(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, to run.Replicas) error {
	if !to.Ranged() {
		return endAutoscaling(ctx, c, owner)
	}
	all, object := c.Autoscaling.Autoscalers(c.Namespace), manifest.Autoscaler(owner, to)
	_, err := all.Create(ctx, object, created)
	if apierrors.IsAlreadyExists(err) {
		now, getErr := all.Get(ctx, object.Name, metav1.GetOptions{})
		switch {
		case getErr != nil:
			return c.Explain(getErr, "read the autoscaler of server "+owner.Name)
		case !manifest.BelongsTo(&now.ObjectMeta, owner):
			return foreignObject("HorizontalPodAutoscaler", object.Name, c.Namespace)
		}
		// Metrics that somebody has added stay.
		patch, jsonErr := json.Marshal(map[string]any{"spec": map[string]any{
			"minReplicas": object.Spec.MinReplicas, "maxReplicas": object.Spec.MaxReplicas,
		}})
		if jsonErr != nil {
			return jsonErr
		}
		_, err = all.Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	}
	return c.Explain(err, "make the autoscaler of server "+owner.Name)
}

// endAutoscaling removes the autoscaler of a server, if it has one.
func endAutoscaling(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap) error {
	d, err := rollout.Get(ctx, c, owner.Name)
	if err != nil || d == nil || !manifest.ReplicasOf(d).Ranged() {
		return err
	}
	err = c.Autoscaling.Autoscalers(c.Namespace).Delete(ctx, owner.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return c.Explain(err, "remove the autoscaler of server "+owner.Name)
}

// resize has a server that goes on have so many pods.
func resize(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, to run.Replicas) error {
	if err := autoscale(ctx, c, owner, to); err != nil {
		return err
	}
	return rollout.Until(ctx, c, owner.Name, func(now *appsv1.Deployment) (done bool, err error) {
		if now == nil {
			return true, nil
		}
		done, err = rollout.Resize(ctx, c, now, to)
		return done, c.Explain(err, fmt.Sprintf("have server %s have %s", owner.Name, to.Words()))
	})
}

// scaledFrom decides how many replicas a server gets that has so many, when a cell is submitted to it.
func scaledFrom(has run.Replicas, name string, spec *run.ServerSpec, says run.Replicas) run.Scaling {
	return (&run.Server{Replicas: has.Min, MaxReplicas: has.Max}).ScaledTo(name, spec, says)
}
