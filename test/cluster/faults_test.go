//go:build linux

package main

import (
	"context"
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

func TestKilledServersAreStartedAgain(t *testing.T) {
	space := namespace(t)
	start(t, space, indexedJob("long", inside.BarePython, "import time; time.sleep(1000)", 1))
	pod := running(t, space, "long")
	for _, server := range []string{"etcd", "kube-apiserver", "kubelet", "containerd"} {
		t.Run(server, func(t *testing.T) {
			if err := here(t).Kill(t.Context(), server); err != nil {
				t.Fatal(err)
			}
			if err := here(t).Kill(t.Context(), server); err == nil {
				t.Errorf("%s was killed and can be killed again", server)
			}
			if server == "kube-apiserver" {
				if _, err := client(t, inside.Admin).ServerVersion(); err == nil {
					t.Error("the API server was killed and answers")
				}
			}
			if err := here(t).Start(t.Context(), server); err != nil {
				t.Fatal(err)
			}
		})
	}
	if now := running(t, space, "long"); now.UID != pod.UID {
		t.Errorf("the pod %s runs, not %s", now.Name, pod.Name)
	}
}

func TestKilledPodFails(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	start(t, space, indexedJob("long", inside.BarePython, "import time; time.sleep(1000)", 1))
	pod := running(t, space, "long")
	killed, err := inside.KillPod(string(pod.UID))
	if err != nil || killed != 2 {
		t.Fatalf("killed %d processes (%v), want Python and the pause process", killed, err)
	}
	if how := ends(t, space, "long"); how != batchv1.JobFailed {
		t.Errorf("the Job ended as %s", how)
	}
}

func TestSimulatedNodesRunManyPods(t *testing.T) {
	space := namespace(t)
	simulated(t)
	job := indexedJob("many", "none", "", 40)
	job.Spec.Template.Spec.NodeSelector = map[string]string{inside.SimulatedLabel: inside.SimulatedValue}
	job.Spec.Template.Spec.Tolerations = []corev1.Toleration{{
		Key: inside.SimulatedLabel, Value: inside.SimulatedValue, Effect: corev1.TaintEffectNoSchedule,
	}}
	start(t, space, job)
	if how := ends(t, space, "many"); how != batchv1.JobComplete {
		t.Errorf("the Job ended as %s", how)
	}
}

func TestWritesAreCounted(t *testing.T) {
	space := namespace(t)
	researcher := client(t, inside.Researcher).CoreV1().ConfigMaps(space)
	allow(t, inside.Researcher, space, []string{"create", "get"}, []string{"configmaps"})
	create := func(ctx context.Context, name string) error {
		_, err := researcher.Create(ctx,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		return err
	}
	eventually(t, "the role counts", func(ctx context.Context) (bool, error) {
		err := create(ctx, "first")
		return err == nil, err
	})
	for i := range 3 {
		if err := create(t.Context(), fmt.Sprintf("more-%d", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := researcher.Get(t.Context(), "first", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	writes, err := here(t).Writes()
	if err != nil {
		t.Fatal(err)
	}
	var created int
	for _, one := range writes {
		if one.User == inside.Researcher && one.Namespace == space && one.Code == 201 {
			created++
			if one.Verb != "create" || one.Resource != "configmaps" {
				t.Errorf("noted %+v, want the creation of a ConfigMap", one)
			}
		}
	}
	if created != 4 {
		t.Errorf("%d writes were noted, want 4", created)
	}
}
