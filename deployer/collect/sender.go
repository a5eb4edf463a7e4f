package collect

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Entry is a file of a pod as it is now.
type Entry struct {
	Name string
	Size int64 // what may be sent of it
}

// Range is a part of a file that is to be sent.
type Range struct {
	File   string
	Offset int64
	Length int
}

// NoteKind is what a [Note] is about.
type NoteKind int

// The kinds of notes. Each is said once, the last for each file.
const (
	Reached   NoteKind = iota // the monitor answered
	Unreached                 // it did not for [unreachedAfter]; Text says why
	Stopped                   // File is not sent any further; Text says why
)

// Note is what a pod says of its sender.
type Note struct {
	Kind NoteKind
	File string
	Text string
}

// unreachedAfter is how long a monitor may need to start.
const unreachedAfter = 10 * time.Second

// firstPause is how long a sender waits after it could not send; it doubles each time.
const firstPause = 250 * time.Millisecond

// Sender decides what a pod sends, and when: it knows how much of each file the monitor has. It keeps no bytes; they
// are read when they are sent. One batch is on its way at a time. It is not safe for concurrent use.
type Sender struct {
	source Source
	store  string // of the last answer
	files  map[string]*sending
	turn   int // where the files that are sent begin, when not all have room

	began    time.Time
	next     time.Time // before it nothing is sent
	answered time.Time
	pause    time.Duration
	notes    []Note
	reached  bool
	missed   bool // that it is not reached was said

	ending    bool // nothing grows any more
	asking    bool // the batch on its way was made since
	confirmed bool // and such a one was answered
}

// sending is what is known of a file.
type sending struct {
	size    int64 // at the monitor, if known
	known   bool
	stopped bool // for good
	refused bool // by this store
	said    bool // that it is not sent any further
}

// over reports whether nothing more is sent of a file.
func (f *sending) over() bool { return f.stopped || f.refused }

// NewSender makes the sender of a pod. Now is when it starts.
func NewSender(now time.Time, source Source) *Sender {
	return &Sender{source: source, files: map[string]*sending{}, began: now, next: now}
}

// Plan says what to send: nothing, if ok is false. The batch may be one without pieces.
//
// Each file gets a fair share of a batch, so that a large one does not hold up the others.
func (s *Sender) Plan(now time.Time, entries []Entry) (ranges []Range, ok bool) {
	if now.Before(s.next) {
		return nil, false
	}
	s.asking = s.ending
	type part struct {
		entry Entry
		file  *sending
	}
	var parts []part
	for _, e := range entries {
		f := s.file(e)
		if f != nil && !f.over() && (!f.known || e.Size > f.size) {
			parts = append(parts, part{e, f})
		}
	}
	if len(parts) == 0 {
		return nil, s.store == "" || s.ending && !s.confirmed || now.Sub(s.answered) >= AskEvery
	}
	if len(parts) > MaxPieces {
		s.turn %= len(parts)
		parts = append(parts[s.turn:], parts[:s.turn]...)[:MaxPieces]
		s.turn += MaxPieces
	}
	pending := func(p part) int64 {
		if !p.file.known {
			return 0
		}
		return p.entry.Size - p.file.size
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(pending(a), pending(b)) })
	room := int64(MaxBatch)
	for i, p := range parts {
		r := Range{File: p.entry.Name}
		if p.file.known {
			share := room / int64(len(parts)-i)
			r.Offset, r.Length = p.file.size, int(min(pending(p), share))
			room -= int64(r.Length)
		}
		ranges = append(ranges, r)
	}
	return ranges, true
}

// file gives what is known of a file, nil where it cannot be sent.
func (s *Sender) file(e Entry) *sending {
	f := s.files[e.Name]
	if f == nil {
		if len(s.files) > MaxFiles {
			return nil // that there are too many was said
		}
		// A store that has answered would have named it: what is new has length 0 there.
		f = &sending{known: s.store != ""}
		s.files[e.Name] = f
		switch err := CheckName(e.Name); {
		case err != nil:
			f.stopped = true
			s.say(e.Name, f, err.Error())
		case len(s.files) > MaxFiles:
			f.stopped = true
			s.say(e.Name, f, fmt.Sprintf("a pod sends at most %d files; this one and those after it stay", MaxFiles))
		}
	}
	if f.known && !f.stopped && f.size > e.Size {
		f.stopped = true
		s.say(e.Name, f, fmt.Sprintf("it has %d bytes, and the monitor %d: files that become shorter are not sent",
			e.Size, f.size))
	}
	return f
}

func (s *Sender) say(name string, f *sending, text string) {
	if !f.said {
		f.said = true
		s.notes = append(s.notes, Note{Stopped, name, text})
	}
}

// Wait says how long to wait before Plan is called again.
func (s *Sender) Wait(now time.Time) time.Duration { return max(s.next.Sub(now), 0) }

// End says that no file grows any more. The next batch is due no later than [BatchEvery] from now.
func (s *Sender) End(now time.Time) {
	s.ending, s.pause = true, 0
	if soon := now.Add(BatchEvery); soon.Before(s.next) {
		s.next = soon
	}
}

// Answered notes what the monitor said to the batch.
func (s *Sender) Answered(now time.Time, a Answer) {
	wait := time.Duration(min(max(a.Wait, 0), MaxPause.Milliseconds())) * time.Millisecond
	if s.ending {
		wait = 0 // a pod ends once, and somebody waits for it
	}
	s.pause, s.answered = 0, now
	s.confirmed = s.confirmed || s.asking
	s.next = now.Add(max(wait, BatchEvery))
	if !s.reached {
		s.reached = true
		s.notes = append(s.notes, Note{Kind: Reached})
	}
	if a.Store != s.store {
		s.store = a.Store
		for _, f := range s.files {
			f.known, f.size, f.refused = false, 0, false // another store may have room
		}
	}
	for name, size := range a.Sizes {
		if f := s.files[name]; f != nil && size >= 0 {
			f.known, f.size = true, size
		}
	}
	for name, text := range a.Refused {
		if f := s.files[name]; f != nil {
			f.refused = true
			s.say(name, f, text)
		}
	}
}

// Failed notes that a batch was not answered.
func (s *Sender) Failed(now time.Time, err error) {
	s.pause = min(max(2*s.pause, firstPause), MaxPause)
	s.next = now.Add(s.pause - s.spread(s.pause/4))
	if !s.reached && !s.missed && now.Sub(s.began) >= unreachedAfter {
		s.missed = true
		s.notes = append(s.notes, Note{Kind: Unreached, Text: err.Error()})
	}
}

// spread is a part of a time that differs from pod to pod, so that they do not come at once when a monitor is back.
func (s *Sender) spread(of time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(s.source.ID))
	return of * time.Duration(h.Sum32()%256) / 256
}

// Reached reports whether the monitor has ever answered.
func (s *Sender) Reached() bool { return s.reached }

// Notes gives what is to be said, once.
func (s *Sender) Notes() []Note {
	notes := s.notes
	s.notes = nil
	return notes
}

// Done reports whether the monitor has all that could be sent, and said so since the end: what it said before may have
// been lost with its disk.
func (s *Sender) Done(entries []Entry) bool { return s.confirmed && s.Behind(entries) == 0 }

// Behind counts the files of which the monitor lacks something that could be sent.
func (s *Sender) Behind(entries []Entry) int {
	n := 0
	for _, e := range entries {
		if f := s.file(e); f != nil && !f.over() && (!f.known || f.size < e.Size) {
			n++
		}
	}
	return n
}
