package slicer

import (
	"slices"

	"github.com/metaml/metaml/converter/syntax"
)

// environment finds the variables of the environment that the slice reads, of those that it names literally:
// os.environ["NAME"], os.environ.get("NAME"), os.getenv("NAME"). One that the slice sets itself is none.
func (w *work) environment() []string {
	var reads, sets []string
	for _, s := range w.stmts {
		if _, kept := w.kept[s]; !kept || s.node == nil {
			continue
		}
		imports, _ := localsOf(s.node)
		is := func(n *syntax.Node, name string) bool {
			return n != nil && w.dottedIn(n, len(w.stmts), imports) == name
		}
		add := func(to *[]string, n *syntax.Node) {
			if n == nil || n.Kind != "string" {
				return
			}
			if name, ok := literal(n.Text()); ok && !slices.Contains(*to, name) {
				*to = append(*to, name)
			}
		}
		s.node.Walk(func(n *syntax.Node) bool {
			switch n.Kind {
			case "assignment":
				left := n.Child("left")
				if left != nil && left.Kind == "subscript" && is(left.Child("value"), "os.environ") {
					add(&sets, left.Child("subscript"))
				}
			case "subscript":
				if is(n.Child("value"), "os.environ") {
					add(&reads, n.Child("subscript"))
				}
			case "call":
				f, arguments := n.Child("function"), n.Child("arguments")
				if arguments != nil && len(arguments.Children) > 0 &&
					(is(f, "os.getenv") || is(f, "os.environ.get") || is(f, "os.environ.pop")) {
					add(&reads, arguments.Children[0])
				}
			}
			return true
		})
	}
	return slices.DeleteFunc(reads, func(name string) bool { return slices.Contains(sets, name) })
}
