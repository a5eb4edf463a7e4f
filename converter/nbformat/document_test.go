package nbformat

import (
	"fmt"
	"strings"
	"testing"
)

// asWritten are documents of Jupyter and of other tools, and oddities that JSON allows.
var asWritten = map[string]string{
	"Jupyter": "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"execution_count\": null,\n" +
		"   \"id\": \"a\",\n   \"metadata\": {},\n   \"outputs\": [],\n   \"source\": [\n    \"a = 1\\n\",\n    " +
		"\"b\"\n" +
		"   ]\n  }\n ],\n \"metadata\": {},\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}\n",
	"no newline at the end": `{"cells":[],"nbformat":4,"nbformat_minor":2}`,
	"tabs and CRLF":         "{\r\n\t\"nbformat\" : 4 ,\r\n\t\"cells\" : [ ]\r\n}\r\n\r\n",
	"a byte order mark":     "\ufeff {\"cells\":[ { \"source\":\"\" } ]} ",
	"escapes":               `{"cells":[{"source":"\u00e9 \/ \ud83d\ude00 \u001b[0m \"\\ é 😀"}],"\u0061":1}`,
	"lone surrogates":       `{"cells":[{"source":"\ud800 \udc00\ud800"}],"\udfff":1}`,
	"numbers":               `{"cells":[],"x":[1e5,1E+5,-0,0.10,123456789012345678901234567890,NaN,-Infinity,1e999]}`,
	"duplicate keys":        `{"cells":[1],"a":1,"a":2,"cells":[],"a":3}`,
	"empty containers":      "{\"cells\":[ \n ],\"metadata\":{\t},\"x\":[[],{},[{}]]}",
}

func TestUnchangedDocumentsKeepTheirBytes(t *testing.T) {
	for name, text := range asWritten {
		t.Run(name, func(t *testing.T) {
			d, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.Bytes()); got != text {
				t.Errorf("got  %q\nwant %q", got, text)
			}
		})
	}
}

func TestOnlyWhatWasChangedChanges(t *testing.T) {
	cell := func(d *Document, i int) *DocumentCell { return d.Cells()[i] }
	two := "{\n  \"cells\": [\n    {\"id\":\"a\", \"source\": [\"x\\u0021\\n\", \"y\"]},\n    {\"id\":\"b\"}\n  ],\n" +
		"  \"nbformat\": 4\n}"
	for _, c := range []struct {
		name, in string
		do       func(d *Document)
		want     string
	}{
		{
			"a line of a source", two,
			func(d *Document) { cell(d, 0).SetSource("x!\ny\nz") },
			strings.Replace(two, `"y"]`, `"y\n", "z"]`, 1),
		},
		{"the same source", two, func(d *Document) { cell(d, 0).SetSource("x!\ny") }, two},
		{
			"an empty source", two,
			func(d *Document) { cell(d, 0).SetSource("") },
			strings.Replace(two, `["x\u0021\n", "y"]`, `[]`, 1),
		},
		{
			"a source that was missing", two,
			func(d *Document) { cell(d, 1).SetSource("é") },
			strings.Replace(two, `"b"}`, "\"b\", \"source\":[\n        \"é\"\n      ]}", 1),
		},
		{
			"a source that is one string", `{"cells":[{"source":"a\nb"}],"nbformat":4}`,
			func(d *Document) { cell(d, 0).SetSource("a\nc") },
			`{"cells":[{"source":"a\nc"}],"nbformat":4}`,
		},
		{
			"where all is escaped", `{"cells":[{"source":"\u00e9"}],"nbformat":4}`,
			func(d *Document) { cell(d, 0).SetSource("é😀") },
			`{"cells":[{"source":"\u00e9\ud83d\ude00"}],"nbformat":4}`,
		},
		{
			"tags", two,
			func(d *Document) { cell(d, 1).SetTags("one", "two") },
			strings.Replace(two, `"b"}`, "\"b\", \"metadata\":{\n        \"tags\": [\n          \"one\",\n"+
				"          \"two\"\n        ]\n      }}", 1),
		},
		{
			"the first cell goes", two,
			func(d *Document) { d.Root().Get("cells").Remove(0) },
			strings.Replace(two, "{\"id\":\"a\", \"source\": [\"x\\u0021\\n\", \"y\"]},\n    ", "", 1),
		},
		{
			"the cells change their places", `{"cells": [{"id":"a"}, {"id":"b"},  {"id":"c"}], "nbformat": 4}`,
			func(d *Document) {
				cells := d.Cells()
				cells[0], cells[1], cells[2] = cells[2], cells[0], cells[1]
				if err := d.SetCells(cells); err != nil {
					t.Error(err)
				}
			},
			`{"cells": [{"id":"c"}, {"id":"a"}, {"id":"b"}], "nbformat": 4}`,
		},
		{
			"a key among sorted ones", `{"a": 1, "cells": [], "d": 2}`,
			func(d *Document) { d.Root().Set("b", IntValue(3)) },
			`{"a": 1, "b": 3, "cells": [], "d": 2}`,
		},
		{
			"a key among others", `{"d": 1, "cells": []}`,
			func(d *Document) { d.Root().Set("b", IntValue(3)) },
			`{"d": 1, "cells": [], "b": 3}`,
		},
		{
			"a key that is written twice", `{"a":1,"cells":[],"a":2}`,
			func(d *Document) { d.Root().Delete("a") },
			`{"cells":[]}`,
		},
		{
			"outputs go", `{"cells":[{"execution_count":3,"outputs":[ {"a":[1]} ],"source":"x"}]}`,
			func(d *Document) { cell(d, 0).ClearOutputs() },
			`{"cells":[{"execution_count":null,"outputs":[],"source":"x"}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			c.do(d)
			if got := string(d.Bytes()); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if _, err := Parse(d.Bytes()); err != nil {
				t.Errorf("what was written cannot be read: %v", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	n := 0
	markdown, code := NewCell("markdown", "# A\n\ntext\n"), NewCell("code", "x = 'é'")
	code.SetTags("parameters")
	d := New()
	d.NewID = func() string { n++; return fmt.Sprint("id-", n) }
	if err := d.SetCells([]*DocumentCell{markdown, code}); err != nil {
		t.Fatal(err)
	}
	want := `{
 "cells": [
  {
   "cell_type": "markdown",
   "id": "id-1",
   "metadata": {},
   "source": [
    "# A\n",
    "\n",
    "text\n"
   ]
  },
  {
   "cell_type": "code",
   "execution_count": null,
   "id": "id-2",
   "metadata": {
    "tags": [
     "parameters"
    ]
   },
   "outputs": [],
   "source": [
    "x = 'é'"
   ]
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}
`
	if got := string(d.Bytes()); got != want {
		t.Errorf("got\n%s", got)
	}
}
