//go:build linux

package main

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// indexedJob runs a Python program once for each index, in pods that keep the restricted profile.
func indexedJob(name, image, program string, completions int32) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			CompletionMode: new(batchv1.IndexedCompletion),
			Completions:    &completions,
			Parallelism:    &completions,
			BackoffLimit:   new(int32(0)),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy:                 corev1.RestartPolicyNever,
				AutomountServiceAccountToken:  new(false),
				TerminationGracePeriodSeconds: new(int64(1)),
				SecurityContext: &corev1.PodSecurityContext{
					RunAsNonRoot:   new(true),
					RunAsUser:      new(int64(1000)),
					SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
				Containers: []corev1.Container{{
					Name:    "trial",
					Image:   image,
					Command: []string{"python3", "-c", program},
					SecurityContext: &corev1.SecurityContext{
						AllowPrivilegeEscalation: new(false),
						ReadOnlyRootFilesystem:   new(true),
						Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
					},
				}},
			}},
		},
	}
}

// start creates a Job.
func start(t *testing.T, namespace string, job *batchv1.Job) {
	t.Helper()
	_, err := client(t, inside.Admin).BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// ends waits until a Job has succeeded or failed.
func ends(t *testing.T, namespace, name string) batchv1.JobConditionType {
	t.Helper()
	var how batchv1.JobConditionType
	eventually(t, "the Job "+name+" ends", func(ctx context.Context) (bool, error) {
		job, err := client(t, inside.Admin).BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, one := range job.Status.Conditions {
			if one.Status == corev1.ConditionTrue &&
				(one.Type == batchv1.JobComplete || one.Type == batchv1.JobFailed) {
				how = one.Type
			}
		}
		return how != "", nil
	})
	return how
}

// podsOf are a Job's pods.
func podsOf(ctx context.Context, t *testing.T, namespace, job string) []corev1.Pod {
	t.Helper()
	list, err := client(t, inside.Admin).CoreV1().Pods(namespace).List(ctx,
		metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// running waits until a Job's one pod runs.
func running(t *testing.T, namespace, job string) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	eventually(t, "a pod of "+job+" runs", func(ctx context.Context) (bool, error) {
		for _, one := range podsOf(ctx, t, namespace, job) {
			if one.Status.Phase == corev1.PodRunning {
				pod = one
			}
		}
		return pod.Name != "", nil
	})
	return pod
}

func TestJobRunsInARestrictedNamespaceAndLeavesNothing(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	const program = `import os, numpy, sklearn
print(os.environ["JOB_COMPLETION_INDEX"], numpy.arange(4).sum(), sklearn.__name__, os.getuid())`
	start(t, space, indexedJob("sweep", inside.Python, program, 2))
	if how := ends(t, space, "sweep"); how != batchv1.JobComplete {
		t.Fatalf("the Job ended as %s", how)
	}
	for _, pod := range podsOf(t.Context(), t, space, "sweep") {
		want := pod.Annotations[batchv1.JobCompletionIndexAnnotation] + " 6 sklearn 1000\n"
		if got := logs(t, space, pod.Name); got != want {
			t.Errorf("the log of %s is %q, want %q", pod.Name, got, want)
		}
	}

	err := client(t, inside.Admin).BatchV1().Jobs(space).Delete(t.Context(), "sweep",
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "no pod is left", func(ctx context.Context) (bool, error) {
		return len(podsOf(ctx, t, space, "sweep")) == 0, nil
	})
}

func TestPodThatIsNotRestrictedIsRefused(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "root"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "root", Image: inside.BarePython}}},
	}
	_, err := client(t, inside.Admin).CoreV1().Pods(space).Create(t.Context(), pod, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "restricted") {
		t.Errorf("the answer is %v, want that the restricted profile forbids it", err)
	}
}

func TestUserMayDoWhatARoleAllows(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	researcher := client(t, inside.Researcher).CoreV1()
	if _, err := researcher.Pods(space).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("without a role the answer is %v, want forbidden", err)
	}
	allow(t, inside.Researcher, space, []string{"list"}, []string{"pods"})
	eventually(t, "the role counts", func(ctx context.Context) (bool, error) {
		_, err := researcher.Pods(space).List(ctx, metav1.ListOptions{})
		return err == nil, err
	})
	if _, err := researcher.Secrets(space).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("what the role does not allow is answered with %v, want forbidden", err)
	}
}

func TestImageWithoutPackages(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	start(t, space, indexedJob("bare", inside.BarePython, "import numpy", 1))
	if how := ends(t, space, "bare"); how != batchv1.JobFailed {
		t.Errorf("the Job ended as %s", how)
	}
	pod := podsOf(t.Context(), t, space, "bare")[0]
	if got := logs(t, space, pod.Name); !strings.Contains(got, "No module named 'numpy'") {
		t.Errorf("the log is %q", got)
	}
}
