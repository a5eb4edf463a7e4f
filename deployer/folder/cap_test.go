package folder

import (
	"io"
	"os"
	"testing"
)

func TestTheMiddleOfALongLogIsGivenBack(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	r := Run(t.TempDir())
	l := r.CapLog(0, 1, Stdout)
	if l.Cut() {
		t.Error("a log that is not there was cut")
	}
	if err := os.MkdirAll(r.Attempt(0, 1), 0o700); err != nil {
		t.Fatal(err)
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
		gap   Gap
	}{
		{"as long as it may be", logLimit, false, Gap{}},
		{"longer", logLimit + 1, true, Gap{From: logHead, To: logLimit - logTail}},
		{"a little longer than that", logLimit + 10*mib, false, Gap{From: logHead, To: logLimit - logTail}},
		{"too long again", logLimit + 20*mib, false, Gap{From: logHead, To: logLimit + 20*mib - logTail}},
	} {
		// In order: the same log grows.
		if err := f.Truncate(c.size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("end"), c.size-3); err != nil {
			t.Fatal(err)
		}
		if first := l.Cut(); first != c.first || l.gap != c.gap {
			t.Errorf("%s: gap %v, first %t; want %v, %t", c.name, l.gap, first, c.gap, c.first)
		}
		if c.gap == (Gap{}) {
			continue
		}
		if written := r.CapLogOn(0, 1, Stdout).gap; written != c.gap {
			t.Errorf("%s: the gap's file says %v, want %v", c.name, written, c.gap)
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
