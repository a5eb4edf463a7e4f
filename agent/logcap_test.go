package agent

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/deployer/folder"
)

func TestTheMiddleOfALongLogIsGivenBack(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	dir := t.TempDir()
	l := &cappedLog{
		stream: folder.Stdout, path: filepath.Join(dir, folder.Stdout), gapFile: filepath.Join(dir, "stdout.gap"),
	}
	a := &attempt{}
	if a.cut(l) {
		t.Error("a log that is not there was cut")
	}
	f, err := os.Create(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, "begin"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		size  int64
		first bool
		gap   folder.Gap
	}{
		{"as long as it may be", logLimit, false, folder.Gap{}},
		{"longer", logLimit + 1, true, folder.Gap{From: logHead, To: logLimit - logTail}},
		{"a little longer than that", logLimit + 10*mib, false, folder.Gap{From: logHead, To: logLimit - logTail}},
		{"too long again", logLimit + 20*mib, false, folder.Gap{From: logHead, To: logLimit + 20*mib - logTail}},
	} {
		// In order: the same log grows.
		if err := f.Truncate(c.size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("end"), c.size-3); err != nil {
			t.Fatal(err)
		}
		if first := a.cut(l); first != c.first || l.gap != c.gap {
			t.Errorf("%s: gap %v, first %t; want %v, %t", c.name, l.gap, first, c.gap, c.first)
		}
		if c.gap == (folder.Gap{}) {
			continue
		}
		var written folder.Gap
		if err := json.Unmarshal([]byte(readFile(t, l.gapFile)), &written); err != nil || written != c.gap {
			t.Errorf("%s: the gap's file says %v (%v), want %v", c.name, written, err, c.gap)
		}
		begin, end := make([]byte, 5), make([]byte, 3)
		if _, err := f.ReadAt(begin, 0); err != nil || string(begin) != "begin" {
			t.Errorf("%s: it begins with %q (%v)", c.name, begin, err)
		}
		if _, err := f.ReadAt(end, c.size-3); err != nil || string(end) != "end" {
			t.Errorf("%s: it ends with %q (%v)", c.name, end, err)
		}
	}
}
