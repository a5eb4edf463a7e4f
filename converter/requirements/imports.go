package requirements

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// Imports lists what a script imports, in the order in which it stands there: also in functions, and by
// `importlib.import_module` with a plain string. Relative imports, and what a type checker alone sees, are left out. An
// import is optional if a handler of ImportError goes on without it, or if it depends on the version or the platform.
// Of a script with a syntax error, that which can be read counts.
func Imports(source string) ([]Import, error) {
	tree, err := syntax.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("find the imports of the script: %w", err)
	}
	var all collector
	all.visit(tree.Root, false)
	return all, nil
}

// collector has each module once.
type collector []Import

func (c *collector) add(module string, names []string, line int, optional bool) {
	if module == "" || strings.HasPrefix(module, ".") {
		return
	}
	i := slices.IndexFunc(*c, func(known Import) bool { return known.Module == module })
	if i < 0 {
		*c = append(*c, Import{Module: module, Names: names, Line: line, Optional: optional})
		return
	}
	known := &(*c)[i]
	known.Optional = known.Optional && optional
	for _, name := range names {
		if !slices.Contains(known.Names, name) {
			known.Names = append(known.Names, name)
		}
	}
}

func (c *collector) has(module string) bool {
	return slices.ContainsFunc(*c, func(known Import) bool { return known.Module == module })
}

func (c *collector) children(n *syntax.Node, optional bool) {
	for _, child := range n.Children {
		c.visit(child, optional)
	}
}

func (c *collector) visit(n *syntax.Node, optional bool) {
	switch n.Kind {
	case "import_statement":
		for _, child := range n.Children {
			c.add(imported(child), nil, n.Row+1, optional)
		}
	case "import_from_statement":
		c.from(n, optional)
	case "call":
		c.add(called(n), nil, n.Row+1, optional)
		c.children(n, optional)
	case "try_statement":
		c.try(n, optional)
	case "with_statement":
		c.children(n, optional || suppressed.MatchString(before(n, "body")))
	case "if_statement", "elif_clause", "conditional_expression":
		c.condition(n, optional)
	default:
		c.children(n, optional)
	}
}

// imported is the module of an item of `import a.b, c as d`.
func imported(n *syntax.Node) string {
	if n.Kind == "aliased_import" {
		n = n.Child("name")
	}
	if n == nil || n.Kind != "dotted_name" {
		return ""
	}
	return dotted(n)
}

// dotted is a name without blanks around its dots.
func dotted(n *syntax.Node) string {
	return strings.Join(strings.FieldsFunc(n.Text(), func(r rune) bool { return r == ' ' || r == '\t' }), "")
}

func (c *collector) from(n *syntax.Node, optional bool) {
	module := n.Child("module_name")
	if module == nil || module.Kind != "dotted_name" {
		return // it is relative
	}
	var names []string
	for _, child := range n.Children {
		if name := imported(child); child != module && name != "" {
			names = append(names, name)
		}
	}
	c.add(dotted(module), names, n.Row+1, optional)
}

var (
	importer = lazyregexp.New(`^(importlib\.)?import_module$|^__import__$`)
	plain    = lazyregexp.New(`^['"]([A-Za-z_][\w.]*)['"]$`)
	// suppressed is the head of a `with` that goes on without a module.
	suppressed = lazyregexp.New(`\bsuppress\([^)]*\b(ImportError|ModuleNotFoundError)\b`)
	depends    = lazyregexp.New(`\b(sys\.(version_info|platform)|os\.name|platform\.\w+)\b`)
	checking   = lazyregexp.New(`^\(*\s*(\w+\.)*TYPE_CHECKING\s*\)*$`)
	missing    = lazyregexp.New(`\b(ImportError|ModuleNotFoundError)\b`)
	anything   = lazyregexp.New(`^except(\s+(Exception|BaseException)(\s+as\s+\w+)?)?\s*:`)
)

// called is the module that a call imports.
func called(n *syntax.Node) string {
	function, arguments := n.Child("function"), n.Child("arguments")
	if function == nil || arguments == nil || len(arguments.Children) == 0 || !importer.MatchString(function.Text()) {
		return ""
	}
	name := plain.FindStringSubmatch(arguments.Children[0].Text())
	if name == nil {
		return ""
	}
	return name[1]
}

// condition visits an `if`: its branch for type checkers is not executed.
func (c *collector) condition(n *syntax.Node, optional bool) {
	condition := n.Child("condition")
	if condition == nil {
		c.children(n, optional)
		return
	}
	optional = optional || depends.MatchString(condition.Text())
	types := checking.MatchString(condition.Text())
	for _, child := range n.Children {
		if !types || child.Field != "consequence" {
			c.visit(child, optional)
		}
	}
}

// before is the text of a statement before one of its parts.
func before(n *syntax.Node, field string) string {
	part := n.Child(field)
	if part == nil {
		return n.Text()
	}
	return n.Text()[:part.Start-n.Start]
}

// try visits a `try`, whose handlers may go on without a module. What a handler imports itself, for instance after it
// was installed, is needed after all.
func (c *collector) try(n *syntax.Node, optional bool) {
	var body, rest collector
	caught := false
	only := true // the body has imports alone
	if block := n.Child("body"); block != nil {
		for _, s := range block.Children {
			only = only && (s.Kind == "import_statement" || s.Kind == "import_from_statement")
		}
	}
	for _, child := range n.Children {
		if child.Kind != "except_clause" && child.Kind != "except_group_clause" {
			continue
		}
		head, _, _ := strings.Cut(child.Text(), ":")
		if missing.MatchString(head) || only && anything.MatchString(child.Text()) {
			caught = caught || !leaves(child)
		}
	}
	for _, child := range n.Children {
		if child.Field == "body" {
			body.visit(child, optional || caught)
		} else {
			rest.visit(child, optional || caught && child.Kind != "else_clause" && child.Kind != "finally_clause")
		}
	}
	for _, i := range rest {
		if body.has(i.Module) {
			i.Optional = optional
		}
		body.add(i.Module, i.Names, i.Line, i.Optional)
	}
	for _, i := range body {
		c.add(i.Module, i.Names, i.Line, i.Optional)
	}
}

var exits = lazyregexp.New(`^(sys\.exit|exit|quit|os\._exit)\s*\(`)

// leaves reports whether a handler ends the script.
func leaves(handler *syntax.Node) bool {
	block := handler.Of("block")
	return block != nil && slices.ContainsFunc(block.Children, func(s *syntax.Node) bool {
		return s.Kind == "raise_statement" || exits.MatchString(s.Text())
	})
}
