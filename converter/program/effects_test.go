package program

import (
	"os"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slicer"
)

// small is a notebook of a few lines, whose last cell has the function f.
type small struct {
	name  string
	cells []string
	main  string // the program made of it
}

// smalls reads a file of them: "==== name" is above each, and "---" between its cells.
func smalls(t *testing.T, file string) []small {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []small
	for text := range strings.SplitSeq("\n"+string(data), "\n==== ") {
		name, cells, _ := strings.Cut(text, "\n")
		if strings.TrimSpace(cells) == "" {
			continue
		}
		n := small{name: name, cells: strings.Split(strings.TrimRight(cells, "\n"), "\n---\n")}
		n.main = sliced(t, n.cells, slicer.Options{}).Main()
		out = append(out, n)
	}
	return out
}

// give says where the function gives something else in the program than in the notebook.
func give(t *testing.T, all []small, more func(*testing.T, small)) {
	t.Helper()
	var cases []map[string]any
	for _, n := range all {
		cases = append(cases, map[string]any{"kind": "run", "cells": n.cells, "main": n.main, "entry": "f"})
	}
	for i, a := range check(t, cases) {
		t.Run(all[i].name, func(t *testing.T) {
			if a["notebook_error"] != nil || wrong(a) != "" {
				t.Errorf("%v %s:\n%s", a["notebook_error"], wrong(a), all[i].main)
			}
			if more != nil {
				more(t, all[i])
			}
		})
	}
}

// TestWhatIsEasilyMissedIsKept has notebooks with statements that change something in a way that is easily missed.
func TestWhatIsEasilyMissedIsKept(t *testing.T) {
	t.Setenv("MPLBACKEND", "Agg")
	give(t, smalls(t, "testdata/kept.txt"), nil)
}

// TestWhatDoesNotMatterIsLeftOut has notebooks with statements that change nothing which the function uses: quick
// checks, which may take long. They are marked with "# out".
func TestWhatDoesNotMatterIsLeftOut(t *testing.T) {
	t.Setenv("MPLBACKEND", "Agg")
	give(t, smalls(t, "testdata/left_out.txt"), func(t *testing.T, n small) {
		t.Helper()
		for line := range strings.SplitSeq(strings.Join(n.cells, "\n"), "\n") {
			if text, out := strings.CutSuffix(line, "  # out"); out && strings.Contains("\n"+n.main, "\n"+text+"\n") {
				t.Errorf("%q is kept:\n%s", text, n.main)
			}
		}
	})
}
