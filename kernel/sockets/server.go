package sockets

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-zeromq/zmq4"
)

// Bounds of one server socket.
const (
	// MaxPeers is how many ready connections a socket keeps.
	MaxPeers = 1024
	// maxIdle is how many of them may be of peers that have done nothing that a front
	// end does ([Peer.proven]); when one more comes the oldest is closed. Anybody on
	// the machine can connect over TCP.
	maxIdle = 128
	// maxGreeting is how many connections may be in their handshake; when one more
	// comes the oldest is closed, so that silent ones keep nobody out.
	maxGreeting = 128
)

// Handler receives what happens on a socket. Its functions may be nil. Message and
// Subscribe are called from the peer's own reader: while they wait, that peer waits
// and no other. Messages of one peer come in order.
type Handler struct {
	// Connect is called before the first message of a ready peer.
	Connect func(*Peer)
	// Message is called with the frames of a message, the peer's identity not among them.
	Message func(*Peer, [][]byte)
	// Subscribe is called on an XPUB when a peer subscribes to a topic.
	Subscribe func(p *Peer, topic []byte)
	// Gone is called once after the last message of a peer.
	Gone func(*Peer, error)
	// Asks is set on a ROUTER whose peers do not speak first: what is sent goes to the
	// first connection of a known identity. Else it goes to one that has signed.
	Asks bool
	// Strangers, when not nil, bounds what peers hold that never signed.
	Strangers *Strangers
}

// Stats counts what a server socket refused or gave up, by reason.
type Stats struct {
	Peers, Refused, BadHandshake, BadFrames, NotReading uint64
}

// Server is a listening ROUTER, XPUB or REP.
type Server struct {
	kind     zmq4.SocketType
	listener net.Listener
	handler  Handler
	wg       sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	greeting []net.Conn            // oldest first
	peers    []*Peer               // oldest first
	holders  map[string]*Peer      // by identity: who gets what is sent to it
	kept     map[string][][][]byte // by identity: what waits until its connection signs
	keptSize int

	refused, badHandshake, badFrames, notReading atomic.Uint64
}

// Listen opens a server socket and begins to accept. A REP echoes what it gets, which
// is all a Jupyter heartbeat needs. ctx is for the call alone; Close the server to
// end all its goroutines.
func Listen(ctx context.Context, kind zmq4.SocketType, network, address string, h Handler) (*Server, error) {
	switch kind {
	case zmq4.Router, zmq4.XPub, zmq4.Rep:
	default:
		return nil, fmt.Errorf("listen on %s: socket type %s is not served here", address, kind)
	}
	if network == "unix" {
		// A socket file that nobody listens on is left over from a killed kernel.
		if c, err := (&net.Dialer{}).DialContext(ctx, network, address); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("listen on %s: another process listens there", address)
		}
		_ = os.Remove(address)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen for front ends: %w", err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o600); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("make %s private: %w", address, err)
		}
	}
	s := &Server{kind: kind, listener: l, handler: h, holders: map[string]*Peer{}, kept: map[string][][][]byte{}}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stats reads the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := len(s.peers)
	s.mu.Unlock()
	return Stats{
		Peers: uint64(n), Refused: s.refused.Load(), BadHandshake: s.badHandshake.Load(),
		BadFrames: s.badFrames.Load(), NotReading: s.notReading.Load(),
	}
}

// Close ends the socket and waits for its goroutines. Queued messages are dropped;
// call [Server.Flush] before to let them go out.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.greeting {
		_ = c.Close()
	}
	peers := slices.Clone(s.peers)
	s.mu.Unlock()
	_ = s.listener.Close()
	for _, p := range peers {
		p.Close()
	}
	s.wg.Wait()
}

// Queued is the number of bytes that wait for all peers.
func (s *Server) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, p := range s.peers {
		n += p.Queued()
	}
	return n
}

// Publish sends to every peer that subscribed to a prefix of the first frame (XPUB).
// Progress may be left out for a peer that lags; nothing else is.
func (s *Server) Publish(frames [][]byte, progress bool) {
	s.publish(outgoing{frames: frames}, progress)
}

// PublishFilling publishes a message whose last frame is still being read.
func (s *Server) PublishFilling(frames [][]byte, fill *Fill) {
	s.publish(outgoing{frames: frames, fill: fill}, false)
}

func (s *Server) publish(m outgoing, progress bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p.subscribed(m.frames[0]) {
			p.send(m, progress)
		}
	}
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors: the oldest greeting connection makes room.
			s.mu.Lock()
			if len(s.greeting) > 0 {
				_ = s.greeting[0].Close()
			}
			s.mu.Unlock()
			continue
		}
		if !s.admit(c) {
			_ = c.Close()
			continue
		}
		s.wg.Go(func() { s.serve(c) })
	}
}

func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(s.greeting) >= maxGreeting {
		_ = s.greeting[0].Close()
		s.greeting = s.greeting[1:]
		s.refused.Add(1)
	}
	s.greeting = append(s.greeting, c)
	return true
}

func (s *Server) greeted(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, g := range s.greeting {
		if g == c {
			s.greeting = append(s.greeting[:i:i], s.greeting[i+1:]...)
			return
		}
	}
}

// serve is the reader goroutine of one connection; it starts the writer and waits for it.
func (s *Server) serve(c net.Conn) {
	id, r, err := handshake(c, s.kind, "", true)
	s.greeted(c)
	if err != nil {
		s.badHandshake.Add(1)
		_ = c.Close()
		return
	}
	p := newPeer()
	p.server, p.Identity = s, id
	if p.Anonymous = id == ""; p.Anonymous || s.kind != zmq4.Router {
		p.Identity = madeUp()
	}
	if s.kind == zmq4.XPub {
		p.topics = map[string]int{}
	}
	if err := p.attach(c); err != nil || !s.add(p) {
		p.Close()
		return
	}
	var writer sync.WaitGroup
	writer.Go(p.write)
	if s.handler.Connect != nil {
		s.handler.Connect(p)
	}
	err = s.readAll(p, r)
	p.fail(err)
	err = p.Err()
	switch {
	case errors.Is(err, ErrQueueFull), errors.Is(err, os.ErrDeadlineExceeded):
		s.notReading.Add(1)
	case errors.Is(err, ErrStrangers):
		s.refused.Add(1)
	case errors.Is(err, ErrTooLarge), errors.Is(err, errPanic):
		s.badFrames.Add(1)
	}
	writer.Wait()
	s.remove(p)
	if s.handler.Gone != nil {
		s.handler.Gone(p, err)
	}
}

var errPanic = errors.New("reading from peer failed")

func (s *Server) readAll(p *Peer, r *bufio.Reader) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	defer s.handler.Strangers.give(p)
	return p.read(r, stranger, func(m message) {
		switch {
		case s.kind == zmq4.Rep:
			p.waitBelow(smallQueue)
			p.Send(m.frames)
			p.prove()
		case s.kind == zmq4.XPub:
			p.waitBelow(smallQueue)
			s.subscription(p, m.frames)
		case s.handler.Message != nil:
			s.handler.Message(p, m.frames)
		}
		s.handler.Strangers.give(p)
	})
}

// Bounds of a peer that may be a stranger's: one that subscribes, or sends
// heartbeats.
const (
	maxTopics  = 64
	maxTopic   = 256      // bytes of one
	maxBeat    = 4 << 10  // bytes of a heartbeat, or of a subscription
	smallQueue = 16 << 10 // unsent bytes above which no more is read
)

// subscription handles what a subscriber sends: 1 or 0 and a topic.
func (s *Server) subscription(p *Peer, frames [][]byte) {
	f := frames[0]
	if len(frames) != 1 || len(f) == 0 || f[0] > 1 || len(f) > 1+maxTopic {
		return
	}
	topic := string(f[1:])
	p.mu.Lock()
	switch {
	case f[0] == 1 && len(p.topics) < maxTopics:
		p.topics[strings.Clone(topic)]++
	case f[0] == 0 && p.topics[topic] > 1:
		p.topics[topic]--
	case f[0] == 0:
		delete(p.topics, topic)
	}
	p.mu.Unlock()
	p.prove()
	if f[0] == 1 && s.handler.Subscribe != nil {
		s.handler.Subscribe(p, f[1:])
	}
}

func (p *Peer) subscribed(first []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.topics {
		if len(first) >= len(t) && string(first[:len(t)]) == t {
			return true
		}
	}
	return false
}

func madeUp() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "metaml-" + hex.EncodeToString(b[:])
}
