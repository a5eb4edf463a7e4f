package run

import (
	"cmp"
	"slices"
)

// PastAttempt is how an attempt of a trial ended that another one followed.
type PastAttempt struct {
	Attempt int // from 1
	State   Phase
	Reason  Reason
	Text    string // what happened, where an exception is not it

	ended origin
}

// maxPast bounds the attempts that a state remembers of a trial. The latest say most.
const maxPast = 16

// remember takes in the end of an attempt that is not the trial's highest. Of several ends the one counts that would
// have counted while it was the highest.
func (t *Trial) remember(p PastAttempt) {
	if !p.State.Final() || p.Attempt < 1 {
		return
	}
	at, known := slices.BinarySearchFunc(t.Past, p.Attempt, func(q PastAttempt, n int) int {
		return cmp.Compare(q.Attempt, n)
	})
	switch {
	case !known:
		t.Past = slices.Insert(t.Past, at, p)
		t.Past = t.Past[max(len(t.Past)-maxPast, 0):]
	case cmp.Or(cmp.Compare(order[p.State], order[t.Past[at].State]), t.Past[at].ended.compare(p.ended)) > 0:
		t.Past[at] = p
	}
}

// KnowsEnd reports whether it is known how an attempt before the highest ended. Of those for which there is no place
// any more it is taken to be known.
func (t *Trial) KnowsEnd(attempt int) bool {
	at, known := slices.BinarySearchFunc(t.Past, attempt, func(q PastAttempt, n int) int {
		return cmp.Compare(q.Attempt, n)
	})
	return known || at == 0 && len(t.Past) == maxPast
}
