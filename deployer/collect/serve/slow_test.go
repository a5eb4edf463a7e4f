package serve_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/serve"
)

// pipes is a listener without sockets, so that the time of a test can be its own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

// withSlow has a reader at a monitor whose store has more than a window, in a time of their own.
func withSlow(t *testing.T, test func(t *testing.T, dial func() (*websocket.Conn, error))) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk, err := serve.OpenDisk(dir)
		if err != nil {
			t.Fatal(err)
		}
		store, err := collect.OpenStore(disk, "s", collect.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			piece := collect.Piece{File: "a", Offset: int64(i) * collect.MaxBatch, Data: make([]byte, collect.MaxBatch)}
			b := collect.Batch{Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{piece}}
			if _, err := store.Take(time.Now(), b); err != nil {
				t.Fatal(err)
			}
		}
		server, err := serve.New(store, nil, "", token)
		if err != nil {
			t.Fatal(err)
		}
		listener := &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx, listener) }()
		test(t, func() (*websocket.Conn, error) {
			dialer := websocket.Dialer{NetDialContext: listener.dial}
			conn, response, err := dialer.DialContext(ctx, "ws://monitor/v1/stream", http.Header{
				"Authorization": {"Bearer " + token},
			})
			if err != nil {
				return nil, err
			}
			response.Body.Close()
			return conn, conn.WriteMessage(websocket.TextMessage, collect.Hello(nil)[0])
		})
		cancel(nil)
		if err := errors.Join(<-done, disk.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Of a reader that says nothing of what it took, no more than a window is on its way, and it is closed with 1013.
func TestASlowReaderIsAskedToComeAgain(t *testing.T) {
	withSlow(t, func(t *testing.T, dial func() (*websocket.Conn, error)) {
		t.Helper()
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start, total := time.Now(), 0
		for {
			_, message, err := conn.ReadMessage() // it answers pings meanwhile
			if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
				after := time.Since(start)
				if closed.Code != websocket.CloseTryAgainLater || total != collect.Window ||
					after < collect.Patience || after > collect.Patience+collect.PingEvery {
					t.Errorf("closed with %d after %d bytes and %v", closed.Code, total, after)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			frames, err := collect.DecodeFrames(message)
			if err != nil {
				t.Fatal(err)
			}
			for _, frame := range frames {
				total += len(frame.Data)
			}
		}
	})
}

// A reader that is gone, and of whose end nothing is heard, makes room for another one in time.
func TestAReaderThatIsGoneMakesRoom(t *testing.T) {
	withSlow(t, func(t *testing.T, dial func() (*websocket.Conn, error)) {
		t.Helper()
		for range 16 {
			conn, err := dial() // nothing is read from it
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		if conn, err := dial(); err == nil {
			conn.Close()
			t.Fatal("there is room for one more")
		}
		time.Sleep(collect.Patience + collect.PingEvery) //nolint:forbidigo // the time is the test's own
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}

// A reader to which nothing is sent for an hour is still there.
func TestAReaderMayWait(t *testing.T) {
	withSlow(t, func(t *testing.T, dial func() (*websocket.Conn, error)) {
		t.Helper()
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		frames := make(chan int)
		go func() {
			defer close(frames)
			total := int64(0)
			for {
				_, message, err := conn.ReadMessage()
				if err != nil {
					return
				}
				decoded, err := collect.DecodeFrames(message)
				if err != nil {
					t.Error(err)
				}
				for _, frame := range decoded {
					total += int64(len(frame.Data))
				}
				if conn.WriteMessage(websocket.TextMessage, collect.EncodeTook(total)) != nil {
					return
				}
				frames <- len(decoded)
			}
		}()
		for range 8 {
			<-frames
		}
		if n := <-frames; n > 0 {
			t.Errorf("it is not said that this is all: there are %d more frames", n)
		}
		select {
		case _, ok := <-frames:
			t.Errorf("there is another frame, or it was closed: %v", ok)
		case <-time.After(time.Hour):
		}
		conn.Close()
		<-frames
	})
}
