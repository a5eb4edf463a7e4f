package install_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine on which one thing is missing: a PATH of its own, made of links to
// the few programs that the check itself uses and of stand-ins for what it
// checks.
type machine struct {
	t   *testing.T
	bin string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t: t, bin: t.TempDir()}
	for _, name := range []string{"sh", "sed", "sort", "head"} {
		m.link(name)
	}
	m.script("uname", `echo Linux`)
	m.script("go", `case "$2" in GOVERSION) echo go99.1 ;; GOTOOLCHAIN) echo local ;; CC) echo gcc ;; esac`)
	m.script("gcc", `exit 0`)
	m.script("python3", `case "$2" in *version_info*) echo 3.99.1 ;; esac`)
	return m
}

func (m machine) link(name string) {
	m.t.Helper()
	target, err := exec.LookPath(name)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(m.bin, name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) script(name, body string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) remove(name string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.bin, name)); err != nil {
		m.t.Fatal(err)
	}
}

// check runs tools/prerequisites on this machine; what it says, and its exit code.
func (m machine) check(parts ...string) (string, int) {
	m.t.Helper()
	command := exec.CommandContext(m.t.Context(), filepath.Join(m.bin, "sh"),
		append([]string{"tools/prerequisites"}, parts...)...)
	command.Dir = repository(m.t)
	command.Env = []string{"PATH=" + m.bin}
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return string(said), command.ProcessState.ExitCode()
}

func TestMissingPrerequisitesAreOneSentenceThatNamesThePackage(t *testing.T) {
	cases := []struct {
		name    string
		arrange func(machine)
		says    []string
	}{
		{"no go", func(m machine) { m.remove("go") }, []string{"there is no go", "golang-go"}},
		{"old go", func(m machine) {
			m.script("go", `case "$2" in GOVERSION) echo go1.19.8 ;; GOTOOLCHAIN) echo local ;; esac`)
		}, []string{"Go 1.19.8 is too old", "golang-go"}},
		{"no compiler", func(m machine) { m.remove("gcc") }, []string{"there is no gcc", "apt-get install gcc"}},
		{"compiler without headers", func(m machine) {
			m.script("gcc", `exit 1`)
		}, []string{"gcc cannot compile", "libc6-dev"}},
		{"no python", func(m machine) {
			m.remove("python3")
		}, []string{"there is no python3", "apt-get install python3"}},
		{"broken python", func(m machine) {
			m.script("python3", `exit 127`)
		}, []string{"python3 does not start", "apt-get install python3"}},
		{"old python", func(m machine) {
			m.script("python3", `echo 3.9.18`)
		}, []string{"Python 3.9.18", "too old", "3.10"}},
		{"no venv module", func(m machine) {
			m.script("python3", `case "$2" in *version_info*) echo 3.11.2 ;; *) exit 1 ;; esac`)
		}, []string{"no venv module", "apt-get install python3-venv"}},
		{"windows", func(m machine) { m.script("uname", `echo MINGW64_NT-10.0`) }, []string{"Linux and macOS", "WSL"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			c.arrange(m)
			said, code := m.check("go", "cc", "python")
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "metaml: ") {
				t.Errorf("not one line: %q", said)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("said %q, want %q in it", said, want)
				}
			}
		})
	}
}

func TestACompleteMachineIsAcceptedInSilence(t *testing.T) {
	if said, code := newMachine(t).check("go", "cc", "python"); said != "" || code != 0 {
		t.Errorf("exit code %d and %q, want 0 and silence", code, said)
	}
}

func TestAnOldGoMayFetchTheToolchainItself(t *testing.T) {
	m := newMachine(t)
	m.script("go", `case "$2" in GOVERSION) echo go1.21.0 ;; GOTOOLCHAIN) echo auto ;; esac`)
	if said, code := m.check("go"); said != "" || code != 0 {
		t.Errorf("exit code %d and %q, want 0 and silence", code, said)
	}
}

func TestMakeStopsAtAMissingPrerequisite(t *testing.T) {
	m := newMachine(t)
	m.remove("go")
	m.link("make")
	m.link("cat")
	command := exec.CommandContext(t.Context(), filepath.Join(m.bin, "make"), "build")
	command.Dir = repository(t)
	command.Env = []string{"PATH=" + m.bin}
	said, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "there is no go on the PATH") {
		t.Errorf("make build ended with %v and said %q", err, said)
	}
}
