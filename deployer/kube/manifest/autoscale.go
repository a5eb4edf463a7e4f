package manifest

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// AnnotationReplicas is on the Deployment of a server whose number of pods an autoscaler chooses, or did: the range, or
// the number that took its place.
const AnnotationReplicas = "metaml/replicas"

// Utilization is how much of the processors that the pods of a server request the autoscaler aims at, in percent.
const Utilization = 80

// Autoscaler has the number of a server's pods follow their use of processors. The server's other objects have the
// labels of owner, too, and belong to it once it was made.
func Autoscaler(owner *corev1.ConfigMap, replicas run.Replicas) *autoscalingv2.HorizontalPodAutoscaler {
	least, aim := int32(replicas.Min), int32(Utilization)
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: metav1.TypeMeta{
			APIVersion: autoscalingv2.SchemeGroupVersion.String(), Kind: "HorizontalPodAutoscaler",
		},
		ObjectMeta: serverMeta(owner),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: "apps/v1", Kind: "Deployment", Name: owner.Name,
			},
			MinReplicas: &least, MaxReplicas: int32(replicas.Max),
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &aim,
					},
				},
			}},
		},
	}
}

// RangeOf is from which to which number an autoscaler chooses.
func RangeOf(a *autoscalingv2.HorizontalPodAutoscaler) run.Replicas {
	r := run.Replicas{Min: 1, Max: int(a.Spec.MaxReplicas)}
	if a.Spec.MinReplicas != nil {
		r.Min = int(*a.Spec.MinReplicas)
	}
	return r
}

// ReplicasOf is how many pods a Deployment is to have, as its annotation says where an autoscaler chooses the number.
func ReplicasOf(d *appsv1.Deployment) run.Replicas {
	if r, err := settings.ParseReplicas(d.Annotations[AnnotationReplicas]); err == nil && r.Ranged() {
		return r
	}
	if d.Spec.Replicas == nil {
		return run.Replicas{Min: 1}
	}
	return run.Replicas{Min: int(*d.Spec.Replicas)}
}
