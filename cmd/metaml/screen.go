package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
)

// drawing is one moment of a run or of a server, which can be drawn everywhere.
type drawing interface {
	HTML() string
	Text() string
	Terminal(width, height int, colour bool) []string
}

// bundles shows a run as display bundles: the table is one display that is updated, each failure one that never is.
type bundles struct {
	peer  *talk.Writer
	id    string
	shown string // the last HTML that was sent
	open  bool
}

func (b *bundles) show(t drawing) error {
	html := t.HTML()
	if html == b.shown {
		return nil
	}
	update := b.open
	b.shown, b.open = html, true
	return b.peer.Send(talk.Display{
		Bundle: map[string]string{"text/html": html, "text/plain": t.Text()}, DisplayID: b.id, Update: update,
	})
}

func bundle(d drawing) map[string]string {
	return map[string]string{"text/html": d.HTML(), "text/plain": d.Text()}
}

func (b *bundles) failed(f *failure) error {
	return b.peer.Send(talk.Display{Bundle: f.bundle(), DisplayID: displayID("failure")})
}

func (b *bundles) close() error { return nil }

// newScreen shows a run on w: live where w is a terminal, else one line for each change.
func newScreen(a *app, w io.Writer) screen {
	if width, height, ok := terminal(w); ok {
		return &live{out: raw(w), width: width, height: height, colour: a.colour(w)}
	}
	return &lines{out: w}
}

// live redraws a table in place on a terminal.
type live struct {
	out           io.Writer
	width, height int
	colour        bool
	drawn         int // lines of the last drawing, to go back over
	failures      []string
}

func (l *live) show(t drawing) error {
	if width, height, ok := terminal(l.out); ok {
		l.width, l.height = width, height
	}
	var b bytes.Buffer
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", l.drawn)
	}
	rows := t.Terminal(l.width, l.height, l.colour)
	for _, row := range rows {
		b.WriteString(row + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	l.drawn = len(rows)
	_, err := l.out.Write(b.Bytes())
	return err
}

func (l *live) failed(f *failure) error {
	_, body := f.text()
	l.failures = append(l.failures, "\n"+f.heading()+"\n"+body)
	return nil
}

// close prints the failures below the last table, where nothing redraws them.
func (l *live) close() error {
	for _, f := range l.failures {
		if _, err := fmt.Fprintln(l.out, f); err != nil {
			return err
		}
	}
	return nil
}

// lines prints one line for each change of state: what a pipe or a log file gets.
type lines struct {
	out   io.Writer
	phase run.Phase
	state string // of a server
	rows  map[int]string
	notes map[string]bool
}

func (l *lines) show(d drawing) error {
	if l.rows == nil {
		l.rows, l.notes = map[int]string{}, map[string]bool{}
	}
	var b strings.Builder
	switch d := d.(type) {
	case *view.Table:
		l.table(&b, d)
	case *view.Panel:
		l.panel(&b, d)
	}
	_, err := io.WriteString(l.out, b.String())
	return err
}

func (l *lines) panel(b *strings.Builder, p *view.Panel) {
	if l.state == p.State {
		return
	}
	l.state = p.State
	b.WriteString(p.Headline() + "\n")
	if p.Curl != "" {
		b.WriteString(p.Curl + "\n")
	}
	sayOnce(b, l.notes, p.Lines)
}

// sayOnce writes the notes that were not said before.
func sayOnce(b *strings.Builder, said map[string]bool, notes []string) {
	for _, n := range notes {
		if !said[n] {
			said[n] = true
			b.WriteString(n + "\n")
		}
	}
}

func (l *lines) table(b *strings.Builder, t *view.Table) {
	sayOnce(b, l.notes, t.Above())
	for _, r := range t.Rows {
		key := fmt.Sprintf("%s %d", r.Phase, r.Attempt)
		if r.Phase == run.Pending || l.rows[r.Trial] == key {
			continue
		}
		l.rows[r.Trial] = key
		b.WriteString(t.Line(r) + "\n")
	}
	sayOnce(b, l.notes, t.Remarks())
	if l.phase != t.Phase {
		l.phase = t.Phase
		b.WriteString(t.Headline() + "\n")
	}
}

func (l *lines) failed(f *failure) error {
	_, body := f.text()
	_, err := fmt.Fprintf(l.out, "%s\n%s\n", f.heading(), body)
	return err
}

func (l *lines) close() error { return nil }
