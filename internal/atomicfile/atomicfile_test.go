package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFileIsReplacedWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		old  fs.FileMode // 0: there is none
		perm fs.FileMode

		write func(string, []byte, fs.FileMode) error
	}{
		{"a new file", 0, 0o600, Write},
		{"a new file for everyone", 0, 0o644, Write},
		{"in place of one for its owner", 0o600, 0o644, Write},
		{"in place of one for everyone", 0o644, 0o600, Write},
		{"in place of one that cannot be written to", 0o400, 0o600, Write},
		{"a new file, unsynced", 0, 0o600, WriteUnsynced},
		{"in place of one, unsynced", 0o644, 0o600, WriteUnsynced},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if c.old != 0 {
				if err := os.WriteFile(path, []byte("the old content"), c.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.write(path, []byte("new"), c.perm); err != nil {
				t.Fatal(err)
			}
			expect(t, path, "new")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := info.Mode().Perm(), c.perm&^umask(); got != want {
				t.Errorf("the mode is %v, want %v", got, want)
			}
			expectFiles(t, filepath.Dir(path), "file")
		})
	}
}

// umask reads the mask of this process, which can only be read by setting it.
func umask() fs.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return fs.FileMode(mask)
}

func TestAReaderKeepsTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := Write(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 10)
	if n, err := reader.Read(data); err != nil || string(data[:n]) != "old" {
		t.Errorf("who had opened the file read %q (%v), want the old content", data[:n], err)
	}
	expect(t, path, "new")
}

func TestASymbolicLinkIsReplacedItself(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, target, "kept")
	expect(t, link, "new")
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is still one: %v (%v)", info, err)
	}
}

func TestAnErrorLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, path string
		want       error
	}{
		{"a folder is in its place", "folder", syscall.EEXIST},
		{"there is no folder for it", "none/file", fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, c.path)
			err := Write(path, []byte("new"), 0o600)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %v that names %s", err, c.want, path)
			}
			expectFiles(t, dir, "folder")
		})
	}
}

func expect(t *testing.T, path, want string) {
	t.Helper()
	if data, err := os.ReadFile(path); err != nil || string(data) != want {
		t.Errorf("%s has %q (%v), want %q", filepath.Base(path), data, err, want)
	}
}

func expectFiles(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the folder has %s, want %s", got, want)
	}
}
