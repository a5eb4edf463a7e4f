package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFieldsAndLines(t *testing.T) {
	tree, err := Parse("# c\nx = f(1)  # d\n\ndef g(a):\n    return a\n")
	if err != nil || tree.ErrorAt != 0 || len(tree.Root.Children) != 2 {
		t.Fatalf("got %+v, %v", tree.Root, err)
	}
	assign := tree.Root.Children[0].Of("assignment")
	if assign.Child("left").Text() != "x" || assign.Child("right").Text() != "f(1)" || assign.Row != 1 {
		t.Errorf("got %+v", assign)
	}
	def := tree.Root.Children[1]
	if def.Kind != "function_definition" || def.Child("name").Text() != "g" || def.Row != 3 || def.EndRow != 4 {
		t.Errorf("got %+v", def)
	}
}

func TestErrorsHaveTheirLine(t *testing.T) {
	for src, line := range map[string]int{
		"x = 1\ny = = 2\n": 2, "x = 1": 0, "": 0, "def f(:\n  pass": 1,
		"x = (1,\n": 1,
	} {
		t.Run(fmt.Sprintf("%q", src), func(t *testing.T) {
			tree, err := Parse(src)
			if err != nil || tree.ErrorAt != line {
				t.Errorf("line %d, %v; want %d", tree.ErrorAt, err, line)
			}
		})
	}
}

func TestCallsOfTypeAreNoTypeAliases(t *testing.T) {
	for src, want := range map[string]string{
		"type(x).a = 1": "type(x).a", "type(x)['a'] = 1": "type(x)['a']", "type(f(y)).a.b = 1": "type(f(y)).a.b",
	} {
		t.Run(src, func(t *testing.T) {
			tree, err := Parse(src)
			if err != nil {
				t.Fatal(err)
			}
			assign := tree.Root.Children[0].Of("assignment")
			if assign == nil || assign.Child("left").Text() != want || assign.Child("right").Text() != "1" {
				t.Errorf("got %+v", tree.Root.Children[0])
			}
		})
	}
	for _, src := range []string{"type X = int", "type Y[T] = list[T]"} {
		t.Run(src, func(t *testing.T) {
			tree, err := Parse(src)
			if err != nil || tree.Root.Children[0].Kind != "type_alias_statement" {
				t.Errorf("got %+v, %v", tree.Root, err)
			}
		})
	}
}

func TestATupleEndsWithItsLine(t *testing.T) {
	for src, want := range map[string][]string{
		"a,\nb = 1":               {"a,", "b = 1"},
		"a, # why\n\nb['k'] = 1":  {"a,", "b['k'] = 1"},
		"a, b,\nc,\nd, e = f":     {"a, b,", "c,", "d, e = f"},
		"a, \\\nb = 1":            {"a, \\\nb = 1"},
		"(a,\n b) = 1":            {"(a,\n b) = 1"},
		"[a][\n0], b = 1, 2\nc":   {"[a][\n0], b = 1, 2", "c"},
		"a,\nb, = [1]":            {"a,", "b, = [1]"},
		"a,\nb: int = 3":          {"a,", "b: int = 3"},
		"if a:\n  b,\n  c = 1\nd": {"if a:\n  b,\n  c = 1", "d"},
	} {
		t.Run(src, func(t *testing.T) {
			tree, err := Parse(src)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range tree.Root.Children {
				if n.Kind != "comment" {
					got = append(got, n.Text())
				}
				if first := n.Children[0]; first.Kind == "assignment" && first.Child("left") == nil {
					t.Errorf("%q has no target", n.Text())
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	var blocks strings.Builder
	for i := range 3000 {
		blocks.WriteString(strings.Repeat(" ", i) + "if x:\n")
	}
	blocks.WriteString(strings.Repeat(" ", 3000) + "pass\n")
	for name, src := range map[string]string{
		"brackets":   strings.Repeat("(", 100_000) + "x" + strings.Repeat(")", 100_000),
		"operators":  strings.Repeat("-", 100_000) + "x",
		"attributes": "x" + strings.Repeat(".a", 100_000), "blocks": blocks.String(),
		"open": strings.Repeat("[", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			if tree, err := Parse(src); err != nil && !errors.Is(err, ErrTooDeep) || err == nil && tree.ErrorAt == 0 {
				t.Error(err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("x = f'{a!r:>{b}}'\nmatch x:\n  case [a, *_]: pass\n")
	f.Add("\x00\xff\ndef f(:\n\t(")
	f.Fuzz(func(t *testing.T, src string) {
		tree, err := Parse(src)
		if err != nil {
			return
		}
		tree.Root.Walk(func(n *Node) bool {
			if n.Start < 0 || n.End > len(src) || n.Start > n.End || n.EndRow < n.Row {
				t.Errorf("a node from %d to %d of %d bytes", n.Start, n.End, len(src))
			}
			_ = n.Text()
			return true
		})
	})
}
