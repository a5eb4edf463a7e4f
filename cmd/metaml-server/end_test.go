package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// client sends one request after the other, as a process behind a Service would.
type client struct {
	*http.Client
	c      *container
	kept   bool         // it keeps its connection
	sent   atomic.Int64 // requests that were answered since the signal
	closed atomic.Int64 // of those, how many ended their connection
}

// ask sends a request that the function takes so long for.
func (l *client) ask(ctx context.Context, milliseconds int) error {
	body := strings.NewReader(fmt.Sprint(milliseconds))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.c.url("/predict"), body)
	if err != nil {
		return err
	}
	request.Close = !l.kept
	request.GetBody = nil // a request that fails is not sent again
	answer, err := l.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	err = errors.Join(err, answer.Body.Close())
	if answer.StatusCode != http.StatusOK || string(text) != fmt.Sprint(milliseconds) {
		err = errors.Join(err, fmt.Errorf("%d ms was answered with %d, %s", milliseconds, answer.StatusCode, text))
	}
	if answer.Close {
		l.closed.Add(1)
	}
	return err
}

// No request fails that comes before the time is over in which clients go elsewhere, whether its connection was kept,
// is new or waits for its answer. Those that keep a connection learn that they are to make another.
func TestNoRequestFailsWhenAServerEnds(t *testing.T) {
	t.Parallel()
	c := newContainer(t, "import time\ndef serve(x: int):\n    time.sleep(x / 1000)\n    return x\n",
		func(s *run.Spec) { s.Server.Workers, s.Server.Example = 4, "1" })
	const linger = 6 * time.Second // half of it is how late a slow machine may be
	c.flags = []string{"--linger", linger.String()}
	c.start()
	c.awaitReady()
	clients := make([]*client, 4)
	for i := range clients {
		clients[i] = &client{Client: &http.Client{Transport: &http.Transport{}}, c: c, kept: i%2 == 0}
	}
	var (
		all      sync.WaitGroup
		signaled atomic.Bool
		over     = make(chan struct{}) // closed when no request is begun any more
	)
	for i, l := range clients {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				after := signaled.Load()
				if err := l.ask(t.Context(), 100+(n*370+i*130)%900); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				if after {
					l.sent.Add(1)
				}
			}
		})
	}
	<-time.After(time.Second) // of constant load
	for i, l := range clients {
		if l.closed.Load() > 0 && l.kept {
			t.Errorf("the connection of client %d was ended before the signal", i)
		}
		l.closed.Store(0)
	}
	c.signal(syscall.SIGTERM)
	at := time.Now()
	c.await("the end of a connection", func() bool { return clients[0].closed.Load() > 0 })
	signaled.Store(true)
	<-time.After(time.Until(at.Add(linger / 2)))
	c.signal(syscall.SIGTERM) // changes nothing
	// Two requests are on their way when the time is over: one waits for the function, of the other half has come.
	all.Go(func() {
		if err := clients[0].ask(t.Context(), int((linger / 2 * 3 / 2).Milliseconds())); err != nil {
			t.Errorf("a request that takes longer: %v", err)
		}
	})
	slow := &slowBody{first: "1", rest: "00", wait: linger / 2 * 3 / 2}
	all.Go(func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url("/predict"), slow)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := clients[1].Do(request)
		if err != nil {
			t.Errorf("a request that comes slowly: %v", err)
			return
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("a request that comes slowly was answered with %d", answer.StatusCode)
		}
	})
	close(over)
	all.Wait()
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d; %s", code, c.printed())
	}
	if took := time.Since(at); took < linger {
		t.Errorf("it ended after %v", took)
	}
	for i, l := range clients {
		if sent, closed := l.sent.Load(), l.closed.Load(); sent < 1 || closed < sent {
			t.Errorf("client %d had %d answers after the signal, of which %d ended the connection", i, sent, closed)
		}
	}
}

// slowBody is a body of which the rest comes later.
type slowBody struct {
	first, rest string
	wait        time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.first != "" {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	if b.rest == "" {
		return 0, io.EOF
	}
	<-time.After(b.wait)
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// A server that does not answer yet has no clients to wait for.
func TestAServerThatIsNotReadyEndsAtOnce(t *testing.T) {
	t.Parallel()
	c := newContainer(t, waits)
	c.flags = []string{"--linger", "1h"}
	c.start()
	c.await("its top level", func() bool { return strings.Contains(c.out.String(), "loading") })
	c.signal(syscall.SIGTERM)
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d; %s", code, c.printed())
	}
	if m, ok := c.message(); ok {
		t.Errorf("it left a message: %+v", m)
	}
}

// The front that takes the place of one that is killed meanwhile also has clients go elsewhere.
func TestAFrontIsKilledWhileAServerEnds(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn)
	c.flags = []string{"--linger", "3s"}
	c.start()
	c.awaitReady()
	front := c.state().Server.Front
	closes := func() bool {
		body := strings.NewReader("1")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url("/predict"), body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK && answer.Close
	}
	c.signal(syscall.SIGTERM)
	c.await("an answer that ends its connection", closes)
	if err := process.Signal(front, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.awaitFront(front)
	c.await("an answer of the other that does", closes)
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d; %s", code, c.printed())
	}
}
