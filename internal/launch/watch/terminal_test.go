package watch

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

func tableOf(t *testing.T, phases ...run.Phase) *view.Table {
	t.Helper()
	spec := run.Spec{Name: "train-1", Completions: len(phases), Parallelism: 1}
	s := run.NewState(spec)
	for i, p := range phases {
		switch {
		case p == run.Running:
			s.Apply(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1, Time: time.Unix(100, 0)})
		case p.Final():
			s.Apply(run.Event{Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: p, Time: time.Unix(101, 0)})
		}
	}
	return view.New(view.Facts{Spec: spec}, s, time.Unix(102, 0))
}

func TestATerminalIsRedrawnInPlace(t *testing.T) {
	var out bytes.Buffer
	l := &live{out: &out, width: 80, height: 24}
	for range 2 {
		if err := l.show(tableOf(t, run.Succeeded, run.Running)); err != nil {
			t.Fatal(err)
		}
	}
	first, second, found := strings.Cut(out.String(), "\x1b[5A\r")
	if !found || strings.Count(first, "\n") != 5 || strings.Count(second, "\n") != 5 {
		t.Errorf("the second Drawing does not go back over the first:\n%q", out.String())
	}
}

func TestAPipeGetsALineForEachChange(t *testing.T) {
	var out bytes.Buffer
	l := &lines{out: &out}
	for _, phases := range [][]run.Phase{
		{run.Running, run.Pending},
		{run.Running, run.Pending},
		{run.Succeeded, run.Running},
	} {
		if err := l.show(tableOf(t, phases...)); err != nil {
			t.Fatal(err)
		}
	}
	var trials []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, ": trial ") {
			trials = append(trials, strings.Join(strings.Fields(line)[2:4], " "))
		}
	}
	if got, want := strings.Join(trials, ", "), "0 running, 0 succeeded, 1 running"; got != want {
		t.Errorf("got %q, want %q\n%s", got, want, out.String())
	}
}

func TestAPipeGetsOnceWhatTrialsWaitFor(t *testing.T) {
	t.Parallel()
	waiting := func(trial int, reason run.Reason, text string) run.Event {
		return run.Event{
			Type: run.EventTrialWaiting, Trial: &trial, Attempt: 1, Reason: reason, Text: text, Time: time.Unix(100, 0),
		}
	}
	s := run.NewState(run.Spec{Name: "train-1", Completions: 4, Parallelism: 4})
	var out bytes.Buffer
	l := &lines{out: &out}
	for _, e := range []run.Event{
		waiting(0, run.WaitingQuota, "there is no room"), waiting(1, run.WaitingQuota, "there is no room"),
		waiting(2, run.WaitingQuota, "there is no room"), waiting(3, run.WaitingStarting, ""),
		waiting(3, run.WaitingImage, "there is no image"),
	} {
		s.Apply(e)
		if err := l.show(view.New(view.Facts{Spec: run.Spec{Name: "train-1"}}, s, time.Unix(102, 0))); err != nil {
			t.Fatal(err)
		}
	}
	_, got, _ := strings.Cut(out.String(), "train-1: ")
	want := "trial 0 pending  there is no room\ntrain-1   0 of 4 trials   4 at a time   0 ms\n" +
		"2 trials wait: there is no room\ntrain-1: trial 3 pending  there is no image\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
