package slicer

import (
	"slices"

	"github.com/metaml/metaml/converter/syntax"
)

// decorators are ours: they are stripped from the program, with everything in their arguments.
var decorators = []string{"Train", "Serve", "DataIn", "DataOut"}

// aliases are the names under which a session knows our module and our decorators.
type aliases struct {
	module map[string]bool   // import metaml as mm
	names  map[string]string // from metaml import Train as T: T → Train
}

// learn notes the imports of a statement.
func (a *aliases) learn(n *syntax.Node) {
	if n.Kind != "import_statement" && n.Kind != "import_from_statement" {
		return
	}
	for _, b := range importBinds(n) {
		delete(a.module, b.name)
		delete(a.names, b.name)
		switch {
		case b.imp.module == "metaml" && b.imp.name == "":
			a.module[b.name] = true
		case b.imp.module == "metaml":
			a.names[b.name] = b.imp.name
		}
	}
	if m := n.Child("module_name"); m != nil && m.Text() == "metaml" && n.Of("wildcard_import") != nil {
		for _, d := range append([]string{
			"report", "output", "checkpoint", "model", "run", "runs", "trial", "attempt",
			"seed",
		}, decorators...) {
			a.names[d] = d
		}
	}
}

// of gives the name in our module that an expression means, or "".
func (a *aliases) of(n *syntax.Node) string {
	switch {
	case n == nil:
	case n.Kind == "call":
		return a.of(n.Child("function"))
	case n.Kind == "identifier":
		return a.names[n.Text()]
	case n.Kind == "attribute":
		o, x := n.Child("object"), n.Child("attribute")
		if o != nil && x != nil && o.Kind == "identifier" && a.module[o.Text()] {
			return x.Text()
		}
	}
	return ""
}

// isDecorator says that a decorator is one of ours.
func (a *aliases) isDecorator(n *syntax.Node) bool {
	return len(n.Children) > 0 && slices.Contains(decorators, a.of(n.Children[0]))
}

// decorated says that the statement defines an entry function by a decorator.
func (w *work) decorated(s *stmt) bool { return s.ours }
