package program

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/slice"
)

// TestPicklesOfTheTrainingLoad trains a pipeline whose pickle names classes and functions of __main__, and loads it in a server's program.
func TestPicklesOfTheTrainingLoad(t *testing.T) {
	training := sliced(t, []string{
		"import joblib, numpy as np\nfrom dataclasses import dataclass\nfrom sklearn.base import BaseEstimator, ClassifierMixin\nfrom sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer",
		"x, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2\nEDGE = 4",
		"def halve(a):\n    return a / 2",
		"@dataclass\nclass Rule:\n    edge: float = EDGE",
		"class Above(ClassifierMixin, BaseEstimator):\n    def fit(self, x, y):\n        self.rule_, self.classes_ = Rule(), np.unique(y)\n        return self\n    def predict(self, x):\n        return (x.sum(axis=1) > self.rule_.edge).astype(int)",
		"%%train\ndef train():\n    joblib.dump(make_pipeline(FunctionTransformer(halve), Above()).fit(x, y), 'model.joblib')",
	}, slice.Options{})
	dir := filepath.Join(t.TempDir(), "training")
	if err := training.Write(dir); err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(dir, "code")
	runMain(t, code, "")
	cells := []string{"import joblib\nimport numpy as np\nmodel = joblib.load('model.joblib')", "%%serve\ndef answer(rows: np.ndarray) -> list:\n    return model.predict(rows).tolist()"}
	cells[0] = strings.Replace(cells[0], "model.joblib", filepath.Join(code, "model.joblib"), 1)
	server := served(t, cells, slice.Options{Definitions: code})
	if again := served(t, cells, slice.Options{Definitions: code}); again.Digest != server.Digest {
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
