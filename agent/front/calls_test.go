package front

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestBatches(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "batched", run.FrontRevision{Timeout: 20 * time.Second, Batch: 8})
	// The first call takes long, so that the others wait and go together.
	var wait sync.WaitGroup
	var largest atomic.Int64
	for i := range 17 {
		wait.Go(func() {
			got := r.post(fmt.Sprintf(`[%d, 0.3]`, i))
			var answer []float64
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != 200 ||
				answer[0] != float64(i) {
				t.Errorf("request %d: %v", i, got)
				return
			}
			for {
				size := largest.Load()
				if size >= int64(answer[1]) || largest.CompareAndSwap(size, int64(answer[1])) {
					return
				}
			}
		})
	}
	wait.Wait()
	if largest.Load() != 8 {
		t.Errorf("the largest batch was %d, want 8", largest.Load())
	}
}

func TestAsynchronousCallsRunTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "together", run.FrontRevision{Timeout: 20 * time.Second})
	// Each answers when the other has come.
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			if got := r.post("2"); got.status != 200 || got.body != "2" {
				t.Errorf("got %v", got)
			}
		})
	}
	wait.Wait()
}

// TestSlowCallsAreNotHandedOverTogether: a request never waits behind a slow one while another worker is idle.
func TestSlowCallsAreNotHandedOverTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second, Workers: 2})
	revision := r.front.revision(1)
	for range 3 { // so that the function is known to be slow
		r.post(`{"sleep": 0.02}`)
		r.post(`{"sleep": 0.02}`)
	}
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() { r.post(`{"sleep": 0.02}`) })
	}
	most := 0
	waitFor(t, "the answers", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		for _, w := range revision.workers {
			if w != nil {
				most = max(most, len(w.flights))
			}
		}
		return revision.outstanding == 0 && most > 0
	})
	wait.Wait()
	if most != 1 {
		t.Errorf("a worker was handed %d calls of 20 ms at once", most)
	}
}

func TestAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "parts", run.FrontRevision{Timeout: 20 * time.Second})
	got := r.post(`{"count": 3}`)
	want := `{"part":0,"filler":""}` + "\n" + `{"part":1,"filler":""}` + "\n" + `{"part":2,"filler":""}` + "\n"
	if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("got %v %v", got, got.header)
	}
	if got := r.post(`{"count": 0}`); got.status != 200 || got.body != "" {
		t.Errorf("an empty stream: %v", got)
	}
	// A part is there before the next one is made.
	response, err := http.Post(r.url+"/predict", "application/json", strings.NewReader(`{"count": 2, "sleep": 1}`))
	check(t, err)
	began := time.Now()
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); !strings.Contains(line, `"part":0`) ||
		time.Since(began) > 900*time.Millisecond {
		t.Errorf("the first part came after %v: %s %v", time.Since(began), line, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	// An error in the middle cuts the body off, and HTTP/1.0 has no chunks.
	if got, err := r.try("POST", "/predict", "application/json", `{"count": 2, "fail": true}`); err == nil {
		t.Errorf("a stream that failed seems whole: %v", got)
	}
	if !strings.Contains(r.log.String(), "after the answer had begun") {
		t.Errorf("the log does not have it: %s", r.log)
	}
	c := r.dial()
	fmt.Fprintf(c,
		"POST /predict HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"count\": 3}")
	old, err := io.ReadAll(c)
	check(t, err)
	if !strings.HasPrefix(string(old), "HTTP/1.0 200 OK\r\n") ||
		!strings.Contains(string(old), "X-Content-Type-Options: nosniff\r\n") ||
		!strings.HasSuffix(string(old), "\r\n\r\n"+want) {
		t.Errorf("HTTP/1.0 got %q", old)
	}
}

// TestAStreamWaitsForItsClient: a client that does not read gets no more parts made, and does not keep the worker from
// others.
func TestAStreamWaitsForItsClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "parts", run.FrontRevision{Timeout: 20 * time.Second})
	mark := filepath.Join(t.TempDir(), "mark")
	c := r.dial()
	body := fmt.Sprintf(`{"count": 1000000, "size": 65536, "mark": %q}`, mark)
	fmt.Fprintf(c,
		"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "+
			"%d\r\n\r\n%s", len(body), body)
	_, err := io.ReadFull(c, make([]byte, 1<<20))
	check(t, err)
	if got := r.post(`{"count": 1}`); got.status != 200 {
		t.Errorf("beside the stream: %v", got)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the stream has ended, though nobody read it")
	}
	_ = c.Close()
	waitFor(t, "the generator to be closed", func() bool { _, err := os.Stat(mark); return err == nil })
	if got := r.post(`{"count": 1}`); got.status != 200 {
		t.Errorf("after it: %v", got)
	}
}

func TestAStreamHasADeadlineBetweenItsParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "parts", run.FrontRevision{Timeout: 400 * time.Millisecond})
	// Longer than the timeout in all, but no part is.
	if got := r.post(`{"count": 10, "sleep": 0.1}`); got.status != 200 || strings.Count(got.body, "\n") != 10 {
		t.Errorf("got %v", got)
	}
	if got, err := r.try("POST", "/predict", "application/json", `{"count": 2, "sleep": 0.9}`); err == nil &&
		got.status != 504 {
		t.Errorf("a part that came too late: %v", got)
	}
}
