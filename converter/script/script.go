// Package script makes one script of a whole notebook: all code cells in their order as plain Python that runs under
// `python`, the text as comments, and what the notebook would have shown printed. Read [Of] first.
// docs/guides/nbconvert.md has the table of what becomes of what.
//
// A cell is translated by package ipython, line by line, and then edited where it uses what only a kernel gives: the
// last expression is shown, awaits outside of functions get a loop, imports of IPython's and Colab's modules become
// small functions at the head of the script (helpers/). What cannot run outside of a notebook is refused by cell and
// line.
//
// It may import the converter's nbformat, ipython, outline, syntax and token.
package script

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/outline"
)

// Options say how the script is written.
type Options struct {
	// Name is the script's without ".py": figures are saved as NAME-1.png.
	Name string
	// Source is the notebook's file name, for the first line; "" where it has none.
	Source string
	// Percent marks cells by "# %%", which VS Code, Spyder and PyCharm know.
	Percent bool
	// QuietExpressions leaves out to show what the last expression of a cell gives.
	QuietExpressions bool
	// Show shows figures in windows instead of saving them beside the script.
	Show bool
	// Parameters makes command-line options of the cell with the tag "parameters", and of Colab's #@param forms.
	Parameters bool
	// KeepGoing writes a statement that raises in place of what is refused.
	KeepGoing bool
	// Open reads a notebook that a cell runs by %run; name is as it is written there. nil refuses them.
	Open func(name string) ([]byte, error)

	parseAll bool // of tests: no cell is ordinary
}

// Script is a notebook as a script.
type Script struct {
	Text  string
	Lines []Line // in the order of the script: where its lines come from
	Notes []Note
	// Refused are the places that cannot run outside of a notebook. Without KeepGoing there is no Text then.
	Refused []Note
	// Requirements are what magics and commands install.
	Requirements []Requirement
	// Ours are the cells with a magic of ours, "train" or "serve", whose functions the script only defines.
	Ours []string
}

// Insert puts whole lines behind the first one, such as PEP 723's metadata.
func (s *Script) Insert(text string) {
	first, rest, _ := strings.Cut(s.Text, "\n")
	s.Text = first + "\n" + text + rest
	for i := range s.Lines {
		s.Lines[i].Script += strings.Count(text, "\n")
	}
}

// Line says where a line of the script comes from. All numbers are from 1.
type Line struct {
	Script int    `json:"script"`
	Cell   int    `json:"cell"`           // the cell's place among the code cells
	Label  int    `json:"label"`          // the number that people see at it
	Line   int    `json:"line"`           // in the cell
	File   string `json:"file,omitempty"` // of a notebook that %run put in
}

// Note is something to say about a place.
type Note struct {
	File string `json:"file,omitempty"` // of a notebook that %run put in
	Cell int    `json:"cell"`           // its label
	Line int    `json:"line"`           // 0 is the whole cell
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

func (n Note) String() string {
	text := ""
	if n.File != "" {
		text = n.File + ": "
	}
	text += fmt.Sprintf("cell %d", n.Cell)
	if n.Line > 0 {
		text += fmt.Sprintf(", line %d", n.Line)
	}
	if text += ": " + n.Text; n.Hint != "" {
		text += ". " + n.Hint
	}
	return text
}

// Requirement is what a magic or command installs.
type Requirement struct {
	Command string // as it is written, without its sign: "pip install numpy==2.1"
	Cell    int    // its label
	Line    int
}

// Of makes the script of a notebook. It fails where the context ends; what the notebook has that no script can do is in
// Refused.
func Of(ctx context.Context, nb *nbformat.Notebook, o Options) (*Script, error) {
	s, err := convert(ctx, nb, o)
	if err != nil {
		return nil, err
	}
	return s.out, nil
}

func convert(ctx context.Context, nb *nbformat.Notebook, o Options) (*scripting, error) {
	s := &scripting{
		o: o, out: &Script{}, used: map[string]bool{}, interactivity: "last_expr", drawing: map[string]bool{},
		stored: map[string]bool{}, imported: map[string]bool{}, shells: map[string]bool{}, heads: map[string]string{},
		others: map[string]bool{}, said: map[string]bool{},
		plots: map[string]bool{}, words: map[string]bool{},
	}
	if err := s.notebook(ctx, nb, ""); err != nil {
		return nil, err
	}
	if len(s.out.Refused) == 0 || o.KeepGoing {
		s.finish()
	}
	return s, nil
}

// outLine is a line of the script that is being made.
type outLine struct {
	text     string
	cell     *place // nil where it is ours
	line     int    // in the cell, from 1
	inString bool   // it begins inside of a string, so it is not indented
}

// scripting is a script that is being made.
type scripting struct {
	o        Options
	out      *Script
	body     []outLine
	future   []string
	used     map[string]bool // helpers
	awaits   int
	drawing  map[string]bool   // names that draw, or are drawn into
	others   map[string]bool   // names of libraries that draw in browsers, and of what they made
	inside   []string          // the notebooks that are being put in
	stored   map[string]bool   // names that the notebook binds
	imported map[string]bool   // names that it imports of IPython's
	heads    map[string]string // names with their values at the head
	shells   map[string]bool   // names that are get_ipython()
	said     map[string]bool   // notes that are said once

	interactivity string // which expressions are shown
	options       []string
	after         []string           // what gives the parameters their values, behind the cell that injects others
	injected      map[string]string  // the values that papermill injected; nil where it did not
	words         map[string]bool    // read by mentioned
	outlines      []*outline.Outline // whose words are not in words yet
	plots         map[string]bool    // whether attributes of these names draw
	nested        bool               // values that are shown may be containers, types or functions
}

// Labels are the numbers by which people know the code cells, as messages and headings have them.
func Labels(nb *nbformat.Notebook) []int {
	var all []int
	counted := nb.Counted()
	for i := range nb.Cells {
		switch c := &nb.Cells[i]; {
		case c.Type != "code":
		case counted:
			all = append(all, c.Count)
		default:
			all = append(all, len(all)+1)
		}
	}
	return all
}

// skips are tags of cells that are not for scripts: Jupyter Book's, ours, jupytext's.
var skips = []string{"remove-cell", "remove_cell", "metaml-skip", "active-ipynb"}

// LeavesOut says that the cell's tags keep it out of scripts.
func LeavesOut(c *nbformat.Cell) bool { return hasTag(c, skips...) || hasTag(c, "skip-execution") }

func hasTag(c *nbformat.Cell, tags ...string) bool {
	return slices.ContainsFunc(c.Tags, func(t string) bool { return slices.Contains(tags, t) })
}

// notebook writes the cells of a notebook; file is its name where %run put it in.
func (s *scripting) notebook(ctx context.Context, nb *nbformat.Notebook, file string) error {
	numbers := Labels(nb)
	cells, err := analyse(ctx, nb.Cells, s.o.parseAll)
	if err != nil {
		return err
	}
	s.survey(nb.Cells, cells)
	lines := 0
	for i := range nb.Cells {
		lines += strings.Count(nb.Cells[i].Source, "\n") + 3 // its heading, and blank lines
	}
	s.body = slices.Grow(s.body, lines)
	code := 0
	for i := range nb.Cells {
		c := &nb.Cells[i]
		skipped := slices.IndexFunc(skips, func(tag string) bool { return hasTag(c, tag) })
		switch {
		case c.Type == "code":
			code++
			at := place{file: file, cell: code, label: numbers[code-1]}
			switch {
			case strings.TrimSpace(c.Source) == "":
			case skipped >= 0:
				s.mark("# %%", at.heading()+" is left out: it has the tag "+skips[skipped])
			case hasTag(c, "skip-execution"):
				s.mark("# %%", at.heading()+" has the tag skip-execution:")
				s.text(ipython.Comment(strings.TrimRight(c.Source, "\n")))
			default:
				if err := s.code(ctx, c, cells[i], at); err != nil {
					return err
				}
			}
		case skipped >= 0:
		case c.Type == "raw" && hasTag(c, "active-py"):
			s.mark("# %%", "")
			s.text(strings.TrimRight(c.Source, "\n"))
		case c.Type == "markdown" && strings.TrimSpace(c.Source) != "":
			s.mark("# %% [markdown]", "")
			s.text(ipython.Comment(strings.Trim(c.Source, "\n")))
		case c.Type == "raw" && strings.TrimSpace(c.Source) != "":
			s.mark("# %% [raw]", "")
			s.text(ipython.Comment(strings.Trim(c.Source, "\n")))
		}
	}
	return nil
}

// place is a cell for messages and for the source map.
type place struct {
	file        string
	cell, label int
}

// heading is the line above a cell.
func (p place) heading() string {
	heading := fmt.Sprintf("# Cell %d", p.label)
	if p.file != "" {
		heading += " of " + p.file
	}
	return heading
}

func (s *scripting) note(at place, line int, text, hint string) Note {
	return Note{File: at.file, Cell: at.label, Line: line, Text: text, Hint: hint}
}

// mark begins a cell: with its mark for editors, or its heading.
func (s *scripting) mark(percent, heading string) {
	if len(s.body) > 0 {
		s.body = append(s.body, outLine{})
	}
	switch {
	case s.o.Percent:
		s.body = append(s.body, outLine{text: percent})
	case heading != "":
		s.body = append(s.body, outLine{text: heading})
	}
}

// text writes lines that have no place in the source map.
func (s *scripting) text(text string) {
	for l := range strings.SplitSeq(text, "\n") {
		s.body = append(s.body, outLine{text: strings.TrimRight(l, " \t\r")})
	}
}

// run puts the cells of a notebook in whose name a cell runs.
func (s *scripting) run(ctx context.Context, name string, at place, line int) error {
	refuse := func(text, hint string) {
		s.out.Refused = append(s.out.Refused, s.note(at, line, text, hint))
		s.body = append(s.body, outLine{text: raising(text, hint)})
	}
	full := path.Clean(name)
	switch {
	case slices.Contains(s.inside, full):
		refuse("%run "+name+" runs a notebook that runs this one",
			"Move what both need into a module, and import it in both.")
		return nil
	case s.o.Open == nil || strings.ContainsAny(name, "${"):
		refuse("%run "+name+" names a notebook that is not known yet", "Write its name out.")
		return nil
	}
	data, err := s.o.Open(name)
	if err != nil {
		refuse(fmt.Sprintf("%%run %s cannot be followed: %v", name, err),
			"Put the notebook there, or take out the line.")
		return nil
	}
	nb, err := nbformat.ReadBytes(data)
	if err != nil {
		refuse(fmt.Sprintf("%%run %s cannot be followed: %v", name, err), "Save the notebook again.")
		return nil
	}
	s.inside = append(s.inside, full)
	defer func() { s.inside = s.inside[:len(s.inside)-1] }()
	return s.notebook(ctx, nb, name)
}
