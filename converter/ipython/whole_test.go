package ipython

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// wholeCell writes a cell by chance, with all that IPython's transformer looks for.
func wholeCell(r *rand.Rand) string {
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	arg := func() string {
		return pick("", " a b", " -n 3 x", " it's", ` "q"`, " $x {y}", " a = 1", "  spaced  ", "\ttab",
			" # no comment", " é",
			" x;", " 'a\\nb'", " \\")
	}
	magic := func() string {
		return pick("time", "timeit", "matplotlib", "cd", "env", "run", "unknown", "who", "load_ext", "pip", "sql", "R",
			"prun", "store", "config", "pylab", "lprun", "writefile", "sx", "system", "mkdir", "a.b", "autoreload")
	}
	var line func(depth int) string
	line = func(depth int) string {
		switch r.IntN(44) {
		case 0, 1, 2:
			return "%" + magic() + arg()
		case 3, 4:
			return "!" + pick("ls", "echo", "pip install numpy", "mkdir -p a", "cat <<E") + arg()
		case 5:
			return "!!" + pick("ls", "echo") + arg()
		case 6:
			return pick("x", "a.b", "d['k']", "a, b", "(a, b)", "[a, b]", "x = y", "*a, b", "x: int",
				"lst[0:1]") + " = !ls" + arg()
		case 7:
			return pick("x", "a.b", "d['k']", "a, b", "x =", "(x)") + pick(" = %", " =%", "=%", "=  %") +
				magic() + arg()
		case 8:
			return pick("name", "a.b.c", "%time", "%%time", "f(1)", "a[0]", "np.*load*", "x = y", "print;",
				"'s'") + pick("?", "??")
		case 9:
			return pick("?", "??") + pick("name", "a.b", "%time", "")
		case 10:
			return "%" + magic() + " a \\\n  b" + pick("", " \\\n c")
		case 11:
			return "!ls \\\n  -l"
		case 12:
			return "x = " + pick("!ls", "%time f()", "%who") + " \\\n  b"
		case 13:
			return "x \\\n = " + pick("!ls", "%time 3")
		case 14:
			return "x = \\\n  " + pick("!ls", "%time 3")
		case 15:
			return "s = '''\n%unknown\n!ls\nwhat?\n?x\n'''" + pick("", " % 3", ".strip()")
		case 16:
			return "y = f(1,\n  !ls\n)" // no Python
		case 17:
			return "z = [\n    # %unknown\n    1,\n% 3][0]"
		case 18:
			return "x = 5 \\\n%time\nx"
		case 19:
			return pick(",f a b", ";f a b", "/f 1", ",f", ";f", "/f")
		case 20:
			return "f'{x!r} {y:>{z}} {{!}} {a % b}'"
		case 21:
			return "get_ipython()." + pick("run_line_magic('time', 'x = 1')", "system('ls')",
				"run_line_magic('who', '')")
		case 22:
			return "x = get_ipython().getoutput('ls')"
		case 23:
			return pick("# comment?", "# %time", "x = 1  # what?", "#!ls")
		case 24:
			return ""
		case 25:
			return pick("x = 3; !ls", "x = 3; %time", "if x: !ls", "lambda: !ls", "x = (!ls)", "x == !ls",
				"x += !ls", "x != y")
		case 26:
			return pick("await g()", "async def g():\n    return 1", "@d\ndef f():\n    %time\n    return 1")
		case 27:
			return pick("%%time", "%%capture out", " %%time", "%% time")
		case 28:
			return pick("%", "!", "% time", "! ls", "?x?", "%time?", "!ls?", "%cd ?", "!ls ??", "%%%",
				"!%ls", "%!ls", "%time !ls")
		case 29:
			return "r'\\' + \"'\"" + pick("", "\nx")
		case 30, 31, 32, 33:
			if depth < 3 {
				inner := line(depth + 1)
				if inner == "" {
					inner = "pass"
				}
				head := pick("if x:", "for i in y:", "while x:", "def f():", "class A:", "with x as y:",
					"try:", "else_ = 1\nif x:")
				body := strings.ReplaceAll("\n"+inner, "\n", "\n"+pick("    ", "  ", "\t"))
				text := head + body
				if head == "try:" {
					text += "\nfinally:\n    " + pick("pass", "%time", "!ls", "x?")
				}
				if head == "if x:" && r.IntN(2) == 0 {
					text += "\nelse:\n    " + pick("%who", "!ls", "x = !ls", "pass")
				}
				return text
			}
		}
		return fmt.Sprintf("v%d = %d", r.IntN(9), r.IntN(9))
	}
	var b strings.Builder
	switch r.IntN(12) {
	case 0:
		b.WriteString(pick("%%time\n", "%%capture out\n", "%%time\n%%capture\n", "%%prun\n",
			"%%time  -x \n", "%%train -n 3\n"))
	case 1:
		b.WriteString("\n\n")
	case 2:
		b.WriteString("%%" + pick("bash", "html", "unknown", "writefile a.py", "sql", "script cat", "timeit", "!",
			"R -i x") + "\n")
	}
	for range 1 + r.IntN(5) {
		b.WriteString(line(0) + "\n")
	}
	text := b.String()
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	switch r.IntN(14) {
	case 0:
		text = "    " + strings.Join(lines, "    ") + "\n"
	case 1:
		text = ">>> " + strings.Join(lines, pick(">>> ", "... ")) + "\n"
	case 2:
		text = "In [1]: " + strings.Join(lines, pick("   ...: ", "In [2]: ")) + "\n"
	case 3:
		text = strings.TrimSuffix(text, "\n")
	case 4:
		text += "\n\n"
	}
	return text
}

// TestAWholeNotebooksCellsAreReadAsIPythonReadsThem has IPython's transformer, the newest and the oldest, say for cells
// made by chance which lines are magics, commands and help, with their names, texts and targets, and what Python is
// around them. What becomes of a magic is what the table says of its name.
func TestAWholeNotebooksCellsAreReadAsIPythonReadsThem(t *testing.T) {
	t.Parallel()
	type magic struct {
		Kind   Kind   `json:"kind"`
		Name   string `json:"name"`
		Args   string `json:"args"`
		Target string `json:"target"`
		Line   int    `json:"line"`
		Fate   Fate   `json:"fate"`
	}
	type input struct {
		Source string  `json:"source"`
		Code   string  `json:"code"`
		Magics []magic `json:"magics"`
	}
	asked := struct {
		Rules map[string]Fate `json:"rules"`
		Cases []input         `json:"cases"`
	}{Rules: map[string]Fate{}}
	for _, rule := range Rules() {
		for _, name := range rule.Names {
			asked.Rules[name] = rule.Fate
		}
	}
	const cells = 2000
	for seed := range cells {
		source := wholeCell(rand.New(rand.NewPCG(uint64(seed), 11)))
		made := Transform(source, Options{Whole: true, Bare: true})
		one := input{Source: source, Code: made.Code, Magics: []magic{}}
		for _, m := range made.Magics {
			one.Magics = append(one.Magics, magic{m.Kind, m.Name, m.Args, m.Target, m.Line, m.Fate})
		}
		asked.Cases = append(asked.Cases, one)
	}
	for name, python := range map[string]string{"newest": venv.Python(t), "oldest": venv.Oldest(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var answers []struct {
				Compiles bool   `json:"compiles"`
				Magics   int    `json:"magics"`
				Differs  string `json:"differs"`
			}
			venv.Ask(t, python, []string{"testdata/whole.py"}, asked, &answers)
			compiled, magics, wrong := 0, 0, 0
			for i, a := range answers {
				if a.Compiles {
					compiled++
				}
				magics += a.Magics
				if a.Differs == "" {
					continue
				}
				if wrong++; wrong <= 8 {
					t.Errorf("seed %d: %s\n%q\n%q", i, a.Differs, asked.Cases[i].Source, asked.Cases[i].Code)
				}
			}
			t.Logf("%d of %d cells are Python for IPython, with %d magics; %d differ", compiled, cells, magics, wrong)
			if compiled < cells/2 || magics < cells/2 {
				t.Errorf("only %d of %d cells are Python, with %d magics", compiled, cells, magics)
			}
		})
	}
}
