package script

import (
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
)

const (
	python2     = "this is Python 2"
	python2Hint = "Convert the notebook to Python 3 first, for example by 2to3."
)

// notPython says why a cell is no Python, what to do, and at which line.
func (s *scripting) notPython(c *nbformat.Cell, a analysed) (said, hint string, line int) {
	if a.err != nil {
		return "it cannot be read: " + a.err.Error(), "", 0
	}
	lines := strings.Split(c.Source, "\n")
	text := func(line int) string {
		if line > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[line-1])
	}
	older := 0                // the line of what is Python 2
	none := misplaced(a.tree) // and of what the grammar lets pass, and Python does not
	visit(a.tree.Root, nil, func(n, _ *syntax.Node) bool {
		switch {
		case older == 0 && isPython2(n):
			older = n.Row + 1
		case none == 0 && isNone(n):
			none = n.Row + 1
		}
		return older == 0
	})
	if line = a.tree.ErrorAt; line > 0 {
		for i, l := range lines {
			if strings.HasPrefix(l, "<<<<<<< ") {
				return "this has the marks of a merge conflict", "Choose a side, and save the notebook.", i + 1
			}
		}
		if strings.Contains(text(line), "\x00") {
			return "this has a NUL byte", "Take it out, and save the notebook.", line
		}
	}
	switch {
	case older > 0:
		return python2, python2Hint, older
	case line > 0 && oldLine.MatchString(text(line)):
		return python2, python2Hint, line
	case line == 0:
		line = none
	}
	if line == 0 {
		return "", "", 0
	}
	return "this is not Python: " + shortened(text(line)), "", line
}

// oldLine is a line of Python 2 that has no place in a tree.
var oldLine = lazyregexp.New(`^(print\s+["'\w]|exec\s+["'\w]|except\s+[\w.]+\s*,\s*\w+\s*:|raise\s+\w+\s*,)|` +
	`<>|\b0\d+[lL]?\b|\bur["']`)

// oldExcept gives an exception its name as Python 2 did; before Python 3.14 it is no Python at all.
var oldExcept = lazyregexp.New(`^except\s+[\w.]+\s*,\s*[a-z_]\w*\s*:`)

// oldNumber is a long or an octal number of Python 2.
var oldNumber = lazyregexp.New(`^0[0-9]*[1-9][0-9]*$|[lL]$`)

// isPython2 says that a node is one of Python 2, which the grammar knows as well.
func isPython2(n *syntax.Node) bool {
	switch n.Kind {
	case "print_statement", "exec_statement":
		return true
	case "except_clause":
		return oldExcept.MatchString(n.Text())
	case "string":
		return strings.HasPrefix(n.Text(), "`")
	case "integer":
		return oldNumber.MatchString(n.Text())
	case "raise_statement":
		return len(n.Children) > 0 && n.Children[0].Kind == "expression_list"
	case "comparison_operator":
		between := n.Start // what stands between its operands
		for _, c := range n.Children {
			if strings.Contains(n.Text()[between-n.Start:c.Start-n.Start], "<>") {
				return true
			}
			between = c.End
		}
	}
	return false
}

// misplaced is the line of the first statement that returns outside of a function, or is indented without a block.
func misplaced(t *syntax.Tree) int {
	line, row := 0, -1
	for _, n := range statements(t) {
		if begins := strings.LastIndexByte(t.Src[:n.Start], '\n') + 1; n.Row > row && n.Start > begins {
			return n.Row + 1
		}
		row = n.EndRow
		visit(n, nil, func(n, _ *syntax.Node) bool {
			if n.Kind == "return_statement" && line == 0 {
				line = n.Row + 1
			}
			return n.Kind != "function_definition" && line == 0
		})
		if line > 0 {
			break
		}
	}
	return line
}

// isNone says that a node is one that the grammar lets pass and Python does not: a block without a statement, and a
// keyword that stands for a name.
func isNone(n *syntax.Node) bool {
	switch n.Kind {
	case "block":
		for _, c := range n.Children {
			if c.Kind != "comment" {
				return false
			}
		}
		return true
	case "identifier":
		return keywords[n.Text()]
	}
	return false
}

// keywords are those of Python 3 that the grammar takes for names where no statement fits.
var keywords = map[string]bool{
	"and": true, "as": true, "assert": true, "break": true, "class": true, "continue": true, "def": true, "del": true,
	"elif": true, "else": true, "except": true, "finally": true, "for": true, "from": true, "global": true, "if": true,
	"import": true, "in": true, "is": true, "lambda": true, "nonlocal": true, "not": true, "or": true, "pass": true,
	"raise": true, "return": true, "try": true, "while": true, "with": true, "yield": true,
}
