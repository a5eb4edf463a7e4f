package flask

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/metaml/metaml/converter/syntax"
)

// partFiles are Python modules whose definitions go into applications. A line "# if NAME:" begins lines that depend
// on a condition, "# else:" and "# end" go with it. The imports at a file's head say what the names in it mean.
//
//go:embed parts/*.py
var partFiles embed.FS

// template is what applications are made of.
type template struct {
	// library has what the parts and the generated lines may use of other modules, by the name that it is imported as.
	library map[string]imported
	// definitions has the text of each top-level statement of the parts, by the name that it defines.
	definitions map[string]string
	// localNames are the names that the generated function may use: a parameter must not hide them.
	localNames []string
}

// read parses the parts once, when the first application is made.
var read = sync.OnceValue(func() *template {
	t := &template{
		library: map[string]imported{
			"sys":         {module: "sys"},
			"TypeAdapter": {module: "pydantic", name: "TypeAdapter"},
		},
		definitions: map[string]string{}, localNames: []string{"answer", "app"},
	}
	for _, file := range []string{"stand_ins.py", "request.py", "answer.py", "application.py"} {
		if err := t.readParts(file); err != nil {
			panic(fmt.Sprintf("%s: %v", file, err)) // the files are embedded, and a test reads them all
		}
	}
	return t
})

// readParts reads the imports and definitions of one file.
func (t *template) readParts(file string) error {
	src, err := partFiles.ReadFile(path.Join("parts", file))
	if err != nil {
		return err
	}
	tree, err := syntax.Parse(string(src))
	if err != nil {
		return err
	}
	if tree.ErrorAt > 0 {
		return fmt.Errorf("line %d is not Python", tree.ErrorAt)
	}
	for _, n := range tree.Root.Children {
		for _, imp := range readImport(n) {
			t.library[imp.binds()] = imp
		}
		name := defined(n)
		if name == "" {
			continue
		}
		t.definitions[name] = withoutDirectives(n.Text())
		if file == "request.py" || file == "answer.py" {
			t.localNames = append(t.localNames, name)
		}
	}
	return nil
}

// defined gives the name that a top-level statement of a part defines, or "".
func defined(n *syntax.Node) string {
	switch n.Kind {
	case "decorated_definition":
		return defined(n.Child("definition"))
	case "function_definition", "class_definition":
		return n.Child("name").Text()
	case "expression_statement":
		if len(n.Children) == 1 && n.Children[0].Kind == "assignment" {
			return n.Children[0].Child("left").Text()
		}
	}
	return ""
}

// withoutDirectives takes out comments that are meant for linters.
func withoutDirectives(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, "  # noqa")
	}
	return strings.Join(lines, "\n")
}

// conditions are the names that "# if NAME:" lines of a part ask for.
type conditions map[string]bool

// selected gives the lines of a part whose conditions hold.
func selected(text string, hold conditions) string {
	var out []string
	var open []bool // of each condition around the line: whether its lines are kept
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		comment, isComment := strings.CutPrefix(strings.TrimSpace(line), "# ")
		condition, isIf := strings.CutPrefix(comment, "if ")
		switch {
		case isComment && isIf && strings.HasSuffix(condition, ":"):
			open = append(open, hold[strings.TrimSuffix(condition, ":")])
		case isComment && comment == "else:":
			open[len(open)-1] = !open[len(open)-1]
		case isComment && comment == "end":
			open = open[:len(open)-1]
		case !slices.Contains(open, false):
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// part gives a definition of the part files as it stands in this application: with the lines whose conditions hold,
// with the application's names, and with the imports that it needs seen to.
func (w *writer) part(name string, hold conditions) (string, error) {
	text := selected(read().definitions[name], hold)
	tree, err := syntax.Parse(text)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	var b strings.Builder
	end := 0
	eachName(tree.Root, func(n *syntax.Node) {
		called := w.ref(n.Text())
		b.WriteString(text[end:n.Start] + called)
		end = n.End
	})
	return b.String() + text[end:], nil
}

// eachName visits the identifiers that may be names of the top level, in the order of the text.
func eachName(n *syntax.Node, visit func(*syntax.Node)) {
	if n.Kind == "identifier" {
		visit(n)
		return
	}
	for _, c := range n.Children {
		if c.Field == "attribute" || n.Kind == "keyword_argument" && c.Field == "name" {
			continue
		}
		eachName(c, visit)
	}
}

// ref gives what a name of the parts is called in this application, and sees that it is imported if it is of another
// module. Other names stay as they are.
func (w *writer) ref(name string) string {
	if imp, ok := read().library[name]; ok {
		return w.importing(imp)
	}
	if standIn, ok := strings.CutPrefix(name, "metaml_"); ok {
		return w.ours.called[strings.TrimSuffix(standIn, "_of_run")]
	}
	if _, ok := read().definitions[name]; ok || name == "answer" {
		return w.name(name)
	}
	return name
}
