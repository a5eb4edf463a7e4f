package front

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// yes is a rig whose function answers true to all, and how often it was called.
func yes(tb testing.TB, l limits, o run.FrontRevision) (*rig, *atomic.Int64) {
	tb.Helper()
	calls := &atomic.Int64{}
	r := newRig(tb, l)
	o.Timeout = 20 * time.Second
	r.rogueRevision(o, rogue(tb, plainHello, func(c *net.UnixConn) {
		for {
			_, count, id, _, err := readCall(c)
			if err != nil {
				return
			}
			calls.Add(int64(count))
			if _, err := c.Write(replyTo(id, count, "true")); err != nil {
				return
			}
		}
	}))
	r.find("a connection to the worker", func(u run.FrontUpdate) bool { return u.Connected != nil })
	return r, calls
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] (\d{3}) `)

// say sends bytes, hangs up behind them, and gives the statuses of the answers.
func (r *rig) say(text string, pieces ...string) (statuses []int, answers string) {
	r.t.Helper()
	c := r.dial()
	for _, piece := range append([]string{text}, pieces...) {
		_, _ = io.WriteString(c, piece)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	if err != nil {
		r.t.Errorf("%q: %v", text, err)
	}
	for _, found := range statusLine.FindAllSubmatch(all, -1) {
		status, _ := strconv.Atoi(string(found[1]))
		statuses = append(statuses, status)
	}
	return statuses, string(all)
}

// TestWhatRFC9112Refuses sends what sections 2 to 7 say about requests. Behind each is another request on the same
// connection, which is only answered where the first one was right: nobody may see a request in what another does
// not.
func TestWhatRFC9112Refuses(t *testing.T) {
	r, calls := yes(t, defaultLimits, run.FrontRevision{})
	const (
		ok    = 200
		post  = "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
		get   = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
		after = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	)
	chunked := func(body string) string { return post + "Transfer-Encoding: chunked\r\n\r\n" + body }
	for _, test := range []struct {
		name, text string
		status     int
	}{
		// 2.2: lines
		{"as it should be", get + "\r\n", ok},
		{"an empty line first", "\r\n" + get + "\r\n", ok},
		{"LF alone, everywhere", "GET /healthz HTTP/1.1\nHost: localhost\n\n", 400},
		{"LF alone behind the request line", "GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n", 400},
		{"LF alone behind a field", "GET /healthz HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n", 400},
		{"LF alone at the end of the header", get + "X: a\r\n\n", 400},
		{"LF LF at the end of the header", get + "X: a\n\n", 400},
		{"an empty line of LF alone first", "\n" + get + "\r\n", 400},
		{"CR alone in a value", get + "X: a\rb\r\n\r\n", 400},
		{"CR alone in the request line", "GET /healthz\rHTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"CR CR LF", get + "X: a\r\r\n\r\n", 400},
		{"blanks before the first field", "GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n", 400},
		{"a blank line with a blank", get + " \r\n\r\n", 400},
		{"no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01", 400},
		{"a request of HTTP/0.9", "GET /healthz\r\n\r\n", 400},
		// 2.3: version
		{"HTTP/9.9", "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n", 505},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/0.9 by name", "GET /healthz HTTP/0.9\r\n\r\n", 505},
		{"a lower-case version", "GET /healthz http/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a version of two digits", "GET /healthz HTTP/1.10\r\nHost: localhost\r\n\r\n", 400},
		{"a version that is none", "GET /healthz HTTP/1,1\r\nHost: localhost\r\n\r\n", 400},
		// 3: request line
		{"two blanks", "GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a tab", "GET\t/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a blank at the end", "GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400},
		{"a blank in the target", "GET /heal thz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a control character in the target", "GET /heal\x01thz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a fragment", "GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a method that is no token", "G(T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a method in lower case", "get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"an absolute target", "GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", ok},
		{
			"an absolute target goes before Host", "GET http://localhost/readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
			ok,
		},
		{
			"an absolute target of another server",
			"GET http://evil.example/readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", 421,
		},
		{"an absolute target by TLS", "GET https://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 421},
		{"an absolute target with a user", "GET http://me@localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"an absolute target without a server", "GET http:///healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"a relative target", "GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"an asterisk", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"an asterisk, for the options", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
		{"an authority", "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		// 3.2: Host
		{"no Host", "GET /healthz HTTP/1.1\r\n\r\n", 400},
		{"no Host, which HTTP/1.0 may", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ok},
		{"an empty Host", "GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"two Hosts", get + "Host: localhost\r\n\r\n", 400},
		{"a user in Host", "GET /healthz HTTP/1.1\r\nHost: me@localhost\r\n\r\n", 400},
		{"a path in Host", "GET /healthz HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400},
		{"a blank in Host", "GET /healthz HTTP/1.1\r\nHost: local host\r\n\r\n", 400},
		{"a port that is none in Host", "GET /healthz HTTP/1.1\r\nHost: localhost:8x\r\n\r\n", 400},
		{"a port that is too large in Host", "GET /healthz HTTP/1.1\r\nHost: localhost:65536\r\n\r\n", 400},
		{"brackets around no address in Host", "GET /healthz HTTP/1.1\r\nHost: [localhost]\r\n\r\n", 400},
		{"an address in brackets in Host", "GET /healthz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ok},
		// 5: fields
		{"a blank before the colon", get + "X : a\r\n\r\n", 400},
		{"a blank in a name", get + "X Y: a\r\n\r\n", 400},
		{"no name", get + ": a\r\n\r\n", 400},
		{"no colon", get + "X\r\n\r\n", 400},
		{"a name that is no token", get + "X(: a\r\n\r\n", 400},
		{"a control character in a name", get + "X\x01: a\r\n\r\n", 400},
		{"NUL in a value", get + "X: a\x00b\r\n\r\n", 400},
		{"a control character in a value", get + "X: a\x01b\r\n\r\n", 400},
		{"DEL in a value", get + "X: a\x7fb\r\n\r\n", 400},
		{"a tab in a value", get + "X: a\tb\r\n\r\n", ok},
		{"a folded field", get + "X: a\r\n b\r\n\r\n", 400},
		{"a folded length", post + "Content-Length:\r\n 1\r\n\r\n1", 400},
		// 6.1: Transfer-Encoding
		{"chunked", chunked("1\r\n1\r\n0\r\n\r\n"), ok},
		{"chunked, in capitals", post + "TRANSFER-ENCODING: CHUNKED\r\n\r\n1\r\n1\r\n0\r\n\r\n", ok},
		{"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
		{"identity beside a length", post + "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n1", 400},
		{"a length beside identity", post + "Content-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n1", 400},
		{"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 501},
		{"chunked, gzip", post + "Transfer-Encoding: chunked, gzip\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400},
		{"gzip", post + "Transfer-Encoding: gzip\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400},
		{"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400},
		{
			"chunked in two fields",
			post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400,
		},
		{"chunked with a vertical tab", post + "Transfer-Encoding: \x0bchunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400},
		{"an encoding of nothing", post + "Transfer-Encoding:\r\n\r\n1", 400},
		{
			"an encoding in HTTP/1.0",
			"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400,
		},
		{
			"an encoding and a length",
			post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400,
		},
		{
			"a length and an encoding",
			post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", 400,
		},
		// 6.2: Content-Length
		{"a length", post + "Content-Length: 1\r\n\r\n1", ok},
		{"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n11", 400},
		{"the same length twice", post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n1", 400},
		{"a list of lengths", post + "Content-Length: 1, 1\r\n\r\n1", 400},
		{"a sign", post + "Content-Length: +1\r\n\r\n1", 400},
		{"below zero", post + "Content-Length: -1\r\n\r\n1", 400},
		{"a hexadecimal length", post + "Content-Length: 0x1\r\n\r\n1", 400},
		{"no length", post + "Content-Length:\r\n\r\n1", 400},
		{"a length that no number holds", post + "Content-Length: 18446744073709551617\r\n\r\n1", 413},
		{"a body that ends too soon", post + "Content-Length: 10\r\n\r\n1", 400},
		// 7.1: chunks
		{"an extension", chunked("1;a=b;c=\"d \\\" e\"\r\n1\r\n0;x\r\n\r\n"), ok},
		{"a control character in an extension", chunked("1;a=\x01\r\n1\r\n0\r\n\r\n"), 400},
		{"CR alone in an extension", chunked("1;a=\rb\r\n1\r\n0\r\n\r\n"), 400},
		{"LF alone behind a size", chunked("1\n1\r\n0\r\n\r\n"), 400},
		{"LF alone behind an extension", chunked("1;a\n1\r\n0\r\n\r\n"), 400},
		{"LF alone behind the data", chunked("1\r\n1\n0\r\n\r\n"), 400},
		{"LF alone at the end", chunked("1\r\n1\r\n0\r\n\n"), 400},
		{"no line end behind the data", chunked("1\r\n10\r\n\r\n"), 400},
		{"a size of nothing", chunked("\r\n1\r\n0\r\n\r\n"), 400},
		{"a size with a prefix", chunked("0x1\r\n1\r\n0\r\n\r\n"), 400},
		{"a size with a sign", chunked("+1\r\n1\r\n0\r\n\r\n"), 400},
		{"a size with a line", chunked("1_0\r\n1\r\n0\r\n\r\n"), 400},
		{"a blank before a size", chunked(" 1\r\n1\r\n0\r\n\r\n"), 400},
		{"a size that no number holds", chunked("10000000000000001\r\n1\r\n0\r\n\r\n"), 400},
		{"an extension that is too long", chunked("1;" + strings.Repeat("a", 5<<10) + "\r\n1\r\n0\r\n\r\n"), 400},
		{
			"too much of extensions", chunked(strings.Repeat("1;"+strings.Repeat("a", 1<<10)+"\r\n1\r\n", 30) +
				"0\r\n\r\n"), 400,
		},
		{"an end that is missing", chunked("1\r\n1\r\n"), 400},
		// 7.1.2: trailer
		{"a trailer", chunked("1\r\n1\r\n0\r\nX: a\r\n\r\n"), ok},
		{"framing in the trailer", chunked("1\r\n1\r\n0\r\nContent-Length: 5\r\n\r\n"), 400},
		{"a folded trailer", chunked("1\r\n1\r\n0\r\nX: a\r\n b\r\n\r\n"), 400},
		{"LF alone in the trailer", chunked("1\r\n1\r\n0\r\nX: a\n\r\n"), 400},
		{"no name in the trailer", chunked("1\r\n1\r\n0\r\n: a\r\n\r\n"), 400},
		{"a control character in the trailer", chunked("1\r\n1\r\n0\r\nX: \x01\r\n\r\n"), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := []int{test.status}
			behind := after
			if strings.Contains(test.name, "too soon") || strings.Contains(test.name, "missing") {
				behind = ""
			}
			if test.status < 300 || test.status == 405 {
				want = append(want, ok)
			}
			before := calls.Load()
			check := func(how string, got []int, answers string) {
				if !slices.Equal(got, want) {
					t.Errorf("%s: answered %v, want %v: %q", how, got, want, answers)
				}
				if n := strings.Count(answers, "X-Content-Type-Options: nosniff\r\n"); n != len(got) {
					t.Errorf("%s: %d of %d answers say nosniff: %q", how, n, len(got), answers)
				}
				if test.status >= 400 && test.status != 405 && !strings.Contains(answers, "Connection: close\r\n") {
					t.Errorf("%s: the connection goes on: %q", how, answers)
				}
			}
			got, answers := r.say(test.text + behind)
			check("at once", got, answers)
			// Behind a request that is right, and cut in two at some places.
			want = append([]int{ok}, want...)
			got, answers = r.say(after + test.text + behind)
			check("behind another", got, answers)
			text := test.text + behind
			for at := 1; at < min(len(text), 400); at += 1 + len(text)/8 {
				got, answers = r.say(after+text[:at], text[at:])
				check(fmt.Sprintf("in two, behind %q", text[max(0, at-10):at]), got, answers)
			}
			if test.status >= 400 && calls.Load() != before {
				t.Error("the function was called")
			}
		})
	}
}

// TestATooLargeBodyIsRefusedAtOnce: nobody waits for bytes of a body that is refused whatever they are.
func TestATooLargeBodyIsRefusedAtOnce(t *testing.T) { //nolint:tparallel // the calls of a shared server are counted
	t.Parallel()
	r, calls := yes(t, defaultLimits, run.FrontRevision{})
	for name, test := range map[string]struct {
		text string
		want string
	}{
		"the function": {
			"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n",
			"HTTP/1.1 413 ",
		},
		"with some of it": {
			"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n[1", "HTTP/1.1 413 ",
		},
		"another path": {
			"POST /wrong HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n",
			"HTTP/1.1 404 ",
		},
		"another server": {
			"POST /predict HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 67108865\r\n\r\n",
			"HTTP/1.1 421 ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // it was 30 s
			_, _ = io.WriteString(c, test.text)
			got, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(got), test.want) || strings.Count(string(got), "HTTP/1.1") != 1 {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
	// Who sends it all the same, and reads then, learns why.
	c := r.dial()
	_, _ = io.WriteString(c, "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n")
	_, err := c.Write(make([]byte, 8<<20))
	check(t, err)
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") {
		t.Errorf("behind 8 MiB: %q %v", got, err)
	}
	if calls.Load() != 0 {
		t.Error("the function was called")
	}
}

// TestThoseWhoSendNothingKeepNobodyOut: connections that are waited for make room for new ones, the oldest first.
func TestThoseWhoSendNothingKeepNobodyOut(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.conns = 64
	for name, text := range map[string]string{
		"nothing":       "",
		"half a header": "POST /predict HTTP/1.1\r\nHost:",
		"half a body": "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n[1" +
			strings.Repeat(" ", 9<<10),
		"half a chunk":     "POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
		"a whole request":  "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"what is refused":  "GET /healthz HTTP/9.9\r\n\r\n",
		"a large body":     "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108865\r\n\r\n",
		"one of HTTP/1.0 ": "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := yes(t, l, run.FrontRevision{})
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range 10 {
				for range l.conns / 2 {
					c := r.dial()
					_, _ = io.WriteString(c, text)
				}
				response, err := client.Post(r.url+"/predict", "application/json", strings.NewReader("1"))
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != 200 {
					t.Fatalf("another client was answered %d", response.StatusCode)
				}
			}
			r.front.crowd.mu.Lock()
			defer r.front.crowd.mu.Unlock()
			if n := len(r.front.crowd.all); n > l.conns {
				t.Errorf("%d connections are open, of %d", n, l.conns)
			}
		})
	}
}

// TestThoseWhoDoNotReadKeepNobodyOut: an answer that is not read is not waited for when others come.
func TestThoseWhoDoNotReadKeepNobodyOut(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.conns = 8
	r := newRig(t, l)
	large := `"` + strings.Repeat("x", 16<<20) + `"`
	r.rogueRevision(run.FrontRevision{Timeout: 20 * time.Second}, rogue(t, plainHello, func(c *net.UnixConn) {
		for {
			_, count, id, _, err := readCall(c)
			if err != nil {
				return
			}
			if _, err := c.Write(replyTo(id, count, large)); err != nil {
				return
			}
		}
	}))
	for range 3 * l.conns {
		c := r.dial()
		_, _ = io.WriteString(c, "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1")
		if _, err := c.Read(make([]byte, 1)); err != nil { // so much of the answer is read
			t.Fatal(err)
		}
	}
	if got := r.ask("GET", "/healthz", "", ""); got.status != 200 {
		t.Errorf("another client: %v", got)
	}
}

// TestThoseWhoWaitForAnswersAreNotCutOff: where all connections have a request that is being answered, a new one
// gets the answer to come later.
func TestThoseWhoWaitForAnswersAreNotCutOff(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.conns = 8
	r := newRig(t, l)
	answer := make(chan struct{})
	many := strings.Replace(plainHello, `"batch":0,"concurrent":1`, `"batch":8,"concurrent":8`, 1)
	r.rogueRevision(run.FrontRevision{Timeout: 20 * time.Second, Batch: 8}, rogue(t, many, func(c *net.UnixConn) {
		for {
			_, count, id, _, err := readCall(c)
			if err != nil {
				return
			}
			<-answer
			if _, err := c.Write(replyTo(id, count, "true")); err != nil {
				return
			}
		}
	}))
	var sent []net.Conn
	for range l.conns {
		c := r.dial()
		const last = "POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1"
		_, _ = io.WriteString(c, last)
		sent = append(sent, c)
	}
	revision := r.front.revision(1)
	waitFor(t, "the requests", func() bool {
		revision.mu.Lock()
		defer revision.mu.Unlock()
		return revision.outstanding == l.conns
	})
	late, err := io.ReadAll(r.dial())
	if err != nil || !bytes.HasPrefix(late, []byte("HTTP/1.1 503 ")) || !bytes.Contains(late, []byte("nosniff")) {
		t.Errorf("one more: %q %v", late, err)
	}
	close(answer)
	for i, c := range sent {
		if got, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
			t.Errorf("client %d: %q %v", i, got, err)
		}
	}
}
