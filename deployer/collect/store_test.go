package collect

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var time0 = time.Unix(1_700_000_000, 0)

var pod1 = Source{ID: "pod-1", Trial: 1, Attempt: 1}

func openStore(t *testing.T, disk Disk, id string, limits Limits) *Store {
	t.Helper()
	store, err := OpenStore(disk, id, limits)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func take(t *testing.T, s *Store, source Source, pieces ...Piece) Answer {
	t.Helper()
	answer, err := s.Take(time0, Batch{source, pieces})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestAPieceGoesOnWhereTheFileEnds(t *testing.T) {
	disk := memory{}
	store := openStore(t, disk, "s", DefaultLimits)
	for _, c := range []struct {
		name, data string
		offset     int64
		want       string
	}{
		{"a question", "", 0, ""},
		{"the first", "abc", 0, "abc"},
		{"the next", "de", 3, "abcde"},
		{"a gap", "xyz", 7, "abcde"},
		{"twice", "de", 3, "abcde"},
		{"an overlap", "cdefg", 2, "abcdefg"},
		{"of before", "a", 0, "abcdefg"},
		{"a question later", "", 100, "abcdefg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := take(t, store, pod1, Piece{"a", c.offset, []byte(c.data)})
			if got := string(disk["sources/pod-1/a"]); got != c.want || answer.Sizes["a"] != int64(len(c.want)) {
				t.Errorf("the file is %q and the answer %d, want %q", got, answer.Sizes["a"], c.want)
			}
		})
	}
}

func TestWhatIsOverALimitIsRefusedWithASentence(t *testing.T) {
	limits := Limits{File: 10, Run: 14, Files: 2, RunFiles: 3, Sources: 2}
	pod2, pod3 := Source{ID: "pod-2"}, Source{ID: "pod-3"}
	store := openStore(t, memory{}, "s", limits)
	take(t, store, pod1, Piece{"a", 0, []byte("12345678")}, Piece{"d/b", 0, []byte("1")})
	take(t, store, pod2, Piece{"a", 0, []byte("12")})
	for _, c := range []struct {
		name   string
		source Source
		piece  Piece
		want   string
	}{
		{"a long file", pod1, Piece{"a", 8, []byte("901")}, "at most 10 bytes of a file"},
		{"a long run", pod2, Piece{"a", 2, []byte("3456")}, "at most 14 bytes of a run"},
		{"many files", pod1, Piece{"c", 0, []byte("1")}, "at most 2 files of a pod"},
		{"many files of a run", pod2, Piece{"b", 0, []byte("1")}, "at most 3 files of a run"},
		{"many pods", pod3, Piece{"a", 0, []byte("1")}, "files of 2 pods"},
		{"within", pod1, Piece{"a", 8, []byte("9")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := take(t, store, c.source, c.piece)
			if got := answer.Refused[c.piece.File]; !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	store = openStore(t, memory{}, "s", DefaultLimits)
	take(t, store, pod1, Piece{"a/b", 0, []byte("1")}, Piece{"c", 0, []byte("1")})
	for _, c := range []struct{ name, file, want string }{
		{"a folder", "a", "is a folder"},
		{"in a file", "c/d", `"c", where it would lie`},
		{"in a file further up", "c/d/e", `"c", where it would lie`},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := take(t, store, pod1, Piece{c.file, 0, []byte("1")})
			if got := answer.Refused[c.file]; !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnotherTrialUnderTheSameNameIsRefused(t *testing.T) {
	store := openStore(t, memory{}, "s", DefaultLimits)
	take(t, store, pod1, Piece{"a", 0, []byte("1")})
	_, err := store.Take(time0, Batch{Source{ID: "pod-1", Trial: 2, Attempt: 1}, []Piece{{"a", 1, []byte("2")}}})
	if !errors.Is(err, ErrNotThatSource) {
		t.Errorf("got %v", err)
	}
}

func TestAStoreThatIsOpenedAgainHasWhatTheDiskHas(t *testing.T) {
	disk := memory{}
	store := openStore(t, disk, "s", DefaultLimits)
	take(t, store, pod1, Piece{"a", 0, []byte("12345")}, Piece{"d/b", 0, []byte("67")})
	take(t, store, Source{ID: "pod-2"}, Piece{"a", 0, []byte("8")})
	disk["sources/pod-1/a"] = []byte("123")                  // torn
	disk["sources/pod-2/source.json"] = []byte(`{"id":"p`)   // its source is not known: it comes again
	disk["sources/pod-1/.new-x"] = []byte("left by a crash") // no file of a source
	disk["elsewhere"] = []byte("x")
	store = openStore(t, disk, "s2", DefaultLimits)
	want := Answer{Store: "s2", Sizes: map[string]int64{"a": 3, "d/b": 2}, Wait: 100}
	if diff := cmp.Diff(want, take(t, store, pod1, Piece{"a", 0, nil}, Piece{"d/b", 0, nil})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if store.bytes != 5 || store.files != 2 {
		t.Errorf("%d bytes in %d files, want 5 in 2", store.bytes, store.files)
	}
	if len(disk["sources/pod-2/a"]) > 0 || len(disk["elsewhere"]) == 0 {
		t.Errorf("of an unknown source %q is left, and elsewhere %q", disk["sources/pod-2/a"], disk["elsewhere"])
	}
	if got := take(t, store, Source{ID: "pod-2"}, Piece{"a", 0, []byte("8")}).Sizes["a"]; got != 1 {
		t.Errorf("the source without its file has %d bytes afterwards, want 1", got)
	}
	store = openStore(t, disk, "s3", DefaultLimits)
	if diff := cmp.Diff(Source{ID: "pod-2"}, store.sources["pod-2"].Source); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestManyPodsAreAskedToWaitLonger(t *testing.T) {
	for _, c := range []struct {
		pods int
		want time.Duration
	}{
		{1, BatchEvery},
		{25, BatchEvery},
		{50, 200 * time.Millisecond},
		{500, 2 * time.Second},
		{5000, MaxPause},
	} {
		t.Run(fmt.Sprint(c.pods), func(t *testing.T) {
			var a activity
			now := time0
			for range 3 { // it holds beyond one span
				for i := range c.pods {
					a.wait(now, fmt.Sprint(i))
				}
				now = now.Add(span)
			}
			if got := a.wait(now, "0"); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			a.wait(now.Add(3*span), "0") // the others have ended
			if got := a.wait(now.Add(6*span), "0"); got != BatchEvery {
				t.Errorf("after the others ended got %v", got)
			}
		})
	}
}

func TestAReaderThatTakesNothingIsStalled(t *testing.T) {
	store := openStore(t, memory{}, "s", DefaultLimits)
	feed := store.Feed([]Held{{"pod-1", "a", 1}})
	defer feed.Close()
	buffer := make([]byte, MaxBatch)
	if message, _, _ := feed.Message(time0, buffer, nil); len(message) > 0 || feed.Stalled(time0.Add(time.Hour)) {
		t.Fatal("there is nothing to take, and it is stalled")
	}
	take(t, store, pod1, Piece{"a", 0, []byte("123")})
	select {
	case <-feed.Wake():
	default:
		t.Error("it was not woken")
	}
	message, full, err := feed.Message(time0, buffer, nil)
	if err != nil || full {
		t.Errorf("full: %v, %v", full, err)
	}
	frames, err := DecodeFrames(message)
	if diff := cmp.Diff([]Frame{{pod1, "a", 1, []byte("23")}}, frames); diff != "" || err != nil {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
	for _, c := range []struct {
		name  string
		total int64
		bad   bool
	}{
		{"more than there was", 3, true},
		{"less than nothing", -1, true},
		{"a part", 1, false},
		{"less than before", 0, true},
		{"the same again", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := feed.Took(time0.Add(time.Second), c.total); (err != nil) != c.bad {
				t.Errorf("got %v", err)
			}
		})
	}
	if feed.Stalled(time0.Add(Patience)) || !feed.Stalled(time0.Add(Patience+time.Second)) {
		t.Error("it is stalled too early or not at all")
	}
}
