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
				outer := s.immediate
				s.immediate = true // a lambda that is a decorator is called at once
				s.expr(c, false)
				s.immediate = outer
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
			s.markProperty(n, d)
			s.markDecorated(n)
		}
		// A decorator is called with the definition, which it may put somewhere: @register.
		for _, c := range n.Children {
			if name := d.Child("name"); c.Kind == "decorator" && len(c.Children) == 1 && name != nil &&
				!s.ours.isDecorator(c) {
				s.decorate(c.Children[0], name)
			}
		}
	case "import_statement", "import_from_statement", "future_import_statement":
		s.imports(n)
	case "return_statement":
		for _, c := range n.Children {
			s.expr(c, false)
			s.returns(c)
		}
	case "nonlocal_statement":
		if s.fn != nil {
			s.fn.stateful = true
		}
	case "global_statement":
	case "delete_statement":
		s.del(n)
	case "for_statement":
		s.async(n)
		right := n.Child("right")
		if right != nil {
			s.expr(right, false)
			s.goOver(right)
			s.bindEach(n.Child("left"), right)
		}
		for _, c := range n.Children {
			if c.Field != "left" && c.Field != "right" {
				s.statement(c)
			}
		}
	case "with_item":
		for _, c := range n.Children {
			s.expr(c, false)
			if c.Kind == "as_pattern" && len(c.Children) > 0 {
				c = c.Children[0]
			}
			s.load(n, entered, c)
		}
	case "with_statement":
		s.async(n)
		s.parts(n, suppressesNames(n))
	case "type_alias_statement":
		s.typeAlias(n)
	case "case_clause":
		s.caseClause(n)
	case "match_statement":
		outer := s.subject
		for _, c := range n.Children {
			s.statement(c)
			if c.Field == "subject" {
				aliases, parts := s.refs(c)
				s.subject = append(slices.Clone(aliases), parts...)
			}
		}
		s.subject = outer
	case "block", "else_clause", "finally_clause", "elif_clause", "except_clause", "except_group_clause",
		"if_statement", "while_statement", "with_clause":
		for _, c := range n.Children {
			s.statement(c)
		}
	case "try_statement":
		s.parts(n, withoutName(n))
	default:
		s.expr(n, false)
	}
}

// parts scans the parts of a statement, of which the body may go on where a name is not defined.
func (s *scanner) parts(n *syntax.Node, nameless bool) {
	for _, c := range n.Children {
		if nameless && c.Field == "body" {
			s.nameless++
			s.statement(c)
			s.nameless--
			continue
		}
		s.statement(c)
	}
}

// markProperty notes that a method is called when it is read: @property, @cached_property.
func (s *scanner) markProperty(n, def *syntax.Node) {
	name := def.Child("name")
	if s.current == nil || s.sc.kind != classScope || name == nil || s.current.methods[name.Text()] == nil {
		return
	}
	for _, c := range n.Children {
		if c.Kind == "decorator" && strings.HasSuffix(strings.TrimSpace(c.Text()), "property") {
			s.current.methods[name.Text()].property = true
		}
	}
}

// markDecorated notes by which functions a function of the top level is wrapped.
func (s *scanner) markDecorated(n *syntax.Node) {
	if s.sc.kind != moduleScope || len(s.top.binds) == 0 {
		return
	}
	b := &s.top.binds[len(s.top.binds)-1]
	for _, c := range n.Children {
		if c.Kind != "decorator" || len(c.Children) == 0 || s.ours.isDecorator(c) {
			continue
		}
		f := c.Children[0]
		if f.Kind == "call" {
			f = f.Child("function")
		}
		if name := lastName(f); name != "" {
			b.wrappers = append(b.wrappers, name)
		}
	}
}

// returns notes what the function that is scanned returns; what functions inside of it return is theirs.
func (s *scanner) returns(n *syntax.Node) {
	if s.fn == nil {
		return
	}
	sc := s.sc
	for sc.kind != functionScope {
		sc = sc.up
	}
	if sc != s.body {
		return
	}
	aliases, parts := s.refs(n)
	s.fn.returned = append(s.fn.returned, returned{n, s.sc, append(slices.Clone(aliases), parts...)})
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
		if s.sc.kind == functionScope && !strings.HasPrefix(b.imp.module, ".") {
			b.aliases = []ref{{name: moduleRef + b.imp.module}}
			s.sc.imports[b.name] = b.imp
		}
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
			s.bind(bind{name: name, aliases: partly(slices.Clone(s.subject)), line: c.Row + 1})
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
