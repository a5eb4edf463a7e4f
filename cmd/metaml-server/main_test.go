package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
)

// waits has a top level that waits for a file.
const waits = `
import os, sys, time
print("loading", os.getcwd(), os.environ.get("` + pod.ExpectedKeyVariable + `"))
while not os.path.exists(os.environ["SCRATCH"] + "/go"):
    time.sleep(0.01)
def serve(x: int):
    print("asked for", x)
    if x == 13:
        raise ValueError("unlucky")
    return {"twice": 2 * x}
`

func TestAPodServesARevision(t *testing.T) {
	t.Parallel()
	c := newContainer(t, waits, func(s *run.Spec) { s.Server.Example = "1" })
	c.flags = []string{"--linger", "100ms"}
	c.environ = []string{pod.ExpectedKeyVariable + "=secret"}
	c.start()
	c.await("the listening socket", func() bool { status, _ := c.get("/healthz"); return status == 200 })
	if status, _ := c.get("/readyz"); status != 503 {
		t.Errorf("/readyz is %d before it is ready", status)
	}
	c.write("go", nil)
	c.awaitReady()
	if status, _ := c.get("/readyz"); status != 200 {
		t.Errorf("/readyz is %d when it is ready", status)
	}
	if status, body := c.post("21"); status != 200 || body != `{"twice":42}` {
		t.Errorf("%d, %s", status, body)
	}
	if status, _ := c.post("13"); status != 500 {
		t.Errorf("a function that raises was answered with %d", status)
	}
	c.signal(syscall.SIGTERM)
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	loaded, ready := c.lines(run.EventLoaded), c.lines(run.EventServerReady)
	if len(loaded) != 1 || loaded[0].Revision != 3 || !loaded[0].Fork || len(ready) != 1 || ready[0].Revision != 3 ||
		ready[0].Example != "1" || ready[0].Answer <= 0 || ready[0].Seconds <= 0 {
		t.Errorf("%+v, %+v", loaded, ready)
	}
	work := filepath.Join(c.path("run"), workName)
	if want := "loading " + work + " None\nasked for 1\nasked for 21\nasked for 13\n"; c.out.String() != want {
		t.Errorf("it printed %q, want %q", c.out.String(), want)
	}
	var refused struct {
		ID     string `json:"id"`
		Status int    `json:"status"`
	}
	for line := range strings.Lines(c.errs.String()) {
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &refused); err != nil {
				t.Error(err)
			}
		}
	}
	if refused.Status != 500 || strings.Count(c.errs.String(), refused.ID) != 2 ||
		!strings.Contains(c.errs.String(), "ValueError: unlucky\n") {
		t.Errorf("the log does not say which request failed, and why: %s", c.errs.String())
	}
	if m, ok := c.message(); ok {
		t.Errorf("a server that was to end left a message: %+v", m)
	}
}

func TestHowAServerFails(t *testing.T) {
	t.Parallel()
	const fine = "def serve(x: int):\n    return x\n"
	for _, c := range []struct {
		name, source string
		change       func(c *container)
		code         int
		reason       run.Reason
		text         string // in text or error
		lines        string // beginning of what was printed last
	}{
		{
			"the top level raises", "print('so far')\n1 / 0\n", nil, 44, run.ReasonProgram, "division by zero",
			"so far",
		},
		{
			"the first answer is an error", "def serve(x: int):\n    print('asked')\n    raise ValueError('no')\n",
			func(c *container) { c.example("1") }, 44, run.ReasonTest, "ValueError: no", "asked",
		},
		{
			"the top level ends the process", "import os\nprint('bye', flush=True)\nos._exit(5)\n", nil, 44,
			run.ReasonProgram, "exit status 5", "bye",
		},
		{
			"an image without a package", fine, func(c *container) {
				c.write(filepath.Join("in", pod.RequiresName), []byte(`{"packages": {"no-such-thing": "1.2"}}`))
			}, 44, run.ReasonImage, "the image lacks no-such-thing 1.2", "",
		},
		{
			"an image without Python", fine, func(c *container) { c.environ = []string{"PATH=/nowhere"} }, 44,
			run.ReasonImage, pod.NoPython, "",
		},
		{
			"a run that has trials", fine,
			func(c *container) { c.write(filepath.Join("in", pod.SpecName), []byte(`{"name": "fit-1"}`)) }, 44,
			run.ReasonImage, "run.json is not that of a server's revision", "",
		},
		{
			"a program that is missing", fine, func(c *container) {
				if err := os.Remove(c.path(filepath.Join("in", pod.ProgramName))); err != nil {
					c.t.Fatal(err)
				}
			}, 43, run.ReasonFolder, "read what is to run: ", "",
		},
		{
			"a model that is missing", fine, func(c *container) { c.flags = []string{"--model", c.path("none")} }, 43,
			run.ReasonFolder, "find the server's model: ", "",
		},
		{
			"a token that is missing", fine, func(c *container) { c.locked() }, 43, run.ReasonFolder,
			"requests must have the server's token, which is not there: ", "",
		},
		{
			"a token that is none", fine, func(c *container) {
				c.locked()
				c.write(filepath.Join("in", pod.TokenName), []byte("secret\n"))
			}, 43, run.ReasonFolder, "in/token: it has less than 32 characters", "",
		},
		{
			"a folder that is somebody else's", fine, func(c *container) { c.write("run/notes.txt", nil) }, 43,
			run.ReasonFolder, "give the server one of its own", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newContainer(t, c.source)
			if c.change != nil {
				c.change(p)
			}
			p.start()
			code := p.wait()
			m, ok := p.message()
			said := m.Text
			if m.Error != nil {
				said += m.Error.Type + ": " + m.Error.Text
			}
			if code != c.code || !ok || m.Reason != c.reason || !strings.Contains(said, c.text) ||
				!strings.HasPrefix(m.Lines, c.lines) {
				t.Errorf("exit code %d, %+v, %q; %s", code, m, said, p.printed())
			}
			failed := p.lines(run.EventServerFailed)
			if len(failed) != 1 || failed[0].Reason != c.reason || failed[0].Revision != m.Revision {
				t.Errorf("its line is %+v", failed)
			}
		})
	}
}

// example sets what the first answer is asked for with.
func (c *container) example(text string) {
	c.t.Helper()
	c.server(func(s *run.ServerSpec) { s.Example = text })
}

// locked has requests need the server's token.
func (c *container) locked() {
	c.t.Helper()
	c.server(func(s *run.ServerSpec) { s.Auth = run.AuthToken })
}

// server changes what the server is.
func (c *container) server(change func(*run.ServerSpec)) {
	c.t.Helper()
	path := c.path(filepath.Join("in", pod.SpecName))
	data, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	var spec run.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		c.t.Fatal(err)
	}
	change(spec.Server)
	if data, err = json.Marshal(spec); err != nil {
		c.t.Fatal(err)
	}
	c.write(filepath.Join("in", pod.SpecName), data)
}

// stubborn answers with its process, which it ends for a negative number.
const stubborn = `
import os, sys
if os.path.exists(os.environ["SCRATCH"] + "/broken"):
    raise ValueError("broken")
def serve(x: int):
    if x < 0:
        print("goodbye", flush=True)
        os._exit(9)
    return os.getpid()
`

func TestWhatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn, func(s *run.Spec) { s.Server.Workers = 2 })
	c.flags = []string{"--linger", "0"}
	c.start()
	c.awaitReady()
	server := c.state().Server
	if len(server.Workers) != 2 {
		t.Fatalf("%+v", server.Workers)
	}
	for _, w := range server.Workers {
		if err := process.Signal(w.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	answers := func() bool { status, _ := c.post("1"); return status == 200 }
	c.await("an answer after the workers were killed", answers)
	if err := process.Signal(server.Front, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.awaitFront(server.Front)
	c.await("an answer after the front was killed", answers)
	if status, _ := c.post("-1"); status != 502 {
		t.Errorf("a worker that ended was answered for with %d", status)
	}
	c.await("an answer after a worker ended", answers)
	c.await("what the worker printed", func() bool { return strings.Contains(c.out.String(), "  goodbye\n") })
	if line, _, _ := strings.Cut(c.out.String(), "\n"); line != "worker 0  goodbye" && line != "worker 1  goodbye" {
		t.Errorf("it printed %q", line)
	}
	c.await("the lines about it", func() bool { return len(c.lines(run.EventWorkerEnded)) == 3 })
	for i, e := range c.lines(run.EventWorkerEnded) {
		exit, reason := 137, run.ReasonSignal
		if i == 2 {
			exit, reason = 9, run.ReasonExit
		}
		if e.Worker == nil || e.Attempt < 1 || e.Revision != 3 || e.Exit == nil || *e.Exit != exit ||
			e.Reason != reason {
			t.Errorf("%+v", e)
		}
	}
	c.await("the logs of ended workers to go", func() bool {
		f := c.folder().Revision(3)
		return len(f.Attempts(0)) == 1 && len(f.Attempts(1)) == 1
	})
	c.signal(syscall.SIGTERM)
	if code := c.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A top level that fails each time when it is to be executed again ends a server that had answered.
func TestAServerThatCannotGoOn(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn)
	c.start()
	c.awaitReady()
	c.write("broken", nil)
	stat := readStat(fmt.Sprintf("/proc/%d/stat", c.state().Server.Workers[0].PID))
	if err := process.Signal(stat.parent, syscall.SIGKILL); err != nil { // the loader
		t.Fatal(err)
	}
	code := c.wait()
	m, ok := c.message()
	if code != pod.ExitFailed || !ok || m.Revision != 3 || m.Reason != run.ReasonProgram || m.Error == nil ||
		m.Error.Text != "broken" {
		t.Errorf("exit code %d, %+v; %s", code, m, c.printed())
	}
}

func TestAServerHasItsModel(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
import metaml
def serve(x: int):
    return (metaml.model() / "deep" / "model.txt").read_text()
`)
	c.write("trained/deep/model.txt", []byte("weights"))
	c.flags = []string{"--model", c.path("trained")}
	c.start()
	c.awaitReady()
	if status, body := c.post("1"); status != 200 || body != "weights" {
		t.Errorf("%d, %s", status, body)
	}
}

// A locked server answers who has the token, tries its first answer and its Service without, and does not print it.
func TestALockedServer(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn, func(s *run.Spec) { s.Server.Auth, s.Server.Example = run.AuthToken, "1" })
	token := run.NewToken()
	c.write(filepath.Join("in", pod.TokenName), []byte(token))
	c.flags = []string{"--service", fmt.Sprintf("127.0.0.1:%d", c.port)}
	c.start()
	c.awaitReady()
	c.await("the note on its Service", func() bool { return len(c.lines(run.EventNote)) > 0 })
	if note := c.lines(run.EventNote)[0]; note.Text != pod.ReachedByService {
		t.Errorf("%+v", note)
	}
	asks := func() {
		t.Helper()
		if status, body := c.post("1"); status != http.StatusUnauthorized {
			t.Errorf("without the token: %d, %s", status, body)
		}
		if status, body := c.post("1", "Authorization", "Bearer "+token); status != http.StatusOK {
			t.Errorf("with it: %d, %s", status, body)
		}
	}
	asks()
	front := c.state().Server.Front
	if err := process.Signal(front, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.awaitFront(front)
	asks()
	c.signal(syscall.SIGTERM)
	c.wait()
	for _, name := range []string{"run", "message"} {
		_ = filepath.WalkDir(c.path(name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == c.folder().TokenFile() {
				return err
			}
			if data, err := os.ReadFile(path); err != nil || strings.Contains(string(data), token) {
				t.Errorf("%s has it: %v", path, err)
			}
			return nil
		})
	}
	if strings.Contains(c.printed(), token) {
		t.Errorf("it is printed: %s", c.printed())
	}
}

// A pod's container that is started again finds what the one before it left.
func TestAContainerIsStartedAgain(t *testing.T) {
	t.Parallel()
	c := newContainer(t, stubborn)
	c.program(map[string]string{"code/main.py": stubborn, "include/data.txt": "1"})
	for range 2 {
		c.errs.data.Reset()
		c.start()
		c.awaitReady()
		if status, _ := c.post("1"); status != 200 {
			t.Errorf("it answers with %d; %s", status, c.printed())
		}
		c.signal(syscall.SIGKILL)
		c.wait()
		c.await("the end of its processes", func() bool { status, _ := c.get("/healthz"); return status == 0 })
	}
}

// What is printed over months is in the pod's log, and not on its disk.
func TestTheDiskOfAPodDoesNotFillUp(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
def serve(x: int):
    for i in range(x):
        print(f"{i:07d} " + "x" * 1015)
    return x
`)
	c.start()
	c.awaitReady()
	const lines = 5 << 10
	if status, _ := c.post(fmt.Sprint(lines)); status != 200 {
		t.Fatalf("%d", status)
	}
	last := fmt.Sprintf("%07d ", lines-1)
	c.await("the last line", func() bool { return strings.Contains(c.out.String(), last) })
	if n := strings.Count(c.out.String(), "\n"); n < lines {
		t.Errorf("%d lines", n)
	}
	path := c.folder().Revision(3).Stream(0, 1, "stdout")
	c.await("the file to be given back", func() bool {
		var stat syscall.Stat_t
		return syscall.Stat(path, &stat) == nil && stat.Size >= lines<<10 && stat.Blocks*512 < 2<<20
	})
}

// Processes that lose their parent become the server's children, which takes them off the table when they end.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `
import os, subprocess
def serve(x: int):
    subprocess.run(["sh", "-c", f"sleep 0.2 & echo $! > {os.environ['SCRATCH']}/orphan"], check=True)
    return x
`)
	c.start()
	c.awaitReady()
	if status, body := c.post("1"); status != 200 || !c.exists("orphan") {
		t.Fatalf("%d, %s", status, body)
	}
	text, err := os.ReadFile(c.path("orphan"))
	if err != nil {
		t.Fatal(err)
	}
	orphan := strings.TrimSpace(string(text))
	pid := c.cmd.Process.Pid
	c.await("an orphan to be its child", func() bool {
		stat := readStat("/proc/" + orphan + "/stat")
		return stat.parent == pid || stat.state == ""
	})
	c.await("the end of the orphan", func() bool { return readStat("/proc/"+orphan+"/stat").state == "" })
	for _, child := range children(t, c.cmd.Process.Pid) {
		if child.state == "Z" {
			t.Errorf("a process was not reaped: %+v", child)
		}
	}
}

func TestArgumentsThatAreWrong(t *testing.T) {
	for _, c := range []struct{ name, args, text string }{
		{"nothing", "", "--in and --dir are missing"},
		{"a Service without a port", "--in a --dir b --service ::1", `--service is "::1", which is no IP:PORT`},
		{"more than flags", "--in a --dir b c", `"c" is no flag`},
		{"time that goes back", "--in a --dir b --linger -1s", "--linger is -1s, which is no time to wait"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(strings.Fields(c.args)); err == nil || err.Error() != c.text {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
