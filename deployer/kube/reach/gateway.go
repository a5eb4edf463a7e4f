package reach

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
)

// gateway is what is used of a Gateway (Gateway API, v1).
type gateway struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Listeners []listener `json:"listeners"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Value string `json:"value"`
		} `json:"addresses,omitempty"`
	} `json:"status,omitzero"`
}

// listener is a port of a Gateway.
type listener struct {
	Name          string        `json:"name"`
	Hostname      string        `json:"hostname,omitempty"` // "" is any
	Port          int           `json:"port"`
	Protocol      string        `json:"protocol"`
	AllowedRoutes allowedRoutes `json:"allowedRoutes,omitzero"`
}

// allowedRoutes says which routes a listener takes.
type allowedRoutes struct {
	Namespaces struct {
		From     string                `json:"from,omitempty"` // All, Selector, None or Same, which it is if it is ""
		Selector *metav1.LabelSelector `json:"selector,omitempty"`
	} `json:"namespaces,omitzero"`
	Kinds []struct {
		Kind string `json:"kind"`
	} `json:"kinds,omitempty"` // none: those of the protocol
}

// name is NAMESPACE/NAME.
func (g *gateway) name() string { return g.Namespace + "/" + g.Name }

// space is a namespace as listeners look at it.
type space struct {
	name   string
	labels labels.Set
}

// takes reports whether a listener of a Gateway in a namespace takes HTTPRoutes for a host from another namespace.
func (l *listener) takes(in, host string, from space) bool {
	return (l.Protocol == "HTTP" || l.Protocol == "HTTPS") && l.isFor(host) && l.allows(in, from)
}

// isFor reports whether a host is one of a listener's. A wildcard stands for one label or several (Gateway API,
// "Hostname").
func (l *listener) isFor(host string) bool {
	if suffix, any := strings.CutPrefix(l.Hostname, "*"); any {
		return strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	}
	return l.Hostname == "" || l.Hostname == host
}

func (l *listener) allows(in string, from space) bool {
	allowed := &l.AllowedRoutes
	isRoute := func(k struct {
		Kind string `json:"kind"`
	},
	) bool {
		return k.Kind == string(manifest.ByRoute)
	}
	if len(allowed.Kinds) > 0 && !slices.ContainsFunc(allowed.Kinds, isRoute) {
		return false
	}
	switch allowed.Namespaces.From {
	case "", "Same":
		return in == from.name
	case "All":
		return true
	case "Selector":
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		return err == nil && selector.Matches(from.labels)
	}
	return false
}

// origin is how callers reach a host at a Gateway, "https://serve.example:8443"; "" if it does not take routes for it.
// Where it takes them with TLS and without, callers are given the first.
func (g *gateway) origin(host string, from space) string {
	origin, secure := "", false
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		if !l.takes(g.Namespace, host, from) || origin != "" && (secure || l.Protocol == "HTTP") {
			continue
		}
		scheme, usual := "http", 80
		if secure = l.Protocol == "HTTPS"; secure {
			scheme, usual = "https", 443
		}
		origin = scheme + "://" + host
		if l.Port != usual {
			origin += fmt.Sprintf(":%d", l.Port)
		}
	}
	return origin
}

// gatewaysOf are the Gateways of a namespace, "": of the cluster.
func gatewaysOf(c *cluster.Cluster, namespace string) cluster.Plain[gateway] {
	return cluster.PlainOf[gateway](c, manifest.RouteVersion, namespace, "gateways")
}

// listGateways gives the Gateways that may be read: those of the cluster, else those of our namespace. There are none
// where the Gateway API is not installed.
func listGateways(ctx context.Context, c *cluster.Cluster) ([]gateway, error) {
	all, err := gatewaysOf(c, "").List(ctx)
	if apierrors.IsForbidden(err) {
		all, err = gatewaysOf(c, c.Namespace).List(ctx)
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	return all, c.Explain(err, "list the Gateways")
}

// here is our namespace. Whoever may not read it knows its name alone, which is a label of it, too.
func here(ctx context.Context, c *cluster.Cluster) space {
	s := space{name: c.Namespace, labels: labels.Set{"kubernetes.io/metadata.name": c.Namespace}}
	if ns, err := c.Core.Namespaces().Get(ctx, c.Namespace, metav1.GetOptions{}); err == nil {
		s.labels = ns.Labels
	}
	return s
}
