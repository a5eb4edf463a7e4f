package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/folder"
)

// shortTemp is a folder for temporary files whose path leaves room for a socket's.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "st-") //nolint:usetesting // the path of t.TempDir is too long for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	t.Setenv("XDG_RUNTIME_DIR", "")
	return dir
}

// TestATakenNameOfTheSocketFolder: in a shared folder for temporary files somebody else may have made ours first, as a
// link too. It is not used, nothing is made through it, and the server has its sockets elsewhere.
func TestATakenNameOfTheSocketFolder(t *testing.T) {
	temp := shortTemp(t)
	victim := t.TempDir()
	taken := filepath.Join(temp, "metaml-"+strconv.Itoa(os.Getuid()))
	if err := os.Symlink(victim, taken); err != nil {
		t.Fatal(err)
	}
	server := folder.Run(t.TempDir())
	dir, err := socketFolder(server, "serve-1")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if entries, _ := os.ReadDir(victim); len(entries) != 0 {
		t.Errorf("made through the link: %v", entries)
	}
	if strings.HasPrefix(dir, taken) {
		t.Errorf("uses the taken folder: %s", dir)
	}
	if again, err := socketFolder(server, "serve-1"); err != nil || again != dir {
		t.Errorf("the next monitor finds %s, %v, not %s", again, err, dir)
	}
	if err := RemoveSockets(server, "serve-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("the folder is left behind")
	}
}

// TestOnlyAFolderOfOursIsBelieved: the kept name is removed with all that is in it.
func TestOnlyAFolderOfOursIsBelieved(t *testing.T) {
	temp := shortTemp(t)
	server := folder.Run(t.TempDir())
	precious := t.TempDir()
	for _, path := range []string{precious, filepath.Join(temp, "metaml-sockets-x", "..", "..",
		filepath.Base(precious)), "/tmp", "", "relative"} {
		if err := os.WriteFile(server.SocketsFile(), []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
		if kept := keptSockets(server); kept != "" {
			t.Errorf("%q is believed", path)
		}
	}
}
