package view

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// Text draws the table as plain text: the headline and the rows.
func (t *Table) Text() string {
	lines := slices.Concat(t.Differs(), []string{t.Headline()}, t.WaitLines(), t.Above(), t.textRows())
	lines = append(lines, t.Remarks()...)
	if f := t.footer(false); len(f) > 0 {
		lines = append(lines, strings.Join(f, " · "))
	}
	return allVisible(lines)
}

// allVisible joins lines, each of which stays one.
func allVisible(lines []string) string {
	for i, line := range lines {
		lines[i] = OneLine(line)
	}
	return strings.Join(lines, "\n")
}

// Above is what stands between the headline and the rows.
func (t *Table) Above() []string {
	if line := t.constants(); line != "" {
		return []string{line}
	}
	return nil
}

// cell is one place of a grid of text.
type cell struct {
	text string
	left bool // else its end is aligned
}

// textRows lays the rows out in columns that keep their width.
func (t *Table) textRows() []string {
	if len(t.Rows) == 0 {
		return nil
	}
	lead, course, elapsed, _ := t.has()
	head := []cell{{"trial", true}}
	if lead {
		head = append(head, cell{t.heading(), false})
	}
	if course {
		head = append(head, cell{fmt.Sprintf("%-*s", sparkWidth, ""), true})
	}
	for _, name := range slices.Concat(t.Parameters, t.Metrics) {
		head = append(head, cell{name, false})
	}
	if elapsed {
		head = append(head, cell{fmt.Sprintf("%8s", "time"), false})
	}
	grid := [][]cell{head}
	for _, r := range t.Rows {
		row := []cell{{fmt.Sprintf("%d %s", r.Trial, mark(r.Phase)), false}}
		if lead {
			row = append(row, cell{r.Lead, false})
		}
		if course {
			row = append(row, cell{r.Spark, true})
		}
		for _, v := range slices.Concat(r.Parameters, r.Metrics) {
			row = append(row, cell{v, false})
		}
		if elapsed {
			span := ""
			if r.Elapsed > 0 {
				span = prose.Duration(r.Elapsed)
			}
			row = append(row, cell{span, false})
		}
		grid = append(grid, row)
	}
	widths := make([]int, len(head))
	for _, row := range grid {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	lines := make([]string, 0, len(grid))
	for n, row := range grid {
		var b strings.Builder
		for i, c := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			if c.left {
				b.WriteString(c.text + pad)
			} else {
				b.WriteString(pad + c.text)
			}
		}
		if n > 0 {
			r := t.Rows[n-1]
			for _, more := range []string{t.attemptAfter(r), prose.Shorten(r.Error+r.Waiting, maxTextError)} {
				if more != "" {
					b.WriteString("  " + more)
				}
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// maxTextError is how much of an error, or of what a trial waits for, stands in its row.
const maxTextError = 100

// The colours of a terminal: an accent, red for what failed, and dim.
const (
	plainText = "\x1b[0m"
	bold      = "\x1b[1m"
	dim       = "\x1b[2m"
	red       = "\x1b[31m"
	accent    = "\x1b[36m"
	barPieces = 48
)

// Terminal draws the table as lines of at most width columns, with colours if colour is set, and at most height lines.
func (t *Table) Terminal(width, height int, colour bool) []string {
	paint := painter(colour)
	lines := []string{paint(bold, cut(t.Headline(), width))}
	if t.Total > 1 && !t.Phase.Final() {
		lines = append(lines, t.terminalBar(min(width, barPieces), paint))
	}
	for _, line := range t.WaitLines() {
		for _, part := range wrapped(line, width) {
			lines = append(lines, paint("", part))
		}
	}
	for _, line := range t.Above() {
		lines = append(lines, paint(dim, cut(line, width)))
	}
	rows := t.textRows()
	var footer []string
	for _, remark := range slices.Concat(t.Differs(), t.Remarks()) {
		footer = append(footer, wrapped(remark, width)...)
	}
	footer = append(footer, t.footer(false)...)
	switch {
	case t.Facts.TensorBoard == "":
	case t.Phase.Final():
		footer = append(footer, "TensorBoard again: metaml tensorboard "+t.Name)
	case isLink(t.Facts.TensorBoard):
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
	if room := max(height-len(lines)-len(footer)-1, minRows); len(rows) > room {
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
		lines = append(lines, paint(code, cut(row, width)))
	}
	for _, f := range footer {
		lines = append(lines, paint(dim, cut(f, width)))
	}
	return lines
}

// painter gives a function that colours one line, or does not. It shows what is not ours as it is.
func painter(colour bool) func(code, s string) string {
	return func(code, s string) string {
		if s = OneLine(s); !colour || code == "" {
			return s
		}
		return code + s + plainText
	}
}

func (t *Table) terminalBar(width int, paint func(code, s string) string) string {
	part := func(n int) int { return n * width / max(t.Total, 1) }
	done, failed, running := part(t.Counts.Succeeded+t.Counts.Stopped), part(t.Counts.Failed), part(t.Counts.Running)
	rest := width - done - failed - running
	return paint(accent, strings.Repeat("━", done)) + paint(red, strings.Repeat("━", failed)) +
		paint(accent, strings.Repeat("╍", running)) + paint(dim, strings.Repeat("─", max(rest, 0)))
}

// minRows is how many lines of rows are drawn where there is no room for them: their head and how many there are.
const minRows = 2

// maxWrapped is how many lines of a terminal a sentence may take.
const maxWrapped = 3

// wrapped breaks a sentence into lines of at most width columns, between words where that is possible.
func wrapped(s string, width int) []string {
	var lines []string
	for len(lines) < maxWrapped-1 && width > 0 && utf8.RuneCountInString(s) > width {
		characters := []rune(s)
		at := width
		for at > 0 && characters[at] != ' ' {
			at--
		}
		if at == 0 {
			at = width
		}
		lines = append(lines, string(characters[:at]))
		s = strings.TrimPrefix(string(characters[at:]), " ")
	}
	return append(lines, cut(s, width))
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
	if a := t.attemptAfter(r); a != "" {
		parts = append(parts, a)
	}
	if r.Phase.Final() && t.Lead != "" && r.Lead != nothing {
		parts = append(parts, clip(t.Lead)+" "+r.Lead)
	}
	for i, name := range t.Parameters {
		parts = append(parts, name+"="+r.Parameters[i])
	}
	if r.Phase.Final() {
		for i, name := range t.Metrics {
			parts = append(parts, name+" "+r.Metrics[i])
		}
		parts = append(parts, prose.Duration(r.Elapsed))
	}
	for _, why := range []string{r.Error, r.Waiting} {
		if why != "" {
			parts = append(parts, why)
		}
	}
	return OneLine(strings.Join(parts, "  "))
}
