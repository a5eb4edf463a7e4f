package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metaml/metaml/test/venv"
)

// TestMain makes this test binary the command `metaml` of the scripts and builds the others.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"metaml": func() { os.Exit(mainCode()) }})
}

// TestScripts runs testdata/script: each is a person at a shell. A script has a home folder of its own; runs that it
// leaves behind are stopped at its end.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../metaml-agent", "../metaml-kernel",
		"../metaml-nbconvert")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the other programs: %v\n%s", err, out)
	}
	python := venv.Python(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor, "askit": askIt, "waitnote": waitNote, "signal": signalIt,
		},
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, ".home")
			env.Setenv("HOME", home)
			env.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
			env.Setenv("METAML_PYTHON", python)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
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
	name, which, folder := args[0], args[1], filepath.Join(ts.Getenv("XDG_DATA_HOME"), "metaml", "runs", args[2])
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
			ts.Check(syscall.Kill(pid, syscall.SIGSTOP))
		}
	}
	for _, pid := range found {
		ts.Check(syscall.Kill(pid, number))
	}
	for name == "KILL" && len(find()) > 0 {
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // it waits for a state
	}
}

// askIt runs the command line that asks a server, as `metaml show` tells it.
func askIt(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("metaml", "show", args[0]))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.HasPrefix(line, "curl ") {
			ts.Check(ts.Exec("sh", "-c", strings.TrimSpace(line)+" --silent --show-error"))
			return
		}
	}
	ts.Fatalf("metaml show %s has no command line that asks it", args[0])
}

// stopAll ends what a script left running.
func stopAll(t *testing.T, env *testscript.Env) {
	t.Helper()
	metaml, err := exec.LookPath("metaml")
	if err != nil {
		return
	}
	runs, _ := filepath.Glob(filepath.Join(env.Getenv("XDG_DATA_HOME"), "metaml", "runs", "*"))
	for _, r := range runs {
		stop := exec.Command(metaml, "stop", "--now", filepath.Base(r))
		stop.Env = env.Vars
		_ = stop.Run() // most have ended
	}
}
