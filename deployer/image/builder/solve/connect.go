// Package solve has a BuildKit make an environment, by its Go client: what is done is a graph of operations (LLB), in
// which arguments stay arguments, so no text that people write is read by a shell.
//
// [Run] is the door, for the program metaml-build; graph.go is what an environment is made of. It may import
// deployer/image/builder, whose requests it fulfils.
package solve

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client"
	// The ways to a builder that its client knows by name.
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer"
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/nerdctlcontainer"
	_ "github.com/moby/buildkit/client/connhelper/podmancontainer"
	_ "github.com/moby/buildkit/client/connhelper/ssh"

	"github.com/metaml/metaml/deployer/image/builder"
)

// connect opens the way to a builder. Whether anybody is there shows with the first question.
func connect(ctx context.Context, to builder.Address) (*client.Client, error) {
	at, err := url.Parse(to.URL)
	if err != nil {
		return nil, err
	}
	if at.Scheme == "docker" {
		engine := engine{at: at, known: to}
		return client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return engine.hijack(ctx, "/grpc", "h2c", nil)
		}), client.WithSessionDialer(engine.session))
	}
	var options []client.ClientOpt
	if to.Authority != "" {
		name := to.ServerName
		if name == "" {
			name = at.Hostname()
		}
		options = append(options, client.WithServerConfig(name, to.Authority),
			client.WithCredentials(to.Certificate, to.Key))
	}
	return client.New(ctx, to.URL, options...)
}

// engine is a Docker Engine. It has a BuildKit, which it speaks to over connections that a request has turned into
// something else (docs.docker.com/reference/api/engine, "Initialize interactive session").
type engine struct {
	at    *url.URL
	known builder.Address
}

func (e engine) session(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
	return e.hijack(ctx, "/session", proto, meta)
}

// hijack asks for a connection that speaks proto.
func (e engine) hijack(ctx context.Context, path, proto string, headers http.Header) (net.Conn, error) {
	connection, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range headers {
		for _, v := range values {
			request.Header.Add(name, v)
		}
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", proto)
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	if err := request.Write(connection); err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("ask the Docker Engine for its builder: %w", err)
	}
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, request)
	if err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("ask the Docker Engine for its builder: %w", err)
	}
	_ = answer.Body.Close() // it has none
	if answer.StatusCode != http.StatusSwitchingProtocols {
		_ = connection.Close()
		return nil, fmt.Errorf("the Docker Engine has no builder: it answers %s", answer.Status)
	}
	return hijacked{connection, reader}, nil
}

func (e engine) dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	if e.at.Host == "" {
		return dialer.DialContext(ctx, "unix", filepath.FromSlash(e.at.Path))
	}
	if e.known.Authority == "" {
		return dialer.DialContext(ctx, "tcp", e.at.Host)
	}
	authority, err := os.ReadFile(e.known.Authority)
	if err != nil {
		return nil, err
	}
	mine, err := tls.LoadX509KeyPair(e.known.Certificate, e.known.Key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", e.known.Authority)
	}
	secured := tls.Dialer{Config: &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{mine}, MinVersion: tls.VersionTLS12,
	}}
	return secured.DialContext(ctx, "tcp", e.at.Host)
}

// hijacked reads first what came with the answer.
type hijacked struct {
	net.Conn
	reader *bufio.Reader
}

func (h hijacked) Read(p []byte) (int, error) { return h.reader.Read(p) }
