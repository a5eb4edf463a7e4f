package jupytext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/nbformat"
)

// outline is a notebook as the tests' files describe it: a line "=== kind metadata" and the source of each cell.
func outline(t *testing.T, d *nbformat.Document) string {
	t.Helper()
	var b strings.Builder
	for _, c := range d.Cells() {
		b.WriteString("=== " + c.Type())
		if m := c.Metadata(); m.Len() > 0 {
			b.WriteString(" " + dumps(m))
		}
		b.WriteString("\n" + c.Source() + "\n")
	}
	return b.String()
}

// Each file of testdata holds a text and, behind a line "=====", the notebook that it is.
func TestTextsAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		kind := filepath.Base(filepath.Dir(file))
		t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, ok := strings.Cut(string(data), "=====\n")
			if !ok {
				t.Fatal("there is no line =====")
			}
			var d *nbformat.Document
			switch kind {
			case "percent":
				d, err = FromPercent([]byte(text), Options{})
			case "markdown":
				d, err = FromMarkdown([]byte(text), Options{})
			case "databricks":
				d, err = FromDatabricks([]byte(text), Options{})
			default:
				t.Fatalf("unknown kind of test %q", kind)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, outline(t, d)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if problems := d.Validate(); len(problems) > 0 {
				t.Errorf("the notebook is not valid: %v", problems)
			}
		})
	}
}

func notebookOf(t *testing.T, json string) *nbformat.Document {
	t.Helper()
	d, err := nbformat.Parse([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOtherLanguages(t *testing.T) {
	for _, c := range []struct{ language, fileExtension, extension, comment string }{
		{"R", ".r", ".R", "# "},
		{"R", "", ".R", "# "},
		{"julia", ".jl", ".jl", "# "},
		{"scala", ".sc", ".scala", "// "},
		{"bash", ".sh", ".sh", "# "},
		{"javascript", ".js", ".js", "// "},
		{"C++17", ".cpp", ".cpp", "// "},
		{"C++", ".C", ".cpp", "// "},
		{"sql", ".sql", ".sql", "-- "},
		{"C#", ".cs", ".cs", "// "},
		{"F#", ".fs", ".fsx", "// "},
		{"rust", ".rs", ".rs", "// "},
		{"haskell", ".hs", ".hs", "-- "},
		{"kotlin", ".kt", ".kt", "// "},
		{"ocaml", ".ml", ".ml", "(* "},
		{"octave", ".m", ".m", "% "},
		{"lua", "", ".lua", "-- "},
		{"brainfuck", ".bf", ".bf", "# "},
		{"brainfuck", "../../x", ".txt", "# "},
	} {
		t.Run(c.language+c.fileExtension, func(t *testing.T) {
			d := nbformat.New(nbformat.NewCell("markdown", "# Title"), nbformat.NewCell("code", "x <- 1"))
			info := nbformat.ObjectValue()
			info.Set("name", nbformat.StringValue(c.language))
			if c.fileExtension != "" {
				info.Set("file_extension", nbformat.StringValue(c.fileExtension))
			}
			d.Metadata().Set("language_info", info)
			text, extension, err := Script(d)
			if err != nil {
				t.Fatal(err)
			}
			suffix := ""
			if c.comment == "(* " {
				suffix = " *)"
			}
			want := c.comment + "%% [markdown]" + suffix + "\n" + c.comment + "# Title" + suffix + "\n\n" +
				c.comment + "%%" + suffix + "\nx <- 1\n"
			if extension != c.extension || string(text) != want {
				t.Errorf("%s\n%s\nwant %s\n%s", extension, text, c.extension, want)
			}
		})
	}
}

func TestOutputsAreKept(t *testing.T) {
	const before = `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
{"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "outputs": [{"output_type": "stream",
 "name": "stdout", "text": "1"}], "source": "print(1)"},
{"cell_type": "code", "id": "b", "metadata": {}, "execution_count": 2, "outputs": [{"output_type": "stream",
 "name": "stdout", "text": "2"}], "source": "print(2)"},
{"cell_type": "code", "id": "c", "metadata": {}, "execution_count": 3, "outputs": [], "source": "print(1)"},
{"cell_type": "markdown", "id": "d", "metadata": {}, "attachments": {"a.png": {"image/png": ""}}, "source": "hi"}]}`
	n := 0
	ids := func() string { n++; return string(rune('a' + n - 1)) }
	d, err := FromPercent([]byte("# %%\nprint(1)\n\n# %%\nprint(20)\n\n# %% [markdown]\n# hi\n\n# %%\nprint(1)\n"),
		Options{NewID: ids})
	if err != nil {
		t.Fatal(err)
	}
	Keep(d, notebookOf(t, before))
	cells := d.Cells()
	if got := cells[0]; got.ID() != "a" || got.Count() != 1 || got.Outputs().Len() != 1 {
		t.Errorf("the first cell is %s", got.ID())
	}
	if got := cells[1]; got.Outputs().Len() != 0 || got.Count() != 0 || got.ID() == "a" || got.ID() == "c" {
		t.Errorf("the changed cell is %s with %d outputs", got.ID(), got.Outputs().Len())
	}
	if got := cells[2]; got.ID() != "d" || got.Value().Get("attachments").Len() != 1 {
		t.Errorf("the text is %s", got.ID())
	}
	if got := cells[3]; got.ID() != "c" || got.Count() != 3 {
		t.Errorf("the last cell is %s", got.ID())
	}
	if problems := d.Validate(); len(problems) > 0 {
		t.Errorf("the notebook is not valid: %v", problems)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	for _, c := range []struct{ name, notebook, want string }{
		{
			"version 3", `{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}`,
			"the notebook is of version 3: upgrade it to version 4 first",
		},
		{
			"half of a pair", `{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{"cell_type": "code",
"metadata": {}, "outputs": [], "execution_count": null, "source": "\ud800"}]}`,
			"cell 1 has half of a surrogate pair, which text cannot hold",
		},
		{"unknown type", `{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{"cell_type": "x",
"metadata": {}, "source": ""}]}`, `cell 1 is of the unknown type "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Percent(notebookOf(t, c.notebook), Options{}); err == nil || err.Error() != c.want {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("no Databricks", func(t *testing.T) {
		if _, err := FromDatabricks([]byte("x = 1\n"), Options{}); err == nil {
			t.Error("it is read")
		}
	})
	t.Run("no UTF-8", func(t *testing.T) {
		if _, err := FromPercent([]byte("\xff"), Options{}); err == nil {
			t.Error("it is read")
		}
	})
}
