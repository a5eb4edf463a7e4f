package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/settings"
)

// TestTheNearestFileOfOurs finds metaml.toml in a folder or above it, and no file that somebody else could have
// written.
func TestTheNearestFileOfOurs(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if f := settings.FindFile(dir); f.Path != "" || f.Ignored != "" {
		t.Fatalf("there is none, and it found %+v", f)
	}
	ours, open := filepath.Join(top, "metaml.toml"), filepath.Join(top, "a", "metaml.toml")
	write(t, ours, "parallelism = 2\n")
	if f := settings.FindFile(dir); f.Path != ours || f.Ignored != "" {
		t.Errorf("found %+v, want %s", f, ours)
	}
	write(t, open, "host = \"0.0.0.0\"\n")
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	f := settings.FindFile(dir)
	if f.Path != ours || f.Ignored != open+" is not obeyed: everybody can write to it; chmod o-w makes it yours" {
		t.Errorf("found %+v, want %s and a sentence about %s", f, ours, open)
	}
	r, err := settings.Resolve("serve", settings.Sources{File: f})
	if err != nil || r.Text("host") != "127.0.0.1" || len(r.Notes) != 1 {
		t.Errorf("got host %s, notes %q, %v; want the file left out with a note", r.Text("host"), r.Notes, err)
	}
}

// TestAFileOfAnotherUser is not obeyed in a parent folder, but where the code that runs is that user's as well. It
// takes root to make one.
func TestAFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	const stranger = 4343
	top := t.TempDir()
	dir, file := filepath.Join(top, "mine"), filepath.Join(top, "metaml.toml")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, file, "host = \"0.0.0.0\"\n")
	if err := os.Chown(file, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	f := settings.FindFile(dir)
	if f.Path != "" || !strings.HasPrefix(f.Ignored, file+" is not obeyed: it belongs to user 4343") {
		t.Errorf("found %+v, want none and a sentence about %s", f, file)
	}
	if err := os.Chown(dir, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	if f := settings.FindFile(dir); f.Path != file || f.Ignored != "" {
		t.Errorf("found %+v in that user's own folder, want %s", f, file)
	}
}
