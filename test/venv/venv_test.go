package venv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	clone := t.TempDir()
	for _, path := range []string{"build/made/bin/python", "go.mod", "deep/down/file"} {
		path = filepath.Join(clone, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(clone, "deep", "down"))
	python := filepath.Join(clone, "build", "made", "bin", "python")
	for _, c := range []struct{ name, folder, named, want, says string }{
		{name: "of the clone", folder: "made", want: python},
		{name: "named", folder: "missing", named: python, want: python},
		{name: "not made", folder: "missing", says: "`make test-venvs` makes it"},
		{name: "named and missing", folder: "made", named: "/nowhere/python", says: "/nowhere/python"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("METAML_TEST_PYTHON", c.named)
			got, err := find("METAML_TEST_PYTHON", c.folder)
			if got != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v; want %q, %q", got, err, c.want, c.says)
			}
		})
	}
}
