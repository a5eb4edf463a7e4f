package front

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// visit sends a request with the headers given, and gives the answer.
func (r *rig) visit(method, path string, headers ...string) reply {
	r.t.Helper()
	c := r.dial()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\n%s\r\nConnection: close\r\n", method, path, strings.Join(headers, "\r\n"))
	if method == "POST" {
		_, _ = io.WriteString(c, "Content-Length: 1\r\n")
	}
	_, _ = io.WriteString(c, "\r\n")
	if method == "POST" {
		_, _ = io.WriteString(c, "1")
	}
	response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	check(r.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(r.t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}

func TestOnlyNamesOfTheServerAreAnswered(t *testing.T) { //nolint:tparallel // the cases share their servers
	t.Parallel()
	loopback, _ := yes(t, defaultLimits, run.FrontRevision{Hosts: []string{"My.Host.", "2001:db8::7"}})
	wide, _ := yes(t, defaultLimits, run.FrontRevision{Hosts: []string{"0.0.0.0", "gpu-box"}, Addresses: true})
	all, _ := yes(t, defaultLimits, run.FrontRevision{Hosts: []string{"*"}})
	for _, test := range []struct {
		host                string
		loopback, wide, all int
	}{
		{"localhost", 200, 200, 200},
		{"LocalHost:21873", 200, 200, 200},
		{"localhost.", 200, 200, 200},
		{"demo.localhost:80", 200, 200, 200},
		{"127.0.0.1:21873", 200, 200, 200},
		{"127.8.9.10", 200, 200, 200},
		{"[::1]:21873", 200, 200, 200},
		{"[::ffff:127.0.0.1]", 200, 200, 200},
		{"my.host:443", 200, 421, 200},
		{"[2001:db8::7]", 200, 200, 200},
		{"gpu-box:21873", 421, 200, 200},
		{"10.0.0.7:21873", 421, 200, 200},
		{"0.0.0.0:21873", 421, 200, 200},
		{"[2001:db8::8]", 421, 200, 200},
		{"evil.example:21873", 421, 421, 200},
		{"localhost.evil.example", 421, 421, 200},
		{"127.0.0.1.evil.example", 421, 421, 200},
		{"notlocalhost", 421, 421, 200},
		{"0x7f.1", 421, 421, 200},
		{"a,b", 421, 421, 200},
	} {
		t.Run(test.host, func(t *testing.T) {
			for name, one := range map[string]struct {
				*rig
				want int
			}{"loopback": {loopback, test.loopback}, "wide": {wide, test.wide}, "all": {all, test.all}} {
				t.Run(name, func(t *testing.T) {
					for _, path := range []string{"/predict", "/predict?a=1", "/metrics", "/readyz"} {
						if got := one.visit("GET", path, "Host: "+test.host); got.status != one.want {
							t.Errorf("%s: %v, want %d", path, got, one.want)
						} else if got.status == 421 && !strings.Contains(got.body, "--allow-host ") {
							t.Errorf("%s: %s does not say what to do", path, got.body)
						}
					}
					if got := one.visit("GET", "/healthz", "Host: "+test.host); got.status != 200 {
						t.Errorf("/healthz: %v", got)
					}
					got := one.visit("GET", "/nothing", "Host: "+test.host)
					if (got.status == 421) != (one.want == 421) {
						t.Errorf("another path: %v", got)
					}
				})
			}
		})
	}
	// The second request of a connection is checked as the first one is.
	statuses, answers := loopback.say("GET /predict HTTP/1.1\r\nHost: localhost\r\n\r\nGET /predict " +
		"HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	if fmt.Sprint(statuses) != "[200 421]" {
		t.Errorf("got %q", answers)
	}
	if got := loopback.ask("GET", "/metrics", "", ""); !strings.Contains(got.body,
		`metaml_requests_total{code="421"} `) {
		t.Error("what was refused is not counted")
	}
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) { //nolint:tparallel // the calls of a shared server are counted
	t.Parallel()
	r, calls := yes(t, defaultLimits, run.FrontRevision{Hosts: []string{"hub.example"}})
	for name, test := range map[string]struct {
		host   string
		header string
		status int
	}{
		"no browser": {"localhost:5000", "X: y", 200},
		"an address that was typed": {
			"localhost:5000",
			"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1", 200,
		},
		"a page of its own": {
			"localhost:5000",
			"Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:5000", 200,
		},
		"a page of its own, long ago":    {"localhost:5000", "Origin: http://localhost:5000", 200},
		"a page of its own, on port 80":  {"localhost", "Origin: http://localhost:80", 200},
		"a page behind a proxy with TLS": {"hub.example", "Origin: https://hub.example", 200},
		"a page that a proxy renames": {
			"localhost:5000",
			"Sec-Fetch-Site: same-origin\r\nOrigin: https://hub.example", 200,
		},
		"a form of another site": {
			"localhost:5000",
			"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nOrigin: http://evil.example", 403,
		},
		"an image of another site": {
			"localhost:5000", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors",
			403,
		},
		"another port of this machine": {
			"localhost:5000",
			"Sec-Fetch-Site: same-site\r\nOrigin: http://localhost:8888", 403,
		},
		"another port, long ago":          {"localhost:5000", "Origin: http://localhost:8888", 403},
		"a page that is a file":           {"localhost:5000", "Origin: null", 403},
		"another scheme":                  {"localhost:5000", "Origin: ftp://localhost:5000", 403},
		"an origin that is none":          {"localhost:5000", "Origin: localhost:5000", 403},
		"a name that begins like its own": {"localhost", "Origin: http://localhost.evil.example", 403},
		"something that is not known yet": {"localhost:5000", "Sec-Fetch-Site: elsewhere", 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				before := calls.Load()
				got := r.visit(method, "/predict", "Host: "+test.host, test.header)
				want := test.status
				if want == 200 && method == "OPTIONS" {
					want = 204
				}
				if got.status != want {
					t.Errorf("%s: %v, want %d", method, got, want)
				}
				if (calls.Load() != before) != (want == 200) {
					t.Errorf("%s called the function %d times", method, calls.Load()-before)
				}
				if got.status == 403 && !strings.Contains(got.body, "--cors ") {
					t.Errorf("%s: %s does not say what to do", method, got.body)
				}
				for header := range got.header {
					if strings.HasPrefix(header, "Access-Control-") {
						t.Errorf("%s: nobody requested %s", method, header)
					}
				}
			}
			if got := r.visit("GET", "/metrics", "Host: "+test.host, test.header); got.status != test.status {
				t.Errorf("/metrics: %v", got)
			}
			if got := r.visit("GET", "/healthz", "Host: "+test.host, test.header); got.status != 200 {
				t.Errorf("/healthz: %v", got)
			}
		})
	}
}

// allowed is the origin whose pages may read an answer.
func allowed(r reply) string { return r.header.Get("Access-Control-Allow-Origin") }

func TestPagesOfOriginsThatMay(t *testing.T) { //nolint:tparallel // the cases look at one answer
	t.Parallel()
	l := defaultLimits
	some, calls := yes(t, l, run.FrontRevision{Origins: []string{"https://app.example", "http://localhost:3000"}})
	all, _ := yes(t, l, run.FrontRevision{Origins: []string{"*"}})
	from := func(origin string) string {
		return "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nOrigin: " + origin
	}
	for _, origin := range []string{"https://app.example", "http://localhost:3000"} {
		got := some.visit("POST", "/predict", from(origin))
		if got.status != 200 || allowed(got) != origin || got.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v %v", origin, got, got.header)
		}
		// those of the function, which it cannot name itself
		if got.header.Get("Access-Control-Expose-Headers") != "*" {
			t.Errorf("%s: %v", origin, got.header)
		}
		// Errors can be read, too.
		for _, path := range []string{"/nothing", "/metrics"} {
			if got := some.visit("POST", path, from(origin)); got.status < 400 || allowed(got) != origin {
				t.Errorf("%s of %s: %v %v", path, origin, got, got.header)
			}
		}
		for _, wrong := range []string{"Content-Length: 67108865\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nx\r\n"} {
			_, got := some.say("POST /predict HTTP/1.1\r\n" + from(origin) + "\r\n" + wrong)
			if !strings.Contains(got, "HTTP/1.1 4") ||
				!strings.Contains(got, "Access-Control-Allow-Origin: "+origin+"\r\n") {
				t.Errorf("%q of %s: %s", wrong, origin, got)
			}
		}
	}
	for _, origin := range []string{
		"http://app.example", "https://app.example:8443",
		"https://app.example.evil.example", "null", "*",
	} {
		got := some.visit("POST", "/predict", from(origin))
		if got.status != 403 || allowed(got) != "" || got.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v %v", origin, got, got.header)
		}
	}
	if got := some.visit("GET", "/predict", "Host: localhost"); got.status != 200 ||
		got.header.Get("Vary") != "Origin" {
		t.Errorf("no browser: %v %v", got, got.header)
	}
	if got := some.visit("POST", "/predict", "Host: evil.example\r\nSec-Fetch-Site: same-origin"); got.status != 421 {
		t.Errorf("a rebound name: %v", got)
	}
	if got := all.visit("POST", "/predict", from("https://any.example")); got.status != 200 || allowed(got) != "*" {
		t.Errorf("any origin: %v %v", got, got.header)
	}

	before := calls.Load()
	preflight := "\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,x-trace"
	got := some.visit("OPTIONS", "/predict", from("https://app.example")+preflight)
	for header, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "GET, HEAD, POST",
		"Access-Control-Allow-Headers": "content-type,x-trace", "Access-Control-Max-Age": "7200",
		"Access-Control-Allow-Private-Network": "",
	} {
		t.Run(header, func(t *testing.T) {
			if got.header.Get(header) != want {
				t.Errorf("a preflight has %q, want %q", got.header.Get(header), want)
			}
		})
	}
	vary := got.header.Get("Vary")
	if got.status != 204 || !strings.Contains(vary, "Origin") ||
		!strings.Contains(vary, "Access-Control-Request-Headers") {
		t.Errorf("a preflight: %v %v", got, got.header)
	}
	got = some.visit("OPTIONS", "/predict",
		from("https://app.example")+preflight+"\r\nAccess-Control-Request-Private-Network: true")
	if got.header.Get("Access-Control-Allow-Private-Network") != "true" {
		t.Errorf("a preflight to a private network: %v", got.header)
	}
	got = some.visit("OPTIONS", "/predict", from("https://evil.example")+preflight)
	if got.status != 403 || allowed(got) != "" || got.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("a preflight of another origin: %v %v", got, got.header)
	}
	if calls.Load() != before {
		t.Error("a preflight called the function")
	}
}
