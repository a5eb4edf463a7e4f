package sockets

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

// HandshakeTimeout is how long a peer may take from connecting to being ready.
const HandshakeTimeout = 10 * time.Second

// greetingSize is the fixed size of a ZMTP 3 greeting.
const greetingSize = 64

// The read buffers of one connection, in bytes: where messages come, and where only
// subscriptions and heartbeats do.
const (
	readBuffer = 16 << 10
	beatBuffer = 512
)

// handshake runs ZMTP's greeting and NULL handshake over c. It returns the peer's
// identity and the reader that holds what came after. The library panics on
// malformed metadata and allocates whatever size is announced; both are caught here.
func handshake(c net.Conn, kind zmq4.SocketType, identity string, server bool) (id string, r *bufio.Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed ZMTP handshake: %v", p)
		}
	}()
	if err := c.SetDeadline(time.Now().Add(HandshakeTimeout)); err != nil {
		return "", nil, fmt.Errorf("set handshake deadline: %w", err)
	}
	size := readBuffer
	if kind == zmq4.XPub || kind == zmq4.Rep {
		size = beatBuffer
	}
	r = bufio.NewReaderSize(c, size)
	g := &guard{Conn: c, r: r, left: greetingSize}
	z, err := zmq4.Open(g, null.Security(), kind, zmq4.SocketIdentity(identity), server, nil)
	if err != nil {
		return "", nil, err
	}
	id = z.Peer.Meta["Identity"]
	if len(id) > 255 {
		return "", nil, fmt.Errorf("identity of %d bytes; ZMTP allows 255", len(id))
	}
	return id, r, c.SetDeadline(time.Time{})
}

// guard is the connection as the library sees it during the handshake: it reads no
// further than one frame at a time and refuses frames over maxHandshake.
type guard struct {
	net.Conn
	r    *bufio.Reader
	left int // bytes until the next frame header
}

func (g *guard) Read(p []byte) (int, error) {
	if g.left == 0 {
		head, err := g.r.Peek(2)
		if err != nil {
			return 0, err
		}
		g.left = 2 + int(head[1])
		if head[0]&flagLong != 0 {
			if head, err = g.r.Peek(9); err != nil {
				return 0, err
			}
			size := binary.BigEndian.Uint64(head[1:])
			if size > maxHandshake {
				return 0, ErrTooLarge
			}
			g.left = 9 + int(size)
		}
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}
