package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/test/noted"
)

const toServer = `
apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: %s}}]
users: [{name: lab}]
contexts: [{name: lab, context: {cluster: lab, user: lab, namespace: team}}]
`

// A new server whose first revision did not come about is removed, unless somebody else has given it another meanwhile.
func TestAFirstRevisionThatDidNotComeAbout(t *testing.T) {
	for _, c := range []struct {
		name      string
		revisions int
		removed   string
	}{
		{"nobody else has one", 1, "serve-1"},
		{"somebody else has", 2, "serve-1-v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			object := func(name string, revision int) *corev1.ConfigMap {
				labels := map[string]string{manifest.LabelRevision: strconv.Itoa(revision)}
				return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid", Labels: labels}}
			}
			list := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
			for n := range c.revisions {
				list.Items = append(list.Items, *object(fmt.Sprintf("serve-1-v%d", n+1), n+1))
			}
			var removed noted.List[string]
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.Method == http.MethodDelete {
					removed.Add(filepath.Base(r.URL.Path))
					_ = json.NewEncoder(w).Encode(metav1.Status{
						TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess,
					})
					return
				}
				_ = json.NewEncoder(w).Encode(list)
			}))
			t.Cleanup(server.Close)
			config := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(config, fmt.Appendf(nil, toServer, server.URL), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("KUBECONFIG", config)
			to, err := cluster.Connect("lab", "")
			if err != nil {
				t.Fatal(err)
			}
			mine := &taken{owner: object("serve-1", 0), revision: object("serve-1-v1", 1), first: true}
			if err := (&Place{cluster: to}).takeBack(t.Context(), mine); err != nil {
				t.Fatal(err)
			}
			if removed := removed.All(); len(removed) != 1 || removed[0] != c.removed {
				t.Errorf("removed %q, want %s", removed, c.removed)
			}
		})
	}
}
