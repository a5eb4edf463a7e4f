package program

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/token"
)

// text is a script that is being written, with the cell of each line.
type text struct {
	b     strings.Builder
	n     int // lines so far
	lines []MapLine
	s     *slicer.Slice
}

func (t *text) String() string { return t.b.String() }

// line writes a line that comes from a cell; cell 0 is none.
func (t *text) line(code string, cell, line int) {
	t.n++
	t.b.WriteString(code)
	t.b.WriteByte('\n')
	if cell > 0 && line > 0 && strings.TrimSpace(code) != "" {
		t.lines = append(t.lines, MapLine{Script: t.n, Cell: cell, Label: t.s.Label(cell), Line: line})
	}
}

// own writes lines of ours.
func (t *text) own(code string) {
	for l := range strings.SplitSeq(strings.TrimSuffix(code, "\n"), "\n") {
		t.line(l, 0, 0)
	}
}

// shape is how a statement stands in the script: imports stand together, definitions apart.
type shape uint8

const (
	start shape = iota
	imports
	plain
	block
)

func shapeOf(code string) shape {
	first := strings.TrimLeft(code, "\n")
	switch {
	case strings.HasPrefix(first, "import ") || strings.HasPrefix(first, "from "):
		return imports
	case strings.HasPrefix(first, "def ") || strings.HasPrefix(first, "class ") || strings.HasPrefix(first, "@") ||
		strings.HasPrefix(first, "async def "):
		return block
	}
	return plain
}

// write writes the script: for machines, code alone; for people with the comments of the cells.
func write(s *slicer.Slice, kind string, people bool) *text {
	t := &text{s: s}
	if people {
		source := filepath.Base(s.Source)
		if s.Source == "" {
			source = "a notebook"
		}
		t.own("# " + s.Entry.Name + ", made by MetaML from " + source + ".")
		t.own("")
	}
	var future, rest []slicer.Statement
	for _, st := range s.Statements {
		if strings.HasPrefix(st.Text, "from __future__ ") {
			future = append(future, st)
		} else {
			rest = append(rest, st)
		}
	}
	last, lastCell, awaits := start, 0, 0
	for _, st := range append(future, rest...) {
		sh := shapeOf(st.Text)
		switch {
		case last == start:
		case sh == block || last == block:
			t.own("\n\n"[:1])
			t.own("")
		case sh != last || sh == plain && people && st.Cell != lastCell:
			t.own("")
		}
		if people && st.Cell != lastCell && st.Cell > 0 {
			t.own(fmt.Sprintf("# Cell %d", s.Label(st.Cell)))
		}
		last, lastCell = sh, st.Cell
		if people {
			for i, l := range st.Lead {
				t.line(l, st.Cell, st.Line-len(st.Lead)+i)
			}
		}
		if st.Await {
			awaits++
			t.await(st, awaits, people)
			continue
		}
		for _, l := range codeLines(st.Text, people) {
			t.line(l.code, st.Cell, at(st, l.line))
		}
	}
	if last != start {
		t.own("")
		t.own("")
	}
	t.own(guard(s, kind, t.String()))
	return t
}

func at(st slicer.Statement, offset int) int {
	if st.Cell == 0 {
		return 0
	}
	return st.Line + offset
}

// await writes a statement that awaits outside of a function: the notebook's kernel has a running loop, a plain Python
// has none.
func (t *text) await(st slicer.Statement, n int, people bool) {
	if n == 1 {
		t.own("import asyncio as _metaml_asyncio\n\n_metaml_loop = _metaml_asyncio.new_event_loop()\n\n")
	}
	t.line(fmt.Sprintf("async def _metaml_await_%d():", n), st.Cell, st.Line)
	if len(st.Defines) > 0 {
		t.own("    global " + strings.Join(st.Defines, ", "))
	}
	for _, l := range codeLines(st.Text, people) {
		code := l.code
		if !l.inString {
			code = "    " + code
		}
		t.line(code, st.Cell, at(st, l.line))
	}
	t.own("\n")
	t.line(fmt.Sprintf("_metaml_loop.run_until_complete(_metaml_await_%d())", n), st.Cell, st.Line)
}

// codeLine is a line of a statement.
type codeLine struct {
	code     string
	line     int // offset from the statement's first line
	inString bool
}

// codeLines gives the lines of a statement, for machines without comments and blank lines, except those inside of
// strings.
func codeLines(code string, people bool) []codeLine {
	type span struct{ from, to int }
	var comments []span
	inString := append(token.InString(code), false) // behind the last line no string goes on
	sc := token.NewScanner(code, 0)
	for {
		tok, ok := sc.Next()
		if !ok {
			break
		}
		if tok.Kind == token.Comment {
			// A type comment is read by torch.jit.script.
			if c := strings.TrimSpace(code[tok.Start+1 : tok.End]); !strings.HasPrefix(c, "type:") {
				comments = append(comments, span{tok.Start, tok.End})
			}
		}
	}
	var out []codeLine
	off := 0
	for i, l := range strings.Split(code, "\n") {
		end := off + len(l)
		kept := l
		if !people {
			for _, c := range comments {
				if c.from >= off && c.to <= end {
					kept = code[off:c.from] + code[c.to:end]
				}
			}
		}
		// The end of a line may be inside of a string when the next one begins there.
		if !inString[i+1] {
			kept = strings.TrimRight(kept, " \t\r\f")
		}
		off = end + 1
		if kept == "" && !inString[i] && (!people || i == 0) {
			continue
		}
		out = append(out, codeLine{kept, i, inString[i]})
	}
	return out
}

// Script writes the program as one script for people: with the comments of the cells, and the same command line.
func Script(s *slicer.Slice) string { return write(s, Train, true).String() }
