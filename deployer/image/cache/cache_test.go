package cache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsWholeOrNotThere(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	path, failed := filepath.Join(folder, "x"), errors.New("failed")
	err := Write(path, func(to *os.File) error {
		_, err := to.WriteString("half")
		return errors.Join(err, failed)
	})
	if left, _ := os.ReadDir(folder); !errors.Is(err, failed) || len(left) > 0 {
		t.Errorf("got %v, and %v is left", err, left)
	}
	if err := Write(path, func(to *os.File) error { _, err := to.WriteString("whole"); return err }); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "whole" {
		t.Errorf("it is %q, %v", data, err)
	}
}
