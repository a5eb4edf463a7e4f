package reach

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/metaml/metaml/deployer/run"
)

// gatewayOf is a Gateway with listeners, as JSON.
func gatewayOf(t *testing.T, name, listeners string) gateway {
	t.Helper()
	g := gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: name}}
	if err := json.Unmarshal([]byte(listeners), &g.Spec.Listeners); err != nil {
		t.Fatal(err)
	}
	return g
}

// class is an IngressClass, the cluster's default or not.
func class(name string, usual bool) networkingv1.IngressClass {
	c := networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if usual {
		c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
	}
	return c
}

const (
	openListener = `[{"port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]`
	ownListener  = `[{"port": 80, "protocol": "HTTP"}]` // routes of its namespace
)

// hostListener takes routes for some hosts.
func hostListener(host string) string {
	return strings.Replace(openListener, `"port"`, `"hostname": "`+host+`", "port"`, 1)
}

func TestChoose(t *testing.T) {
	open, other := gatewayOf(t, "open", openListener), gatewayOf(t, "other", openListener)
	own := gatewayOf(t, "own", ownListener)
	direct := run.Route{Origin: "http://serve.example"}
	for _, c := range []struct {
		name     string
		gateways []gateway
		classes  []networkingv1.IngressClass
		unknown  bool
		want     run.Route
		refused  string
	}{
		{name: "a class", classes: []networkingv1.IngressClass{class("nginx", false)}, want: run.Route{
			Class: "nginx", Origin: "http://serve.example",
		}},
		{
			name: "a default class", classes: []networkingv1.IngressClass{class("a", false), class("b", true)},
			want: direct,
		},
		{name: "classes that may not be read", unknown: true, want: direct},
		{
			name: "several classes", classes: []networkingv1.IngressClass{class("a", false), class("b", false)},
			refused: "several IngressClasses (a, b)",
		},
		{name: "nothing", refused: "neither an ingress controller nor a Gateway"},
		{
			name: "a Gateway", gateways: []gateway{own, open}, classes: []networkingv1.IngressClass{class("a", true)},
			want: run.Route{Gateway: "infra/open", Origin: "http://serve.example"},
		},
		{
			name: "several Gateways and a class", gateways: []gateway{other, open},
			classes: []networkingv1.IngressClass{class("a", true)}, want: direct,
		},
		{name: "several Gateways", gateways: []gateway{other, open}, refused: "(infra/other, infra/open)"},
		{name: "a Gateway of others", gateways: []gateway{own}, refused: "from this namespace (it has infra/own)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := found{
				cluster: "lab", gateways: c.gateways, from: space{name: "team"}, classes: c.classes, known: !c.unknown,
			}
			got, err := f.choose("serve.example")
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhichGatewaysTakeARoute(t *testing.T) {
	from := space{name: "team", labels: labels.Set{"routes": "yes"}}
	for _, c := range []struct{ name, listeners, want string }{
		{"all", openListener, "http://serve.example"},
		{"those of its namespace", ownListener, ""},
		{"another port", strings.Replace(openListener, "80", "8080", 1), "http://serve.example:8080"},
		{"no HTTP", strings.Replace(openListener, "HTTP", "TCP", 1), ""},
		{
			"with TLS and without", `[
			{"port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
			{"port": 443, "protocol": "HTTPS", "allowedRoutes": {"namespaces": {"from": "All"}}},
			{"port": 8080, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]`,
			"https://serve.example",
		},
		{"another kind of route", `[{"port": 80, "protocol": "HTTP", "allowedRoutes": {
			"namespaces": {"from": "All"}, "kinds": [{"kind": "GRPCRoute"}]}}]`, ""},
		{"labels of the namespace", `[{"port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {
			"from": "Selector", "selector": {"matchLabels": {"routes": "yes"}}}}}]`, "http://serve.example"},
		{"other labels", `[{"port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {
			"from": "Selector", "selector": {"matchLabels": {"routes": "no"}}}}}]`, ""},
		{"no namespace", strings.Replace(openListener, "All", "None", 1), ""},
		{"the host", hostListener("serve.example"), "http://serve.example"},
		{"hosts below", hostListener("*.example"), "http://serve.example"},
		{"another host", hostListener("*.serve.example"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gatewayOf(t, "door", c.listeners)
			if got := g.origin("serve.example", from); got != c.want {
				t.Errorf("callers reach it at %q, not %q", got, c.want)
			}
		})
	}
}

func TestTheAddressOfALoadBalancer(t *testing.T) {
	for _, c := range []struct {
		host string
		port int
		want string
	}{
		{"203.0.113.7", 80, "http://203.0.113.7/predict"},
		{"lb.cloud.example", 8000, "http://lb.cloud.example:8000/predict"},
		{"2001:db8::7", 80, "http://[2001:db8::7]/predict"},
		{"2001:db8::7", 8000, "http://[2001:db8::7]:8000/predict"},
	} {
		t.Run(c.want, func(t *testing.T) {
			if got := urlOf(c.host, c.port, "/predict"); got != c.want {
				t.Errorf("got %s", got)
			}
		})
	}
}
