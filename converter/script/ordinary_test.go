package script

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/outline"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/test/venv"
)

// An ordinary cell becomes what it becomes with its tree, in the corpus, the notebooks of this project and those that
// Python packages bring along.
func TestOrdinaryCellsNeedNoTree(t *testing.T) {
	cells, without := 0, 0
	both := func(t *testing.T, data []byte, o Options) {
		t.Helper()
		nb, err := nbformat.ReadBytes(data)
		if err != nil {
			return // of another test
		}
		o.KeepGoing = true
		quick, err := Of(t.Context(), nb, o)
		if err != nil {
			t.Fatal(err)
		}
		o.parseAll = true
		parsed, err := Of(t.Context(), nb, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(parsed, quick); d != "" {
			t.Error(d)
		}
		all, err := analyse(t.Context(), nb.Cells, false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if strings.TrimSpace(nb.Cells[i].Source) == "" || nb.Cells[i].Type != "code" {
				continue
			}
			if cells++; all[i].outline != nil {
				without++
			}
		}
	}
	for name, a := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			both(t, ofText(t, a.files["notebook"], a.has("crlf")), a.options(t, name))
		})
	}
	for _, path := range foundNotebooks(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			both(t, data, Options{Name: "x", Parameters: true})
		})
	}
	if t.Logf("%d of %d cells need no tree", without, cells); without < cells/3 {
		t.Error("these are too few")
	}
}

// foundNotebooks are those of this clone and of the packages that the tests have.
func foundNotebooks(t *testing.T) []string {
	t.Helper()
	where, err := exec.CommandContext(t.Context(), venv.Python(t), "-c",
		"import sysconfig; print(sysconfig.get_path('purelib'))").Output()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	roots := []string{"../..", strings.TrimSpace(string(where))}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "build" || d.Name() == ".git" || d.Name() == "node_modules"):
				return filepath.SkipDir
			case strings.HasSuffix(path, ".ipynb"):
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// An outline of pieces of the standard library says what a tree does.
func TestOutlinesSayWhatTreesSay(t *testing.T) {
	var texts []string
	venv.Ask(t, venv.Python(t), []string{"-c", `
import ast, glob, json, os, sys
texts = []
for path in sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py")):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    lines = text.splitlines()
    for s in ast.parse(text).body:
        first = min([s.lineno] + [d.lineno for d in getattr(s, "decorator_list", [])])
        texts.append("\n".join(lines[first - 1 : s.end_lineno]))
        if isinstance(s, ast.FunctionDef):
            texts += [ast.unparse(each) for each in s.body if not isinstance(each, ast.Return)]
json.dump(texts, sys.stdout)
`}, nil, &texts)
	accepted, faults := 0, 0
	for _, text := range texts {
		o, ok := outline.Of(text)
		if !ok {
			continue
		}
		accepted++
		if ipython.Plain(text) {
			if r := ipython.Transform(text, ipython.Options{Whole: true}); r.Code != text || len(r.Magics) > 0 {
				t.Errorf("it is translated:\n%s", text)
			}
		}
		tree, err := syntax.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if differ := differs(o, tree); differ != "" {
			if faults++; faults < 10 {
				t.Errorf("%s\n%s", differ, text)
			}
		}
	}
	if accepted < len(texts)*8/10 {
		t.Errorf("only %d of %d texts are accepted", accepted, len(texts))
	}
	t.Logf("%d of %d texts compared", accepted, len(texts))
}

// differs says in what an outline and a tree of a text differ, "" if they say the same.
func differs(o outline.Outline, tree *syntax.Tree) string {
	s := &scripting{}
	a := analysed{tree: tree, Result: ipython.Result{Code: tree.Src}}
	if said, _, _ := s.notPython(&nbformat.Cell{Source: tree.Src}, a); said != "" {
		return "the tree has an error: " + said
	}
	all := statements(tree)
	if len(all) != len(o.Statements) {
		return "there are not as many statements"
	}
	var words, got []string
	visit(tree.Root, nil, func(n, _ *syntax.Node) bool {
		if n.Kind == "identifier" {
			words = append(words, n.Text())
		}
		return true
	})
	for _, n := range o.Names {
		got = append(got, n.Text)
	}
	if !slices.Equal(words, got) {
		return "other names: " + strings.Join(words, " ") + "\nbut: " + strings.Join(got, " ")
	}
	for i, n := range all {
		st := o.Statements[i]
		var names []string
		for _, name := range st.Names {
			if name.Use == outline.Bind {
				names = append(names, name.Text)
			}
		}
		want := bound(n)
		slices.Sort(names)
		slices.Sort(want)
		called := ""
		if len(n.Children) == 1 && n.Children[0].Kind == "call" && !strings.HasSuffix(n.Text(), ",") {
			called = n.Children[0].Children[0].Text()
		}
		switch {
		// The end of a block may be that of a comment.
		case st.Start != n.Start, st.Row != n.Row,
			st.Kind != outline.Definition && st.Kind != outline.Other && st.End != n.End:
			return "a statement is elsewhere: " + n.Text()
		case !slices.Equal(slices.Compact(names), want):
			return "it binds other names: " + strings.Join(want, " ") + "\nbut: " + strings.Join(names, " ")
		case (st.Kind == outline.Import) != (n.Kind == "import_statement"),
			(st.Kind == outline.FromImport) != (n.Kind == "import_from_statement"),
			(st.Kind == outline.Future) != (n.Kind == "future_import_statement"),
			(st.Kind == outline.Definition) != slices.Contains([]string{
				"function_definition", "class_definition", "decorated_definition",
			}, n.Kind):
			return "it is no " + n.Kind
		case n.Kind == "expression_statement" && called != st.Callee:
			return "it calls " + called + ", not " + st.Callee
		case (st.Kind == outline.Expression) != (n.Kind == "expression_statement" &&
			!strings.HasSuffix(n.Children[0].Kind, "assignment")):
			return "it is another kind of expression"
		case st.Quiet != quiet(tree.Src, n.End) && i == len(all)-1:
			return "a semicolon stands behind it, or not"
		}
	}
	return ""
}
