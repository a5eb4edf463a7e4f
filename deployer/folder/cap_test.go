package folder

import (
	"bytes"
	"io"
	"os"
	"strings"
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

// A log that was begun anew is read to the end of what was kept of it, and then from its start.
func TestALogThatIsBegunAnewIsReadWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kept bool
		want string
	}{
		{"it was kept", true, "first\nsecond\nthird\nlast\n"},
		{"it was not kept", false, "first\nlast\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Run(t.TempDir())
			l := r.NewFrontLogReader()
			write := func(path, text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var text strings.Builder
			read := func() {
				t.Helper()
				if err := l.CopyTo(&text); err != nil {
					t.Fatal(err)
				}
			}
			write(r.FrontLog(), "first\n")
			read()
			if c.kept {
				write(BeforeLog(r.FrontLog()), "first\nsecond\nthird\n")
			}
			write(r.FrontLog(), "")
			read()
			write(r.FrontLog(), "last\n")
			read()
			read()
			if text.String() != c.want {
				t.Errorf("it read %q, want %q", text.String(), c.want)
			}
		})
	}
}

func TestWhatWasReadIsGivenBack(t *testing.T) {
	t.Parallel()
	r := Run(t.TempDir())
	path := r.Stream(0, 1, Stdout)
	if err := os.MkdirAll(r.Attempt(0, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	l := r.NewLogReader(0, 1, Stdout)
	l.Free() // nothing was read
	if err := l.CopyTo(io.Discard); err != nil {
		t.Fatal(err)
	}
	l.Free()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Count(data, []byte("x"))
	if len(data) != size || kept < keptBehind || kept > keptBehind+freeAtOnce || data[size-1] != 'x' {
		t.Errorf("of %d bytes %d are there", len(data), kept)
	}
}
