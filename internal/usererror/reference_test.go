package usererror_test

import (
	"cmp"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/reference/errors.md anew")

// elsewhere are the codes that the Python module and the kernel give by themselves, without `metaml`.
var elsewhere = map[string]string{
	"command":         "a `%metaml` command failed; its sentence is the command's",
	"not-yet":         "this version does not do it",
	"setting":         "a decorator's value cannot be the value of that setting",
	"signature":       "the rows of hyperparameters do not fit the parameters of the function",
	"too-few-rows":    "the hyperparameters have fewer rows than trials were requested",
	"unknown-need":    "`metaml` asks what this module does not know: their versions differ",
	"unknown-setting": "a decorator names a setting that does not exist",
	"untransferable":  "a hyperparameter has a type that cannot be handed to a trial",
}

const head = `# Error codes

<!-- Made from internal/usererror/codes.go, deployer/run/notes.go and converter/slicer/notes.go by:
     go test ./internal/usererror -update -->

A refusal or a failure that you can do something about has a text, which is one clause: what is wrong, on which name;
and often a hint, which says in full sentences what to do. Programs read its code, which is stable:
` + "`metaml.Refused.code`" + ` in Python, ` + "`code`" + ` in JSON. ` +
	`Nothing was started when a cell or a command was refused.

| code | meaning |
| --- | --- |
`

// notesOfProduct are the files with the codes of notes: what a person may want to know though nothing was refused.
var notesOfProduct = []struct{ file, heading string }{
	{"deployer/run/notes.go", "Of notes over a run's table"},
	{"converter/slicer/notes.go", "Of notes on the program that is cut out of a notebook"},
}

func TestCodesAreInTheDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	codes := codesOfPackage(t)
	for _, name := range slices.Sorted(maps.Keys(codes)) {
		b.WriteString("| `" + name + "` | " + strings.ReplaceAll(codes[name], "|", `\|`) + " |\n")
	}
	b.WriteString("\n## Of the Python module and the kernel\n\n| code | meaning |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(elsewhere)) {
		b.WriteString("| `" + name + "` | " + elsewhere[name] + " |\n")
	}
	for _, notes := range notesOfProduct {
		b.WriteString("\n## " + notes.heading + "\n\n| code | meaning |\n| --- | --- |\n")
		codes := codesOf(t, filepath.FromSlash("../../"+notes.file))
		for _, name := range slices.Sorted(maps.Keys(codes)) {
			b.WriteString("| `" + name + "` | " + codes[name] + " |\n")
		}
	}
	path := filepath.Join("..", "..", "docs", "reference", "errors.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(b.String(), string(docs)); d != "" {
		t.Errorf("docs/reference/errors.md differs (go test ./internal/usererror -update writes it)\n%s", d)
	}
}

// codesOfPackage gives each code of codes.go with its comment, which stands behind it or above.
func codesOfPackage(t *testing.T) map[string]string {
	t.Helper()
	codes := codesOf(t, "codes.go")
	if len(codes) < 40 {
		t.Fatalf("found %d codes", len(codes))
	}
	return codes
}

// codesOf gives the text constants of a file with their comments.
func codesOf(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		comment := cmp.Or(spec.Comment.Text(), spec.Doc.Text())
		if codes[name] = strings.Join(strings.Fields(comment), " "); codes[name] == "" {
			t.Errorf("the code %q has no comment", name)
		}
		return true
	})
	return codes
}

// pythonCode is a code in Python source: of an exception, or of an answer in JSON.
var pythonCode = regexp.MustCompile(`(?:\bcode=|"error": \{\s*"code": )"([a-z-]+)"`)

// Every code that the Python module gives is on the page, and the page lists none that nobody gives.
func TestCodesOfThePythonModuleAreListed(t *testing.T) {
	codes := codesOfPackage(t)
	given := map[string]bool{}
	module := filepath.Join("..", "..", "jupyter-ext", "python", "metaml")
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".py" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range pythonCode.FindAllStringSubmatch(string(text), -1) {
			given[m[1]] = true
			if codes[m[1]] == "" && elsewhere[m[1]] == "" {
				t.Errorf("%s: the code %q is neither in codes.go nor listed here", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(given) < 10 {
		t.Errorf("found %d codes in the module: the pattern does not see them", len(given))
	}
	for name := range elsewhere {
		if codes[name] != "" {
			t.Errorf("%q is in codes.go, too", name)
		}
	}
}

// A code is a constant: elsewhere in the product no text stands where a code is meant.
func TestNoCodeIsATextLiteral(t *testing.T) {
	codes := codesOfPackage(t)
	for _, notes := range notesOfProduct {
		maps.Copy(codes, codesOf(t, filepath.FromSlash("../../"+notes.file)))
	}
	set, files := productFiles(t)
	for _, file := range files {
		surely, maybe := codeLiterals(file)
		for _, literal := range surely {
			t.Errorf("%s: the code %s is not a constant", set.Position(literal.Pos()), literal.Value)
		}
		for _, literal := range maybe {
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			if codes[name] != "" {
				t.Errorf("%s: the code %q is not one of the constants", set.Position(literal.Pos()), name)
			}
		}
	}
}

// codeLiterals finds the texts that stand where a code is meant: surely in an error, a note or an event, and as the
// first argument of what makes one; maybe in Code: "…", x.Code = "…" and x.Code == "…" of anything else.
func codeLiterals(file *ast.File) (surely, maybe []*ast.BasicLit) {
	isCode := func(e ast.Expr) bool { return nameOf(e) == "Code" }
	add := func(found *[]*ast.BasicLit, values ...ast.Expr) {
		for _, v := range values {
			if l, ok := v.(*ast.BasicLit); ok && l.Kind == token.STRING {
				*found = append(*found, l)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			found := &maybe
			if name := nameOf(n.Type); name == "Error" || name == "Note" || name == "Event" {
				found = &surely
			}
			for _, e := range n.Elts {
				if field, ok := e.(*ast.KeyValueExpr); ok && isCode(field.Key) {
					add(found, field.Value)
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if isCode(left) && len(n.Rhs) == len(n.Lhs) {
					add(&maybe, n.Rhs[i])
				}
			}
		case *ast.BinaryExpr:
			if isCode(n.X) || isCode(n.Y) {
				add(&maybe, n.X, n.Y)
			}
		case *ast.CallExpr:
			of, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			ours := nameOf(of.X) == "usererror"
			switch name := of.Sel.Name; {
			case ours && (name == "New" || name == "At" || name == "Code"):
				add(&surely, n.Args[0])
			case ours && name == "Wrap":
				add(&surely, n.Args[1])
			case len(n.Args) > 0 && (name == "note" || name == "tell"), name == "refuse" && len(n.Args) == 3:
				add(&surely, n.Args[0])
			}
		}
		return true
	})
	return surely, maybe
}
