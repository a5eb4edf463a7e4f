package program

import (
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slicer"
)

// TestPicklesOfTheTrainingLoad trains a pipeline whose pickle names classes and functions of __main__, and loads it in
// a server's program.
func TestPicklesOfTheTrainingLoad(t *testing.T) {
	training := sliced(t, []string{
		"import joblib, numpy as np\nfrom dataclasses import dataclass\nfrom sklearn.base import BaseEstimator, " +
			"ClassifierMixin\nfrom sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import " +
			"FunctionTransformer",
		"x, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2\nEDGE = 4",
		"def halve(a):\n    return a / 2",
		"@dataclass\nclass Rule:\n    edge: float = EDGE",
		"class Above(ClassifierMixin, BaseEstimator):\n    def fit(self, x, y):\n        self.rule_, self.classes_ = " +
			"Rule(), np.unique(y)\n        return self\n    def predict(self, x):\n        return (x.sum(axis=1) > " +
			"self.rule_.edge).astype(int)",
		"%%train\ndef train():\n    joblib.dump(make_pipeline(FunctionTransformer(halve), Above()).fit(x, y), " +
			"'model.joblib')",
	}, slicer.Options{})
	dir := filepath.Join(t.TempDir(), "training")
	if err := training.Write(dir); err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(dir, "code")
	runMain(t, code, "")
	cells := []string{
		"import joblib\nimport numpy as np\nmodel = joblib.load('model.joblib')",
		"%%serve\ndef answer(rows: np.ndarray) -> list:\n    return model.predict(rows).tolist()",
	}
	cells[0] = strings.Replace(cells[0], "model.joblib", filepath.Join(code, "model.joblib"), 1)
	server := served(t, cells, slicer.Options{Definitions: code})
	if again := served(t, cells, slicer.Options{Definitions: code}); again.Digest != server.Digest {
		t.Error("the digest depends on chance")
	}
	if strings.Contains(server.Main(), "arange") {
		t.Errorf("the data came along:\n%s", server.Main())
	}
	for _, l := range server.Map {
		if l.Cell == 0 || l.Cell > len(cells) {
			t.Errorf("line %d of main.py is said to be of cell %d", l.Script, l.Cell)
		}
	}
	dir = filepath.Join(t.TempDir(), "server")
	if err := server.Write(dir); err != nil {
		t.Fatal(err)
	}
	if out := runMain(t, filepath.Join(dir, "code"), "", `[[1, 2], [10, 20]]`); out != "[0, 1]\n" {
		t.Errorf("the server's program answered %q\n%s", out, server.Main())
	}
}

// TestDefinitionsChangeNothing: with the definitions of a training before it, made by chance of the same notebook, a
// server's function gives what it gives in the notebook.
func TestDefinitionsChangeNothing(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 100
	}
	dir := t.TempDir()
	var cases []map[string]any
	brought := 0
	for seed := range n {
		g := &random{
			r: rand.New(rand.NewPCG(uint64(seed), 2)), names: []string{"a", "b", "c", "d", "e"},
			live: map[string]string{},
		}
		cells := g.notebook()
		half := cells[:1+g.r.IntN(len(cells)-1)]
		var made []string
		for _, n := range g.names {
			if regexp.MustCompile(`(?m)^((def|class) ` + n + `\b|` + n + ` = )`).MatchString(strings.Join(half, "\n")) {
				made = append(made, n)
			}
		}
		training := sliced(t, append(slices.Clone(half), "def train(): return ["+strings.Join(made, ", ")+"]"),
			slicer.Options{})
		code := filepath.Join(dir, strconv.Itoa(seed))
		if err := training.Write(code); err != nil {
			t.Fatal(err)
		}
		s, err := slicer.Of(t.Context(), notebook(cells), slicer.Options{Definitions: filepath.Join(code, "code")})
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range s.Statements {
			if st.Origin == "model" {
				brought++
			}
		}
		p, err := Make(s, Train)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, map[string]any{"kind": "run", "cells": cells, "main": p.Main(), "entry": "entry"})
	}
	ran := 0
	for i, a := range check(t, cases) {
		if a["notebook_error"] != nil {
			continue
		}
		ran++
		if wrong := wrong(a); wrong != "" {
			t.Errorf("seed %d: %s\n%s\n=== program\n%s", i, wrong, strings.Join(cases[i]["cells"].([]string),
				"\n---\n"), cases[i]["main"])
		}
	}
	if ran < n/2 || brought < n/10 {
		t.Errorf("only %d of %d notebooks ran, with %d statements of trainings", ran, n, brought)
	}
}
