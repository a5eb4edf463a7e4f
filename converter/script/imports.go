package script

import (
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// importedName is a name of an import.
type importedName struct{ name, as string }

// to is the name that it gets.
func (n importedName) to() string {
	if n.as != "" {
		return n.as
	}
	return n.name
}

func (n importedName) String() string {
	if n.as != "" {
		return n.name + " as " + n.as
	}
	return n.name
}

func imports(n *syntax.Node) (module string, names []importedName) {
	for _, c := range n.Children {
		switch {
		case c.Kind == "wildcard_import":
			names = append(names, importedName{"*", ""})
		case c.Field != "name":
		case c.Kind == "aliased_import":
			names = append(names, importedName{c.Child("name").Text(), c.Child("alias").Text()})
		default:
			names = append(names, importedName{c.Text(), ""})
		}
	}
	return moduleOf(n), names
}

// colab are the parts of google.colab that have a meaning elsewhere.
var colab = map[string]bool{
	"drive": true, "files": true, "userdata": true, "auth": true, "output": true, "data_table": true,
}

// imports replaces an import of what a script does without.
func (r *replacing) imports(n *syntax.Node) {
	module, names := imports(n)
	for _, name := range names {
		from, _, _ := strings.Cut(name.name, ".")
		if module != "" {
			from, _, _ = strings.Cut(module, ".")
		}
		if from != "" && from == r.o.Name && !r.said["import "+from] {
			r.said["import "+from] = true
			r.out.Notes = append(r.out.Notes, r.note(r.at, n.Row+1, "the script is called "+from+".py, and imports "+
				from+", by which Python finds the script itself", "Give it another name by --output."))
		}
	}
	with := func(code ...string) {
		switch {
		case len(code) == 0:
			r.gone(n)
		default:
			r.edits = append(r.edits, over(n, strings.Join(code, "; ")))
		}
	}
	switch {
	case n.Kind == "import_statement":
		r.modules(n, names, with)
	case fromIPython[module]:
		code, unknown := r.fromIPython(module, names)
		if unknown != "" && r.guarded == 0 {
			r.refuse(n, module+"."+unknown+only, "Write it in Python.")
		} else if unknown == "" {
			with(code...)
		}
	case strings.HasPrefix(module, "IPython.") && r.guarded == 0:
		r.refuse(n, module+only, "Write it in Python.")
	case module == "google.colab" && (r.guarded == 0 || !r.tried()):
		var code []string
		for _, name := range names {
			if !colab[name.name] {
				if r.guarded == 0 {
					r.refuse(n, module+"."+name.name+" runs in Colab only", "Write it in Python.")
				}
				return
			}
			r.used["colab_"+name.name] = true
			code = r.head(code, name.to(), "_metaml_"+name.name)
		}
		with(code...)
	case strings.HasPrefix(module, "google.colab.") && r.guarded == 0:
		instead := "Write it in Python."
		if module == "google.colab.patches" {
			instead = "Call the imshow function of matplotlib."
		}
		r.refuse(n, module+" runs in Colab only", instead)
	case module == "tqdm.notebook" || module == "tqdm._tqdm_notebook" || module == "tqdm":
		r.tqdm(module, names, with)
	}
}

// tried says that a try statement is open, and not only a condition.
func (r *replacing) tried() bool {
	line := r.statement
	found := false
	visit(r.a.tree.Root, nil, func(n, _ *syntax.Node) bool {
		found = found || n.Kind == "try_statement" && line != nil && n.Start <= line.Start && line.End <= n.End
		return !found
	})
	return found
}

// bars are the old names of progress bars.
var bars = map[string]string{"tqdm_notebook": "tqdm", "tnrange": "trange"}

func (r *replacing) tqdm(module string, names []importedName, with func(...string)) {
	var from, code []string
	changed := module != "tqdm"
	for _, name := range names {
		switch other := bars[name.name]; {
		case other != "":
			changed = true
			if name = (importedName{other, name.to()}); name.as == other {
				name.as = ""
			}
			from = append(from, name.String())
		case name.name == "notebook":
			changed = true
			code = append(code, "import tqdm as "+name.to())
		default:
			from = append(from, name.String())
		}
	}
	if len(from) > 0 {
		code = slices.Insert(code, 0, "from tqdm import "+strings.Join(from, ", "))
	}
	if changed {
		with(code...)
	}
}

// rich are the names of IPython.display, and what they are in a script.
var rich = func() map[string]string {
	all := map[string]string{"DisplayHandle": "_metaml_handle", "capture_output": "_metaml_capture"}
	for name := range strings.FieldsSeq("HTML SVG Image JSON GeoJSON Javascript Video ProgressBar DisplayObject " +
		"TextDisplayObject") {
		all[name] = `_metaml_rich("` + name + `", "<IPython.core.display.` + name + ` object>")`
	}
	for name := range strings.FieldsSeq("Audio Code FileLink FileLinks IFrame ScribdDocument VimeoVideo YouTubeVideo") {
		all[name] = `_metaml_rich("` + name + `", "<IPython.lib.display.` + name + ` object>")`
	}
	for name := range strings.FieldsSeq("Markdown Latex Math Pretty") {
		all[name] = `_metaml_rich("` + name + `")`
	}
	for name := range strings.FieldsSeq("clear_output set_matplotlib_formats set_matplotlib_close " +
		"publish_display_data") {
		all[name] = "_metaml_nothing"
	}
	for name := range strings.FieldsSeq("display update_display display_html display_markdown display_svg " +
		"display_png display_jpeg display_latex display_json display_javascript display_pretty display_pdf") {
		all[name] = "_metaml_display"
	}
	all["update_display"] = "_metaml_handle().update"
	return all
}()

// rich is what a name of IPython.display is in a script, "" if there is none.
func (r *replacing) rich(name string) string {
	code := rich[name]
	for helper := range strings.FieldsSeq("rich nothing display handle capture") {
		if strings.HasPrefix(code, "_metaml_"+helper) {
			r.used[helper] = true
		}
	}
	return code
}

// richNames is an object with the names of IPython.display that the notebook may use.
func (r *replacing) richNames() string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(rich)) {
		if r.mentioned(name) && name != "capture_output" {
			fields = append(fields, name+"="+r.rich(name))
		}
	}
	return `__import__("types").SimpleNamespace(` + strings.Join(fields, ", ") + ")"
}

// fromIPython is the code that gives names of IPython's modules, or the name that is not known.
func (r *replacing) fromIPython(module string, names []importedName) (code []string, unknown string) {
	for _, name := range names {
		switch {
		case name.name == "get_ipython":
			r.used["get_ipython"] = true
			if name.as != "" && name.as != name.name {
				code = r.head(code, name.as, "get_ipython")
			}
		case name.name == "InteractiveShell":
			// what is set of it is read when the script is made
		case name.name == "display" && module == "IPython":
			code = r.head(code, name.to(), r.richNames())
		case name.name == "*":
			for _, each := range slices.Sorted(maps.Keys(rich)) {
				if r.mentioned(each) && !r.stored[each] && each != "capture_output" {
					code = r.head(code, each, r.rich(each))
				}
			}
		default:
			is := r.rich(name.name)
			if is == "" {
				return nil, name.name
			}
			code = r.head(code, name.to(), is)
		}
	}
	return code, ""
}

// head gives a name its value at the head of the script. Where the notebook gives it another one, too, it is code in
// the place of the import.
func (r *replacing) head(code []string, name, value string) []string {
	if before, ok := r.heads[name]; r.stored[name] || ok && before != value {
		return append(code, name+" = "+value)
	}
	r.heads[name] = value
	return code
}

// modules replaces `import IPython` and the like.
func (r *replacing) modules(n *syntax.Node, names []importedName, with func(...string)) {
	changed := false
	var code, rest []string
	for _, name := range names {
		switch {
		case name.name == "IPython" || name.name == "IPython.display" || name.name == "IPython.core.display" ||
			name.name == "IPython.lib.display":
			changed = true
			is := r.richNames()
			if name.as == "" || name.name == "IPython" {
				fields := []string{"display=" + is}
				if r.mentioned("get_ipython") {
					r.used["get_ipython"] = true
					fields = append(fields, "get_ipython=get_ipython")
				}
				if r.mentioned("__version__") {
					fields = append(fields, `__version__="none"`)
				}
				is = `__import__("types").SimpleNamespace(` + strings.Join(fields, ", ") + ")"
			}
			to := name.as
			if to == "" {
				to = "IPython"
			}
			code = r.head(code, to, is)
		case strings.HasPrefix(name.name, "IPython."):
			if r.guarded == 0 {
				r.refuse(n, name.name+only, "Write it in Python.")
			}
			return
		case name.name == "google.colab" && r.guarded == 0:
			changed = true
		case name.name == "tqdm.notebook":
			changed = true
			rest = append(rest, importedName{"tqdm", name.as}.String())
		default:
			rest = append(rest, name.String())
		}
	}
	if !changed {
		return
	}
	if len(rest) > 0 {
		code = append(code, "import "+strings.Join(rest, ", "))
	}
	with(code...)
}
