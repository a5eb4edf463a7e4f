package portforward_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/kube/portforward"
)

// start serves a forwarder whose pods answer with their names. Those that are down cannot be reached.
func start(t *testing.T, down func(pod string) bool) (f *portforward.Forwarder, address string) {
	t.Helper()
	return dealing(t, func(pod string) net.Conn {
		if down(pod) {
			return nil
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			_, _ = fmt.Fprint(there, pod)
		}()
		return here
	})
}

// dealing serves a forwarder that connects to pods in a way; nil: one cannot be reached.
func dealing(t *testing.T, connect func(pod string) net.Conn) (f *portforward.Forwarder, address string) {
	t.Helper()
	f = portforward.New(func(_ context.Context, pod string) (net.Conn, error) {
		if conn := connect(pod); conn != nil {
			return conn, nil
		}
		return nil, errors.New("it is down")
	})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	over := errors.New("the test is over")
	go func() { ended <- f.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel(over)
		if err := <-ended; !errors.Is(err, over) {
			t.Errorf("it ended with %v", err)
		}
	})
	return f, l.Addr().String()
}

// ask gives what a new connection gets.
func ask(t *testing.T, address string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConnectionsAreDealtOverThePods(t *testing.T) {
	t.Parallel()
	f, address := start(t, func(string) bool { return false })
	f.Use([]string{"a", "b", "c"})
	got := map[string]int{}
	for range 9 {
		got[ask(t, address)]++
	}
	if got["a"] != 3 || got["b"] != 3 || got["c"] != 3 {
		t.Errorf("the pods got %v", got)
	}
}

func TestAPodThatCannotBeReachedIsPassedOver(t *testing.T) {
	t.Parallel()
	f, address := start(t, func(pod string) bool { return pod == "a" })
	f.Use([]string{"a", "b"})
	for range 4 {
		if got := ask(t, address); got != "b" {
			t.Errorf("got %q", got)
		}
	}
}

func TestAConnectionWaitsForAPod(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	f, address := start(t, func(string) bool { return !up.Load() })
	answer := make(chan string)
	go func() { answer <- ask(t, address) }()
	f.Use([]string{"a"})
	up.Store(true)
	f.Use([]string{"b"})
	if got := <-answer; got != "a" && got != "b" {
		t.Errorf("got %q", got)
	}
}

// refuses is a connection to a pod in which nothing listens: that is said once something was sent.
type refuses struct {
	net.Conn
	other net.Conn
}

func (r refuses) Read([]byte) (int, error) {
	if _, err := r.other.Read(make([]byte, 1)); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("nothing listens: %w", syscall.ECONNREFUSED)
}

func TestWhatAPodRefusesGoesToAnother(t *testing.T) {
	t.Parallel()
	const size = 100 << 10
	f, address := dealing(t, func(pod string) net.Conn {
		here, there := net.Pipe()
		if pod == "a" {
			return refuses{here, there}
		}
		go func() {
			defer there.Close()
			data := make([]byte, size)
			n, _ := io.ReadFull(there, data)
			_, _ = fmt.Fprintf(there, "%s has %d", pod, n)
		}()
		return here
	})
	f.Use([]string{"a", "b"})
	for range 4 {
		if got, want := sends(t, address, make([]byte, size)), fmt.Sprintf("b has %d", size); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// sends gives what a connection gets on which something is sent.
func sends(t *testing.T, address string, data []byte) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestAllThatIsSentArrives(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	f, address := dealing(t, func(string) net.Conn {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			sum := sha256.New()
			_, _ = io.CopyN(sum, there, size)
			_, _ = fmt.Fprintf(there, "%x", sum.Sum(nil))
		}()
		return here
	})
	f.Use([]string{"a"})
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	if got, want := sends(t, address, data), fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
