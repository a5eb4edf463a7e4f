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
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/internal/usererror"
)

// scale scales the server and waits until so many workers answer, and no others are left.
func (s *server) scale(n int) {
	s.t.Helper()
	if err := s.Scale(s.t.Context(), s.name, run.Replicas{Min: n}); err != nil {
		s.t.Fatalf("%v\n%s", err, s.describe())
	}
	s.waitForWorkers(n)
}

func (s *server) waitForWorkers(n int) {
	s.t.Helper()
	s.waitFor(fmt.Sprint(n, " workers"), func() bool {
		l, err := s.Load(s.t.Context(), s.name)
		if err != nil {
			return false
		}
		v := l.State.Server
		ready, known := v.CountWorkers(v.Revision)
		return ready == n && known == n && v.Starting == 0 && len(s.processes("metaml._")) == n+1
	})
}

// scalable describes a revision whose workers are its replicas.
func (s *server) scalable(replicas int) run.Spec {
	spec := s.revisionSpec(replicas)
	spec.Server.Replicas, spec.Server.Workers = replicas, 1
	return spec
}

func TestScaledUnderLoadWithoutAFailedRequest(t *testing.T) {
	const connections = 8
	s := newServer(t)
	s.deploy(s.scalable(1), "import time\ndef serve(input: int):\n    time.sleep(0.003)\n    return input\n")
	url := s.url()
	quit := make(chan struct{})
	var people sync.WaitGroup
	var requests atomic.Int64
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
				r, err := client.Post(url, "application/json", strings.NewReader(strconv.Itoa(n)))
				if err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if err != nil || r.StatusCode != 200 || strings.TrimSpace(string(body)) != strconv.Itoa(n) {
					t.Errorf("request %d: %d %q %v", n, r.StatusCode, body, err)
					return
				}
				requests.Add(1)
			}
		})
	}
	for _, n := range []int{4, 1, 3, 2, 5, 1} {
		before := requests.Load()
		s.scale(n)
		s.waitFor("requests between two numbers", func() bool { return requests.Load() > before+20 || t.Failed() })
	}
	// At once, one after the other.
	for _, n := range []int{5, 2, 4, 1, 3} {
		if err := s.Scale(t.Context(), s.name, run.Replicas{Min: n}); err != nil {
			t.Fatal(err)
		}
	}
	s.waitForWorkers(3)
	close(quit)
	people.Wait()
	if v := s.load().State.Server; v.Revision != 1 || v.Replicas != 3 || v.Restarts != 0 || s.url() != url {
		t.Errorf("%+v", v)
	}
	t.Logf("%d requests", requests.Load())
	if t.Failed() {
		t.Log(s.describe())
	}
}

func TestAWorkerThatIsOneTooManyAnswersWhatItHas(t *testing.T) {
	s := newServer(t)
	spec := s.scalable(2)
	spec.Server.Example = "0"
	s.release(0)
	s.deploy(spec, slow)
	first, second := s.begin(1), s.begin(2)
	if err := s.Scale(t.Context(), s.name, run.Replicas{Min: 1}); err != nil {
		t.Fatal(err)
	}
	third := make(chan string, 1)
	go func() {
		status, text, err := s.post(s.url(), "3")
		third <- fmt.Sprint(status, " ", text, " ", err)
	}()
	for n := range 3 {
		s.release(n + 1)
	}
	for n, said := range []<-chan string{first, second, third} {
		if got := <-said; got != fmt.Sprintf("200 %d <nil>", n+1) {
			t.Errorf("request %d was answered with %s", n+1, got)
		}
	}
	s.waitForWorkers(1)
}

func TestAScaledServerStaysSo(t *testing.T) {
	s := newServer(t)
	s.deploy(s.scalable(1), double)
	s.scale(3)
	for _, kind := range []string{"worker", "loader", "front", "monitor"} {
		t.Run("without its "+kind, func(t *testing.T) {
			s.kill(kind)
			s.waitForAnswer("3", `{"twice":6}`)
			s.waitForWorkers(3)
		})
	}
	t.Run("scaled while a monitor is started", func(t *testing.T) {
		if err := process.Signal(s.waitForProcess("monitor"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.scale(2)
	})
	t.Run("scaled when it is dead", func(t *testing.T) {
		s.killBoth()
		s.waitFor("the server to be dead", func() bool { return s.load().Liveness == run.Dead })
		s.scale(4)
		s.expectAnswer("3", `{"twice":6}`)
	})
	t.Run("replaced", func(t *testing.T) {
		if done := s.deploy(s.scalable(2), double+"\n# another\n"); done.Spec.Server.Revision != 2 {
			t.Errorf("%+v", done)
		}
		s.waitForWorkers(4)
	})
	t.Run("resumed", func(t *testing.T) {
		if err := s.Stop(t.Context(), s.name, nil, false); err != nil {
			t.Fatal(err)
		}
		s.await(s.name)
		var refused *usererror.Error
		err := s.Scale(t.Context(), s.name, run.Replicas{Min: 2})
		if !errors.As(err, &refused) || refused.Code != usererror.CodeEnded {
			t.Errorf("what has ended was scaled: %v", err)
		}
		if err := s.Resume(t.Context(), s.name); err != nil {
			t.Fatal(err)
		}
		s.waitForWorkers(4)
		s.waitForAnswer("3", `{"twice":6}`)
	})
}

// What a cell says of the replicas is done, unless somebody has scaled the server since.
func TestACellThatIsSubmittedToAScaledServer(t *testing.T) {
	s := newServer(t)
	spec := s.scalable(1)
	s.deploy(spec, double)
	again := func(replicas, want int, note string) {
		t.Helper()
		spec := spec
		spec.Server = new(*spec.Server)
		spec.Server.Replicas, spec.Completions = replicas, replicas
		done := s.submit(spec, double)
		if said := strings.Join(done.Differs, "; "); !done.Attached || said != note {
			t.Errorf("with %d replicas: attached %v, %q, want %q", replicas, done.Attached, said, note)
		}
		s.waitForWorkers(want)
	}
	again(1, 1, "")
	again(2, 2, "serve-1 is scaled from 1 to 2 replicas; its revision stays")
	again(2, 2, "")
	s.scale(3)
	again(2, 3, "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 2 changes that")
	again(4, 3, "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 4 changes that")
	again(3, 3, "") // now the cell says it
	again(2, 2, "serve-1 is scaled from 3 to 2 replicas; its revision stays")
	s.scale(1)
	again(2, 1, "serve-1 was scaled to 1 replica, which stays: metaml scale serve-1 2 changes that")
	s.scale(2) // as the cell says: nobody wishes otherwise
	s.deploy(s.scalable(1), double+"\n# another\n")
	s.waitForWorkers(1)
	if v := s.load().State.Server; v.Revision != 2 || v.Replicas != 0 {
		t.Errorf("%+v", v)
	}
}

func TestRollback(t *testing.T) {
	s := newServer(t)
	model := filepath.Join(t.TempDir(), "model")
	if err := os.MkdirAll(model, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(model, "weight"), []byte("7"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := s.scalable(1)
	first.Server.Model, first.Server.ModelFolder = "train-1:0", model
	const weighs = "import metaml\nweight = int((metaml.model() / 'weight').read_text())\n" +
		"def serve(input: int):\n    return weight * input\n"
	s.deploy(first, weighs)
	if err := os.RemoveAll(model); err != nil {
		t.Fatal(err)
	}
	second := s.scalable(1)
	s.deploy(second, double)
	s.submit(s.scalable(1), "undefined\ndef serve(input): return 1\n")
	s.waitForOutcome(3)
	roll := func(revision, number, of int) {
		t.Helper()
		done, err := s.Rollback(t.Context(), s.name, revision)
		if err != nil {
			t.Fatal(err)
		}
		if e := s.waitForOutcome(number); e.Type != run.EventServerReady || done.Spec.Server.Revision != number ||
			done.Spec.Server.Of != of {
			t.Fatalf("%+v with %+v\n%s", e, done.Spec.Server, s.describe())
		}
	}
	roll(0, 4, 1)
	s.expectAnswer("3", "21")
	if a, err := os.Stat(filepath.Join(s.Folder(s.name).Revision(1).Model(), "weight")); err != nil {
		t.Error(err)
	} else if b, err := os.Stat(filepath.Join(s.Folder(s.name).Revision(4).Model(), "weight")); err != nil ||
		!os.SameFile(a, b) {
		t.Errorf("the model was copied, or is not there: %v", err)
	}
	roll(0, 5, 2)
	s.expectAnswer("3", `{"twice":6}`)
	s.kill("monitor") // it is a revision like any other
	s.waitForAnswer("3", `{"twice":6}`)
	roll(4, 6, 1)
	s.expectAnswer("3", "21")
	first.Server.ModelFolder = "" // it is gone, and not needed
	if done := s.submit(first, weighs); !done.Attached || done.Spec.Server.Revision != 6 {
		t.Errorf("the cell of revision 1: %+v", done)
	}
	for _, c := range []struct {
		name     string
		revision int
		want     string
		code     usererror.Code
	}{
		{"there is none", 9, "server serve-1 has no revision 9", usererror.CodeRevision},
		{"it never answered", 3, "revision 3 of serve-1 never answered", usererror.CodeRevision},
		{"it answers", 6, "revision 6 is what serve-1 answers with already", usererror.CodeReady},
		{
			"another copy of it answers", 4, "revision 4 is what serve-1 answers with already, as revision 6",
			usererror.CodeReady,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var refused *usererror.Error
			if _, err := s.Rollback(t.Context(), s.name, c.revision); !errors.As(err, &refused) ||
				refused.Text != c.want || refused.Code != c.code {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	s.stop()
	if _, err := s.Rollback(t.Context(), s.name, 2); err == nil ||
		!strings.Contains(err.Error(), "server serve-1 is not going: it is stopped already") {
		t.Errorf("of a server that has ended: %v", err)
	}
}

// A copy has the environment of the revision that answers, where its own is gone with it.
func TestRollbackToTheEnvironmentOfNow(t *testing.T) {
	s := newServer(t)
	const says = "import os\ndef serve(input: int):\n    return os.environ.get('SECRET', 'none')\n"
	submit := func(secret, source string) {
		t.Helper()
		done, err := s.Submit(t.Context(), run.Submission{
			Spec: s.scalable(1), Program: s.program(source), Environ: append(os.Environ(), "SECRET="+secret),
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.name = done.Spec.Name
		s.waitForOutcome(done.Spec.Server.Revision)
	}
	submit("old", says)
	s.expectAnswer("1", "old")
	submit("new", says+"# another\n")
	old := s.Folder(s.name).Revision(1).EnvironmentFile()
	s.waitFor("the environment of the first to be removed", func() bool { _, err := os.Stat(old); return err != nil })
	if _, err := s.Rollback(t.Context(), s.name, 0); err != nil {
		t.Fatal(err)
	}
	s.waitForOutcome(3)
	s.expectAnswer("1", "new")
}
