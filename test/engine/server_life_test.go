package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/agent/frame"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

func TestAKilledProcessOfAServerIsReplaced(t *testing.T) {
	for _, kind := range []string{"worker", "loader", "front", "monitor"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t)
			s.deploy(s.revisionSpec(2), double)
			url := s.url()
			for n := range 3 {
				pid := s.kill(kind)
				s.waitForAnswer(strconv.Itoa(n), fmt.Sprintf(`{"twice":%d}`, 2*n))
				s.waitFor("another "+kind, func() bool {
					other := s.liveProcess(kind)
					return other != 0 && other != pid
				})
			}
			s.waitFor("all workers", func() bool {
				v := s.load().State.Server
				return len(v.Workers) == 2 && v.Workers[0].Ready && v.Workers[1].Ready
			})
			l := s.load()
			if l.Liveness != run.Alive || l.State.Server.Revision != 1 || s.url() != url ||
				kind != "front" && l.State.Server.Restarts < 3 {
				t.Error(s.describe())
			}
		})
	}
}

// When front and monitor are both killed, the next submission or follower of the server starts them again.
func TestAServerWhoseFrontAndMonitorWereKilled(t *testing.T) {
	s := newServer(t)
	done := s.deploy(s.revisionSpec(1), double)
	url := s.url()
	s.killBoth()
	s.waitFor("the server to be dead", func() bool {
		return s.load().Liveness == run.Dead && len(s.processes("")) == 0
	})
	again, err := s.Submit(t.Context(), run.Submission{Spec: done.Spec, Program: s.program(double)}, nil)
	if err != nil || !again.Attached {
		t.Fatalf("%+v %v", again, err)
	}
	s.waitForAnswer("3", `{"twice":6}`)
	if s.url() != url || s.load().State.Server.Revision != 1 {
		t.Error(s.describe())
	}
	// Following it does so, too.
	s.killBoth()
	ctx, cancel := context.WithCancelCause(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- s.Follow(ctx, s.name, "", func(run.Event, string) error { return nil }) }()
	s.waitForAnswer("4", `{"twice":8}`)
	seen := errors.New("seen enough")
	cancel(seen)
	if err := <-watched; !errors.Is(err, seen) {
		t.Error(err)
	}
}

// A program that loaded once may not load again: after some attempts the server ends with the reason.
func TestAProgramThatDoesNotLoadAgainEndsTheServer(t *testing.T) {
	s := newServer(t)
	weights := filepath.Join(s.cwd, "weights")
	if err := os.WriteFile(weights, []byte("3"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.deploy(s.revisionSpec(2),
		"weight = int(open('weights').read())\ndef serve(input: int):\n    return weight * input\n")
	s.expectAnswer("2", "6")
	if err := os.Remove(weights); err != nil {
		t.Fatal(err)
	}
	s.kill("loader")
	l := s.await(s.name)
	if l.State.Phase != run.Failed || l.State.Reason != run.ReasonProgram ||
		!strings.Contains(l.State.Text, "FileNotFoundError") {
		t.Error(s.describe())
	}
	if err := os.WriteFile(weights, []byte("4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.waitForAnswer("2", "8")
}

const slow = `
import os, time

def serve(input: int):
    open(f"begun-{input}", "w").write("x")
    while not os.path.exists(f"go-{input}"):
        time.sleep(0.005)
    return input
`

// begin sends a request that the slow function works on when begin returns.
func (s *server) begin(n int) <-chan string {
	s.t.Helper()
	url := s.url()
	said := make(chan string, 1)
	go func() {
		status, text, err := s.post(url, strconv.Itoa(n))
		said <- fmt.Sprint(status, " ", text, " ", err)
	}()
	s.waitForFile(fmt.Sprintf("begun-%d", n))
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
	spec := s.revisionSpec(1)
	spec.Server.Example = "0"
	s.release(0)
	s.deploy(spec, slow)
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
	if l := s.load(); l.State.Phase != run.Running || !l.State.StopAsked {
		t.Error(s.describe())
	}
	s.release(1)
	if got := <-said; got != "200 1 <nil>" {
		t.Errorf("what was there is answered with %s", got)
	}
	if l := s.await(s.name); l.State.Phase != run.Stopped {
		t.Error(s.describe())
	}
	// A resume continues at the same address; what is submitted while it is stopped gets the next name.
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.waitForEvent(s.name, "readiness once more", func(e run.Event) bool {
		return e.Type == run.EventServerReady && e.N > 12
	})
	if s.url() != url {
		t.Errorf("resumed at %s", s.url())
	}
	s.release(3)
	s.expectAnswer("3", "3")
	// At once; requests that wait get an error.
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
	spec := s.revisionSpec(1)
	spec.Server.Example = "0"
	s.release(0)
	s.deploy(spec, slow)
	said := s.begin(1)
	s.deploy(s.revisionSpec(1), double)
	s.expectAnswer("1", `{"twice":2}`)
	s.release(1)
	if got := <-said; got != "200 1 <nil>" {
		t.Errorf("the replaced revision answered %s", got)
	}
	s.waitFor("the replaced worker to end", func() bool { return len(s.processes("metaml._")) == 2 })
}

func TestAServerAfterTheMachineWasRestarted(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), double)
	s.submit(s.revisionSpec(1), "undefined\ndef serve(input): pass\n")
	s.waitForOutcome(2)
	url, f := s.url(), s.Folder(s.name)
	// A restart of the machine ends all processes at once.
	m := f.ReadMonitor()
	s.killBoth()
	s.waitFor("all to be gone", func() bool {
		return !f.Monitored() && len(s.processes("")) == 0 && !anyAlive(s.fronts())
	})
	m.BootID = "another"
	if err := folder.ReplaceJSON(f.MonitorFile(), m); err != nil {
		t.Fatal(err)
	}
	l := s.await(s.name)
	if l.Liveness != run.Restarted || l.State.Phase != run.Failed || l.State.Reason != run.ReasonRestarted ||
		!strings.Contains(l.State.Text, "metaml resume "+s.name) {
		t.Error(s.describe())
	}
	if found, err := s.Server(t.Context(), s.revisionSpec(1)); err != nil || found != nil {
		t.Errorf("it is there: %+v %v", found, err)
	}
	if err := s.Resume(t.Context(), s.name); err != nil {
		t.Fatal(err)
	}
	s.waitForAnswer("8", `{"twice":16}`)
	if l := s.load(); l.State.Server.Revision != 1 || s.url() != url {
		t.Error(s.describe())
	}
}

func TestADeletedFolderEndsTheServer(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(2), double)
	url := s.url()
	supervisors := append(s.fronts(), s.Folder(s.name).ReadMonitor().PID) // which have no mark
	// The server may be writing into it.
	s.waitFor("the folder to be gone", func() bool { return os.RemoveAll(string(s.Folder(s.name))) == nil })
	s.waitFor("everything to be gone", func() bool { return len(s.processes("")) == 0 && !anyAlive(supervisors) })
	if _, _, err := s.post(url, "1"); err == nil {
		t.Error("it answers")
	}
	s.name = ""
}

func TestAWorkerThatHangsIsReplaced(t *testing.T) {
	s := newServer(t)
	spec := s.revisionSpec(1)
	spec.Timeout, spec.Server.Example = 300*time.Millisecond, "0"
	s.deploy(spec, "import time\ndef serve(input: int):\n    if input == 13: time.sleep(600)\n    return input\n")
	if status, text, err := s.post(s.url(), "13"); err != nil || status != http.StatusGatewayTimeout {
		t.Errorf("%d %s %v", status, text, err)
	}
	s.waitForAnswer("7", "7")
	s.waitForEvent(s.name, "the reason", func(e run.Event) bool {
		return e.Type == run.EventWorkerEnded && e.Reason == run.ReasonHung
	})
}

func TestAWorkerThatKeepsDyingIsNotedAndStartedAgain(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1),
		"import os\ndef serve(input: int):\n    if input == 13: os._exit(5)\n    return input\n")
	for range 6 {
		status, text, err := s.post(s.url(), "13")
		if err != nil || status < 500 {
			t.Errorf("%d %s %v", status, text, err)
		}
		s.waitForAnswer("7", "7")
	}
	l := s.load()
	noted := false
	for _, n := range l.State.Notes {
		noted = noted || n.Code == "worker-dies" && strings.Contains(n.Text, "exit status 5")
	}
	if !noted || l.State.Server.Restarts < 5 {
		t.Error(s.describe())
	}
}

// A monitor may be killed in the moment after it has started a front, with no order given: that front may be the last
// that can keep the port. It holds the socket from its first moment on, and the next monitor gets it: nobody who
// connects is refused.
func TestAFrontWithoutOrdersKeepsThePort(t *testing.T) {
	s := newServer(t)
	s.deploy(s.revisionSpec(1), double)
	address := strings.TrimSuffix(strings.TrimPrefix(s.url(), "http://"), "/predict")
	s.killBoth()
	s.waitFor("the server to be dead", func() bool {
		return s.load().Liveness == run.Dead && len(s.processes("")) == 0
	})
	var socket *net.TCPListener
	s.waitFor("the port", func() bool {
		l, err := net.Listen("tcp", address)
		if err == nil {
			socket = l.(*net.TCPListener)
		}
		return err == nil
	})
	kept, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	monitor, control, err := frame.Pair()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := agentBinary()
	if err != nil {
		t.Fatal(err)
	}
	front := exec.Command(binary, "front", "--dir", string(s.Folder(s.name)), "--listener", "4")
	front.ExtraFiles = []*os.File{control, kept}
	if err := front.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(monitor.Close(), control.Close(), kept.Close(), socket.Close()); err != nil {
		t.Fatal(err)
	}
	refused := 0
	s.waitFor("an answer", func() bool {
		status, got, err := s.post(s.url(), "3")
		if errors.Is(err, syscall.ECONNREFUSED) {
			refused++
		}
		return err == nil && status == 200 && got == `{"twice":6}`
	})
	if err := front.Wait(); refused > 0 || err != nil {
		t.Errorf("%d refused, and the front ended with %v\n%s", refused, err, s.describe())
	}
}
