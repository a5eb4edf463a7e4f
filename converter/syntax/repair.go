package syntax

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
