package nbformat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func mustParse(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// valid45 is a document of version 4.5 without problems.
const valid45 = `{"cells":[{"cell_type":"code","id":"a","metadata":{},"execution_count":1,"source":["x"],"outputs":[` +
	`{"output_type":"display_data","metadata":{},"data":{"text/plain":["x"]}}]},` +
	`{"cell_type":"markdown","id":"b","metadata":{},"source":""}],"metadata":{},"nbformat":4,"nbformat_minor":5}`

func TestProblemsNameThePlace(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"none", "", "", "[]"},
		{
			"a source", `"source":["x"]`, `"source":["x",1]`,
			`[cell 1 (/cells/0/source): it is neither a string nor a list of strings]`,
		},
		{
			"no outputs", `"outputs":[`, `"output":[`,
			`[cell 1 (/cells/0): it has no "outputs" cell 1 (/cells/0): it has "output", which is not known here]`,
		},
		{"no source", `,"source":""`, ``, `[cell 2 (/cells/1): it has no "source"]`},
		{
			"a mime type", `["x"]}}`, `7}}`,
			`[cell 1 (/cells/0/outputs/0/data/text~1plain): it is a JSON number, not a string or a list]`,
		},
		{"a kind of output", `display_data`, `display`, `[cell 1 (/cells/0/outputs/0/output_type): it is "display",` +
			` not ` +
			`"execute_result", "display_data", "stream" or "error"]`},
		{"a kind of cell", `markdown`, `md`, `[cell 2 (/cells/1/cell_type): it is "md", not "raw", "markdown" or ` +
			`"code"]`},
		{"a count", `"execution_count":1`, `"execution_count":-1`, `[cell 1 (/cells/0/execution_count): it is -1, ` +
			`less than 0]`},
		{
			"tags", `"id":"b","metadata":{}`, `"id":"b","metadata":{"tags":["a","a","b,c"]}`,
			`[cell 2 (/cells/1/metadata/tags): it has "a" twice cell 2 (/cells/1/metadata/tags/2): "b,c" does not ` +
				`match the ` +
				`pattern ^[^,]+$]`,
		},
		{"an id twice", `"id":"b"`, `"id":"a"`, `[cell 2 (/cells/1/id): the id "a" is that of another cell too]`},
		{
			"an id with a blank", `"id":"b"`, `"id":"b b"`,
			`[cell 2 (/cells/1/id): "b b" does not match the pattern ^[a-zA-Z0-9-_]+$]`,
		},
		{"no id", `"id":"b",`, ``, `[cell 2 (/cells/1): it has no "id"]`},
		{
			"a kernel without a name", `"metadata":{},"nbformat"`, `"metadata":{"kernelspec":{"display_name":1}},` +
				`"nbformat"`,
			`[/metadata/kernelspec: it has no "name" /metadata/kernelspec/display_name: it is a JSON number, not a ` +
				`string]`,
		},
		{"a minor version", `"nbformat_minor":5`, `"nbformat_minor":"5"`, `[/nbformat_minor: it is "5", not an ` +
			`integer]`},
		{
			"a minor version below 0", `"nbformat_minor":5`, `"nbformat_minor":-1`,
			`[/nbformat_minor: there are no rules for version 4.-1]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustParse(t, strings.Replace(valid45, c.from, c.to, 1))
			problems := d.Validate()
			if got := fmt.Sprint(problems); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if err := d.Check(); (err == nil) != (len(problems) == 0) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatJupyterRepairsIsMarked(t *testing.T) {
	text := strings.Replace(valid45, `"id":"b",`, ``, 1)
	for _, p := range mustParse(t, text).Validate() {
		if !p.Repaired {
			t.Errorf("got %v", p)
		}
	}
	for _, p := range mustParse(t, strings.Replace(valid45, `"id":"b"`, `"id":3`, 1)).Validate() {
		if p.Repaired {
			t.Errorf("got %v", p)
		}
	}
}

func TestOldDocumentsAreCheckedByWhatTheyBecome(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"cells":[{"cell_type":"code","code":"x"},{"cell_type":"text","text":"y"}]}`, "[]"},
		{
			`{"cells":[{"cell_type":"other","code":"x"}]}`,
			`[cell 1 (/cells/0/cell_type): its type "other" is not known in version 1; now it is Markdown]`,
		},
		{`{"nbformat":2,"metadata":{},"worksheets":[{"cells":[{"cell_type":"code","outputs":[]}]}]}`, "[]"},
		{
			`{"nbformat":2,"metadata":{},"worksheets":[{"cells":[7]}]}`,
			`[cell 1 (/worksheets/0/cells/0): it is a JSON number, not a cell; it was left out]`,
		},
		{`{"nbformat":2,"metadata":{},"worksheets":[{"cells":[{"cell_type":"raw"}]}]}`, `[cell 1 (/cells/0): it ` +
			`has no "source"]`},
	} {
		t.Run(c.in, func(t *testing.T) {
			d := mustParse(t, c.in)
			if got := fmt.Sprint(d.Validate()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := string(d.Bytes()); got != c.in {
				t.Errorf("it was changed: %s", got)
			}
		})
	}
}

func TestUpgradeWarns(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing to do", valid45, "[]"},
		{"4.4 without ids", `{"cells":[{"cell_type":"raw","metadata":{},"source":""}],"metadata":{},"nbformat":4,` +
			`"nbformat_minor":4}`, "[]"},
		{
			"an id twice", strings.Replace(valid45, `"id":"b"`, `"id":"a"`, 1),
			`[cell 2 (/cells/1/id): the id "a" was that of another cell too; now it is "id-1"]`,
		},
		{"no id", strings.Replace(valid45, `"id":"b",`, ``, 1), `[cell 2 (/cells/1/id): it had no id; now it is ` +
			`"id-1"]`},
		{
			"an id with a blank", strings.Replace(valid45, `"id":"b"`, `"id":"b b"`, 1),
			`[cell 2 (/cells/1/id): the id "b b" is not allowed; now it is "id-1"]`,
		},
		{
			"a cell with little", `{"cells":[{"cell_type":"code","id":"a"}],"metadata":{},"nbformat":4,` +
				`"nbformat_minor":5}`,
			`[cell 1 (/cells/0): it had no "metadata" cell 1 (/cells/0): it had no "source" cell 1 (/cells/0): it ` +
				`had no ` +
				`"outputs" cell 1 (/cells/0): it had no "execution_count"]`,
		},
		{
			"half of a surrogate pair", strings.Replace(valid45, `["x"]`, `["\ud800"]`, 1),
			`[cell 1 (/cells/0/source): it has half of a surrogate pair, which is no character and which Jupyter ` +
				`cannot save]`,
		},
		{
			"a version of the future", strings.Replace(valid45, `"nbformat_minor":5`, `"nbformat_minor":7`, 1),
			`[/nbformat_minor: version 4.7 is newer than 4.5 and stays as it is]`,
		},
		{"a deep heading", `{"nbformat":3,"metadata":{},"worksheets":[{"cells":[{"cell_type":"heading","source":"x",` +
			`"level":7}]}]}`, `[cell 1 (/worksheets/0/cells/0/level): Markdown has headings of the levels 1 to 6 ` +
			`alone]`},
		{"JSON that is none", `{"nbformat":3,"metadata":{},"worksheets":[{"cells":[{"cell_type":"code","outputs":[` +
			`{"output_type":"pyout","json":"{"}]}]}]}`, `[cell 1 (/worksheets/0/cells/0/outputs/0/json): it is not ` +
			`JSON and ` +
			`stays a string]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mustParse(t, c.in)
			n := 0
			d.NewID = func() string { n++; return fmt.Sprint("id-", n) }
			err := d.UpgradeStrict()
			if (err == nil) != (c.want == "[]") {
				t.Errorf("strictly: got %v", err)
			}
			if got := string(d.Bytes()); err != nil && got != c.in {
				t.Errorf("a refused upgrade changed it to %s", got)
			}
			n = 0
			if got := fmt.Sprint(d.Upgrade()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, p := range d.Validate() {
				t.Errorf("upgraded, it has the problem %v", p)
			}
		})
	}
}

func TestUpgradeLeavesTheRestAsItWas(t *testing.T) {
	in := "{\n  \"cells\": [ {\"cell_type\": \"raw\", \"metadata\": {\"x\": 1.50}, \"source\": \"\\u0041\"} ],\n" +
		"  \"metadata\": {},\n  \"nbformat\": 4,\n  \"nbformat_minor\": 2\n}"
	d := mustParse(t, in)
	d.NewID = func() string { return "new" }
	d.Upgrade()
	want := strings.Replace(strings.Replace(in, `"raw", `, `"raw", "id": "new", `, 1), `minor": 2`, `minor": 5`, 1)
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestIDsAreMadeAsJupyterMakesThem(t *testing.T) {
	d := New(NewCell("code", "a"), NewCell("markdown", "b"))
	var ids []string
	for _, c := range d.Cells() {
		if id := c.ID(); len(id) != 8 || strings.Trim(id, "0123456789abcdef") != "" || slices.Contains(ids, id) {
			t.Errorf("got %q", id)
		}
		ids = append(ids, c.ID())
	}
	if problems := d.Validate(); len(problems) > 0 {
		t.Errorf("got %v", problems)
	}
	// Ids that are taken again and again are not waited for.
	d.NewID = func() string { return ids[0] }
	d.Cells()[1].Value().Delete("id")
	d.FillIDs()
	if id := d.Cells()[1].ID(); id == ids[0] || len(id) != 8 {
		t.Errorf("got %q", id)
	}
}
