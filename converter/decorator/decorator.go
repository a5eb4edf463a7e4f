// Package decorator reads MetaML's decorators in the text of a script, `@Train(settings={…}, package={…})`, so that
// `metaml run SCRIPT.py` does what `python SCRIPT.py` does, without executing it. Settings that are literals, names or
// calls without arguments can be read so; what is computed is refused.
//
// Read [Find] first. It may import the converter's syntax, and internal/usererror.
package decorator

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

// Entry is a decorated function.
type Entry struct {
	Function string
	Kind     string         // "train" or "serve"
	Line     int            // of the decorator, from 1
	Settings map[string]any // as settings.Sources takes a decorator's; package={…} as "package.name"
}

// kinds are the decorators that make an entry.
var kinds = map[string]string{"Train": "train", "Serve": "serve"}

// Find gives the decorated functions at the top level of a script, in order. A setting that cannot be read without
// executing the script is a *usererror.Error.
func Find(src string) ([]Entry, error) {
	tree, err := syntax.Parse(src)
	if err != nil {
		return nil, err
	}
	if tree.ErrorAt > 0 {
		return nil, nil // the slicer has the words for a syntax error
	}
	names := map[string]string{} // as written → kind: "T", "metaml.Train"
	var entries []Entry
	for _, n := range tree.Root.Children {
		switch n.Kind {
		case "import_from_statement":
			if m := n.Child("module_name"); m == nil || m.Text() != "metaml" {
				continue
			}
			for _, c := range n.Children {
				name, as := imported(c)
				if kind, ok := kinds[name]; ok && c.Field == "name" {
					names[as] = kind
				}
			}
		case "import_statement":
			for _, c := range n.Children {
				if name, as := imported(c); name == "metaml" {
					for d, kind := range kinds {
						names[as+"."+d] = kind
					}
				}
			}
		case "decorated_definition":
			e, err := entry(n, names)
			if err != nil {
				return nil, err
			}
			if e != nil {
				entries = append(entries, *e)
			}
		}
	}
	return entries, nil
}

// imported gives the name of an import and the name that it gets here.
func imported(n *syntax.Node) (name, as string) {
	if n.Kind == "aliased_import" {
		if x, a := n.Child("name"), n.Child("alias"); x != nil && a != nil {
			return x.Text(), a.Text()
		}
	}
	return n.Text(), n.Text()
}

func entry(n *syntax.Node, names map[string]string) (*Entry, error) {
	def := n.Child("definition")
	if def == nil || def.Kind != "function_definition" || def.Child("name") == nil {
		return nil, nil
	}
	for _, c := range n.Children {
		if c.Kind != "decorator" || len(c.Children) == 0 {
			continue
		}
		call := c.Children[0]
		callee := call
		if call.Kind == "call" {
			callee = call.Child("function")
		}
		kind := names[callee.Text()]
		if kind == "" {
			continue
		}
		e := &Entry{Function: def.Child("name").Text(), Kind: kind, Line: c.Row + 1, Settings: map[string]any{}}
		if call.Kind == "call" {
			if err := e.arguments(call.Child("arguments")); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
	return nil, nil
}

// arguments reads settings={…} (also as the first argument), package={…} and settings as keyword arguments.
func (e *Entry) arguments(list *syntax.Node) error {
	if list == nil {
		return nil
	}
	for i, a := range list.Children {
		name, value := "", a
		if a.Kind == "keyword_argument" {
			name, value = a.Child("name").Text(), a.Child("value")
		} else if i == 0 {
			name = "settings"
		}
		prefix := ""
		switch name {
		case "settings":
		case "package":
			prefix = "package."
		default:
			if a.Kind != "keyword_argument" || value == nil {
				return e.computed(a, a.Text())
			}
			if err := e.set(name, value, ""); err != nil {
				return err
			}
			continue
		}
		if value.Kind != "dictionary" {
			return e.computed(value, name)
		}
		for _, pair := range value.Children {
			key, v := pair.Child("key"), pair.Child("value")
			if pair.Kind != "pair" || key == nil || v == nil || key.Kind != "string" {
				return e.computed(pair, name)
			}
			if err := e.set(literal(key), v, prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Entry) set(name string, v *syntax.Node, prefix string) error {
	var (
		value any
		ok    bool
	)
	switch {
	case name == "example" && v.Kind != "string" && v.Kind != "identifier":
		value, ok = asJSON(v) // a text is JSON already, and an identifier names a variable
	case name != "hyper_parameters" && slices.Contains([]string{"list", "tuple", "dictionary"}, v.Kind):
		value, ok = several(v)
	default:
		value, ok = plain(v)
	}
	if !ok {
		return e.computed(v, name)
	}
	e.Settings[prefix+name] = value
	return nil
}

func (e *Entry) computed(n *syntax.Node, what string) error {
	return usererror.At(usererror.CodeDecorator, 1, n.Row+1,
		"the decorator of %s has %q as something that is only known when the script runs", e.Function, what).
		With("Run the script itself: python SCRIPT.py.")
}

// plain gives a value as the text that a cell would have.
func plain(n *syntax.Node) (string, bool) {
	switch n.Kind {
	case "integer", "float", "identifier":
		return n.Text(), true
	case "true", "false":
		return n.Kind, true
	case "string":
		return literal(n), !strings.Contains(n.Text(), `\`) && n.Of("interpolation") == nil
	case "call":
		f, args := n.Child("function"), n.Child("arguments")
		if f != nil && f.Kind == "identifier" && args != nil && len(args.Children) == 0 {
			return f.Text(), true // a generator object, remade by calling the function again
		}
	}
	return "", false
}

// several gives a list or a dict of literals as encoding/json reads it; the digits of a number are kept.
func several(n *syntax.Node) (any, bool) {
	text, ok := asJSON(n)
	if !ok {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err == nil
}

// asJSON gives a value as JSON text.
func asJSON(n *syntax.Node) (string, bool) {
	switch n.Kind {
	case "true", "false":
		return n.Kind, true
	case "none":
		return "null", true
	case "integer", "float":
		text := strings.ReplaceAll(n.Text(), "_", "")
		if i, err := strconv.ParseInt(text, 0, 64); err == nil {
			return strconv.FormatInt(i, 10), true
		}
		f, err := strconv.ParseFloat(text, 64)
		return strconv.FormatFloat(f, 'g', -1, 64), err == nil
	case "unary_operator":
		if a := n.Child("argument"); a != nil && strings.HasPrefix(n.Text(), "-") &&
			(a.Kind == "integer" || a.Kind == "float") {
			text, ok := asJSON(a)
			return "-" + text, ok
		}
	case "string":
		if text, ok := plain(n); ok && !strings.ContainsAny(n.Text()[:1], "bB") {
			quoted, err := json.Marshal(text)
			return string(quoted), err == nil
		}
	case "list", "tuple":
		items, ok := eachAsJSON(n.Children)
		return "[" + strings.Join(items, ",") + "]", ok
	case "dictionary":
		var pairs []string
		for _, pair := range n.Children {
			key, value := pair.Child("key"), pair.Child("value")
			if key == nil || value == nil || key.Kind != "string" {
				return "", false
			}
			both, ok := eachAsJSON([]*syntax.Node{key, value})
			if !ok {
				return "", false
			}
			pairs = append(pairs, both[0]+":"+both[1])
		}
		return "{" + strings.Join(pairs, ",") + "}", true
	}
	return "", false
}

func eachAsJSON(nodes []*syntax.Node) ([]string, bool) {
	var out []string
	for _, n := range nodes {
		text, ok := asJSON(n)
		if !ok {
			return nil, false
		}
		out = append(out, text)
	}
	return out, true
}

// literal is the content of a plain string.
func literal(n *syntax.Node) string {
	text := strings.TrimLeft(n.Text(), "rRbBuU")
	for _, quote := range []string{`"""`, "'''", `"`, "'"} {
		if strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) && len(text) >= 2*len(quote) {
			return text[len(quote) : len(text)-len(quote)]
		}
	}
	return text
}
