package image

import (
	"sync"
	"time"
)

// Step is one of the parts of making an image, as it is now.
type Step struct {
	Name    string        // what it is: "base", "uv", "resolve", "load", "pack", "send"
	Text    string        // what it does, for people: "resolving packages for linux/amd64"
	Done    int64         // bytes of Total, where it counts them
	Total   int64         // 0 where nobody knows
	Elapsed time.Duration // since it began
	Ended   bool
	Failed  bool // it ended so; the error says why
}

// often is how often a step says how far it is.
const often = 100 * time.Millisecond

// step does a part of the work, and says so. The function that work is given says how far it is; it may be called by
// several goroutines at a time.
func (m *Maker) step(name, text string, work func(far func(done, total int64)) error) error {
	if m.Step == nil {
		return work(func(int64, int64) {})
	}
	var turn sync.Mutex
	began := time.Now()
	s := Step{Name: name, Text: text}
	shown := began
	m.Step(s)
	err := work(func(done, total int64) {
		turn.Lock()
		defer turn.Unlock()
		now := time.Now()
		s.Done, s.Total, s.Elapsed = done, total, now.Sub(began)
		if now.Sub(shown) >= often {
			shown = now
			m.Step(s)
		}
	})
	turn.Lock()
	defer turn.Unlock()
	s.Elapsed, s.Ended, s.Failed = time.Since(began), true, err != nil
	m.Step(s)
	return err
}
