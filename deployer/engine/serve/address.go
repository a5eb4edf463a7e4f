package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/metaml/metaml/deployer/port"
	"github.com/metaml/metaml/deployer/run"
)

// listener is a socket that takes connections, whether a front is there or not.
type listener struct {
	address string // "127.0.0.1:21873"
	file    *os.File
}

func (l *listener) host() string {
	host, _, _ := net.SplitHostPort(l.address)
	return host
}

func (l *listener) port() int {
	_, port, _ := net.SplitHostPort(l.address)
	n, _ := strconv.Atoi(port)
	return n
}

func (l *listener) close() { _ = l.file.Close() }

// url is the address of the endpoint. Where the server listens on all addresses of the machine, it is the one that
// works here.
func (l *listener) url(path string) string {
	host := l.host()
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(l.port())) + path
}

// adopt takes over a socket that another process listened with.
func adopt(file *os.File) (*listener, error) {
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take over the listening socket: %w", err)
	}
	defer l.Close()
	return &listener{address: l.Addr().String(), file: file}, nil
}

// bind makes a listening socket.
func bind(ctx context.Context, host string, port int) (*listener, error) {
	network := "tcp"
	if ip := net.ParseIP(host); ip != nil && ip.To4() != nil {
		network = "tcp4" // else 0.0.0.0 would be made into [::]
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	return &listener{address: l.Addr().String(), file: file}, nil
}

// hostOf is the address that a spec has to listen on.
func hostOf(spec run.Spec) string {
	if spec.Server.Host == "" {
		return "127.0.0.1"
	}
	if a, err := net.ResolveIPAddr("ip", spec.Server.Host); err == nil {
		return a.String()
	}
	return spec.Server.Host
}

// names are those that a revision is known by: what it listens on, and the names that it is set to have. Where others
// can reach it, they may also call it by this machine's name, and by any address: no page can have a name that is an
// address and point it elsewhere.
func names(spec run.Spec, host string) (hosts []string, addresses bool) {
	hosts = append(hosts, spec.Server.Hosts...)
	if spec.Server.Host != "" {
		hosts = append(hosts, spec.Server.Host)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return hosts, false
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
		if short, _, dotted := strings.Cut(name, "."); dotted {
			hosts = append(hosts, short)
		}
	}
	return hosts, true
}

// matches reports whether a revision with an address and a port can do with this one.
func (l *listener) matches(v *version) bool {
	return v.host == l.host() && (v.spec.Server.Port == 0 || v.spec.Server.Port == l.port())
}

// newVersion is the revision of a spec, with what this machine says of its address.
func newVersion(spec run.Spec) *version {
	v := &version{spec: spec, host: hostOf(spec)}
	v.names, v.addresses = names(spec, v.host)
	return v
}

// portWait is how long a port may still be held by the front of a monitor that was killed.
const portWait = 10 * time.Second

// listen makes the socket of a revision. before is the port where the server answered last, or 0: it comes first, and
// may still be held by what is about to end.
func listen(ctx context.Context, v *version, before int) (*listener, error) {
	host, set := v.host, v.spec.Server.Port
	first, wait := set, time.Duration(0)
	if set == 0 {
		first = before
	}
	if first != 0 && first == before {
		wait = portWait
	}
	if first != 0 {
		l, err := bindWithin(ctx, host, first, wait)
		if err == nil || set != 0 || ctx.Err() != nil {
			return l, err
		}
	}
	for p := range port.Of(&v.spec) {
		if l, err := bind(ctx, host, p); !port.Taken(err) {
			return l, err
		}
	}
	return nil, port.None()
}

// bindWithin tries again while the port is in use.
func bindWithin(ctx context.Context, host string, port int, wait time.Duration) (*listener, error) {
	for end := time.Now().Add(wait); ; {
		l, err := bind(ctx, host, port)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
