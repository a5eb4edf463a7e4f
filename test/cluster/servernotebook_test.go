//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// wholeDigits is examples/digits.ipynb with a smaller sweep, whose server prints what its log is to have.
func wholeDigits(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../examples/digits.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`EPOCHS = 100\n`, `EPOCHS = 20\n`},
		{`--completions 16`, `--completions 2`},
		{` --tensorboard`, ``},
		{`"    odds = network.predict(image`, `"    print('reading a digit')\n", "    odds = network.predict(image`},
		{
			`"server.stop()\n"`, `"import time\n", "while 'reading a digit' not in server.logs():\n", ` +
				`"    time.sleep(0.1)\n", "print(server.logs().splitlines()[0])\n", "server.stop()\n"`,
		},
	} {
		if bytes.Count(data, []byte(edit[0])) != 1 {
			t.Fatalf("%s is not once in the notebook", edit[0])
		}
		data = bytes.Replace(data, []byte(edit[0]), []byte(edit[1]), 1)
	}
	return data
}

// `make demo TARGET=kubernetes REPOSITORY=…` runs the notebook that people begin with, of which no cell says where it
// runs: its sweep and its server are in the cluster, and nothing is left.
func TestTheDemoRunsOnTheClusterAndLeavesNothing(t *testing.T) {
	t.Parallel()
	space := namespace(t)
	p := plain(t, space)
	notebook, out := filepath.Join(p.home, "digits.ipynb"), filepath.Join(p.home, "out")
	if err := os.WriteFile(notebook, wholeDigits(t), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	demo := exec.CommandContext(t.Context(), python(t), filepath.Join(root, "tools", "demo.py"), "--target",
		"kubernetes", "--repository", registry+"/"+space+"/environments", "--base", inside.BarePython, "--namespace",
		space, notebook, out)
	demo.Dir = p.home
	demo.Env = append(p.jupyter(), "METAML_MEMORY=512Mi", "MPLCONFIGDIR="+filepath.Join(p.home, "matplotlib"),
		"PATH="+filepath.Join(root, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	said, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("the demo: %v\n%s", err, said)
	}
	sweep, server := "train-model-1@"+inside.Researcher+"/"+space, "read-digit-1@"+inside.Researcher+"/"+space
	for _, want := range []string{
		`      ` + sweep + `   2 trials   succeeded in .*`,
		`      trial \d wins with .*`,
		`      ` + server + ` +ready on http://127\.0\.0\.1:\d+/predict +1 replica +model ` + sweep + `:\d +first ` +
			`answer [\d.]+ \S*s`,
		`      programs in the cluster ask it on http://read-digit-1\.` + space + `/predict`,
		`      a \d, with odds of .*; it is a \d`,
		`      the server reads 9.*`,
		`      .*reading a digit`,
		`      ` + server + ` is stopped`,
		`deleted ` + server,
		`deleted ` + sweep,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).Match(said) {
			t.Errorf("it does not say %s", want)
		}
	}
	if t.Failed() {
		t.Errorf("it said\n%s", said)
	}
	if _, err := os.Stat(filepath.Join(out, "digits.html")); err != nil {
		t.Error(err)
	}
	leavesNothing(t, space)
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
