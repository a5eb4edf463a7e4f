package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// raised is a trial that failed at a line of the user's code.
func raised(index, line int, text string) run.Trial {
	return run.Trial{Index: index, Phase: run.Failed, Reason: run.ReasonException, Error: &run.Error{
		Type: "ValueError", Text: text, Frames: []run.Frame{{File: "main.py", Line: line, Function: "f", Mine: true}},
	}}
}

func shown(due []*Failure) []string {
	var all []string
	for _, f := range due {
		all = append(all, f.Heading())
	}
	return all
}

func TestFailuresThatAreAlikeAreToldOnce(t *testing.T) {
	now := time.Unix(0, 0)
	for _, c := range []struct {
		what   string
		phase  run.Phase
		trials []run.Trial
		later  time.Duration
		want   []string
	}{
		{
			"all fail alike: the end of the cell says it", run.Failed,
			[]run.Trial{raised(0, 3, "no 0"), raised(1, 3, "no 1"), raised(2, 3, "no 2")},
			0, nil,
		},
		{
			"some fail alike", run.Succeeded,
			[]run.Trial{raised(0, 3, "no"), {Phase: run.Succeeded}, raised(2, 3, "no")},
			0,
			[]string{"trials 0 and 2 failed alike"},
		},
		{
			"in several ways", run.Succeeded,
			[]run.Trial{raised(0, 3, "no"), {Phase: run.Succeeded}, raised(2, 4, "no")},
			0,
			[]string{"trial 0 failed", "trial 2 failed"},
		},
		{
			"all in several ways: the end of the cell says the first", run.Failed,
			[]run.Trial{raised(0, 3, "no"), raised(1, 4, "no")},
			0,
			[]string{"trial 1 failed"},
		},
		{
			"while nothing succeeded", run.Running,
			[]run.Trial{raised(0, 3, "no"), {Phase: run.Running}},
			time.Second,
			nil,
		},
		{
			"while nothing succeeded for long", run.Running,
			[]run.Trial{raised(0, 3, "no"), {Phase: run.Running}},
			time.Minute,
			[]string{"trial 0 failed"},
		},
		{
			"while others succeed", run.Running,
			[]run.Trial{raised(0, 3, "no"), {Phase: run.Succeeded}, {Phase: run.Running}},
			0,
			[]string{"trial 0 failed"},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := &run.State{Phase: c.phase, Trials: c.trials}
			var f failures
			for i := range s.Trials {
				if s.Trials[i].Phase == run.Failed {
					f.add(&s.Trials[i], now)
				}
			}
			if got := shown(f.due(s, now.Add(c.later))); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("shown %q, right %q", got, c.want)
			}
			if again := f.due(s, now.Add(c.later)); len(again) > 0 {
				t.Errorf("shown twice: %q", shown(again))
			}
		})
	}
}

func TestManyTrialsThatFailedAlikeAreCounted(t *testing.T) {
	f := Failure{}
	for i := range 9 {
		f.trials = append(f.trials, 8-i)
	}
	if got := f.Heading(); got != "trials 0, 1, 2, 3, 4, 5 and 3 more failed alike" {
		t.Error(got)
	}
}
