package launch

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/pod/ship"
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

func (t taking) At(context.Context, *settings.Resolved, []string) (deployer.Place, error) {
	return t, nil
}

// submitted gives what a target is to start of a file.
func submitted(t *testing.T, dir string, src Source) run.Submission {
	t.Helper()
	at := taking{taken: &run.Submission{}}
	l := launcherIn(t, dir)
	l.Client = func() (*deployer.Client, error) {
		return deployer.NewClient(t.TempDir(), map[string]deployer.Target{"local": at}), nil
	}
	s, err := l.Open(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	plan, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(t.Context(), plan, Progress{}); err != nil {
		t.Fatal(err)
	}
	return *at.taken
}

// A target whose runs execute with another Python must know what the program needs there.
func TestATargetLearnsWhatTheProgramImports(t *testing.T) {
	t.Parallel()
	python := venv.Python(t)
	dir := files(t, map[string]string{
		"a.ipynb": notebook("import json, sklearn.svm", "%%train\ndef train():\n    return json, sklearn.svm"),
	})
	got := submitted(t, dir, Source{File: filepath.Join(dir, "a.ipynb"), Python: python})
	i, err := Interpreter(t.Context(), python)
	if err != nil {
		t.Fatal(err)
	}
	if got.Modules["sklearn"] != "scikit-learn" || got.Packages["scikit-learn"] == "" ||
		!strings.HasPrefix(i.Version, got.PythonVersion+".") {
		t.Errorf("Python %q, packages %v, modules %v", got.PythonVersion, got.Packages, got.Modules)
	}
}

// What is packed for a cluster has nothing of cells that the program does not need. The folder itself has all of them.
func TestNothingOfOtherCellsLeavesThisMachine(t *testing.T) {
	t.Parallel()
	const planted = "zebrafish"
	dir := files(t, map[string]string{"a.ipynb": notebook(
		"secret = '"+planted+"'", "x = 1", "# "+planted, "%%train\ndef train():\n    return x",
	)})
	got := submitted(t, dir, Source{File: filepath.Join(dir, "a.ipynb"), Python: venv.Python(t)})
	all, err := os.ReadFile(filepath.Join(got.Program, "session.json"))
	if err != nil || !bytes.Contains(all, []byte(planted)) {
		t.Fatalf("the session has no %q: %v", planted, err)
	}
	packed, err := ship.Program(got.Program, ship.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil || !bytes.Contains(text, []byte("def train():")) {
		t.Fatalf("the program is not packed: %v", err)
	}
	for _, data := range [][]byte{packed, text} {
		if bytes.Contains(data, []byte(planted)) {
			t.Errorf("%q leaves this machine", planted)
		}
	}
}
