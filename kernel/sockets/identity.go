package sockets

import (
	"math/rand/v2"
	"slices"

	"github.com/go-zeromq/zmq4"
)

// Who gets what is sent to an identity, and who gives way when there are too many.
//
// Over TCP everybody on the machine can connect, under any identity: those of the front
// ends are published with each output. A front end is known by its signature. So a
// connection takes an identity over from another only by a signed message, or when the
// other has ended, and before that it gets nothing.

// maxKept is how many bytes wait for connections that have not signed.
const maxKept = 16 << 20

// Signed notes that the peer has sent a message with the right signature. From now on
// what is sent to its identity goes to it; the connection that had it is closed, as
// ROUTER_HANDOVER does it: a front end that reconnects gets its replies. It says
// whether it was the first such message.
func (p *Peer) Signed() (first bool) {
	if p.signed.Load() {
		return false
	}
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.signed.Swap(true) {
		return false
	}
	p.proven.Store(true)
	s.handler.Strangers.give(p)
	old := s.holders[p.Identity]
	if old != p && slices.Contains(s.peers, p) {
		s.holders[p.Identity] = p
		if old != nil {
			old.Close()
		}
	}
	for _, frames := range s.takeKept(p.Identity) {
		p.Send(frames)
	}
	return true
}

// Known says that an identity is a front end's: it has signed on another socket. Its
// connection here is none that gives way.
func (s *Server) Known(identity string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.holders[identity]; p != nil {
		p.proven.Store(true)
	}
}

// prove notes that a peer does what front ends do, on a socket where nothing is signed.
func (p *Peer) prove() { p.proven.Store(true) }

// Has says whether a peer of that identity is connected.
func (s *Server) Has(identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders[identity] != nil
}

// Send sends to the connection that has an identity (ROUTER). Where that has not signed
// yet, the message waits until it does. False: there is none, or too much waits.
func (s *Server) Send(identity string, frames [][]byte) bool {
	s.mu.Lock()
	p := s.holders[identity]
	if p != nil && !s.handler.Asks && !p.signed.Load() {
		defer s.mu.Unlock()
		return s.keep(identity, frames)
	}
	s.mu.Unlock()
	return p != nil && p.Send(frames)
}

func (s *Server) keep(identity string, frames [][]byte) bool {
	size := sizeOf(frames)
	if s.keptSize+size > maxKept {
		return false
	}
	s.keptSize += size
	s.kept[identity] = append(s.kept[identity], frames)
	return true
}

func (s *Server) takeKept(identity string) [][][]byte {
	all := s.kept[identity]
	delete(s.kept, identity)
	for _, frames := range all {
		s.keptSize -= sizeOf(frames)
	}
	return all
}

// add counts a connection; an identity that nobody has is its own.
func (s *Server) add(p *Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.makeRoom() {
		return false
	}
	s.peers = append(s.peers, p)
	if s.holders[p.Identity] == nil {
		s.holders[p.Identity] = p
	}
	return true
}

// makeRoom closes a connection where one more would be too many: the oldest of those
// that have done nothing. Where all have subscribed or sent heartbeats, which strangers
// can as well, it is any: whoever wants to be rid of a front end must not know which
// comes next.
func (s *Server) makeRoom() bool {
	idle := 0
	var oldest *Peer
	for _, p := range s.peers {
		if !p.proven.Load() && p.Err() == nil {
			if idle++; oldest == nil {
				oldest = p
			}
		}
	}
	switch {
	case idle < maxIdle && len(s.peers) < MaxPeers:
		return true
	case oldest != nil:
	case s.kind == zmq4.Router:
		s.refused.Add(1)
		return false
	default:
		oldest = s.peers[rand.IntN(len(s.peers))] //nolint:gosec // it is no secret
	}
	s.refused.Add(1)
	oldest.Close()
	s.forget(oldest)
	return true
}

func (s *Server) remove(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(p)
}

// forget takes a connection out. Its identity goes to another that came under it: to
// one that has signed, else the oldest.
func (s *Server) forget(p *Peer) {
	i := slices.Index(s.peers, p)
	if i < 0 {
		return
	}
	s.peers = slices.Delete(s.peers, i, i+1)
	if s.holders[p.Identity] != p {
		return
	}
	delete(s.holders, p.Identity)
	for _, other := range s.peers {
		if other.Identity != p.Identity {
			continue
		}
		if other.signed.Load() {
			s.holders[p.Identity] = other
			return
		}
		if s.holders[p.Identity] == nil {
			s.holders[p.Identity] = other
		}
	}
	if s.holders[p.Identity] == nil {
		s.takeKept(p.Identity)
	}
}

func sizeOf(frames [][]byte) int {
	size := 0
	for _, f := range frames {
		size += len(f) + 9
	}
	return size
}
