package sockets

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// left finds a goroutine of ours in a stack dump.
var left = regexp.MustCompile(`kernel/sockets\.(\(\*Server\)|\(\*Peer\)|Dialer)`)

// leakCheck fails the test when goroutines of this package are left at its end.
func leakCheck(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		buf := make([]byte, 1<<20)
		n := 0
		if !within(10*time.Second, func() bool {
			n = runtime.Stack(buf, true)
			return !left.Match(buf[:n])
		}) {
			t.Errorf("goroutines are left:\n%s", buf[:n])
		}
	})
}

func until(t *testing.T, why string, ok func() bool) {
	t.Helper()
	if !within(30*time.Second, ok) {
		t.Fatalf("never happened: %s", why)
	}
}

// within waits for a state until limit.
func within(limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func serve(t *testing.T, kind zmq4.SocketType, h Handler) *Server {
	t.Helper()
	leakCheck(t)
	s, err := Listen(t.Context(), kind, "tcp", "127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// echo is a ROUTER that sends every message back.
func echo(t *testing.T) *Server {
	t.Helper()
	return serve(t, zmq4.Router, Handler{Message: func(p *Peer, frames [][]byte) { p.Send(frames) }})
}

// dial connects a peer of ours; its messages come on the channel.
func dial(t *testing.T, s *Server, kind zmq4.SocketType, identity string) (*Peer, <-chan [][]byte) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	var wg sync.WaitGroup
	got := make(chan [][]byte, 10_000)
	type arrival struct {
		m    [][]byte
		fill *Fill
	}
	arrived := make(chan arrival, 10_000)
	wg.Go(func() { // in order, and beside the reader, which fills a large frame
		for a := range arrived {
			for n := 0; a.fill != nil && n < len(a.m[len(a.m)-1]); {
				var err error
				if n, err = a.fill.wait(n); err != nil {
					a.m = nil
					break
				}
			}
			if a.m != nil {
				got <- a.m
			}
		}
	})
	var reader sync.WaitGroup
	p := Dialer{
		Kind: kind, Network: s.Addr().Network(), Address: s.Addr().String(), Identity: identity,
		Message: func(m [][]byte, fill *Fill) { arrived <- arrival{m, fill} },
	}.Dial(ctx, &reader)
	t.Cleanup(func() { cancel(nil); reader.Wait(); close(arrived); wg.Wait() })
	return p, got
}

func receive(t *testing.T, got <-chan [][]byte) [][]byte {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func exchange(t *testing.T, p *Peer, got <-chan [][]byte, frames ...string) {
	t.Helper()
	m := make([][]byte, len(frames))
	for i, f := range frames {
		m[i] = []byte(f)
	}
	p.Send(m)
	back := receive(t, got)
	if len(back) != len(m) {
		t.Fatalf("%d frames came back, want %d", len(back), len(m))
	}
	for i := range m {
		if !bytes.Equal(back[i], m[i]) {
			t.Fatalf("frame %d of %d bytes came back as %d bytes", i, len(m[i]), len(back[i]))
		}
	}
}

func TestMessagesOfAllSizesComeBackAsTheyWere(t *testing.T) {
	s := echo(t)
	p, got := dial(t, s, zmq4.Dealer, "one")
	exchange(t, p, got, "", "a", strings.Repeat("b", 255), strings.Repeat("c", 256), "")
	exchange(t, p, got, strings.Repeat("d", 70_000))
	exchange(t, p, got, "small", strings.Repeat("e", 5<<20), "small")
	exchange(t, p, got, "\xff\x00\x01")
}

func TestStockPeersAreUnderstood(t *testing.T) {
	s := echo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d := zmq4.NewDealer(ctx, zmq4.WithID(zmq4.SocketIdentity("stock")))
	defer func() { _ = d.Close() }()
	if err := d.Dial("tcp://" + s.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := d.SendMulti(zmq4.NewMsgFrom([]byte("a"), []byte("b"))); err != nil {
		t.Fatal(err)
	}
	m, err := d.Recv()
	if err != nil || len(m.Frames) != 2 {
		t.Fatalf("got %v, %v", m, err)
	}
}

func TestSubscriptionsAreReportedAndFilter(t *testing.T) {
	topics := make(chan string, 10)
	s := serve(t, zmq4.XPub, Handler{Subscribe: func(_ *Peer, topic []byte) { topics <- string(topic) }})
	_, got := dial(t, s, zmq4.Sub, "")
	if topic := <-topics; topic != "" {
		t.Errorf("topic is %q, want all", topic)
	}
	s.Publish([][]byte{[]byte("kernel.status"), []byte("x")}, false)
	if m := receive(t, got); string(m[1]) != "x" {
		t.Errorf("got %q", m)
	}
}

func TestHeartbeatEchoes(t *testing.T) {
	s := serve(t, zmq4.Rep, Handler{})
	p, got := dial(t, s, zmq4.Req, "")
	exchange(t, p, got, "", "ping")
}

// raw connects and greets as a DEALER, then leaves the rest to the test.
func raw(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, _, err := handshake(c, zmq4.Dealer, "raw", false); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostilePeersHurtNobody(t *testing.T) {
	long := func(flags byte, size uint64) []byte {
		return binary.BigEndian.AppendUint64([]byte{flags | flagLong}, size)
	}
	greeting := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'}, make([]byte, 48)...)
	for _, c := range []struct {
		name    string
		greeted bool
		bytes   []byte
	}{
		{"silence", false, nil},
		{"http", false, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 100))},
		{"greeting of zeros", false, make([]byte, 64)},
		{"huge handshake command", false, append(bytes.Clone(greeting), long(flagCommand, 1<<62)...)},
		{"large handshake command", false, append(bytes.Clone(greeting), long(flagCommand, 1<<40)...)},
		{"malformed metadata", false, append(bytes.Clone(greeting), 4, 8, 5, 'R', 'E', 'A', 'D', 'Y', 200, 'x')},
		{"2^62 byte frame", true, long(0, 1<<62)},
		{"2^63 byte frame", true, long(0, 1<<63)},
		{"frame in the middle", true, append(long(flagMore, 1<<20), "half"...)},
		{"unknown flags", true, []byte{0xf8, 1, 2, 3}},
		{"endless frames", true, bytes.Repeat([]byte{flagMore, 0}, MaxFrames+10)},
		{"command in a message", true, []byte{flagMore, 1, 'a', flagCommand, 1, 'b'}},
		{"empty command", true, []byte{flagCommand, 0}},
		{"ping with no ttl", true, []byte{flagCommand, 5, 4, 'P', 'I', 'N', 'G'}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := echo(t)
			var conn net.Conn
			if c.greeted {
				conn = raw(t, s)
			} else {
				var err error
				if conn, err = net.Dial("tcp", s.Addr().String()); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
			}
			if _, err := conn.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			p, got := dial(t, s, zmq4.Dealer, "good")
			exchange(t, p, got, "still here")
		})
	}
}

// A large message is passed on while it is read: its beginning is out before its end
// has come, what follows it keeps its place, and when it is cut off the receiver's
// connection ends instead of a message with a hole.
func TestALargeMessageIsPassedOnWhileItIsRead(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprint("cut ", cut), func(t *testing.T) {
			sent := make(chan *Peer, 1)
			source := serve(t, zmq4.XPub, Handler{Subscribe: func(p *Peer, _ []byte) { sent <- p }})
			subscribed := make(chan struct{})
			front, err := Listen(t.Context(), zmq4.XPub, "tcp", "127.0.0.1:0", Handler{Subscribe: func(*Peer, []byte) {
				close(subscribed)
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(front.Close)
			receiver, got := dial(t, front, zmq4.Sub, "")
			<-subscribed
			ctx, cancel := context.WithCancelCause(t.Context())
			var wg sync.WaitGroup
			t.Cleanup(func() { cancel(nil); wg.Wait() })
			Dialer{
				Kind: zmq4.Sub, Network: "tcp", Address: source.Addr().String(),
				Message: func(m [][]byte, fill *Fill) { front.PublishFilling(m, fill) },
			}.Dial(ctx, &wg)
			p := <-sent
			fill := newFill()
			large := bytes.Repeat([]byte("0123456789"), 500_000)
			source.PublishFilling([][]byte{[]byte("topic"), large}, fill)
			source.Publish([][]byte{[]byte("after")}, false)
			advance := func(n int) {
				fill.mu.Lock()
				fill.n = n
				fill.mu.Unlock()
				fill.moved.Broadcast()
			}
			advance(3 << 20)
			until(t, "the beginning is out", func() bool { return front.Queued() > 0 })
			if cut {
				p.Close()
				fill.mu.Lock()
				fill.err = errors.New("cut")
				fill.mu.Unlock()
				fill.moved.Broadcast()
				until(t, "the receiver is cut off", func() bool { return receiver.Err() != nil })
				return
			}
			advance(len(large))
			if m := receive(t, got); !bytes.Equal(m[1], large) {
				t.Error("the large message was changed")
			}
			if m := receive(t, got); string(m[0]) != "after" {
				t.Errorf("after it came %q", m)
			}
		})
	}
}

func TestPingIsAnswered(t *testing.T) {
	s := echo(t)
	c := raw(t, s)
	if _, err := c.Write([]byte{flagCommand, 9, 4, 'P', 'I', 'N', 'G', 0, 10, 'h', 'i'}); err != nil {
		t.Fatal(err)
	}
	m, err := readMessage(bufio.NewReader(c), believed, newPeer())
	if err != nil || !m.command || string(m.frames[0]) != "\x04PONGhi" {
		t.Errorf("got %q, %v", m.frames, err)
	}
}

func TestManySilentConnectionsKeepNobodyOut(t *testing.T) {
	s := echo(t)
	for range 3 * maxGreeting {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	p, got := dial(t, s, zmq4.Dealer, "good")
	exchange(t, p, got, "hello")
}

func TestASubscriberThatDoesNotReadIsClosedAndOthersMissNothing(t *testing.T) {
	subscribed := make(chan struct{}, 2)
	s := serve(t, zmq4.XPub, Handler{Subscribe: func(*Peer, []byte) { subscribed <- struct{}{} }})
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, _, err := handshake(c, zmq4.Sub, "", false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{0, 1, 1}); err != nil {
		t.Fatal(err)
	}
	<-subscribed
	_, got := dial(t, s, zmq4.Sub, "")
	<-subscribed
	block := make([]byte, 4<<20)
	n := MaxQueue/len(block) + 16
	for i := range n {
		s.Publish([][]byte{fmt.Appendf(nil, "%d", i), block}, false)
		if m := receive(t, got); string(m[0]) != fmt.Sprint(i) {
			t.Fatalf("message %d came as %s", i, m[0])
		}
	}
	if st := s.Stats(); st.NotReading != 1 {
		until(t, "the stuck subscriber is counted", func() bool { return s.Stats().NotReading == 1 })
	}
}

func TestProgressIsDroppedForWhoLagsAndNothingElse(t *testing.T) {
	p := newPeer() // never connected: all waits
	p.topics = map[string]int{"": 1}
	block := make([]byte, progressQueue+1)
	p.send(outgoing{frames: [][]byte{block}}, false)
	before := p.Queued()
	p.send(outgoing{frames: [][]byte{[]byte("progress")}}, true)
	if p.Queued() != before {
		t.Error("progress was queued behind a full queue")
	}
	p.send(outgoing{frames: [][]byte{[]byte("output")}}, false)
	if p.Queued() == before {
		t.Error("a user's message was dropped")
	}
}

func TestAFullQueueClosesThePeer(t *testing.T) {
	p := newPeer()
	half := make([]byte, MaxQueue/2)
	for range 3 {
		p.Send([][]byte{half})
	}
	if !errors.Is(p.Err(), ErrQueueFull) {
		t.Errorf("error is %v, want ErrQueueFull", p.Err())
	}
}

func TestRoomWaitsUntilThePeerHasRead(t *testing.T) {
	gate := make(chan struct{})
	s := serve(t, zmq4.Router, Handler{Message: func(*Peer, [][]byte) { <-gate }})
	p, _ := dial(t, s, zmq4.Dealer, "x")
	for p.Queued() <= roomQueue+32<<20 { // the rest is in the system's buffers

		p.Send([][]byte{make([]byte, 1<<20)})
	}
	passed := make(chan struct{})
	go func() { p.Room(); close(passed) }()
	select {
	case <-passed:
		t.Fatal("there was no room, and Room returned")
	case <-time.After(20 * time.Millisecond):
	}
	close(gate)
	<-passed
}

func TestUnixSocketsArePrivateAndReplaceDeadOnes(t *testing.T) {
	leakCheck(t)
	path := filepath.Join(t.TempDir(), "s")
	first, err := Listen(t.Context(), zmq4.Rep, "unix", path, Handler{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), zmq4.Rep, "unix", path, Handler{}); err == nil {
		t.Error("a socket in use was taken over")
	}
	first.Close()
	second, err := Listen(t.Context(), zmq4.Rep, "unix", path, Handler{})
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

// TestADialEndsWhileTheOtherSideIsSilent: a wrapped kernel that hangs must not keep ours.
func TestADialEndsWhileTheOtherSideIsSilent(t *testing.T) {
	leakCheck(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, end := range []string{"peer", "context"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var wg sync.WaitGroup
		p := Dialer{Kind: zmq4.Dealer, Network: "tcp", Address: l.Addr().String()}.Dial(ctx, &wg)
		silent, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
		began := time.Now()
		if end == "peer" {
			p.Close()
		} else {
			cancel(nil)
		}
		wg.Wait()
		if took := time.Since(began); took > HandshakeTimeout/2 {
			t.Errorf("%s: the end took %s", end, took)
		}
	}
}

func TestManyPeersAtOnce(t *testing.T) {
	s := echo(t)
	var wg sync.WaitGroup
	for i := range 32 {
		p, got := dial(t, s, zmq4.Dealer, fmt.Sprint("peer", i))
		wg.Go(func() {
			for j := range 200 {
				want := fmt.Sprint(i, " ", j)
				p.Send([][]byte{[]byte(want), make([]byte, j*100)})
				if m := <-got; string(m[0]) != want {
					t.Errorf("got %s, want %s", m[0], want)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzServer gives arbitrary bytes to a server, before or after the greeting: whatever
// they are, the next client is served.
func FuzzServer(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte{flagCommand, 200, 5, 'R', 'E', 'A', 'D', 'Y', 255}, false)
	f.Add([]byte{flagLong, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)
	f.Add([]byte{flagMore, 1, 'a', 0, 1, 'b'}, true)
	f.Add([]byte{flagLong, 0, 0, 0, 0, 1, 0x80, 0, 0, 'x'}, true)
	f.Add([]byte("\x00\x06signed\x02\x00\x00\x00\x00\x01\x80\x00\x00x"), true)
	strangers := &Strangers{}
	s, err := Listen(f.Context(), zmq4.Router, "tcp", "127.0.0.1:0",
		Handler{Strangers: strangers, Message: func(p *Peer, frames [][]byte) {
			if string(frames[0]) == "signed" {
				p.Signed()
			}
			p.Send(frames)
		}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	greeting := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'}, make([]byte, 48)...)
	f.Fuzz(func(t *testing.T, data []byte, greeted bool) {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if greeted {
			if _, _, err := handshake(c, zmq4.Dealer, "x", false); err != nil {
				t.Fatal(err)
			}
		} else {
			data = append(bytes.Clone(greeting), data...)
		}
		_, _ = c.Write(data) // the server may close at any byte
		p, got := dial(t, s, zmq4.Dealer, "good")
		exchange(t, p, got, "still here")
		if used, _ := strangers.holds(); used > strangersHold {
			t.Fatalf("strangers hold %d bytes", used)
		}
	})
}
