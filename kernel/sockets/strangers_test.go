package sockets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// signing is a ROUTER that takes a message that begins with "signed" for one with the
// right signature, and sends every message back.
func signing(t *testing.T, strangers *Strangers) *Server {
	t.Helper()
	return serve(t, zmq4.Router, Handler{Strangers: strangers, Message: func(p *Peer, frames [][]byte) {
		if string(frames[0]) == "signed" {
			p.Signed()
		}
		p.Send(frames)
	}})
}

func text(words ...string) (frames [][]byte) {
	for _, w := range words {
		frames = append(frames, []byte(w))
	}
	return frames
}

// greet connects as a stranger would who speaks ZMTP, and does nothing more.
func greet(t *testing.T, s *Server, kind zmq4.SocketType, identity string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, _, err := handshake(c, kind, identity, false); err != nil {
		t.Fatal(err)
	}
	return c
}

// ready waits until a server has so many connections.
func ready(t *testing.T, s *Server, n int) {
	t.Helper()
	until(t, fmt.Sprint(n, " connections"), func() bool { return s.Stats().Peers == uint64(n) })
}

func nothing(t *testing.T, got <-chan [][]byte) {
	t.Helper()
	select {
	case m := <-got:
		t.Fatalf("%q came", m)
	default:
	}
}

func TestAnIdentityIsHandedOverByASignedMessage(t *testing.T) {
	s := signing(t, nil)
	old, oldGot := dial(t, s, zmq4.Dealer, "same")
	exchange(t, old, oldGot, "signed")
	again, got := dial(t, s, zmq4.Dealer, "same")
	exchange(t, again, got, "hello")
	if !s.Send("same", text("one")) || string(receive(t, oldGot)[0]) != "one" {
		t.Error("a stranger who took the identity got the message")
	}
	nothing(t, got)
	exchange(t, again, got, "signed")
	until(t, "the old connection is closed", func() bool { return old.Err() != nil })
	if !s.Send("same", text("two")) || string(receive(t, got)[0]) != "two" {
		t.Error("the front end that came back did not get the message")
	}
}

func TestWhatIsSentToAnIdentityWaitsUntilSomebodySigns(t *testing.T) {
	s := signing(t, nil)
	old, oldGot := dial(t, s, zmq4.Dealer, "same")
	exchange(t, old, oldGot, "signed")
	stranger, strangersGot := dial(t, s, zmq4.Dealer, "same")
	exchange(t, stranger, strangersGot, "hello")
	old.Close()
	ready(t, s, 1)
	if !s.Send("same", text("one")) || !s.Send("same", text("two")) {
		t.Error("nobody has the identity")
	}
	exchange(t, stranger, strangersGot, "hello again")
	nothing(t, strangersGot)
	if s.Send("same", [][]byte{make([]byte, maxKept)}) {
		t.Error("more is kept than there is room for")
	}
	back, got := dial(t, s, zmq4.Dealer, "same")
	back.Send(text("signed"))
	for _, want := range []string{"one", "two", "signed"} {
		if m := receive(t, got); string(m[0]) != want {
			t.Errorf("got %q, want %s", m, want)
		}
	}
	nothing(t, strangersGot)
	back.Close()
	until(t, "nobody has the identity", func() bool { return !s.Has("same") })
	if s.Send("same", text("three")) || s.keptSize != 0 {
		t.Errorf("%d bytes are kept for nobody", s.keptSize)
	}
}

// Where front ends do not speak first, the connection that came first has the identity.
func TestWhoIsAskedIsTheFirstOfAnIdentity(t *testing.T) {
	s := serve(t, zmq4.Router, Handler{Asks: true})
	_, got := dial(t, s, zmq4.Dealer, "same")
	ready(t, s, 1)
	greet(t, s, zmq4.Dealer, "same")
	ready(t, s, 2)
	if !s.Send("same", text("name?")) || string(receive(t, got)[0]) != "name?" {
		t.Error("the first one was not called")
	}
}

// TestIdleStrangersKeepNobodyOut is about every kind of socket: what front ends do keeps
// them in, whatever many others do.
func TestIdleStrangersKeepNobodyOut(t *testing.T) {
	for kind, peer := range map[zmq4.SocketType]zmq4.SocketType{
		zmq4.Router: zmq4.Dealer, zmq4.XPub: zmq4.Sub,
		zmq4.Rep: zmq4.Req,
	} {
		t.Run(string(kind), func(t *testing.T) {
			subscribed := make(chan *Peer, 10)
			s := serve(t, kind, Handler{
				Message:   func(p *Peer, frames [][]byte) { p.Signed(); p.Send(frames) },
				Subscribe: func(p *Peer, _ []byte) { subscribed <- p },
			})
			front := func(name string) (*Peer, <-chan [][]byte) {
				p, got := dial(t, s, peer, name)
				if kind == zmq4.XPub {
					<-subscribed
				} else {
					exchange(t, p, got, "", "here is "+name)
				}
				return p, got
			}
			first, _ := front("first")
			for range 2 * maxIdle {
				greet(t, s, peer, "first")
			}
			second, _ := front("second")
			for _, p := range []*Peer{first, second} {
				if err := p.Err(); err != nil {
					t.Errorf("a front end was closed: %v", err)
				}
			}
			if n := s.Stats().Peers; n > maxIdle+2 {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
}

func TestAKnownIdentityIsKept(t *testing.T) {
	s := serve(t, zmq4.Router, Handler{Asks: true})
	p, got := dial(t, s, zmq4.Dealer, "known")
	ready(t, s, 1)
	s.Known("known")
	for range 2 * maxIdle {
		greet(t, s, zmq4.Dealer, "")
	}
	if !s.Send("known", text("name?")) || string(receive(t, got)[0]) != "name?" || p.Err() != nil {
		t.Errorf("a front end's connection gave way to strangers: %v", p.Err())
	}
}

// unfinished announces a frame of size bytes and sends the beginning of it.
func unfinished(t *testing.T, c net.Conn, size, sent int) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := c.Write(append(binary.BigEndian.AppendUint64([]byte{flagLong}, uint64(size)), make([]byte, sent)...))
	if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") &&
		!strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err)
	}
}

func (s *Strangers) holds() (bytes, peers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, len(s.held)
}

func TestStrangersHoldSoMuchTogether(t *testing.T) {
	freed := make(chan int, 1000)
	strangers := &Strangers{Freed: func(n int) { freed <- n }}
	shell, control := signing(t, strangers), signing(t, strangers)
	for i := range 40 {
		s := []*Server{shell, control}[i%2]
		unfinished(t, greet(t, s, zmq4.Dealer, ""), 3<<20, 1<<20)
		if used, _ := strangers.holds(); used > strangersHold {
			t.Fatalf("they hold %d bytes", used)
		}
	}
	until(t, "what there is room for is held", func() bool {
		_, n := strangers.holds()
		return n == strangersHold/(3<<20) || n == strangersHold/(3<<20)-1
	})
	p, got := dial(t, shell, zmq4.Dealer, "front end")
	exchange(t, p, got, "signed", strings.Repeat("x", 1<<20))
	exchange(t, p, got, "large", strings.Repeat("x", 2*strangersHold)) // it is no stranger now
	used, _ := strangers.holds()
	if used > strangersHold {
		t.Errorf("they hold %d bytes", used)
	}
	// One that is larger than all may be is not begun, and what is whole is given back.
	huge := greet(t, shell, zmq4.Dealer, "")
	unfinished(t, huge, strangersHold+1, 10)
	if _, err := huge.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger may send what all may not hold")
	}
	whole, wholeGot := dial(t, shell, zmq4.Dealer, "")
	exchange(t, whole, wholeGot, "unsigned", "x")
	if after, _ := strangers.holds(); after > used {
		t.Errorf("%d bytes are held for a message that was taken", after-used)
	}
	if len(freed) == 0 {
		t.Error("nobody was notified that memory is free")
	}
	shell.Close()
	control.Close()
	if used, n := strangers.holds(); used != 0 || n != 0 {
		t.Errorf("in the end %d peers hold %d bytes", n, used)
	}
}

// Peers that nobody can tell from strangers cannot make large messages, or have many answers wait.
func TestHeartbeatsAndSubscriptionsAreSmall(t *testing.T) {
	for kind, peer := range map[zmq4.SocketType]zmq4.SocketType{zmq4.Rep: zmq4.Req, zmq4.XPub: zmq4.Sub} {
		t.Run(string(kind), func(t *testing.T) {
			s := serve(t, kind, Handler{Subscribe: func(p *Peer, topic []byte) {
				p.Send([][]byte{topic, make([]byte, 500)})
			}})
			c := greet(t, s, peer, "")
			unfinished(t, c, maxBeat+1, 10)
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a large message is taken")
			}
			// Who sends and does not read is not read any more.
			c = greet(t, s, peer, "")
			_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			many := bytes.Repeat(appendMessage(nil, [][]byte{append([]byte{1}, bytes.Repeat([]byte("x"), 200)...)}),
				1000)
			for {
				if _, err := c.Write(many); err != nil {
					break
				}
			}
			if n := s.Queued(); n > smallQueue+maxBeat {
				t.Errorf("%d bytes wait for a peer that does not read", n)
			}
		})
	}
}
