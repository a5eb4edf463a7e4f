// Package follow is a reader of deployer/collect: it keeps on this machine what the monitor of a run has, as it comes.
//
// Read [Run] first. It imports deployer/collect alone. How the monitor is reached, through a port-forward or another
// way, is the caller's.
package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/metaml/metaml/deployer/collect"
)

// Kept is where what comes is kept. It is used by one goroutine.
type Kept interface {
	// Held says what is there; it is asked at the beginning of each connection.
	Held() ([]collect.Held, error)
	// Append adds data to the end of a file of a source. Source and file were checked: they may be joined to a path.
	Append(source collect.Source, file string, data []byte) error
}

// Monitor is where to read.
type Monitor struct {
	Token string
	// Dial makes a connection to the monitor.
	Dial func(ctx context.Context) (net.Conn, error)
	// CaughtUp, unless it is nil, is called once for a connection: everything is kept that the monitor had when it was
	// made.
	CaughtUp func()
}

// The times of a reader.
const (
	firstPause    = 250 * time.Millisecond
	handshakeTime = 10 * time.Second
	writeTime     = 10 * time.Second
)

// KeepError is an error of [Kept], after which [Run] ends: another connection would not help.
type KeepError struct{ cause error }

func (e *KeepError) Error() string { return "keep what the monitor sent: " + e.cause.Error() }

// Unwrap gives what Kept said.
func (e *KeepError) Unwrap() error { return e.cause }

// Run keeps what comes until ctx is done, over as many connections as that needs, or until it cannot be kept
// ([KeepError]). How each connection fared goes to state: nil when it is there, why it ended else.
func Run(ctx context.Context, m Monitor, kept Kept, state func(error)) error {
	pause := firstPause
	for {
		held, err := kept.Held()
		if err != nil {
			return &KeepError{err}
		}
		came, err := m.read(ctx, held, kept, func() { state(nil) })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, ok := errors.AsType[*KeepError](err); ok {
			return err
		}
		state(err)
		if came {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, collect.MaxPause)
	}
}

// read is one connection. Came reports whether anything came over it.
func (m Monitor) read(
	ctx context.Context, held []collect.Held, kept Kept, connected func(),
) (came bool, err error) {
	dialer := websocket.Dialer{
		HandshakeTimeout: handshakeTime,
		NetDialContext:   func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) },
		ReadBufferSize:   32 << 10,
	}
	header := http.Header{"Authorization": {"Bearer " + m.Token}}
	conn, response, err := dialer.DialContext(ctx, "ws://monitor/v1/stream", header)
	if err != nil {
		if response != nil {
			text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
			response.Body.Close()
			err = fmt.Errorf("%s: %.200s", response.Status, text)
		}
		return false, fmt.Errorf("reach the monitor: %w", err)
	}
	defer conn.Close()
	// What is being read or written ends with ctx.
	var closing sync.WaitGroup
	closing.Add(1)
	stop := context.AfterFunc(ctx, func() { defer closing.Done(); conn.Close() })
	defer func() {
		if stop() {
			closing.Done()
		}
		closing.Wait()
	}()
	conn.SetReadLimit(collect.MaxFramesSize)
	for _, message := range collect.Hello(held) {
		if err := write(conn, message); err != nil {
			return false, fmt.Errorf("say to the monitor what is here: %w", err)
		}
	}
	connected()
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(collect.Patience)) }
	conn.SetPingHandler(func(text string) error {
		// That a pong cannot be written shows at the next message.
		_ = conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(writeTime))
		return alive()
	})
	reader := collect.NewReader(held)
	for {
		if err := alive(); err != nil {
			return came, fmt.Errorf("read from the monitor: %w", err)
		}
		_, message, err := conn.ReadMessage()
		if err != nil {
			return came, fmt.Errorf("read from the monitor: %w", err)
		}
		if len(message) == 0 {
			if m.CaughtUp != nil {
				m.CaughtUp()
			}
			continue
		}
		total, err := keep(reader, kept, message)
		if err != nil {
			return came, err
		}
		came = true
		if err := write(conn, collect.EncodeTook(total)); err != nil {
			return came, fmt.Errorf("say to the monitor what was taken: %w", err)
		}
	}
}

// keep keeps what is new in a message, and gives what was taken altogether.
func keep(reader *collect.Reader, kept Kept, message []byte) (total int64, err error) {
	frames, err := collect.DecodeFrames(message)
	if err != nil {
		return 0, err
	}
	for _, frame := range frames {
		fresh, err := reader.Fresh(frame)
		if err != nil {
			return 0, err
		}
		if len(fresh) > 0 {
			if err := kept.Append(frame.Source, frame.File, fresh); err != nil {
				return 0, &KeepError{err}
			}
		}
		total = reader.Kept(frame)
	}
	return total, nil
}

func write(conn *websocket.Conn, message []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	return conn.WriteMessage(websocket.TextMessage, message)
}
