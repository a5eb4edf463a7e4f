package script

import (
	"regexp"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/syntax"
)

// memory are the names under which IPython keeps what cells had and gave.
var memory = regexp.MustCompile(`^(In|Out|_{1,3}|_i{0,3}|_i?\d+|_ih|_oh|_dh)$`)

// fromIPython are the modules that a script does without.
var fromIPython = []string{
	"IPython", "IPython.display", "IPython.core.display", "IPython.core.interactiveshell", "IPython.lib.display",
	"IPython.core.display_functions", "IPython.core.getipython", "IPython.html.widgets",
}

// replaced are the edits for what only a kernel, IPython or Colab gives.
func (s *scripting) replaced(a analysed, at place) []edit {
	var edits []edit
	guarded := 0 // how many try statements are open
	var walk func(n, parent *syntax.Node)
	walk = func(n, parent *syntax.Node) {
		switch n.Kind {
		case "import_from_statement", "import_statement":
			if e, ok := s.imported(n, guarded > 0, at); ok {
				edits = append(edits, e...)
			}
			for _, name := range bound(n) {
				s.stored[name] = true
			}
			return
		case "function_definition", "class_definition":
			if name := n.Child("name"); name != nil {
				s.stored[name.Text()] = true
			}
		case "assignment", "for_statement", "named_expression", "as_pattern_target", "for_in_clause", "augmented_assignment",
			"parameters", "lambda_parameters":
			for _, name := range names(n) {
				s.stored[name] = true
			}
			if n.Kind == "assignment" && strings.HasPrefix(n.Text(), "InteractiveShell.") {
				if set := interactivity.FindStringSubmatch(n.Text()); set != nil {
					s.interactivity = set[1]
					edits = append(edits, edit{n.Start, n.Start, "pass  # "})
					return
				}
			}
		case "attribute":
			if e, ok := s.attribute(n, parent, at, guarded > 0); ok {
				edits = append(edits, e)
				return
			}
		case "identifier":
			s.identifier(n, parent, at)
		case "try_statement":
			guarded++
			defer func() { guarded-- }()
		}
		for _, c := range n.Children {
			walk(c, n)
		}
	}
	walk(a.tree.Root, nil)
	return edits
}

// names are those in the target of a binding.
func names(n *syntax.Node) []string {
	switch n.Kind {
	case "assignment", "for_statement", "for_in_clause", "augmented_assignment":
		if n = n.Child("left"); n == nil {
			return nil
		}
	case "named_expression":
		if n = n.Child("name"); n == nil {
			return nil
		}
	}
	var all []string
	visit(n, nil, func(n, parent *syntax.Node) bool {
		if n.Kind == "identifier" && (parent == nil || n.Field != "attribute") {
			all = append(all, n.Text())
		}
		return n.Kind != "subscript"
	})
	return all
}

// identifier notes the use of a name that a kernel gives.
func (s *scripting) identifier(n, parent *syntax.Node, at place) {
	if n.Field == "attribute" || parent != nil && parent.Kind == "keyword_argument" && n.Field == "name" {
		return
	}
	switch name := n.Text(); {
	case name == "get_ipython":
		s.used["get_ipython"] = true
	case name == "display":
		s.used["display"] = true
	case memory.MatchString(name):
		s.kept = append(s.kept, use{name, at, n.Row + 1})
	}
}

// attribute replaces what is done by IPython's object, and old names of progress bars.
func (s *scripting) attribute(n, parent *syntax.Node, at place, guarded bool) (edit, bool) {
	object, name := n.Child("object"), n.Child("attribute")
	if object == nil || name == nil {
		return edit{}, false
	}
	switch of := object.Text(); {
	case of == "get_ipython()":
		switch name.Text() {
		case "system":
			s.used[ipython.Run] = true
			return edit{n.Start, n.End, ipython.Run}, true
		case "getoutput":
			s.used[ipython.Lines] = true
			return edit{n.Start, n.End, ipython.Lines}, true
		case "user_ns", "user_global_ns":
			return edit{n.Start, n.End, "globals()"}, true
		case "__class__", "__doc__":
			return edit{}, false
		}
		if guarded {
			return edit{}, false // whoever asks there is ready for another answer
		}
		s.out.Refused = append(s.out.Refused, s.note(at, n.Row+1,
			"get_ipython()."+name.Text()+only, "Write it in Python."))
	case of == "tqdm" && (name.Text() == "notebook" || name.Text() == "tqdm_notebook" || name.Text() == "tnrange"):
		to := map[string]string{"notebook": "tqdm", "tqdm_notebook": "tqdm.tqdm", "tnrange": "tqdm.trange"}
		return edit{n.Start, n.End, to[name.Text()]}, true
	case of == "IPython" && name.Text() == "display":
		s.used["rich"] = true
	case of == "InteractiveShell":
		return edit{}, false
	}
	return edit{}, false
}

const only = " runs in a notebook only"

// importedName is a name of an import.
type importedName struct{ name, as string }

func imports(n *syntax.Node) (module string, names []importedName) {
	if m := n.Child("module_name"); m != nil {
		module = m.Text()
	}
	for _, c := range n.Children {
		switch {
		case c.Kind == "wildcard_import":
			names = append(names, importedName{"*", "*"})
		case c.Field != "name":
		case c.Kind == "aliased_import":
			names = append(names, importedName{c.Child("name").Text(), c.Child("alias").Text()})
		default:
			names = append(names, importedName{c.Text(), ""})
		}
	}
	return module, names
}

// imported replaces an import of what a script does without.
func (s *scripting) imported(n *syntax.Node, guarded bool, at place) ([]edit, bool) {
	module, names := imports(n)
	if n.Kind == "import_statement" {
		return s.importedModules(n, names)
	}
	switch {
	case slices.Contains(fromIPython, module):
		return []edit{over(n, s.fromDisplay(module, names))}, true
	case module == "google.colab" && !guarded:
		s.used["colab"] = true
		var code []string
		for _, name := range names {
			as := name.as
			if as == "" {
				as = name.name
			}
			code = append(code, as+" = _metaml_colab."+name.name)
		}
		return []edit{over(n, strings.Join(code, "; "))}, true
	case module == "tqdm.notebook" || module == "tqdm._tqdm_notebook" || module == "tqdm":
		var to []string
		changed := module != "tqdm"
		for _, name := range names {
			as := name.as
			switch name.name {
			case "tqdm_notebook", "tnrange":
				changed = true
				if as == "" {
					as = name.name
				}
				name.name = map[string]string{"tqdm_notebook": "tqdm", "tnrange": "trange"}[name.name]
			}
			if as != "" {
				name.name += " as " + as
			}
			to = append(to, name.name)
		}
		if !changed {
			return nil, false
		}
		return []edit{over(n, "from tqdm import "+strings.Join(to, ", "))}, true
	}
	return nil, false
}

// fromDisplay is the code that gives the names of IPython's modules.
func (s *scripting) fromDisplay(module string, names []importedName) string {
	var code []string
	for _, name := range names {
		as := name.as
		if as == "" {
			as = name.name
		}
		switch name.name {
		case "get_ipython":
			s.used["get_ipython"] = true
			if as != name.name {
				code = append(code, as+" = get_ipython")
			}
		case "InteractiveShell":
			// what is set of it is read when the script is made
		case "display":
			switch {
			case module == "IPython":
				s.used["rich"] = true
				code = append(code, as+" = _metaml_display(\"*\")")
			case as == "display":
				s.used["display"] = true
			default:
				s.used["display"] = true
				code = append(code, as+" = display")
			}
		case "*":
			s.used["rich"] = true
			code = append(code, "globals().update(vars(_metaml_display(\"*\")))")
		default:
			s.used["rich"] = true
			code = append(code, as+" = _metaml_display("+quoted(name.name)+")")
		}
	}
	if len(code) == 0 {
		return "pass"
	}
	return strings.Join(code, "; ")
}

// importedModules replaces `import IPython` and the like.
func (s *scripting) importedModules(n *syntax.Node, names []importedName) ([]edit, bool) {
	changed := false
	var code, rest []string
	for _, name := range names {
		switch {
		case name.name == "IPython" || slices.Contains(fromIPython, name.name):
			changed = true
			s.used["rich"], s.used["get_ipython"] = true, true
			whole := "__import__('types').SimpleNamespace(display=_metaml_display(\"*\"), get_ipython=get_ipython)"
			switch {
			case name.as != "" && name.name == "IPython":
				code = append(code, name.as+" = "+whole)
			case name.as != "":
				code = append(code, name.as+" = _metaml_display(\"*\")")
			default:
				code = append(code, "IPython = "+whole)
			}
		case name.name == "tqdm.notebook":
			changed = true
			as := ""
			if name.as != "" {
				as = " as " + name.as
			}
			rest = append(rest, "tqdm"+as)
		case name.as != "":
			rest = append(rest, name.name+" as "+name.as)
		default:
			rest = append(rest, name.name)
		}
	}
	if !changed {
		return nil, false
	}
	if len(rest) > 0 {
		code = append(code, "import "+strings.Join(rest, ", "))
	}
	return []edit{over(n, strings.Join(code, "; "))}, true
}
