package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// Rule is a right that runs need: these verbs on these resources of one API group.
type Rule struct {
	Group     string
	Resources []string
	Verbs     []string
	Why       string // what it is for, after "to"
}

// String says what may be done with what, and what for.
func (r Rule) String() string {
	return fmt.Sprintf("%s %s (to %s)", strings.Join(r.Verbs, ", "), strings.Join(r.Resources, ", "), r.Why)
}

// Needed are the rights that runs need in their namespace, and nothing more.
var Needed = []Rule{
	{
		Resources: []string{"configmaps"}, Verbs: []string{"create", "get", "list", "watch", "patch", "delete"},
		Why: "keep what is run and what became of it",
	},
	{
		Resources: []string{"secrets"}, Verbs: []string{"create"},
		Why: "give the pods the key under which values are compared",
	},
	{
		Group:     "batch",
		Resources: []string{"jobs"},
		Verbs:     []string{"create", "get", "list", "watch", "patch", "delete"},
		Why:       "run the trials",
	},
	{
		Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch", "patch", "delete"},
		Why: "watch trials, and stop one",
	},
	{Resources: []string{"pods/log"}, Verbs: []string{"get"}, Why: "read what trials print"},
	{Resources: []string{"events"}, Verbs: []string{"list"}, Why: "say why a trial waits"},
}

// Serving are the rights that servers need besides [Needed].
var Serving = []Rule{
	{
		Group: "apps", Resources: []string{"deployments"}, Verbs: []string{"create", "get", "list", "watch", "patch"},
		Why: "run servers",
	},
	{Group: "apps", Resources: []string{"replicasets"}, Verbs: []string{"list"}, Why: "take a revision back"},
	{Resources: []string{"services"}, Verbs: []string{"create", "get", "patch"}, Why: "give servers an address"},
	{
		Group: "policy", Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"create"},
		Why: "keep a server going while nodes are drained",
	},
}

// Locking are the rights that servers with --auth token need besides. Who may make pods can read each Secret of the
// namespace anyway, by having a pod read it (Kubernetes, "Good practices for Kubernetes Secrets").
var Locking = []Rule{
	{Resources: []string{"secrets"}, Verbs: []string{"get"}, Why: "read the token of a server"},
}

// Live are the rights without which runs work, and have no live curves.
var Live = []Rule{
	{Resources: []string{"services"}, Verbs: []string{"create"}, Why: "give trials an address to report to"},
	{
		Resources: []string{"pods/portforward"}, Verbs: []string{"create", "get"},
		Why: "read what trials report while they run",
	},
}

// NeededBy are the rights that runs of a kind need.
func NeededBy(kind run.Kind) []Rule {
	if kind == run.Serve {
		return slices.Concat(Needed, Serving)
	}
	return Needed
}

// Missing gives the rights of [NeededBy], of besides and of [Live] that we lack in the namespace; where the cluster
// cannot list rights, none.
func (c *Cluster) Missing(ctx context.Context, kind run.Kind, besides ...Rule) (needed, live []Rule, err error) {
	given, err := c.given(ctx)
	if err != nil || given == nil {
		return nil, nil, err
	}
	return lacking(slices.Concat(NeededBy(kind), besides), given), lacking(Live, given), nil
}

// given are our rights in the namespace; where the cluster cannot list them, nil: each request will say it.
func (c *Cluster) given(ctx context.Context) ([]authorizationv1.ResourceRule, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	review, err := into[authorizationv1.SelfSubjectRulesReview](ctx,
		c.authorization.Post().Resource("selfsubjectrulesreviews").Body(&authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: c.Namespace},
		}))
	if err != nil {
		return nil, c.Explain(err, "ask what you may do")
	}
	if review.Status.Incomplete {
		return nil, nil // a webhook decides
	}
	return append([]authorizationv1.ResourceRule{}, review.Status.ResourceRules...), nil
}

// lacking is what of some rights is not given.
func lacking(rules []Rule, given []authorizationv1.ResourceRule) (missing []Rule) {
	for _, need := range rules {
		lacks := need
		lacks.Resources, lacks.Verbs = nil, nil
		for _, resource := range need.Resources {
			for _, verb := range need.Verbs {
				if !allowed(given, need.Group, resource, verb) {
					if !slices.Contains(lacks.Resources, resource) {
						lacks.Resources = append(lacks.Resources, resource)
					}
					if !slices.Contains(lacks.Verbs, verb) {
						lacks.Verbs = append(lacks.Verbs, verb)
					}
				}
			}
		}
		if len(lacks.Verbs) > 0 {
			missing = append(missing, lacks)
		}
	}
	return missing
}

func allowed(rules []authorizationv1.ResourceRule, group, resource, verb string) bool {
	return slices.ContainsFunc(rules, func(r authorizationv1.ResourceRule) bool {
		return len(r.ResourceNames) == 0 && has(r.APIGroups, group) && has(r.Verbs, verb) &&
			(has(r.Resources, resource) || strings.Contains(resource, "/") &&
				slices.Contains(r.Resources, "*/"+resource[strings.Index(resource, "/")+1:]))
	})
}

func has(list []string, item string) bool {
	return slices.Contains(list, item) || slices.Contains(list, "*")
}

// CheckNamespace refuses a namespace that is not there. Many may not ask for it; then it is taken to be there.
func (c *Cluster) CheckNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	if _, err := c.Core.Namespaces().Get(ctx, c.Namespace, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return c.Explain(err, "look for namespace "+c.Namespace)
	}
	return nil
}

// CheckRights refuses where a right is missing that runs of a kind need, or one of besides, before anything is made. It
// gives those of [Live] that are missing.
func (c *Cluster) CheckRights(ctx context.Context, kind run.Kind, besides ...Rule) (live []Rule, err error) {
	missing, live, err := c.Missing(ctx, kind, besides...)
	if err != nil || len(missing) == 0 {
		return live, err
	}
	return live, c.lacks(missing, c.HowToGrant(ctx, missing))
}

// lacks says which rights are missing, and what to do.
func (c *Cluster) lacks(missing []Rule, hint string) error {
	var lacks []string
	for _, r := range missing {
		lacks = append(lacks, r.String())
	}
	return &usererror.Error{
		Code: usererror.CodeRights,
		Text: fmt.Sprintf(
			"you may not do all that runs need in namespace %s of cluster %s: %s are missing",
			c.Namespace,
			c.Context,
			strings.Join(lacks, "; "),
		),
		Hint: hint,
	}
}

// HowToGrant says how an administrator gives us rights.
func (c *Cluster) HowToGrant(ctx context.Context, rules []Rule) string {
	return "An administrator can give it: " + strings.Join(c.grant(ctx, rules), "; ") + "."
}

// many is from how many rules on a Role that has them all is shorter than a Role for each, as kubectl makes them.
const many = 3

// grant gives the commands by which an administrator gives us rights.
func (c *Cluster) grant(ctx context.Context, rules []Rule) []string {
	user, err := c.User(ctx)
	if err != nil {
		user = "USER"
	}
	if len(rules) >= many {
		return []string{
			fmt.Sprintf("metaml setup rbac --namespace %s --user %s | kubectl apply -f -", c.Namespace, user),
		}
	}
	var commands []string
	for i, r := range rules {
		name := "metaml"
		if len(rules) > 1 {
			name = fmt.Sprintf("metaml-%d", i+1)
		}
		resources := make([]string, len(r.Resources))
		for i, resource := range r.Resources {
			resources[i] = resource
			if r.Group != "" {
				resources[i] += "." + r.Group
			}
		}
		commands = append(commands,
			fmt.Sprintf("kubectl -n %s create role %s --verb=%s --resource=%s", c.Namespace, name,
				strings.Join(r.Verbs, ","), strings.Join(resources, ",")),
			fmt.Sprintf("kubectl -n %s create rolebinding %s --role=%s --user=%s", c.Namespace, name, name, user))
	}
	return commands
}
