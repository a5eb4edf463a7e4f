package front

import (
	"encoding/json"
	"strings"
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
