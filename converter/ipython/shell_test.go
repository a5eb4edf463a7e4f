package ipython

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

func TestScripts(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"output", "%%bash --out x\necho a\necho b\n", "x = _metaml_script('bash', 'echo a\\necho b\\n')[0]\n\n\n"},
		{
			"output, errors and arguments",
			"%%bash --out x --err y -s \"$v\"\necho",
			"x, y = _metaml_script('bash -s \"$v\"', 'echo\\n', expand=lambda: 'bash -s \"{}\"'.format(v))\n",
		},
		{
			"no error raised",
			"%%script perl -n --err=y --no-raise-error\np", "y = _metaml_script('perl -n', 'p\\n', False)[1]\n",
		},
		{"in the background", "%%bash --bg --out x\nls", "\n"},
		{"nothing bound", "%%bash\nls", "\n"},
		{"no program", "%%script --out x\nls", "\n"},
		{"below %%capture", "%%capture o\n%%sh --out x\nls", "\nx = _metaml_script('sh', 'ls\\n')[0]\n"},
		{"a magic that is no script", "%%latex --out x\nls", "\n"},
		{"pip install", "if a:\n    !pip install -q numpy", "if a:\n    pass"},
		{"pip install by this Python", "if a:\n    !{sys.executable} -m pip install x", "if a:\n    pass"},
		{"a bound pip install", "_ = !pip install x", "_ = []"},
		{"a bound pip list", "v = !pip list", "v = _metaml_lines('pip list')"},
		{"lines of a command", "if a:\n    !!ls", "if a:\n    _metaml_lines('ls')"},
		{"%sx, bound", "x = %sx ls {d}", "x = _metaml_lines('ls {d}', lambda: 'ls {}'.format(d))"},
		{"%sx", "if a:\n    %sx ls", "if a:\n    _metaml_lines('ls')"},
		{"%pwd", "x = %pwd", "x = __import__('os').getcwd()"},
		{"%env", "x = %env HOME", "x = __import__('os').getenv('HOME')"},
		{"%cd to a variable", "%cd $d", "__import__('os').chdir(_metaml_text('$d', lambda: '{}'.format(d)))"},
		{"braces that are no expression", "x = !awk '{print $1}' f", "x = _metaml_lines(\"awk '{print $1}' f\")"},
		{"another magic, bound", "x = %timeit -o f()", "x = get_ipython().run_line_magic('timeit', '-o f()')"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Transform(c.in, Options{}).Code; got != c.want {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestCommandsAreExpandedAsIPythonDoes compares with IPython on commands that are put together by chance.
func TestCommandsAreExpandedAsIPythonDoes(t *testing.T) {
	type testCase struct {
		Command string `json:"command"`
		Code    string `json:"code"`
	}
	given := struct {
		Sources []string   `json:"sources"`
		Cases   []testCase `json:"cases"`
	}{Sources: []string{Source(Lines), Source(Run), Source(Script), Source(Text)}}
	parts := []string{
		"echo ", "$x", "$name", "{name}", "{x + 1}", "{d['k'][0:2]}", "{d[\"k\"]}", "{x!r}", "{s!r:>3}", "$s.upper",
		"{s.upper()}", "$HOME", "${HOME}", "$$x",
		"$$", "$1", "$", "{{", "}}", "{", "}", "'", "\"", "'$x'", "awk '{print $1}'", "{missing}", "{}", "{ x }",
		"{x, 1}", "{len(words)}", "{x:3}", " | ", "$x.", "$name-$x", "\\", "$é",
		"{x # y}", "{(lambda: 1)()}", "{[w for w in words]}", "{words[0]}{words[1]}", "#", "{x!z}", "{x=}", "{*words}",
		"{x if x else 1}", "$None", "$class", "`ls`", "%s", "{words[-1]}", "$1a", "{x}}", "{{x}",
	}
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 4000 {
		n := 1 + i%4
		if i < len(parts) {
			n = 0
		}
		cmd := parts[i%len(parts)]
		for range n {
			cmd += parts[r.IntN(len(parts))]
		}
		code := expandedText(cmd)
		given.Cases = append(given.Cases, testCase{cmd, code})
	}
	for _, py := range []string{venv.Python(t), venv.Oldest(t)} {
		var wrong []string
		venv.Ask(t, py, []string{"testdata/expand.py"}, given, &wrong)
		for i, w := range wrong {
			if i == 12 {
				t.Fatalf("… and %d more", len(wrong)-i)
			}
			t.Error(w)
		}
	}
}

// TestScriptsRun runs a translated cell by Python.
func TestScriptsRun(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{
			"arguments and errors",
			"%%bash --out x --err y -s $v\necho \"got $1\"\necho bad >&2",
			"['got 7\\n', 'bad\\n']",
		},
		{"an exit code is an error", "%%bash --out x\nexit 3", "CalledProcessError"},
		{"an exit code without an error", "%%bash --out x --no-raise-error\necho 1\nexit 3", "['1\\n', 0]"},
		{
			"commands in a block",
			"if 1:\n    !echo $v {v + 1} > out; echo $v >> out\n    x = open('out').read()",
			"['7 8\\n7\\n', 0]",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			functions := Source(Script) + "\n\n" + Source(Run) + "\n\n" + Source(Lines)
			code := functions + "\n\nx = y = 0\nv = 7\ntry:\n    exec(" +
				quote(Transform(c.in, Options{}).Code) +
				")\n    print([x, y])\nexcept Exception as e:\n    print(type(e).__name__)\n"
			dir := t.TempDir()
			file := filepath.Join(dir, "a.py")
			if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), venv.Python(t), file)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != c.want {
				t.Errorf("got %s (%v), want %s", out, err, c.want)
			}
		})
	}
}

func FuzzExpanded(f *testing.F) {
	for _, s := range []string{"echo $x {y!r:3} $$z {{", "awk '{print $1}'", "{d['k'][1:2]}", "{[", "{x!", "$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cmd string) {
		format, args, ok := expanded(cmd)
		if !ok {
			return
		}
		if n := strings.Count(format, "{}") + strings.Count(format, "{!"); n < len(args) {
			t.Errorf("%q: %d arguments for %q", cmd, len(args), format)
		}
	})
}
