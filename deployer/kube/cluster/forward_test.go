package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/moby/spdystream"
	tunneling "k8s.io/client-go/tools/portforward"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/internal/usererror"
)

// server is the side of the API server, and of a pod behind it.
type server struct {
	*httptest.Server
	webSocket http.HandlerFunc                      // answers who asks for a WebSocket; nil: with one
	spdy      http.HandlerFunc                      // answers who asks for SPDY; nil: with it
	silent    bool                                  // it accepts no stream
	pod       func(data, faults *spdystream.Stream) // what the pod does with a connection
	conns     chan net.Conn                         // that were upgraded
	asked     atomic.Int32                          // requests
	token     string                                // that it accepts, "" for any
	ports     sync.Map                              // the headers of its streams, by their kind
	left      sync.WaitGroup                        // connections that have not ended
}

// newServer gives a server with TLS or without, and what connects to it.
func newServer(t *testing.T, s *server) *cluster.Cluster {
	t.Helper()
	s.start(t)
	kubeconfig(t, strings.ReplaceAll(twoContexts, "SERVER", s.URL))
	c, err := cluster.Connect("research", "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.conns = make(chan net.Conn, 8)
	s.Server = httptest.NewUnstartedServer(s)
	if s.token != "" {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answers, upgrade := s.webSocket, s.tunnel
	if r.Method == http.MethodPost {
		answers, upgrade = s.spdy, s.hijack
	}
	switch {
	case r.URL.Path != "/api/v1/namespaces/team/pods/fit-1-0/portforward" && s.token == "":
		w.WriteHeader(http.StatusNotFound)
	case answers != nil:
		answers(w, r)
	default:
		if conn := upgrade(w, r); conn != nil {
			s.serve(conn)
		}
	}
}

func (s *server) tunnel(w http.ResponseWriter, r *http.Request) net.Conn {
	upgrader := websocket.Upgrader{Subprotocols: []string{"SPDY/3.1+portforward.k8s.io"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil // it has answered
	}
	return tunneling.NewTunnelingConnection("server", conn)
}

func (s *server) hijack(w http.ResponseWriter, r *http.Request) net.Conn {
	if r.Header.Get("Upgrade") != "SPDY/3.1" || r.Header.Get("X-Stream-Protocol-Version") != "portforward.k8s.io" {
		w.WriteHeader(http.StatusBadRequest)
		return nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"+
		"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n")
	return conn
}

func (s *server) serve(conn net.Conn) {
	s.left.Add(1)
	defer s.left.Done()
	defer conn.Close()
	spdy, err := spdystream.NewConnection(conn, true)
	if err != nil {
		panic(err)
	}
	s.conns <- conn
	faults := make(chan *spdystream.Stream, 1)
	spdy.Serve(func(stream *spdystream.Stream) {
		if s.silent {
			return
		}
		kind := stream.Headers().Get("streamType")
		s.ports.Store(kind, stream.Headers().Get("port"))
		if kind == "error" {
			faults <- stream // comes first
		} else {
			go s.pod(stream, <-faults)
		}
		_ = stream.SendReply(http.Header{}, false)
	})
}

// echo is a pod that sends back what it gets until there is no more.
func echo(data, faults *spdystream.Stream) {
	_, _ = io.Copy(data, data)
	_, _ = data.Close(), faults.Close()
}

// status answers as the API server does.
func status(code int, reason, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q,
"details":{"kind":"pods","name":"fit-1-0"}}`, reason, code, message)
	}
}

// proxy answers as one that knows no upgrade does.
func proxy(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "what is this", http.StatusBadRequest)
}

// protocols are the ways to a pod: what answers who asks for a WebSocket, by the name of what is spoken then.
var protocols = map[string]http.HandlerFunc{"WebSocket": nil, "SPDY": proxy}

// each does something over each protocol.
func each(t *testing.T, does func(t *testing.T, webSocket http.HandlerFunc)) {
	t.Helper()
	for name, webSocket := range protocols {
		t.Run(name, func(t *testing.T) { does(t, webSocket) })
	}
}

func forward(ctx context.Context, t *testing.T, c *cluster.Cluster) net.Conn {
	t.Helper()
	conn, err := c.Forward(ctx, "fit-1-0", 8080)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestAPortIsForwarded(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		s := &server{webSocket: webSocket, pod: echo}
		conn := forward(t.Context(), t, newServer(t, s))
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go func() { _, _ = conn.Write(sent) }()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("got other bytes back, %v", err)
		}
		for _, kind := range []string{"error", "data"} {
			if port, _ := s.ports.Load(kind); port != "8080" {
				t.Errorf("the stream %s is for port %v", kind, port)
			}
		}
	})
}

func TestAPodEndsAConnection(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		want        error
		text        string
	}{
		{"regularly", "", io.EOF, "EOF"},
		{
			"since nothing listens", "error forwarding port: dial tcp4 127.0.0.1:8080: connect: connection refused\n",
			syscall.ECONNREFUSED, "nothing listens on port 8080 of pod fit-1-0: ",
		},
		{"for another reason", "no\nsuch pod", nil, "port 8080 of pod fit-1-0 cannot be reached: no such pod"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &server{pod: func(data, faults *spdystream.Stream) {
				_, _ = io.WriteString(data, "last")
				_, _ = io.WriteString(faults, c.fault)
				_, _ = data.Close(), faults.Close()
			}}
			conn := forward(t.Context(), t, newServer(t, s))
			got := make([]byte, 4)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != "last" {
				t.Errorf("got %q, %v", got, err)
			}
			_, err := conn.Read(got)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if _, err := conn.Write(got); err == nil || c.fault != "" && !strings.Contains(err.Error(), c.text) {
				t.Errorf("what is written goes nowhere, %v", err)
			}
		})
	}
}

func TestAConnectionBreaks(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		s := &server{webSocket: webSocket, pod: echo}
		conn := forward(t.Context(), t, newServer(t, s))
		_ = (<-s.conns).Close()
		_, err := io.ReadAll(conn)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "port 8080 of pod fit-1-0 broke") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAConnectionEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		s := &server{webSocket: webSocket, pod: echo}
		c := newServer(t, s)
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		conn := forward(ctx, t, c)
		go cancel(enough)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
		s.left.Wait()
	})
}

func TestAContextEndsWhileAConnectionIsMade(t *testing.T) {
	asked := make(chan struct{}, 1)
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // the connection has ended
	}
	for name, s := range map[string]*server{
		"WebSocket": {webSocket: hangs},
		"SPDY":      {webSocket: proxy, spdy: hangs},
		"stream":    {silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newServer(t, s)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				select {
				case <-asked:
				case <-s.conns: // it has been upgraded
				}
				cancel(nil)
			}()
			if conn, err := c.Forward(ctx, "fit-1-0", 8080); !errors.Is(err, context.Canceled) || conn != nil {
				t.Errorf("got %v, %v", conn, err)
			}
			s.left.Wait()
		})
	}
}

func TestDeadlines(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		reads := make(chan struct{})
		s := &server{webSocket: webSocket, pod: func(data, faults *spdystream.Stream) {
			<-reads
			echo(data, faults)
		}}
		conn := forward(t.Context(), t, newServer(t, s))
		set := func(deadline time.Time, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(deadline, err)
			}
		}
		soon := time.Now().Add(50 * time.Millisecond)
		set(soon, conn.SetReadDeadline(soon))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading: got %v", err)
		}
		soon = time.Now().Add(200 * time.Millisecond)
		set(soon, conn.SetWriteDeadline(soon))
		sent, err := 0, error(nil)
		for n := 0; err == nil; sent += n { // until nothing between here and the pod takes more
			n, err = conn.Write(make([]byte, 1<<16))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("writing: got %v", err)
		}
		close(reads)
		set(time.Time{}, conn.SetDeadline(time.Time{}))
		if got, err := io.CopyN(io.Discard, conn, int64(sent)); err != nil {
			t.Errorf("after the deadlines: %d of %d bytes came back, %v", got, sent, err)
		}
	})
}

func TestARefusedForwardSaysWhy(t *testing.T) {
	forbidden := status(http.StatusForbidden, "Forbidden", `pods "fit-1-0" is forbidden: ada cannot create it`)
	for _, c := range []struct {
		name            string
		webSocket, spdy http.HandlerFunc
		code            usererror.Code
		text            string
	}{
		{"no right", forbidden, forbidden, usererror.CodeRights, "you may not connect in namespace team: "},
		{"no right, and a proxy", forbidden, proxy, usererror.CodeRights, "you may not connect in namespace team: "},
		{"a proxy, and no right", proxy, forbidden, usererror.CodeRights, "you may not connect in namespace team: "},
		{"proxies alone", proxy, proxy, usererror.CodeRefused, "refuses to connect: "},
		{
			"a gateway", proxy, status(http.StatusBadGateway, "InternalError", "dial tcp: no route to host"),
			usererror.CodeUnreachable, "has a failure of its own: dial tcp: no route to host",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := newServer(t, &server{webSocket: c.webSocket, spdy: c.spdy})
			_, err := to.Forward(t.Context(), "fit-1-0", 8080)
			mistake(t, to.Explain(err, "connect"), c.code, c.text, "")
		})
	}
}

func TestAForwardLogsInAsOtherRequestsDo(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		s := &server{webSocket: webSocket, token: "good", pod: echo}
		s.start(t)
		c, p := loginBy(t, s.Server, fmt.Sprintf(giving, "bad"))
		c.Guard(func() {})
		for range 2 { // a second time nothing is sent
			_, err := c.Forward(t.Context(), "fit-1-0", 8080)
			mistake(t, c.Explain(err, "connect"), usererror.CodeLogin, "does not accept your login", "Log in again")
		}
		if s.asked.Load() != 1 || c.Shut() == nil {
			t.Errorf("it was asked %d times; nothing is sent for %v", s.asked.Load(), c.Shut())
		}
		p.do(t, fmt.Sprintf(giving, "good"))
		conn := forward(cluster.Try(t.Context()), t, c)
		go func() { _, _ = conn.Write([]byte("x")) }()
		if _, err := conn.Read(make([]byte, 1)); err != nil || c.Shut() != nil || p.executed(t) != 2 {
			t.Errorf("got %v; nothing is sent for %v; it was executed %d times", err, c.Shut(), p.executed(t))
		}
	})
}

func TestAForwardGoesThroughTheProxyOfTheKubeconfig(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		s := &server{webSocket: webSocket, token: "secret", pod: echo}
		s.start(t)
		var through atomic.Int32
		between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			through.Add(1)
			there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
			if err != nil || r.Method != http.MethodConnect {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer there.Close()
			here, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer here.Close()
			_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
			_, _ = io.Copy(here, there)
		}))
		defer between.Close()
		kubeconfig(t, strings.NewReplacer(`server: "SERVER"`, `server: "`+s.URL+`", proxy-url: "`+between.URL+
			`", insecure-skip-tls-verify: true`).Replace(twoContexts))
		c, err := cluster.Connect("research", "")
		if err != nil {
			t.Fatal(err)
		}
		conn := forward(t.Context(), t, c)
		go func() { _, _ = conn.Write([]byte("x")) }()
		if _, err := conn.Read(make([]byte, 1)); err != nil || through.Load() == 0 {
			t.Errorf("got %v; %d connections through the proxy", err, through.Load())
		}
		_ = conn.Close()
	})
}

func TestWhatIsWrittenBeforeCloseArrivesAndNothingIsLeft(t *testing.T) {
	each(t, func(t *testing.T, webSocket http.HandlerFunc) {
		t.Helper()
		before := executing("spdystream")
		arrived := make(chan string, 1)
		s := &server{webSocket: webSocket, pod: func(data, _ *spdystream.Stream) {
			_, _ = data.Write(make([]byte, 1<<20)) // which nobody reads
			got, _ := io.ReadAll(data)
			arrived <- string(got)
		}}
		conn := forward(t.Context(), t, newServer(t, s))
		if _, err := io.WriteString(conn, "goodbye"); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: got %v", err)
		}
		if n := executing("cluster.(*forwarded)"); n > 0 {
			t.Errorf("%d goroutines are left", n)
		}
		if got := <-arrived; got != "goodbye" {
			t.Errorf("%q arrived", got)
		}
		s.left.Wait() // the server's side has ended
		deadline, tick := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
		defer tick.Stop()
		for executing("spdystream") > before {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("after 10 seconds %d goroutines are left of it", executing("spdystream")-before)
			}
		}
	})
}

// executing is how many goroutines execute something of a name.
func executing(name string) (n int) {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, name) {
			n++
		}
	}
	return n
}
