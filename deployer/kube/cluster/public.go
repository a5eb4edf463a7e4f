package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The groups of what leads callers from outside to a server.
const (
	networking = "networking.k8s.io"
	gateways   = "gateway.networking.k8s.io"
)

// IngressRights are the rights that a server with an Ingress needs besides [Serving].
var IngressRights = []Rule{{
	Group: networking, Resources: []string{"ingresses"}, Verbs: []string{"create", "get", "patch", "delete"},
	Why: "lead callers from outside to a server",
}}

// RouteRights are the rights that a server with an HTTPRoute needs besides [Serving].
var RouteRights = []Rule{{
	Group: gateways, Resources: []string{"httproutes"}, Verbs: []string{"create", "get", "patch", "delete"},
	Why: "lead callers from outside to a server",
}}

// Finding are rights in the whole cluster without which servers work: they find out what takes Ingresses and HTTPRoutes
// there.
var Finding = []Rule{
	{
		Group: networking, Resources: []string{"ingressclasses"}, Verbs: []string{"list"},
		Why: "find what takes Ingresses",
	},
	{
		Group: gateways, Resources: []string{"gateways"}, Verbs: []string{"get", "list"},
		Why: "find what takes HTTPRoutes, and where it answers",
	},
}

// CheckIngress refuses where one of the rights is missing in the namespace that a server with an Ingress or an
// HTTPRoute needs, before anything is made.
func (c *Cluster) CheckIngress(ctx context.Context, rules []Rule) error {
	given, err := c.given(ctx)
	if err != nil || given == nil {
		return err
	}
	missing := lacking(rules, given)
	if len(missing) == 0 {
		return nil
	}
	user, err := c.User(ctx)
	if err != nil {
		user = "USER"
	}
	return c.lacks(missing, fmt.Sprintf("An administrator can give it: metaml setup rbac --ingress --namespace %s "+
		"--user %s | kubectl apply -f -.", c.Namespace, user))
}

// public gives a user the rights of [Finding], as YAML. Each user has a binding of their own, since its name counts in
// the whole cluster.
func public(user string) ([]byte, error) {
	const name = "metaml-ingress"
	meta := metav1.ObjectMeta{Name: name}
	sum := sha256.Sum256([]byte(user))
	role := rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: meta, Rules: policies(Finding),
	}
	binding := rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + hex.EncodeToString(sum[:5])},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   subjects(user),
	}
	return documents(role, binding)
}
