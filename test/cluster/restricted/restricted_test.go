// Package restricted checks that the pods of runs keep the Pod Security Standard "restricted", by the evaluator that
// the API server has. It is here because the evaluator's module brings servers that the product does not need.
package restricted

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// choices are what people may choose of a pod, and what clusters demand.
var choices = []struct {
	name   string
	choose func(*manifest.Options)
}{
	{"a user of the cluster's", func(o *manifest.Options) { o.NumericUser = false }}, // as OpenShift assigns it
	{"gpu", func(o *manifest.Options) { o.GPU, o.GPUResource = 2, "nvidia.com/gpu" }},
	{"limits", func(o *manifest.Options) {
		o.LimitCPU, o.EphemeralStorage = true, resource.MustParse("20Gi")
		o.EphemeralRequest = resource.MustParse("256Mi")
	}},
	{"agent image", func(o *manifest.Options) { o.AgentImage = "registry.example/metaml-pod:1" }},
	{"mounts", func(o *manifest.Options) {
		o.Mounts = []settings.Mount{{Claim: "data", Path: "/data"}, {Claim: "data", Sub: "a/b", Path: "/more"}}
	}},
	{"env", func(o *manifest.Options) { o.Env = []settings.Variable{{Name: "HOME", Value: "/tmp"}, {Name: "A"}} }},
	{"secrets", func(o *manifest.Options) {
		o.Secrets = []settings.SecretValue{{Name: "TOKEN", Secret: "hub", Key: "token"}}
		o.SessionSecrets = map[string]string{"KEY": "value"}
	}},
	{"nodes", func(o *manifest.Options) {
		o.NodeSelector = map[string]string{"disk": "fast"}
		o.Tolerations = []settings.Toleration{{Key: "team", Value: "a", Effect: "NoSchedule"}, {Key: "b", Any: true}}
	}},
	{"names", func(o *manifest.Options) {
		o.ServiceAccount, o.PullSecrets, o.Queue, o.ImagePython = "trainer", []string{"login"}, "team", "/opt/python"
	}},
	{"pod template", func(o *manifest.Options) {
		o.PodTemplate = []byte(`{"metadata":{"labels":{"cost-centre":"7"}},"spec":{"priorityClassName":"low",
			"containers":[{"name":"trial","volumeMounts":[{"name":"cache","mountPath":"/cache"}]}],
			"volumes":[{"name":"cache","emptyDir":{}}]}}`)
	}},
}

func evaluator(t *testing.T) policy.Evaluator {
	t.Helper()
	made, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// refusals say what of restricted a pod does not keep, in any version from the oldest that runs are for.
func refusals(e policy.Evaluator, pod *corev1.PodTemplateSpec) []string {
	var all []string
	versions := []api.Version{api.LatestVersion()}
	for minor := 29; minor < 37; minor++ {
		versions = append(versions, api.MajorMinorVersion(1, minor))
	}
	for _, version := range versions {
		level := api.LevelVersion{Level: api.LevelRestricted, Version: version}
		for _, one := range e.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			if !one.Allowed {
				all = append(all, fmt.Sprintf("%s: %s %s", level, one.ForbiddenReason, one.ForbiddenDetail))
			}
		}
	}
	return all
}

func sweep() *manifest.Run {
	return &manifest.Run{
		Spec: run.Spec{
			V: 1, ID: "id", Name: "fit-1", Series: "fit", Kind: run.Train, Key: strings.Repeat("a", 64),
			Completions: 6, Parallelism: 2, Retries: 1, Created: time.Unix(0, 0).UTC(),
		},
		Namespace: "team", User: "ada",
		Options: manifest.Options{
			Image: "registry.example/python:3.11", CPU: resource.MustParse("1"), Memory: resource.MustParse("2Gi"),
			NumericUser: true,
		},
		Agent: manifest.Agent{Arch: "amd64", Digest: strings.Repeat("d", 64), Parts: 2}, Programs: 1,
	}
}

func TestEveryPodKeepsTheRestrictedProfile(t *testing.T) {
	e := evaluator(t)
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fit-1", Namespace: "team", UID: "uid"}}
	for chosen := range 1 << len(choices) {
		var names []string
		for _, exported := range []bool{false, true} {
			r := sweep()
			r.Exported, names = exported, nil
			for i, one := range choices {
				if chosen&(1<<i) != 0 {
					one.choose(&r.Options)
					names = append(names, one.name)
				}
			}
			job, err := r.Job(owner)
			if err != nil {
				t.Fatalf("with %q: %v", names, err)
			}
			for _, job := range []*batchv1.Job{job, manifest.Resumed(owner, job, 1, 3)} {
				if problems := refusals(e, &job.Spec.Template); len(problems) > 0 {
					t.Errorf("%s, with %q: %q", job.Name, names, problems)
				}
			}
		}
	}
}

// The evaluator sees what is wrong, so that the test above says something.
func TestAPodTemplateThatAsksForMoreIsSeen(t *testing.T) {
	r := sweep()
	r.Options.PodTemplate = []byte(`{"spec":{"hostNetwork":true}}`)
	job, err := r.Job(nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := refusals(evaluator(t), &job.Spec.Template); len(problems) == 0 {
		t.Error("the host's network is within the restricted profile")
	}
}
