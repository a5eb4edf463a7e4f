package view

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/deployer/run"
)

// Text draws the table as plain text: the headline and the rows.
func (t *Table) Text() string {
	lines := append([]string{t.Headline()}, t.textRows()...)
	lines = append(lines, t.Remarks()...)
	if f := t.footer(); len(f) > 0 {
		lines = append(lines, strings.Join(f, " · "))
	}
	return strings.Join(lines, "\n")
}

// textRows lays the rows out in columns that keep their width.
func (t *Table) textRows() []string {
	if len(t.Rows) == 0 {
		return nil
	}
	header := []string{"trial"}
	for _, name := range append(append([]string{}, t.Parameters...), t.Metrics...) {
		header = append(header, clip(name))
	}
	grid := [][]string{header}
	for _, r := range t.Rows {
		grid = append(grid, append(append([]string{fmt.Sprintf("%d %s", r.Trial, mark(r.Phase))}, r.Parameters...), r.Metrics...))
	}
	widths := make([]int, len(header))
	for _, row := range grid {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, 0, len(grid))
	for n, row := range grid {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			if n == 0 && i == 0 {
				b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
				continue
			}
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + cell)
		}
		if n > 0 {
			r := t.Rows[n-1]
			if r.Error != "" {
				b.WriteString("  " + shorten(r.Error, 100))
			} else if t.Objective != "" {
				b.WriteString("  " + r.Spark + strings.Repeat(" ", sparkWidth-utf8.RuneCountInString(r.Spark)))
			}
			if r.Elapsed > 0 && r.Error == "" {
				fmt.Fprintf(&b, "  %8s", Span(r.Elapsed))
			}
			if a := t.attempt(r); a != "" {
				b.WriteString("  " + a)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// The colours of a terminal: an accent, red for what failed, and dim.
const (
	plainText  = "\x1b[0m"
	bold       = "\x1b[1m"
	dim        = "\x1b[2m"
	red        = "\x1b[31m"
	accent     = "\x1b[36m"
	barPieces  = 48
	eraseRight = "\x1b[K"
)

// Terminal draws the table as lines of at most width columns, with colours if colour is set, and at most height lines.
func (t *Table) Terminal(width, height int, colour bool) []string {
	paint := func(code, s string) string {
		if !colour {
			return s
		}
		return code + s + plainText
	}
	lines := []string{paint(bold, cut(t.Headline(), width))}
	if t.Total > 1 && !t.Phase.Final() {
		lines = append(lines, t.terminalBar(min(width, barPieces), paint))
	}
	rows := t.textRows()
	footer := append(t.Remarks(), t.footer()...)
	switch {
	case t.Facts.TensorBoard == "":
	case t.Phase.Final():
		footer = append(footer, "TensorBoard again: metaml tensorboard "+t.Name)
	default:
		footer = append(footer, "TensorBoard "+t.Facts.TensorBoard)
	}
	if !t.Phase.Final() {
		switch t.Facts.Interrupt {
		case "stop":
			footer = append(footer, "Ctrl-C stops the run")
		case "detach":
			footer = append(footer, "Ctrl-C detaches, the run goes on · metaml stop "+t.Name+" stops it")
		case Unattended:
			footer = append(footer, "metaml stop "+t.Name+" stops it")
		}
	}
	if room := height - len(lines) - len(footer) - 1; len(rows) > room && room > 1 {
		rows = append(rows[:room-1], fmt.Sprintf("… %d more rows", len(rows)-room+1))
	}
	for i, row := range rows {
		code := ""
		switch {
		case i == 0:
			code = dim
		case i-1 < len(t.Rows) && t.Rows[i-1].Phase == run.Failed:
			code = red
		case i-1 < len(t.Rows) && t.Rows[i-1].Best:
			code = bold
		}
		row = cut(row, width)
		if code != "" {
			row = paint(code, row)
		}
		lines = append(lines, row)
	}
	for _, f := range footer {
		lines = append(lines, paint(dim, cut(f, width)))
	}
	return lines
}

func (t *Table) terminalBar(width int, paint func(code, s string) string) string {
	part := func(n int) int { return n * width / max(t.Total, 1) }
	done, failed, running := part(t.Counts.Succeeded+t.Counts.Stopped), part(t.Counts.Failed), part(t.Counts.Running)
	rest := width - done - failed - running
	return paint(accent, strings.Repeat("━", done)) + paint(red, strings.Repeat("━", failed)) + paint(accent, strings.Repeat("╍", running)) + paint(dim, strings.Repeat("─", max(rest, 0)))
}

// cut shortens a line of text to width columns.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// Line is one trial as one line of plain text: what a pipe gets when its state changes.
func (t *Table) Line(r Row) string {
	parts := []string{fmt.Sprintf("%s: trial %d %s", t.Name, r.Trial, r.Phase)}
	if a := t.attempt(r); a != "" {
		parts = append(parts, a)
	}
	for i, name := range t.Parameters {
		parts = append(parts, name+"="+r.Parameters[i])
	}
	if r.Phase.Final() {
		for i, name := range t.Metrics {
			parts = append(parts, name+" "+r.Metrics[i])
		}
		parts = append(parts, Span(r.Elapsed))
	}
	if r.Error != "" {
		parts = append(parts, r.Error)
	}
	return strings.Join(parts, "  ")
}
