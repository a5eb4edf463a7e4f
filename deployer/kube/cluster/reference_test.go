package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/kube/cluster"
)

func TestTheRightsInTheDocsAreThoseThatAreUsed(t *testing.T) {
	const page = "docs/reference/kubernetes.md"
	data, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][]cluster.Rule{
		cluster.Needed, cluster.Serving, cluster.Locking, cluster.Autoscaled, cluster.Live,
		slices.Concat(cluster.IngressRights, cluster.RouteRights),
		cluster.Finding,
	} {
		var want strings.Builder
		want.WriteString("| resource | verbs | to |\n| --- | --- | --- |\n")
		for _, r := range rules {
			for _, resource := range r.Resources {
				if r.Group != "" {
					resource += "." + r.Group
				}
				fmt.Fprintf(&want, "| `%s` | %s | %s |\n", resource, strings.Join(r.Verbs, ", "), r.Why)
			}
		}
		want.WriteString("\n") // no row more
		if !strings.Contains(string(data), want.String()) {
			t.Errorf("%s has another table of rights than this:\n%s", page, &want)
		}
	}
}
