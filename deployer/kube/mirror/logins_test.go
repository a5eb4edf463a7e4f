package mirror

import (
	"testing"
	"time"
)

// tried counts how often a login that never works is tried, while time passes in steps of five seconds.
func tried(l *logins, from time.Time, lasts time.Duration, disturbs bool) (times int) {
	for now := from; now.Before(from.Add(lasts)); now = now.Add(5 * time.Second) {
		if l.looks(now) {
			l.answered(now, true)
		}
		if l.due(now, "files", time.Time{}) {
			times++
			l.failed(now, "files", disturbs)
		}
	}
	return times
}

func TestALoginThatDoesNotWorkIsTriedSeldom(t *testing.T) {
	from := time.Now()
	for _, c := range []struct {
		name     string
		lasts    time.Duration
		disturbs bool
		times    int
	}{
		{"a minute", time.Minute, true, 2},
		{"an hour", time.Hour, true, 7},
		{"a night", 12 * time.Hour, true, 18},
		{"a weekend", 64 * time.Hour, true, 70},
		{"a minute that nobody notices", time.Minute, false, 3},
		{"an hour of those", time.Hour, false, 239},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l logins
			l.begin(from, "files", time.Time{}, false)
			if times := tried(&l, from, c.lasts, c.disturbs); times != c.times {
				t.Errorf("it is tried %d times in %s, want %d", times, c.lasts, c.times)
			}
		})
	}
}

func TestALoginIsTriedAtOnceWhereItMayWork(t *testing.T) {
	from := time.Now()
	later := from.Add(12*time.Hour + time.Minute)
	for _, c := range []struct {
		name  string
		files string
		asked time.Time
		away  bool
		due   bool
	}{
		{"nothing has changed", "files", time.Time{}, false, false},
		{"a file has changed", "others", time.Time{}, false, true},
		{"somebody looks", "files", later, false, true},
		{"the network is there again", "files", time.Time{}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l logins
			l.begin(from, "files", time.Time{}, false)
			tried(&l, from, 12*time.Hour, true)
			if c.away {
				l.answered(later, false)
				if l.due(later, "others", later) {
					t.Error("it is tried without a network")
				}
			}
			l.answered(later, true)
			if due := l.due(later, c.files, c.asked); due != c.due {
				t.Errorf("due: %t", due)
			}
			if !c.due {
				return
			}
			l.failed(later, c.files, true)
			if l.due(later, c.files, c.asked) || !l.due(later.Add(loginFirst), c.files, c.asked) {
				t.Error("it is not tried again soon, and once")
			}
		})
	}
}

// A program may wait for minutes before it fails.
func TestThePauseBeginsWhenALoginHasFailed(t *testing.T) {
	var l logins
	l.waits(time.Now()) // the first is not one that is tried again
	now := time.Now()
	l.begin(now, "", now, true)
	l.failed(now, "", true)
	now = now.Add(10 * time.Minute)
	l.waits(now)
	if l.due(now, "", now.Add(-time.Hour)) || !l.due(now.Add(loginFirst), "", now.Add(-time.Hour)) {
		t.Error("it is tried at once, or not at all")
	}
}

// The cluster may not know a login any more that its program can renew.
func TestALoginThatWasNotAcceptedIsTriedAtOnce(t *testing.T) {
	var l logins
	now := time.Now()
	l.begin(now, "", now, true)
	if !l.due(now, "", now) {
		t.Error("it is not")
	}
}
