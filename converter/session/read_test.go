package session

import (
	"strings"
	"testing"
)

func TestReadRefusesNonsenseWithOneSentence(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", ``, "this is not a session document: "},
		{"an array", `[]`, "this is not a session document: "},
		{"no version", `{}`, "this is not a session document: it has no version"},
		{
			"another version",
			`{"v":2,"kind":"live"}`,
			"the session document has version 2, and this metaml reads version 1: install the " +
				"same version of metaml in the notebook and here",
		},
		{"an unknown kind", `{"v":1,"kind":"odd"}`, `the session document is of an unknown kind, "odd"`},
		{
			"a cell with the number 0",
			`{"v":1,"kind":"live","cells":[{"seq":0}]}`,
			"cell 1 of the session document has the number 0; numbers begin at 1",
		},
		{
			"two cells with one number",
			`{"v":1,"kind":"live","cells":[{"seq":1},{"seq":1}]}`,
			"two cells of the session document have the number 1",
		},
		{
			"a cell that is its own parent",
			`{"v":1,"kind":"live","cells":[{"seq":1,"parent":1}]}`,
			"cell 1 of the session document is its own parent",
		},
		{
			"a failure at no line",
			`{"v":1,"kind":"live","cells":[{"seq":1,"failed_line":-1}]}`,
			"cell 1 of the session document failed at line -1, which is no line",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.in))
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := Read(strings.NewReader(`{"v":1,"x":"` + strings.Repeat("a", MaxBytes) + `"}`)); err == nil ||
		err.Error() != "the session document is larger than 64 MiB" {
		t.Errorf("got %.80v", err)
	}
}

func TestReadKeepsWhatIsKnown(t *testing.T) {
	d, err := Read(strings.NewReader(`{"v":1,"kind":"live","later":1,"cells":[{"seq":3,"count":7,"source":"x",` +
		`"ok":null},{"seq":5,"ok":false,"failed_line":2,"parent":3}],"names":{"x":{"kind":"value"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Cell(5); c == nil || c.OK == nil || *c.OK || c.FailedLine != 2 || d.Cell(3).OK != nil ||
		d.Cell(4) != nil {
		t.Errorf("got %+v", d.Cells)
	}
}

func TestFromNotebook(t *testing.T) {
	d, err := FromNotebook([]byte(`{"nbformat":4,"nbformat_minor":5,
		"metadata":{"language_info":{"name":"python","version":"3.11.2"}},"cells":[
		{"cell_type":"markdown","source":["# a"]},
		{"cell_type":"code","id":"x","execution_count":4,"source":["a = 1\r\n","b"],
		"outputs":[{"data":{"image/png":"AAAA"}}]},
		{"cell_type":"code","source":"  \n"},
		{"cell_type":"raw","source":"no"},
		{"cell_type":"code","execution_count":null,"source":"c"}]}`), "/a/b.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Cells) != 3 || d.Cells[0] != (Cell{Seq: 1, ID: "x", Source: "a = 1\nb"}) ||
		d.Cells[1] != (Cell{Seq: 2, Source: "  \n"}) || d.Cells[2] != (Cell{Seq: 3, Source: "c"}) ||
		d.Kind != Saved || d.Cwd != "/a" || d.Interpreter.Version != "3.11.2" {
		t.Errorf("got %+v", d)
	}
}

func TestSavedCountsAreLabelsIfEachCellHasOneOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		counts []string
		want   []int
	}{
		{[]string{"3", "7"}, []int{3, 7}},
		{[]string{"3", "null"}, []int{0, 0}},
		{[]string{"3", "3"}, []int{0, 0}},
		{[]string{"7", "3"}, []int{7, 3}},
	} {
		t.Run(strings.Join(c.counts, " "), func(t *testing.T) {
			d, err := FromNotebook([]byte(`{"nbformat":4,"cells":[
				{"cell_type":"code","source":"a","execution_count":`+c.counts[0]+`},
				{"cell_type":"markdown","source":"m"},
				{"cell_type":"code","source":""},
				{"cell_type":"code","source":"b","execution_count":`+c.counts[1]+`}]}`), "")
			if err != nil || d.Cells[0].Count != c.want[0] || d.Cells[2].Count != c.want[1] || d.Cells[2].Seq != 3 {
				t.Errorf("%v: got %+v, %v", c.counts, d, err)
			}
		})
	}
}

func TestOldNotebooks(t *testing.T) {
	for name, in := range map[string]string{
		"3": `{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":2,"source":"h"},` +
			`{"cell_type":"code","input":["a = 1\n","b"],"prompt_number":2}]}]}`,
		"2": `{"nbformat":2,"worksheets":[{"cells":[{"cell_type":"code","input":"a = 1\nb","prompt_number":2}]}]}`,
		"1": `{"cells":[{"cell_type":"code","code":"a = 1\nb","prompt_number":2}]}`,
	} {
		t.Run("version "+name, func(t *testing.T) {
			d, err := FromNotebook([]byte(in), "")
			if err != nil || len(d.Cells) != 1 || d.Cells[0].Source != "a = 1\nb" || d.Cells[0].Count != 2 {
				t.Errorf("version %s: got %+v, %v", name, d, err)
			}
		})
	}
}

func TestFromNotebookRefuses(t *testing.T) {
	for in, want := range map[string]string{
		``:                          "a.ipynb: the notebook is empty",
		`{"cells": [`:               "a.ipynb: the notebook is cut off after 11 bytes",
		`hello`:                     "a.ipynb: this is not a notebook: byte 0 (line 1, column 1) is not JSON",
		`{"a":1}`:                   "a.ipynb: this is not a notebook: it has no cells",
		`{"nbformat":9,"cells":[]}`: "a.ipynb: notebooks of version 9 are not known; versions 1 to 4 are",
		`{"nbformat":4,"cells":{}}`: `a.ipynb: this is not a notebook: "/cells" is a JSON object`,
		`{"nbformat":4,"cells":[{"cell_type":"code","source":7}]}`: "a.ipynb: cell 1 of the " +
			"notebook cannot be read (/cells/0): its source is neither a string nor a list of strings",
		`{"nbformat":4,"cells":[{"source":""}]}`: "a.ipynb: cell 1 of the " +
			"notebook has no type (/cells/0/cell_type)",
		`{"nbformat":4,"metadata":{"kernelspec":{"language":"R"}},"cells":[]}`: "a.ipynb: this is a " +
			"notebook in R; programs are made from Python",
		`{"nbformat":4,"nbformat_minor":5,"cells":[{"cell_type":"code","source":["a",1]}]}`: "a.ipynb: cell 1 of the " +
			"notebook cannot be read (/cells/0): its source",
	} {
		t.Run(in, func(t *testing.T) {
			if _, err := FromNotebook([]byte(in), "a.ipynb"); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s\n got %v\nwant %s", in, err, want)
			}
		})
	}
}

func TestFromScript(t *testing.T) {
	d, err := FromScript([]byte("\ufeffx = 1\r\ny = 2\r"), "/a/t.py")
	if err != nil || d.Kind != Script || d.Cells[0].Source != "x = 1\ny = 2\n" || d.Cwd != "/a" {
		t.Errorf("got %+v, %v", d, err)
	}
	for _, c := range []struct{ name, in, want string }{
		{"not UTF-8", "\xff", "t.py: the file is not UTF-8"},
		{"a zero byte", "a\x00", "t.py: byte 1 is zero, so this is not Python"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := FromScript([]byte(c.in), "t.py"); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"v":1,"kind":"live","cells":[{"seq":1,"source":"x","ok":true}],"names":{"x":{"kind":"value"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read(strings.NewReader(string(data)))
		if err == nil && d.V != Version {
			t.Errorf("a document of version %d was read", d.V)
		}
	})
}

func FuzzFromNotebook(f *testing.F) {
	f.Add([]byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"code","source":["x"],` +
		`"outputs":[]}]}`))
	f.Add([]byte(`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":-4,"source":["a","b"]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := FromNotebook(data, "")
		if err == nil {
			if err := d.check(); err != nil {
				t.Errorf("the document is not in order: %v", err)
			}
		}
	})
}
