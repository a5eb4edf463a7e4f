package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds what a call does to its arguments, and what reading an object does to it.

// loadEffect is what reading an item or attribute changes, or going over something.
func (w *work) loadEffect(c *call, values []*value, method string, at where, s *summary, add *adding) {
	if c.plain && len(values) > 0 && values[0].bind != nil && values[0].bind.imp != nil {
		return
	}
	if method == subclassed {
		w.subclass(values, at, s, add)
		return
	}
	if cl := w.classAt(c.recv, at, 0); cl != nil {
		names := special[method]
		if names == nil {
			names = []string{method}
		}
		found := names[0] != method
		for _, name := range names {
			f := w.method(cl, name, len(w.stmts), 0)
			if f == nil || !f.property && !strings.HasPrefix(name, "__") {
				continue
			}
			found = true
			w.apply(f, []arg{{refs: c.obj, node: c.recv}, {}}, at, s, add)
		}
		if f := w.method(cl, "__getattr__", len(w.stmts), 0); f != nil && !found && !strings.HasPrefix(method, "__") &&
			w.method(cl, method, len(w.stmts), 0) == nil {
			w.apply(f, []arg{{refs: c.obj, node: c.recv}, {}}, at, s, add)
		}
		return
	}
	switch k := w.kindAt(c.recv, at, 0); {
	case method == "__getitem__" && k == filling:
		add.refs(own(c.obj))
		w.factories(values, at, s, add)
	case method == "__iter__" && (k == iterator || k == stream || k == queue):
		add.refs(moved(c.obj))
	case k == unknown && c.recv.Kind == "identifier" && add.fn != nil && isParameter(c.obj) &&
		strings.HasPrefix(method, "__"):
		p := s.param(c.obj[0].name)
		p.calls = append(p.calls, c)
	}
}

// factories are the functions that a defaultdict calls for what it lacks.
func (w *work) factories(values []*value, at where, s *summary, add *adding) {
	for _, v := range values {
		if v.stmt == nil {
			continue
		}
		for i := range v.stmt.e.calls {
			for _, a := range v.stmt.e.calls[i].args {
				w.callback(a, nil, nil, at, s, add)
			}
		}
	}
}

// argumentEffects is what a call does to its arguments, and what functions among them do, wherever its code is.
// known says that it is code of the session.
func (w *work) argumentEffects(
	c *call, imp *imported, method string, known bool, at where, s *summary, add *adding,
) {
	name := method
	if name == "" {
		name = c.callee
		if imp != nil {
			name = imp.name
		}
	}
	for _, a := range written(c) {
		w.addOutside(a.refs, at.time, add)
	}
	if f := c.node.Child("function"); f != nil && f.Kind == "parenthesized_expression" && f.Of("lambda") != nil {
		w.lambdaCall(f.Of("lambda"), c.args, at, add)
	}
	if !inspecting.has(name) {
		for i := range c.args {
			w.callback(c.args[i], c.obj, c.args, at, s, add)
		}
	}
	if known {
		return
	}
	if imp != nil || method != "" || !builtins.has(name) {
		for _, a := range c.args {
			if cl := w.givenClass(a.node, at); cl != nil {
				w.fromOutside(cl, at, s, add, 0)
			}
		}
	}
	for i, a := range c.args {
		if len(a.refs) == 0 {
			continue
		}
		if imp == nil && method == "" && c.plain && builtins.has(c.callee) {
			w.builtinOf(a, at, s, add)
		}
		into := strings.HasSuffix(name, "into") ||
			strings.HasSuffix(name, "_") && !strings.HasPrefix(name, "_") && i == 0
		destination := writes(name) && method != "" && a.key == "" && imp == nil
		k := w.kindAt(a.node, at, 0)
		if k == unknown && add.fn != nil && isParameter(a.refs) && a.node.Kind == "identifier" {
			p := s.param(a.refs[0].name)
			p.passed = p.passed || !glancing.has(name) || a.key == "*"
			p.target = p.target || destination
			p.surely = p.surely || into
			continue
		}
		switch {
		case k == filling && name == "map":
			w.addOutside(flatly(a.refs), at.time, add)
		case k == randomness && isClassName(name): // a model that is made with it draws when it is fitted
		case k.moving() && (!glancing.has(name) || a.key == "*"):
			w.addOutside(moved(a.refs), at.time, add)
		case into && k != constant, destination && (k == unknown || k == object):
			w.addOutside(a.refs, at.time, add)
		}
	}
}

// givenClass is the class of the session that an argument is, or is an object of.
func (w *work) givenClass(n *syntax.Node, at where) *class {
	if n != nil && n.Kind == "identifier" {
		for _, v := range w.valuesAt(n.Text(), at.time) {
			if v.bind != nil && v.bind.class != nil {
				return v.bind.class
			}
		}
	}
	return w.classAt(n, at, 0)
}

// builtinOf adds what an object does of which a function of Python itself asks something: len(x), print(x), list(x).
func (w *work) builtinOf(a arg, at where, s *summary, add *adding) {
	cl := w.classAt(a.node, at, 0)
	if cl == nil {
		return
	}
	for _, name := range []string{
		"__len__", "__str__", "__repr__", "__format__", "__bool__", "__iter__", "__next__", "__int__", "__float__",
		"__hash__", "__abs__", "__index__", "__reversed__", "__lt__", "__eq__", "__round__", "__getitem__",
	} {
		if f := w.method(cl, name, len(w.stmts), 0); f != nil {
			w.apply(f, []arg{{refs: a.refs, node: a.node}, {}}, at, s, add)
		}
	}
}

// codeKnown says that a call is of functions and classes of the session.
func (w *work) codeKnown(c *call) bool {
	values := w.valuesAt(c.callee, len(w.stmts))
	return c.plain && len(values) > 0 && !slices.ContainsFunc(values, func(v *value) bool {
		return v.bind == nil || v.bind.fn == nil && v.bind.class == nil
	})
}

// addOutside notes a change of what is no module: print(x, file=sys.stderr) changes nothing.
func (w *work) addOutside(refs []ref, time int, add *adding) {
	for _, r := range refs {
		if r.param || w.importOf(r.name, time) == nil {
			add.refs([]ref{r})
		}
	}
}

// callback adds what a function does that is an argument: whoever gets it may call it, with anything.
func (w *work) callback(a arg, obj []ref, others []arg, at where, s *summary, add *adding) {
	n := a.node
	if n == nil {
		return
	}
	run := func(f *function, args []arg) {
		w.apply(f, args, at, s, add)
		sum := w.summaries[f]
		if sum == nil || len(sum.params) == 0 || len(args) > 0 && len(f.params) <= len(args) {
			return
		}
		// It may be given whatever stands beside it.
		for _, p := range f.params[min(len(args), len(f.params)):] {
			change := sum.params[p]
			if change == nil {
				continue
			}
			for _, o := range append([]arg{{refs: obj}}, others...) {
				if o.node != n && (change.surely || w.kindAt(o.node, at, 0).moving()) {
					w.addOutside(o.refs, at.time, add)
				}
			}
		}
	}
	switch n.Kind {
	case "identifier":
		for _, v := range w.valuesAt(n.Text(), at.time) {
			if at.sc != nil && !a.outermost() || v.bind == nil {
				continue
			}
			f := v.bind.fn
			if f == nil && v.bind.class != nil {
				w.construct(v.bind.class, n.Text(), nil, at, s, add)
				continue
			}
			if f != nil {
				run(f, nil)
				continue
			}
			if cl := w.classOf(v); cl != nil {
				if f := w.method(cl, "__call__", len(w.stmts), 0); f != nil {
					run(f, []arg{{refs: a.refs, node: n}})
				}
			}
		}
	case "attribute":
		of, name := n.Child("object"), n.Child("attribute")
		if of == nil || name == nil || len(a.refs) == 0 {
			return
		}
		if cl := w.classAt(of, at, 0); cl != nil {
			if f := w.method(cl, name.Text(), len(w.stmts), 0); f != nil && !f.property {
				run(f, []arg{{refs: a.refs, node: of}})
			}
			return
		}
		switch k := w.kindAt(of, at, 0); k {
		case unknown, mapping, filling, sequence, stream, queue, randomness:
			method := name.Text()
			if !looks[k].has(method) && (storing.has(method) || k == stream || k == queue || k == randomness ||
				method == "pop" || method == "remove" || method == "discard") {
				add.refs(flatly(a.refs))
			}
		}
	case "call": // partial(learn, vocabulary), delayed(learn)
		f := n.Child("function")
		if f == nil || n.Child("arguments") == nil {
			return
		}
		if f.Kind == "identifier" && !isLocal(f.Text(), at.sc) { // hook("name") makes a function
			for _, v := range w.valuesAt(f.Text(), at.time) {
				if v.bind != nil && v.bind.fn != nil {
					w.applyInner(v.bind.fn, nil, at, s, add)
				}
			}
		}
		switch lastName(f) {
		case "methodcaller":
			w.methodCalled(n, append([]arg{{refs: obj}}, others...), at, s, add)
		case "partial", "delayed", "partialmethod", "wraps", "vectorize", "frompyfunc", "lru_cache":
			for _, c := range n.Child("arguments").Children {
				w.callback(arg{node: c, refs: a.refs}, obj, others, at, s, add)
			}
		}
	case "lambda":
		w.lambdaCall(n, append([]arg{{refs: obj}}, others...), at, add)
	case "dictionary", "list", "tuple", "pair":
		for _, c := range n.Children {
			w.callback(arg{node: c, refs: a.refs}, obj, others, at, s, add)
		}
	}
}

// lambdaCall adds what a lambda does to what it may be given.
func (w *work) lambdaCall(n *syntax.Node, given []arg, at where, add *adding) {
	if !changesParameter(n) {
		return
	}
	for _, a := range given {
		if a.node != n && !w.kindAt(a.node, at, 0).ofValues() {
			w.addOutside(a.refs, at.time, add)
		}
	}
}

// changesParameter says that a lambda calls a method of what it is given that may change it.
func changesParameter(n *syntax.Node) bool {
	own := map[string]bool{}
	if p := n.Child("parameters"); p != nil {
		for _, q := range parameters(p) {
			own[q.Name] = true
		}
	}
	found := false
	n.Walk(func(c *syntax.Node) bool {
		if f := c.Child("function"); c.Kind == "call" && f != nil && f.Kind == "attribute" {
			root := rootOf(f)
			name := lastName(f)
			found = found || root.Kind == "identifier" && own[root.Text()] &&
				(storing.has(name) || !fresh.has(name) && !parting.has(name))
		}
		return !found
	})
	return found
}

// outermost says that the argument names something of the top level.
func (a arg) outermost() bool {
	return slices.ContainsFunc(a.refs, func(r ref) bool { return r.name == a.node.Text() && !r.param })
}
