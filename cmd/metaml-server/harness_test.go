package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/test/packed"
	"github.com/metaml/metaml/test/venv"
)

// TestMain makes this test binary the program.
func TestMain(m *testing.M) {
	if os.Getenv("METAML_TEST_SERVER") != "" {
		os.Exit(mainCode(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// patience is how long something may take that a test waits for.
const patience = time.Minute

// container is a pod's container as the process sees it, without the container.
type container struct {
	t         *testing.T
	dir       string
	port      int
	flags     []string // further ones
	environ   []string
	out, errs printed
	cmd       *exec.Cmd
	ended     chan struct{} // closed when the process has
}

// printed is what a process has printed so far.
type printed struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (p *printed) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data.Write(data)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data.String()
}

// newContainer makes the container of a server's revision whose program is source.
func newContainer(t *testing.T, source string, change ...func(*run.Spec)) *container {
	t.Helper()
	c := &container{t: t, dir: t.TempDir(), port: freePort(t)}
	spec := run.Spec{
		V: 1, ID: "id", Name: "serve-1", Series: "serve", Kind: run.Serve, Entry: "serve", Completions: 4,
		Python: "/not/here", Cwd: "/nor/here", BootID: "another machine's",
		Server: &run.ServerSpec{Revision: 3, Replicas: 2, Path: "/predict", Host: "127.0.0.1", Port: 1},
	}
	for _, f := range change {
		f(&spec)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	c.write(filepath.Join("in", pod.SpecName), text)
	c.write(filepath.Join("in", pod.RequiresName), []byte("{}"))
	c.program(map[string]string{"code/main.py": source})
	return c
}

// freePort gives a port that nobody has, below those that systems give to clients.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(10_000)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func (c *container) path(name string) string { return filepath.Join(c.dir, name) }

// folder is the server's.
func (c *container) folder() folder.Run { return folder.Run(c.path("run")) }

func (c *container) write(name string, data []byte) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(c.path(name), data, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// program makes the files of the program folder those that are served.
func (c *container) program(files map[string]string) {
	c.write(filepath.Join("in", pod.ProgramName), packed.Files(c.t, files))
}

// start starts the program, which is ended with the test.
func (c *container) start() {
	c.t.Helper()
	args := append([]string{
		"--in", c.path("in"), "--dir", c.path("run"), "--message", c.path("message"), "--port", fmt.Sprint(c.port),
	}, c.flags...)
	cmd := exec.CommandContext(context.WithoutCancel(c.t.Context()), os.Args[0], args...)
	cmd.Env = append([]string{
		"METAML_TEST_SERVER=1", "SCRATCH=" + c.dir, "TMPDIR=" + c.dir,
		"PATH=" + filepath.Dir(venv.Python(c.t)) + ":/usr/bin:/bin",
	}, c.environ...)
	c.begin(cmd)
}

// begin starts a command that is the program.
func (c *container) begin(cmd *exec.Cmd) {
	c.t.Helper()
	c.cmd = cmd
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.errs
	c.cmd.WaitDelay = patience // who holds its streams open
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	c.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
}

// wait gives the exit code.
func (c *container) wait() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatalf("it does not end; %s", c.printed())
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *container) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *container) printed() string {
	return fmt.Sprintf("standard output: %s\nstandard error: %s", c.out.String(), c.errs.String())
}

// message is the termination message; ok is false where there is none.
func (c *container) message() (m pod.ServerMessage, ok bool) {
	text, err := os.ReadFile(c.path("message"))
	if err != nil {
		return m, false
	}
	return pod.DecodeServer(string(text))
}

// await waits for a condition.
func (c *container) await(what string, is func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			c.t.Fatalf("%s: not within %v; %s", what, patience, c.printed())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// lines are the lines of the pod's own, of a type.
func (c *container) lines(kind string) []run.Event {
	var all []run.Event
	for line := range strings.Lines(c.errs.String()) {
		if e, ok := pod.ParseLine([]byte(line)); ok && e.Type == kind {
			all = append(all, e)
		}
	}
	return all
}

// awaitReady waits until it has said that it is ready.
func (c *container) awaitReady() {
	c.t.Helper()
	ended := false
	c.await("ready", func() bool {
		select {
		case <-c.ended:
			ended = true
		default:
		}
		return ended || len(c.lines(run.EventServerReady)) > 0
	})
	if ended {
		c.t.Fatalf("it has ended; %s", c.printed())
	}
}

// state is what the server's folder says.
func (c *container) state() *run.State {
	c.t.Helper()
	spec, err := c.folder().ReadSpec()
	if err != nil {
		c.t.Fatal(err)
	}
	state := run.NewState(spec)
	if err := c.folder().EachEvent(func(e run.Event) error { state.Apply(e); return nil }); err != nil {
		c.t.Fatal(err)
	}
	return state
}

// awaitFront waits for another front than the one before.
func (c *container) awaitFront(before int) {
	c.t.Helper()
	c.await("another front", func() bool { now := c.state().Server.Front; return now != 0 && now != before })
}

func (c *container) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", c.port, path)
}

// get gives status and body; 0 where there is no answer.
func (c *container) get(path string) (int, string) {
	c.t.Helper()
	return send(c.t, http.DefaultClient, http.MethodGet, c.url(path), "")
}

func (c *container) post(body string, header ...string) (int, string) {
	c.t.Helper()
	return send(c.t, http.DefaultClient, http.MethodPost, c.url("/predict"), body, header...)
}

// send sends a request with the names and values of a header.
func send(t *testing.T, client *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// exists reports whether the program has made a file.
func (c *container) exists(name string) bool {
	_, err := os.Stat(c.path(name))
	return !errors.Is(err, os.ErrNotExist)
}

// stat is a line of the process table.
type stat struct {
	pid    int
	state  string // "" for what has ended and was reaped
	parent int
}

// readStat reads /proc/PID/stat.
func readStat(path string) stat {
	var p stat
	_, _ = fmt.Sscanf(path, "/proc/%d/stat", &p.pid)
	text, err := os.ReadFile(path)
	if err == nil {
		_, _ = fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &p.state, &p.parent)
	}
	return p
}

// children are the processes whose parent is pid, zombies among them.
func children(t *testing.T, pid int) []stat {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var all []stat
	for _, path := range stats {
		if p := readStat(path); p.parent == pid {
			all = append(all, p)
		}
	}
	return all
}
