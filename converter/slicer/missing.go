package slicer

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// generated is a statement that MetaML writes, before the statement with the time.
type generated struct {
	time int
	st   Statement
	imp  []imported
}

// missing settles the names that no cell defines: living ones that can be imported are, the others are refused by name.
func (w *work) missing() error {
	if err := w.shipped(); err != nil {
		return err
	}
	if err := w.unbuildable(); err != nil {
		return err
	}
	unresolved := make([]*unresolvedName, 0, len(w.unresolved))
	for _, h := range w.unresolved {
		unresolved = append(unresolved, h)
	}
	sort.Slice(unresolved, func(i, j int) bool {
		a, b := unresolved[i], unresolved[j]
		if a.stmt.time != b.stmt.time {
			return a.stmt.time < b.stmt.time
		}
		if a.use.line != b.use.line {
			return a.use.line < b.use.line
		}
		return a.name < b.name
	})
	if err := w.describe(unresolved); err != nil {
		return err
	}
	var refused []*unresolvedName
	for _, h := range unresolved {
		if !w.settle(h) && (!h.soft || h.word && w.bare(h.name)) {
			refused = append(refused, h)
		}
	}
	if len(refused) > 0 {
		return w.refuse(refused)
	}
	return nil
}

// bare says that a name is alive although no cell defines it: a command that mentions it cannot expand it.
func (w *work) bare(name string) bool {
	_, alive := w.live[name]
	return alive && len(w.history[name]) == 0
}

// describe has the live session describe the names, where there is one.
func (w *work) describe(unresolved []*unresolvedName) error {
	w.live = map[string]session.Name{}
	var names []string
	for _, h := range unresolved {
		if n, ok := w.doc.Names[h.name]; ok {
			w.live[h.name] = n
		} else if kind := w.boundByMagic(h.name); kind != "" && w.doc.Kind == session.Saved {
			w.live[h.name] = session.Name{Kind: "metaml", Type: kind}
		}
		names = append(names, h.name)
	}
	if w.o.Describe == nil || len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	described, err := w.o.Describe(ctx, names)
	if err != nil {
		return fmt.Errorf("ask the session about %s: %w", prose.List(names), err)
	}
	for k, n := range described {
		if n.Kind != "" {
			w.live[k] = n
		}
	}
	return nil
}

// boundByMagic says what a cell of ours binds to a name: a Run or a Server.
func (w *work) boundByMagic(name string) string {
	for _, c := range w.cells {
		if c.code.Ours == "" || c == w.target {
			continue
		}
		kind, into := "metaml.Run", "run"
		if c.code.Ours == "serve" {
			kind, into = "metaml.Server", "server"
		}
		first, _, _ := strings.Cut(strings.TrimLeft(c.Source, " \t\r\n"), "\n")
		if _, given, ok := strings.Cut(strings.ReplaceAll(first, "--into=", "--into "), "--into "); ok {
			into, _, _ = strings.Cut(strings.TrimSpace(given), " ")
		}
		if name == into {
			return kind
		}
	}
	return ""
}

// serves says that the entry is to answer requests.
func (w *work) serves() bool {
	return w.target.code.Ours == "serve" || w.entry != nil && w.entry.stmt != nil && w.entry.stmt.decorator == "Serve"
}

// settle finds a source for a name without one. It gives false where there is none.
func (w *work) settle(h *unresolvedName) bool {
	n, alive := w.live[h.name]
	time := h.time
	for _, s := range w.stars {
		if s.time < time {
			time = s.time
			break
		}
	}
	add := func(text, origin, why string, imp ...imported) {
		w.generated = append(w.generated, generated{
			time, Statement{Text: text, Origin: origin, Defines: []string{h.name}, Why: []string{why}}, imp,
		})
	}
	switch {
	case h.stmt.skip:
		return false
	case ipython.Source(h.name) != "":
		time = 0
		add(ipython.Source(h.name), "shell", "runs the commands of "+h.user)
		return true
	case alive && n.Kind == "metaml":
		return false
	case alive && n.Kind == "module" && n.Module != "":
		text := "import " + n.Module + " as " + h.name
		if n.Module == h.name {
			text = "import " + n.Module
		}
		add(text, "import", "needed by "+h.user+", from the living session", imported{module: n.Module})
		w.out.Names = append(w.out.Names, h.name)
		return true
	case alive && n.Importable && n.Module != "" && n.Module != "__main__":
		first, rest, nested := strings.Cut(n.Qualname, ".")
		if first == "" {
			first = h.name
		}
		text := "from " + n.Module + " import " + first
		switch {
		case nested:
			text += "\n" + h.name + " = " + first + "." + rest
		case first != h.name:
			text += " as " + h.name
		}
		add(text, "import", "needed by "+h.user+", from the living session", imported{module: n.Module, name: first})
		w.out.Names = append(w.out.Names, h.name)
		return true
	case h.name == "display":
		add("try:\n    from IPython.display import display\nexcept ImportError:\n    display = print", "display",
			"needed by "+h.user)
		return true
	case len(w.stars) > 0 && w.stars[0].time <= h.stmt.time && (!alive || w.o.Describe == nil) &&
		h.name != "get_ipython" && w.lost[h.name] == (loss{}):
		for _, s := range w.stars {
			w.include(s, "may define "+h.name+", which "+h.user+" uses")
		}
		return true
	}
	return false
}

// refuse makes the error about names without source.
func (w *work) refuse(unresolved []*unresolvedName) error {
	h := unresolved[0]
	c := usererror.At(usererror.CodeNoSource, h.stmt.cell.Seq, h.use.line, "%s uses `%s` (%s)%s", h.user, h.name,
		w.position(h.stmt.cell, h.use.line), w.whyNot(h))
	c.Hint = w.remedy(h)
	var more []string
	for _, o := range unresolved[1:] {
		if len(more) == 4 {
			more = append(more, fmt.Sprintf("%d more", len(unresolved)-5))
			break
		}
		more = append(more, fmt.Sprintf("`%s` (%s)", o.name, w.position(o.stmt.cell, o.use.line)))
	}
	if len(more) > 0 {
		c.Text += "; the same holds for " + prose.List(more)
	}
	return c
}

// whyNot says why a name has no source.
func (w *work) whyNot(h *unresolvedName) string {
	n, alive := w.live[h.name]
	if h.stmt.skip {
		return ", which calls a function that MetaML runs"
	}
	switch h.name {
	case "get_ipython", "__IPYTHON__":
		return ", which exists only in a notebook"
	case "_", "__", "___", "In", "Out", "_ih", "_oh", "_dh", "_i", "_ii", "_iii":
		return ", which is the notebook's own history"
	}
	switch {
	case alive && n.Kind == "metaml" && n.Type == "metaml.Server":
		return ", which is a server of MetaML and not part of a program"
	case alive && n.Kind == "metaml":
		return ", which is a run of MetaML and not part of a program"
	case w.lost[h.name] != (loss{}):
		return ", which is not defined in this session: " + w.lost[h.name].why
	case w.doc.Kind == session.Live && !alive && w.doc.Names != nil:
		return ", which is not defined in this session"
	case w.doc.Kind == session.Script:
		return ", which the file does not define"
	}
	why := ", which no cell defines"
	if alive && n.Origin != "" {
		return why + ": it was made by " + n.Origin
	}
	if m, c := w.maker(h.name); c != nil {
		return why + ": " + m + " in cell " + itoa(c.label()) + " may have made it"
	}
	return why
}

// maker finds a magic or an exec that may have defined a name.
func (w *work) maker(name string) (string, *cell) {
	var text string
	var where *cell
	for _, c := range w.cells {
		for _, m := range c.code.Magics {
			if m.Name == "run" && len(c.runs) > 0 {
				continue
			}
			if m.Target == name || m.Binds && strings.Contains(m.Args, name) {
				return magicText(m), c
			}
			if m.Binds && where == nil {
				text, where = magicText(m), c
			}
		}
		for _, s := range c.stmts {
			for _, k := range s.e.calls {
				if k.callee == "exec" && len(k.path) == 0 && where == nil {
					text, where = "exec()", c
				}
			}
		}
	}
	return text, where
}

func magicText(m ipython.Magic) string {
	switch m.Kind {
	case ipython.Cell:
		return "%%" + m.Name
	case ipython.Shell:
		return "!" + prose.Shorten(m.Args, 41)
	}
	if m.Name == "run" {
		return "%run " + prose.Shorten(m.Args, 41)
	}
	return "%" + m.Name
}

func (w *work) remedy(h *unresolvedName) (hint string) {
	n, alive := w.live[h.name]
	var names []string
	for name := range w.history {
		names = append(names, name)
	}
	slices.Sort(names)
	switch {
	case h.stmt.skip:
		return "Read what you need of it before, or call metaml.run(NAME) inside of the function."
	case onlyInNotebooks[h.name]:
		return "Leave it out of the function."
	case alive && n.Kind == "metaml" && n.Type == "metaml.Server":
		return "Put what you need of it into a variable, such as its URL."
	case alive && n.Kind == "metaml" && w.serves():
		return fmt.Sprintf("Put --model %s on the line of the cell, and load the files that the run left from the "+
			"folder metaml.model().", h.name)
	case alive && n.Kind == "metaml":
		return "Call metaml.run(NAME) inside of the function, or put the values that it needs into a variable."
	case alive && n.Size > 0:
		return fmt.Sprintf("Define it in a cell, or ship its value with --with %s (%s).", h.name, size(n.Size))
	case alive && n.Size < 0:
		return "Define it in a cell; its value cannot be shipped."
	case alive:
		return fmt.Sprintf("Define it in a cell, or ship its value with --with %s.", h.name)
	case w.lost[h.name].again:
		return "Run that cell again."
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == h.name }) // which a later cell defines
	if near := prose.Nearest(h.name, names); near != "" {
		return fmt.Sprintf("Did you mean %s?", near)
	}
	return "Define it in a cell."
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.3g kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.3g MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.3g GB", float64(n)/1e9)
}

// unbuildable refuses kept statements that only a notebook can execute: commands, unknown magics, questions to the
// user.
func (w *work) unbuildable() error {
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok {
			continue
		}
		if s.node == nil && s.cell.broken > 0 && (s.cell.OK == nil || !*s.cell.OK) {
			return w.broken(s.cell)
		}
		user, name := w.user(s), s.name()
		for _, m := range s.cell.code.Magics {
			if !m.Kernel || m.Line < s.line || m.Line > s.endLine {
				continue
			}
			switch {
			case slices.ContainsFunc(s.e.uses, func(u use) bool { return u.name == "get_ipython" }):
				return usererror.At(usererror.CodeMagic, s.cell.Seq, m.Line,
					"%s uses `%s`, which was made by the magic %s in %s", user, name, magicText(m), w.position(s.cell,
						m.Line)).
					With("Make it by Python in a cell, or ship its value with --with %s.", name)
			case slices.ContainsFunc(s.e.late, func(u use) bool { return u.name == "get_ipython" }):
				return usererror.At(usererror.CodeMagic, s.cell.Seq, m.Line,
					"%s uses the magic %s (%s), which only a notebook can do", name, magicText(m), w.position(s.cell,
						m.Line)).
					With("Leave it out of the function.")
			}
		}
		if err := w.refuseToAsk(s); err != nil {
			return err
		}
	}
	return nil
}

// user gives who needs a kept statement.
func (w *work) user(s *stmt) string {
	for _, y := range w.kept[s] {
		if u, ok := strings.CutPrefix(y, "needed by "); ok {
			return u
		}
	}
	return w.out.Entry.Name
}

// shipped places the values that are shipped.
func (w *work) shipped() error {
	names := make([]string, 0, len(w.withs))
	for n := range w.withs {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, alive := w.doc.Names[name]; !alive && w.doc.Names != nil && w.doc.Kind == session.Live {
			return usererror.At(usererror.CodeWith, w.target.Seq, 0, "--with %s: no such name is alive in the session",
				name)
		}
		if w.doc.Kind != session.Live {
			return usererror.At(usererror.CodeWith, w.target.Seq, 0,
				"--with %s: values can be shipped from a running notebook only", name)
		}
		time := w.withs[name]
		if vs, ok := w.at(name, len(w.stmts)); ok && vs[0].stmt != nil && vs[0].stmt.time < time {
			time = vs[0].stmt.time
		}
		// Its class must be there before it can be loaded.
		if cl, ok := strings.CutPrefix(w.doc.Names[name].Type, "__main__."); ok {
			top, _, _ := strings.Cut(cl, ".")
			vs, _ := w.at(top, len(w.stmts))
			for _, v := range vs {
				w.need(v, len(w.stmts), "the value of "+name)
				if v.stmt != nil {
					time = max(time, v.stmt.time+1)
				}
			}
		}
		text := fmt.Sprintf("with open(__import__(\"os\").path.join(__import__(\"os\").path.dirname("+
			"__import__(\"os\").path.abspath(__file__)), \"with\", %q), \"rb\") as %s:\n"+
			"    %s = __import__(\"pickle\").load(%s)",
			name+".pickle", name, name, name)
		w.generated = append(w.generated, generated{
			time, Statement{
				Text: text, Origin: "with", Defines: []string{name},
				Why: []string{"shipped by --with " + name},
			}, nil,
		})
		w.out.With = append(w.out.With, name)
	}
	return nil
}
