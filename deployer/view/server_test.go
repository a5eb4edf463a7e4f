package view_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// history is a server's life as events; at gives its panel after n of them, seen from revision.
type history []run.Event

func (s history) at(n, revision int) *view.Panel {
	spec := run.Spec{
		Name: "serve-1", Kind: run.Serve, Completions: 2, Created: start,
		Server: &run.ServerSpec{Revision: revision, Path: "/predict", Model: "train-model-7:5"},
	}
	state := run.NewState(spec)
	for i, e := range s[:n] {
		e.Source, e.Seq, e.Time = "monitor", int64(i+1), start.Add(time.Duration(i)*time.Second)
		state.Apply(e)
	}
	return view.NewPanel(view.ServerFacts{Spec: spec, Waiting: true}, state, start.Add(time.Duration(n)*time.Second))
}

var serverHistory = history{
	{Type: run.EventSubmitted},
	{Type: run.EventServerStarting, Revision: 1},
	{Type: run.EventWorkerStarted, Revision: 1, Worker: new(0), Attempt: 1, PID: 11},
	{Type: run.EventWorkerStarted, Revision: 1, Worker: new(1), Attempt: 1, PID: 12},
	{Type: run.EventWorkerReady, Revision: 1, Worker: new(0), Attempt: 1},
	{Type: run.EventWorkerReady, Revision: 1, Worker: new(1), Attempt: 1},
	{
		Type: run.EventServerReady, Revision: 1, Address: "http://127.0.0.1:21873/predict", Answer: 0.0031,
		Seconds: 1.2, Example: `["it's", 0]`,
	},
	{Type: run.EventNote, Revision: 1, Text: "of revision 1 alone"},
	{Type: run.EventServerStarting, Revision: 2},
	{
		Type: run.EventServerFailed, Revision: 2, Reason: run.ReasonProgram,
		Error: &run.Error{Type: "KeyError", Text: "'<b>'", Frames: []run.Frame{
			{File: "main.py", Line: 3, Function: "<module>", Text: "x = d['<b>']", Cell: 4, CellLine: 2, Mine: true},
		}},
	},
	{Type: run.EventServerStarting, Revision: 3},
	{Type: run.EventServerReady, Revision: 3, Address: "http://127.0.0.1:21873/predict"},
	{Type: run.EventWorkerEnded, Revision: 3, Worker: new(1), Attempt: 1, Reason: run.ReasonSignal},
	{Type: run.EventEnded, State: run.Stopped},
}

func TestServer(t *testing.T) {
	for _, c := range []struct {
		events, revision int
		want             string
	}{
		{1, 1, "serve-1   starting   loading the program   1.0 s"},
		{5, 1, "serve-1   starting   1 of 2 workers ready   4.0 s"},
		{6, 1, "serve-1   starting   asking it for a first answer   5.0 s"},
		{7, 1, "serve-1   ready on http://127.0.0.1:21873/predict   2 workers   model train-model-7:5   first answer " +
			"3.1 ms to [\"it's\", 0], made from the signature\n" +
			`curl -d '["it'\''s", 0]' http://127.0.0.1:21873/predict`},
		{8, 1, "serve-1   ready on http://127.0.0.1:21873/predict   2 workers   model train-model-7:5   first answer " +
			"3.1 ms to [\"it's\", 0], made from the signature\n" +
			`curl -d '["it'\''s", 0]' http://127.0.0.1:21873/predict` + "\nof revision 1 alone"},
		{9, 2, "serve-1   starting   loading the program   1.0 s\n" +
			"revision 1 goes on answering on http://127.0.0.1:21873/predict until revision 2 is ready"},
		{10, 2, "serve-1   failed\nrevision 2 never got ready: KeyError: '<b>' (cell 4, line 2)\n" +
			"revision 1 goes on answering on http://127.0.0.1:21873/predict"},
		{12, 3, "serve-1   ready on http://127.0.0.1:21873/predict   2 workers   model train-model-7:5\ncurl -d '…' " +
			"http://127.0.0.1:21873/predict\n" +
			"no request was tried: --example gives an input to try first, as JSON or as a variable"},
		{13, 3, "serve-1   ready on http://127.0.0.1:21873/predict   0 of 2 workers   model train-model-7:5\ncurl -d " +
			"'…' http://127.0.0.1:21873/predict\n" +
			"no request was tried: --example gives an input to try first, as JSON or as a variable"},
		{14, 3, "serve-1   stopped   after 13 s"},
	} {
		t.Run(fmt.Sprintf("after %d events", c.events), func(t *testing.T) {
			if got := serverHistory.at(c.events, c.revision).Text(); got != c.want {
				t.Errorf("after %d events:\n%s\nwant\n%s", c.events, got, c.want)
			}
		})
	}
}

// What a revision failed at was an input of ours or one of theirs, which is said either way.
func TestWhatAServerWasTriedWith(t *testing.T) {
	tried := history{
		{Type: run.EventServerStarting, Revision: 1},
		{
			Type: run.EventServerFailed, Revision: 1, Reason: run.ReasonTest,
			Text: "the example made from the signature, 1, was answered with 500: serve raised KeyError: 1",
			Hint: "Name an input that it takes with --example.",
			Error: &run.Error{
				Type: "KeyError", Text: "1", Frames: []run.Frame{
					{Cell: 4, CellLine: 2, Function: "serve", Text: "return d[n]", Mine: true},
				},
			},
		},
	}
	const want = "serve-1   failed\nrevision 1 never got ready: the example made from the signature, 1, was answered " +
		"with 500: serve raised KeyError: 1 (cell 4, line 2)"
	if got := tried.at(2, 1).Text(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	body := view.ServerFailure(&run.RevisionFailure{Error: tried[1].Error, Hint: tried[1].Hint})
	if !strings.HasSuffix(body, "return d[n]\nName an input that it takes with --example.") {
		t.Errorf("%q", body)
	}
	spec := run.Spec{
		Name: "serve-1", Kind: run.Serve, Completions: 1, Server: &run.ServerSpec{Revision: 1, Example: "7"},
	}
	state := run.NewState(spec)
	state.Apply(run.Event{
		Type: run.EventServerReady, Revision: 1, Address: "http://127.0.0.1:21873/predict", Answer: 0.0031,
		Example: "7",
	})
	if got := view.NewPanel(view.ServerFacts{Spec: spec}, state, start).Text(); strings.Contains(got, "signature") {
		t.Errorf("%q", got)
	}
}

func TestServerHTML(t *testing.T) {
	golden(t, "server.html", serverHistory.at(7, 1).HTML())
	if html := serverHistory.at(10, 2).HTML(); strings.Contains(html, "<b>'") || !strings.Contains(html, "&lt;b&gt;") ||
		!strings.Contains(html, `class="bad"`) {
		t.Errorf("a failure is drawn as\n%s", html)
	}
}

// What is to be copied is never cut, however narrow the terminal.
func TestServerOnANarrowTerminal(t *testing.T) {
	lines := serverHistory.at(7, 1).Terminal(40, 20, false)
	if !strings.Contains(lines[0], "http://127.0.0.1:21873/predict") || !strings.HasSuffix(lines[1], "/predict") {
		t.Errorf("cut to\n%s", strings.Join(lines, "\n"))
	}
}

// A process that ended without an exception of its own has nothing to add to the sentence.
func TestAServerWhoseProgramEnds(t *testing.T) {
	failed := history{
		{Type: run.EventServerStarting, Revision: 1},
		{
			Type: run.EventServerFailed, Revision: 1, Reason: run.ReasonProgram, Error: &run.Error{
				Type: "Error", Origin: run.FromProcess, Text: "Python ended with exit status 3",
			},
		},
	}
	const want = "serve-1   failed\nrevision 1 never got ready: Python ended with exit status 3"
	if got := failed.at(2, 1).Text(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	last := &run.RevisionFailure{Error: failed[1].Error}
	if body := view.ServerFailure(last); body != "" {
		t.Errorf("said again: %q", body)
	}
	last.Error.Traceback = "its last words"
	if body := view.ServerFailure(last); !strings.Contains(body, "its last words") {
		t.Errorf("%q", body)
	}
}

// A class of the program may have any name.
func TestAServerWhoseProgramRaisesAnErrorNamedError(t *testing.T) {
	for _, name := range []string{"Error", "Refused"} {
		failed := history{
			{Type: run.EventServerStarting, Revision: 1},
			{
				Type: run.EventServerFailed, Revision: 1, Reason: run.ReasonProgram,
				Error: &run.Error{Type: name, Text: "no table"},
			},
		}
		want := "serve-1   failed\nrevision 1 never got ready: " + name + ": no table"
		if got := failed.at(2, 1).Text(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What a function returned has no place in the program: the sentence of the cause is all there is to say.
func TestAServerWhoseResultIsNoJSON(t *testing.T) {
	const said = "serve returned a set, which cannot be JSON"
	failed := &run.RevisionFailure{
		Reason: run.ReasonTest, Text: "the example 1 was answered with 500: " + said,
		Error: &run.Error{Type: "TypeError", Text: said, Traceback: said},
	}
	if body := view.ServerFailure(failed); body != "" {
		t.Errorf("said again: %q", body)
	}
}

// What MetaML refuses is said once, and what to do about it after that.
func TestAServerWhoseFunctionIsRefused(t *testing.T) {
	failed := &run.Error{
		Type: "Refused", Origin: run.FromMetaML,
		Text:   "serve has only *images, and a request has to go somewhere\nWrite `def serve(input):`.",
		Frames: []run.Frame{{Cell: 1, CellLine: 2, Function: "serve", Text: "def serve(*images):", Mine: true}},
	}
	shown := history{
		{Type: run.EventServerStarting, Revision: 1},
		{Type: run.EventServerFailed, Revision: 1, Reason: run.ReasonProgram, Error: failed},
	}
	const want = "serve-1   failed\nrevision 1 never got ready: serve has only *images, and a request has to go " +
		"somewhere (cell 1, line 2)"
	if got := shown.at(2, 1).Text(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	body := view.ServerFailure(&run.RevisionFailure{Error: failed})
	if want := "Write `def serve(input):`.\ncell 1, line 2, in serve\n    def serve(*images):"; body != want {
		t.Errorf("the rest is %q, want %q", body, want)
	}
}

// What a revision waits for is shown while it does, and never beside what it has become.
func TestWhatARevisionWaitsForIsShownWhileItStarts(t *testing.T) {
	waits := func(text string) run.Event {
		return run.Event{Type: run.EventNote, Revision: 1, Code: run.NoteWaiting, Text: "revision 1 waits: " + text}
	}
	spec := run.Spec{
		Name: "serve-1@prod/team", Kind: run.Serve, Completions: 1, Created: start,
		Server: &run.ServerSpec{Revision: 1, Path: "/predict"},
	}
	state := run.NewState(spec)
	n := int64(0)
	shows := func(e run.Event) string {
		t.Helper()
		n++
		e.Source, e.Seq, e.Time = "monitor", n, start.Add(time.Duration(n)*time.Second)
		state.Apply(e)
		return view.NewPanel(view.ServerFacts{Spec: spec}, state, start).Text()
	}
	shows(run.Event{Type: run.EventSubmitted})
	shows(run.Event{Type: run.EventServerStarting, Revision: 1})
	shows(waits("no node has room"))
	if text := shows(waits("a node is pulling the image")); strings.Contains(text, "no node") ||
		!strings.Contains(text, "pulling") {
		t.Errorf("while it starts it shows\n%s", text)
	}
	text := shows(run.Event{Type: run.EventServerReady, Revision: 1, Address: "http://127.0.0.1:21873/predict"})
	if strings.Contains(text, "waits") ||
		!strings.Contains(text, "\nprograms in the cluster ask it on http://serve-1.team/predict") {
		t.Errorf("when it is ready it shows\n%s", text)
	}
	text = shows(run.Event{Type: run.EventServerReady, Revision: 1, Address: spec.ServiceURL()})
	if strings.Count(text, "ask it on") > 0 {
		t.Errorf("in the cluster its address is shown twice\n%s", text)
	}
}

// A server that callers outside of its cluster reach is ready at that address once something leads there.
func TestAServerThatIsReachedFromOutside(t *testing.T) {
	const here = "http://127.0.0.1:21873/predict"
	for _, c := range []struct {
		name   string
		public run.Public
		want   string
	}{
		{"nothing leads there yet", run.Public{
			URL: "http://serve.example/predict", Text: "it waits for an address", Waits: true,
		}, `serve-1@lab/team   ready on http://127.0.0.1:21873/predict   0 of 1 replica
curl -d '…' http://127.0.0.1:21873/predict
programs in the cluster ask it on http://serve-1.team/predict
it waits for an address`},
		{
			"an Ingress does",
			run.Public{URL: "http://serve.example/predict", Text: "it answers at 203.0.113.7"},
			`serve-1@lab/team   ready on http://serve.example/predict   0 of 1 replica
curl -d '…' http://serve.example/predict
programs on this machine ask it on http://127.0.0.1:21873/predict
programs in the cluster ask it on http://serve-1.team/predict
it answers at 203.0.113.7`,
		},
		{"nothing any more", run.Public{}, `serve-1@lab/team   ready on http://127.0.0.1:21873/predict   0 of 1 replica
curl -d '…' http://127.0.0.1:21873/predict
programs in the cluster ask it on http://serve-1.team/predict`},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := run.Spec{
				Name: "serve-1@lab/team", Kind: run.Serve, Server: &run.ServerSpec{Revision: 1, Path: "/predict"},
				Settings: []run.Setting{{Name: "target", Value: run.Kubernetes}},
			}
			state := run.NewState(spec)
			worker := run.Event{Type: run.EventWorkerStarted, Revision: 1, Worker: new(0), Attempt: 1}
			before := run.Public{URL: "http://before.example/predict"}
			for i, e := range []run.Event{
				{Type: run.EventServerReady, Revision: 1, Address: here}, worker, before.Event(), c.public.Event(),
			} {
				e.Source, e.Seq, e.Time = "monitor", int64(i+1), start
				state.Apply(e)
			}
			if got := view.NewPanel(view.ServerFacts{Spec: spec}, state, start).Text(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
