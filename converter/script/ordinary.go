package script

import (
	"strings"

	"github.com/metaml/metaml/converter/outline"
	"github.com/metaml/metaml/converter/syntax"
)

// Most cells are ordinary: plain Python in which nothing is to be replaced, so that the last expression is all that is
// looked for. Package outline sees that in a tenth of the time in which the parser gives a tree.

// special are names that mean something to this package, and so are those that begin with "_", and those of [memory].
var special = map[string]bool{
	"get_ipython": true, "display": true, "displayHTML": true, "display_id": true, "IPython": true,
	"InteractiveShell": true, "ast_node_interactivity": true, "google": true, "colab": true, "dbutils": true,
	"spark": true, "asyncio": true, "tqdm": true, "tqdm_notebook": true, "tnrange": true, "interact": true, "In": true,
	"Out": true,
}

// ordinary says that a cell has nothing that the package replaces or looks for, but for what may draw.
func ordinary(o *outline.Outline) bool {
	for _, folder := range services {
		if strings.Contains(o.Src, folder) {
			return false
		}
	}
	fine := !o.Imports() && !strings.Contains(o.Src, "_metaml_") && !strings.Contains(o.Src, "@param")
	for i := range o.Statements {
		o.Names(&o.Statements[i], func(w outline.Word) bool {
			fine = fine && w.Name[0] != '_' && !special[w.Name] && (!silent[w.Name] || w.Called || w.Attribute)
			return fine
		})
	}
	return fine
}

// parse gives a cell its tree.
func (a *analysed) parse() {
	if a.tree == nil && a.err == nil {
		a.tree, a.err = syntax.Parse(a.Code)
	}
	a.outline = nil
}

// mentions says whether an ordinary cell has a name for which f is true; attribute says that it stands behind a dot.
func (a *analysed) mentions(f func(name string, attribute bool) bool) bool {
	found := false
	for i := range a.outline.Statements {
		a.outline.Names(&a.outline.Statements[i], func(w outline.Word) bool {
			found = found || f(w.Name, w.Attribute)
			return !found
		})
	}
	return found
}

// plainly says whether a cell can be written without its tree: nothing in it draws, and expressions are shown as usual.
func (s *scripting) plainly(a *analysed, parameters bool) bool {
	if a.outline == nil || s.interactivity != "last_expr" || s.o.Parameters && parameters || s.drawing[star] {
		return false
	}
	return !a.mentions(func(name string, attribute bool) bool {
		if attribute {
			draws, known := s.plots[name]
			if !known {
				draws = plots.MatchString(name)
				s.plots[name] = draws
			}
			return draws
		}
		return s.drawing[name] || s.others[name] || s.shells[name]
	})
}

// lastShown is the edit that shows the last expression of an ordinary cell.
func (s *scripting) lastShown(o *outline.Outline) []edit {
	if len(o.Statements) == 0 || s.o.QuietExpressions || len(s.inside) > 0 { // %run shows no values
		return nil
	}
	last := &o.Statements[len(o.Statements)-1]
	if last.Kind != outline.Expression || quiet(o.Src, last.End) || silent[last.Callee] && !s.stored[last.Callee] {
		return nil
	}
	if !s.nested && !last.Tuple {
		// Which kind of value it gives decides about the helper, and is for the parser.
		tree, err := syntax.Parse(o.Src[last.Start:last.End])
		s.nested = err != nil || len(tree.Root.Children) != 1 || len(tree.Root.Children[0].Children) != 1 ||
			!plain(tree.Root.Children[0].Children[0])
	}
	return s.wrapped(last.Start, last.End, last.Tuple)
}

// wrapped are the edits that show an expression.
func (s *scripting) wrapped(from, to int, tuple bool) []edit {
	s.used["show"] = true
	opening, closing := "_metaml_show(", ")"
	if tuple {
		opening, closing = "_metaml_show((", "))"
		s.nested = true
	}
	return []edit{{from, from, opening}, {to, to, closing}}
}
