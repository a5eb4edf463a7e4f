package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/report"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// listed is a run of two trials after some events.
func listed(name string, liveness run.Liveness, events ...run.Event) run.Listed {
	spec := run.Spec{Name: name, Kind: run.Train, Source: "/home/me/notebook.ipynb", Completions: 2, Created: start}
	return folded(spec, liveness, events)
}

func server(name string, liveness run.Liveness, health run.Health, events ...run.Event) run.Listed {
	spec := run.Spec{
		Name: name, Kind: run.Serve, Source: "serve.py", Created: start, Server: &run.ServerSpec{Revision: 1},
	}
	l := folded(spec, liveness, events)
	l.Health = health
	return l
}

func folded(spec run.Spec, liveness run.Liveness, events []run.Event) run.Listed {
	l := run.Listed{Spec: spec, State: run.NewState(spec), Target: run.Local, Liveness: liveness}
	for i, e := range events {
		e.Source, e.Seq, e.Time = "monitor", int64(i+1), start.Add(time.Duration(i)*time.Second)
		l.State.Apply(e)
	}
	return l
}

func ended(trial int, phase run.Phase, metrics run.Metrics) run.Event {
	return run.Event{Type: run.EventTrialEnded, Trial: &trial, Attempt: 1, State: phase, Metrics: metrics}
}

func waiting(trial int, reason run.Reason) run.Event {
	return run.Event{
		Type: run.EventTrialWaiting, Trial: &trial, Attempt: 1, Reason: reason, Text: "no room", Hint: "Make some.",
	}
}

// ready are the events of a server that answers.
var ready = []run.Event{
	{Type: run.EventServerStarting, Revision: 1},
	{Type: run.EventWorkerStarted, Revision: 1, Worker: new(0), Attempt: 1},
	{Type: run.EventWorkerReady, Revision: 1, Worker: new(0), Attempt: 1},
	{Type: run.EventServerReady, Revision: 1, Address: "http://127.0.0.1:8000/predict"},
}

func TestRunsAreListedForPeople(t *testing.T) {
	const notebook, script = "   1 min ago   notebook.ipynb", "   1 min ago   serve.py"
	begun := run.Event{Type: run.EventTrialStarted, Trial: new(0), Attempt: 1}
	for _, c := range []struct {
		name string
		run  run.Listed
		want string
	}{
		{
			"a sweep that has ended",
			listed("fit-1", run.Ended, ended(0, run.Succeeded, run.Metrics{"loss": 0.5}), ended(1, run.Failed, nil),
				run.Event{Type: run.EventEnded, State: run.Failed}),
			"fit-1   failed   2 of 2, 1 failed   loss 0.500 (0)" + notebook,
		},
		{
			"one of which all trials wait", listed("fit-6@lab/team", run.Alive,
				waiting(0, run.WaitingQuota), waiting(1, run.WaitingQuota)),
			"fit-6@lab/team   pending (2 waiting: quota)   0 of 2" + notebook,
		},
		{
			"one of which a trial waits", listed("fit-7@lab/team", run.Alive, begun, waiting(1, run.WaitingQuota)),
			"fit-7@lab/team   running   0 of 2" + notebook,
		},
		{"one that goes on", listed("fit-2", run.Alive, begun), "fit-2   running   0 of 2" + notebook},
		{
			"one whose monitor was killed", listed("fit-3", run.Dead, begun),
			"fit-3   running (its monitor is gone: metaml attach fit-3 goes on)   0 of 2" + notebook,
		},
		{
			"one in a cluster that nobody follows here", func() run.Listed {
				l := listed("fit-8@lab/team", run.Dead, begun)
				l.Target = run.Kubernetes
				return l
			}(),
			"fit-8@lab/team   running when last looked at (metaml attach fit-8@lab/team follows it)   0 of 2" +
				notebook,
		},
		{
			"one that was deleted in its cluster", func() run.Listed {
				l := listed("fit-9@lab/team", run.Ended, ended(0, run.Succeeded, nil), ended(1, run.Succeeded, nil),
					run.Event{Type: run.EventEnded, State: run.Succeeded})
				l.Target, l.Gone = run.Kubernetes, true
				return l
			}(),
			"fit-9@lab/team   succeeded (kept here; no longer in the cluster)   2 of 2" + notebook,
		},
		{
			"one of before a restart of the machine", listed("fit-4", run.Restarted, begun),
			"fit-4   failed (machine restarted: metaml resume fit-4)   0 of 2" + notebook,
		},
		{
			"one whose record cannot be read",
			run.Listed{Spec: run.Spec{Name: "fit-5"}, State: &run.State{}, Liveness: run.Damaged, Damage: "no\nspec"},
			"fit-5   damaged   no spec",
		},
		{
			"a server that answers", server("serve-1", run.Alive, run.HealthReady, ready...),
			"serve-1   ready   1 worker   http://127.0.0.1:8000/predict" + script,
		},
		{
			"a server that stands still", server("serve-2", run.Alive, run.HealthSilent, ready...),
			"serve-2   not answering   1 worker   http://127.0.0.1:8000/predict" + script,
		},
		{
			"a server that was killed", server("serve-3", run.Dead, "", ready...),
			"serve-3   dead (metaml attach serve-3 starts it again)   http://127.0.0.1:8000/predict" + script,
		},
		{"a server that was submitted now", server("serve-4", run.Alive, ""), "serve-4   starting" + script},
	} {
		t.Run(c.name, func(t *testing.T) {
			var text strings.Builder
			if err := report.Runs(&text, []run.Listed{c.run}, "", start.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			_, line, _ := strings.Cut(strings.TrimSpace(text.String()), "\n")
			if got := strings.Join(fields(line), "   "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// fields gives the columns of a line that have something.
func fields(line string) []string {
	var all []string
	for column := range strings.SplitSeq(line, "   ") {
		if column = strings.TrimSpace(column); column != "" {
			all = append(all, column)
		}
	}
	return all
}

func TestNoRunsIsASentence(t *testing.T) {
	for target, want := range map[string]string{
		"":             "no runs yet; put %%train",
		run.Kubernetes: "no runs on kubernetes are known here; metaml runs lists",
	} {
		t.Run(target, func(t *testing.T) {
			var text strings.Builder
			if err := report.Runs(&text, nil, target, start); err != nil || !strings.HasPrefix(text.String(), want) {
				t.Errorf("%q, %v", text.String(), err)
			}
		})
	}
}

func TestProgramsReadWhatPeopleDo(t *testing.T) {
	client := deployer.NewClient(t.TempDir(), nil)
	sweep := listed("fit-1", run.Ended, ended(0, run.Succeeded, run.Metrics{"loss": 0.5}), ended(1, run.Stopped, nil),
		run.Event{Type: run.EventEnded, State: run.Stopped})
	broken := listed("fit-4", run.Restarted, run.Event{Type: run.EventTrialStarted, Trial: new(0), Attempt: 1})
	entries := report.Entries(
		client,
		[]run.Listed{sweep, broken, server("serve-1", run.Alive, run.HealthReady, ready...)},
	)
	if e := entries[0]; e.State != run.Stopped || e.Done != 1 || e.Stopped != 1 || *e.Best != 0 ||
		e.Objective.Mode != "min" {
		t.Errorf("the sweep is %+v", e)
	}
	if e := entries[1]; e.State != run.Failed || e.Reason != run.ReasonRestarted || e.Best != nil {
		t.Errorf("the one of before the restart is %+v", e)
	}
	if e := entries[2]; !e.Ready || e.URL != "http://127.0.0.1:8000/predict" {
		t.Errorf("the server is %+v", e)
	}
	table := []run.Row{{{Name: "lr", Value: json.RawMessage("0.1")}}}
	d, err := report.DetailOf(t.Context(), client, &sweep, table, false)
	if err != nil {
		t.Fatal(err)
	}
	if string(d.Trials[0].Parameters) != `{"lr": 0.1}` || string(d.Trials[1].Parameters) != "{}" || d.Seconds != 2 {
		t.Errorf("trials have %s and %s, after %v s", d.Trials[0].Parameters, d.Trials[1].Parameters, d.Seconds)
	}
}

func TestProgramsReadWhyATrialWaitsAndWasTriedAgain(t *testing.T) {
	client := deployer.NewClient(t.TempDir(), nil)
	evicted := ended(1, run.Failed, nil)
	evicted.Reason, evicted.Code = run.ReasonEvicted, run.CodeDisruption
	l := listed("fit-1", run.Alive, waiting(0, run.WaitingQuota), evicted,
		run.Event{Type: run.EventTrialQueued, Trial: new(1), Attempt: 2})
	if e := report.Entries(client, []run.Listed{l})[0]; e.Waiting != 1 || e.Target != run.Local {
		t.Errorf("the run is %+v", e)
	}
	d, err := report.DetailOf(t.Context(), client, &l, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	want := report.Waiting{Reason: run.WaitingQuota, Text: "no room", Hint: "Make some.", Since: start}
	if w := d.Trials[0].Waiting; w == nil || *w != want {
		t.Errorf("trial 0 waits for %+v, want %+v", w, want)
	}
	if p := d.Trials[1].Past; len(p) != 1 || p[0].Attempt != 1 || p[0].Reason != run.ReasonEvicted {
		t.Errorf("trial 1 has the earlier attempts %+v", p)
	}
}

// In a cluster the last reports of an attempt may be in the record behind those of the next one.
func TestAHistoryIsInTheOrderOfReports(t *testing.T) {
	root := t.TempDir()
	record := folder.Run(filepath.Join(root, "fit-1"))
	if err := os.MkdirAll(string(record), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := record.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := folder.OpenLog(file, func(run.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ second, attempt int }{{1, 1}, {5, 2}, {2, 1}, {3, 1}, {6, 2}} {
		if err := log.Append(&run.Event{
			Type: run.EventTrialReport, Trial: new(0), Attempt: r.attempt,
			Time: start.Add(time.Duration(r.second) * time.Second), Metrics: run.Metrics{"loss": float64(r.second)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	l := listed("fit-1", run.Ended)
	d, err := report.DetailOf(t.Context(), deployer.NewClient(root, nil), &l, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, row := range d.History {
		got = append(got, row[4])
	}
	if want := []any{1.0, 2.0, 3.0, 5.0, 6.0}; !slices.Equal(got, want) {
		t.Errorf("the history is %v, want %v", got, want)
	}
}
