package script

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// edit replaces a part of a cell's code by text with as many line ends.
type edit struct {
	from, to int
	text     string
}

func apply(code string, edits []edit) string {
	// What is put in before a part comes before what replaces that.
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(a.from-b.from, min(a.to-a.from, 1)-min(b.to-b.from, 1))
	})
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.from < at {
			continue // inside of one that was replaced as a whole
		}
		b.WriteString(code[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(code[at:])
	return b.String()
}

// over replaces a statement by another one, and keeps the number of lines.
func over(n *syntax.Node, text string) edit {
	return edit{n.Start, n.End, text + strings.Repeat("\n", strings.Count(n.Text(), "\n"))}
}

// code writes a code cell.
func (s *scripting) code(ctx context.Context, c *nbformat.Cell, a analysed, at place) error {
	s.mark("# %%", at.heading())
	if a.outline != nil && s.ordinary(c, a.outline) {
		lines := s.plainly(a.Code, a.outline, at)
		if hasTag(c, "raises-exception") {
			lines = tried(lines)
		}
		s.body = append(s.body, lines...)
		return nil
	}
	a.parse()
	if said, hint, line := s.notPython(c, a); said != "" {
		s.out.Refused = append(s.out.Refused, s.note(at, line, said, hint))
		s.text(raising(said, hint) + "\n" + ipython.Comment(strings.TrimRight(c.Source, "\n")))
		return nil
	}
	s.magics(a, at)
	interactivity := s.interactivityBehind(a)
	lines := s.edited(c, a, at)
	s.interactivity = interactivity
	lines, err := s.notebooks(ctx, a, at, lines)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(a.Magics) {
		if m.Kind == ipython.Cell && m.Name == "capture" {
			lines = s.captured(m, lines)
		}
	}
	if hasTag(c, "raises-exception") {
		lines = tried(lines)
	}
	s.body = append(s.body, lines...)
	return nil
}

// rawLines are those of a cell's code; inString says which begin inside of a string, nil that none does.
func rawLines(code string, inString []bool, at place) []outLine {
	lines := make([]outLine, 0, strings.Count(code, "\n")+1)
	for l := range strings.SplitSeq(code, "\n") {
		i := len(lines)
		if next := i+1 < len(inString) && inString[i+1]; !next {
			l = strings.TrimRight(l, " \t\f")
		}
		lines = append(lines, outLine{
			text: l, cell: &at, line: i + 1, inString: i < len(inString) && inString[i],
		})
	}
	return lines
}

// trimmed leaves out blank lines at both ends.
func trimmed(lines []outLine) []outLine {
	for len(lines) > 0 && lines[len(lines)-1].text == "" && !lines[len(lines)-1].inString {
		lines = lines[:len(lines)-1]
	}
	for len(lines) > 0 && lines[0].text == "" {
		lines = lines[1:]
	}
	return lines
}

// tried lets a cell fail.
func tried(lines []outLine) []outLine {
	return append(indented(outLine{text: "try:"}, lines), outLine{text: "except Exception:"},
		outLine{text: "    __import__('traceback').print_exc()  # the notebook goes on, too"})
}

// raising is a statement that stands in place of what is refused.
func raising(said, hint string) string {
	if hint != "" {
		said += ". " + hint
	}
	return "raise RuntimeError(" + quoted(said) + ")"
}

func shortened(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// magics notes what became of the magics.
func (s *scripting) magics(a analysed, at place) {
	for _, m := range a.Magics {
		switch {
		case m.Fate == ipython.Refused:
			s.out.Refused = append(s.out.Refused, s.note(at, m.Line, m.Said, m.Instead))
		case m.Fate == ipython.Requirement:
			s.out.Requirements = append(s.out.Requirements, Requirement{
				Command: strings.TrimSpace(m.Name + " " + m.Args), Cell: at.label, Line: m.Line,
			})
		case m.Kind == ipython.Line && m.Name == "cd", m.Name == "writefile" && strings.Contains(m.Args, ".py"):
			s.used["path"] = true
		}
	}
	if a.Ours != "" {
		s.out.Ours = append(s.out.Ours, a.Ours)
	}
}

var interactivity = lazyregexp.New(`\bast_node_interactivity\s*=\s*["'](\w+)["']`)

// interactivityBehind says which expressions the cells behind one show: what a cell sets holds from the next on.
func (s *scripting) interactivityBehind(a analysed) string {
	now := s.interactivity
	for _, m := range a.Magics {
		if set := interactivity.FindStringSubmatch(m.Args); set != nil && m.Name == "config" {
			now = set[1]
		}
	}
	if !strings.Contains(a.Code, "ast_node_interactivity") {
		return now
	}
	visit(a.tree.Root, nil, func(n, _ *syntax.Node) bool {
		if n.Kind == "assignment" {
			if set := interactivity.FindStringSubmatch(n.Text()); set != nil {
				now = set[1]
			}
		}
		return true
	})
	return now
}

// edited gives the lines of a cell, with all that only a kernel gives replaced.
func (s *scripting) edited(c *nbformat.Cell, a analysed, at place) []outLine {
	all := statements(a.tree)
	edits, raised := s.replaced(a, at)
	if !s.o.QuietExpressions {
		edits = append(edits, s.shown(a, all, raised)...)
	}
	for name := range s.calls(a.Code) {
		s.used[name] = true
	}
	for _, n := range all {
		if n.Kind == "future_import_statement" {
			if !slices.Contains(s.future, n.Text()) {
				s.future = append(s.future, n.Text())
			}
			instead := "# " + n.Text() + " stands at the head"
			if s.followed(a.Code, n) {
				instead = "pass"
			}
			edits = append(edits, over(n, instead))
		}
	}
	groups := grouped(all)
	for _, g := range groups {
		for _, n := range g.statements {
			if g.awaits {
				edits = append(edits, unannotated(n)...)
			}
		}
	}
	after := s.given(c, a)
	code := apply(a.Code, edits)
	lines := trimmed(s.looped(groups, rawLines(code, token.InString(code), at)))
	for _, l := range after {
		lines = append(lines, outLine{text: l})
	}
	pylab := slices.ContainsFunc(a.Magics, func(m ipython.Magic) bool { return m.Name == "pylab" })
	if s.drew(all, pylab) {
		s.used["figures"] = true
		lines = append(lines, outLine{text: "_metaml_figures()"})
	}
	return lines
}

// followed says that code stands behind a statement on its line.
func (s *scripting) followed(code string, n *syntax.Node) bool {
	line, _, _ := strings.Cut(code[n.End:], "\n")
	line = strings.TrimSpace(line)
	return line != "" && line[0] != '#'
}

// unannotated takes the annotations off names that become global ones of a function, where Python forbids them.
func unannotated(n *syntax.Node) []edit {
	var edits []edit
	visit(n, nil, func(n, _ *syntax.Node) bool {
		switch n.Kind {
		case "function_definition", "class_definition", "lambda":
			return false
		case "assignment":
			left, annotation := n.Child("left"), n.Child("type")
			switch {
			case left == nil || annotation == nil || left.Kind != "identifier":
			case n.Child("right") == nil:
				edits = append(edits, over(n, "pass"))
			default:
				ends := strings.Repeat("\n", strings.Count(annotation.Text(), "\n"))
				edits = append(edits, edit{left.End, annotation.End, ends})
			}
		}
		return true
	})
	return edits
}

// calls are the helpers of package ipython that a cell calls.
func (s *scripting) calls(code string) map[string]bool {
	found := map[string]bool{}
	for rest := code; ; {
		i := strings.Index(rest, "_metaml_")
		if i < 0 {
			return found
		}
		rest = rest[i:]
		end := 1
		for end < len(rest) && (rest[end] == '_' || rest[end] >= 'a' && rest[end] <= 'z') {
			end++
		}
		if ipython.Source(rest[:end]) != "" {
			found[rest[:end]] = true
		}
		rest = rest[end:]
	}
}

// shown wraps the expressions that a notebook shows; raised are the statements that are not there any more.
func (s *scripting) shown(a analysed, all, raised []*syntax.Node) []edit {
	if len(all) == 0 || len(s.inside) > 0 { // %run shows no values
		return nil
	}
	last := all[len(all)-1]
	if !endsIndented(last) && (quiet(a.Code, last.End) || strings.HasSuffix(strings.TrimSpace(last.Text()), ";")) {
		return nil
	}
	showing, hidden := s.interactivity, map[int]bool{} // rows
	for _, m := range a.Magics {
		switch {
		case m.Kind == ipython.Cell && executes[m.Name]:
			return nil
		case m.Kind == ipython.Cell && m.Name == "time" && showing != "none":
			showing = "last_expr" // it gives the last value, whatever cells show else
		case m.Kind == ipython.Cell && m.Name != "capture" && showing == "last_expr_or_assign":
			showing = "last_expr" // the cell is a call to IPython, also that of %%bash --out x
		case m.Kind == ipython.Cell || m.Indented:
		case m.Line-1 > last.EndRow && showing != "all":
			return nil // the magic is the last statement
		case m.Kind == ipython.Line && executes[m.Name]:
			hidden[m.Line-1] = true
		case m.Kind == ipython.Line && m.Name == "time" && m.Target == "" && m.Line-1 == last.Row &&
			showing == "last_expr_or_assign":
			showing = "last_expr"
		}
	}
	if hidden[last.Row] && showing != "all" {
		return nil
	}
	var edits []edit
	switch showing {
	case "none":
	case "all", "last": // in blocks, too
		if showing == "last" {
			all = all[len(all)-1:]
		}
		for _, n := range all {
			visit(n, nil, func(n, _ *syntax.Node) bool {
				if slices.Contains(raised, n) || hidden[n.Row] {
					return false
				}
				if n.Kind == "expression_statement" {
					edits = append(edits, s.show(n)...)
				}
				return n.Kind != "function_definition" && n.Kind != "class_definition" &&
					n.Kind != "expression_statement"
			})
		}
	default:
		if last.Kind != "expression_statement" || len(last.Children) == 0 || slices.Contains(raised, last) {
			return nil
		}
		switch first := last.Children[0]; first.Kind {
		case "assignment", "augmented_assignment":
			left, right := first.Child("left"), first.Child("right")
			for left != nil && left.Kind == "tuple_pattern" && len(left.Children) == 1 &&
				!strings.Contains(left.Text(), ",") { // brackets around a name
				left = left.Children[0]
			}
			chained := right != nil && right.Kind == "assignment"
			if showing == "last_expr_or_assign" && left != nil && left.Kind == "identifier" && !chained {
				s.used["show"], s.nested = true, true
				return []edit{{last.End, last.End, "; _metaml_show(" + left.Text() + ")"}}
			}
		default:
			return s.show(last)
		}
	}
	return edits
}

// endsIndented says that a statement ends with a block on lines of its own, where IPython sees no semicolon.
func endsIndented(statement *syntax.Node) bool {
	found := false
	visit(statement, nil, func(n, parent *syntax.Node) bool {
		if n.Kind == "block" && parent != nil && n.EndRow == statement.EndRow {
			head := parent.Text()[:n.Start-parent.Start]
			found = found || strings.Contains(head[strings.LastIndexByte(head, ':')+1:], "\n")
		}
		return !found
	})
	return found
}

// executes are magics that execute their code, and show nothing that it gives.
var executes = map[string]bool{
	"prun": true, "lprun": true, "mprun": true, "debug": true, "snakeviz": true, "scalene": true,
	"memray_flamegraph": true,
}

// silent are functions that give None, or end the script.
var silent = map[string]bool{
	"print": true, "exit": true, "quit": true, "help": true, "clear_output": true, "plt.show": true,
	"plt.close": true, "plt.tight_layout": true, ipython.Run: true, ipython.RunFile: true, ipython.RunScript: true,
}

// show wraps the expression of a statement.
func (s *scripting) show(n *syntax.Node) []edit {
	if len(n.Children) == 0 {
		return nil
	}
	first, text := n.Children[0], n.Text()
	switch {
	case first.Kind == "assignment", first.Kind == "augmented_assignment", first.Kind == "yield":
		return nil
	case first.Kind == "call" && len(n.Children) == 1 && !strings.HasSuffix(text, ","):
		called := first.Children[0].Text()
		if (silent[called] || called == "display" && !s.mentioned("display_id")) && !s.stored[called] {
			return nil
		}
	}
	if strings.HasPrefix(text, "__import__('os').") || strings.HasPrefix(text, "__import__('pathlib').") {
		return nil // these are ours
	}
	s.nested = s.nested || !plain(first)
	return s.wrapped(n.Start, n.End, len(n.Children) > 1 || strings.HasSuffix(text, ",") || first.Kind == "list_splat")
}

// flat are functions and methods whose results are no containers, types or functions, but for tuples of few numbers.
var flat = map[string]bool{
	"len": true, "str": true, "repr": true, "int": true, "float": true, "round": true, "bool": true, "isinstance": true,
	"head": true, "tail": true, "describe": true, "mean": true, "std": true, "var": true, "median": true,
	"count": true, "nunique": true, "isnull": true, "isna": true, "value_counts": true, "corr": true, "sample": true,
	"info": true, "shape": true, "size": true, "ndim": true, "dtype": true, "dtypes": true, "columns": true,
	"fit": true, "score": true, "upper": true, "lower": true, "strip": true, "replace": true, "join": true,
	"format": true,
}

// plain says that a value is surely shown by its repr.
func plain(n *syntax.Node) bool {
	switch n.Kind {
	case "string", "concatenated_string", "integer", "float", "true", "false", "not_operator":
		return true
	case "comparison_operator":
		return true
	case "unary_operator", "parenthesized_expression", "await":
		return len(n.Children) == 1 && n.Kind != "await" && plain(n.Children[0])
	case "binary_operator": // [1] + [2] and "a" * 2 are of one kind with what they are made of
		for _, c := range n.Children {
			if !plain(c) {
				return false
			}
		}
		return len(n.Children) > 0
	case "call":
		if len(n.Children) == 0 {
			return false
		}
		n = n.Children[0]
	}
	switch n.Kind {
	case "identifier":
		return flat[n.Text()]
	case "attribute":
		name := n.Child("attribute")
		return name != nil && flat[name.Text()]
	}
	return false
}

// quiet says that a semicolon stands behind a statement, so that a notebook does not show it.
func quiet(code string, end int) bool {
	for sc := token.NewScanner(code, end); ; {
		tok, ok := sc.Next()
		if !ok {
			return false
		}
		if tok.Kind == token.Comment || tok.Kind == token.NL || tok.Kind == token.Newline {
			continue
		}
		return code[tok.Start] == ';'
	}
}

// looped puts statements that await into functions of their own: a notebook has a running loop, a script none.
func (s *scripting) looped(groups []group, lines []outLine) []outLine {
	shift := 0 // by how much the lines so far have grown
	for _, g := range groups {
		if !g.awaits {
			continue
		}
		s.used["loop"] = true
		s.awaits++
		name := fmt.Sprintf("_metaml_await_%d", s.awaits)
		from, to := g.from+shift, g.to+1+shift
		head := lines[from]
		head.text, head.inString = "async def "+name+"():", false
		body := slices.Clone(lines[from:to])
		var names []string
		for _, n := range g.statements {
			names = append(names, bound(n)...)
		}
		if len(names) > 0 {
			slices.Sort(names)
			body = slices.Insert(body, 0, outLine{text: "global " + strings.Join(slices.Compact(names), ", ")})
		}
		call := head
		call.text = "_metaml_loop.run_until_complete(" + name + "())"
		wrapped := append(indented(head, body), outLine{}, call)
		lines = slices.Replace(lines, from, to, wrapped...)
		shift += len(wrapped) - (to - from)
	}
	return lines
}

// indented puts lines below a head.
func indented(head outLine, lines []outLine) []outLine {
	out := []outLine{head}
	code := false
	for _, l := range lines {
		if !l.inString && l.text != "" {
			code = code || !strings.HasPrefix(strings.TrimSpace(l.text), "#")
			l.text = "    " + l.text
		}
		out = append(out, l)
	}
	if !code {
		out = append(out, outLine{text: "    pass"})
	}
	return out
}

// captured puts a cell below the `with` of %%capture.
func (s *scripting) captured(m ipython.Magic, lines []outLine) []outLine {
	s.used["capture"] = true
	var not []string
	for _, stream := range []string{"stdout", "stderr", "display"} {
		if slices.Contains(strings.Fields(m.Args), "--no-"+stream) {
			not = append(not, stream+"=False")
		}
	}
	head := "with _metaml_capture(" + strings.Join(not, ", ") + ")"
	if m.Target != "" {
		head += " as " + m.Target
	}
	return indented(outLine{text: head + ":"}, lines)
}

// notebooks puts the cells of notebooks that %run names behind its line.
func (s *scripting) notebooks(ctx context.Context, a analysed, at place, lines []outLine) ([]outLine, error) {
	for _, m := range slices.Backward(a.Magics) {
		if m.Name != "run" || m.Fate != ipython.Translated || !strings.HasSuffix(m.File, ".ipynb") {
			continue
		}
		before := s.body
		s.body = nil
		if err := s.run(ctx, m.File, at, m.Line); err != nil {
			return nil, err
		}
		inner := s.body
		s.body = before
		where := slices.IndexFunc(lines, func(l outLine) bool {
			return l.cell != nil && *l.cell == at && l.line == m.Line
		})
		lines = slices.Insert(lines, where+1, inner...)
	}
	return lines, nil
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
