package collect

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Feed is the monitor's side of one reader: it knows how much of each file the reader was sent, and which files have
// more. It keeps no bytes: a reader that is slow costs the names of the files that grew. It is safe for concurrent use
// with its store; Message is called by one goroutine.
type Feed struct {
	store *Store
	wake  chan struct{} // one value is enough: it says to look

	// guarded by store.mu
	sent    map[string]int64 // by path; also of files that the store does not have yet, or no more
	waiting []*file          // each once
	queued  map[*file]struct{}
	out     int64     // bytes sent
	took    int64     // of which the reader said that it took them
	since   time.Time // that there was something to take, or when the reader took some last
}

// Feed begins to tell a reader of what it lacks. Whoever calls it calls [Feed.Close].
func (s *Store) Feed(has []Held) *Feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &Feed{
		store: s, wake: make(chan struct{}, 1),
		sent: make(map[string]int64, len(has)), queued: map[*file]struct{}{},
	}
	for _, h := range has {
		f.sent[pathOf(h.ID, h.File)] = h.Size
	}
	s.feeds[f] = struct{}{}
	for _, id := range slices.Sorted(maps.Keys(s.sources)) {
		from := s.sources[id]
		for _, name := range slices.Sorted(maps.Keys(from.files)) {
			f.grown(from.files[name])
		}
	}
	return f
}

// Close ends the feed.
func (f *Feed) Close() {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	delete(f.store.feeds, f)
}

// Wake has a value when Message may have something.
func (f *Feed) Wake() <-chan struct{} { return f.wake }

// grown notes that a file has more than the reader. The store's lock is held.
func (f *Feed) grown(file *file) {
	if _, ok := f.queued[file]; ok || f.sent[file.path] >= file.size {
		return
	}
	f.queued[file] = struct{}{}
	f.waiting = append(f.waiting, file)
	f.rouse()
}

func (f *Feed) rouse() {
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
}

// Message gives the next message, in buffers that are given to it: one for what is read, of [MaxBatch] bytes, and one
// for the message. It is empty when there is none, or the reader is to take some first. Files take turns. Full reports
// whether there may be more at once.
func (f *Feed) Message(now time.Time, data, message []byte) (_ []byte, full bool, err error) {
	message = message[:0]
	for range MaxPieces {
		frame, ok, err := f.next(now, data)
		if err != nil {
			return nil, false, err
		}
		if !ok {
			return message, len(data) == 0, nil
		}
		data = data[len(frame.Data):]
		message = AppendFrame(message, frame)
	}
	return message, true, nil
}

// next gives the next frame, with its data at the beginning of a buffer.
func (f *Feed) next(now time.Time, buffer []byte) (frame Frame, ok bool, err error) {
	f.store.mu.Lock()
	room := min(int64(len(buffer)), Window-(f.out-f.took))
	if len(f.waiting) == 0 || room == 0 {
		f.store.mu.Unlock()
		return Frame{}, false, nil
	}
	file := f.waiting[0]
	f.waiting = f.waiting[1:]
	delete(f.queued, file)
	offset := f.sent[file.path]
	n := min(file.size-offset, room)
	if f.out == f.took {
		f.since = now
	}
	f.out += n
	f.sent[file.path] = offset + n
	f.grown(file)
	f.store.mu.Unlock()

	// What is in a file does not change, so it is read without the lock.
	if err := f.store.disk.Read(file.path, buffer[:n], offset); err != nil {
		return Frame{}, false, fmt.Errorf("read %q: %w", file.path, err)
	}
	return Frame{file.source.Source, file.name, offset, buffer[:n]}, true, nil
}

// Empty reports whether the reader was sent everything that there is.
func (f *Feed) Empty() bool {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	return len(f.waiting) == 0
}

// Took notes how many bytes the reader has taken since it came.
func (f *Feed) Took(now time.Time, total int64) error {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	if total < f.took || total > f.out {
		return fmt.Errorf("the reader took %d bytes of %d, after %d", total, f.out, f.took)
	}
	if total > f.took {
		f.took, f.since = total, now
		f.rouse()
	}
	return nil
}

// Stalled reports whether the reader was sent something and took nothing for [Patience].
func (f *Feed) Stalled(now time.Time) bool {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	return f.out > f.took && now.Sub(f.since) >= Patience
}
