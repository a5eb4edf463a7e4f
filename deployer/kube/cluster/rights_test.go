package cluster_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// having is a connection of somebody who has some rights, and how often the cluster was asked for them.
func having(t *testing.T, given []cluster.Rule) (c *cluster.Cluster, asked *atomic.Int32) {
	t.Helper()
	review := authorizationv1.SelfSubjectRulesReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectRulesReview"},
	}
	for _, r := range given {
		review.Status.ResourceRules = append(review.Status.ResourceRules, authorizationv1.ResourceRule{
			APIGroups: []string{r.Group}, Resources: r.Resources, Verbs: r.Verbs,
		})
	}
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/selfsubjectrulesreviews") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", server.URL))
	c, err := cluster.Connect("research", "")
	if err != nil {
		t.Fatal(err)
	}
	return c, asked
}

func TestWhatRunsWorkWithoutIsNotRefused(t *testing.T) {
	c, asked := having(t, cluster.Needed)
	live, err := c.CheckRights(t.Context(), run.Train)
	if err != nil || len(live) != len(cluster.Live) || asked.Load() != 1 {
		t.Fatalf("got %v, %v; asked %d times", live, err, asked.Load())
	}
	if got := live[1].String(); got != "create, get pods/portforward (to read what trials report while they run)" {
		t.Errorf("got %s", got)
	}
}

func TestARightThatRunsNeedIsRefused(t *testing.T) {
	c, _ := having(t, slices.Concat(cluster.Live, cluster.Needed[1:]))
	live, err := c.CheckRights(t.Context(), run.Train)
	mistake(t, err, usererror.CodeRights, "configmaps (to keep what is run", "kubectl -n team create role metaml ")
	if len(live) != 0 {
		t.Errorf("%v is missing", live)
	}
}

func TestAServerNeedsMoreRights(t *testing.T) {
	c, _ := having(t, slices.Concat(cluster.Live, cluster.Needed))
	if _, err := c.CheckRights(t.Context(), run.Train); err != nil {
		t.Error(err)
	}
	_, err := c.CheckRights(t.Context(), run.Serve)
	mistake(t, err, usererror.CodeRights, "deployments (to run servers)", "metaml setup rbac")
}

func TestALockedServerNeedsToReadItsToken(t *testing.T) {
	rules := slices.Concat(cluster.Live, cluster.NeededBy(run.Serve))
	c, _ := having(t, rules)
	if _, err := c.CheckRights(t.Context(), run.Serve); err != nil {
		t.Errorf("one that is open: %v", err)
	}
	_, err := c.CheckRights(t.Context(), run.Serve, cluster.Locking...)
	mistake(t, err, usererror.CodeRights, "get secrets (to read the token of a server)",
		"kubectl -n team create role metaml --verb=get --resource=secrets")
	c, _ = having(t, slices.Concat(rules, cluster.Locking))
	if _, err := c.CheckRights(t.Context(), run.Serve, cluster.Locking...); err != nil {
		t.Error(err)
	}
}

func TestARightForIngressesIsRefused(t *testing.T) {
	c, _ := having(t, slices.Concat(cluster.Needed, cluster.Serving))
	err := c.CheckIngress(t.Context(), cluster.RouteRights)
	mistake(t, err, usererror.CodeRights, "httproutes (to lead callers from outside to a server)",
		"metaml setup rbac --ingress")
	c, _ = having(t, cluster.RouteRights)
	if err := c.CheckIngress(t.Context(), cluster.RouteRights); err != nil {
		t.Error(err)
	}
}

func TestTheRoleHasRightsForIngressesWhereTheyAreAskedFor(t *testing.T) {
	for _, ingress := range []bool{false, true} {
		t.Run(strconv.FormatBool(ingress), func(t *testing.T) {
			role, err := cluster.Role("team", "ada", ingress)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"- ingresses", "- httproutes", "kind: ClusterRole\n", "- ingressclasses"} {
				if strings.Contains(string(role), want) != ingress {
					t.Errorf("whether the role has %s:\n%s", want, role)
				}
			}
		})
	}
}

func TestTheRoleHasAllRights(t *testing.T) {
	role, err := cluster.Role("team", "ada", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- configmaps", "- services", "- pods/portforward", "- deployments"} {
		if !strings.Contains(string(role), want) {
			t.Errorf("the role lacks %s:\n%s", want, role)
		}
	}
}
