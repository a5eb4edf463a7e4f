package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/nbformat"
)

// folder has files by name; those that end in .ipynb are notebooks of the one cell.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		data := []byte(text)
		if strings.HasSuffix(name, ".ipynb") && !strings.HasPrefix(text, "{") {
			var err error
			if data, err = os.ReadFile(notebook(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents are the names of a folder's regular files, with their text.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		name, inside := filepath.Rel(dir, path)
		if inside != nil {
			return inside
		}
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAWholeNotebookRuns(t *testing.T) {
	name := notebook(t, "%matplotlib inline\nK = 2", "K * 21", "!echo done")
	if code, out, errs := command(t, "", name); code != 0 || out != "" || errs != "" {
		t.Fatal(code, out, errs)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, strings.TrimSuffix(name, ".ipynb")+".py").CombinedOutput()
	if err != nil || string(out) != "42\ndone\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestManyNotebooks(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"a folder", []string{"DIR"}, []string{"a.py", "sub/b.py"}},
		{"a folder to another", []string{"DIR", "--output-dir", "DIR/out"}, []string{"out/a.py", "out/sub/b.py"}},
		{"files", []string{"DIR/a.ipynb", "--output-dir=DIR/out", "DIR/sub/b.ipynb"}, []string{"out/a.py", "out/b.py"}},
		{"a pattern", []string{"DIR/*.ipynb"}, []string{"a.py"}},
		{"a pattern of folders", []string{"DIR/**/*.ipynb"}, []string{"a.py", "sub/b.py"}},
		{"one file twice", []string{"DIR/a.ipynb", "DIR/a.ipynb"}, []string{"a.py"}},
		{"one file, as jupyter nbconvert names it", []string{
			"DIR/a.ipynb", "--to", "python", "--output", "DIR/x",
		}, []string{"x.py"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{
				"a.ipynb": "a = 1", "sub/b.ipynb": "b = 1", ".ipynb_checkpoints/a-checkpoint.ipynb": "old = 1",
			})
			before := contents(t, dir)
			var args []string
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "DIR", dir))
			}
			if code, out, errs := command(t, "", args...); code != 0 || out != "" || errs != "" {
				t.Fatal(code, out, errs)
			}
			after := contents(t, dir)
			for _, name := range c.want {
				if !strings.Contains(after[name], " = 1\n") {
					t.Errorf("%s is %q", name, after[name])
				}
			}
			if len(after) != len(before)+len(c.want) {
				t.Errorf("there are %d files", len(after))
			}
		})
	}
}

func TestWhatIsRefusedWritesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		args  []string
		code  int
		want  string
	}{
		{
			"two that would write one file",
			map[string]string{"x/a.ipynb": "a", "y/a.ipynb": "a"},
			[]string{"DIR/x/a.ipynb", "DIR/y/a.ipynb", "--output-dir", "DIR"},
			1,
			"DIR/x/a.ipynb and DIR/y/a.ipynb would both be written to DIR/a.py",
		},
		{
			"its own source",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb", "-o", "DIR/a.ipynb"},
			1,
			"the script would replace its own source",
		},
		{"no match", nil, []string{"DIR/*.ipynb"}, 1, "no notebook matches DIR/*.ipynb"},
		{"an empty folder", nil, []string{"DIR"}, 1, "no notebook is in DIR"},
		{"no file", nil, []string{"DIR/a.ipynb"}, 1, "DIR/a.ipynb cannot be opened: no such file or directory"},
		{
			"below a file",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb/b.ipynb"},
			1,
			"DIR/a.ipynb/b.ipynb cannot be opened: not a directory",
		},
		{
			"to below a file",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb", "--output-dir", "DIR/a.ipynb"},
			1,
			"DIR/a.ipynb/a.py cannot be written: not a directory. Name another place with -o or --output-dir",
		},
		{
			"to a folder that is not there",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb", "-o", "DIR/x/a.py"},
			1,
			"DIR/x/a.py cannot be written: no such file or directory",
		},
		{
			"to a folder",
			map[string]string{"a.ipynb": "a = 1", "x.py/b": ""},
			[]string{"DIR/a.ipynb", "-o", "DIR/x.py"},
			1,
			"DIR/x.py is a folder: write into it with --output-dir",
		},
		{"nothing at all", nil, []string{"-", "-o", "DIR/b.py"}, 1, "the input: the notebook is empty"},
		{
			"no such option", nil,
			[]string{"a.ipynb", "--perc"},
			2,
			"there is no option --perc; did you mean --percent?",
		},
		{"no value", nil, []string{"a.ipynb", "-o"}, 2, "-o needs a value"},
		{
			"a script",
			map[string]string{"a.py": "a = 1"},
			[]string{"DIR/a.py", "-o", "DIR/b.py"},
			1,
			"DIR/a.py is a script already: cut a function out of it with --function NAME",
		},
		{
			"what runs in a notebook only",
			map[string]string{"a.ipynb": "%sql select 1"},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: cell 1, line 1: %sql runs in a notebook only. Call pandas.read_sql",
		},
		{
			"a NUL byte in a cell",
			map[string]string{"a.ipynb": "a = 1\nb = 'x\x00y'"},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: cell 1, line 2: this has a NUL byte. Take it out, and save the notebook.\n",
		},
		{
			"a merge conflict in a cell",
			map[string]string{"a.ipynb": "a = 1\n<<<<<<< HEAD\nb = 2\n=======\nb = 3\n>>>>>>> other"},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: cell 1, line 2: this has the marks of a merge conflict. Choose a side, and save the " +
				"notebook.\n",
		},
		{
			"a merge conflict in the notebook",
			map[string]string{"a.ipynb": "{\n \"cells\": [\n<<<<<<< HEAD\n 1"},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: the notebook has the marks of a merge conflict in line 3: choose a side, for example with " +
				"`git checkout --ours` or `nbdime mergetool`\n",
		},
		{
			"Python 2",
			map[string]string{"a.ipynb": "print 'a'"},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: cell 1, line 1: this is Python 2. Convert the notebook to Python 3 first, for example " +
				"by 2to3.\n",
		},
		{
			"code that is nested too deeply",
			map[string]string{"a.ipynb": "a = " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: cell 1: it cannot be read: the code is nested too deeply\n",
		},
		{
			"a cut notebook",
			map[string]string{"a.ipynb": `{"cells": [`},
			[]string{"DIR/a.ipynb"},
			1,
			"DIR/a.ipynb: the notebook is cut off after 11 bytes",
		},
		{
			"jupyter nbconvert's templates", nil,
			[]string{"a.ipynb", "--template", "x"},
			2,
			"--template is jupyter nbconvert's: scripts have one form",
		},
		{
			"a folder to one file",
			map[string]string{"a.ipynb": "a", "b.ipynb": "b"},
			[]string{"DIR", "-o", "DIR/x.py"},
			2,
			"-o is for one notebook, and there are 2: use --output-dir",
		},
		{
			"a slice of what nothing makes",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb", "--slice", "b"},
			1,
			"`b`",
		},
		{
			"a slice of no name",
			map[string]string{"a.ipynb": "a = 1"},
			[]string{"DIR/a.ipynb", "--slice", "a b"},
			1, `"a b" is no name`,
		},
		{"another format", nil, []string{"a.ipynb", "--format", "x"}, 2, `--format is text or github, not "x"`},
		{
			"options of two ways", nil,
			[]string{"a.ipynb", "--function", "f", "--percent"},
			2,
			"--percent is for the whole notebook",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, c.files)
			before := contents(t, dir)
			var args []string
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "DIR", dir))
			}
			code, out, errs := command(t, "", args...)
			want := strings.ReplaceAll(c.want, "DIR", dir)
			if code != c.code || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%d %q %q", code, out, errs)
			}
			if after := contents(t, dir); len(after) != len(before) {
				t.Errorf("it left %d files of %d", len(after), len(before))
			}
		})
	}
}

// One that cannot be converted does not keep others from it.
func TestOneOfManyFails(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "%sql select 1", "b.ipynb": "b = 1"})
	code, _, errs := command(t, "", dir)
	after := contents(t, dir)
	if code != 1 || strings.Count(errs, "\n") != 1 || after["b.py"] == "" || after["a.py"] != "" {
		t.Errorf("%d %s %v", code, errs, after)
	}
}

// What both versions of Python read may have another value.
func TestANotebookOfPython2(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": `{"cells": [{"cell_type": "code", "source": "1 / 2"}], ` +
		`"metadata": {"language_info": {"name": "python", "version": "2.7.18"}}, "nbformat": 4}`})
	code, _, errs := command(t, "", dir+"/a.ipynb")
	want := dir + "/a.ipynb: it is of Python 2.7.18: what Python 3 reads too may mean another thing, such as 1/2\n"
	if code != 0 || errs != want {
		t.Errorf("%d %q", code, errs)
	}
}

func TestKeepGoingWritesARaise(t *testing.T) {
	name := notebook(t, "a = 1\n%sql select 1\nb = 2")
	code, out, errs := command(t, "", name, "--keep-going", "--stdout")
	if code != 1 || !strings.Contains(out, "a = 1\nraise RuntimeError(") ||
		!strings.Contains(out, "# %sql select 1\nb = 2\n") ||
		!strings.Contains(errs, "cell 1, line 2: %sql runs in a notebook only") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

func TestCheckWritesNothing(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "a = 1", "b.ipynb": "b = 1"})
	if code, _, errs := command(t, "", dir); code != 0 {
		t.Fatal(errs)
	}
	if code, out, errs := command(t, "", dir, "--check"); code != 0 || out != "" || errs != "" {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.py"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "b.py")); err != nil {
		t.Fatal(err)
	}
	code, _, errs := command(t, "", dir, "--check", "--format", "github")
	want := "::error file=" + dir + "/a.ipynb::" + dir + "/a.py is missing or another one"
	if code != 1 || !strings.HasPrefix(errs, want) || strings.Count(errs, "::error ") != 2 {
		t.Errorf("%d %s", code, errs)
	}
	if after := contents(t, dir); after["a.py"] != "" || len(after) != 3 {
		t.Errorf("it wrote %v", after)
	}
}

func TestTheResultsAsJSON(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "!pip install numpy\n%sql select 1", "b.ipynb": "b = 1"})
	code, out, errs := command(t, "", dir, "--json")
	var results []result
	if err := json.Unmarshal([]byte(out), &results); err != nil || code != 1 || errs != "" {
		t.Fatal(code, err, out, errs)
	}
	if a := results[0]; len(results) != 2 || a.Status != "failed" || len(a.Refused) != 1 || a.Refused[0].Cell != 1 ||
		a.Refused[0].Line != 2 || len(a.Requirements) != 1 || a.Requirements[0] != "pip install numpy" {
		t.Errorf("%+v", results)
	}
	if b := results[1]; b.Status != "written" || b.Output != filepath.Join(dir, "b.py") {
		t.Errorf("%+v", b)
	}
}

func TestASliceHasWhatItsResultsNeed(t *testing.T) {
	name := notebook(t, "a = 2\nb = 3", "print('no')", "# doubled\nc = a * 2\nd = b", "d = d + 1")
	code, out, errs := command(t, "", name, "--slice", "c, d", "--stdout")
	if code != 0 || errs != "" || strings.Contains(out, "print('no')") || strings.Contains(out, "_metaml_results") ||
		!strings.Contains(out, "# doubled\nc = a * 2\nd = b\n") || !strings.Contains(out, "_metaml_show((c, d))\n") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if _, out, _ := command(t, "", name, "--slice", "c", "--stdout"); strings.Contains(out, "b = 3") ||
		!strings.Contains(out, "a = 2\n") {
		t.Error(out)
	}
}

func TestASliceKeepsToTheTagsOfCells(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": `{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [
		{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": "x = 1"},
		{"cell_type": "code", "metadata": {"tags": ["raises-exception"]}, "outputs": [], "execution_count": null,
		 "source": "import not_there"},
		{"cell_type": "code", "metadata": {"tags": ["remove-cell"]}, "outputs": [], "execution_count": null,
		 "source": "x = 2"}]}`})
	code, out, errs := command(t, "", filepath.Join(dir, "a.ipynb"), "--slice", "x", "--stdout")
	if code != 0 || errs != "" || !strings.Contains(out, "x = 1\n") || strings.Contains(out, "x = 2") ||
		!strings.Contains(out, "try:\n    import not_there\nexcept Exception:\n") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
}

func TestTheSourceMapLeadsToTheCell(t *testing.T) {
	name := notebook(t, "a = 1\n\nb = 2", "%%capture out\nprint('x')")
	dir := filepath.Dir(name)
	if code, _, errs := command(t, "", name, "--source-map", filepath.Join(dir, "map.json")); code != 0 {
		t.Fatal(errs)
	}
	all := contents(t, dir)
	var sourceMap struct {
		Lines []struct{ Script, Cell, Line int }
	}
	if err := json.Unmarshal([]byte(all["map.json"]), &sourceMap); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(all["a.py"], "\n")
	found := map[string][2]int{}
	for _, l := range sourceMap.Lines {
		found[strings.TrimSpace(lines[l.Script-1])] = [2]int{l.Cell, l.Line}
	}
	for text, want := range map[string][2]int{"a = 1": {1, 1}, "b = 2": {1, 3}, "print('x')": {2, 2}} {
		t.Run(text, func(t *testing.T) {
			if found[text] != want {
				t.Errorf("it is at %v, want %v", found[text], want)
			}
		})
	}
}

func TestANotebookIsUpgraded(t *testing.T) {
	old := `{"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1"], "language": "python", ` +
		`"outputs": [], "collapsed": false, "prompt_number": 1, "metadata": {}}], "metadata": {}}], ` +
		`"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0}`
	dir := folder(t, map[string]string{
		"a.ipynb": old, "b.ipynb": `{"cells": [1], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}`,
	})
	a := filepath.Join(dir, "a.ipynb")
	if code, out, errs := command(t, "", a, "--to", "notebook"); code != 0 || out != "" || errs != "" {
		t.Fatal(code, out, errs)
	}
	made := contents(t, dir)["a.nbconvert.ipynb"]
	if !strings.Contains(made, `"nbformat_minor": 5`) || !strings.Contains(made, `"execution_count": 1`) {
		t.Error(made)
	}
	if code, _, errs := command(t, "", a, "--to", "notebook", "--inplace"); code != 0 {
		t.Fatal(errs)
	}
	first := contents(t, dir)["a.ipynb"]
	if !strings.Contains(first, `"nbformat": 4`) {
		t.Error(first)
	}
	if code, _, errs := command(t, "", a, "--to", "notebook", "--inplace", "--check", "--strict"); code != 0 {
		t.Error("what was upgraded is upgraded again: " + errs)
	}
	code, _, errs := command(t, "", filepath.Join(dir, "b.ipynb"), "--to", "notebook", "--strict", "--stdout")
	if code != 1 || !strings.Contains(errs, "/cells/0") {
		t.Errorf("%d %s", code, errs)
	}
	code, _, errs = command(t, "", a, "--inplace")
	if code != 2 || !strings.Contains(errs, "--inplace goes with --to notebook") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestTextsOfANotebook(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": "%matplotlib inline\na = 1"})
	a := filepath.Join(dir, "a.ipynb")
	for _, c := range []struct{ to, file, want string }{
		{"percent", "a.py", "# %%\n# %matplotlib inline\na = 1\n"},
		{"markdown", "a.md", "```python\n%matplotlib inline\na = 1\n```\n"},
	} {
		t.Run(c.to, func(t *testing.T) {
			if code, out, errs := command(t, "", a, "--to", c.to); code != 0 || out != "" || errs != "" {
				t.Fatal(code, out, errs)
			}
			if text := contents(t, dir)[c.file]; !strings.Contains(text, c.want) {
				t.Error(text)
			}
			// Back to a notebook, and from there to a script.
			back := filepath.Join(dir, c.to, "b.ipynb")
			if code, _, errs := command(t, "", filepath.Join(dir, c.file), "--to", "notebook", "--output-dir",
				filepath.Dir(back)); code != 0 {
				t.Fatal(errs)
			}
			code, out, errs := command(t, "", filepath.Join(dir, c.file), "--stdout")
			if code != 0 || !strings.Contains(out, "# Cell 1\n# %matplotlib inline\na = 1\n") {
				t.Errorf("%d %s %s", code, out, errs)
			}
			if text := contents(t, dir)[c.to+"/a.ipynb"]; !strings.Contains(text, `"%matplotlib inline\n"`) {
				t.Error(text)
			}
		})
	}
}

// A script that Databricks exported is a notebook; one that was edited as text keeps the outputs of the other cells.
func TestADatabricksExportAndOutputsThatStay(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.py": "# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n\n# COMMAND ----------\n\na = 1\n" +
			"\n# COMMAND ----------\n\n# MAGIC %sh ls\n",
		"b.ipynb": `{"cells": [{"cell_type": "code", "id": "x", "metadata": {}, "execution_count": 7, "source": "1", ` +
			`"outputs": [{"output_type": "stream", "name": "stdout", "text": "kept"}]}], "metadata": {}, ` +
			`"nbformat": 4, "nbformat_minor": 5}`,
		"b.py": "# %%\n1\n\n# %%\n2\n",
	})
	code, out, errs := command(t, "", filepath.Join(dir, "a.py"), "--stdout")
	if code != 0 || !strings.Contains(out, "# # Title\n") || !strings.Contains(out, "a = 1\n") ||
		!strings.Contains(out, "_metaml_run_script(") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, _, errs := command(t, "", filepath.Join(dir, "b.py"), "--to", "notebook"); code != 0 {
		t.Fatal(errs)
	}
	text := contents(t, dir)["b.ipynb"]
	if !strings.Contains(text, "kept") || !strings.Contains(text, `"execution_count": 7`) ||
		!strings.Contains(text, `"2"`) {
		t.Error(text)
	}
}

// A script is in the language of its extension, and so is the notebook that is made of it.
func TestScriptsInOtherLanguages(t *testing.T) {
	for _, c := range []struct{ name, text, language, cell string }{
		{"a.R", "# %%\nx <- 1\n", "R", "x <- 1"},
		{"a.jl", "# %%\nx = 1\n", "julia", "x = 1"},
		{"a.js", "// %%\nlet x = 1\n\n// %% [markdown]\n// text\n", "javascript", "let x = 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{c.name: c.text})
			if code, _, errs := command(t, "", dir+"/"+c.name, "--to", "notebook"); code != 0 {
				t.Fatal(errs)
			}
			d, err := nbformat.Parse([]byte(contents(t, dir)["a.ipynb"]))
			if err != nil || d.Language() != c.language || d.Cells()[0].Source() != c.cell {
				t.Errorf("%v %+v", err, contents(t, dir))
			}
			for _, to := range []string{"percent", "script"} {
				code, out, errs := command(t, "", dir+"/a.ipynb", "--to", to, "--stdout")
				if code != 0 || errs != "" || out != c.text {
					t.Errorf("%s: %d %s %s", to, code, out, errs)
				}
			}
			code, _, errs := command(t, "", dir+"/"+c.name)
			want := dir + "/" + c.name + ": the script would replace its own source; name another file with -o\n"
			if code != 1 || errs != want {
				t.Errorf("%d %s", code, errs)
			}
		})
	}
	dir := folder(t, map[string]string{"a.R": "x <- 1\n"})
	code, _, errs := command(t, "", dir+"/a.R", "--to", "notebook")
	if want := dir + "/a.R is a script already: mark its cells by \"# %%\"\n"; code != 1 || errs != want {
		t.Errorf("%d %s", code, errs)
	}
}

func TestANotebookInAnotherLanguage(t *testing.T) {
	dir := folder(t, map[string]string{"a.ipynb": `{"cells": [` +
		`{"cell_type": "markdown", "metadata": {}, "source": "text"}, ` +
		`{"cell_type": "code", "metadata": {}, "outputs": [], "source": "x <- 1"}], "metadata": {"language_info": ` +
		`{"name": "R", "file_extension": ".r"}, "kernelspec": {"name": "ir", "display_name": "R"}}, "nbformat": 4}`})
	code, out, errs := command(t, "", filepath.Join(dir, "a.ipynb"))
	after := contents(t, dir)
	text := after["a.r"] + after["a.R"]
	if code != 0 || out != "" || errs != "" || !strings.Contains(text, "# text\n") ||
		!strings.Contains(text, "x <- 1\n") {
		t.Errorf("%d %s %s %v", code, out, errs, after)
	}
}
