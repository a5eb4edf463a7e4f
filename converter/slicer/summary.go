package slicer

import (
	"maps"
	"slices"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// summary is what executing a piece of code may do to the names of the top level.
type summary struct {
	changes   map[string]bool // names whose objects it may change
	inside    map[string]bool // those of them that may hold something which it changes
	seeds     map[string]bool // libraries whose random numbers it seeds
	draws     map[string]bool // … and draws from
	moved     map[string]bool // names of streams and iterators that it reads on
	params    map[string]*paramChange
	binds     map[string]bool // names that it may bind by `global`
	modules   map[string]bool // modules whose settings it changes
	reads     map[string]bool // names that the functions it calls read
	contained []containment   // what the changed objects may hold from now on
	observed  []containment   // what they may look at later, but do not change
	saves     bool            // it saves a figure
	stores    bool            // it puts one object into another
}

// paramChange is how a function changes the argument of a parameter.
type paramChange struct {
	surely bool
	inside bool     // … or something that it holds
	calls  []*call  // methods that are called on it, which change it or not, by its kind
	makers []string // what is made of it and changed, which may change it or not
	copied bool     // a copy of it is changed, which may share what is inside
	passed bool     // it is given to code that cannot be seen, which moves a stream
	target bool     // it is given to what writes to it, where it is no name of a file
	called bool     // something that it holds is called
	busy   bool
}

func newSummary() *summary {
	return &summary{
		changes: map[string]bool{},
		inside:  map[string]bool{},
		params:  map[string]*paramChange{},
		binds:   map[string]bool{},
		modules: map[string]bool{},
		reads:   map[string]bool{},
		moved:   map[string]bool{},
		seeds:   map[string]bool{},
		draws:   map[string]bool{},
	}
}

// empty says that nothing is changed.
func (s *summary) empty() bool {
	return len(s.changes)+len(s.moved)+len(s.seeds)+len(s.draws)+len(s.params)+len(s.binds)+len(s.modules)+
		len(s.reads)+len(s.contained)+
		len(s.observed) == 0 && !s.stores && !s.saves
}

// sorted gives the names of a set in order: what is kept must not depend on chance.
func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// mergeNames adds what a part of the code does to names of the top level.
func (s *summary) mergeNames(o *summary) {
	s.stores, s.saves = s.stores || o.stores, s.saves || o.saves
	for _, p := range []struct{ to, from map[string]bool }{
		{s.changes, o.changes},
		{s.inside, o.inside},
		{s.moved, o.moved},
		{s.seeds, o.seeds},
		{s.draws, o.draws},
		{s.binds, o.binds},
		{s.modules, o.modules},
		{s.reads, o.reads},
	} {
		for n := range p.from {
			p.to[n] = true
		}
	}
}

// merge adds what a part of the code does.
func (s *summary) merge(o *summary) {
	s.mergeNames(o)
	for n, c := range o.params {
		to := s.param(n)
		to.surely, to.inside = to.surely || c.surely, to.inside || c.inside
		to.copied = to.copied || c.copied
		to.passed, to.target = to.passed || c.passed, to.target || c.target
		to.called = to.called || c.called
		to.calls, to.makers = append(to.calls, c.calls...), append(to.makers, c.makers...)
	}
}

// param is what is known of a parameter.
func (s *summary) param(name string) *paramChange {
	c := s.params[name]
	if c == nil {
		c = &paramChange{}
		s.params[name] = c
	}
	return c
}

// adding is where a call's changes go.
type adding struct {
	w    *work
	to   *summary
	time int
	fn   *function // that is described; nil at the top level
}

// refs notes that what the references mean is changed.
func (a *adding) refs(refs []ref) {
	for _, r := range a.w.expand(refs, a.time, 0) {
		switch {
		case r.param && a.fn != nil && r.loose && r.maker != "":
			p := a.to.param(r.name)
			p.makers = append(p.makers, r.maker)
		case r.param && a.fn != nil && r.copied:
			a.to.param(r.name).copied = true
		case r.param && a.fn != nil:
			p := a.to.param(r.name)
			p.surely, p.inside = true, p.inside || !r.flat
		case !r.param && (!r.derived || a.w.importOf(r.name, a.time) == nil):
			if r.loose && r.maker != "" && !a.changedByMaker(r) || r.copied && !a.sharedWithCopies(r) {
				continue
			}
			if r.moved {
				a.to.moved[r.name] = true
				continue
			}
			a.to.changes[r.name] = true
			if !r.flat {
				a.to.inside[r.name] = true
			}
		}
	}
}

// changedByMaker says that changing what was made of a name may change the name's object.
func (a *adding) changedByMaker(r ref) bool {
	values := a.w.valuesAt(r.name, a.time)
	if len(values) == 0 { // of a loop, which binds it itself
		return holds(r.maker) || !isClassName(r.maker)
	}
	return slices.ContainsFunc(values, func(v *value) bool {
		return a.w.mayChange(r.maker, v, a.time)
	})
}

// sharedWithCopies says that a copy of what a name means holds the same objects.
func (a *adding) sharedWithCopies(r ref) bool {
	return slices.ContainsFunc(a.w.valuesAt(r.name, a.time), a.w.sharesWithCopies)
}

// summarize says what effects do at a time.
func (w *work) summarize(changes *[]ref, e *effects, time int, fn *function) *summary {
	s := newSummary()
	s.stores = len(e.contained) > 0
	add := &adding{w, s, time, fn}
	add.refs(*changes)
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
	var part *summary
	for i := range e.calls {
		c := &e.calls[i]
		if part == nil || !part.empty() {
			part = newSummary()
		}
		add.to = part
		w.effect(c, time, part, add)
		if c.discarded { // setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
			for n := range part.changes {
				if imp := w.importOf(n, time); imp != nil && imp.name != "" {
					part.modules[w.moduleOf(n, time)] = true
				}
			}
		}
		// What a call changes may hold what it was given, and what the functions that it runs read.
		if fn == nil && len(part.changes) > 0 {
			var contents []ref
			for _, a := range c.args {
				if a.key != "**" || !w.constantsOnly(a, time) {
					contents = append(contents, a.refs...)
				}
			}
			var seen []ref // values that the code reads, of which it puts no part anywhere
			for _, n := range sorted(part.reads) {
				switch {
				case w.importOf(n, time) != nil:
				case w.allOfValues(n, time):
					seen = append(seen, ref{name: n})
				default:
					contents = append(contents, ref{name: n})
				}
			}
			for _, n := range sorted(part.changes) {
				if len(seen) > 0 && w.importOf(n, time) == nil {
					s.observed = append(s.observed, containment{ref{name: n}, seen})
				}
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

// allOfValues says that all that a name means are numbers, texts, arrays or tables.
func (w *work) allOfValues(name string, time int) bool {
	values := w.valuesAt(name, time)
	return len(values) > 0 && !slices.ContainsFunc(values, func(v *value) bool { return !w.kindOf(v).ofValues() })
}

// constantsOnly says that an argument is a dict of numbers and texts.
func (w *work) constantsOnly(a arg, time int) bool {
	return len(a.refs) > 0 && !slices.ContainsFunc(a.refs, func(r ref) bool {
		values := w.valuesAt(r.name, time)
		return r.param || len(values) == 0 ||
			slices.ContainsFunc(values, func(v *value) bool { return !w.ofConstants(v) })
	})
}

// applyInner adds what calling a function does that a function made.
func (w *work) applyInner(f *function, args []arg, at where, s *summary, add *adding) {
	if f.innerFn == nil {
		f.innerFn = &function{name: f.name, params: f.params, vararg: f.vararg, kwarg: f.kwarg, e: f.inner}
		f.innerFn.e.uses, f.innerFn.e.globals = f.e.uses, f.e.globals
	}
	w.apply(f.innerFn, args, at, s, add)
}

// apply adds what calling a function of the session does, with the arguments in the place of its parameters.
func (w *work) apply(f *function, args []arg, at where, s *summary, add *adding) {
	sum := w.summaries[f]
	if sum == nil {
		if f.busy {
			return
		}
		f.busy = true
		sum = w.summarize(&f.e.changes, &f.e, at.time, f)
		f.busy = false
		w.summaries[f] = sum
	}
	s.mergeNames(sum)
	for _, u := range f.e.uses {
		s.reads[u.name] = true
	}
	if len(sum.params) == 0 {
		return
	}
	w.keptDefaults(f, args, sum, s)
	for i, a := range args {
		if a.key == "*" || a.key == "**" {
			add.refs(a.refs)
			continue
		}
		if p := sum.params[f.parameterOf(i, a)]; p != nil {
			w.applyTo(a, p, at, s, add)
		}
	}
}

// keptDefaults notes that a function changes its own default argument, where the call gives it none: to=[].
func (w *work) keptDefaults(f *function, args []arg, sum, s *summary) {
	for _, k := range f.kept {
		p := sum.params[k.name]
		given := false
		for i, a := range args {
			given = given || f.parameterOf(i, a) == k.name
		}
		if given || p == nil || !p.surely && len(p.calls) == 0 {
			continue
		}
		if f.global {
			s.changes[f.name] = true
		}
		for _, r := range k.refs {
			if !r.param {
				s.changes[r.name], s.inside[r.name] = true, true
			}
		}
	}
}

// applyTo adds what a function does to one of its arguments.
func (w *work) applyTo(a arg, p *paramChange, at where, s *summary, add *adding) {
	if p.busy {
		return // a method that calls itself
	}
	p.busy = true
	defer func() { p.busy = false }()
	touched, inner := p.surely, p.inside
	k := w.kindAt(a.node, at, 0)
	for _, c := range p.calls {
		method := c.path[len(c.path)-1]
		cl := a.of
		if cl == nil {
			cl = w.classAt(a.node, at, 0)
		}
		if cl != nil {
			if f := w.methodOf(cl, method, at.time); f != nil {
				w.apply(f, append([]arg{{refs: a.refs, node: a.node}}, make([]arg, len(c.args))...), at, s, add)
				continue
			}
		}
		if c.load {
			if method == "__iter__" && k.moving() {
				add.refs(moved(a.refs))
			}
			touched = touched || method == "__getitem__" && k == filling
			continue
		}
		switch judge(k, c, method) {
		case changed:
			touched, inner = true, true
			if !k.data() && !storing.has(method) {
				w.callHeld(a.refs, at, s, add)
			}
		case ownParts:
			touched = true
		case untouched:
		}
	}
	if touched {
		if inner {
			add.refs(a.refs)
		} else {
			add.refs(own(a.refs))
		}
	}
	if p.called {
		w.callHeld(a.refs, at, s, add)
	}
	switch {
	case p.copied && k.sharesWithCopies():
		add.refs(a.refs)
	case p.passed && k.moving():
		add.refs(moved(a.refs))
	case p.target && (k == unknown || k == object):
		add.refs(a.refs)
	}
	for _, maker := range p.makers {
		refs := slices.Clone(a.refs)
		add.refs(loosely(refs, maker))
	}
}
