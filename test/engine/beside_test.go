package engine_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// One note names what differs from the session. A value that cannot be compared and a damaged file stop nothing.
func TestNamesThatDifferFromTheSessionAreTold(t *testing.T) {
	b := newBench(t)
	source := `
import numpy as np

class Odd:
    @property
    def shape(self): raise RuntimeError("not now")

n_rows, same, odd, kind = 1797, 3, Odd(), [1]
data = np.zeros((2, 3), dtype="float32")
text = "new"

def train():
    return 1
`
	expected := `{"n_rows": {"repr": "1500"}, "same": {"repr": "3"}, "odd": {"repr": "1"},
		"kind": {"type": "builtins.dict"}, "data": {"shape": [2, 4], "dtype": "float32"}, "text": {"repr": "'old'"},
		"gone": {"type": "builtins.list"}, "text2": {"repr": "1"}}`
	for name, c := range map[string]struct {
		fresh    bool
		expected string
		want     string
	}{
		"fork": {
			false, expected,
			"`n_rows` is 1797 here and 1500 in the notebook, `kind` is builtins.list and builtins.dict, " +
				"`data` is float32 2×3 and float32 2×4, `text` is 'new' and 'old', `gone` is not defined and " +
				"builtins.list: " +
				"something beside the cells (files, variables, time, random numbers) changed them",
		},
		"fresh": {
			true, `{"n_rows": {"repr": "1500"}}`,
			"`n_rows` is 1797 here and 1500 in the notebook: something beside the cells (files, variables, time, " +
				"random numbers) changed it",
		},
		"alike":   {false, `{"n_rows": {"repr": "1797"}, "data": {"shape": [2, 3], "dtype": "float32"}}`, ""},
		"damaged": {false, `{"n_rows": "what", "same`, ""},
		"strange": {false, `{"n_rows": "what"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := b.spec(2)
			spec.Fresh = c.fresh
			program := b.program(source)
			if err := os.WriteFile(filepath.Join(program, "expected.json"), []byte(c.expected), 0o600); err != nil {
				t.Fatal(err)
			}
			done, err := b.Submit(t.Context(), run.Submission{Spec: spec, Program: program, Again: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l := b.await(done.Spec.Name)
			var notes []string
			for _, n := range l.State.Notes {
				if n.Code == "differs" {
					notes = append(notes, n.Text)
				}
			}
			if got := strings.Join(notes, "\n"); l.State.Phase != run.Succeeded || got != c.want {
				t.Errorf("the notes are %q, want %q\n%s", got, c.want, b.describe(l))
			}
		})
	}
}

// The lock names what was loaded, whichever way the trials are run.
func TestLockOfPackages(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		source string
		fresh  bool
	}{
		"fork":   {"import sklearn\n", false},
		"become": {"import sklearn\nleft = open(__file__)\n", false},
		"fresh":  {"import sklearn\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := b.spec(2)
			spec.Fresh, spec.Key = c.fresh, name
			l := b.run(spec, c.source+"def train():\n    return 1\n", nil)
			path := b.Folder(l.Spec.Name).PackageLock()
			b.waitFor("lock.txt", func() bool { return exists(path) })
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`(?m)^numpy==\d\S+\n(.+\n)*scikit-learn==\d\S+\n`).Match(data) {
				t.Errorf("lock.txt is %q\n%s", data, b.describe(l))
			}
		})
	}
}
