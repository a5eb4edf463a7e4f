package kube

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// load is a run of two trials that is exported, with a program and an agent of several parts.
func load() shipment {
	return shipment{
		table: []byte("{}\n{}\n"), program: [][]byte{bytes.Repeat([]byte("p"), maxApplied+1)},
		agent: [][]byte{bytes.Repeat([]byte("a"), 5*maxApplied), []byte("b")},
		run: manifest.Run{
			Spec: run.Spec{
				V: 1, ID: "id", Name: "fit-1", Series: "fit", Kind: run.Train, Key: strings.Repeat("a", 64),
				Completions: 2, Parallelism: 2, Created: time.Now(),
			},
			Namespace: "team", User: "someone", Exported: true,
			Options: manifest.Options{
				Image: "registry.example/python:3.11", CPU: resource.MustParse("1"), Memory: resource.MustParse("1Gi"),
			},
			Agent: manifest.Agent{
				Program: pod.Trial, Arch: "amd64", Digest: strings.Repeat("d", 64), Parts: 2,
			},
			Programs: 1,
		},
	}
}

// exported reads an export as kubectl does.
func exported(t *testing.T, load shipment) (files map[string]corev1.ConfigMap, job batchv1.Job) {
	t.Helper()
	text, err := export(load)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]corev1.ConfigMap{}
	for _, document := range strings.Split(string(text), "---\n")[1:] {
		var is struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(document), &is); err != nil {
			t.Fatal(err)
		}
		if len(is.OwnerReferences) > 0 || is.Namespace != "team" || is.Labels[manifest.LabelRun] != "fit-1" ||
			is.Labels[manifest.LabelManagedBy] != manifest.ManagedBy {
			t.Errorf("%s %s is %+v", is.Kind, is.Name, is.ObjectMeta)
		}
		switch is.Kind {
		case "ConfigMap":
			var c corev1.ConfigMap
			if err := yaml.UnmarshalStrict([]byte(document), &c); err != nil {
				t.Fatal(err)
			}
			files[is.Name] = c
		case "Job":
			if err := yaml.UnmarshalStrict([]byte(document), &job); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("there is a %s", is.Kind)
		}
	}
	return files, job
}

// What the pods need is in the export, all of it, and nothing of it is there that other runs have too.
func TestAnExportHasAllThatItsPodsNeed(t *testing.T) {
	files, job := exported(t, load())
	got := map[string][]byte{}
	for _, v := range job.Spec.Template.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			c, is := files[source.ConfigMap.Name]
			if !is {
				t.Errorf("%s is not exported", source.ConfigMap.Name)
			}
			maps.Copy(got, c.BinaryData)
			delete(files, source.ConfigMap.Name)
		}
	}
	for name := range files {
		t.Errorf("no pod has %s", name)
	}
	join := func(name func(int) string) (whole []byte) {
		for i := 0; got[name(i)] != nil; i++ {
			whole = append(whole, got[name(i)]...)
		}
		return whole
	}
	want := load()
	if !bytes.Equal(join(pod.ProgramPart), slices.Concat(want.program...)) ||
		!bytes.Equal(join(func(i int) string { return pod.BinaryPart(pod.Trial, "amd64", i) }),
			slices.Concat(want.agent...)) ||
		!bytes.Equal(got[pod.TableName], want.table) {
		t.Error("what the pods get is not what was exported")
	}
	for _, v := range job.Spec.Template.Spec.Containers[0].Env {
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
			t.Errorf("%s comes from a Secret", v.Name)
		}
	}
}

// kubectl apply writes each object into one of its own annotations.
func TestEachObjectOfAnExportFitsIntoAnAnnotation(t *testing.T) {
	text, err := export(load())
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "---\n") {
		if len(document) > 256<<10-1<<10 {
			t.Errorf("an object has %d bytes", len(document))
		}
	}
	large := load()
	large.table = bytes.Repeat([]byte("{}\n"), maxApplied)
	_, err = export(large)
	if u, ok := errors.AsType[*usererror.Error](err); !ok || u.Code != usererror.CodeTooLarge {
		t.Errorf("a table that is too large is answered with %v", err)
	}
}
