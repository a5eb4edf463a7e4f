package flask

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

type statement = slicer.Statement

// how says what is done with a value of a kind.
type how uint8

const (
	asItIs    how = iota // nothing is known of it, or nothing is done
	scalar               // checked: int, float, str, bool
	container            // checked: list or dict, perhaps with elements that are converted
	array                // converted
	dataclass            // made
	typedDict            // its keys are checked
	pydantic             // validated
	rawBytes             // the body itself
	optional             // of another kind, or None
	adapted              // validated by pydantic's TypeAdapter
)

// kind is an annotation, as far as it is heeded.
type kind struct {
	how how
	// of a class, as the notebook calls it; of a scalar or container, Python's; of what is adapted, the whole
	// annotation
	name string
	of   *kind // what is in it, if that must be converted

	element *kind  // of a list, whatever it is
	dtype   string // of an array, as source text
}

// converts says that a value is not what came from JSON.
func (k *kind) converts() bool {
	switch k.how {
	case array, dataclass, pydantic, adapted, rawBytes:
		return true
	case container, optional:
		return k.of != nil && k.of.converts()
	}
	return false
}

// takesName says that an object whose one key is the parameter's name is the parameter: a value of the kind is no
// object itself.
func (k *kind) takesName(annotation string) bool {
	switch k.how {
	case scalar, array:
		return true
	case container:
		return k.name == "list"
	case optional:
		return k.of.takesName(annotation)
	case asItIs:
		return annotation == ""
	}
	return false
}

// fields says that the text of a query can be one: pydantic reads text.
func (k *kind) fields() bool { return k.how == asItIs || k.how == scalar || k.how == pydantic }

// readKinds reads the annotations of the function's parameters.
func (w *writer) readKinds() error {
	for _, p := range w.parameters() {
		w.kinds[p.Name] = &kind{}
		if p.Annotation == "" {
			continue
		}
		k, err := w.read(p.Annotation, 0)
		if err == nil && w.o.Batch {
			k, err = row(k)
		}
		if err == nil && k.how == rawBytes && !w.single() {
			err = fmt.Errorf("is bytes beside other parameters, and a body that is bytes has no fields")
		}
		if err != nil {
			e := w.s.Entry
			return usererror.At(usererror.CodeExport, e.Cell, e.Line, "parameter %s of %s (%s) %v", p.Name, e.Name,
				p.Annotation, err).
				With("Take what JSON has, such as a dict, or use a pydantic model.")
		}
		w.kinds[p.Name] = k
	}
	return nil
}

// row is the kind of one input of a batch.
func row(k *kind) (*kind, error) {
	switch {
	case k.how == asItIs, k.how == array:
		return k, nil
	case k.how == container && k.name == "list", k.how == adapted && k.element != nil:
		if k.element == nil {
			return &kind{}, nil
		}
		return k.element, nil
	}
	return nil, fmt.Errorf("is no list, and with --batch %s", "a function gets a list of inputs")
}

// read reads an annotation. The error is the rest of a sentence about it.
func (w *writer) read(text string, depth int) (*kind, error) {
	text = strings.TrimSpace(text)
	tree, err := syntax.Parse("(" + text + ")")
	if err != nil || tree.ErrorAt > 0 {
		return &kind{}, nil //nolint:nilerr // Python reads it; it is not heeded
	}
	n := tree.Root
	for len(n.Children) == 1 && (n.Kind == "module" || n.Kind == "expression_statement" ||
		n.Kind == "parenthesized_expression" || n.Kind == "type") {
		n = n.Children[0]
	}
	switch n.Kind {
	case "string":
		return w.read(strings.Trim(n.Text(), `"'`), depth+1)
	case "none":
		return &kind{}, nil
	case "identifier", "attribute":
		return w.class(n.Text(), depth)
	case "binary_operator":
		return w.union(text, splitUnion(n), depth)
	case "subscript":
		return w.generic(text, n, depth)
	}
	return &kind{}, nil
}

func splitUnion(n *syntax.Node) []string {
	if n.Kind == "binary_operator" && len(n.Children) == 2 {
		return append(splitUnion(n.Children[0]), splitUnion(n.Children[1])...)
	}
	return []string{n.Text()}
}

// union is X | None, or several kinds, of which none may need to be made.
func (w *writer) union(whole string, parts []string, depth int) (*kind, error) {
	var kinds []*kind
	for _, p := range parts {
		if p == "None" {
			continue
		}
		k, err := w.read(p, depth+1)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, k)
	}
	switch {
	case len(kinds) == 1 && kinds[0].how == rawBytes:
		return kinds[0], nil
	case len(kinds) == 1 && len(parts) == 2:
		return &kind{how: optional, of: kinds[0]}, nil
	case !slices.ContainsFunc(kinds, (*kind).converts):
		return &kind{}, nil
	case slices.ContainsFunc(kinds, func(k *kind) bool { return k.how == pydantic || k.how == adapted }):
		return &kind{how: adapted, name: whole}, nil
	}
	return nil, fmt.Errorf("may be made in several ways, and the application cannot tell which")
}

// generic is X[Y].
func (w *writer) generic(whole string, n *syntax.Node, depth int) (*kind, error) {
	base := n.Child("value").Text()
	var args []string
	for _, c := range n.Children {
		if c.Field == "subscript" {
			args = append(args, c.Text())
		}
	}
	element := func(arg string, outer string) (*kind, error) {
		of, err := w.read(arg, depth+1)
		if err != nil {
			return nil, err
		}
		k := &kind{how: container, name: outer, element: of}
		switch {
		case of.how == pydantic, of.how == adapted:
			k.how, k.name = adapted, whole
		case of.converts():
			k.of = of
		}
		return k, nil
	}
	switch full := w.full(base); full {
	case "list", "typing.List", "typing.Sequence", "collections.abc.Sequence", "typing.Iterable",
		"collections.abc.Iterable":
		return element(args[0], "list")
	case "dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping":
		if len(args) == 2 {
			return element(args[1], "dict")
		}
	case "typing.Optional":
		return w.union(whole, []string{args[0], "None"}, depth)
	case "typing.Union":
		return w.union(whole, args, depth)
	case "typing.Annotated", "typing_extensions.Annotated":
		return w.read(args[0], depth+1)
	case "numpy.ndarray", "numpy.typing.NDArray":
		return &kind{how: array, dtype: w.dtype(args[len(args)-1])}, nil
	case "typing.Literal", "typing_extensions.Literal":
		return &kind{}, nil
	default:
		if k, err := w.class(base, depth); err != nil || k.how == pydantic {
			return k, err
		}
		for _, a := range args {
			if k, err := w.read(a, depth+1); err != nil || k.converts() {
				return nil, fmt.Errorf("has a %s inside of a %s, which the application would not make", a, base)
			}
		}
	}
	return &kind{}, nil
}

// dtype gives the type of an array's numbers, as source text: NDArray[np.float32], np.ndarray[Any,
// np.dtype[np.float32]].
func (w *writer) dtype(text string) string {
	if base, rest, ok := strings.Cut(text, "["); ok && w.full(base) == "numpy.dtype" {
		text = strings.TrimSuffix(rest, "]")
	}
	if full := w.full(text); full == "float" || full == "int" || full == "bool" ||
		strings.HasPrefix(full, "numpy.") && !strings.ContainsAny(text, "[ ") {
		return text
	}
	return "float"
}

// class is what a name means as an annotation.
func (w *writer) class(text string, depth int) (*kind, error) {
	if w.lookups++; depth > 8 || w.lookups > 500 {
		return nil, fmt.Errorf("is nested too deeply")
	}
	switch full := w.full(text); full {
	case "int", "float", "str", "bool":
		return &kind{how: scalar, name: full}, nil
	case "list", "dict":
		return &kind{how: container, name: full}, nil
	case "typing.List", "typing.Sequence", "collections.abc.Sequence":
		return &kind{how: container, name: "list"}, nil
	case "typing.Dict", "typing.Mapping", "collections.abc.Mapping":
		return &kind{how: container, name: "dict"}, nil
	case "bytes":
		return &kind{how: rawBytes}, nil
	case "numpy.ndarray", "numpy.typing.NDArray":
		return &kind{how: array, dtype: "float"}, nil
	case "object", "typing.Any", "numpy.typing.ArrayLike", "typing.Hashable":
		return &kind{}, nil
	default:
		for i, st := range w.s.Statements {
			if !slices.Contains(st.Defines, text) {
				continue
			}
			if k, err := w.defined(i, text, depth); k != nil || err != nil {
				return k, err
			}
		}
		if strings.HasPrefix(full, "typing.") || strings.HasPrefix(full, "typing_extensions.") {
			return &kind{}, nil
		}
		return nil, fmt.Errorf("is of a class that the application would not know how to make from JSON")
	}
}

// defined is the kind of a class or an alias of the notebook's; nil where a statement defines the name in another way.
func (w *writer) defined(i int, name string, depth int) (*kind, error) {
	children := w.nodes[i].Root.Children
	if len(children) != 1 {
		return nil, nil
	}
	n := children[0]
	switch n.Kind {
	case "expression_statement":
		if a := n.Children[0]; a.Kind == "assignment" && a.Child("right") != nil {
			if right := a.Child("right"); right.Kind == "identifier" || right.Kind == "attribute" ||
				right.Kind == "subscript" || right.Kind == "binary_operator" {
				return w.read(right.Text(), depth+1)
			}
		}
		return nil, nil
	case "type_alias_statement":
		if r := n.Child("right"); r != nil {
			return w.read(r.Text(), depth+1)
		}
		return nil, nil
	}
	isDataclass := false
	if n.Kind == "decorated_definition" {
		for _, d := range n.Children {
			if d.Kind == "decorator" && len(d.Children) > 0 {
				f := d.Children[0]
				if f.Kind == "call" {
					f = f.Child("function")
				}
				full := w.full(f.Text())
				isDataclass = isDataclass || full == "dataclasses.dataclass"
				if full == "pydantic.dataclasses.dataclass" {
					return &kind{how: adapted, name: name}, nil
				}
			}
		}
		n = n.Child("definition")
	}
	if n == nil || n.Kind != "class_definition" {
		return nil, nil
	}
	if isDataclass {
		return &kind{how: dataclass, name: name}, w.flat(n, name, depth)
	}
	if bases := n.Child("superclasses"); bases != nil {
		for _, b := range bases.Children {
			text := b.Text()
			if b.Kind == "subscript" && b.Child("value") != nil {
				text = b.Child("value").Text()
			}
			switch w.full(text) {
			case "pydantic.BaseModel", "pydantic.main.BaseModel":
				return &kind{how: pydantic, name: name}, nil
			case "typing.TypedDict", "typing_extensions.TypedDict":
				return &kind{how: typedDict, name: name}, w.flat(n, name, depth)
			}
			if k, err := w.class(text, depth+1); err == nil &&
				(k.how == pydantic || k.how == typedDict || k.how == dataclass) {
				return &kind{how: k.how, name: name}, nil
			}
		}
	}
	return nil, nil
}

// flat refuses a class with fields that would have to be made, too.
func (w *writer) flat(class *syntax.Node, name string, depth int) error {
	var wrong error
	class.Child("body").Walk(func(n *syntax.Node) bool {
		if n.Kind == "function_definition" {
			return false
		}
		if n.Kind == "assignment" && n.Child("type") != nil && wrong == nil {
			k, err := w.read(n.Child("type").Text(), depth+1)
			switch {
			case err != nil:
				wrong = fmt.Errorf("has the field %s, which %w", n.Child("left").Text(), err)
			case k.converts():
				wrong = fmt.Errorf("has the field %s (%s), and the application makes a %s of plain values alone",
					n.Child("left").Text(), n.Child("type").Text(), name)
			}
		}
		return true
	})
	return wrong
}

// full is the full name of what the notebook calls by a name: np.ndarray is numpy.ndarray.
func (w *writer) full(text string) string {
	top, rest, dotted := strings.Cut(strings.Trim(strings.TrimSpace(text), `"'`), ".")
	for i := range w.s.Statements {
		for _, m := range w.importsOf(i) {
			if m.binds() != top {
				continue
			}
			name := m.module
			if m.name != "" {
				name += "." + m.name
			} else if m.as == "" {
				name = top
			}
			if dotted {
				name += "." + rest
			}
			return strings.Replace(name, "numpy._typing.", "numpy.typing.", 1)
		}
	}
	if dotted {
		return top + "." + rest
	}
	return top
}
