package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
)

// memory is a File in memory.
type memory struct{ data []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, off)
}
func (m *memory) Write(p []byte) (int, error) { m.data = append(m.data, p...); return len(p), nil }
func (m *memory) Truncate(size int64) error   { m.data = m.data[:size]; return nil }
func (m *memory) Sync() error                 { return nil }

func drop(run.Event) {}

func numbers(t *testing.T, file io.ReaderAt, cursor string) (n []int64, after string) {
	t.Helper()
	r, err := NewReader(file, cursor)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, r.Cursor()
		}
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, e.N)
	}
}

func TestATornEndIsCutAndTheNumbersGoOn(t *testing.T) {
	t.Parallel()
	whole := &memory{}
	log, err := OpenLog(whole, drop)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := log.Append(&run.Event{Type: run.EventNote, Text: strings.Repeat("x", i*40_000)}); err != nil {
			t.Fatal(err)
		}
	}
	lastStart := bytes.LastIndexByte(whole.data[:len(whole.data)-1], '\n') + 1
	for _, cut := range []int{lastStart, lastStart + 1, lastStart + 70_000, len(whole.data) - 1} {
		t.Run(fmt.Sprintf("cut at byte %d", cut), func(t *testing.T) {
			t.Parallel()
			torn := &memory{bytes.Clone(whole.data[:cut])}
			// A reader that was there before hands out no half event, and goes on with what comes instead.
			before, cursor := numbers(t, torn, "")
			log, err := OpenLog(torn, drop)
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Append(&run.Event{Type: run.EventSubmitted}); err != nil {
				t.Fatal(err)
			}
			after, _ := numbers(t, torn, cursor)
			if fmt.Sprint(before, after) != "[1 2 3 4] [5]" {
				t.Errorf("cut at %d: %v then %v", cut, before, after)
			}
		})
	}
}

func TestACursorOfAFileThatWasCutMeanwhile(t *testing.T) {
	t.Parallel()
	f := &memory{}
	log, _ := OpenLog(f, drop)
	for range 3 {
		_ = log.Append(&run.Event{Type: run.EventSubmitted})
	}
	_, cursor := numbers(t, f, "")
	// The machine lost what was not on disk; others were written since, of another length.
	f.data = f.data[:bytes.IndexByte(f.data, '\n')+1]
	log, _ = OpenLog(f, drop)
	for range 4 {
		_ = log.Append(&run.Event{Type: run.EventNote, Text: "longer than the others"})
	}
	if after, _ := numbers(t, f, cursor); fmt.Sprint(after) != "[4 5]" {
		t.Errorf("%v", after)
	}
}

func TestAMonitorsLockIsSeenWithoutTakingIt(t *testing.T) {
	r := Run(t.TempDir())
	if r.Monitored() {
		t.Error("a run without a monitor has one")
	}
	// A record lock is a process's own: another process must hold it.
	cmd := exec.Command(os.Args[0], "-test.run=TestHelperHoldsTheLock")
	cmd.Env = append(os.Environ(), "METAML_TEST_LOCK="+string(r))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !r.Monitored() {
			t.Error("the monitor is not seen")
		}
	}
	if _, err := r.LockMonitor(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second monitor: %v", err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if r.Monitored() {
		t.Error("a dead monitor is seen")
	}
}

func TestHelperHoldsTheLock(t *testing.T) {
	dir := os.Getenv("METAML_TEST_LOCK")
	if dir == "" {
		return
	}
	lock, err := Run(dir).LockMonitor()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	_, _ = os.Stdout.WriteString("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestStopRequestsAreReadOnce(t *testing.T) {
	t.Parallel()
	r := Run(t.TempDir())
	three := 3
	for _, s := range []Stop{{}, {Trial: &three, Now: true}} {
		if err := r.AppendStop(s); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(r.StopFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("nonsense\n{\"now\": tr"); err != nil {
		t.Fatal(err)
	}
	stops, offset, err := r.ReadStops(0)
	if err != nil || len(stops) != 2 || stops[0].Trial != nil || *stops[1].Trial != 3 || !stops[1].Now {
		t.Fatalf("%+v %v", stops, err)
	}
	if _, err := f.WriteString("ue}\n"); err != nil {
		t.Fatal(err)
	}
	if stops, _, err := r.ReadStops(offset); err != nil || len(stops) != 1 || !stops[0].Now {
		t.Errorf("the rest: %+v %v", stops, err)
	}
}

func TestALogWithAGap(t *testing.T) {
	t.Parallel()
	r := Run(t.TempDir())
	if err := os.MkdirAll(r.Attempt(0, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Attempt(0, 1), Stdout)
	data := append([]byte("head"), make([]byte, 3<<20)...)
	data = append(data, "tail"...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceJSON(r.GapFile(0, 1, Stdout), Gap{From: 4, To: int64(len(data) - 4)}); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	l := r.NewLogReader(0, 1, Stdout)
	for range 2 {
		if err := l.CopyTo(&text); err != nil {
			t.Fatal(err)
		}
	}
	if text.String() != "head\n[… 3 MiB left out …]\ntail" {
		t.Errorf("%q", text.String())
	}
}

func TestAWatchWakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*Watch{"inotify": NewWatch(path), "polling": poll()} {
		t.Run(name, func(t *testing.T) {
			if err := Run(filepath.Dir(path)).AppendStop(Stop{}); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.WriteString("x")
			_ = f.Close()
			select {
			case <-w.C:
			case <-time.After(10 * time.Second):
				t.Errorf("%s: nothing", name)
			}
			w.Close()
		})
	}
}

func FuzzReader(f *testing.F) {
	log := &memory{}
	l, _ := OpenLog(log, drop)
	_ = l.Append(&run.Event{Type: run.EventSubmitted}, &run.Event{Type: run.EventNote, Text: "x"})
	f.Add(log.data, 7)
	f.Add([]byte("{\"type\":\"note\",\"n\":1}\n\n{}\nnull\n{\"type\":\"note\",\"n\":2}\n{\"ty"), 25)
	f.Add([]byte("\n\x00\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		read := func(file io.ReaderAt, cursor string) (all []run.Event, cursors []string) {
			r, err := NewReader(file, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for {
				e, err := r.Next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					return all, cursors
				}
				all, cursors = append(all, e), append(cursors, r.Cursor())
			}
		}
		all, cursors := read(bytes.NewReader(data), "")
		// Whole lines are handed out the same way when the file grows under the reader.
		if cut >= 0 && cut < len(data) {
			growing := &memory{bytes.Clone(data[:cut])}
			r, _ := NewReader(growing, "")
			n := 0
			for grown := false; ; {
				if _, err := r.Next(); err == nil {
					n++
					continue
				}
				if grown {
					break
				}
				growing.data, grown = append(growing.data, data[cut:]...), true
			}
			if n != len(all) {
				t.Fatalf("%d events at once, %d in two parts", len(all), n)
			}
		}
		// From any cursor on comes the rest, where the numbers are a writer's.
		for i, e := range all {
			if e.N != int64(i+1) {
				return
			}
		}
		for i, c := range cursors {
			if rest, _ := read(bytes.NewReader(data), c); len(rest) != len(all)-i-1 {
				t.Fatalf("%d of %d events after %q", len(rest), len(all), c)
			}
		}
		// A writer takes the file over and can append to it.
		file := &memory{bytes.Clone(data)}
		l, err := OpenLog(file, drop)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(&run.Event{Type: run.EventSubmitted}); err != nil {
			t.Fatal(err)
		}
		if again, _ := read(file, ""); len(again) != len(all)+1 {
			t.Fatalf("%d events, then one more, are %d", len(all), len(again))
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add([]byte(`{"b": 1, "a": 2.0, "c": {"$": "float", "v": "nan"}}` + "\n{}\n"))
	f.Add([]byte("[1]\n"))
	f.Add([]byte(`{"a": [1, "}"], "b" : true , "c": "\u00e9", "d":-1e5,"a":null}` + "\n" + `{"a":1} ` + "\n" +
		`{"0":  {}}` + "\n" + `{"a":01}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for line := range bytes.Lines(data) {
			if row, ok := scanRow(line); ok {
				want, err := decodeRow(line)
				if d := cmp.Diff(want, row); err != nil || d != "" {
					t.Fatalf("%q (-encoding/json +scanned): %v\n%s", line, err, d)
				}
			}
		}
		rows, err := ParseTable(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, row := range rows {
			text, err := FormatRow(row)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseTable(bytes.NewReader(text))
			if err != nil || len(again) != 1 || fmt.Sprint(again[0]) == "" || len(again[0]) != len(row) {
				t.Fatalf("%s became %v: %v", text, again, err)
			}
		}
	})
}

// halfFull takes part of what is written to it while it is full.
type halfFull struct {
	*os.File
	takes int // bytes; -1 is all
}

func (f *halfFull) Write(p []byte) (int, error) {
	if f.takes < 0 {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:min(f.takes, len(p))])
	return n, errors.Join(err, syscall.ENOSPC)
}

// What a reader may have seen stays: a follower that had read events which were then taken back waited for ever for
// others at the same place.
func TestAFullDiskTakesBackNoEventThatWasRead(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "events.jsonl"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	full := &halfFull{File: file, takes: -1}
	log, err := OpenLog(full, func(run.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := NewReader(file, "")
	if err != nil {
		t.Fatal(err)
	}
	one := func() *run.Event { return &run.Event{Type: run.EventNote, Text: strings.Repeat("x", 100)} }
	full.takes = 500
	if err := log.Append(one(), one(), one(), one()); !errors.Is(err, syscall.ENOSPC) || log.Last() != 2 {
		t.Errorf("%v, and the last event is %d", err, log.Last())
	}
	var got []int64
	read := func() {
		for {
			e, err := reader.Next()
			if err != nil {
				return
			}
			got = append(got, e.N)
		}
	}
	read()
	full.takes = -1
	if err := log.Append(one()); err != nil {
		t.Fatal(err)
	}
	read()
	if want := []int64{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func FuzzReadSummary(f *testing.F) {
	f.Add([]byte(`{"v":1,"size":0,"phase":"succeeded","trials":[{"phase":"succeeded","attempt":1,` +
		`"metrics":{"a":"nan"},"returned":["a"]}]}`))
	f.Add([]byte(`{"v":1,"size":0,"phase":"failed","trials":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Run(t.TempDir())
		if err := errors.Join(os.WriteFile(r.SummaryFile(), data, 0o600),
			os.WriteFile(r.Events(), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if s, _ := r.ReadSummary(run.Spec{Name: "r-1", Completions: 2}); s != nil && !s.Phase.Final() {
			t.Errorf("a run that has not ended was summed up: %s", s.Phase)
		}
	})
}

func TestBothStreamsAreReadInTheOrderOfWriting(t *testing.T) {
	t.Parallel()
	r := Run(t.TempDir())
	if err := os.MkdirAll(r.Attempt(0, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	var order, out, errs []byte
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(r.Attempt(0, 1), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goesOver := func(stderr bool) {
		first := uint64(len(out))
		if stderr {
			first |= 1 << 63
		}
		order = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(order, first), uint64(len(errs)))
	}
	log := r.NewLog(0, 1, Stdout, Stderr)
	var text bytes.Buffer
	read := func(want string) {
		t.Helper()
		text.Reset()
		put(Stdout, out)
		put(Stderr, errs)
		if len(order) > 0 {
			put(Order, order)
		}
		if err := log.CopyTo(&text); err != nil || text.String() != want {
			t.Errorf("%q, right %q (%v)", text.String(), want, err)
		}
	}
	read("")
	out = append(out, "a "...)
	read("a ")
	goesOver(true)
	errs = append(errs, "b "...)
	goesOver(false)
	out = append(out, "c "...)
	goesOver(true)
	errs = append(errs, "d "...)
	read("b c d ")
	read("")
	goesOver(false)
	out = append(out, "e "...)
	errs = append(errs, "below Python "...)
	goesOver(true)
	read("e below Python ")
	out = append(out, "f "...)
	read("f ")
	// What is no note changes the order at most, and loses nothing.
	order = append(order, bytes.Repeat([]byte{0xff}, 40)...)
	errs = append(errs, "g"...)
	read("g")
}

func FuzzOrder(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), 3, 5)
	f.Fuzz(func(t *testing.T, order []byte, out, errs int) {
		r := Run(t.TempDir())
		if err := os.MkdirAll(r.Attempt(0, 1), 0o700); err != nil {
			t.Fatal(err)
		}
		out, errs = out&0xff, errs&0xff
		for name, data := range map[string][]byte{
			Stdout: bytes.Repeat([]byte("o"), out),
			Stderr: bytes.Repeat([]byte("e"), errs), Order: order,
		} {
			if err := os.WriteFile(filepath.Join(r.Attempt(0, 1), name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var text bytes.Buffer
		if err := r.NewLog(0, 1, Stdout, Stderr).CopyTo(&text); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text.Bytes(), []byte("o")); n != out || text.Len() != out+errs {
			t.Errorf("%d bytes of stdout and %d of stderr came out as %q", out, errs, text.String())
		}
	})
}

func TestAMirrorIsAskedForMore(t *testing.T) {
	f := Run(t.TempDir())
	never := f.Asked()
	f.Ask()
	once := f.Asked()
	f.Ask()
	if again := f.Asked(); !never.IsZero() || !once.After(never) || !again.After(once) {
		t.Errorf("asked at %s, %s and %s", never, once, again)
	}
}
