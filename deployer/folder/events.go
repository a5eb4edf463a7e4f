package folder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// File is what [Log] needs of events.jsonl: a file opened for reading and appending. *os.File is one.
type File interface {
	io.ReaderAt
	io.Writer // at the end, as with O_APPEND
	Truncate(size int64) error
	Sync() error
}

var _ File = (*os.File)(nil)

// Log is the writer's side of events.jsonl. It belongs to whoever holds the monitor's lock; it is not safe for
// concurrent use.
type Log struct {
	file File
	size int64
	n    int64
}

// OpenLog reads the file from its start, hands each event to fold, cuts what a crash left behind the last whole event,
// and gives a Log that continues there.
func OpenLog(file File, fold func(run.Event)) (*Log, error) {
	r := Reader{file: file}
	l := &Log{file: file}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		l.n, l.size = max(l.n, e.N), r.offset
		fold(e)
	}
	if err := file.Truncate(l.size); err != nil {
		return nil, fmt.Errorf("cut the torn end of the event file: %w", err)
	}
	return l, nil
}

// Append stamps events with their place in the file and writes them at once. If that fails, those are in the file whose
// N is at most [Log.Last]: a reader may have seen them, so they are not taken back. Of the others nothing is left.
func (l *Log) Append(events ...*run.Event) error {
	var b bytes.Buffer
	n := l.n
	for _, e := range events {
		n++
		e.N, e.Seq = n, n
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("write event %s: %w", e.Type, err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	written, err := l.file.Write(b.Bytes())
	if err != nil {
		whole := b.Bytes()[:min(max(written, 0), b.Len())]
		whole = whole[:bytes.LastIndexByte(whole, '\n')+1]
		l.n, l.size = l.n+int64(bytes.Count(whole, []byte{'\n'})), l.size+int64(len(whole))
		return errors.Join(fmt.Errorf("write to the event file: %w", err), l.file.Truncate(l.size))
	}
	l.n, l.size = n, l.size+int64(b.Len())
	return nil
}

// Last is the N of the last event in the file.
func (l *Log) Last() int64 { return l.n }

// Size is the size of the event file, in bytes.
func (l *Log) Size() int64 { return l.size }

// Sync waits until what was appended is on disk.
func (l *Log) Sync() error { return l.file.Sync() }

// Reader reads events.jsonl from a cursor on, also while it grows.
type Reader struct {
	file   io.ReaderAt
	offset int64  // of the first byte that was not handed out
	ahead  []byte // what was read from offset on, in buffer
	buffer []byte
	n      int64 // of the last event handed out
	skip   int64 // events up to this one were seen before
	parser run.EventParser
}

// maxLine bounds one event, in bytes: a trial's own lines are limited to 256 KiB. What is longer is damage and is
// skipped.
const maxLine = 4 << 20

// NewReader reads from cursor on, which is "" for the start or was given by [Reader.Cursor].
func NewReader(file io.ReaderAt, cursor string) (*Reader, error) {
	r := &Reader{file: file}
	if cursor == "" {
		return r, nil
	}
	before, after, ok := strings.Cut(cursor, "@")
	n, err1 := strconv.ParseInt(before, 10, 64)
	offset, err2 := strconv.ParseInt(after, 10, 64)
	if !ok || err1 != nil || err2 != nil || n < 0 || offset < 0 {
		return nil, fmt.Errorf("%q is no position in an event stream", cursor)
	}
	// After a crash of the machine the file may have been cut and grown again: the place is right only if a line ends
	// there and the one after it has the next number. Otherwise read from the start and leave out what was seen.
	if fits(file, offset, n) {
		r.offset, r.n = offset, n
	} else {
		r.skip = n
	}
	return r, nil
}

// fits reports whether the event n ends at offset.
func fits(file io.ReaderAt, offset, n int64) bool {
	if offset > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], offset-1); err != nil || last[0] != '\n' {
			return false
		}
	}
	next := Reader{file: file, offset: offset}
	e, err := next.Next()
	return err != nil || e.N == n+1
}

// Cursor is the position after the last event that Next gave.
func (r *Reader) Cursor() string { return fmt.Sprintf("%d@%d", max(r.n, r.skip), r.offset) }

// Next gives the next event. The error is io.EOF while there is none; Next may be called again when the file has grown.
func (r *Reader) Next() (run.Event, error) {
	for {
		line, err := r.line()
		if err != nil {
			return run.Event{}, err
		}
		e, err := r.parser.Parse(line)
		if err != nil || e.Type == "" {
			continue // damage
		}
		if e.N != 0 && e.N <= r.skip {
			continue
		}
		r.n = e.N
		return e, nil
	}
}

// Each hands out the events that Next has not given yet and that are there now, until fn fails.
func (r *Reader) Each(fn func(run.Event) error) error {
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// EachEvent hands out the events that are there now; a run that has no file of them yet has none.
func (r Run) EachEvent(fn func(run.Event) error) error {
	file, err := os.Open(r.Events())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	defer file.Close()
	events, err := NewReader(file, "")
	if err != nil {
		return err
	}
	return events.Each(fn)
}

// line gives the next whole line without its end and moves past it. The line is there until the next call.
func (r *Reader) line() ([]byte, error) {
	for searched := 0; ; {
		if end := bytes.IndexByte(r.ahead[searched:], '\n'); end >= 0 {
			line := r.ahead[:searched+end]
			r.ahead = r.ahead[searched+end+1:]
			r.offset += int64(len(line)) + 1
			return line, nil
		}
		searched = len(r.ahead)
		if searched > maxLine {
			// Forget what cannot be an event; its end is found later, and fails to parse.
			r.offset += int64(searched)
			r.ahead, searched = nil, 0
		}
		const chunk = 32 << 10
		if len(r.buffer)-len(r.ahead) < chunk {
			r.buffer = make([]byte, max(2*len(r.ahead), 2*chunk))
		}
		kept := copy(r.buffer, r.ahead)
		n, err := r.file.ReadAt(r.buffer[kept:], r.offset+int64(kept))
		if n == 0 {
			// Keep nothing of a line that is not whole: its writer may cut it and write another.
			r.ahead = nil
			if err == nil {
				err = io.ErrNoProgress
			}
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("read the event file: %w", err)
		}
		r.ahead = r.buffer[:kept+n]
	}
}
