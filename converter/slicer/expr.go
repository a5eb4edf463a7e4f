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
			if o := n.Child("object"); o != nil {
				s.load(n, a.Text(), o)
			}
		}
	case "subscript":
		if m := loadedModule(n); m != "" {
			s.top.loaded = append(s.top.loaded, m)
		}
		for _, c := range n.Children {
			s.expr(c, false)
		}
		if v := n.Child("value"); v != nil {
			s.load(n, "__getitem__", v)
		}
	case "keyword_argument":
		if v := n.Child("value"); v != nil {
			s.expr(v, false)
		}
	case "list_splat":
		for _, c := range n.Children {
			s.expr(c, false)
			s.goOver(c)
		}
	case "binary_operator", "unary_operator", "not_operator", "boolean_operator":
		for _, c := range n.Children {
			s.expr(c, false)
			s.load(n, operated, c)
		}
	case "interpolation":
		for _, c := range n.Children {
			s.expr(c, false)
			s.load(n, shownAs, c)
		}
	case "comparison_operator":
		for i, c := range n.Children {
			s.expr(c, false)
			s.load(n, operated, c)
			if i > 0 && strings.Contains(n.Between(i), "in") {
				s.goOver(c) // x in it
			}
		}
	case "call":
		if !slices.Contains(s.top.guards, n) {
			s.call(n, discarded)
		}
	case "await":
		if !s.inFunction() {
			s.top.await = true
		}
		for _, c := range n.Children {
			s.expr(c, discarded)
		}
	case "yield":
		s.top.yields = true
		if s.fn != nil {
			s.fn.e.yields = true
		}
		for _, c := range n.Children {
			s.expr(c, false)
			s.returns(c)
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
			s.bind(bind{name: t.Text(), aliases: aliases, parts: parts, line: t.Row + 1, value: v})
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
		if t := n.Child("type"); t != nil && left != nil && left.Kind == "identifier" && s.sc.kind == functionScope {
			s.sc.annotations[left.Text()] = t
		}
		return
	}
	if right.Kind == "lambda" && left != nil && left.Kind == "identifier" && s.sc.kind == moduleScope {
		s.namedLambda(left, right)
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
			s.bindPattern(c, aliases, parts, value.Children[i])
		}
		return
	}
	aliases, parts := s.refs(value)
	// a = b = []: one object, which a store into another of the targets makes a part of that
	for inner := right; inner.Kind == "assignment" && inner.Child("left") != nil; inner = inner.Child("right") {
		x, y := s.refs(inner.Child("left"))
		switch inner.Child("left").Kind {
		case "identifier", "attribute", "subscript":
			aliases = append(slices.Clone(aliases), x...)
		case "pattern_list", "tuple_pattern", "list_pattern": // p = q, r = [], {}
			parts = append(append(slices.Clone(parts), x...), y...)
		}
		if inner.Child("right") == nil {
			break
		}
	}
	s.bindPattern(left, aliases, parts, value)
	if t := n.Child("type"); t != nil && left != nil && left.Kind == "identifier" {
		if s.sc.kind == moduleScope && len(s.top.binds) > 0 {
			s.top.binds[len(s.top.binds)-1].annotation = t
		} else if s.sc.kind == functionScope {
			s.sc.annotations[left.Text()] = t
		}
	}
}

// namedLambda scans `name = lambda …: …`, which is a function.
func (s *scanner) namedLambda(name, n *syntax.Node) {
	fn := &function{name: name.Text()}
	params := n.Child("parameters")
	var defaults []ref
	if params != nil {
		defaults = s.parameters(params)
	}
	outerFn, outerBy, outerE, outerBody := s.fn, s.by, s.e, s.body
	s.enter(functionScope)
	s.fn, s.by, s.e, s.body = fn, fn.name, &fn.e, s.sc
	if params != nil {
		s.takeParameters(params, fn, true)
	}
	if b := n.Child("body"); b != nil {
		s.expr(b, true)
		s.returns(b)
	}
	s.leave()
	s.fn, s.by, s.e, s.body = outerFn, outerBy, outerE, outerBody
	s.bind(bind{name: fn.name, line: name.Row + 1, parts: defaults, fn: fn})
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
	if op := strings.TrimSpace(strings.TrimPrefix(n.Text(), left.Text())); !strings.HasPrefix(op, "+") &&
		!strings.HasPrefix(op, "|") {
		added = nil // only += and |= put something into a container
	}
	if left.Kind != "identifier" {
		s.change(left, added, false)
		return
	}
	old := s.resolve(left.Text())
	s.e.changes = append(s.e.changes, old...)
	s.bind(bind{name: left.Text(), aliases: old, parts: added, line: left.Row + 1, added: true})
}

// asPattern scans `value as target` of with and except.
func (s *scanner) asPattern(n *syntax.Node) {
	var aliases, parts []ref
	var value *syntax.Node
	for _, c := range n.Children {
		if c.Kind != "as_pattern_target" {
			s.expr(c, false)
			aliases, parts = s.refs(c)
			if c.Kind == "call" { // it may give what it was made with
				for _, a := range s.arguments(c.Child("arguments")) {
					parts = append(parts, a.refs...)
				}
			}
			value = c
			continue
		}
		for _, t := range c.Children {
			s.bindPattern(t, append(slices.Clone(aliases), parts...), nil, value)
		}
	}
}

func (s *scanner) lambda(n *syntax.Node) {
	params := n.Child("parameters")
	if params != nil {
		s.parameters(params)
	}
	inside := s.inFunction()
	s.enter(functionScope)
	defer s.leave()
	if params != nil {
		for _, p := range parameters(params) {
			s.sc.local[p.Name] = true
		}
	}
	outer := s.given
	s.given = outer || s.immediate && inside // (lambda f: lambda x: …)(g)
	defer func() { s.given = outer }()
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
					s.goOver(r)
				}
			}
		}
	}
	outer := s.sc
	s.enter(comprehensionScope)
	defer s.leave()
	s.scopes[n] = s.sc
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
				s.goOver(r)
			}
			inner := s.sc
			if first {
				s.sc = outer
			}
			aliases, parts := s.refs(r)
			s.sc = inner
			refs = append(refs, partly(append(slices.Clone(aliases), parts...))...)
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
		outer := s.immediate
		s.immediate = outer || f.Kind == "parenthesized_expression"
		s.expr(f, false)
		s.immediate = outer
	}
	c := call{discarded: discarded, line: n.Row + 1, node: n, sc: s.sc}
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
		sc := s.find(x.Text())
		c.plain = sc == nil
		if sc != nil {
			c.imp = sc.imports[x.Text()]
		}
	case x != nil && importedBy(x) != "" && len(c.path) > 0:
		c.imp = &imported{module: importedBy(x)}
	case len(c.path) > 0:
		c.path = c.path[len(c.path)-1:]
	case x != nil:
		aliases, parts := s.refs(x) // handlers["a"](3)
		c.root = append(slices.Clone(aliases), parts...)
	}
	if c.module = importedBy(n); c.module != "" && (f.Text() != "__import__" || !IsStandard(c.module)) {
		s.top.imports = append(s.top.imports, imported{module: c.module})
	}
	if f.Kind == "attribute" {
		c.recv = f.Child("object")
		if g := c.recv.Child("function"); c.recv.Kind == "call" && g != nil && g.Text() == "super" {
			c.above = s.current
		}
		aliases, parts := s.refs(c.recv)
		c.obj = aliases
		if rootOf(c.recv).Kind != "identifier" {
			c.obj = append(slices.Clone(aliases), parts...) // csv.writer(buffer).writerow(row)
		}
	}
	if args != nil {
		for _, a := range args.Children {
			if args.Kind != "generator_expression" {
				s.expr(a, false)
			}
		}
		if args.Kind == "generator_expression" {
			s.expr(args, false)
		}
	}
	c.args = s.arguments(args)
	for _, a := range c.args {
		c.inplace = c.inplace || a.key == "inplace" && a.node.Kind == "true"
	}
	if f.Kind == "attribute" && !fresh.has(c.path[len(c.path)-1]) {
		s.touchOuter(rootOf(f))
		if first := firstAttribute(f); first != nil && first != f {
			s.mutatesAttribute(first)
		}
		s.mutatesOwn(rootOf(f), c.obj)
	}
	s.e.calls = append(s.e.calls, c)
}

// arguments are those of a call.
func (s *scanner) arguments(args *syntax.Node) []arg {
	if args == nil || args.Kind == "generator_expression" {
		return nil
	}
	var out []arg
	for _, a := range args.Children {
		g := arg{}
		switch a.Kind {
		case "comment":
			continue
		case "keyword_argument":
			if k := a.Child("name"); k != nil {
				g.key = k.Text()
			}
			a = a.Child("value")
		case "list_splat", "dictionary_splat":
			g.key = "*"
			if a.Kind == "dictionary_splat" {
				g.key = "**"
			}
			if len(a.Children) == 1 {
				a = a.Children[0]
			}
		}
		if a == nil {
			continue
		}
		aliases, parts := s.refs(a)
		g.refs = append(slices.Clone(aliases), parts...)
		g.none = a.Kind == "none"
		g.node = a
		out = append(out, g)
	}
	return out
}

// decorate notes the call of a decorator; of one with arguments the call that makes it is noted as any other.
func (s *scanner) decorate(f, name *syntax.Node) {
	c := call{
		line: f.Row + 1,
		args: []arg{{refs: s.resolve(name.Text()), node: name}},
		node: f,
		recv: f.Child("object"),
		sc:   s.sc,
	}
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
	s.e.calls = append(s.e.calls, call{
		callee: f.Text(), plain: true, discarded: discarded, line: f.Row + 1, node: f, sc: s.sc,
	})
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

// importedBy is the module that import_module("module") or __import__("module") gives, or "".
func importedBy(n *syntax.Node) string {
	f, args := n.Child("function"), n.Child("arguments")
	if n.Kind != "call" || f == nil || args == nil || len(args.Children) != 1 || args.Children[0].Kind != "string" {
		return ""
	}
	if name := lastName(f); name != "import_module" && f.Text() != "__import__" {
		return ""
	}
	module, ok := literal(args.Children[0].Text())
	if !ok || !isIdentifier(strings.ReplaceAll(module, ".", "_")) || strings.HasPrefix(module, ".") {
		return ""
	}
	if f.Text() == "__import__" {
		module = topOf(module)
	}
	return module
}

// loadedModule is the module that sys.modules["module"] names, or "".
func loadedModule(n *syntax.Node) string {
	v, key := n.Child("value"), n.Child("subscript")
	if n.Kind != "subscript" || v == nil || key == nil || v.Text() != "sys.modules" || key.Kind != "string" {
		return ""
	}
	module, _ := literal(key.Text())
	return module
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
