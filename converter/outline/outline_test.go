package outline

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// common are texts of a file, one in each paragraph.
func common(tb testing.TB, file string) []string {
	tb.Helper()
	return strings.Split(strings.TrimRight(string(read(tb, file)), "\n"), "\n\n")
}

func TestAccepted(t *testing.T) {
	texts := common(t, "accepted.txt")
	texts = append(texts, "x = 1 \\\n  ", "", "# c", "\n\n", "if x:\n  y\n    # c\n  ", blocks("for x in y:", 17),
		blocks("if x:", maxIndents-1), blocks("def f():", maxIndents-1), blocks("try:", 5)+closing("finally:", 5),
		"x = "+strings.Repeat("[", maxDepth-2)+strings.Repeat("]", maxDepth-2),
		"x = "+strings.Repeat("-", maxDepth-2)+"1",
		"x = "+strings.Repeat("(1 + ", maxDepth/2-1)+"1"+strings.Repeat(")"+strings.Repeat(" + 1", 11), maxDepth/2-1),
		"x = "+strings.Repeat("(", 9)+"1"+strings.Repeat(strings.Repeat(" + 1", maxChain-1)+")", 9),
		"x"+strings.Repeat(".y(x)[0]", maxChain/3),
		"x = "+strings.Repeat("1 if x else ", maxDepth-2)+"1",
		"if x: y\n"+strings.Repeat("elif x: y\n", maxChain),
		strings.TrimSuffix(strings.Repeat("x, ", maxTargets-1), ", ")+", *y = z",
	)
	for i, said := range refusals(t, texts) {
		if said != "" {
			t.Errorf("Python itself refuses it, %s:\n%s", said, texts[i])
		}
		if _, ok := Of(texts[i]); !ok {
			t.Errorf("declined:\n%s", texts[i])
		}
	}
}

// blocks are so many blocks in each other, with a statement in the innermost one.
func blocks(head string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + head + "\n")
	}
	return b.String() + strings.Repeat(" ", n) + "pass\n"
}

// closing are the parts that end blocks of try.
func closing(head string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", n-1-i) + head + " pass\n")
	}
	return b.String()
}

func TestRefused(t *testing.T) {
	texts := common(t, "refused.txt")
	texts = append(texts,
		"x = 1\x00", "\ufeffx = 1", "if x:\n\ty\n        z", "x = 1 \\", "x = \\\n# c\n1",
	)
	texts = append(texts, blocks("for x in y:", 25))
	for i, said := range refusals(t, texts) {
		if said == "" {
			t.Errorf("Python compiles it:\n%.300s", texts[i])
		}
		if _, ok := Of(texts[i]); ok {
			t.Errorf("accepted, but Python says %s:\n%.300s", said, texts[i])
		}
	}
}

// TestDeclined has what not all of Python 3.9 to 3.14 refuse, and is left to package syntax nevertheless.
func TestDeclined(t *testing.T) {
	texts := common(t, "declined.txt")
	texts = append(texts, "x = 1\r\n", "x = 1\f", "if x:\n\ty\nif z:\n  y", "x = '\xff'",
		"x = "+strings.Repeat("(", 300)+strings.Repeat(")", 300),
		"x = "+strings.Repeat("-", 20_000)+"1",
		"x = "+strings.Repeat("1 + ", 20_000)+"1",
		"x"+strings.Repeat(".y", 20_000),
		"x = "+strings.Repeat("9", 5000),
		strings.Repeat("(1 + ", 100)+"1"+strings.Repeat(")"+strings.Repeat(" + 1", 90), 100),
	)
	for _, text := range texts {
		if _, ok := Of(text); ok {
			t.Errorf("accepted:\n%.300s", text)
		}
	}
}

func TestStatements(t *testing.T) {
	for _, c := range []struct {
		src  string
		want Statement
	}{
		{"x = y", Statement{Kind: Assign, Target: "x"}},
		{"x, z = y", Statement{Kind: Assign}},
		{"x: int = 1", Statement{Kind: Assign, Target: "x"}},
		{"x.y = 1", Statement{Kind: Assign}},
		{"x += 1", Statement{Kind: Augmented}},
		{"f(x)(y)", Statement{Kind: Expression, Callee: "f(x)"}},
		{"a.b.c(x)", Statement{Kind: Expression, Callee: "a.b.c"}},
		{"f(g(x)).y", Statement{Kind: Expression}},
		{"(f(x))", Statement{Kind: Expression}},
		{"f(x) + g(y)", Statement{Kind: Expression}},
		{"f(x);  # quiet", Statement{Kind: Expression, Callee: "f", Quiet: true}},
		{"a, b", Statement{Kind: Expression, Tuple: true}},
		{"a,", Statement{Kind: Expression, Tuple: true}},
		{"(a, b)", Statement{Kind: Expression}},
		{"@d\ndef f(): pass", Statement{Kind: Definition, Target: "f", EndRow: 1}},
		{"class C:\n  x = 1\n\n# end\n", Statement{Kind: Definition, Target: "C", EndRow: 1}},
		{"import a.b, c as d", Statement{Kind: Import, Imported: []Imported{{"a.b", ""}, {"c", "d"}}}},
		{"from ..a import (b as c, d)", Statement{
			Kind: FromImport, ImportedFrom: "..a",
			Imported: []Imported{{"b", "c"}, {"d", ""}},
		}},
		{"from a import *", Statement{Kind: FromImport, ImportedFrom: "a", Imported: []Imported{{"*", "*"}}}},
		{"from __future__ import annotations", Statement{
			Kind: Future, ImportedFrom: "__future__",
			Imported: []Imported{{"annotations", ""}},
		}},
		{"\n\n# c\nx = '''\n\n'''", Statement{Kind: Assign, Target: "x", Row: 3, EndRow: 5}},
		{"if x:\n  pass\nelse:\n  pass", Statement{Kind: Other, EndRow: 3}},
	} {
		t.Run(c.src, func(t *testing.T) {
			o, ok := Of(c.src)
			if !ok || len(o.Statements) != 1 {
				t.Fatalf("%v, %+v", ok, o)
			}
			got := o.Statements[0]
			got.Names, got.Start, got.End = nil, 0, 0
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	uses := [...]string{"", "=", "~", ".", ":"}
	for _, c := range []struct{ src, want string }{
		{"x = y", "=x y"},
		{"x[i].y, (z, *w) = f(a, k=v.b)", "x i .y =z =w f a :k v .b"},
		{"x.y = x[i] = z = 1", "x .y x i =z"},
		{"for i, x.y in z: w = i", "=i x .y z =w i"},
		{"def f(a, *b, c=d) -> e:\n  g = a", "=f ~a ~b ~c d e ~g a"},
		{"class C(B, m=M):\n  x = 1", "=C B :m M ~x"},
		{"[x for x, y in z if y]", "x ~x ~y z y"},
		{"lambda x, y=z: x", "~x ~y z x"},
		{"import a.b, c.d as e", "=a b c d =e"},
		{"from a.b import c, d as e", "a b =c d =e"},
		{"with f(x) as (y, z): pass", "f x =y =z"},
		{"try: x\nexcept E as e: y", "x E =e y"},
		{"print(f'{x!r:>{w}} {y.z=}', (n := 1))", "print x w y .z =n"},
		{"del x, y.z, w[i]", "=x y .z w i"},
		{"if x: y += 1", "x =y"},
	} {
		t.Run(c.src, func(t *testing.T) {
			o, ok := Of(c.src)
			if !ok {
				t.Fatal("declined")
			}
			var got []string
			for _, n := range o.Names {
				got = append(got, uses[n.Use]+n.Text)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

// generator makes expressions and statements that are nearly always Python, by chance.
type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

// expr makes an expression: each # in a form is one in it, @ is a name.
func (g generator) expr(depth int) string {
	if depth <= 0 {
		return g.one("x", "y", "f", "1", "1.5e3", "0xF", "'s'", `r"\d"`, "b'b'",
			"None", "...", "f'{x}'", "1j", "()", "[]", "{}")
	}
	return g.fill(g.one("# + #", "-#", "not #", "# and #", "# < # <= #",
		"# in #", "# is not #", "# if # else #", "#**#",
		"(#)", "(#,)", "(#, *#)", "[#, #]", "[*#]", "{#, #}", "{#: #, **#}",
		"#.a", "#[#]", "#[#:#, ::#]", "@(#, *#, a=#, **#)",
		"@(# for @ in # if #)", "[# for @, @ in #]", "{#: # for @ in #}",
		"lambda: #", "lambda a, *b, c=#: #", "(@ := #)",
		"f'{#}'", `f"{# !r}"`, `f"{#=:>{#}}"`, "'a' #", "(yield #)", "await #",
		"*#", "# @ #", "#, #", "# = #", "# #", "#(#)",
		"@(#, #)", "@(a=#, a=#)", "@(**#, *#)", "@(a=#, #)"), depth)
}

func (g generator) fill(form string, depth int) string {
	var b strings.Builder
	for _, c := range form {
		switch c {
		case '#':
			b.WriteString(g.expr(depth - 1 - g.IntN(2)))
		case '@':
			b.WriteString(g.one("x", "y", "print", "match"))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (g generator) statement() string {
	return g.fill(g.one("#", "# = #", "# = # = #", "@: # = #", "# += #",
		"del #", "for # in #: #", "for # in #:\n  break",
		"while #: #", "if #: #\nelif #: #\nelse: #", "with # as #: #",
		"with (# as #, # as #): #", "with (#), #: #", "return #",
		"def f(@, @=#, /, *, @=#): return #", "def f(@):\n  global @\n  @ = #",
		"async def f(@): return #", "assert #, #",
		"raise # from #", "try: #\nexcept # as @: #\nelse: #\nfinally: #",
		"class C(#, @=#): # = #", "@@#\ndef f(): yield #",
		"# ; #", "def f(*@, @): #", "def f(@: #) -> #: @: # = #", "import @.@ as @",
		"from @ import @, @ as @", "global @",
		"@ = yield #", "print(#)", "lambda @, @: #", "try: #\nfinally: return", "nonlocal @"), 1+g.IntN(4))
}

func TestGenerated(t *testing.T) {
	n := 20_000
	if more := os.Getenv("METAML_TEST_SPOILED"); more != "" {
		if _, err := fmt.Sscan(more, &n); err != nil {
			t.Fatal(err)
		}
	}
	g := generator{rand.New(rand.NewPCG(7, uint64(n)))}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = g.statement()
	}
	if rate := judge(t, texts); rate < 0.8 {
		t.Errorf("only %.1f %% of what Python compiles are accepted", 100*rate)
	}
}
