package slicer

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/syntax"
)

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

func (w *work) walk() error {
	w.stmts, w.stars, w.repetitions = nil, nil, nil
	for _, c := range w.cells {
		for _, s := range c.stmts {
			s.binds, s.changes = nil, false
		}
	}
	w.findBinders()
	w.findReaders()
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
	if old.changes || w.drawsSeeded(old) || old.text != s.text || old.cell == s.cell ||
		len(old.binds) != len(s.e.binds) {
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

// parted marks repetitions that cannot be left out, and says whether there are any: what they make anew has got another
// name before, or a place in something, by a statement that is kept and was not repeated as well. There it stays the
// object that was made first. A constant and a function of one line are as good as another that is made as they are.
func (w *work) parted() (found bool) {
	repeated := map[*stmt]int{} // by a statement that was left out, the last time
	for _, r := range w.repetitions {
		repeated[r.of] = r.time
	}
	for _, r := range w.repetitions {
		if w.kept[r.of] == nil || r.stmt.node.Kind != "expression_statement" {
			continue
		}
		for _, v := range r.of.binds {
			if v.bind.fn == nil && w.kindOf(v) != constant && slices.ContainsFunc(v.holders, func(h *stmt) bool {
				again, ok := repeated[h]
				return h != r.of && h.time < r.time && w.kept[h] != nil && (!ok || again < r.time)
			}) {
				r.stmt.distinct, found = true, true
			}
		}
	}
	return found
}

// drawsSeeded says that a statement draws random numbers that a statement before it has seeded: doing it once is not
// doing it twice.
func (w *work) drawsSeeded(s *stmt) bool {
	for lib := range s.draws {
		if lib != drawn && slices.ContainsFunc(w.stmts[:s.time], func(b *stmt) bool { return b.seeds[lib] }) {
			return true
		}
	}
	return false
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
	w.now = s
	in := &interpreter{work: w, s: s, changed: map[*value]string{}, flat: map[*value]bool{}}
	in.use()
	w.summaries = map[*function]*summary{}
	in.sum = w.summarize(&s.e.changes, s.e, s.time, nil)
	in.consume()
	mutated := sorted(in.sum.changes)
	in.mutate(mutated, s.time)
	in.bindStars()
	in.define()
	in.remove()
	in.mutate(mutated, s.time+1) // what the names are bound to now
	in.contain()
	if !isDefinition(s.node) && len(s.e.imports) > 0 {
		for _, m := range w.setByImport(s.e.imports) {
			in.sum.modules[m] = true
		}
	}
	for m := range in.sum.modules {
		in.changed[w.module(m)] = m
	}
	in.move()
	s.seeds, s.draws, s.saves = in.sum.seeds, in.sum.draws, in.sum.saves
	s.changes, s.modules = len(in.changed) > 0 || len(in.sum.moved) > 0, sorted(in.sum.modules)
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
			if in.s.loopNames[name] && v.stmt != in.s || in.kindOf(v) == constant {
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

// consume adds what iterators do that the statement reads on: what the function does that made them, map(c.append, xs).
func (in *interpreter) consume() {
	done := map[*stmt]bool{in.s: true}
	for _, name := range sorted(in.sum.moved) {
		for _, v := range in.valuesAt(name, in.s.time) {
			for u := range reach(v, itself) {
				if u.stmt == nil || done[u.stmt] || in.kindOf(u) != iterator || u.bind == nil || u.bind.value == nil {
					continue
				}
				done[u.stmt] = true
				made := in.summarize(&u.stmt.e.changes, u.stmt.e, in.s.time, nil)
				in.sum.merge(made)
			}
		}
	}
}

// move notes which streams and iterators the statement reads on: the named ones, and those that they are made of.
func (in *interpreter) move() {
	for _, name := range sorted(in.sum.moved) {
		values := in.valuesAt(name, in.s.time)
		if in.s.loopNames[name] {
			values = in.after(in.s, name)
		}
		for _, v := range values {
			parts := v.bind != nil && v.bind.each != nil // of what the loop goes over
			for u := range reach(v, held) {
				if parts || in.kindOf(u).moving() {
					u.mutations = append(u.mutations, &mutation{stmt: in.s, name: name})
				}
			}
		}
	}
}

// define binds the names that the statement defines, itself or by the functions that it calls.
func (in *interpreter) define() {
	s := in.s
	for i := range s.e.binds {
		b := &s.e.binds[i]
		v := &value{name: b.name, stmt: s, bind: b, makers: in.makers, order: s.time}
		s.binds = append(s.binds, v)
		if b.imp != nil {
			in.importValue(v, b.imp)
		}
		in.alias(v, b)
		in.holdStreams(v, b)
		in.holdViews(v, b)
		in.holdInClass(b)
		in.bindValue(s, v, b.must)
	}
	for _, name := range sorted(in.sum.binds) {
		v := &value{name: name, stmt: s, bind: &bind{name: name}, makers: in.makers}
		s.binds = append(s.binds, v)
		in.bindValue(s, v, false)
	}
	if len(in.sum.binds) > 0 {
		in.holdArguments()
	}
}

// alias notes which objects a new value may be and hold.
func (in *interpreter) alias(v *value, b *bind) {
	for _, r := range in.expand(b.aliases, in.s.time, 0) {
		vs := in.after(in.s, r.name)
		if r.loose {
			in.give(v, r, vs)
			continue
		}
		for _, u := range vs {
			switch {
			case r.derived && isImport(u):
			case r.sliced && isSlice(b.value) && in.kindOf(u) == sequence:
				v.parts = append(v.parts, in.share([]*value{u})...)
			default:
				v.aliases = append(v.aliases, in.share([]*value{u})...)
				if r.part || b.givesPart() { // x = found[0], x, y = found, x = found.pop()
					v.aliases = append(v.aliases, in.share(in.holds(u))...)
				}
			}
		}
	}
	for _, r := range in.expand(b.parts, in.s.time, 0) {
		vs := in.objects(r)
		if r.copied {
			vs = slices.DeleteFunc(slices.Clone(vs), func(u *value) bool { return !in.sharesWithCopies(u) })
		}
		switch {
		case b.added && !in.takesIn(v.name):
		case r.loose:
			in.give(v, r, vs)
		case b.def != nil || b.fn != nil:
			v.mayHold = append(v.mayHold, in.share(vs)...)
		default:
			v.parts = append(v.parts, in.share(vs)...)
		}
	}
}

// givesPart says that the name may get one of the things that an object holds.
func (b *bind) givesPart() bool {
	return b.def == nil && b.fn == nil && b.imp == nil && (b.value == nil || b.value.Kind == "call")
}

// holds gives what an object holds, in the order in which the program made it.
func (in *interpreter) holds(v *value) []*value {
	own, all := reach(v, itself), reach(v, inside)
	for u := range own {
		delete(all, u)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b *value) int { return a.order - b.order })
}

// holdStreams notes that what a call gives may hold the streams that it was given.
func (in *interpreter) holdStreams(v *value, b *bind) {
	if b.value == nil || b.value.Kind != "call" {
		return
	}
	for i := range in.s.e.calls {
		c := &in.s.e.calls[i]
		if c.node != b.value || c.load {
			continue
		}
		for _, a := range c.args {
			for _, r := range a.refs {
				for _, u := range in.after(in.s, r.name) {
					if in.kindOf(u) == stream && u != v {
						v.mayHold = append(v.mayHold, in.share([]*value{u})...)
					}
				}
			}
		}
	}
}

// splitting are functions that give a list of parts of an array, which share its memory.
var splitting = words(`
	numpy.split numpy.array_split numpy.hsplit numpy.vsplit numpy.dsplit torch.split torch.chunk torch.unbind
	torch.tensor_split
`)

// holdViews notes that a value has the parts of an array that was split.
func (in *interpreter) holdViews(v *value, b *bind) {
	n := b.value
	if n == nil {
		n = b.each
	}
	if n == nil || n.Kind != "call" || !splitting.has(in.importedAt(n.Child("function"), where{time: in.s.time})) {
		return
	}
	for i := range in.s.e.calls {
		if c := &in.s.e.calls[i]; c.node == n && !c.load && len(c.args) > 0 {
			for _, r := range c.args[0].refs {
				v.parts = append(v.parts, in.share(in.after(in.s, r.name))...)
			}
		}
	}
}

// give notes that a value was made of others by a call, which it may hold; and may change, if what was called is known
// to, or nothing is known of them.
func (in *interpreter) give(v *value, r ref, vs []*value) {
	for _, u := range vs {
		changes := in.mayChange(r.maker, u, in.s.time)
		if changes {
			v.mayHold = append(v.mayHold, u)
		} else {
			v.given = append(v.given, u)
		}
		u.shared = true
		if changes || in.keeps(r.maker) {
			in.share([]*value{u})
		}
	}
}

// keeps says that what a class or a function of the session makes may have what it was given, and not change it: an
// object in an attribute, a function inside of another one.
func (in *interpreter) keeps(maker string) bool {
	return slices.ContainsFunc(in.valuesAt(maker, in.s.time), func(m *value) bool {
		b := m.bind
		return b != nil && (b.class != nil || b.fn != nil && b.def != nil && returnsFunction(b))
	})
}

// returnsFunction says that a function returns one that it makes.
func returnsFunction(b *bind) bool {
	made := map[string]bool{}
	b.def.Walk(func(n *syntax.Node) bool {
		if n != b.def && n.Kind == "function_definition" && n.Child("name") != nil {
			made[n.Child("name").Text()] = true
		}
		return true
	})
	return slices.ContainsFunc(b.fn.returned, func(r returned) bool {
		return r.node.Kind == "lambda" || r.node.Kind == "identifier" && made[r.node.Text()]
	})
}

// holdArguments notes that a name may be what a function was given that the statement calls, and that binds the name.
func (in *interpreter) holdArguments() {
	for i := range in.s.e.calls {
		for _, a := range in.s.e.calls[i].args {
			for _, r := range a.refs {
				in.share(in.after(in.s, r.name))
			}
		}
	}
}

// holdInClass notes that a class has what its body gives another name.
func (in *interpreter) holdInClass(b *bind) {
	if b.class == nil || b.def.Child("body") == nil {
		return
	}
	for _, c := range b.def.Child("body").Children {
		if a := c.Of("assignment"); a != nil && a.Child("right") != nil && a.Child("right").Kind == "identifier" {
			in.share(in.after(in.s, a.Child("right").Text()))
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
		in.eachPair(c, func(target *value, vs []*value) {
			if k := in.kindOf(target); k == randomness || k.ofValues() {
				return // it copies what it is given
			}
			target.parts = append(target.parts, in.share(vs)...)
		})
	}
	for _, c := range in.sum.observed {
		in.eachPair(c, func(target *value, vs []*value) { target.observes = append(target.observes, vs...) })
	}
}

// eachPair gives each target of a containment together with what each of its references is bound to.
func (in *interpreter) eachPair(c containment, pair func(target *value, vs []*value)) {
	targets := in.after(in.s, c.target.name)
	for _, r := range in.expand(c.refs, in.s.time, 0) {
		vs := in.objects(r)
		for _, v := range targets {
			pair(v, vs)
		}
	}
}

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
