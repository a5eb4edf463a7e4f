//go:build linux

package main

import (
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// wholeDigits are the code cells of examples/digits.ipynb, with a smaller sweep, for a cluster.
func wholeDigits(t *testing.T) (cells []string) {
	t.Helper()
	data, err := os.ReadFile("../../examples/digits.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	var notebook struct{ Cells []cell }
	if err := json.Unmarshal(data, &notebook); err != nil {
		t.Fatal(err)
	}
	short := strings.NewReplacer("EPOCHS = 100\n", "EPOCHS = 20\n", "--completions 16", "--completions 2",
		" --tensorboard", "", "%%serve ", "%%serve --target kubernetes ")
	for _, one := range notebook.Cells {
		if one.Type == "code" {
			cells = append(cells, short.Replace(string(one.Source)))
		}
	}
	return cells
}

// The whole notebook that people begin with has its sweep and its server in the cluster, and nobody names an image.
func TestTheWholeDigitsNotebookRunsOnTheCluster(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := plain(t, space, "METAML_REPOSITORY="+registry+"/"+space+"/environments", "METAML_MEMORY=512Mi")
	cells := wholeDigits(t)
	last := len(cells) - 1 // it stops the server
	cell := &cells[last-3]
	if !strings.HasPrefix(*cell, "%%serve --target kubernetes --model run ") {
		t.Fatalf("the cell of the server is %s", *cell)
	}
	*cell = strings.Replace(*cell, "    odds = ", "    print('reading a digit')\n    odds = ", 1)
	const printed = "import time\nwhile 'reading a digit' not in server.logs():\n    time.sleep(0.1)\n" +
		"print(server.name, server.logs().splitlines()[0])"
	cells = append(cells[:last:last], printed, cells[last])
	done, failed := p.executes(at{}, cells...)
	if failed {
		for i := range done {
			t.Logf("cell %d shows\n%s", i, done[i].shows())
		}
		t.Fatal("a cell failed")
	}
	name := "read-digit-1@researcher/" + space
	ready := regexp.MustCompile(`(?m)^` + name + ` +ready on http://127\.0\.0\.1:\d+/predict +1 replica +model ` +
		`train-model-1@researcher/` + space + `:\d +first answer [\d.]+ \S*s$`)
	shown := done[last-3].shows()
	if !ready.MatchString(shown) || strings.Contains(shown, "waits") ||
		!strings.Contains(shown, "\nprograms in the cluster ask it on http://read-digit-1."+space+"/predict\n") {
		t.Errorf("under the cell of the server there is no %s:\n%s", ready, shown)
	}
	for _, c := range []struct {
		name string
		cell int
		want string
	}{
		{"any program asks it", last - 2, "it is a "},
		{"server.predict", last - 1, "the server reads 9"},
		{"server.logs", last, name + " reading a digit\n"},
		{"server.stop", last + 1, name + " is stopped\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if is := done[c.cell].shows(); !strings.Contains(is, c.want) {
				t.Errorf("the cell shows %q, without %q", is, c.want)
			}
		})
	}
}

// asks is what a pod without our programs sends a server, at the address of its Service under one of its names.
const asks = `
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[3].encode(), {"Content-Type": "application/json"})
request.add_header("Host", sys.argv[2])
print(urllib.request.urlopen(request, timeout=30).read().decode())
`

// A notebook in a pod serves in its own namespace with the rights that `metaml setup rbac` gives, and the address is
// that of the Service: there is nothing to forward. This cluster has no DNS, so that the address is asked by number.
func TestAServerOfANotebookInAPod(t *testing.T) {
	t.Parallel()
	const account = "notebook"
	space := namespace(t)
	core := client(t, inside.Admin).CoreV1()
	if _, err := core.ServiceAccounts(space).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: account},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	newPerson(t, inside.Admin, space).mayRun(space, "system:serviceaccount:"+space+":"+account)
	n := newNotebook(t, space, "monday", account)
	if out, code := n.does([]byte(doubles), "sh", "-c", "cat > serve.py"); code != 0 {
		t.Fatal(out)
	}
	out, code := n.metaml("run", "serve.py")
	name := "double-1@in-cluster/" + space
	if want := name + "   ready on http://double-1." + space + "/double   2 replicas"; code != 0 ||
		!strings.Contains(out, want) {
		t.Errorf("exit code %d, without %q: %s", code, want, out)
	}
	var s struct {
		URL        string `json:"url"`
		ClusterURL string `json:"cluster_url"`
	}
	if err := json.Unmarshal([]byte(n.must("show", "--json", name)), &s); err != nil {
		t.Fatal(err)
	}
	if s.URL != "http://double-1."+space+"/double" || s.URL != s.ClusterURL {
		t.Errorf("its addresses are %+v", s)
	}
	service, err := core.Services(space).Get(t.Context(), "double-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := at.Host
	at.Host = service.Spec.ClusterIP
	if out, code := n.does(nil, "python3", "-c", asks, at.String(), host, "21"); code != 0 || out != "42\n" {
		t.Errorf("the Service answers with exit code %d: %s", code, out)
	}
	n.must("stop", name)
	n.must("delete", name)
	leavesNothing(t, space)
}
