package watch

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// NewTerminal shows a run on w: live where w is a terminal, else one line for each change. environ says whether colours
// are wanted.
func NewTerminal(w io.Writer, environ []string) Screen {
	if width, height, ok := Terminal(w); ok {
		return &live{out: view.Raw(w), width: width, height: height, colour: colours(environ)}
	}
	return &lines{out: w}
}

// Terminal gives the size of the terminal that w is, or ok false.
func Terminal(w io.Writer) (width, height int, ok bool) {
	f, isFile := view.Raw(w).(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80, 24, true
	}
	return width, height, true
}

// Colours reports whether w is a terminal that wants colours (https://no-color.org).
func Colours(w io.Writer, environ []string) bool {
	_, _, ok := Terminal(w)
	return ok && colours(environ)
}

func colours(environ []string) bool {
	return !slices.ContainsFunc(environ, func(kv string) bool {
		return strings.HasPrefix(kv, "NO_COLOR=") && kv != "NO_COLOR=" || kv == "TERM=dumb"
	})
}

// live redraws a table in place on a terminal.
type live struct {
	out           io.Writer
	width, height int
	colour        bool
	drawn         int // lines of the last Drawing, to go back over
	failures      []string
}

func (l *live) show(t Drawing) error {
	if width, height, ok := Terminal(l.out); ok {
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

func (l *live) failed(f *Failure) error {
	_, body := f.Text()
	l.failures = append(l.failures, "\n"+f.Heading()+"\n"+body)
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

func (l *lines) show(d Drawing) error {
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
	sayOnce(b, l.notes, t.Differs())
	sayOnce(b, l.notes, t.Above())
	for i := range t.Waits { // how many it are changes all the time
		if w := &t.Waits[i]; !l.notes[w.Text+"\n"+w.Hint] {
			l.notes[w.Text+"\n"+w.Hint] = true
			b.WriteString(w.Line() + "\n")
		}
	}
	for _, r := range t.Rows {
		key := fmt.Sprintf("%s %d %s", r.Phase, r.Attempt, r.Waiting)
		if r.Phase == run.Pending && (r.Waiting == "" || r.Passes) || l.rows[r.Trial] == key {
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

func (l *lines) failed(f *Failure) error {
	_, body := f.Text()
	_, err := fmt.Fprintf(l.out, "%s\n%s\n", f.Heading(), body)
	return err
}

func (l *lines) close() error { return nil }
