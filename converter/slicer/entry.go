package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// chooseCell finds the cell with the magic, and drops what comes after it.
func (w *work) chooseCell() error {
	var target *cell
	switch {
	case w.o.Cell != 0:
		for _, c := range w.cells {
			if c.Seq == w.o.Cell {
				target = c
			}
		}
	case w.doc.Kind == session.Saved:
		// The last cell with a magic; without one, the last that defines the function, or any function at all.
		for _, c := range w.cells {
			if c.code.Ours != "" && (w.o.Magic == "" || c.code.Ours == w.o.Magic) &&
				(w.o.Function == "" || defines(c, w.o.Function)) {
				target = c
			}
		}
		for _, c := range w.cells {
			if target == nil && w.o.Magic != "" && slices.ContainsFunc(definitions(c), func(d definition) bool {
				return w.hasMagic(d.stmt)
			}) {
				target = c // it has the decorator
			}
		}
		for i := len(w.cells) - 1; i >= 0 && target == nil; i-- {
			if c := w.cells[i]; w.o.Function != "" && defines(c, w.o.Function) ||
				w.o.Function == "" && len(definitions(c)) > 0 {
				target = c
			}
		}
	}
	for i := len(w.cells) - 1; i >= 0 && target == nil; i-- {
		if w.cells[i].outer == nil {
			target = w.cells[i]
		}
	}
	for target.outer != nil {
		target = target.outer
	}
	w.target = target
	if w.doc.Kind == session.Saved {
		w.cells = w.cells[:slices.Index(w.cells, target)+1]
	}
	if target.broken > 0 && (target.OK == nil || !*target.OK) {
		return w.broken(target)
	}
	return nil
}

// hasMagic says that a definition has the decorator which [Options.Magic] names.
func (w *work) hasMagic(s *stmt) bool {
	return s.decorator != "" && strings.ToLower(s.decorator) == w.o.Magic
}

// broken is the error about a cell that is not Python.
func (w *work) broken(c *cell) error {
	line := c.broken
	lines := strings.Split(c.Source, "\n")
	shown := ""
	if line-1 < len(lines) {
		shown = strings.TrimSpace(lines[line-1])
	}
	shown = prose.Shorten(shown, 61)
	if p2 := find(c.tree.Root, "print_statement"); p2 != nil {
		line = p2.Row + 1
		return usererror.At(usererror.CodePython2, c.Seq, line, "%s is Python 2: print is a statement there",
			w.position(c, line)).
			With("Write print(…) with parentheses.")
	}
	return usererror.At(usererror.CodeSyntax, c.Seq, line, "%s is not Python: %s", w.position(c, line), shown)
}

// definition is a def at the top level of a cell, perhaps inside of an if or a try.
type definition struct {
	stmt *stmt
	node *syntax.Node
}

func (d definition) name() string { return d.node.Child("name").Text() }

func definitions(c *cell) []definition {
	var out []definition
	for _, s := range c.stmts {
		if s.node == nil || isGuard(s) {
			continue
		}
		var visit func(*syntax.Node)
		visit = func(n *syntax.Node) {
			switch n.Kind {
			case "function_definition":
				if n.Child("name") != nil {
					out = append(out, definition{stmt: s, node: n})
				}
			case "class_definition", "expression_statement":
			default:
				for _, d := range n.Children {
					visit(d)
				}
			}
		}
		visit(s.node)
	}
	return out
}

func defines(c *cell, name string) bool {
	for _, d := range definitions(c) {
		if d.name() == name {
			return true
		}
	}
	return false
}

// chooseEntry picks the function.
func (w *work) chooseEntry() error {
	name := w.o.Function
	if name == "" {
		defs := definitions(w.target)
		var names []string
		var ours []string
		for _, d := range defs {
			if !slices.Contains(names, d.name()) {
				names = append(names, d.name())
			}
			if w.decorated(d.stmt) && (w.o.Magic == "" || w.hasMagic(d.stmt)) {
				ours = append(ours, d.name())
			}
		}
		if len(ours) > 0 {
			names = ours
		}
		if len(names) == 0 {
			return w.noFunction()
		}
		name = names[len(names)-1]
		if len(names) > 1 {
			w.note(NoteSeveralFunctions, w.target.Seq, 0, "Choose another with --function NAME.",
				"%s defines %s; %s, the last, is run", w.place(w.target), prose.List(names), name)
		}
	}
	vs, ok := w.at(name, len(w.stmts))
	if !ok {
		return w.unknownFunction(name)
	}
	v := vs[len(vs)-1]
	w.entry = v
	s := v.stmt
	e := Function{Name: name, Cell: s.cell.Seq, Line: s.line}
	def := v.bind.def
	switch {
	case def != nil && def.Kind == "function_definition":
		e.Line = def.Row + 1
		e.IsAsync = strings.HasPrefix(def.Text(), "async")
		if p := def.Child("parameters"); p != nil {
			e.Parameters = parameters(p)
		}
		e.IsGenerator = isGenerator(def.Child("body"))
	case w.o.Value:
		e.IsValue = true
	case v.bind.imp != nil:
		return usererror.At(usererror.CodeNoFunction, s.cell.Seq, s.line,
			"`%s` is imported in %s and has no source there", name, w.position(s.cell, s.line)).
			With("Write a function in a cell that calls it.")
	case def != nil:
		return usererror.At(usererror.CodeNoFunction, s.cell.Seq, s.line, "`%s` is a class; a function is needed",
			name).With("Write a function that makes one and uses it.")
	default:
		return usererror.At(usererror.CodeNoFunction, s.cell.Seq, s.line, "`%s` is not defined by def (%s)", name,
			w.position(s.cell, s.line)).
			With("Write it as a function: def %s(…).", name)
	}
	w.out.Entry = e
	return nil
}

func isGenerator(body *syntax.Node) bool {
	if body == nil {
		return false
	}
	found := false
	body.Walk(func(n *syntax.Node) bool {
		switch n.Kind {
		case "yield":
			found = true
		case "function_definition", "lambda", "class_definition":
			return false
		}
		return !found
	})
	return found
}

func (w *work) place(c *cell) string {
	switch {
	case c.runAt.file != "":
		return c.runAt.file
	case w.doc.Kind == session.Script:
		return "the file"
	}
	return "cell " + itoa(c.label())
}

// position names a cell and a line.
func (w *work) position(c *cell, line int) string {
	return c.where(w.doc.Kind, line)
}

func (w *work) noFunction() error {
	c := usererror.At(usererror.CodeNoFunction, w.target.Seq, 0, "%s defines no function, so there is nothing to run",
		w.place(w.target))
	for _, other := range slices.Backward(w.cells) {
		if defs := definitions(other); len(defs) > 0 {
			d := defs[len(defs)-1]
			return c.With("Put the function into the cell, or name one: --function %s (cell %d).", d.name(),
				other.label())
		}
	}
	return c.With("Put the function that is to run into the cell, such as def train_model(…).")
}

func (w *work) unknownFunction(name string) error {
	if lost := w.lost[name]; lost != (loss{}) {
		hint := "Define it in a cell."
		if lost.again {
			hint = "Run that cell again."
		}
		return usererror.At(usererror.CodeNoFunction, w.target.Seq, 0,
			"the function `%s` is not defined in this session: %s", name, lost.why).With("%s", hint)
	}
	c := usererror.At(usererror.CodeNoFunction, w.target.Seq, 0, "no cell defines the function `%s`", name)
	var names []string
	for _, cc := range w.cells {
		for _, d := range definitions(cc) {
			names = append(names, d.name())
		}
	}
	if n := prose.Nearest(name, names); n != "" {
		return c.With("Did you mean %s?", n)
	}
	return c
}
