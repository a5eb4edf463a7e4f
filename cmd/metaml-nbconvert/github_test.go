package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// An annotation is at the line of the file, as a pull request shows it.
func TestAnnotationsAreAtTheLineOfTheFile(t *testing.T) {
	const cells = `[{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "source": "a = 1\n%R x"}]`
	for _, c := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{
			"as Jupyter writes it",
			"{\n \"cells\": [\n  {\n   \"cell_type\": \"markdown\",\n   \"source\": []\n  },\n  {\n" +
				"   \"cell_type\": \"code\",\n   \"execution_count\": 7,\n   \"source\": [\n    \"a = 1\\n\",\n" +
				"    \"%R x\"\n   ]\n  }\n ],\n \"nbformat\": 4\n}\n",
			nil, "error file=DIR/a.ipynb,line=12::cell 7, line 2: %25R runs",
		},
		{
			"a source that is one string",
			"{\n \"nbformat\": 4,\n \"cells\": [{\"cell_type\": \"code\",\n\"source\": \"a = 1\\n%R x\"}]\n}",
			nil, "error file=DIR/a.ipynb,line=4::cell 1, line 2: %25R runs",
		},
		{
			"all in one line", `{"nbformat": 4, "cells": ` + cells + `}`,
			nil, "error file=DIR/a.ipynb,line=1::cell 1, line 2: %25R runs",
		},
		{
			"lines that end in CRLF",
			"{\r\n \"nbformat\": 4,\r\n \"cells\": [{\"cell_type\": \"code\",\r\n\"source\": [\r\n\"a = 1\\r\\n\"," +
				"\r\n\"%R x\"]}]}",
			nil, "error file=DIR/a.ipynb,line=6::cell 1, line 2: %25R runs",
		},
		{
			"a notice", "{\"nbformat\": 4, \"cells\": [{\"cell_type\": \"code\", \"source\": [\n\"x = 1\\n\",\n" +
				"\"open('../input/x')\"]}]}",
			nil, "notice file=DIR/a.ipynb,line=3::cell 1, line 2: ",
		},
		{
			"no JSON", "{\n \"cells\": [\n  }",
			nil, "error file=DIR/a.ipynb,line=3,col=3::this is not a notebook: byte 16 (line 3, column 3)",
		},
		{
			"against the format's rules",
			"{\"nbformat\": 4, \"nbformat_minor\": 4, \"metadata\": {}, \"cells\": [\n{\"cell_type\": \"raw\", " +
				"\"metadata\": {}, \"source\": \"\"},\n{\"cell_type\": \"raw\", \"metadata\": 1, \"source\": \"\"}]}",
			[]string{"--strict"},
			"error file=DIR/a.ipynb,line=3::cell 2 (/cells/1/metadata): ",
		},
		{
			"in a notebook that it runs",
			`{"nbformat": 4, "cells": [{"cell_type": "code", "source": "%run sub/b.ipynb"}]}`,
			nil, "error file=DIR/sub/b.ipynb,line=2::sub/b.ipynb: cell 1, line 1: %25R runs",
		},
		{
			"a script with cells", "# %%\na = 1\n# %%\n# %R x\n",
			[]string{"--from", "percent", "-o", "b.py"},
			"error file=DIR/a.ipynb::cell 2, line 1: %25R runs",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{
				"sub/b.ipynb": "{\"nbformat\": 4, \"cells\": [\n{\"cell_type\": \"code\", \"source\": \"%R x\"}]}",
			})
			t.Chdir(dir)
			name := filepath.Join(dir, "a.ipynb")
			if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, out, errs := command(t, "", append([]string{name, "--format", "github"}, c.args...)...)
			want := "::" + strings.ReplaceAll(c.want, "DIR", dir)
			if out != "" || !strings.HasPrefix(errs, want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("got  %s%s\nwant %s", out, errs, want)
			}
		})
	}
}

// Whatever Jupyter's own library writes: the line of the file has the line of the cell.
func TestAnnotationsOfJupytersFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.ipynb")
	out, err := exec.CommandContext(t.Context(), venv.Python(t), "-c", `
import sys, nbformat
from nbformat import v4
cells = [v4.new_markdown_cell("# Title\n\ntext"), v4.new_code_cell("a = 'é'\n\nif a:\n    %R second\n")]
cells[0].attachments = {"a.png": {"image/png": "AAAA"}}
cells[1].outputs = [v4.new_output("stream", text="x\ny\n")]
nbformat.write(v4.new_notebook(cells=cells), sys.argv[1])`, name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	_, _, errs := command(t, "", name, "--format", "github")
	lines := strings.Split(contents(t, filepath.Dir(name))["a.ipynb"], "\n")
	for i, l := range lines {
		want := "::error file=" + name + ",line=" + strconv.Itoa(i+1) + "::"
		if strings.Contains(l, "%R second") && strings.HasPrefix(errs, want) {
			return
		}
	}
	t.Error(errs)
}
