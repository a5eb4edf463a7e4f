package slicer

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// Seeding is a place where the program seeds random numbers itself, so that all its trials draw the same ones.
type Seeding struct {
	What   string // "numpy" and other libraries, or the name of a generator
	Place  string // "cell 3, line 2"
	Inside bool   // the entry does it, each time it is called, by a seed that is written there; else the top level does
	Own    bool   // What is a generator, or what was called with a seed of its own
}

// seedingCall is a call that seeds a library, seen from the function that it is in.
type seedingCall struct {
	library string
	own     bool // library is the name of what has a seed of its own
	seed    constancy
	row     int
}

// constancy says whether an expression has the same value at each call of the function that it is in.
type constancy int

const (
	varies   constancy = iota
	asCalled           // as the function's arguments are
	fixed
)

// seedings finds where the program seeds itself, by its own functions and those of its local modules.
func (w *work) seedings() {
	if w.entry == nil || w.entry.bind.def == nil {
		return
	}
	seeders := map[*syntax.Node][]seedingCall{}
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok || s.node == nil || isDefinition(s.node) {
			continue
		}
		for _, f := range w.seedingCalls(s.node, nil, nil, seeders) {
			if f.own {
				continue // a generator that it gives a name is in w.generators
			}
			w.out.SelfSeeded = append(w.out.SelfSeeded, f.library)
			w.seeds(Seeding{What: f.library, Place: w.position(s.cell, f.row+1)})
		}
	}
	used := w.mentioned(w.entry.bind.def)
	for _, g := range w.generators {
		w.out.Seeded = append(w.out.Seeded, g.name)
		if used[g.name] {
			w.seeds(Seeding{What: g.name, Place: w.position(g.stmt.cell, g.stmt.line), Own: true})
		}
	}
	slices.Sort(w.out.Seeded)
	w.out.Seeded = slices.Compact(w.out.Seeded)
	for _, f := range w.seedingCalls(w.entry.bind.def, w.entry.bind.def, nil, seeders) {
		if !f.own {
			w.out.SelfSeeded = append(w.out.SelfSeeded, f.library)
		}
		if f.seed == fixed {
			w.seeds(Seeding{What: f.library, Place: w.position(w.entry.stmt.cell, f.row+1), Inside: true, Own: f.own})
		}
	}
}

// seeds notes a place, each thing once at top level and once inside.
func (w *work) seeds(s Seeding) {
	equal := func(o Seeding) bool { return o.What == s.What && o.Inside == s.Inside }
	if !slices.ContainsFunc(w.out.Seedings, equal) {
		w.out.Seedings = append(w.out.Seedings, s)
	}
}

func isDefinition(n *syntax.Node) bool {
	return n != nil &&
		slices.Contains([]string{"function_definition", "class_definition", "decorated_definition"}, n.Kind)
}

// seedingCalls lists what the calls in a node seed, those of the program's own functions with what these seed. in is
// the function whose body it is, nil for the top level; m the local module that it is in, nil for the cells.
func (w *work) seedingCalls(n, in *syntax.Node, m *moduleCode, seeders map[*syntax.Node][]seedingCall) []seedingCall {
	if in != nil {
		if known, ok := seeders[in]; ok {
			return known
		}
		seeders[in] = nil // it may call itself
	}
	imports, locals := localsOf(n)
	if m != nil {
		imports, locals = under(m.imports, imports), under(m.assigned, locals)
	}
	var all []seedingCall
	n.Walk(func(c *syntax.Node) bool {
		if c.Kind != "call" {
			return true
		}
		for _, lib := range w.seeded(c, imports) {
			seed := w.constancy(c.Child("arguments"), in, locals, 0)
			all = append(all, seedingCall{library: lib, seed: seed, row: c.Row})
		}
		if seed := w.ownSeed(c); seed != nil {
			all = append(all, seedingCall{
				library: lastName(c.Child("function")), own: true, seed: w.constancy(seed, in, locals, 0), row: c.Row,
			})
		}
		if def, of := w.callee(c.Child("function"), m, imports); def != nil && def != in {
			for _, f := range w.seedingCalls(def, def, of, seeders) {
				if f.seed == asCalled {
					f.seed = w.constancy(c.Child("arguments"), in, locals, 0)
				}
				all = append(all, seedingCall{f.library, f.own, f.seed, c.Row})
			}
		}
		return true
	})
	if in != nil {
		seeders[in] = all
	}
	return all
}

// under adds to what a function has of its own what it finds in its module.
func under[V any](outer, own map[string]V) map[string]V {
	all := maps.Clone(outer)
	maps.Copy(all, own)
	return all
}

// callee is the function of the cells or of a local module that a call means, and the module.
func (w *work) callee(n *syntax.Node, m *moduleCode, imports map[string]*bind) (*syntax.Node, *moduleCode) {
	if n == nil {
		return nil, nil
	}
	if n.Kind == "identifier" && imports[n.Text()] == nil {
		if m != nil {
			return m.functions[n.Text()], m
		}
		if def := w.function(n.Text()); def != nil {
			return def, nil
		}
	}
	name := w.dottedIn(n, len(w.stmts), imports)
	if !strings.Contains(name, ".") {
		return nil, nil
	}
	return w.localFunction(name, 0)
}

// moduleCode is what a local module imports, assigns and defines at its top level.
type moduleCode struct {
	name      string
	root      *syntax.Node
	imports   map[string]*bind
	assigned  map[string][]*syntax.Node
	functions map[string]*syntax.Node
	classes   map[string]*syntax.Node
	stars     []string // modules of import *
}

func codeOfModule(name string, tree *syntax.Tree) *moduleCode {
	m := &moduleCode{
		name: name, root: tree.Root,
		imports: map[string]*bind{}, assigned: map[string][]*syntax.Node{}, functions: map[string]*syntax.Node{},
		classes: map[string]*syntax.Node{},
	}
	for _, c := range tree.Root.Children {
		if c.Kind == "decorated_definition" {
			c = c.Child("definition")
		}
		switch {
		case c == nil:
		case c.Kind == "function_definition" && c.Child("name") != nil:
			m.functions[c.Child("name").Text()] = c
		case c.Kind == "class_definition" && c.Child("name") != nil:
			m.classes[c.Child("name").Text()] = c
		default:
			if of := c.Child("module_name"); of != nil && c.Of("wildcard_import") != nil {
				m.stars = append(m.stars, strings.Join(strings.Fields(of.Text()), ""))
			}
			imports, assigned := localsOf(c)
			maps.Copy(m.imports, imports)
			maps.Copy(m.assigned, assigned)
		}
	}
	return m
}

// seeded gives the libraries that a call seeds. Without an argument, or with None, it takes a seed from the system,
// which every process does by itself.
func (w *work) seeded(call *syntax.Node, imports map[string]*bind) []string {
	args := call.Child("arguments")
	if args == nil || len(args.Children) == 0 || len(args.Children) == 1 && args.Children[0].Kind == "none" {
		return nil
	}
	return seeding[w.dottedIn(call.Child("function"), len(w.stmts), imports)]
}

// function is the definition of one of the program's functions, or nil.
func (w *work) function(name string) *syntax.Node {
	vs, _ := w.at(name, len(w.stmts))
	if len(vs) == 0 {
		return nil
	}
	v := vs[len(vs)-1]
	if v.stmt == nil || v.bind == nil || v.bind.def == nil || v.bind.def.Kind != "function_definition" ||
		w.kept[v.stmt] == nil {
		return nil
	}
	return v.bind.def
}

// localsOf gives what a piece of code imports by itself, and what it assigns to its names; nil stands for what no
// expression says.
func localsOf(n *syntax.Node) (imports map[string]*bind, assigned map[string][]*syntax.Node) {
	imports, assigned = map[string]*bind{}, map[string][]*syntax.Node{}
	n.Walk(func(c *syntax.Node) bool {
		switch c.Kind {
		case "import_statement", "import_from_statement":
			for _, b := range importBinds(c) {
				imports[b.name] = &b
			}
		case "assignment", "augmented_assignment", "for_statement", "for_in_clause", "named_expression":
			names := map[string]bool{}
			targets(c, names)
			for name := range names {
				var value *syntax.Node
				if c.Kind == "assignment" && c.Child("left") != nil && c.Child("left").Kind == "identifier" {
					value = c.Child("right")
				}
				assigned[name] = append(assigned[name], value)
			}
		}
		return true
	})
	return imports, assigned
}

// constancy of an expression, or of the arguments of a call: literals, and names that were given literals, are fixed.
// in is the function that they are in, whose parameters are as it is called.
func (w *work) constancy(n, in *syntax.Node, locals map[string][]*syntax.Node, depth int) constancy {
	switch {
	case n == nil || depth > 8:
		return varies
	case n.Kind == "call", n.Kind == "attribute", n.Kind == "await", n.Kind == "yield", n.Kind == "lambda":
		return varies
	case n.Kind == "keyword_argument":
		return w.constancy(n.Child("value"), in, locals, depth+1)
	case n.Kind == "identifier":
		return w.constancyOfName(n.Text(), in, locals, depth)
	}
	return w.least(n.Children, in, locals, depth+1)
}

// least is the constancy of all of them together.
func (w *work) least(all []*syntax.Node, in *syntax.Node, locals map[string][]*syntax.Node, depth int) constancy {
	least := fixed
	for _, n := range all {
		least = min(least, w.constancy(n, in, locals, depth))
	}
	return least
}

func (w *work) constancyOfName(name string, in *syntax.Node, locals map[string][]*syntax.Node, depth int) constancy {
	if in != nil {
		values, assigned := locals[name]
		given := fixed
		if p := in.Child("parameters"); p != nil && slices.ContainsFunc(parameters(p), func(p Parameter) bool {
			return p.Name == name
		}) {
			given, assigned = asCalled, true
		}
		if assigned {
			// A name that is made from itself is what it was before: s = s + 1.
			return min(given, w.least(values, in, under(locals, map[string][]*syntax.Node{name: nil}), depth+1))
		}
	}
	vs, _ := w.at(name, len(w.stmts))
	if len(vs) == 0 || vs[len(vs)-1].stmt == nil {
		return varies
	}
	_, assigned := localsOf(vs[len(vs)-1].stmt.node)
	if len(assigned[name]) == 0 {
		return varies
	}
	return w.least(assigned[name], nil, nil, depth+1)
}

// mentioned are the names that a definition mentions, and those that it mentions so.
func (w *work) mentioned(def *syntax.Node) map[string]bool {
	names := map[string]bool{}
	waiting := []*syntax.Node{def}
	for len(waiting) > 0 {
		next := waiting[0]
		waiting = waiting[1:]
		next.Walk(func(c *syntax.Node) bool {
			if c.Kind != "identifier" || names[c.Text()] {
				return true
			}
			names[c.Text()] = true
			if vs, _ := w.at(c.Text(), len(w.stmts)); len(vs) > 0 {
				if v := vs[len(vs)-1]; v.bind != nil && v.bind.def != nil {
					waiting = append(waiting, v.bind.def)
				}
			}
			return true
		})
	}
	return names
}

// seededGenerator says that an expression makes a random generator with a seed.
func (w *work) seededGenerator(n *syntax.Node, time int) bool {
	if n.Kind == "assignment" {
		return n.Child("right") != nil && w.seededGenerator(n.Child("right"), time)
	}
	if n.Kind != "call" || w.unseeded(n, time) {
		return false
	}
	callee := n.Child("function")
	// torch.Generator().manual_seed(0)
	if callee != nil && callee.Kind == "attribute" && callee.Child("object").Kind == "call" {
		name := callee.Child("attribute").Text()
		return (name == "manual_seed" || name == "seed") &&
			generators[w.dotted(callee.Child("object").Child("function"), time)]
	}
	name := w.dotted(callee, time)
	return generators[name] || slices.Contains([]string{
		"numpy.random.Generator", "tensorflow.random.Generator.from_seed", "sklearn.utils.check_random_state",
	}, name)
}

// ownSeed is the seed that a call gives to what it makes: the arguments of a generator's, or `random_state=0` of a
// model's. What makes or divides data is left out: that is the same in all trials on purpose.
func (w *work) ownSeed(call *syntax.Node) *syntax.Node {
	args := call.Child("arguments")
	if args == nil {
		return nil
	}
	if w.seededGenerator(call, len(w.stmts)) {
		return args
	}
	name := strings.ToLower(lastName(call.Child("function")))
	ofData := func(part string) bool { return strings.Contains(name, part) }
	if name == "" || slices.ContainsFunc([]string{"split", "fold", "sample", "shuffle", "make_", "load", "fetch"},
		ofData) {
		return nil
	}
	for _, a := range args.Children {
		if a.Kind != "keyword_argument" || a.Child("name") == nil || a.Child("value") == nil ||
			a.Child("value").Kind == "none" {
			continue
		}
		if slices.Contains([]string{"random_state", "random_seed", "seed"}, a.Child("name").Text()) {
			return a.Child("value")
		}
	}
	return nil
}

// lastName is the name that a call calls, without what it is of.
func lastName(callee *syntax.Node) string {
	if callee != nil && callee.Kind == "attribute" {
		callee = callee.Child("attribute")
	}
	if callee == nil || callee.Kind != "identifier" {
		return ""
	}
	return callee.Text()
}

// sortSeedings puts the libraries before the generators, and what the top level does before what the entry does.
func sortSeedings(all []Seeding) {
	rank := func(s Seeding) int {
		switch {
		case s.Inside && s.Own:
			return 3
		case s.Inside:
			return 2
		case s.Own:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Seeding) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.What, b.What))
	})
}
