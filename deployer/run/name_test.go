package run_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]run.Name{
		"train-7":                    {Run: "train-7"},
		"train-7@kind/default":       {Run: "train-7", Place: "kind/default"},
		"train-7@arn:aws:eks:1:c/ns": {Run: "train-7", Place: "arn:aws:eks:1:c/ns"},
		"":                           {},
	} {
		t.Run(text, func(t *testing.T) {
			if got := run.ParseName(text); got != want || got.String() != text {
				t.Errorf("read as %+v, written as %q", got, got)
			}
		})
	}
}

func TestCutTrial(t *testing.T) {
	for text, want := range map[string]struct {
		name, trial string
		found       bool
	}{
		"train-7":           {"train-7", "", false},
		"train-7:3":         {"train-7", "3", true},
		"train-7:best":      {"train-7", "best", true},
		"train-7:x":         {"train-7", "x", true}, // who wants it refuses it
		"train-7@a/b":       {"train-7@a/b", "", false},
		"train-7@a/b:3":     {"train-7@a/b", "3", true},
		"train-7@arn:a:b":   {"train-7@arn:a:b", "", false},
		"train-7@arn:a:b:3": {"train-7@arn:a:b", "3", true},
	} {
		t.Run(text, func(t *testing.T) {
			name, trial, found := run.CutTrial(text)
			if name != want.name || trial != want.trial || found != want.found {
				t.Errorf("cut into %q and %q, %v", name, trial, found)
			}
		})
	}
}
