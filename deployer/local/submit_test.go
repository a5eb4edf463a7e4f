package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func TestAFolderThatCannotBeWrittenIsOneSentence(t *testing.T) {
	b := newTarget(t)
	b.Dir = "/sys/metaml"
	_, err := b.Submit(t.Context(), run.Submission{Spec: train(t, 1), Program: program(t)}, nil)
	var user *usererror.Error
	if !errors.As(err, &user) || user.Code != "unwritable" || !errors.Is(err, fs.ErrPermission) ||
		strings.Contains(user.Text, "\n") {
		t.Errorf("%v", err)
	}
	b.Dir = t.TempDir()
	b.Agent = filepath.Join(b.Dir, "missing")
	if _, err := b.Submit(t.Context(), run.Submission{Spec: train(t, 1), Program: program(t)}, nil); !errors.As(err,
		&user) ||
		user.Code != "agent" {
		t.Errorf("without an agent: %v", err)
	}
	if left := names(t, b); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatAKilledSubmissionLeftIsSwept(t *testing.T) {
	b := newTarget(t)
	for _, name := range []string{".new-1", ".deleted-r-1", ".series", "r-2"} {
		if err := os.MkdirAll(filepath.Join(b.Dir, name, "program"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.sweep(time.Now().Add(-abandoned))
	if !there(filepath.Join(b.Dir, ".new-1")) {
		t.Error("a folder that is just being made is gone")
	}
	b.sweep(time.Now().Add(time.Minute))
	for name, stays := range map[string]bool{".new-1": false, ".deleted-r-1": false, ".series": true, "r-2": true} {
		t.Run(name, func(t *testing.T) {
			if there(filepath.Join(b.Dir, name)) != stays {
				t.Errorf("%s: there %v, right %v", name, !stays, stays)
			}
		})
	}
}
