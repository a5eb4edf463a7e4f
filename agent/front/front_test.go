package front

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestARequestIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "double", run.FrontRevision{Timeout: 20 * time.Second})
	got := r.post("[[1, 2.5], [1e-7, 1e16]]")
	if got.status != 200 || got.body != "[[2.0,5.0],[2e-07,2e+16]]" ||
		got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %v %v", got, got.header)
	}
	if got := r.post("[[1], [1, 2]]"); got.status != 422 || !strings.Contains(got.body, "x[1]") {
		t.Errorf("ragged: %v", got)
	}
	if got := r.post("[1, NaN]"); got.status != 400 || !strings.Contains(got.body, "not JSON") {
		t.Errorf("NaN: %v", got)
	}
}

func TestWhatTheFunctionGets(t *testing.T) { //nolint:tparallel // the cases share a server with one worker
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	for _, test := range []struct {
		name, method, path, contentType, body string
		status                                int
		want                                  string
	}{
		{"JSON", "POST", "/predict", "application/json", `{"a": [1, 2.5, null]}`, 200, `{"a":[1,2.5,null]}`},
		{"a JSON type with a charset", "POST", "/predict", "application/vnd.x+json; charset=utf-8", `"é"`, 200, `é`},
		{"JSON without a type", "POST", "/predict", "", `[1]`, 200, `[1]`},
		{
			"JSON that curl calls a form",
			"POST", "/predict", "application/x-www-form-urlencoded", `[1, 2]`, 200, `[1,2]`,
		},
		{
			"a form",
			"POST", "/predict", "application/x-www-form-urlencoded", `a=1&b=x+y&b=%C3%A9`, 200,
			`{"a":"1","b":["x y","é"]}`,
		},
		{
			"a form that is not UTF-8",
			"POST", "/predict", "application/x-www-form-urlencoded", `a=%ff`, 400,
			`{"error":"the field \"a\" is not UTF-8"}`,
		},
		{
			"broken JSON that curl calls a form",
			"POST", "/predict", "application/x-www-form-urlencoded", `{"a": 1,}`, 400, "",
		},
		{
			"NaN that curl calls a form",
			"POST", "/predict", "application/x-www-form-urlencoded", ` [NaN]`, 400,
			`{"error":"the body is not JSON: NaN is not JSON"}`,
		},
		{"a query", "GET", "/predict?a=1&a=2&a=3&b=", "", "", 200, `{"a":["1","2","3"],"b":""}`},
		{"no query", "GET", "/predict", "", "", 200, `{}`},
		{"bytes", "POST", "/predict", "application/octet-stream", "\x00\xff", 200, "\x00\xff"},
		{"text", "POST", "/predict", "text/plain", "abc", 200, "abc"},
		{"broken JSON", "POST", "/predict", "application/json", "{\"a\": \n x}", 400, ""},
		{"JSON that is not UTF-8", "POST", "/predict", "application/json", "\"\xff\"", 400, ""},
		{"no JSON at all", "POST", "/predict", "application/json", "", 400, ""},
		{"JSON behind a byte order mark", "POST", "/predict", "application/json", "\ufeff[1]", 200, "[1]"},
		{
			"JSON behind a byte order mark that curl calls a form",
			"POST", "/predict", "application/x-www-form-urlencoded", "\ufeff{\"a\": 1}", 200, `{"a":1}`,
		},
		{"the input by its name", "POST", "/predict", "application/json", `{"input": [1]}`, 200, "[1]"},
		{"the input by its name in a query", "GET", "/predict?input=a", "", "", 200, "a"},
		{"deep JSON", "POST", "/predict", "application/json", strings.Repeat("[", 200_000), 400, ""},
		{"PUT", "PUT", "/predict", "", "", 405, `{"error":"/predict takes POST and GET, not PUT"}`},
		{
			"a slash too many",
			"GET", "/predict/", "", "", 404,
			`{"error":"there is nothing at /predict/; the function answers at /predict"}`,
		},
		{"the root", "GET", "/", "", "", 404, `{"error":"there is nothing at /; the function answers at /predict"}`},
		{"POST to healthz", "POST", "/healthz", "", "", 405, `{"error":"/healthz takes GET, not POST"}`},
		{"healthz", "GET", "/healthz", "", "", 200, "ok\n"},
		{"readyz", "GET", "/readyz", "", "", 200, "ok\n"},
		{"OPTIONS", "OPTIONS", "/predict", "", "", 204, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := r.ask(test.method, test.path, test.contentType, test.body)
			if got.status != test.status || test.want != "" && got.body != test.want {
				t.Errorf("got %v, want %d %s", got, test.status, test.want)
			}
			if got.status >= 400 {
				var e struct{ Error string }
				if err := json.Unmarshal([]byte(got.body), &e); err != nil || e.Error == "" ||
					got.header.Get("Content-Type") != "application/json" {
					t.Errorf("%v is no error in JSON", got)
				}
			}
			if (got.status == 405 || got.status == 204) && !strings.Contains(got.header.Get("Allow"), "GET") {
				t.Errorf("allowed is %q", got.header.Get("Allow"))
			}
		})
	}
	if got := r.ask("HEAD", "/predict?a=1", "", ""); got.status != 200 || got.body != "" ||
		got.header.Get("Content-Length") != "9" {
		t.Errorf("HEAD: %v %v", got, got.header)
	}
	if got := r.ask("GET", "/openapi.json", "", ""); got.status != 200 || !strings.Contains(got.body, `"/predict"`) {
		t.Errorf("openapi: %v", got)
	}
	got := r.ask("GET", "/metrics", "", "")
	for _, want := range []string{
		`metaml_requests_total{code="200"} `, `metaml_requests_total{code="400"} `, "metaml_request_seconds_bucket",
		"metaml_queue_length 0",
		"metaml_in_flight 0", "metaml_worker_restarts_total 0", `metaml_revision_info{revision="1",path="/predict"} 1`,
		"metaml_batch_size_sum",
		`metaml_workers_ready{revision="1"} 1`, "metaml_queue_seconds_count", "process_resident_memory_bytes",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	// Each family says its type once, before its samples (Prometheus' text format, version 0.0.4).
	typed, family := map[string]bool{}, ""
	for line := range strings.Lines(got.body) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _, _ = strings.Cut(rest, " ")
			if typed[family] {
				t.Errorf("the type of %s is written twice", family)
			}
			typed[family] = true
		} else if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, family) {
			t.Errorf("%s stands below the type of %s", strings.TrimSpace(line), family)
		}
	}
	if !typed["metaml_request_seconds"] || !typed["metaml_workers_ready"] {
		t.Errorf("types are written of %v", typed)
	}
}

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

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.body = 8 << 20
	r := newRig(t, l)
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	large := `"` + strings.Repeat("x", 5<<20) + `"`
	if got := r.post(large); got.status != 200 || len(got.body) != 5<<20 {
		t.Errorf("5 MiB: %d, %d bytes", got.status, len(got.body))
	}
	// A chunked body, whose size nobody knows.
	request, err := http.NewRequest("POST", r.url+"/predict", io.MultiReader(strings.NewReader(large)))
	check(t, err)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	data, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 200 || len(data) != 5<<20 {
		t.Errorf("5 MiB in chunks: %d, %d bytes", response.StatusCode, len(data))
	}
	// One that says that it is 1 GB is not read, one that is too large without saying so is not read to its end.
	c := r.dial()
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n%s",
		strings.Repeat("x", 8<<10))
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") ||
		!strings.Contains(string(got), "larger than 8 MiB") {
		t.Errorf("1 GB: %q %v", got, err)
	}
	c = r.dial()
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n")
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") ||
		!strings.Contains(string(got), "larger than 8 MiB") {
		t.Errorf("1 GB, with 100-continue: %q %v", got, err)
	}
	c = r.dial()
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := fmt.Sprintf("100000\r\n%s\r\n", strings.Repeat("x", 1<<20))
	sent := 0
	for ; sent < 1000; sent++ {
		if _, err := io.WriteString(c, chunk); err != nil {
			break
		}
	}
	if sent > 100 {
		t.Errorf("%d MiB were taken", sent)
	}
	if got := r.ask("POST", "/predict", "application/json", `1`); got.status != 200 {
		t.Errorf("after it: %v", got)
	}
	request, err = http.NewRequest("POST", r.url+"/predict", strings.NewReader("x"))
	check(t, err)
	request.Header.Set("Content-Encoding", "gzip")
	response, err = http.DefaultClient.Do(request)
	check(t, err)
	_ = response.Body.Close()
	if response.StatusCode != 415 {
		t.Errorf("a compressed body: %d", response.StatusCode)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	c := r.dial()
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q %v", line, err)
	}
	_, _ = in.ReadString('\n')
	fmt.Fprintf(c, "[1]")
	response, err := http.ReadResponse(in, nil)
	check(t, err)
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 200 || string(body) != "[1]" {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	c = r.dial()
	fmt.Fprintf(c, "POST /wrong HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 404 ") ||
		!strings.Contains(string(got), "answers at /predict") {
		t.Errorf("a wrong path: %q %v", got, err)
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	c := r.dial()
	const count = 200
	go func() {
		for i := range count {
			body := fmt.Sprint(i)
			fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}()
	in := bufio.NewReader(c)
	for i := range count {
		response, err := http.ReadResponse(in, nil)
		check(t, err)
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if string(body) != fmt.Sprint(i) {
			t.Fatalf("answer %d is %s", i, body)
		}
	}
}

func TestSlowSenders(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.header = time.Second
	r := newRig(t, l)
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	for name, text := range map[string]string{
		"header": "POST /predict HTTP/1.1\r\nHost:",
		"body":   "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[1",
		"large body": "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n[1" +
			strings.Repeat(" ", 20_000),
		"chunks": "POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.dial()
			_, _ = io.WriteString(c, text)
			if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
	// Slow, but not too slow for so much.
	c := r.dial()
	fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n\"", 20*(64<<10)+2)
	tick := time.NewTicker(100 * time.Millisecond)
	t.Cleanup(tick.Stop)
	for range 20 {
		<-tick.C
		_, err := io.WriteString(c, strings.Repeat("x", 64<<10))
		check(t, err)
	}
	_, _ = io.WriteString(c, `"`)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	check(t, err)
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("two seconds for 1,280 KiB: %d", response.StatusCode)
	}
}

// TestSwitchesLoseNoRequest replaces the revision again and again under load; every second one has another path.
func TestSwitchesLoseNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "say", run.FrontRevision{Timeout: 20 * time.Second, Workers: 2}, "SAYS=1")
	stop := make(chan struct{})
	var load sync.WaitGroup
	var count atomic.Int64
	var newest atomic.Int64
	newest.Store(1)
	for i := range 8 {
		load.Go(func() {
			c := r.dial() // one connection for all, which must live on
			in := bufio.NewReader(c)
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf("[%d,%d]", i, k)
				least := newest.Load()
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Errorf("after %d requests: %v", k, err)
					return
				}
				data, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				var answer struct {
					Says  string
					Input []int
				}
				var says int64
				if json.Unmarshal(data, &answer) == nil {
					_, _ = fmt.Sscan(answer.Says, &says)
				}
				if response.StatusCode != 200 || !slices.Equal(answer.Input, []int{i, k}) || says < least {
					t.Errorf("request %d: %d %s, by revision %d or newer", k, response.StatusCode, data, least)
					return
				}
				count.Add(1)
			}
		})
	}
	old := []*process(nil)
	for number := 2; number <= 21; number++ {
		before := count.Load()
		waitFor(t, "requests between two switches", func() bool { return count.Load() > before+20 || t.Failed() })
		started := r.serve(number, "say", run.FrontRevision{Timeout: 20 * time.Second, Workers: 1 + number%2},
			fmt.Sprintf("SAYS=%d", number))
		newest.Store(int64(number))
		r.find("the old revision to be drained", func(u run.FrontUpdate) bool { return u.Drained == number-1 })
		check(t, r.Retire(number-1))
		for _, p := range old {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		old = started
	}
	close(stop)
	load.Wait()
	if r.log.String() != "" {
		t.Errorf("the log has %s", r.log)
	}
}

func TestThePathMayChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	if got := r.post("1"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("before there is anything: %v", got)
	}
	r.serve(1, "echo", run.FrontRevision{Timeout: 20 * time.Second})
	r.serve(2, "echo", run.FrontRevision{Timeout: 20 * time.Second, Path: "/other"})
	if got := r.post("1"); got.status != 404 || !strings.Contains(got.body, "answers at /other") {
		t.Errorf("the old path: %v", got)
	}
	if got := r.ask("POST", "/other", "", "1"); got.status != 200 {
		t.Errorf("the new path: %v", got)
	}
	// Back again.
	r.find("the first to be drained", func(u run.FrontUpdate) bool { return u.Drained == 1 })
	check(t, r.Switch(1))
	waitFor(t, "the first to answer again", func() bool { return r.post("1").status == 200 })
}

func TestAProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	check(t, r.Revision(run.FrontRevision{Number: 7, Path: "/predict", Timeout: 20 * time.Second, Workers: 1}))
	r.worker(7, 0, 1, startWorker(t, "act", 0))
	check(t, r.Probe(7, `{"text": "hello"}`))
	probed := func(what string) run.Probed {
		return *r.find(what, func(u run.FrontUpdate) bool { return u.Probed != nil && u.Probed.Example == what }).Probed
	}
	if p := probed(`{"text": "hello"}`); p.Status != 200 || p.Body != "hello" || p.ContentType != typeText ||
		p.Seconds <= 0 || p.Error != "" {
		t.Errorf("got %+v", p)
	}
	check(t, r.Probe(7, `{"raise": "x"}`))
	if p := probed(`{"raise": "x"}`); p.Status != 500 || p.Error == "" {
		t.Errorf("got %+v", p)
	}
	check(t, r.Probe(7, `{"exit": 1}`))
	if p := probed(`{"exit": 1}`); p.Status != 502 || p.Error == "" {
		t.Errorf("got %+v", p)
	}
	// It answers nobody else yet.
	if got := r.post("1"); got.status != 503 {
		t.Errorf("got %v", got)
	}
}

func TestAProbeOfARevisionThatWasReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	r.serve(2, "act", run.FrontRevision{Timeout: 20 * time.Second})
	check(t, r.Probe(1, "1"))
	p := r.find("the probe", func(u run.FrontUpdate) bool { return u.Probed != nil && u.Probed.Revision == 1 }).Probed
	if p.Status != 503 || p.Error != "the server was given another revision; try again" {
		t.Errorf("got %+v", p)
	}
}

func TestStopAnswersWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if got := r.post(`{"sleep": 0.2, "text": "whole"}`); got.status != 200 || got.body != "whole" {
				t.Errorf("got %v", got)
			}
		})
	}
	revision := r.front.revision(1)
	waitFor(t, "the requests", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		return revision.outstanding == 4
	})
	check(t, r.Stop(20*time.Second))
	r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
	wait.Wait()
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("it listens still")
	}
}

func TestStopWaitsForItsGraceOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	answered := make(chan reply)
	go func() { answered <- r.post(`{"sleep": 15}`) }()
	revision := r.front.revision(1)
	waitFor(t, "the request", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		return revision.outstanding == 1
	})
	check(t, r.Stop(100*time.Millisecond))
	if got := <-answered; got.status != 503 || !strings.Contains(got.body, "stopping") {
		t.Errorf("got %v", got)
	}
	r.find("the end", func(u run.FrontUpdate) bool { return u.Ended != nil })
}

func TestWhenTheMonitorDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	p := r.serve(1, "act", run.FrontRevision{Timeout: 20 * time.Second})
	answered := make(chan reply, 2)
	revision := r.front.revision(1)
	for n := range 2 { // one is answered by the worker, one waits
		go func() { answered <- r.post(`{"sleep": 15}`) }()
		waitFor(t, "the request", func() bool {
			revision.mu.Lock()
			defer revision.mu.Unlock()
			return revision.outstanding == n+1
		})
	}
	_ = r.conn.CloseWrite() // what the front sees of a dead monitor, with which the workers die
	_ = p[0].Process.Kill()
	got := map[int]int{}
	for range 2 {
		a := <-answered
		got[a.status]++
		if !strings.Contains(a.body, "error") {
			t.Errorf("got %v", a)
		}
	}
	if got[502] != 1 || got[503] != 1 {
		t.Errorf("got %v, want one that was lost and one to be sent again", got)
	}
}
