package kube

import (
	"context"
	"fmt"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/reach"
	"github.com/metaml/metaml/deployer/run"
)

// addReach chooses what leads callers from outside of the cluster to a server, and refuses where nothing does or a
// right is missing for it. A server that they do not reach needs none.
func (p *Place) addReach(ctx context.Context, load *shipment) error {
	spec := &load.run.Spec
	if spec.Server.Ingress == "" {
		return nil
	}
	route, err := reach.Choose(ctx, p.cluster, spec.Server.Ingress)
	if err != nil {
		return err
	}
	spec.Server = new(*spec.Server)
	spec.Server.Route = route
	rights := cluster.IngressRights
	if manifest.WayOf(spec.Server) == manifest.ByRoute {
		rights = cluster.RouteRights
	}
	return p.cluster.CheckIngress(ctx, rights)
}

// makeReach makes what leads callers from outside to a new server. To one that answers they come as they do until the
// new revision answers, when whoever follows the server changes it; here it is only tried whether that could be done.
func (p *Place) makeReach(ctx context.Context, t *taken, spec *run.ServerSpec) error {
	if !t.first {
		return reach.Check(ctx, p.cluster, t.owner, spec)
	}
	if !reach.Concerns(t.owner, spec) {
		return nil
	}
	_, err := reach.Ensure(ctx, p.cluster, t.owner, spec)
	return err
}

// outlineReach says what leads callers from outside of the cluster to a server.
func outlineReach(spec *run.Spec) []string {
	s := spec.Server
	switch manifest.WayOf(s) {
	case manifest.ByIngress:
		class := "the cluster's default class"
		if s.Route.Class != "" {
			class = "class " + s.Route.Class
		}
		return []string{fmt.Sprintf("Ingress %s, of %s: callers outside of the cluster ask it on %s", spec.Name, class,
			s.Route.Origin+s.Path)}
	case manifest.ByRoute:
		return []string{fmt.Sprintf("HTTPRoute %s, of Gateway %s: callers outside of the cluster ask it on %s",
			spec.Name, s.Route.Gateway, s.Route.Origin+s.Path)}
	case manifest.ByLoadBalancer:
		return []string{fmt.Sprintf("a load balancer for Service %s: callers outside of the cluster ask it there",
			spec.Name)}
	}
	return nil
}
