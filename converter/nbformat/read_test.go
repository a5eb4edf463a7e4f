package nbformat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/metaml/metaml/test/venv"
)

func TestRead(t *testing.T) {
	nb, err := ReadBytes([]byte("\ufeff" + `{"nbformat":4,"nbformat_minor":5,
		"metadata":{"kernelspec":{"language":"python"},"language_info":{"version":"3.12.1"}},"cells":[
		{"cell_type":"code","id":"a","execution_count":3,"metadata":{"tags":["one",2,""]},"source":["x = 1\n","y"],
		"outputs":[{"output_type":"stream","text":["…"]}]},
		{"cell_type":"markdown","source":null,"attachments":{"i.png":{"image/png":"AAAA"}}},
		{"cell_type":"raw","source":["a\r\n","b"]},
		{"cell_type":"code","id":7,"execution_count":-1,"source":[]},
		{"cell_type":"code","execution_count":1e300}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Notebook{Format: 4, Minor: 5, Language: "python", Version: "3.12.1", Cells: []Cell{
		{Type: "code", Source: "x = 1\ny", ID: "a", Count: 3, Tags: []string{"one"}},
		{Type: "markdown"},
		{Type: "raw", Source: "a\r\nb"},
		{Type: "code"},
		{Type: "code"},
	}}
	if !reflect.DeepEqual(nb, want) {
		t.Errorf("got %+v\nwant %+v", nb, want)
	}
}

func TestWhereTheLanguageStands(t *testing.T) {
	for _, c := range []struct{ name, metadata, want string }{
		{"nowhere", `{"jupytext": {}}`, ""},
		{"with the kernel", `{"jupytext": {"main_language": "julia"}, "kernelspec": {"language": "R"}}`, "R"},
		{"by what ran", `{"kernelspec": {"language": "R"}, "language_info": {"name": "python"}}`, "python"},
		{"of the script that it was", `{"jupytext": {"main_language": "julia"}}`, "julia"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := []byte(`{"cells": [], "metadata": ` + c.metadata + `, "nbformat": 4}`)
			nb, err := ReadBytes(text)
			if err != nil || nb.Language != c.want {
				t.Errorf("%+v, %v", nb, err)
			}
			if d, err := Parse(text); err != nil || d.Language() != c.want {
				t.Errorf("the document's is %q, %v", d.Language(), err)
			}
		})
	}
}

func TestHeadingsAndOldTypes(t *testing.T) {
	nb, err := ReadBytes([]byte(`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":9,` +
		`"source":"a\n b"},` +
		`{"cell_type":"html","source":"<b>"}]},{"cells":[{"cell_type":"code","input":["a","b"]}]}]}`))
	if err != nil || !reflect.DeepEqual(nb.Cells,
		[]Cell{
			{Type: "markdown", Source: "###### a  b"},
			{Type: "markdown", Source: "<b>"},
			{Type: "code", Source: "a\nb"},
		}) {
		t.Errorf("got %+v, %v", nb, err)
	}
}

// TestJupyterWritesWhatWeRead lets Jupyter's own library write a notebook of each version.
func TestJupyterWritesWhatWeRead(t *testing.T) {
	const script = `
import json, nbformat
from nbformat import v4
first = v4.new_code_cell("a = 1\n\nb = 'é'\n", execution_count=5)
cells = [v4.new_markdown_cell("# Title\nx"), first, v4.new_code_cell("%time f()"), v4.new_code_cell("")]
nb = v4.new_notebook(cells=cells)
print(json.dumps([nbformat.writes(nbformat.convert(nb, v), version=v) for v in (3, 4)]))`
	out, err := exec.CommandContext(t.Context(), venv.Python(t), "-W", "ignore", "-c", script).Output()
	if err != nil {
		t.Fatalf("no notebook from Jupyter: %v", err)
	}
	var texts []string
	if err := json.Unmarshal(out, &texts); err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		nb, err := ReadBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var code []string
		for _, c := range nb.Cells {
			if c.Type == "code" {
				code = append(code, c.Source)
			}
		}
		if !reflect.DeepEqual(code, []string{"a = 1\n\nb = 'é'\n", "%time f()", ""}) ||
			nb.Cells[len(nb.Cells)-3].Count != 5 {
			t.Errorf("version %d: got %+v", nb.Format, nb.Cells)
		}
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", " \n", "the notebook is empty: save it again, or restore it from a checkpoint"},
		{"a mark alone", "\ufeff", "the notebook is empty: save it again, or restore it from a checkpoint"},
		{
			"not JSON", `{"cells":[{],"x":1}`,
			"this is not a notebook: byte 11 (line 1, column 12) is not JSON: a key in quotes is expected, not ']'",
		},
		{
			"a page of a web site", "<!DOCTYPE html>",
			"this is not a notebook: byte 0 (line 1, column 1) is not JSON: a value is expected, not '<'",
		},
		{
			"no comma", "{\"cells\":[],\n \"nbformat\":4 \"a\":1}",
			"this is not a notebook: byte 27 (line 2, column 15) is not JSON: a comma or } is expected, not '\"'",
		},
		{
			"something behind it", `{"cells":[]}{}`,
			"this is not a notebook: byte 12 (line 1, column 13) is not JSON: the end of the file is expected, not '{'",
		},
		{
			"a number with a zero before it", `{"cells":[],"a":01}`,
			"this is not a notebook: byte 16 (line 1, column 17) is not JSON: a value is expected, not '0'",
		},
		{
			"an end of line in a string", "{\"cells\":[\"a\nb\"]}",
			"this is not a notebook: byte 12 (line 1, column 13) is not JSON: the end of a string is expected, not " +
				"the " +
				"control character 0x0a",
		},
		{
			"an escape of Python", `{"cells":["\x41"]}`,
			"this is not a notebook: byte 12 (line 1, column 13) is not JSON: an escape that JSON knows (\\n, \\\"," +
				" \\\\, " +
				"\\u0000) is expected, not 'x'",
		},
		{
			"cut off", "{\"cells\":[\n{\"source\":[\"a",
			"the notebook is cut off after 24 bytes (line 2): save it again, or restore it from a checkpoint",
		},
		{
			"cut off in an escape", `{"cells":["\u00`,
			"the notebook is cut off after 15 bytes (line 1): save it again, or restore it from a checkpoint",
		},
		{
			"cut off in a character", "{\"cells\":[\"\xe2\x82",
			"the notebook is cut off after 13 bytes (line 1): save it again, or restore it from a checkpoint",
		},
		{
			"cut off in a word", `{"cells":[tru`,
			"the notebook is cut off after 13 bytes (line 1): save it again, or restore it from a checkpoint",
		},
		{
			"a NUL byte in a string", "{\"cells\":[\"a\x00\"]}",
			"the notebook has a NUL byte at byte 12 (line 1, column 13), so it is damaged or not a notebook: " +
				"restore it from a checkpoint",
		},
		{
			"NUL bytes alone", "\x00\x00\x00\x00\x00",
			"the notebook has a NUL byte at byte 0 (line 1, column 1), so it is damaged or not a notebook: " +
				"restore it from a checkpoint",
		},
		{
			"broken UTF-8 in an output", "{\"cells\":[{\"outputs\":[\"\u00e9\xff\"]}]}",
			"byte 25 (line 1, column 26) of the notebook is not UTF-8 (0xff): save it again as UTF-8",
		},
		{
			"broken UTF-8 between values", "{\"cells\":\xe9[]}",
			"byte 9 (line 1, column 10) of the notebook is not UTF-8 (0xe9): save it again as UTF-8",
		},
		{
			"Latin-1", "{\"cells\":[\"caf\xe9\"]}",
			"byte 14 (line 1, column 15) of the notebook is not UTF-8 (0xe9): save it again as UTF-8",
		},
		{
			"UTF-16, little end first", "\xff\xfe{\x00}\x00",
			"the notebook is in UTF-16, as its first bytes say: save it as UTF-8",
		},
		{
			"UTF-16, big end first", "\xfe\xff\x00{\x00}",
			"the notebook is in UTF-16, as its first bytes say: save it as UTF-8",
		},
		{
			"UTF-32", "\xff\xfe\x00\x00{\x00\x00\x00",
			"the notebook is in UTF-32, as its first bytes say: save it as UTF-8",
		},
		{
			"a merge conflict", "{\n \"cells\": [\n<<<<<<< HEAD\n  1\n=======\n  2\n>>>>>>> other\n ]}",
			"the notebook has the marks of a merge conflict in line 3: choose a side, for example with " +
				"`git checkout --ours` or `nbdime mergetool`",
		},
		{
			"what is left of a merge conflict", "{\n \"cells\": []\n=======\n}",
			"the notebook has the marks of a merge conflict in line 3: choose a side, for example with " +
				"`git checkout --ours` or `nbdime mergetool`",
		},
		{
			"deep lists", `{"cells":[],"a":` + strings.Repeat("[", 100_000),
			"the notebook has more than 990 lists and objects in each other at byte 1005 (line 1, column 1006), " +
				"which " +
				"Python's json cannot read either",
		},
		{
			"deep objects", strings.Repeat(`{"a":`, 100_000),
			"the notebook has more than 990 lists and objects in each other at byte 4950 (line 1, column 4951), " +
				"which " +
				"Python's json cannot read either",
		},
		{
			"half of a surrogate pair", `{"nbformat":4,"cells":[{"cell_type":"code","source":["a\n","\ud800"]}]}`,
			"cell 1 of the notebook cannot be read (/cells/0): its text at byte 59 (line 1) has half of a " +
				"surrogate pair " +
				"(\\ud800 to \\udfff), which is no character: take it out",
		},
		{
			"a number without an end", `{"cells":[` + strings.Repeat("1", 1<<17),
			"a number or word is longer than 65,536 characters; this is no notebook of Jupyter",
		},
		{"no cells", `{"a":1}`, "this is not a notebook: it has no cells"},
		{"an array", `[]`, `this is not a notebook: "/" is a JSON array`},
		{
			"a version that is a text",
			`{"nbformat":"4","cells":[]}`,
			`this is not a notebook: "/nbformat" is a JSON string`,
		},
		{"cells that are no list", `{"nbformat":4,"cells":{}}`, `this is not a notebook: "/cells" is a JSON object`},
		{
			"version 0", `{"nbformat":0,"cells":[]}`,
			"notebooks of version 0 are not known; versions 1 to 4 are: save it as version 4",
		},
		{
			"version 5", `{"cells":[{"new":{}}],"nbformat":5}`,
			"notebooks of version 5 are not known; versions 1 to 4 are: save it as version 4",
		},
		{
			"a source that is an object",
			`{"nbformat":4,"cells":[{"cell_type":"code","source":"a"},{"cell_type":"code","source":{}}]}`,
			"cell 2 of the notebook cannot be read (/cells/1): its source is neither a string nor a list of strings",
		},
		{
			"a cell that is a number", `{"nbformat":3,"worksheets":[{"cells":[3]}]}`,
			"cell 1 of the notebook cannot be read (/worksheets/0/cells/0): it is a JSON number, not an object",
		},
		{
			"a cell without a type", `{"nbformat":4,"cells":[{"source":"a"}]}`,
			"cell 1 of the notebook has no type (/cells/0/cell_type)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.in))
			_, bytewise := Read(iotest.OneByteReader(strings.NewReader(c.in)))
			if err == nil || err.Error() != c.want || bytewise == nil || bytewise.Error() != c.want {
				t.Errorf("got  %v\nbyte by byte %v\nwant %s", err, bytewise, c.want)
			}
		})
	}
}

func TestAnErrorOfTheReaderIsKept(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, start := range []string{"", `{"cells":[{"source":"abc`, `{"cells":[]}`} {
		_, err := Read(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("%q: got %v", start, err)
		}
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	_, err := ReadBytes([]byte("{\n \"cells\": oops}"))
	var e *Error
	if !errors.As(err, &e) || e.Offset != 12 || e.Line != 2 || e.Column != 11 {
		t.Errorf("got %#v", e)
	}
}

// endless is the start of a notebook whose output has no end.
type endless struct{ start string }

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.start)
	e.start = e.start[n:]
	for i := n; i < len(b); i++ {
		b[i] = '0'
	}
	return len(b), nil
}

func TestOutputsAreNotHeld(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(&endless{`{"cells":[{"outputs":[{"text":["`})
	runtime.ReadMemStats(&after)
	if err == nil || err.Error() != "the notebook is larger than 1 GiB: clear the outputs of its cells" {
		t.Errorf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("an output of 1 GiB took %d bytes", used)
	}
}

func TestLargeNotebooks(t *testing.T) {
	t.Run("100,000 cells", func(t *testing.T) {
		var b strings.Builder
		b.WriteString(`{"cells":[`)
		for i := range 100_000 {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"cell_type":"code","source":["x\n","y"]}`)
		}
		b.WriteString(`],"nbformat":4}`)
		nb, err := Read(strings.NewReader(b.String()))
		if err != nil || len(nb.Cells) != 100_000 || nb.Cells[99_999].Source != "x\ny" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a line of 10 MB", func(t *testing.T) {
		line := strings.Repeat("é", 5<<20)
		nb, err := Read(strings.NewReader(`{"cells":[{"cell_type":"code","source":["` + line + `"]}],"nbformat":4}`))
		if err != nil || nb.Cells[0].Source != line {
			t.Errorf("got %v", err)
		}
	})
}

func TestKeysInAnyOrder(t *testing.T) {
	nb, err := ReadBytes([]byte(`{"worksheets":[{"cells":[{"outputs":[{"text":["a"]}],"input":["a","b"],` +
		`"prompt_number":2,` +
		`"cell_type":"code"}]}],"metadata":{},"nbformat":2,"nbformat":3}`))
	if err != nil || nb.Format != 3 || !reflect.DeepEqual(nb.Cells, []Cell{{Type: "code", Source: "a\nb", Count: 2}}) {
		t.Errorf("got %+v, %v", nb, err)
	}
}

func TestLinesAreJoinedAsTheVersionSays(t *testing.T) {
	for version, want := range map[int]string{2: "a\n\nb", 3: "a\nb", 4: "a\nb"} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			nb, err := ReadBytes(fmt.Appendf(nil, `{"cells":[{"cell_type":"raw","source":["a\n","b"]}],`+
				`"nbformat":%d}`, version))
			if err != nil || nb.Cells[0].Source != want {
				t.Errorf("got %+v, %v", nb, err)
			}
		})
	}
	nb, err := ReadBytes([]byte(`{"cells":[{"cell_type":"raw","source":["a","b"]}],"nbformat":4}`))
	if err != nil || nb.Cells[0].Source != "ab" {
		t.Errorf("got %+v, %v", nb, err)
	}
}

func TestMinorVersionsOfTheFutureAreRead(t *testing.T) {
	nb, err := ReadBytes([]byte(`{"cells":[{"cell_type":"new","x":{}},{"cell_type":"code","source":"a"}],` +
		`"nbformat":4,` +
		`"nbformat_minor":99,"more":[]}`))
	if err != nil || nb.Minor != 99 || len(nb.Cells) != 2 || nb.Cells[0].Type != "new" || nb.Cells[1].Source != "a" {
		t.Errorf("got %+v, %v", nb, err)
	}
}
