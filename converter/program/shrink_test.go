package program

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slicer"
)

// What a long run takes: how many notebooks it makes, the seed of the first, the kinds that are left out (by
// commas), whether those are tried that are not right yet, and the folder that gets what is found.
const (
	chanceVariable        = "METAML_CHANCE"
	chanceFromVariable    = "METAML_CHANCE_FROM"
	chanceWithoutVariable = "METAML_CHANCE_WITHOUT"
	chancePendingVariable = "METAML_CHANCE_PENDING"
	chanceFoundVariable   = "METAML_CHANCE_FOUND"
)

// few is how many notebooks are made otherwise, and mostOfClass how many failures of a class are shown.
const (
	few         = 100
	mostOfClass = 3
)

// TestNotebooksMadeByChance compares all values that the function of a notebook reaches with those of its program. What
// differs is shrunk to a few lines.
func TestNotebooksMadeByChance(t *testing.T) {
	n, from := number(t, chanceVariable, few), number(t, chanceFromVariable, 0)
	if testing.Short() {
		n = min(n, few/5)
	}
	var out []string
	if text := os.Getenv(chanceWithoutVariable); text != "" {
		out = strings.Split(text, ",")
	}
	if os.Getenv(chancePendingVariable) == "" {
		out = append(out, pending)
	}
	const batch = 100
	classes, ran, by := map[string]int{}, 0, newChecker(t)
	for first := from; first < from+n; first += batch {
		var notebooks [][][]statement
		for seed := first; seed < min(first+batch, from+n); seed++ {
			notebooks = append(notebooks, newMaker(uint64(seed), out).notebook())
		}
		for i, one := range try(t, by, notebooks) {
			if !one.ran {
				continue
			}
			ran++
			if one.wrong == "" {
				continue
			}
			small := shrunk(t, by, notebooks[i])
			one = try(t, by, [][][]statement{small})[0]
			if classes[class(small)]++; classes[class(small)] <= mostOfClass {
				report(t, first+i, small, one)
			}
		}
	}
	t.Logf("%d of %d notebooks ran; %v", ran, n, classes)
	if ran < n/2 {
		t.Errorf("only %d of %d notebooks ran", ran, n)
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// report shows what was found, and writes it into the folder that is named.
func report(t *testing.T, seed int, small [][]statement, one tried) {
	t.Helper()
	text := fmt.Sprintf("# %s: %s\n%s\n", class(small), one.wrong, strings.Join(texts(small), "\n# ====\n"))
	t.Errorf("seed %d:\n%s=== program\n%s", seed, text, one.main)
	if folder := os.Getenv(chanceFoundVariable); folder != "" {
		at := filepath.Join(folder, fmt.Sprintf("chance-%d.py", seed))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tried is what became of a notebook.
type tried struct {
	main   string
	ran    bool   // the notebook itself runs; else it says nothing
	failed string // why it does not
	wrong  string // "" if the program is as the notebook
}

// try executes notebooks and their programs. One that cannot be sliced does not count as one that runs.
func try(t *testing.T, by *checker, notebooks [][][]statement) []tried {
	t.Helper()
	all := make([]tried, len(notebooks))
	var cases []map[string]any
	var of []int
	for i, cells := range notebooks {
		lines := texts(cells)
		s, err := slicer.Of(t.Context(), notebook(lines), slicer.Options{})
		if err != nil {
			all[i].wrong = err.Error()
			continue
		}
		p, err := Make(s, Train)
		if err != nil {
			t.Fatal(err)
		}
		all[i].main = p.Main()
		cases = append(cases, map[string]any{"kind": "run", "cells": lines, "main": p.Main(), "entry": "entry"})
		of = append(of, i)
	}
	if len(cases) == 0 {
		return all
	}
	for n, answer := range by.check(t, cases) {
		one := &all[of[n]]
		one.failed, _ = answer["notebook_error"].(string)
		if one.ran = one.failed == ""; one.ran {
			one.wrong = wrong(answer)
		}
	}
	return all
}

// atOnce is how many notebooks are executed before it is looked at what became of them.
const atOnce = 6

// shrunk gives a notebook of few statements that is as wrong as one of many.
func shrunk(t *testing.T, by *checker, cells [][]statement) [][]statement {
	t.Helper()
	for step := max(1, count(cells)/2); step > 0; {
		var smaller [][][]statement
		for from := 0; from < count(cells)-1; from += step {
			smaller = append(smaller, without(cells, from, from+step))
		}
		if step == 1 {
			smaller = append(smaller, splits(cells)...)
		}
		found := -1
		for from := 0; from < len(smaller) && found < 0; from += atOnce {
			for i, one := range try(t, by, smaller[from:min(from+atOnce, len(smaller))]) {
				if one.ran && one.wrong != "" {
					found = from + i
					break
				}
			}
		}
		switch {
		case found >= 0:
			cells = smaller[found]
			step = min(step, max(1, count(cells)/2))
		case step == 1:
			return cells
		default:
			step /= 2
		}
	}
	return cells
}

func count(cells [][]statement) (n int) {
	for _, c := range cells {
		n += len(c)
	}
	return n
}

// without leaves out the statements from one to another, and never the last, which is the function.
func without(cells [][]statement, from, to int) [][]statement {
	var left [][]statement
	n, last := 0, count(cells)-1
	for _, c := range cells {
		var kept []statement
		for _, s := range c {
			if n < from || n >= to || n == last {
				kept = append(kept, s)
			}
			n++
		}
		if len(kept) > 0 {
			left = append(left, kept)
		}
	}
	return left
}

// splits are the notebooks in which one statement has lost one line, which may be a statement of its own.
func splits(cells [][]statement) (all [][][]statement) {
	for i, c := range cells {
		for j, s := range c {
			lines := strings.Split(s.text, "\n")
			for k := range lines {
				if len(lines) == 1 {
					break
				}
				other := slices.Clone(cells)
				other[i] = slices.Clone(c)
				text := strings.Join(slices.Concat(lines[:k], lines[k+1:]), "\n")
				other[i][j] = statement{s.kind, text}
				all = append(all, other)
			}
		}
	}
	return all
}

// class sorts a failure: by the kinds of what is left of it.
func class(cells [][]statement) string {
	var kinds []string
	for _, c := range cells {
		for _, s := range c {
			if s.kind != "import" && s.kind != "entry" && s.kind != "plain" && !slices.Contains(kinds, s.kind) {
				kinds = append(kinds, s.kind)
			}
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, "+")
}
