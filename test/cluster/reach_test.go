//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// once is a server with one replica.
var once = strings.Replace(doubles, `"replicas": 2, `, "", 1)

// reached is where `metaml show --json` says that callers outside of the cluster ask a server.
func (p *person) reached(name string) (url string) {
	p.t.Helper()
	var s struct {
		PublicURL string `json:"public_url"`
	}
	out := p.must("show", "--json", name)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		p.t.Fatalf("%v in %s", err, out)
	}
	return s.PublicURL
}

// says waits until what is shown of a server has a text.
func (p *person) says(name, text string) (shown string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		shown = p.must("show", name)
		if strings.Contains(shown, text) {
			return shown
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %s: it says %s; it is %s", patience, text, shown)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// service is the Service of a server.
func service(t *testing.T, space, name string) *corev1.Service {
	t.Helper()
	s, err := client(t, inside.Admin).CoreV1().Services(space).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// byName asks the Service of a server under a name, from within the cluster, and gives the status of the answer. This
// cluster has no DNS, so it is the server's pod that sends the request, and the Service is asked by number.
func byName(t *testing.T, space, host string) (status string) {
	t.Helper()
	const asks = `
import sys, urllib.error, urllib.request
asked = urllib.request.Request(sys.argv[1], b"1", {"Host": sys.argv[2], "Content-Type": "application/json"})
try:
    print(urllib.request.urlopen(asked).status)
except urllib.error.HTTPError as error:
    print(error.status)
`
	at := "http://" + service(t, space, "double-1").Spec.ClusterIP + "/double"
	return strings.TrimSpace(administer(t, "", "-n", space, "exec", "deploy/double-1", "--", "python3", "-c", asks, at,
		host))
}

// class makes an IngressClass for the time of a test.
func class(t *testing.T, name string) {
	t.Helper()
	classes := client(t, inside.Admin).NetworkingV1().IngressClasses()
	_, err := classes.Create(t.Context(), &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       networkingv1.IngressClassSpec{Controller: "example.com/" + name},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := classes.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// What a cluster has once, its IngressClasses and Gateways, is that of this test.
func TestAServerBehindAnIngress(t *testing.T) {
	t.Parallel()
	refusesWithoutController(t)
	class(t, "doors")
	t.Run("an Ingress of somebody else", leavesAnIngressAlone)
	t.Run("ingress", reachedByIngress)
	t.Run("gateway", reachedByGateway)
}

func refusesWithoutController(t *testing.T) {
	t.Helper()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	said, code := p.serves(once, "--ingress", "serve.example")
	if code != 2 || !strings.Contains(said, "neither an ingress controller nor a Gateway") {
		t.Errorf("exit code %d: %s", code, said)
	}
	leavesNothing(t, space)
}

func leavesAnIngressAlone(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Admin, space)
	const other = `{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "double-1"},
		"spec": {"defaultBackend": {"service": {"name": "other", "port": {"number": 80}}}}}`
	administer(t, other, "-n", space, "apply", "-f", "-")
	said, code := p.serves(once, "--ingress", "double.example")
	want := fmt.Sprintf("an Ingress %q that is no server of ours is in namespace %s already", "double-1", space)
	if code != 2 || !strings.Contains(said, want) {
		t.Errorf("exit code %d, without %q: %s", code, want, said)
	}
	leavesNothing(t, space)
}

func reachedByIngress(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	said, code := p.serves(once, "--ingress", "double.example")
	if code != 2 || !strings.Contains(said, "create, get, patch, delete ingresses") ||
		!strings.Contains(said, "setup rbac --ingress") {
		t.Errorf("without the right for it, exit code %d: %s", code, said)
	}
	p.may(space, inside.Researcher, p.must("setup", "rbac", "--ingress", "--namespace", space, "--user",
		inside.Researcher))

	said, code = p.serves(once, "--ingress", "double.example")
	if code != 0 || !strings.Contains(said, "double-1 asks callers for no token: whoever reaches double.example may") {
		t.Errorf("exit code %d: %s", code, said)
	}
	shown := p.says("double-1", "http://double.example/double waits for an address of the ingress controller")
	if !strings.Contains(shown, "ready on http://127.0.0.1") {
		t.Errorf("until there is an address it is shown as %s", shown)
	}
	ingresses := client(t, inside.Admin).NetworkingV1().Ingresses(space)
	is, err := ingresses.Get(t.Context(), "double-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if name := is.Spec.IngressClassName; name == nil || *name != "doors" || is.Spec.Rules[0].Host != "double.example" {
		t.Errorf("its Ingress is %+v", is.Spec)
	}

	// Who comes by that name is answered, and by no other.
	if status := byName(t, space, "double.example"); status != "200" {
		t.Errorf("by the host of the Ingress it answers %s", status)
	}
	if status := byName(t, space, "other.example"); status != "421" {
		t.Errorf("by another name it answers %s", status)
	}

	is.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "203.0.113.7"}}
	if _, err := ingresses.UpdateStatus(t.Context(), is, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	shown = p.says("double-1", "ready on http://double.example/double")
	for _, want := range []string{
		"programs on this machine ask it on http://127.0.0.1", "programs in the cluster ask it on http://double-1.",
		"the ingress controller answers at 203.0.113.7, which is where double.example must lead (DNS)",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("without %q: %s", want, shown)
		}
	}
	s := p.showServer("double-1")
	if url := p.reached("double-1"); url != "http://double.example/double" || !strings.HasPrefix(s.URL, "http://127.") {
		t.Errorf("it is at %s and %s", url, s.URL)
	}

	// A revision that fails changes nothing; one that answers does.
	broken := strings.Replace(once, "factor = 2", "factor = int('no such table')", 1)
	if said, code := p.serves(broken, "--ingress", "new.example"); code == 0 {
		t.Errorf("what fails is ready: %s", said)
	}
	host := func(ctx context.Context) string {
		is, err := ingresses.Get(ctx, "double-1", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return is.Spec.Rules[0].Host
	}
	if is := host(t.Context()); is != "double.example" {
		t.Errorf("after a revision that failed its host is %q", is)
	}
	becomes := func(want string) {
		t.Helper()
		eventually(t, "the host of its Ingress is "+want, func(ctx context.Context) (bool, error) {
			is := host(ctx)
			return is == want, fmt.Errorf("it is %q", is)
		})
	}
	if said, code := p.serves(once, "--ingress", "new.example"); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	becomes("new.example")
	p.says("double-1", "http://new.example/double")
	if status := byName(t, space, "double.example"); status != "421" {
		t.Errorf("by the host that it had before it answers %s", status)
	}
	if said, code := p.serves(once); code != 0 {
		t.Errorf("without the option: exit code %d: %s", code, said)
	}
	becomes("")
	p.must("rollback", "double-1")
	becomes("new.example")
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

func TestAServerBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher) // which has nothing of Ingresses
	said, code := p.serves(once, "--expose")
	if code != 0 || !strings.Contains(said, "asks callers for no token: whoever reaches its load balancer may use it") {
		t.Errorf("exit code %d: %s", code, said)
	}
	p.says("double-1", "it waits for an address of the load balancer")
	services := client(t, inside.Admin).CoreV1().Services(space)
	is := service(t, space, "double-1")
	if is.Spec.Type != corev1.ServiceTypeLoadBalancer {
		t.Errorf("its Service is a %s", is.Spec.Type)
	}
	is.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "lb-7.cloud.example"}}
	if _, err := services.UpdateStatus(t.Context(), is, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.says("double-1", "ready on http://lb-7.cloud.example/double")
	if status := byName(t, space, "lb-7.cloud.example"); status != "200" {
		t.Errorf("by the name of its load balancer it answers %s", status)
	}

	if said, code := p.serves(once); code != 0 {
		t.Errorf("without the option: exit code %d: %s", code, said)
	}
	eventually(t, "its Service is an ordinary one", func(ctx context.Context) (bool, error) {
		is, err := services.Get(ctx, "double-1", metav1.GetOptions{})
		return err == nil && is.Spec.Type == corev1.ServiceTypeClusterIP, err
	})
	p.says("double-1", "ready on http://127.0.0.1")
	if url := p.reached("double-1"); url != "" {
		t.Errorf("without the option it is at %s", url)
	}
	if status := byName(t, space, "lb-7.cloud.example"); status != "421" {
		t.Errorf("without the option it answers %s", status)
	}
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

// door is a Gateway that takes routes of one namespace, with TLS and without.
const door = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: SPACE}
spec: {controllerName: example.com/doors}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: SPACE}
spec:
  gatewayClassName: SPACE
  listeners:
  - name: plain
    port: 80
    protocol: HTTP
    allowedRoutes: &routes
      namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: TEAM}}}
  - name: tls
    hostname: "*.example"
    port: 8443
    protocol: HTTPS
    tls: {certificateRefs: [{name: certificate}]}
    allowedRoutes: *routes
`

func reachedByGateway(t *testing.T) {
	t.Parallel()
	if err := here(t).Gateways(t.Context()); err != nil {
		t.Fatal(err)
	}
	doors, space := namespace(t), namespace(t) // the Gateway goes before the IngressClass
	gateway := strings.NewReplacer("SPACE", doors, "TEAM", space).Replace(door)
	administer(t, gateway, "apply", "--server-side", "-f", "-")
	t.Cleanup(func() { endClass(t, doors) })
	p := newPerson(t, inside.Researcher, space)
	p.may(space, inside.Researcher, p.must("setup", "rbac", "--ingress", "--namespace", space, "--user",
		inside.Researcher))
	said, code := p.serves(once, "--ingress", "double.example")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	p.says("double-1", "https://double.example:8443/double waits for Gateway "+doors+"/door to take the server's")
	answers := func(status, message string) {
		t.Helper()
		administer(t, "", "-n", space, "patch", "httproute", "double-1", "--subresource=status", "--type=merge", "-p",
			fmt.Sprintf(`{"status":{"parents":[{"controllerName":"example.com/doors","parentRef":{"name":"door"},
				"conditions":[{"type":"Accepted","status":%q,"reason":"Test","message":%q,
				"lastTransitionTime":"2026-01-02T03:04:05Z"}]}]}}`, status, message))
	}
	answers("False", "no certificate.")
	p.says("double-1", "Gateway "+doors+"/door does not take the server's HTTPRoute: no certificate")
	administer(t, "", "-n", doors, "patch", "gateway", "door", "--subresource=status", "--type=merge", "-p",
		`{"status":{"addresses":[{"value":"203.0.113.9"}]}}`)
	answers("True", "")
	p.says("double-1", "ready on https://double.example:8443/double")
	p.says("double-1", "answers at 203.0.113.9, which is where double.example must lead (DNS)")
	if said, code := p.serves(once, "--ingress", "double.example", "--port", "8000"); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	administer(t, "", "-n", space, "wait", "httproute/double-1", "--timeout", patience.String(),
		"--for=jsonpath={.spec.rules[0].backendRefs[0].port}=8000")
	p.must("stop", "double-1")
	p.must("delete", "double-1")
	leavesNothing(t, space)
}

// endClass removes a GatewayClass at the end of a test.
func endClass(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's has ended
	defer cancel()
	if out, err := exec.CommandContext(ctx, "kubectl", "delete", "gatewayclass", name).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
