package send

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/collect"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, f *Folders) []collect.Entry {
	t.Helper()
	entries, err := f.List(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// A writer takes back the part of a line for which there was no room on its disk.
func TestOfAFileOfLinesOnlyWholeLinesAreSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := &Folders{Files: map[string]string{"events.jsonl": path}}
	long := strings.Repeat("a", 10_000) // more than is looked at once
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"not yet a line", "{", 0},
		{"a line", "{}\n", 3},
		{"and a part", "{}\n{", 3},
		{"which was taken back", "{}\n", 3},
		{"another came instead", "{}\n[]\n", 6},
		{"a long part", "{}\n[]\n" + long, 6},
		{"a long line", "{}\n[]\n" + long + "\n" + long, 6 + 10_001},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, path, c.text)
			if diff := cmp.Diff([]collect.Entry{{Name: "events.jsonl", Size: int64(c.want)}}, list(t, f)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOfALimitedFileTheBeginningIsSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stdout")
	f := &Folders{Files: map[string]string{"stdout": path}, Most: map[string]int64{"stdout": 5}}
	for _, text := range []string{"abc", "abcdefgh"} {
		write(t, path, text)
		want := []collect.Entry{{Name: "stdout", Size: int64(min(len(text), 5))}}
		if diff := cmp.Diff(want, list(t, f)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestFilesOfFoldersAreFoundAsTheyCome(t *testing.T) {
	dir := t.TempDir()
	f := &Folders{
		Files:   map[string]string{"stdout": filepath.Join(dir, "attempt", "stdout")},
		Folders: []Folder{{Name: "tensorboard", Path: filepath.Join(dir, "tb")}},
		Want:    func(name string) bool { return strings.Contains(name, "tfevents") },
	}
	if entries := list(t, f); len(entries) > 0 {
		t.Errorf("before there is anything: %v", entries)
	}
	write(t, filepath.Join(dir, "attempt", "stdout"), "hello")
	write(t, filepath.Join(dir, "tb", "x.tfevents.1"), "abc")
	write(t, filepath.Join(dir, "tb", "val", "x.tfevents.2"), "defg")
	write(t, filepath.Join(dir, "tb", "empty.tfevents"), "")
	write(t, filepath.Join(dir, "tb", "weights.bin"), "other")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "tb", "link.tfevents")); err != nil {
		t.Fatal(err)
	}
	want := []collect.Entry{
		{Name: "stdout", Size: 5},
		{Name: "tensorboard/val/x.tfevents.2", Size: 4},
		{Name: "tensorboard/x.tfevents.1", Size: 3},
	}
	if diff := cmp.Diff(want, list(t, f)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	data := make([]byte, 3)
	if err := f.ReadAt("tensorboard/val/x.tfevents.2", data, 1); err != nil || string(data) != "efg" {
		t.Errorf("read %q, %v", data, err)
	}
	if err := f.ReadAt("tensorboard/link.tfevents", data, 0); err == nil {
		t.Error("a link was read")
	}
	if err := f.ReadAt("stdout", make([]byte, 9), 0); err == nil {
		t.Error("more was read than there is")
	}
}

// The working directory of a trial is not searched; who finds files there puts links to them into a folder.
func TestLinksOfAFolderStandForFiles(t *testing.T) {
	dir := t.TempDir()
	links, output := filepath.Join(dir, "links"), filepath.Join(dir, "output")
	f := &Folders{Folders: []Folder{{"board", output, false}, {"board", links, true}}}
	write(t, filepath.Join(dir, "cwd", "a"), "abc")
	write(t, filepath.Join(output, "b"), "de")
	write(t, filepath.Join(output, ".hidden", "c"), "f")
	if err := os.Mkdir(links, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"a": filepath.Join(dir, "cwd", "a"), "cwd": dir, "gone": "/not/here"} {
		if err := os.Symlink(to, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	want := []collect.Entry{{Name: "board/a", Size: 3}, {Name: "board/b", Size: 2}}
	if diff := cmp.Diff(want, list(t, f)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What is appended to a name must go on with the file that it began with.
	write(t, filepath.Join(output, "a"), "another")
	if diff := cmp.Diff(want, list(t, f)); diff != "" {
		t.Errorf("with another file of the same name, -want +got:\n%s", diff)
	}
	data := make([]byte, 3)
	if err := f.ReadAt("board/a", data, 0); err != nil || string(data) != "abc" {
		t.Errorf("read %q, %v", data, err)
	}
}

// Files that are known are looked at each time, folders only as often as that costs little.
func TestFoldersAreSearchedAtTimes(t *testing.T) {
	dir := t.TempDir()
	f := &Folders{Folders: []Folder{{Name: "board", Path: dir}}}
	write(t, filepath.Join(dir, "a"), "abc")
	list(t, f)
	f.next = time.Now().Add(time.Hour)
	write(t, filepath.Join(dir, "a"), "abcdef")
	write(t, filepath.Join(dir, "b"), "de")
	for _, c := range []struct {
		name string
		all  bool
		want []collect.Entry
	}{
		{"too soon", false, []collect.Entry{{Name: "board/a", Size: 6}}},
		{"at the end", true, []collect.Entry{{Name: "board/a", Size: 6}, {Name: "board/b", Size: 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, err := f.List(t.Context(), c.all)
			if diff := cmp.Diff(c.want, entries); diff != "" || err != nil {
				t.Errorf("error %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestASearchEndsWithItsPod(t *testing.T) {
	cause := errors.New("the pod ends")
	ctx, end := context.WithCancelCause(t.Context())
	end(cause)
	f := &Folders{Folders: []Folder{{Name: "board", Path: t.TempDir()}}}
	if _, err := f.List(ctx, true); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
