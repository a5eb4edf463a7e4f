package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// sourceMap tells which line of which notebook cell a line of main.py came from (docs/protocols.md §2).
type sourceMap map[int]cellLine

// cellLine is a line in a notebook: the cell's number and the line in it, both from 1.
type cellLine struct{ cell, line int }

// readSourceMap reads map.json. Without one, lines of main.py are all there is to tell.
func readSourceMap(path string) sourceMap {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseSourceMap(data)
}

// parseSourceMap reads {"lines": [{"script": line, "cell": seq, "label": what people call the cell, "line": line of the cell}]}.
func parseSourceMap(data []byte) sourceMap {
	var object struct {
		Lines []struct{ Script, Cell, Label, Line int }
	}
	if json.Unmarshal(data, &object) != nil {
		return nil
	}
	m := sourceMap{}
	for _, l := range object.Lines {
		if l.Cell > 0 {
			m[l.Script] = cellLine{max(l.Label, 1), l.Line}
		}
	}
	return m
}

// mapError adds cells to the frames in main.py.
func (m sourceMap) mapError(e *run.Error) {
	for i := range e.Frames {
		f := &e.Frames[i]
		if at, ok := m[f.Line]; ok && f.Mine && f.File == "main.py" {
			f.Cell, f.CellLine = at.cell, at.line
		}
	}
}

// explain says why a program is not forked, and where the reason is.
func (m sourceMap) explain(c cause) string {
	at, mapped := m[c.Line]
	switch {
	case c.Line == 0:
		return c.Text
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
