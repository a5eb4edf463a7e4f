//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// nightly is a sweep of 4 trials, 2 at a time, each of which reports for 10 seconds; but the first attempts of the
// later two, which go on until their node goes.
const nightly = `
import time
import metaml

rows = [{"x": i} for i in range(4)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 2})
def fit(x):
    print("began", x, flush=True)
    for i in range(100 if x < 2 or metaml.attempt() > 1 else 10_000):
        metaml.report(step=i, loss=i + x / 10)
        time.sleep(0.1)
    return {"score": x}
`

const nightlyReports = 100

// claim makes a PersistentVolumeClaim on the disk of this machine.
func claim(t *testing.T, space, name string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil { // pods are another user
		t.Fatal(err)
	}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	none, modes := "", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	core := client(t, inside.Admin).CoreV1()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: space + "-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: folder},
			},
			ClaimRef: &corev1.ObjectReference{Namespace: space, Name: name},
		},
	}
	if _, err := core.PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = core.PersistentVolumes().Delete(context.Background(), volume.Name, metav1.DeleteOptions{})
	})
	of := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &none, AccessModes: modes, VolumeName: volume.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}
	if _, err := core.PersistentVolumeClaims(space).Create(t.Context(), of, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// phases counts the pods of a run's trials by their phase.
func phases(ctx context.Context, t *testing.T, space, name string) (map[corev1.PodPhase]int, error) {
	t.Helper()
	list, err := client(t, inside.Admin).CoreV1().Pods(space).List(ctx, metav1.ListOptions{
		LabelSelector: "metaml/run=" + bare(name) + ",app.kubernetes.io/component=trial",
	})
	if err != nil {
		return nil, err
	}
	n := map[corev1.PodPhase]int{}
	for i := range list.Items {
		n[list.Items[i].Status.Phase]++
	}
	return n, nil
}

// withoutNode removes the node from the cluster, as an autoscaler does, until all pods that a run had by then are gone;
// then the node comes back.
func withoutNode(t *testing.T, space, name string) {
	t.Helper()
	core := client(t, inside.Admin).CoreV1()
	of := metav1.ListOptions{LabelSelector: "metaml/run=" + bare(name)}
	before, err := core.Pods(space).List(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	had := map[string]bool{}
	for i := range before.Items {
		had[string(before.Items[i].UID)] = true
	}
	nodes, err := core.Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: "!" + inside.SimulatedLabel})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("there are %d nodes, %v", len(nodes.Items), err)
	}
	if err := here(t).Kill(t.Context(), "kube-proxy"); err != nil { // without its node it would end by itself
		t.Fatal(err)
	}
	if err := core.Nodes().Delete(t.Context(), nodes.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pods go with their node", func(ctx context.Context) (bool, error) {
		now, err := core.Pods(space).List(ctx, of)
		if err != nil {
			return false, err
		}
		left := 0
		for i := range now.Items {
			if had[string(now.Items[i].UID)] {
				left++
			}
		}
		return left == 0, fmt.Errorf("%d of %d are left", left, len(had))
	})
	if err := here(t).Restart(t.Context(), "kubelet"); err != nil { // a kubelet registers its node when it starts
		t.Fatal(err)
	}
	eventually(t, "the node is back", func(ctx context.Context) (bool, error) {
		node, err := core.Nodes().Get(ctx, nodes.Items[0].Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				return true, nil
			}
		}
		return false, fmt.Errorf("it is not ready: %+v", node.Status.Conditions)
	})
	if err := here(t).Start(t.Context(), "kube-proxy"); err != nil {
		t.Fatal(err)
	}
}

// withoutPods removes what a run has of pods, with all that their nodes keep of them, as the garbage collector of pods
// does with those of a node that is gone, but at once.
func withoutPods(t *testing.T, space, name string) {
	t.Helper()
	now := int64(0)
	if err := client(t, inside.Admin).CoreV1().Pods(space).DeleteCollection(t.Context(),
		metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{LabelSelector: "metaml/run=" + bare(name)},
	); err != nil {
		t.Fatal(err)
	}
}

// losesFollower kills the process that follows the only run of a namespace.
func losesFollower(t *testing.T, space string) {
	t.Helper()
	follower := "metaml follow .*/" + space + "$"
	if err := exec.CommandContext(t.Context(), "pkill", "-KILL", "-f", follower).Run(); err != nil {
		t.Fatalf("nobody followed the run: %v", err)
	}
}

// In the evening a sweep is submitted and nobody follows it. Its node goes while trials run, with them, with those that
// have ended and with the monitor; all pods go once more when it is over; the laptop is lost. In the morning another
// machine has the whole story.
func TestTheRecordIsWholeInTheMorning(t *testing.T) {
	space := namespace(t)
	claim(t, space, "runs")
	evening := newPerson(t, inside.Admin, space)
	name := evening.submits(nightly, "--record", "pvc:runs")
	eventually(t, "the monitor runs", func(ctx context.Context) (bool, error) {
		list, err := client(t, inside.Admin).CoreV1().Pods(space).List(ctx, metav1.ListOptions{
			LabelSelector: "app.kubernetes.io/component=monitor", FieldSelector: "status.phase=Running",
		})
		return err == nil && len(list.Items) == 1, err
	})
	losesFollower(t, space)
	if err := os.RemoveAll(filepath.Join(evening.home, "data")); err != nil {
		t.Fatal(err)
	}
	all := func(phase corev1.PodPhase, n int) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			is, err := phases(ctx, t, space, name)
			return is[phase] >= n, errors.Join(fmt.Errorf("the pods are %v", is), err)
		}
	}
	eventually(t, "two trials have ended", all(corev1.PodSucceeded, 2))
	eventually(t, "two trials run", all(corev1.PodRunning, 2))
	<-time.After(5 * time.Second)
	withoutNode(t, space, name)
	eventually(t, "the other two have ended", all(corev1.PodSucceeded, 2))
	withoutPods(t, space, name)

	morning := newPerson(t, inside.Admin, space)
	morning.must("runs", "--target", "kubernetes", "--namespace", space)
	out := morning.must("attach", name)
	s := morning.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != 4 {
		t.Errorf("attach said %s\nand it is %+v", out, s)
	}
	steps := map[int]int{}
	d := morning.detail(name)
	for _, row := range d.History {
		steps[int(row[2].(float64))]++
	}
	for i, one := range s.Trials {
		attempt := 1
		if i >= 2 {
			attempt = 2
		}
		if one.Attempt != attempt || one.Metrics["score"] != float64(i) ||
			one.Metrics["loss"] != nightlyReports-1+float64(i)/10 || steps[i] < nightlyReports {
			t.Errorf("trial %d has %d reports and is %+v", i, steps[i], one)
		}
		if log := morning.must("logs", fmt.Sprintf("%s:%d", name, i)); !strings.Contains(log, fmt.Sprint("began ", i)) {
			t.Errorf("trial %d printed %q", i, log)
		}
	}
	if d.LastOnly {
		t.Error("it is said that values are missing")
	}
	// Now it is known here, and in the cluster: a third machine has it without the monitor.
	third := newPerson(t, inside.Admin, space)
	third.must("runs", "--target", "kubernetes", "--namespace", space)
	if s := third.show(name); s.State != "succeeded" || s.Trials[2].Metrics["score"] != 2 || s.Trials[3].Attempt != 2 {
		t.Errorf("a third machine has %+v", s)
	}
}
