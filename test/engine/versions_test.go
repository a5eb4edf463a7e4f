package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/venv"
)

// sessionIn executes a source as a cell of IPython, and then changes of what it made. After each it describes some
// names as a session does: a line that is an expected.json.
const sessionIn = `
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from metaml._values import described
shell = InteractiveShell.instance()
shell.run_cell(sys.argv[1], silent=True).raise_error()
for change, names in zip(sys.argv[2::2], sys.argv[3::2]):
    shell.run_cell(change, silent=True).raise_error()
    print(json.dumps({"v": 2, **described.session(names.split(), shell.user_ns)}))
`

// versions gives of numpy and pandas in an environment.
func versions(t *testing.T, python string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), python, "-c",
		"import numpy, pandas; print(numpy.__version__, pandas.__version__)").Output()
	if err != nil {
		t.Fatalf("ask %s for its numpy and pandas: %v", python, err)
	}
	return strings.TrimSpace(string(out))
}

// A session and its program with two versions of numpy, of its BLAS and of pandas: what is the same but for last digits
// and for how a version keeps it is silent, what was changed is said.
func TestValuesAreComparedBetweenVersionsOfNumpy(t *testing.T) {
	const source = `
import numpy as np
import pandas as pd

rng = np.random.default_rng(3)
legacy = np.random.RandomState(5)
features = rng.normal(size=(400, 30))
target = features @ rng.normal(size=30) + legacy.normal(size=400)
product = features.T @ features
solved = np.linalg.solve(product, features.T @ target)
singular = np.linalg.svd(features, compute_uv=False)
total, mean32 = float(target.sum()), features.astype("f4").mean()
ints, flags, single = np.arange(5000) % 7, features[:, 0] > 0, np.float32(0.1)
words, ragged = np.array(["a", "bc"]), np.array([None, "x", 1.5], dtype=object)
masked, when = np.ma.masked_invalid([1.0, np.nan]), np.array(["2026-01-02"], dtype="M8[D]")
records = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])

class Ridge:
    def __init__(self, alpha):
        self.alpha = alpha

    def fit(self, x, y):
        self.coef_ = np.linalg.solve(x.T @ x + self.alpha * np.eye(x.shape[1]), x.T @ y)
        self.classes_ = ["no", "yes"]
        return self

model = Ridge(0.5).fit(features, target)
params = {"lr": 0.1, "layers": (64, 32), "names": {"x", "y"}}
table = pd.DataFrame({"a": target, "s": ["x", None] * 200, "c": pd.Categorical(["u", "v"] * 200)})
series, kinds = pd.Series(["p", "q"]), pd.Series(["u", "v"], dtype="category")
days, stamp = pd.date_range("2026-01-01", periods=3, tz="UTC"), pd.Timestamp("2026-01-02")
pairs = pd.MultiIndex.from_product([["a"], [1, 2]])
grouped = table.groupby("c", observed=True)["a"].mean()

def train():
    return 1
`
	const all = "rng legacy features target product solved singular total mean32 ints flags single words ragged " +
		"masked when records model Ridge params table series kinds days stamp pairs grouped"
	python := map[string]string{"newest": venv.Python(t), "oldest": venv.Oldest(t)}
	if old, now := versions(t, python["oldest"]), versions(t, python["newest"]); old == now {
		t.Fatalf("both environments have numpy and pandas %s: nothing is compared between versions", now)
	}
	module, err := filepath.Abs("../../jupyter-ext/python")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		what   string
		change string // of the session alone
		names  string
		want   []string
	}{
		{"the same", "", all, nil},
		{
			"content",
			"total += 0.01; single *= 2; params['lr'] = 0.2; solved[3] += 1e-4; ints[4321] = 9; rng.random()",
			"total single params ints rng",
			[]string{
				"`total` is ", "`single` is 0.10000000149011612 here and 0.20000000298023224 in the notebook",
				"`params[\"lr\"]` is 0.1 here and 0.2 in the notebook",
				"`ints` has another content here than in the notebook",
				"`rng` has another content here than in the notebook",
			},
		},
		{
			"shapes and objects",
			"table['d'] = 1; series = series[:1]; product = product[1:]; model.fit(features, -target)",
			"table series product model solved",
			[]string{
				"`table` has 3 columns here and 4 in the notebook",
				"`series` has 2 elements here and 1 in the notebook",
				"`product` is float64 30×30 here and float64 29×30 in the notebook",
				"`model.coef_` has another content here than in the notebook", "`solved[3]` is ",
			},
		},
	}
	b := newBench(t)
	for there, here := range map[string]string{"oldest": "newest", "newest": "oldest"} {
		args := []string{"-c", sessionIn, source}
		for _, c := range cases {
			args = append(args, c.change, c.names)
		}
		cmd := exec.CommandContext(t.Context(), python[there], args...)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+module, "IPYTHONDIR="+t.TempDir())
		var complaint strings.Builder
		cmd.Stderr = &complaint
		said, err := cmd.Output()
		if err != nil {
			t.Fatalf("describe the session's values: %v\n%s", err, &complaint)
		}
		expected := strings.Split(string(said), "\n")
		for i, c := range cases {
			t.Run(fmt.Sprintf("%s, from the %s to the %s", c.what, there, here), func(t *testing.T) {
				program := b.program(source)
				file := filepath.Join(program, "expected.json")
				if err := os.WriteFile(file, []byte(expected[i]), 0o600); err != nil {
					t.Fatal(err)
				}
				spec := b.spec(1)
				spec.Python, spec.Key = python[here], t.Name()
				done, err := b.Submit(t.Context(), run.Submission{Spec: spec, Program: program, Again: true}, nil)
				if err != nil {
					t.Fatal(err)
				}
				l := b.await(done.Spec.Name)
				var note strings.Builder
				for _, n := range l.State.Notes {
					if n.Code == run.NoteDiffers {
						note.WriteString(n.Text)
					}
				}
				if l.State.Phase != run.Succeeded || strings.Count(note.String(), " in the notebook") != len(c.want) {
					t.Errorf("%d differences were wanted, and it is said: %q\n%s", len(c.want), &note, b.describe(l))
				}
				for _, words := range c.want {
					if !strings.Contains(note.String(), words) {
						t.Errorf("%q is not said, but: %q", words, &note)
					}
				}
			})
		}
	}
}
