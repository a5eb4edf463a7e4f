// Package slicer finds which statements of which executed cells a function needs, so that a program can be made of them
// alone.
//
// The session is interpreted abstractly: [Of] parses every executed cell, notes for each statement what it uses,
// defines and mutates (scan.go), walks over them in the order of their execution (flow.go) so that it is known which
// object each name is bound to, judges what calls change by what is called and of which kind the objects are (calls.go,
// kinds.go), and then goes backwards from the entry function (need.go). The body of a function uses
// its names late, so they are resolved at the time of the call. When in doubt, a statement that may mutate what the
// function uses is kept. docs/internals/slicing.md has the rules in words.
//
// It may import the converter's session, ipython, syntax and token, and internal/usererror and internal/prose.
package slicer

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Options say what is to be sliced. The zero value slices the function of the last cell.
type Options struct {
	Function string // the entry; "" is the only function of the cell, of several the last
	// seq of the cell with the magic; 0 is the last cell (of a saved notebook: the last one with a magic)
	Cell   int
	Magic  string   // "train" or "serve": of a saved notebook or a script only that magic or decorator counts
	Ignore []string // names that are not to be rebuilt although mentioned
	With   []string // names that are shipped by value
	Value  bool     // the entry may be any name, not only a function: a literal table of hyperparameters

	// Definitions is the folder code/ of the training program whose model a server loads; "" is none. A pickle made
	// there names its classes and functions (__main__.Network), so these come along with what they need, before the
	// server's own statements. What the slice defines itself stays as it is.
	Definitions string

	Check bool // also find out what can be compared with the session ([Slice.Checks])

	// Describe has the live session describe names; nil where there is none.
	Describe func(ctx context.Context, names []string) (map[string]session.Name, error)

	// Exports has the live session say which names an import * of each module has bound; nil where there is none.
	Exports func(ctx context.Context, modules []string) (map[string][]string, error)

	// Variables says which variables of the environment are set where the program will run. With it, statements that
	// ask a person for one are left out, since nobody answers there; nil leaves them as they are.
	Variables func(ctx context.Context, names []string) (map[string]bool, error)

	trying bool // it is tried what shipping a value would do, so nothing is said of it
}

// Slice is what the entry function needs.
type Slice struct {
	Entry      Function
	Statements []Statement // in the order of their execution
	// top-level names of the modules that are imported, sorted; local ones and metaml are not among them
	Imports []string
	Modules []session.Module // local modules that must come along as files, with the packages that they are in
	Names   []string         // names taken from the living session by an import
	With    []string         // names whose values are shipped, of those that --with names the ones that are needed
	// names whose values were shipped to the training program and come along, and their files
	Carried    map[string]string
	Reseed     []string  // top-level names bound to random generators that were made without a seed
	Seeded     []string  // top-level names bound to random generators that were made with a seed
	Seedings   []Seeding // where the program seeds itself
	SelfSeeded []string  // libraries that the program itself seeds: random, numpy, torch, tensorflow
	UsesOutput bool      // metaml.output() or checkpoint() is mentioned
	// variables of the environment that are read, of those that are named literally and that the program does not set
	Environment []string
	Model       string        // the run that the program itself names, metaml.model("train-model:best"); "" is none
	Files       []FileMention // string literals that name existing local files
	Checks      []Check       // what the entry may read while it runs, where [Options.Check] asked for it
	// library → the first statement that seeds its global random numbers, with Checks
	SeededAt map[string]Place
	Notes    []usererror.Error
	Python   string // version of the session's Python: "3.11.7"; "" is unknown
	Source   string // the notebook or file, where it is known

	counts map[int]int // seq → execution count
}

// Function is the entry.
type Function struct {
	Name        string
	Parameters  []Parameter
	IsAsync     bool
	IsGenerator bool
	IsValue     bool // not a function but a value, see [Options.Value]
	Cell        int  // seq
	Line        int  // of its def, in the cell as typed
}

// ParameterKind is how a parameter takes its argument.
type ParameterKind string

// The kinds of parameter, named as in Python's inspect module.
const (
	Positional  ParameterKind = "positional_only"
	Normal      ParameterKind = "positional_or_keyword"
	VarPosition ParameterKind = "var_positional"
	KeywordOnly ParameterKind = "keyword_only"
	VarKeyword  ParameterKind = "var_keyword"
)

// Parameter is a parameter of the entry, as it is written.
type Parameter struct {
	Name       string        `json:"name"`
	Annotation string        `json:"type,omitempty"`    // as text
	Default    string        `json:"default,omitempty"` // as text
	HasDefault bool          `json:"has_default,omitempty"`
	Kind       ParameterKind `json:"kind,omitempty"`
}

// Statement is one statement of the program.
type Statement struct {
	Cell    int      // seq; 0 where MetaML wrote it
	File    string   // that %run executed, as the cell names it; "" of a cell itself
	Line    int      // first line, in the cell as typed or the file, from 1
	EndLine int      // last line
	Text    string   // as plain Python, with its comments, one line for each of the cell's
	Lead    []string // comment lines directly above it
	Defines []string
	Why     []string // why it is in: "needed by train_model", "changes model, which train_model uses"
	Await   bool     // it awaits outside of a function, which plain Python cannot
	// how it differs from its cell: "import" (of a living name), "with" (a shipped value), "display", "shell" (a
	// function that runs commands), "model" (of the program in [Options.Definitions], whose lines are counted)
	Origin string
}

// FileMention is a string literal that names an existing local file.
type FileMention struct {
	Path string // as written
	File string // absolute
	Size int64  // bytes; of a folder 0
	Dir  bool
	Cell int
	Line int
}

// Label is how a cell is called: by its execution count where it is known, else by its number.
func (s *Slice) Label(cell int) int {
	if n := s.counts[cell]; n > 0 {
		return n
	}
	return cell
}

// Summary is the line that people see: "ran from cells 1, 2, 4 and 6 · 38 lines, and 12 of the model's program".
func (s *Slice) Summary() string {
	var cells []int
	seen := map[int]bool{}
	lines, model := 0, 0
	for _, st := range s.Statements {
		if st.Origin == "model" {
			model += codeLines(st.Text)
			continue
		}
		lines += codeLines(st.Text)
		if l := s.Label(st.Cell); st.Cell > 0 && !seen[l] {
			seen[l] = true
			cells = append(cells, l)
		}
	}
	n := "lines"
	if lines == 1 {
		n = "line"
	}
	from := cellList(cells)
	if filepath.Ext(s.Source) == ".py" {
		from = filepath.Base(s.Source)
	}
	text := fmt.Sprintf("ran from %s · %d %s", from, lines, n)
	if model > 0 {
		text += fmt.Sprintf(", and %d of the model's program", model)
	}
	return text
}

func codeLines(text string) int {
	n := 0
	for l := range strings.SplitSeq(text, "\n") {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			n++
		}
	}
	return n
}

// cellList writes the numbers of cells for a sentence: "cell 3", "cells 1, 2 and 4".
func cellList(cells []int) string {
	if len(cells) == 1 {
		return "cell " + strconv.Itoa(cells[0])
	}
	numbers := make([]string, len(cells))
	for i, c := range cells {
		numbers[i] = strconv.Itoa(c)
	}
	return "cells " + prose.List(numbers)
}

// Of slices a session. A user's mistake is a [*usererror.Error].
func Of(ctx context.Context, doc *session.Document, o Options) (*Slice, error) {
	w := &work{
		ctx: ctx, doc: doc, o: o, out: &Slice{
			Source: doc.Source, Python: doc.Interpreter.Version, counts: map[int]int{},
		},
	}
	for _, step := range []func() error{
		w.readCells,  // cells.go: which cells count, parsed into statements
		w.chooseCell, // entry.go: which cell, which function
		w.exports,    // stars.go: what import * binds
		w.flow,       // flow.go: forwards, every name to its value
		w.chooseEntry,
		w.needs,           // need.go: backwards from the entry
		w.missing,         // missing.go: names without source
		w.collect,         // collect.go: statements, notes
		w.commandsLeftOut, // written.go: commands of the shell
		w.slowNotes,       // slow.go: cells that took long
		w.answers,         // asking.go: variables that a person is asked for
		w.packages,        // modules.go: imports and local modules
		w.random,          // random.go
		w.definitions,
		w.files,  // files.go
		w.checks, // check.go: what can be compared with the session
	} {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	return w.out, nil
}

// work is the state that the steps share.
type work struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call of Of
	doc *session.Document
	o   Options
	out *Slice

	cells   []*cell
	stmts   []*stmt // of all cells that count, in the order of execution; a statement's time is its index
	target  *cell
	aliases *aliases        // names of ours, as they are learned
	lost    map[string]loss // name → why no cell that counts defines it

	history   map[string][]binding   // name → its values over time
	binders   map[string]*stmt       // name → the statement that binds it last; nil is a function, at any time
	modules   map[string]*value      // top-level module → the module itself, whatever it is bound to
	summaries map[*function]*summary // of the statement that is interpreted
	stars     []*stmt                // import *
	stared    map[string][]string    // module → what an import * of it binds, as far as that is known

	effectImports     []*stmt         // imports of which no name is read
	expansions        int             // how many more calls are followed, see expand
	now               *stmt           // that is interpreted
	redirects         bool            // some code replaces sys.stdout or sys.stderr
	logs              map[string]bool // what handlers of package logging are given
	asksForSubclasses bool            // some code does: Base.__subclasses__()
	repetitions       []repetition    // statements that were left out

	entry      *value
	kept       map[*stmt][]string // why
	demanded   map[needKey]bool
	facts      map[*value]*facts
	unresolved map[string]*unresolvedName // names without source
	withs      map[string]int             // names shipped by value → the time at which they are needed first
	passed     map[string]bool            // names of [Options.Ignore] that something mentions
	live       map[string]session.Name
	generated  []generated

	asked      []*stmt // that set variables of the environment by asking a person
	generators []generator
	find       *finder // of local modules
}

// Explain says for each statement where it stands and why it is in, one line each.
func (s *Slice) Explain() string {
	var b strings.Builder
	for _, st := range s.Statements {
		place := "written by MetaML"
		if st.File != "" {
			place = fmt.Sprintf("%s, line %d", st.File, st.Line)
		} else if st.Cell > 0 {
			place = fmt.Sprintf("cell %d, line %d", s.Label(st.Cell), st.Line)
		} else if st.Origin == "model" {
			place = fmt.Sprintf("model, line %d", st.Line)
		}
		first, more, cut := strings.Cut(strings.TrimLeft(st.Text, "\n"), "\n")
		if cut && strings.TrimSpace(more) != "" {
			first += " …"
		}
		fmt.Fprintf(&b, "%-18s  %-60s  %s\n", place, first, strings.Join(st.Why, "; "))
	}
	return b.String()
}
