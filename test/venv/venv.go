// Package venv finds the Python interpreters of the tests: of the virtual environments that `make test-venvs` makes, or
// those that METAML_TEST_PYTHON and METAML_TEST_PYTHON_OLDEST name.
//
// It is imported by tests alone, and imports the standard library.
package venv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Python is the interpreter with all packages of requirements/test.txt.
func Python(tb testing.TB) string {
	tb.Helper()
	return must(tb, "METAML_TEST_PYTHON", "venv-test")
}

// Oldest is the interpreter with the oldest packages that MetaML works with, of requirements/oldest.txt.
func Oldest(tb testing.TB) string {
	tb.Helper()
	return must(tb, "METAML_TEST_PYTHON_OLDEST", "venv-oldest")
}

// Ask runs Python with arguments, gives it questions as JSON on its standard input, and reads its answers, also JSON,
// from its standard output. One process answers for all: starting one takes longer than most questions.
func Ask(tb testing.TB, python string, args []string, questions, answers any) {
	tb.Helper()
	in, err := json.Marshal(questions)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), python, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("ask Python: %v\n%s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, answers); err != nil {
		tb.Fatalf("ask Python: %v", err)
	}
}

func must(tb testing.TB, variable, folder string) string {
	tb.Helper()
	path, err := find(variable, folder)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// find gives the interpreter that the variable names, else that of the environment in the clone.
func find(variable, folder string) (string, error) {
	path := os.Getenv(variable)
	if path == "" {
		root, err := root()
		if err != nil {
			return "", err
		}
		path = filepath.Join(root, "build", folder, "bin", "python")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no Python for the tests at %s: `make test-venvs` makes it, or %s names another",
			path, variable)
	}
	return path, nil
}

// root is the clone that the test runs in: tests start in the folder of their package.
func root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the clone: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the clone: there is no go.mod in %s or above it", start)
		}
	}
}
