package slicer

import (
	"slices"

	"github.com/metaml/metaml/converter/syntax"
)

// This file notes how code reads, binds and changes what names stand for.

// find gives the scope that a name belongs to when it is read: nil is the top level.
func (s *scanner) find(name string) *scope {
	for sc := s.sc; sc != nil; sc = sc.up {
		if sc.global[name] {
			return nil
		}
		if sc.kind == classScope && sc != s.sc {
			continue
		}
		if sc.kind != moduleScope && sc.local[name] {
			return sc
		}
	}
	return nil
}

// isLocal says that a name is one of a function, seen from a scope.
func isLocal(name string, sc *scope) bool {
	for ; sc != nil; sc = sc.up {
		if sc.kind != moduleScope && sc.local[name] {
			return true
		}
	}
	return false
}

func (s *scanner) use(n *syntax.Node, soft bool) {
	name := n.Text()
	s.top.names[name] = true
	if s.find(name) != nil {
		return
	}
	u := use{name: name, line: n.Row + 1, by: s.by, soft: soft || s.command, word: s.command}
	if s.quotedAt > 0 {
		u.line = s.quotedAt
	}
	u.soft = u.soft || s.nameless > 0 && onlyInNotebooks[name]
	if s.inFunction() && (!s.immediate || s.fn != nil) || s.quotedAt > 0 {
		s.top.late = append(s.top.late, u)
	} else {
		s.top.uses = append(s.top.uses, u)
		if s.given {
			s.top.late = append(s.top.late, u)
		}
	}
	if s.fn != nil {
		s.fn.e.uses = append(s.fn.e.uses, u)
	}
}

// resolve gives what a name may be: a name of the top level, a parameter, or what a local variable stands for.
func (s *scanner) resolve(name string) []ref {
	sc := s.find(name)
	if sc == nil {
		return []ref{{name: name}}
	}
	out := slices.Clone(sc.alias[name])
	if sc.params[name] {
		out = append(out, ref{name: name, param: true})
	}
	return out
}

// maxAliases bounds what a local variable may be.
const maxAliases = 200

// addAliases notes what a local variable may be, each once.
func (sc *scope) addAliases(name string, refs []ref) {
	for _, r := range refs {
		if len(sc.alias[name]) < maxAliases && !slices.Contains(sc.alias[name], r) {
			sc.alias[name] = append(sc.alias[name], r)
		}
	}
}

// bind notes that a name is bound in the scope of the code that is scanned.
func (s *scanner) bind(b bind) {
	s.top.names[b.name] = true
	sc := s.sc
	for sc.kind == comprehensionScope && !sc.local[b.name] {
		sc = sc.up // := binds outside
	}
	switch {
	case sc.kind == moduleScope:
		s.top.binds = append(s.top.binds, b)
	case sc.global[b.name]:
		if s.fn != nil {
			s.fn.e.globals = append(s.fn.e.globals, b.name)
		} else {
			s.top.binds = append(s.top.binds, b)
		}
	default:
		sc.addAliases(b.name, b.aliases)
		sc.addAliases(b.name, b.parts)
		sc.values[b.name] = append(sc.values[b.name], b.value)
		if b.imp != nil {
			sc.imports[b.name] = b.imp
		}
		if b.annotation != nil {
			sc.annotations[b.name] = b.annotation
		}
	}
}

// bindPattern binds every name in a target to a value or parts of it, and notes stores into attributes and items. value
// is the expression, where a name gets the whole of it.
func (s *scanner) bindPattern(n *syntax.Node, aliases, parts []ref, value *syntax.Node) {
	if n == nil {
		return
	}
	switch n.Kind {
	case "identifier":
		s.bind(bind{name: n.Text(), aliases: aliases, parts: parts, line: n.Row + 1, value: value})
	case "attribute", "subscript":
		if name := globalName(n); name != "" {
			s.bindGlobal(bind{name: name, aliases: aliases, parts: parts, line: n.Row + 1, value: value})
			return
		}
		s.expr(n, false)
		s.ownAttribute(n, value)
		s.change(n, append(slices.Clone(aliases), parts...), true)
	default:
		aliases = append(slices.Clone(aliases), parts...)
		if value != nil {
			s.goOver(value)
		}
		for _, c := range n.Children {
			s.bindPattern(c, aliases, nil, nil)
		}
	}
}

// globalName is the name that globals()["name"] means, or "".
func globalName(n *syntax.Node) string {
	v, key := n.Child("value"), n.Child("subscript")
	if n.Kind != "subscript" || v == nil || key == nil || v.Text() != "globals()" || key.Kind != "string" {
		return ""
	}
	name, ok := literal(key.Text())
	if !ok || !isIdentifier(name) {
		return ""
	}
	return name
}

// bindGlobal notes that a name of the top level is bound, wherever the code stands.
func (s *scanner) bindGlobal(b bind) {
	s.top.names[b.name] = true
	switch {
	case s.fn != nil:
		s.fn.e.globals = append(s.fn.e.globals, b.name)
	case !s.inFunction():
		s.top.binds = append(s.top.binds, b)
	}
}

// ownAttribute notes what a method gives to an attribute of its object: self.layers = [].
func (s *scanner) ownAttribute(n, value *syntax.Node) {
	o, a := n.Child("object"), n.Child("attribute")
	if s.current == nil || s.fn == nil || len(s.fn.params) == 0 || o == nil || a == nil ||
		o.Kind != "identifier" || o.Text() != s.fn.params[0] {
		return
	}
	s.current.attributes[a.Text()] = append(s.current.attributes[a.Text()], returned{node: value, sc: s.sc})
}

// bindEach binds a target to the parts of what a loop goes over. Of zip and enumerate each name is a part of its own
// object, so that `for ax, x in zip(axes, xs): ax.plot(x)` changes axes and not xs.
func (s *scanner) bindEach(target, over *syntax.Node) {
	if target == nil {
		return
	}
	var args []*syntax.Node
	name := ""
	if over.Kind == "call" {
		if f, a := over.Child("function"), over.Child("arguments"); f != nil && a != nil && a.Kind == "argument_list" &&
			!has(a, "list_splat") && !has(a, "dictionary_splat") {
			name = f.Text()
			for _, c := range a.Children {
				if c.Kind != "keyword_argument" {
					args = append(args, c)
				}
			}
			if f.Kind == "attribute" {
				name = ""
				if m := f.Child("attribute"); m != nil && m.Text() == "items" && len(args) == 0 {
					name = ".items"
				}
			}
		}
	}
	names := target.Children
	several := (target.Kind == "pattern_list" || target.Kind == "tuple_pattern" || target.Kind == "list_pattern") &&
		!has(target, "list_splat_pattern")
	switch {
	case name == "zip" && several && len(names) == len(args):
		for i, p := range names {
			s.bindEach(p, args[i])
		}
		return
	case name == "enumerate" && several && len(names) == 2 && len(args) > 0:
		s.bindPattern(names[0], nil, nil, nil)
		s.bindEach(names[1], args[0])
		return
	case name == ".items" && several && len(names) == 2:
		s.bindPattern(names[0], nil, nil, nil) // a key does not change
		s.bindPart(names[1], over)
		return
	case (name == "tqdm" || name == "list" || name == "tuple" || name == "reversed" || name == "sorted" ||
		name == "iter") && len(args) > 0:
		s.bindEach(target, args[0])
		return
	}
	s.bindPart(target, over)
}

// bindPart binds a target to a part of an object.
func (s *scanner) bindPart(target, of *syntax.Node) {
	aliases, parts := s.refs(of)
	aliases = partly(append(slices.Clone(aliases), parts...))
	if target.Kind == "identifier" {
		s.bind(bind{name: target.Text(), aliases: aliases, line: target.Row + 1, each: of})
		return
	}
	s.bindPattern(target, aliases, nil, nil)
}

// change notes that the object at the root of a target is changed, and what it holds from now on. It is put there, if
// what was there before is not changed itself.
func (s *scanner) change(n *syntax.Node, contents []ref, put bool) {
	aliases, parts := s.refs(n)
	root := rootOf(n)
	s.touchOuter(root)
	if first := firstAttribute(n); first != nil && (first != n || !put) {
		s.mutatesAttribute(first)
	}
	s.mutatesOwn(root, aliases)
	if root.Kind != "identifier" {
		aliases = append(aliases, parts...) // getcontext().prec = 6
	}
	switch n.Kind {
	case "attribute":
		s.load(n, storedAttribute, n.Child("object"))
	case "subscript":
		s.load(n, storedItem, n.Child("value"))
	}
	if o := n.Children; put && len(o) > 0 && o[0].Kind == "identifier" {
		part := func(r ref) bool { return r.part } // for v in xs: v[0] = 1
		if of, _ := s.refs(o[0]); !slices.ContainsFunc(of, part) {
			aliases = flatly(aliases)
		}
	}
	if loadedModule(n) != "" { // what sys.modules has under the name, and no longer the module itself
		own, _ := s.refs(n.Child("value"))
		aliases = append(slices.Clone(aliases), own...)
	}
	s.e.changes = append(s.e.changes, aliases...)
	if len(contents) > 0 {
		for _, r := range aliases {
			s.e.contained = append(s.e.contained, containment{r, contents})
		}
	}
}

// What is done to an object beside calling its methods, in the place of a method's name.
const (
	operated        = "(operator)"
	shownAs         = "(text)"
	entered         = "(with)"
	storedItem      = "(item)"
	storedAttribute = "(attribute)"
	subclassed      = "(subclass)"
)

// special are the methods that Python calls for it.
var special = map[string][]string{
	"__getitem__":   {"__getitem__", "__missing__"},
	"__iter__":      {"__iter__", "__next__", "__getitem__", "__len__"},
	entered:         {"__enter__", "__exit__", "__aenter__", "__aexit__"},
	shownAs:         {"__str__", "__repr__", "__format__"},
	storedItem:      {"__setitem__", "__delitem__"},
	storedAttribute: {"__setattr__", "__delattr__"},
	operated: {
		"__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__",
		"__floordiv__", "__mod__", "__pow__", "__matmul__", "__rmatmul__", "__and__", "__or__", "__xor__",
		"__lshift__", "__rshift__", "__neg__", "__pos__", "__invert__", "__eq__", "__ne__", "__lt__", "__le__",
		"__gt__", "__ge__", "__contains__", "__bool__", "__len__",
	},
}

// touchOuter notes that a function inside of the one that is scanned may change what is local to that: so the inner one
// gives another result the next time.
func (s *scanner) touchOuter(root *syntax.Node) {
	if s.fn == nil || root.Kind != "identifier" {
		return
	}
	inner := s.sc
	for inner.kind != functionScope {
		inner = inner.up
	}
	if of := s.find(root.Text()); of != nil && of.kind == functionScope && of != inner && !inner.local[root.Text()] {
		s.fn.stateful = true
	}
}

// firstAttribute is the attribute that a target has next to its root: self.a of self.a.b[0].
func firstAttribute(n *syntax.Node) *syntax.Node {
	var first *syntax.Node
	for n != nil {
		switch n.Kind {
		case "attribute":
			first = n
			n = n.Child("object")
		case "subscript":
			n = n.Child("value")
		default:
			return first
		}
	}
	return first
}

// mutatesAttribute notes that a method changes the object that an attribute of its own is.
func (s *scanner) mutatesAttribute(n *syntax.Node) {
	o, a := n.Child("object"), n.Child("attribute")
	if s.current != nil && s.fn != nil && len(s.fn.params) > 0 && o != nil && a != nil && o.Kind == "identifier" &&
		o.Text() == s.fn.params[0] {
		s.current.mutates[a.Text()] = true
		if s.fn.name == "__init__" {
			s.current.filled = append(s.current.filled, a.Text())
		}
	}
}

// mutatesOwn notes that a method changes what an attribute of its own object holds, by a local name:
// for g in self.optimizer.groups: g["lr"] = 0.
func (s *scanner) mutatesOwn(root *syntax.Node, refs []ref) {
	for _, r := range refs {
		if r.param && r.attr != "" && s.current != nil && s.fn != nil && len(s.fn.params) > 0 &&
			r.name == s.fn.params[0] && root.Text() != r.name {
			s.current.mutates[r.attr] = true
		}
	}
}

// rootOf is what the attributes and items of an expression are of.
func rootOf(n *syntax.Node) *syntax.Node {
	for {
		inner := n
		switch n.Kind {
		case "attribute":
			inner = n.Child("object")
		case "subscript":
			inner = n.Child("value")
		case "parenthesized_expression":
			if len(n.Children) == 1 {
				inner = n.Children[0]
			}
		}
		if inner == nil || inner == n {
			return n
		}
		n = inner
	}
}

// goOver notes that something is gone over, which an iterator does not survive.
func (s *scanner) goOver(n *syntax.Node) {
	if f, args := n.Child("function"), n.Child("arguments"); n.Kind == "call" && f != nil && args != nil &&
		glancing.has(lastName(f)) {
		for _, a := range args.Children {
			if a.Kind != "keyword_argument" {
				s.goOver(a)
			}
		}
		return
	}
	s.load(n, "__iter__", n)
}

// load notes that an item or attribute of an object is read, or that it is gone over: some objects are changed by it.
func (s *scanner) load(n *syntax.Node, method string, obj *syntax.Node) {
	if obj == nil || obj.Kind != "identifier" && obj.Kind != "attribute" && obj.Kind != "subscript" &&
		obj.Kind != "call" {
		return
	}
	aliases, _ := s.refs(obj)
	if len(aliases) == 0 && obj.Kind != "call" {
		return
	}
	c := call{path: []string{method}, obj: aliases, line: n.Row + 1, node: n, recv: obj, sc: s.sc, load: true}
	if obj.Kind == "identifier" {
		c.callee, c.plain = obj.Text(), s.find(obj.Text()) == nil
	}
	s.e.calls = append(s.e.calls, c)
}

// own says of references that what they mean is changed itself, and nothing that it holds; what is a part of something
// is changed there.
func own(refs []ref) []ref {
	refs = slices.Clone(refs)
	for i := range refs {
		refs[i].flat = !refs[i].part
	}
	return refs
}

func flatly(refs []ref) []ref {
	refs = slices.Clone(refs)
	for i := range refs {
		refs[i].flat = true
	}
	return refs
}
