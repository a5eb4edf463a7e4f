package mirror

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// over is what an API server says of a run whose trials have all succeeded.
func over(t *testing.T, spec run.Spec) http.HandlerFunc {
	t.Helper()
	return overWith(t, spec, true)
}

// overWith is what an API server says of such a run, with its pods or without.
func overWith(t *testing.T, spec run.Spec, withPods bool) http.HandlerFunc {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, spec.Completions)
	s.finish(batchv1.JobComplete, "")
	s.seen.jobs[0].Status.CompletedIndexes = fmt.Sprintf("0-%d", spec.Completions-1)
	var pods []corev1.Pod
	for i := range spec.Completions {
		if !withPods {
			break
		}
		p := s.pod(i, 0, corev1.PodSucceeded, terminated(0, "Completed", ""))
		p.Namespace = "team"
		p.Labels = map[string]string{batchv1.JobNameLabel: spec.Name}
		pods = append(pods, *p)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch _, last, _ := strings.Cut(r.URL.Path, "/namespaces/team/"); {
		case strings.HasSuffix(last, "/log"):
			fmt.Fprintln(w, "2026-01-02T03:04:05Z done")
			fmt.Fprintln(w, `2026-01-02T03:04:06Z [metaml] {"type":"trial.report","metrics":{"loss":0.5}}`)
			return
		case last == "configmaps/"+spec.Name:
			answer = &corev1.ConfigMap{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
				ObjectMeta: metav1.ObjectMeta{Name: spec.Name}, Data: map[string]string{pod.SpecName: string(data)},
			}
		case last == "jobs":
			answer = &batchv1.JobList{
				TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "JobList"},
				Items:    []batchv1.Job{*s.seen.jobs[0].Job},
			}
		case last == "pods":
			answer = &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: pods}
		default:
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}
}

// Who looks once at a run that is over sees its end: the last log may be read at any moment.
func TestALookAtARunThatIsOverSeesItsEnd(t *testing.T) {
	spec := run.Spec{
		V: 1, ID: "1", Name: "train-1", Series: "train", Kind: run.Train, Completions: 3, Parallelism: 3,
		Created: start,
	}
	to, _, _ := far(t, over(t, spec))
	for range 40 {
		f := folder.Run(t.TempDir())
		if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(f.Trials(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Once(t.Context(), to, f); err != nil {
			t.Fatal(err)
		}
		s := run.NewState(spec)
		if err := f.EachEvent(func(e run.Event) error { s.Apply(e); return nil }); err != nil {
			t.Fatal(err)
		}
		if s.Phase != run.Succeeded {
			t.Fatalf("it is seen as %+v", s)
		}
		for i := range s.Trials {
			if s.Trials[i].Metrics["loss"] != 0.5 || s.Trials[i].Started.IsZero() {
				t.Fatalf("of trial %d it is not known what it reported, or when it began: %+v", i, s.Trials[i])
			}
		}
	}
}
