package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// moduleRef begins the name of a [ref] that is a module itself, whatever it is bound to: what import_module("x"),
// sys.modules["x"] and an import inside of a function give.
const moduleRef = "import "

// related are modules whose settings another one uses.
var related = map[string][]string{
	"keras": {"tensorflow", "torch", "jax", "PIL"}, "tf_keras": {"tensorflow"}, "tensorflow": {"keras", "PIL"},
	"lightning": {"torch"}, "pytorch_lightning": {"torch"}, "lightning_fabric": {"torch"}, "ignite": {"torch"},
	"torchvision": {"torch", "PIL"}, "torchaudio": {"torch"}, "transformers": {"torch", "tensorflow", "PIL"},
	"sentence_transformers": {"torch", "transformers"}, "peft": {"torch", "transformers"},
	"trl":    {"torch", "transformers"},
	"fastai": {"torch", "PIL"}, "timm": {"torch", "PIL"}, "accelerate": {"torch"}, "diffusers": {"torch", "PIL"},
	"ultralytics": {"torch", "PIL"}, "torch_geometric": {"torch"}, "torchmetrics": {"torch"},
	"skorch": {"torch", "sklearn"}, "datasets": {"PIL"}, "skimage": {"PIL"}, "imageio": {"PIL"},
	"albumentations":         {"cv2"},
	"tensorflow_probability": {"tensorflow"}, "tensorflow_datasets": {"tensorflow"}, "flax": {"jax"}, "optax": {"jax"},
	"haiku": {"jax"}, "equinox": {"jax"}, "numpyro": {"jax"},
	"imblearn": {"sklearn"}, "sklearn_pandas": {"sklearn", "pandas"}, "category_encoders": {"sklearn", "pandas"},
	"feature_engine": {"sklearn", "pandas"}, "mlxtend": {"sklearn"},
	"geopandas": {"pandas", "shapely"}, "seaborn": {"matplotlib", "pandas"}, "modin": {"pandas"}, "dask": {"pandas"},
	"statsmodels": {"pandas"}, "xarray": {"pandas"},
}

// environments are functions that set variables of the environment.
var environments = map[string]bool{
	"dotenv.load_dotenv": true, "dotenv.main.load_dotenv": true, "environs.env.read_env": true,
	"environ.Env.read_env": true, "environs.Env.read_env": true,
}

// settings keeps what sets up the process and the modules that the program imports: by its statements, also inside of
// functions, and by the local modules that come along. A statement that they bring may import more.
func (w *work) settings() {
	for n := -1; n != len(w.kept); {
		n = len(w.kept)
		for _, m := range []string{
			process, "os", "sys", "warnings", "logging", "locale", "multiprocessing", "signal",
			"decimal",
		} {
			w.needModule(m, "the process")
		}
		third := false
		imported := w.imported()
		for _, m := range imported {
			third = third || !standard.has(m)
			w.needModule(m, "the program")
			for _, r := range related[m] {
				w.needModule(r, m)
			}
		}
		if third {
			w.needModule("numpy", "the libraries")
			w.needModule("random", "the libraries")
		}
		w.needFiles()
		w.future()
		w.forEffect(imported)
		w.streams()
		w.figures()
	}
}

func (w *work) needModule(name, user string) {
	m := w.modules[name]
	if m == nil {
		return
	}
	for _, e := range m.mutations {
		if _, kept := w.kept[e.stmt]; !kept && !e.stmt.skip && !w.answered(e.stmt) {
			why := "sets up " + name + " for " + user
			if name == process {
				why = "sets up the process"
			}
			w.include(e.stmt, why)
		}
	}
}

// imported gives the top-level modules that the kept statements import, and those that these import where they are
// local.
func (w *work) imported() []string {
	p := newPacker(w)
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; ok {
			p.addAll(s.e.imports)
		}
	}
	for _, g := range w.generated {
		p.addAll(g.imp)
	}
	for name := range p.files {
		p.imports[topOf(name)] = true
	}
	return sorted(p.imports)
}

// importedBefore is the last statement before a time that imports a module.
func (w *work) importedBefore(module string, time int) *stmt {
	for i := time - 1; i >= 0; i-- {
		if slices.ContainsFunc(w.stmts[i].e.imports, func(imp imported) bool {
			return imp.module == module || strings.HasPrefix(imp.module, module+".") ||
				imp.module+"."+imp.name == module
		}) && !isDefinition(w.stmts[i].node) {
			return w.stmts[i]
		}
	}
	return nil
}

// fullName is the name of what is called in what was imported: "numpy.random.seed".
func (imp *imported) fullName(path []string) string {
	name := imp.module
	switch {
	case imp.name != "":
		name += "." + imp.name
	case imp.whole:
		name = topOf(name)
	}
	return strings.Join(append([]string{name}, path...), ".")
}

// setByLocal gives the modules that a function of a local module sets up.
func (w *work) setByLocal(name string) []string {
	if !strings.Contains(name, ".") || IsStandard(name) {
		return nil
	}
	def, m := w.localFunction(name, 0)
	if def == nil {
		return nil
	}
	out := map[string]bool{}
	w.setBy(def.Child("body"), m, out, map[*syntax.Node]bool{def: true})
	return sorted(out)
}

// localFunction finds the function or method of a local module that a full name means, also where the module has
// imported it from another, and the module that it is in. Of a class it is the method that makes an object.
func (w *work) localFunction(full string, depth int) (*syntax.Node, *moduleCode) {
	if depth > 8 || !w.finder().local(topOf(full)) {
		return nil, nil
	}
	parts := strings.Split(full, ".")
	for i := len(parts) - 1; i > 0; i-- {
		m := w.localCode(strings.Join(parts[:i], "."))
		if m == nil {
			continue
		}
		name, rest := parts[i], parts[i+1:]
		switch {
		case m.functions[name] != nil && len(rest) == 0:
			return m.functions[name], m
		case m.classes[name] != nil && len(rest) < 2:
			method := "__init__"
			if len(rest) > 0 {
				method = rest[0]
			}
			return methodOf(m.classes[name], method), m
		case m.imports[name] != nil:
			to := m.imports[name].imp.fullName(rest)
			if strings.HasPrefix(to, ".") {
				to = w.finder().absolute(to, m.name)
			}
			return w.localFunction(to, depth+1)
		}
		for _, star := range m.stars {
			if strings.HasPrefix(star, ".") {
				star = w.finder().absolute(star, m.name)
			}
			there := strings.Join(append([]string{star}, parts[i:]...), ".")
			if def, of := w.localFunction(there, depth+1); def != nil {
				return def, of
			}
		}
	}
	return nil, nil
}

// methodOf gives a method that a class defines itself.
func methodOf(class *syntax.Node, name string) *syntax.Node {
	body := class.Child("body")
	if body == nil {
		return nil
	}
	for _, c := range body.Children {
		if c.Kind == "decorated_definition" {
			c = c.Child("definition")
		}
		if c != nil && c.Kind == "function_definition" && c.Child("name") != nil && c.Child("name").Text() == name {
			return c
		}
	}
	return nil
}

// setByImport gives the modules that local modules set up when they are imported.
func (w *work) setByImport(imports []imported) []string {
	out, seen := map[string]bool{}, map[*syntax.Node]bool{}
	for _, imp := range imports {
		if !IsStandard(imp.module) {
			w.setAtImport(imp, "", out, seen)
		}
	}
	return sorted(out)
}

func (w *work) setAtImport(imp imported, from string, out map[string]bool, seen map[*syntax.Node]bool) {
	module := imp.module
	if strings.HasPrefix(module, ".") {
		module = w.finder().absolute(module, from)
	}
	parts := strings.Split(module, ".")
	var names []string
	for i := range parts {
		names = append(names, strings.Join(parts[:i+1], "."))
	}
	if imp.name != "" && imp.name != "*" {
		names = append(names, module+"."+imp.name)
	}
	for _, name := range names {
		m := w.localCode(name)
		if m == nil || seen[m.root] {
			continue
		}
		seen[m.root] = true
		for _, c := range m.root.Children {
			if isDefinition(c) {
				w.setByDefinition(c, m, out)
				continue
			}
			w.setBy(c, m, out, seen)
			if call := c.Of("call"); c.Kind == "expression_statement" && call != nil {
				w.setByDefinition(&syntax.Node{Children: []*syntax.Node{{
					Kind: "decorator", Children: []*syntax.Node{call},
				}}}, m, out)
			}
			c.Walk(func(n *syntax.Node) bool {
				switch n.Kind {
				case "import_statement", "import_from_statement":
					for _, b := range importBinds(n) {
						if !IsStandard(b.imp.module) {
							w.setAtImport(*b.imp, name, out, seen)
						}
					}
				}
				return !isDefinition(n)
			})
		}
	}
}

// setBy collects the modules that a piece of a local module's code sets up, with the functions that it calls.
func (w *work) setBy(n *syntax.Node, m *moduleCode, out map[string]bool, seen map[*syntax.Node]bool) {
	if n == nil {
		return
	}
	own, _ := localsOf(n)
	imports := under(m.imports, own)
	set := func(target *syntax.Node) {
		if target == nil || target.Kind != "attribute" && target.Kind != "subscript" {
			return
		}
		for target != nil && target.Kind != "identifier" {
			if o := target.Child("object"); o != nil {
				target = o
			} else {
				target = target.Child("value")
			}
		}
		if target != nil && imports[target.Text()] != nil {
			w.sets(topOf(imports[target.Text()].imp.module), out)
		}
	}
	n.Walk(func(c *syntax.Node) bool {
		switch c.Kind {
		case "function_definition", "class_definition":
			return false
		case "assignment", "augmented_assignment":
			set(c.Child("left"))
		case "call":
			f := c.Child("function")
			name := nameIn(f)
			def, of := w.localFunction(m.name+"."+name, 0)
			if imp := imports[topOf(name)]; name != "" && imp != nil {
				_, rest, dotted := strings.Cut(name, ".")
				var path []string
				if dotted {
					path = strings.Split(rest, ".")
				}
				full := imp.imp.fullName(path)
				if strings.HasPrefix(full, ".") {
					full = w.finder().absolute(full, m.name)
				}
				w.setByCall(full, out)
				def, of = w.localFunction(full, 0)
			}
			if def != nil && !seen[def] {
				seen[def] = true
				w.setBy(def.Child("body"), of, out, seen)
			}
		}
		return true
	})
}

// nameIn is a name with the attributes behind it, as it is written.
func nameIn(n *syntax.Node) string {
	if n == nil {
		return ""
	}
	switch n.Kind {
	case "identifier":
		return n.Text()
	case "attribute":
		if o := nameIn(n.Child("object")); o != "" && n.Child("attribute") != nil {
			return o + "." + n.Child("attribute").Text()
		}
	}
	return ""
}

// setByCall adds the modules that a call of an imported function sets up, by its name.
func (w *work) setByCall(full string, out map[string]bool) {
	for _, lib := range seeding[full] {
		w.sets(lib, out)
	}
	if environments[full] {
		w.sets("os", out)
	}
	path := strings.Split(full, ".")
	last := path[len(path)-1]
	c := &call{path: path[1:]}
	switch {
	case len(path) < 2:
	case path[0] == "os" || path[0] == "sys":
		if last != "makedirs" && last != "mkdir" && processWide(path[0], c, &imported{module: path[0]}, last) {
			w.sets(path[0], out)
		}
	case !slices.Contains([]string{
		"append", "extend", "insert", "remove", "update", "clear", "init", "setdefault", "download", "install", "patch",
	}, last) && isSetting(last):
		w.sets(path[0], out)
	}
}

// sets notes that local code sets up a module. That it does so to warnings and logging is no reason to import it.
func (w *work) sets(top string, out map[string]bool) {
	if top != "" && top != "warnings" && top != "logging" {
		out[top] = true
	}
}
