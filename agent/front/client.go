package front

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// client is the connection of an HTTP client.
type client struct {
	*net.TCPConn
	socket *socket
	strict strict
	crowd  *crowd // nil: nobody counts it
	unread atomic.Bool
	waits  atomic.Int64 // since when, by the crowd's clock, it is waited for; 0: it waits for an answer
	known  known
}

func newClient(c net.Conn, limit int) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	s, err := newSocket(tcp)
	if err != nil {
		return c
	}
	return &client{TCPConn: tcp, socket: s, strict: strict{limit: limit}}
}

func (c *client) Read(p []byte) (int, error) {
	s := &c.strict
	if s.wrong != nil || s.at == atUnwanted {
		return s.instead(p)
	}
	n, err := c.socket.Read(p)
	if n == 0 {
		return n, err
	}
	if n = s.check(p[:n]); n == 0 {
		return s.instead(p)
	}
	return n, err
}

func (c *client) Write(p []byte) (int, error) {
	n, err := c.socket.writeNow(p)
	if err != nil || n == len(p) {
		return n, err
	}
	c.waited() // it does not read
	more, err := c.socket.Write(p[n:])
	c.answered()
	return n + more, err
}

// What is still taken of a body that is not wanted, so that the client reads the answer before it is cut off: to close
// a socket with unread bytes resets the connection, and most clients report that instead of the answer.
const (
	drainTime  = 2 * time.Second
	drainBytes = 32 << 20
)

// Close ends the connection, after a while if the client may still be sending what is not read.
func (c *client) Close() error {
	if c.unread.Swap(false) && c.CloseWrite() == nil {
		c.waited()
		_ = c.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, c.socket, drainBytes)
	}
	if c.crowd != nil {
		c.crowd.leave(c)
	}
	return c.TCPConn.Close()
}

// waited notes that the client is to send or to read something, answered that it has.
func (c *client) waited() {
	if c.crowd != nil {
		c.waits.Store(c.crowd.clock.Add(1))
	}
}

func (c *client) answered() { c.waits.Store(0) }

// crowd is the connections that there are. When they are as many as may be, those that have been waited for the longest
// make room for new ones: connections that are idle, whose request does not come to its end, or who do not read. So
// those who open many and send nothing keep nobody out.
type crowd struct {
	limit int
	clock atomic.Int64

	mu  sync.Mutex
	all map[*client]struct{}
}

// admit counts a new connection. false: all those that there are wait for answers.
func (w *crowd) admit(c *client) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) >= w.limit && !w.shrink() {
		return false
	}
	c.crowd = w
	c.waited()
	if w.all == nil {
		w.all = map[*client]struct{}{}
	}
	w.all[c] = struct{}{}
	return true
}

func (w *crowd) leave(c *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, c)
}

// makeRoom cuts off those that have been waited for the longest.
func (w *crowd) makeRoom() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shrink()
}

// shrink cuts connections off: some at once, so that not each new one has all checked. false: nobody is waited for.
func (w *crowd) shrink() bool {
	type waiting struct {
		*client
		since int64
	}
	var all []waiting
	for c := range w.all {
		if since := c.waits.Load(); since != 0 {
			all = append(all, waiting{c, since})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int { return int(a.since - b.since) })
	all = all[:min(len(all), w.limit/64+1)]
	for _, c := range all {
		delete(w.all, c.client)
		_ = c.TCPConn.Close()
	}
	return len(all) > 0
}
