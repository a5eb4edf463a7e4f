package staging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatAKilledProcessLeftIsSwept(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	held, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Remove()
	left := filepath.Join(temporary, prefix+"left")
	foreign := filepath.Join(temporary, "metaml-output-7")
	for _, dir := range []string{left, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "program"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sweep(temporary, time.Now().Add(-time.Hour))
	if _, err := os.Stat(left); err != nil {
		t.Fatal("a folder that was made this moment is gone:", err)
	}
	sweep(temporary, time.Now().Add(time.Hour))
	if _, err := os.Stat(left); err == nil {
		t.Fatal("what was left behind is still there")
	}
	for _, dir := range []string{held.Path, foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Fatal("swept away what is in use or something else:", err)
		}
	}
	held.Remove()
	held.Remove()
	if entries, _ := os.ReadDir(temporary); len(entries) != 1 {
		t.Fatal("Remove left something:", entries)
	}
}

func TestAFullTemporaryFolderIsNamed(t *testing.T) {
	t.Setenv("TMPDIR", "/small")
	err := Failed(&fs.PathError{Op: "write", Path: "/small/x", Err: syscall.ENOSPC})
	if err == nil || !strings.HasPrefix(err.Error(), "no space left on the disk to write the program in /small\n") ||
		!strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("it says: %v", err)
	}
	if other := errors.New("other"); !errors.Is(Failed(other), other) || Failed(nil) != nil {
		t.Error("an error of another kind is changed")
	}
}
