package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/script"
)

// place is where a message belongs in a file: the lines of the JSON that a pull request shows, not those of a cell.
type place struct {
	file         string // "" is the notebook
	line, column int    // from 1; 0 is not known
}

// annotate prints a message as a command of GitHub's workflows, which shows it at its line:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func annotate(w io.Writer, level, input, text string, at place) {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	text = strings.TrimPrefix(text, input+": ")
	if at.file != "" {
		input = at.file
	}
	where := "file=" + property.Replace(input)
	if at.line > 0 {
		where += fmt.Sprintf(",line=%d", at.line)
	}
	if at.column > 0 {
		where += fmt.Sprintf(",col=%d", at.column)
	}
	_, _ = fmt.Fprintf(w, "::%s %s::%s\n", level, where, data.Replace(text))
}

// annotator finds the lines of a notebook's cells, when it is asked for the first one.
type annotator struct{ files map[string]locations }

// locations are where the cells of a notebook stand.
type locations struct {
	all     []nbformat.Place
	byLabel map[int]nbformat.Place // of code cells, by the numbers that messages have
}

func (a *annotator) locations(name string) locations {
	if found, ok := a.files[name]; ok {
		return found
	}
	if a.files == nil {
		a.files = map[string]locations{}
	}
	found := locations{byLabel: map[int]nbformat.Place{}}
	if f, err := os.Open(name); err == nil { // else messages have no line
		defer f.Close()
		if nb, places, err := nbformat.Locate(f); err == nil {
			found.all = places
			labels := script.Labels(nb)
			for i := range nb.Cells {
				if nb.Cells[i].Type == "code" {
					found.byLabel[labels[0]] = places[i]
					labels = labels[1:]
				}
			}
		}
	}
	a.files[name] = found
	return found
}

// cell is where a cell begins, by its place among all cells, from 1.
func (a *annotator) cell(o *options, input string, number int) place {
	if o.format != "github" || input == "-" || filepath.Ext(input) != ".ipynb" {
		return place{}
	}
	if all := a.locations(input).all; number > 0 && number <= len(all) {
		return place{line: all[number-1].Cell}
	}
	return place{}
}

// line is where the line that a note is about stands.
func (a *annotator) line(o *options, input string, n script.Note) place {
	if o.format != "github" || input == "-" || n.Cell == 0 {
		return place{}
	}
	var at place
	if n.File != "" {
		at.file = filepath.Join(filepath.Dir(input), n.File)
		input = at.file
	}
	if filepath.Ext(input) != ".ipynb" {
		return at
	}
	if cell, ok := a.locations(input).byLabel[n.Cell]; ok {
		at.line = cell.Cell
		if n.Line > 0 && n.Line <= len(cell.Lines) {
			at.line = cell.Lines[n.Line-1]
		}
	}
	return at
}
