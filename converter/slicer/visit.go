package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// inFunction says that the code that is scanned runs later than its statement.
func (s *scanner) inFunction() bool {
	for sc := s.sc; sc != nil; sc = sc.up {
		if sc.kind == functionScope {
			return true
		}
	}
	return false
}

// find gives the scope that a name belongs to when it is read: nil is the top level.
func (s *scanner) find(name string) *scope {
	for sc := s.sc; sc != nil; sc = sc.up {
		if sc.global[name] {
			return nil
		}
		if sc.kind == classScope && sc != s.sc {
			continue
		}
		if sc.kind != moduleScope && sc.local[name] {
			return sc
		}
	}
	return nil
}

func (s *scanner) use(n *syntax.Node, soft bool) {
	name := n.Text()
	s.top.names[name] = true
	if s.find(name) != nil {
		return
	}
	u := use{name: name, line: n.Row + 1, by: s.by, soft: soft || s.command, word: s.command}
	if s.quotedAt > 0 {
		u.line = s.quotedAt
	}
	if s.inFunction() || s.quotedAt > 0 {
		s.top.late = append(s.top.late, u)
	} else {
		s.top.uses = append(s.top.uses, u)
	}
	if s.fn != nil {
		s.fn.e.uses = append(s.fn.e.uses, u)
	}
}

// resolve gives what a name may be: a name of the top level, a parameter, or what a local variable stands for.
func (s *scanner) resolve(name string) []ref {
	sc := s.find(name)
	if sc == nil {
		return []ref{{name: name}}
	}
	out := slices.Clone(sc.alias[name])
	if sc.params[name] {
		out = append(out, ref{name: name, param: true})
	}
	return out
}

// bind notes that a name is bound in the scope of the code that is scanned.
func (s *scanner) bind(b bind) {
	s.top.names[b.name] = true
	sc := s.sc
	for sc.kind == comprehensionScope && !sc.local[b.name] {
		sc = sc.up // := binds outside
	}
	switch {
	case sc.kind == moduleScope:
		s.top.binds = append(s.top.binds, b)
	case sc.global[b.name]:
		if s.fn != nil {
			s.fn.e.globals = append(s.fn.e.globals, b.name)
		} else {
			s.top.binds = append(s.top.binds, b)
		}
	default:
		sc.alias[b.name] = append(sc.alias[b.name], b.aliases...)
		sc.alias[b.name] = append(sc.alias[b.name], b.parts...)
	}
}

// bindPattern binds every name in a target, and notes stores into attributes and items.
func (s *scanner) bindPattern(n *syntax.Node, aliases, parts []ref) {
	if n == nil {
		return
	}
	switch n.Kind {
	case "identifier":
		s.bind(bind{name: n.Text(), aliases: aliases, parts: parts, line: n.Row + 1})
	case "attribute", "subscript":
		s.expr(n, false)
		s.change(n, append(slices.Clone(aliases), parts...), true)
	default:
		aliases = append(slices.Clone(aliases), parts...)
		for _, c := range n.Children {
			s.bindPattern(c, aliases, nil)
		}
	}
}

// bindEach binds a target to the parts of what a loop goes over. Of zip and enumerate each name is a part of its own
// object, so that `for ax, x in zip(axes, xs): ax.plot(x)` changes axes and not xs.
func (s *scanner) bindEach(target, over *syntax.Node) {
	if target == nil {
		return
	}
	var args []*syntax.Node
	name := ""
	if over.Kind == "call" {
		if f, a := over.Child("function"), over.Child("arguments"); f != nil && a != nil && a.Kind == "argument_list" &&
			!has(a, "list_splat") && !has(a, "dictionary_splat") {
			name = f.Text()
			for _, c := range a.Children {
				if c.Kind != "keyword_argument" {
					args = append(args, c)
				}
			}
			if f.Kind == "attribute" {
				name = ""
				if m := f.Child("attribute"); m != nil && m.Text() == "items" && len(args) == 0 {
					name = ".items"
				}
			}
		}
	}
	names := target.Children
	several := (target.Kind == "pattern_list" || target.Kind == "tuple_pattern" || target.Kind == "list_pattern") &&
		!has(target, "list_splat_pattern")
	switch {
	case name == "zip" && several && len(names) == len(args):
		for i, p := range names {
			s.bindEach(p, args[i])
		}
		return
	case name == "enumerate" && several && len(names) == 2 && len(args) > 0:
		s.bindPattern(names[0], nil, nil)
		s.bindEach(names[1], args[0])
		return
	case name == ".items" && several && len(names) == 2:
		s.bindPattern(names[0], nil, nil) // a key does not change
		aliases, parts := s.refs(over)
		s.bindPattern(names[1], append(aliases, parts...), nil)
		return
	case (name == "tqdm" || name == "list" || name == "tuple" || name == "reversed" || name == "sorted" ||
		name == "iter") && len(args) > 0:
		s.bindEach(target, args[0])
		return
	}
	aliases, parts := s.refs(over)
	s.bindPattern(target, append(aliases, parts...), nil)
}

// change notes that the object at the root of a target is changed, and what it holds from now on. It is put there, if
// what was there before is not changed itself.
func (s *scanner) change(n *syntax.Node, contents []ref, put bool) {
	aliases, _ := s.refs(n)
	if o := n.Children; put && len(o) > 0 && o[0].Kind == "identifier" {
		aliases = flatly(aliases)
	}
	s.e.changes = append(s.e.changes, aliases...)
	if len(contents) > 0 {
		for _, r := range aliases {
			s.e.contained = append(s.e.contained, containment{r, contents})
		}
	}
}

func flatly(refs []ref) []ref {
	refs = slices.Clone(refs)
	for i := range refs {
		refs[i].flat = true
	}
	return refs
}

func (s *scanner) block(n *syntax.Node) {
	for _, c := range n.Children {
		s.statement(c)
	}
}

func (s *scanner) statement(n *syntax.Node) {
	switch n.Kind {
	case "expression_statement":
		for _, c := range n.Children {
			s.expr(c, len(n.Children) == 1)
		}
	case "function_definition":
		s.function(n, nil)
	case "class_definition":
		s.class(n, nil)
	case "decorated_definition":
		var refs []ref
		for _, c := range n.Children {
			if c.Kind == "decorator" && !s.ours.isDecorator(c) {
				s.expr(c, false)
				for _, d := range c.Children {
					aliases, parts := s.refs(d)
					refs = append(append(refs, aliases...), parts...)
				}
			}
		}
		d := n.Child("definition")
		switch {
		case d == nil:
			return
		case d.Kind == "class_definition":
			s.class(d, refs)
		default:
			s.function(d, refs)
		}
		// A decorator is called with the definition, which it may put somewhere: @register.
		for _, c := range n.Children {
			if name := d.Child("name"); c.Kind == "decorator" && len(c.Children) == 1 && name != nil &&
				!s.ours.isDecorator(c) {
				s.decorate(c.Children[0], s.resolve(name.Text()))
			}
		}
	case "import_statement", "import_from_statement", "future_import_statement":
		s.imports(n)
	case "global_statement", "nonlocal_statement":
	case "delete_statement":
		s.del(n)
	case "for_statement":
		s.async(n)
		right := n.Child("right")
		if right != nil {
			s.expr(right, false)
			s.bindEach(n.Child("left"), right)
		}
		for _, c := range n.Children {
			if c.Field != "left" && c.Field != "right" {
				s.statement(c)
			}
		}
	case "with_statement":
		s.async(n)
		for _, c := range n.Children {
			s.statement(c)
		}
	case "type_alias_statement":
		s.typeAlias(n)
	case "case_clause":
		s.caseClause(n)
	case "block", "else_clause", "finally_clause", "elif_clause", "except_clause", "except_group_clause",
		"if_statement", "while_statement",
		"try_statement", "with_clause", "match_statement":
		for _, c := range n.Children {
			s.statement(c)
		}
	default:
		s.expr(n, false)
	}
}

// async notes `async for` and `async with` outside of a function.
func (s *scanner) async(n *syntax.Node) {
	if strings.HasPrefix(n.Text(), "async") && !s.inFunction() {
		s.top.await = true
	}
}

func (s *scanner) imports(n *syntax.Node) {
	if n.Of("wildcard_import") != nil {
		module := ""
		if m := n.Child("module_name"); m != nil {
			module = strings.Join(strings.Fields(m.Text()), "")
		}
		s.top.stars = append(s.top.stars, module)
		s.top.imports = append(s.top.imports, imported{module: module, name: "*"})
		return
	}
	for _, b := range importBinds(n) {
		s.top.imports = append(s.top.imports, *b.imp)
		s.bind(b)
	}
}

func (s *scanner) del(n *syntax.Node) {
	var visit func(*syntax.Node)
	visit = func(c *syntax.Node) {
		switch c.Kind {
		case "identifier":
			if s.sc.kind == moduleScope {
				s.top.deleted = append(s.top.deleted, c.Text())
			}
		case "attribute", "subscript":
			s.expr(c, false)
			s.change(c, nil, true)
		default:
			for _, d := range c.Children {
				visit(d)
			}
		}
	}
	for _, c := range n.Children {
		visit(c)
	}
}

func (s *scanner) typeAlias(n *syntax.Node) {
	names := map[string]bool{}
	targets(n, names)
	for name := range names {
		s.bind(bind{name: name, line: n.Row + 1})
	}
	s.enter(functionScope) // a type alias is evaluated when it is read
	defer s.leave()
	if l := n.Child("left"); l != nil {
		if p := find(l, "type_parameter"); p != nil {
			s.typeParameters(p)
		}
	}
	if r := n.Child("right"); r != nil {
		s.expr(r, false)
	}
}

func find(n *syntax.Node, kind string) *syntax.Node {
	var out *syntax.Node
	n.Walk(func(c *syntax.Node) bool {
		if out == nil && c.Kind == kind {
			out = c
		}
		return out == nil
	})
	return out
}

// typeParameters makes the names of [T: bound] local, and reads the bounds.
func (s *scanner) typeParameters(n *syntax.Node) {
	for _, t := range n.Children {
		first := true
		t.Walk(func(c *syntax.Node) bool {
			if c.Kind == "identifier" {
				if first {
					s.sc.local[c.Text()] = true
				} else {
					s.use(c, true)
				}
				first = false
			}
			return true
		})
	}
}

func (s *scanner) caseClause(n *syntax.Node) {
	for _, c := range n.Children {
		if c.Kind != "case_pattern" {
			continue
		}
		names := map[string]bool{}
		casePattern(c, names)
		for _, name := range sorted(names) {
			s.bind(bind{name: name, line: c.Row + 1})
		}
		c.Walk(func(d *syntax.Node) bool {
			if d.Kind == "dotted_name" && len(d.Children) > 0 {
				captures := map[string]bool{}
				casePattern(d, captures)
				if len(captures) == 0 || d.Field == "" && parentIsClass(c, d) {
					s.use(d.Children[0], false)
				}
				return false
			}
			return true
		})
	}
	for _, c := range n.Children {
		if c.Kind != "case_pattern" {
			s.statement(c)
		}
	}
}

// parentIsClass says that a dotted name is the class of a class pattern, such as Point in Point(x=0).
func parentIsClass(root, d *syntax.Node) bool {
	found := false
	root.Walk(func(c *syntax.Node) bool {
		if c.Kind == "class_pattern" && len(c.Children) > 0 && c.Children[0] == d {
			found = true
		}
		return !found
	})
	return found
}
