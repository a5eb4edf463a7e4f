package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file scans functions and classes, with their parameters and annotations.

func (s *scanner) enter(kind scopeKind) {
	s.sc = &scope{
		kind: kind, up: s.sc, local: map[string]bool{}, global: map[string]bool{}, params: map[string]bool{},
		alias: map[string][]ref{}, values: map[string][]*syntax.Node{}, annotations: map[string]*syntax.Node{},
		imports: map[string]*imported{}, busy: map[string]bool{},
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
	outerFn, outerBy, outerE, outerBody := s.fn, s.by, s.e, s.body
	fn := &function{name: name}
	b := bind{name: name, line: n.Row + 1, parts: decorators, def: n}
	top := s.sc.kind == moduleScope || s.sc.kind == classScope && s.sc.up.kind == moduleScope
	if top && s.sc.kind == moduleScope {
		b.fn = fn
		fn.global = true
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
	inner := effects{}
	switch {
	case top:
		s.fn, s.e, s.body = fn, &fn.e, s.sc
	case s.fn != nil:
		s.e = &inner
	}
	if params != nil {
		s.takeParameters(params, fn, top)
	}
	if body := n.Child("body"); body != nil {
		for l := range locals(body, s.sc.global) {
			s.sc.local[l] = true
		}
		s.block(body)
	}
	s.leave()
	s.fn, s.by, s.e, s.body = outerFn, outerBy, outerE, outerBody
	if !top && s.fn != nil {
		s.e.add(&inner)
		if s.e == &s.fn.e {
			s.fn.inner.add(&inner)
		}
	}
}

// takeParameters makes the parameters names of the function that is entered.
func (s *scanner) takeParameters(params *syntax.Node, fn *function, described bool) {
	for _, p := range params.Children {
		name := p.Child("name")
		if name == nil && len(p.Children) > 0 {
			name = p.Children[0]
		}
		if v := p.Child("value"); v != nil && name != nil {
			switch v.Kind {
			case "list", "dictionary", "set", "call", "identifier", "attribute", "subscript":
				outer := s.sc
				s.sc = outer.up
				aliases, parts := s.refs(v)
				s.sc = outer
				fn.kept = append(fn.kept, standing{name.Text(), append(slices.Clone(aliases), parts...)})
			}
		}
		if t := p.Child("type"); t != nil && name != nil && name.Kind == "identifier" {
			s.sc.annotations[name.Text()] = t
		}
	}
	for _, p := range parameters(params) {
		s.sc.local[p.Name] = true
		if !described {
			continue
		}
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
	cl := &class{
		name:       name,
		methods:    map[string]*function{},
		attributes: map[string][]returned{},
		mutates:    map[string]bool{},
	}
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
			switch c.Kind {
			case "identifier":
				cl.bases = append(cl.bases, c.Text())
				cl.baseNodes = append(cl.baseNodes, c)
			case "attribute":
				cl.baseNodes = append(cl.baseNodes, c)
			case "keyword_argument":
				if k, v := c.Child("name"), c.Child("value"); k != nil && v != nil && k.Text() == "metaclass" {
					cl.metaclass = v.Text()
				}
			}
			aliases, _ := s.refs(c)
			b.parts = append(b.parts, aliases...)
		}
	}
	for _, base := range cl.baseNodes {
		s.load(n, subclassed, base)
	}
	if cl.metaclass != "" {
		s.e.calls = append(s.e.calls, call{
			callee: cl.metaclass, plain: s.find(cl.metaclass) == nil, path: []string{subclassed}, load: true, node: n,
			sc: s.sc, line: n.Row + 1,
		})
	}
	s.enter(classScope)
	if body := n.Child("body"); body != nil {
		cl.shares = sharedState(body) ||
			find(body, "function_definition") != nil && strings.Contains(body.Text(), "__new__")
		for l := range locals(body, s.sc.global) {
			s.sc.local[l] = false // it is the class's own once it is bound, and the top level's before
		}
		s.classBody(body)
		own := map[string]bool{}
		for _, c := range body.Children {
			targets(c, own)
		}
		for _, a := range cl.filled {
			cl.sharesChanged = cl.sharesChanged || own[a] && len(cl.attributes[a]) == 0
		}
	}
	s.leave()
	if typeParams != nil {
		s.leave()
	}
	s.bind(b)
	s.by, s.current = outerBy, outerClass
}

// sharedState says that the objects of a class have something in common that may change: a list in its body.
func sharedState(body *syntax.Node) bool {
	for _, c := range body.Children {
		if a := c.Of("assignment"); c.Kind == "expression_statement" && a != nil && a.Child("right") != nil {
			switch right := a.Child("right"); right.Kind {
			case "list", "dictionary", "set", "list_comprehension", "dictionary_comprehension":
				return true
			case "call":
				if name := lastName(right.Child("function")); containers.has(name) || isClassName(name) {
					return true
				}
			}
		}
	}
	return false
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
