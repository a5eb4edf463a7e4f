package flask

import (
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// results are what a function may return or yield: what is not known to be otherwise may be anything.
type results struct{ json, text, bytes bool }

var anything = results{true, true, true}

// results reads the annotation of the result, else the function's return (or yield) statements.
func (w *writer) results() results {
	if r := w.def.Child("return_type"); r != nil && !w.s.Entry.IsGenerator {
		switch text := strings.Trim(r.Text(), `"' `); {
		case text == "str":
			return results{text: true}
		case text == "bytes":
			return results{bytes: true}
		case text == "object", text == "Any", strings.HasSuffix(text, ".Any"), strings.Contains(text, "str"),
			strings.Contains(text, "bytes"):
			// list[str] is JSON, and str | None is not known: look at the statements.
			if !strings.Contains(text, "|") &&
				(strings.HasPrefix(text, "list[") || strings.HasPrefix(text, "dict[") ||
					strings.HasPrefix(text, "tuple[")) {
				return results{json: true}
			}
		default:
			if w.o.Batch {
				break
			}
			return results{json: true}
		}
	}
	kind := "return_statement"
	if w.s.Entry.IsGenerator {
		kind = "yield"
	}
	var all results
	found := false
	w.def.Child("body").Walk(func(n *syntax.Node) bool {
		switch n.Kind {
		case "function_definition", "class_definition", "lambda":
			return false
		case kind:
			found = true
			var value *syntax.Node
			if len(n.Children) == 1 {
				value = n.Children[0]
			}
			if strings.HasPrefix(n.Text(), "yield from") {
				value = &syntax.Node{Kind: "unknown"}
			}
			r := resultOf(value, w.o.Batch)
			all = results{all.json || r.json, all.text || r.text, all.bytes || r.bytes}
		}
		return true
	})
	if !found {
		return results{json: true} // None
	}
	return all
}

// resultOf classifies a value; of a batch, its elements.
func resultOf(n *syntax.Node, batch bool) results {
	if n == nil {
		return results{json: true}
	}
	if batch {
		if n.Kind == "list" || n.Kind == "list_comprehension" {
			if len(n.Children) > 0 {
				return resultOf(n.Children[0], false)
			}
			return results{json: true}
		}
		if n.Kind == "call" && strings.HasSuffix(n.Child("function").Text(), ".tolist") {
			return results{json: true}
		}
		return anything
	}
	switch n.Kind {
	case "string", "concatenated_string":
		if strings.HasPrefix(strings.ToLower(n.Text()), "b") || strings.HasPrefix(strings.ToLower(n.Text()), "rb") {
			return results{bytes: true}
		}
		return results{text: true}
	case "dictionary", "list", "tuple", "set", "integer", "float", "true", "false", "none", "list_comprehension",
		"dictionary_comprehension", "comparison_operator",
		"not_operator", "expression_list":
		return results{json: true}
	case "conditional_expression":
		if len(n.Children) == 3 {
			a, b := resultOf(n.Children[0], false), resultOf(n.Children[2], false)
			return results{a.json || b.json, a.text || b.text, a.bytes || b.bytes}
		}
	case "parenthesized_expression":
		return resultOf(n.Children[0], false)
	case "call":
		f := n.Child("function")
		switch name := f.Text(); {
		case name == "str", strings.HasSuffix(name, ".decode"),
			strings.HasSuffix(name, ".join") && strings.ContainsAny(name[:1], `"'`):
			return results{text: true}
		case name == "bytes", strings.HasSuffix(name, ".encode"), strings.HasSuffix(name, ".tobytes"),
			strings.HasSuffix(name, ".getvalue"):
			return results{bytes: true}
		case name == "int", name == "float", name == "bool", name == "len", name == "dict", name == "list",
			name == "sum", name == "round", name == "sorted",
			strings.HasSuffix(name, ".tolist"):
			return results{json: true}
		}
	}
	return anything
}
