package slicer

import (
	"slices"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds what is called by code that cannot be seen: functions that other functions make, and functions that
// an object was given.

// madeCall adds what a function does that partial or methodcaller made, when it is called with more arguments. It says
// whether that is known.
func (w *work) madeCall(made *call, more []arg, at where, s *summary, add *adding) bool {
	switch lastName(made.node.Child("function")) {
	case "partial":
		if c := partialCall(made, more); c != nil {
			w.effect(c, at.time, s, add)
			return true
		}
	case "methodcaller":
		w.methodCalled(made.node, more[:min(len(more), 1)], at, s, add)
		return true
	}
	return false
}

// partialCall is the call that partial(f, x)(y) makes of f.
func partialCall(made *call, more []arg) *call {
	if len(made.args) == 0 || made.args[0].node == nil || made.args[0].key != "" {
		return nil
	}
	f := made.args[0]
	c := &call{
		discarded: true, line: made.line, node: made.node, sc: made.sc, root: f.refs,
		args: slices.Concat(made.args[1:], more),
	}
	x := f.node
	for x != nil && x.Kind == "attribute" {
		if a := x.Child("attribute"); a != nil {
			c.path = append([]string{a.Text()}, c.path...)
		}
		x = x.Child("object")
	}
	if x == nil || x.Kind != "identifier" {
		return nil
	}
	c.callee, c.plain = x.Text(), true
	for sc := made.sc; sc != nil; sc = sc.up {
		if sc.kind != moduleScope && sc.local[c.callee] {
			c.plain, c.imp = false, sc.imports[c.callee]
			break
		}
	}
	if f.node.Kind == "attribute" {
		c.recv, c.obj = f.node.Child("object"), f.refs
	}
	return c
}

// methodCalled adds what methodcaller("append", x) does to what it is given.
func (w *work) methodCalled(made *syntax.Node, given []arg, at where, s *summary, add *adding) {
	args := made.Child("arguments")
	if args == nil || len(args.Children) == 0 {
		return
	}
	method, ok := literal(args.Children[0].Text())
	if !ok || args.Children[0].Kind != "string" {
		return
	}
	c := &call{discarded: true, path: []string{method}, callee: method, node: made}
	for _, a := range given {
		if cl := w.classAt(a.node, at, 0); cl != nil {
			if f := w.methodOf(cl, method, at.time); f != nil {
				w.apply(f, []arg{{refs: a.refs, node: a.node}}, at, s, add)
				continue
			}
		}
		switch judge(w.kindAt(a.node, at, 0), c, method) {
		case untouched:
		case ownParts:
			w.addOutside(own(a.refs), at.time, add)
		case changed:
			w.addOutside(a.refs, at.time, add)
		}
	}
}

// callHeld adds what the functions do that objects were given, when these objects call them: hooks, callbacks, the
// target of a thread.
func (w *work) callHeld(refs []ref, at where, s *summary, add *adding) {
	for _, r := range w.expand(refs, at.time, 0) {
		if r.param || w.importOf(r.name, at.time) != nil {
			continue
		}
		for _, v := range w.valuesAt(r.name, at.time) {
			for u := range reach(v, observed) {
				if u.bind != nil && u.bind.fn != nil {
					w.apply(u.bind.fn, nil, at, s, add)
					continue
				}
				if u.bind == nil || u.bind.class != nil {
					continue
				}
				w.callGivenBy(u.stmt, s, add)
				if u == v {
					for _, m := range u.mutations {
						w.callGivenBy(m.stmt, s, add)
					}
				}
			}
		}
	}
}

// callGivenBy adds what the functions do that a statement gives to others.
func (w *work) callGivenBy(from *stmt, s *summary, add *adding) {
	if from == nil || from.node == nil || from == w.now || isDefinition(from.node) {
		return
	}
	if find(from.node, "lambda") != nil {
		w.apply(from.asFunction(), nil, where{time: from.time}, s, add)
		return
	}
	for i := range from.e.calls {
		c := &from.e.calls[i]
		for _, a := range c.args {
			w.callback(a, nil, nil, where{from.time, c.sc}, s, add)
		}
	}
}
