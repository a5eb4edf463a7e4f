package mirror

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

var first = run.AttemptID{Trial: 0, Number: 1}

// copyOf opens the copy of a log in a run folder of the test's.
func copyOf(t *testing.T, f folder.Run) *logCopy {
	t.Helper()
	c, err := openCopy(f, first, "uid")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// take copies a log, and checks that it went well.
func take(t *testing.T, c *logCopy, log string) {
	t.Helper()
	if err := c.copyFrom(strings.NewReader(log), true, func(run.Event) {}); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, f folder.Run) string {
	t.Helper()
	data, err := os.ReadFile(f.Stream(0, 1, folder.Stdout))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const threeLines = "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z b\n2026-01-02T03:04:05.2Z b\n"

// A log is read again from a whole second, whatever was read of it before, and may have lines of the same time.
func TestALogThatIsReadAgainHasEachLineOnce(t *testing.T) {
	for _, before := range []string{
		"", "2026-01-02T03:04:05.1Z a\n", "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z b\n", threeLines,
	} {
		t.Run(fmt.Sprintf("after %d lines", strings.Count(before, "\n")), func(t *testing.T) {
			f := folder.Run(t.TempDir())
			c := copyOf(t, f)
			take(t, c, before)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			c = copyOf(t, f)
			take(t, c, threeLines)
			take(t, c, threeLines+"2026-01-02T03:04:05.3Z c\n")
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, f); got != "a\nb\nb\nc\n" {
				t.Errorf("the copy is %q", got)
			}
		})
	}
}

// Two streams are one log, whose lines have the times at which they were read: one may be earlier than the one before.
func TestALineThatIsEarlierThanTheOneBeforeIsKept(t *testing.T) {
	lines := []string{
		"2026-01-02T03:04:05.1Z a\n", "2026-01-02T03:04:05.3Z b\n", "2026-01-02T03:04:05.2Z c\n",
		"2026-01-02T03:04:05.3Z d\n", "2026-01-02T03:04:05.25Z e\n", "2026-01-02T03:04:05.4Z f\n",
	}
	for n := range len(lines) + 1 {
		t.Run(fmt.Sprintf("read on after %d lines", n), func(t *testing.T) {
			f := folder.Run(t.TempDir())
			c := copyOf(t, f)
			take(t, c, strings.Join(lines[:n], ""))
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			c = copyOf(t, f)
			take(t, c, strings.Join(lines, ""))
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, f); got != "a\nb\nc\nd\ne\nf\n" {
				t.Errorf("the copy is %q", got)
			}
		})
	}
}

// The container runtime removes the beginning of a long log, so the place up to which it was copied may be gone.
func TestALogWhoseBeginningIsGoneIsReadOn(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	take(t, c, "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.1Z b\n")
	take(t, c, "2026-01-02T03:04:05.2Z c\n2026-01-02T03:04:05.3Z d\n")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f); got != "a\nb\nc\nd\n" {
		t.Errorf("the copy is %q", got)
	}
}

func TestTheRestOfALongLineIsCopiedOnce(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	long := strings.Repeat("x", 2*longestLine) + "\n"
	for range 2 {
		take(t, c, "2026-01-02T03:04:05.1Z "+long)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f); got != long {
		t.Errorf("the copy has %d bytes, want %d", len(got), len(long))
	}
}

func TestWhatACrashLeftBehindIsCopiedAgain(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	take(t, c, threeLines)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.file.WriteString("x"); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	file, err := os.OpenFile(f.Stream(0, 1, folder.Stdout), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("half a li"); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	c = copyOf(t, f)
	take(t, c, threeLines+"2026-01-02T03:04:05.3Z c\n")
	if got := content(t, f); got != "a\nb\nb\nc\n" {
		t.Errorf("the copy is %q", got)
	}
}

func TestALogThatBreaksOffIsReadOn(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	broken := io.MultiReader(strings.NewReader("2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z hal"), failing{})
	if err := c.copyFrom(broken, true, nil); err == nil {
		t.Fatal("no error")
	}
	take(t, c, "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z half\n")
	if got := content(t, f); got != "a\nhalf\n" {
		t.Errorf("the copy is %q", got)
	}
}

// A log that is followed ends with its connection, also within a line.
func TestALineThatIsCutIsReadAgain(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	const cut = "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z hal"
	if err := c.copyFrom(strings.NewReader(cut), false, nil); err != nil {
		t.Fatal(err)
	}
	take(t, c, "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z half\n2026-01-02T03:04:05.3Z no end")
	if got := content(t, f); got != "a\nhalf\nno end" {
		t.Errorf("the copy is %q", got)
	}
}

// A kubelet whose node has no file handles left writes that to who follows a log (kubernetes, kubelet/server).
func TestWhatAKubeletSaysIsNoPartOfTheLog(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	const says = "failed to create fsnotify watcher: too many open files"
	err := c.copyFrom(strings.NewReader("2026-01-02T03:04:05.1Z a\n"+says), true, nil)
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v", err)
	}
	take(t, c, "2026-01-02T03:04:05.1Z a\n2026-01-02T03:04:05.2Z b\n")
	if got := content(t, f); got != "a\nb\n" {
		t.Errorf("the copy is %q", got)
	}
}

func TestTheMiddleOfALongLogIsLeftOut(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	full := 0
	c.full = func() { full++ }
	const lines = 80 << 10 // of a KiB each
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log, to := io.Pipe()
	go func() {
		w := bufio.NewWriter(to)
		for i := range lines {
			fmt.Fprintf(w, "%s %08d%s\n", at.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano), i,
				strings.Repeat(".", 1015))
		}
		_ = w.Flush()
		_ = to.Close()
	}()
	if err := c.copyFrom(log, true, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = copyOf(t, f)
	take(t, c, at.Add(lines*time.Millisecond).Format(time.RFC3339Nano)+" the end\n")
	var text strings.Builder
	if err := f.NewLogReader(0, 1, folder.Stdout).CopyTo(&text); err != nil {
		t.Fatal(err)
	}
	got := text.String()
	if !strings.HasPrefix(got, "00000000.") || !strings.HasSuffix(got, "\nthe end\n") ||
		!strings.Contains(got, " MiB left out …]\n") || len(got) > 64<<20 || full != 1 {
		t.Errorf("it has %d bytes, was said to be full %d times, begins with %q and ends with %q", len(got), full,
			got[:9], got[len(got)-20:])
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestWhatAPodSaysIsNoPartOfTheLog(t *testing.T) {
	f := folder.Run(t.TempDir())
	c := copyOf(t, f)
	var said []run.Event
	log := "2026-01-02T03:04:05Z before\n" +
		`2026-01-02T03:04:06Z [metaml] {"type":"trial.report","metrics":{"loss":0.5}}` + "\n" +
		"2026-01-02T03:04:07Z after\n"
	if err := c.copyFrom(strings.NewReader(log), true, func(e run.Event) { said = append(said, e) }); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f); got != "before\nafter\n" {
		t.Errorf("the copy is %q", got)
	}
	if len(said) != 1 || said[0].Metrics["loss"] != 0.5 || said[0].Time.Second() != 6 {
		t.Errorf("it said %+v", said)
	}
}

// FuzzLog checks that no log, however damaged, is copied with a line twice when it is read again.
func FuzzLog(f *testing.F) {
	f.Add(threeLines)
	f.Add("no time\n2026-01-02T03:04:05Z a\n2026-01-02T03:04:04Z earlier\n\n ")
	f.Fuzz(func(t *testing.T, log string) {
		at := folder.Run(t.TempDir())
		c := copyOf(t, at)
		_ = c.copyFrom(strings.NewReader(log), true, func(run.Event) {}) // up to what is no line of a log
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c = copyOf(t, at)
		defer func() { _ = c.Close() }()
		once := content(t, at)
		if c.at.Size != int64(len(once)) {
			t.Errorf("the copy has %d bytes, and its place says %d", len(once), c.at.Size)
		}
		_ = c.copyFrom(strings.NewReader(log), true, func(run.Event) {})
		if twice := content(t, at); twice != once {
			t.Errorf("read again, %q became %q", once, twice)
		}
	})
}
