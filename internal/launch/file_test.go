package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/venv"
)

const (
	programJSON = `{"v":1,"kind":"train","entry":"train","parameters":[],"python":"3.11"}`
	decorated   = "import metaml\n\n@metaml.Train(seed=3)\ndef fit():\n    return 1\n"
	timed       = "%%time\n%%train --seed 5\ndef train():\n    return 1"
)

// notebook is a saved notebook of code cells that were executed in their order.
func notebook(cells ...string) string {
	var b strings.Builder
	for i, source := range cells {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`{"cell_type":"code","id":"c` + string(rune('0'+i)) + `","metadata":{},"outputs":[],` +
			`"execution_count":` + string(rune('1'+i)) + `,"source":` + quoted(source) + "}")
	}
	return `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[` + b.String() + "]}"
}

func quoted(s string) string {
	return `"` + strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(s) + `"`
}

// files writes files below a new folder.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// idle is a target that nobody has submitted anything to.
type idle struct{ deployer.Target }

func (i idle) At(context.Context, *settings.Resolved, []string) (deployer.Place, error) {
	return i, nil
}

func (idle) Submit(context.Context, run.Submission, func(run.Event)) (run.Submitted, error) {
	return run.Submitted{}, errors.New("nothing is to be submitted")
}
func (idle) Remarks(string) []run.Note                                      { return nil }
func (idle) Outline(context.Context, run.Submission) ([]run.Section, error) { return nil, nil }
func (idle) Check(*settings.Resolved) error                                 { return nil }
func (idle) ID() string                                                     { return "" }
func (idle) Server(context.Context, run.Spec) (*run.Listed, error)          { return nil, nil }
func (idle) Owner() string                                                  { return "me" }
func (idle) Environment(int) map[string]string                              { return nil }
func (idle) Provisional(context.Context, string) (string, error)            { return "train-1", nil }
func (idle) Active(context.Context, string) (*run.Spec, error)              { return nil, nil }

func launcherIn(t *testing.T, dir string, environ ...string) *Launcher {
	t.Helper()
	runs := t.TempDir()
	return &Launcher{
		In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Dir: dir, Environ: environ,
		Client: func() (*deployer.Client, error) {
			return deployer.NewClient(runs, map[string]deployer.Target{run.Local: idle{}}), nil
		},
	}
}

func given(t *testing.T, kind run.Kind, line string) []settings.Given {
	t.Helper()
	g, err := settings.ParseLine(kind, line)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestEachSourceBecomesASubmission(t *testing.T) {
	t.Parallel()
	python := venv.Python(t)
	dir := files(t, map[string]string{
		"last.ipynb":          notebook("x = 1", "%%train --seed 4\ndef train():\n    return x"),
		"timed.ipynb":         notebook(timed),
		"two.ipynb":           notebook("%%train\ndef a():\n    return 1", "%%train\ndef b():\n    return 2"),
		"both.ipynb":          notebook("%%train\ndef a():\n    return 1", "%%serve\ndef b(row):\n    return row"),
		"fit.py":              decorated,
		"plain.py":            "def train():\n    return 1\n",
		"p/code/main.py":      "def train():\n    return 1\n",
		"p/code/program.json": programJSON,
	})
	for _, c := range []struct {
		name  string
		src   Source
		kind  run.Kind
		entry string
		seed  string
	}{
		{"notebook", Source{File: "last.ipynb"}, run.Train, "train", "4"},
		{"the magic below another", Source{File: "timed.ipynb"}, run.Train, "train", "5"},
		{"the last of two cells", Source{File: "two.ipynb"}, run.Train, "b", ""},
		{"a cell by its number", Source{File: "two.ipynb", Cell: 1}, run.Train, "a", ""},
		{"training before serving", Source{File: "both.ipynb"}, run.Train, "a", ""},
		{"serving when named", Source{File: "both.ipynb", Kind: run.Serve}, run.Serve, "b", ""},
		{"script with a decorator", Source{File: "fit.py"}, run.Train, "fit", "3"},
		{"script without", Source{File: "plain.py"}, run.Train, "train", ""},
		{
			"the command line wins over the decorator",
			Source{File: "fit.py", Given: given(t, run.Train, "--seed 9")},
			run.Train, "fit", "9",
		},
		{"program folder", Source{File: "p"}, run.Train, "train", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.src.File, c.src.Python = filepath.Join(dir, c.src.File), python
			s, err := launcherIn(t, dir).Open(t.Context(), c.src)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Settings.Kind != c.kind || s.program.Entry != c.entry ||
				c.seed != "" && s.Settings.Values["seed"].Text != c.seed {
				t.Errorf("%s of %s with %v", s.Settings.Kind, s.program.Entry, s.Settings.Values["seed"])
			}
		})
	}
}

func TestAFileIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"a.ipynb":             notebook("%%train\ndef train():\n    return 1"),
		"none.ipynb":          notebook("x = 1"),
		"fit.py":              decorated,
		"model.py":            "def train():\n    return 1\n",
		"text.txt":            "",
		"empty/x":             "",
		"broken/code/main.py": "", "broken/code/program.json": "{",
		"p/code/main.py": "def train():\n    return 1\n", "p/code/program.json": programJSON,
		"draw/code/main.py": "x = []\n", "draw/code/program.json": strings.Replace(programJSON, `"train"`, `"draw"`, 1),
		"table.jsonl": "no JSON\n",
	})
	large, err := os.Create(filepath.Join(dir, "large.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(large.Truncate(1<<30+1), large.Close()); err != nil { // it takes no space
		t.Fatal(err)
	}
	python := venv.Python(t)
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho '"+
		`{"path":"/old","version":"3.9.1","platform":"linux-x86_64","prefix":"/"}'`+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	train := func(line string) []settings.Given { return given(t, run.Train, line) }
	serve := func(line string) []settings.Given { return given(t, run.Serve, line) }
	for _, c := range []struct {
		name string
		src  Source
		code usererror.Code
		text string
	}{
		{"another kind", Source{File: "a.ipynb", Kind: "draw"}, usererror.CodeOption, "--kind takes train or serve"},
		{"no file", Source{File: "b.ipynb"}, usererror.CodeFile, "Did you mean"},
		{"a folder without a program", Source{File: "empty"}, usererror.CodeFile, "no code/program.json"},
		{"an empty file", Source{File: "text.txt"}, usererror.CodeNoFunction, "nothing to run"},
		{"too large", Source{File: "large.ipynb"}, usererror.CodeTooLarge, "larger than 1 GiB"},
		{"a broken program", Source{File: "broken"}, usererror.CodeProgram, "no program folder that can be run"},
		{"a program to draw", Source{File: "draw"}, usererror.CodeProgram, "neither trained nor served"},
		{"a program of another kind", Source{File: "p", Kind: run.Serve}, usererror.CodeProgram, "--kind is serve"},
		{"a table for a notebook", Source{File: "a.ipynb", Table: "t"}, usererror.CodeOption, "--table is for"},
		{"a table for a script", Source{File: "fit.py", Table: "t"}, usererror.CodeOption, "--table is for"},
		{"no table", Source{File: "p", Table: "none.jsonl"}, usererror.CodeTable, "cannot read the table"},
		{
			"a table of no rows",
			Source{File: "p", Table: filepath.Join(dir, "table.jsonl")},
			usererror.CodeTable,
			"no table of hyperparameters",
		},
		{"a cell of a script", Source{File: "fit.py", Cell: 1}, usererror.CodeOption, "is a script"},
		{"a cell of a program", Source{File: "p", Cell: 1}, usererror.CodeOption, "is a program folder"},
		{"no cell", Source{File: "none.ipynb"}, usererror.CodeNoCell, "has no %%train or %%serve cell"},
		{"no cell to serve", Source{File: "a.ipynb", Kind: run.Serve}, usererror.CodeNoCell, "Put %%serve"},
		{"no such cell", Source{File: "a.ipynb", Cell: 7}, usererror.CodeNoCell, "Those are: 1."},
		{"no Python", Source{File: "fit.py", Python: "/none"}, usererror.CodePython, "there is no Python at /none"},
		{"an old Python", Source{File: "fit.py", Python: old}, usererror.CodePython, "needs 3.10 or newer"},
		{"an old Python for a program", Source{File: "p", Python: old}, usererror.CodePython, "needs 3.10 or newer"},
		{
			"a variable without a session",
			Source{File: "model.py", Kind: run.Serve, Given: serve("--model fitted")},
			usererror.CodeModel, "no session here that could have such a variable",
		},
		{
			"no such function",
			Source{File: "fit.py", Given: train("--function other")},
			usererror.CodeNoFunction,
			"other",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.src.File = filepath.Join(dir, c.src.File)
			if c.src.Python == "" {
				c.src.Python = python
			}
			s, err := launcherIn(t, dir).Open(t.Context(), c.src)
			if err == nil {
				s.Close()
				t.Fatal("it was taken")
			}
			var user *usererror.Error
			if !errors.As(err, &user) || user.Code != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%#v: %v", user, err)
			}
		})
	}
}

// The example is checked when the submission is planned.
func TestAnExampleThatIsAVariableNeedsASession(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"row":   "there is no session that has it",
		"a b":   "as JSON or the name of a variable",
		`[1,]`:  "as JSON or the name of a variable",
		`[1]`:   "",
		"\"a\"": "",
		"":      "",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := resolveExample(t.Context(), nil, text)
			if want == "" && (err != nil || got != text) ||
				want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// A target that is not there is refused with the same sentence, wherever it is named; the hint says where.
func TestATargetThatIsNotThereIsRefusedAlike(t *testing.T) {
	t.Parallel()
	const want = "target kubernetes is not in this version of MetaML"
	cell, plain := "%%train --target kubernetes\ndef train():\n    return 1", "%%train\ndef train():\n    return 1"
	for _, c := range []struct {
		name, file, text, line string
		environ                []string
		toml                   string
	}{
		{name: "command line", file: "a.ipynb", text: notebook(plain), line: "--target kubernetes"},
		{name: "environment", file: "a.ipynb", text: notebook(plain), environ: []string{"METAML_TARGET=kubernetes"}},
		{name: "metaml.toml", file: "a.ipynb", text: notebook(plain), toml: "target = \"kubernetes\"\n"},
		{name: "cell", file: "a.ipynb", text: notebook(cell)},
		{name: "decorator", file: "a.py", text: strings.Replace(decorated, "seed=3", `target="kubernetes"`, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := map[string]string{c.file: c.text}
			if c.toml != "" {
				content["metaml.toml"] = c.toml
			}
			dir := files(t, content)
			l := launcherIn(t, dir, c.environ...)
			src := Source{File: filepath.Join(dir, c.file)}
			if c.line != "" {
				src.Given = given(t, run.Train, c.line)
			}
			_, err := l.Open(t.Context(), src)
			var user *usererror.Error
			if !errors.As(err, &user) || user.Code != usererror.CodeTarget || user.Text != want {
				t.Errorf("%v", err)
			}
		})
	}
}
