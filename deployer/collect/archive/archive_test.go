package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/collect/archive"
)

// tree is what is in a folder: the content of files, "/" for folders, "> TARGET" for links.
func tree(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
		case entry.IsDir():
			all[name] = "/"
		case entry.Type() == fs.ModeSymlink:
			var target string
			target, err = os.Readlink(path)
			all[name] = "> " + target
		default:
			var data []byte
			data, err = os.ReadFile(path)
			all[name] = string(data)
		}
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestFilesComeAsTheyWere(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	err := errors.Join(
		os.MkdirAll(filepath.Join(from, "models", "empty"), 0o700),
		os.WriteFile(filepath.Join(from, "models", "model é.pt"), bytes.Repeat([]byte("weights "), 1000), 0o640),
		os.WriteFile(filepath.Join(from, "nothing"), nil, 0o600),
		os.Chtimes(filepath.Join(from, "nothing"), at, at),
		os.Symlink("models/model é.pt", filepath.Join(from, "best")),
		syscall.Mkfifo(filepath.Join(from, "pipe"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := archive.Write(t.Context(), &stream, from); err != nil {
		t.Fatal(err)
	}
	if err := archive.Read(t.Context(), &stream, to); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(from, "pipe")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, from), tree(t, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	model, err1 := os.Stat(filepath.Join(to, "models", "model é.pt"))
	nothing, err2 := os.Stat(filepath.Join(to, "nothing"))
	if err := errors.Join(err1, err2); err != nil || model.Mode().Perm() != 0o640 || !nothing.ModTime().Equal(at) {
		t.Errorf("modes and times are %v, %v, %v", model, nothing, err)
	}
}

// A trial goes on to write while its files are read.
func TestFilesThatChangeMeanwhile(t *testing.T) {
	from := t.TempDir()
	for _, name := range []string{"1", "cut", "grown", "z-gone"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stream bytes.Buffer
	changed := false
	to := writer(func(p []byte) (int, error) {
		if !changed { // the first header
			changed = true
			if err := errors.Join(os.Truncate(filepath.Join(from, "1"), 3), os.Remove(filepath.Join(from, "z-gone")),
				os.WriteFile(filepath.Join(from, "grown"), []byte("0123456789more"), 0o600)); err != nil {
				return 0, err
			}
		}
		return stream.Write(p)
	})
	if err := archive.Write(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := archive.Read(t.Context(), &stream, dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"1": "012\x00\x00\x00\x00\x00\x00\x00", "cut": "0123456789", "grown": "0123456789more",
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestNothingIsMadeOutside(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry tar.Header
	}{
		{"above", tar.Header{Typeflag: tar.TypeReg, Name: "../x"}},
		{"absolute", tar.Header{Typeflag: tar.TypeReg, Name: "/tmp/x"}},
		{"a link above", tar.Header{Typeflag: tar.TypeSymlink, Name: "a/x", Linkname: "../../x"}},
		{"an absolute link", tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc/passwd"}},
		{"through a link", tar.Header{Typeflag: tar.TypeReg, Name: "inside/../../x"}},
		{"a device", tar.Header{Typeflag: tar.TypeBlock, Name: "x"}},
		{"a hard link", tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stream bytes.Buffer
			w := tar.NewWriter(&stream)
			if err := errors.Join(w.WriteHeader(&c.entry), w.Close()); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := archive.Read(
				t.Context(),
				&stream,
				dir,
			); err == nil ||
				!strings.Contains(err.Error(), "unpack into") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPackingEndsWithItsContext(t *testing.T) {
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "large"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the trial has ended")
	to := writer(func(p []byte) (int, error) { cancel(gone); return len(p), nil })
	if err := archive.Write(ctx, to, from); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if err := archive.Write(t.Context(), io.Discard, filepath.Join(from, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no folder: %v", err)
	}
}

// The stream comes from a pod.
func FuzzRead(f *testing.F) {
	from := f.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(from, "a"), []byte("a"), 0o600),
		os.Symlink("a", filepath.Join(from, "b"))); err != nil {
		f.Fatal(err)
	}
	var stream bytes.Buffer
	if err := archive.Write(f.Context(), &stream, from); err != nil {
		f.Fatal(err)
	}
	f.Add(stream.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = archive.Read(t.Context(), bytes.NewReader(data), dir) // whatever it says
		if beside, err := os.ReadDir(parent); err != nil || len(beside) != 1 {
			t.Errorf("beside the folder there is %v, %v", beside, err)
		}
	})
}
