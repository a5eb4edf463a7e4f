package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inOrder are the loops over a table that are no subtests, by file and function, with the reason.
var inOrder = map[string]string{
	"deployer/folder/cap_test.go TestTheMiddleOfALongLogIsGivenBack":             "one log grows from row to row",
	"deployer/kube/mirror/saved_test.go TestTheRecordIsSavedFromTimeToTime":      "time goes on from row to row",
	"deployer/kube/mirror/saved_test.go TestWhoWasOvertakenTakesWhatTheOtherSaw": "one writes after the other",
	"deployer/run/fold_test.go TestAResumedRunIsRunningUntilItEndsAgain":         "the rows are the events of one run",
	"test/cluster/server_test.go TestAServerSurvivesWhatIsKilled":                "one part is killed after the other",
	"test/cluster/server_test.go TestAnUpdateFailsNoRequest":                     "one revision follows the other",
	"kernel/cell/beside_test.go TestAnInterruptOfARunThatNobodyWatchesLetsItGo":  "synctest has no subtests",
}

// TestTablesAreSubtests: a case that fails has a name, can be run alone, and does not end the others.
func TestTablesAreSubtests(t *testing.T) {
	seen, left := 0, map[string]bool{}
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, loop := range tableLoops(file) {
			seen++
			// Fatal alone is of what must be there for a test, not of what it checks.
			if callsIn(loop.Body, true, "Run") || !callsIn(loop.Body, false, "Error", "Errorf", "Fatalf") {
				continue
			}
			key := name + " " + loop.test
			if left[key] = true; inOrder[key] == "" {
				t.Errorf("%s checks the rows of a table without t.Run: give each a name and a subtest, or, where one "+
					"depends on another, add %q to inOrder with the reason", set.Position(loop.Pos()), key)
			}
		}
	}
	if seen < 100 {
		t.Errorf("found %d loops over tables: the pattern does not see them", seen)
	}
	for key := range inOrder {
		if !left[key] {
			t.Errorf("inOrder names %s, which has no such loop", key)
		}
	}
}

// tableLoop is a loop of a test over the rows of a literal, which stands in the loop itself or is a variable's value.
type tableLoop struct {
	*ast.RangeStmt
	test string
}

func tableLoops(file *ast.File) []tableLoop {
	var loops []tableLoop
	shared := literals(file)
	for _, d := range file.Decls {
		test, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(test.Name.Name, "Test") || test.Body == nil {
			continue
		}
		local := literals(test.Body)
		ast.Inspect(test.Body, func(n ast.Node) bool {
			loop, ok := n.(*ast.RangeStmt)
			if !ok || loop.Value == nil { // names alone are no cases
				return true
			}
			literal, _ := loop.X.(*ast.CompositeLit)
			if variable, ok := loop.X.(*ast.Ident); ok {
				if literal = local[variable.Name]; literal == nil {
					literal = shared[variable.Name]
				}
			}
			if literal != nil && isTable(literal) {
				loops = append(loops, tableLoop{loop, test.Name.Name})
			}
			return true
		})
	}
	return loops
}

// literals gives the composite literals that a node's variables are made with; of a file, those of the package.
func literals(in ast.Node) map[string]*ast.CompositeLit {
	found := map[string]*ast.CompositeLit{}
	add := func(name, value ast.Expr) {
		variable, isName := name.(*ast.Ident)
		if literal, ok := value.(*ast.CompositeLit); ok && isName {
			found[variable.Name] = literal
		}
	}
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return false
		case *ast.AssignStmt:
			for i := range min(len(n.Lhs), len(n.Rhs)) {
				add(n.Lhs[i], n.Rhs[i])
			}
		case *ast.ValueSpec:
			for i := range min(len(n.Names), len(n.Values)) {
				add(n.Names[i], n.Values[i])
			}
		}
		return true
	})
	return found
}

// isTable says whether a literal has rows: the entries of a map, or structs in a slice.
func isTable(literal *ast.CompositeLit) bool {
	if len(literal.Elts) == 0 {
		return false // filled later
	}
	switch kind := literal.Type.(type) {
	case *ast.MapType:
		return true
	case *ast.ArrayType:
		switch kind.Elt.(type) {
		case *ast.StructType:
			return true
		case *ast.Ident, *ast.SelectorExpr: // of a struct's name when the elements are literals
			_, ok := literal.Elts[0].(*ast.CompositeLit)
			return ok
		}
	}
	return false
}

// callsIn says whether a loop calls one of these methods of the test; inside also looks into the functions in it.
func callsIn(body *ast.BlockStmt, inside bool, methods ...string) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return inside
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			receiver, ok := method.X.(*ast.Ident)
			found = found || ok && receiver.Name == "t" && slices.Contains(methods, method.Sel.Name)
		}
		return true
	})
	return found
}
