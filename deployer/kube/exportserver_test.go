package kube

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

// served is a server that is exported, with a model of several parts.
func served(replicas run.Replicas) shipment {
	l := load()
	l.run.Spec.Kind, l.run.Spec.Name, l.run.Spec.Series = run.Serve, "serve-1", "serve"
	l.run.Spec.Server = &run.ServerSpec{Path: "/predict", Workers: 1}
	l.run.Spec.Server.Want(replicas)
	l.run.Agent.Program, l.table = pod.Server, nil
	l.model = [][]byte{bytes.Repeat([]byte("m"), 2*maxApplied+1)}
	return l
}

func TestAnExportedServerHasAllThatItsPodsNeed(t *testing.T) {
	for name, test := range map[string]struct {
		replicas  run.Replicas
		also      run.ServerSpec
		monitored bool
		kinds     string // beside ConfigMaps
	}{
		"a number": {replicas: run.Replicas{Min: 2}, kinds: "Service PodDisruptionBudget Deployment"},
		"a range": {
			replicas: run.Replicas{Min: 2, Max: 4},
			kinds:    "Service PodDisruptionBudget HorizontalPodAutoscaler Deployment",
		},
		"monitored": {
			replicas: run.Replicas{Min: 1}, monitored: true,
			kinds: "Service PodDisruptionBudget Deployment ServiceMonitor",
		},
		"locked": {
			replicas: run.Replicas{Min: 1}, also: run.ServerSpec{Auth: run.AuthToken},
			kinds: "Service PodDisruptionBudget Deployment",
		},
		"behind an Ingress": {
			replicas: run.Replicas{Min: 1},
			also:     run.ServerSpec{Ingress: "serve.example", Route: &run.Route{Class: "nginx"}},
			kinds:    "Service PodDisruptionBudget Ingress Deployment",
		},
		"behind a Gateway": {
			replicas: run.Replicas{Min: 1},
			also:     run.ServerSpec{Ingress: "serve.example", Route: &run.Route{Gateway: "infra/door"}},
			kinds:    "Service PodDisruptionBudget HTTPRoute Deployment",
		},
		"exposed": {
			replicas: run.Replicas{Min: 1}, also: run.ServerSpec{Expose: true},
			kinds: "Service PodDisruptionBudget Deployment",
		},
	} {
		t.Run(name, func(t *testing.T) {
			of := served(test.replicas)
			server := of.run.Spec.Server
			server.Auth, server.Ingress, server.Route = test.also.Auth, test.also.Ingress, test.also.Route
			server.Expose = test.also.Expose
			text, err := exportServer(of, test.monitored)
			if err != nil {
				t.Fatal(err)
			}
			// The token is made by whoever applies it.
			if made := strings.Contains(string(text), "create secret generic serve-token"); made != server.Locked() {
				t.Errorf("it begins with %.700s", text)
			}
			if public := strings.Contains(string(text), "type: LoadBalancer"); public != server.Expose {
				t.Errorf("it is exposed: %t", public)
			}
			var (
				kinds []string
				files []string
				d     appsv1.Deployment
			)
			for _, document := range strings.Split(string(text), "---\n")[1:] {
				var is struct {
					metav1.TypeMeta   `json:",inline"`
					metav1.ObjectMeta `json:"metadata"`
				}
				if err := yaml.Unmarshal([]byte(document), &is); err != nil {
					t.Fatal(err)
				}
				if len(is.OwnerReferences) > 0 || is.Namespace != "team" {
					t.Errorf("%s %s is %+v", is.Kind, is.Name, is.ObjectMeta)
				}
				switch is.Kind {
				case "ConfigMap":
					files = append(files, is.Name)
					continue
				case "Deployment":
					if err := yaml.UnmarshalStrict([]byte(document), &d); err != nil {
						t.Fatal(err)
					}
				}
				kinds = append(kinds, is.Kind)
			}
			if got := strings.Join(kinds, " "); got != test.kinds {
				t.Errorf("got %s, want %s", got, test.kinds)
			}
			if (d.Spec.Replicas == nil) != test.replicas.Ranged() {
				t.Errorf("the Deployment has %v replicas", d.Spec.Replicas)
			}
			if a := d.Spec.Template.Annotations; a["prometheus.io/scrape"] != "true" ||
				a["prometheus.io/port"] != "8080" || a["prometheus.io/path"] != "/metrics" {
				t.Errorf("its pods have the annotations %v", a)
			}
			needs(t, &d.Spec.Template.Spec, files)
		})
	}
}

// needs checks that pods mount these ConfigMaps and no others, and read no Secret.
func needs(t *testing.T, spec *corev1.PodSpec, files []string) {
	t.Helper()
	var mounted []string
	for _, v := range spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.ConfigMap != nil {
				mounted = append(mounted, source.ConfigMap.Name)
			}
		}
	}
	for _, list := range [][]string{files, mounted} {
		slices.Sort(list)
	}
	if files, mounted := slices.Compact(files), slices.Compact(mounted); !slices.Equal(files, mounted) {
		t.Errorf("exported are %q, and pods mount %q", files, mounted)
	}
	for _, v := range spec.Containers[0].Env {
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
			t.Errorf("%s comes from a Secret", v.Name)
		}
	}
}
