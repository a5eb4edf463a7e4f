package flask

import (
	"os"
	"slices"

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

// findOurs finds the imports of metaml and what is mentioned of it.
func (w *writer) findOurs() error {
	w.ours = references{
		imports: map[int]bool{}, mentions: map[int]map[string]bool{}, used: map[string]bool{},
		called: map[string]string{}, given: map[string]bool{}, edits: map[int][]edit{},
	}
	modules, names := map[string]bool{}, map[string]string{} // alias → what it is of ours
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
	for _, m := range w.s.Modules {
		if err := w.noneOfOurs(m.Name, m.File); err != nil {
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
		var wrong *syntax.Node
		var what string
		w.ours.mentions[i] = map[string]bool{}
		tree.Root.Walk(func(n *syntax.Node) bool {
			name, alias := "", ""
			switch n.Kind {
			case "call":
				// metaml.model("a-run") is a call of ours with an argument that means nothing here.
				if f := n.Child("function"); f != nil && f.Kind == "attribute" && modules[f.Child("object").Text()] &&
					f.Child("attribute").Text() == "model" {
					w.ours.mention(i, "model")
					w.ours.edits[i] = append(w.ours.edits[i], edit{n.Start, n.End, "model", true})
					return false
				}
				if f, a := n.Child("function"), n.Child("arguments"); f != nil && a != nil && f.Kind == "identifier" &&
					names[f.Text()] == "model" && len(a.Children) > 0 {
					w.ours.given["model"] = true
				}
				return true
			case "attribute":
				if o := n.Child("object"); o != nil && o.Kind == "identifier" && modules[o.Text()] &&
					n.Child("attribute") != nil {
					name = n.Child("attribute").Text()
					w.ours.edits[i] = append(w.ours.edits[i], edit{n.Start, n.End, name, false})
				}
			case "identifier":
				if n.Field != "attribute" && n.Field != "name" && names[n.Text()] != "" {
					name, alias = names[n.Text()], n.Text()
				} else if modules[n.Text()] && wrong == nil {
					wrong, what = n, n.Text()
				}
			}
			switch {
			case name == "":
			case !slices.Contains(standIns, name):
				if wrong == nil {
					wrong, what = n, "metaml."+name
				}
				return false
			default:
				w.ours.mention(i, name)
				if alias != "" {
					w.ours.called[name] = alias
				}
				return false
			}
			return true
		})
		if wrong != nil {
			st := w.s.Statements[i]
			st.Line += wrong.Row
			return usererror.At(usererror.CodeExport, st.Cell, st.Line,
				"%s uses %s, which needs MetaML and cannot be in a plain application", w.place(st), what).
				With("Leave it out, or load what it gives from the folder metaml.model().")
		}
	}
	for _, name := range standIns {
		if w.ours.used[name] && w.ours.called[name] == "" {
			w.ours.called[name] = name
			switch name {
			case "model", "output":
				w.ours.called[name] += "_folder"
			case "Response":
				w.ours.called[name] = "make_response" // Flask has a Response
			}
			for slices.ContainsFunc(w.s.Statements, func(st statement) bool {
				return slices.Contains(st.Defines, w.ours.called[name])
			}) {
				w.ours.called[name] += "_"
			}
		}
	}
	return nil
}

func (r *references) mention(i int, name string) {
	r.mentions[i][name] = true
	r.used[name] = true
}

// noneOfOurs refuses a local module that imports metaml.
func (w *writer) noneOfOurs(name, file string) error {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil //nolint:nilerr // it is only looked into; whoever runs the application needs it
	}
	tree, err := syntax.Parse(string(src))
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	found := false
	tree.Root.Walk(func(n *syntax.Node) bool {
		for _, m := range readImport(n) {
			found = found || m.module == "metaml"
		}
		return !found
	})
	if found {
		return usererror.At(usererror.CodeExport, 0, 0,
			"the local module %s imports metaml, and a plain application cannot", name).
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
