//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// network is the way to the API server for one person: a proxy with a certificate of its own, on which things go wrong.
type network struct {
	server     *httptest.Server
	listener   *faultyListener
	user       string
	token      string // of the user
	kubeconfig string // leads the user through the network
	program    string // of the login, if there is one
	fails      string // file that has it fail
	failed     string // file with a line for each time that it failed

	mu      sync.Mutex
	answer  func(http.ResponseWriter, *http.Request) bool // stands in for the API server; false: the API server answers
	dead    bool                                          // nothing comes through any more
	open    map[net.Conn]bool
	watches map[int]context.CancelCauseFunc
	last    int
}

// newNetwork starts the proxy for a user.
func newNetwork(t *testing.T, user string, http2 bool) *network {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", here(t).Kubeconfig(user))
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		},
	}
	n := &network{token: config.BearerToken, open: map[net.Conn]bool{}, watches: map[int]context.CancelCauseFunc{}}
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		answer := n.answer
		n.mu.Unlock()
		if answer != nil && answer(w, r) {
			return
		}
		if r.URL.Query().Get("watch") != "" {
			ctx, done := n.watched(r.Context())
			defer done()
			r = r.WithContext(ctx)
		}
		proxy.ServeHTTP(w, r)
	}))
	n.listener = &faultyListener{
		network: n, listener: n.server.Listener, address: n.server.Listener.Addr(), opened: make(chan net.Listener),
		ended: make(chan struct{}),
	}
	n.server.Listener = n.listener
	n.server.EnableHTTP2, n.server.Config.ErrorLog = http2, log.New(io.Discard, "", 0)
	n.server.StartTLS()
	t.Cleanup(func() {
		n.cut()
		n.server.Close()
	})
	n.user, n.kubeconfig = user, filepath.Join(t.TempDir(), "kubeconfig")
	n.login(t, "token: "+n.token)
	return n
}

// login writes the kubeconfig with what a user logs in by.
func (n *network) login(t *testing.T, by string) {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.server.Certificate().Raw})
	if err := os.WriteFile(n.kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: far, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: %s, user: {%s}}]
contexts: [{name: %[3]s, context: {cluster: far, user: %[3]s}}]
current-context: %[3]s
`, n.server.URL, base64.StdEncoding.EncodeToString(ca), n.user, by), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	known   = "gke-gcloud-auth-plugin" // is called by its path: some machines have the real one
	nobodys = "metaml-test-login"      // is on the PATH
)

// plugin has the user log in by a program of this name, whose logins last for a second, and which fails while there is
// the file fails.
func (n *network) plugin(t *testing.T, name string) {
	t.Helper()
	folder := t.TempDir()
	n.fails, n.failed = filepath.Join(folder, "fails"), filepath.Join(folder, "failed")
	n.program = filepath.Join(folder, name)
	script := fmt.Sprintf(`#!/bin/sh
[ ! -e %s ] || { date +%%T.%%N >> %s; echo "open a browser" >&2; exit 1; }
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s",
"expirationTimestamp": "'$(date -u -d +1second +%%Y-%%m-%%dT%%H:%%M:%%SZ)'"}}'
`, n.fails, n.failed, n.token)
	if err := os.WriteFile(n.program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	command := n.program
	if name == nobodys {
		command = name
	}
	n.login(t, fmt.Sprintf(
		"exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: %q}", command))
}

// asks is how often the program of the login asked somebody to do something.
func (n *network) asks() int {
	data, _ := os.ReadFile(n.failed) // it has not failed yet
	return bytes.Count(data, []byte("\n"))
}

func (n *network) watched(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	id := n.last
	n.watches[id] = cancel
	return ctx, func() {
		cancel(nil)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.watches, id)
	}
}

// answers has requests answered so from now on; nil: by the API server.
func (n *network) answers(answer func(http.ResponseWriter, *http.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = answer
}

// endWatches ends the watches that there are.
func (n *network) endWatches() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, end := range n.watches {
		end(errors.New("the network ends watches"))
	}
}

// cut closes all connections.
func (n *network) cut() {
	n.mu.Lock()
	open := slices.Collect(maps.Keys(n.open))
	n.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

// dies has nothing come through any more, or again. Connections that were open meanwhile stay dead.
func (n *network) dies(dead bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = dead
}

// faultyListener makes connections of a network. For a while nobody may listen.
type faultyListener struct {
	network *network
	address net.Addr
	opened  chan net.Listener
	ended   chan struct{}
	end     sync.Once

	mu       sync.Mutex
	listener net.Listener
}

func (l *faultyListener) current() net.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listener
}

// refuse has connections refused, until the test calls what it gives.
func (l *faultyListener) refuse(t *testing.T) (listen func()) {
	t.Helper()
	l.current().Close()
	l.network.cut()
	return func() {
		again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", l.address.String())
		if err != nil {
			t.Error(err)
			return
		}
		l.opened <- again
	}
}

func (l *faultyListener) Accept() (net.Conn, error) {
	c, err := l.current().Accept()
	for err != nil {
		select {
		case <-l.ended:
			return nil, net.ErrClosed
		case next := <-l.opened:
			l.mu.Lock()
			l.listener = next
			l.mu.Unlock()
			c, err = next.Accept()
		}
	}
	made := &faultyConn{Conn: c, network: l.network, ended: make(chan struct{})}
	l.network.mu.Lock()
	l.network.open[made] = true
	l.network.mu.Unlock()
	return made, nil
}

func (l *faultyListener) Addr() net.Addr { return l.address }

func (l *faultyListener) Close() error {
	l.end.Do(func() { close(l.ended) })
	return l.current().Close()
}

// faultyConn is a connection that may die without a word: what is sent over it is lost.
type faultyConn struct {
	net.Conn
	network *network
	ended   chan struct{}
	end     sync.Once
	dead    bool
}

// lost reports whether what is sent now is lost.
func (c *faultyConn) lost() bool {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.dead = c.dead || c.network.dead
	return c.dead
}

func (c *faultyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.lost() {
		<-c.ended
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if c.lost() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *faultyConn) Close() error {
	c.end.Do(func() { close(c.ended) })
	c.network.mu.Lock()
	delete(c.network.open, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// status answers as the API server words an error.
func status(w http.ResponseWriter, code int, reason, message string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":%q,"code":%d}`, reason,
		message, code)
	return true
}

// lasting is a sweep whose trials print numbered lines, and end one after the other.
const lasting = `
import time
import metaml

rows = [{"seconds": s} for s in (8, 25, 45)]

@metaml.Train(settings={"hyper_parameters": "rows", "parallelism": 3})
def fit(seconds):
    for i in range(seconds * 10):
        print(i, flush=True)
        time.sleep(0.1)
    return {"loss": seconds}
`

// Whatever happens on the way to the cluster for a while, who watches a run reads it there, and it ends right.
func TestTheWayToTheClusterIsLostForAWhile(t *testing.T) {
	t.Parallel()
	const lasts = 30 * time.Second
	answers := func(answer func(http.ResponseWriter, *http.Request) bool) func(*testing.T, *network) {
		return func(_ *testing.T, n *network) {
			n.answers(answer)
			n.endWatches()
			<-time.After(lasts)
			n.answers(nil)
		}
	}
	watch := func(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }
	for _, c := range []struct {
		name   string
		fault  func(t *testing.T, n *network)
		says   []string // what the view says; none: nothing is wrong
		http1  bool     // the network does not know HTTP/2
		plugin string   // the login is by a program of this name
	}{
		{"what is watched is too old", answers(func(w http.ResponseWriter, r *http.Request) bool {
			return watch(r) && r.URL.Query().Get("sendInitialEvents") == "" &&
				status(w, http.StatusGone, "Expired", "too old resource version: 1 (2)")
		}), nil, false, ""},
		{"a watch ends as too old", answers(func(w http.ResponseWriter, r *http.Request) bool {
			if !watch(r) || r.URL.Query().Get("sendInitialEvents") != "" {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure",`+
				`"reason":"Expired","message":"too old resource version: 1 (2)","code":410}}`+"\n")
			return true
		}), nil, false, ""},
		{"watches end", func(_ *testing.T, n *network) {
			for end := time.Now().Add(lasts); time.Now().Before(end); {
				n.endWatches()
				<-time.After(500 * time.Millisecond)
			}
		}, nil, false, ""},
		{"it is busy", answers(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "1")
			return status(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests, please try again later")
		}), []string{"cluster admin is busy", "Try again in a moment"}, false, ""},
		{"it is broken", answers(func(w http.ResponseWriter, _ *http.Request) bool {
			return status(w, http.StatusInternalServerError, "InternalError", "etcdserver: request timed out")
		}), []string{"cluster admin has a failure of its own", "etcdserver: request timed out"}, false, ""},
		{"a load balancer has nobody behind it", answers(func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>no healthy upstream</html>", http.StatusServiceUnavailable)
			return true
		}), []string{
			"cluster admin has a failure of its own", "is currently unable to handle the request",
		}, false, ""},
		{"the login has expired", answers(func(w http.ResponseWriter, _ *http.Request) bool {
			return status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		}), []string{
			"cluster admin does not accept your login; it may have expired", "kubectl --context admin get pods",
		}, false, ""},
		{"the login is renewed in the kubeconfig", func(t *testing.T, n *network) {
			t.Helper()
			n.answers(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") != "Bearer renewed" {
					return status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
				}
				r.Header.Set("Authorization", "Bearer "+n.token)
				return false
			})
			n.endWatches()
			<-time.After(lasts)
			n.login(t, "token: renewed")
		}, []string{"cluster admin does not accept your login; it may have expired"}, false, ""},
		{"connections are refused", func(t *testing.T, n *network) {
			t.Helper()
			listen := n.listener.refuse(t)
			<-time.After(lasts)
			listen()
		}, []string{"cluster admin cannot be reached at https://", "Check the network or VPN"}, false, ""},
		{"nothing comes through", func(_ *testing.T, n *network) {
			n.dies(true)
			<-time.After(lasts)
			n.dies(false)
		}, []string{"cluster admin cannot be reached at https://", "does not answer within 5s"}, false, ""},
		// Without HTTP/2 nobody asks by himself whether a connection is dead.
		{name: "nothing comes through a proxy of HTTP 1.1", http1: true, fault: func(_ *testing.T, n *network) {
			n.dies(true)
			<-time.After(lasts)
			n.dies(false)
		}, says: []string{"cluster admin cannot be reached at https://", "does not answer within 5s"}},
		{name: "the program of the login wants a browser", plugin: known, fault: func(t *testing.T, n *network) {
			t.Helper()
			if err := os.WriteFile(n.fails, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			n.cut()
			<-time.After(lasts)
			if asks := n.asks(); asks > 3 { // now, 15 seconds later, and 30 seconds after that
				t.Errorf("it wanted a browser %d times", asks)
			}
			if err := os.Remove(n.fails); err != nil {
				t.Fatal(err)
			}
		}, says: []string{"the login to cluster admin does not work", "Log in again in a terminal: gcloud auth login"}},
		{name: "the program of the login is not there", plugin: nobodys, fault: func(t *testing.T, n *network) {
			t.Helper()
			away := n.program + ".away"
			if err := os.Rename(n.program, away); err != nil {
				t.Fatal(err)
			}
			n.cut()
			<-time.After(lasts)
			if err := os.Rename(away, n.program); err != nil {
				t.Fatal(err)
			}
		}, says: []string{
			"the login to cluster admin needs the program metaml-test-login, which is not on PATH",
			"Put metaml-test-login on the PATH",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			space := namespace(t)
			n := newNetwork(t, inside.Admin, !c.http1)
			p := newPerson(t, inside.Admin, space)
			p.env = append(p.env, "KUBECONFIG="+n.kubeconfig)
			if c.plugin != "" {
				n.plugin(t, c.plugin)
				p.env = append(p.env, "PATH="+filepath.Dir(n.program)+":"+os.Getenv("PATH"))
			}
			name := p.submits(lasting)
			p.sees(name, "all have begun", func(s shown) bool { return s.counts("running")+s.counts("succeeded") == 3 })
			table := p.begins("attach", name)
			began := time.Now()
			c.fault(t, n)
			over := time.Now()
			if len(c.says) == 0 {
				if text := table.text(); strings.Contains(text, "cluster admin") {
					t.Errorf("it says that something is wrong: %s", text)
				}
			}
			for _, words := range c.says {
				if text := table.text(); !strings.Contains(text, words) {
					t.Errorf("it does not say %q: %s", words, text)
				}
			}
			if len(c.says) > 0 {
				p.sees(name, "it goes on", func(s shown) bool {
					return strings.Contains(table.text(), "cluster admin answers again")
				})
				t.Logf("said that it answers again %s after the end of %s without", time.Since(over).Round(time.Second),
					over.Sub(began).Round(time.Second))
			}
			table.ends(0)
			p.ended(name, 80, 250, 450)
		})
	}
}

// Who has logged in again sees at once how a run goes, however long the login has not worked.
func TestALoginIsTriedAtOnceWhereSomebodyLooks(t *testing.T) {
	t.Parallel()
	n, p := newNetwork(t, inside.Admin, true), newPerson(t, inside.Admin, namespace(t))
	n.plugin(t, known)
	p.env = append(p.env, "KUBECONFIG="+n.kubeconfig)
	name := p.submits(lasting)
	p.sees(name, "all run", func(s shown) bool { return s.counts("running") == 3 })
	if err := os.WriteFile(n.fails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.cut()
	eventually(t, "the login is tried twice", func(context.Context) (bool, error) { return n.asks() == 2, nil })
	if err := os.Remove(n.fails); err != nil {
		t.Fatal(err)
	}
	looks := time.Now()
	table := p.begins("attach", name)
	eventually(t, "it goes on", func(context.Context) (bool, error) {
		return strings.Contains(table.text(), "cluster admin answers again"), errors.New(table.text())
	})
	if took := time.Since(looks); took > 10*time.Second { // by itself after 30
		t.Errorf("it went on after %s", took)
	}
	table.ends(0)
	p.ended(name, 80, 250, 450)
}

// ended checks that a run has succeeded, that each trial needed one attempt, and how many numbered lines each printed.
func (p *person) ended(name string, lines ...int) {
	p.t.Helper()
	s := p.show(name)
	if s.State != "succeeded" || s.counts("succeeded") != len(lines) {
		p.t.Errorf("it is %+v", s)
	}
	for i, n := range lines {
		if s.Trials[i].Attempt != 1 {
			p.t.Errorf("trial %d is in attempt %d", i, s.Trials[i].Attempt)
		}
		numbered(p.t, p.must("logs", fmt.Sprint(name, ":", i)), n)
	}
}

// numbered checks that a log has every line once, and in their order.
func numbered(t *testing.T, log string, lines int) {
	t.Helper()
	next := 0
	for line := range strings.Lines(log) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || n != next {
			t.Errorf("line %q is where %d should be", line, next)
			return
		}
		next++
	}
	if next != lines {
		t.Errorf("the log has %d lines of %d", next, lines)
	}
}

// watching is a command that runs while the test goes on.
type watching struct {
	t       *testing.T
	command *exec.Cmd
	mu      sync.Mutex
	out     bytes.Buffer
}

// begins starts a command that goes on until the run has ended.
func (p *person) begins(args ...string) *watching {
	p.t.Helper()
	w := &watching{t: p.t, command: exec.CommandContext(p.t.Context(), binary(p.t), args...)}
	w.command.Env, w.command.Dir, w.command.Stdout, w.command.Stderr = p.env, p.home, w, w
	if err := w.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	return w
}

func (w *watching) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// text is what it has printed until now.
func (w *watching) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

// ends waits for the end of the command.
func (w *watching) ends(code int) {
	w.t.Helper()
	_ = w.command.Wait() // the code says it
	if is := w.command.ProcessState.ExitCode(); is != code {
		w.t.Errorf("%q ended with %d, want %d: %s", w.command.Args, is, code, w.text())
	}
}
