package collect

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answered is a sender that knows that the monitor has nothing of these files.
func answered(t *testing.T, entries []Entry) *Sender {
	t.Helper()
	s := NewSender(time0, pod1)
	a := Answer{Store: "s", Sizes: map[string]int64{}}
	ranges, ok := s.Plan(time0, entries)
	for _, r := range ranges {
		if r.Length > 0 || !ok {
			t.Fatalf("before it knows what the monitor has it sends %+v", r)
		}
		a.Sizes[r.File] = 0
	}
	s.Answered(time0, a)
	s.Notes()
	return s
}

func TestALargeFileDoesNotHoldUpTheOthers(t *testing.T) {
	entries := []Entry{{"big", 1 << 20}, {"events.jsonl", 300}, {"large", 1 << 19}, {"small", 50}}
	s := answered(t, entries)
	got, _ := s.Plan(time0.Add(BatchEvery), entries)
	rest := MaxBatch - 350
	want := []Range{{"small", 0, 50}, {"events.jsonl", 0, 300}, {"large", 0, rest / 2}, {"big", 0, rest / 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestManyFilesTakeTurns(t *testing.T) {
	var entries []Entry
	for i := range 3 * MaxPieces {
		entries = append(entries, Entry{fmt.Sprintf("f%03d", i), 1})
	}
	s := answered(t, nil)
	now, seen := time0, map[string]bool{}
	for range 3 {
		now = now.Add(BatchEvery)
		ranges, _ := s.Plan(now, entries)
		if len(ranges) != MaxPieces {
			t.Fatalf("%d pieces", len(ranges))
		}
		for _, r := range ranges {
			seen[r.File] = true
		}
		s.Answered(now, Answer{Store: "s"})
	}
	if len(seen) != len(entries) {
		t.Errorf("of %d files %d were sent", len(entries), len(seen))
	}
}

func TestASenderIsNoFasterThanItMay(t *testing.T) {
	s := answered(t, nil)
	for _, c := range []struct {
		name string
		wait int64
		want time.Duration
	}{
		{"nothing said", 0, BatchEvery},
		{"less than it may", -5, BatchEvery},
		{"longer", 700, 700 * time.Millisecond},
		{"too long", 1 << 62, MaxPause},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Answered(time0, Answer{Store: "s", Wait: c.wait})
			if got := s.Wait(time0); got != c.want {
				t.Errorf("it waits %v, want %v", got, c.want)
			}
			if _, ok := s.Plan(time0.Add(c.want-1), []Entry{{"a", 1}}); ok {
				t.Error("it sends before")
			}
		})
	}
}

func TestPausesGrowWhileNobodyAnswers(t *testing.T) {
	s := NewSender(time0, pod1)
	var notes []Note
	now, longest := time0, time.Duration(0)
	for range 20 {
		s.Failed(now, errors.New("connection refused"))
		if wait := s.Wait(now); wait < longest || wait > MaxPause {
			t.Errorf("after %v it waits %v", longest, wait)
		} else {
			longest = wait
		}
		now = now.Add(s.Wait(now))
		notes = append(notes, s.Notes()...)
	}
	s.Answered(now, Answer{Store: "s"})
	s.Answered(now, Answer{Store: "s"})
	notes = append(notes, s.Notes()...)
	want := []Note{{Kind: Unreached, Text: "connection refused"}, {Kind: Reached}}
	if diff := cmp.Diff(want, notes); diff != "" || longest < MaxPause*3/4 {
		t.Errorf("it waits up to %v, -want +got:\n%s", longest, diff)
	}
}

func TestAnotherStoreIsAskedAgain(t *testing.T) {
	entries := []Entry{{"a", 10}, {"b", 10}, {"full", 10}}
	s := answered(t, entries)
	now := time0.Add(BatchEvery)
	s.Plan(now, entries)
	s.Answered(now, Answer{
		Store: "s", Sizes: map[string]int64{"a": 10, "b": 10, "full": 0}, Refused: map[string]string{"full": "no room"},
	})
	if diff := cmp.Diff([]Note{{Stopped, "full", "no room"}}, s.Notes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if now = now.Add(AskEvery - 1); s.Behind(entries) != 0 {
		t.Errorf("it is behind with %d files", s.Behind(entries))
	}
	if _, ok := s.Plan(now, entries); ok {
		t.Error("it sends though nothing is new")
	}
	now = now.Add(1)
	if ranges, ok := s.Plan(now, entries); !ok || len(ranges) > 0 {
		t.Errorf("after %v it asks: %v, with %v", AskEvery, ok, ranges)
	}
	s.Answered(now, Answer{Store: "s2"})
	ranges, _ := s.Plan(now.Add(BatchEvery), entries)
	if diff := cmp.Diff([]Range{{"a", 0, 0}, {"b", 0, 0}, {"full", 0, 0}}, ranges); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.Answered(now, Answer{Store: "s2", Refused: map[string]string{"full": "no room"}})
	if notes := s.Notes(); len(notes) > 0 {
		t.Errorf("it says again: %+v", notes)
	}
}

func TestFilesThatCannotBeSentAreSaidOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries func(i int) []Entry
		want    string
	}{
		{"a name", func(int) []Entry { return []Entry{{"a b", 1}} }, "a b"},
		{"a file that became shorter", func(i int) []Entry { return []Entry{{"a", int64(10 - i)}} }, "a"},
		{"too many", func(int) []Entry {
			var entries []Entry
			for i := range MaxFiles + 5 {
				entries = append(entries, Entry{fmt.Sprintf("f%04d", i), 1})
			}
			return entries
		}, "f1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := answered(t, nil)
			now := time0
			var notes []Note
			for i := range 5 {
				now = now.Add(AskEvery)
				answer := Answer{Store: "s", Sizes: map[string]int64{}}
				ranges, _ := s.Plan(now, c.entries(i))
				for _, r := range ranges {
					answer.Sizes[r.File] = r.Offset + int64(r.Length)
				}
				s.Answered(now, answer)
				notes = append(notes, s.Notes()...)
			}
			if len(notes) != 1 || notes[0].File != c.want || notes[0].Kind != Stopped {
				t.Errorf("it says %+v", notes)
			}
		})
	}
}

func TestAPodThatEndsAsksOnceMore(t *testing.T) {
	entries := []Entry{{"a", 10}}
	s := answered(t, entries)
	now := time0.Add(BatchEvery)
	s.Plan(now, entries)
	s.Answered(now, Answer{Store: "s", Sizes: map[string]int64{"a": 10}, Wait: 5000})
	s.End(now)
	if s.Done(entries) {
		t.Error("it is done though the monitor said nothing since")
	}
	now = now.Add(BatchEvery)
	if _, ok := s.Plan(now, entries); !ok {
		t.Fatal("it does not ask")
	}
	s.Answered(now, Answer{Store: "s", Wait: 5000})
	if !s.Done(entries) {
		t.Error("it is not done")
	}
	if wait := s.Wait(now); wait != BatchEvery {
		t.Errorf("while somebody waits for its end it waits %v", wait)
	}
}
