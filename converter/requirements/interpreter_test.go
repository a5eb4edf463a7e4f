package requirements_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/internal/interpreter"
	"github.com/metaml/metaml/internal/usererror"
)

// write makes a file, with its folders.
func write(t *testing.T, mode os.FileMode, text string, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestInterpreter(t *testing.T) {
	dir := t.TempDir()
	const program = "#!/bin/sh\n"
	onPath := write(t, 0o755, program, dir, "path", "python3")
	named := write(t, 0o755, program, dir, "named")
	active := write(t, 0o755, program, dir, "venv", "bin", "python")
	own := write(t, 0o755, program, dir, "own", "bin", "python3.12")
	kernel := func(folder, name, argv0 string) {
		write(t, 0o644, fmt.Sprintf(`{"argv": [%q, "-m", "ipykernel_launcher"]}`, argv0), dir, folder, "kernels", name,
			"kernel.json")
	}
	kernel("data", "mine", own)
	kernel("data", "gone", filepath.Join(dir, "nowhere", "python"))
	kernel("data", "python3", own)
	kernel("data", "relative", "python")
	kernel("data", "conda", write(t, 0o755, program, dir, "own", "bin", "conda"))
	kernel("venv/share/jupyter", "active", own)
	write(t, 0o644, "no JSON", dir, "data", "kernels", "broken", "kernel.json")
	kernel("", "outside", own)
	t.Setenv("PATH", filepath.Join(dir, "path"))
	environ := map[string]string{"JUPYTER_DATA_DIR": filepath.Join(dir, "data"), "HOME": filepath.Join(dir, "home")}
	venv := map[string]string{"VIRTUAL_ENV": filepath.Join(dir, "venv")}
	for _, c := range []struct {
		name, kernel, named string
		more                map[string]string
		want                string
	}{
		{"the one named", "mine", named, venv, named},
		{"that of the kernel", "mine", "", venv, own},
		{"in any case", "MINE", "", nil, own},
		{"in the active environment", "active", "", venv, own},
		{"the active one", "python3", "", venv, active},
		{"of no kernel", "", "", venv, active},
		{"on PATH", "", "", nil, onPath},
		{"of a kernel that is gone", "gone", "", nil, onPath},
		{"of one that is not installed", "other", "", nil, onPath},
		{"without a path", "relative", "", nil, onPath},
		{"started by another program", "conda", "", nil, onPath},
		{"that cannot be read", "broken", "", nil, onPath},
		{"out of the folders", "../../kernels/outside", "", nil, onPath},
		{"above them", "..", "", nil, onPath},
	} {
		t.Run(c.name, func(t *testing.T) {
			getenv := func(name string) string {
				if value, ok := c.more[name]; ok {
					return value
				}
				return environ[name]
			}
			search := interpreter.Search{Named: c.named, Getenv: getenv}
			if got, err := requirements.Interpreter(c.kernel, search); err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestAnInterpreterThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, python, want string }{
		{"none", filepath.Join(dir, "none"), "no such file or directory"},
		{"another program", "/bin/true", "it ended without an answer"},
		{
			"one that fails", write(t, 0o755, "#!/bin/sh\necho oh >&2\necho SyntaxError: no >&2\nexit 1\n", dir, "old"),
			"SyntaxError: no",
		},
		{
			"half an answer", write(t, 0o755, "#!/bin/sh\nprintf '\\036metaml {}'\n", dir, "half"),
			"it ended without an answer",
		},
		{
			"another answer", write(t, 0o755, "#!/bin/sh\nprintf '\\036metaml {}\\n'\n", dir, "another"),
			"it answered another question",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := requirements.Script{Imports: []requirements.Import{{Module: "numpy"}}}
			_, err := s.Resolve(t.Context(), c.python)
			var user *usererror.Error
			if !errors.As(err, &user) || user.Code != usererror.CodePython || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "--python PATH") || !strings.Contains(err.Error(), c.python) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestACancelledQuestionEndsTheInterpreter(t *testing.T) {
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	python := write(t, 0o755, "#!/bin/sh\n: >"+started+"\nexec sleep 600\n", dir, "python")
	because := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := (&requirements.Script{}).Resolve(ctx, python)
		done <- err
	}()
	if _, err := os.ReadFile(started); err != nil { // as soon as it has run so far
		t.Fatal(err)
	}
	cancel(because)
	if err := <-done; !errors.Is(err, because) {
		t.Errorf("%v, want the cause", err)
	}
}
