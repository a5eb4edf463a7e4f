package front

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// Of a server that asks for a token, everything but its health is for those who send it.
func TestATokenIsAskedFor(t *testing.T) { //nolint:tparallel // the calls of a shared server are counted
	t.Parallel()
	token := run.NewToken()
	r, calls := yes(t, defaultLimits, run.FrontRevision{Token: run.TokenSum(token)})
	for name, test := range map[string]struct {
		headers string
		status  int
	}{
		"no header":                   {"X: y", 401},
		"an empty one":                {"Authorization:", 401},
		"another token":               {"Authorization: Bearer " + run.NewToken(), 401},
		"half of it":                  {"Authorization: Bearer " + token[:len(token)/2], 401},
		"more than it":                {"Authorization: Bearer " + token + "a", 401},
		"another case":                {"Authorization: Bearer " + strings.ToUpper(token), 401},
		"its sum":                     {"Authorization: Bearer " + run.TokenSum(token), 401},
		"no scheme":                   {"Authorization: " + token, 401},
		"no token":                    {"Authorization: Bearer ", 401},
		"another scheme":              {"Authorization: Basic " + token, 401},
		"a scheme that begins so":     {"Authorization: Bearers " + token, 401},
		"a tab behind the scheme":     {"Authorization: Bearer\t" + token, 401},
		"another header":              {"Proxy-Authorization: Bearer " + token, 401},
		"two headers":                 {"Authorization: Bearer x\r\nAuthorization: Bearer " + token, 401},
		"it twice":                    {"Authorization: Bearer " + token + "\r\nAuthorization: Bearer " + token, 401},
		"two in a header":             {"Authorization: Bearer x, Bearer " + token, 401},
		"it":                          {"Authorization: Bearer " + token, 200},
		"a scheme in lower case":      {"Authorization: bearer " + token, 200},
		"a scheme in upper case":      {"Authorization: BEARER " + token, 200},
		"a header in lower case":      {"authorization: Bearer " + token, 200},
		"spaces":                      {"Authorization:   Bearer   " + token + "  ", 200},
		"another site's page with it": {"Sec-Fetch-Site: cross-site\r\nAuthorization: Bearer " + token, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST"} {
				before := calls.Load()
				got := r.visit(method, "/predict", "Host: localhost", test.headers)
				if got.status != test.status {
					t.Errorf("%s: %v, want %d", method, got, test.status)
				}
				if (calls.Load() != before) != (test.status == 200) {
					t.Errorf("%s called the function %d times", method, calls.Load()-before)
				}
				if test.status == 401 {
					refusal(t, got, token)
				}
			}
			// The function's path is not all that there is.
			for _, path := range []string{"/metrics", "/openapi.json", "/nothing"} {
				got := r.visit("GET", path, "Host: localhost", test.headers)
				if (got.status == 401) != (test.status == 401) {
					t.Errorf("%s: %v", path, got)
				}
			}
			got := r.visit("OPTIONS", "/predict", "Host: localhost", test.headers)
			if (got.status == 401) != (test.status == 401) {
				t.Errorf("OPTIONS: %v", got)
			}
			if got := r.visit("GET", "/healthz", "Host: localhost", test.headers); got.status != 200 {
				t.Errorf("/healthz: %v", got)
			}
			got = r.visit("GET", "/readyz", "Host: localhost", test.headers)
			if got.status != 200 && test.status != 403 {
				t.Errorf("/readyz: %v", got)
			}
		})
	}
	got := r.visit("GET", "/metrics", "Host: localhost", "Authorization: Bearer "+token)
	if !strings.Contains(got.body, `metaml_requests_total{code="401"} `) {
		t.Errorf("what was refused is not counted: %s", got.body)
	}
	if log := r.log.String(); strings.Contains(log, token) || strings.Contains(log, `"status":401`) {
		t.Errorf("the log has %s", log)
	}
}

// refusal checks an answer to who has not sent the token.
func refusal(t *testing.T, got reply, token string) {
	t.Helper()
	var said struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(got.body), &said); err != nil || !strings.Contains(said.Error, "metaml token") {
		t.Errorf("%s does not say where the token is: %v", got.body, err)
	}
	if got.header.Get("Www-Authenticate") != "Bearer" || strings.Contains(fmt.Sprint(got.header, got.body), token) {
		t.Errorf("it answered with %v %s", got.header, got.body)
	}
}

// Who has no token is answered before the body has come, and the connection ends: it would be in the way.
func TestTheBodyOfWhoHasNoTokenIsNotRead(t *testing.T) { //nolint:tparallel // the calls of a shared server are counted
	t.Parallel()
	r, calls := yes(t, defaultLimits, run.FrontRevision{Token: run.TokenSum(run.NewToken())})
	for name, header := range map[string]string{
		"it comes without being asked for": "Content-Length: 60000000",
		"it comes in chunks":               "Transfer-Encoding: chunked",
		"it waits for leave":               "Content-Length: 60000000\r\nExpect: 100-continue",
		"it is larger than one may be":     "Content-Length: 70000000\r\nExpect: 100-continue",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			begun := ""
			switch {
			case strings.Contains(header, "chunked"):
				begun = fmt.Sprintf("%x\r\n%s\r\n", 16<<10, strings.Repeat("1", 16<<10))
			case !strings.Contains(header, "Expect"):
				begun = strings.Repeat("1", 16<<10)
			}
			fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n%s", header, begun)
			in := bufio.NewReader(c)
			response, err := http.ReadResponse(in, &http.Request{Method: "POST"})
			check(t, err)
			defer response.Body.Close()
			if response.StatusCode != 401 || !response.Close {
				t.Errorf("it answered %d, and ends the connection: %v", response.StatusCode, response.Close)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			if rest, err := in.ReadByte(); err == nil {
				t.Errorf("%q comes after the answer", rest)
			}
		})
	}
	if calls.Load() > 0 {
		t.Error("the function was called")
	}
}

// A browser asks for leave without the token, and sends it with the request itself.
func TestPagesSendTheTokenAfterAPreflight(t *testing.T) {
	t.Parallel()
	token := run.NewToken()
	r, _ := yes(t, defaultLimits, run.FrontRevision{
		Token: run.TokenSum(token), Origins: []string{"https://app.example"},
	})
	from := "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nOrigin: https://app.example"
	got := r.visit("OPTIONS", "/predict", from,
		"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type")
	if got.status != 204 || got.header.Get("Access-Control-Allow-Headers") != "authorization,content-type" {
		t.Errorf("the preflight: %v %v", got, got.header)
	}
	if got := r.visit("POST", "/predict", from, "Authorization: Bearer "+token); got.status != 200 {
		t.Errorf("the request: %v", got)
	}
	if got := r.visit("POST", "/predict", from); got.status != 401 || allowed(got) != "https://app.example" {
		t.Errorf("without the token: %v %v, which the page may read", got, got.header)
	}
}

// Each revision says whether a token is asked for, and a sum that is none opens for nobody.
func TestRevisionsAskForATokenOrDoNot(t *testing.T) { //nolint:tparallel // one revision replaces the other
	t.Parallel()
	r, _ := yes(t, defaultLimits, run.FrontRevision{})
	if got := r.visit("GET", "/predict", "Host: localhost"); got.status != 200 {
		t.Errorf("without a token: %v", got)
	}
	token := run.NewToken()
	for i, test := range []struct {
		name, sum, headers string
		status             int
	}{
		{"locked", run.TokenSum(token), "X: y", 401},
		{"locked, with it", run.TokenSum(token), "Authorization: Bearer " + token, 200},
		{"open again", "", "X: y", 200},
		{"a sum that is none", "abc", "Authorization: Bearer ", 401},
		{"zeros", strings.Repeat("0", 64), "Authorization: Bearer ", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.serve(i+2, "echo", run.FrontRevision{Token: test.sum, Timeout: run.DefaultRequestTimeout})
			if got := r.visit("POST", "/predict", "Host: localhost", test.headers); got.status != test.status {
				t.Errorf("%v, want %d", got, test.status)
			}
		})
	}
}

// A function may answer at a path that others have for health.
func TestAFunctionAtTheHealthPathIsLocked(t *testing.T) {
	t.Parallel()
	r := newRig(t, defaultLimits)
	r.serve(1, "echo", run.FrontRevision{
		Path: "/healthz", Token: run.TokenSum(run.NewToken()), Timeout: run.DefaultRequestTimeout,
	})
	if got := r.visit("POST", "/healthz", "Host: localhost"); got.status != 401 {
		t.Errorf("%v", got)
	}
}

func FuzzBearer(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer a", "bearer  a b", "Basic a", " Bearer a", "Bearer\ta",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, credentials string) {
		token, ok := bearer(credentials)
		if ok && !strings.EqualFold(strings.TrimRight(strings.TrimSuffix(credentials, token), " "), "Bearer") {
			t.Errorf("%q was taken for the token of %q", token, credentials)
		}
		if strings.HasPrefix(token, " ") || !strings.HasSuffix(credentials, token) {
			t.Errorf("%q is the token of %q", token, credentials)
		}
	})
}
