package jsonarray

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

// runPython runs a script in an interpreter with numpy and our module, made by `make test-venvs`, and gives the lines
// that it printed.
func runPython(t *testing.T, script, input string) []string {
	t.Helper()
	python := venv.Python(t)
	module, err := filepath.Abs(filepath.Join("..", "..", "..", "jupyter-ext", "python"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), python, "-c", script)
	c.Env = append(c.Environ(), "PYTHONPATH="+module)
	c.Stdin = strings.NewReader(input)
	var failure bytes.Buffer
	c.Stderr = &failure
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", python, err, failure.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}
