package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// Check is a name of the program whose value can be compared with the session's when the entry is called.
type Check struct {
	Name string
	// Import: an import binds it, so that it may be another object in the session that does the same.
	Import bool
	// Chance: it is made of the time, of identities or of random numbers of the system, and is another one each time.
	Chance bool
	Needs  []Place  // the statements that it is made by
	Out    *LeftOut // the statement that may have changed it and is not in the program; nil: none is known
}

// Place is where a statement of the program stands.
type Place struct{ Cell, Line, EndLine int }

// maxNeeds bounds the statements of one name that are listed.
const maxNeeds = 500

// checks lists what the entry, and what it calls, may read of the program's top level while it runs.
func (w *work) checks() error {
	if !w.o.Check || w.entry == nil {
		return nil
	}
	for _, v := range w.reachable() {
		if c, ok := w.check(v); ok {
			w.out.Checks = append(w.out.Checks, c)
		}
	}
	w.seededAt()
	slices.SortFunc(w.out.Checks, func(a, b Check) int { return a.first() - b.first() })
	return nil
}

// first is the place in the program, which is the order in which people read it.
func (c *Check) first() int {
	if len(c.Needs) == 0 {
		return 0
	}
	return c.Needs[0].Cell<<16 + c.Needs[0].Line
}

// reachable gives the values that code may read which runs when the entry is called: those of the names in its body,
// and in the bodies of the functions and classes that these are or are made of.
func (w *work) reachable() []*value {
	end := len(w.stmts)
	var out []*value
	seen, code := map[string]bool{}, map[*stmt]bool{}
	var visit func(v *value)
	visit = func(v *value) {
		if v.stmt != nil && w.kept[v.stmt] != nil && !slices.Contains(out, v) {
			out = append(out, v)
		}
		for _, c := range codeOf(v) {
			if c.stmt == nil || code[c.stmt] {
				continue
			}
			code[c.stmt] = true
			for _, u := range c.stmt.e.late {
				if seen[u.name] || slices.Contains(w.o.With, u.name) || slices.Contains(w.o.Ignore, u.name) {
					continue
				}
				seen[u.name] = true
				vs, _ := w.at(u.name, end)
				for _, v := range vs {
					visit(v)
				}
			}
		}
	}
	visit(w.entry)
	return out
}

// check describes one value. What calls of the entry have changed in the session is no difference: the trial does the
// same.
func (w *work) check(v *value) (Check, bool) {
	c := Check{Name: v.name, Import: isImport(v)}
	if slices.ContainsFunc(w.out.Checks, func(o Check) bool { return o.Name == v.name }) {
		return c, false
	}
	for _, m := range w.factsOf(v).mutations {
		if m.stmt.skip && m.stmt.time > v.stmt.time {
			return c, false
		}
	}
	made := w.madeBy(v)
	for _, s := range made {
		c.Chance = c.Chance || w.byChance(s) && (s != v.stmt || !isCode(v))
		if len(c.Needs) < maxNeeds {
			c.Needs = append(c.Needs, Place{s.cell.Seq, s.line, s.endLine})
		}
	}
	c.Chance = c.Chance || w.uninitialized(v)
	c.Out = w.leftOut(v)
	return c, true
}

// madeBy gives the kept statements that a value is made by, in their order: those that define and change it, those of
// what they read, and those that define the functions which they call.
func (w *work) madeBy(made *value) []*stmt {
	in := map[*stmt]bool{}
	seen := map[*value]bool{}
	var visit func(v *value)
	add := func(s *stmt) {
		if s == nil || in[s] || w.kept[s] == nil {
			return
		}
		in[s] = true
		for _, vs := range s.uses {
			for _, u := range vs {
				visit(u)
			}
		}
	}
	visit = func(v *value) {
		if seen[v] {
			return
		}
		seen[v] = true
		if v.stmt == nil || isImport(v) {
			return // settings of modules are in no value, and what draws random numbers when it is imported is no part
		}
		add(v.stmt)
		f := w.factsOf(v)
		for _, m := range f.mutations {
			add(m.stmt)
		}
		if v == made && isCode(v) {
			return // what its body does is not done yet
		}
		for _, c := range f.code {
			add(c.stmt)
			if c.stmt == nil {
				continue
			}
			for _, u := range c.stmt.e.late {
				vs, _ := w.at(u.name, len(w.stmts))
				for _, late := range vs {
					visit(late)
				}
			}
		}
	}
	visit(made)
	out := make([]*stmt, 0, len(in))
	for s := range in {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *stmt) int { return a.time - b.time })
	return out
}

// seededAt notes where the program seeds libraries first, when its top level is executed.
func (w *work) seededAt() {
	w.out.SeededAt = map[string]Place{}
	seeds := func(s *stmt) []string {
		if s == nil || s.node == nil {
			return nil
		}
		var out []string
		imports, _ := localsOf(s.node)
		s.node.Walk(func(n *syntax.Node) bool {
			if n.Kind == "call" {
				out = append(out, w.seeded(n, imports)...)
			}
			return true
		})
		return out
	}
	for _, s := range w.stmts {
		if w.kept[s] == nil || s.node == nil || strings.HasSuffix(s.node.Kind, "definition") {
			continue
		}
		libraries := seeds(s)
		for _, vs := range s.uses {
			for _, v := range vs {
				for _, c := range codeOf(v) {
					libraries = append(libraries, seeds(c.stmt)...)
				}
			}
		}
		for _, library := range libraries {
			if _, ok := w.out.SeededAt[library]; !ok {
				w.out.SeededAt[library] = Place{s.cell.Seq, s.line, s.endLine}
			}
		}
	}
}

// isCode says that a value is a function or a class that a statement defines.
func isCode(v *value) bool { return v.bind != nil && (v.bind.fn != nil || v.bind.class != nil) }

// anew are functions that give something else each time, whatever was seeded.
var anew = words(`
	time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.monotonic_ns time.process_time
	time.process_time_ns time.ctime time.localtime time.gmtime time.strftime timeit.default_timer datetime.datetime.now
	datetime.datetime.today datetime.datetime.utcnow datetime.date.today pandas.Timestamp.now pandas.Timestamp.today
	pandas.Timestamp.utcnow os.urandom os.getpid os.getppid os.getcwd os.times os.getloadavg pathlib.Path.cwd
	uuid.uuid1 uuid.uuid4 uuid.uuid7 random.SystemRandom threading.get_ident threading.current_thread
	psutil.virtual_memory psutil.cpu_percent torch.seed torch.initial_seed socket.socket getpass.getpass timeit.timeit
	timeit.repeat
`)

// ofProcess are values that are others in a kernel than in a program.
var ofProcess = map[string]bool{"sys.argv": true, "sys.orig_argv": true, "sys.path": true}

// anewModules are modules of which that is so of everything.
var anewModules = map[string]bool{"secrets": true, "tempfile": true}

// byChance says that executing a statement, or a function that it defines, gives something else each time.
func (w *work) byChance(s *stmt) bool {
	if s.node == nil {
		return false
	}
	found := false
	imports, _ := localsOf(s.node)
	later := w.seedsLater(s)
	seeded := map[*syntax.Node]bool{} // torch.Generator().manual_seed(0)
	s.node.Walk(func(n *syntax.Node) bool {
		if a := n.Child("attribute"); n.Kind == "attribute" && a != nil {
			// How long an answer took; what the process was started with.
			found = found || a.Text() == "elapsed" || ofProcess[w.dottedIn(n, len(w.stmts), imports)]
		}
		if found || n.Kind != "call" {
			return !found
		}
		f := n.Child("function")
		if f != nil && f.Kind == "attribute" && f.Child("object") != nil && f.Child("attribute") != nil {
			switch f.Child("attribute").Text() {
			case "manual_seed", "set_state":
				seeded[f.Child("object")] = true
			case "group_by": // polars gives the groups in any order
				found = !strings.Contains(s.text, "maintain_order") && !strings.Contains(s.text, ".sort(")
			}
		}
		name := w.dottedIn(f, len(w.stmts), imports)
		switch {
		case name != "":
			fresh := w.unseeded(n, len(w.stmts)) || name == "numpy.random.SeedSequence" && withoutArguments(n)
			found = anew.has(name) || anewModules[topOf(name)] || fresh && !later && !seeded[n]
		case f != nil && (f.Text() == "id" || f.Text() == "hash" || f.Text() == "input"):
			vs, _ := w.at(f.Text(), len(w.stmts))
			found = len(vs) == 0
		}
		return !found
	})
	return found
}

// seedsLater says that a statement binds a generator which a kept statement seeds.
func (w *work) seedsLater(s *stmt) bool {
	names := map[string]bool{}
	for _, c := range s.node.Children {
		if c.Kind == "assignment" {
			targets(c, names)
		}
	}
	for n := range names {
		vs, _ := w.at(n, len(w.stmts))
		if len(vs) > 0 && vs[len(vs)-1].stmt == s && w.seededLater(vs[len(vs)-1]) {
			return true
		}
	}
	return false
}

// withoutArguments says that a call has none but None.
func withoutArguments(call *syntax.Node) bool {
	args := call.Child("arguments")
	return args != nil && !slices.ContainsFunc(args.Children, func(a *syntax.Node) bool {
		if a.Kind == "keyword_argument" && a.Child("value") != nil {
			a = a.Child("value")
		}
		return a.Kind != "none"
	})
}

// uninitialized says that a value is memory as it was found: np.empty, and nothing has been written into it.
func (w *work) uninitialized(v *value) bool {
	if v.stmt.node == nil || len(w.factsOf(v).mutations) > 0 || len(v.stmt.node.Children) != 1 {
		return false
	}
	a := v.stmt.node.Children[0]
	if a.Kind != "assignment" || a.Child("right") == nil || a.Child("right").Kind != "call" {
		return false
	}
	switch w.dotted(a.Child("right").Child("function"), v.stmt.time) {
	case "numpy.empty", "numpy.empty_like", "torch.empty", "torch.empty_like":
		return true
	}
	return false
}
