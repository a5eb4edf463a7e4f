package launch

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/venv"
)

// locked is a session with this lock.
type locked struct {
	text  string
	asked []string
}

func (l *locked) ask(_ context.Context, question talk.Need) (talk.FromModule, error) {
	sent, err := json.Marshal(question)
	l.asked = append(l.asked, string(sent))
	return talk.FromModule{Lock: json.RawMessage(l.text)}, err
}

const twoPackages = `{"python": "3.11.7", "implementation": "cpython", "packages": [
	{"name": "top", "version": "1.0", "root": true}, {"name": "below", "version": "2.0"}]}`

// with are the settings of a run on a cluster.
func with(t *testing.T, s settings.Sources) *settings.Resolved {
	t.Helper()
	s.Environ = append(s.Environ, "METAML_TARGET=kubernetes")
	r, err := settings.Resolve(run.Train, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnImageIsMadeOfWhatIsInstalled(t *testing.T) {
	python := &locked{text: twoPackages}
	got, err := environment(t.Context(), python, nil, with(t, settings.Sources{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Time = time.Time{}
	want := &run.Environment{Python: "3.11.7", Requirements: "top==1.0\n", Constraints: "below==2.0\n"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// A program that imports nothing has an environment, too.
	if d := cmp.Diff([]string{`{"id":0,"lock":[]}`}, python.asked); d != "" {
		t.Error(d)
	}
}

func TestWhatAnImageCannotHaveIsRefused(t *testing.T) {
	conda := &locked{text: `{"python": "3.11.7", "implementation": "cpython", "packages": [
		{"name": "top", "version": "1.0", "root": true, "installer": "conda"}]}`}
	_, err := environment(t.Context(), conda, []string{"top"}, with(t, settings.Sources{}), nil)
	if is, ok := errors.AsType[*usererror.Error](err); !ok || is.Code != usererror.CodeLock || is.Hint == "" {
		t.Errorf("got %v", err)
	}
}

// A file of requirements stands in the place of what is installed, and what it says is part of the run's key.
func TestAFileSaysWhatAnImageIsMadeOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requirements.txt")
	keys := map[string]bool{}
	for _, text := range []string{"other==1.0\n", "other==2.0\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		python := &locked{text: twoPackages}
		got, err := environment(t.Context(), python, []string{"top"},
			with(t, settings.Sources{Environ: []string{"METAML_REQUIREMENTS=" + file}}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Requirements != text || got.Constraints != "" || got.Python != "3.11.7" || got.File != file {
			t.Errorf("got %+v", got)
		}
		keys[got.Key] = true
	}
	if len(keys) != 2 {
		t.Errorf("the keys are %v", keys)
	}
}

func TestAnIndexThatIsNamedHasBuilds(t *testing.T) {
	cuda := &locked{text: `{"python": "3.11.7", "implementation": "cpython", "packages": [
		{"name": "torch", "version": "2.8.0+cu121", "root": true, "installer": "pip"}]}`}
	for index, refused := range map[string]bool{"": true, "https://me:hunter2@wheels.example/cu121": false} {
		t.Run(index, func(t *testing.T) {
			_, err := environment(t.Context(), cuda, []string{"torch"},
				with(t, settings.Sources{Environ: []string{"METAML_INDEX=" + index}}), nil)
			if (err != nil) != refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAFileNeedsWhatTheProgramImports(t *testing.T) {
	got := needs(map[string]talk.Distribution{
		"sklearn": {Name: "scikit-learn", Version: "1.9"}, "metaml": {Name: "metaml"}, "json": {},
	})
	if d := cmp.Diff(map[string]string{"sklearn": "scikit-learn"}, got); d != "" {
		t.Error(d)
	}
}

// A program folder has no session: the interpreter that it is launched with says what is installed.
func TestAProgramFolderHasAnImage(t *testing.T) {
	dir := files(t, map[string]string{
		"p/code/program.json": `{"v":1,"kind":"train","entry":"fit","parameters":[],"python":"3.11",` +
			`"imports":["numpy"],"with":["value"]}`,
		"p/code/main.py": "import numpy\n\n\ndef fit():\n    return 1\n", "p/code/with/value.pickle": "",
	})
	l := launcherIn(t, dir, append(os.Environ(), "METAML_REPOSITORY=registry.example/team")...)
	l.Client = func() (*deployer.Client, error) {
		return deployer.NewClient(dir, map[string]deployer.Target{run.Local: idle{}, run.Kubernetes: idle{}}), nil
	}
	s, err := l.Open(t.Context(), Source{File: filepath.Join(dir, "p"), Python: venv.Python(t), Build: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.environment == nil || !strings.Contains(s.environment.Requirements, "numpy==") {
		t.Errorf("it is made of %+v", s.environment)
	}
}
