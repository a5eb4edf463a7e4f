package front

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func TestTheTypeOfBytes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"\x89PNG\r\n\x1a\n\x00":      "image/png",
		"\xff\xd8\xff\xe0":           "image/jpeg",
		"GIF89a":                     "image/gif",
		"RIFF\x00\x00\x00\x00WEBPVP": "image/webp",
		"RIFF\x00\x00\x00\x00WAVE":   "audio/wav",
		"ID3":                        "audio/mpeg",
		"\x00\x00\x00\x14ftypmp42\x00\x00\x00\x00mp42": "video/mp4",
		"%PDF-1.7":     "application/pdf",
		"PK\x03\x04":   "application/zip",
		"\x1f\x8b\x08": "application/gzip",
		// What a browser could take for a page, and what is guessed from two letters.
		"<html><script>": typeBytes,
		"<?xml":          typeBytes,
		"BM":             typeBytes,
		"plain text":     typeBytes,
		"":               typeBytes,
	} {
		t.Run(fmt.Sprintf("%q", data), func(t *testing.T) {
			t.Parallel()
			if got := typeOfBytes([]byte(data)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestWhoAsksForEvents(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"text/event-stream": true, "application/json, Text/Event-Stream;q=0.5": true,
		"text/event-stream; charset=utf-8": true,
		"":                                 false, "*/*": false, "text/*": false, "text/event-stream;q=0": false,
		"text/event-streams":                  false,
		"text/html, text/event-stream; q=0.0": false,
	} {
		t.Run(fmt.Sprintf("%q", accept), func(t *testing.T) {
			t.Parallel()
			if got := asksForEvents([]byte(accept)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestAnswersThatTheFunctionWords(t *testing.T) { //nolint:tparallel // the cases share a server with one worker
	t.Parallel()
	r := newRig(t, defaultLimits)
	p := r.serve(1, "worded", run.FrontRevision{Timeout: 20 * time.Second})
	for _, test := range []struct {
		name, input string
		want        string // the status, the content type and the body
		header      string // "Name: value"
	}{
		{"an image", `{"what": "png"}`, "200 image/png \x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 8), ""},
		{
			"bytes that a browser could take for a page",
			`{"what": "bytes", "bytes": [60, 104, 116, 109, 108, 62]}`, "200 application/octet-stream <html>",
			"X-Content-Type-Options: nosniff",
		},
		{
			"a status and a header",
			`{"what": "response", "body": {"id": 7}, "how": {"status": 201, "headers": {"Location": "/items/7"}}}`,
			`201 application/json {"id":7}`, "Location: /items/7",
		},
		{
			"a page",
			`{"what": "response", "body": "<h1>é</h1>", "how": {"type": "text/html"}}`,
			"200 text/html; charset=utf-8 <h1>é</h1>", "",
		},
		{
			"bytes with a type",
			`{"what": "response", "body": "png", "how": {"type": "image/x-png"}}`,
			"200 image/x-png \x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 8), "",
		},
		{
			"JSON with a type",
			`{"what": "response", "body": [1], "how": {"type": "application/geo+json"}}`,
			"200 application/geo+json [1]", "",
		},
		{"no content", `{"what": "response", "how": {"status": 204}}`, "204  ", ""},
		{
			"an error's status with a text",
			`{"what": "response", "body": "gone", "how": {"status": 503}}`, "503 text/plain; charset=utf-8 gone", "",
		},
		{
			"a stream with a status and a header",
			`{"what": "stream", "parts": ["a", "b"], "how": {"type": "text/html", "status": 202, "headers": {"X-A": ` +
				`"b"}}}`, "202 text/html; charset=utf-8 ab", "X-A: b",
		},
		{
			"an empty stream with a type",
			`{"what": "stream", "parts": [], "how": {"type": "text/csv"}}`, "200 text/csv ", "",
		},
		{
			"a stream of events",
			`{"what": "stream", "parts": [{"a": 1}], "how": {"type": "text/event-stream"}}`,
			"200 text/event-stream data: {\"a\":1}\n\n", "Cache-Control: no-cache",
		},
		{
			"an error",
			`{"what": "error", "error": [422, "age must not be negative"]}`,
			`422 application/json {"error":"age must not be negative"}`, "",
		},
		{
			"an error with a header",
			`{"what": "error", "error": [429, "later"], "how": {"headers": {"Retry-After": 5}}}`,
			`429 application/json {"error":"later"}`, "Retry-After: 5",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := r.post(test.input)
			shown := fmt.Sprintf("%d %s %s", got.status, got.header.Get("Content-Type"), got.body)
			if shown != test.want {
				t.Errorf("got %q, want %q", shown, test.want)
			}
			if name, value, _ := strings.Cut(test.header, ": "); got.header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, got.header.Get(name), value)
			}
		})
	}
	got := r.post(`{"what": "response", "how": {"headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["X-A", ` +
		`"1"], ["x-a", "2"]]}}`)
	if cookies := got.header.Values("Set-Cookie"); len(cookies) != 2 || len(got.header.Values("X-A")) != 2 {
		t.Errorf("headers of one name: %v", got.header)
	}
	got = r.post(`{"what": "error", "error": [503, "the model is being loaded"]}`)
	var said struct{ Error, ID string }
	if err := json.Unmarshal([]byte(got.body), &said); err != nil || got.status != 503 ||
		said.Error != "the model is being loaded" || said.ID == "" {
		t.Errorf("503: %v", got)
	}
	if want := said.ID + " worded answered 503 the model is being loaded"; !strings.Contains(p[0].stderr.String(),
		want) || !strings.Contains(r.log.String(), said.ID) {
		t.Errorf("the logs have no %q: %s; %s", want, p[0].stderr, r.log)
	}
	// A head that no Response makes is not sent.
	for _, input := range []string{
		`{"what": "past", "headers": [["X-A", "b\r\nSet-Cookie: a=1"]]}`, `{"what": "past", "headers": [["X A", "b"]]}`,
		`{"what": "past", "headers": [["Content-Length", "1"]]}`,
		`{"what": "past", "headers": [], "type": "text/html\r\nX: y"}`,
		`{"what": "past", "headers": "abc"}`,
	} {
		if got := r.post(input); got.status != 500 || got.header.Get("Set-Cookie") != "" ||
			!strings.Contains(got.body, `"id"`) {
			t.Errorf("%s: %v %v", input, got, got.header)
		}
	}
}

// askForEvents posts and gives the status, the content type and the body.
func (r *rig) askForEvents(body string) string {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), "POST", r.url+"/predict", strings.NewReader(body))
	check(r.t, err)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	check(r.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	check(r.t, err)
	return fmt.Sprintf("%d %s %s", response.StatusCode, response.Header.Get("Content-Type"), text)
}

func TestServerSentEvents(t *testing.T) { //nolint:tparallel // the cases share a server with one worker
	t.Parallel()
	l := defaultLimits
	l.quiet = 20 * time.Millisecond
	r := newRig(t, l)
	r.serve(1, "events", run.FrontRevision{Timeout: 20 * time.Second})
	for _, test := range []struct{ name, input, want string }{
		{
			"events as they are",
			`{"parts": ["data: 0\n\n", "data: 1\n\n"]}`, "200 text/event-stream data: 0\n\ndata: 1\n\n",
		},
		{
			"events with CRLF",
			`{"parts": ["event: a\r\ndata: 0\r\n\r\n", "data: [DONE]\n\n"]}`,
			"200 text/event-stream event: a\r\ndata: 0\r\n\r\ndata: [DONE]\n\n",
		},
		{
			"values and an event",
			`{"parts": [{"a": 1}, 2, "data: [DONE]\n\n"]}`,
			"200 text/event-stream data: {\"a\":1}\n\ndata: 2\n\ndata: [DONE]\n\n",
		},
		{
			"an event and a value",
			`{"parts": ["data: 0\n\n", {"a": 1}]}`, "200 text/event-stream data: 0\n\ndata: {\"a\":1}\n\n",
		},
		{
			"texts that are no events",
			`{"parts": ["one", ":", " two\nthree\r\n"]}`,
			"200 text/event-stream data: one\n\ndata: :\n\ndata:  two\ndata: three\ndata: \n\n",
		},
		{"no event", `{"parts": []}`, "200 text/event-stream "},
		{"an error before the first", `{"parts": [], "fail": true}`, `429 application/json {"error":"not now"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := r.askForEvents(test.input); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := r.askForEvents(`{"parts": [1, 2], "sleep": 0.2}`); !strings.Contains(got,
		"data: 1\n\n: keep-alive\n\n") || !strings.HasSuffix(got, "data: 2\n\n") {
		t.Errorf("between two events: %q", got)
	}
	if got := r.post(`{"parts": [1, 2], "sleep": 0.1}`); got.header.Get("Content-Type") != typeLines ||
		got.body != "1\n2\n" {
		t.Errorf("who asks for no events: %v", got)
	}
}

// TestAClientOfEventsThatGoesAwayWhileOneIsDue: its call is not taken for another's.
func TestAClientOfEventsThatGoesAwayWhileOneIsDue(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.quiet = time.Millisecond
	r := newRig(t, l)
	r.serve(1, "events", run.FrontRevision{Timeout: 20 * time.Second})
	const body = `{"parts": [1, 2], "sleep": 0.05}`
	for range 20 {
		c := r.dial()
		_, err := fmt.Fprintf(c,
			"POST /predict HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Length: "+
				"%d\r\n\r\n%s", len(body), body)
		check(t, err)
		var seen strings.Builder
		buf := make([]byte, 1<<10)
		for !strings.Contains(seen.String(), "keep-alive\n\n") {
			n, err := c.Read(buf)
			check(t, err)
			seen.Write(buf[:n])
		}
		check(t, c.Close())
		if got := r.askForEvents(`{"parts": ["mine"]}`); !strings.Contains(got, "data: mine\n\n") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestOneOfABatchIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "checked", run.FrontRevision{Timeout: 20 * time.Second, Batch: 8})
	answers := make(chan reply, 3)
	for _, body := range []string{"1", "-1", "3"} {
		go func() { answers <- r.post(body) }()
	}
	for range 3 {
		got := <-answers
		if got.status != 200 && got.String() != `422 {"error":"age must not be negative"}` {
			t.Errorf("got %v", got)
		}
	}
}
