package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/internal/usererror"
)

// kubeconfig makes text the kubeconfig of a test.
func kubeconfig(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if text != "" {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBECONFIG", file)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

const twoContexts = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "SERVER"}}]
users: [{name: u, user: {token: secret}}]
contexts:
- {name: research, context: {cluster: c, user: u, namespace: team}}
- {name: prod, context: {cluster: c, user: u}}
`

// mistake checks what is said to the user.
func mistake(t *testing.T, err error, code usererror.Code, text, hint string) {
	t.Helper()
	u, ok := errors.AsType[*usererror.Error](err)
	if !ok {
		t.Fatalf("got %v, want a mistake of the user", err)
	}
	if u.Code != code || !strings.Contains(u.Text, text) || !strings.Contains(u.Hint, hint) {
		t.Errorf("got %s: %s\n%s\nwant %s: %s\n%s", u.Code, u.Text, u.Hint, code, text, hint)
	}
}

func TestWhatNoClusterIsFoundFor(t *testing.T) {
	for _, c := range []struct{ name, config, context, text, hint string }{
		{"no kubeconfig", "", "", "there is no kubeconfig, so no cluster is known: ", "Ask whoever runs your cluster"},
		{"no kubeconfig, but a context", "", "prod", "there is no kubeconfig", "Ask whoever runs your cluster"},
		{"no context", "apiVersion: v1\nkind: Config\n", "", "has no context", "Ask whoever runs your cluster"},
		{
			"no current context", twoContexts, "", "has no current context",
			"Name one with --context: prod and research.",
		},
		{"another context", twoContexts, "reserch", `has no context "reserch"`, `Did you mean "research"?`},
		{"what is no kubeconfig", "{", "", "cannot be read", "kubectl config view"},
		{
			"a context without a cluster",
			"apiVersion: v1\nkind: Config\ncontexts: [{name: a, context: {cluster: b}}]", "a",
			`the context "a" of the kubeconfig cannot be used`, "kubectl config view",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig(t, c.config)
			_, err := cluster.Connect(c.context, "")
			mistake(t, err, usererror.CodeKubeconfig, c.text, c.hint)
		})
	}
}

func TestANamespaceIsNamedOrTheContexts(t *testing.T) {
	kubeconfig(t, twoContexts)
	for _, c := range []struct{ context, namespace, want string }{
		{"research", "", "research/team"}, {"prod", "", "prod/default"}, {"prod", "mine", "prod/mine"},
	} {
		t.Run(c.want, func(t *testing.T) {
			got, err := cluster.Connect(c.context, c.namespace)
			if err != nil || got.Place() != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// A run is found again by the address and certificate of its cluster, whatever context leads there now.
func TestFindGoesByTheServer(t *testing.T) {
	kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", "https://one.example"))
	before, err := cluster.Connect("research", "")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig(t, strings.NewReplacer("SERVER", "https://one.example", "research", "renamed").Replace(twoContexts))
	again, err := cluster.Find(before.Pin)
	if err != nil || !again.Same(before.Pin) || again.Place() != "research/team" {
		t.Errorf("got %v, %v", again, err)
	}
	kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", "https://two.example"))
	_, err = cluster.Find(before.Pin)
	mistake(
		t,
		err,
		usererror.CodeKubeconfig,
		"no context of the kubeconfig leads to the cluster of research/team",
		"KUBECONFIG",
	)
}

func TestAClusterThatCannotBeReached(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	foreign := httptest.NewTLSServer(http.NotFoundHandler())
	defer foreign.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(
			[]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`),
		)
	}))
	defer refusing.Close()
	for _, c := range []struct {
		name, server string
		code         usererror.Code
		text, hint   string
	}{
		{"nobody listens", closed.URL, usererror.CodeUnreachable, "nobody listens there", "Check the network"},
		{"another certificate", foreign.URL, usererror.CodeUnreachable, "its certificate is not the one", ""},
		{"no such name", "https://no-such-host.invalid", usererror.CodeUnreachable, "is not known here", ""},
		{"a login that expired", refusing.URL, usererror.CodeLogin, "may have expired", "Log in again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", c.server))
			to, err := cluster.Connect("prod", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = to.User(t.Context())
			mistake(t, err, c.code, c.text, c.hint)
		})
	}
}

func TestAnOldClusterIsRefused(t *testing.T) {
	for minor, want := range map[string]usererror.Code{"27": usererror.CodeTarget, "29": "", "34+": "", "what": ""} {
		t.Run(minor, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"major":"1","minor":%q,"gitVersion":"v1.%[1]s.3"}`, minor)
			}))
			defer server.Close()
			kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", server.URL))
			to, err := cluster.Connect("prod", "")
			if err != nil {
				t.Fatal(err)
			}
			if err = to.CheckVersion(t.Context()); want == "" && err != nil {
				t.Errorf("refused: %v", err)
			} else if want != "" {
				mistake(t, err, want, "runs Kubernetes v1.27.3, which is too old", "needs Kubernetes 1.29 or newer")
			}
		})
	}
}

func TestALoginByAProgram(t *testing.T) {
	fails := filepath.Join(t.TempDir(), "gke-gcloud-auth-plugin")
	if err := os.WriteFile(fails, []byte("#!/bin/sh\necho expired >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, program, text, hint string }{
		{
			"one that is not there", "no-such-login-program",
			"needs the program no-such-login-program, which is not on PATH",
			"Install it from the intranet.",
		},
		{
			"a path where nothing is", "/no/such/login", "needs the program /no/such/login, which is not there",
			"Install it again",
		},
		{
			"one that fails", fails, "the login to cluster a does not work",
			"Log in again in a terminal: gcloud auth login.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig(t, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "`+c.program+`",
  installHint: Install it from the intranet, interactiveMode: IfAvailable}}}]
contexts: [{name: a, context: {cluster: c, user: u}}]
`)
			to, err := cluster.Connect("a", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = to.User(t.Context())
			mistake(t, err, usererror.CodeLogin, c.text, c.hint)
		})
	}
}

func TestAnAccountThatIsNotThereIsSaid(t *testing.T) {
	for _, c := range []struct{ name, host, context, text, hint string }{
		{"outside of a cluster", "", cluster.InCluster, "and this is none", "--context"},
		{"a pod without a token", "127.0.0.1", "", "the account of this pod cannot be used", "service account"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig(t, "")
			t.Setenv("KUBERNETES_SERVICE_HOST", c.host)
			t.Setenv("KUBERNETES_SERVICE_PORT", "1")
			_, err := cluster.Connect(c.context, "")
			mistake(t, err, usererror.CodeKubeconfig, c.text, c.hint)
		})
	}
}

// What client-go has to say of a connection that broke would come between what we print.
func TestTheLibraryOfTheClusterPrintsNothing(t *testing.T) {
	kubeconfig(t, "")
	_, _ = cluster.Connect("", "") // there is none
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	stderr := os.Stderr
	os.Stderr = said
	klog.ErrorS(errors.New("unexpected EOF"), "Unexpected error when reading response body")
	klog.Warning("unexpected")
	klog.Flush()
	os.Stderr = stderr
	if text, err := os.ReadFile(said.Name()); err != nil || len(text) > 0 {
		t.Errorf("it printed %q, %v", text, err)
	}
}
