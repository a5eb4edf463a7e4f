package run

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever of what the log says comes when, the course is complete as far as the monitor has sent it, and the last
// values are the latest of both.
func TestReportsOfTwoWaysAreOneCourse(t *testing.T) {
	zero := 0
	at := func(n int) time.Time { return time.Unix(1000, 0).Add(time.Duration(n) * time.Second / 10) }
	every := func(n int) Event {
		return Event{
			Type:    EventTrialReport,
			Trial:   &zero,
			Attempt: 1,
			Time:    at(n),
			Metrics: Metrics{"loss": float64(n)},
		}
	}
	last := func(n int) Event { e := every(n); e.Last = true; return e }
	for _, c := range []struct {
		name     string
		events   []Event
		course   []float64
		lastOnly bool
	}{
		{"all of them", []Event{every(1), every(2), every(3)}, []float64{1, 2, 3}, false},
		{"the log alone", []Event{last(10), last(20)}, []float64{10, 20}, true},
		{"the log after", []Event{every(1), every(2), last(2)}, []float64{1, 2}, false},
		{"the log first", []Event{last(3), every(1), every(2), every(3)}, []float64{1, 2, 3}, false},
		{"the log ahead", []Event{last(3), every(1), every(2)}, []float64{1, 2, 3}, true},
		{"the log goes on", []Event{every(1), every(2), last(10), last(20)}, []float64{1, 2, 10, 20}, true},
		{
			"a part of the log is overtaken",
			[]Event{last(2), last(4), every(1), every(2), every(3)},
			[]float64{1, 2, 3, 4},
			true,
		},
		{"what is late is no news", []Event{every(5), last(4)}, []float64{5}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewState(Spec{Name: "r-1", Completions: 1})
			for _, e := range c.events {
				s.Apply(e)
			}
			trial := &s.Trials[0]
			got := trial.Series["loss"].Values
			if !slices.Equal(got, c.course) || trial.LastOnly != c.lastOnly {
				t.Errorf("the course is %v (last values only: %v), want %v (%v)", got, trial.LastOnly, c.course,
					c.lastOnly)
			}
			if want := c.course[len(c.course)-1]; trial.Metrics["loss"] != want {
				t.Errorf("the last value is %v, want %v", trial.Metrics["loss"], want)
			}
		})
	}
}

// However the two ways are mixed, nothing of the log is left once the monitor has sent everything.
func TestACourseIsCompleteInTheEnd(t *testing.T) {
	zero := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(10*seriesPoints)
		want, got := NewState(Spec{Completions: 1}), NewState(Spec{Completions: 1})
		report := func(i int) Event {
			m := Metrics{"loss": float64(i)}
			if i%3 == 0 {
				m["accuracy"] = float64(i) / 2
			}
			return Event{
				Type: EventTrialReport, Trial: &zero, Attempt: 1, Time: time.Unix(int64(i), 0), Metrics: m,
			}
		}
		for i := range n {
			want.Apply(report(i))
		}
		sent, logged := 0, 0
		for sent < n {
			if logged < n && r.IntN(2) == 0 {
				e := report(logged)
				e.Last = true
				got.Apply(e)
				logged += 1 + r.IntN(20)
				continue
			}
			for range min(r.IntN(30), n-sent) {
				got.Apply(report(sent))
				sent++
			}
		}
		if a, b := look(want), look(got); a != b {
			t.Fatalf("seed %d: without the log\n%s\nwith it\n%s", seed, a, b)
		}
	}
}
