package main

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The hooks of pre-commit call the command with options that it has, and with files behind them.
func TestPreCommitHooks(t *testing.T) {
	data, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct{ ID, Name, Entry, Language string }
	if err := yaml.Unmarshal(data, &hooks); err != nil || len(hooks) != 2 {
		t.Fatal(err, hooks)
	}
	for _, h := range hooks {
		t.Run(h.ID, func(t *testing.T) {
			words := strings.Fields(h.Entry)
			dir := folder(t, map[string]string{"a.ipynb": "a = 1"})
			code, _, errs := command(t, "", append(words[1:], dir+"/a.ipynb")...)
			if words[0] != "metaml-nbconvert" || h.Language != "python" || code != strings.Count(h.Entry, "--check") {
				t.Errorf("%+v: %d %s", h, code, errs)
			}
		})
	}
}
