package slicer

import (
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds of which class of the session an object is, and the code of its methods.

// methods finds the code of a method by the class of the object, where that is a class of the session.
func (w *work) methods(c *call, at where, method string) []*function {
	if c.recv == nil {
		return nil
	}
	if c.recv.Kind == "identifier" && c.plain {
		var out []*function
		for _, v := range w.valuesAt(c.callee, at.time) {
			cl := w.classOf(v)
			if cl == nil && v.bind != nil && v.bind.class != nil {
				cl = v.bind.class // Class.method(…)
			}
			if cl == nil {
				return nil
			}
			f := w.methodOf(cl, method, at.time)
			if f == nil {
				return nil
			}
			out = append(out, f)
		}
		return out
	}
	if cl := w.classAt(c.recv, at, 0); cl != nil {
		if f := w.methodOf(cl, method, at.time); f != nil {
			return []*function{f}
		}
	}
	return nil
}

// methodOf is a method of a class, or what calling an attribute of its objects calls.
func (w *work) methodOf(c *class, name string, time int) *function {
	if f := w.method(c, name, len(w.stmts), 0); f != nil {
		return f
	}
	if cl := w.classOfAttribute(c, name, time, 0); cl != nil {
		return w.method(cl, "__call__", len(w.stmts), 0)
	}
	return nil
}

// classOfAttribute is the class of the session that an attribute of the objects of a class is of, or nil.
func (w *work) classOfAttribute(c *class, name string, time, depth int) *class {
	var found *class
	for _, v := range c.attributes[name] {
		cl := w.classAt(v.node, where{time, v.sc}, depth+1)
		if cl == nil || found != nil && cl != found {
			return nil
		}
		found = cl
	}
	return found
}

// classOf gives the class of the session that a value is of: x = Class(…), x: Class, or as the session says.
func (w *work) classOf(v *value) *class {
	if v.stmt == nil || v.bind == nil || v.bind.fn != nil || v.bind.class != nil || v.bind.imp != nil {
		return nil
	}
	if v.bind.value != nil {
		if cl := w.classAt(v.bind.value, where{time: v.stmt.time}, 0); cl != nil {
			return cl
		}
	}
	if cl := w.elementClass(v.bind.each, where{time: v.stmt.time}, 0); cl != nil { // what a loop goes over
		return cl
	}
	if w.binders[v.name] == v.stmt {
		if name, ok := strings.CutPrefix(w.doc.Names[v.name].Type, "__main__."); ok {
			return w.sessionClass(name, v.stmt.time)
		}
	}
	return nil
}

// elementClass is the class of the session that all elements are of that a list was written with, or nil.
func (w *work) elementClass(n *syntax.Node, at where, depth int) *class {
	if n == nil || depth > maxKindDepth {
		return nil
	}
	switch n.Kind {
	case "identifier":
		for _, v := range w.valuesAt(n.Text(), at.time) {
			if v.bind != nil && v.bind.value != nil && !v.classBusy {
				v.classBusy = true
				cl := w.elementClass(v.bind.value, where{time: v.stmt.time}, depth+1)
				v.classBusy = false
				return cl
			}
		}
	case "list_comprehension", "generator_expression", "list", "tuple":
		if len(n.Children) > 0 {
			return w.classAt(n.Children[0], at, depth+1)
		}
	}
	return nil
}

// classAt is the class of the session that what an expression gives is of, or nil.
func (w *work) classAt(n *syntax.Node, at where, depth int) *class {
	if n == nil || depth > maxKindDepth {
		return nil
	}
	switch n.Kind {
	case "parenthesized_expression", "await":
		if len(n.Children) == 1 {
			return w.classAt(n.Children[0], at, depth+1)
		}
	case "identifier":
		for sc := at.sc; sc != nil; sc = sc.up {
			if sc.kind == moduleScope || !sc.local[n.Text()] {
				continue
			}
			if a := sc.annotations[n.Text()]; a != nil {
				return w.sessionClass(a.Text(), at.time)
			}
			if values := sc.values[n.Text()]; len(values) == 1 {
				return w.classAt(values[0], where{at.time, sc}, depth+1)
			}
			return nil
		}
		var found *class
		for _, v := range w.valuesAt(n.Text(), at.time) {
			if v.bind == nil || v.bind.fn != nil || v.bind.class != nil || v.classBusy {
				return nil
			}
			v.classBusy = true
			cl := w.classOf(v)
			v.classBusy = false
			if cl == nil || found != nil && found != cl {
				return nil
			}
			found = cl
		}
		return found
	case "attribute":
		if o, a := n.Child("object"), n.Child("attribute"); o != nil && a != nil {
			if cl := w.classAt(o, at, depth+1); cl != nil {
				return w.classOfAttribute(cl, a.Text(), at.time, depth)
			}
		}
	case "subscript":
		return w.elementClass(n.Child("value"), at, depth+1)
	case "call":
		f := n.Child("function")
		if f == nil || f.Kind != "identifier" {
			return nil
		}
		for _, v := range w.valuesAt(f.Text(), at.time) {
			switch {
			case v.bind == nil:
			case v.bind.class != nil:
				return v.bind.class
			case v.bind.fn != nil && len(v.bind.fn.returned) == 1:
				ret := v.bind.fn.returned[0]
				return w.classAt(ret.node, where{at.time, ret.sc}, depth+1)
			}
		}
	}
	return nil
}

// givesSelf says that a method returns the object that it is called of.
func (f *function) givesSelf() bool {
	if len(f.params) == 0 || len(f.returned) != 1 {
		return false
	}
	n := f.returned[0].node
	return n != nil && n.Kind == "identifier" && n.Text() == f.params[0]
}

// classThrough is as classAt, also through methods that give their own object: Model().fit(X).
func (w *work) classThrough(n *syntax.Node, at where, depth int) *class {
	if cl := w.classAt(n, at, 0); cl != nil || n == nil || depth > maxKindDepth {
		return cl
	}
	switch n.Kind {
	case "identifier":
		if vs := w.valuesAt(n.Text(), at.time); len(vs) == 1 && vs[0].bind != nil && vs[0].stmt != nil {
			return w.classThrough(vs[0].bind.value, where{time: vs[0].stmt.time}, depth+1)
		}
	case "call":
		if f := n.Child("function"); f != nil && f.Kind == "attribute" {
			cl := w.classThrough(f.Child("object"), at, depth+1)
			if cl == nil {
				return nil
			}
			if m := w.method(cl, lastName(f), at.time, 0); m != nil && m.givesSelf() {
				return cl
			}
		}
	}
	return nil
}

// filled gives the classes that making an object of a class changes, itself or a base: objects = [] in its body, and
// self.objects.append(self) in __init__.
func (w *work) filled(c *class, time, depth int) (out []string) {
	if c.sharesChanged {
		out = append(out, c.name)
	}
	for _, base := range w.basesOf(c, time) {
		if depth < maxKindDepth {
			out = append(out, w.filled(base, time, depth+1)...)
		}
	}
	return out
}

// fromOutside adds what all methods of a class do beside their object, since code that is not of the session may call
// any of them: that of a base class, or of a library that is given an object or the class.
func (w *work) fromOutside(c *class, at where, s *summary, add *adding, depth int) {
	if depth > maxKindDepth {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.methods)) {
		if name == "__init_subclass__" || name == "__class_getitem__" {
			continue // of the class alone, when others inherit from it
		}
		does := newSummary()
		w.apply(c.methods[name], []arg{{}}, at, does, add)
		clear(does.reads) // and what it stores into its own object makes no difference either
		if does.stores = false; !does.empty() {
			s.mergeNames(does)
		}
	}
	for _, base := range w.basesOf(c, at.time) {
		w.fromOutside(base, at, s, add, depth+1)
	}
}

// silent are classes that call no methods of those that inherit from them.
var silent = words(
	"object ABC Generic Protocol Exception ValueError RuntimeError KeyError TypeError NamedTuple TypedDict",
)

// outside says that a class inherits from one that is not of the session and may call its methods.
func (w *work) outside(c *class, time, depth int) bool {
	if depth > 20 {
		return false
	}
	for _, n := range c.baseNodes {
		if silent.has(lastName(n)) {
			continue
		}
		if n.Kind != "identifier" {
			return true
		}
		of := w.valuesAt(n.Text(), time)
		if len(of) == 0 {
			return true
		}
		for _, v := range of {
			if v.bind == nil || v.bind.class == nil || v.bind.class != c && w.outside(v.bind.class, time, depth+1) {
				return true
			}
		}
	}
	return false
}

// basesOf gives the classes of the session that a class inherits from.
func (w *work) basesOf(c *class, time int) (out []*class) {
	for _, b := range c.bases {
		if base := w.sessionClass(b, time); base != nil && base != c {
			out = append(out, base)
		}
	}
	return out
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
