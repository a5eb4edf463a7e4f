package cluster

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/client-go/rest"
)

// Autoscaled are the rights that a server needs besides those of [NeededBy] whose number of replicas an autoscaler
// chooses.
var Autoscaled = []Rule{{
	Group: autoscalingv2.GroupName, Resources: []string{"horizontalpodautoscalers"},
	Verbs: []string{"create", "get", "patch", "delete"}, Why: "have the number of replicas follow the load",
}}

// Autoscaling has the objects of the group autoscaling.
type Autoscaling struct{ client rest.Interface }

// Autoscalers are those of a namespace.
func (a *Autoscaling) Autoscalers(
	namespace string,
) *Objects[autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerList] {
	return &Objects[autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerList]{
		a.client, "horizontalpodautoscalers", namespace,
	}
}
