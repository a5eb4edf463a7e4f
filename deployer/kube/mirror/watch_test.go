package mirror

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
)

func TestInformersHoldWhichRoundAJobIs(t *testing.T) {
	job := &batchv1.Job{}
	job.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: manifest.TrialContainer, Env: []corev1.EnvVar{{Name: pod.RoundVariable, Value: "2"}},
	}}
	held, err := new(slimmer).slim(job)
	if err != nil {
		t.Fatal(err)
	}
	if is, ok := held.(*batchv1.Job); !ok || manifest.Round(is) != 2 {
		t.Errorf("they hold %+v", held)
	}
}
