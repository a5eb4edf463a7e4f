package slicer

import "strings"

// This file finds what defining a class does to others: its bases and their metaclass may keep it.

// subclass adds what a class that is defined does to a base or metaclass of it: __init_subclass__, the metaclass, and,
// where any code asks for subclasses, that the base has one more.
func (w *work) subclass(values []*value, at where, s *summary, add *adding) {
	for _, v := range values {
		if v.bind == nil || v.bind.class == nil {
			continue
		}
		base := v.bind.class
		if f := w.method(base, "__init_subclass__", len(w.stmts), 0); f != nil {
			w.apply(f, []arg{{}}, at, s, add)
			s.changes[v.name] = true
		}
		if w.asksForSubclasses {
			w.hasMore(base, v.name, s, 0)
		}
		meta := w.metaclass(base, 0)
		if meta == nil {
			meta = base // it is the metaclass itself, or has none
		}
		for _, name := range []string{"__new__", "__init__", "__prepare__"} {
			f := w.method(meta, name, len(w.stmts), 0)
			if f == nil || meta == base && !w.isMetaclass(base, 0) {
				continue
			}
			own := v.name
			if name != "__init__" {
				own = meta.name
			}
			w.apply(f, []arg{{refs: []ref{{name: own}}}}, at, s, add)
		}
	}
}

// hasMore notes that a class, and those that it comes from, has one more subclass.
func (w *work) hasMore(c *class, name string, s *summary, depth int) {
	s.changes[name] = true
	for _, b := range c.bases {
		if cl := w.sessionClass(b, len(w.stmts)); cl != nil && cl != c && depth < maxKindDepth {
			w.hasMore(cl, b, s, depth+1)
		}
	}
}

// construct adds what making an object of a class does beside making it.
func (w *work) construct(c *class, name string, args []arg, at where, s *summary, add *adding) {
	own := []ref{{name: name}}
	if f := w.method(c, "__new__", at.time, 0); f != nil {
		w.apply(f, append([]arg{{refs: own}}, args...), at, s, add)
	}
	if f := w.method(c, "__init__", at.time, 0); f != nil {
		w.apply(f, append([]arg{{of: c}}, args...), at, s, add)
	}
	if f := w.method(c, "__post_init__", at.time, 0); f != nil {
		w.apply(f, []arg{{of: c}}, at, s, add)
	}
	if meta := w.metaclass(c, 0); meta != nil {
		if f := w.method(meta, "__call__", len(w.stmts), 0); f != nil {
			w.apply(f, append([]arg{{refs: own}}, args...), at, s, add)
		}
	}
}

// isMetaclass says that a class makes classes: it comes from type.
func (w *work) isMetaclass(c *class, depth int) bool {
	for _, b := range c.baseNodes {
		if t := b.Text(); t == "type" || t == "ABCMeta" || strings.HasSuffix(t, ".ABCMeta") || t == "EnumMeta" {
			return true
		}
		if cl := w.sessionClass(b.Text(), len(w.stmts)); cl != nil && cl != c && depth < maxKindDepth &&
			w.isMetaclass(cl, depth+1) {
			return true
		}
	}
	return false
}

// metaclass is the class of the session that makes a class: its own, or that of a base.
func (w *work) metaclass(c *class, depth int) *class {
	if c.metaclass != "" {
		return w.sessionClass(c.metaclass, len(w.stmts))
	}
	if depth > maxKindDepth {
		return nil
	}
	for _, b := range c.bases {
		if cl := w.sessionClass(b, len(w.stmts)); cl != nil && cl != c {
			if m := w.metaclass(cl, depth+1); m != nil {
				return m
			}
		}
	}
	return nil
}

// findReaders notes whether any code of the session asks classes for their subclasses, and whether any replaces
// sys.stdout.
func (w *work) findReaders() {
	w.asksForSubclasses, w.redirects = false, false
	w.logs = map[string]bool{}
	for _, c := range w.cells {
		for _, s := range c.stmts {
			w.findLogs(s.e.calls)
			for _, b := range s.e.binds {
				if b.fn != nil {
					w.findLogs(b.fn.e.calls)
				}
			}
			w.asksForSubclasses = w.asksForSubclasses || s.e.names[".__subclasses__"]
			if s.node != nil && s.node.Kind == "expression_statement" && s.node.Of("assignment") != nil {
				left := s.node.Of("assignment").Child("left")
				w.redirects = w.redirects || left != nil && (left.Text() == "sys.stdout" || left.Text() == "sys.stderr")
			}
		}
	}
}

// findLogs notes which names handlers of package logging are given: a buffer, a list.
func (w *work) findLogs(calls []call) {
	for i := range calls {
		switch lastName(calls[i].node.Child("function")) {
		case "StreamHandler", "basicConfig", "QueueHandler", "MemoryHandler", "addHandler":
			for _, a := range calls[i].args {
				for _, r := range a.refs {
					if !r.param {
						w.logs[r.name] = true
					}
				}
			}
		}
	}
}

// logging are the methods that give a message to handlers.
var logging = words("debug info warning warn error exception critical fatal log")

// logged adds what a message changes: what the handlers write to, where that is something of the session.
func (w *work) logged(method string, s *summary, at where, add *adding) {
	if !logging.has(method) {
		return
	}
	for _, name := range sorted(w.logs) {
		for _, v := range w.valuesAt(name, at.time) {
			if isImport(v) {
				continue
			}
			add.refs([]ref{{name: name}})
			if cl := w.classOf(v); cl != nil {
				if f := w.method(cl, "emit", len(w.stmts), 0); f != nil {
					w.apply(f, []arg{{refs: []ref{{name: name}}}, {}}, at, s, add)
				}
			}
		}
	}
}

// setNames adds what objects do that stand in the body of a class: __set_name__.
func (w *work) setNames(c *call, at where, s *summary, add *adding) {
	if cl := w.sessionClass(c.callee, at.time); cl != nil && len(c.path) == 0 {
		if f := w.method(cl, "__set_name__", len(w.stmts), 0); f != nil {
			w.apply(f, []arg{{}, {}, {}}, at, s, add)
		}
	}
}
