package syntax

import (
	"slices"
	"strings"
)

// callOfType repairs a mistake of the grammar: it takes type(x).a = 1 for a type alias, which has a name there
// (https://docs.python.org/3/reference/simple_stmts.html#the-type-statement). It is an assignment.
func (n *Node) callOfType() {
	left, right := n.Child("left"), n.Child("right")
	if left == nil || right == nil || len(left.Children) != 1 || len(right.Children) != 1 {
		return
	}
	path := []*Node{left.Children[0]}
	for {
		last := path[len(path)-1]
		object := last.Child("object")
		if last.Kind == "subscript" {
			object = last.Child("value")
		}
		if object == nil {
			break
		}
		path = append(path, object)
	}
	args := path[len(path)-1]
	if args.Kind != "parenthesized_expression" || len(path) == 1 {
		return
	}
	name := *n
	name.Kind, name.Field, name.End, name.EndRow, name.Children = "identifier", "function", n.Start+len(
		"type",
	), n.Row, nil
	given := *args
	given.Kind, given.Field = "argument_list", "arguments"
	args.Kind, args.Children = "call", []*Node{&name, &given}
	for _, p := range path {
		p.Start, p.Row = n.Start, n.Row
	}
	target, value := path[0], right.Children[0]
	target.Field, value.Field = "left", "right"
	assignment := *n
	assignment.Kind, assignment.Field, assignment.Children = "assignment", "", []*Node{target, value}
	n.Kind, n.Children = "expression_statement", []*Node{&assignment}
}

// tuplesAbove repairs another one: it takes a tuple on a line and the target of an assignment on the next, such as
// "a,\nb = 1", for one list of targets, though the end of a line outside of brackets ends the tuple.
func (n *Node) tuplesAbove() {
	for i := 0; i < len(n.Children); i++ {
		st := n.Children[i]
		if st.Kind != "expression_statement" || len(st.Children) == 0 || st.Children[0].Kind != "assignment" {
			continue
		}
		assignment := st.Children[0]
		left := assignment.Child("left")
		if left == nil || left.Kind != "pattern_list" || left.Row == left.EndRow {
			continue
		}
		for k := 1; k < len(left.Children); k++ {
			above, below := left.Children[k-1], left.Children[k]
			gap := left.tree.Src[above.End:below.Start]
			comma := strings.IndexByte(gap, ',')
			line := strings.IndexByte(gap, '\n')
			if comma < 0 || line < comma || strings.HasSuffix(strings.TrimRight(gap[:line], "\r"), "\\") {
				continue
			}
			tuple := *st
			tuple.Children = left.Children[:k:k]
			tuple.End, tuple.EndRow = above.End+comma+1, above.EndRow
			target := below
			if rest := left.Children[k:]; len(rest) > 1 || left.tree.Src[below.End:left.End] != "" {
				list := *left
				list.Children, list.Start, list.Row = rest, below.Start, below.Row
				target = &list
			}
			target.Field = "left"
			made := *assignment
			made.Children = slices.Clone(assignment.Children)
			made.Children[slices.Index(made.Children, left)] = target
			made.Start, made.Row = below.Start, below.Row
			next := *st
			next.Children = slices.Clone(st.Children)
			next.Children[0] = &made
			next.Start, next.Row = below.Start, below.Row
			n.Children = slices.Concat(n.Children[:i], []*Node{&tuple, &next}, n.Children[i+1:])
			break
		}
	}
}
