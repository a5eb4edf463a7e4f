package slicer

import (
	"slices"
	"strings"
	"unicode"
)

// This file finds what a call does: of a module, of a name, of a method.

// settings are functions of modules that change the module or the process, whatever they are called with.
func isSetting(name string) bool {
	switch name {
	case "seed", "use", "filterwarnings", "simplefilter", "basicConfig", "insert", "append", "extend", "remove",
		"update", "setdefault", "config",
		"configure", "init", "chdir", "makedirs", "mkdir", "setlocale", "putenv", "unsetenv", "umask", "download",
		"login", "setLevel", "addHandler",
		"disable", "enable", "captureWarnings", "manual_seed", "manual_seed_all", "seed_everything", "load_dotenv",
		"run_functions_eagerly", "rc", "clear",
		"resetwarnings", "install", "patch", "patch_sklearn", "syspath", "addsitedir",
		"experimental_run_functions_eagerly", "clear_session", "style":
		return true
	}
	return strings.HasPrefix(name, "set") || strings.HasPrefix(name, "enable_") ||
		strings.HasPrefix(name, "disable_") ||
		strings.HasPrefix(name, "register") || strings.HasPrefix(name, "add_") || strings.HasPrefix(name, "seed") ||
		strings.HasSuffix(name, "_seed")
}

// setsUp says that a function of a module is called for what it does from then on, although its result, mostly nothing,
// would be shown: mlflow.autolog() at the end of a cell.
func setsUp(name string) bool {
	for _, verb := range settingVerbs {
		rest, found := strings.CutPrefix(name, verb)
		if found && (rest == "" || rest[0] == '_' || unicode.IsUpper(rune(rest[0]))) {
			return true
		}
	}
	return false
}

// settingVerbs are what the names of such functions begin with.
var settingVerbs = strings.Fields(`
	autolog start initialize activate deactivate inject patch unpatch monkey_patch monkeypatch use allow suppress ignore
	silence mute reset restore instrument optimize accelerate turn_on turn_off enable disable setup init install
	uninstall bind clear switch prefer require configure parse_config load_userdict
`)

// otherSettings are functions of Python's own modules that set up the module or the process and whose names do not say
// it.
var otherSettings = map[string]bool{
	"csv.field_size_limit": true, "threading.stack_size": true, "time.tzset": true,
	"signal.signal": true, "signal.alarm": true, "signal.siginterrupt": true, "tracemalloc.start": true,
	"logging.addLevelName": true, "gettext.textdomain": true, "locale.textdomain": true, "gc.freeze": true,
}

// processWide says that a function of a module changes settings. Of os and sys only some do: os.remove is no setting.
func processWide(top string, c *call, imp *imported, name string) bool {
	path := c.path
	if imp.name != "" {
		path = append([]string{imp.name}, path...)
	}
	switch top {
	case "os":
		switch name {
		case "putenv", "unsetenv", "chdir", "umask", "makedirs", "mkdir":
			return true
		}
		return len(path) > 1 && path[0] == "environ" && (isSetting(name) || name == "pop" || name == "popitem")
	case "sys":
		return strings.HasPrefix(name, "set") ||
			len(path) > 1 && (path[0] == "path" || path[0] == "meta_path" || path[0] == "modules") && isSetting(name)
	}
	return isSetting(name) || setsUp(name) && !looksOnly(imp.module, c.path) || otherSettings[imp.fullName(c.path)]
}

// moduleOf gives the module that a name is bound to, or taken from.
func (w *work) moduleOf(name string, time int) string {
	imp := w.importOf(name, time)
	if imp == nil || strings.HasPrefix(imp.module, ".") {
		return ""
	}
	top, _, _ := strings.Cut(imp.module, ".")
	return top
}

func (w *work) importOf(name string, time int) *imported {
	if module, ok := strings.CutPrefix(name, moduleRef); ok {
		return &imported{module: module}
	}
	vs, _ := w.at(name, time)
	for _, v := range vs {
		if v.bind != nil && v.bind.imp != nil {
			return v.bind.imp
		}
	}
	return nil
}

// effect adds what a call does.
func (w *work) effect(c *call, time int, s *summary, add *adding) {
	method := ""
	if len(c.path) > 0 {
		method = c.path[len(c.path)-1]
	}
	if c.callee == "__import__" && len(c.path) == 0 {
		if c.module == "" || c.module == "os" {
			s.modules["os"] = true
		}
		return
	}
	imp := c.imp
	var values []*value
	if c.plain {
		imp = w.importOf(c.callee, time)
		values = w.valuesAt(c.callee, time)
	}
	at := where{time, c.sc}
	if c.load {
		w.loadEffect(c, values, method, at, s, add)
		return
	}
	w.draw(c, imp, method, at, s)
	if c.discarded && (imp == nil || imp.fullName(c.path) == "logging."+method) {
		w.logged(method, s, at, add)
	}
	var code []*function // of a method of a class of the session
	known := false
	switch {
	case imp != nil:
	case method == "":
		known = w.codeKnown(c)
	case c.above != nil:
		for _, base := range w.basesOf(c.above, len(w.stmts)) {
			if f := w.method(base, method, len(w.stmts), 0); f != nil && len(code) == 0 {
				code = []*function{f}
			}
		}
		known = len(code) > 0
	default:
		code = w.methods(c, at, method)
		known = len(code) > 0
	}
	w.argumentEffects(c, imp, method, known, at, s, add)
	if imp != nil {
		w.moduleCall(c, imp, method, s, add)
		return
	}
	if c.makesFolder(method) {
		s.modules["os"] = true
		return
	}
	if method == "" {
		w.plainCall(c, values, time, s, add)
		return
	}
	if c.inplace {
		add.refs(c.obj)
		return
	}
	s.stores = s.stores || storing.has(method) && len(c.args) > 0 && len(c.obj) > 0
	// A method of a class of the session: its code says what it does.
	if known {
		for _, f := range code {
			args := append([]arg{{refs: c.obj, node: c.recv, of: c.above}}, c.args...)
			if len(f.params) > 0 && f.params[0] != "cls" && len(values) > 0 && values[0].bind.class != nil {
				args = c.args // Class.method(object) and static methods
			}
			w.apply(f, args, at, s, add)
		}
		return
	}
	if cl := w.classThrough(c.recv, at, 0); cl != nil && w.outside(cl, at.time, 0) {
		w.fromOutside(cl, at, s, add, 0)
	}
	// list.append(l, 1), object.__setattr__(x, k, v): a method of a class is given its object
	if len(c.path) == 1 && len(values) == 0 && c.plain && builtins.has(c.callee) && len(c.args) > 0 &&
		(strings.HasPrefix(method, "__set") || strings.HasPrefix(method, "__del")) {
		add.refs(c.args[0].refs)
		return
	}
	if len(c.path) == 1 && len(values) == 0 && c.plain && builtinKinds[c.callee] != unknown {
		if len(c.args) > 0 && !fresh.has(method) && !looks[builtinKinds[c.callee]].has(method) {
			add.refs(c.args[0].refs)
		}
		return
	}
	k := w.kindAt(c.recv, at, 0)
	if k == estimator && method == "split" {
		w.drawsFromHeld(c.obj, at.time, add)
	}
	if k == unknown && c.recv != nil && c.recv.Kind == "identifier" && add.fn != nil && isParameter(c.obj) {
		p := s.param(c.obj[0].name)
		p.calls = append(p.calls, c)
		return
	}
	if k == table && len(c.path) > 1 && accessors.has(c.path[len(c.path)-2]) {
		return
	}
	switch judge(k, c, method) {
	case untouched:
		return
	case ownParts:
		add.refs(own(c.obj))
		return
	case changed:
	}
	add.refs(c.obj)
	if (k == unknown || k == object || k == foreign) && !storing.has(method) && w.classAt(c.recv, at, 0) == nil {
		w.callHeld(c.obj, at, s, add)
	}
	if changing.has(method) && len(c.args) > 0 {
		add.refs(c.args[0].refs)
	}
	lower := strings.ToLower(c.callee)
	if strings.Contains(lower, "trainer") || strings.Contains(lower, "runner") || strings.Contains(lower, "engine") ||
		strings.Contains(lower, "accelerator") {
		for _, a := range c.args {
			add.refs(a.refs)
		}
	}
	// What is put into a container is changed when the container's content is, see flow.
}

// ahead gives the last values of a name that is not bound yet: the body of a function may run later.
func (w *work) ahead(name string) []*value {
	if h := w.history[name]; len(h) > 0 {
		return h[len(h)-1].values
	}
	return nil
}

// moduleCall is a call of something that was imported.
func (w *work) moduleCall(c *call, imp *imported, method string, s *summary, add *adding) {
	name := method
	if name == "" {
		name = imp.name
	}
	top, _, _ := strings.Cut(imp.module, ".")
	full := imp.fullName(c.path)
	for _, lib := range seeding[full] {
		s.modules[lib] = true
	}
	if environments[full] {
		s.modules["os"] = true
	}
	for _, m := range w.setByLocal(full) {
		s.modules[m] = true
	}
	w.elsewhere(c, full, s)
	if (changing.has(name) || isUfunc(top, c.path)) && len(c.args) > 0 {
		add.refs(c.args[0].refs)
	}
	if n := outAt[name]; top == "numpy" && n > 0 && len(c.args) > n && c.args[n].key == "" {
		add.refs(c.args[n].refs)
	}
	if !c.discarded || strings.HasPrefix(imp.module, ".") {
		if imp.name != "" && method != "" && !fresh.has(method) && !isClassName(imp.name) && c.discarded {
			add.refs(c.obj)
		}
		if isSetting(name) && name != "update" && name != "append" && name != "init" && name != "use" {
			s.modules[top] = true
		}
		return
	}
	if processWide(top, c, imp, name) {
		s.modules[top] = true
		if imp.name != "" {
			add.refs(c.obj)
		}
		return
	}
	if drawsFrom(full) != "" || writes(name) {
		return // see draw, and argumentEffects
	}
	if showing.has(name) || looking.has(top) || fresh.has(name) || looksOnly(imp.module, c.path) {
		return
	}
	if c.shown && !changing.has(name) || strings.HasPrefix(name, "plot_") {
		return
	}
	for _, a := range c.args {
		add.refs(a.refs)
	}
	if !standard.has(top) {
		s.modules[top] = true
	}
	if imp.name != "" && method != "" {
		add.refs(c.obj)
	}
}

// looksOnly says that the functions of a module give something new and leave their arguments alone, except those named
// in the tables. What draws random numbers moves on the module's generator.
func looksOnly(module string, path []string) bool {
	top, rest, _ := strings.Cut(module, ".")
	switch top {
	case "numpy", "pandas", "scipy", "sklearn":
		return !strings.HasPrefix(rest, "random") && (len(path) == 0 || path[0] != "random")
	}
	return false
}

// isUfunc recognises numpy.add.at(a, indices, b).
func isUfunc(top string, path []string) bool {
	return top == "numpy" && len(path) > 0 && path[len(path)-1] == "at"
}

// plainCall is a call of a name.
func (w *work) plainCall(c *call, values []*value, time int, s *summary, add *adding) {
	at := where{time, c.sc}
	known := false
	for _, v := range values {
		if v.bind == nil {
			continue
		}
		switch {
		case v.bind.fn != nil:
			known = true
			w.apply(v.bind.fn, c.args, at, s, add)
			w.wrappers(c, v, at, s, add)
		case v.bind.class != nil:
			known = true
			for _, name := range w.filled(v.bind.class, time, 0) {
				add.refs([]ref{{name: name}})
			}
			stores := s.stores
			w.construct(v.bind.class, c.callee, c.args, at, s, add)
			s.stores = stores // into the new object
			w.setNames(c, at, s, add)
		default:
			known = w.objectCall(c, v, at, s, add, 0) || known
		}
	}
	if known {
		return
	}
	if c.callee == "next" && len(c.args) > 0 && c.args[0].node.Kind == "call" {
		add.refs(moved(c.args[0].refs)) // next(iter(loader))
		return
	}
	if changing.has(c.callee) {
		s.stores = s.stores || len(c.args) > 1
		if c.callee == "exec" && len(c.args) > 1 {
			add.refs(c.args[len(c.args)-1].refs) // the names that it makes
		} else if len(c.args) > 0 {
			add.refs(c.args[0].refs)
		}
		return
	}
	if c.callee == "print" && w.redirects && len(written(c)) == 0 {
		add.refs([]ref{{name: "sys"}}) // sys.stdout = buffer
	}
	if c.callee == "type" && len(c.args) == 3 && len(values) == 0 {
		for _, b := range c.args[1].refs {
			w.subclass(w.valuesAt(b.name, time), at, s, add)
		}
	}
	w.callThrough(c, at, s, add)
	if f := c.node.Child("function"); f != nil && f.Kind == "call" && lastName(f.Child("function")) == "methodcaller" {
		w.methodCalled(f, c.args, at, s, add)
		return
	}
	for _, r := range c.root {
		if r.param && add.fn != nil && r.part {
			s.param(r.name).called = true // for hook in self.hooks: hook(x)
		}
	}
	if len(values) == 0 && c.plain && builtins.has(c.callee) || showing.has(c.callee) {
		return
	}
	if len(values) == 0 && (!c.discarded || c.shown) {
		if c.callee == "" {
			add.refs(c.root) // ops["add"](5), getattr(a, "append")(2)
		}
		return
	}
	// Something whose code is not known is called, for what it does or for what it gives: it may change itself.
	add.refs(c.root)
	if !c.discarded || c.shown {
		return
	}
	for _, a := range c.args {
		add.refs(a.refs)
	}
}

// callThrough adds what the functions do that something holds which is called: handlers["a"](3), for h in hooks: h().
func (w *work) callThrough(c *call, at where, s *summary, add *adding) {
	refs := c.root
	if c.plain {
		refs = nil
		for _, b := range w.now.e.binds {
			if b.name == c.callee {
				refs = slices.Concat(refs, b.aliases, b.parts)
			}
		}
	}
	for _, r := range refs {
		if r.param {
			continue
		}
		for _, v := range w.valuesAt(r.name, at.time) {
			for u := range reach(v, held) {
				if u.bind == nil {
					continue
				}
				if u.bind.fn != nil {
					w.apply(u.bind.fn, c.args, at, s, add)
				} else if u.stmt != nil && u.stmt.node != nil && find(u.stmt.node, "lambda") != nil {
					w.apply(u.stmt.asFunction(), nil, at, s, add)
				}
			}
		}
	}
}

// callGiven adds what the objects do that a function was made of, which may call them. It says whether all is known.
func (w *work) callGiven(made *call, at where, s *summary, add *adding, depth int) bool {
	known := true
	for _, a := range made.args {
		if a.node == nil || a.node.Kind != "identifier" || depth > maxKindDepth {
			continue
		}
		for _, v := range w.valuesAt(a.node.Text(), at.time) {
			if v.bind == nil || v.bind.value == nil || v.bind.value.Kind != "call" || w.kindOf(v) != unknown {
				continue
			}
			if !w.objectCall(&call{root: a.refs, node: made.node, callee: v.name}, v, at, s, add, depth) {
				add.refs(a.refs)
				known = false
			}
		}
	}
	return known
}

// wrappers adds what the decorators of a function do when it is called.
func (w *work) wrappers(c *call, v *value, at where, s *summary, add *adding) {
	for _, name := range v.bind.wrappers {
		for _, d := range w.valuesAt(name, at.time) {
			if d.bind == nil || d.bind.fn == nil {
				continue
			}
			w.applyInner(d.bind.fn, nil, at, s, add)
			if d.bind.fn.stateful {
				add.refs(c.root)
			}
		}
	}
}

// objectCall is a call of an object. It says whether all that it does is known.
func (w *work) objectCall(c *call, v *value, at where, s *summary, add *adding, depth int) bool {
	if cl := w.classOf(v); cl != nil {
		if f := w.method(cl, "__call__", len(w.stmts), 0); f != nil {
			w.apply(f, append([]arg{{refs: c.root, node: c.node.Child("function")}}, c.args...), at, s, add)
			return true
		}
		if w.outside(cl, at.time, 0) {
			w.fromOutside(cl, at, s, add, 0)
		}
	}
	// A function that another made may do what that does: its code is in it.
	if v.stmt == nil || v.bind.value == nil || v.bind.value.Kind != "call" {
		return false
	}
	if f := v.bind.value.Child("function"); f != nil && find(f, "lambda") != nil {
		w.callGivenBy(v.stmt, s, add)
	}
	for i := range v.stmt.e.calls {
		made := &v.stmt.e.calls[i]
		if made.node != v.bind.value {
			continue
		}
		if made.plain && len(made.path) == 0 {
			for _, m := range w.valuesAt(made.callee, v.stmt.time) {
				if m.bind != nil && m.bind.fn != nil {
					w.applyInner(m.bind.fn, made.args, at, s, add)
					return w.callGiven(made, at, s, add, depth+1) && !m.bind.fn.stateful
				}
			}
		}
		if w.madeCall(made, c.args, at, s, add) {
			return true
		}
		for _, a := range made.args {
			w.callback(a, nil, slices.Concat(made.args, c.args), at, s, add) // partial(learn, vocabulary)
		}
		if name := lastName(made.node.Child("function")); callables.has(name) || isClassName(c.callee) {
			return true
		}
	}
	return false
}
