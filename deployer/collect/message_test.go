package collect

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesOfFilesStayInTheirFolder(t *testing.T) {
	deep := strings.Repeat("a/", MaxDepth-1) + "a"
	for _, c := range []struct{ name, file, want string }{
		{"events", "events.jsonl", ""},
		{"a file of TensorBoard", "tensorboard/lr=0.1,bs=32/events.out.tfevents.1700000000.pod-1.7.0", ""},
		{"eight levels", deep, ""},
		{"the longest", strings.Repeat("a", MaxName), ""},
		{"none", "", "without a name"},
		{"nine levels", deep + "/a", "more than 8 levels"},
		{"too long", strings.Repeat("a", MaxName+1), "longer than 160"},
		{"upward", "../other/events.jsonl", "begins with a dot"},
		{"upward inside", "a/../../b", "begins with a dot"},
		{"absolute", "/etc/passwd", "empty"},
		{"an end that is a folder", "a/", "empty"},
		{"hidden", "a/.new-1", "begins with a dot"},
		{"of another system", `a\b`, `character '\\'`},
		{"a drive", "c:", "character ':'"},
		{"a zero byte", "a\x00b", `character '\x00'`},
		{"a line", "a\nb", `character '\n'`},
		{"no ASCII", "é", "character"},
		{"ours", "source.json", "is taken"},
		{"in ours", "source.json/a", "is taken"},
		{"like ours", "a/source.json", ""},
	} {
		t.Run(c.name, func(t *testing.T) { expectError(t, CheckName(c.file), c.want) })
	}
}

func TestSourcesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name   string
		source Source
		want   string
	}{
		{"a pod", Source{"1b4e28ba-2fa1-11d2-883f-0016d3cca427", 3, 1, 2}, ""},
		{"none", Source{}, "1 to 64"},
		{"too long", Source{ID: strings.Repeat("a", 65)}, "1 to 64"},
		{"upward", Source{ID: ".."}, "other characters"},
		{"a folder", Source{ID: "a/b"}, "other characters"},
		{"an option", Source{ID: "-a"}, "other characters"},
		{"a trial below 0", Source{ID: "a", Trial: -1}, "negative"},
	} {
		t.Run(c.name, func(t *testing.T) { expectError(t, CheckSource(c.source), c.want) })
	}
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

var aBatch = Batch{Source{"pod-1", 3, 2, 1}, []Piece{
	{"events.jsonl", 7, []byte("{}\n{\n")}, {"tb/a", 0, []byte{}}, {"stdout", 1, []byte("\x00\n")},
}}

func TestABatchIsReadAsItWasWritten(t *testing.T) {
	got, err := DecodeBatch(AppendBatch(nil, aBatch))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aBatch, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBatchesAreChecked(t *testing.T) {
	const head = `{"v":1,"id":"a"}` + "\n"
	for _, c := range []struct{ name, data, want string }{
		{"no pieces", head, ""},
		{"nothing", "", "no line"},
		{"no line", strings.Repeat("a", 2000), "no line"},
		{"no JSON", "GET /\n", "invalid character"},
		{"another version", `{"v":2,"id":"a"}` + "\n", "version 2"},
		{"no source", `{"v":1}` + "\n", "1 to 64"},
		{"a name", head + `{"file":"../a","offset":0,"length":0}` + "\n", "begins with a dot"},
		{"torn", head + `{"file":"a","offset":0,"length":3}` + "\nab", "has 3 bytes, and 2 came"},
		{"a negative length", head + `{"file":"a","offset":0,"length":-1}` + "\nab", "-1 bytes"},
		{"a negative place", head + `{"file":"a","offset":-1,"length":0}` + "\n", "is at -1"},
		{"a place that overflows", head + `{"file":"a","offset":9223372036854775807,"length":1}` + "\na", "is at 9"},
		{
			"too much", head + `{"file":"a","offset":0,"length":262145}` + "\n" + strings.Repeat("a", 262145),
			"more than",
		},
		{
			"too many pieces", head + strings.Repeat(`{"file":"a","offset":0,"length":0}`+"\n", MaxPieces+1),
			"more than",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeBatch([]byte(c.data))
			expectError(t, err, c.want)
		})
	}
}

// The largest batch that a sender makes is one that a monitor reads.
func TestTheLargestBatchHasRoom(t *testing.T) {
	b := Batch{Source: Source{strings.Repeat("a", maxID), 1 << 40, 1 << 40, 1 << 40}}
	for range MaxPieces {
		piece := Piece{strings.Repeat("a", MaxName), 1<<50 - 1, make([]byte, MaxBatch/MaxPieces)}
		b.Pieces = append(b.Pieces, piece)
	}
	data := AppendBatch(nil, b)
	if _, err := DecodeBatch(data); err != nil || len(data) > MaxBatchSize {
		t.Errorf("a batch of %d bytes: %v", len(data), err)
	}
	var message []byte
	for _, p := range b.Pieces {
		message = AppendFrame(message, Frame{b.Source, p.File, p.Offset, p.Data})
	}
	if frames, err := DecodeFrames(message); err != nil || len(frames) != MaxPieces || len(message) > MaxFramesSize {
		t.Errorf("a message of %d bytes with %d frames: %v", len(message), len(frames), err)
	}
	a := Answer{Store: strings.Repeat("a", 30), Sizes: map[string]int64{}, Refused: map[string]string{}}
	for i := range MaxPieces {
		name := strings.Repeat("a", MaxName-2) + string(rune('a'+i/8)) + string(rune('a'+i%8))
		a.Sizes[name], a.Refused[name] = 1<<50, strings.Repeat("a", 2*MaxName)
	}
	if n := len(a.Encode()); n > MaxAnswerSize {
		t.Errorf("an answer of %d bytes", n)
	}
}

func TestAReaderMaySayMuch(t *testing.T) {
	held := make([]Held, 3*heldPerHello+1)
	for i := range held {
		held[i] = Held{strings.Repeat("a", maxID), strings.Repeat("b", MaxName), 1<<50 - 1}
	}
	var got []Held
	messages := Hello(held)
	for i, message := range messages {
		part, more, err := DecodeHello(message)
		if err != nil || more != (i < len(messages)-1) || len(message) > MaxHelloSize {
			t.Fatalf("message %d of %d has %d bytes, more: %v, %v", i, len(messages), len(message), more, err)
		}
		got = append(got, part...)
	}
	if diff := cmp.Diff(held, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if messages = Hello(nil); len(messages) != 1 {
		t.Errorf("a reader that has nothing says %d messages", len(messages))
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("events.jsonl")
	f.Add("a/../b")
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil && (!filepath.IsLocal(name) || filepath.Clean(name) != name) {
			t.Errorf("%q leads elsewhere", name)
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(AppendBatch(nil, aBatch))
	f.Add([]byte(`{"v":1,"id":"a"}` + "\n" + `{"file":"a","offset":0,"length":3}` + "\nab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data)
		if err != nil {
			return
		}
		again, err := DecodeBatch(AppendBatch(nil, b))
		if diff := cmp.Diff(b, again); err != nil || diff != "" {
			t.Errorf("%v -want +got:\n%s", err, diff)
		}
		store, err := OpenStore(memory{}, "s", DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := store.Take(time0, b)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeAnswer(answer.Encode())
		if diff := cmp.Diff(answer, back); err != nil || diff != "" {
			t.Errorf("%v -want +got:\n%s", err, diff)
		}
	})
}

func FuzzDecodeFrames(f *testing.F) {
	one := AppendFrame(nil, Frame{Source{"pod-1", 3, 2, 1}, "events.jsonl", 7, []byte("{}\n")})
	f.Add(one)
	f.Add(AppendFrame(one, Frame{Source{"pod-2", 0, 0, 0}, "a", 0, nil}))
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, err := DecodeFrames(data)
		if err != nil {
			return
		}
		var message []byte
		total := 0
		for _, frame := range frames {
			total += len(frame.Data)
			message = AppendFrame(message, frame)
			if fresh, err := NewReader(nil).Fresh(frame); err == nil && len(fresh) != len(frame.Data) {
				t.Errorf("of %d bytes %d are new", len(frame.Data), len(fresh))
			}
		}
		again, err := DecodeFrames(message)
		if diff := cmp.Diff(frames, again); err != nil || diff != "" {
			t.Errorf("%v -want +got:\n%s", err, diff)
		}
		if total > MaxBatch || len(message) > MaxFramesSize {
			t.Errorf("%d bytes of files in %d", total, len(message))
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	f.Add(Hello([]Held{{"pod-1", "events.jsonl", 7}})[0])
	f.Add(EncodeTook(7))
	f.Fuzz(func(t *testing.T, data []byte) {
		if held, _, err := DecodeHello(data); err == nil && len(held) > heldPerHello {
			t.Errorf("%d files", len(held))
		}
		store, err := OpenStore(memory{}, "s", DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		total, err := DecodeTook(data)
		if err == nil && store.Feed(nil).Took(time0, total) == nil && total != 0 {
			t.Errorf("a reader took %d bytes of none", total)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	sizes, refused := map[string]int64{"a": 1}, map[string]string{"b": "no"}
	f.Add(Answer{Store: "s", Sizes: sizes, Refused: refused, Wait: 100}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := DecodeAnswer(data)
		if err != nil {
			return
		}
		// Whatever a monitor says, the sender sends within the limits, and what there is.
		s := NewSender(time0, Source{ID: "pod"})
		entries := []Entry{{"a", 10}, {"b", MaxFile}}
		s.Plan(time0, entries)
		s.Answered(time0, a)
		if wait := s.Wait(time0); wait < BatchEvery || wait > MaxPause {
			t.Errorf("it waits %v", wait)
		}
		ranges, _ := s.Plan(time0.Add(MaxPause), entries)
		total := 0
		for _, r := range ranges {
			total += r.Length
			size := map[string]int64{"a": 10, "b": MaxFile}[r.File]
			if r.Offset < 0 || r.Length < 0 || r.Offset+int64(r.Length) > size {
				t.Errorf("it sends %+v of %d bytes", r, size)
			}
		}
		if total > MaxBatch {
			t.Errorf("it sends %d bytes", total)
		}
	})
}

// memory is a disk that never fails.
type memory map[string][]byte

func (m memory) Write(name string, data []byte, offset int64) (int, error) {
	m[name] = append(m[name][:min(offset, int64(len(m[name])))], data...)
	return len(data), nil
}

func (m memory) Read(name string, p []byte, offset int64) error {
	copy(p, m[name][offset:])
	return nil
}

func (m memory) Replace(name string, data []byte) error {
	m[name] = bytes.Clone(data)
	return nil
}

func (m memory) Load(name string, _ int64) ([]byte, error) { return m[name], nil }

func (m memory) Remove(name string) error {
	delete(m, name)
	return nil
}

func (m memory) Walk(visit func(string, int64)) error {
	for name, data := range m {
		visit(name, int64(len(data)))
	}
	return nil
}
