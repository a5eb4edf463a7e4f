package main

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
)

const (
	reportEvery = time.Second     // between two reports in the log
	breakAfter  = 5 * time.Second // of waiting for the beginning of a line, which a progress bar may never give
	mostNotes   = 100             // that wait for it
	mostLines   = 100             // at the end: as many metrics as a state may have find place in them
)

// output is what the pod's own streams get: what the trial prints, on the stream on which it printed it, and on
// standard error lines about what it reports (pod.EncodeLine), each where both streams are at the beginning of a line,
// since a cluster makes one log of both. It belongs to one goroutine at a time; note alone may be called by others.
type output struct {
	folder   folder.Run
	attempt  run.AttemptID
	streams  [2]stream // standard output and error
	file     *os.File  // of the run's events; nil while there is none
	events   *folder.Reader
	notes    []run.Event // that wait for a line
	report   run.Event   // that waits for one; without metrics there is none
	merged   int         // reports that it is made of
	reported time.Time   // when one was written
	waits    time.Time   // since when something waits for the beginning of a line; zero: nothing does

	mu    sync.Mutex
	noted []run.Event // that others gave
}

// stream is one of the pod's own.
type stream struct {
	from *folder.LogReader
	to   io.Writer
	open bool // what was written last does not end a line
}

// Write writes, and remembers how it ended.
func (s *stream) Write(data []byte) (int, error) {
	n, err := s.to.Write(data)
	if n > 0 {
		s.open = data[n-1] != '\n'
	}
	return n, err
}

func newOutput(f folder.Run, attempt run.AttemptID, stdout, stderr io.Writer) *output {
	return &output{folder: f, attempt: attempt, streams: [2]stream{
		{from: f.NewLogReader(attempt.Trial, attempt.Number, folder.Stdout), to: stdout},
		{from: f.NewLogReader(attempt.Trial, attempt.Number, folder.Stderr), to: stderr},
	}}
}

// note keeps a note until its line is written.
func (o *output) note(n run.Note) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.noted = append(o.noted, run.Event{
		Type: run.EventNote, Time: time.Now().UTC(), Code: n.Code, Text: n.Text, Hint: n.Hint,
	})
}

// takeNotes takes the notes that others gave.
func (o *output) takeNotes() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.noted {
		o.take(e)
	}
	o.noted = nil
}

// keep writes until ctx ends, and then the rest.
func (o *output) keep(ctx context.Context) {
	defer func() { _ = o.file.Close() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := false; ; {
		for i := range o.streams {
			_ = o.streams[i].from.CopyTo(&o.streams[i]) // it is in the file
		}
		o.takeNotes()
		o.look()
		o.write(time.Now(), last)
		if last {
			return
		}
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
	}
}

// look reads the events that are new.
func (o *output) look() {
	if o.file == nil {
		file, err := os.Open(o.folder.Events())
		if err != nil {
			return // the trial has not begun
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

// take keeps an event until its line is written.
func (o *output) take(e run.Event) {
	switch e.Type {
	case run.EventNote:
		if len(o.notes) < mostNotes {
			o.notes = append(o.notes, e)
		}
	case run.EventTrialReport:
		o.merged++
		o.report.Time, o.report.Step = e.Time, e.Step
		for name, value := range e.Metrics {
			if o.report.Metrics == nil {
				o.report.Metrics = run.Metrics{}
			}
			o.report.Metrics[name] = value
		}
	}
}

// writeEnd writes the metrics of an ended trial for which the termination message has no room. keep has returned.
func (o *output) writeEnd(metrics run.Metrics) {
	now := time.Now()
	o.take(run.Event{Type: run.EventTrialReport, Time: now.UTC(), Metrics: metrics})
	o.write(now, true)
}

// writeNotes writes the notes that came after keep had returned. Of metrics there is what found place.
func (o *output) writeNotes() {
	o.report = run.Event{}
	o.takeNotes()
	o.write(time.Now(), true)
}

// write writes the lines that are due; at the end all that are left.
func (o *output) write(now time.Time, last bool) {
	due := len(o.report.Metrics) > 0 && (last || now.Sub(o.reported) >= reportEvery)
	if !due && len(o.notes) == 0 {
		o.waits = time.Time{}
		return
	}
	if o.streams[0].open || o.streams[1].open {
		if o.waits.IsZero() {
			o.waits = now
		}
		if !last && now.Sub(o.waits) < breakAfter {
			return
		}
		_, _ = o.streams[1].Write([]byte("\n"))
	}
	o.waits = time.Time{}
	for _, e := range o.notes {
		_, _ = o.streams[1].Write(pod.EncodeLine(e))
	}
	o.notes = nil
	for n := 0; due && n < mostLines && len(o.report.Metrics) > 0; n++ {
		o.writeReport()
		o.reported = now
		due = last
	}
}

// writeReport writes one line. Metrics that found no place in it wait for the next one.
func (o *output) writeReport() {
	e := o.report
	e.Type, e.Trial, e.Attempt, e.Last = run.EventTrialReport, &o.attempt.Trial, o.attempt.Number, o.merged > 1
	line := pod.EncodeLine(e)
	_, _ = o.streams[1].Write(line)
	written, _ := pod.ParseLine(line)
	for name := range written.Metrics {
		delete(o.report.Metrics, name)
	}
	if len(written.Metrics) == 0 || len(o.report.Metrics) == 0 {
		o.report, o.merged = run.Event{}, 0 // what is left has a name that finds no place anywhere
	}
}
