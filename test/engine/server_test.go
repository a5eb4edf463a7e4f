package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// server is a server of the test's own, and people who ask it.
type server struct {
	*bench
	client *http.Client
	name   string
	spec   run.Spec
	series string
}

func newServer(t *testing.T) *server {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s := &server{bench: newBench(t), client: &http.Client{Timeout: 60 * time.Second}, series: "serve"}
	t.Cleanup(s.client.CloseIdleConnections)
	t.Cleanup(func() {
		if t.Failed() && s.name != "" {
			t.Log(s.describe())
		}
	})
	t.Cleanup(func() {
		// Before the bench looks what is left: the front has no mark.
		if s.name != "" {
			fronts := s.fronts()
			s.stop()
			s.waitFor("the front to end", func() bool { return !anyAlive(fronts) })
		}
	})
	return s
}

// next describes a server of main.py's function serve.
func (s *server) next(workers int) run.Spec {
	spec := s.bench.spec(workers)
	spec.Series, spec.Key, spec.Kind, spec.Entry, spec.Source, spec.Created = s.series, strconv.Itoa(int(keys.Add(1))), run.Serve, "serve", s.cwd, time.Time{}
	spec.Server = &run.ServerSpec{Path: "/predict", Host: "127.0.0.1"}
	return spec
}

var keys atomic.Int64

// submit asks for a revision.
func (s *server) submit(spec run.Spec, source string) local.Submitted {
	s.t.Helper()
	done, err := s.Submit(s.t.Context(), local.Submission{Spec: spec, Program: s.program(source)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.name, s.spec = done.Spec.Name, done.Spec
	return done
}

// serve asks for a revision and waits until it answers.
func (s *server) serve(spec run.Spec, source string) local.Submitted {
	s.t.Helper()
	done := s.submit(spec, source)
	if e := s.outcome(done.Spec.Server.Revision); e.Type != run.EventServerReady {
		s.t.Fatalf("%+v\n%s", e, s.describe())
	}
	return done
}

// outcome waits for what becomes of a revision: it is ready, has failed, or the server has ended.
func (s *server) outcome(revision int) (found run.Event) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	enough := errors.New("enough")
	err := s.Follow(ctx, s.name, "", func(e run.Event, _ string) error {
		if (e.Type == run.EventServerReady || e.Type == run.EventServerFailed) && e.Revision == revision || e.Type == run.EventEnded {
			found = e
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		s.t.Fatalf("revision %d: %v\n%s", revision, err, s.describe())
	}
	return found
}

func (s *server) look() local.Listed {
	s.t.Helper()
	l, err := s.Load(s.t.Context(), s.name)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *server) url() string { return s.look().State.Server.Address }

// ask posts JSON; the error is that there was no answer.
func (s *server) ask(url, body string) (int, string, error) {
	r, err := s.client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, strings.TrimSpace(string(text)), err
}

// answers expects an answer.
func (s *server) answers(body, want string) {
	s.t.Helper()
	if status, got, err := s.ask(s.url(), body); err != nil || status != 200 || got != want {
		s.t.Errorf("%s was answered with %d %q %v, want %q\n%s", body, status, got, err, want, s.describe())
	}
}

// again waits until the answer is right, whatever comes before that.
func (s *server) again(body, want string) {
	s.t.Helper()
	var status int
	var got string
	var err error
	s.waitFor(want, func() bool {
		status, got, err = s.ask(s.url(), body)
		return err == nil && status == 200 && got == want
	})
}

func (s *server) stop() {
	s.t.Helper()
	if l, err := s.Load(context.Background(), s.name); err == nil && l.Liveness.Active() {
		_ = s.Stop(context.Background(), s.name, nil, true)
		_ = s.Follow(context.Background(), s.name, "", func(run.Event, string) error { return nil })
	}
}

// fronts are the processes that the events name.
func (s *server) fronts() []int {
	var all []int
	_ = s.events(s.name, func(e run.Event) error {
		if e.Type == run.EventFrontStarted {
			all = append(all, e.PID)
		}
		return nil
	})
	return all
}

func anyAlive(pids []int) bool {
	for _, pid := range pids {
		if folder.StartTime(pid) != 0 && !zombie(pid) {
			return true
		}
	}
	return false
}

func (s *server) describe() string {
	var text strings.Builder
	_ = s.events(s.name, func(e run.Event) error {
		worker := ""
		if e.Worker != nil {
			worker = fmt.Sprintf("worker %d.%d ", *e.Worker, e.Attempt)
		}
		fmt.Fprintf(&text, "%s %s revision %d %s%s %s %s", e.Time.Format("05.000"), e.Type, e.Revision, worker, e.Reason, e.Text, e.State)
		if e.Error != nil {
			fmt.Fprintf(&text, " %s: %s\n%s", e.Error.Type, e.Error.Text, e.Error.Traceback)
		}
		text.WriteByte('\n')
		return nil
	})
	for _, path := range []string{s.Folder(s.name).MonitorLog(), s.Folder(s.name).FrontLog()} {
		data, _ := os.ReadFile(path)
		fmt.Fprintf(&text, "%s:\n%s", filepath.Base(path), data)
	}
	return text.String()
}

const double = `
model = 2

def serve(input: int):
    return {"twice": model * input}
`

func TestAServer(t *testing.T) {
	s := newServer(t)
	done := s.serve(s.next(2), double)
	if done.Attached || done.Replaces != 0 || done.Spec.Name != "serve-1" || done.Spec.Server.Revision != 1 {
		t.Errorf("%+v", done)
	}
	s.answers("21", `{"twice":42}`)
	l := s.look()
	v := l.State.Server
	if l.Liveness != local.Alive || l.State.Phase != run.Running || v.Revision != 1 || v.Starting != 0 || len(v.Workers) != 2 || !v.Workers[0].Ready ||
		v.Answer <= 0 || v.Example == "" || v.Port() < 20000 || v.Port() > 31999 || !l.State.Loaded.Fork {
		t.Errorf("%+v", v)
	}
	// It outlives whoever submitted it, is listed, and can be found.
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0].State.Server.Address != v.Address {
		t.Errorf("%+v %v", all, err)
	}
	if found, err := s.Server(t.Context(), s.next(1)); err != nil || found == nil || found.Spec.Name != "serve-1" {
		t.Errorf("%+v %v", found, err)
	}
	// Asked for the same once more: it is there already.
	again, err := s.Submit(t.Context(), local.Submission{Spec: done.Spec, Program: s.program(double)})
	if err != nil || !again.Attached || again.Spec.Server.Revision != 1 || again.Replaces != 1 {
		t.Errorf("%+v %v", again, err)
	}
	trial := 0
	var refused *usererror.Error
	if err := s.Stop(t.Context(), s.name, &trial, false); !errors.As(err, &refused) || refused.Code != "trial" {
		t.Errorf("one worker was stopped: %v", err)
	}
	if err := s.Delete(t.Context(), s.name); !errors.As(err, &refused) || refused.Code != "active" {
		t.Errorf("deleted: %v", err)
	}
	url := s.url()
	if err := s.Stop(t.Context(), s.name, nil, false); err != nil {
		t.Fatal(err)
	}
	if l := s.await(s.name); l.State.Phase != run.Stopped || l.State.Reason != run.ReasonStopped {
		t.Error(s.describe())
	}
	if _, _, err := s.ask(url, "1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped server was asked: %v", err)
	}
	if all, err := s.List(t.Context()); err != nil || all[0].State.Server.Address != url || all[0].State.Server.Revision != 1 {
		t.Errorf("a list of a stopped server: %+v %v", all[0].State.Server, err)
	}
	if err := s.Delete(t.Context(), s.name); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "metaml", "*")); len(left) > 0 {
		t.Errorf("sockets are left: %v", left)
	}
}

// Who may ask is the revision's: another one may let others.
func TestWhoMayAskAServer(t *testing.T) {
	s := newServer(t)
	asks := func(header, value string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url(), strings.NewReader("21"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, value)
		if header == "Host" {
			r.Host = value
		}
		answer, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Access-Control-Allow-Origin")
	}
	s.serve(s.next(1), double)
	if status, _ := asks("Host", "hub.example"); status != 421 {
		t.Errorf("a name that is not its own: %d", status)
	}
	if status, _ := asks("Origin", "https://app.example"); status != 403 {
		t.Errorf("a page of another site: %d", status)
	}
	spec := s.next(1)
	spec.Server.Hosts, spec.Server.Origins = []string{"hub.example"}, []string{"https://app.example"}
	s.serve(spec, double)
	if status, _ := asks("Host", "hub.example"); status != 200 {
		t.Errorf("a name that it was given: %d", status)
	}
	if status, allowed := asks("Origin", "https://app.example"); status != 200 || allowed != "https://app.example" {
		t.Errorf("a page that may: %d, %q", status, allowed)
	}
}

func TestTheModelIsTheServersOwn(t *testing.T) {
	s := newServer(t)
	trained := filepath.Join(t.TempDir(), "output")
	if err := os.MkdirAll(filepath.Join(trained, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"model.txt": "7", "deep/more.txt": "8", "outside": "9"} {
		if err := os.WriteFile(filepath.Join(trained, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(trained, "outside"), filepath.Join(trained, "deep", "link.txt")); err != nil {
		t.Fatal(err)
	}
	spec := s.next(1)
	spec.Server.Model, spec.Server.ModelFolder = "train-1:0", trained
	source := `
import os, pathlib
folder = pathlib.Path(os.environ["_METAML_MODEL"])
def serve(input):
    return [(folder / name).read_text() for name in ("model.txt", "deep/more.txt", "deep/link.txt")]
`
	s.serve(spec, source)
	if err := os.RemoveAll(trained); err != nil {
		t.Fatal(err)
	}
	s.answers("null", `["7","8","9"]`)
	next := s.next(1)
	next.Server.Model, next.Server.ModelFolder = "train-1:0", trained
	var refused *usererror.Error
	_, err := s.Submit(t.Context(), local.Submission{Spec: next, Program: s.program(source)})
	if !errors.As(err, &refused) || refused.Code != "model" || !strings.Contains(refused.Text, "train-1:0") {
		t.Errorf("a model that is gone: %v", err)
	}
}

func TestReplacedUnderLoadWithoutAFailedRequest(t *testing.T) {
	const revisions, connections = 10, 8
	s := newServer(t)
	source := func(revision int) string {
		return fmt.Sprintf("def serve(input: int):\n    return [%d, input]\n", revision)
	}
	s.serve(s.next(2), source(1))
	url := s.url()
	quit := make(chan struct{})
	var people sync.WaitGroup
	var latest, asked atomic.Int64
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
				if _, scan := fmt.Sscanf(string(body), "[%d,%d]", &revision, &back); err != nil || r.StatusCode != 200 || scan != nil || back != int64(n) || revision < before {
					t.Errorf("request %d: %d %q %v, when revision %d was ready", n, r.StatusCode, body, err, before)
					return
				}
				asked.Add(1)
			}
		})
	}
	for revision := 2; revision <= revisions+1; revision++ {
		done := s.serve(s.next(1+revision%2), source(revision))
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
	if asked.Load() == 0 {
		t.Error("nobody asked")
	}
	t.Logf("%d requests", asked.Load())
	s.waitFor("the replaced workers to end", func() bool { return len(s.processes("metaml._")) <= 3 })
	if t.Failed() {
		t.Log(s.describe())
	}
}

func TestARevisionThatNeverGetsReady(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), double)
	for _, c := range []struct {
		name, source, example string
		reason                run.Reason
		text                  string // in the text or the error
	}{
		{"the top level raises", "open('nothing there')\ndef serve(input): return 1\n", "", run.ReasonProgram, "FileNotFoundError"},
		{"the worker ends", "import os, threading\ndef serve(input): return 1\nthreading.Timer(0.01, os._exit, [3]).start()\nimport time\ntime.sleep(10)", "", run.ReasonProgram, "exit status 3"},
		{"the last lines of what loads", "import os, sys\ndef serve(input): return 1\nprint('last words', file=sys.stderr, flush=True)\nos._exit(3)", "", run.ReasonProgram, "last words"},
		{"the last lines of a worker", "import os, sys\ndef serve(input: int):\n    print('last words', file=sys.stderr, flush=True)\n    os._exit(3)\n", "", run.ReasonExit, "worker 0 ended while it answered the example made from the signature, 1: ended with exit status 3\nlast words"},
		{"a name that is not defined", "def serve(input: int): return undefined\n", "", run.ReasonTest, "name 'undefined' is not defined"},
		{"a module that is missing", "def serve(input: int):\n    import not_there\n", "", run.ReasonTest, "No module named 'not_there'"},
		{"no JSON", "def serve(input: int): return {1: object()}\n", "", run.ReasonTest, "object"},
		{"our own example is refused", "def serve(input: int): return 1 / (input - input)\n", "", run.ReasonTest, "the example made from the signature, 1, was answered with 500: serve raised ZeroDivisionError"},
		{"a stream that breaks", "def serve(input: int):\n    yield 1\n    raise KeyError('later')\n", "", run.ReasonTest, "was answered with 500: serve raised KeyError"},
		{"a stream that an error of its own breaks", "import metaml\ndef serve(input: int):\n    yield 1\n    raise metaml.HTTPError(409, 'taken')\n", "", run.ReasonTest, "was answered with 409: serve answered 409 taken, in a stream that had begun"},
		{"our own example is not taken in time", "import time\ndef serve(input: int): time.sleep(600)\n", "", run.ReasonTest, "504"},
		{"the example is refused", "def serve(input): return 1 / input\n", "0", run.ReasonTest, "ZeroDivisionError"},
		{"cannot be served", "serve = 3\n", "", run.ReasonProgram, "serve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := s.next(2)
			spec.Server.Example = c.example
			if strings.Contains(c.source, "sleep(600)") {
				spec.Timeout = 200 * time.Millisecond
			}
			done := s.submit(spec, c.source)
			e := s.outcome(done.Spec.Server.Revision)
			said := e.Text
			if e.Error != nil {
				said += e.Error.Type + ": " + e.Error.Text + e.Error.Traceback
			}
			if e.Type != run.EventServerFailed || e.Reason != c.reason || !strings.Contains(said, c.text) {
				t.Errorf("%+v %+v\n%s", e, e.Error, s.describe())
			}
			s.answers("1", `{"twice":2}`)
		})
	}
	if v := s.look().State.Server; v.Revision != 1 || v.Failed == nil || v.Starting != 0 {
		t.Errorf("%+v", v)
	}
}

// What an example from the signature says may be its own fault, which is no reason against a function that takes no other's place.
func TestAnExampleOfOursThatTheFunctionCannotTake(t *testing.T) {
	for name, source := range map[string]string{
		"an exception":           "def serve(input: int):\n    return {7: 14}[input]\n",
		"a loop that never runs": "def serve(input: int):\n    for i in range(1, input):\n        last = 2 * (i + 1)\n    return last\n",
		"a module by its name":   "import importlib\ndef serve(input: int):\n    return importlib.import_module({7: 'math'}.get(input, 'not_there')).gcd(28, 42)\n",
		"a result of its own":    "def serve(input: int):\n    return 14 if input == 7 else float('nan')\n",
		"an exit":                "import sys\ndef serve(input: int):\n    return 14 if input == 7 else sys.exit(3)\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.serve(s.next(1), source)
			s.answers("7", "14")
			l := s.look()
			noted := name == "a result of its own" && l.State.Server.Answer > 0
			for _, n := range l.State.Notes {
				noted = noted || strings.HasPrefix(n.Text, "the example made from the signature, 1, was answered with 500: serve ") && strings.Contains(n.Hint, "--example")
			}
			if !noted {
				t.Error(s.describe())
			}
			// The same in place of one that answers: nobody knows whether that one was better.
			spec := s.next(1)
			e := s.outcome(s.submit(spec, source+"\n# again\n").Spec.Server.Revision)
			if name == "a result of its own" {
				return
			}
			if e.Type != run.EventServerFailed || e.Reason != run.ReasonTest || !strings.Contains(e.Text, "signature, 1, was") || !strings.Contains(e.Hint, "--example") {
				t.Errorf("%+v\n%s", e, s.describe())
			}
			if v := s.look().State.Server; v.Revision != 1 || v.Failed == nil {
				t.Error(s.describe())
			}
			s.answers("7", "14")
			// With a real one it is what it always was.
			spec = s.next(1)
			spec.Server.Example = "7"
			if done := s.serve(spec, source); done.Spec.Server.Revision != 3 {
				t.Errorf("%+v", done)
			}
		})
	}
}

func TestAServerThatNeverAnswersEndsWithTheReason(t *testing.T) {
	s := newServer(t)
	done := s.submit(s.next(1), "print('here')\nundefined\ndef serve(input): return 1\n")
	l := s.await(done.Spec.Name)
	if l.State.Phase != run.Failed || l.State.Reason != run.ReasonProgram || !strings.Contains(l.State.Text, "NameError") || l.State.Server.Failed == nil {
		t.Error(s.describe())
	}
	// Once more, with the reason out of the way, in a folder of its own.
	if done := s.serve(s.next(1), double); done.Spec.Name != "serve-2" || done.Spec.Server.Revision != 1 {
		t.Errorf("%+v", done)
	}
}

func TestTheNewestRevisionSupersedesOneThatIsStarting(t *testing.T) {
	s := newServer(t)
	slow := "open('loading', 'w').write('x')\nimport time\ntime.sleep(600)\ndef serve(input): return 1\n"
	first := s.submit(s.next(1), slow)
	s.appears("loading")
	second := s.serve(s.next(1), double)
	if second.Spec.Name != first.Spec.Name || second.Spec.Server.Revision != 2 {
		t.Errorf("%+v", second)
	}
	if e := s.outcome(1); e.Reason != run.ReasonSuperseded || !strings.Contains(e.Text, "revision 2") {
		t.Errorf("%+v", e)
	}
	// And one that is given up.
	if err := os.Remove(filepath.Join(s.cwd, "loading")); err != nil {
		t.Fatal(err)
	}
	s.submit(s.next(1), slow)
	s.appears("loading")
	var refused *usererror.Error
	if err := s.StopRevision(t.Context(), s.name, 2); !errors.As(err, &refused) || refused.Code != "ready" {
		t.Errorf("the answering revision was given up: %v", err)
	}
	if err := s.StopRevision(t.Context(), s.name, 3); err != nil {
		t.Fatal(err)
	}
	if e := s.outcome(3); e.Reason != run.ReasonStopped {
		t.Errorf("%+v", e)
	}
	s.answers("4", `{"twice":8}`)
	s.waitFor("the processes of what was given up to end", func() bool { return len(s.processes("metaml._")) == 2 })
}

func TestTwoSubmissionsOfAServerAtOnce(t *testing.T) {
	s := newServer(t)
	spec := s.next(1)
	var both sync.WaitGroup
	done := make([]local.Submitted, 4)
	for i := range done {
		program := s.program(double)
		both.Go(func() {
			var err error
			if done[i], err = s.Submit(t.Context(), local.Submission{Spec: spec, Program: program}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	attached := 0
	for _, d := range done {
		if s.name = d.Spec.Name; d.Spec.Name != "serve-1" || d.Spec.Server.Revision != 1 {
			t.Errorf("%+v", d)
		}
		if d.Attached {
			attached++
		}
	}
	if attached != len(done)-1 {
		t.Errorf("%d of %d were attached", attached, len(done))
	}
	s.outcome(1)
	s.answers("4", `{"twice":8}`)
}

func TestPorts(t *testing.T) {
	s := newServer(t)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	spec := s.next(1)
	spec.Server.Port = held.Addr().(*net.TCPAddr).Port
	var refused *usererror.Error
	_, err = s.Submit(t.Context(), local.Submission{Spec: spec, Program: s.program(double)})
	if !errors.As(err, &refused) || refused.Code != "port" || !strings.Contains(refused.Text, strconv.Itoa(spec.Server.Port)) || !strings.Contains(refused.Hint, "--port") {
		t.Errorf("a port in use: %v", err)
	}
	elsewhere := s.next(1)
	elsewhere.Server.Host = "192.0.2.1"
	_, err = s.Submit(t.Context(), local.Submission{Spec: elsewhere, Program: s.program(double)})
	if !errors.As(err, &refused) || refused.Code != "host" || !strings.Contains(refused.Text, "192.0.2.1 is no address of this machine") {
		t.Errorf("an address of another machine: %v", err)
	}
	if names := s.names(); len(names) != 0 {
		t.Errorf("something was written: %v", names)
	}
	_ = held.Close()
	s.serve(spec, double)
	if got := s.look().State.Server.Port(); got != spec.Server.Port {
		t.Errorf("port %d, asked for %d", got, spec.Server.Port)
	}
	// Another server cannot have it, and is told whose it is; the same one keeps it.
	other := s.next(1)
	other.Series, other.Server.Port = "other", spec.Server.Port
	if _, err = s.Submit(t.Context(), local.Submission{Spec: other, Program: s.program(double)}); !errors.As(err, &refused) || !strings.Contains(refused.Hint, "metaml stop serve-1") {
		t.Errorf("another server's port: %v", err)
	}
	next := s.next(1)
	next.Server.Port = spec.Server.Port
	s.serve(next, double)
	// To another port, and then to another address on the same one.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	moved := s.next(1)
	moved.Server.Port = free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	before := s.url()
	s.serve(moved, double)
	s.answers("2", `{"twice":4}`)
	if s.url() == before {
		t.Errorf("still at %s", before)
	}
	s.waitFor("the old port to be given up", func() bool { _, _, err := s.ask(before, "1"); return errors.Is(err, syscall.ECONNREFUSED) })
	everywhere := s.next(1)
	everywhere.Server.Port, everywhere.Server.Host = moved.Server.Port, "0.0.0.0"
	s.serve(everywhere, double)
	s.answers("2", `{"twice":4}`)
}

// As nobody, in a process of its own, since only a user without rights is refused a port below 1024.
func TestAPortBelow1024(t *testing.T) {
	const inner = "METAML_TEST_LOW_PORT"
	if dir := os.Getenv(inner); dir != "" {
		target := &local.Target{Dir: dir, Agent: "unused"}
		_, err := target.Submit(t.Context(), local.Submission{Spec: run.Spec{Series: "serve", Kind: run.Serve, Server: &run.ServerSpec{Path: "/predict", Host: "127.0.0.1", Port: 80}}})
		var refused *usererror.Error
		if !errors.As(err, &refused) || refused.Code != "port" || !strings.Contains(refused.Text, "port 80 may not be used by this user") {
			t.Errorf("port 80: %v", err)
		}
		return
	}
	dir, err := os.MkdirTemp("/tmp", "metaml-low-port-") //nolint:usetesting // the test's own folder is in one that only we may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil { // for nobody
		t.Fatal(err)
	}
	// A copy of this program, where nobody may execute it.
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "engine.test")
	if err := os.WriteFile(binary, self, 0o755); err != nil { // for nobody
		t.Fatal(err)
	}
	out, err := asNobody(t, dir, inner+"="+filepath.Join(dir, "runs"), binary, "-test.run", "^TestAPortBelow1024$", "-test.v")
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAPortBelow1024")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// The program is the real __main__ of a worker, so that what it defines is found in processes that the function starts.
func TestAFunctionMayHavePools(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), `import multiprocessing
from concurrent.futures import ThreadPoolExecutor

def square(x): return x * x

def serve(xs: list[int]):
    with ThreadPoolExecutor(2) as pool:
        found = [list(pool.map(square, xs))]
    for how in "fork", "spawn":
        with multiprocessing.get_context(how).Pool(1) as pool:
            found.append(pool.map(square, xs))
    return found
`)
	s.answers("[2,3]", "[[4,9],[4,9],[4,9]]")
	s.answers("[4]", "[[16],[16],[16]]")
}
