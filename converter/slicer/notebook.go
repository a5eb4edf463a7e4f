package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
)

// This file lets code that looks whether it is in a notebook run as it would in a script.

// onlyInNotebooks are names that IPython defines.
var onlyInNotebooks = map[string]bool{"get_ipython": true, "__IPYTHON__": true}

// looksAtObject are functions that may be asked about what get_ipython() gives, which is None in a script.
var looksAtObject = map[string]bool{
	"str": true, "repr": true, "type": true, "bool": true, "isinstance": true, "hasattr": true, "getattr": true,
	"print": true, "id": true, "dir": true,
}

// withoutName marks what is in the body of a try that goes on where a name is not defined.
func withoutName(try *syntax.Node) bool {
	for _, c := range try.Children {
		if c.Kind != "except_clause" && c.Kind != "except_group_clause" {
			continue
		}
		caught := 0
		for _, part := range c.Children {
			if part.Kind == "block" || part.Kind == "comment" {
				continue
			}
			caught++
			found := false
			part.Walk(func(n *syntax.Node) bool {
				found = found || n.Kind == "identifier" &&
					slices.Contains([]string{"NameError", "Exception", "BaseException"}, n.Text())
				return !found
			})
			if found {
				return true
			}
		}
		if caught == 0 {
			return true // except:
		}
	}
	return false
}

// suppresses says that a with statement goes on after exceptions with a text in their names: contextlib.suppress(…).
func suppresses(with *syntax.Node, exception string) bool {
	clause := with.Of("with_clause")
	found := false
	if clause != nil {
		clause.Walk(func(n *syntax.Node) bool {
			found = found || n.Kind == "call" && lastName(n.Child("function")) == "suppress" &&
				strings.Contains(n.Text(), exception)
			return !found
		})
	}
	return found
}

// suppressesNames says that a with statement goes on where a name is not defined.
func suppressesNames(with *syntax.Node) bool {
	return suppresses(with, "NameError") || suppresses(with, "Exception")
}

// notebookGuards finds the calls of get_ipython() that only look whether there is a notebook, outside of what goes on
// without the name: `"google.colab" in str(get_ipython())`, `get_ipython() is not None`.
func notebookGuards(n *syntax.Node) []*syntax.Node {
	if !strings.Contains(n.Text(), "get_ipython") {
		return nil
	}
	var out []*syntax.Node
	var visit func(n, parent, above *syntax.Node)
	visit = func(n, parent, above *syntax.Node) {
		if n.Kind == "call" && n.Text() == "get_ipython()" && parent != nil && isGuardOf(n, parent, above) {
			out = append(out, n)
			return
		}
		for _, c := range n.Children {
			if c.Field == "body" && (n.Kind == "try_statement" && withoutName(n) ||
				n.Kind == "with_statement" && suppressesNames(n)) {
				continue
			}
			visit(c, n, parent)
		}
	}
	visit(n, nil, nil)
	return out
}

// isGuardOf says that a node below another is only looked at.
func isGuardOf(n, parent, above *syntax.Node) bool {
	switch parent.Kind {
	case "comparison_operator", "not_operator", "boolean_operator", "named_expression":
		return true
	case "assignment":
		return n.Field == "right"
	case "if_statement", "elif_clause", "while_statement", "conditional_expression":
		return true
	case "parenthesized_expression":
		return above != nil && strings.HasSuffix(above.Kind, "_statement")
	case "argument_list":
		return above != nil && above.Kind == "call" && above.Child("function") != nil &&
			looksAtObject[above.Child("function").Text()]
	case "attribute":
		return parent.Child("attribute") != nil && parent.Child("attribute").Text() == "__class__"
	}
	return false
}

// edit replaces a piece of a statement's text; with from = to it is put in.
type edit struct {
	from, to int
	text     string
}

// edited is the text of a statement as a program has it, with as many lines: there is no get_ipython(), and folders
// that the session has made are there.
func (w *work) edited(s *stmt) string {
	if s.node == nil {
		return s.text
	}
	var edits []edit
	for _, g := range s.e.guards {
		edits = append(edits, edit{g.Start - s.node.Start, g.End - s.node.Start, "None"})
	}
	if w.doc.Kind == session.Live {
		edits = append(edits, repeatable(s)...)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return b.from - a.from })
	text := s.text
	for _, e := range edits {
		text = text[:e.from] + e.text + text[e.to:]
	}
	return text
}
