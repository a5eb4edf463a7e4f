package slicer

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
)

// value is what a name means from a statement on.
type value struct {
	name     string
	stmt     *stmt // nil for a module itself
	bind     *bind
	aliases  []*value // it may be this object, or a part of it
	parts    []*value // it holds this object inside
	shared   bool     // other values refer to it
	mayHold  []*value // it was given this object, and may hold it
	observes []*value // it may look at this object later, but does not change it
	makers   []*value // functions and classes that were used to make it
	// What may have changed it: mutations of this very object, and mutations of something which holds it.
	mutations      []*mutation
	outerMutations []*mutation
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

// flow walks over the statements in the order of their execution. A repetition was left out in the hope that the object
// which it would have made anew is not shared with another name and changed afterwards; where that was wrong, it walks
// again without leaving it out.
func (w *work) flow() error {
	for {
		if err := w.walk(); err != nil {
			return err
		}
		wrong := false
		for _, r := range w.repetitions {
			for _, v := range r.of.binds {
				if v.shared && v.changedAfter(r.time) {
					r.stmt.distinct, wrong = true, true
				}
			}
		}
		if !wrong {
			return nil
		}
	}
}

// repetition is a statement that was left out because it repeats another.
type repetition struct {
	stmt, of *stmt
	time     int
}

func (v *value) changedAfter(time int) bool {
	after := func(e *mutation) bool { return e.stmt.time >= time }
	return slices.ContainsFunc(v.mutations, after) || slices.ContainsFunc(v.outerMutations, after)
}

func (w *work) walk() error {
	w.stmts, w.stars, w.repetitions = nil, nil, nil
	for _, c := range w.cells {
		for _, s := range c.stmts {
			s.binds, s.changes = nil, false
		}
	}
	w.history = map[string][]binding{}
	w.modules = map[string]*value{}
	for _, c := range w.cells {
		if c.outer == nil {
			w.replay(c)
		}
	}
	return nil
}

// replay interprets a cell, with the files that it ran in their places.
func (w *work) replay(c *cell) {
	magics, runs := c.code.Magics, c.runs
	until := func(line int) {
		for len(magics) > 0 && magics[0].Line < line {
			w.reset(c, magics[0])
			for len(runs) > 0 && runs[0].runAt.line <= magics[0].Line {
				w.replay(runs[0])
				runs = runs[1:]
			}
			magics = magics[1:]
		}
	}
	for _, s := range c.stmts {
		until(s.line)
		if c.runAt.noMain && s.node != nil && isGuard(s) || w.repeated(s) {
			continue
		}
		s.time = len(w.stmts)
		w.stmts = append(w.stmts, s)
		w.step(s)
	}
	until(math.MaxInt)
	for _, r := range runs {
		w.replay(r)
	}
}

// reset forgets all names if the magic is %reset.
func (w *work) reset(c *cell, m ipython.Magic) {
	if m.Kind != ipython.Line || m.Name != "reset" || len(w.stmts) == 0 {
		return
	}
	for name, h := range w.history {
		if len(h[len(h)-1].values) > 0 {
			w.set(name, len(w.stmts)-1, nil)
			w.lost[name] = loss{why: "cell " + itoa(c.label()) + " reset the session"}
		}
	}
}

// repeated says that the statement was executed before with the same text and the same values, and that nothing has
// changed since: executing it once is enough. So re-running a cell leaves the program as it was. The cell with the
// magic stays where it was run last.
func (w *work) repeated(s *stmt) bool {
	if s.distinct || s.node == nil || s.cell == w.target || len(s.e.binds) == 0 || len(s.e.changes) > 0 ||
		len(s.e.deleted) > 0 {
		return false
	}
	switch s.node.Kind {
	case "function_definition", "class_definition", "decorated_definition", "import_statement", "import_from_statement",
		"expression_statement",
		"future_import_statement", "type_alias_statement":
	default:
		return false
	}
	values, ok := w.at(s.e.binds[0].name, len(w.stmts))
	if !ok || len(values) != 1 || values[0].stmt == nil {
		return false
	}
	old := values[0].stmt
	if old.changes || old.text != s.text || old.cell == s.cell || len(old.binds) != len(s.e.binds) {
		return false
	}
	for _, v := range old.binds {
		now, _ := w.at(v.name, len(w.stmts))
		if len(now) != 1 || now[0] != v || len(v.mutations) > 0 || len(v.outerMutations) > 0 {
			return false
		}
	}
	for _, u := range s.e.uses {
		now, _ := w.at(u.name, len(w.stmts))
		if !slices.Equal(now, old.uses[u.name]) {
			return false
		}
		for _, v := range now {
			for _, e := range v.mutations {
				if e.stmt.time > old.time {
					return false
				}
			}
		}
	}
	w.repetitions = append(w.repetitions, repetition{s, old, len(w.stmts)})
	return true
}

// share notes that other values refer to these.
func share(values []*value) []*value {
	for _, v := range values {
		v.shared = true
	}
	return values
}

// interpreter interprets one statement: what it uses, binds and mutates.
type interpreter struct {
	*work
	s       *stmt
	makers  []*value
	sum     *summary
	changed map[*value]string // what it mutates → the name by which it does
	flat    map[*value]bool   // of these, the objects of which nothing inside is mutated
}

// step interprets a statement.
func (w *work) step(s *stmt) {
	in := &interpreter{work: w, s: s, changed: map[*value]string{}, flat: map[*value]bool{}}
	in.use()
	w.summaries = map[*function]*summary{}
	in.sum = w.summarize(&s.e.changes, s.e, s.time, nil)
	mutated := sorted(in.sum.changes)
	in.mutate(mutated, s.time)
	in.define()
	in.remove()
	in.mutate(mutated, s.time+1) // what the names are bound to now
	in.contain()
	for m := range in.sum.modules {
		in.changed[w.module(m)] = m
	}
	s.changes, s.sets = len(in.changed) > 0, len(in.sum.modules) > 0
	w.record(s, in.changed, in.flat)
	if len(s.e.stars) > 0 {
		w.stars = append(w.stars, s)
	}
}

// use resolves the names that the statement uses, and collects the functions and classes that it runs.
func (in *interpreter) use() {
	s := in.s
	s.uses = map[string][]*value{}
	for _, u := range s.e.uses {
		if s.loopNames[u.name] {
			continue
		}
		vs, _ := in.at(u.name, s.time)
		s.uses[u.name] = vs
		for _, v := range vs {
			for _, c := range codeOf(v) {
				if !slices.Contains(in.makers, c) {
					in.makers = append(in.makers, c)
				}
			}
		}
	}
}

// mutate notes that the objects which the names are bound to at the time are mutated.
func (in *interpreter) mutate(names []string, time int) {
	for _, name := range names {
		vs, _ := in.at(name, time)
		for _, v := range vs {
			if in.s.loopNames[name] && v.stmt != in.s {
				continue
			}
			if _, ok := in.changed[v]; !ok {
				in.changed[v] = name
				in.flat[v] = true
			}
			in.flat[v] = in.flat[v] && !in.sum.inside[name]
		}
	}
}

// define binds the names that the statement defines, itself or by the functions that it calls.
func (in *interpreter) define() {
	s := in.s
	for i := range s.e.binds {
		b := &s.e.binds[i]
		v := &value{name: b.name, stmt: s, bind: b, makers: in.makers}
		s.binds = append(s.binds, v)
		if b.imp != nil {
			in.importValue(v, b.imp)
		}
		in.alias(v, b)
		in.bindValue(s, v, b.must)
	}
	for _, name := range sorted(in.sum.binds) {
		v := &value{name: name, stmt: s, bind: &bind{name: name}, makers: in.makers}
		s.binds = append(s.binds, v)
		in.bindValue(s, v, false)
	}
}

// alias notes which objects a new value may be and hold.
func (in *interpreter) alias(v *value, b *bind) {
	for _, r := range b.aliases {
		vs := in.after(in.s, r.name)
		for _, u := range vs {
			if !r.derived || !isImport(u) {
				u.shared = true
				v.aliases = append(v.aliases, u)
			}
		}
	}
	for _, r := range b.parts {
		vs := in.after(in.s, r.name)
		if r.loose || b.def != nil {
			v.mayHold = append(v.mayHold, share(vs)...)
		} else {
			v.parts = append(v.parts, share(vs)...)
		}
	}
}

// remove unbinds the names that the statement deletes.
func (in *interpreter) remove() {
	s := in.s
	for _, name := range s.e.deleted {
		if !slices.ContainsFunc(s.e.binds, func(b bind) bool { return b.name == name }) && in.plain(s) {
			in.set(name, s.time, nil)
			in.lost[name] = loss{why: "cell " + itoa(s.cell.label()) + " deleted it"}
		}
	}
}

// contain notes what objects hold and observe from now on.
func (in *interpreter) contain() {
	for _, c := range append(in.sum.contained, in.s.e.contained...) {
		in.eachPair(c, func(target *value, vs []*value) { target.parts = append(target.parts, share(vs)...) })
	}
	for _, c := range in.sum.observed {
		in.eachPair(c, func(target *value, vs []*value) { target.observes = append(target.observes, vs...) })
	}
}

// eachPair gives each target of a containment together with what each of its references is bound to.
func (in *interpreter) eachPair(c containment, pair func(target *value, vs []*value)) {
	targets := in.after(in.s, c.target.name)
	for _, r := range c.refs {
		vs := in.after(in.s, r.name)
		for _, v := range targets {
			pair(v, vs)
		}
	}
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

func isImport(v *value) bool { return v.bind != nil && v.bind.imp != nil }

// plain says that the statement is no compound one, so that what it does is done.
func (w *work) plain(s *stmt) bool {
	return s.node != nil && strings.HasSuffix(s.node.Kind, "_statement") && s.node.Of("block") == nil &&
		s.node.Child("body") == nil
}

// bindValue makes a name mean the value; a statement that may not bind it leaves what it meant before beside it.
func (w *work) bindValue(s *stmt, v *value, must bool) {
	values := []*value{v}
	if now, _ := w.at(v.name, s.time+1); len(now) > 0 && !must {
		values = append(slices.Clone(now), v)
	} else if must && len(now) > 0 {
		// Bound several times by one statement: keep the ones of this statement beside each other.
		for _, o := range now {
			if o.stmt == s {
				values = append(values, o)
			}
		}
	}
	w.set(v.name, s.time, values)
}

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

func (w *work) importValue(v *value, imp *imported) {
	if strings.HasPrefix(imp.module, ".") {
		return
	}
	m := w.module(imp.module)
	if imp.name == "" {
		v.aliases = append(v.aliases, m)
	} else {
		v.mayHold = append(v.mayHold, m)
	}
}

// record notes a mutation at everything that it may have changed.
func (w *work) record(s *stmt, changed map[*value]string, flat map[*value]bool) {
	for v, name := range changed {
		e := &mutation{stmt: s, name: name}
		if flat[v] {
			for u := range reach(v, itself) {
				u.mutations = append(u.mutations, e)
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
		for _, list := range [][]*value{v.aliases, v.parts, v.mayHold, v.makers} {
			for _, u := range list {
				visit(u)
			}
		}
	}
	visit(v)
	return out
}
