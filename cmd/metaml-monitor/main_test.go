package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/collect"
)

// TestMain makes the test binary the program, where a variable says so: a process of its own gets real signals.
func TestMain(m *testing.M) {
	if os.Getenv("METAML_TEST_MONITOR") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is the program in a process of its own.
type process struct {
	command    *exec.Cmd
	address    string
	complaints *bytes.Buffer
	exited     chan struct{}
}

func start(tb testing.TB, args ...string) *process {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{
		command:    exec.CommandContext(tb.Context(), self, args...),
		complaints: &bytes.Buffer{}, exited: make(chan struct{}),
	}
	p.command.Env = append(os.Environ(), "METAML_TEST_MONITOR=1")
	p.command.Stderr = p.complaints
	out, in := io.Pipe()
	p.command.Stdout = in
	if err := p.command.Start(); err != nil {
		tb.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		buffer := make([]byte, 200)
		n, _ := out.Read(buffer)
		first <- string(buffer[:n])
		_, _ = io.Copy(io.Discard, out)
	}()
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // how it ended is in its state
		_ = in.Close()
	}()
	select {
	case text := <-first:
		p.address = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(text)
	case <-p.exited:
		tb.Fatalf("it ends: %v: %s", p.command.ProcessState, p.complaints)
	case <-time.After(20 * time.Second):
		tb.Fatal("it says no address")
	}
	return p
}

// ended waits for the end of the process, and gives its exit code.
func (p *process) ended(tb testing.TB) int {
	tb.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		tb.Fatal("it does not end")
		return 0
	}
}

func request(t *testing.T, method, url string, body []byte) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer secret")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, text), err
}

func tokenFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestItServesUntilItIsAskedToEndAndGoesOnWithItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	args := []string{"--dir", dir, "--listen", "127.0.0.1:0", "--token-file", tokenFile(t, "secret\n")}
	for i, want := range []string{`"sizes":{"a":2}`, `"sizes":{"a":4}`} {
		t.Run(fmt.Sprint("start ", i+1), func(t *testing.T) {
			p := start(t, args...)
			if got, err := request(t, "GET", "http://"+p.address+"/healthz", nil); err != nil || got != "200 ok\n" {
				t.Errorf("got %q, %v", got, err)
			}
			piece := collect.Piece{File: "a", Offset: int64(2 * i), Data: []byte("ab")}
			b := collect.Batch{Source: collect.Source{ID: "pod"}, Pieces: []collect.Piece{piece}}
			got, err := request(t, "POST", "http://"+p.address+"/v1/batch", collect.AppendBatch(nil, b))
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := p.ended(t); code != exitTerminated || p.complaints.Len() > 0 {
				t.Errorf("it ends with %d and says %q", code, p.complaints)
			}
		})
	}
	if data, err := os.ReadFile(filepath.Join(dir, "sources", "pod", "a")); err != nil || string(data) != "abab" {
		t.Errorf("the file has %q, %v", data, err)
	}
}

func TestItEndsWhenNobodyCame(t *testing.T) {
	var out, complaints bytes.Buffer
	code := mainCode(t.Context(), []string{
		"--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--token-file", tokenFile(t, "secret"), "--keep", "50ms",
	}, &out, &complaints)
	if code != 0 || complaints.Len() > 0 || !strings.Contains(out.String(), "listening at 127.0.0.1:") {
		t.Errorf("it ends with %d, %q, %q", code, &out, &complaints)
	}
}

func TestItSaysWhyItCannotServe(t *testing.T) {
	file := tokenFile(t, "secret")
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, 2, "usage: metaml-monitor"},
		{"no token", []string{"--dir", dir}, 2, "usage:"},
		{"too much", []string{"--dir", dir, "--token-file", file, "more"}, 2, "usage:"},
		{"another flag", []string{"--unknown"}, 2, "usage:"},
		{"no time", []string{"--dir", dir, "--token-file", file, "--keep", "0s"}, 2, "usage:"},
		{"a token that is not there", []string{"--dir", dir, "--token-file", dir + "/none"}, 1, "read the token"},
		{"an empty token", []string{"--dir", dir, "--token-file", tokenFile(t, "\n")}, 1, "the token is empty"},
		{"a folder that is a file", []string{"--dir", file, "--token-file", file}, 1, "folder of the monitor"},
		{"no address", []string{"--dir", dir, "--token-file", file, "--listen", "x"}, 1, "listen: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var complaints bytes.Buffer
			code := mainCode(context.Background(), c.args, io.Discard, &complaints)
			if code != c.code || !strings.Contains(complaints.String(), c.want) {
				t.Errorf("got %d %q, want %d %q", code, &complaints, c.code, c.want)
			}
		})
	}
}

func TestItSaysItsVersion(t *testing.T) {
	var out bytes.Buffer
	if code := mainCode(t.Context(), []string{"version"}, &out, io.Discard); code != 0 ||
		!strings.HasPrefix(out.String(), "metaml-monitor ") {
		t.Errorf("got %d %q", code, &out)
	}
}
