package flask

import (
	"slices"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

// references are what the notebook's code mentions of the module metaml.
type references struct {
	imports  map[int]bool            // statements that import it, which the application has no use for
	mentions map[int]map[string]bool // statement → what it mentions of ours
	used     map[string]bool         // model, output, report …
	called   map[string]string       // what each is called in the file
	given    map[string]bool         // those that some call gives an argument
	edits    map[int][]edit
}

// edit replaces a piece of a statement's text.
type edit struct {
	from, to int
	name     string // of ours
	call     bool   // the piece is a whole call
}

// standIns are those functions of ours which a plain function can stand for.
var standIns = []string{"model", "output", "report", "checkpoint", "trial", "attempt", "seed", "HTTPError", "Response"}

// mentionFinder finds what one statement mentions of metaml.
type mentionFinder struct {
	*references
	statement int
	modules   map[string]bool   // names of the module
	names     map[string]string // a name → what it is of ours
	wrong     *syntax.Node      // the first that no plain function can stand for
	what      string            // it
}

// findOurs finds the imports of metaml and what is mentioned of it.
func (w *writer) findOurs() error {
	w.ours = references{
		imports: map[int]bool{}, mentions: map[int]map[string]bool{}, used: map[string]bool{},
		called: map[string]string{}, given: map[string]bool{}, edits: map[int][]edit{},
	}
	modules, names := w.importsOfOurs()
	for _, m := range w.s.Modules {
		if err := w.noneOfOurs(m); err != nil {
			return err
		}
	}
	if len(w.ours.imports) == 0 {
		return nil
	}
	for i, tree := range w.nodes {
		if w.ours.imports[i] {
			continue
		}
		w.ours.mentions[i] = map[string]bool{}
		f := &mentionFinder{references: &w.ours, statement: i, modules: modules, names: names}
		tree.Root.Walk(f.visit)
		if f.wrong != nil {
			st := w.s.Statements[i]
			st.Line += f.wrong.Row
			return usererror.At(usererror.CodeExport, st.Cell, st.Line,
				"%s uses %s, which needs MetaML and cannot be in a plain application", w.place(st), f.what).
				With("Leave it out, or load what it gives from the folder metaml.model().")
		}
	}
	w.nameStandIns()
	return nil
}

// importsOfOurs finds the statements that import metaml, the names of the module and those of what is in it.
func (w *writer) importsOfOurs() (modules map[string]bool, names map[string]string) {
	modules, names = map[string]bool{}, map[string]string{}
	for i := range w.s.Statements {
		for _, m := range w.importsOf(i) {
			switch {
			case m.module == "metaml" && m.name == "":
				modules[m.binds()] = true
			case m.module == "metaml" && m.name == "*":
				for _, n := range standIns {
					names[n] = n
				}
			case m.module == "metaml":
				names[m.binds()] = m.name
			default:
				continue
			}
			w.ours.imports[i] = true
		}
	}
	return modules, names
}

// visit reads one node, and says whether what is below it is to be visited too.
func (f *mentionFinder) visit(n *syntax.Node) bool {
	switch n.Kind {
	case "call":
		return f.call(n)
	case "attribute":
		if o := n.Child("object"); o != nil && o.Kind == "identifier" && f.modules[o.Text()] &&
			n.Child("attribute") != nil {
			name := n.Child("attribute").Text()
			f.edits[f.statement] = append(f.edits[f.statement], edit{n.Start, n.End, name, false})
			return f.found(n, name, "")
		}
	case "identifier":
		if n.Field != "attribute" && n.Field != "name" && f.names[n.Text()] != "" {
			return f.found(n, f.names[n.Text()], n.Text())
		}
		if f.modules[n.Text()] && f.wrong == nil {
			f.wrong, f.what = n, n.Text()
		}
	}
	return true
}

// call notes calls of model that give it an argument, which means nothing here.
func (f *mentionFinder) call(n *syntax.Node) bool {
	function, arguments := n.Child("function"), n.Child("arguments")
	if function == nil {
		return true
	}
	if function.Kind == "attribute" && f.modules[function.Child("object").Text()] &&
		function.Child("attribute").Text() == "model" {
		f.mention(f.statement, "model")
		f.edits[f.statement] = append(f.edits[f.statement], edit{n.Start, n.End, "model", true})
		return false
	}
	if arguments != nil && function.Kind == "identifier" && f.names[function.Text()] == "model" &&
		len(arguments.Children) > 0 {
		f.given["model"] = true
	}
	return true
}

// found notes that a node is something of ours, under an alias or as an attribute of the module.
func (f *mentionFinder) found(n *syntax.Node, name, alias string) bool {
	if name == "" {
		return true
	}
	if !slices.Contains(standIns, name) {
		if f.wrong == nil {
			f.wrong, f.what = n, "metaml."+name
		}
		return false
	}
	f.mention(f.statement, name)
	if alias != "" {
		f.called[name] = alias
	}
	return false
}

// nameStandIns gives a name to each stand-in that the notebook has by no name of its own.
func (w *writer) nameStandIns() {
	for _, name := range standIns {
		if !w.ours.used[name] || w.ours.called[name] != "" {
			continue
		}
		called := name
		switch name {
		case "model", "output":
			called += "_folder"
		case "Response":
			called = "make_response" // Flask has a Response
		}
		defines := func(st statement) bool { return slices.Contains(st.Defines, called) }
		for slices.ContainsFunc(w.s.Statements, defines) {
			called += "_"
		}
		w.ours.called[name] = called
	}
}

func (r *references) mention(i int, name string) {
	r.mentions[i][name] = true
	r.used[name] = true
}

// noneOfOurs refuses a local module that imports metaml.
func (w *writer) noneOfOurs(m session.Module) error {
	src, err := m.Code()
	if err != nil {
		return nil //nolint:nilerr // it is only read; whoever runs the application needs it
	}
	tree, err := syntax.Parse(string(src))
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	found := false
	tree.Root.Walk(func(n *syntax.Node) bool {
		for _, imp := range readImport(n) {
			found = found || imp.module == "metaml"
		}
		return !found
	})
	if found {
		return usererror.At(usererror.CodeExport, 0, 0,
			"the local module %s imports metaml, and a plain application cannot", m.Name).
			With("Take what it needs of metaml as an argument.")
	}
	return nil
}

// rewritten is the text of a statement with the names that our functions have in the file.
func (r *references) rewritten(i int, text string) string {
	edits := slices.Clone(r.edits[i])
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		name := r.called[e.name]
		if e.call {
			name += "()"
		}
		text = text[:e.from] + name + text[e.to:]
	}
	return text
}
