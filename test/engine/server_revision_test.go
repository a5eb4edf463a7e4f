package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func TestReplacedUnderLoadWithoutAFailedRequest(t *testing.T) {
	const revisions, connections = 10, 8
	s := newServer(t)
	source := func(revision int) string {
		return fmt.Sprintf("def serve(input: int):\n    return [%d, input]\n", revision)
	}
	s.deploy(s.revisionSpec(2), source(1))
	url := s.url()
	quit := make(chan struct{})
	var people sync.WaitGroup
	var latest, requests atomic.Int64
	latest.Store(1)
	for i := range connections {
		people.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for n := i; ; n += connections {
				select {
				case <-quit:
					return
				default:
				}
				before := latest.Load()
				r, err := client.Post(url, "application/json", strings.NewReader(strconv.Itoa(n)))
				if err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				var revision, back int64
				if _, scan := fmt.Sscanf(string(body), "[%d,%d]", &revision, &back); err != nil ||
					r.StatusCode != 200 || scan != nil || back != int64(n) || revision < before {
					t.Errorf("request %d: %d %q %v, when revision %d was ready", n, r.StatusCode, body, err, before)
					return
				}
				requests.Add(1)
			}
		})
	}
	for revision := 2; revision <= revisions+1; revision++ {
		done := s.deploy(s.revisionSpec(1+revision%2), source(revision))
		if done.Replaces != revision-1 || done.Spec.Server.Revision != revision {
			t.Errorf("%+v", done)
		}
		if s.url() != url {
			t.Fatalf("revision %d is at %s", revision, s.url())
		}
		latest.Store(int64(revision))
	}
	close(quit)
	people.Wait()
	if requests.Load() == 0 {
		t.Error("nobody sent a request")
	}
	t.Logf("%d requests", requests.Load())
	s.waitFor("the replaced workers to end", func() bool { return len(s.processes("metaml._")) <= 3 })
	if t.Failed() {
		t.Log(s.describe())
	}
}

func TestARevisionThatNeverGetsReady(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), double)
	for _, c := range []struct {
		name, source, example string
		reason                run.Reason
		text                  string // in the text or the error
	}{
		{
			"the top level raises", "open('nothing there')\ndef serve(input): return 1\n", "", run.ReasonProgram,
			"FileNotFoundError",
		},
		{
			"the worker ends",
			"import os, threading\ndef serve(input): return 1\nthreading.Timer(0.01, os._exit, [3]).start()\nimport " +
				"time\ntime.sleep(10)", "", run.ReasonProgram, "exit status 3",
		},
		{
			"the last lines of what loads",
			"import os, sys\ndef serve(input): return 1\nprint('last words', file=sys.stderr, flush=True)\nos._exit(3)",
			"", run.ReasonProgram, "last words",
		},
		{
			"the last lines of a worker",
			"import os, sys\ndef serve(input: int):\n    print('last words', file=sys.stderr, flush=True)\n    " +
				"os._exit(3)\n", "", run.ReasonExit,
			"worker 0 ended while it answered the example made from the signature, 1: ended with exit status " +
				"3\nlast words",
		},
		{
			"a name that is not defined", "def serve(input: int): return undefined\n", "", run.ReasonTest,
			"name 'undefined' is not defined",
		},
		{
			"a module that is missing", "def serve(input: int):\n    import not_there\n", "", run.ReasonTest,
			"No module named 'not_there'",
		},
		{"no JSON", "def serve(input: int): return {1: object()}\n", "", run.ReasonTest, "object"},
		{
			"our own example is refused", "def serve(input: int): return 1 / (input - input)\n", "", run.ReasonTest,
			"the example made from the signature, 1, was answered with 500: serve raised ZeroDivisionError",
		},
		{
			"a stream that breaks", "def serve(input: int):\n    yield 1\n    raise KeyError('later')\n", "",
			run.ReasonTest, "was answered with 500: serve raised KeyError",
		},
		{
			"a stream that an error of its own breaks",
			"import metaml\ndef serve(input: int):\n    yield 1\n    raise metaml.HTTPError(409, 'taken')\n", "",
			run.ReasonTest, "was answered with 409: serve answered 409 taken, in a stream that had begun",
		},
		{
			"our own example is not taken in time", "import time\ndef serve(input: int): time.sleep(600)\n", "",
			run.ReasonTest, "504",
		},
		{"the example is refused", "def serve(input): return 1 / input\n", "0", run.ReasonTest, "ZeroDivisionError"},
		{"cannot be served", "serve = 3\n", "", run.ReasonProgram, "serve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := s.revisionSpec(2)
			spec.Server.Example = c.example
			if strings.Contains(c.source, "sleep(600)") {
				spec.Timeout = 200 * time.Millisecond
			}
			done := s.submit(spec, c.source)
			e := s.waitForOutcome(done.Spec.Server.Revision)
			said := e.Text
			if e.Error != nil {
				said += e.Error.Type + ": " + e.Error.Text + e.Error.Traceback
			}
			if e.Type != run.EventServerFailed || e.Reason != c.reason || !strings.Contains(said, c.text) {
				t.Errorf("%+v %+v\n%s", e, e.Error, s.describe())
			}
			s.expectAnswer("1", `{"twice":2}`)
		})
	}
	if v := s.load().State.Server; v.Revision != 1 || v.Failed == nil || v.Starting != 0 {
		t.Errorf("%+v", v)
	}
}

// What an example from the signature says may be its own fault, which is no reason against a function that takes no
// other's place.
func TestAnExampleOfOursThatTheFunctionCannotTake(t *testing.T) {
	for name, source := range map[string]string{
		"an exception": "def serve(input: int):\n    return {7: 14}[input]\n",
		"a loop that never runs": "def serve(input: int):\n    for i in range(1, input):\n        last = 2 * (i + " +
			"1)\n    return last\n",
		"a module by its name": "import importlib\ndef serve(input: int):\n    return importlib.import_module({7: " +
			"'math'}.get(input, 'not_there')).gcd(28, 42)\n",
		"a result of its own": "def serve(input: int):\n    return 14 if input == 7 else float('nan')\n",
		"an exit":             "import sys\ndef serve(input: int):\n    return 14 if input == 7 else sys.exit(3)\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.deploy(s.revisionSpec(1), source)
			s.expectAnswer("7", "14")
			l := s.load()
			noted := name == "a result of its own" && l.State.Server.Answer > 0
			for _, n := range l.State.Notes {
				noted = noted || strings.HasPrefix(n.Text,
					"the example made from the signature, 1, was answered with 500: serve "+
						"") && strings.Contains(n.Hint, "--example")
			}
			if !noted {
				t.Error(s.describe())
			}
			// In place of one that answers it is refused, since it may be the worse of the two.
			spec := s.revisionSpec(1)
			e := s.waitForOutcome(s.submit(spec, source+"\n# again\n").Spec.Server.Revision)
			if name == "a result of its own" {
				return
			}
			if e.Type != run.EventServerFailed || e.Reason != run.ReasonTest ||
				!strings.Contains(e.Text, "signature, 1, was") || !strings.Contains(e.Hint, "--example") {
				t.Errorf("%+v\n%s", e, s.describe())
			}
			if v := s.load().State.Server; v.Revision != 1 || v.Failed == nil {
				t.Error(s.describe())
			}
			s.expectAnswer("7", "14")
			// With a real one it is what it always was.
			spec = s.revisionSpec(1)
			spec.Server.Example = "7"
			if done := s.deploy(spec, source); done.Spec.Server.Revision != 3 {
				t.Errorf("%+v", done)
			}
		})
	}
}

func TestAServerThatNeverAnswersEndsWithTheReason(t *testing.T) {
	s := newServer(t)
	done := s.submit(s.revisionSpec(1), "print('here')\nundefined\ndef serve(input): return 1\n")
	l := s.await(done.Spec.Name)
	if l.State.Phase != run.Failed || l.State.Reason != run.ReasonProgram ||
		!strings.Contains(l.State.Text, "NameError") || l.State.Server.Failed == nil {
		t.Error(s.describe())
	}
	// Once more, with the reason out of the way, in a folder of its own.
	if done := s.deploy(s.revisionSpec(1), double); done.Spec.Name != "serve-2" || done.Spec.Server.Revision != 1 {
		t.Errorf("%+v", done)
	}
}

func TestTheNewestRevisionSupersedesOneThatIsStarting(t *testing.T) {
	s := newServer(t)
	slow := "open('loading', 'w').write('x')\nimport time\ntime.sleep(600)\ndef serve(input): return 1\n"
	first := s.submit(s.revisionSpec(1), slow)
	s.waitForFile("loading")
	second := s.deploy(s.revisionSpec(1), double)
	if second.Spec.Name != first.Spec.Name || second.Spec.Server.Revision != 2 {
		t.Errorf("%+v", second)
	}
	if e := s.waitForOutcome(1); e.Reason != run.ReasonSuperseded || !strings.Contains(e.Text, "revision 2") {
		t.Errorf("%+v", e)
	}
	// And one that is given up.
	if err := os.Remove(filepath.Join(s.cwd, "loading")); err != nil {
		t.Fatal(err)
	}
	s.submit(s.revisionSpec(1), slow)
	s.waitForFile("loading")
	var refused *usererror.Error
	if err := s.StopRevision(t.Context(), s.name, 2); !errors.As(err, &refused) || refused.Code != "ready" {
		t.Errorf("the answering revision was given up: %v", err)
	}
	if err := s.StopRevision(t.Context(), s.name, 3); err != nil {
		t.Fatal(err)
	}
	if e := s.waitForOutcome(3); e.Reason != run.ReasonStopped {
		t.Errorf("%+v", e)
	}
	s.expectAnswer("4", `{"twice":8}`)
	s.waitFor("the processes of what was given up to end", func() bool { return len(s.processes("metaml._")) == 2 })
}
