package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// sourceMap has which line of which notebook cell, or of which script, a line of main.py came from
// (docs/internals/protocols.md §2).
type sourceMap struct {
	script string // name of the script that main.py was made of; "" of a notebook
	lines  map[int]cellLine
}

// cellLine is a line in a notebook: the cell's number and the line in it, both from 1.
type cellLine struct{ cell, line int }

// readSourceMap reads map.json. Without one, lines of main.py are all there is to tell.
func readSourceMap(path string) sourceMap {
	data, err := os.ReadFile(path)
	if err != nil {
		return sourceMap{}
	}
	return parseSourceMap(data)
}

// parseSourceMap reads {"source": path of the notebook or script, "lines": [{"script": line, "cell": seq, "label": what
// people call the cell, "line": line of the cell}]}.
func parseSourceMap(data []byte) sourceMap {
	var object struct {
		Source string
		Lines  []struct{ Script, Cell, Label, Line int }
	}
	m := sourceMap{lines: map[int]cellLine{}}
	if json.Unmarshal(data, &object) != nil {
		return m
	}
	if filepath.Ext(object.Source) == ".py" {
		m.script = filepath.Base(object.Source)
	}
	for _, l := range object.Lines {
		if l.Cell > 0 {
			m.lines[l.Script] = cellLine{max(l.Label, 1), l.Line}
		}
	}
	return m
}

// mapError adds cells to the frames in main.py, or makes them frames in the script.
func (m sourceMap) mapError(e *run.Error) {
	for i := range e.Frames {
		f := &e.Frames[i]
		at, ok := m.lines[f.Line]
		switch {
		case !ok || !f.Mine || f.File != "main.py":
		case m.script != "":
			f.File, f.Line = m.script, at.line
		default:
			f.Cell, f.CellLine = at.cell, at.line
		}
	}
}

// explain says why a program is not forked, and where the reason is.
func (m sourceMap) explain(c cause) string {
	at, mapped := m.lines[c.Line]
	switch {
	case c.Line == 0:
		return c.Text
	case mapped && m.script != "":
		return fmt.Sprintf("%s, %s line %d", c.Text, m.script, at.line)
	case mapped && at.cell > 0:
		return fmt.Sprintf("%s, cell %d line %d", c.Text, at.cell, at.line)
	default:
		return fmt.Sprintf("%s, line %d", c.Text, c.Line)
	}
}

// listed joins names for a sentence, with the verb.
func listed(names []string, most int) string {
	slices.Sort(names)
	for i := range names {
		names[i] = "`" + names[i] + "`"
	}
	switch {
	case len(names) == 1:
		return names[0] + " was"
	case len(names) > most:
		return fmt.Sprintf("%s and %d other files were", strings.Join(names[:most], ", "), len(names)-most)
	default:
		return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " were"
	}
}
