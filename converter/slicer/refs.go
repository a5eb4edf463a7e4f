package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds which names an expression may be another name of, and which objects its value may hold: what is
// written, and what the functions return that it calls.

// refs gives the names whose object an expression may be or be a part of, and those that its value may hold inside.
func (s *scanner) refs(n *syntax.Node) (aliases, parts []ref) {
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case "identifier":
		return s.resolve(n.Text()), nil
	case "attribute":
		if a := n.Child("attribute"); a != nil && a.Text() == "__class__" && s.isSelf(n.Child("object")) {
			return []ref{{name: s.current.name}}, nil
		}
		aliases, parts = s.refs(n.Child("object"))
		if a := n.Child("attribute"); a != nil {
			if a.Text() == "__class__" {
				aliases = append(aliases, classes(aliases)...)
			}
			for i, r := range aliases {
				if r.param && r.attr == "" {
					aliases[i].attr = a.Text()
				}
			}
		}
		return partly(aliases), partly(parts)
	case "subscript":
		if m := loadedModule(n); m != "" {
			return []ref{{name: moduleRef + m}}, nil
		}
		aliases, parts = s.refs(n.Child("value"))
		if v := n.Child("value"); v != nil && v.Kind != "identifier" {
			return partly(append(slices.Clone(aliases), parts...)), nil // [a, b][0] is one of them
		}
		if isSlice(n) {
			for i := range aliases {
				aliases[i].sliced = true
			}
		}
		return partly(aliases), partly(parts)
	case "parenthesized_expression", "await", "list_splat", "conditional_expression", "boolean_operator", "as_pattern",
		"list_splat_pattern":
		for _, c := range n.Children {
			x, y := s.refs(c)
			aliases, parts = append(aliases, x...), append(parts, y...)
		}
		return aliases, parts
	case "named_expression":
		aliases, parts = s.refs(n.Child("value"))
		x, _ := s.refs(n.Child("name"))
		return append(slices.Clone(aliases), x...), parts
	case "assignment":
		return s.refs(n.Child("right"))
	case "tuple", "list", "set", "dictionary", "pair", "expression_list", "pattern_list", "tuple_pattern",
		"list_pattern", "dictionary_splat":
		for _, c := range n.Children {
			x, y := s.refs(c)
			parts = append(append(parts, x...), y...)
		}
		return nil, parts
	case "list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression":
		sc, body := s.scopes[n], n.Child("body")
		scanned := sc != nil && body != nil
		if scanned { // what each element is made of: [Thread(target=found.append) for _ in range(2)]
			outer := s.sc
			s.sc = sc
			aliases, parts = s.refs(body)
			s.sc = outer
			parts = append(slices.Clone(aliases), parts...)
		}
		if !scanned || n.Kind == "generator_expression" { // which reads what it goes over when it is read
			for _, c := range n.Children {
				if c.Kind == "for_in_clause" {
					x, y := s.refs(c.Child("right"))
					parts = append(append(parts, x...), y...)
				}
			}
		}
		return nil, parts
	case "lambda":
		if p := n.Child("parameters"); p != nil {
			for _, c := range p.Children {
				x, y := s.refs(c.Child("value"))
				parts = append(append(parts, x...), y...)
			}
		}
		return nil, append(parts, s.changedBy(n)...)
	case "binary_operator": // a list of two lists has the same objects
		for _, c := range n.Children {
			x, y := s.refs(c)
			for _, r := range x {
				r.copied = true
				parts = append(parts, r)
			}
			parts = append(parts, y...)
		}
		return nil, parts
	case "call":
		known, ok := s.calls[n]
		if !ok {
			known.aliases, known.parts = s.callRefs(n)
			s.calls[n] = known // f(f(f(x))) is asked for from every level
		}
		return slices.Clone(known.aliases), slices.Clone(known.parts)
	}
	return nil, nil
}

// changedBy is what a lambda may change when it is called: lambda: found.append(1).
func (s *scanner) changedBy(n *syntax.Node) (out []ref) {
	own, body := map[string]bool{}, n.Child("body")
	if p := n.Child("parameters"); p != nil {
		for _, q := range parameters(p) {
			own[q.Name] = true
		}
	}
	if body == nil {
		return nil
	}
	body.Walk(func(c *syntax.Node) bool {
		f := c.Child("function")
		if c.Kind != "call" || f == nil || f.Kind != "attribute" {
			return true
		}
		root, name := rootOf(f), lastName(f)
		if root.Kind == "identifier" && !own[root.Text()] &&
			(storing.has(name) || !fresh.has(name) && !parting.has(name)) {
			x, _ := s.refs(f.Child("object"))
			out = append(out, loosely(slices.Clone(x), "partial")...)
		}
		return len(out) < maxAliases
	})
	return out
}

// isSelf says that an expression is the object whose method is scanned.
func (s *scanner) isSelf(n *syntax.Node) bool {
	return n != nil && n.Kind == "identifier" && s.current != nil && s.fn != nil && len(s.fn.params) > 0 &&
		n.Text() == s.fn.params[0]
}

// callRefs says what the result of a call may be or hold.
func (s *scanner) callRefs(n *syntax.Node) (aliases, parts []ref) {
	f, args := n.Child("function"), n.Child("arguments")
	if f == nil {
		return nil, nil
	}
	var given []arg // the arguments, once they are asked for: they may be calls themselves
	asked := false
	arguments := func() []arg {
		if !asked {
			given, asked = s.arguments(args), true
		}
		return given
	}
	inside := func() (out []ref) {
		for _, a := range arguments() {
			out = append(out, a.refs...)
		}
		if args != nil && args.Kind == "generator_expression" {
			x, y := s.refs(args)
			out = append(append(out, x...), y...)
		}
		return out[:min(len(out), maxAliases)]
	}
	name := f.Text()
	method := false
	if f.Kind == "attribute" {
		method = true
		if a := f.Child("attribute"); a != nil {
			name = a.Text()
		}
	}
	if m := importedBy(n); m != "" {
		return []ref{{name: moduleRef + m}}, nil
	}
	switch {
	case name == "deepcopy" || !method && name == "clone":
		return nil, nil
	case name == "copy" && (!method || len(arguments()) == 0 || f.Child("object").Text() == "copy"):
		parts = inside()
		if len(arguments()) == 0 && method {
			parts, _ = s.refs(f.Child("object"))
		}
		parts = slices.Clone(parts)
		for i := range parts {
			parts[i].copied = true
		}
		return nil, parts
	case f.Kind == "parenthesized_expression" && f.Of("lambda") != nil:
		aliases, parts = s.refs(f.Of("lambda").Child("body"))
		return aliases, append(slices.Clone(parts), loosely(inside(), "")...)
	case f.Kind == "call" || f.Kind == "subscript": // what a function made is called
		aliases, _ = s.refs(f)
		return nil, append(loosely(slices.Clone(aliases), ""), loosely(inside(), "")...)
	case !method && name == "type" && args != nil && len(args.Children) == 1 && s.isSelf(args.Children[0]):
		return append(inside(), ref{name: s.current.name}), nil
	case !method && plainViews.has(name):
		aliases = inside()
		if name == "type" {
			aliases = append(aliases, classes(aliases)...)
		}
		return aliases, nil
	case (name == "sample" || name == "choices") && len(arguments()) > 0 && arguments()[0].key == "":
		return nil, slices.Clone(arguments()[0].refs) // random.sample(objects, 2)
	case name == "replace" && method && len(arguments()) > 0 && givesCopies.has(f.Child("object").Text()):
		parts = slices.Clone(arguments()[0].refs)
		for i := range parts {
			parts[i].copied = true
		}
		return nil, parts
	case !method && name == "super" && s.fn != nil && len(s.fn.params) > 0:
		return s.resolve(s.fn.params[0]), nil
	case method && f.Child("object").Kind == "attribute" && plotting.has(lastName(f.Child("object"))):
		return nil, nil // scores.plot.kde() gives axes
	case method && views.has(name):
		x, y := s.refs(f.Child("object"))
		aliases = slices.Clone(x)
		if givesItems.has(name) {
			aliases = partly(aliases)
		}
		if !looksLikeValue(name) {
			aliases = append(aliases, inside()...)
		}
		return aliases, y
	case method && fresh.has(name) && !sharing.has(name):
		for _, r := range first(s.refs(f.Child("object"))) {
			if !r.param && r.result == nil && !r.loose {
				r.called, r.part, r.derived = name, true, true
				aliases = append(aliases, r)
			}
		}
		return aliases, nil
	case views.has(name) && !looksLikeValue(name):
		aliases = inside()
		for _, r := range s.resolve(name) { // it may be a function of the session by that name
			if !r.param && !builtins.has(name) {
				r.result = &result{args: arguments()}
				aliases = append(aliases, r)
			}
		}
		return aliases, nil
	case containers.has(name):
		parts = inside()
		if name == "concat" { // of tables it is a new one
			parts = slices.Clone(parts)
			for i := range parts {
				parts[i].copied = true
			}
		}
		return nil, parts
	case isClassName(name):
		parts = loosely(inside(), name)
		if !method {
			for _, r := range s.resolve(name) {
				if !r.param {
					r.result = &result{}
					parts = append(parts, r) // what all objects of the class share
				}
			}
		}
		return nil, parts
	case method:
		x, y := s.refs(f.Child("object"))
		aliases = slices.Clone(x)
		state := givesState(name, args)
		for i := range aliases {
			aliases[i].derived = aliases[i].derived || !state
		}
		if holds(name) || takesIn(name) {
			parts = loosely(inside(), name) // learn = Learner(model).add_cb(recorder)
		}
		return aliases, append(slices.Clone(y), parts...)
	case f.Kind == "identifier" && !builtins.has(name):
		// An object that is called, or a function: what it gives may hold what it was given.
		parts = loosely(inside(), name)
		for _, r := range s.resolve(name) {
			if !r.param {
				r.result = &result{args: arguments()}
				aliases = append(aliases, r)
			}
		}
		return aliases, parts
	}
	return nil, nil
}

// looksLikeValue says that what a method of the name gives is of its object, and of no argument: model.fit(x).
func looksLikeValue(method string) bool {
	switch method {
	case "get", "pop", "setdefault", "map", "filter", "vmap", "jit", "partial", "as_tensor", "asarray",
		"ascontiguousarray", "atleast_1d", "atleast_2d", "from_numpy", "iter", "zip", "enumerate", "reversed", "next",
		"reduce", "choice", "getitem", "cast", "proxy", "tqdm", "closing", "nullcontext", "SubElement":
		return false
	}
	return true
}

// sharing are methods that leave their object alone, and give a part of it or something that shares its memory.
var sharing = words("find state_dict numpy detach to_numpy")

// givesItems are methods that give one of the things that their object holds.
var givesItems = words("get pop popitem popleft setdefault")

// givesCopies are modules whose replace() gives a copy of an object, which has the same objects inside.
var givesCopies = words("dataclasses copy")

// takesIn says that a method puts what it is given into its object, by its name.
func takesIn(method string) bool {
	for _, start := range []string{"add_", "register", "attach", "with_", "set_", "subscribe", "connect"} {
		if strings.HasPrefix(method, start) {
			return true
		}
	}
	return storing.has(method)
}

// classes gives references to the classes of objects of the top level.
func classes(refs []ref) []ref {
	var out []ref
	for _, r := range refs {
		if !r.param && r.result == nil && !r.part {
			out = append(out, ref{name: r.name, class: true})
		}
	}
	return out
}

// isSlice says that an expression is x[a:b].
func isSlice(n *syntax.Node) bool {
	return n != nil && n.Kind == "subscript" && n.Child("subscript") != nil && n.Child("subscript").Kind == "slice"
}

func first(aliases, _ []ref) []ref { return aliases }

// caches are decorators of functions that give the same object again.
var caches = words("cache lru_cache cached memoize singleton cache_resource")

// givesState says that a function gives something that its module keeps, by its name and arguments: getcontext(),
// getLogger("x"), current_session().
func givesState(name string, args *syntax.Node) bool {
	if args != nil {
		for _, a := range args.Children {
			if a.Kind != "string" && a.Kind != "comment" {
				return false
			}
		}
	}
	lower := strings.ToLower(name)
	for _, word := range []string{"data", "dummies", "weights", "corpus", "sample", "parser", "args", "time", "cwd"} {
		if strings.Contains(lower, word) {
			return false
		}
	}
	for _, start := range []string{"get", "current", "default", "active", "instance", "global"} {
		if strings.HasPrefix(lower, start) && lower != "get" {
			return true
		}
	}
	return lower == "gca" || lower == "gcf"
}

// partly says of references that a part of what they mean is spoken of.
func partly(refs []ref) []ref {
	for i := range refs {
		refs[i].part = true
	}
	return refs
}

// loosely says of what a call is given that its result may hold it.
func loosely(refs []ref, maker string) []ref {
	for i := range refs {
		refs[i].loose = true
		refs[i].maker = maker
	}
	return refs
}

func isClassName(name string) bool {
	return name != "" && name[0] >= 'A' && name[0] <= 'Z'
}

// expand gives what references to the results of calls mean: what the functions return.
func (w *work) expand(refs []ref, time, depth int) []ref {
	if !slices.ContainsFunc(refs, func(r ref) bool { return r.result != nil || r.called != "" || r.class }) {
		return refs
	}
	var out []ref
	for _, r := range refs {
		if r.class {
			for _, v := range w.valuesAt(r.name, time) {
				if cl := w.classOf(v); cl != nil {
					out = append(out, ref{name: cl.name, part: r.part, flat: r.flat})
				}
			}
			continue
		}
		if r.called != "" {
			if w.givesItself(r, time) {
				r.called = ""
				out = append(out, r)
			}
			continue
		}
		if r.result == nil {
			out = append(out, r)
			continue
		}
		if depth == 0 {
			w.expansions = maxExpansions
		}
		if w.expansions--; depth > maxKindDepth || w.expansions < 0 {
			continue
		}
		known, first := false, len(out)
		for _, v := range w.valuesAt(r.name, time) {
			if v.bind != nil && v.bind.class != nil && (v.bind.class.shares || w.givesAgain(v.bind.class)) {
				out = append(out, ref{name: r.name, part: true})
			}
			if v.bind == nil || v.bind.class != nil || isImport(v) {
				known = true // what a constructor or an import gives is noted as its arguments
				if isImport(v) && givesState(r.name, nil) && len(r.result.args) == 0 {
					out = append(out, ref{name: r.name})
				}
				continue
			}
			if fn := v.bind.fn; fn != nil {
				known = true
				if slices.ContainsFunc(v.bind.wrappers, func(w string) bool { return caches.has(w) }) {
					out = append(out, ref{name: r.name, part: true}) // it gives the same object again
				}
				for _, ret := range fn.returned {
					out = append(out, w.expand(withArguments(ret.refs, fn, r.result.args), time, depth+1)...)
				}
			}
		}
		if !known {
			out = append(out, ref{name: r.name, loose: true, derived: true}) // an object that is called may give a part
		}
		for i := first; i < len(out); i++ {
			out[i].moved, out[i].copied = out[i].moved || r.moved, out[i].copied || r.copied
		}
	}
	return out
}

// givesAgain says that making an object of a class may give one that is there: its metaclass decides.
func (w *work) givesAgain(c *class) bool {
	meta := w.metaclass(c, 0)
	return meta != nil && w.method(meta, "__call__", len(w.stmts), 0) != nil
}

// givesItself says that a method of a class of the session gives a part of its object.
func (w *work) givesItself(r ref, time int) bool {
	for _, v := range w.valuesAt(r.name, time) {
		cl := w.classOf(v)
		if cl == nil && v.bind != nil {
			cl = v.bind.class // Class.method()
		}
		if cl == nil {
			continue
		}
		f := w.method(cl, r.called, len(w.stmts), 0)
		if f == nil || len(f.params) == 0 {
			continue
		}
		for _, ret := range f.returned {
			if slices.ContainsFunc(ret.refs, func(r ref) bool {
				return r.param && r.name == f.params[0] && !r.copied && r.called == ""
			}) {
				return true
			}
		}
	}
	return false
}

// maxExpansions bounds how many calls are followed for one reference: f(f(f(x))) may give x by many ways.
const maxExpansions = 500

// withArguments puts the arguments of a call in the place of a function's parameters.
func withArguments(refs []ref, fn *function, args []arg) []ref {
	var out []ref
	for _, r := range refs {
		if !r.param {
			out = append(out, r)
			continue
		}
		for i, a := range args {
			if fn.parameterOf(i, a) == r.name || a.key == "*" || a.key == "**" {
				for _, x := range a.refs {
					x.loose, x.derived = x.loose || r.loose, x.derived || r.derived
					if r.maker != "" {
						x.maker = r.maker
					}
					out = append(out, x)
				}
			}
		}
	}
	return out
}

// parameterOf is the parameter that takes an argument.
func (f *function) parameterOf(i int, a arg) string {
	switch {
	case a.key == "" && i < len(f.params):
		return f.params[i]
	case a.key == "":
		return f.vararg
	case !slices.Contains(f.params, a.key):
		return f.kwarg
	}
	return a.key
}

// isParameter says that references are to one parameter alone.
func isParameter(refs []ref) bool {
	return len(refs) == 1 && refs[0].param && !refs[0].loose && !refs[0].part
}

// moved says of references that what they mean is read on.
func moved(refs []ref) []ref {
	refs = slices.Clone(refs)
	for i := range refs {
		refs[i].moved = !refs[i].part // of what holds it a part is changed
	}
	return refs
}
