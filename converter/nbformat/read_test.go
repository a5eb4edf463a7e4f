package nbformat

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"strings"
	"testing"

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

func TestHeadingsAndOldTypes(t *testing.T) {
	nb, err := ReadBytes([]byte(`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":9,"source":"a\n b"},` +
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
		{"empty", ` `, "the notebook is empty"},
		{"not JSON", `{"cells":[{],"x":1}`, "this is not a notebook: byte 11 (line 1, column 12) is not JSON: a key in quotes is expected, not ']'"},
		{"an array", `[]`, `this is not a notebook: "/" is a JSON array`},
		{
			"a version that is a text",
			`{"nbformat":"4","cells":[]}`,
			`this is not a notebook: "/nbformat" is a JSON string`,
		},
		{"version 0", `{"nbformat":0,"cells":[]}`, "notebooks of version 0 are not known; versions 1 to 4 are"},
		{
			"a source that is an object",
			`{"nbformat":4,"cells":[{"cell_type":"code","source":"a"},{"cell_type":"code","source":{}}]}`,
			"cell 2 of the notebook cannot be read (/cells/1): its source is neither a string nor a list of strings",
		},
		{"a cell that is a number", `{"nbformat":4,"cells":[3]}`, "cell 1 of the notebook cannot be read (/cells/0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadBytes([]byte(c.in)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func FuzzCells(f *testing.F) {
	f.Add([]byte(`{"nbformat":4,"cells":[{"cell_type":"code","source":["a\n","b"],"execution_count":1,` +
		`"metadata":{"tags":["x"]}}]}`))
	f.Add([]byte(`{"worksheets":[{"cells":[{"cell_type":"heading","level":1e9,"code":"x","prompt_number":"1"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		nb, err := ReadBytes(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		for _, c := range nb.Cells {
			if c.Type == "" || c.Count < 0 {
				t.Errorf("got %+v", c)
			}
		}
	})
}
