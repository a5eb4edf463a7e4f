package run

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history draws what a monitor and some agents say about a run: streams of events, each in order.
func history(t *rapid.T) [][]Event {
	start := time.Unix(1e9, 0).UTC()
	trials := rapid.IntRange(1, 4).Draw(t, "trials")
	monitor := []Event{
		{Type: EventPlanned, Completions: trials, Parallelism: 2},
		{Type: EventSubmitted},
		{Type: EventLoaded, Seconds: 1, Fork: true},
	}
	at := func() time.Time {
		return start.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "time")) * time.Second)
	}
	var follower []Event
	if rapid.Bool().Draw(t, "stop") {
		monitor = append(monitor, Event{Type: EventStopAsked})
	}
	finals := []Phase{Stopped, Failed, Succeeded}
	reasons := []Reason{ReasonException, ReasonLost, ReasonSignal, ReasonEvicted}
	var streams [][]Event
	for i := range trials {
		for attempt := 1; attempt <= rapid.IntRange(1, 3).Draw(t, "attempts"); attempt++ {
			for range rapid.IntRange(0, 2).Draw(t, "waits") {
				waiting := Event{
					Type: EventTrialWaiting, Trial: &i, Attempt: attempt, Time: at(),
					Reason: rapid.SampledFrom([]Reason{WaitingQuota, WaitingPulling, ""}).Draw(t, "waiting"),
				}
				if rapid.Bool().Draw(t, "by the monitor") {
					monitor = append(monitor, waiting)
				} else {
					follower = append(follower, waiting)
				}
			}
			begun := at()
			agent := []Event{{Type: EventTrialStarted, Trial: &i, Attempt: attempt, PID: 100*i + attempt, Time: begun}}
			if rapid.Bool().Draw(t, "never began") {
				agent = nil
			}
			for range rapid.IntRange(0, 3).Draw(t, "reports") {
				agent = append(agent, Event{
					Type: EventTrialReport, Trial: &i, Attempt: attempt, Metrics: drawMetrics(t),
					Last: rapid.Bool().Draw(t, "last"),
				})
			}
			if rapid.Bool().Draw(t, "ends") {
				agent = append(agent, Event{
					Type: EventTrialEnded, Trial: &i, Attempt: attempt,
					State: rapid.SampledFrom(finals).Draw(t, "state"), Metrics: drawMetrics(t),
					Reason: rapid.SampledFrom(reasons).Draw(t, "reason"),
					Time:   begun.Add(time.Second),
				})
			}
			if rapid.Bool().Draw(t, "given up") {
				monitor = append(monitor, Event{
					Type: EventTrialEnded, Trial: &i, Attempt: attempt, State: Failed,
					Reason: rapid.SampledFrom(reasons).Draw(t, "reason"),
					Time:   at(),
				})
			}
			if rapid.Bool().Draw(t, "queued") {
				monitor = append(monitor, Event{Type: EventTrialQueued, Trial: &i, Attempt: attempt + 1})
			}
			agent = append(agent, Event{
				Type: EventNote, Trial: &i, Code: "c", Text: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text"),
				Time: start,
			})
			streams = append(streams, agent)
		}
	}
	if rapid.Bool().Draw(t, "over") {
		monitor = append(monitor, Event{Type: EventEnded, State: Failed, Reason: ReasonException, Time: start})
		if rapid.Bool().Draw(t, "resumed") {
			monitor = append(monitor, Event{Type: EventResumed, Time: at()})
		}
	}
	streams = append(streams, monitor, follower)
	for i := range streams {
		for j := range streams[i] {
			streams[i][j].Source, streams[i][j].Seq = fmt.Sprint("source ", i), int64(j+1)
		}
	}
	return streams
}

func drawMetrics(t *rapid.T) Metrics {
	return rapid.MapOfN(rapid.SampledFrom([]string{"loss", "accuracy"}), rapid.Float64Range(0, 1), 0, 2).Draw(t,
		"metrics")
}

// interleave draws one order in which a reader may see the streams.
func interleave(t *rapid.T, streams [][]Event) []Event {
	at := make([]int, len(streams))
	var all []Event
	for {
		var left []int
		for i := range streams {
			if at[i] < len(streams[i]) {
				left = append(left, i)
			}
		}
		if len(left) == 0 {
			return all
		}
		i := rapid.SampledFrom(left).Draw(t, "next")
		all = append(all, streams[i][at[i]])
		at[i]++
	}
}

// look is what people can see of a state.
func look(s *State) string {
	text := fmt.Sprintf("%s %s %v %v %d %v %v\n", s.Phase, s.Reason, s.Ended, s.StopAsked, s.Completions, s.Outcome(),
		s.Notes)
	for i := range s.Trials {
		t := &s.Trials[i]
		text += fmt.Sprintf("%d %s %s %d %v %v %d %v %v %v %v %v %v\n", i, t.Phase, t.Reason, t.Attempt, t.Started,
			t.Ended, t.PID, t.Metrics, t.Returned, t.Series, t.LastOnly, t.Waiting, t.Past)
	}
	return text
}

func TestTheFoldDoesNotDependOnTheOrderBetweenSources(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := history(t)
		var texts []string
		for range 2 {
			s := &State{}
			for _, e := range interleave(t, streams) {
				if !s.Apply(e) {
					t.Fatalf("%v was not new", e)
				}
				if rapid.Bool().Draw(t, "again") && s.Apply(e) {
					t.Fatalf("%v counted twice", e)
				}
			}
			texts = append(texts, look(s))
		}
		if texts[0] != texts[1] {
			t.Fatalf("one order:\n%s\nanother:\n%s", texts[0], texts[1])
		}
	})
}

func TestWhatWasReturnedWinsOverWhatWasReported(t *testing.T) {
	t.Parallel()
	zero := 0
	s := NewState(Spec{Name: "r-1", Completions: 1})
	for i, e := range []Event{
		{Type: EventTrialStarted, Trial: &zero, Attempt: 1},
		{Type: EventTrialReport, Trial: &zero, Attempt: 1, Metrics: Metrics{"a": 1, "b": 2}},
		{Type: EventTrialEnded, Trial: &zero, Attempt: 1, State: Succeeded, Metrics: Metrics{"a": 3}},
		{Type: EventTrialReport, Trial: &zero, Attempt: 1, Metrics: Metrics{"a": 4, "b": 5}},
	} {
		e.Source, e.Seq = "x", int64(i+1)
		s.Apply(e)
	}
	if got := fmt.Sprint(map[string]float64(s.Trials[0].Metrics)); got != "map[a:3 b:5]" ||
		s.Trials[0].Phase != Succeeded {
		t.Errorf("%s %s", got, s.Trials[0].Phase)
	}
}

func TestAResumedRunIsRunningUntilItEndsAgain(t *testing.T) {
	t.Parallel()
	zero := 0
	s := NewState(Spec{Name: "r-1", Completions: 1})
	for i, step := range []struct {
		e    Event
		want Phase
	}{
		{Event{Type: EventTrialStarted, Trial: &zero, Attempt: 1}, Running},
		{Event{Type: EventStopAsked}, Running},
		{Event{Type: EventTrialEnded, Trial: &zero, Attempt: 1, State: Stopped}, Running},
		{Event{Type: EventEnded, State: Stopped, Reason: ReasonStopped}, Stopped},
		{Event{Type: EventResumed}, Running},
		{Event{Type: EventTrialQueued, Trial: &zero, Attempt: 2}, Running},
		{Event{Type: EventTrialStarted, Trial: &zero, Attempt: 2}, Running},
		{Event{Type: EventTrialEnded, Trial: &zero, Attempt: 2, State: Succeeded}, Running},
		{Event{Type: EventEnded, State: Succeeded}, Succeeded},
	} {
		step.e.Source, step.e.Seq = "x", int64(i+1)
		if s.Apply(step.e); s.Phase != step.want {
			t.Errorf("after %s: %s, want %s", step.e.Type, s.Phase, step.want)
		}
	}
	if s.StopAsked || s.Outcome() != Succeeded {
		t.Errorf("stop %v, outcome %s", s.StopAsked, s.Outcome())
	}
}

// What is said of the way to a cluster is what is so now: a second fault in the words of the first stands last.
func TestTheLastNoteAboutTheClusterCounts(t *testing.T) {
	t.Parallel()
	s := NewState(Spec{Name: "r-1", Completions: 1})
	for i, e := range []Event{
		{Code: NoteCluster, Text: "it does not answer"},
		{Code: NotePackages, Text: "another version"},
		{Code: NoteCluster, Text: "it answers again"},
		{Code: NoteCluster, Text: "it does not answer"},
	} {
		e.Type, e.Source, e.Seq, e.Time = EventNote, "x", int64(i+1), time.Unix(int64(i), 0)
		s.Apply(e)
	}
	if len(s.Notes) != 2 || s.Notes[0].Code != NotePackages || s.Notes[1].Text != "it does not answer" {
		t.Errorf("the notes are %+v", s.Notes)
	}
}
