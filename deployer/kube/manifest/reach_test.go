package manifest_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// door is the owner of a server that callers outside of the cluster reach.
func door() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "predict-2", Namespace: "team", UID: "u-1",
		Labels: map[string]string{manifest.LabelRun: "predict-2", manifest.LabelServer: "digest"},
	}}
}

func TestHowAServerIsReached(t *testing.T) {
	for _, c := range []struct {
		name  string
		spec  run.ServerSpec
		want  manifest.Way
		hosts []string
	}{
		{"not at all", run.ServerSpec{}, "", nil},
		{
			"by an Ingress",
			run.ServerSpec{Ingress: "a.example", Route: &run.Route{}},
			manifest.ByIngress,
			[]string{"a.example"},
		},
		{
			"by a Gateway",
			run.ServerSpec{Ingress: "a.example", Route: &run.Route{Gateway: "infra/door"}},
			manifest.ByRoute,
			[]string{"a.example"},
		},
		{"by a load balancer", run.ServerSpec{Expose: true}, manifest.ByLoadBalancer, []string{"*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := manifest.WayOf(&c.spec); got != c.want {
				t.Errorf("by %q", got)
			}
			if got := manifest.ReachHosts(&c.spec); !slices.Equal(got, c.hosts) {
				t.Errorf("it answers to %q", got)
			}
		})
	}
}

func TestWhatLeadsToAServer(t *testing.T) {
	spec := run.ServerSpec{
		Ingress: "serve.example", Port: 8000, Route: &run.Route{Class: "nginx", Gateway: "infra/door"},
	}
	const meta = `"metadata":{"name":"predict-2","namespace":"team","labels":{` +
		`"app.kubernetes.io/component":"server","metaml/run":"predict-2"},` +
		`"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"predict-2","uid":"u-1"}]}`
	for _, c := range []struct {
		name   string
		object any
		want   string
	}{
		{
			"Ingress", manifest.Ingress(door(), &spec),
			`{"kind":"Ingress","apiVersion":"networking.k8s.io/v1",` + meta + `,"spec":{"ingressClassName":"nginx",` +
				`"rules":[{"host":"serve.example","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{` +
				`"service":{"name":"predict-2","port":{"name":"http"}}}}]}}]},"status":{"loadBalancer":{}}}`,
		},
		{
			"HTTPRoute", manifest.Route(door(), &spec),
			`{"kind":"HTTPRoute","apiVersion":"gateway.networking.k8s.io/v1",` + meta + `,"spec":{` +
				`"parentRefs":[{"namespace":"infra","name":"door"}],"hostnames":["serve.example"],` +
				`"rules":[{"backendRefs":[{"name":"predict-2","port":8000}]}]}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(c.object)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}
