package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

const (
	lookEvery  = 100 * time.Millisecond // between two looks at what was printed
	breakAfter = 5 * time.Second        // of waiting for the end of a line, which a progress bar may never give
	longLine   = 16 << 10               // bytes of a line, which container runtimes cut there, too
	keptLines  = 20                     // of what was printed last
	keptBytes  = 4 << 10
)

// output is what the pod's own streams get: what the top level, the workers and the front print, line by line, and on
// standard error lines about what happens (pod.EncodeLine). keep has a goroutine of its own; note and own may be called
// by others.
type output struct {
	folder   folder.Run // the server's
	revision folder.Run
	spec     run.Spec
	ready    chan struct{} // closed when the revision was ready for the first time

	writing sync.Mutex // lines are not mixed
	streams [2]io.Writer

	// Of keep.
	sources []*source   // of the top level and the front
	workers [][]*source // two of the attempt that each worker has now
	at      []int       // its number; 0: none was seen
	file    *os.File    // of the events
	events  *folder.Reader

	mu     sync.Mutex
	last   []byte     // what was printed last
	failed *run.Event // why the server ended, or the revision failed
	fed    bool       // ready is closed
}

func newOutput(stdout, stderr io.Writer) *output {
	return &output{streams: [2]io.Writer{stdout, stderr}, ready: make(chan struct{})}
}

// open is called once it is known what runs.
func (o *output) open(f folder.Run, spec run.Spec) {
	o.folder, o.revision, o.spec = f, f.Revision(spec.Server.Revision), spec
	o.workers, o.at = make([][]*source, spec.Completions), make([]int, spec.Completions)
	for i, name := range []string{folder.Stdout, folder.Stderr} {
		o.sources = append(o.sources, &source{
			out: o, stream: i, from: o.revision.NewLoaderLogReader(name), printed: true, frees: true,
		})
	}
	o.sources = append(o.sources, &source{out: o, stream: 1, from: f.NewFrontLogReader()})
}

// note writes a note.
func (o *output) note(revision int, n run.Note) {
	o.own(run.Event{
		Type: run.EventNote, Time: time.Now().UTC(), Revision: revision, Code: n.Code, Text: n.Text, Hint: n.Hint,
	})
}

// own writes a line of the pod's own.
func (o *output) own(e run.Event) { o.write(1, pod.EncodeLine(e)) }

// write writes whole lines to a stream.
func (o *output) write(stream int, lines []byte) {
	if len(lines) == 0 {
		return
	}
	o.writing.Lock()
	defer o.writing.Unlock()
	_, _ = o.streams[stream].Write(lines) // nobody is left to whom it could be said
}

// keep writes until ctx ends, and then the rest.
func (o *output) keep(ctx context.Context) {
	defer func() { _ = o.file.Close() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ended := false; ; {
		o.copy(ended)
		o.look()
		if ended {
			return
		}
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
	}
}

// copy copies what was printed. At the end there are no more ends of lines to come.
func (o *output) copy(ended bool) {
	for _, s := range o.sources {
		s.copy(ended)
	}
	for worker := range o.workers {
		for _, attempt := range o.revision.Attempts(worker) {
			if attempt < o.at[worker] {
				continue // it is about to be removed
			}
			if attempt > o.at[worker] {
				o.begin(worker, attempt)
			}
			for _, s := range o.workers[worker] {
				s.copy(ended)
			}
		}
	}
}

// begin turns to the next attempt of a worker. The one before has ended, and is in the log of the pod: its folder goes,
// so that the disk does not fill up over the months.
func (o *output) begin(worker, attempt int) {
	prefix := ""
	if len(o.workers) > 1 {
		prefix = prefixOf(worker)
	}
	for _, s := range o.workers[worker] {
		s.copy(true)
	}
	if before := o.at[worker]; before > 0 {
		_ = os.RemoveAll(o.revision.Attempt(worker, before))
	}
	o.at[worker], o.workers[worker] = attempt, nil
	for i, name := range []string{folder.Stdout, folder.Stderr} {
		o.workers[worker] = append(o.workers[worker], &source{
			out: o, stream: i, from: o.revision.NewLogReader(worker, attempt, name), prefix: prefix, printed: true,
			frees: true,
		})
	}
}

// look reads the events that are new, and writes those that are the pod's to say.
func (o *output) look() {
	if o.file == nil {
		file, err := os.Open(o.folder.Events())
		if err != nil {
			return // nothing has happened
		}
		o.file = file
		if o.events, err = folder.NewReader(file, ""); err != nil {
			return
		}
	}
	if o.events == nil {
		return
	}
	_ = o.events.Each(func(e run.Event) error { o.take(e); return nil })
}

// take takes in an event.
func (o *output) take(e run.Event) {
	o.mu.Lock()
	switch {
	case e.Type == run.EventServerReady && !o.fed:
		o.fed = true
		close(o.ready)
	case e.Type == run.EventServerFailed:
		o.failed = &e
	case e.Type == run.EventEnded && e.State == run.Failed && o.failed == nil:
		e.Revision = o.spec.Server.Revision
		o.failed = &e
	}
	o.mu.Unlock()
	if e.Code == run.NoteLogCapped {
		return // the pod's own log has all
	}
	o.own(e)
}

// failure is why the server ended, nil if it did not fail, and whether it had been ready. keep has returned.
func (o *output) failure() (*run.Event, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed, o.fed
}

// printed remembers what was printed last.
func (o *output) printed(lines []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = append(o.last, lines[max(len(lines)-keptBytes, 0):]...)
	if len(o.last) > 2*keptBytes {
		o.last = append(o.last[:0], o.last[len(o.last)-keptBytes:]...)
	}
}

// lastLines are the last lines that the top level and the workers printed.
func (o *output) lastLines() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.TrimRight(strings.ToValidUTF8(string(o.last[max(len(o.last)-keptBytes, 0):]), "\ufffd"), " \t\r\n")
	if len(o.last) > keptBytes {
		_, text, _ = strings.Cut(text, "\n") // it may begin in the middle of a line
	}
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(len(lines)-keptLines, 0):], "\n")
}

// source is a file that grows, of which whole lines are copied.
type source struct {
	out     *output
	stream  int // that it goes to: 0 is standard output, 1 standard error
	from    *folder.LogReader
	prefix  string
	printed bool // by the program
	frees   bool // what was copied may be given back to the file system

	rest  []byte    // the beginning of a line
	since time.Time // of rest
}

// copy copies what is new. At its end, or when it takes too long, a line that has no end gets one.
func (s *source) copy(ended bool) {
	_ = s.from.CopyTo(s) // it is in the file, and tried again
	if len(s.rest) > 0 && (ended || time.Since(s.since) > breakAfter) {
		s.emit(append(s.rest, '\n'))
		s.rest = s.rest[:0]
	}
	if s.frees {
		s.from.Free()
	}
}

// Write takes a part of the file in.
func (s *source) Write(data []byte) (int, error) {
	whole := bytes.LastIndexByte(data, '\n') + 1
	if whole > 0 {
		s.emit(append(s.rest, data[:whole]...))
		s.rest = s.rest[:0]
	}
	if left := data[whole:]; len(left) > 0 {
		if len(s.rest) == 0 {
			s.since = time.Now()
		}
		s.rest = append(s.rest, left...)
	}
	if len(s.rest) > longLine {
		s.emit(append(s.rest, '\n'))
		s.rest = s.rest[:0]
	}
	return len(data), nil
}

// emit writes whole lines.
func (s *source) emit(lines []byte) {
	if s.printed {
		s.out.printed(lines)
	}
	if s.prefix == "" {
		s.out.write(s.stream, lines)
		return
	}
	var all []byte
	for line := range bytes.Lines(lines) {
		all = append(append(all, s.prefix...), line...)
	}
	s.out.write(s.stream, all)
}

// prefixOf is what the lines of a worker begin with where there are several.
func prefixOf(worker int) string { return fmt.Sprintf("worker %d  ", worker) }
