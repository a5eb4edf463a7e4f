package jupytext

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/nbformat"
)

// large is a notebook of 200 cells and 1.4 MB, most of it outputs.
func large(tb testing.TB) []byte {
	tb.Helper()
	cells := make([]*nbformat.DocumentCell, 0, 200)
	for i := range 100 {
		text := nbformat.NewCell("markdown",
			fmt.Sprintf("## Part %d\n\nSome *text* about it, with a list:\n\n- a\n- b", i))
		code := nbformat.NewCell("code", fmt.Sprintf("import numpy as np\n%%matplotlib inline\n"+
			"def f%d(a, b='text'):\n    # a comment\n    return np.sum(a) + len(b)\n\n"+
			"print(f%d([1, 2]))\n!ls -l", i, i))
		out := nbformat.ObjectValue()
		out.Set("output_type", nbformat.StringValue("stream"))
		out.Set("name", nbformat.StringValue("stdout"))
		out.Set("text", nbformat.StringValue(strings.Repeat("x", 13500)))
		code.Value().Set("outputs", nbformat.ArrayValue(out))
		cells = append(cells, text, code)
	}
	return nbformat.New(cells...).Bytes()
}

func BenchmarkPercent(b *testing.B) {
	data := large(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := nbformat.Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Percent(d, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarkdown(b *testing.B) {
	d, err := nbformat.Parse(large(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Markdown(d, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFromPercent(b *testing.B) {
	d, err := nbformat.Parse(large(b))
	if err != nil {
		b.Fatal(err)
	}
	text, err := Percent(d, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromPercent(text, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
