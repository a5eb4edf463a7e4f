package send

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listen gives a listener, and its address.
func listen(t *testing.T, at string) (net.Listener, netip.AddrPort) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener, netip.MustParseAddrPort(listener.Addr().String())
}

func TestAConnectionCarriesBytesBothWays(t *testing.T) {
	for _, c := range []struct{ name, at string }{
		{"IPv4", "127.0.0.1:0"},
		{"IPv6", "[::1]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", c.at)
			if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Skip("this machine has no such address")
			}
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				conn, err := listener.Accept()
				if err == nil {
					_, _ = io.Copy(conn, conn)
					conn.Close()
				}
			}()
			conn, err := dial(t.Context(), netip.MustParseAddrPort(listener.Addr().String()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			large := strings.Repeat("0123456789", 100_000) // more than the sockets hold
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(conn, large) }()
			data := make([]byte, len(large))
			if _, err := io.ReadFull(conn, data); err != nil || string(data) != large {
				t.Errorf("other bytes came back: %v", err)
			}
		})
	}
}

func TestAConnectionThatFailsSaysWhy(t *testing.T) {
	closed, refuses := listen(t, "127.0.0.1:0")
	closed.Close()
	cause := errors.New("the pod ends")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	soon, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row of the table
		to   netip.AddrPort
		want error
	}{
		{"nobody there", t.Context(), refuses, syscall.ECONNREFUSED},
		{"IPv4 in IPv6", t.Context(), netip.MustParseAddrPort("[::ffff:127.0.0.1]:1"), syscall.ECONNREFUSED},
		{"ended before", ended, full(t), cause},
		{"ended meanwhile", soon, full(t), cause},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			conn, err := dial(c.ctx, c.to)
			if conn != nil || !errors.Is(err, c.want) || time.Since(start) > 2*time.Second {
				t.Errorf("after %v got %v, want %v", time.Since(start), err, c.want)
			}
		})
	}
}

// full gives the address of a socket that takes no further connection, so that one is neither made nor refused.
func full(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Close(fd); err != nil {
			t.Error(err)
		}
	})
	err = errors.Join(
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0),
	)
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 2 { // the queue has room for one, or two
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if conn, err := dial(ctx, address); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		cancel()
	}
	return address
}

// A request that is cut by the end of a pod ends at once, and leaves no descriptor.
func TestARequestEndsWithItsPod(t *testing.T) {
	_, silent := listen(t, "127.0.0.1:0")
	before := descriptors(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := client{address: silent, token: "x"}
	start := time.Now()
	_, err := c.post(ctx, []byte("body"))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors were open, and %d are", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no Linux")
	}
	return len(entries)
}
