package script

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/outline"
	"github.com/metaml/metaml/converter/syntax"
)

// analysed is a code cell as plain Python, parsed.
type analysed struct {
	ipython.Result
	outline *outline.Outline // of an ordinary cell, which has no tree then
	tree    *syntax.Tree
	err     error
}

// analyse translates and parses the code cells, several at a time. What is no code has an empty entry.
func analyse(ctx context.Context, cells []nbformat.Cell, parseAll bool) ([]analysed, error) {
	all := make([]analysed, len(cells))
	var next atomic.Int64 // the cell that nobody has taken yet
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), max(1, len(cells)/8)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(cells) {
					return
				}
				if cells[i].Type == "code" {
					all[i].read(cells[i].Source, parseAll)
				}
			}
		})
	}
	workers.Wait()
	for i := range all {
		if name := all[i].Automagic; name != "" && binds(all[:i], name) {
			all[i] = analysed{
				Result: ipython.Transform(unixLines(cells[i].Source), ipython.Options{Whole: true, Bare: true}),
			}
			all[i].parse()
		}
	}
	return all, ctx.Err()
}

// read translates and parses a cell.
func (a *analysed) read(source string, parseAll bool) {
	source = unixLines(source)
	if !parseAll && a.outlined(source) {
		return
	}
	a.Result = ipython.Transform(source, ipython.Options{Whole: true})
	a.parse()
}

// unixLines ends lines by \n alone. What has no other ends is not copied.
func unixLines(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// binds says whether one of the cells binds a name.
func binds(cells []analysed, name string) bool {
	return slices.ContainsFunc(cells, func(a analysed) bool {
		if a.Ours == "train" && name == "run" {
			return true
		}
		if !strings.Contains(a.Code, name) {
			return false
		}
		a.parse()
		return a.tree != nil && slices.ContainsFunc(statements(a.tree), func(n *syntax.Node) bool {
			return slices.Contains(bound(n), name)
		})
	})
}

// visit walks over a node and all below it with each one's parent, as long as it returns true for that.
func visit(n, parent *syntax.Node, f func(n, parent *syntax.Node) bool) {
	if !f(n, parent) {
		return
	}
	for _, c := range n.Children {
		visit(c, n, f)
	}
}

// statements are the top-level statements of a cell, without comments.
func statements(t *syntax.Tree) []*syntax.Node {
	var all []*syntax.Node
	for _, n := range t.Root.Children {
		if n.Kind != "comment" {
			all = append(all, n)
		}
	}
	return all
}

// awaits says whether a statement awaits outside of a function, or asks for the loop that runs in a notebook.
func awaits(statement *syntax.Node) bool {
	found := false
	visit(statement, nil, func(n, _ *syntax.Node) bool {
		switch n.Kind {
		case "function_definition", "lambda":
			return false
		case "await":
			found = true
		case "for_statement", "with_statement", "for_in_clause":
			found = found || strings.HasPrefix(n.Text(), "async ")
		case "call":
			switch n.Children[0].Text() {
			case "asyncio.create_task", "asyncio.ensure_future", "asyncio.get_running_loop", "asyncio.current_task":
				found = true
			}
		}
		return !found
	})
	return found
}

// group are statements that stand on the same lines, or await one after the other.
type group struct {
	from, to   int // rows
	awaits     bool
	statements []*syntax.Node
}

// grouped are the groups of a cell's statements.
func grouped(all []*syntax.Node) []group {
	var groups []group
	for _, n := range all {
		is := awaits(n)
		last := len(groups) - 1
		if last >= 0 && (groups[last].to >= n.Row || is && groups[last].awaits) {
			groups[last].to = n.EndRow
			groups[last].awaits = groups[last].awaits || is
			groups[last].statements = append(groups[last].statements, n)
			continue
		}
		groups = append(groups, group{n.Row, n.EndRow, is, []*syntax.Node{n}})
	}
	return groups
}

// bound are the names that a statement binds in its own scope, and those that it may.
func bound(statement *syntax.Node) []string {
	var names []string
	seen := map[string]bool{}
	add := func(n *syntax.Node) {
		if n != nil && n.Kind == "identifier" && !seen[n.Text()] {
			seen[n.Text()] = true
			names = append(names, n.Text())
		}
	}
	targets := func(n *syntax.Node) { // of an assignment: all names in it that are no attributes or indexes
		if n == nil {
			return
		}
		visit(n, nil, func(n, _ *syntax.Node) bool {
			if n.Kind == "attribute" || n.Kind == "subscript" {
				return false
			}
			add(n)
			return true
		})
	}
	visit(statement, nil, func(n, _ *syntax.Node) bool {
		switch n.Kind {
		case "function_definition", "class_definition":
			add(n.Child("name"))
			return false
		case "lambda":
			return false
		case "assignment", "augmented_assignment", "for_statement":
			targets(n.Child("left"))
		case "named_expression":
			add(n.Child("name"))
		case "as_pattern_target", "delete_statement", "case_pattern":
			targets(n)
		case "type_alias_statement":
			if len(n.Children) > 1 {
				targets(n.Children[0])
			}
		case "import_statement", "import_from_statement":
			for _, c := range n.Children {
				switch {
				case c.Kind == "aliased_import":
					add(c.Child("alias"))
				case c.Field == "name" && len(c.Children) > 0:
					add(c.Children[0])
				}
			}
		}
		return true
	})
	return names
}

// survey notes all names that the cells bind, and all words in them.
func (s *scripting) survey(cells []nbformat.Cell, all []analysed) {
	for i := range cells {
		if cells[i].Type != "code" || hasTag(&cells[i], skips...) {
			continue
		}
		injected := hasTag(&cells[i], "injected-parameters")
		if injected {
			s.injected = map[string]string{}
			all[i].parse()
		}
		for _, m := range all[i].Magics {
			if m.Kind == ipython.Cell && m.Name == "capture" && m.Target != "" {
				s.stored[m.Target] = true
			}
		}
		switch {
		case all[i].outline != nil:
			s.surveyOutline(all[i].outline)
		case all[i].tree != nil:
			s.surveyTree(all[i].tree, injected)
		}
	}
}

// surveyTree notes the names and words of a cell; injected says that papermill wrote it.
func (s *scripting) surveyTree(tree *syntax.Tree, injected bool) {
	visit(tree.Root, nil, func(n, _ *syntax.Node) bool {
		switch n.Kind {
		case "identifier":
			s.words[n.Text()] = true
		case "import_from_statement", "import_statement":
			module, names := imports(n)
			for _, name := range names {
				as, _, _ := strings.Cut(name.to(), ".")
				of, _, _ := strings.Cut(name.name, ".")
				switch {
				case fromIPython[module], module == "" && of == "IPython":
					s.imported[as] = true
				case module != "google.colab":
					s.stored[as] = true
				}
			}
		case "function_definition", "class_definition":
			if name := n.Child("name"); name != nil {
				s.stored[name.Text()] = true
			}
		case "assignment", "for_statement", "named_expression", "as_pattern_target", "for_in_clause",
			"augmented_assignment", "parameters", "lambda_parameters", "case_pattern":
			for _, name := range names(n) {
				s.stored[name] = true
			}
			if left, right := n.Child("left"), n.Child("right"); injected && left != nil && right != nil {
				s.injected[left.Text()] = right.Text()
			}
		}
		return true
	})
}

// moduleOf is the module of an import: in `from module import name`, else "".
func moduleOf(n *syntax.Node) string {
	if m := n.Child("module_name"); m != nil {
		return m.Text()
	}
	return ""
}

// names are those in the target of a binding, and those of parameters.
func names(n *syntax.Node) []string {
	switch n.Kind {
	case "assignment", "for_statement", "for_in_clause", "augmented_assignment":
		if n = n.Child("left"); n == nil {
			return nil
		}
	case "named_expression":
		if n = n.Child("name"); n == nil {
			return nil
		}
	}
	var all []string
	visit(n, nil, func(n, _ *syntax.Node) bool {
		if n.Kind == "identifier" && n.Field != "value" {
			all = append(all, n.Text())
		}
		return n.Kind != "subscript" && n.Kind != "attribute"
	})
	return all
}
