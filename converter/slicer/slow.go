package slicer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
)

const (
	slowSeconds = 10 // a cell that took longer is worth a note
	maxTries    = 12 // slices that are made to find what of a cell's values is worth shipping
)

// slowNotes names the cells of the program that took long, with the values that make them superfluous where they are
// shipped: it is tried.
func (w *work) slowNotes() error {
	if w.o.trying || w.doc.Kind != session.Live {
		return nil
	}
	tries := maxTries
	for _, c := range w.cells {
		if c.Seconds <= slowSeconds || c.Seq == w.target.Seq {
			continue
		}
		slow := w.computing(c)
		if len(slow) == 0 {
			continue
		}
		names, much, err := w.worthShipping(slow, &tries)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("cell %d took %s and runs again with the program", c.label(), duration(c.Seconds))
		switch len(names) {
		case 0:
		case 1:
			text += fmt.Sprintf("; `--with %s` ships its value%s instead", names[0], much)
		default:
			text += fmt.Sprintf("; `--with %s` ships its values%s instead", strings.Join(names, ","), much)
		}
		w.note(NoteSlowCell, c.Seq, 0, "", "%s", text)
	}
	return nil
}

// computing gives the kept statements of a cell that call something.
func (w *work) computing(c *cell) []*stmt {
	var out []*stmt
	for _, s := range c.stmts {
		if _, ok := w.kept[s]; ok && s.node != nil && len(s.e.calls) > 0 && !isDefinition(s.node) &&
			!strings.HasPrefix(s.node.Kind, "import") {
			out = append(out, s)
		}
	}
	return out
}

// worthShipping finds the values without which a cell's statements are needed no more: one of them if there is such a
// one, else as few of all as do. much says how much that is, where it is known.
func (w *work) worthShipping(slow []*stmt, tries *int) (names []string, much string, err error) {
	var candidates []string
	for _, s := range slices.Backward(slow) {
		for _, n := range append(s.boundNames(), s.changedNames()...) {
			if !slices.Contains(candidates, n) && w.isValue(n) {
				candidates = append(candidates, n)
			}
		}
	}
	for _, n := range candidates {
		if w.dispensable(slow, []string{n}, tries) {
			names = []string{n}
			break
		}
	}
	if names == nil && len(candidates) > 1 && w.dispensable(slow, candidates, tries) {
		names = candidates
		for _, n := range candidates {
			fewer := slices.DeleteFunc(slices.Clone(names), func(o string) bool { return o == n })
			if w.dispensable(slow, fewer, tries) {
				names = fewer
			}
		}
		slices.Sort(names)
	}
	if len(names) == 0 || w.o.Describe == nil {
		return names, "", nil
	}
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	described, err := w.o.Describe(ctx, names)
	if err != nil {
		return nil, "", err
	}
	total := int64(0)
	for _, n := range names {
		if described[n].Size < 0 {
			return nil, "", nil // it cannot be shipped
		}
		total += described[n].Size
	}
	if total > 0 {
		much = " (" + size(total) + ")"
	}
	return names, much, nil
}

func (s *stmt) boundNames() []string {
	var out []string
	for _, b := range s.e.binds {
		out = append(out, b.name)
	}
	return out
}

// changedNames are names of the top level whose objects the statement may have changed.
func (s *stmt) changedNames() []string {
	var out []string
	for _, r := range s.e.changes {
		out = append(out, r.name)
	}
	for i := range s.e.calls {
		for _, r := range s.e.calls[i].obj {
			out = append(out, r.name)
		}
	}
	return slices.DeleteFunc(out, func(n string) bool { return strings.HasPrefix(n, moduleRef) })
}

// isValue says that a name of the session is bound to a value: no module, function or class, and none of ours.
func (w *work) isValue(name string) bool {
	vs, ok := w.at(name, len(w.stmts))
	if !ok || slices.ContainsFunc(vs, func(v *value) bool {
		return v.bind == nil || v.bind.imp != nil || v.bind.def != nil
	}) {
		return false
	}
	n, alive := w.doc.Names[name]
	return w.doc.Names == nil || alive && n.Kind == "value"
}

// dispensable says that a program that gets some values has none of the statements.
func (w *work) dispensable(slow []*stmt, names []string, tries *int) bool {
	if *tries == 0 || len(names) == 0 {
		return false
	}
	*tries--
	o := w.o
	o.trying, o.With = true, append(slices.Clone(o.With), names...)
	if o.Describe != nil { // what has been asked once
		o.Describe = func(_ context.Context, names []string) (map[string]session.Name, error) {
			known := map[string]session.Name{}
			for _, n := range names {
				known[n] = w.live[n]
			}
			return known, nil
		}
	}
	if o.Exports != nil {
		o.Exports = func(context.Context, []string) (map[string][]string, error) { return w.stared, nil }
	}
	out, err := Of(w.ctx, w.doc, o)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(out.Statements, func(st Statement) bool {
		return st.Origin == "" && slices.ContainsFunc(slow, func(s *stmt) bool {
			return st.Cell == s.cell.Seq && st.Line == s.line
		})
	})
}
