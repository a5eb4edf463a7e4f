// Package talk has the lines of docs/internals/protocols.md §1, by which the Python module, the kernel and `metaml`
// carry on one cell: their types, a reader with its limit, and a writer. It imports the standard library alone, so that
// the kernel stays small.
//
// Read [FromModule] and [FromMetaml] first.
package talk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Version is the version of the protocol, the field v of each line.
const Version = 1

// MaxLine bounds one line, in bytes.
const MaxLine = 64 << 20

// ErrClosed says that the other side no longer reads.
var ErrClosed = errors.New("the other side closed the conversation")

// Reader reads lines. Only one goroutine may use it.
type Reader struct{ in *bufio.Reader }

// NewReader reads lines from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Next gives the next line with its line feed, to be kept by the caller. An unfinished last line is none: the end is
// [io.EOF].
func (r *Reader) Next() ([]byte, error) {
	var long []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil && long == nil {
			return bytes.Clone(part), nil
		}
		if len(long)+len(part) > MaxLine {
			return nil, fmt.Errorf("a line over %d MiB", MaxLine>>20)
		}
		long = append(long, part...)
		if err == nil {
			return long, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

// Parse reads a line that `metaml` or the module wrote, for a relay: what is no JSON has no type.
func Parse(text []byte) Relayed {
	var l Relayed
	if err := json.Unmarshal(text, &l); err != nil {
		return Relayed{}
	}
	l.Type = Type(strings.TrimSpace(string(l.Type)))
	return l
}

// Writer writes lines, each at once. Any goroutine may use it.
type Writer struct {
	mu sync.Mutex // guards to
	to io.Writer
}

// NewWriter writes lines to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Send writes one line. Its error is [ErrClosed] where the other side has gone.
func (w *Writer) Send(l Line) error {
	text, err := Encode(l)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.to.Write(text); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// Encode gives a line with its line feed.
func Encode(l Line) ([]byte, error) {
	fields, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode a %s line: %w", l.kind(), err)
	}
	text := fmt.Appendf(nil, `{"v":%d,"type":%q`, Version, l.kind())
	if len(fields) > len("{}") {
		text = append(text, ',')
	}
	text = append(text, fields[1:]...)
	return append(text, '\n'), nil
}
