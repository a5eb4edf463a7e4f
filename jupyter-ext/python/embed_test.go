package pymodule

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/metaml/metaml/test/venv"
)

func TestExtractsOnceForManyCallers(t *testing.T) {
	base := filepath.Join(t.TempDir(), "cache", "python")
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if dir, err := extract(base); err != nil || !complete(dir) {
				t.Errorf("extract = %q, %v; want a complete folder", dir, err)
			}
		})
	}
	wait.Wait()
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 1 || entries[0].Name() != digest() {
		t.Errorf("in %s: %v, %v; want only %s", base, entries, err, digest())
	}
}

func TestRepairsAFolderThatLostFiles(t *testing.T) {
	base := t.TempDir()
	dir, err := extract(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "metaml", "__init__.py")); err != nil {
		t.Fatal(err)
	}
	if _, err := extract(base); err != nil || !complete(dir) {
		t.Errorf("extract after a loss: %v; want it complete again", err)
	}
}

func TestRefusesAFolderThatOthersCanWrite(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := extract(base); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("extract into a shared folder: %v; want a refusal", err)
	}
}

func TestFallsBackWhenTheCacheCannotBeWritten(t *testing.T) {
	temp := t.TempDir()
	notAFolder := filepath.Join(temp, "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", notAFolder)
	t.Setenv("TMPDIR", temp)
	var dir string
	for _, base := range bases() {
		if d, err := extract(base); err == nil {
			dir = d
			break
		}
	}
	if !strings.HasPrefix(dir, temp+"/metaml-python-") {
		t.Errorf("module is in %q; want it under %s", dir, temp)
	}
}

func TestPythonImportsIt(t *testing.T) {
	python := venv.Python(t)
	dir, err := extract(filepath.Join(t.TempDir(), "python"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", "import metaml; print(metaml.__file__)")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	out, err := cmd.CombinedOutput()
	if want := filepath.Join(dir, "metaml", "__init__.py"); err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("import metaml gives %q, %v; want %q", out, err, want)
	}
}
