package usererror_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/metaml/metaml/internal/usererror"
)

// Every hint that is written in the product is full sentences, and every text ends without a full stop.
func TestHintsAreSentencesAndTextsAreNot(t *testing.T) {
	set, files := productFiles(t)
	takes, gives := placesOfHints(files)
	hints, texts := 0, 0
	for _, file := range files {
		for _, e := range hintsIn(file, takes, gives) {
			said := wording(e)
			if !strings.Contains(said, " ") { // none, or made elsewhere
				continue
			}
			hints++
			if fault := faultOfHint(said); fault != "" {
				t.Errorf("%s: the hint %q %s", set.Position(e.Pos()), said, fault)
			}
		}
		for _, e := range textsIn(file) {
			texts++
			if said := wording(e); strings.HasSuffix(said, ".") {
				t.Errorf("%s: the text %q ends with a full stop", set.Position(e.Pos()), said)
			}
		}
	}
	if hints < 80 || texts < 150 {
		t.Errorf("found %d hints and %d texts: some are written in a way that this test does not see", hints, texts)
	}
}

func TestWhatIsWrongWithAHint(t *testing.T) {
	for hint, right := range map[string]bool{
		"Name another with --port.":            true,
		"metaml stop fit-1 ends it first.":     true,
		"--yes deletes them.":                  true,
		"`ulimit -Hn` says how many.":          true,
		"run.wait() waits for it.":             true,
		"Did you mean accuracy?":               true,
		hole + " answers there.":               true,
		"name another with --port.":            false,
		"Name another with --port":             false,
		"Its last words are in " + hole:        false,
		"It has ended. its last words follow.": false,
	} {
		t.Run(hint, func(t *testing.T) {
			if fault := faultOfHint(hint); (fault == "") != right {
				t.Errorf("the fault is %q", fault)
			}
		})
	}
}

func TestATextAndItsHintAreJoined(t *testing.T) {
	for name, c := range map[string]struct{ text, hint, lines, sentences string }{
		"both":    {"it is in use", "Name another.", "it is in use\nName another.", "it is in use. Name another."},
		"no hint": {"it is in use", "", "it is in use", "it is in use"},
		"no text": {"", "Name another.", "Name another.", "Name another."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := usererror.Lines(c.text, c.hint); got != c.lines {
				t.Errorf("lines: %q, want %q", got, c.lines)
			}
			if got := usererror.Sentences(c.text, c.hint); got != c.sentences {
				t.Errorf("sentences: %q, want %q", got, c.sentences)
			}
		})
	}
}

// typed is what a sentence may begin with in lower case: a command or an expression, as one types it.
var typed = regexp.MustCompile(`^(metaml(-nbconvert)? |[a-z_]+\.[a-z_]+\()`)

// faultOfHint says what keeps a hint from being full sentences, or "".
func faultOfHint(hint string) string {
	for sentence := range strings.SplitSeq(hint, ". ") {
		if first, _ := utf8.DecodeRuneInString(sentence); unicode.IsLower(first) && !typed.MatchString(sentence) {
			return "begins a sentence in lower case"
		}
	}
	if !strings.HasSuffix(hint, ".") && !strings.HasSuffix(hint, "?") {
		return "does not end with a full stop or a question mark"
	}
	return ""
}

// productFiles are the Go files of the product.
func productFiles(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, folder := range []string{"agent", "cmd", "converter", "deployer", "internal", "kernel"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(set, path, nil, 0)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return set, files
}

// isHint reports whether a name stands for a hint.
func isHint(name string) bool {
	return name == "hint" || name == "Hint" || name == "Remedy" || strings.HasSuffix(name, "Hint")
}

// placesOfHints are, by the name of a function, the numbers of its parameter and of its result that are a hint. Several
// functions may have one name.
func placesOfHints(files []*ast.File) (takes, gives map[string][]int) {
	takes, gives = map[string][]int{"With": {0}}, map[string][]int{} // With is of an Error
	of := func(fields *ast.FieldList) int {
		var names []string
		if fields != nil {
			for _, f := range fields.List {
				for _, n := range f.Names {
					names = append(names, n.Name)
				}
			}
		}
		return slices.IndexFunc(names, isHint)
	}
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if i := of(f.Type.Params); i >= 0 {
				takes[f.Name.Name] = append(takes[f.Name.Name], i)
			}
			if i := of(f.Type.Results); i >= 0 {
				gives[f.Name.Name] = append(gives[f.Name.Name], i)
			}
		}
	}
	return takes, gives
}

// hintsIn are the expressions of a file that stand where a hint is meant.
func hintsIn(file *ast.File, takes, gives map[string][]int) (found []ast.Expr) {
	add := func(values []ast.Expr, places []int) {
		for _, i := range places {
			if i < len(values) {
				found = append(found, values[i])
			}
		}
	}
	assigned := func(left, right []ast.Expr) {
		for i, l := range left {
			if isHint(nameOf(l)) && len(left) == len(right) {
				found = append(found, right[i])
			}
		}
	}
	within := "" // which function
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			within = n.Name.Name
		case *ast.ReturnStmt:
			add(n.Results, gives[within])
		case *ast.KeyValueExpr:
			assigned([]ast.Expr{n.Key}, []ast.Expr{n.Value})
		case *ast.AssignStmt:
			assigned(n.Lhs, n.Rhs)
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if isHint(name.Name) && i < len(n.Values) {
					found = append(found, n.Values[i])
				}
			}
		case *ast.CallExpr:
			add(n.Args, takes[nameOf(n.Fun)])
		}
		return true
	})
	return found
}

// textsIn are the literal texts of errors and notes in a file.
func textsIn(file *ast.File) (found []ast.Expr) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if name := nameOf(n.Type); name != "Error" && name != "Note" && name != "Event" {
				break
			}
			for _, e := range n.Elts {
				if of, ok := e.(*ast.KeyValueExpr); ok && nameOf(of.Key) == "Text" {
					found = append(found, of.Value)
				}
			}
		case *ast.CallExpr:
			of, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || nameOf(of.X) != "usererror" {
				break
			}
			if i, ok := map[string]int{"New": 1, "At": 3, "Wrap": 2}[of.Sel.Name]; ok {
				found = append(found, n.Args[i])
			}
		}
		return true
	})
	return found
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// hole stands in a wording for what only the running program knows.
const hole = "…"

// verb is a verb of a format, or a percent sign in it.
var verb = regexp.MustCompile(`%[-+# 0]*[0-9.]*[a-zA-Z%]`)

// wording is what an expression says: its literals, with holes between them.
func wording(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			return hole
		}
		return verb.ReplaceAllStringFunc(text, func(v string) string {
			if strings.HasSuffix(v, "%") {
				return "%"
			}
			return hole
		})
	case *ast.BinaryExpr:
		return wording(e.X) + wording(e.Y)
	case *ast.CallExpr:
		if nameOf(e.Fun) == "Sprintf" {
			return wording(e.Args[0])
		}
	}
	return hole
}
