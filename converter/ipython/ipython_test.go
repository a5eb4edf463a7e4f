package ipython

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

func TestTransform(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"x = 1", "x = 1"},
		{"%matplotlib inline", ""},
		{"%matplotlib inline\nimport os", "\nimport os"},
		{"  %load_ext autoreload\n  %autoreload 2", "\n"},
		{"!ls -l", ""},
		{"!!ls", ""},
		{"!pip install \\\n  numpy\nx = 1", "\n\nx = 1"},
		{"files = !ls", "files = _metaml_lines('ls')"},
		{"a, b = !echo it's", "a, b = _metaml_lines(\"echo it's\")"},
		{"x = %time f(1)", "x = f(1)"},
		{"x = %who_ls", "x = get_ipython().run_line_magic('who_ls', '')"},
		{"%time x = f(1)", "x = f(1)"},
		{"%timeit f(1)", ""},
		{
			"for i in range(3):\n    %time f(i)\n    !ls {i}",
			"for i in range(3):\n    f(i)\n    _metaml_run('ls {i}', lambda: 'ls {}'.format(i))",
		},
		{"if x:\n    %matplotlib inline", "if x:\n    pass"},
		{"if x:\n    print?\ny", "if x:\n    pass\ny"},
		{"print?", ""},
		{"?print", ""},
		{"print??\nx = 1", "\nx = 1"},
		{"%%time?", ""},
		{"'what?'", "'what?'"},
		{"x = 1  # really?", "x = 1  # really?"},
		{"x = '''\n%time\n!ls\n'''", "x = '''\n%time\n!ls\n'''"},
		{"f(1,\n  %\n  2)", "f(1,\n  %\n  2)"},
		{"x = 5 % 3", "x = 5 % 3"},
		{"x = 5 \\\n  % 3", "x = 5 \\\n  % 3"},
		{"f(x = !ls)", "f(x = !ls)"},
		{"x == !a", "x == !a"},
		{"s = f'{x!r}'", "s = f'{x!r}'"},
		{"s = f'{d[\"k\"]}' != 'a'", "s = f'{d[\"k\"]}' != 'a'"},
		{"%env A=b c", "__import__('os').environ['A'] = 'b c'"},
		{"%env A", ""},
		{"%env A=$x", "__import__('os').environ['A'] = _metaml_text('$x', lambda: '{}'.format(x))"},
		{"%cd data", "__import__('os').chdir('data')"},
		{"%cd -", ""},
		{"!mkdir -p data/raw", "__import__('os').makedirs('data/raw', exist_ok=True)"},
		{"%mkdir a b", "__import__('os').makedirs('a', exist_ok=True); __import__('os').makedirs('b', exist_ok=True)"},
		{"!mkdir -p $HOME/a", ""},
		{"!mkdir -p a && cd a", ""},
		{"!mkdir -m 700 a", ""},
		{"get_ipython().run_line_magic('matplotlib', 'inline')", ""},
		{"get_ipython().run_line_magic('env', 'A=b \\'c\\'')  # set it", "__import__('os').environ['A'] = \"b 'c'\""},
		{"get_ipython().magic(\"cd data\")", "__import__('os').chdir('data')"},
		{"get_ipython().system('pip install numpy')", ""},
		{"if x:\n    get_ipython().system('ls')", "if x:\n    _metaml_run('ls')"},
		{"get_ipython().run_line_magic(name, 'x')", "get_ipython().run_line_magic(name, 'x')"},
		{"get_ipython().system(f'ls {x}')", "get_ipython().system(f'ls {x}')"},
		{"x = get_ipython().getoutput('ls')", "x = _metaml_lines('ls')"},
		{"x = get_ipython().getoutput(cmd)", "x = get_ipython().getoutput(cmd)"},
		{"x = get_ipython().user_ns", "x = get_ipython().user_ns"},
		{"%%time\nx = 1", "\nx = 1"},
		{"%%capture out\n%%time\nx = 1", "\n\nx = 1"},
		{"\n\n%%time\nx = 1", "\n\n\nx = 1"},
		{"%%bash\nls\n", "\n\n"},
		{"%%timeit\nx = 1", "\n"},
		{
			"%%writefile a.py\nx = 'a\\n'\n",
			"__import__('pathlib').Path('a.py').write_text(\"x = 'a\\\\n'\\n\", encoding='utf-8')\n\n",
		},
		{"%%file \"a b.py\"\nx = 1", "__import__('pathlib').Path('a b.py').write_text('x = 1\\n', encoding='utf-8')\n"},
		{
			"%%writefile -a {n}.txt\nx",
			"__import__('pathlib').Path(_metaml_text('{n}.txt', lambda: '{}.txt'.format(n)))" +
				".open('a', encoding='utf-8').write('x\\n')\n",
		},
		{"%%writefile ~/a.py\nx", "__import__('pathlib').Path('~/a.py').expanduser().write_text('x\\n', " +
			"encoding='utf-8')\n"},
		{"%%writefile\nx = 1", "\n"},
		{"%%train --parallelism 4\ndef f(): pass", "\ndef f(): pass"},
		{"%%train\n%matplotlib inline\nx = 1", "\n\nx = 1"},
		{">>> x = 1\n>>> for i in y:\n...     pass\n", "x = 1\nfor i in y:\n    pass\n"},
		{"In [1]: x = 1\n   ...: y = 2", "x = 1\ny = 2"},
		{"    x = 1\n    y = 2", "x = 1\ny = 2"},
		{",f a b", "f('a', 'b')"},
		{";f a b", "f('a b')"},
		{"/f 1, 2", "f(1, 2)"},
		{"pip install numpy", ""},
		{"cd ..", "__import__('os').chdir('..')"},
		{"ls -l", ""},
		{"ls", ""},
		{"ls = 1", "ls = 1"},
		{"time(1)", "time(1)"},
		{"run.best()", "run.best()"},
		{"run - 1", "run - 1"},
		{"plt.plot(x);", "plt.plot(x);"},
		{"await f()", "await f()"},
		{"%time", ""},
		{"%prun -s cum f(1)", "f(1)"},
		{"x = 1\r\n%matplotlib inline\r\ny = 2", "x = 1\r\n\r\ny = 2"},
		{"x = \\\n  !ls", "x = _metaml_lines('ls')\n"},
		{"%unknown a", ""},
		{"if 1:\n  %unknown a", "if 1:\n  get_ipython().run_line_magic('unknown', 'a')"},
		{"", ""},
		{"\n", "\n"},
		{"%", ""},
		{"!", ""},
		{"?", ""},
		{"%%", ""},
		{"x = '", "x = '"},
		{"(", "("},
	} {
		t.Run(c.in, func(t *testing.T) {
			got := Transform(c.in, Options{}).Code
			if got != c.want {
				t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
			}
			if a, b := strings.Count(got, "\n"), strings.Count(c.in, "\n"); a != b {
				t.Errorf("%q has %d lines, its code %d", c.in, b, a)
			}
		})
	}
}

func TestFoldersThatTheSessionIsInAreNotEnteredAgain(t *testing.T) {
	if got := Transform("%%writefile a.py\nx = 1", Options{Moved: true}).Code; got != "\n" {
		t.Errorf("%%writefile of a live session: %q", got)
	}
	if got := Transform("!mkdir data", Options{Moved: true}).Code; got != "" {
		t.Errorf("!mkdir of a live session: %q", got)
	}
	if got := Transform("%cd data", Options{Moved: true}).Code; got != "" {
		t.Errorf("got %q", got)
	}
}

func TestOursAndOpaque(t *testing.T) {
	if r := Transform("%%train -n 3\nx", Options{}); r.Ours != "train" || r.Opaque != "" {
		t.Errorf("got %+v", r)
	}
	if r := Transform("%%bash\nx", Options{}); r.Ours != "" || r.Opaque != "bash" {
		t.Errorf("got %+v", r)
	}
}

// generate writes a cell by chance: magics, strings that look like them, blocks, continuations.
func generate(r *rand.Rand) string {
	args := []string{"", " a b", " -n 3 x", " it's", " \"q\"", " $x {y}", " a = 1", "  spaced"}
	arg := func() string { return args[r.IntN(len(args))] }
	line := func() string {
		switch r.IntN(26) {
		case 0:
			return "%unknown" + arg()
		case 1:
			return "!ls" + arg()
		case 2:
			return "x = !ls" + arg()
		case 3:
			return "x = %foo" + arg()
		case 4:
			return "name?"
		case 5:
			return "?name"
		case 6:
			return "a.b.c??"
		case 7:
			return "x = 5 % 3"
		case 8:
			return "s = '%unknown !ls ?'"
		case 9:
			return "s = '''\n%unknown\n!ls\nwhat?\n'''"
		case 10:
			return "y = f(1,\n      2)  # what?"
		case 11:
			return "z = [\n    # %unknown\n    1,\n]"
		case 12:
			return "%unknown a \\\n  b"
		case 13:
			return "x = !ls \\\n  b"
		case 14:
			return "w = f'{x!r} {y:>{z}} {{!}}'"
		case 15:
			return "# comment?"
		case 16:
			return ""
		case 17:
			return "a, b = !ls"
		case 18:
			return "x != y"
		case 19:
			return "d['k'] = %foo" + arg()
		case 20:
			return "x: int = 3"
		case 21:
			return "f(a='=', b=1) == 3"
		case 22:
			return "q = r'\\' + \"'\""
		case 23:
			return "x = 1 \\\n    + 2"
		case 24:
			return "await g()"
		}
		return fmt.Sprintf("v%d = %d", r.IntN(9), r.IntN(9))
	}
	var b strings.Builder
	switch r.IntN(8) {
	case 0:
		b.WriteString("%%time\n")
	case 1:
		b.WriteString("\n\n")
	case 2:
		b.WriteString("%%unknowncell" + arg() + "\n")
	}
	for range 1 + r.IntN(5) {
		l := line()
		if r.IntN(4) == 0 && !strings.Contains(l, "\n") && l != "" && l[0] != '#' {
			l = "if 1:\n    " + l
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}

// TestAgreesWithIPython compares with IPython's own transformer on cells made by chance: the same magics are found,
// what IPython leaves alone is left alone, and what compiles there compiles here.
func TestAgreesWithIPython(t *testing.T) {
	type input struct {
		Source string `json:"source"`
		Ours   string `json:"ours"`
	}
	var cases []input
	var results []Result
	for seed := range 3000 {
		src := generate(rand.New(rand.NewPCG(uint64(seed), 7)))
		r := Transform(src, Options{})
		cases = append(cases, input{src, r.Code})
		results = append(results, r)
	}
	for _, py := range []string{venv.Python(t), venv.Oldest(t)} {
		var answers []struct {
			Code     string     `json:"code"`
			Magics   [][]string `json:"magics"`
			Compiles bool       `json:"compiles"`
			Ours     bool       `json:"ours_compiles"`
		}
		venv.Ask(t, py, []string{"testdata/oracle.py"}, cases, &answers)
		bad, compiled := 0, 0
		for i, a := range answers {
			var theirs, ours []string
			for _, m := range a.Magics {
				theirs = append(theirs, m[0]+" "+m[1]+" "+strings.Join(strings.Fields(m[2]), " "))
			}
			for _, m := range results[i].Magics {
				ours = append(ours, string(m.Kind)+" "+m.Name+" "+strings.Join(strings.Fields(m.Args), " "))
			}
			if strings.HasPrefix(strings.TrimLeft(cases[i].Source, "\n"), "%%") {
				// IPython hands the body over as a string; only the cell magic itself can be compared.
				if len(ours) == 0 || len(theirs) == 0 || ours[0] != theirs[0] {
					t.Errorf("%q\n theirs %q\n ours   %q", cases[i].Source, theirs, ours)
					bad++
				}
				continue
			}
			if !a.Compiles {
				continue
			}
			compiled++
			if strings.Join(theirs, "\n") != strings.Join(ours, "\n") || !a.Ours {
				t.Errorf("%q\n theirs %q\n ours   %q\n code   %q, compiles: %v", cases[i].Source, theirs, ours,
					results[i].Code, a.Ours)
				bad++
			}
			if len(theirs) == 0 && strings.TrimSpace(a.Code) != strings.TrimSpace(results[i].Code) {
				t.Errorf("%q\n theirs %q\n ours   %q", cases[i].Source, a.Code, results[i].Code)
				bad++
			}
			if bad > 8 {
				t.FailNow()
			}
		}
		if compiled < len(cases)/2 {
			t.Errorf("only %d of %d cells compile", compiled, len(cases))
		}
	}
}

func FuzzTransform(f *testing.F) {
	for seed := range 40 {
		f.Add(generate(rand.New(rand.NewPCG(uint64(seed), 3))))
	}
	f.Add("x = '{' f'{'{'{\n'\\\n%%\n??\\\n!")
	f.Add("0 0(0!0 0!\n0!!0)000=!00000000000000") // a target in brackets over two lines
	f.Fuzz(func(t *testing.T, src string) {
		r := Transform(src, Options{})
		if a, b := strings.Count(r.Code, "\n"), strings.Count(src, "\n"); a != b {
			t.Errorf("%q has %d lines, its code %q %d", src, b, r.Code, a)
		}
		lines := strings.Count(src, "\n") + 1
		for _, m := range r.Magics {
			if m.Line < 1 || m.Line > lines {
				t.Errorf("%q: a magic at line %d", src, m.Line)
			}
		}
	})
}
