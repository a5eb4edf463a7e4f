package sockets

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of one connection's queue.
const (
	// MaxQueue is how many unsent bytes a peer may have waiting. A single larger
	// message is taken when nothing else waits.
	MaxQueue = 256 << 20
	// progressQueue is the fill, in bytes, above which our own progress is dropped.
	progressQueue = 1 << 20
	// roomQueue is the fill, in bytes, above which [Peer.Room] waits.
	roomQueue = 32 << 20
	// WriteTimeout is how long a peer may take nothing of what is sent to it.
	WriteTimeout = 30 * time.Second
)

// Errors that end a peer's connection from our side.
var (
	ErrQueueFull = errors.New("peer does not read: its queue is full")
	ErrClosed    = errors.New("connection closed")
)

// inline is the largest message that is written by the goroutine that sends it.
const inline = 64 << 10

// Peer is one connection. Messages sent before it is connected ([Dial]) wait. All
// methods are safe for concurrent use and, but for Room, none waits for the peer.
type Peer struct {
	// Identity is the peer's ZMTP identity, made up when it gave none.
	Identity string
	// Anonymous is true when the identity was made up.
	Anonymous bool

	server *Server     // nil: dialed
	signed atomic.Bool // it has sent a message with the right signature
	proven atomic.Bool // it is a front end, as far as can be known

	mu      sync.Mutex
	opening net.Conn        // being greeted; closed when the peer is
	conn    net.Conn        // nil until connected
	raw     syscall.RawConn // conn's descriptor, for writes that must not wait
	queue   []outgoing      // messages not yet taken by the writer
	rest    []byte          // tail of a message that an inline write began
	bytes   int             // in queue, rest and the writer's hands
	active  bool            // the writer goroutine has bytes in its hands
	err     error           // why it is closed
	room    chan struct{}   // closed when bytes falls to below; nil: nobody waits
	below   int

	topics map[string]int // XPUB: subscriptions of this peer

	wake chan struct{} // capacity 1: there may be something to write
	done chan struct{} // closed with err set
}

func newPeer() *Peer {
	return &Peer{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Done is closed when the connection is.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err says why the connection is closed.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close ends the connection.
func (p *Peer) Close() { p.fail(ErrClosed) }

func (p *Peer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(err)
}

func (p *Peer) failLocked(err error) {
	if p.err != nil {
		return
	}
	p.err = err
	p.queue, p.rest = nil, nil
	for _, c := range []net.Conn{p.opening, p.conn} {
		if c != nil {
			_ = c.Close()
		}
	}
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
	close(p.done)
}

// greet names the connection whose handshake is under way: a silent other side must not
// outlive the peer.
func (p *Peer) greet(c net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		_ = c.Close()
		return p.err
	}
	p.opening = c
	return nil
}

// attach hands a connected and greeted connection to the peer.
func (p *Peer) attach(c net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		_ = c.Close()
		return p.err
	}
	p.conn, p.opening = c, nil
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			p.raw = raw
		}
	}
	p.poke()
	return nil
}

func (p *Peer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// outgoing is a message on its way to a peer.
type outgoing struct {
	frames [][]byte
	fill   *Fill // the last frame is still being read; nil when all is there
}

// Send queues a message, whose frames must not be changed afterwards. An idle
// connection is written to at once, by the caller, without waiting: that saves the
// round trip through another goroutine. False means the connection is closed.
func (p *Peer) Send(frames [][]byte) bool { return p.send(outgoing{frames: frames}, false) }

func (p *Peer) send(m outgoing, progress bool) bool {
	size := sizeOf(m.frames)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return false
	}
	if progress && p.bytes > progressQueue {
		return true
	}
	if p.bytes > 0 && p.bytes+size > MaxQueue {
		p.failLocked(ErrQueueFull)
		return false
	}
	if p.bytes == 0 && p.raw != nil && size <= inline {
		return p.sendInline(m.frames)
	}
	p.bytes += size
	p.queue = append(p.queue, m)
	if !p.active {
		p.poke()
	}
	return true
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, inline); return &b }}

// sendInline tries one write that does not wait; what the kernel does not take goes
// to the writer goroutine. p.mu is held.
func (p *Peer) sendInline(frames [][]byte) bool {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := appendMessage((*buf)[:0], frames)
	*buf = b[:0]
	var n int
	var werr error
	err := p.raw.Write(func(fd uintptr) bool {
		for {
			n, werr = unix.Write(int(fd), b)
			if !errors.Is(werr, unix.EINTR) {
				return true
			}
		}
	})
	if err == nil && errors.Is(werr, unix.EAGAIN) {
		n, werr = 0, nil
	}
	if err = errors.Join(err, werr); err != nil {
		p.failLocked(fmt.Errorf("write to peer: %w", err))
		return false
	}
	if n < len(b) {
		p.rest = append([]byte(nil), b[max(n, 0):]...)
		p.bytes = len(p.rest)
		p.poke()
	}
	return true
}

// Queued is the number of bytes not yet handed to the operating system.
func (p *Peer) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// Room waits while more than roomQueue bytes are queued. The one who reads from a
// client calls it before sending on, so that the client itself is slowed down.
func (p *Peer) Room() { p.waitBelow(roomQueue) }

// waitBelow waits while more than limit bytes are queued. All who wait for one peer have
// the same limit.
func (p *Peer) waitBelow(limit int) {
	for {
		p.mu.Lock()
		if p.err != nil || p.bytes <= limit {
			p.mu.Unlock()
			return
		}
		if p.room == nil {
			p.room, p.below = make(chan struct{}), limit
		}
		room := p.room
		p.mu.Unlock()
		<-room
	}
}

// write is the writer goroutine: it ends when the connection is closed.
func (p *Peer) write() {
	var scratch []byte
	for {
		select {
		case <-p.wake:
		case <-p.done:
			return
		}
		for {
			batch, rest, size := p.take()
			if size == 0 {
				break
			}
			var err error
			if scratch, err = writeBatch(p.conn, scratch, rest, batch); err != nil {
				p.fail(fmt.Errorf("write to peer: %w", err))
				return
			}
			p.sent(size)
		}
		if cap(scratch) > inline {
			scratch = nil
		}
	}
}

// batchSize is how many bytes are handed to the operating system at once.
const batchSize = 256 << 10

func (p *Peer) take() (batch []outgoing, rest []byte, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.err != nil {
		return nil, nil, 0
	}
	if p.rest != nil {
		rest, p.rest = p.rest, nil
		p.active = true
		return nil, rest, len(rest)
	}
	n := 0
	for n < len(p.queue) && size < batchSize {
		size += sizeOf(p.queue[n].frames)
		n++
	}
	batch = p.queue[:n:n]
	p.queue = p.queue[n:]
	if len(p.queue) == 0 {
		p.queue = nil
	}
	p.active = n > 0
	return batch, nil, size
}

func (p *Peer) sent(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = false
	p.bytes -= size
	if p.room != nil && p.bytes <= p.below {
		close(p.room)
		p.room = nil
	}
}

// copied is the largest frame that is copied into a batch instead of referenced.
const copied = 8 << 10

// writeBatch writes messages with few system calls. The deadline is set anew for
// each batchSize bytes: it measures progress, not the whole.
func writeBatch(c net.Conn, scratch, rest []byte, batch []outgoing) ([]byte, error) {
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	b := append(scratch[:0], rest...)
	flush := func() error {
		if len(b) == 0 {
			return nil
		}
		err := writeChunks(c, b)
		b = b[:0]
		return err
	}
	for _, m := range batch {
		for i, f := range m.frames {
			b = appendHeader(b, len(f), more(i, m.frames))
			if len(f) <= copied {
				b = append(b, f...)
				continue
			}
			if err := flush(); err != nil {
				return b, err
			}
			if err := writeFrame(c, f, i, m); err != nil {
				return b, err
			}
		}
		if len(b) >= inline {
			if err := flush(); err != nil {
				return b, err
			}
		}
	}
	return b, flush()
}

// writeFrame writes a large frame, the one that is being read as it comes.
func writeFrame(c net.Conn, f []byte, i int, m outgoing) error {
	if m.fill == nil || i < len(m.frames)-1 {
		return writeChunks(c, f)
	}
	for n := 0; n < len(f); {
		there, err := m.fill.wait(n)
		if err != nil {
			return fmt.Errorf("the message was cut off: %w", err)
		}
		if err := writeChunks(c, f[n:there]); err != nil {
			return err
		}
		n = there
	}
	return nil
}

func writeChunks(c net.Conn, b []byte) error {
	for len(b) > 0 {
		n := min(len(b), batchSize)
		if err := c.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
			return err
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// read is the reader: it calls on for every message until the connection ends.
func (p *Peer) read(r *bufio.Reader, peer trust, on func(message)) error {
	for {
		m, err := readMessage(r, peer, p)
		if err != nil {
			return err
		}
		if m.command {
			p.command(m.frames[0])
			if p.server != nil {
				p.server.handler.Strangers.give(p)
			}
			continue
		}
		on(m)
		if m.fill != nil {
			if err := m.fill.read(r, m.frames[len(m.frames)-1]); err != nil {
				return err
			}
		}
	}
}

// command answers PING, as ZMTP 3.1 wants it; other commands mean nothing to us.
func (p *Peer) command(body []byte) {
	const ping = "\x04PING"
	if len(body) < len(ping)+2 || string(body[:len(ping)]) != ping || len(body) > 255 {
		return
	}
	pong := append([]byte("\x04PONG"), body[len(ping)+2:]...)
	frame := append([]byte{flagCommand, byte(len(pong))}, pong...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.bytes == 0 {
		p.rest, p.bytes = frame, len(frame)
		p.poke()
	}
}

// Connected says whether the handshake was done, also when the connection has ended
// since.
func (p *Peer) Connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil
}

// Unsent takes back the messages that wait for a connection.
func (p *Peer) Unsent() [][][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		return nil
	}
	q := make([][][]byte, len(p.queue))
	for i, m := range p.queue {
		q[i] = m.frames
	}
	p.queue, p.bytes = nil, 0
	return q
}
