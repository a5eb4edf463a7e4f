package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/internal/usererror"
)

// program is the program of a login, which notes that it was executed and does what its file says.
type program struct{ does, calls string }

// loginBy has a person log in to a server by a program, which executes a shell script for that.
func loginBy(t *testing.T, server *httptest.Server, script string) (*cluster.Cluster, program) {
	t.Helper()
	dir := t.TempDir()
	p := program{does: filepath.Join(dir, "does"), calls: filepath.Join(dir, "calls")}
	p.do(t, script)
	return loginOf(t, server, filepath.Join(dir, "login"), p), p
}

// loginOf has a person log in by the program at a path.
func loginOf(t *testing.T, server *httptest.Server, path string, p program) *cluster.Cluster {
	t.Helper()
	executed := fmt.Appendf(nil, "#!/bin/sh\necho >> %s\n. %s\n", p.calls, p.does)
	if err := os.WriteFile(path, executed, 0o700); err != nil {
		t.Fatal(err)
	}
	kubeconfig(t, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+server.URL+`", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "`+path+`",
  interactiveMode: IfAvailable}}}]
contexts: [{name: a, context: {cluster: c, user: u}}]
`)
	c, err := cluster.Connect("a", "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p program) do(t *testing.T, script string) {
	t.Helper()
	if err := os.WriteFile(p.does, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
}

// executed is how often it was.
func (p program) executed(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(p.calls)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(data)
}

const (
	failing = "echo open a browser >&2; exit 1"
	giving  = `echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
"status": {"token": "%s"}}'`
)

// accepting is a server that accepts one login. It has TLS: without it no login is sent.
func accepting(t *testing.T, token string) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	return server
}

func get(ctx context.Context, c *cluster.Cluster) error {
	_, err := c.Core.ConfigMaps("team").Get(ctx, "fit-1", metav1.GetOptions{})
	return c.Explain(err, "read")
}

// several sends requests beside each other, and gives how many did not fail for the login.
func several(ctx context.Context, c *cluster.Cluster) (well int) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for range 20 {
		all.Go(func() {
			if err := get(ctx, c); !cluster.IsLogin(err) {
				mu.Lock()
				well++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return well
}

func TestAProgramThatFailsIsExecutedOnceForAllRequests(t *testing.T) {
	c, p := loginBy(t, accepting(t, "good"), failing)
	changed := 0
	c.Guard(func() { changed++ })
	for range 2 {
		if well := several(t.Context(), c); well != 0 || p.executed(t) != 1 {
			t.Errorf("%d requests went well; it was executed %d times", well, p.executed(t))
		}
	}
	mistake(t, c.Explain(c.Shut(), ""), usererror.CodeLogin, "the login to cluster a does not work", "Log in again")
	p.do(t, fmt.Sprintf(giving, "good"))
	if err := get(cluster.Try(t.Context()), c); cluster.IsLogin(err) || c.Shut() != nil || changed != 2 {
		t.Errorf("got %v; nothing is sent for %v; changed %d times", err, c.Shut(), changed)
	}
	if well := several(t.Context(), c); well != 20 || p.executed(t) != 2 {
		t.Errorf("%d requests went well; it was executed %d times", well, p.executed(t))
	}
}

// A program gives a token that lasts, as far as it knows.
func TestALoginThatIsNotAcceptedIsRenewedOnceForAllRequests(t *testing.T) {
	for _, renewed := range []bool{true, false} {
		c, p := loginBy(t, accepting(t, "good"), fmt.Sprintf(giving, "bad"))
		c.Guard(func() {})
		if well := several(t.Context(), c); well != 0 || p.executed(t) != 1 {
			t.Errorf("%d requests went well; it was executed %d times", well, p.executed(t))
		}
		mistake(t, c.Explain(c.Shut(), ""), usererror.CodeLogin, "does not accept your login", "Log in again")
		if renewed {
			p.do(t, fmt.Sprintf(giving, "good"))
		}
		err := get(cluster.Try(t.Context()), c)
		if cluster.IsLogin(err) == renewed || (c.Shut() == nil) != renewed || p.executed(t) != 2 {
			t.Errorf("renewed: %t; got %v; it was executed %d times", renewed, err, p.executed(t))
		}
	}
}

// Who does not guard a connection, as a command does not, may try again at any time.
func TestALoginIsRenewedForTheNextRequest(t *testing.T) {
	c, p := loginBy(t, accepting(t, "good"), fmt.Sprintf(giving, "bad"))
	first := get(t.Context(), c)
	p.do(t, fmt.Sprintf(giving, "good"))
	if next := get(t.Context(), c); !cluster.IsLogin(first) || cluster.IsLogin(next) {
		t.Errorf("got %v, then %v", first, next)
	}
}

// A program may wait for somebody who is away: what needs the login does not, and no other program is executed.
func TestAProgramThatWaitsHoldsNobodyUp(t *testing.T) {
	c, p := loginBy(t, accepting(t, "good"), "")
	gate := filepath.Join(t.TempDir(), "gate")
	p.do(t, "while [ ! -e "+gate+" ]; do sleep 0.05; done; "+fmt.Sprintf(giving, "good"))
	changed := make(chan struct{}, 1)
	c.Guard(func() { changed <- struct{}{} })
	for range 2 {
		ctx, cancel := context.WithTimeout(cluster.Try(t.Context()), 200*time.Millisecond)
		mistake(t, get(ctx, c), usererror.CodeLogin, "has not ended yet; it may wait for you", "")
		cancel()
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := get(t.Context(), c); cluster.IsLogin(err) || p.executed(t) != 1 {
		t.Errorf("got %v; it was executed %d times", err, p.executed(t))
	}
}

func TestWhetherTheClusterAnswersIsAskedWithoutALogin(t *testing.T) {
	server := accepting(t, "good")
	c, p := loginBy(t, server, failing)
	if err := c.Answers(t.Context()); err != nil {
		t.Error(err)
	}
	server.Close()
	if err := c.Answers(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") || p.executed(t) != 0 {
		t.Errorf("got %v; it was executed %d times", err, p.executed(t))
	}
}

func TestALoginMayWorkWhereItsFilesChange(t *testing.T) {
	c, p := loginBy(t, accepting(t, "good"), failing)
	before := c.LoginFiles()
	if before == "" || c.LoginFiles() != before || !c.LoginDisturbs() {
		t.Errorf("it goes by %q", before)
	}
	if err := os.Chtimes(os.Getenv("KUBECONFIG"), time.Time{}, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(p.does), "login")); err != nil {
		t.Fatal(err)
	}
	if c.LoginFiles() == before || c.LoginDisturbs() {
		t.Error("it goes by the same, or would execute what is not there")
	}
}

// Who logs in changes what programs keep of a login, and no kubeconfig.
func TestALoginMayWorkWhereSomebodyHasLoggedIn(t *testing.T) {
	for _, c := range []struct{ program, variable, changes string }{
		{"aws", "", ".aws/sso/cache/0f3a.json"},
		{"aws", "AWS_SHARED_CREDENTIALS_FILE", "credentials"},
		{"aws-iam-authenticator", "", ".aws/credentials"},
		{"gke-gcloud-auth-plugin", "", ".config/gcloud/credentials.db"},
		{"gke-gcloud-auth-plugin", "CLOUDSDK_CONFIG", "credentials.db"},
		{"kubelogin", "", ".azure/msal_token_cache.json"},
		{"kubectl-oidc_login", "", ".kube/cache/oidc-login/a"},
	} {
		t.Run(c.program+" "+c.changes, func(t *testing.T) {
			elsewhere, programs := t.TempDir(), t.TempDir()
			switch c.variable {
			case "":
			case "CLOUDSDK_CONFIG":
				t.Setenv(c.variable, elsewhere)
			default:
				t.Setenv(c.variable, filepath.Join(elsewhere, c.changes))
			}
			p := program{does: filepath.Join(programs, "does"), calls: filepath.Join(programs, "calls")}
			p.do(t, failing)
			is := loginOf(t, accepting(t, "good"), filepath.Join(programs, c.program), p)
			at := filepath.Join(os.Getenv("HOME"), c.changes) // a test's
			if c.variable != "" {
				at = filepath.Join(elsewhere, c.changes)
			}
			write := func(text string) {
				t.Helper()
				if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			nothing := is.LoginFiles()
			write("{}")
			first := is.LoginFiles()
			write("{other}")
			if second := is.LoginFiles(); nothing == first || first == second || is.LoginFiles() != second {
				t.Errorf("it goes by %q, %q, %q", nothing, first, second)
			}
		})
	}
}

// A program that needs a terminal cannot have one here.
func TestAProgramThatNeedsATerminalIsNotExecuted(t *testing.T) {
	_, p := loginBy(t, accepting(t, "good"), fmt.Sprintf(giving, "good"))
	text, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	always := strings.Replace(string(text), "IfAvailable", "Always", 1)
	if err := os.WriteFile(os.Getenv("KUBECONFIG"), []byte(always), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Connect("a", "")
	if err != nil {
		t.Fatal(err)
	}
	mistake(t, get(t.Context(), c), usererror.CodeLogin, "the login to cluster a does not work: exec plugin cannot "+
		"support interactive mode: standard input is", "Log in again in a terminal")
	if n := p.executed(t); n != 0 {
		t.Errorf("it was executed %d times", n)
	}
}
