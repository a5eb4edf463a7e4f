package sockets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-zeromq/zmq4"
)

// Flags of a ZMTP 3.0 frame.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// Limits on what a peer may announce. Widgets send large buffers, so they are wide;
// memory is only taken as bytes arrive.
const (
	// MaxMessage is the size of one message in bytes, all frames together.
	MaxMessage = 1 << 30
	// MaxFrames is the number of frames in one message.
	MaxFrames = 4096
	// maxHandshake is the size of one command during the handshake.
	maxHandshake = 4096
	// believe is how much of an announced frame is allocated at once.
	believe = 1 << 20
)

// ErrTooLarge ends a connection whose peer announces more than the limits.
var ErrTooLarge = errors.New("message over the size limit")

// message is one ZMTP message or command.
type message struct {
	frames  [][]byte
	command bool
	fill    *Fill // the last frame is not read yet; fillRest does it
}

// trust says how a peer's announced sizes are taken.
type trust int

const (
	stranger trust = iota // memory grows with what arrives
	believed              // a frame is allocated at once
	filling               // and a large last frame is left to the caller to fill
)

// readMessage reads all frames of one message of p.
func readMessage(r *bufio.Reader, peer trust, p *Peer) (message, error) {
	var m message
	left := p.maxMessage()
	for {
		flags, err := r.ReadByte()
		if err != nil {
			return m, err
		}
		size, err := readSize(r, flags)
		if err != nil {
			return m, err
		}
		if size > left || len(m.frames) == MaxFrames {
			return m, ErrTooLarge
		}
		left -= size
		if peer == filling && size >= fillFrom && flags&(flagMore|flagCommand) == 0 {
			m.frames, m.fill = append(m.frames, make([]byte, size)), newFill()
			return m, nil
		}
		counted, err := p.count(size)
		if err != nil {
			return m, err
		}
		frame, err := readBody(r, int(size), peer != stranger || counted)
		if err != nil {
			return m, err
		}
		m.frames = append(m.frames, frame)
		if flags&flagCommand != 0 {
			if len(m.frames) > 1 || flags&flagMore != 0 {
				return m, errors.New("command inside a message")
			}
			m.command = true
			return m, nil
		}
		if flags&flagMore == 0 {
			return m, nil
		}
	}
}

// maxMessage is the size in bytes of the largest message that p may send.
func (p *Peer) maxMessage() uint64 {
	if p.server != nil && p.server.kind != zmq4.Router {
		return maxBeat
	}
	return MaxMessage
}

// count counts a frame of a peer that has not signed. Where it is counted its size may
// be believed.
func (p *Peer) count(size uint64) (counted bool, err error) {
	if p.server == nil || p.server.handler.Strangers == nil || p.signed.Load() {
		return false, nil
	}
	return true, p.server.handler.Strangers.take(p, size)
}

func readSize(r *bufio.Reader, flags byte) (uint64, error) {
	if flags&^(flagMore|flagLong|flagCommand) != 0 {
		return 0, fmt.Errorf("frame flags %#x are not ZMTP", flags)
	}
	if flags&flagLong == 0 {
		b, err := r.ReadByte()
		return uint64(b), noEOF(err)
	}
	var long [8]byte
	if _, err := io.ReadFull(r, long[:]); err != nil {
		return 0, noEOF(err)
	}
	return binary.BigEndian.Uint64(long[:]), nil
}

func readBody(r *bufio.Reader, size int, trusted bool) ([]byte, error) {
	if trusted || size <= believe {
		body := make([]byte, size)
		_, err := io.ReadFull(r, body)
		return body, noEOF(err)
	}
	body := make([]byte, believe, 2*believe)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, noEOF(err)
	}
	for len(body) < size {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(size, 2*cap(body)))
			copy(grown, body)
			body = grown
		}
		next := body[len(body):min(size, cap(body))]
		if _, err := io.ReadFull(r, next); err != nil {
			return nil, noEOF(err)
		}
		body = body[:len(body)+len(next)]
	}
	return body, nil
}

// noEOF turns an end of file inside a message into the error it is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendHeader appends the ZMTP header of one frame.
func appendHeader(b []byte, size int, flags byte) []byte {
	if size <= 255 {
		return append(b, flags, byte(size))
	}
	b = append(b, flags|flagLong)
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

// appendMessage appends a whole message.
func appendMessage(b []byte, frames [][]byte) []byte {
	for i, f := range frames {
		b = append(appendHeader(b, len(f), more(i, frames)), f...)
	}
	return b
}

func more(i int, frames [][]byte) byte {
	if i < len(frames)-1 {
		return flagMore
	}
	return 0
}
