package portforward

import (
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxKept bounds what is kept of a client, in bytes. Where it has sent more, nothing more is read before a pod has
	// taken that.
	maxKept = 256 << 10
	// taken is after what time a pod counts as one that takes what it is sent: that nothing listens there is said
	// sooner.
	taken = 2 * time.Second
)

// sent is what a client has sent. It is kept until a pod has taken it, so that it can be sent to another one.
type sent struct {
	mu       sync.Mutex
	changed  sync.Cond
	kept     []byte
	turn     int  // of the pods to which it is sent, one after the other
	accepted bool // a pod takes it: what was sent is dropped
	ended    bool // the client sends no more
	closed   bool // nobody wants it any more
}

func newSent() *sent {
	s := &sent{}
	s.changed.L = &s.mu
	return s
}

// from takes in what a client sends, until it ends.
func (s *sent) from(client net.Conn) {
	buffer := make([]byte, most)
	for {
		n, err := client.Read(buffer)
		s.mu.Lock()
		s.kept = append(s.kept, buffer[:n]...)
		s.ended = err != nil
		s.changed.Broadcast()
		for len(s.kept) >= maxKept && !s.closed {
			s.changed.Wait()
		}
		over := s.ended || s.closed
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// set changes what is known, and has who waits look at it.
func (s *sent) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// begin begins another turn, which ends the one before it.
func (s *sent) begin() (turn int) {
	s.set(func() { s.turn++; turn = s.turn })
	return turn
}

// accept says that the pod of this turn takes what it is sent.
func (s *sent) accept() { s.set(func() { s.accepted = true }) }

// close lets go who waits.
func (s *sent) close() { s.set(func() { s.closed = true }) }

// to sends a pod what is kept, and what comes, until the client or the turn ends.
func (s *sent) to(pod net.Conn, turn int) {
	early := time.AfterFunc(taken, func() { s.set(func() { s.accepted = s.accepted || s.turn == turn }) })
	defer early.Stop()
	for done := 0; ; { // of what is kept
		part, goesOn := s.next(turn, &done)
		if !goesOn {
			return
		}
		if len(part) == 0 { // the client sends no more
			_ = pod.SetReadDeadline(time.Now().Add(linger))
			return
		}
		if _, err := pod.Write(part); err != nil {
			return // reading from it says why
		}
		done += len(part)
	}
}

// next waits for what comes after the part that was sent. It is empty when the client has ended.
func (s *sent) next(turn int, done *int) (part []byte, goesOn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.turn == turn && !s.closed {
		if s.accepted && *done > 0 {
			s.kept, *done = slices.Delete(s.kept, 0, *done), 0
			s.changed.Broadcast()
		}
		if *done < len(s.kept) || s.ended {
			return slices.Clone(s.kept[*done:min(len(s.kept), *done+most)]), true
		}
		s.changed.Wait()
	}
	return nil, false
}
