package slicer

import (
	"strings"

	"github.com/metaml/metaml/internal/prose"
)

// LeftOut is a statement of a cell that counts and that the program does not have.
type LeftOut struct {
	Place string // "cell 3, line 2"
	Text  string // how people know it again: `df["b"] = …`
}

// leftOut gives the last statement after a value was made that is not in the program and may have changed it: one that
// stores into the value, under any of its names, calls one of its methods or calls something with it. One that mentions
// it in another way is taken only if there is no such one.
func (w *work) leftOut(v *value) *LeftOut {
	names := w.namesFor(v)
	var best *stmt
	rank := 0
	for _, s := range w.stmts[v.stmt.time+1:] {
		if w.kept[s] != nil || s.skip || s.node == nil || s == w.entry.stmt {
			continue
		}
		if r := w.touches(s, names); r > 0 && r >= rank {
			best, rank = s, r
		}
	}
	if best == nil {
		return nil
	}
	return &LeftOut{Place: best.cell.where(w.doc.Kind, best.line), Text: shortened(best)}
}

// namesFor gives the names by which a value may be reached: its own, those that were bound together with it, those that
// are made of it, and functions that mention one of these.
func (w *work) namesFor(v *value) map[string]bool {
	names := map[string]bool{v.name: true}
	for _, name := range chained(v.stmt) {
		names[name] = true
	}
	if a := v.stmt.assigned(); a != nil && a.Kind == "identifier" {
		names[a.Text()] = true // x = y
	}
	for range 3 {
		n := len(names)
		for _, s := range w.stmts {
			if s.node == nil || len(s.e.binds) == 0 {
				continue
			}
			uses := s.e.uses
			if s.node.Kind == "function_definition" || s.node.Kind == "class_definition" {
				uses = s.e.late
			} else if s.time <= v.stmt.time || !derives(s) {
				continue
			}
			for _, u := range uses {
				if names[u.name] {
					for _, b := range s.e.binds {
						names[b.name] = true
					}
					break
				}
			}
		}
		if len(names) == n {
			break
		}
	}
	return names
}

// How sure it is that a statement changes what it names.
const (
	mentions = 1 + iota
	calls
	stores
)

// touches says how sure it is that a statement changes what one of the names means; 0: it does not.
func (w *work) touches(s *stmt, names map[string]bool) int {
	best := 0
	for _, r := range s.e.changes {
		if names[r.name] {
			best = stores
		}
	}
	called := map[string]bool{}
	for i := range s.e.calls {
		c := &s.e.calls[i]
		harmless := len(c.path) == 0 && onlyReads.has(c.callee) ||
			len(c.path) > 0 && onlyReadMethods.has(c.path[len(c.path)-1])
		for _, r := range c.obj {
			called[r.name] = called[r.name] || harmless
			if names[r.name] && !harmless {
				best = max(best, calls)
			}
		}
		if c.plain && names[c.callee] && len(c.path) == 0 {
			best = max(best, calls)
		}
		for _, a := range c.args {
			for _, r := range a.refs {
				called[r.name] = called[r.name] || harmless
				if names[r.name] && !harmless {
					best = max(best, calls)
				}
			}
		}
	}
	if best > 0 {
		return best
	}
	for _, u := range s.e.uses {
		if names[u.name] && !called[u.name] {
			return mentions
		}
	}
	return 0
}

// onlyReads are functions that look at their arguments, onlyReadMethods methods that look at their object.
var (
	onlyReads = words(`
	len print type repr str sum min max isinstance display hasattr id dir help bool int float abs round any all range
`)
	onlyReadMethods = words(`
	head tail describe info value_counts plot hist mean keys values items getvalue summary shape sum score predict show
	nunique isna corr
`)
)

// shortened is a statement as people know it again: what it stores into, or what it calls.
func shortened(s *stmt) string {
	const most = 50
	n := s.node
	if n.Kind == "expression_statement" && len(n.Children) == 1 {
		n = n.Children[0]
	}
	switch n.Kind {
	case "assignment":
		if left, right := n.Child("left"), n.Child("right"); left != nil {
			if strings.Trim(left.Text(), "_") == "" && right != nil {
				return prose.Shorten(oneLine(n.Text()), most) // _ = model(x)
			}
			return prose.Shorten(oneLine(left.Text()), most) + " = …"
		}
	case "augmented_assignment":
		if left := n.Child("left"); left != nil {
			operator := strings.TrimSpace(strings.TrimPrefix(n.Text(), left.Text()))
			operator, _, _ = strings.Cut(operator, "=")
			return prose.Shorten(oneLine(left.Text()), most) + " " + operator + "= …"
		}
	case "call":
		if f, args := n.Child("function"), n.Child("arguments"); f != nil && args != nil {
			if text := oneLine(n.Text()); len(text) <= most && !strings.ContainsAny(args.Text(), `"'`) {
				return text
			}
			return prose.Shorten(oneLine(f.Text()), most) + "(…)"
		}
	}
	first, rest, _ := strings.Cut(n.Text(), "\n")
	if strings.TrimSpace(rest) != "" {
		return prose.Shorten(first, most) + " …"
	}
	return prose.Shorten(first, most)
}

// chained gives the names of x = y = value, which are all the same object.
func chained(s *stmt) []string {
	if s.node == nil || s.node.Kind != "expression_statement" || len(s.node.Children) != 1 {
		return nil
	}
	var names []string
	for a := s.node.Children[0]; a != nil && a.Kind == "assignment"; a = a.Child("right") {
		if left := a.Child("left"); left != nil && left.Kind == "identifier" {
			names = append(names, left.Text())
		}
	}
	return names
}

// derives says that what a statement binds may be, hold or change what it reads: it gives a name to something, or calls
// something with it.
func derives(s *stmt) bool {
	a := s.assigned()
	if a == nil {
		return s.node.Kind == "with_statement" || s.node.Kind == "for_statement"
	}
	switch a.Kind {
	case "identifier", "attribute", "subscript", "call", "list", "tuple", "dictionary":
		return true
	}
	return false
}
