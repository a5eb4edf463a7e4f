package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/metaml/metaml/deployer/collect"
)

// The times of a stream.
const (
	helloTime = 10 * time.Second // for a reader to say what it has
	lastTime  = time.Second      // for the message that closes a stream
)

var upgrader = websocket.Upgrader{
	HandshakeTimeout: readTime,
	ReadBufferSize:   4 << 10,
	WriteBufferSize:  4 << 10,
}

// errSlow closes a reader that took nothing for [collect.Patience].
var errSlow = errors.New("nothing was taken for too long; come again")

// stream sends to one reader what it lacks, and then what comes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case s.readers <- struct{}{}:
		defer func() { <-s.readers }()
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("%d readers are here already", maxReaders))
		return
	}
	s.streams.Add(1)
	defer s.streams.Done()
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer conn.Close()
	conn.SetReadLimit(collect.MaxHelloSize)
	held, err := readHello(conn)
	if err != nil {
		closeWith(conn, websocket.ClosePolicyViolation, err)
		return
	}
	feed := s.store.Feed(held)
	defer feed.Close()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var reading sync.WaitGroup
	reading.Go(func() { cancel(readTook(conn, feed)) })
	code, err := write(ctx, conn, feed)
	closeWith(conn, code, err)
	conn.Close()
	reading.Wait()
	s.heard.Store(time.Now().UnixNano())
}

// readHello reads which files a reader has.
func readHello(conn *websocket.Conn) ([]collect.Held, error) {
	if err := conn.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return nil, err
	}
	var all []collect.Held
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return nil, err
		}
		held, more, err := collect.DecodeHello(message)
		if err != nil {
			return nil, err
		}
		all = append(all, held...)
		switch {
		case len(all) > collect.MaxRunFiles:
			return nil, fmt.Errorf("a reader has more than %d files", collect.MaxRunFiles)
		case more && len(held) == 0:
			return nil, errors.New("a reader says nothing, and that more follows")
		case !more:
			return all, nil
		}
	}
}

// readTook reads how much a reader took, until the connection ends. A reader of which nothing is heard for
// [collect.Patience], not even the answer to a ping, is gone.
func readTook(conn *websocket.Conn, feed *collect.Feed) error {
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(collect.Patience)) }
	conn.SetPongHandler(func(string) error { return alive() })
	for {
		if err := alive(); err != nil {
			return err
		}
		_, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		total, err := collect.DecodeTook(message)
		if err == nil {
			err = feed.Took(time.Now(), total)
		}
		if err != nil {
			return &badReader{err}
		}
	}
}

// badReader is a reader that does not keep to the protocol.
type badReader struct{ cause error }

func (e *badReader) Error() string { return e.cause.Error() }
func (e *badReader) Unwrap() error { return e.cause }

// write sends frames until ctx is done or the reader takes none, and says how to close the connection.
func write(ctx context.Context, conn *websocket.Conn, feed *collect.Feed) (code int, err error) {
	ping := time.NewTicker(collect.PingEvery)
	defer ping.Stop()
	data := make([]byte, collect.MaxBatch)
	var message []byte
	caughtUp := false                 // the reader was sent all that there was
	wake := feed.Wake()               // nil in the pause after a message
	pause := time.NewTimer(time.Hour) // its first end is of no message, and does no harm
	defer pause.Stop()
	for {
		for wake != nil && ctx.Err() == nil {
			var full bool
			message, full, err = feed.Message(time.Now(), data, message)
			if err != nil {
				return websocket.CloseInternalServerErr, err
			}
			if len(message) == 0 {
				break
			}
			if err := conn.SetWriteDeadline(time.Now().Add(collect.Patience)); err != nil {
				return websocket.CloseAbnormalClosure, err
			}
			if err := conn.WriteMessage(websocket.BinaryMessage, message); err != nil {
				return websocket.CloseTryAgainLater, err
			}
			if !full {
				wake = nil
				pause.Reset(collect.FramesEvery)
			}
		}
		if wake != nil && !caughtUp && feed.Empty() {
			caughtUp = true
			if err := conn.SetWriteDeadline(time.Now().Add(collect.Patience)); err != nil {
				return websocket.CloseAbnormalClosure, err
			}
			if err := conn.WriteMessage(websocket.BinaryMessage, nil); err != nil {
				return websocket.CloseTryAgainLater, err
			}
		}
		select {
		case <-pause.C:
			wake = feed.Wake()
		case <-ctx.Done():
			cause := context.Cause(ctx)
			var bad *badReader
			switch {
			case errors.Is(cause, errEnds):
				return websocket.CloseGoingAway, cause
			case errors.As(cause, &bad):
				return websocket.ClosePolicyViolation, cause
			case isTimeout(cause):
				return websocket.CloseTryAgainLater, errSlow
			default:
				return websocket.CloseNormalClosure, cause
			}
		case <-wake:
		case <-ping.C:
			if feed.Stalled(time.Now()) {
				return websocket.CloseTryAgainLater, errSlow
			}
			if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(collect.PingEvery)); err != nil {
				return websocket.CloseTryAgainLater, err
			}
		}
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// closeWith says how a connection ends. The reader may be gone, and then comes again whatever is said.
func closeWith(conn *websocket.Conn, code int, why error) {
	text := ""
	if why != nil {
		text = why.Error()
	}
	const room = 123 // RFC 6455, 5.5: a control frame has at most 125 bytes, two are the code
	message := websocket.FormatCloseMessage(code, text[:min(len(text), room)])
	_ = conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(lastTime))
}
