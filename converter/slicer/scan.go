package slicer

import (
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

type scopeKind uint8

const (
	moduleScope scopeKind = iota
	functionScope
	classScope
	comprehensionScope
)

// scope is a namespace of the code that is scanned.
type scope struct {
	kind   scopeKind
	up     *scope
	local  map[string]bool
	global map[string]bool
	params map[string]bool
	alias  map[string][]ref // local variable → what it may be

	values      map[string][]*syntax.Node // local variable → the expressions that it gets; nil is something else
	annotations map[string]*syntax.Node
	busy        map[string]bool      // variables whose kind is being found
	imports     map[string]*imported // what an import inside of the function binds it to
}

// callRefs is what the result of a call may be, and what it may hold.
type callRefs struct{ aliases, parts []ref }

// scanner notes the effects of one statement.
type scanner struct {
	e         *effects // of what is executed now
	top       *effects // of the statement
	sc        *scope
	fn        *function // whose body is scanned; nil at the top level
	by        string
	ours      *aliases
	current   *class                    // whose body is scanned, at the top level
	body      *scope                    // of fn
	immediate bool                      // lambdas that are scanned are called at once
	given     bool                      // … and what is scanned may be called again, since one of them gives it
	subject   []ref                     // what a match statement looks at
	calls     map[*syntax.Node]callRefs // what the results of calls may be and hold
	scopes    map[*syntax.Node]*scope   // of comprehensions
	command   bool                      // what is scanned are the words of a shell command

	nameless int // how many of the blocks around what is scanned go on where a name is not defined
	quotedAt int // the line of an annotation that is written as a string, while its content is scanned
}

func scan(n *syntax.Node, a *aliases) *effects {
	e := &effects{names: map[string]bool{}}
	e.guards = notebookGuards(n)
	s := &scanner{
		e: e, top: e, sc: &scope{kind: moduleScope}, ours: a,
		calls: map[*syntax.Node]callRefs{}, scopes: map[*syntax.Node]*scope{},
	}
	s.statement(n)
	s.must(n, e)
	return e
}

// must marks the names that the statement binds in any case.
func (s *scanner) must(n *syntax.Node, e *effects) {
	sure := sureBinds(n)
	for i := range e.binds {
		e.binds[i].must = sure[e.binds[i].name]
	}
}

// sureBinds gives the names that a statement binds if it ends at all.
func sureBinds(n *syntax.Node) map[string]bool {
	out := map[string]bool{}
	add := func(m map[string]bool) {
		for k := range m {
			out[k] = true
		}
	}
	switch n.Kind {
	case "if_statement", "try_statement", "match_statement":
		return sureBranches(n)
	case "for_statement", "while_statement":
		return out
	case "with_statement":
		if c := n.Of("with_clause"); c != nil {
			targets(c, out)
		}
		if b := n.Child("body"); b != nil && !suppresses(n, "") {
			add(sureBlock(b))
		}
	default:
		targets(n, out)
	}
	return out
}

func sureBlock(b *syntax.Node) map[string]bool {
	out := map[string]bool{}
	for _, c := range b.Children {
		for k := range sureBinds(c) {
			out[k] = true
		}
	}
	return out
}

// sureBranches intersects the branches of if and try.
func sureBranches(n *syntax.Node) map[string]bool {
	var branches []map[string]bool
	complete := n.Kind == "try_statement"
	var body map[string]bool
	var final map[string]bool
	for _, c := range n.Children {
		switch {
		case c.Kind == "block" && n.Kind == "try_statement" && c.Field == "body":
			body = sureBlock(c)
			branches = append(branches, body)
		case c.Kind == "block":
			if !leaves(c) {
				branches = append(branches, sureBlock(c))
			}
		case c.Kind == "elif_clause", c.Kind == "except_clause", c.Kind == "except_group_clause":
			if b := c.Of("block"); b != nil && !leaves(b) {
				branches = append(branches, sureBlock(b))
			}
		case c.Kind == "else_clause" && n.Kind == "if_statement":
			complete = true
			if b := c.Of("block"); b != nil && !leaves(b) {
				branches = append(branches, sureBlock(b))
			}
		case c.Kind == "else_clause":
			if b := c.Of("block"); b != nil {
				for k := range sureBlock(b) {
					body[k] = true
				}
			}
		case c.Kind == "finally_clause":
			if b := c.Of("block"); b != nil {
				final = sureBlock(b)
			}
		}
	}
	out := map[string]bool{}
	if complete && len(branches) > 0 {
		for k := range branches[0] {
			all := true
			for _, b := range branches[1:] {
				all = all && b[k]
			}
			if all {
				out[k] = true
			}
		}
	}
	for k := range final {
		out[k] = true
	}
	return out
}

// leaves says that a block ends by raising.
func leaves(b *syntax.Node) bool {
	return len(b.Children) > 0 && b.Children[len(b.Children)-1].Kind == "raise_statement"
}

// targets collects the names that a simple statement or a clause binds in its own scope.
func targets(n *syntax.Node, out map[string]bool) {
	switch n.Kind {
	case "function_definition", "class_definition":
		if c := n.Child("name"); c != nil {
			out[c.Text()] = true
		}
		return
	case "decorated_definition":
		if c := n.Child("definition"); c != nil {
			targets(c, out)
		}
		return
	case "lambda", "list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression":
		walrus(n, out)
		return
	case "import_statement", "import_from_statement", "future_import_statement":
		for _, b := range importBinds(n) {
			out[b.name] = true
		}
		return
	case "assignment":
		if n.Child("right") == nil {
			return // a bare annotation binds nothing
		}
		pattern(n.Child("left"), out)
	case "augmented_assignment", "for_statement", "for_in_clause":
		pattern(n.Child("left"), out)
	case "type_alias_statement":
		if l := n.Child("left"); l != nil {
			found := false
			l.Walk(func(c *syntax.Node) bool {
				if c.Kind == "identifier" && !found {
					found, out[c.Text()] = true, true
				}
				return !found
			})
		}
		return
	case "named_expression":
		if c := n.Child("name"); c != nil {
			out[c.Text()] = true
		}
	case "as_pattern_target":
		for _, c := range n.Children {
			pattern(c, out)
		}
		return
	case "case_pattern":
		casePattern(n, out)
		return
	}
	for _, c := range n.Children {
		targets(c, out)
	}
}

// walrus collects the targets of := inside of comprehensions, which belong to the scope around them.
func walrus(n *syntax.Node, out map[string]bool) {
	for _, c := range n.Children {
		if c.Kind == "lambda" {
			continue
		}
		if c.Kind == "named_expression" {
			if x := c.Child("name"); x != nil {
				out[x.Text()] = true
			}
		}
		walrus(c, out)
	}
}

// pattern collects the names in a target of an assignment.
func pattern(n *syntax.Node, out map[string]bool) {
	if n == nil {
		return
	}
	switch n.Kind {
	case "identifier":
		out[n.Text()] = true
	case "subscript", "attribute":
	default:
		for _, c := range n.Children {
			pattern(c, out)
		}
	}
}

// casePattern collects the names that a pattern of a case captures.
func casePattern(n *syntax.Node, out map[string]bool) {
	switch n.Kind {
	case "dotted_name":
		if len(n.Children) == 1 && n.Text() != "_" {
			out[n.Text()] = true
		}
		return
	case "identifier":
		if n.Text() != "_" {
			out[n.Text()] = true
		}
		return
	case "class_pattern":
		for _, c := range n.Children {
			if c.Kind != "dotted_name" {
				casePattern(c, out)
			}
		}
		return
	case "keyword_pattern":
		for i, c := range n.Children {
			if i > 0 {
				casePattern(c, out)
			}
		}
		return
	case "string", "concatenated_string":
		return
	}
	for _, c := range n.Children {
		if c.Field != "key" {
			casePattern(c, out)
		}
	}
}

// importBinds gives the names that an import binds.
func importBinds(n *syntax.Node) []bind {
	var out []bind
	add := func(name string, imp imported, line int) {
		out = append(out, bind{name: name, imp: &imp, line: line})
	}
	module := ""
	switch n.Kind {
	case "import_from_statement":
		if m := n.Child("module_name"); m != nil {
			module = strings.Join(strings.Fields(m.Text()), "")
		}
	case "future_import_statement":
		module = "__future__"
	}
	for _, c := range n.Children {
		if c.Field != "name" {
			continue
		}
		name, as := c, ""
		if c.Kind == "aliased_import" {
			name = c.Child("name")
			if a := c.Child("alias"); a != nil {
				as = a.Text()
			}
		}
		if name == nil {
			continue
		}
		text := strings.Join(strings.Fields(name.Text()), "")
		line := c.Row + 1
		switch {
		case module != "":
			if as == "" {
				as = text
			}
			add(as, imported{module: module, name: text}, line)
		case as != "":
			add(as, imported{module: text}, line)
		default:
			top, _, dotted := strings.Cut(text, ".")
			add(top, imported{module: text, whole: dotted}, line)
		}
	}
	return out
}

// locals collects the names that a function's or class's body binds.
func locals(body *syntax.Node, global map[string]bool) map[string]bool {
	out := map[string]bool{}
	var visit func(n *syntax.Node)
	visit = func(n *syntax.Node) {
		switch n.Kind {
		case "global_statement":
			for _, c := range n.Children {
				global[c.Text()] = true
			}
			return
		case "nonlocal_statement":
			for _, c := range n.Children {
				out["\x00"+c.Text()] = true
			}
			return
		case "function_definition", "class_definition", "decorated_definition":
			targets(n, out)
			return
		case "lambda", "list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression":
			walrus(n, out)
			return
		case "assignment", "augmented_assignment", "import_statement", "import_from_statement", "named_expression",
			"as_pattern_target",
			"case_pattern", "for_statement", "type_alias_statement", "future_import_statement":
			names := map[string]bool{}
			switch n.Kind {
			case "assignment", "augmented_assignment", "for_statement":
				pattern(n.Child("left"), names) // an annotation alone makes a name local, too
			case "named_expression":
				if c := n.Child("name"); c != nil {
					names[c.Text()] = true
				}
			default:
				targets(n, names)
			}
			for k := range names {
				out[k] = true
			}
		case "delete_statement":
			for _, c := range n.Children {
				pattern(c, out)
			}
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	for _, c := range body.Children {
		visit(c)
	}
	for k := range out {
		if strings.HasPrefix(k, "\x00") {
			delete(out, k[1:])
			delete(out, k)
		}
	}
	for k := range global {
		delete(out, k)
	}
	return out
}
