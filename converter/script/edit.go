package script

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
)

// edit replaces a part of a cell's code by text with as many line ends.
type edit struct {
	from, to int
	text     string
}

func apply(code string, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
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

// use is a name that is read, with its place.
type use struct {
	name string
	at   place
	line int
}

// code writes a code cell.
func (s *scripting) code(ctx context.Context, c *nbformat.Cell, a analysed, at place) error {
	heading := fmt.Sprintf("# Cell %d", at.label)
	if at.file != "" {
		heading += " of " + at.file
	}
	s.mark("# %%", heading)
	if said, line := s.notPython(c, a); said != "" {
		s.out.Refused = append(s.out.Refused, s.note(at, line, said, ""))
		s.text("raise RuntimeError(" + quoted(said) + ")\n" + ipython.Comment(strings.TrimRight(c.Source, "\n")))
		return nil
	}
	s.magics(a, at)
	lines := s.edited(c, a, at)
	lines, err := s.notebooks(ctx, a, at, lines)
	if err != nil {
		return err
	}
	for i := len(a.Magics) - 1; i >= 0; i-- {
		if m := a.Magics[i]; m.Kind == ipython.Cell && m.Name == "capture" {
			lines = s.captured(m, lines)
		}
	}
	if hasTag(c, "raises-exception") {
		s.used["raises"] = true
		lines = indented(outLine{text: "try:"}, lines)
		lines = append(lines, outLine{text: "except Exception:"},
			outLine{text: "    __import__('traceback').print_exc()  # the notebook goes on, too"})
	}
	s.body = append(s.body, lines...)
	return nil
}

// notPython says why a cell is no Python, and at which line.
func (s *scripting) notPython(c *nbformat.Cell, a analysed) (said string, line int) {
	if a.err != nil {
		return "it cannot be read: " + a.err.Error(), 0
	}
	old := 0
	visit(a.tree.Root, nil, func(n, _ *syntax.Node) bool {
		if (n.Kind == "print_statement" || n.Kind == "exec_statement") && old == 0 {
			old = n.Row + 1
		}
		return old == 0
	})
	if old > 0 {
		return "this is Python 2: convert the notebook to Python 3 first, for example by 2to3", old
	}
	if line = a.tree.ErrorAt; line == 0 {
		return "", 0
	}
	text := ""
	if lines := strings.Split(c.Source, "\n"); line <= len(lines) {
		text = strings.TrimSpace(lines[line-1])
	}
	if python2.MatchString(text) {
		return "this is Python 2: convert the notebook to Python 3 first, for example by 2to3", line
	}
	return "this is not Python: " + shortened(text), line
}

var python2 = regexp.MustCompile(`^(print\s+["'\w]|exec\s+["'\w]|except\s+[\w.]+\s*,\s*\w+\s*:|raise\s+\w+\s*,)|<>|\b0\d+[lL]?\b|\bur["']`)

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
		case m.Name == "config":
			if set := interactivity.FindStringSubmatch(m.Args); set != nil {
				s.interactivity = set[1]
			}
		}
	}
	if a.Ours != "" {
		s.out.Ours = append(s.out.Ours, a.Ours)
	}
}

var interactivity = regexp.MustCompile(`ast_node_interactivity\s*=\s*["'](\w+)["']`)

// edited gives the lines of a cell, with all that only a kernel gives replaced.
func (s *scripting) edited(c *nbformat.Cell, a analysed, at place) []outLine {
	code := a.Code
	all := statements(a.tree)
	edits := s.replaced(a, at)
	if !s.o.QuietExpressions {
		edits = append(edits, s.shown(a, all)...)
	}
	for name := range s.calls(code) {
		s.used[name] = true
	}
	for _, n := range all {
		if n.Kind == "future_import_statement" {
			s.future = append(s.future, n.Text())
			edits = append(edits, over(n, ""))
		}
	}
	var after []string
	if tagged := hasTag(c, "parameters"); s.o.Parameters && (tagged || strings.Contains(code, "@param")) {
		after = s.parameters(a, tagged)
	}
	code = apply(code, edits)
	inString := token.InString(code)
	var lines []outLine
	for i, l := range strings.Split(code, "\n") {
		next := i+1 < len(inString) && inString[i+1]
		if !next {
			l = strings.TrimRight(l, " \t\f")
		}
		lines = append(lines, outLine{text: l, file: at.file, cell: at.cell, label: at.label, line: i + 1, inString: inString[i]})
	}
	lines = s.looped(all, lines)
	for len(lines) > 0 && lines[len(lines)-1].text == "" && !lines[len(lines)-1].inString {
		lines = lines[:len(lines)-1]
	}
	for len(lines) > 0 && lines[0].text == "" {
		lines = lines[1:]
	}
	for _, l := range after {
		lines = append(lines, outLine{text: l})
	}
	if s.drew(all) {
		s.used["figures"] = true
		lines = append(lines, outLine{text: "_metaml_figures()"})
	}
	return lines
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

// shown wraps the expressions that a notebook shows.
func (s *scripting) shown(a analysed, all []*syntax.Node) []edit {
	if len(all) == 0 || s.interactivity == "none" {
		return nil
	}
	candidates := all[len(all)-1:]
	if s.interactivity == "all" {
		candidates = all
	}
	var edits []edit
	for _, n := range candidates {
		if n.Kind != "expression_statement" || len(n.Children) == 0 {
			continue
		}
		first := n.Children[0]
		switch first.Kind {
		case "assignment":
			if s.interactivity == "last_expr_or_assign" {
				if left := first.Child("left"); left != nil && left.Kind == "identifier" && !quiet(a.Code, n.End) {
					edits = append(edits, edit{n.End, n.End, "; _metaml_show(" + left.Text() + ")"})
					s.used["show"] = true
				}
			}
			continue
		case "augmented_assignment", "yield", "type_alias_statement":
			continue
		case "call":
			switch first.Children[0].Text() {
			case "print", "display", "exit", "quit", "help", "plt.show", "plt.close", "plt.tight_layout", "clear_output",
				ipython.Run, ipython.RunFile, ipython.RunScript:
				continue
			}
		}
		text := n.Text()
		if quiet(a.Code, n.End) || strings.HasPrefix(text, "__import__('os').") || strings.HasPrefix(text, "__import__('pathlib').") {
			continue // the latter are ours
		}
		opening, closing := "_metaml_show(", ")"
		if len(n.Children) > 1 || strings.HasSuffix(text, ",") || first.Kind == "list_splat" {
			opening, closing = "_metaml_show((", "))"
		}
		edits = append(edits, edit{n.Start, n.Start, opening}, edit{n.End, n.End, closing})
		s.used["show"] = true
	}
	return edits
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

// looped puts statements that await into functions of their own: a notebook has a running loop, a plain Python has none.
func (s *scripting) looped(all []*syntax.Node, lines []outLine) []outLine {
	type group struct {
		from, to int
		names    []string
		awaits   bool
	}
	var groups []group
	for _, n := range all {
		names, is := bound(n), awaits(n)
		last := len(groups) - 1
		if last >= 0 && (groups[last].to >= n.Row || is && groups[last].awaits) { // on one line, or both await
			groups[last].to = n.EndRow
			groups[last].names = append(groups[last].names, names...)
			groups[last].awaits = groups[last].awaits || is
			continue
		}
		groups = append(groups, group{n.Row, n.EndRow, names, is})
	}
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
		if len(g.names) > 0 {
			slices.Sort(g.names)
			body = slices.Insert(body, 0, outLine{text: "global " + strings.Join(slices.Compact(g.names), ", ")})
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
	for _, stream := range []string{"stdout", "stderr"} {
		if slices.Contains(strings.Fields(m.Args), "--no-"+stream) {
			not = append(not, stream+"=False")
		}
	}
	head := "with _metaml_capture(" + strings.Join(not, ", ") + ")"
	if m.Target != "" {
		head += " as " + m.Target
		s.stored[m.Target] = true
	}
	return indented(outLine{text: head + ":"}, lines)
}

// notebooks puts the cells of notebooks that %run names behind its line.
func (s *scripting) notebooks(ctx context.Context, a analysed, at place, lines []outLine) ([]outLine, error) {
	for i := len(a.Magics) - 1; i >= 0; i-- {
		m := a.Magics[i]
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
		where := slices.IndexFunc(lines, func(l outLine) bool { return l.cell == at.cell && l.file == at.file && l.line == m.Line })
		lines = slices.Insert(lines, where+1, inner...)
	}
	return lines, nil
}

// unnamed refuses reads of what a notebook remembers by itself: Out[3], _, In.
func (s *scripting) unnamed() {
	for _, u := range s.kept {
		if s.stored[u.name] {
			continue
		}
		s.out.Refused = append(s.out.Refused, s.note(u.at, u.line,
			u.name+" is what the notebook remembers of another cell, which a script does not", "Give the value a name."))
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
