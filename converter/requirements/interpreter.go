package requirements

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/metaml/metaml/internal/interpreter"
	"github.com/metaml/metaml/internal/lazyregexp"
	"github.com/metaml/metaml/internal/usererror"
	pymodule "github.com/metaml/metaml/jupyter-ext/python"
)

// Interpreter finds the Python whose environment is meant: the one that the search names, else that of the notebook's
// kernel if that is installed here and has a Python of its own, else the first that [interpreter.Find] finds. The
// kernel "python3" says nothing: every environment has one of that name.
func Interpreter(kernel string, search interpreter.Search) (string, error) {
	if search.Named == "" {
		if python := ofKernel(kernel, search.Getenv); python != "" {
			return python, nil
		}
	}
	return interpreter.Find(search)
}

// kernelName is what Jupyter allows as one (jupyter_client.kernelspec).
var kernelName = lazyregexp.New(`^[A-Za-z0-9._-]+$`)

// ofKernel is the Python of an installed kernel; "" if there is none.
func ofKernel(name string, getenv func(string) string) string {
	if !kernelName.MatchString(name) || name == "python3" || name == "python" || strings.HasPrefix(name, ".") {
		return ""
	}
	for _, folder := range jupyterFolders(getenv) {
		// Jupyter finds kernels in any case, and writes their folders in lower case.
		text, err := os.ReadFile(filepath.Join(folder, "kernels", strings.ToLower(name), "kernel.json"))
		if err != nil {
			continue
		}
		var spec struct {
			Argv []string `json:"argv"`
		}
		if json.Unmarshal(text, &spec) != nil || len(spec.Argv) == 0 {
			return ""
		}
		python := spec.Argv[0]
		if !filepath.IsAbs(python) || !strings.HasPrefix(filepath.Base(python), "python") {
			return "" // such as a kernel that conda starts
		}
		if _, err := exec.LookPath(python); err != nil {
			return "" // the environment is gone
		}
		return python
	}
	return ""
}

// jupyterFolders are Jupyter's data folders, as `jupyter --paths` lists them.
func jupyterFolders(getenv func(string) string) []string {
	folders := filepath.SplitList(getenv("JUPYTER_PATH"))
	home := getenv("HOME")
	switch data := getenv("XDG_DATA_HOME"); {
	case getenv("JUPYTER_DATA_DIR") != "":
		folders = append(folders, getenv("JUPYTER_DATA_DIR"))
	case runtime.GOOS == "darwin" && home != "":
		folders = append(folders, filepath.Join(home, "Library", "Jupyter"))
	case data != "":
		folders = append(folders, filepath.Join(data, "jupyter"))
	case home != "":
		folders = append(folders, filepath.Join(home, ".local", "share", "jupyter"))
	}
	for _, prefix := range []string{getenv("VIRTUAL_ENV"), getenv("CONDA_PREFIX"), "/usr/local", "/usr"} {
		if prefix != "" {
			folders = append(folders, filepath.Join(prefix, "share", "jupyter"))
		}
	}
	return folders
}

// patience bounds how long an interpreter may take: its start, and some hundred files to read, maybe over a network.
const patience = time.Minute

// question is what metaml/_session/environment.py is asked.
type question struct {
	Imports [][2]any `json:"imports"` // of each the module, and what is imported from it
	Asked   []string `json:"asked"`
}

// answer is what it says.
type answer struct {
	Python         string
	Implementation string
	Platform       string
	Markers        map[string]string
	Imports        []struct {
		Owners, Shared             []string
		Missing, Unowned, Standard bool
	}
	Asked []struct {
		Name  string
		Other string // the version that is installed, and is not asked for
		Never bool   // its marker does not hold
	}
	Packages []installed
}

// installed is a distribution that the interpreter has.
type installed struct {
	Name, Version, Installer string
	Editable, Root           bool
	RequiresPython           string `json:"requires_python"`
	Needs                    []struct {
		Name, Marker string
		Missing      bool
	}
	DirectURL *directURL `json:"direct_url"`
}

// directURL is PEP 610.
type directURL struct {
	URL          string
	Subdirectory string
	Archive      *struct {
		Hash   string // as it was before Hashes: "sha256=..."
		Hashes map[string]string
	} `json:"archive_info"`
	Dir *struct {
		Editable bool
	} `json:"dir_info"`
	VCS *struct {
		VCS      string
		Commit   string `json:"commit_id"`
		Revision string `json:"requested_revision"`
	} `json:"vcs_info"`
}

// ask starts the interpreter once.
func ask(ctx context.Context, python string, q question) (*answer, error) {
	args, stdin, err := pymodule.AskEnvironment(q)
	if err != nil {
		return nil, err
	}
	late := fmt.Errorf("it did not answer within %v", patience)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, late)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second // who holds its streams open
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, late) {
		return nil, fmt.Errorf("ask %s which packages it has: %w", python, cause)
	} else if err != nil && cause != nil {
		err = cause
	}
	text, found := pymodule.EnvironmentAnswer(output)
	if !found {
		return nil, unusable(python, lastLine(stderr.String()), err)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, unusable(python, "", err)
	}
	if len(a.Imports) != len(q.Imports) || len(a.Asked) != len(q.Asked) {
		return nil, unusable(python, "it answered another question", nil)
	}
	return &a, nil
}

func unusable(python, said string, cause error) error {
	if said == "" {
		said = "it ended without an answer"
		if cause != nil {
			said = cause.Error()
		}
	}
	return usererror.Wrap(cause, usererror.CodePython,
		fmt.Sprintf("cannot ask %s which packages it has: %s", python, said),
		"Name a Python from 3.9 on: --python PATH.")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
