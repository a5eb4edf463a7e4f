package cluster_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/internal/usererror"
)

func TestAQueueIsThereOrRefused(t *testing.T) {
	const (
		group  = "/apis/kueue.x-k8s.io"
		queues = group + "/v1beta2/namespaces/team/localqueues"
		known  = `{"kind":"APIGroup","preferredVersion":{"groupVersion":"kueue.x-k8s.io/v1beta2"}}`
	)
	for _, c := range []struct {
		name       string
		has        map[string]string // "": it may not be read
		code       usererror.Code
		text, hint string
	}{
		{
			"no Kueue", nil, usererror.CodeTarget, "cluster research has no Kueue, which starts the runs of a queue",
			"Leave --queue fast out",
		},
		{"Kueue may not be seen", map[string]string{group: ""}, "", "", ""},
		{"it is there", map[string]string{group: known, queues + "/fast": "{}"}, "", "", ""},
		{"it may not be read", map[string]string{group: known, queues + "/fast": ""}, "", "", ""},
		{
			"another is there",
			map[string]string{
				group: known, queues: `{"items":[{"metadata":{"name":"slow"}},{"metadata":{"name":"b"}}]}`,
			},
			usererror.CodeOption, "namespace team of cluster research has no queue fast", "It has slow and b.",
		},
		{
			"none is there",
			map[string]string{group: known, queues: `{"items":[]}`},
			usererror.CodeOption, "has no queue fast", "It has none;",
		},
		{
			"which there are may not be read",
			map[string]string{group: known, queues: ""},
			usererror.CodeOption, "has no queue fast", "Ask an administrator of the namespace",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, found := c.has[r.URL.Path]
				if r.Header.Get("Accept") != "application/json" { // else the API server may answer in another format
					text = "k8s"
				}
				switch {
				case !found:
					w.WriteHeader(http.StatusNotFound)
				case text == "":
					w.WriteHeader(http.StatusForbidden)
				default:
					_, _ = w.Write([]byte(text))
				}
			}))
			defer server.Close()
			kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", server.URL))
			to, err := cluster.Connect("research", "")
			if err != nil {
				t.Fatal(err)
			}
			if err = to.CheckQueue(t.Context(), "fast"); c.code == "" && err != nil {
				t.Errorf("refused: %v", err)
			} else if c.code != "" {
				mistake(t, err, c.code, c.text, c.hint)
			}
			if err := to.CheckQueue(t.Context(), ""); err != nil {
				t.Errorf("without a queue: %v", err)
			}
		})
	}
}
