package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

// victim gives a process of the server that is alive now; 0 is none.
func (s *server) victim(kind string) int {
	l, err := s.Load(s.t.Context(), s.name)
	if err != nil {
		return 0
	}
	pid := 0
	switch workers := l.State.Server.WorkersOf(l.State.Server.Revision); kind {
	case "monitor":
		pid = s.Folder(s.name).ReadMonitor().PID
	case "front":
		if fronts := s.fronts(); len(fronts) > 0 {
			pid = fronts[len(fronts)-1]
		}
	case "loader", "worker":
		for _, w := range workers {
			if !w.Ended && w.PID != 0 {
				pid = w.PID
			}
		}
		if kind == "loader" && pid != 0 {
			pid = parent(pid)
		}
	}
	if pid <= 1 || !anyAlive([]int{pid}) {
		return 0
	}
	return pid
}

func parent(pid int) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

// kill kills a process of the server as soon as there is one of that kind.
func (s *server) kill(kind string) int {
	s.t.Helper()
	pid := 0
	s.waitFor("a "+kind, func() bool { pid = s.victim(kind); return pid != 0 })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.waitFor("the "+kind+" to die", func() bool { return !anyAlive([]int{pid}) })
	return pid
}

// killBoth kills the front and the monitor at once: either of them would start the other again within milliseconds.
func (s *server) killBoth() {
	s.t.Helper()
	front, monitor := 0, 0
	s.waitFor("front and monitor", func() bool {
		front, monitor = s.victim("front"), s.victim("monitor")
		return front != 0 && monitor != 0
	})
	err := syscall.Kill(monitor, syscall.SIGSTOP)
	s.waitFor("the monitor to stand still", func() bool { return inState(monitor, 'T') })
	if err = errors.Join(err, syscall.Kill(front, syscall.SIGKILL), syscall.Kill(monitor, syscall.SIGKILL)); err != nil {
		s.t.Fatal(err)
	}
}

func TestAKilledProcessOfAServerIsReplaced(t *testing.T) {
	for _, kind := range []string{"worker", "loader", "front", "monitor"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t)
			s.serve(s.next(2), double)
			url := s.url()
			for n := range 3 {
				pid := s.kill(kind)
				s.again(strconv.Itoa(n), fmt.Sprintf(`{"twice":%d}`, 2*n))
				s.waitFor("another "+kind, func() bool { other := s.victim(kind); return other != 0 && other != pid })
			}
			s.waitFor("all workers", func() bool {
				v := s.look().State.Server
				return len(v.Workers) == 2 && v.Workers[0].Ready && v.Workers[1].Ready
			})
			l := s.look()
			if l.Liveness != local.Alive || l.State.Server.Revision != 1 || s.url() != url || kind != "front" && l.State.Server.Restarts < 3 {
				t.Error(s.describe())
			}
		})
	}
}

// With both of them nobody is left that could help: the next who asks for the server does.
func TestAServerWhoseFrontAndMonitorWereKilled(t *testing.T) {
	s := newServer(t)
	done := s.serve(s.next(1), double)
	url := s.url()
	s.killBoth()
	s.waitFor("the server to be dead", func() bool { return s.look().Liveness == local.Dead && len(s.processes("")) == 0 })
	again, err := s.Submit(t.Context(), local.Submission{Spec: done.Spec, Program: s.program(double)})
	if err != nil || !again.Attached {
		t.Fatalf("%+v %v", again, err)
	}
	s.again("3", `{"twice":6}`)
	if s.url() != url || s.look().State.Server.Revision != 1 {
		t.Error(s.describe())
	}
	// And so does who only watches.
	s.killBoth()
	ctx, cancel := context.WithCancelCause(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- s.Follow(ctx, s.name, "", func(run.Event, string) error { return nil }) }()
	s.again("4", `{"twice":8}`)
	seen := errors.New("seen enough")
	cancel(seen)
	if err := <-watched; !errors.Is(err, seen) {
		t.Error(err)
	}
}

// What loaded once may not load again: then the server ends with the reason, and not before it was tried some times.
func TestAProgramThatDoesNotLoadAgainEndsTheServer(t *testing.T) {
	s := newServer(t)
	weights := filepath.Join(s.cwd, "weights")
	if err := os.WriteFile(weights, []byte("3"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(s.next(2), "weight = int(open('weights').read())\ndef serve(input: int):\n    return weight * input\n")
	s.answers("2", "6")
	if err := os.Remove(weights); err != nil {
		t.Fatal(err)
	}
	s.kill("loader")
	l := s.await(s.name)
	if l.State.Phase != run.Failed || l.State.Reason != run.ReasonProgram || !strings.Contains(l.State.Text, "FileNotFoundError") {
		t.Error(s.describe())
	}
	if err := os.WriteFile(weights, []byte("4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.again("2", "8")
}

func TestEachRevisionHasTheEnvironmentOfItsSubmission(t *testing.T) {
	s := newServer(t)
	source := "import os\ndef serve(input: int):\n    return os.environ['COLOUR']\n"
	t.Setenv("COLOUR", "red")
	s.serve(s.next(1), source)
	s.answers("1", "red")
	t.Setenv("COLOUR", "blue")
	s.serve(s.next(1), source)
	s.answers("1", "blue")
	s.kill("monitor")
	s.again("1", "blue")
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
	s.again("1", "green")
}

// Twenty seconds in the life of a server on a bad day: its processes are killed at any moment, also while others of them are being
// started again, and now and then it is replaced. Never is an answer wrong, never is a connection refused, and after each kill it
// answers again, without anybody's help.
func TestServerSoak(t *testing.T) {
	const kills, people = 40, 4
	s := newServer(t)
	source := func(revision int) string {
		return fmt.Sprintf("def serve(input: int):\n    return [input * input, %d]\n", revision)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	s.serve(s.next(2), source(1))
	url := s.url()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var asking sync.WaitGroup
	var right, unlucky atomic.Int64
	quit := make(chan struct{})
	for i := range people {
		asking.Go(func() {
			client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for n := i; ; n += people {
				select {
				case <-quit:
					return
				default:
				}
				switch revision, err := askSquare(client, url, n); {
				case errors.Is(err, errWrong), errors.Is(err, syscall.ECONNREFUSED):
					t.Errorf("request %d: %v", n, err)
					return
				case err != nil:
					unlucky.Add(1)
				case revision < 1:
					t.Errorf("request %d was answered by revision %d", n, revision)
				default:
					right.Add(1)
				}
			}
		})
	}
	revisions := 1
	count := map[string]int{}
	for n := 0; n < kills && ctx.Err() == nil; n++ {
		kind := []string{"worker", "loader", "front", "monitor", "revision"}[rng.IntN(5)]
		count[kind]++
		if kind == "revision" {
			revisions++
			s.submit(s.next(1+rng.IntN(2)), source(revisions))
			kind = []string{"worker", "loader", "front", "monitor"}[rng.IntN(4)]
			count[kind]++
			// In the middle of its start.
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(rng.IntN(150)) * time.Millisecond):
			}
		}
		victims := []string{kind}
		if kind == "worker" || kind == "loader" {
			// Another kill before this one has healed. Only front and monitor need each other.
			victims = append(victims, []string{"worker", "front"}[rng.IntN(2)])
		}
		for _, v := range victims {
			if pid := s.victim(v); pid != 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				s.waitFor("the "+v+" to die", func() bool { return !anyAlive([]int{pid}) })
			}
		}
		probe := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		s.waitFor("an answer after the kill of a "+kind, func() bool { _, err := askSquare(probe, url, n); return err == nil })
		// These guard each other: both are there before one is killed again.
		s.waitFor("front and monitor", func() bool { return s.victim("front") != 0 && s.victim("monitor") != 0 })
	}
	s.waitFor("the newest revision", func() bool {
		l, err := s.Load(s.t.Context(), s.name)
		return err == nil && l.State.Server.Revision == revisions
	})
	close(quit)
	asking.Wait()
	t.Logf("%v, %d right answers, %d requests without one", count, right.Load(), unlucky.Load())
	if right.Load() == 0 || s.url() != url {
		t.Errorf("at %s", s.url())
	}
	if t.Failed() {
		t.Log(s.describe())
	}
}

var errWrong = errors.New("a wrong answer")

// askSquare asks the soak's function, and checks what it says.
func askSquare(client *http.Client, url string, n int) (revision int, err error) {
	r, err := client.Post(url, "application/json", strings.NewReader(strconv.Itoa(n)))
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err
	}
	if r.StatusCode >= 500 {
		return 0, fmt.Errorf("status %d: %s", r.StatusCode, body)
	}
	var square int
	if _, err := fmt.Sscanf(string(body), "[%d,%d]", &square, &revision); err != nil || r.StatusCode != 200 || square != n*n {
		return 0, fmt.Errorf("%w: %d %s", errWrong, r.StatusCode, body)
	}
	return revision, nil
}

const slow = `
import os, time

def serve(input: int):
    open(f"begun-{input}", "w").write("x")
    while not os.path.exists(f"go-{input}"):
        time.sleep(0.005)
    return input
`

// begin asks for something that the slow function is at work on when begin returns.
func (s *server) begin(n int) <-chan string {
	s.t.Helper()
	url := s.url()
	said := make(chan string, 1)
	go func() {
		status, text, err := s.ask(url, strconv.Itoa(n))
		said <- fmt.Sprint(status, " ", text, " ", err)
	}()
	s.appears(fmt.Sprintf("begun-%d", n))
	return said
}

func (s *server) release(n int) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.cwd, fmt.Sprintf("go-%d", n)), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestAStoppedServerAnswersWhatItHas(t *testing.T) {
	s := newServer(t)
	spec := s.next(1)
	spec.Server.Example = "0"
	s.release(0)
	s.serve(spec, slow)
	url := s.url()
	said := s.begin(1)
	if err := s.Stop(t.Context(), s.name, nil, false); err != nil {
		t.Fatal(err)
	}
	s.waitFor("new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/predict"))
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if l := s.look(); l.State.Phase != run.Running || !l.State.StopAsked {
		t.Error(s.describe())
	}
	s.release(1)
	if got := <-said; got != "200 1 <nil>" {
		t.Errorf("what was there is answered with %s", got)
	}
	if l := s.await(s.name); l.State.Phase != run.Stopped {
		t.Error(s.describe())
	}
	// And on it goes, at the same address, with the next name for what is submitted while it was stopped.
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.until(s.name, "readiness once more", func(e run.Event) bool { return e.Type == run.EventServerReady && e.N > 12 })
	if s.url() != url {
		t.Errorf("resumed at %s", s.url())
	}
	s.release(3)
	s.answers("3", "3")
	// At once, and whoever waits is told.
	said = s.begin(4)
	if err := s.Stop(t.Context(), s.name, nil, true); err != nil {
		t.Fatal(err)
	}
	if got := <-said; strings.HasPrefix(got, "200") {
		t.Errorf("stopped at once, and answered %s", got)
	}
	if l := s.await(s.name); l.State.Phase != run.Stopped {
		t.Error(s.describe())
	}
}

func TestAReplacedRevisionAnswersWhatItHas(t *testing.T) {
	s := newServer(t)
	spec := s.next(1)
	spec.Server.Example = "0"
	s.release(0)
	s.serve(spec, slow)
	said := s.begin(1)
	s.serve(s.next(1), double)
	s.answers("1", `{"twice":2}`)
	s.release(1)
	if got := <-said; got != "200 1 <nil>" {
		t.Errorf("the replaced revision answered %s", got)
	}
	s.waitFor("the replaced worker to end", func() bool { return len(s.processes("metaml._")) == 2 })
}

func TestAServerAfterTheMachineWasRestarted(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), double)
	s.submit(s.next(1), "undefined\ndef serve(input): pass\n")
	s.outcome(2)
	url, f := s.url(), s.Folder(s.name)
	// The machine takes everything at once.
	m := f.ReadMonitor()
	s.killBoth()
	s.waitFor("all to be gone", func() bool { return !f.Monitored() && len(s.processes("")) == 0 && !anyAlive(s.fronts()) })
	m.BootID = "another"
	if err := folder.ReplaceJSON(f.MonitorFile(), m); err != nil {
		t.Fatal(err)
	}
	l := s.await(s.name)
	if l.Liveness != local.Restarted || l.State.Phase != run.Failed || l.State.Reason != run.ReasonRestarted || !strings.Contains(l.State.Text, "metaml resume "+s.name) {
		t.Error(s.describe())
	}
	if found, err := s.Server(t.Context(), s.next(1)); err != nil || found != nil {
		t.Errorf("it is there: %+v %v", found, err)
	}
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.again("8", `{"twice":16}`)
	if l := s.look(); l.State.Server.Revision != 1 || s.url() != url {
		t.Error(s.describe())
	}
}

func TestADeletedFolderEndsTheServer(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(2), double)
	url, fronts := s.url(), s.fronts()
	// The server may be writing in it.
	s.waitFor("the folder to be gone", func() bool { return os.RemoveAll(string(s.Folder(s.name))) == nil })
	s.waitFor("everything to be gone", func() bool { return len(s.processes("")) == 0 && !anyAlive(fronts) })
	if _, _, err := s.ask(url, "1"); err == nil {
		t.Error("it answers")
	}
	s.name = ""
}

func TestTwoServersSideBySide(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), double)
	other := &server{bench: s.bench, client: s.client, series: "other"}
	other.serve(other.next(1), "def serve(input: int):\n    return -input\n")
	defer other.stop()
	s.answers("3", `{"twice":6}`)
	other.answers("3", "-3")
	other.kill("monitor")
	s.answers("4", `{"twice":8}`)
	other.again("4", "-4")
	fronts := other.fronts()
	other.stop()
	s.waitFor("the other front to end", func() bool { return !anyAlive(fronts) })
	s.answers("5", `{"twice":10}`)
}

func TestAWorkerThatHangsIsReplaced(t *testing.T) {
	s := newServer(t)
	spec := s.next(1)
	spec.Timeout, spec.Server.Example = 300*time.Millisecond, "0"
	s.serve(spec, "import time\ndef serve(input: int):\n    if input == 13: time.sleep(600)\n    return input\n")
	if status, text, err := s.ask(s.url(), "13"); err != nil || status != http.StatusGatewayTimeout {
		t.Errorf("%d %s %v", status, text, err)
	}
	s.again("7", "7")
	s.until(s.name, "the reason", func(e run.Event) bool { return e.Type == run.EventWorkerEnded && e.Reason == run.ReasonHung })
}

func TestAWorkerThatKeepsDyingIsNotedAndStartedAgain(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), "import os\ndef serve(input: int):\n    if input == 13: os._exit(5)\n    return input\n")
	for range 6 {
		status, text, err := s.ask(s.url(), "13")
		if err != nil || status < 500 {
			t.Errorf("%d %s %v", status, text, err)
		}
		s.again("7", "7")
	}
	l := s.look()
	noted := false
	for _, n := range l.State.Notes {
		noted = noted || n.Code == "worker-dies" && strings.Contains(n.Text, "exit status 5")
	}
	if !noted || l.State.Server.Restarts < 5 {
		t.Error(s.describe())
	}
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
	done := s.serve(s.next(2), source)
	if done.Spec.Completions != 2 || s.look().State.Loaded.Fork {
		t.Error(s.describe())
	}
	pids := func() int {
		var all sync.Map
		var people sync.WaitGroup
		for range 8 {
			people.Go(func() {
				if status, pid, err := s.ask(s.url(), "1"); err == nil && status == 200 {
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

func TestTheLogOfAWorker(t *testing.T) {
	s := newServer(t)
	s.serve(s.next(1), "import os\nprint('loading')\ndef serve(input: int):\n    print('asked', input, flush=True)\n    if input == 13: os._exit(5)\n    return input\n")
	log := func(attempt int) string {
		var text strings.Builder
		if err := s.Log(t.Context(), s.name, 0, attempt, "both", false, &text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	example := "asked 1\n"
	s.answers("1", "1")
	_, _, _ = s.ask(s.url(), "13")
	s.again("2", "2")
	if all := log(0); all != example+"asked 1\nasked 13\nmetaml: worker 0 ended with exit status 5\nasked 2\n" {
		t.Errorf("%q", all)
	}
	if second := log(2); second != "asked 2\n" {
		t.Errorf("%q", second)
	}
	var refused *usererror.Error
	if err := s.Log(t.Context(), s.name, 1, 0, "both", false, io.Discard); !errors.As(err, &refused) || !strings.Contains(refused.Text, "no worker 1") {
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
	s.answers("3", "3")
	shows("asked 3\n")
	s.serve(s.next(1), "def serve(input: int):\n    print('another', input, flush=True)\n    return input\n")
	s.answers("4", "4")
	shows("another 4\n")
	s.stop()
	if err := <-followed; err != nil {
		t.Error(err)
	}
	<-copied
}
