package script

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// form is Colab's comment behind a parameter: #@param {type:"integer"}, #@param ["a", "b"].
var (
	form       = regexp.MustCompile(`#\s*@param\b\s*(.*)$`)
	formType   = regexp.MustCompile(`\btype\s*:\s*"(\w+)"`)
	formChoice = regexp.MustCompile(`^\[(.*)\]`)
	hintType   = regexp.MustCompile(`^type:\s*(\w+)`)
)

// parameter is a name whose value an option gives.
type parameter struct {
	name, kind, choices, help, value string
}

// parameters notes the options, and gives the code that uses them; it stands behind the cell that has their defaults.
// tagged says that all of the cell's values are parameters, else those with a form of Colab.
func (s *scripting) parameters(a analysed, tagged bool) []string {
	lines := strings.Split(a.Code, "\n")
	var all []parameter
	for _, n := range statements(a.tree) {
		if n.Kind != "expression_statement" || len(n.Children) != 1 || n.Children[0].Kind != "assignment" {
			continue
		}
		assignment := n.Children[0]
		left, right := assignment.Child("left"), assignment.Child("right")
		if left == nil || right == nil || left.Kind != "identifier" || strings.HasPrefix(left.Text(), "_") {
			continue
		}
		comment := ""
		if rest := lines[n.EndRow]; strings.Contains(rest, "#") {
			lineStart := strings.LastIndexByte(a.Code[:n.End], '\n') + 1
			comment = strings.TrimSpace(rest[n.End-lineStart:])
			comment = strings.TrimSpace(strings.TrimLeft(comment, ";"))
		}
		said := form.FindStringSubmatch(comment)
		if said == nil && !tagged {
			continue
		}
		p := parameter{name: left.Text(), kind: typeOf(right), value: shortened(right.Text())}
		if annotation := assignment.Child("type"); annotation != nil {
			p.kind = named(annotation.Text(), p.kind)
		}
		switch {
		case said != nil:
			if kind := formType.FindStringSubmatch(said[1]); kind != nil {
				p.kind = named(kind[1], p.kind)
			}
			if choices := formChoice.FindStringSubmatch(said[1]); choices != nil && !strings.Contains(said[1], "allow-input: true") {
				p.choices = "[" + choices[1] + "]"
			}
		case strings.HasPrefix(comment, "#"):
			p.help = strings.TrimSpace(strings.TrimLeft(comment, "# "))
			if kind := hintType.FindStringSubmatch(p.help); kind != nil {
				p.kind, p.help = named(kind[1], p.kind), ""
			}
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil
	}
	var after []string
	for _, p := range all {
		about := ""
		switch p.kind {
		case "bool":
			about = ", action=_metaml_argparse.BooleanOptionalAction"
		case "literal":
			about = ", type=__import__('ast').literal_eval"
		default:
			about = ", type=" + p.kind
		}
		if p.choices != "" {
			about += ", choices=" + p.choices
		}
		help := "default: " + p.value
		if p.help != "" {
			help = p.help + " (" + help + ")"
		}
		s.options = append(s.options, fmt.Sprintf("_metaml_options.add_argument(%q, dest=%q%s, help=%q)",
			"--"+strings.ReplaceAll(p.name, "_", "-"), p.name, about, strings.ReplaceAll(help, "%", "%%")))
		after = append(after, fmt.Sprintf("%s = _metaml_given.get(%q, %s)", p.name, p.name, p.name))
	}
	return after
}

// typeOf is the type of an option by its default.
func typeOf(value *syntax.Node) string {
	switch value.Kind {
	case "integer":
		return "int"
	case "float":
		return "float"
	case "true", "false":
		return "bool"
	case "unary_operator":
		if len(value.Children) == 1 {
			return typeOf(value.Children[0])
		}
	case "list", "dictionary", "tuple", "set":
		return "literal"
	}
	return "str"
}

// named is the type of an option by an annotation or a form.
func named(kind, otherwise string) string {
	switch kind {
	case "int", "integer", "slider":
		if kind == "slider" {
			return otherwise
		}
		return "int"
	case "float", "number":
		if kind == "number" && otherwise == "int" {
			return "float"
		}
		return "float"
	case "bool", "boolean":
		return "bool"
	case "str", "string", "date":
		return "str"
	case "list", "dict", "tuple", "raw":
		return "literal"
	}
	return otherwise
}
