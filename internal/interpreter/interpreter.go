// Package interpreter finds the Python that executes what people wrote: that of a command and that of a kernel. It has
// no need of the converter, so that the kernel stays small.
package interpreter

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/internal/usererror"
)

// Search is where to look. Its fields stand in the order in which they are tried.
type Search struct {
	Named  string              // by --python; no other is taken in its place
	Getenv func(string) string // METAML_PYTHON, and then the active environment
	// Inherited says that the process was not started from the user's shell: the active environment is that of whoever
	// started it, as Jupyter starts a kernel, and is not read.
	Inherited bool
	Self      string // path of our own program, which lies beside the Python of the environment that it is installed in
	Binary    string // what our own program is called in messages
}

// Find gives the absolute path of the interpreter as it was named, since a venv's Python is a link: the one named, else
// METAML_PYTHON, that of the active environment, the one beside our own program, or python3 on PATH.
func Find(s Search) (string, error) {
	if s.Named != "" {
		if path, ok := look(s.Named); ok {
			return path, nil
		}
		return "", usererror.New(usererror.CodePython, "there is no Python at %s, which --python names", s.Named)
	}
	var tried []string
	for _, c := range s.candidates() {
		if path, ok := look(c.path); ok {
			return path, nil
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", c.path, c.why))
	}
	return "", usererror.New(usererror.CodePython, "found no Python: looked for %s", strings.Join(tried, ", ")).
		With("Name one: --python PATH, or METAML_PYTHON.")
}

type candidate struct{ path, why string }

func (s Search) candidates() []candidate {
	var all []candidate
	if path := s.Getenv("METAML_PYTHON"); path != "" {
		all = append(all, candidate{path, "METAML_PYTHON"})
	}
	if !s.Inherited {
		for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
			if prefix := s.Getenv(name); prefix != "" {
				all = append(all, candidate{filepath.Join(prefix, "bin", "python"), name})
			}
		}
	}
	if s.Self != "" {
		all = append(all, candidate{filepath.Join(filepath.Dir(s.Self), "python3"), "beside " + s.Binary})
	}
	return append(all, candidate{"python3", "PATH"})
}

func look(name string) (string, bool) {
	named, err := exec.LookPath(name)
	if err != nil {
		return "", false
	}
	path, err := filepath.Abs(named)
	return path, err == nil
}
