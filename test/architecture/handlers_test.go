package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestHandlersShareNothingUnguarded: net/http answers each request in a goroutine of its own, so a handler that
// changes a variable of the function around it is a data race as soon as a client sends two at once. The race
// detector sees that on the days on which they meet.
func TestHandlersShareNothingUnguarded(t *testing.T) {
	seen := 0
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(root, name), nil, 0) // with objects: who declares what
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var kind *ast.FuncType
			var body *ast.BlockStmt
			switch n := n.(type) {
			case *ast.FuncLit:
				kind, body = n.Type, n.Body
			case *ast.FuncDecl: // whose receiver is outside
				kind, body = n.Type, n.Body
			}
			if body == nil || !answers(kind) {
				return true
			}
			seen++
			for _, changed := range changes(kind, body) {
				t.Errorf("%s: a handler changes %s, which other requests change too: use sync/atomic, "+
					"test/noted.List or a lock", set.Position(changed.Pos()), changed.Name)
			}
			return true
		})
	}
	if seen < 50 {
		t.Errorf("found %d handlers: the pattern does not see them", seen)
	}
}

// answers says whether a function is of http.HandlerFunc's kind.
func answers(function *ast.FuncType) bool {
	for _, parameter := range function.Params.List {
		if kind, ok := parameter.Type.(*ast.SelectorExpr); ok && kind.Sel.Name == "ResponseWriter" {
			return true
		}
	}
	return false
}

// changes gives the variables from outside that a function without a lock of its own assigns to.
func changes(kind *ast.FuncType, body *ast.BlockStmt) (outside []*ast.Ident) {
	locked := false
	target := func(to ast.Expr) {
		for {
			switch inner := to.(type) {
			case *ast.SelectorExpr:
				to = inner.X
			case *ast.IndexExpr:
				to = inner.X
			case *ast.StarExpr:
				to = inner.X
			case *ast.Ident:
				if inner.Name == "_" {
					return
				}
				if inner.Obj == nil || !spans(kind.Params, inner.Obj.Pos()) && !spans(body, inner.Obj.Pos()) {
					outside = append(outside, inner)
				}
				return
			default:
				return
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			locked = locked || n.Sel.Name == "Lock"
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, to := range n.Lhs {
					target(to)
				}
			}
		case *ast.IncDecStmt:
			target(n.X)
		}
		return true
	})
	if locked {
		return nil
	}
	return outside
}

func spans(n ast.Node, at token.Pos) bool { return n.Pos() <= at && at < n.End() }
