package program

import (
	"os"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
)

// TestExampleKeepsItsDigest slices the example's notebook, then checks the results, runs cells again and
// trains again: it is the same program each time, and the one of the saved notebook.
func TestExampleKeepsItsDigest(t *testing.T) {
	data, err := os.ReadFile("../../examples/digits.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	saved, err := session.FromNotebook(data, "")
	if err != nil {
		t.Fatal(err)
	}
	saved.Interpreter.Version = "3.11.2"
	want := made(t, saved, slicer.Options{Magic: "train"})
	var all []string
	train := -1
	for i, c := range saved.Cells {
		if len(c.Source) > 7 && c.Source[:7] == "%%train" {
			train = i
		}
		all = append(all, c.Source)
	}
	var twice []string
	twice = append(append(append(twice, all...), all...), all[train])
	for name, cells := range map[string][]string{
		"first time":                  all[:train+1],
		"again after the results":     append(append([]string{}, all...), all[train]),
		"everything twice":            twice,
		"the constants and the data":  append(append([]string{}, all...), all[3], all[1], all[train]),
		"trained, and trained again":  append(append([]string{}, all[:train+1]...), all[train], all[train]),
		"the imports at the very end": append(append([]string{}, all...), all[0], all[train]),
	} {
		t.Run(name, func(t *testing.T) {
			doc := notebook(cells)
			doc.Names = map[string]session.Name{"run": {Kind: "metaml"}, "best": {Kind: "metaml"}}
			if got := made(t, doc, slicer.Options{Cell: len(cells)}); got.Digest != want.Digest {
				t.Errorf("another program:\n%s\nwant:\n%s", got.Main(), want.Main())
			}
		})
	}
}
