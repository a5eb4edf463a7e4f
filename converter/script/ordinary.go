package script

import (
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/outline"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
)

// Most cells are ordinary: plain Python with nothing that only a kernel gives. All there is to do is to show their last
// expression, and to know what they bind and whether they draw. Package outline says that many times faster than the
// parser gives a tree.

// special says whether a name is one for which a cell is looked at in its tree.
func special(name string) bool {
	switch name {
	case "get_ipython", "display", "display_id", "IPython", "InteractiveShell", "ast_node_interactivity", "google",
		"notebook", "tqdm_notebook", "_tqdm_notebook", "tnrange",
		"create_task", "ensure_future", "get_running_loop", "current_task",
		"dbutils", "displayHTML", "spark":
		return true
	}
	return false
}

// outlined reads a cell's code without a tree, if that is enough whatever other cells have.
func (a *analysed) outlined(source string) bool {
	if !ipython.Plain(source) || strings.Contains(source, "_metaml_") || strings.Contains(source, "@param") {
		return false
	}
	for _, folder := range services {
		if strings.Contains(source, folder) {
			return false
		}
	}
	o, ok := outline.Of(source)
	if !ok {
		return false
	}
	for i := range o.Names {
		if special(o.Names[i].Text) {
			return false
		}
	}
	for i := range o.Statements {
		st := &o.Statements[i]
		if st.Kind == outline.Future {
			return false
		}
		for _, name := range st.Imported {
			if browsers.MatchString(whole(st.ImportedFrom, name.Name)) {
				return false
			}
		}
	}
	a.Code, a.outline = source, &o
	return true
}

// parse gives a cell its tree.
func (a *analysed) parse() {
	if a.tree == nil && a.err == nil {
		a.tree, a.err = syntax.Parse(a.Code)
	}
	a.outline = nil
}

// surveyOutline notes the names that an ordinary cell binds.
func (s *scripting) surveyOutline(o *outline.Outline) {
	s.outlines = append(s.outlines, o)
	for i := range o.Names {
		if n := &o.Names[i]; (n.Use == outline.Bind || n.Use == outline.Inner) && !s.stored[n.Text] {
			s.stored[n.Text] = true
		}
	}
}

// mentioned says whether a word stands in the notebook, in a cell that runs.
func (s *scripting) mentioned(word string) bool {
	for _, o := range s.outlines {
		for i := range o.Names {
			s.words[o.Names[i].Text] = true
		}
	}
	s.outlines = nil
	return s.words[word]
}

// ordinary says that a cell with an outline needs no tree, as things are.
func (s *scripting) ordinary(c *nbformat.Cell, o *outline.Outline) bool {
	if s.interactivity != "last_expr" || s.o.Parameters && hasTag(c, "parameters", "injected-parameters") {
		return false
	}
	for i := range o.Names {
		n := &o.Names[i]
		if n.Use == outline.Attribute || n.Use == outline.Keyword {
			continue
		}
		if s.others[n.Text] || s.shells[n.Text] || n.Text == s.o.Name { // an import of it finds the script itself
			return false
		}
		switch n.Text[0] {
		case '_', 'I', 'O':
			if memory.MatchString(n.Text) && !s.stored[n.Text] {
				return false
			}
		}
	}
	return true
}

// plainly are the lines of an ordinary cell.
func (s *scripting) plainly(code string, o *outline.Outline, at place) []outLine {
	code = apply(code, s.lastShown(code, o))
	lines := trimmed(rawLines(code, inString(code), at))
	if s.drewPlainly(o) {
		s.used["figures"] = true
		lines = append(lines, outLine{text: "_metaml_figures()"})
	}
	return lines
}

// lastShown are the edits that show the last expression of an ordinary cell.
func (s *scripting) lastShown(code string, o *outline.Outline) []edit {
	if len(o.Statements) == 0 || s.o.QuietExpressions || len(s.inside) > 0 { // %run shows no values
		return nil
	}
	last := &o.Statements[len(o.Statements)-1]
	if last.Kind != outline.Expression || last.Quiet || silent[last.Callee] && !s.stored[last.Callee] {
		return nil
	}
	if !s.nested && !last.Tuple {
		// Which kind of value it gives decides about the helper, and is for the parser.
		tree, err := syntax.Parse(code[last.Start:last.End])
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

// drewPlainly says what drew says, of a cell that has no names of what draws in browsers.
func (s *scripting) drewPlainly(o *outline.Outline) bool {
	found := false
	for i := range o.Statements {
		st := &o.Statements[i]
		if st.Kind == outline.Import || st.Kind == outline.FromImport {
			for _, name := range st.Imported {
				s.drawnBy(st.ImportedFrom, importedName{name.Name, name.As})
			}
			continue
		}
		draws := false
		for j := 0; j < len(st.Names) && !draws; j++ {
			n := &st.Names[j]
			if n.Use == outline.Attribute {
				draws = s.plotting(n.Text)
				continue
			}
			draws = s.drawing[n.Text] || s.drawing[star] && (s.plotting(n.Text) || n.Text == "show")
		}
		if st.Kind == outline.Definition {
			s.drawing[st.Target], s.others[st.Target] = draws, false
			continue
		}
		if !draws {
			continue
		}
		found = true
		for j := range st.Names {
			if st.Names[j].Use == outline.Bind {
				s.drawing[st.Names[j].Text] = true
			}
		}
	}
	return found
}

// plotting says whether functions and methods of a name draw.
func (s *scripting) plotting(name string) bool {
	is, known := s.plots[name]
	if !known {
		is = plots.MatchString(name)
		s.plots[name] = is
	}
	return is
}

// inString says of each line of an ordinary cell's edited code whether it begins inside of a string; nil is for none.
func inString(code string) []bool {
	if strings.Contains(code, `"""`) || strings.Contains(code, "'''") || strings.Contains(code, "\\\n") {
		return token.InString(code)
	}
	return nil // what has an outline has no other strings over lines
}
