package mirror

import "time"

const (
	loginLook  = 15 * time.Second // how often it is asked whether the cluster answers, without a login
	loginFirst = 15 * time.Second // after what time a login is tried again for the first time
	loginLast  = time.Hour        // and at most later
)

// logins says when a login is tried again that does not work. Each time may open a browser, before which nobody sits:
// so the pauses grow, and end where something has changed.
type logins struct {
	next  time.Time     // when it is tried
	pause time.Duration // the last one
	look  time.Time     // when it is asked next whether the cluster answers
	away  bool          // it does not
	files string        // that say how we log in, as they were when it was tried
	asked time.Time     // when somebody last wanted to know of the run, before it was tried
}

// begin begins with a login that did not work; atOnce has it tried now.
func (l *logins) begin(now time.Time, files string, asked time.Time, atOnce bool) {
	*l = logins{next: now, look: now, files: files, asked: asked}
	if !atOnce {
		l.pause = loginFirst
		l.next = now.Add(l.pause)
	}
}

// looks reports whether to ask now if the cluster answers.
func (l *logins) looks(now time.Time) bool { return !now.Before(l.look) }

// answered takes in whether the cluster answers. If it did not before, the login may work now.
func (l *logins) answered(now time.Time, answers bool) {
	if answers && l.away {
		l.next, l.pause = now, 0
	}
	l.away, l.look = !answers, now.Add(loginLook)
}

// due reports whether to try now.
func (l *logins) due(now time.Time, files string, asked time.Time) bool {
	if files != l.files || asked.After(l.asked) {
		l.next, l.pause, l.files, l.asked = now, 0, files, asked
	}
	return !l.away && !now.Before(l.next)
}

// waits notes that a try goes on: the pause begins when it ends.
func (l *logins) waits(now time.Time) {
	if !l.next.IsZero() {
		l.next = now.Add(l.pause)
	}
}

// failed notes that it was tried. disturbs says that it may have disturbed somebody.
func (l *logins) failed(now time.Time, files string, disturbs bool) {
	l.pause = min(max(2*l.pause, loginFirst), loginLast)
	if !disturbs {
		l.pause = loginFirst
	}
	l.next, l.files = now.Add(l.pause), files
}
