package view_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// ended is a run that is over, whose trials returned these metrics; those that are nil failed.
func ended(t *testing.T, objective string, table []run.Row, trials ...run.Metrics) (view.Facts, *run.State) {
	t.Helper()
	spec := run.Spec{Name: "fit-1", Completions: len(trials), Parallelism: 1, Created: start}
	if objective != "" {
		o, err := run.ParseObjective(objective)
		if err != nil {
			t.Fatal(err)
		}
		spec.Objective = o
	}
	s := run.NewState(spec)
	for i, metrics := range trials {
		s.Apply(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1, Time: start})
		phase := run.Succeeded
		if metrics == nil {
			phase = run.Failed
		}
		s.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: phase, Metrics: metrics,
			Time: start.Add(time.Second),
		})
	}
	s.Apply(run.Event{Type: run.EventEnded, State: s.Outcome(), Time: start.Add(time.Second)})
	return view.Facts{Spec: spec, Table: table}, s
}

func row(pairs ...string) run.Row {
	var r run.Row
	for i := 0; i < len(pairs); i += 2 {
		r = append(r, run.Param{Name: pairs[i], Value: json.RawMessage(pairs[i+1])})
	}
	return r
}

func TestWhatDecidesStandsFirstAndWhatIsTheSameStandsAbove(t *testing.T) {
	table := []run.Row{
		row("lr", "0.1", "layers", `{"$":"tuple","v":[64]}`, "n", "3"),
		row("lr", "0.01", "layers", `{"$":"tuple","v":[64]}`, "n", "3"),
	}
	facts, state := ended(t, "", table, run.Metrics{"rmse": 56.4, "a": 1}, run.Metrics{"rmse": 70.4, "a": 2})
	want := `fit-1   2 trials   succeeded in 1.0 s   best rmse 56.4 (trial 0)
the same in all: layers (64,) · n 3
trial  rmse ↓    lr  a      time
  0 ✓    56.4   0.1  1     1.0 s
  1 ✓    70.4  0.01  2     1.0 s`
	if got := view.New(facts, state, start).Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestColumnsWithoutAValueAreLeftOut(t *testing.T) {
	facts, state := ended(t, "", []run.Row{row("x", "null"), row("x", "null")}, run.Metrics{}, run.Metrics{})
	table := view.New(facts, state, start)
	if got := table.HTML(); strings.Count(got, "<th") != 2 { // trial and time
		t.Errorf("headings in %s", got)
	}
	pending := run.NewState(facts.Spec)
	if got := view.New(view.Facts{Spec: facts.Spec}, pending, start).Text(); !strings.HasSuffix(got,
		"\ntrial\n  0 ·\n  1 ·") {
		t.Errorf("before the first start:\n%s", got)
	}
}

func TestAParameterThatSomeTrialsHaveIsAColumn(t *testing.T) {
	facts, state := ended(t, "", []run.Row{row("x", "1"), row("x", "1", "y", "2"), row("y", "2")}, run.Metrics{},
		run.Metrics{}, run.Metrics{})
	if got := view.New(facts, state, start); !slices.Equal(got.Parameters, []string{"x", "y"}) ||
		len(got.Constants) > 0 {
		t.Errorf("columns %v, the same in all: %v", got.Parameters, got.Constants)
	}
}

func TestWhyNoTrialIsTheBestIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		objective string
		gave      []run.Metrics
		want      string
	}{
		"no direction": {
			gave: []run.Metrics{{"value": 1}, {"value": 2}},
			want: "the name `value` does not say whether more or less of it is better, so no trial of fit-1 is " +
				"called the best: --objective min:value or max:value",
		},
		"a typo": {
			objective: "max:accuracz", gave: []run.Metrics{{"accuracy": 1}},
			want: "--objective accuracz: the trials of fit-1 have no such metric; did you mean accuracy?",
		},
		"one trial":   {gave: []run.Metrics{{"value": 1}}},
		"no metric":   {gave: []run.Metrics{{}, {}}},
		"one is left": {gave: []run.Metrics{nil, {"value": 2}}},
		"a direction": {gave: []run.Metrics{{"mae": 1}, {"mae": 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			facts, state := ended(t, test.objective, nil, test.gave...)
			table := view.New(facts, state, start)
			if table.Undecided != test.want {
				t.Errorf("%s: %q, want %q", name, table.Undecided, test.want)
			}
			if got := strings.Count(table.Text(), "best"); test.want != "" && got > 1 ||
				strings.Contains(table.HTML(), `class="best"`) && table.BestTrial < 0 {
				t.Errorf("%s: a trial is called the best:\n%s", name, table.Text())
			}
		})
	}
}

func TestATypoInTheObjectiveIsSaidWithTheFirstTrialThatReturns(t *testing.T) {
	spec := run.Spec{
		Name: "fit-1", Completions: 9, Parallelism: 1, Objective: run.Objective{Mode: run.Max, Metric: "accuracz"},
	}
	s, first := run.NewState(spec), 0
	said := func() bool {
		return strings.Contains(view.New(view.Facts{Spec: spec}, s, start).Text(), "did you mean accuracy?")
	}
	s.Apply(run.Event{Type: run.EventTrialStarted, Trial: &first, Attempt: 1})
	if said() {
		t.Error("said before anything returned")
	}
	s.Apply(run.Event{
		Type: run.EventTrialEnded, Trial: &first, Attempt: 1, State: run.Succeeded, Metrics: run.Metrics{"accuracy": 1},
	})
	if !said() {
		t.Error("not said although a trial returned")
	}
}

func TestCoursesShareOneScale(t *testing.T) {
	spec := run.Spec{Name: "fit-1", Completions: 3, Parallelism: 3}
	s := run.NewState(spec)
	for i, values := range [][]float64{{1, 2, 3, 4}, {5, 6, 7, 8}, {1, math.NaN()}} {
		for _, v := range values {
			s.Apply(run.Event{Type: run.EventTrialReport, Trial: &i, Attempt: 1, Metrics: run.Metrics{"accuracy": v}})
		}
	}
	rows := view.New(view.Facts{Spec: spec}, s, start).Rows
	for i, want := range []string{"▁▂▃▄", "▅▆▇█", "▁ "} {
		if rows[i].Spark != want {
			t.Errorf("trial %d is %q, want %q", i, rows[i].Spark, want)
		}
	}
}

func TestOneTrialThatDivergesLeavesTheOthersReadable(t *testing.T) {
	spec := run.Spec{Name: "fit-1", Completions: 10, Parallelism: 10}
	s := run.NewState(spec)
	for i := range 10 {
		for step := range 8 {
			v := float64(step)
			if i == 9 && step == 7 {
				v = math.MaxFloat64
			}
			s.Apply(run.Event{Type: run.EventTrialReport, Trial: &i, Attempt: 1, Metrics: run.Metrics{"loss": v}})
		}
	}
	rows := view.New(view.Facts{Spec: spec}, s, start).Rows
	if got := []rune(rows[0].Spark); got[0] == got[7] {
		t.Errorf("a course is flat: %q", rows[0].Spark)
	}
}

func TestEveryTrialCanBeSeen(t *testing.T) {
	trials, table := make([]run.Metrics, 300), make([]run.Row, 300)
	for i := range trials {
		trials[i], table[i] = run.Metrics{"accuracy": float64(i) / 300}, row("x", fmt.Sprint(i), "same", "1")
	}
	facts, state := ended(t, "", table, trials...)
	html := view.New(facts, state, start).HTML()
	for _, want := range []string{
		"20 of 300 trials shown", "<summary>all 300 trials, the best first</summary>",
		`<td class="l">299 ✓<td>0.997<td>299<td>`, `<td class="l">0 ✓<td>0<td>0<td>`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in the HTML", want)
		}
	}
	facts.AllRows = true
	if got := strings.Count(view.New(facts, state, start).Text(), " ✓ "); got != 300 {
		t.Errorf("%d rows with AllRows, want 300", got)
	}
	state.Phase = run.Running
	facts.AllRows = false
	if strings.Contains(view.New(facts, state, start).HTML(), "<details>") {
		t.Error("something to unfold in a display that is updated: an update would close it")
	}
}
