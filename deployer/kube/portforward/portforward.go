// Package portforward gives a server in a cluster an address on this machine: connections that are made here are dealt
// over its pods that are ready, through the API server. What goes through them is the client's and the pod's: the front
// in the pod sees the Host and the Origin that the client sent.
//
// Read [Forwarder] first. The package imports nothing of the product.
package portforward

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// maxConns bounds the connections at the same time; more wait in the listening socket.
	maxConns = 512
	// patience is how long a connection waits for a pod that is ready and can be reached.
	patience = 30 * time.Second
	// again is after what time a pod is tried again that could not be reached.
	again = 200 * time.Millisecond
	// linger is how long an answer may take to go on after the client has sent all it had: most close the connection
	// then.
	linger = 30 * time.Second
	// most is how many bytes are copied at a time.
	most = 32 << 10
)

// Forwarder deals connections over pods.
type Forwarder struct {
	dial func(ctx context.Context, pod string) (net.Conn, error) // connects to a pod

	mu      sync.Mutex
	ready   []string
	turn    int
	changed chan struct{} // closed when ready has changed
}

// New gives a forwarder that has no pods yet.
func New(dial func(ctx context.Context, pod string) (net.Conn, error)) *Forwarder {
	return &Forwarder{dial: dial, changed: make(chan struct{})}
}

// Use has new connections dealt over these pods.
func (f *Forwarder) Use(pods []string) {
	pods = slices.Clone(pods)
	slices.Sort(pods)
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(pods, f.ready) {
		return
	}
	f.ready = pods
	close(f.changed)
	f.changed = make(chan struct{})
}

// next gives the pods in the order in which they are to be tried, and what is closed when there may be others.
func (f *Forwarder) next() (pods []string, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.ready)
	if n == 0 {
		return nil, f.changed
	}
	f.turn = (f.turn + 1) % n
	return slices.Concat(f.ready[f.turn:], f.ready[:f.turn]), f.changed
}

// Serve takes connections until ctx ends, and ends those that there are.
func (f *Forwarder) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	places := make(chan struct{}, maxConns)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		conn, err := l.Accept()
		if err != nil {
			<-places
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			select { // out of descriptors, for a moment
			case <-ctx.Done():
			case <-time.After(again):
			}
			continue
		}
		all.Go(func() {
			defer func() { <-places }()
			f.forward(ctx, conn)
		})
	}
}

// forward joins a connection with one to a pod. That nothing listens in a pod is known only after it was connected to:
// then what the client has sent goes to another one.
func (f *Forwarder) forward(ctx context.Context, client net.Conn) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sent := newSent()
	var reading sync.WaitGroup
	reading.Go(func() { sent.from(client) })
	defer reading.Wait()
	defer context.AfterFunc(ctx, func() { _ = client.Close(); sent.close() })()
	defer func() { _ = client.Close(); sent.close() }()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		pod := f.reach(ctx, end)
		if pod == nil || !join(ctx, client, pod, sent) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// join copies in both directions until the pod ends. refused says that nothing listens in it, which so has got nothing.
func join(ctx context.Context, client, pod net.Conn, sent *sent) (refused bool) {
	var sending sync.WaitGroup
	turn := sent.begin()
	sending.Go(func() { sent.to(pod, turn) })
	defer sending.Wait()
	defer sent.begin() // whoever sends for this turn stops
	defer pod.Close()
	defer context.AfterFunc(ctx, func() { _ = pod.Close() })()
	buffer := make([]byte, most)
	for first := true; ; first = false {
		n, err := pod.Read(buffer)
		if n > 0 {
			sent.accept()
			if _, err := client.Write(buffer[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return first && n == 0 && errors.Is(err, syscall.ECONNREFUSED)
		}
	}
}

// reach connects to the next pod, or to another if that is not possible. It is nil when none is reached in time.
func (f *Forwarder) reach(ctx context.Context, end time.Time) net.Conn {
	dialling, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for {
		pods, changed := f.next()
		for _, pod := range pods {
			if conn, err := f.dial(ctx, pod); err == nil {
				return conn
			}
			if dialling.Err() != nil {
				return nil
			}
		}
		var retry <-chan time.Time // nil: there is none to try again
		if len(pods) > 0 {
			retry = time.After(again)
		}
		select {
		case <-dialling.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}
