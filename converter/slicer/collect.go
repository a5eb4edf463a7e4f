package slicer

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

// collect makes the statements of the slice, in order, and the notes about their cells.
func (w *work) collect() error {
	sort.SliceStable(w.generated, func(i, j int) bool { return w.generated[i].time < w.generated[j].time })
	done := map[string]bool{}
	g := 0
	emit := func(until int) {
		for ; g < len(w.generated) && w.generated[g].time <= until; g++ {
			if st := w.generated[g].st; !done[st.Text] {
				done[st.Text] = true
				w.out.Statements = append(w.out.Statements, st)
			}
		}
	}
	for _, s := range w.stmts {
		emit(s.time)
		if _, ok := w.kept[s]; ok {
			w.out.Statements = append(w.out.Statements, w.statement(s))
			w.usesOutput(s)
			w.namesModel(s)
		}
	}
	emit(len(w.stmts) + 1)
	slices.Sort(w.out.Names)
	w.out.Environment = w.environment()
	w.cellNotes()
	return nil
}

// statement makes a kept statement of the program.
func (w *work) statement(s *stmt) Statement {
	st := Statement{
		Cell: s.cell.Seq, Line: s.line, EndLine: s.endLine,
		Text: w.stripped(s), Why: slices.Clone(w.kept[s]),
		Await: s.e.await,
		Lead:  lead(s.cell.tree.Src, s.line), File: s.cell.runAt.file,
	}
	for _, b := range s.e.binds {
		if !slices.Contains(st.Defines, b.name) {
			st.Defines = append(st.Defines, b.name)
		}
	}
	return st
}

// stripped is the text of a statement without our decorators, with as many lines.
func (w *work) stripped(s *stmt) string {
	text := w.edited(s)
	if !s.ours || s.node == nil {
		return text
	}
	lines := strings.Split(text, "\n")
	for _, c := range s.node.Children {
		if c.Kind != "decorator" || !s.cell.aliases.isDecorator(c) {
			continue
		}
		for i := c.Row - s.node.Row; i <= c.EndRow-s.node.Row && i < len(lines); i++ {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// cellNotes says what is worth knowing about the cells of the program.
func (w *work) cellNotes() {
	var unknown []int
	seen := map[*cell]bool{}
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok || seen[s.cell] {
			continue
		}
		c := s.cell
		seen[c] = true
		if w.doc.Kind == session.Live && c.OK == nil && c.Seq != w.target.Seq {
			unknown = append(unknown, c.label())
		}
	}
	if len(unknown) > 0 {
		w.note(NoteUnknownSuccess, 0, 0, "",
			"%s ran before MetaML was loaded, so it is not known whether they succeeded", cellList(unknown))
		if len(unknown) == 1 {
			w.out.Notes[len(w.out.Notes)-1].Text = fmt.Sprintf("cell %d ran before MetaML was loaded, so it is not "+
				"known whether it succeeded", unknown[0])
		}
	}
	for _, c := range w.cells {
		if c.broken > 0 && (c.OK == nil || !*c.OK) && !slices.ContainsFunc(c.stmts, func(s *stmt) bool {
			_, ok := w.kept[s]
			return ok
		}) {
			w.note(usererror.CodeSyntax, c.Seq, c.broken, "",
				"%s is not Python and was left out", w.position(c, c.broken))
		}
	}
}

// duration writes seconds for people.
func duration(s float64) string {
	switch {
	case s < 90:
		return fmt.Sprintf("%.0f s", s)
	case s < 5400:
		return fmt.Sprintf("%.0f min", s/60)
	}
	return fmt.Sprintf("%.1f h", s/3600)
}

// namesModel finds the first metaml.model("RUN").
func (w *work) namesModel(s *stmt) {
	if s.node == nil || w.out.Model != "" {
		return
	}
	s.node.Walk(func(n *syntax.Node) bool {
		if n.Kind != "call" || s.cell.aliases.of(n) != "model" {
			return true
		}
		if args := n.Child("arguments"); args != nil && len(args.Children) == 1 && args.Children[0].Kind == "string" &&
			w.out.Model == "" {
			w.out.Model, _ = literal(args.Children[0].Text())
		}
		return true
	})
}

func (w *work) usesOutput(s *stmt) {
	if s.node != nil && strings.HasPrefix(s.node.Kind, "import") {
		return
	}
	for alias, name := range s.cell.aliases.names {
		if (name == "output" || name == "checkpoint") && s.e.names[alias] {
			w.out.UsesOutput = true
		}
	}
	for alias := range s.cell.aliases.module {
		if s.e.names[alias] && (s.e.names[".output"] || s.e.names[".checkpoint"]) {
			w.out.UsesOutput = true
		}
	}
}

// dotted gives the full name of what an expression like np.random.default_rng means, or "".
func (w *work) dotted(n *syntax.Node, time int) string { return w.dottedIn(n, time, nil) }

// dottedIn is the same in a piece of code that has imports of its own.
func (w *work) dottedIn(n *syntax.Node, time int, imports map[string]*bind) string {
	var path []string
	for n != nil && n.Kind == "attribute" {
		if a := n.Child("attribute"); a != nil {
			path = append([]string{a.Text()}, path...)
		}
		n = n.Child("object")
	}
	if n == nil || n.Kind != "identifier" {
		return ""
	}
	imp := w.importOf(n.Text(), time)
	if own := imports[n.Text()]; own != nil {
		imp = own.imp
	}
	if imp == nil {
		if base := w.assignedName(n.Text(), time); base != "" {
			return strings.Join(append([]string{base}, path...), ".")
		}
		return ""
	}
	base := imp.module
	switch {
	case imp.name != "":
		base += "." + imp.name
	case imp.whole:
		base, _, _ = strings.Cut(base, ".")
	}
	return strings.Join(append([]string{base}, path...), ".")
}

// assignedName gives the full name of what a plain assignment has given another name: rng = np.random.
func (w *work) assignedName(name string, time int) string {
	vs, _ := w.at(name, time)
	if len(vs) != 1 || vs[0].stmt == nil || vs[0].stmt.time >= time {
		return ""
	}
	a := vs[0].stmt.assigned()
	if a == nil || a.Kind != "identifier" && a.Kind != "attribute" {
		return ""
	}
	return w.dottedIn(a, vs[0].stmt.time, nil) // of an earlier time, so this ends
}
