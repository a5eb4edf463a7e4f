package flask_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaml/metaml/converter/flask"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
)

var update = flag.Bool("update", false, "write testdata/apps anew")

// notebook cells are separated by lines of three dashes.
func sliced(t *testing.T, cells string) (*slicer.Slice, error) {
	t.Helper()
	d := &session.Document{V: 1, Kind: session.Saved, Source: "digits.ipynb"}
	for i, c := range strings.Split(cells, "\n---\n") {
		d.Cells = append(d.Cells, session.Cell{Seq: i + 1, Source: c})
	}
	return slicer.Of(t.Context(), d, slicer.Options{})
}

func application(t *testing.T, cells string, o flask.Options) string {
	t.Helper()
	s, err := sliced(t, cells)
	if err != nil {
		t.Fatalf("%v\n%s", err, cells)
	}
	text, err := flask.Application(s, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, cells)
	}
	if strings.Contains(text, "import metaml") || strings.Contains(text, "from metaml") {
		t.Errorf("it still imports metaml:\n%s", text)
	}
	return text
}

// compareOrUpdate compares an application with the one that is kept, or keeps it.
func compareOrUpdate(t *testing.T, golden, code string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != code {
		t.Errorf("%s is not what is written now (-update writes it): %v\n%s", golden, err, code)
	}
}

// request is one request to an application, and the answer that it must get.
type request struct {
	send, want string // body → answer; without a body it is a GET
	kind       string // content type of the body; "" is JSON, "none" is none
	query      string
	status     int    // 0 is 200
	answered   string // content type of the answer; "" is JSON
	at         string // path; "" is the function's
}

func get(query, want string) request { return request{query: query, want: want} }
func post(send, want string) request { return request{send: send, want: want} }
func bad(status int, send, want string) request {
	return request{send: send, status: status, want: want}
}

func (r request) as(kind string) request      { r.kind = kind; return r }
func (r request) answers(kind string) request { r.answered = kind; return r }

const (
	text  = "text/plain; charset=utf-8"
	raw   = "application/octet-stream"
	lines = "application/x-ndjson"
	form  = "application/x-www-form-urlencoded"
)

// ask sends a request and compares the answer; of an error, how it begins.
func ask(t *testing.T, address string, r request) {
	t.Helper()
	method := http.MethodPost
	if r.send == "" {
		method, address = http.MethodGet, address+"?"+r.query
	}
	q, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(r.send))
	if err != nil {
		t.Fatal(err)
	}
	if r.kind != "none" {
		q.Header.Set("Content-Type", cmp.Or(r.kind, "application/json"))
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, status := string(body), cmp.Or(r.status, 200)
	same := got == r.want || status >= 400 && strings.HasPrefix(squeezed(got), squeezed(r.want))
	if kind := a.Header.Get("Content-Type"); a.StatusCode != status || !same ||
		kind != cmp.Or(r.answered, "application/json") {
		t.Errorf("%s %s %.60q: %d %s %q; want %d %s %q", method, address, r.send, a.StatusCode, kind, got, status,
			cmp.Or(r.answered, "application/json"), r.want)
	}
	if strings.Contains(got, "Traceback") {
		t.Errorf("%s: the caller got a traceback: %s", address, got)
	}
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

// start runs a server until the end of the test, gives what the pattern finds in a line that it writes, and what it has
// written so far.
func start(t *testing.T, dir string, address *regexp.Regexp, command ...string) (string, func() string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // gunicorn ends its workers first
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		cancel(errors.New("the test has ended"))
		t.Fatal(err)
	}
	_ = w.Close()
	var mu sync.Mutex
	var log bytes.Buffer
	found, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			mu.Lock()
			log.WriteString(lines.Text() + "\n")
			mu.Unlock()
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel(errors.New("the test has ended"))
		_ = cmd.Wait()
		<-ended
		_ = r.Close()
	})
	written := func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	select {
	case a := <-found:
		return a, written
	case <-ended:
		t.Fatalf("%v ended:\n%s", command, written())
	case <-t.Context().Done():
		t.Fatalf("%v did not tell its address:\n%s", command, written())
	}
	return "", nil
}

func abs(t *testing.T, name string) string {
	t.Helper()
	p, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
