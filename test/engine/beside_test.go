package engine_test

import (
	"fmt"
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
drawn = np.random.rand()

def train():
    return 1
`
	// A digest of 0 is that of no value.
	const rows = `"n_rows": {"type": "int", "digest": "0", "repr": "1500", "visits": 32`
	expected := `{"v": 2, "values": {` + rows + `}, "odd": {"type": "Odd", "opaque": true},
		"kind": {"type": "dict", "digest": "0", "size": 1, "unit": "entry", "visits": 32},
		"data": {"type": "numpy.ndarray", "digest": "0", "shape": [2, 4], "dtype": "float32", "visits": 32},
		"text": {"type": "str", "digest": "0", "repr": "'old'", "visits": 32},
		"gone": {"type": "list", "digest": "0", "visits": 32}, "other": {"type": "int", "digest": "0", "visits": 32}}}`
	for name, c := range map[string]struct {
		fresh    bool
		expected string
		want     string
	}{
		"fork": {
			false, expected,
			"`n_rows` is 1797 here and 1500 in the notebook, `kind` is a list here and a dict in the notebook, " +
				"`data` is float32 2×3 here and float32 2×4 in the notebook, `text` is 'new' here and 'old' in the " +
				"notebook, `gone` is not defined here and is a list in the notebook: something beside the cells " +
				"(files, variables, time, random numbers) changed them",
		},
		"fresh": {
			true, `{"v": 2, "values": {` + rows + `}}}`,
			"`n_rows` is 1797 here and 1500 in the notebook: something beside the cells (files, variables, time, " +
				"random numbers) changed it",
		},
		"a statement that was left out": {
			false, `{"v": 2, "values": {` + rows + `,
				"left_out": {"place": "cell 3, line 2", "statement": "n_rows = …"}}}}`,
			"`n_rows` is 1797 here and 1500 in the notebook: cell 3, line 2 (`n_rows = …`) was left out",
		},
		"a value that random numbers made": {
			false, `{"v": 2, "values": {
				"drawn": {"type": "float", "digest": "0", "visits": 32, "lines": [[2, 2], [11, 11]]}}}`,
			"",
		},
		"another version": {false, `{"v": 1, "values": {` + rows + `}}}`, ""},
		"damaged":         {false, `{"n_rows": "what", "same`, ""},
		"strange":         {false, `{"v": 2, "values": {"n_rows": "what"}}`, ""},
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

// With --strict a value that differs is no note: no trial starts, whichever way trials are run.
func TestStrictStartsNothingWhereAValueDiffers(t *testing.T) {
	b := newBench(t)
	const source = "import os\nleft = %s\nn_rows = 1797\n\ndef train():\n    open('ran', 'w').close()\n    return 1\n"
	const expected = `{"v": 2, "values": {"n_rows": {"type": "int", "digest": "0", "repr": "1500", "visits": 32,
		"left_out": {"place": "cell 3, line 2", "statement": "n_rows = …"}}}}`
	const want = "`n_rows` is 1797 here and 1500 in the notebook: cell 3, line 2 (`n_rows = …`) was left out. " +
		"--with n_rows gives the trials the notebook's value."
	for name, c := range map[string]struct {
		fresh bool
		left  string
	}{
		"fork": {false, "None"}, "become": {false, "open(__file__)"}, "fresh": {true, "None"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := b.spec(2)
			spec.Fresh, spec.Strict, spec.Key, spec.Cwd = c.fresh, true, name, t.TempDir()
			program := b.program(fmt.Sprintf(source, c.left))
			if err := os.WriteFile(filepath.Join(program, "expected.json"), []byte(expected), 0o600); err != nil {
				t.Fatal(err)
			}
			done, err := b.Submit(t.Context(), run.Submission{Spec: spec, Program: program, Again: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l := b.await(done.Spec.Name)
			said := 0
			for i := range l.State.Trials {
				trial := &l.State.Trials[i]
				if trial.Phase != run.Failed || trial.Reason != run.ReasonDiffers {
					t.Errorf("trial %d is %s, %s", i, trial.Phase, trial.Reason)
				}
				if trial.Error != nil && trial.Error.Text == want {
					said++
				}
			}
			if l.State.Phase != run.Failed || said != 1 || exists(filepath.Join(spec.Cwd, "ran")) {
				t.Errorf("it is said %d times\n%s", said, b.describe(l))
			}
			for _, n := range l.State.Notes {
				if n.Code == run.NoteDiffers {
					t.Errorf("it is noted, too: %q", n.Text)
				}
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
