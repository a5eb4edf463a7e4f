package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/spdystream"
	corev1 "k8s.io/api/core/v1"
)

// Forward opens a connection to a TCP port of a pod through the API server. The connection ends with ctx. Whether
// something listens on the port is known when it is read or written. Its own errors are for [Cluster.Explain]; those of
// the connection are not: the cluster has been reached.
func (c *Cluster) Forward(ctx context.Context, pod string, port int) (net.Conn, error) {
	dialling, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	way, err := c.upgrader.open(dialling, c.Core.client.Post().Namespace(c.Namespace).Resource("pods").Name(pod).
		SubResource("portforward").URL())
	if err != nil {
		return nil, err
	}
	spdy, err := spdystream.NewConnection(way, false)
	if err != nil {
		return nil, errors.Join(err, way.Close())
	}
	f := &forwarded{pod: pod, port: port, way: way, spdy: spdy, sent: make(chan struct{}), said: make(chan struct{})}
	f.Conn, f.inner = net.Pipe()
	f.all.Go(func() { spdy.Serve(func(s *spdystream.Stream) { _ = s.Reset() }) }) // the cluster opens none
	f.all.Go(f.keep)
	if err := f.begin(dialling); err != nil {
		f.end(err)
		f.all.Wait()
		return nil, err
	}
	f.all.Go(f.listen)
	f.all.Go(f.send)
	f.all.Go(f.receive)
	f.forget = context.AfterFunc(ctx, func() {
		f.end(fmt.Errorf("the connection to port %d of pod %s was ended: %w", port, pod, context.Cause(ctx)))
	})
	return f, nil
}

// forwarded is a connection to a port of a pod: a stream of SPDY has its data, and another one what went wrong. Streams
// have no deadlines. Therefore what uses the connection has one end of a pipe, which has them.
type forwarded struct {
	net.Conn          // that end
	inner    net.Conn // the other one
	pod      string
	port     int

	way          net.Conn // to the API server
	spdy         *spdystream.Connection
	data, faults *spdystream.Stream
	forget       func() bool // that the context may end
	once, closed sync.Once
	all          sync.WaitGroup // its goroutines
	sent         chan struct{}  // closed when nothing is left to be sent
	said         chan struct{}  // closed when fault is complete
	fault        string         // what the cluster says that went wrong

	mu  sync.Mutex
	why error // it ended, nil: the pod ended it, or it has not
}

const (
	// pause between two pings, without which proxies end a connection that rests.
	pause = 10 * time.Second
	// linger bounds how long something is waited for that should come at once: the rest is sent, a fault is said.
	linger = time.Second
	// mostOfFault bounds what is read of what the cluster says.
	mostOfFault = 4 << 10
)

// keep keeps proxies from ending the connection.
func (f *forwarded) keep() {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-f.spdy.CloseChan():
			return
		case <-tick.C:
			_, _ = f.spdy.Ping() // a connection that is broken ends by itself
		}
	}
}

// begin makes the streams.
func (f *forwarded) begin(ctx context.Context) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = f.way.Close() })
	defer stop()
	if f.faults, err = f.stream(ctx, corev1.StreamTypeError); err != nil {
		return err
	}
	if err = f.faults.Close(); err != nil { // only the cluster writes on it
		return orEnd(ctx, err)
	}
	f.data, err = f.stream(ctx, corev1.StreamTypeData)
	return err
}

// stream makes a stream and waits until the cluster has accepted it.
func (f *forwarded) stream(ctx context.Context, kind string) (*spdystream.Stream, error) {
	header := http.Header{}
	header.Set(corev1.StreamType, kind)
	header.Set(corev1.PortHeader, strconv.Itoa(f.port))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	s, err := f.spdy.CreateStream(header, nil, false)
	if err != nil {
		return nil, orEnd(ctx, err)
	}
	accepted := make(chan error, 1)
	// It does not notice that the connection has ended, and ends a few seconds later then.
	go func() { accepted <- s.WaitTimeout(Patience) }()
	select {
	case err = <-accepted:
	case <-f.spdy.CloseChan():
		err = io.ErrUnexpectedEOF
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = s.Reset()
		return nil, fmt.Errorf("forward port %d of pod %s: %w", f.port, f.pod, orEnd(ctx, err))
	}
	return s, nil
}

// listen reads what the cluster says that went wrong.
func (f *forwarded) listen() {
	said, _ := io.ReadAll(io.LimitReader(f.faults, mostOfFault)) // a stream ends without an error
	f.fault = strings.Join(strings.Fields(string(said)), " ")
	close(f.said)
}

// send sends what is written, and then that no more comes.
func (f *forwarded) send() {
	defer close(f.sent)
	_, _ = io.Copy(f.data, f.inner) // where the connection is broken, receive notices it
	_ = f.data.Close()
}

// receive has everything read that comes, and then why no more comes.
func (f *forwarded) receive() {
	_, _ = io.Copy(f.inner, f.data) // a stream ends without an error
	broken := false
	select {
	case <-f.spdy.CloseChan():
		broken = true
	default:
	}
	select {
	case <-f.said:
		switch {
		case strings.Contains(f.fault, "connection refused"):
			f.because(fmt.Errorf("nothing listens on port %d of pod %s: %w", f.port, f.pod, syscall.ECONNREFUSED))
		case f.fault != "":
			f.because(fmt.Errorf("port %d of pod %s cannot be reached: %s", f.port, f.pod, f.fault))
		}
	case <-time.After(linger):
	}
	if broken {
		f.because(fmt.Errorf("the connection to port %d of pod %s broke: %w", f.port, f.pod, io.ErrUnexpectedEOF))
	}
	_ = f.inner.Close()
}

// because notes why the connection ends, unless that is known.
func (f *forwarded) because(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why == nil {
		f.why = why
	}
}

// end ends the connection at once.
func (f *forwarded) end(why error) {
	f.because(why)
	f.once.Do(func() {
		_ = f.inner.Close()
		_ = f.way.Close()
		for _, s := range []*spdystream.Stream{f.faults, f.data} {
			if s != nil {
				_ = s.Reset() // lets go who reads it
			}
		}
	})
}

// Close sends what was written, for a moment, and ends the connection.
func (f *forwarded) Close() error {
	f.closed.Do(func() {
		f.forget()
		f.because(net.ErrClosed)
		_ = f.Conn.Close()
		select {
		case <-f.sent:
		case <-time.After(linger):
		}
		f.end(net.ErrClosed)
	})
	f.all.Wait()
	return nil
}

// Read reads what the pod sent.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	return n, f.reason(err)
}

// Write sends to the pod.
func (f *forwarded) Write(p []byte) (int, error) {
	n, err := f.Conn.Write(p)
	return n, f.reason(err)
}

// reason is why the pipe has an error.
func (f *forwarded) reason(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why != nil {
		return f.why
	}
	return err
}
