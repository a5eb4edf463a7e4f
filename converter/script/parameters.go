package script

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// form is Colab's comment behind a parameter: #@param {type:"integer"}, #@param ["a", "b"].
var (
	form       = lazyregexp.New(`#\s*@param\b\s*(.*)$`)
	formType   = lazyregexp.New(`\btype\s*:\s*"(\w+)"`)
	formChoice = lazyregexp.New(`^\[(.*)\]`)
	hintType   = lazyregexp.New(`^type:\s*([\w.\[\], |]+?)(?:\s*#\s*(.*))?$`)
)

// parameter is a name whose value an option gives.
type parameter struct {
	name, kind, choices, help, value string
}

// given notes the options that a cell makes, and gives the code behind the cell that uses them.
func (s *scripting) given(c *nbformat.Cell, a analysed) []string {
	switch {
	case !s.o.Parameters:
		return nil
	case hasTag(c, "injected-parameters"): // papermill's, whose values are the defaults
		after := s.after
		s.after = nil
		return after
	case hasTag(c, "parameters"):
		after := s.parameters(a, true)
		if s.injected != nil {
			s.after = after
			return nil
		}
		return after
	case strings.Contains(a.Code, "@param"):
		return s.parameters(a, false)
	}
	return nil
}

// parameters notes the options, and gives the code that uses them. tagged says that all of the cell's values are
// parameters, else those with a form of Colab.
func (s *scripting) parameters(a analysed, tagged bool) []string {
	lines := strings.Split(a.Code, "\n")
	var after []string
	for _, n := range statements(a.tree) {
		if n.Kind != "expression_statement" || len(n.Children) != 1 || n.Children[0].Kind != "assignment" {
			continue
		}
		assignment := n.Children[0]
		left, right := assignment.Child("left"), assignment.Child("right")
		if left == nil || right == nil || left.Kind != "identifier" || right.Kind == "assignment" ||
			strings.HasPrefix(left.Text(), "_") {
			continue
		}
		comment := ""
		if rest := lines[n.EndRow]; strings.Contains(rest, "#") {
			lineStart := strings.LastIndexByte(a.Code[:n.End], '\n') + 1
			comment = strings.TrimSpace(strings.TrimLeft(rest[n.End-lineStart:], "; "))
		}
		said := form.FindStringSubmatch(comment)
		if said == nil && !tagged {
			continue
		}
		value := shortened(strings.Join(strings.Fields(right.Text()), " "))
		p := parameter{name: left.Text(), kind: typeOf(right), value: value}
		if annotation := assignment.Child("type"); annotation != nil {
			p.kind = named(annotation.Text(), p.kind)
		}
		switch {
		case said != nil:
			if kind := formType.FindStringSubmatch(said[1]); kind != nil {
				p.kind = named(kind[1], p.kind)
			}
			choices := formChoice.FindStringSubmatch(said[1])
			if choices != nil && !strings.Contains(said[1], "allow-input") {
				p.choices = "[" + choices[1] + "]"
			}
		case strings.HasPrefix(comment, "#"):
			p.help = strings.TrimSpace(strings.TrimLeft(comment, "# "))
			if kind := hintType.FindStringSubmatch(p.help); kind != nil {
				p.kind, p.help = named(kind[1], p.kind), strings.TrimSpace(kind[2])
			}
		}
		if value, ok := s.injected[p.name]; ok {
			p.value = shortened(value)
		}
		after = append(after, s.option(p))
	}
	return after
}

// option notes the option of a parameter, and gives the code that uses it.
func (s *scripting) option(p parameter) string {
	about := ", type=" + p.kind
	use := fmt.Sprintf("%s = _metaml_given.get(%q, %s)", p.name, p.name, p.name)
	switch p.kind {
	case "bool":
		about = ", action=_metaml_argparse.BooleanOptionalAction"
	case "literal":
		about = `, type=__import__("ast").literal_eval`
	case "of default": // the type is known when the default has been made
		about = ""
		use = strings.ReplaceAll(`NAME = type(NAME)(_metaml_given["NAME"]) if "NAME" in _metaml_given else NAME`,
			"NAME", p.name)
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
	return use
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
	case "unary_operator", "parenthesized_expression":
		if len(value.Children) == 1 {
			return typeOf(value.Children[0])
		}
	case "binary_operator":
		return ofNumbers(value)
	case "list", "dictionary", "tuple", "set", "list_comprehension", "dictionary_comprehension":
		return "literal"
	case "call": // Path("data")
		if made := value.Children[0].Text(); made == "dict" || made == "list" || made == "set" || made == "tuple" {
			return "literal"
		}
		return "of default"
	}
	return "str"
}

// ofNumbers is the type of a sum, a product, a power.
func ofNumbers(value *syntax.Node) string {
	kind := "int"
	if text := value.Text(); strings.Contains(strings.ReplaceAll(text, "//", ""), "/") ||
		strings.Contains(text, "**") && strings.Contains(text, "-") {
		kind = "float"
	}
	for _, c := range value.Children {
		switch typeOf(c) {
		case "int":
		case "float":
			kind = "float"
		default:
			return "of default"
		}
	}
	return kind
}

var optional = lazyregexp.New(`^(?:typing\.)?Optional\[(.*)\]$|^(.*?) *\| *None$|^None *\| *(.*)$`)

// named is the type of an option by an annotation or a form.
func named(kind, otherwise string) string {
	if m := optional.FindStringSubmatch(kind); m != nil {
		kind = m[1] + m[2] + m[3]
	}
	kind, _, _ = strings.Cut(strings.TrimPrefix(kind, "typing."), "[")
	switch strings.ToLower(kind) {
	case "int", "integer":
		return "int"
	case "float", "number":
		return "float"
	case "bool", "boolean":
		return "bool"
	case "str", "string", "date":
		return "str"
	case "list", "dict", "tuple", "set", "raw":
		return "literal"
	}
	return otherwise
}
