package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// stopping is a target that notes how runs are stopped.
type stopping struct {
	deployer.Target
	calls *[]string
	once  bool // a run has ended when it is stopped again
}

func (s stopping) Stop(_ context.Context, name string, _ *int, now bool) error {
	*s.calls = append(*s.calls, fmt.Sprintf("stop %s %v", name, now))
	if s.once && len(*s.calls) > 1 {
		return usererror.New(usererror.CodeEnded, "run %s is not going: it is stopped already", name)
	}
	return nil
}

func (s stopping) StopRevision(_ context.Context, name string, revision int) error {
	*s.calls = append(*s.calls, fmt.Sprintf("give up %d of %s", revision, name))
	return nil
}

// clientOf is a client of a target on which there is one run.
func clientOf(t *testing.T, name string) (client *deployer.Client, calls *[]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	calls = new([]string)
	return deployer.NewClient(dir, map[string]deployer.Target{"local": stopping{calls: calls}}), calls
}

// requested makes all requests, and reports whether one of them ended the watching.
func requested(t *testing.T, s subject, requests []Request) bool {
	t.Helper()
	for _, r := range requests {
		detached, err := s.request(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if detached {
			return true
		}
	}
	return false
}

// The second interrupt may come when the first has ended the run already, and its last event is not read yet.
func TestARunThatHasEndedIsNotStoppedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.Train, run.Serve} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			client, calls := clientOf(t, "a-1")
			client.Use("local", stopping{calls: calls, once: true})
			spec := run.Spec{Name: "a-1", Kind: kind}
			var s subject = &training{ctx: t.Context(), client: client, spec: spec, interrupt: "stop"}
			if kind == run.Serve {
				spec.Server = &run.ServerSpec{Revision: 2}
				s = &serving{client: client, spec: spec, interrupt: "stop", state: run.NewState(spec)}
			}
			requested(t, s, []Request{Interrupt, Now})
			if want := []string{"stop a-1 false", "stop a-1 true"}; !slices.Equal(*calls, want) {
				t.Errorf("it did %q", *calls)
			}
		})
	}
}

func TestHowWatchingATrainingEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		interrupt string
		requests  []Request
		phase     run.Phase
		ending    Ending
		text      string
		calls     []string
	}{
		{"success", "stop", nil, run.Succeeded, Well, "", nil},
		{"detach", "stop", []Request{Detach}, run.Running, Detached, "goes on", nil},
		{"interrupt that detaches", "detach", []Request{Interrupt}, run.Running, Detached, "goes on", nil},
		{"stop", "stop", []Request{Interrupt}, run.Stopped, Interrupted, "was stopped", []string{"stop a-1 false"}},
		{
			"stop twice", "stop",
			[]Request{Interrupt, Interrupt},
			run.Stopped, Interrupted, "was stopped",
			[]string{"stop a-1 false", "stop a-1 true"},
		},
		{"stop now", "detach", []Request{Now}, run.Stopped, Interrupted, "was stopped", []string{"stop a-1 true"}},
		{"stop by somebody else", "stop", nil, run.Stopped, Stopped, "was stopped", nil},
		{"failure", "stop", nil, run.Failed, TrialsFailed, "a-1 failed: lost", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, calls := clientOf(t, "a-1")
			spec := run.Spec{Name: "a-1", Kind: run.Train}
			s := &training{
				ctx: t.Context(), client: client, spec: spec, state: run.NewState(spec), interrupt: c.interrupt,
			}
			detached := requested(t, s, c.requests)
			s.state.Phase = c.phase
			if c.phase == run.Failed {
				s.state.Reason = run.ReasonLost
			}
			end := s.end(detached)
			if end.Ending != c.ending || !strings.Contains(end.Text, c.text) || !slices.Equal(*calls, c.calls) {
				t.Errorf("%q: %s, with %v", end.Ending, end.Text, *calls)
			}
		})
	}
}

func TestHowWatchingAServerEnds(t *testing.T) {
	t.Parallel()
	failed := &run.RevisionFailure{Revision: 2, Reason: run.ReasonException, Text: "it raised"}
	for _, c := range []struct {
		name     string
		before   run.Server // when the requests come
		requests []Request
		after    run.Server
		phase    run.Phase
		decided  bool
		ending   Ending
		text     string
		calls    []string
	}{
		{
			name: "ready", after: run.Server{Revision: 2}, phase: run.Running, decided: true, ending: Well,
		},
		{
			name: "detach", requests: []Request{Detach}, phase: run.Running, ending: Detached, text: "goes on starting",
		},
		{
			name: "interrupt of what answers already", before: run.Server{Revision: 2}, requests: []Request{Interrupt},
			after: run.Server{Revision: 2}, phase: run.Running, decided: true, ending: Detached,
		},
		{
			name: "given up", requests: []Request{Interrupt}, phase: run.Stopped, decided: true, ending: Interrupted,
			text: "was given up before it was ready", calls: []string{"stop a-1 false"},
		},
		{
			name: "given up twice", requests: []Request{Interrupt, Interrupt}, phase: run.Stopped, decided: true,
			ending: Interrupted, text: "was given up", calls: []string{"stop a-1 false", "stop a-1 true"},
		},
		{
			name: "given up while another answers", before: run.Server{Revision: 1, Starting: 2},
			requests: []Request{Interrupt}, after: run.Server{Revision: 1, Failed: failed}, phase: run.Running,
			decided: true, ending: Interrupted, text: "revision 2 of a-1 was given up; revision 1 goes on answering",
			calls: []string{"give up 2 of a-1"},
		},
		{
			name: "stopped by somebody else", phase: run.Stopped, decided: true, ending: Stopped, text: "was stopped",
		},
		{
			name: "failed", after: run.Server{Failed: failed}, phase: run.Failed, decided: true, ending: ServerFailed,
			text: "a-1: ",
		},
		{
			name: "failed while another answers", after: run.Server{Revision: 1, Failed: failed}, phase: run.Running,
			decided: true, ending: ServerFailed, text: "; revision 1 goes on answering",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, calls := clientOf(t, "a-1")
			spec := run.Spec{Name: "a-1", Kind: run.Serve, Server: &run.ServerSpec{Revision: 2}}
			s := &serving{
				client: client, spec: spec, state: run.NewState(spec), interrupt: "stop",
				proof: newProof(t.Context(), client, spec),
			}
			s.proof.given = true // as if the server had answered a request
			*s.state.Server = c.before
			detached := requested(t, s, c.requests)
			*s.state.Server, s.state.Phase = c.after, c.phase
			if got := s.decided(); got != c.decided {
				t.Errorf("decided: %v", got)
			}
			end := s.end(detached)
			if end.Ending != c.ending || !strings.Contains(end.Text, c.text) || !slices.Equal(*calls, c.calls) {
				t.Errorf("%q: %s, with %v", end.Ending, end.Text, *calls)
			}
		})
	}
}
