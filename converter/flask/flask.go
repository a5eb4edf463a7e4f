// Package flask writes the function of a serving cell as one plain Flask application, which needs nothing of MetaML:
// the statements of its slice as a person would have them in a file, and below them what the server does for it
// otherwise, as far as the function needs it.
//
// Read [Application] first. kinds.go reads annotations, returns.go what the function gives; imports.go and ours.go
// rewrite the notebook's statements. parts/*.py is the Python that is added: parts.go chooses from it, template.go
// fits it into the file. docs/internals/slicing.md says what the application is, and what it is not.
//
// It may import the converter's slice, session, syntax and token, and internal/usererror and internal/prose.
package flask

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Options are the settings of the cell that mean something to an application, and its file.
type Options struct {
	Path    string // "" is /predict
	Host    string // "" is 127.0.0.1
	Port    int    // 0 is 8000
	Workers int    // for gunicorn; 0 is 1
	Batch   bool   // the function takes a list of inputs
	File    string // base name, "digits_app.py"
}

// writer is an application that is being written.
type writer struct {
	s     *slicer.Slice
	o     Options
	nodes []*syntax.Tree // of each statement of the slice
	def   *syntax.Node   // of the function
	taken map[string]bool
	names map[string]string // a name that the parts define → what it is called in this file
	need  []imported        // what the parts import
	ours  references
	kinds map[string]*kind // of annotated parameters

	lookups int // of names of annotations

	top  []imported // the notebook's imports that stand at the top, and the settings among them
	body []block
}

// block is a piece of the file.
type block struct {
	text  string
	apart bool // a definition: two blank lines around it
	cell  int
	model bool     // it comes from the training's program
	names []string // what it defines, if it is a definition
	loads bool     // it may load a model

	pickled bool // a pickle may name what it defines
}

// UsesModel says that a slice asks for the folder of its model.
func UsesModel(s *slicer.Slice) bool {
	w := &writer{s: s}
	return w.parse() == nil && w.findOurs() == nil && w.ours.used["model"]
}

// Application writes the file. What cannot be a plain application is a [*usererror.Error].
func Application(s *slicer.Slice, o Options) (string, error) {
	if o.Path == "" {
		o.Path = "/predict"
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == 0 {
		o.Port = 8000
	}
	o.Workers = max(o.Workers, 1)
	w := &writer{s: s, o: o, taken: map[string]bool{}, names: map[string]string{}, kinds: map[string]*kind{}}
	for _, step := range []func() error{w.parse, w.refuse, w.findOurs, w.readKinds, w.takeNames, w.arrange} {
		if err := step(); err != nil {
			return "", err
		}
	}
	w.name("app")
	model, err := w.model()
	if err != nil {
		return "", err
	}
	parts, err := w.parts()
	if err != nil {
		return "", err
	}
	w.reexport()
	return w.assemble(model, parts), nil
}

// parse parses the statements and finds the function.
func (w *writer) parse() error {
	for _, st := range w.s.Statements {
		tree, err := syntax.Parse(st.Text)
		if err != nil {
			return fmt.Errorf("parse the program: %w", err)
		}
		w.nodes = append(w.nodes, tree)
		if slices.Contains(st.Defines, w.s.Entry.Name) {
			tree.Root.Walk(func(n *syntax.Node) bool {
				if n.Kind == "function_definition" && n.Child("name") != nil &&
					n.Child("name").Text() == w.s.Entry.Name {
					w.def = n
				}
				return n.Kind != "class_definition"
			})
		}
	}
	if w.def == nil {
		return usererror.At(usererror.CodeExport, w.s.Entry.Cell, w.s.Entry.Line, "`%s` is not written as a function",
			w.s.Entry.Name)
	}
	return nil
}

// refuse finds what no plain application could do.
func (w *writer) refuse() error {
	e := w.s.Entry
	if strings.Contains(w.o.Path, "{") {
		return usererror.At(usererror.CodeExport, e.Cell, e.Line,
			"--url %s has a parameter of %s, which the application would not take from there", w.o.Path, e.Name).
			With("Give it a path without braces.")
	}
	for _, p := range e.Parameters {
		if p.Kind == slicer.Positional && len(e.Parameters) > 1 {
			return usererror.At(usererror.CodeExport, e.Cell, e.Line,
				"parameter %s of %s has no name for callers (it stands before a /), and its value comes by "+
					"name", p.Name, e.Name).
				With("Leave out the / in the parameters of %s.", e.Name)
		}
	}
	switch named := w.parameters(); {
	case len(named) == 0 && !w.more():
		return usererror.At(usererror.CodeExport, e.Cell, e.Line,
			"%s has no parameters, and a request has to go somewhere", e.Name).
			With("Give it one: def %s(input).", e.Name)
	case w.o.Batch && (len(named) != 1 || w.more()):
		return usererror.At(usererror.CodeExport, e.Cell, e.Line,
			"%s has %d parameters, and with --batch a function gets one list of inputs", e.Name, len(named)).
			With("Write def %s(inputs):, where each input is an object.", e.Name)
	case w.o.Batch && e.IsGenerator:
		return usererror.At(usererror.CodeExport, e.Cell, e.Line,
			"%s is a generator, which answers one input, and has "+
				"--batch", e.Name).With("Leave out --batch, or return a list.")
	}
	for _, st := range w.s.Statements {
		if st.Await {
			return usererror.At(usererror.CodeExport, st.Cell, st.Line,
				"%s awaits outside of a function (%s), and a Flask application has no loop for "+
					"that", w.place(st), first(st.Text)).
				With("Do it inside of the function.")
		}
	}
	for name := range w.s.Carried {
		return usererror.At(usererror.CodeExport, 0, 0,
			"the model's classes use %s, whose value was shipped to the training with --with, and one file cannot "+
				"hold it", name).
			With("Define it in a cell.")
	}
	for _, name := range w.s.With {
		return usererror.At(usererror.CodeExport, 0, 0, "%s is shipped by value, and one file cannot hold it",
			name).With("Define it in a cell.")
	}
	return nil
}

// parameters are those of the function that a request fills by name.
func (w *writer) parameters() []slicer.Parameter {
	return slices.DeleteFunc(slices.Clone(w.s.Entry.Parameters), func(p slicer.Parameter) bool {
		return p.Kind == slicer.VarPosition || p.Kind == slicer.VarKeyword
	})
}

// more says that the function takes any further fields.
func (w *writer) more() bool {
	return slices.ContainsFunc(w.s.Entry.Parameters, func(p slicer.Parameter) bool {
		return p.Kind == slicer.VarKeyword
	})
}

// single says that the function gets the whole input as its one argument.
func (w *writer) single() bool { return len(w.parameters()) == 1 && !w.more() }

func (w *writer) place(st slicer.Statement) string {
	switch {
	case st.File != "":
		return fmt.Sprintf("%s, line %d,", st.File, st.Line)
	case st.Cell > 0:
		return fmt.Sprintf("cell %d, line %d,", w.s.Label(st.Cell), st.Line)
	}
	return "the training program"
}

func first(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// takeNames notes which names the notebook's code has at the top level, so that none of ours hides one.
func (w *writer) takeNames() error {
	for _, n := range w.ours.called {
		w.taken[n] = true
	}
	for i, st := range w.s.Statements {
		for _, n := range st.Defines {
			w.taken[n] = true
		}
		w.nodes[i].Root.Walk(func(n *syntax.Node) bool {
			if n.Kind == "global_statement" {
				for _, c := range n.Children {
					w.taken[c.Text()] = true
				}
			}
			return true
		})
	}
	return nil
}

// name gives a name of ours as it is called in this file.
func (w *writer) name(want string) string {
	if n, ok := w.names[want]; ok {
		return n
	}
	n := want
	for w.taken[n] {
		n += "_"
	}
	w.taken[n] = true
	w.names[want] = n
	return n
}

// reexport makes the notebook's definitions known where its pickles look for them.
func (w *writer) reexport() {
	at := len(w.body)
	for i, b := range w.body {
		if b.loads {
			at = i
			break
		}
	}
	if at == len(w.body) && !slices.ContainsFunc(w.body, func(b block) bool { return b.model }) {
		return
	}
	var names []string
	for _, b := range w.body[:at] {
		for _, n := range b.names {
			if b.pickled && n != w.s.Entry.Name && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	lines := []string{reexported}
	for _, n := range names {
		lines = append(lines, w.ref("sys")+".modules[\"__main__\"]."+n+" = "+n)
	}
	w.body = slices.Insert(w.body, at, block{text: strings.Join(lines, "\n"), cell: -3})
}

// assemble puts the pieces together.
func (w *writer) assemble(model []block, parts []block) string {
	var b strings.Builder
	b.WriteString(w.head())
	b.WriteString(w.importLines())
	last := block{cell: -1}
	for i, piece := range slices.Concat(model, w.body, parts) {
		switch {
		case piece.apart, last.apart:
			b.WriteString("\n\n")
		case i == 0, piece.cell != last.cell || strings.Contains(piece.text, "\n"):
			b.WriteString("\n")
		}
		b.WriteString(strings.Trim(piece.text, "\n") + "\n")
		last = piece
	}
	return b.String()
}

// head is the docstring of the file.
func (w *writer) head() string {
	source := "a notebook"
	if w.s.Source != "" {
		source = filepath.Base(w.s.Source)
	}
	file := w.o.File
	if file == "" {
		file = "app.py"
	}
	needs := []string{"flask"}
	for _, m := range w.s.Imports {
		if !slicer.IsStandard(m) && !slices.Contains(needs, m) {
			needs = append(needs, m)
		}
	}
	slices.Sort(needs)
	about := []string{"It imports " + prose.List(needs) + "."}
	if w.ours.used["model"] {
		about = append(about,
			"The environment variable MODEL names the folder of the model's files; else it is ./model.")
	}
	about = append(about, "One process answers one request at a time.")
	module := strings.TrimSuffix(file, ".py")
	return fmt.Sprintf(`"""A Flask application of the function %s in %s.

%s

    python %s
    gunicorn --workers %d --bind %s:%d %s:%s
"""
`, w.s.Entry.Name, source, strings.Join(about, "\n"), file, w.o.Workers, w.o.Host, w.o.Port, module, w.name("app"))
}
