package program

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/metaml/metaml/converter/slicer"
)

// TestNotebooks slices notebooks as people write them: testdata/notebooks/*.txtar have the cells, the function f in the
// last one, and the lines that must be kept, no more and no fewer. The program must also give what the notebook gives.
func TestNotebooks(t *testing.T) {
	t.Setenv("MPLBACKEND", "Agg")
	files, err := filepath.Glob("testdata/notebooks/*.txtar")
	if err != nil || len(files) < 12 {
		t.Fatalf("only %d notebooks: %v", len(files), err)
	}
	var cases []map[string]any
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		want := ""
		for _, f := range ar.Files {
			if f.Name == "cell" {
				cells = append(cells, string(f.Data))
			} else {
				want = string(f.Data)
			}
		}
		main := sliced(t, cells, slicer.Options{}).Main()
		got, _, _ := strings.Cut(main, Guard)
		for strings.Contains(got, "\n\n") {
			got = strings.ReplaceAll(got, "\n\n", "\n")
		}
		if got != want {
			t.Errorf("%s: kept\n%swant\n%sdifference:\n%s", file, got, want, difference(want, got))
		}
		cases = append(cases, map[string]any{"kind": "run", "cells": cells, "main": main, "entry": "f"})
	}
	for i, a := range check(t, cases) {
		if a["notebook_error"] != nil || wrong(a) != "" {
			t.Errorf("%s: %v %s", files[i], a["notebook_error"], wrong(a))
		}
	}
}

// difference shows the lines that only one of two texts has.
func difference(want, got string) string {
	var b strings.Builder
	for _, p := range []struct{ sign, of, not string }{{"- ", want, got}, {"+ ", got, want}} {
		for l := range strings.SplitSeq(p.of, "\n") {
			if !strings.Contains("\n"+p.not, "\n"+l+"\n") {
				b.WriteString(p.sign + l + "\n")
			}
		}
	}
	return b.String()
}
