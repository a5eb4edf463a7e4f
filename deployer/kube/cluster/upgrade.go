package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/rest"
	tunneling "k8s.io/client-go/tools/portforward"
)

// upgrader makes connections of requests that the API server upgrades. They log in and go through proxies as all other
// requests do, but over HTTP/1.1: HTTP/2 has no upgrade.
type upgrader struct {
	config *rest.Config
	gate   *gate
	http   http.RoundTripper
}

func newUpgrader(to *rest.Config, g *gate) (*upgrader, error) {
	config := rest.CopyConfig(to)
	config.NextProtos = []string{"http/1.1"}
	sends, err := rest.TransportFor(config)
	return &upgrader{config, g, sends}, err
}

// open opens a connection on which streams of SPDY are forwarded to the pod that an address names. It asks for a
// WebSocket first, which proxies let through. What refuses that is asked for SPDY itself: API servers before 1.31 know
// nothing else, and who may only create a port-forward may not get a WebSocket.
func (u *upgrader) open(ctx context.Context, pod *url.URL) (net.Conn, error) {
	conn, first := u.webSocket(ctx, pod)
	if _, refused := errors.AsType[*apierrors.StatusError](first); !refused || apierrors.IsUnauthorized(first) {
		return conn, first
	}
	conn, second := u.spdy(ctx, pod)
	if apierrors.IsUnexpectedServerError(second) && !apierrors.IsUnexpectedServerError(first) {
		return nil, first // which the API server answered, and not a proxy
	}
	return conn, second
}

// webSocket opens a connection whose bytes go through messages of a WebSocket. It does what client-go's transport for
// WebSockets does, which neither dials as the configuration says nor stops when ctx ends.
func (u *upgrader) webSocket(ctx context.Context, pod *url.URL) (net.Conn, error) {
	var opened *websocket.Conn
	sends, err := rest.HTTPWrappersForConfig(u.config, transport(func(q *http.Request) (*http.Response, error) {
		conn, answer, err := u.shakeHands(q)
		if errors.Is(err, websocket.ErrBadHandshake) {
			return answer, nil // what is around this sees whether the login was refused
		}
		opened = conn
		return answer, err
	}))
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, pod.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := u.gate.send(q, sends)
	if err != nil {
		return nil, orEnd(ctx, err)
	}
	defer answer.Body.Close() // it is read, or empty
	if opened == nil {
		return nil, refusedBy(answer)
	}
	if p := opened.Subprotocol(); p != portforward.WebsocketsSPDYTunnelingPortForwardV1 {
		answer.StatusCode = http.StatusNotImplemented
		return nil, errors.Join(refusedBy(answer), opened.Close())
	}
	return tunneling.NewTunnelingConnection("client", opened), nil
}

// messageSize is how much of a WebSocket's message is kept until it is sent: what io.Copy writes at once, and its head.
const messageSize = 33 << 10

// shakeHands has a request answered by the handshake of a WebSocket. The end of its context ends that, and not the
// connection that came of it.
func (u *upgrader) shakeHands(q *http.Request) (*websocket.Conn, *http.Response, error) {
	config, err := rest.TLSConfigFor(u.config)
	if err != nil {
		return nil, nil, err
	}
	proxy := u.config.Proxy
	if proxy == nil {
		proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	stays := func() bool { return true }
	dialer := &websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := u.config.Dial(ctx, network, address)
			if err == nil {
				stays = context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
		Proxy: proxy, TLSClientConfig: config, ReadBufferSize: messageSize, WriteBufferSize: messageSize,
		Subprotocols: []string{portforward.WebsocketsSPDYTunnelingPortForwardV1},
	}
	to := *q.URL
	to.Scheme = strings.Replace(to.Scheme, "http", "ws", 1)
	conn, answer, err := dialer.DialContext(q.Context(), to.String(), q.Header)
	if !stays() && err == nil {
		return nil, answer, errors.Join(q.Context().Err(), conn.Close())
	}
	return conn, answer, err
}

// spdyProtocol is the header that names what is spoken over SPDY.
const spdyProtocol = "X-Stream-Protocol-Version"

// spdy opens a connection of SPDY without a WebSocket around it.
func (u *upgrader) spdy(ctx context.Context, pod *url.URL) (net.Conn, error) {
	var conn net.Conn
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn },
	})
	q, err := http.NewRequestWithContext(traced, http.MethodPost, pod.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Connection", "Upgrade")
	q.Header.Set("Upgrade", "SPDY/3.1")
	q.Header.Set(spdyProtocol, portforward.PortForwardV1Name)
	answer, err := u.gate.send(q, u.http)
	if err != nil {
		return nil, orEnd(ctx, err)
	}
	if body, ok := answer.Body.(io.ReadWriteCloser); ok && answer.StatusCode == http.StatusSwitchingProtocols &&
		answer.Header.Get(spdyProtocol) == portforward.PortForwardV1Name {
		return &upgraded{conn, body}, nil
	}
	defer answer.Body.Close() // it is read
	return nil, refusedBy(answer)
}

// upgraded is a connection that the answer to a request has left.
type upgraded struct {
	net.Conn
	body io.ReadWriteCloser // has what was read of it already
}

func (u *upgraded) Read(p []byte) (int, error)  { return u.body.Read(p) }
func (u *upgraded) Write(p []byte) (int, error) { return u.body.Write(p) }
func (u *upgraded) Close() error                { return u.body.Close() }

// orEnd is the end of a context, if that is why there is an error.
func orEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// mostOfAnswer bounds what is read of an answer that is no upgrade.
const mostOfAnswer = 64 << 10

// refusedBy is the error that an answer stands for which is no upgrade: the API server says why, a proxy hardly.
func refusedBy(answer *http.Response) error {
	var says []byte
	if answer.StatusCode != http.StatusSwitchingProtocols {
		says, _ = io.ReadAll(io.LimitReader(answer.Body, mostOfAnswer)) // what there is of it
	}
	var status metav1.Status
	if json.Unmarshal(says, &status) == nil && status.Kind == "Status" && status.Status == metav1.StatusFailure {
		return &apierrors.StatusError{ErrStatus: status}
	}
	text := strings.Join(strings.Fields(string(says)), " ")
	if text == "" {
		text = "it does not forward ports: " + answer.Status
	}
	return apierrors.NewGenericServerResponse(answer.StatusCode, "forward",
		corev1.Resource("pods"), "", text, 0, true)
}
