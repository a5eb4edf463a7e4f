package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

const gpus = "no node has 2 free GPUs (--gpu 2)"

// clustered is a run elsewhere after these events, a second apart.
func clustered(trials int, events ...run.Event) (view.Facts, *run.State) {
	spec := run.Spec{Name: "fit-1@lab/default", Completions: trials, Parallelism: 4, Created: start}
	s := run.NewState(spec)
	for i, e := range events {
		e.Source, e.Seq, e.Time = "mirror", int64(i+1), start.Add(time.Duration(i+1)*time.Second)
		s.Apply(e)
	}
	return view.Facts{Spec: spec, Interrupt: "detach"}, s
}

func waits(trial int, reason run.Reason, text, hint string) run.Event {
	return run.Event{Type: run.EventTrialWaiting, Trial: &trial, Attempt: 1, Reason: reason, Text: text, Hint: hint}
}

func started(trial, attempt int) run.Event {
	return run.Event{Type: run.EventTrialStarted, Trial: &trial, Attempt: attempt}
}

func failed(trial, attempt int, reason run.Reason, text, hint string) run.Event {
	return run.Event{
		Type: run.EventTrialEnded, Trial: &trial, Attempt: attempt, State: run.Failed, Reason: reason, Text: text,
		Hint: hint,
	}
}

func TestATableOfACluster(t *testing.T) {
	events := []run.Event{
		started(0, 1),
		{
			Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, State: run.Succeeded,
			Metrics: run.Metrics{"accuracy": 0.972},
		},
		started(1, 1), failed(1, 1, run.ReasonEvicted, "", ""), started(1, 2),
		started(2, 1), failed(2, 1, run.ReasonMemory, "killed for memory at 2.0 of 2 GiB", "Try --memory 4Gi."),
	}
	const ask = "Ask for fewer with --gpu, or whoever runs the cluster for more."
	for i := 3; i < 7; i++ {
		events = append(events, waits(i, run.WaitingUnschedulable, gpus, ask))
	}
	events = append(events, waits(7, run.WaitingImage, "registry.example/fit:1 is not there",
		"Push it, or name another with --image."))
	facts, state := clustered(8, events...)
	for i := range 8 {
		facts.Table = append(facts.Table, row("lr", fmt.Sprintf("%g", 0.1+float64(i))))
	}
	table := view.New(facts, state, start.Add(42*time.Second))
	golden(t, "cluster.txt", table.Text()+"\n")
	golden(t, "cluster.html", "<!doctype html><meta charset=utf-8>\n"+table.HTML()+"\n")
	golden(t, "cluster-terminal.txt", strings.Join(table.Terminal(80, 40, false), "\n")+"\n")
}

func TestWhatTrialsWaitForIsSaidOnce(t *testing.T) {
	pulling := func(trial int) run.Event { return waits(trial, run.WaitingPulling, "an image of 5 GB", "") }
	stuck := func(trial int) run.Event { return waits(trial, run.WaitingUnschedulable, gpus, "") }
	for _, c := range []struct {
		name     string
		trials   int
		events   []run.Event
		lines    []string
		rows     []string // trial and what its row says
		headline string
	}{
		{
			"all for the same", 3,
			[]run.Event{stuck(0), stuck(1), stuck(2)},
			[]string{"3 trials wait: " + gpus},
			nil, "4.0 s",
		},
		{
			"one alone", 2, []run.Event{started(0, 1), stuck(1)}, nil, []string{"1 " + gpus}, "3.0 s",
		},
		{
			"two things", 4,
			[]run.Event{
				stuck(0), waits(1, run.WaitingQuota, "", ""), waits(2, run.WaitingQuota, "", ""), stuck(3),
			},
			[]string{"2 trials wait: " + gpus, "2 trials wait: quota"},
			nil, "5.0 s",
		},
		{
			"many things", 8,
			[]run.Event{
				waits(0, "a", "", ""), waits(1, "a", "", ""), waits(2, "b", "", ""), waits(3, "b", "", ""),
				waits(4, "c", "", ""), waits(5, "c", "", ""), waits(6, "d", "", ""), waits(7, "d", "", ""),
			},
			[]string{
				"2 trials wait: a", "2 trials wait: b", "2 trials wait: c",
				"2 more trials wait for other things: metaml show fit-1@lab/default",
			},
			nil, "9.0 s",
		},
		{
			"all for what passes", 2, []run.Event{pulling(0), pulling(1)}, nil, nil, "pulling the image   3.0 s",
		},
		{
			"some for what passes", 3,
			[]run.Event{started(0, 1), pulling(1), pulling(2)},
			nil, nil,
			"2 pulling the image   4.0 s",
		},
		{
			"one for what passes", 2,
			[]run.Event{started(0, 1), pulling(1)},
			nil,
			[]string{"1 pulling the image"},
			"3.0 s",
		},
		{
			"one that has no row", 30,
			[]run.Event{started(0, 1), stuck(29)},
			[]string{"trial 29 waits: " + gpus},
			nil,
			"3.0 s",
		},
		{
			"pages of text", 2,
			[]run.Event{
				waits(0, run.WaitingAdmission, strings.Repeat("x", 9000), ""),
				waits(1, run.WaitingAdmission, strings.Repeat("x", 9000), ""),
			},
			[]string{"2 trials wait: " + strings.Repeat("x", 299) + "…"},
			nil, "3.0 s",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, state := clustered(c.trials, c.events...)
			table := view.New(facts, state, start.Add(time.Duration(len(c.events)+1)*time.Second))
			if got := table.WaitLines(); !slices.Equal(got, c.lines) {
				t.Errorf("lines %q, want %q", got, c.lines)
			}
			var rows []string
			for _, r := range table.Rows {
				if r.Waiting != "" {
					rows = append(rows, fmt.Sprint(r.Trial, " ", r.Waiting))
				}
			}
			if !slices.Equal(rows, c.rows) {
				t.Errorf("rows %q, want %q", rows, c.rows)
			}
			if got := table.Headline(); !strings.HasSuffix(got, "4 at a time   "+c.headline) &&
				!strings.HasSuffix(got, fmt.Sprint(c.trials)+" at a time   "+c.headline) {
				t.Errorf("the headline is %q, want %q at its end", got, c.headline)
			}
		})
	}
}

func TestHowLongIsLeftIsUnknownWhileNothingCanStart(t *testing.T) {
	events := []run.Event{
		started(0, 1),
		{Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, State: run.Succeeded},
		waits(1, run.WaitingUnschedulable, gpus, ""),
	}
	facts, state := clustered(3, events...)
	if left := view.New(facts, state, start.Add(time.Minute)).Left; left != 0 {
		t.Errorf("%v are left although nothing runs", left)
	}
	facts, state = clustered(3, append(events, started(2, 1))...)
	if left := view.New(facts, state, start.Add(time.Minute)).Left; left == 0 {
		t.Error("nothing is known although a trial runs")
	}
}

func TestWhyATrialOfAClusterEnded(t *testing.T) {
	interrupted := &run.Error{Type: "KeyboardInterrupt"}
	for _, c := range []struct {
		name  string
		trial run.Trial
		want  string
	}{
		{"memory", run.Trial{Reason: run.ReasonMemory}, "killed for using more memory than it may"},
		{"memory, measured", run.Trial{Reason: run.ReasonMemory, Text: "killed at 2 GiB"}, "killed at 2 GiB"},
		{"evicted", run.Trial{Reason: run.ReasonEvicted, Error: interrupted}, "evicted from its node"},
		{"deleted", run.Trial{Reason: run.ReasonDeleted, Error: interrupted}, "it was deleted from the cluster"},
		{"image", run.Trial{Reason: run.ReasonImage}, "nothing can run in its image"},
		{
			"image, with an exception", run.Trial{
				Reason: run.ReasonImage, Error: &run.Error{Type: "ImportError", Text: "no numpy"},
			}, "ImportError: no numpy",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := view.Cause(&c.trial); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestASentenceIsWrappedOnATerminal(t *testing.T) {
	facts, state := clustered(2, waits(0, run.WaitingQuota, strings.Repeat("much too much ", 30), ""),
		waits(1, run.WaitingQuota, strings.Repeat("much too much ", 30), ""))
	lines := view.New(facts, state, start).Terminal(40, 24, false)
	text := strings.Join(lines, "\n")
	if strings.Count(text, "much") < 12 || !strings.Contains(text, "…") {
		t.Errorf("not as much of it as fits into three lines:\n%s", text)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
}

func TestWhatToDoIsSaidOnceForAllThatItHelps(t *testing.T) {
	const more = "Try --memory 4Gi."
	facts, state := clustered(5, failed(0, 1, run.ReasonMemory, "killed at 2 GiB", more), started(1, 1),
		failed(2, 1, run.ReasonMemory, "killed at 1.9 GiB", more),
		waits(3, run.WaitingStorage, "the volume a is not there", "Ask for it."),
		waits(4, run.WaitingStorage, "the volume b is not there", "Ask for it."))
	got := view.New(facts, state, start).Remarks()
	if want := []string{"2 trials: " + more, "2 trials: Ask for it."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
