package run

import (
	"fmt"
	"testing"
	"time"
)

// fold is a run of two trials after these events of one source, a second apart.
func fold(events ...Event) *State {
	s := NewState(Spec{Name: "r-1", Completions: 2})
	for i, e := range events {
		e.Source, e.Seq, e.Time = "x", int64(i+1), time.Unix(int64(i), 0).UTC()
		s.Apply(e)
	}
	return s
}

func TestATrialWaitsUntilItNeedNot(t *testing.T) {
	t.Parallel()
	quota := Event{Type: EventTrialWaiting, Trial: new(0), Attempt: 1, Reason: WaitingQuota, Text: "too much"}
	for _, c := range []struct {
		name   string
		events []Event
		want   Reason
	}{
		{"it waits", nil, WaitingQuota},
		{"for something else", []Event{
			{Type: EventTrialWaiting, Trial: new(0), Attempt: 1, Reason: WaitingPulling},
		}, WaitingPulling},
		{"for nothing", []Event{{Type: EventTrialWaiting, Trial: new(0), Attempt: 1}}, ""},
		{"another trial starts", []Event{{Type: EventTrialStarted, Trial: new(1), Attempt: 1}}, WaitingQuota},
		{"it starts", []Event{{Type: EventTrialStarted, Trial: new(0), Attempt: 1}}, ""},
		{"it reports", []Event{{Type: EventTrialReport, Trial: new(0), Attempt: 1}}, ""},
		{"it ends", []Event{{Type: EventTrialEnded, Trial: new(0), Attempt: 1, State: Failed}}, ""},
		{"it is to be tried again", []Event{{Type: EventTrialQueued, Trial: new(0), Attempt: 2}}, ""},
		{"it is to stop", []Event{{Type: EventStopAsked, Trial: new(0)}}, ""},
		{"another one is to stop", []Event{{Type: EventStopAsked, Trial: new(1)}}, WaitingQuota},
		{"the run is to stop", []Event{{Type: EventStopAsked}}, ""},
		{"the run ends", []Event{{Type: EventEnded, State: Failed}}, ""},
		{"the run is resumed", []Event{{Type: EventEnded, State: Failed}, {Type: EventResumed}}, ""},
		{"the resumed run waits", []Event{
			{Type: EventEnded, State: Failed}, {Type: EventResumed}, quota,
		}, WaitingQuota},
		{"of an attempt that is past", []Event{
			{Type: EventTrialQueued, Trial: new(0), Attempt: 2}, quota,
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := fold(append([]Event{quota}, c.events...)...)
			var got Reason
			if w := s.Trials[0].Waiting; w != nil {
				got = w.Reason
			}
			if got != c.want {
				t.Errorf("it waits for %q, want %q", got, c.want)
			}
			if c.events == nil && s.Phase != Pending {
				t.Errorf("the run is %s before a trial has started", s.Phase)
			}
		})
	}
}

func TestAnAttemptIsRememberedByItsEnd(t *testing.T) {
	t.Parallel()
	end := func(attempt int, reason Reason) Event {
		return Event{Type: EventTrialEnded, Trial: new(0), Attempt: attempt, State: Failed, Reason: reason}
	}
	for _, c := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"the only one", []Event{end(1, ReasonEvicted)}, "[]"},
		{"one before the next", []Event{
			end(1, ReasonEvicted), {Type: EventTrialQueued, Trial: new(0), Attempt: 2},
		}, "[1 evicted]"},
		{"one whose end is reported late", []Event{
			{Type: EventTrialStarted, Trial: new(0), Attempt: 3}, end(2, ReasonMemory), end(1, ReasonEvicted),
		}, "[1 evicted 2 memory]"},
		{"one that nobody saw end", []Event{
			{Type: EventTrialStarted, Trial: new(0), Attempt: 1}, {Type: EventTrialStarted, Trial: new(0), Attempt: 2},
		}, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range fold(c.events...).Trials[0].Past {
				got = append(got, fmt.Sprint(p.Attempt, " ", p.Reason))
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

func TestOnlyTheLatestAttemptsAreRemembered(t *testing.T) {
	t.Parallel()
	var events []Event
	for i := range 3 * maxPast {
		events = append(events, Event{Type: EventTrialEnded, Trial: new(0), Attempt: i + 1, State: Failed})
	}
	past := fold(events...).Trials[0].Past
	if len(past) != maxPast || past[maxPast-1].Attempt != 3*maxPast-1 {
		t.Errorf("%d are remembered, the last %+v", len(past), past[len(past)-1])
	}
}
