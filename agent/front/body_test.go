package front

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

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
