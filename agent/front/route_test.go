package front

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhereAPathLeads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, url, want string }{ // want: the parameters, "" none, "-" it leads elsewhere
		{"/predict", "/predict", ""},
		{"/predict", "/predict/", "-"},
		{"/predict", "/p%72edict", ""},
		{"/v1/models/m:predict", "/v1/models/m:predict", ""},
		{"/v1/models/m:predict", "/v1/models/m%3Apredict", ""},
		{"/caf%C3%A9", "/caf%c3%a9", ""},
		{"/caf%C3%A9", "/caf%C3%A9/x", "-"},
		{"/items/{id}", "/items/7", `{"id":"7"}`},
		{"/items/{id}", "/items/7?id=8", `{"id":"7"}`},
		{"/items/{id}", "http://localhost/items/7", `{"id":"7"}`},
		{"/items/{id}", "/items/a%2Fb%20c", `{"id":"a/b c"}`},
		{"/items/{id}", "/items/%22%3C", `{"id":"\"\u003c"}`},
		{"/items/{id}", "/items/", "-"},
		{"/items/{id}", "/items", "-"},
		{"/items/{id}", "/items/7/", "-"},
		{"/items/{id}", "/items/7/8", "-"},
		{"/items/{id}", "/items/..", "-"},
		{"/items/{id}", "/items/%2e%2e", "-"},
		{"/items/{id}", "/items/%ff", "400"},
		{"/{model}/{id}.json", "/m/7.json", `{"id":"7","model":"m"}`},
		{"/{model}/{id}.json", "/m/.json", "-"},
		{"/v1/models/{model}:predict", "/v1/models/a:b:predict", `{"model":"a:b"}`},
		{"/v1/models/{model}:predict", "/v1/models/m:explain", "-"},
		{"/{x}", "/healthz", "-"},
		{"/{x}", "/metrics", "-"},
		{"/{x}", "/y", `{"x":"y"}`},
	} {
		t.Run(test.url+" at "+test.path, func(t *testing.T) {
			t.Parallel()
			var ctx fasthttp.RequestCtx
			ctx.Request.SetRequestURI(test.url)
			r := newRoute(test.path)
			got := "-"
			if r.leads(&ctx) {
				values, err := r.values(&ctx)
				if got = string(values); err != nil {
					got = "400"
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestParametersInThePath(t *testing.T) { //nolint:tparallel // the cases share a server with one worker
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "item", run.FrontRevision{Timeout: 20 * time.Second, Path: "/items/{id}"}, "SERVE_PATH=/items/{id}")
	for _, test := range []struct {
		name, method, path, contentType, body string
		status                                int
		want                                  string
	}{
		{"GET", "GET", "/items/7", "", "", 200, `{"id":7,"text":"none"}`},
		{"GET with a query", "GET", "/items/7?text=a", "", "", 200, `{"id":7,"text":"a"}`},
		{"the input alone", "POST", "/items/7", "application/json", `"a"`, 200, `{"id":7,"text":"a"}`},
		{"an object", "POST", "/items/7", "application/json", `{"text": "a"}`, 200, `{"id":7,"text":"a"}`},
		{"no body", "POST", "/items/7", "", "", 200, `{"id":7,"text":"none"}`},
		{"text", "POST", "/items/7", "text/plain", "a", 200, `{"id":7,"text":"a"}`},
		{"a form", "POST", "/items/7", "application/x-www-form-urlencoded", "text=a", 200, `{"id":7,"text":"a"}`},
		{
			"a parameter of another type",
			"POST", "/items/x", "application/json", `"a"`, 422, "id must be a whole number",
		},
		{"a parameter that is not UTF-8", "POST", "/items/%ff", "application/json", `"a"`, 400, "is not UTF-8"},
		{"no parameter", "GET", "/items/", "", "", 404, "the function answers at /items/{id}"},
		{"PUT", "PUT", "/items/7", "", "", 405, "/items/{id} takes POST and GET"},
		{"readyz", "GET", "/readyz", "", "", 200, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := r.ask(test.method, test.path, test.contentType, test.body); got.status != test.status ||
				!strings.Contains(got.body, test.want) {
				t.Errorf("got %v, want %d %s", got, test.status, test.want)
			}
		})
	}
	example := `{"id": 7, "text": "a"}`
	check(t, r.Probe(1, example))
	u := r.find("the probe", func(u run.FrontUpdate) bool { return u.Probed != nil })
	if u.Probed.Status != 200 || u.Probed.Body != `{"id":7,"text":"a"}` {
		t.Errorf("probed: %+v", u.Probed)
	}
}

// TestArraysOfDifferentPathsGoTogether: each keeps its own parameter.
func TestArraysOfDifferentPathsGoTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "scaled", run.FrontRevision{Timeout: 20 * time.Second, Path: "/times/{factor}"},
		"SERVE_PATH=/times/{factor}")
	var wait sync.WaitGroup
	for _, factor := range []string{"1", "2", "3", "4", "5"} {
		wait.Go(func() {
			for range 20 {
				if got := r.ask("POST", "/times/"+factor, "application/json",
					"[1, null]"); got.String() != "200 ["+factor+".0,null]" {
					t.Errorf("%s: %v", factor, got)
				}
			}
		})
	}
	wait.Wait()
}
