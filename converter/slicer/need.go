package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
)

// needKey is a value that is needed as it is before the statement with the time.
type needKey struct {
	v    *value
	time int
}

// unresolvedName is a name that is needed and has no source in the cells.
type unresolvedName struct {
	name string
	use  use
	stmt *stmt // that mentions it
	user string
	time int  // of the first statement that needs it
	soft bool // nothing is wrong if it stays without
	word bool // it is a word of a shell command, and the shell's own where nothing else is known
}

// needs goes backwards from the entry. Where that shows that a repetition was left out which is none, it starts again
// with a walk that does not leave it out.
func (w *work) needs() error {
	notes := len(w.out.Notes)
	for {
		w.begin()
		w.entryNeeds(len(w.stmts))
		w.settings()
		if !w.parted() {
			return nil
		}
		for _, step := range []func() error{w.flow, w.chooseEntry} {
			if err := step(); err != nil {
				return err
			}
		}
		w.out.Notes = w.out.Notes[:notes] // they are said again, or have been
	}
}

// begin makes ready to go backwards.
func (w *work) begin() {
	w.kept = map[*stmt][]string{}
	w.demanded = map[needKey]bool{}
	w.unresolved = map[string]*unresolvedName{}
	w.withs = map[string]int{}
	w.passed = map[string]bool{}
	w.facts = map[*value]*facts{}
	w.exclude()
}

// theEntry is why the entry is kept, and who needs what it needs when nobody else does.
const theEntry = "the entry"

func (w *work) entryNeeds(end int) {
	vs, _ := w.at(w.out.Entry.Name, end)
	for _, v := range vs {
		w.need(v, end, theEntry)
	}
}

// future keeps `from __future__ import`, which holds for all later cells.
func (w *work) future() {
	for _, s := range w.stmts {
		if s.node != nil && s.node.Kind == "future_import_statement" {
			w.include(s, "holds for all code after it")
		}
	}
}

// exclude marks what is never part of a program: guards and calls of entry functions in scripts, calls of decorated
// functions, changes of the working directory that the session has already made.
func (w *work) exclude() {
	ours := map[string]bool{}
	for _, s := range w.stmts {
		if w.decorated(s) {
			for _, b := range s.e.binds {
				ours[b.name] = true
			}
		}
	}
	script := w.doc.Kind == session.Script
	for _, s := range w.stmts {
		if s.node == nil {
			continue
		}
		if script && isGuard(s) {
			s.skip = true
		}
		for i := range s.e.calls {
			c := &s.e.calls[i]
			if !c.plain || s.node.Kind != "expression_statement" {
				continue
			}
			switch {
			case len(c.path) == 0 && ours[c.callee]:
				s.skip = true
			case len(c.path) == 0 && c.callee == w.out.Entry.Name && (script || c.discarded):
				s.skip = true
			case w.doc.Kind == session.Live && c.discarded && len(c.path) > 0 && c.path[len(c.path)-1] == "chdir" &&
				w.moduleOf(c.callee, s.time) == "os":
				s.skip = true
			}
		}
	}
}

// isGuard recognises if __name__ == "__main__".
func isGuard(s *stmt) bool {
	if s.node.Kind != "if_statement" {
		return false
	}
	c := s.node.Child("condition")
	if c == nil {
		return false
	}
	t := strings.Join(strings.Fields(c.Text()), "")
	t = strings.Trim(strings.ReplaceAll(t, `"`, "'"), "()")
	return t == "__name__=='__main__'" || t == "'__main__'==__name__"
}

// facts are what is known of a value once the flow is known.
type facts struct {
	mutations []*mutation // that may have changed it
	code      []*value    // functions and classes whose bodies may run when it is used
	timeless  bool        // it is the same at any time
}

func (w *work) factsOf(v *value) *facts {
	if in := w.facts[v]; in != nil {
		return in
	}
	in := &facts{code: codeOf(v)}
	known := map[*mutation]bool{}
	add := func(events []*mutation) {
		for _, e := range events {
			if !known[e] {
				known[e] = true
				in.mutations = append(in.mutations, e)
			}
		}
	}
	own := reach(v, inside)
	for u := range reach(v, observed) {
		add(u.mutations)
		if own[u] {
			add(u.outerMutations)
		}
	}
	slices.SortFunc(in.mutations, func(a, b *mutation) int { return a.stmt.time - b.stmt.time })
	in.timeless = len(in.mutations) == 0 && len(in.code) == 0
	w.facts[v] = in
	return in
}

// need demands a value as it is at a time.
func (w *work) need(v *value, time int, user string) {
	in := w.factsOf(v)
	k := needKey{v, time}
	if in.timeless {
		k.time = -1
	}
	if w.demanded[k] {
		if v.stmt != nil && !v.stmt.skip && user != theEntry {
			w.because(v.stmt, "needed by "+user)
		}
		return
	}
	w.demanded[k] = true
	if v.stmt != nil {
		if v.stmt.skip {
			w.addUnresolved(v.name, use{name: v.name, line: v.stmt.line, by: user}, v.stmt, true)
			return
		}
		if user == theEntry {
			w.include(v.stmt, theEntry)
		} else {
			w.include(v.stmt, "needed by "+user)
		}
	}
	for _, e := range in.mutations {
		w.changedBy(e, v, time, user)
	}
	for _, c := range in.code {
		if c.stmt == nil {
			continue
		}
		for _, u := range c.stmt.e.late {
			w.needLate(u, c.stmt, time)
		}
	}
}

func (w *work) changedBy(e *mutation, v *value, time int, user string) {
	if e.stmt.time >= time || e.stmt.skip || v.stmt == e.stmt {
		return
	}
	if v.bind != nil && v.bind.imp != nil && w.answered(e.stmt) {
		return
	}
	if v.stmt == nil || e.stmt.time > v.stmt.time {
		w.include(e.stmt, "changes "+e.name+", which "+user+" uses")
	}
}

// needLate demands a name that the body of a function reads: by the binding at the time of the call, or by the last
// one.
func (w *work) needLate(u use, s *stmt, time int) {
	by := u.by
	if by == "" {
		by = s.name()
	}
	if w.given(u.name, time) {
		return
	}
	vs, ok := w.at(u.name, time)
	if !ok {
		time = len(w.stmts)
		vs, ok = w.at(u.name, time)
	}
	if !ok {
		w.addUnresolved(u.name, u, s, u.soft)
		return
	}
	if time == len(w.stmts) && w.boundSince(vs) {
		delete(w.unresolved, u.name)
		w.addUnresolved(u.name, u, s, u.soft)
		return
	}
	for _, v := range vs {
		w.need(v, time, by)
	}
}

// boundSince says that a cell of ours has bound the name since: the magic does it without a statement, so what a cell
// bound to it before is not what it means now.
func (w *work) boundSince(values []*value) bool {
	return len(values) > 0 && w.doc.Names[values[0].name].Kind == "metaml" && !values[0].ofOurs()
}

// ofOurs says that the statement which made the value speaks of MetaML: run = metaml.run("x").
func (v *value) ofOurs() bool {
	if v.stmt == nil {
		return false
	}
	for alias := range v.stmt.cell.aliases.names {
		if v.stmt.e.names[alias] {
			return true
		}
	}
	for alias := range v.stmt.cell.aliases.module {
		if v.stmt.e.names[alias] {
			return true
		}
	}
	return v.stmt.ours
}

// name is how people call the statement: what it defines.
func (s *stmt) name() string {
	if len(s.e.binds) > 0 {
		return s.e.binds[0].name
	}
	return s.cell.where("", s.line)
}

// because adds a reason for a kept statement, up to a few.
func (w *work) because(s *stmt, why string) {
	if whys := w.kept[s]; !slices.Contains(whys, why) && len(whys) < 4 {
		w.kept[s] = append(whys, why)
	}
}

// include keeps a statement, and demands what it reads when it is executed.
func (w *work) include(s *stmt, why string) {
	_, ok := w.kept[s]
	w.because(s, why)
	if ok {
		return
	}
	for _, u := range s.e.uses {
		if w.given(u.name, s.time) {
			continue
		}
		vs := s.uses[u.name]
		if s.cell == w.target && w.boundSince(vs) {
			vs = nil
		}
		if len(vs) == 0 {
			switch {
			case s.bindsItself(u.name):
			case u.soft && !u.word:
				w.needLate(u, s, s.time) // an annotation may name what comes later
			default:
				w.addUnresolved(u.name, u, s, u.soft)
			}
			continue
		}
		for _, v := range vs {
			w.need(v, s.time, s.name())
		}
	}
	if s.node == nil || !strings.Contains(s.node.Kind, "definition") {
		for _, u := range s.e.late {
			if s.bindsItself(u.name) {
				if w.plain(s) && len(s.e.calls) > 0 { // a = (lambda: a)() reads what a was
					vs, _ := w.at(u.name, s.time)
					for _, v := range vs {
						w.need(v, s.time, s.name())
					}
				}
				continue
			}
			w.needLate(u, s, s.time)
		}
	}
	for _, m := range s.e.loaded {
		if before := w.importedBefore(m, s.time); before != nil && !before.skip {
			w.include(before, "needed by "+s.name())
		}
	}
	for i := range s.e.calls {
		c := &s.e.calls[i]
		if c.plain && (c.callee == "exec" || c.callee == "eval") && len(s.uses[c.callee]) == 0 && len(c.path) == 0 {
			w.note(NoteExec, s.cell.Seq, c.line, "Write the code in a cell if the function needs names that it makes.",
				"%s calls %s(), whose names cannot be seen", w.position(s.cell, c.line), c.callee)
		}
	}
}

// bindsItself says that the statement binds the name before it reads it, as a loop does.
func (s *stmt) bindsItself(name string) bool {
	return slices.ContainsFunc(s.e.binds, func(b bind) bool { return b.name == name })
}

// given says that a name is not searched for in the cells.
func (w *work) given(name string, time int) bool {
	if slices.Contains(w.o.Ignore, name) {
		w.passed[name] = true
		return true
	}
	if slices.Contains(w.o.With, name) {
		if t, ok := w.withs[name]; !ok || time < t {
			w.withs[name] = time
		}
		return true
	}
	return false
}

func (w *work) addUnresolved(name string, u use, s *stmt, soft bool) {
	if builtins.has(name) && !s.skip {
		return
	}
	if h := w.unresolved[name]; h != nil {
		h.soft = h.soft && soft
		h.word = h.word && u.word
		h.time = min(h.time, s.time)
		return
	}
	user := u.by
	if user == "" {
		user = s.name()
	}
	w.unresolved[name] = &unresolvedName{
		name: name, use: u, stmt: s, user: user, time: s.time, soft: soft && !s.skip, word: u.word,
	}
}
