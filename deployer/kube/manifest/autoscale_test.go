package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

func TestAnAutoscalerIsOfTheDeployment(t *testing.T) {
	o, want := owner(), run.Replicas{Min: 2, Max: 10}
	a := manifest.Autoscaler(o, want)
	if to := a.Spec.ScaleTargetRef; to.Kind != "Deployment" || to.Name != o.Name || a.Name != o.Name ||
		manifest.RangeOf(a) != want || len(a.OwnerReferences) != 1 || a.OwnerReferences[0].UID != o.UID {
		t.Errorf("it is %+v", a)
	}
}

func TestADeploymentSaysWhetherItIsAutoscaled(t *testing.T) {
	for said, want := range map[string]run.Replicas{
		"": {Min: 3}, "5": {Min: 3}, "2..10": {Min: 2, Max: 10}, "damaged": {Min: 3},
	} {
		t.Run(said, func(t *testing.T) {
			d := &appsv1.Deployment{}
			d.Spec.Replicas = new(int32(3))
			d.Annotations = map[string]string{manifest.AnnotationReplicas: said}
			if diff := cmp.Diff(want, manifest.ReplicasOf(d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
