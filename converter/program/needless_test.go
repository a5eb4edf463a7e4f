package program

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notebooksForNeedless is how many notebooks made by chance are looked at, and mostNeedless how many of a hundred
// statements of their programs may be kept although every value is the same without them.
const (
	notebooksForNeedless = 24
	mostNeedless         = 20
)

var (
	numberInText = regexp.MustCompile(`\d+`)
	nameInText   = regexp.MustCompile(`\b[a-f]\b`)
)

// TestFewStatementsAreKeptInVain leaves each statement out of programs, and counts those without which all values that
// the function reaches are the same.
func TestFewStatementsAreKeptInVain(t *testing.T) {
	n, from := number(t, chanceVariable, notebooksForNeedless), number(t, chanceFromVariable, 0)
	if testing.Short() {
		n = min(n, notebooksForNeedless/4)
	}
	by := newChecker(t)
	var cases []map[string]any
	for seed := from; seed < from+n; seed++ {
		notebook := newMaker(uint64(seed), []string{pending}).notebook()
		one := try(t, by, [][][]statement{notebook})[0]
		if one.ran && one.wrong == "" {
			cases = append(cases, map[string]any{
				"kind": "needless", "cells": texts(notebook), "main": one.main, "entry": "entry",
			})
		}
	}
	vain, all := 0, 0
	texts := map[string]int{}
	for _, answer := range by.check(t, cases) {
		statements, _ := answer["statements"].(float64)
		all += int(statements)
		needless, _ := answer["needless"].([]any)
		vain += len(needless)
		for _, text := range needless {
			texts[nameInText.ReplaceAllString(numberInText.ReplaceAllString(fmt.Sprint(text), "0"), "x")]++
		}
	}
	often := slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return texts[b] - texts[a] })
	for _, text := range often[:min(40, len(often))] {
		t.Logf("%d × %s", texts[text], strings.ReplaceAll(text, "\n", "\n      "))
	}
	t.Logf("of %d statements of %d programs %d are kept in vain", all, len(cases), vain)
	if all == 0 || vain*100 > all*mostNeedless {
		t.Errorf("%d of %d statements are kept in vain", vain, all)
	}
}
