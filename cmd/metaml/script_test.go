package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/process"
	"github.com/metaml/metaml/test/elsewhere"
	"github.com/metaml/metaml/test/venv"
)

// TestMain makes this test binary the command `metaml` of the scripts and builds the others.
func TestMain(m *testing.M) {
	if elsewhere.Mirror() {
		return
	}
	testscript.Main(m, map[string]func(){"metaml": func() {
		a := newApp()
		if there := a.getenv(elsewhere.Variable); there != "" {
			a.targets = map[string]newTarget{elsewhere.Name: func(agent string) (deployer.Target, error) {
				here, err := folder.Runs()
				times, _ := strconv.Atoi(a.getenv(pressing))
				return pressed{elsewhere.New(here, there, agent), times}, err
			}}
		}
		code := mainCode(a)
		if a.getenv(pressingLate) != "" {
			_ = process.Signal(syscall.Getpid(), syscall.SIGINT) // the exit code shows it
			<-time.After(50 * time.Millisecond)
		}
		os.Exit(code)
	}})
}

// TestScripts runs testdata/script: each is a person at a shell. A script has a home folder of its own; runs that it
// leaves behind are stopped at its end.
func TestScripts(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "script"))
}

// TestScriptsElsewhere runs those scripts of testdata/script that act on runs once more, with a target whose runs are
// elsewhere: each verb does the same with them, under names that say where they are.
func TestScriptsElsewhere(t *testing.T) {
	dir := t.TempDir()
	scripts, err := filepath.Glob(filepath.Join("testdata", "script", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if hereAlone[name] != "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(placed(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runScripts(t, dir, "METAML_TARGET="+elsewhere.Name, "METAML_INTERRUPT=stop")
}

// hereAlone are the scripts about this machine alone, with the reason.
var hereAlone = map[string]string{
	"doctor.txt":  "what is said of targets is said once",
	"refused.txt": "the target is refused where it is not there",
	"host.txt":    "an address to listen on is one of this machine",
	"install.txt": "nothing runs",
	"login.txt":   "nothing runs",
	"notify.txt":  "the command runs where the run does, and names it as it is called there",
}

var runName = regexp.MustCompile(`\b(train|serve|answer|apply|named|never|quick|saves|plain|a)-[0-9]+\b`)

// placed gives the runs that a script names their place. Its files stay: a name without a place is found as well.
func placed(script string) string {
	commands, files, _ := strings.Cut(script, "\n-- ")
	return runName.ReplaceAllString(commands, "${0}@"+elsewhere.Place) + "\n-- " + files
}

func runScripts(t *testing.T, dir string, environ ...string) {
	t.Helper()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../metaml-agent", "../metaml-kernel",
		"../metaml-nbconvert")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the other programs: %v\n%s", err, out)
	}
	python := venv.Python(t)
	testscript.Run(t, testscript.Params{
		Dir: dir,
		// What hangs is named, before the whole package is out of time.
		Deadline: time.Now().Add(10 * time.Minute),
		Condition: func(name string) (bool, error) {
			if name != "elsewhere" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return len(environ) > 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor, "askit": askIt, "waitnote": waitNote, "signal": signalIt, "registry": lockedRegistry,
		},
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			env.Setenv("HOME", home)
			env.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
			env.Setenv("METAML_PYTHON", python)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv(elsewhere.Variable, "")
			env.Setenv("WHERE", run.Local)
			if len(environ) > 0 {
				env.Setenv(elsewhere.Variable, filepath.Join(home, "elsewhere"))
				env.Setenv("WHERE", elsewhere.Name)
			}
			for _, v := range environ {
				name, value, _ := strings.Cut(v, "=")
				env.Setenv(name, value)
			}
			env.Defer(func() { stopAll(t, env) })
			return os.MkdirAll(home, 0o700)
		},
	})
}

// waitFor waits until a file is there.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	//nolint:forbidigo // it waits for a state
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s never appeared", args[0])
}

// lockedRegistry starts a registry of images that knows ann by her password "secret", and sets REGISTRY to its host.
func lockedRegistry(ts *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
}

// waitNote waits until a run has a note, and leaves what `metaml show --json` says of it as the output of a command.
func waitNote(ts *testscript.TestScript, _ bool, args []string) {
	//nolint:forbidigo // it waits for a state
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		ts.Check(ts.Exec("metaml", "show", args[0], "--json"))
		if strings.Contains(ts.ReadFile("stdout"), "--notify failed: exit status 3: cannot reach it") {
			return
		}
	}
	ts.Fatalf("%s never had that note", args[0])
}

// signalIt sends a signal to the monitor, the front, or both ("all") of a server, at once: signal KILL all serve-1. It
// waits for the end of what is killed.
func signalIt(ts *testscript.TestScript, _ bool, args []string) {
	name, which := args[0], args[1]
	folder := filepath.Join(ts.Getenv("XDG_DATA_HOME"), "metaml", "runs", args[2])
	if bare, _, away := strings.Cut(args[2], "@"); away {
		folder = filepath.Join(ts.Getenv(elsewhere.Variable), bare)
	}
	number := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}[name]
	find := func() (pids []int) {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range all {
			line, _ := os.ReadFile(path)
			words := strings.Split(string(line), "\x00")
			if len(words) > 3 && words[3] == folder && (which == "all" || words[1] == which) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				pids = append(pids, pid)
			}
		}
		return pids
	}
	found := find()
	if len(found) == 0 {
		ts.Fatalf("%s has no such process", args[2])
	}
	if name == "KILL" { // so that none starts another
		for _, pid := range found {
			ts.Check(process.Signal(pid, syscall.SIGSTOP))
		}
	}
	for _, pid := range found {
		ts.Check(process.Signal(pid, number))
	}
	// A signal takes effect when a thread is next scheduled, and a process keeps its locks until its last thread ends.
	for _, pid := range found {
		end := time.Now().Add(30 * time.Second)
		for name != "CONT" && !allThreads(pid, map[string]string{"KILL": "Z", "STOP": "T"}[name]) {
			if time.Now().After(end) {
				ts.Fatalf("process %d of %s does not take %s", pid, args[2], name)
			}
			time.Sleep(time.Millisecond) //nolint:forbidigo // it waits for a state
		}
	}
	catchUp(ts, args[2])
}

// allThreads reports whether every thread of a process is in a state, as /proc/PID/task/TID/stat has it, or gone.
func allThreads(pid int, state string) bool {
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "stat"))
	if state == "Z" && len(threads) > 1 {
		return false
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if _, after, _ := strings.Cut(string(stat), ") "); err == nil && !strings.HasPrefix(after, state) {
			return false
		}
	}
	return true
}

// catchUp waits, where a run is elsewhere, until what it has written there can be read here.
func catchUp(ts *testscript.TestScript, name string) {
	if there := ts.Getenv(elsewhere.Variable); there != "" {
		here := filepath.Join(ts.Getenv("XDG_DATA_HOME"), "metaml", "runs")
		ts.Check(elsewhere.New(here, there, "").CatchUp(name))
	}
}

// askIt runs the command line that sends a server a request, as `metaml show` gives it; with the word token, in a shell
// that has the server's token.
func askIt(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("metaml", "show", args[0]))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.HasPrefix(line, "curl ") {
			first := ""
			if len(args) > 1 && args[1] == "token" {
				first = "TOKEN=$(metaml token " + args[0] + "); "
			}
			ts.Check(ts.Exec("sh", "-c", first+strings.TrimSpace(line)+" --silent --show-error --max-time 60"))
			catchUp(ts, args[0])
			return
		}
	}
	ts.Fatalf("metaml show %s has no command line that sends it a request", args[0])
}

// stopAll ends what a script left running.
func stopAll(t *testing.T, env *testscript.Env) {
	t.Helper()
	metaml, err := exec.LookPath("metaml")
	if err != nil {
		return
	}
	runs, _ := filepath.Glob(filepath.Join(env.Getenv("XDG_DATA_HOME"), "metaml", "runs", "*"))
	away, _ := filepath.Glob(filepath.Join(env.Getenv(elsewhere.Variable), "*"))
	for i, r := range append(away, runs...) {
		name := filepath.Base(r)
		if i < len(away) {
			name += "@" + elsewhere.Place
		}
		stop := exec.Command(metaml, "stop", "--now", name)
		stop.Env = env.Vars
		_ = stop.Run() // most have ended
	}
}
