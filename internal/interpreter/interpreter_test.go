package interpreter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func program(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPythonIsFoundInOrderAndTheErrorSaysWhere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", filepath.Join(dir, "path"))
	environ := map[string]string{}
	s := Search{
		Getenv: func(name string) string { return environ[name] },
		Self:   filepath.Join(dir, "bin", "metaml"), Binary: "metaml",
	}
	_, err := Find(s)
	for _, part := range []string{filepath.Join(dir, "bin/python3") + " (beside metaml)", "(PATH)", "--python"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	want := func(path string) {
		t.Helper()
		if got, err := Find(s); err != nil || got != path {
			t.Errorf("found %q, %v; want %q", got, err, path)
		}
	}
	// Each goes before those that came earlier in this test.
	onPath := program(t, filepath.Join(dir, "path", "python3"))
	want(onPath)
	besideUs := program(t, filepath.Join(dir, "bin", "python3"))
	want(besideUs)
	environ["CONDA_PREFIX"] = filepath.Join(dir, "conda")
	want(besideUs) // it has no Python
	conda := program(t, filepath.Join(dir, "conda", "bin", "python"))
	want(conda)
	environ["VIRTUAL_ENV"] = filepath.Join(dir, "venv")
	want(program(t, filepath.Join(dir, "venv", "bin", "python")))
	s.Inherited = true
	want(besideUs)
	environ["METAML_PYTHON"] = program(t, filepath.Join(dir, "other", "python3.12"))
	want(environ["METAML_PYTHON"])
	s.Inherited = false
	want(environ["METAML_PYTHON"])
	s.Named = program(t, filepath.Join(dir, "chosen"))
	want(s.Named)
	s.Named = filepath.Join(dir, "none")
	if _, err := Find(s); err == nil || !strings.Contains(err.Error(), "which --python names") {
		t.Errorf("another was taken: %v", err)
	}
}
