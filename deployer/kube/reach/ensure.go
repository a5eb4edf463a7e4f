package reach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// manager is what changes are said to be made by.
const manager = "metaml"

// server is a server that is to be reached as a revision of it says.
type server struct {
	cluster *cluster.Cluster
	owner   *corev1.ConfigMap
	spec    *run.ServerSpec
	dry     bool // it is only tried whether the objects could be made
}

// Concerns reports whether there is anything to do for a server: its revision is to be reached from outside, or
// something is there of an earlier one.
func Concerns(owner *corev1.ConfigMap, spec *run.ServerSpec) bool {
	return manifest.WayOf(spec) != "" || owner.Annotations[manifest.AnnotationReach] != ""
}

// Ensure has callers outside of the cluster reach the server of an owner as a revision of it says, and nothing else:
// what an earlier one had is removed. It says how they do. Done again it changes nothing.
func Ensure(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, spec *run.ServerSpec) (
	run.Public, error,
) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	s := &server{cluster: c, owner: owner, spec: spec}
	way := manifest.WayOf(spec)
	var was []manifest.Way
	for name := range strings.SplitSeq(owner.Annotations[manifest.AnnotationReach], ",") {
		if name != "" && manifest.Way(name) != way {
			was = append(was, manifest.Way(name))
		}
	}
	if way != "" && !s.noted(append(was, way)) {
		if err := s.note(ctx, append(was, way)); err != nil {
			return run.Public{}, err
		}
	}
	for _, old := range was {
		if err := s.remove(ctx, old); err != nil {
			return run.Public{}, c.Explain(err, fmt.Sprintf("remove the %s of server %s", old, owner.Name))
		}
	}
	if len(was) > 0 {
		left := []manifest.Way{way}
		if way == "" {
			left = nil
		}
		if err := s.note(ctx, left); err != nil {
			return run.Public{}, err
		}
	}
	return s.make(ctx)
}

// Check tries whether Ensure could make the objects of a revision, and makes none.
func Check(ctx context.Context, c *cluster.Cluster, owner *corev1.ConfigMap, spec *run.ServerSpec) error {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	s := &server{cluster: c, owner: owner, spec: spec, dry: true}
	_, err := s.make(ctx)
	if err != nil && strings.Contains(err.Error(), "does not support dry run") {
		return nil // an admission webhook of the cluster; it will say itself what it refuses
	}
	return err
}

// noted reports whether the owner names these ways.
func (s *server) noted(ways []manifest.Way) bool {
	return s.owner.Annotations[manifest.AnnotationReach] == joined(ways)
}

func joined(ways []manifest.Way) string {
	names := make([]string, len(ways))
	for i, w := range ways {
		names[i] = string(w)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// note has the owner name the ways.
func (s *server) note(ctx context.Context, ways []manifest.Way) error {
	var value any // none removes the annotation
	if len(ways) > 0 {
		value = joined(ways)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{manifest.AnnotationReach: value}},
	})
	if err != nil {
		return err
	}
	_, err = s.cluster.Core.ConfigMaps(s.owner.Namespace).Patch(ctx, s.owner.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: manager})
	return s.cluster.Explain(err, "note how server "+s.owner.Name+" is reached")
}

// make makes what leads to the server, or changes what does, and says how callers reach it.
func (s *server) make(ctx context.Context) (p run.Public, err error) {
	way := manifest.WayOf(s.spec)
	switch way {
	case manifest.ByIngress:
		p, err = s.ingress(ctx)
	case manifest.ByRoute:
		p, err = s.route(ctx)
	case manifest.ByLoadBalancer:
		p, err = s.balancer(ctx)
	}
	return p, s.cluster.Explain(err, fmt.Sprintf("make the %s of server %s", way, s.owner.Name))
}

// remove removes what leads to the server in one way.
func (s *server) remove(ctx context.Context, way manifest.Way) error {
	switch way {
	case manifest.ByIngress:
		return drop(ctx, s, s.ingresses(), func(i *networkingv1.Ingress) *metav1.ObjectMeta { return &i.ObjectMeta })
	case manifest.ByRoute:
		return drop(ctx, s, s.routes(), func(r *manifest.HTTPRoute) *metav1.ObjectMeta { return &r.ObjectMeta })
	case manifest.ByLoadBalancer:
		_, err := s.typed(ctx, corev1.ServiceTypeClusterIP)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	return nil // a later version knows it
}

// drop removes an object of the server.
func drop[T any](ctx context.Context, s *server, all cluster.Plain[T], meta func(*T) *metav1.ObjectMeta) error {
	now, err := all.Get(ctx, s.owner.Name)
	if apierrors.IsNotFound(err) || err == nil && !manifest.BelongsTo(meta(now), s.owner) {
		return nil
	}
	if err == nil {
		err = all.Delete(ctx, s.owner.Name, meta(now).UID)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// object is what put needs of an object that leads to a server.
type object[T any] struct {
	want *T
	meta func(*T) *metav1.ObjectMeta
	same func(now *T) bool // it leads there as wanted, whatever else somebody has added
	spec any               // what it is changed to, where it does not
	kind manifest.Way
}

// put makes an object, or changes the one that is there. One of somebody else is left alone.
func put[T any](ctx context.Context, s *server, all cluster.Plain[T], o object[T]) (*T, error) {
	now, err := all.Get(ctx, s.owner.Name)
	switch {
	case apierrors.IsNotFound(err):
		made, err := all.Create(ctx, o.want, manager, s.dry)
		if !apierrors.IsAlreadyExists(err) {
			return made, err
		}
		if now, err = all.Get(ctx, s.owner.Name); err != nil { // somebody else was faster
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	if !manifest.BelongsTo(o.meta(now), s.owner) {
		return nil, usererror.New(usererror.CodeName, "an %s %q that is no server of ours is in namespace %s already",
			o.kind, s.owner.Name, s.owner.Namespace).With("Give the server another name: --name NAME.")
	}
	if o.same(now) {
		return now, nil
	}
	patch, err := json.Marshal(map[string]any{"spec": o.spec})
	if err != nil {
		return nil, err
	}
	return all.Merge(ctx, s.owner.Name, patch, manager, s.dry)
}

func (s *server) ingresses() cluster.Plain[networkingv1.Ingress] {
	return cluster.PlainOf[networkingv1.Ingress](s.cluster, networkingv1.SchemeGroupVersion.String(), s.owner.Namespace,
		"ingresses")
}

func (s *server) routes() cluster.Plain[manifest.HTTPRoute] {
	return cluster.PlainOf[manifest.HTTPRoute](s.cluster, manifest.RouteVersion, s.owner.Namespace, "httproutes")
}

func (s *server) ingress(ctx context.Context) (run.Public, error) {
	want := manifest.Ingress(s.owner, s.spec)
	class, change := want.Spec.IngressClassName, map[string]any{"rules": want.Spec.Rules}
	if class != nil {
		change["ingressClassName"] = *class
	}
	now, err := put(ctx, s, s.ingresses(), object[networkingv1.Ingress]{
		want: want, kind: manifest.ByIngress, spec: change,
		meta: func(i *networkingv1.Ingress) *metav1.ObjectMeta { return &i.ObjectMeta },
		same: func(now *networkingv1.Ingress) bool {
			is := now.Spec.IngressClassName
			return len(now.Spec.Rules) > 0 && now.Spec.Rules[0].Host == s.spec.Ingress &&
				(class == nil || is != nil && *is == *class)
		},
	})
	if err != nil {
		return run.Public{}, err
	}
	origin := s.spec.Route.Origin
	if slices.ContainsFunc(now.Spec.TLS, func(t networkingv1.IngressTLS) bool {
		return slices.Contains(t.Hosts, s.spec.Ingress)
	}) { // somebody has added it
		origin = "https://" + s.spec.Ingress
	}
	p := run.Public{URL: origin + s.spec.Path}
	at := ""
	for _, i := range now.Status.LoadBalancer.Ingress {
		if at = i.IP + i.Hostname; at != "" {
			break
		}
	}
	if at == "" {
		p.Waits, p.Text = true, p.URL+" waits for an address of the ingress controller"
		return p, nil
	}
	p.Text = "the ingress controller answers at " + at + ", which is where " + s.spec.Ingress + " must lead (DNS)"
	return p, nil
}

func (s *server) route(ctx context.Context) (run.Public, error) {
	want := manifest.Route(s.owner, s.spec)
	now, err := put(ctx, s, s.routes(), object[manifest.HTTPRoute]{
		want: want, kind: manifest.ByRoute, spec: want.Spec,
		meta: func(r *manifest.HTTPRoute) *metav1.ObjectMeta { return &r.ObjectMeta },
		same: func(now *manifest.HTTPRoute) bool { return now.LeadsAs(want) },
	})
	if err != nil {
		return run.Public{}, err
	}
	p := run.Public{URL: s.spec.Route.Origin + s.spec.Path}
	which := "Gateway " + s.spec.Route.Gateway
	switch accepted := accepted(now); {
	case accepted == nil:
		p.Waits, p.Text = true, p.URL+" waits for "+which+" to take the server's HTTPRoute"
		return p, nil
	case accepted.Status != metav1.ConditionTrue:
		p.Waits, p.Text = true, fmt.Sprintf("%s: %s does not take the server's HTTPRoute: %s", p.URL, which,
			strings.TrimSuffix(accepted.Message, "."))
		return p, nil
	}
	in, name, _ := strings.Cut(s.spec.Route.Gateway, "/")
	g, err := gatewaysOf(s.cluster, in).Get(ctx, name)
	if err == nil && len(g.Status.Addresses) > 0 { // else it may not be read, and callers find it all the same
		p.Text = which + " answers at " + g.Status.Addresses[0].Value + ", which is where " + s.spec.Ingress +
			" must lead (DNS)"
	}
	return p, nil
}

// accepted is what the Gateway says of a route; nil is nothing yet.
func accepted(r *manifest.HTTPRoute) *metav1.Condition {
	for i := range r.Status.Parents {
		for j := range r.Status.Parents[i].Conditions {
			if c := &r.Status.Parents[i].Conditions[j]; c.Type == "Accepted" {
				return c
			}
		}
	}
	return nil
}

func (s *server) balancer(ctx context.Context) (run.Public, error) {
	now, err := s.typed(ctx, corev1.ServiceTypeLoadBalancer)
	if err != nil {
		return run.Public{}, err
	}
	for _, at := range now.Status.LoadBalancer.Ingress {
		if host := at.IP + at.Hostname; host != "" {
			return run.Public{URL: urlOf(host, int(now.Spec.Ports[0].Port), s.spec.Path)}, nil
		}
	}
	return run.Public{Waits: true, Text: "it waits for an address of the load balancer"}, nil
}

// urlOf is the address of an endpoint at a host.
func urlOf(host string, port int, path string) string {
	if port != run.ServicePort {
		host = net.JoinHostPort(host, strconv.Itoa(port))
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "http://" + host + path
}

// errNoService says that there is none of the server.
var errNoService = errors.New("the server has no Service of its own")

// typed gives the Service of the server a type.
func (s *server) typed(ctx context.Context, kind corev1.ServiceType) (*corev1.Service, error) {
	services := s.cluster.Core.Services(s.owner.Namespace)
	now, err := services.Get(ctx, s.owner.Name, metav1.GetOptions{})
	switch {
	case err != nil:
		return nil, err
	case !manifest.BelongsTo(&now.ObjectMeta, s.owner) || len(now.Spec.Ports) == 0:
		return nil, errNoService
	case now.Spec.Type == kind:
		return now, nil
	}
	options := metav1.PatchOptions{FieldManager: manager}
	if s.dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	patch := fmt.Appendf(nil, `{"spec":{"type":%q}}`, kind)
	return services.Patch(ctx, s.owner.Name, types.MergePatchType, patch, options)
}
