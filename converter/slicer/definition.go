package slicer

import (
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file scans functions and classes, with their parameters and annotations.

func (s *scanner) enter(kind scopeKind) {
	s.sc = &scope{
		kind: kind, up: s.sc, local: map[string]bool{}, global: map[string]bool{}, params: map[string]bool{},
		alias: map[string][]ref{},
	}
}

func (s *scanner) leave() { s.sc = s.sc.up }

// function scans a def. Its decorators were scanned by the caller.
func (s *scanner) function(n *syntax.Node, decorators []ref) {
	nameNode := n.Child("name")
	if nameNode == nil {
		return
	}
	name := nameNode.Text()
	outerFn, outerBy, outerE := s.fn, s.by, s.e
	fn := &function{name: name}
	b := bind{name: name, line: n.Row + 1, parts: decorators, def: n}
	top := s.sc.kind == moduleScope || s.sc.kind == classScope && s.sc.up.kind == moduleScope
	if top && s.sc.kind == moduleScope {
		b.fn = fn
		s.by = name
	}
	params := n.Child("parameters")
	typeParams := n.Child("type_parameters")
	if typeParams != nil {
		s.enter(comprehensionScope)
		s.typeParameters(typeParams)
	}
	if params != nil {
		b.parts = append(b.parts, s.parameters(params)...)
	}
	if r := n.Child("return_type"); r != nil {
		s.annotation(r)
	}
	if s.sc.kind == classScope && s.current != nil {
		s.current.methods[name] = fn
	}
	if typeParams != nil {
		s.leave()
	}
	s.bind(b)
	if typeParams != nil {
		s.enter(comprehensionScope)
		s.typeParameters(typeParams)
		defer s.leave()
	}
	s.enter(functionScope)
	if top {
		s.fn = fn
		s.e = &fn.e
	}
	if params != nil {
		for _, p := range parameters(params) {
			s.sc.local[p.Name] = true
			if top {
				s.sc.params[p.Name] = true
				switch p.Kind {
				case VarPosition:
					fn.vararg = p.Name
				case VarKeyword:
					fn.kwarg = p.Name
				default:
					fn.params = append(fn.params, p.Name)
				}
			}
		}
	}
	if body := n.Child("body"); body != nil {
		for l := range locals(body, s.sc.global) {
			s.sc.local[l] = true
		}
		s.block(body)
	}
	s.leave()
	s.fn, s.by, s.e = outerFn, outerBy, outerE
}

// parameters scans defaults and annotations, and gives what the defaults may hold.
func (s *scanner) parameters(n *syntax.Node) []ref {
	var defaults []ref
	for _, p := range n.Children {
		if v := p.Child("value"); v != nil {
			s.expr(v, false)
			aliases, parts := s.refs(v)
			defaults = append(append(defaults, aliases...), parts...)
		}
		if t := p.Child("type"); t != nil {
			s.annotation(t)
		}
	}
	return defaults
}

func (s *scanner) annotation(n *syntax.Node) {
	n.Walk(func(c *syntax.Node) bool {
		switch c.Kind {
		case "identifier":
			s.use(c, true)
			return false
		case "attribute":
			if o := c.Child("object"); o != nil {
				s.annotation(o)
			}
			return false
		case "member_type":
			if len(c.Children) > 0 {
				s.annotation(c.Children[0])
			}
			return false
		case "generic_type", "subscript":
			return !s.special(c)
		case "string":
			s.quoted(c)
			return false
		case "call", "lambda", "list_comprehension":
			s.expr(c, false)
			return false
		}
		return true
	})
}

// special scans the annotations whose parameters are not all types: Literal["a"] and Annotated[int, "a comment"].
func (s *scanner) special(n *syntax.Node) bool {
	if len(n.Children) < 2 {
		return false
	}
	base, rest := n.Children[0], n.Children[1:]
	if p := n.Of("type_parameter"); p != nil {
		rest = p.Children
	}
	switch _, name, dotted := strings.Cut(base.Text(), "."); {
	case name == "Literal" || !dotted && base.Text() == "Literal":
		s.annotation(base)
	case (name == "Annotated" || !dotted && base.Text() == "Annotated") && len(rest) > 0:
		s.annotation(base)
		s.annotation(rest[0])
		for _, c := range rest[1:] {
			if c.Kind == "type" && len(c.Children) == 1 {
				c = c.Children[0]
			}
			s.expr(c, false)
		}
	default:
		return false
	}
	return true
}

// quoted scans an annotation that is written as a string. It is read late.
func (s *scanner) quoted(n *syntax.Node) {
	content := n.Of("string_content")
	if content == nil || s.quotedAt > 0 {
		return
	}
	tree, err := syntax.Parse("(" + content.Text() + ")")
	if err != nil || tree.ErrorAt > 0 {
		return
	}
	s.quotedAt = n.Row + 1
	s.annotation(tree.Root)
	s.quotedAt = 0
}

func (s *scanner) class(n *syntax.Node, decorators []ref) {
	nameNode := n.Child("name")
	if nameNode == nil {
		return
	}
	name := nameNode.Text()
	cl := &class{name: name, methods: map[string]*function{}}
	b := bind{name: name, line: n.Row + 1, parts: decorators, def: n}
	outerBy, outerClass := s.by, s.current
	if s.sc.kind == moduleScope {
		b.class = cl
		s.by = name
		s.current = cl
	} else {
		s.current = nil
	}
	typeParams := n.Child("type_parameters")
	if typeParams != nil {
		s.enter(comprehensionScope)
		s.typeParameters(typeParams)
	}
	if sup := n.Child("superclasses"); sup != nil {
		for _, c := range sup.Children {
			s.expr(c, false)
			if c.Kind == "identifier" {
				cl.bases = append(cl.bases, c.Text())
			}
			aliases, _ := s.refs(c)
			b.parts = append(b.parts, aliases...)
		}
	}
	s.enter(classScope)
	if body := n.Child("body"); body != nil {
		for l := range locals(body, s.sc.global) {
			s.sc.local[l] = false // it is the class's own once it is bound, and the top level's before
		}
		s.classBody(body)
	}
	s.leave()
	if typeParams != nil {
		s.leave()
	}
	s.bind(b)
	s.by, s.current = outerBy, outerClass
}

// classBody scans the statements in order: a name is the class's own from the statement that binds it.
func (s *scanner) classBody(body *syntax.Node) {
	for _, c := range body.Children {
		s.statement(c)
		own := map[string]bool{}
		targets(c, own)
		for l := range locals(&syntax.Node{Children: []*syntax.Node{c}}, map[string]bool{}) {
			own[l] = true
		}
		for l := range own {
			s.sc.local[l] = true
		}
	}
}
