package run_test

import (
	"fmt"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

// A state is what the events of a run say, in the order in which one reads them. An event that comes twice counts once.
func ExampleState() {
	state := run.NewState(run.Spec{Name: "train-7", Completions: 2, Parallelism: 1})
	start := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	events := []run.Event{
		{Type: run.EventTrialStarted, Trial: new(0), Attempt: 1},
		{Type: run.EventTrialReport, Trial: new(0), Attempt: 1, Metrics: run.Metrics{"loss": 0.7}},
		{Type: run.EventTrialReport, Trial: new(0), Attempt: 1, Metrics: run.Metrics{"loss": 0.4}},
		{
			Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, State: run.Succeeded,
			Metrics: run.Metrics{"accuracy": 0.9},
		},
		{Type: run.EventTrialStarted, Trial: new(1), Attempt: 1},
		{Type: run.EventTrialEnded, Trial: new(1), Attempt: 1, State: run.Failed, Reason: run.ReasonException},
		{Type: run.EventEnded, State: run.Failed},
	}
	for i, e := range events {
		e.Source, e.Seq, e.Time = "monitor", int64(i+1), start.Add(time.Duration(i)*time.Second)
		state.Apply(e)
		state.Apply(e)
	}

	fmt.Println(state.Name, "has", state.Phase)
	for _, trial := range state.Trials {
		fmt.Println("trial", trial.Index, trial.Phase, trial.Reason, trial.Metrics, trial.Series["loss"].Values)
	}
	// Output:
	// train-7 has failed
	// trial 0 succeeded  map[accuracy:0.9 loss:0.4] [0.7 0.4]
	// trial 1 failed exception map[] []
}
