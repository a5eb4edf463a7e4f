package launch

import (
	"context"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/talk"
)

// variables is a session with variables that are set.
type variables []string

func (v variables) ask(_ context.Context, need talk.Need) (talk.FromModule, error) {
	have := talk.FromModule{Environ: map[string]string{}}
	for _, name := range need.Environment {
		for _, set := range v {
			if name == set {
				have.Environ[name] = "planted"
			}
		}
	}
	return have, nil
}

// about gives what is said before a sweep of a session starts.
func about(t *testing.T, line string, memory int64, reads ...string) []string {
	t.Helper()
	given, err := settings.ParseLine(run.Train, line)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := settings.Resolve(run.Train, settings.Sources{
		Line: given, Typed: settings.FromCell, Environ: []string{"TOKEN=planted", "HOME=/planted"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Submission{
		Settings: resolved, doc: &session.Document{Memory: memory}, slice: &slicer.Slice{Environment: reads},
		python: variables{"TOKEN", "HOME"}, living: true, launcher: &Launcher{},
	}
	s.memory()
	plan := &deployer.Plan{}
	if err := s.before(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return plan.Before
}

func TestWhatIsSaidBeforeAnythingStarts(t *testing.T) {
	const cluster = "--target kubernetes --image python:3.11 "
	const gib = 1 << 30
	for _, c := range []struct {
		name, line string
		memory     int64
		reads      []string
		want       string
	}{
		{"nothing", cluster, gib, nil, ""},
		{
			"a large session", cluster, 2 * gib, nil,
			"each trial gets 3072Mi of memory, 1.5 times what the session has in use; --memory SIZE gives another " +
				"amount",
		},
		{"a large session, and memory that was chosen", cluster + "--memory 1Gi", 2 * gib, nil, ""},
		{"a large session here", "", 2 * gib, nil, ""},
		{
			"a variable", cluster, 0,
			[]string{"TOKEN", "UNSET"},
			"the program reads TOKEN from its environment, which stays here; --env TOKEN, or --secret TOKEN for a " +
				"secret, takes it along",
		},
		{
			"two", cluster, 0,
			[]string{"TOKEN", "HOME"},
			"the program reads TOKEN and HOME from its environment, which stay here; --env NAME, or --secret NAME " +
				"for a secret, takes one along",
		},
		{"one that goes", cluster + "--secret TOKEN", 0, []string{"TOKEN"}, ""},
		{"a variable here", "", 0, []string{"TOKEN"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(about(t, c.line, c.memory, c.reads...), "\n"); got != c.want {
				t.Errorf("said is %q", got)
			}
		})
	}
}
