package mirror

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/run"
)

// login writes a kubeconfig that leads to a server with a token, which is sent over TLS alone.
func login(t *testing.T, file string, server *httptest.Server, token string) {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, []byte(`
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+server.URL+`", certificate-authority-data: `+
		base64.StdEncoding.EncodeToString(ca)+`}}]
users: [{name: u, user: {token: `+token+`}}]
contexts: [{name: far, context: {cluster: c, user: u, namespace: team}}]
current-context: far
`), 0o600); err != nil {
		t.Fatal(err)
	}
}

// far connects to a server that answers so.
func far(t *testing.T, answer http.HandlerFunc) (c *cluster.Cluster, kubeconfig string, server *httptest.Server) {
	t.Helper()
	server = httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "config")
	login(t, kubeconfig, server, "old")
	t.Setenv("KUBECONFIG", kubeconfig)
	c, err := cluster.Connect("", "")
	if err != nil {
		t.Fatal(err)
	}
	return c, kubeconfig, server
}

func with(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestWhatIsWrongOnTheWayIsKnown(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		says   string // "": nothing is wrong
	}{
		{"it is not there", with(http.StatusNotFound), ""},
		{"it may not be read", with(http.StatusForbidden), ""},
		{
			"the login has expired",
			with(http.StatusUnauthorized),
			"cluster far does not accept your login",
		},
		{
			"it is broken",
			with(http.StatusInternalServerError),
			"cluster far has a failure of its own",
		},
		{"it is busy for long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "cluster far is busy: Too many requests: it asks to come back later"},
		{
			"nothing comes back",
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"it does not answer within 5s",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, _, _ := far(t, c.answer)
			m := &mirror{cluster: to, name: "fit-1", link: link{way: way{changed: func() {}}}}
			_ = m.ping(t.Context())
			text := ""
			if err := m.link.trouble(true); err != nil {
				text, _ = wayText(to, err)
			}
			if c.says == "" && text != "" || !strings.Contains(text, c.says) {
				t.Errorf("it says %q, want %q", text, c.says)
			}
		})
	}
}

// A server may notice before us that our time is over, and answer with nothing.
func TestAnAnswerThatComesTooLateIsNone(t *testing.T) {
	w := way{changed: func() {}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_ = w.try(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		httptrace.ContextClientTrace(ctx).GotFirstResponseByte()
		return errors.New("0-length response with status code: 200")
	})
	if err := w.trouble(true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Whether a watch of which nothing is heard has begun is not known: it is no trouble. One that is answered with "later"
// is, though client-go does not say so before it has tried ten times.
func TestARequestThatIsTriedAgainByItselfIsTrouble(t *testing.T) {
	for _, heard := range []bool{false, true} {
		w := way{changed: func() {}, asked: time.Now().Add(-2 * cluster.Patience), heard: heard}
		if err := w.trouble(false); (err != nil) != heard {
			t.Errorf("heard something: %t; trouble: %v", heard, err)
		}
	}
}

// Who logs in again changes the kubeconfig; who follows runs was started before.
func TestALoginThatWasRenewedIsUsed(t *testing.T) {
	to, kubeconfig, server := far(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	m := &mirror{
		folder: folder.Run(t.TempDir()), name: "fit-1", dirty: make(chan struct{}, 1),
		link: link{way: way{changed: func() {}}},
	}
	m.use(to)
	for range 3 {
		if m.check(t.Context(), nil) {
			t.Error("it goes on with a login that has expired")
		}
	}
	login(t, kubeconfig, server, "renewed in vain")
	if m.check(t.Context(), nil) {
		t.Error("it goes on with another login that has expired")
	}
	login(t, kubeconfig, server, "new")
	if !m.check(t.Context(), nil) {
		t.Error("it does not go on with the new login")
	}
	if _, err := m.cluster.Core.ConfigMaps("team").Get(t.Context(), "fit-1", metav1.GetOptions{}); err == nil ||
		strings.Contains(err.Error(), "nauthorized") {
		t.Errorf("it is answered with %v", err)
	}
	m.link.pulse = time.Now()
	if m.check(t.Context(), nil) {
		t.Error("it begins anew although nothing was wrong")
	}
}

// A program of a login may wait for somebody who is away. Whoever came back would find what was started meanwhile.
func TestAProgramThatWaitsIsExecutedOnce(t *testing.T) {
	server := httptest.NewTLSServer(with(http.StatusNotFound))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	program, calls, answer := filepath.Join(dir, "login"), filepath.Join(dir, "calls"), filepath.Join(dir, "answer")
	script := "#!/bin/sh\necho >> " + calls + "\nwhile [ ! -e " + answer + " ]; do sleep 0.05; done\nexit 1\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "config")
	if err := os.WriteFile(kubeconfig, []byte(`
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "`+server.URL+`", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: "`+program+`",
  interactiveMode: Never}}}]
contexts: [{name: far, context: {cluster: c, user: u, namespace: team}}]
current-context: far
`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	to, err := cluster.Connect("", "")
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{
		folder: folder.Run(t.TempDir()), name: "fit-1", dirty: make(chan struct{}, 1),
		link: link{way: way{changed: func() {}}},
	}
	m.use(to)
	for range 2 {
		if m.check(t.Context(), nil) {
			t.Error("it goes on without a login")
		}
	}
	if text, _ := wayText(to, m.link.trouble(true)); !strings.Contains(text, "it may wait for you") {
		t.Errorf("it says %q", text)
	}
	if err := os.WriteFile(answer, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); m.cluster.LoggingIn() && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	m.check(t.Context(), nil)
	if data, err := os.ReadFile(calls); err != nil || len(data) != 1 {
		t.Errorf("it was executed %d times (%v)", len(data), err)
	}
}

// The log of a trial is given up where its node does not give it, and never while nobody can be asked.
func TestALogIsNotGivenUpWhileTheClusterDoesNotAnswer(t *testing.T) {
	k := newLogKeeper(nil, folder.Run(t.TempDir()), run.Train, func() {})
	k.said = []run.Event{{Type: run.EventNote}}
	k.hold(true)
	if !k.isHeld() {
		t.Error("it is not held")
	}
	next := k.again(nil)
	if next.isHeld() || len(next.take()) != 1 {
		t.Error("what pods said before is lost, or logs are still held")
	}
}
