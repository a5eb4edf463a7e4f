package nbformat

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

func TestWhereCellsStand(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []Place
	}{
		{
			"as Jupyter writes it", "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"source\": [\n" +
				"    \"a\\n\",\n    \"b\"\n   ]\n  },\n  {\n   \"cell_type\": \"code\",\n   \"source\": []\n  }\n ]}",
			[]Place{{3, []int{6, 7}}, {10, nil}},
		},
		{"all in one line", `{"cells": [{"cell_type": "code", "source": ["a\n", "b"]}]}`, []Place{{1, []int{1, 1}}}},
		{
			"a string of several lines", "{\"cells\": [\n{\"cell_type\": \"code\",\n\"source\": \"a\\nb\\r\\n\\nc\"}]}",
			[]Place{{2, []int{3, 3, 3, 3}}},
		},
		{
			"lines in other strings than Jupyter's",
			"{\"cells\": [{\"cell_type\": \"code\", \"source\": [\n\"a\\nb\",\n\"c\\n\\n\",\n\"\",\n\"d\"]}]}",
			[]Place{{1, []int{2, 2, 3, 5}}},
		},
		{
			"lines of the file that end in CRLF",
			"{\"cells\": [\r\n{\"cell_type\": \"code\", \"source\": [\r\n\"a\\r\\n\",\r\n\"b\"]}]}",
			[]Place{{2, []int{3, 4}}},
		},
		{
			"version 3 without ends of lines",
			"{\"nbformat\": 3, \"worksheets\": [{\"cells\": [\n{\"cell_type\": \"code\",\n" +
				"\"input\": [\n\"a\",\n\"b\"]}]}]}",
			[]Place{{2, []int{4, 5}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(c.in, "nbformat") {
				c.in = strings.TrimSuffix(c.in, "}") + `, "nbformat": 4}`
			}
			nb, got, err := Locate(strings.NewReader(c.in))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, %v", got, err)
			}
			if read, err := Read(strings.NewReader(c.in)); err != nil || !reflect.DeepEqual(read, nb) {
				t.Errorf("Read gives %v, %v", read, err)
			}
		})
	}
}

// In what Jupyter writes, a line of the source stands in its line of the file.
func TestLinesOfJupyter(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), venv.Python(t), "-c", `
import nbformat
from nbformat import v4
cells = [v4.new_markdown_cell("# Title\n\ntext"), v4.new_code_cell("a = 'é\\n'\n\nb = 2\n"), v4.new_code_cell("")]
cells[1].outputs = [v4.new_output("stream", text="x\ny\n")]
print(nbformat.writes(v4.new_notebook(cells=cells)))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	nb, places, err := Locate(strings.NewReader(string(out)))
	if err != nil || len(places) != 3 {
		t.Fatal(err, places)
	}
	file := strings.Split(string(out), "\n")
	for i, p := range places {
		lines := strings.SplitAfter(strings.TrimSuffix(nb.Cells[i].Source, "\n"), "\n")
		if nb.Cells[i].Source == "" {
			lines = nil
		}
		if file[p.Cell-1] != "  {" || len(p.Lines) != len(lines) {
			t.Fatalf("cell %d: %v %q", i, p, lines)
		}
		for j, at := range p.Lines {
			var text string
			err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(file[at-1]), ",")), &text)
			if err != nil || strings.TrimSuffix(text, "\n") != strings.TrimSuffix(lines[j], "\n") {
				t.Errorf("line %d of cell %d: %q, %v", j, i, text, err)
			}
		}
	}
}
