package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// The streams of an attempt, the names of their files.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Gap is the part of a log that was left out because the log grew too long (docs/internals/engine.md): bytes From up to
// To of the file hold nothing. It lies beside the log as NAME.gap.
type Gap struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// GapFile is where the gap of an attempt's stream is written.
func (r Run) GapFile(trial, attempt int, stream string) string {
	return filepath.Join(r.Attempt(trial, attempt), stream+".gap")
}

// LogReader copies a log that may grow and may get a gap meanwhile.
type LogReader struct {
	path   string
	offset int64
	freed  int64 // up to where it was given back
}

// NewLogReader reads an attempt's stream from its start.
func (r Run) NewLogReader(trial, attempt int, stream string) *LogReader {
	return &LogReader{path: filepath.Join(r.Attempt(trial, attempt), stream)}
}

// NewFrontLogReader reads the log of a server's front from its start.
func (r Run) NewFrontLogReader() *LogReader { return &LogReader{path: r.FrontLog()} }

// NewLoaderLogReader reads a stream of what the top level printed from its start.
func (r Run) NewLoaderLogReader(stream string) *LogReader {
	return &LogReader{path: filepath.Join(r.Loader(), stream)}
}

// What is given back of a log whose reader needs it no more: pieces of at least freeAtOnce bytes, but for the last
// keptBehind.
const (
	freeAtOnce = 1 << 20
	keptBehind = 256 << 10
)

// Free gives the file system back what was copied, but for the end. Whoever reads the log later finds zeros there.
func (l *LogReader) Free() {
	to := (l.offset - keptBehind) / freeAtOnce * freeAtOnce
	if to <= l.freed {
		return
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_ = punch(f, l.freed, to-l.freed) // a file system that cannot keeps it, up to the limit of the log
	l.freed = to
}

// CopyTo writes what is there beyond what it wrote before. A log that does not exist yet is empty.
func (l *LogReader) CopyTo(w io.Writer) error { return l.copyUpTo(w, math.MaxInt64) }

// size is how long the log is, with what was left out of it.
func (l *LogReader) size() int64 {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// copyUpTo does what CopyTo does, and ends before an offset.
func (l *LogReader) copyUpTo(w io.Writer, limit int64) error {
	if limit <= l.offset || l.size() == l.offset {
		return nil
	}
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	var gap Gap
	if data, err := os.ReadFile(l.path + ".gap"); err == nil {
		_ = json.Unmarshal(data, &gap)
	}
	if info.Size() < l.offset {
		if err := l.begunAnew(w); err != nil {
			return err
		}
	}
	end := min(info.Size(), limit)
	if l.offset < gap.From {
		if err := l.copy(w, f, min(gap.From, end)); err != nil {
			return err
		}
	}
	if l.offset >= gap.From && l.offset < gap.To && end >= gap.From {
		if _, err := fmt.Fprintf(w, "\n[… %d MiB left out …]\n", (gap.To-l.offset)>>20); err != nil {
			return err
		}
		l.offset = gap.To
	}
	return l.copy(w, f, end)
}

// begunAnew copies the rest of a log that was begun anew, where it was kept, and goes on at the start.
func (l *LogReader) begunAnew(w io.Writer) error {
	defer func() { l.offset, l.freed = 0, 0 }()
	f, err := os.Open(BeforeLog(l.path))
	if err != nil {
		return nil // it was not kept
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < l.offset {
		return nil // it is another one
	}
	return l.copy(w, f, info.Size())
}

// BeforeLog is where a log is kept that was begun anew.
func BeforeLog(path string) string { return path + ".1" }

func (l *LogReader) copy(w io.Writer, f io.ReaderAt, end int64) error {
	if end <= l.offset {
		return nil
	}
	n, err := io.Copy(w, io.NewSectionReader(f, l.offset, end-l.offset))
	l.offset += n
	return err
}
