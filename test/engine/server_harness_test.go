package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// server is a server in a bench, with a client that sends it requests. revisionSpec describes a revision; submit and
// deploy submit one, and deploy waits until it answers; load reads what the run folder says. post sends a request,
// expectAnswer wants its answer to be right at once, waitForAnswer wants it to become right. liveProcess,
// waitForProcess, kill and killBoth find and kill processes by their role.
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
		// Before the bench checks what is left: the front does not have the mark.
		if s.name != "" {
			fronts := s.fronts()
			s.stop()
			s.waitFor("the front to end", func() bool { return !anyAlive(fronts) })
		}
	})
	return s
}

// revisionSpec describes a revision that serves main.py's function serve. Each has a key of its own, so that none is
// taken for another that is there.
func (s *server) revisionSpec(workers int) run.Spec {
	spec := s.bench.spec(workers)
	spec.Series, spec.Kind, spec.Entry, spec.Source = s.series, run.Serve, "serve", s.cwd
	spec.Key, spec.Created = strconv.Itoa(int(keys.Add(1))), time.Time{}
	spec.Server = &run.ServerSpec{Path: "/predict", Host: "127.0.0.1"}
	return spec
}

var keys atomic.Int64

// submit submits a revision.
func (s *server) submit(spec run.Spec, source string) run.Submitted {
	s.t.Helper()
	done, err := s.Submit(s.t.Context(), run.Submission{Spec: spec, Program: s.program(source)}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.name, s.spec = done.Spec.Name, done.Spec
	return done
}

// deploy submits a revision and waits until it answers.
func (s *server) deploy(spec run.Spec, source string) run.Submitted {
	s.t.Helper()
	done := s.submit(spec, source)
	if e := s.waitForOutcome(done.Spec.Server.Revision); e.Type != run.EventServerReady {
		s.t.Fatalf("%+v\n%s", e, s.describe())
	}
	return done
}

// waitForOutcome waits for what becomes of a revision: it is ready, has failed, or the server has ended.
func (s *server) waitForOutcome(revision int) (found run.Event) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	enough := errors.New("enough")
	err := s.Follow(ctx, s.name, "", func(e run.Event, _ string) error {
		if (e.Type == run.EventServerReady || e.Type == run.EventServerFailed) && e.Revision == revision ||
			e.Type == run.EventEnded {
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

// load reads what the run folder says of the server.
func (s *server) load() run.Listed {
	s.t.Helper()
	l, err := s.Load(s.t.Context(), s.name)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *server) url() string { return s.load().State.Server.Address }

// post posts JSON; the error is that there was no answer.
func (s *server) post(url, body string) (int, string, error) {
	r, err := s.client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, strings.TrimSpace(string(text)), err
}

// expectAnswer fails the test if the server does not give this answer at once.
func (s *server) expectAnswer(body, want string) {
	s.t.Helper()
	if status, got, err := s.post(s.url(), body); err != nil || status != 200 || got != want {
		s.t.Errorf("%s was answered with %d %q %v, want %q\n%s", body, status, got, err, want, s.describe())
	}
}

// waitForAnswer waits until the answer is right, whatever comes before that.
func (s *server) waitForAnswer(body, want string) {
	s.t.Helper()
	var status int
	var got string
	var err error
	s.waitFor(want, func() bool {
		status, got, err = s.post(s.url(), body)
		return err == nil && status == 200 && got == want
	})
}

func (s *server) stop() {
	s.t.Helper()
	if l, err := s.Load(context.Background(), s.name); err == nil && l.Active() {
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
		fmt.Fprintf(&text, "%s %s revision %d %s%s %s %s", e.Time.Format("05.000"), e.Type, e.Revision, worker,
			e.Reason, e.Text, e.State)
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

// liveProcess gives a process of the server that is alive now; 0 is none.
func (s *server) liveProcess(kind string) int {
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

// waitForProcess returns a process of the server as soon as there is one of that kind.
func (s *server) waitForProcess(kind string) (pid int) {
	s.t.Helper()
	s.waitFor("a "+kind, func() bool { pid = s.liveProcess(kind); return pid != 0 })
	return pid
}

// kill kills a process of the server as soon as there is one of that kind.
func (s *server) kill(kind string) int {
	s.t.Helper()
	pid := s.waitForProcess(kind)
	if err := process.Signal(pid, syscall.SIGKILL); err != nil {
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
		front, monitor = s.liveProcess("front"), s.liveProcess("monitor")
		return front != 0 && monitor != 0
	})
	err := process.Signal(monitor, syscall.SIGSTOP)
	s.waitFor("the monitor to stand still", func() bool { return inState(monitor, 'T') })
	if err = errors.Join(err, process.Signal(front, syscall.SIGKILL),
		process.Signal(monitor, syscall.SIGKILL)); err != nil {
		s.t.Fatal(err)
	}
}

const double = `
model = 2

def serve(input: int):
    return {"twice": model * input}
`
