package flask

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
)

// imported is one name of an import: import module as as, or from module import name as as.
type imported struct {
	module, name, as string

	setting string // a statement that stands among the imports instead
}

// binds is the name that it makes.
func (i imported) binds() string {
	switch {
	case i.as != "":
		return i.as
	case i.name != "":
		return i.name
	}
	top, _, _ := strings.Cut(i.module, ".")
	return top
}

// readImport gives the names of an import statement; nil if it is none.
func readImport(n *syntax.Node) []imported {
	module := ""
	switch n.Kind {
	case "import_statement":
	case "import_from_statement":
		m := n.Child("module_name")
		if m == nil {
			return nil
		}
		module = strings.Join(strings.Fields(m.Text()), "")
		if n.Of("wildcard_import") != nil {
			return []imported{{module: module, name: "*"}}
		}
	default:
		return nil
	}
	var out []imported
	for _, c := range n.Children {
		if c.Field != "name" {
			continue
		}
		name, as := c.Text(), ""
		if c.Kind == "aliased_import" && c.Child("name") != nil && c.Child("alias") != nil {
			name, as = c.Child("name").Text(), c.Child("alias").Text()
		}
		if as == name {
			as = ""
		}
		if i := strings.LastIndexByte(name, '.'); module == "" && i >= 0 && as == name[i+1:] {
			out = append(out, imported{module: name[:i], name: as}) // import a.b as b
			continue
		}
		if module == "" {
			out = append(out, imported{module: name, as: as})
		} else {
			out = append(out, imported{module: module, name: name, as: as})
		}
	}
	return out
}

// arrange sorts the statements into imports at the top and the rest below them. An import stays where it was if its
// name means other things too; a setting of the process that stands before an import stays before it.
func (w *writer) arrange() error {
	used := map[string]bool{}          // names that something mentions which is no import
	bound := map[string]map[any]bool{} // name → the imports and statements that bind it
	bind := func(name string, by any) {
		if bound[name] == nil {
			bound[name] = map[any]bool{}
		}
		bound[name][by] = true
	}
	for i, st := range w.s.Statements {
		imports := w.importsOf(i)
		if imports == nil {
			maps.Copy(used, token.Words(st.Text))
			for _, n := range st.Defines {
				bind(n, i)
			}
		}
		for _, m := range imports {
			bind(m.binds(), m)
		}
	}
	later := map[string]bool{} // names that are made below the imports
	for i, st := range w.s.Statements {
		imports := w.importsOf(i)
		text := strings.Trim(w.ours.rewritten(i, st.Text), "\n")
		switch {
		case w.ours.imports[i] || strings.HasPrefix(st.Text, "from __future__ "):
			// Ours are gone; the future is the first of the imports.
			if !w.ours.imports[i] {
				w.top = append(w.top, imports...)
			}
		case imports != nil && w.free(imports, bound):
			kept := slices.DeleteFunc(slices.Clone(imports), func(m imported) bool {
				return m.name != "*" && !used[m.binds()]
			})
			if len(kept) == 0 {
				kept = imports
			}
			w.top = append(w.top, kept...)
		case imports != nil:
			w.body = append(w.body, block{text: text + "  # noqa: E402", cell: st.Cell})
			for _, n := range st.Defines {
				later[n] = true
			}
		case w.sets(i) && !mentions(st.Text, later) && w.importsFollow(i):
			w.top = append(w.top, imported{setting: text})
		default:
			w.body = append(w.body, w.block(i, st, text))
			for _, n := range st.Defines {
				later[n] = true
			}
		}
	}
	return nil
}

func (w *writer) block(i int, st slicer.Statement, text string) block {
	b := block{
		text: strings.Join(append(slices.Clone(st.Lead), text), "\n"), cell: st.Cell, model: st.Origin == "model",
	}
	if children := w.nodes[i].Root.Children; len(children) == 1 {
		switch children[0].Kind {
		case "function_definition", "class_definition", "decorated_definition":
			b.apart = true
			b.names = st.Defines
			d := children[0]
			if d.Kind == "decorated_definition" && d.Child("definition") != nil {
				d = d.Child("definition")
			}
			b.pickled = d.Kind == "class_definition" || slices.Contains(st.Why, slicer.ByPickles)
			return b
		}
	}
	words := map[string]bool{}
	maps.Copy(words, token.Words(st.Text))
	for _, n := range []string{"joblib", "pickle", "cloudpickle", "dill", "torch", "load"} {
		b.loads = b.loads || words[n]
	}
	b.loads = b.loads || w.ours.mentions[i]["model"]
	return b
}

func (w *writer) importsOf(i int) []imported {
	children := w.nodes[i].Root.Children
	if len(children) != 1 {
		return nil
	}
	if n := children[0]; n.Kind == "future_import_statement" {
		var out []imported
		for _, c := range n.Children {
			if c.Field == "name" {
				out = append(out, imported{module: "__future__", name: c.Text()})
			}
		}
		return out
	}
	return readImport(children[0])
}

// free says that the names of an import mean nothing else.
func (w *writer) free(imports []imported, bound map[string]map[any]bool) bool {
	return !slices.ContainsFunc(imports, func(m imported) bool { return len(bound[m.binds()]) > 1 })
}

// sets recognises settings that some imports look at: os.environ and sys.path.
func (w *writer) sets(i int) bool {
	text := w.s.Statements[i].Text
	return !strings.Contains(text, "\n") && len(w.s.Statements[i].Defines) == 0 &&
		(strings.HasPrefix(text, "os.environ") || strings.HasPrefix(text, "sys.path") ||
			strings.HasPrefix(text, "matplotlib.use("))
}

func (w *writer) importsFollow(i int) bool {
	for j := i + 1; j < len(w.s.Statements); j++ {
		if w.importsOf(j) != nil && !w.ours.imports[j] {
			return true
		}
	}
	return false
}

func mentions(text string, names map[string]bool) bool {
	words := map[string]bool{}
	maps.Copy(words, token.Words(text))
	for n := range words {
		if names[n] {
			return true
		}
	}
	return false
}

// importLines writes the imports: Python's own, those of others, those of the notebook's folder.
func (w *writer) importLines() string {
	var b strings.Builder
	need := slices.Clone(w.need)
	var section []imported
	flush := func() {
		if len(section) > 0 {
			b.WriteString("\n" + w.sections(section))
		}
		section = nil
	}
	// What is needed by the parts stands with the first imports.
	section = append(section, need...)
	for _, m := range w.top {
		if m.setting != "" {
			flush()
			b.WriteString("\n" + m.setting + "\n")
			continue
		}
		section = append(section, m)
	}
	flush()
	return b.String()
}

func (w *writer) sections(imports []imported) string {
	rank := func(m imported) int {
		top, _, _ := strings.Cut(m.module, ".")
		switch {
		case m.module == "__future__":
			return 0
		case slicer.IsStandard(m.module):
			return 1
		case top == "" || slices.ContainsFunc(w.s.Modules, func(l session.Module) bool { return l.Name == top }):
			return 3
		}
		return 2
	}
	imports = slices.Clone(imports)
	slices.SortStableFunc(imports, func(a, b imported) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(min(len(a.name), 1), min(len(b.name), 1)),
			cmp.Compare(strings.ToLower(a.module), strings.ToLower(b.module)),
			cmp.Compare(min(len(a.as)*len(a.name), 1),
				min(len(b.as)*len(b.name),
					1)), weight(a.name)-weight(b.name), cmp.Compare(a.name, b.name), cmp.Compare(a.as, b.as))
	})
	imports = slices.Compact(imports)
	var b strings.Builder
	for i := 0; i < len(imports); {
		if i > 0 && rank(imports[i]) != rank(imports[i-1]) {
			b.WriteString("\n")
		}
		m := imports[i]
		if m.name == "" {
			b.WriteString("import " + aliased(m.module, m.as) + "\n")
			i++
			continue
		}
		var names []string
		if m.as != "" { // isort gives it a line of its own
			b.WriteString("from " + m.module + " import " + aliased(m.name, m.as) + "\n")
			i++
			continue
		}
		for ; i < len(imports) && imports[i].module == m.module && imports[i].name != "" && imports[i].as == ""; i++ {
			names = append(names, aliased(imports[i].name, imports[i].as))
		}
		line := "from " + m.module + " import " + strings.Join(names, ", ")
		if len(line) > 88 {
			line = "from " + m.module + " import (\n    " + strings.Join(names, ",\n    ") + ",\n)"
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// weight orders names as isort does: constants, classes, the rest.
func weight(name string) int {
	switch {
	case name == "" || name == strings.ToUpper(name) && len(name) > 1:
		return 0
	case name[0] >= 'A' && name[0] <= 'Z':
		return 1
	}
	return 2
}

func aliased(name, as string) string {
	if as == "" {
		return name
	}
	return name + " as " + as
}

// importing gives the name by which a part of ours calls a module or a name in it, and sees that it is imported.
func (w *writer) importing(m imported) string {
	for _, have := range slices.Concat(w.top, w.need) {
		// import os.path binds os
		submodule := m.name == "" && have.name == "" && have.as == "" && strings.HasPrefix(have.module, m.module+".")
		if submodule && m.as == "" || have.module == m.module && have.name == m.name {
			return have.binds()
		}
	}
	want := m.binds()
	if w.taken[want] {
		m.as = w.name(want)
	} else {
		w.taken[want] = true
	}
	w.need = append(w.need, m)
	return m.binds()
}
