package outline

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/test/venv"
)

// compiles asks Python about sources.
func compiles(t *testing.T, sources []string) []bool {
	t.Helper()
	var answers []bool
	venv.Ask(t, venv.Python(t), []string{"testdata/compiles.py"}, sources, &answers)
	if len(answers) != len(sources) {
		t.Fatalf("it answers %d of %d", len(answers), len(sources))
	}
	return answers
}

// library are pieces of Python's own sources: runs of top-level statements, as cells have them.
func library(t *testing.T, pieces int) []string {
	t.Helper()
	python := exec.CommandContext(t.Context(), venv.Python(t), "-c", "import os; print(os.path.dirname(os.__file__))")
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.py"))
	if err != nil || len(files) < 50 {
		t.Fatal(err, len(files))
	}
	r := rand.New(rand.NewPCG(1, 1))
	var all []string
	for len(all) < pieces {
		data, err := os.ReadFile(files[r.IntN(len(files))])
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(data), "\n")
		begin := r.IntN(len(lines))
		for begin > 0 && (lines[begin] == "\n" || strings.ContainsRune(" \t)#\"", rune((lines[begin] + " ")[0]))) {
			begin--
		}
		stop := min(len(lines), begin+1+r.IntN(30))
		for stop < len(lines) && (lines[stop] == "\n" || strings.ContainsRune(" \t)", rune((lines[stop] + " ")[0]))) {
			stop++
		}
		all = append(all, strings.Join(lines[begin:stop], ""))
	}
	return all
}

// What is accepted, Python compiles, also where a piece of real code was damaged.
func TestWhatIsAcceptedCompiles(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	whole := library(t, 2000)
	sources := whole
	for _, s := range whole {
		for range 3 {
			sources = append(sources, damaged(r, s, whole[r.IntN(len(whole))]))
		}
	}
	sources = append(sources, doubtful(t)...)
	answers := compiles(t, sources)
	accepted, fine := 0, 0
	for i, s := range sources {
		_, ok := Of(s)
		if i < len(whole) && answers[i] {
			fine++
			if ok {
				accepted++
			}
		}
		if ok && !answers[i] {
			t.Errorf("accepted, and Python refuses\n%s", s)
		}
	}
	if accepted < fine*85/100 {
		t.Errorf("of %d pieces of real code that compile, %d are accepted", fine, accepted)
	}
	t.Logf("accepted %d of %d", accepted, fine)
}

// inserted are words and signs that may be wrong anywhere.
var inserted = []string{
	"*", "**", "=", ":=", ",", ":", "(", ")", "lambda", " not ", " in ", " is ", " if ", " else ", " for ", "yield ",
	"return ", "del ", "f'{x}'", "b'é'", "'a' b'b'", "0777", "1_0", "1e5", ".5", "...", "@", "->", "/", " as ", "None",
	"True", "*a, ", "x=1, ", "global x\n", "break\n", "continue\n", "    ", "\n", "#", "\\\n", "'''", "{", "}",
	"f'{x!r:>{w}}'", "f'{}'", "f'{a b}'", "'\\x1'", "'\\N{a}'", "from x import *\n", "import a.b as c\n", "~", "!",
	"await x\n", "async ", "nonlocal y\n", "print x\n",
}

// damaged takes out, doubles, swaps or puts in a word or sign.
func damaged(r *rand.Rand, s, other string) string {
	words := cut(s)
	if len(words) < 3 {
		return s
	}
	i, j := r.IntN(len(words)), r.IntN(len(words))
	switch r.IntN(6) {
	case 0:
		words[i] = ""
	case 1:
		words[i] += words[i]
	case 2:
		words[i], words[j] = words[j], words[i]
	case 3:
		from := cut(other)
		words[i] = from[r.IntN(len(from))]
	case 4:
		words[i] += inserted[r.IntN(len(inserted))]
	case 5:
		return strings.Join(words[:i], "")
	}
	return strings.Join(words, "")
}

// cut divides a text into words, blanks and signs.
func cut(s string) []string {
	var all []string
	for i := 0; i < len(s); {
		j := i + 1
		for j < len(s) && (isStart(s[i]) || isDigit(s[i])) && (isStart(s[j]) || isDigit(s[j])) {
			j++
		}
		all = append(all, s[i:j])
		i = j
	}
	return all
}

// doubtful are texts about which a recogniser may well be wrong.
func doubtful(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile("testdata/doubtful.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		text, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		all = append(all, text)
	}
	if len(all) < 300 {
		tb.Fatalf("there are only %d", len(all))
	}
	return all
}

// The statements are those that tree-sitter sees.
func TestStatementsAreThoseOfTheParser(t *testing.T) {
	kinds := map[string]Kind{
		"import_statement": Import, "import_from_statement": From, "function_definition": Definition,
		"class_definition": Definition, "decorated_definition": Definition,
	}
	compared := 0
	for _, src := range library(t, 2000) {
		o, ok := Of(src)
		if !ok {
			continue
		}
		tree, err := syntax.Parse(src)
		if err != nil || tree.ErrorAt > 0 {
			continue // it knows less in some places
		}
		compared++
		var want []*syntax.Node
		for _, n := range tree.Root.Children {
			if n.Kind != "comment" {
				want = append(want, n)
			}
		}
		if len(want) != len(o.Statements) {
			t.Fatalf("%d statements instead of %d in\n%s", len(o.Statements), len(want), src)
		}
		for i, n := range want {
			s := &o.Statements[i]
			kind := kinds[n.Kind]
			if n.Kind == "expression_statement" {
				switch n.Children[0].Kind {
				case "assignment":
					kind = Assignment
				case "augmented_assignment":
				default:
					kind = Expression
				}
			}
			// The parser takes a comment at the end of a block as a part of it.
			ends := s.End == n.End && s.EndRow == n.EndRow ||
				s.End < n.End && strings.HasPrefix(strings.TrimSpace(src[s.End:n.End]), "#")
			if s.Kind != kind || s.Start != n.Start || !ends || s.Row != n.Row {
				t.Fatalf("%+v, and the parser has %s %d–%d, lines %d–%d in\n%s", *s, n.Kind, n.Start, n.End, n.Row,
					n.EndRow, src)
			}
			if kind == Expression {
				tuple := len(n.Children) > 1 || strings.HasSuffix(n.Text(), ",")
				callee := ""
				if call := n.Children[0]; call.Kind == "call" && !tuple {
					callee = call.Children[0].Text()
				}
				if s.Tuple != tuple || s.Callee != callee && strings.Count(callee, "\n") == 0 {
					t.Fatalf("%+v: tuple %v, callee %q in\n%s", *s, tuple, callee, src)
				}
			}
		}
	}
	if compared < 1500 {
		t.Errorf("only %d were compared", compared)
	}
}

func TestNamesOfStatements(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"reads and bindings", "a = b + c(d)", "a b c() d"},
		{"attributes", "a.b.c(d).e", "a .b .c() d .e"},
		{"definitions", "def f(a, b=c): return f(a)", "f a b c f() a"},
		{"classes", "class A(B): pass", "A B"},
		{"the first word", "f(1)", "f()"},
		{"no keywords and texts", "x = [None for y in 'z' if not w]", "x y w"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, ok := Of(c.src)
			if !ok {
				t.Fatal("it is declined")
			}
			var got []string
			o.Names(&o.Statements[0], func(w Word) bool {
				text := w.Name
				if w.Attribute {
					text = "." + text
				}
				if w.Called {
					text += "()"
				}
				got = append(got, text)
				return true
			})
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestImports(t *testing.T) {
	for src, want := range map[string]bool{
		"import a": true, "def f():\n  from a import b": true, "a = 'import b'": false, "imports = a.importer": false,
	} {
		t.Run(src, func(t *testing.T) {
			if o, ok := Of(src); !ok || o.Imports() != want {
				t.Errorf("it is %v, %v", !want, ok)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	for _, s := range doubtful(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		o, ok := Of(src)
		if !ok {
			return
		}
		last := 0
		for i := range o.Statements {
			s := &o.Statements[i]
			if s.Start < last || s.End <= s.Start || s.EndRow < s.Row {
				t.Fatalf("%+v in %q", *s, src)
			}
			last = s.End
			o.Names(s, func(Word) bool { return true })
		}
	})
}

func BenchmarkOf(b *testing.B) {
	src := strings.Repeat("value_1 = compute(data[0], alpha=0.5, name='item 3')  # step 3\n"+
		"for i in range(10):\n    print(f'{i}: {value_1:.3f}', end='')\n", 4)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, ok := Of(src); !ok {
			b.Fatal("it is declined")
		}
	}
}
