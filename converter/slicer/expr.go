package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/syntax"
)

// expr scans an expression; discarded says that it is a statement of its own.
func (s *scanner) expr(n *syntax.Node, discarded bool) {
	switch n.Kind {
	case "identifier":
		s.use(n, false)
	case "attribute":
		if o := n.Child("object"); o != nil {
			s.expr(o, false)
		}
		if a := n.Child("attribute"); a != nil {
			s.top.names["."+a.Text()] = true
		}
	case "keyword_argument":
		if v := n.Child("value"); v != nil {
			s.expr(v, false)
		}
	case "call":
		s.call(n, discarded)
	case "await":
		if !s.inFunction() {
			s.top.await = true
		}
		for _, c := range n.Children {
			s.expr(c, discarded)
		}
	case "yield":
		s.top.yields = true
		for _, c := range n.Children {
			s.expr(c, false)
		}
	case "assignment":
		s.assignment(n)
	case "augmented_assignment":
		s.augmented(n)
	case "named_expression":
		v := n.Child("value")
		if v == nil {
			return
		}
		s.expr(v, false)
		aliases, parts := s.refs(v)
		if t := n.Child("name"); t != nil {
			s.bind(bind{name: t.Text(), aliases: aliases, parts: parts, line: t.Row + 1})
		}
	case "as_pattern":
		s.asPattern(n)
	case "lambda":
		s.lambda(n)
	case "list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression":
		s.comprehension(n)
	case "type":
		s.annotation(n)
	case "string":
		s.top.strings = append(s.top.strings, n)
		for _, c := range n.Children {
			s.expr(c, false)
		}
	case "block":
		s.block(n)
	case "string_start", "string_content", "string_end", "comment":
	default:
		for _, c := range n.Children {
			s.expr(c, false)
		}
	}
}

func (s *scanner) assignment(n *syntax.Node) {
	left, right := n.Child("left"), n.Child("right")
	if t := n.Child("type"); t != nil && (s.sc.kind != functionScope || left != nil && left.Kind != "identifier") {
		s.annotation(t) // of a local variable it is never evaluated
	}
	if right == nil {
		if left != nil && left.Kind != "identifier" {
			s.expr(left, false)
		}
		return
	}
	s.expr(right, false)
	value := right
	for value.Kind == "assignment" && value.Child("right") != nil {
		value = value.Child("right")
	}
	// a, b = x, y: each name is its own value
	if left != nil && left.Kind == "pattern_list" && (value.Kind == "expression_list" || value.Kind == "tuple") &&
		len(left.Children) == len(value.Children) && !has(left, "list_splat_pattern") && !has(value, "list_splat") {
		for i, c := range left.Children {
			aliases, parts := s.refs(value.Children[i])
			s.bindPattern(c, aliases, parts)
		}
		return
	}
	aliases, parts := s.refs(value)
	s.bindPattern(left, aliases, parts)
	if left != nil && left.Kind == "identifier" && s.sc.kind == moduleScope && value.Kind == "lambda" {
		s.top.binds[len(s.top.binds)-1].lambda = true
	}
}

func has(n *syntax.Node, kind string) bool {
	return n.Of(kind) != nil
}

func (s *scanner) augmented(n *syntax.Node) {
	left, right := n.Child("left"), n.Child("right")
	if left == nil || right == nil {
		return
	}
	s.expr(left, false)
	s.expr(right, false)
	aliases, parts := s.refs(right)
	added := append(aliases, parts...)
	if left.Kind != "identifier" {
		s.change(left, added, false)
		return
	}
	old := s.resolve(left.Text())
	s.e.changes = append(s.e.changes, old...)
	s.bind(bind{name: left.Text(), aliases: old, parts: added, line: left.Row + 1})
}

// asPattern scans `value as target` of with and except.
func (s *scanner) asPattern(n *syntax.Node) {
	var aliases, parts []ref
	for _, c := range n.Children {
		if c.Kind != "as_pattern_target" {
			s.expr(c, false)
			aliases, parts = s.refs(c)
			continue
		}
		for _, t := range c.Children {
			s.bindPattern(t, append(slices.Clone(aliases), parts...), nil)
		}
	}
}

func (s *scanner) lambda(n *syntax.Node) {
	params := n.Child("parameters")
	if params != nil {
		s.parameters(params)
	}
	s.enter(functionScope)
	defer s.leave()
	if params != nil {
		for _, p := range parameters(params) {
			s.sc.local[p.Name] = true
		}
	}
	if b := n.Child("body"); b != nil {
		s.expr(b, false)
	}
}

func (s *scanner) comprehension(n *syntax.Node) {
	first := true
	for _, c := range n.Children {
		if c.Kind == "for_in_clause" && first {
			first = false
			for _, r := range c.Children {
				if r.Field == "right" {
					s.expr(r, false)
				}
			}
		}
	}
	outer := s.sc
	s.enter(comprehensionScope)
	defer s.leave()
	first = true
	for _, c := range n.Children {
		if c.Kind != "for_in_clause" {
			continue
		}
		if strings.HasPrefix(c.Text(), "async") && !s.inFunction() {
			s.top.await = true
		}
		names := map[string]bool{}
		pattern(c.Child("left"), names)
		var refs []ref
		for _, r := range c.Children {
			if r.Field != "right" {
				continue
			}
			if !first {
				s.expr(r, false)
			}
			inner := s.sc
			if first {
				s.sc = outer
			}
			aliases, parts := s.refs(r)
			s.sc = inner
			refs = append(append(refs, aliases...), parts...)
		}
		for name := range names {
			s.sc.local[name] = true
			s.sc.alias[name] = append(s.sc.alias[name], refs...)
		}
		first = false
	}
	for _, c := range n.Children {
		if c.Kind != "for_in_clause" {
			s.expr(c, false)
		}
	}
}

// refs gives the names whose object an expression may be or be a part of, and those that its value may hold inside.
func (s *scanner) refs(n *syntax.Node) (aliases, parts []ref) {
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case "identifier":
		return s.resolve(n.Text()), nil
	case "attribute":
		return s.refs(n.Child("object"))
	case "subscript":
		return s.refs(n.Child("value"))
	case "parenthesized_expression", "await", "list_splat", "conditional_expression", "boolean_operator", "as_pattern",
		"list_splat_pattern":
		for _, c := range n.Children {
			x, y := s.refs(c)
			aliases, parts = append(aliases, x...), append(parts, y...)
		}
		return aliases, parts
	case "named_expression":
		return s.refs(n.Child("value"))
	case "assignment":
		return s.refs(n.Child("right"))
	case "tuple", "list", "set", "dictionary", "pair", "expression_list", "pattern_list", "dictionary_splat":
		for _, c := range n.Children {
			x, y := s.refs(c)
			parts = append(append(parts, x...), y...)
		}
		return nil, parts
	case "list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression":
		for _, c := range n.Children {
			if c.Kind == "for_in_clause" {
				x, y := s.refs(c.Child("right"))
				parts = append(append(parts, x...), y...)
			}
		}
		return nil, parts
	case "call":
		return s.callRefs(n)
	}
	return nil, nil
}

// callRefs says what the result of a call may be or hold.
func (s *scanner) callRefs(n *syntax.Node) (aliases, parts []ref) {
	f, args := n.Child("function"), n.Child("arguments")
	if f == nil {
		return nil, nil
	}
	inside := func() (out []ref) {
		if args == nil {
			return nil
		}
		for _, a := range args.Children {
			if a.Kind == "keyword_argument" {
				a = a.Child("value")
			}
			x, y := s.refs(a)
			out = append(append(out, x...), y...)
		}
		return out
	}
	name := f.Text()
	method := false
	if f.Kind == "attribute" {
		method = true
		if a := f.Child("attribute"); a != nil {
			name = a.Text()
		}
	}
	switch {
	case method && fresh[name], !method && (name == "deepcopy" || name == "clone"):
		return nil, nil
	case views[name]:
		aliases = inside()
		if method {
			x, _ := s.refs(f.Child("object"))
			aliases = append(aliases, x...)
		}
		return aliases, nil
	case containers[name]:
		return nil, inside()
	case isClassName(name):
		return nil, loosely(inside())
	case method:
		aliases, _ = s.refs(f.Child("object"))
		aliases = slices.Clone(aliases)
		for i := range aliases {
			aliases[i].derived = true
		}
		return aliases, nil
	case f.Kind == "identifier" && !builtins[name]:
		// An object that is called, or a function: what it gives may hold what it was given.
		return nil, loosely(inside())
	}
	return nil, nil
}

func loosely(refs []ref) []ref {
	for i := range refs {
		refs[i].loose = true
	}
	return refs
}

func isClassName(name string) bool {
	return name != "" && name[0] >= 'A' && name[0] <= 'Z'
}

// call notes a call.
func (s *scanner) call(n *syntax.Node, discarded bool) {
	f, args := n.Child("function"), n.Child("arguments")
	if f == nil {
		return
	}
	if f.Kind == "identifier" && ipython.Source(f.Text()) != "" {
		s.shell(f, args, discarded)
		return
	}
	if !looksAtProcess(f) {
		s.expr(f, false)
	}
	c := call{discarded: discarded, line: n.Row + 1}
	x := f
	for x != nil && x.Kind == "attribute" {
		if a := x.Child("attribute"); a != nil {
			c.path = append([]string{a.Text()}, c.path...)
		}
		x = x.Child("object")
	}
	switch {
	case x != nil && x.Kind == "identifier":
		c.callee = x.Text()
		if r := s.resolve(x.Text()); len(r) > 0 {
			c.root = r
		}
		c.plain = s.find(x.Text()) == nil
	case len(c.path) > 0:
		c.path = c.path[len(c.path)-1:]
	}
	if f.Kind == "attribute" {
		c.obj, _ = s.refs(f.Child("object"))
	}
	if args != nil {
		if args.Kind == "generator_expression" {
			s.expr(args, false)
		} else {
			for _, a := range args.Children {
				s.expr(a, false)
				g := arg{}
				switch a.Kind {
				case "keyword_argument":
					if k := a.Child("name"); k != nil {
						g.key = k.Text()
					}
					a = a.Child("value")
				case "list_splat":
					g.key = "*"
				case "dictionary_splat":
					g.key = "**"
				}
				if a == nil {
					continue
				}
				aliases, parts := s.refs(a)
				g.refs = append(aliases, parts...)
				g.none = a.Kind == "none"
				if g.key == "inplace" && a.Kind == "true" {
					c.inplace = true
				}
				c.args = append(c.args, g)
			}
		}
	}
	s.e.calls = append(s.e.calls, c)
	if s.fn == nil && s.e == s.top {
		return
	}
}

// decorate notes the call of a decorator; of one with arguments the call that makes it is noted as any other.
func (s *scanner) decorate(f *syntax.Node, definition []ref) {
	c := call{line: f.Row + 1, args: []arg{{refs: definition}}}
	switch f.Kind {
	case "identifier":
		c.callee, c.root, c.plain = f.Text(), s.resolve(f.Text()), s.find(f.Text()) == nil
	case "attribute":
		x := f
		for x != nil && x.Kind == "attribute" {
			if a := x.Child("attribute"); a != nil {
				c.path = append([]string{a.Text()}, c.path...)
			}
			x = x.Child("object")
		}
		if x == nil || x.Kind != "identifier" {
			return
		}
		c.callee, c.root, c.plain = x.Text(), s.resolve(x.Text()), s.find(x.Text()) == nil
		c.obj, _ = s.refs(f.Child("object"))
	default:
		return
	}
	s.e.calls = append(s.e.calls, c)
}

// shell notes the call of a function that runs a command. The words of the command are expanded at once, not later as
// in other lambdas.
func (s *scanner) shell(f, args *syntax.Node, discarded bool) {
	s.use(f, false)
	s.e.calls = append(s.e.calls, call{callee: f.Text(), plain: true, discarded: discarded, line: f.Row + 1})
	if args == nil {
		return
	}
	for _, a := range args.Children {
		if a.Kind == "keyword_argument" {
			a = a.Child("value")
		}
		if a.Kind != "lambda" {
			continue
		}
		outer := s.command
		s.command = true
		s.expr(a.Child("body"), false)
		s.command = outer
	}
}

// looksAtProcess recognises __import__('os').getcwd() and .getenv(…), which package ipython writes for magics: no
// settings.
func looksAtProcess(f *syntax.Node) bool {
	o, a := f.Child("object"), f.Child("attribute")
	return o != nil && a != nil && o.Kind == "call" && strings.HasPrefix(o.Text(), "__import__(") &&
		(a.Text() == "getcwd" || a.Text() == "getenv")
}

// parameters reads the parameters of a def or lambda.
func parameters(n *syntax.Node) []Parameter {
	var out []Parameter
	kind := Normal
	for _, p := range n.Children {
		q := Parameter{Kind: kind}
		name := p
		switch p.Kind {
		case "positional_separator":
			for i := range out {
				out[i].Kind = Positional
			}
			continue
		case "keyword_separator":
			kind = KeywordOnly
			continue
		case "typed_parameter":
			if len(p.Children) > 0 {
				name = p.Children[0]
			}
		case "default_parameter", "typed_default_parameter":
			name = p.Child("name")
		}
		if name == nil {
			continue
		}
		if t := p.Child("type"); t != nil {
			q.Annotation = oneLine(t.Text())
		}
		if v := p.Child("value"); v != nil {
			q.Default, q.HasDefault = oneLine(v.Text()), true
		}
		switch name.Kind {
		case "list_splat_pattern":
			q.Kind = VarPosition
			kind = KeywordOnly
		case "dictionary_splat_pattern":
			q.Kind = VarKeyword
		}
		q.Name = strings.TrimLeft(name.Text(), "* ")
		out = append(out, q)
	}
	return out
}

// oneLine joins an expression that goes over several lines.
func oneLine(s string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}
