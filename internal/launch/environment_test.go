package launch

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
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

func TestAnImageIsMadeOfWhatIsInstalled(t *testing.T) {
	python := &locked{text: twoPackages}
	got, err := environment(t.Context(), python, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
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
	_, err := environment(t.Context(), conda, []string{"top"}, nil)
	if is, ok := errors.AsType[*usererror.Error](err); !ok || is.Code != usererror.CodeLock || is.Hint == "" {
		t.Errorf("got %v", err)
	}
}
