package sockets

import (
	"errors"
	"sync"
)

// strangersHold is how many bytes of unfinished messages peers may hold together that
// never sent a signed one. What is collected as garbage comes on top for a moment.
const strangersHold = 24 << 20

// ErrStrangers ends a connection of a peer that never signed.
var ErrStrangers = errors.New("peers that never sent a signed message hold too much")

// Strangers bounds the memory of peers that never sent a signed message, on all sockets
// of a kernel together. When it is used up, the one that holds most is closed: a front
// end's first message is small. It is safe for concurrent use.
type Strangers struct {
	// Freed, when not nil, is called when a peer gives so many bytes back.
	Freed func(bytes int)

	mu   sync.Mutex
	used int
	held map[*Peer]int
}

// frameCost is what a frame takes beside its bytes.
const frameCost = 64

// take counts a frame that is about to be read. It is counted as announced, and not as
// it comes: its memory is taken once.
func (s *Strangers) take(p *Peer, size uint64) error {
	if size > strangersHold {
		return ErrStrangers
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[*Peer]int{}
	}
	n := int(size) + frameCost
	s.held[p] += n
	s.used += n
	for s.used > strangersHold {
		most := p
		for other, n := range s.held {
			if n > s.held[most] {
				most = other
			}
		}
		s.used -= s.held[most]
		delete(s.held, most)
		if most == p {
			return ErrStrangers
		}
		most.fail(ErrStrangers)
	}
	return nil
}

// give gives back all that a peer holds.
func (s *Strangers) give(p *Peer) {
	if s == nil {
		return
	}
	s.mu.Lock()
	n := s.held[p]
	s.used -= n
	delete(s.held, p)
	s.mu.Unlock()
	if n > 0 && s.Freed != nil {
		s.Freed(n)
	}
}
