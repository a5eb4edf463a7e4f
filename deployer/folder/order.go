package folder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Order is the file in which an attempt notes in which order it wrote its streams, beside them: records of
// [orderRecord] bytes with the lengths of stdout and stderr, little-endian; the highest bit of the first says that what
// follows is stderr.
const Order = "order"

const orderRecord = 16

// LogCopier copies what there is of a log beyond what it copied before.
type LogCopier interface {
	CopyTo(w io.Writer) error
}

// NewLog reads an attempt's streams from their start: one as it is, both in the order of writing.
func (r Run) NewLog(trial, attempt int, streams ...string) LogCopier {
	if len(streams) == 1 {
		return r.NewLogReader(trial, attempt, streams[0])
	}
	return &bothLogs{
		order: filepath.Join(r.Attempt(trial, attempt), Order), out: r.NewLogReader(trial, attempt, Stdout),
		err: r.NewLogReader(trial, attempt, Stderr),
	}
}

// bothLogs copies stdout and stderr as they were written, as far as the notes say so.
type bothLogs struct {
	order    string
	read     int64 // bytes of order that were taken in
	out, err *LogReader
	stderr   bool // what follows the last note is stderr
}

// CopyTo writes what is there beyond what it wrote before.
func (l *bothLogs) CopyTo(w io.Writer) error {
	// The lengths first: a note is written before what it is about, so that all notes about what is taken now are
	// there.
	out, err := l.out.size(), l.err.size()
	notes, failed := l.notes()
	if failed != nil {
		return failed
	}
	for ; len(notes) >= orderRecord; notes = notes[orderRecord:] {
		first, second := binary.LittleEndian.Uint64(notes), binary.LittleEndian.Uint64(notes[8:])
		toOut, toErr := int64(first&^(1<<63)), int64(min(second, 1<<62))
		if toOut > out || toErr > err {
			break // about what is not there yet
		}
		if err := l.upTo(w, toOut, toErr); err != nil {
			return err
		}
		l.stderr = first>>63 == 1
		l.read += orderRecord
	}
	return l.upTo(w, out, err)
}

// upTo copies both up to these offsets, first the one that was being written.
func (l *bothLogs) upTo(w io.Writer, out, err int64) error {
	if l.stderr {
		return errors.Join(l.err.copyUpTo(w, err), l.out.copyUpTo(w, out))
	}
	return errors.Join(l.out.copyUpTo(w, out), l.err.copyUpTo(w, err))
}

// notes are those that were not taken in yet.
func (l *bothLogs) notes() ([]byte, error) {
	f, err := os.Open(l.order)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the order of the log: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, l.read, maxOrder))
	if err != nil {
		return nil, fmt.Errorf("read the order of the log: %w", err)
	}
	return data, nil
}

// maxOrder bounds the notes that are read at once, in bytes; a trial's process writes at most 4 MiB.
const maxOrder = 64 << 20
