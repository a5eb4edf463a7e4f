package slicer

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// summary is what executing a piece of code may do to the names of the top level.
type summary struct {
	changes   map[string]bool // names whose objects it may change
	inside    map[string]bool // those of them that may hold something which it changes
	params    map[string]bool // parameters of the function whose arguments it may change
	binds     map[string]bool // names that it may bind by `global`
	modules   map[string]bool // modules whose settings it changes
	reads     map[string]bool // names that the functions it calls read
	contained []containment   // what the changed objects may hold from now on
	observed  []containment   // what they may look at later, but do not change
	stores    bool            // it puts one object into another
}

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
		return len(path) > 1 && path[0] == "environ" && isSetting(name)
	case "sys":
		return strings.HasPrefix(name, "set") ||
			len(path) > 1 && (path[0] == "path" || path[0] == "meta_path" || path[0] == "modules") && isSetting(name)
	}
	return isSetting(name)
}

func newSummary() *summary {
	return &summary{
		changes: map[string]bool{}, inside: map[string]bool{}, params: map[string]bool{}, binds: map[string]bool{},
		modules: map[string]bool{}, reads: map[string]bool{},
	}
}

// sorted gives the names of a set in order: what is kept must not depend on chance.
func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// merge adds what a part of the code does.
func (s *summary) merge(o *summary) {
	s.stores = s.stores || o.stores
	for _, p := range []struct{ to, from map[string]bool }{
		{s.changes, o.changes},
		{s.inside, o.inside},
		{s.params, o.params},
		{s.binds, o.binds},
		{s.modules, o.modules},
		{s.reads, o.reads},
	} {
		for n := range p.from {
			p.to[n] = true
		}
	}
}

// summarize says what effects do at a time.
func (w *work) summarize(changes *[]ref, e *effects, time int, fn *function) *summary {
	s := newSummary()
	s.stores = len(e.contained) > 0
	part := s
	add := func(refs []ref) {
		for _, r := range refs {
			switch {
			case r.param && fn != nil:
				part.params[r.name] = true
			case !r.param && (!r.derived || w.importOf(r.name, time) == nil):
				part.changes[r.name] = true
				if !r.flat {
					part.inside[r.name] = true
				}
			}
		}
	}
	add(*changes)
	for _, r := range *changes {
		if !r.param && !r.derived {
			if m := w.moduleOf(r.name, time); m != "" {
				s.modules[m] = true
			}
		}
	}
	for _, g := range e.globals {
		s.binds[g] = true
	}
	for i := range e.calls {
		c := &e.calls[i]
		part = newSummary()
		w.effect(c, time, part, add)
		// What a call changes may hold what it was given, and what the functions that it runs read.
		if fn == nil && len(part.changes) > 0 {
			var contents []ref
			for _, a := range c.args {
				contents = append(contents, a.refs...)
			}
			for _, n := range sorted(part.reads) {
				contents = append(contents, ref{name: n})
			}
			for _, n := range sorted(part.changes) {
				switch {
				case len(contents) == 0 || w.importOf(n, time) != nil:
				case part.stores:
					s.contained = append(s.contained, containment{ref{name: n}, contents})
				default:
					s.observed = append(s.observed, containment{ref{name: n}, contents})
				}
			}
		}
		s.merge(part)
	}
	return s
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
	vs, _ := w.at(name, time)
	for _, v := range vs {
		if v.bind != nil && v.bind.imp != nil {
			return v.bind.imp
		}
	}
	return nil
}

// effect adds what a call does.
func (w *work) effect(c *call, time int, s *summary, add func([]ref)) {
	method := ""
	if len(c.path) > 0 {
		method = c.path[len(c.path)-1]
	}
	if c.callee == "__import__" {
		s.modules["os"] = true
		return
	}
	var imp *imported
	var values []*value
	if c.plain {
		imp = w.importOf(c.callee, time)
		values, _ = w.at(c.callee, time)
		if len(values) == 0 && time < len(w.stmts) {
			values = w.ahead(c.callee)
		}
	}
	for _, a := range c.args {
		if a.key == "out" {
			add(a.refs)
		}
	}
	if imp != nil {
		w.moduleCall(c, imp, method, s, add)
		return
	}
	if method == "" {
		w.plainCall(c, values, time, s, add)
		return
	}
	if c.inplace {
		add(c.obj)
		return
	}
	s.stores = s.stores || storing[method] && len(c.args) > 0 && len(c.obj) > 0
	// A method of a class of the session: its code says what it does.
	if fns := w.methods(c, values, method); len(fns) > 0 {
		for _, f := range fns {
			w.apply(f, append([]arg{{refs: c.obj}}, c.args...), time, s, add)
		}
		return
	}
	if fresh[method] && !c.inplace {
		return
	}
	switch method {
	case "items", "values", "get", "parameters", "named_parameters", "children", "modules", "layers", "get_layer",
		"keys", "iterrows", "itertuples",
		"ravel", "reshape", "squeeze", "unsqueeze", "transpose", "swapaxes", "flatten", "permute", "expand", "repeat":
		return
	case "append", "appendleft", "extend", "extendleft", "insert", "add", "setdefault":
		if len(c.path) == 1 && c.callee != "" {
			add(flatly(c.obj))
			return
		}
	}
	add(c.obj)
	if changing[method] && len(c.args) > 0 {
		add(c.args[0].refs)
	}
	lower := strings.ToLower(c.callee)
	if strings.Contains(lower, "trainer") || strings.Contains(lower, "runner") || strings.Contains(lower, "engine") ||
		strings.Contains(lower, "accelerator") {
		for _, a := range c.args {
			add(a.refs)
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
func (w *work) moduleCall(c *call, imp *imported, method string, s *summary, add func([]ref)) {
	name := method
	if name == "" {
		name = imp.name
	}
	top, _, _ := strings.Cut(imp.module, ".")
	if changing[name] && len(c.args) > 0 {
		add(c.args[0].refs)
	}
	if !c.discarded || strings.HasPrefix(imp.module, ".") {
		if imp.name != "" && method != "" && !fresh[method] && !isClassName(imp.name) && c.discarded {
			add(c.obj)
		}
		if isSetting(name) && name != "update" && name != "append" && name != "init" && name != "use" {
			s.modules[top] = true
		}
		return
	}
	if processWide(top, c, imp, name) {
		s.modules[top] = true
		if imp.name != "" {
			add(c.obj)
		}
		return
	}
	if showing[name] || looking[top] || fresh[name] || looksOnly(imp.module, c.path) {
		return
	}
	if c.shown && !changing[name] {
		return
	}
	for _, a := range c.args {
		add(a.refs)
	}
	if !standard[top] {
		s.modules[top] = true
	}
	if imp.name != "" && method != "" {
		add(c.obj)
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

// plainCall is a call of a name.
func (w *work) plainCall(c *call, values []*value, time int, s *summary, add func([]ref)) {
	known := false
	for _, v := range values {
		if v.bind == nil {
			continue
		}
		switch {
		case v.bind.fn != nil:
			known = true
			w.apply(v.bind.fn, c.args, time, s, add)
		case v.bind.class != nil:
			known = true
			if f := w.method(v.bind.class, "__init__", time, 0); f != nil {
				stores := s.stores
				w.apply(f, append([]arg{{}}, c.args...), time, s, add)
				s.stores = stores // into the new object
			}
		}
	}
	if known {
		return
	}
	if changing[c.callee] {
		s.stores = s.stores || len(c.args) > 1
		if len(c.args) > 0 {
			add(c.args[0].refs)
		}
		return
	}
	if len(values) == 0 && c.plain && builtins[c.callee] || showing[c.callee] {
		return
	}
	if !c.discarded || c.shown {
		return
	}
	// Something whose code is not known is called for what it does.
	add(c.root)
	for _, a := range c.args {
		add(a.refs)
	}
}

// methods finds the code of a method by the class of the object, where that is a class of the session.
func (w *work) methods(c *call, values []*value, method string) []*function {
	var out []*function
	if len(c.path) != 1 {
		return nil
	}
	for _, v := range values {
		cl := w.classOf(v)
		if cl == nil {
			return nil
		}
		f := w.method(cl, method, len(w.stmts), 0)
		if f == nil {
			return nil
		}
		out = append(out, f)
	}
	return out
}

// classOf gives the class of the session that a value was made of: x = Class(…).
func (w *work) classOf(v *value) *class {
	if v.stmt == nil || v.stmt.node == nil || v.bind == nil || len(v.stmt.binds) > 1 {
		return nil
	}
	if len(v.stmt.e.calls) == 0 {
		return nil
	}
	assign := v.stmt.node.Of("assignment")
	if assign == nil {
		return nil
	}
	right := assign.Child("right")
	if right == nil || right.Kind != "call" {
		return nil
	}
	f := right.Child("function")
	if f == nil || f.Kind != "identifier" {
		return nil
	}
	vs, _ := w.at(f.Text(), v.stmt.time)
	if len(vs) == 1 && vs[0].bind != nil {
		return vs[0].bind.class
	}
	return nil
}

func (w *work) method(c *class, name string, time, depth int) *function {
	if f := c.methods[name]; f != nil || depth > 20 {
		return f
	}
	for _, b := range c.bases {
		vs, _ := w.at(b, time)
		for _, v := range vs {
			if v.bind != nil && v.bind.class != nil && v.bind.class != c {
				if f := w.method(v.bind.class, name, time, depth+1); f != nil {
					return f
				}
			}
		}
	}
	return nil
}

// apply adds what calling a function of the session does, with the arguments in the place of its parameters.
func (w *work) apply(f *function, args []arg, time int, s *summary, add func([]ref)) {
	sum := w.summaries[f]
	if sum == nil {
		if f.busy {
			return
		}
		f.busy = true
		sum = w.summarize(&f.e.changes, &f.e, time, f)
		f.busy = false
		w.summaries[f] = sum
	}
	for n := range sum.changes {
		s.changes[n] = true
	}
	for n := range sum.inside {
		s.inside[n] = true
	}
	for n := range sum.binds {
		s.binds[n] = true
	}
	for n := range sum.modules {
		s.modules[n] = true
	}
	for n := range sum.reads {
		s.reads[n] = true
	}
	s.stores = s.stores || sum.stores
	for _, u := range f.e.uses {
		s.reads[u.name] = true
	}
	if len(sum.params) == 0 {
		return
	}
	for i, a := range args {
		name := a.key
		switch {
		case a.key == "*" || a.key == "**":
			add(a.refs)
			continue
		case name == "" && i < len(f.params):
			name = f.params[i]
		case name == "":
			name = f.vararg
		case !slices.Contains(f.params, name):
			name = f.kwarg
		}
		if sum.params[name] {
			add(a.refs)
		}
	}
}
