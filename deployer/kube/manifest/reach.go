package manifest

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/run"
)

// AnnotationReach is on the owner of a server that callers outside of the cluster reach: the ways that were made or are
// about to be, with commas. It is there before what it names, so that nobody has to look for what was never made.
const AnnotationReach = "metaml/reach"

// Way is how callers outside of the cluster reach a server.
type Way string

// The ways.
const (
	ByIngress      Way = "Ingress"
	ByRoute        Way = "HTTPRoute"
	ByLoadBalancer Way = "LoadBalancer"
)

// WayOf is how callers outside of the cluster are to reach a revision of a server; "" is not at all.
func WayOf(s *run.ServerSpec) Way {
	switch {
	case s.Expose:
		return ByLoadBalancer
	case s.Ingress == "" || s.Route == nil:
		return ""
	case s.Route.Gateway != "":
		return ByRoute
	}
	return ByIngress
}

// ReachHosts are the names by which callers outside of the cluster call a server. A load balancer gets its address,
// which may be a name, when it is made, so a server of one answers to any name: who reaches that needs no browser of
// somebody else to ask it.
func ReachHosts(s *run.ServerSpec) []string {
	switch {
	case s.Expose:
		return []string{"*"}
	case s.Ingress != "":
		return []string{s.Ingress}
	}
	return nil
}

// Ingress leads requests for a host to the Service of a server.
func Ingress(owner *corev1.ConfigMap, s *run.ServerSpec) *networkingv1.Ingress {
	prefix := networkingv1.PathTypePrefix
	i := &networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: string(ByIngress)},
		ObjectMeta: serverMeta(owner),
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: s.Ingress,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{
					Path: "/", PathType: &prefix,
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: owner.Name, Port: networkingv1.ServiceBackendPort{Name: httpPort},
					}},
				}},
			}},
		}}},
	}
	if s.Route.Class != "" {
		i.Spec.IngressClassName = &s.Route.Class
	}
	return i
}

// RouteVersion is the version of the Gateway API that is used.
const RouteVersion = "gateway.networking.k8s.io/v1"

// HTTPRoute is what is used of one (Gateway API, v1).
type HTTPRoute struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              HTTPRouteSpec   `json:"spec"`
	Status            HTTPRouteStatus `json:"status,omitzero"`
}

// HTTPRouteSpec leads requests for some hosts from Gateways to Services.
type HTTPRouteSpec struct {
	ParentRefs []RouteParent   `json:"parentRefs"`
	Hostnames  []string        `json:"hostnames"`
	Rules      []HTTPRouteRule `json:"rules"`
}

// RouteParent names a Gateway.
type RouteParent struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// HTTPRouteRule leads all requests to Services.
type HTTPRouteRule struct {
	BackendRefs []RouteBackend `json:"backendRefs"`
}

// RouteBackend is a port of a Service.
type RouteBackend struct {
	Name string `json:"name"`
	Port int32  `json:"port"`
}

// HTTPRouteStatus is what those say that take the route.
type HTTPRouteStatus struct {
	Parents []struct {
		ParentRef  RouteParent        `json:"parentRef"`
		Conditions []metav1.Condition `json:"conditions,omitempty"`
	} `json:"parents"`
}

// Route leads requests for a host from a Gateway to the Service of a server.
func Route(owner *corev1.ConfigMap, s *run.ServerSpec) *HTTPRoute {
	namespace, name, _ := strings.Cut(s.Route.Gateway, "/")
	return &HTTPRoute{
		TypeMeta:   metav1.TypeMeta{APIVersion: RouteVersion, Kind: string(ByRoute)},
		ObjectMeta: serverMeta(owner),
		Spec: HTTPRouteSpec{
			ParentRefs: []RouteParent{{Namespace: namespace, Name: name}}, Hostnames: []string{s.Ingress},
			Rules: []HTTPRouteRule{{BackendRefs: []RouteBackend{{Name: owner.Name, Port: servicePort(s)}}}},
		},
	}
}

// LeadsAs reports whether two routes lead the same requests to the same place.
func (r *HTTPRoute) LeadsAs(other *HTTPRoute) bool {
	return reflect.DeepEqual(r.Spec, other.Spec)
}
