package script

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/converter/nbformat"
)

// An ordinary cell becomes what it becomes with its tree.
func TestOrdinaryCellsNeedNoTree(t *testing.T) {
	ordinary := 0
	for name, a := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			nb, err := nbformat.ReadBytes(ofText(t, a.files["notebook"], a.has("crlf")))
			if err != nil {
				t.Fatal(err)
			}
			o := a.options(t, name)
			o.KeepGoing = true
			quick, err := Of(t.Context(), nb, o)
			if err != nil {
				t.Fatal(err)
			}
			o.parseAll = true
			parsed, err := Of(t.Context(), nb, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(parsed, quick); d != "" {
				t.Error(d)
			}
			cells, err := analyse(t.Context(), nb.Cells, false)
			if err != nil {
				t.Fatal(err)
			}
			for i := range cells {
				if cells[i].outline != nil && strings.TrimSpace(nb.Cells[i].Source) != "" {
					ordinary++
				}
			}
		})
	}
	if ordinary < 100 {
		t.Errorf("of all cells %d are ordinary", ordinary)
	}
}
