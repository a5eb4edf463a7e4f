package launch

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/talk"
)

// living is a session with an environment.
type living map[string]string

func (s living) ask(_ context.Context, question talk.Need) (talk.FromModule, error) {
	if slices.Contains(question.Environment, talk.EveryVariable) {
		return talk.FromModule{Environ: s}, nil
	}
	set := map[string]string{}
	for _, name := range question.Environment {
		if value, ok := s[name]; ok {
			set[name] = value
		}
	}
	return talk.FromModule{Environ: set}, nil
}

// What a cell has set, or taken away, counts for the variables that settings send along, and for no other.
func TestVariablesAreThoseOfTheSession(t *testing.T) {
	started := []string{"HOME=/h", "TOKEN=old", "GONE=1"}
	resolved, err := settings.Resolve(run.Train, settings.Sources{Decorator: map[string]any{
		"target": "kubernetes", "env": []any{"NEW", "GONE", "SET=1"}, "secret": []any{"TOKEN", "NAMED=s/k"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &Submission{
		Settings: resolved, launcher: &Launcher{Environ: started}, living: true,
		python: living{"HOME": "/other", "TOKEN": "new", "NEW": "2"},
	}
	got, err := s.environ(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"HOME=/h", "NEW=2", "TOKEN=new"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	s.living = false
	if got, err := s.environ(t.Context()); err != nil || !slices.Equal(got, started) {
		t.Errorf("of a file: %q, %v", got, err)
	}
}

// On this machine a program gets what the session has when the cell is run, but for what ipykernel sets for people to
// see; a value that is no text cannot be sent, and stays.
func TestOnThisMachineAProgramHasTheEnvironmentOfTheSession(t *testing.T) {
	resolved, err := settings.Resolve(run.Train, settings.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Submission{
		Settings: resolved, living: true,
		launcher: &Launcher{Environ: []string{"HOME=/h", "GONE=1", "RAW=\xff", "TERM=dumb"}},
		python:   living{"HOME": "/h", "TOKEN": "abc", "TERM": "xterm-color", "FORCE_COLOR": "1"},
	}
	got, err := s.environ(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"HOME=/h", "RAW=\xff", "TERM=dumb", "TOKEN=abc"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
