package engine_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func TestAServer(t *testing.T) {
	s := newServer(t)
	done := s.deploy(s.revisionSpec(2), double)
	if done.Attached || done.Replaces != 0 || done.Spec.Name != "serve-1" || done.Spec.Server.Revision != 1 {
		t.Errorf("%+v", done)
	}
	s.expectAnswer("21", `{"twice":42}`)
	l := s.load()
	v := l.State.Server
	if l.Liveness != run.Alive || l.State.Phase != run.Running || v.Revision != 1 || v.Starting != 0 ||
		len(v.Workers) != 2 || !v.Workers[0].Ready ||
		v.Answer <= 0 || v.Example == "" || v.Port() < 20000 || v.Port() > 31999 || !l.State.Loaded.Fork {
		t.Errorf("%+v", v)
	}
	// It outlives whoever submitted it, is listed, and can be found.
	if all, err := s.List(t.Context()); err != nil || len(all) != 1 || all[0].State.Server.Address != v.Address {
		t.Errorf("%+v %v", all, err)
	}
	if found, err := s.Server(t.Context(), s.revisionSpec(1)); err != nil || found == nil ||
		found.Spec.Name != "serve-1" {
		t.Errorf("%+v %v", found, err)
	}
	// Asked for the same once more: it is there already.
	again, err := s.Submit(t.Context(), run.Submission{Spec: done.Spec, Program: s.program(double)}, nil)
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
	if _, _, err := s.post(url, "1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped server was sent a request: %v", err)
	}
	if all, err := s.List(t.Context()); err != nil || all[0].State.Server.Address != url ||
		all[0].State.Server.Revision != 1 {
		t.Errorf("a list of a stopped server: %+v %v", all[0].State.Server, err)
	}
	if err := s.Delete(t.Context(), s.name); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "metaml", "*")); len(left) > 0 {
		t.Errorf("sockets are left: %v", left)
	}
}

// The allowed hosts and origins belong to a revision; the next one may allow others.
func TestWhoMayAskAServer(t *testing.T) {
	s := newServer(t)
	visit := func(header, value string) (int, string) {
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
	s.deploy(s.revisionSpec(1), double)
	if status, _ := visit("Host", "hub.example"); status != 421 {
		t.Errorf("a name that is not its own: %d", status)
	}
	if status, _ := visit("Origin", "https://app.example"); status != 403 {
		t.Errorf("a page of another site: %d", status)
	}
	spec := s.revisionSpec(1)
	spec.Server.Hosts, spec.Server.Origins = []string{"hub.example"}, []string{"https://app.example"}
	s.deploy(spec, double)
	if status, _ := visit("Host", "hub.example"); status != 200 {
		t.Errorf("a name that it was given: %d", status)
	}
	if status, allowed := visit("Origin", "https://app.example"); status != 200 || allowed != "https://app.example" {
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
	spec := s.revisionSpec(1)
	spec.Server.Model, spec.Server.ModelFolder = "train-1:0", trained
	source := `
import os, pathlib
folder = pathlib.Path(os.environ["_METAML_MODEL"])
def serve(input):
    return [(folder / name).read_text() for name in ("model.txt", "deep/more.txt", "deep/link.txt")]
`
	s.deploy(spec, source)
	if err := os.RemoveAll(trained); err != nil {
		t.Fatal(err)
	}
	s.expectAnswer("null", `["7","8","9"]`)
	next := s.revisionSpec(1)
	next.Server.Model, next.Server.ModelFolder = "train-1:0", trained
	var refused *usererror.Error
	_, err := s.Submit(t.Context(), run.Submission{Spec: next, Program: s.program(source)}, nil)
	if !errors.As(err, &refused) || refused.Code != "model" || !strings.Contains(refused.Text, "train-1:0") {
		t.Errorf("a model that is gone: %v", err)
	}
}

func TestTwoSubmissionsOfAServerAtOnce(t *testing.T) {
	s := newServer(t)
	spec := s.revisionSpec(1)
	var both sync.WaitGroup
	done := make([]run.Submitted, 4)
	for i := range done {
		program := s.program(double)
		both.Go(func() {
			var err error
			if done[i], err = s.Submit(t.Context(), run.Submission{Spec: spec, Program: program}, nil); err != nil {
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
	s.waitForOutcome(1)
	s.expectAnswer("4", `{"twice":8}`)
}

func TestEachRevisionHasTheEnvironmentOfItsSubmission(t *testing.T) {
	s := newServer(t)
	source := "import os\ndef serve(input: int):\n    return os.environ['COLOUR']\n"
	t.Setenv("COLOUR", "red")
	s.deploy(s.revisionSpec(1), source)
	s.expectAnswer("1", "red")
	t.Setenv("COLOUR", "blue")
	s.deploy(s.revisionSpec(1), source)
	s.expectAnswer("1", "blue")
	s.kill("monitor")
	s.waitForAnswer("1", "blue")
	f := s.Folder(s.name)
	if exists(f.Revision(1).EnvironmentFile()) || !exists(f.Revision(2).EnvironmentFile()) {
		t.Error("the environment is not that of the revision that answers alone")
	}
	s.stop()
	if exists(f.Revision(2).EnvironmentFile()) {
		t.Error("the environment of a stopped server is kept")
	}
	t.Setenv("COLOUR", "green")
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.waitForAnswer("1", "green")
}

// The program is the real __main__ of a worker, so that what it defines is found in processes that the function starts.
func TestAFunctionMayHavePools(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), `import multiprocessing
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
	s.expectAnswer("[2,3]", "[[4,9],[4,9],[4,9]]")
	s.expectAnswer("[4]", "[[16],[16],[16]]")
}

func TestAProgramThatMayNotBeForkedIsServedByProcessesOfTheirOwn(t *testing.T) {
	s := newServer(t)
	source := `
import os, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

def serve(input: int):
    time.sleep(0.02)
    return os.getpid()
`
	done := s.deploy(s.revisionSpec(2), source)
	if done.Spec.Completions != 2 || s.load().State.Loaded.Fork {
		t.Error(s.describe())
	}
	pids := func() int {
		var all sync.Map
		var people sync.WaitGroup
		for range 8 {
			people.Go(func() {
				if status, pid, err := s.post(s.url(), "1"); err == nil && status == 200 {
					all.Store(pid, true)
				}
			})
		}
		people.Wait()
		n := 0
		all.Range(func(any, any) bool { n++; return true })
		return n
	}
	s.waitFor("answers of both", func() bool { return pids() == 2 })
	s.kill("worker")
	s.waitFor("answers of both", func() bool { return pids() == 2 })
}

func TestTwoServersSideBySide(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), double)
	other := &server{bench: s.bench, client: s.client, series: "other"}
	other.deploy(other.revisionSpec(1), "def serve(input: int):\n    return -input\n")
	defer other.stop()
	s.expectAnswer("3", `{"twice":6}`)
	other.expectAnswer("3", "-3")
	other.kill("monitor")
	s.expectAnswer("4", `{"twice":8}`)
	other.waitForAnswer("4", "-4")
	fronts := other.fronts()
	other.stop()
	s.waitFor("the other front to end", func() bool { return !anyAlive(fronts) })
	s.expectAnswer("5", `{"twice":10}`)
}

func TestTheLogOfAWorker(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1),
		"import os\nprint('loading')\ndef serve(input: int):\n    print('asked', input, flush=True)\n    if input == "+
			"13: os._exit(5)\n    return input\n")
	log := func(attempt int) string {
		var text strings.Builder
		if err := s.Log(t.Context(), s.name, 0, attempt, "both", false, &text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	example := "asked 1\n"
	s.expectAnswer("1", "1")
	_, _, _ = s.post(s.url(), "13")
	s.waitForAnswer("2", "2")
	if all := log(0); all != example+"asked 1\nasked 13\nmetaml: worker 0 ended with exit status 5\nasked 2\n" {
		t.Errorf("%q", all)
	}
	if second := log(2); second != "asked 2\n" {
		t.Errorf("%q", second)
	}
	var refused *usererror.Error
	if err := s.Log(t.Context(), s.name, 1, 0, "both", false, io.Discard); !errors.As(err, &refused) ||
		!strings.Contains(refused.Text, "no worker 1") {
		t.Errorf("%v", err)
	}
	// It goes on with the revision that replaces this one, until the server has ended.
	reading, writing := io.Pipe()
	followed := make(chan error, 1)
	go func() {
		err := s.Log(t.Context(), s.name, 0, 0, "stdout", true, writing)
		_ = writing.Close()
		followed <- err
	}()
	var text strings.Builder
	var mu sync.Mutex
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		buf := make([]byte, 4096)
		for {
			n, err := reading.Read(buf)
			mu.Lock()
			text.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	shows := func(what string) {
		t.Helper()
		s.waitFor(what, func() bool { mu.Lock(); defer mu.Unlock(); return strings.Contains(text.String(), what) })
	}
	shows("asked 2\n")
	s.expectAnswer("3", "3")
	shows("asked 3\n")
	s.deploy(s.revisionSpec(1), "def serve(input: int):\n    print('another', input, flush=True)\n    return input\n")
	s.expectAnswer("4", "4")
	shows("another 4\n")
	s.stop()
	if err := <-followed; err != nil {
		t.Error(err)
	}
	<-copied
}
