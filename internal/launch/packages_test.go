package launch

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/test/venv"
)

// taking keeps what it is to start.
type taking struct {
	slow
	taken *run.Submission
}

func (t taking) Submit(_ context.Context, s run.Submission, _ func(run.Event)) (run.Submitted, error) {
	*t.taken = s
	return run.Submitted{Spec: s.Spec}, nil
}

func (t taking) At(context.Context, *settings.Resolved) (deployer.Place, error) { return t, nil }

// A target whose runs execute with another Python must know what the program needs there.
func TestATargetLearnsWhatTheProgramImports(t *testing.T) {
	t.Parallel()
	python := venv.Python(t)
	dir := files(t, map[string]string{
		"a.ipynb": notebook("import json, sklearn.svm", "%%train\ndef train():\n    return json, sklearn.svm"),
	})
	at := taking{taken: &run.Submission{}}
	l := launcherIn(t, dir)
	l.Client = func() (*deployer.Client, error) {
		return deployer.NewClient(t.TempDir(), map[string]deployer.Target{"local": at}), nil
	}
	s, err := l.Open(t.Context(), Source{File: filepath.Join(dir, "a.ipynb"), Python: python})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	i, err := Interpreter(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	got := at.taken
	if got.Modules["sklearn"] != "scikit-learn" || got.Packages["scikit-learn"] == "" ||
		!strings.HasPrefix(i.Version, got.PythonVersion+".") {
		t.Errorf("Python %q, packages %v, modules %v", got.PythonVersion, got.Packages, got.Modules)
	}
}
