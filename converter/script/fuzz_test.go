package script

import (
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/syntax"
)

// FuzzScript converts cells of any text: the script can be read as Python if each cell can, as what is refused becomes
// a statement that raises.
func FuzzScript(f *testing.F) {
	f.Add("a = 1\na", "%%capture out\nprint('x')", "raises-exception")
	f.Add("await f(); x: int = await g()\nx", "!ls {a}\n_ + Out[3]", "")
	f.Add("from IPython.display import *\ndisplay(HTML('x'))", "get_ipython().x\nplt.plot()", "parameters")
	f.Add("from __future__ import annotations; 1", "%sh echo\nfoo", "injected-parameters")
	f.Fuzz(func(t *testing.T, one, two, tag string) {
		nb := &nbformat.Notebook{Cells: []nbformat.Cell{
			{Type: "code", Source: one, Tags: []string{tag}},
			{Type: "markdown", Source: two},
			{Type: "code", Source: two},
		}}
		s, err := Of(t.Context(), nb, Options{
			Name: "x", KeepGoing: true, Parameters: len(one)%2 == 0, Percent: len(two)%2 == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		sources := []string{one, two}
		if slices.ContainsFunc(sources, func(source string) bool { return !readable(source) }) {
			return
		}
		tree, err := syntax.Parse(s.Text)
		if err != nil {
			t.Skip(err)
		}
		if tree.ErrorAt > 0 {
			lines := strings.Split(s.Text, "\n")
			t.Errorf("line %d is no Python: %q\n%s\n---\n%s", tree.ErrorAt, lines[tree.ErrorAt-1], one, two)
		}
	})
}

// readable says that a cell can be read as it is.
func readable(source string) bool {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	tree, err := syntax.Parse(ipython.Transform(source, ipython.Options{Whole: true}).Code)
	return err == nil && tree.ErrorAt == 0
}
