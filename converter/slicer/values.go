package slicer

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file has what names mean over time: values, what they are made of and hold, and what changes them.

// value is what a name means from a statement on.
type value struct {
	name     string
	stmt     *stmt // nil for a module itself
	bind     *bind
	aliases  []*value // it may be this object, or a part of it
	parts    []*value // it holds this object inside
	shared   bool     // other values refer to it
	holders  []*stmt  // since which another value may be this object, or hold it
	mayHold  []*value // it was given this object, and may hold and change it
	given    []*value // it was given this object, and does not change it
	observes []*value // it may look at this object later, but does not change it
	makers   []*value // functions and classes that were used to make it
	// What may have changed it: mutations of this very object, and mutations of something which holds it.
	mutations      []*mutation
	outerMutations []*mutation

	kind      kind
	kindKnown bool // what is known of its kind is known
	order     int  // the time of its statement
	classBusy bool // its class is being found
	kindBusy  bool // the kind of what it holds is being found
}

// mutation is a statement that may change values.
type mutation struct {
	stmt *stmt
	name string // by which name, for people
}

// binding is what a name means from a time on.
type binding struct {
	time   int
	values []*value // several where a statement may or may not bind it; none after del
}

// at gives what a name means before the statement with the time.
func (w *work) at(name string, time int) ([]*value, bool) {
	if module, ok := strings.CutPrefix(name, moduleRef); ok {
		return []*value{w.module(module)}, true
	}
	h := w.history[name]
	i := sort.Search(len(h), func(i int) bool { return h[i].time >= time })
	if i == 0 {
		return nil, false
	}
	return h[i-1].values, len(h[i-1].values) > 0
}

func (w *work) set(name string, time int, values []*value) {
	h := w.history[name]
	if n := len(h); n > 0 && h[n-1].time == time {
		h[n-1].values = values
	} else {
		h = append(h, binding{time, values})
	}
	w.history[name] = h
}

func (v *value) changedAfter(time int) bool {
	after := func(e *mutation) bool { return e.stmt.time >= time }
	return slices.ContainsFunc(v.mutations, after) || slices.ContainsFunc(v.outerMutations, after)
}

// share notes that another value may be one of these from now on, or hold them.
func (in *interpreter) share(values []*value) []*value {
	for _, v := range values {
		v.shared = true
		v.holders = append(v.holders, in.s)
	}
	return values
}

// objects are those that a reference means once the statement has run: what a function of a module gives is no
// part of the module.
func (in *interpreter) objects(r ref) []*value {
	vs := in.after(in.s, r.name)
	if r.derived && slices.ContainsFunc(vs, isImport) {
		vs = slices.DeleteFunc(slices.Clone(vs), isImport)
	}
	return vs
}

// sharesWithCopies says that a copy of a value holds the same objects as it: not a copy of a table, of an array, or of
// what is likely to be one.
func (w *work) sharesWithCopies(v *value) bool {
	k := w.kindOf(v)
	if k == unknown {
		return w.classOf(v) != nil || v.bind != nil && v.bind.value != nil && w.madeByClass(v)
	}
	return k.sharesWithCopies()
}

// takesIn says that `name += x` may put x into the object: not into a number, an array or a table.
func (in *interpreter) takesIn(name string) bool {
	vs, _ := in.at(name, in.s.time)
	return len(vs) == 0 || slices.ContainsFunc(vs, func(v *value) bool {
		return !in.kindOf(v).ofValues()
	})
}

// after gives what a name means when the statement has been executed.
func (w *work) after(s *stmt, name string) []*value {
	vs, _ := w.at(name, s.time+1)
	if !s.loopNames[name] {
		return vs
	}
	var own []*value
	for _, v := range vs {
		if v.stmt == s {
			own = append(own, v)
		}
	}
	return own
}

// assigned is the expression whose value an assignment gives to its names, c of a = b = c; nil if it is none.
func (s *stmt) assigned() *syntax.Node {
	if s == nil || s.node == nil || s.node.Kind != "expression_statement" || len(s.node.Children) != 1 {
		return nil
	}
	a := s.node.Children[0]
	if a.Kind != "assignment" {
		return nil
	}
	for a != nil && a.Kind == "assignment" {
		a = a.Child("right")
	}
	return a
}

func isImport(v *value) bool { return v.stmt == nil || v.bind != nil && v.bind.imp != nil }

// module gives the value that stands for a module itself.
func (w *work) module(name string) *value {
	top, _, _ := strings.Cut(name, ".")
	v := w.modules[top]
	if v == nil {
		v = &value{name: top}
		w.modules[top] = v
	}
	return v
}

// record notes a mutation at everything that it may have changed.
func (w *work) record(s *stmt, changed map[*value]string, flat map[*value]bool) {
	order := slices.SortedFunc(maps.Keys(changed), func(a, b *value) int {
		return cmp.Or(strings.Compare(changed[a], changed[b]), a.order-b.order)
	})
	for _, v := range order {
		name := changed[v]
		e := &mutation{stmt: s, name: name}
		if flat[v] {
			for u := range reach(v, itself) {
				u.mutations = append(u.mutations, e)
				if u.stmt != nil && isImport(u) {
					for _, m := range u.mayHold { // what a module has is changed: a setting of it
						m.mutations = append(m.mutations, e)
					}
				}
			}
			continue
		}
		own := reach(v, inside)
		for u := range own {
			u.mutations = append(u.mutations, e)
		}
		for u := range reach(v, held) {
			if !own[u] {
				u.outerMutations = append(u.outerMutations, e)
			}
		}
	}
}

// nearness is how far reach goes.
type nearness uint8

const (
	itself   nearness = iota // the objects that a value may be
	inside                   // also those that it holds
	held                     // also those that it was given when it was made
	observed                 // also those that it may look at
)

// reach gives the objects that belong to a value.
func reach(v *value, how nearness) map[*value]bool {
	out := map[*value]bool{}
	var visit func(*value)
	visit = func(v *value) {
		if out[v] || len(out) > 10000 {
			return
		}
		out[v] = true
		for _, u := range v.aliases {
			visit(u)
		}
		if how >= inside {
			for _, u := range v.parts {
				visit(u)
			}
		}
		if how >= held {
			for _, u := range v.mayHold {
				visit(u)
			}
		}
		if how >= observed {
			for _, u := range v.observes {
				visit(u)
			}
			for _, u := range v.given {
				visit(u)
			}
		}
	}
	visit(v)
	return out
}

// codeOf gives the functions and classes whose bodies may run when the value is used.
func codeOf(v *value) []*value {
	var out []*value
	seen := map[*value]bool{}
	var visit func(*value)
	visit = func(v *value) {
		if seen[v] || len(seen) > 10000 {
			return
		}
		seen[v] = true
		if v.stmt != nil && len(v.stmt.e.late) > 0 || v.bind != nil && (v.bind.fn != nil || v.bind.class != nil) {
			out = append(out, v)
		}
		for _, list := range [][]*value{v.aliases, v.parts, v.mayHold, v.given, v.makers} {
			for _, u := range list {
				visit(u)
			}
		}
	}
	visit(v)
	return out
}
