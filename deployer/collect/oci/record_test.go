package oci_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/collect/oci"
)

func (s *store) record(t *testing.T) *oci.Record {
	t.Helper()
	r, err := oci.OpenRecord(s.reference)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What one monitor had on its disk, the next has.
func TestARecordIsFoundByTheNextMonitor(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	file := filepath.Join("sources", "a", "events.jsonl")
	if err := os.MkdirAll(filepath.Join(dir, "sources", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "files")
	if err := s.record(t).Restore(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("of nothing it makes a folder: %v", err)
	}
	r := s.record(t)
	for n := range 3 {
		text := strings.Repeat("line\n", 1000*(n+1))
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.Save(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "files")
		if err := s.record(t).Restore(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(to, file)); string(got) != text {
			t.Errorf("it has %d bytes, want %d: %v", len(got), len(text), err)
		}
	}
}

// A record that cannot be sent is refused with the reason, and what was sent before stays.
func TestARecordThatCannotBeSent(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "first"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.record(t).Save(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	s.refuses.Store(403)
	if err := s.record(t).Save(t.Context(), dir); !errors.Is(err, collect.ErrNoRoom) {
		t.Errorf("it says %v", err)
	}
	if err := s.record(t).Save(t.Context(), filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there is sent")
	}
	to := filepath.Join(t.TempDir(), "files")
	if err := s.record(t).Restore(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(to, "first")); err != nil || info.Size() != 1<<20 {
		t.Errorf("it has %v %v", info, err)
	}
}

// An artifact of another kind under the name is no record, and is not replaced by mistake.
func TestAnotherArtifactIsNoRecord(t *testing.T) {
	s := newStore(t)
	keep(t, s.open(t), output(0, collect.Latest, 1), "x")
	to := filepath.Join(t.TempDir(), "files")
	err := s.record(t).Restore(t.Context(), to)
	if err == nil || !strings.Contains(err.Error(), "it is an artifact of another type") {
		t.Errorf("it says %v", err)
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("it makes a folder: %v", err)
	}
}
