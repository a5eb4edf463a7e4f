// Package reach lets callers outside of a cluster reach a server in it: by an Ingress, by an HTTPRoute of a Gateway, or
// by a load balancer of its own. It chooses which, makes and removes the objects, and says where callers reach the
// server.
//
// Read [Choose] and [Ensure] first. It imports deployer/kube/cluster and deployer/kube/manifest.
package reach

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Choose says what is to lead requests for a host to servers of our namespace: the one Gateway that takes routes for
// it, else an Ingress. It refuses where the cluster has nothing that would take either. Whoever may not see what the
// cluster has gets an Ingress without a class.
func Choose(ctx context.Context, c *cluster.Cluster, host string) (*run.Route, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	gateways, err := listGateways(ctx, c)
	if err != nil {
		return nil, err
	}
	from := space{}
	if len(gateways) > 0 {
		from = here(ctx, c)
	}
	classes, err := cluster.PlainOf[networkingv1.IngressClass](c, networkingv1.SchemeGroupVersion.String(), "",
		"ingressclasses").List(ctx)
	known := !apierrors.IsForbidden(err)
	if err != nil && known {
		return nil, c.Explain(err, "list the IngressClasses")
	}
	f := found{cluster: c.Context, gateways: gateways, from: from, classes: classes, known: known}
	return f.choose(host)
}

// found is what a cluster has.
type found struct {
	cluster  string
	gateways []gateway
	from     space // of the server
	classes  []networkingv1.IngressClass
	known    bool // the classes may be read
}

func (f *found) choose(host string) (*run.Route, error) {
	var fit []run.Route
	var all []string
	for i := range f.gateways {
		g := &f.gateways[i]
		all = append(all, g.name())
		if origin := g.origin(host, f.from); origin != "" {
			fit = append(fit, run.Route{Gateway: g.name(), Origin: origin})
		}
	}
	if len(fit) == 1 {
		return &fit[0], nil
	}
	route := &run.Route{Origin: "http://" + host}
	isDefault := func(c networkingv1.IngressClass) bool {
		return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}
	switch {
	case !f.known || slices.ContainsFunc(f.classes, isDefault):
		return route, nil
	case len(f.classes) == 1:
		route.Class = f.classes[0].Name
		return route, nil
	case len(f.classes) > 1:
		var names []string
		for i := range f.classes {
			names = append(names, f.classes[i].Name)
		}
		return nil, usererror.New(usererror.CodeOption, "cluster %s has several IngressClasses (%s), and none of them "+
			"is its default, so --ingress %s does not say which is meant", f.cluster, strings.Join(names, ", "), host).
			With("An administrator marks one: kubectl annotate ingressclass NAME " +
				networkingv1.AnnotationIsDefaultIngressClass + "=true.")
	case len(fit) > 1:
		names := make([]string, len(fit))
		for i := range fit {
			names[i] = fit[i].Gateway
		}
		return nil, usererror.New(usererror.CodeOption, "several Gateways of cluster %s take routes for %s (%s), and "+
			"it has no ingress controller, so --ingress does not say which is meant", f.cluster, host,
			strings.Join(names, ", ")).
			With("Name a host that only one of them takes, or leave --ingress out and make an HTTPRoute yourself.")
	}
	why := "neither an ingress controller nor a Gateway"
	if len(all) > 0 {
		why = fmt.Sprintf("no ingress controller, and no Gateway that takes routes for this host from this namespace "+
			"(it has %s)", strings.Join(all, ", "))
	}
	return nil, usererror.New(usererror.CodeOption, "--ingress %s leads nowhere: cluster %s has %s", host, f.cluster,
		why).
		With("Ask whoever runs the cluster for one, or give the server a load balancer of its own: --expose.")
}
