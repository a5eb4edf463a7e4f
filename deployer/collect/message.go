package collect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// version is what a batch and a hello begin with.
const version = 1

// batchHead is the first line of a batch.
type batchHead struct {
	V int `json:"v"`
	Source
}

// pieceHead is the line before the bytes of a piece.
type pieceHead struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int    `json:"length"`
}

// frameHead is the line before the bytes of a frame.
type frameHead struct {
	Source
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int    `json:"length"`
}

// AppendBatch adds the encoded batch to a buffer: a line of JSON with the source, then for each piece a line of JSON
// {file, offset, length} and the bytes.
func AppendBatch(to []byte, b Batch) []byte {
	to = appendLine(to, batchHead{V: version, Source: b.Source})
	for _, p := range b.Pieces {
		to = append(appendLine(to, pieceHead{p.File, p.Offset, len(p.Data)}), p.Data...)
	}
	return to
}

// DecodeBatch reads what [AppendBatch] wrote, and checks names and limits. The pieces are parts of data.
func DecodeBatch(data []byte) (Batch, error) {
	var head batchHead
	data, err := cutLine(data, &head)
	if err != nil {
		return Batch{}, fmt.Errorf("read the head of a batch: %w", err)
	}
	if head.V != version {
		return Batch{}, fmt.Errorf("a batch of version %d; this monitor knows version %d", head.V, version)
	}
	if err := CheckSource(head.Source); err != nil {
		return Batch{}, err
	}
	b := Batch{Source: head.Source}
	total := 0
	for len(data) > 0 {
		var piece pieceHead
		if data, err = cutLine(data, &piece); err != nil {
			return Batch{}, fmt.Errorf("read piece %d of a batch: %w", len(b.Pieces)+1, err)
		}
		if err := CheckName(piece.File); err != nil {
			return Batch{}, err
		}
		total += max(piece.Length, 0)
		switch {
		case piece.Length < 0 || piece.Length > len(data):
			return Batch{}, fmt.Errorf("the piece of %q says it has %d bytes, and %d came", piece.File, piece.Length,
				len(data))
		case total > MaxBatch || len(b.Pieces) == MaxPieces:
			return Batch{}, fmt.Errorf("a batch has more than %d bytes or %d pieces", MaxBatch, MaxPieces)
		case !placed(piece.Offset):
			return Batch{}, fmt.Errorf("the piece of %q is at %d", piece.File, piece.Offset)
		}
		b.Pieces = append(b.Pieces, Piece{piece.File, piece.Offset, data[:piece.Length]})
		data = data[piece.Length:]
	}
	return b, nil
}

// placed reports whether a file may have bytes there. The bound keeps sums of offset and length from overflowing.
func placed(offset int64) bool { return offset >= 0 && offset < 1<<50 }

// Encode is the answer as JSON.
func (a Answer) Encode() []byte { return bytes.TrimSuffix(appendLine(nil, a), []byte{'\n'}) }

// DecodeAnswer reads what [Answer.Encode] wrote.
func DecodeAnswer(data []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return Answer{}, fmt.Errorf("read the monitor's answer: %w", err)
	}
	if a.Store == "" {
		return Answer{}, errors.New("read the monitor's answer: it names no store")
	}
	return a, nil
}

// AppendFrame adds the encoded frame to a message: a line of JSON with source, file, offset and length, then the bytes.
func AppendFrame(to []byte, f Frame) []byte {
	return append(appendLine(to, frameHead{f.Source, f.File, f.Offset, len(f.Data)}), f.Data...)
}

// DecodeFrames reads a message that [AppendFrame] wrote, and checks names and limits: a reader makes files of these
// names. The data are parts of what was given.
func DecodeFrames(data []byte) ([]Frame, error) {
	var frames []Frame
	total := 0
	for len(data) > 0 {
		var head frameHead
		var err error
		if data, err = cutLine(data, &head); err != nil {
			return nil, fmt.Errorf("read the head of a frame: %w", err)
		}
		if err := errors.Join(CheckSource(head.Source), CheckName(head.File)); err != nil {
			return nil, err
		}
		total += max(head.Length, 0)
		switch {
		case head.Length < 0 || head.Length > len(data):
			return nil, fmt.Errorf("the frame of %q says it has %d bytes, and %d came", head.File, head.Length,
				len(data))
		case total > MaxBatch || len(frames) == MaxPieces:
			return nil, fmt.Errorf("a message has more than %d bytes or %d frames", MaxBatch, MaxPieces)
		case !placed(head.Offset):
			return nil, fmt.Errorf("the frame of %q is at %d", head.File, head.Offset)
		}
		frames = append(frames, Frame{head.Source, head.File, head.Offset, data[:head.Length]})
		data = data[head.Length:]
	}
	return frames, nil
}

// hello is the first message of a reader; more of them follow while More is set.
type hello struct {
	V    int    `json:"v"`
	Has  []Held `json:"has"`
	More bool   `json:"more,omitempty"`
}

// heldPerHello keeps a message within [MaxHelloSize].
const heldPerHello = 500

// Hello is what a reader says first: which files it has, in as many messages as that needs.
func Hello(held []Held) [][]byte {
	held = held[:min(len(held), MaxRunFiles)] // of a file that is not among them the reader drops what it has
	var messages [][]byte
	for {
		n := min(len(held), heldPerHello)
		h := hello{V: version, Has: held[:n], More: n < len(held)}
		messages = append(messages, appendLine(nil, h))
		if held = held[n:]; len(held) == 0 {
			return messages
		}
	}
}

// DecodeHello reads one message of [Hello], and says whether more of them follow.
func DecodeHello(data []byte) (held []Held, more bool, err error) {
	var h hello
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, false, fmt.Errorf("read what a reader has: %w", err)
	}
	if h.V != version {
		return nil, false, fmt.Errorf("a reader of version %d; this monitor knows version %d", h.V, version)
	}
	if len(h.Has) > heldPerHello {
		return nil, false, fmt.Errorf("a reader says %d files at once, more than %d", len(h.Has), heldPerHello)
	}
	for _, file := range h.Has {
		if err := errors.Join(checkID(file.ID), CheckName(file.File)); err != nil {
			return nil, false, err
		}
		if !placed(file.Size) {
			return nil, false, fmt.Errorf("a reader says it has %d bytes of %q", file.Size, file.File)
		}
	}
	return h.Has, h.More, nil
}

// took is what a reader says after its hello.
type took struct {
	Took int64 `json:"took"`
}

// EncodeTook says how many bytes a reader took since it came.
func EncodeTook(total int64) []byte { return appendLine(nil, took{total}) }

// DecodeTook reads what [EncodeTook] wrote.
func DecodeTook(data []byte) (int64, error) {
	var t took
	if err := json.Unmarshal(data, &t); err != nil {
		return 0, fmt.Errorf("read how much a reader took: %w", err)
	}
	return t.Took, nil
}

// appendLine adds a line of JSON. What is encoded here are texts and numbers, which cannot fail.
func appendLine(to []byte, value any) []byte {
	line, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", value, err))
	}
	return append(append(to, line...), '\n')
}

// cutLine reads a line of JSON off the front of data.
func cutLine(data []byte, into any) (rest []byte, err error) {
	end := bytes.IndexByte(data[:min(len(data), maxHead)], '\n')
	if end < 0 {
		return nil, fmt.Errorf("no line of at most %d bytes", maxHead)
	}
	return data[end+1:], json.Unmarshal(data[:end], into)
}
