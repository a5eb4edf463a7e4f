package view_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// long is a run of many trials, half of which have ended.
func long(trials int) (view.Facts, *run.State) {
	spec := run.Spec{Name: "train-model-1", Completions: trials, Parallelism: 4, Created: start}
	state := run.NewState(spec)
	var table []run.Row
	for i := range trials {
		table = append(table, row("lr", fmt.Sprint(0.001*float64(i)), "layers", fmt.Sprint(i%7), "dropout", "0.5",
			"name", `"a"`))
		state.Apply(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1, Time: start})
		for step := range 20 {
			metrics := run.Metrics{"loss": 1 / float64(i+step+1), "accuracy": float64(step) / 20}
			at := float64(step)
			state.Apply(run.Event{
				Type: run.EventTrialReport, Trial: &i, Attempt: 1, Step: &at, Metrics: metrics, Time: start,
			})
		}
		if i%2 == 0 {
			state.Apply(run.Event{
				Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: run.Succeeded, Time: start.Add(time.Second),
				Metrics: run.Metrics{"accuracy": float64(i%100) / 100, "loss": 0.5},
			})
		}
	}
	return view.Facts{Spec: spec, Table: table}, state
}

// BenchmarkHTML draws a table as it stands under a cell, of which 20 rows are shown, and one with all rows.
func BenchmarkHTML(b *testing.B) {
	for _, trials := range []int{20, 200} {
		facts, state := long(trials)
		facts.AllRows = true
		table := view.New(facts, state, start.Add(time.Minute))
		b.Run(fmt.Sprintf("%d rows", trials), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = table.HTML()
			}
		})
	}
	facts, state := long(200)
	b.Run("from the state", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = view.New(facts, state, start.Add(time.Minute)).HTML()
		}
	})
}

// BenchmarkWaiting draws a run of which every trial waits for a reason of its own.
func BenchmarkWaiting(b *testing.B) {
	var events []run.Event
	for i := range 1000 {
		events = append(events, waits(i, run.WaitingStorage, fmt.Sprint("volume ", i), "Ask for it."))
	}
	facts, state := clustered(1000, events...)
	facts.AllRows = true
	b.ReportAllocs()
	for b.Loop() {
		_ = view.New(facts, state, start.Add(time.Minute)).Text()
	}
}
