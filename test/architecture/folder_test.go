package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// joined gives the literal names that a file joins to a path, each with its line.
func joined(t *testing.T, path string) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Join" && f.Sel.Name != "join" {
			return true
		}
		for _, arg := range call.Args {
			if l, ok := arg.(*ast.BasicLit); ok && l.Kind == token.STRING {
				name, _ := strconv.Unquote(l.Value)
				names[name] = set.Position(l.Pos()).Line
			}
		}
		return true
	})
	return names
}

// TestOnlyOnePackageKnowsWhatARunFolderHolds: everybody else gets the path of a file of a run from deployer/folder, or
// from deployer/record, which knows where the folder is.
func TestOnlyOnePackageKnowsWhatARunFolderHolds(t *testing.T) {
	known := map[string]bool{}
	home := filepath.Join(root, "deployer", "folder")
	files, err := filepath.Glob(filepath.Join(home, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for name := range joined(t, path) {
			known[name] = true
		}
	}
	// What others have as well: where data of programs is, and what converter/program calls the files that it writes.
	for _, name := range []string{".local", "share", "metaml", "program", "code", "map.json"} {
		delete(known, name)
	}
	if !known["events.jsonl"] || len(known) < 15 {
		t.Fatalf("the names of a run folder were not found: %v", known)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == home || path == filepath.Join(root, "kernel") || // which knows no runs
			name != "." && strings.HasPrefix(d.Name(), ".") || name == "build" || name == "test"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		for word, line := range joined(t, path) {
			if known[word] {
				t.Errorf("%s:%d joins %q to a path; deployer/folder knows where that is", name, line, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
