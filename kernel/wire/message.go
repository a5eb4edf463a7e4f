package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Delimiter separates the routing frames from the message.
var Delimiter = []byte("<IDS|MSG>")

// Errors of [Parse] and [Signer.Check]; a message with one of them is dropped and
// counted, it never ends anything.
var (
	ErrNoDelimiter  = errors.New("no <IDS|MSG> frame")
	ErrTooFewFrames = errors.New("fewer than five frames after <IDS|MSG>")
	ErrSignature    = errors.New("wrong signature")
)

// Message is a view of the frames of one Jupyter message. All slices point into
// Frames and must not be written to.
type Message struct {
	// Frames is the whole message as it came, routing frames included.
	Frames [][]byte
	// Start is the index of the delimiter in Frames.
	Start int
}

// Parse finds the parts of a message without copying.
func Parse(frames [][]byte) (Message, error) {
	for i, f := range frames {
		if bytes.Equal(f, Delimiter) {
			if len(frames) < i+6 {
				return Message{}, ErrTooFewFrames
			}
			return Message{Frames: frames, Start: i}, nil
		}
	}
	return Message{}, ErrNoDelimiter
}

// Routing is what stands before the delimiter.
func (m Message) Routing() [][]byte { return m.Frames[:m.Start] }

// Signature is the hex text that came with the message.
func (m Message) Signature() []byte { return m.Frames[m.Start+1] }

// Header is the JSON of the header.
func (m Message) Header() []byte { return m.Frames[m.Start+2] }

// Parent is the JSON of the parent header.
func (m Message) Parent() []byte { return m.Frames[m.Start+3] }

// Metadata is the JSON of the metadata.
func (m Message) Metadata() []byte { return m.Frames[m.Start+4] }

// Content is the JSON of the content.
func (m Message) Content() []byte { return m.Frames[m.Start+5] }

// Buffers are the raw frames after the content.
func (m Message) Buffers() [][]byte { return m.Frames[m.Start+6:] }

// Size is the number of bytes in all frames.
func (m Message) Size() int { return Size(m.Frames) }

// Size is the number of bytes in frames.
func Size(frames [][]byte) int {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	return n
}

// Header is the part of a header that the kernel reads.
type Header struct {
	ID         string  `json:"msg_id"`
	Session    string  `json:"session"`
	Type       string  `json:"msg_type"`
	SubshellID *string `json:"subshell_id"`
}

// Subshell is the subshell a request is for; "" is the main shell.
func (h Header) Subshell() string {
	if h.SubshellID == nil {
		return ""
	}
	return *h.SubshellID
}

// ParseHeader reads a header or a parent header.
func ParseHeader(raw []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(raw, &h); err != nil {
		return Header{}, fmt.Errorf("read message header: %w", err)
	}
	return h, nil
}
