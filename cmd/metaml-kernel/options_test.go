package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOurArgumentsAreTakenAndTheRestIsIPykernels(t *testing.T) {
	o, err := parse([]string{"--a=1", "-f", "c.json", "--python=/p", "-b", "x"})
	if err != nil {
		t.Fatal(err)
	}
	if o.connectionFile != "c.json" || o.python != "/p" || !slices.Equal(o.rest, []string{"--a=1", "-b", "x"}) {
		t.Errorf("options are %+v", o)
	}
	for _, bad := range [][]string{{}, {"-f"}, {"--python", "/p"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

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
	self := program(t, filepath.Join(dir, "bin/metaml-kernel"))
	t.Setenv("PATH", filepath.Join(dir, "path"))
	t.Setenv("METAML_PYTHON", "")
	_, err := findPython(self, "")
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "bin/python3")) ||
		!strings.Contains(err.Error(), "--python") {
		t.Errorf("error is %v", err)
	}
	want := func(chosen, path string) {
		t.Helper()
		if got, err := findPython(self, chosen); err != nil || got != path {
			t.Errorf("found %q, %v; want %q", got, err, path)
		}
	}
	want("", program(t, filepath.Join(dir, "path/python3")))
	other := program(t, filepath.Join(dir, "other/python3.12"))
	t.Setenv("METAML_PYTHON", other)
	want("", other)
	beside := program(t, filepath.Join(dir, "bin/python3"))
	want("", other)
	t.Setenv("METAML_PYTHON", "")
	t.Setenv("VIRTUAL_ENV", filepath.Dir(filepath.Dir(program(t, filepath.Join(dir, "venv/bin/python")))))
	want("", beside)
	chosen := program(t, filepath.Join(dir, "chosen"))
	want(chosen, chosen)
}
