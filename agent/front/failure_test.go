package front

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// TestErrorsOfTheFunction: the caller gets an id and never a traceback, and the log has the id.
func TestErrorsOfTheFunction(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	p := r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	id := func(got reply) string {
		var e struct{ Error, ID string }
		if err := json.Unmarshal([]byte(got.body), &e); err != nil || e.Error == "" {
			t.Errorf("%v is no error: %v", got, err)
		}
		return e.ID
	}
	got := r.post(`{"raise": "secret"}`)
	if got.status != 500 || strings.Contains(got.body, "secret") || strings.Contains(got.body, "Traceback") {
		t.Errorf("raised: %v", got)
	}
	if name := id(got); name == "" || !strings.Contains(r.log.String(), name) ||
		!strings.Contains(p[0].stderr.String(), name+" act raised ValueError: secret") {
		t.Errorf("raised: id %q; front's log %s; worker's %s", name, r.log, p[0].stderr)
	}
	got = r.post(`{"infinite": 1}`)
	if got.status != 500 || id(got) == "" || !strings.Contains(r.log.String(), id(got)) {
		t.Errorf("infinity: %v; log %s", got, r.log)
	}
	if got = r.post(`{"nan": 1}`); got.String() != "200 [[0.0,1.0],[null,2.0]]" {
		t.Errorf("nan: %v", got)
	}
	got = r.post(`{"exit": 3}`)
	if got.status != 502 || id(got) == "" || !strings.Contains(r.log.String(), id(got)) {
		t.Errorf("the worker ended: %v; log %s", got, r.log)
	}
	_ = p[0].Wait()
	if got := r.ask("GET", "/readyz", "", ""); got.status != 503 {
		t.Errorf("readyz without a worker: %v", got)
	}
	// A request waits for the worker that takes its place.
	var wait sync.WaitGroup
	wait.Go(func() {
		if got := r.post(`{"text": "again"}`); got.status != 200 || got.body != "again" {
			t.Errorf("after the restart: %v", got)
		}
	})
	r.worker(1, 0, 2, startWorker(t, "act", 0))
	wait.Wait()
	if got := r.ask("GET", "/metrics", "", ""); !strings.Contains(got.body, "metaml_worker_restarts_total 1\n") {
		t.Error("the restart is not counted")
	}
}

func TestARequestHasADeadline(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.patience = 300 * time.Millisecond
	r := newRig(t, l)
	p := r.serve(1, "act", run.FrontRevision{Timeout: 300 * time.Millisecond})
	if got := r.post(`{"sleep": 30}`); got.status != 504 ||
		!strings.Contains(got.body, "act did not answer within 0.3 s") {
		t.Errorf("got %v", got)
	}
	r.find("the worker to be given up", func(u run.FrontUpdate) bool {
		return u.Hung != nil && *u.Hung == run.WorkerID{Revision: 1, Attempt: 1}
	})
	_ = p[0].Process.Kill()
	// Nobody is there now.
	if got := r.post(`{"text": "x"}`); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("without a worker: %v", got)
	}
	r.worker(1, 0, 2, startWorker(t, "act", 0))
	if got := r.post(`{"text": "x"}`); got.status != 200 {
		t.Errorf("after the restart: %v", got)
	}
}

// TestALateAnswerIsNobodys: a worker that answers after the deadline, but in time not to be given up, goes on.
func TestALateAnswerIsNobodys(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 200 * time.Millisecond})
	if got := r.post(`{"sleep": 0.5, "text": "late"}`); got.status != 504 {
		t.Errorf("got %v", got)
	}
	waitFor(t, "the worker to be free", func() bool { return r.post(`{"text": "next"}`).body == "next" })
}

// TestClientsThatGoAway: what they requested is not computed when they are gone before a worker has it.
func TestClientsThatGoAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	var wait sync.WaitGroup
	wait.Go(func() { r.post(`{"sleep": 0.5}`) })
	revision := r.front.revision(1)
	waiting := func(n int) func() bool {
		return func() bool {
			revision.mu.Lock()
			defer revision.mu.Unlock()
			return revision.outstanding-revision.waiting.len() == 1 && revision.waiting.len() == n
		}
	}
	waitFor(t, "the first call", waiting(0))
	var gone []net.Conn
	mark := filepath.Join(t.TempDir(), "mark")
	for range 5 {
		c := r.dial()
		body := fmt.Sprintf(`{"exit": 1, "text": %q}`, mark) // it would end the worker
		fmt.Fprintf(c,
			"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+
				"%d\r\n\r\n%s", len(body), body)
		gone = append(gone, c)
	}
	waitFor(t, "the others to wait", waiting(5))
	for _, c := range gone {
		_ = c.Close()
	}
	c := r.dial() // and one in the middle of its body
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	_ = c.Close()
	wait.Wait()
	if got := r.post(`{"text": "still here"}`); got.body != "still here" {
		t.Errorf("got %v", got)
	}
	if got := r.ask("GET", "/metrics", "", ""); !strings.Contains(got.body, "metaml_requests_total{code=\"499\"} 5\n") {
		t.Errorf("those that went away are not counted")
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.queued, l.bytes = 3, 1<<20
	r := newRig(t, l)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	var wait sync.WaitGroup
	var full, answered atomic.Int64
	for range 10 {
		wait.Go(func() {
			switch got := r.post(`{"sleep": 0.3, "text": "x"}`); {
			case got.status == 503 && got.header.Get("Retry-After") == "1":
				full.Add(1)
			case got.status == 200:
				answered.Add(1)
			default:
				t.Errorf("got %v", got)
			}
		})
	}
	wait.Wait()
	if full.Load() == 0 || answered.Load() < 4 {
		t.Errorf("%d were answered and %d refused, of 10 with room for 3", answered.Load(), full.Load())
	}
	if got := r.post(`"` + strings.Repeat("x", 2<<20) + `"`); got.status != 503 {
		t.Errorf("more than there is room for: %v", got)
	}
}

// A worker that is killed before it has read a request has not begun it, so another worker answers. Elsewhere than on
// Linux the front cannot know that.
func TestWhatAKilledWorkerHasNotReadIsAnswered(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says whether all was read")
	}
	for _, batch := range []int{0, 8} {
		t.Run(fmt.Sprintf("batches of %d", batch), func(t *testing.T) {
			t.Parallel()
			function := map[int]string{0: "echo", 8: "batched"}[batch]
			r := newRig(t, defaultLimits)
			p := r.serve(1, function, run.FrontRevision{Timeout: 20 * time.Second, Batch: batch})
			check(t, p[0].Process.Signal(syscall.SIGSTOP))
			answered := make(chan reply, 3)
			for range 3 { // one is sent to the worker, the others wait
				go func() { answered <- r.post("[1, 0.001]") }()
			}
			revision := r.front.revision(1)
			waitFor(t, "the requests", func() bool {
				revision.mu.Lock()
				defer revision.mu.Unlock()
				return revision.outstanding == 3
			})
			check(t, p[0].Process.Kill())
			r.worker(1, 0, 2, startWorker(t, function, batch))
			for range 3 {
				if got := <-answered; got.status != http.StatusOK {
					t.Errorf("got %v", got)
				}
			}
			if used := r.front.budget.used.Load(); used != 0 {
				t.Errorf("%d bytes of requests are kept", used)
			}
		})
	}
}
