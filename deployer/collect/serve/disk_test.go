package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Many more files than are kept open are written and read at the same time.
func TestADiskKeepsAFewFilesOpen(t *testing.T) {
	disk, err := OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const files, rounds = 5 * maxOpen, 20
	var grown [files]chan int
	for i := range grown {
		grown[i] = make(chan int, rounds)
	}
	name := func(i int) string { return fmt.Sprintf("sources/pod-%d/a/b", i) }
	var reading sync.WaitGroup
	for i := range files {
		reading.Go(func() {
			for round := range grown[i] {
				data := make([]byte, 3)
				err := disk.Read(name(i), data, int64(3*round))
				if err != nil || string(data) != fmt.Sprintf("%03d", i) {
					t.Errorf("read %q, %v", data, err)
				}
			}
		})
	}
	for round := range rounds {
		for i := range files {
			if n, err := disk.Write(name(i), fmt.Appendf(nil, "%03d", i), int64(3*round)); n != 3 || err != nil {
				t.Fatalf("wrote %d bytes, %v", n, err)
			}
			grown[i] <- round
			disk.mu.Lock()
			listed, known := disk.order.Len(), len(disk.open)
			disk.mu.Unlock()
			if listed > maxOpen || listed != known {
				t.Fatalf("%d files are open, of which %d are known", listed, known)
			}
		}
	}
	for i := range grown {
		close(grown[i])
	}
	reading.Wait()
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
}

func TestADiskIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	disk, err := OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Replace("sources/a/source.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := disk.Replace("sources/a/source.json", []byte("{1}")); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Write("sources/a/b/c", []byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "sources", "a", "link")); err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	if err := disk.Walk(func(name string, size int64) { found[name] = size }); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["sources/a/source.json"] != 3 || found["sources/a/b/c"] != 3 {
		t.Errorf("found %v", found)
	}
	if data, err := disk.Load("sources/a/source.json", 2); err != nil || !bytes.Equal(data, []byte("{1")) {
		t.Errorf("load %q, %v", data, err)
	}
	if err := disk.Read("sources/a/link", make([]byte, 1), 0); err == nil {
		t.Error("a link that leads elsewhere was read")
	}
	if err := disk.Read("sources/a/none", make([]byte, 1), 0); err == nil {
		t.Error("a file that is not there was read")
	}
	if _, err := disk.Write("sources/a/b", []byte("x"), 0); err == nil {
		t.Error("a folder was written")
	}
	if err := disk.Remove("sources/a/source.json"); err != nil {
		t.Error(err)
	}
	if _, err := disk.Load("sources/a/source.json", 2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was removed: %v", err)
	}
}
