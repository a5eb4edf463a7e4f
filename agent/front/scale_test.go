package front

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// left waits until a worker that was one too many has left.
func (r *rig) left(index, attempt int) {
	r.t.Helper()
	id := run.WorkerID{Revision: 1, Index: index, Attempt: attempt}
	r.find(fmt.Sprintf("worker %d to leave", index), func(u run.FrontUpdate) bool {
		return u.Left != nil && *u.Left == id
	})
}

// TestScalingLosesNoRequest gives a revision more workers and fewer under load. As its monitor does, it ends those that
// have left, and a place that is there again gets another attempt.
func TestScalingLosesNoRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, function, body string
		begins               string // the answer
		batch                int
	}{
		{"one by one", "echo", "[1]", "", 0},
		{"in batches", "batched", "[1, 0.001]", "[1.0,", 8},
		{"several at a time", "together", "0", "0", 0},
		{"streams", "parts", `{"count": 2}`, "{\"part\":0,\"filler\":\"\"}\n{\"part\":1,", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, defaultLimits)
			all := r.serve(1, test.function, run.FrontRevision{Timeout: 20 * time.Second, Batch: test.batch})
			stop := make(chan struct{})
			var load sync.WaitGroup
			var count atomic.Int64
			for range 8 {
				load.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if got, err := r.try("POST", "/predict", "application/json", test.body); err != nil ||
							got.status != 200 || !strings.HasPrefix(got.body, test.begins) {
							t.Errorf("got %v %v, want %s", got, err, test.begins)
							return
						}
						count.Add(1)
					}
				})
			}
			attempts := []int{1, 0, 0, 0}
			for _, n := range []int{3, 1, 4, 2, 1, 2} {
				now, enough := len(all), count.Load()+20
				waitFor(t, "requests between two numbers", func() bool { return count.Load() > enough || t.Failed() })
				check(t, r.Scale(1, n))
				for i := now; i < n; i++ {
					p := startWorker(t, test.function, test.batch)
					attempts[i]++
					r.worker(1, i, attempts[i], p)
					all = append(all, p)
				}
				for i := n; i < now; i++ {
					r.left(i, attempts[i])
					_ = all[i].Process.Kill()
				}
				all = all[:n]
			}
			close(stop)
			load.Wait()
			if r.log.String() != "" {
				t.Errorf("the log has %s", r.log)
			}
			metrics := r.ask("GET", "/metrics", "", "").body
			if !strings.Contains(metrics, `metaml_workers_ready{revision="1"} 2`) ||
				!strings.Contains(metrics, "metaml_worker_restarts_total 0") {
				t.Errorf("two are ready, and none was started again:\n%s", metrics)
			}
		})
	}
}

func TestAWorkerThatIsOneTooManyAnswersWhatItHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second, Workers: 2})
	answered := make(chan reply, 2)
	revision := r.front.revision(1)
	for n := range 2 {
		go func() { answered <- r.post(`{"sleep": 0.5, "text": "whole"}`) }()
		waitFor(t, "both to have a request", func() bool {
			revision.mu.Lock()
			defer revision.mu.Unlock()
			return revision.outstanding == n+1 && revision.waiting.len() == 0
		})
	}
	check(t, r.Scale(1, 1))
	// What comes now is not for the one that leaves.
	if got := r.post(`{"text": "next"}`); got.status != 200 {
		t.Errorf("got %v", got)
	}
	for range 2 {
		if got := <-answered; got.status != 200 || got.body != "whole" {
			t.Errorf("got %v", got)
		}
	}
	r.left(1, 1)
	// It does not come back, but another attempt does.
	check(t, r.Scale(1, 2))
	r.worker(1, 1, 2, startWorker(t, "act", 0))
}

// A worker that has not greeted yet has nothing to answer.
func TestAWorkerThatIsOneTooManyBeforeItGreets(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	check(t, r.Scale(1, 2))
	check(t, r.Worker(run.FrontWorker{
		WorkerID: run.WorkerID{Revision: 1, Index: 1, Attempt: 1}, Socket: mute(t),
	}))
	check(t, r.Scale(1, 1))
	r.left(1, 1)
	if got := r.post(`{"text": "next"}`); got.status != 200 {
		t.Errorf("got %v", got)
	}
}

// mute gives a socket at which a worker listens that does not greet.
func mute(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "front") //nolint:usetesting // a socket's path has 108 bytes
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "w"))
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return filepath.Join(dir, "w")
}

// Orders that make no sense change nothing.
func TestScalingToNoNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	for _, n := range []int{0, -1, run.MaxWorkers + 1} {
		check(t, r.Scale(1, n))
	}
	check(t, r.Scale(2, 3))
	if got := r.post(`{"text": "whole"}`); got.status != 200 || got.body != "whole" {
		t.Errorf("got %v", got)
	}
}
