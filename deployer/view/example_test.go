package view_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// A table is computed from the events of a run at one moment, and drawn as text, as HTML or for a terminal.
func ExampleNew() {
	spec := run.Spec{Name: "train-7", Completions: 3, Parallelism: 2, Created: start}
	state := run.NewState(spec)
	for i, loss := range []float64{0.42, 0.19} {
		state.Apply(run.Event{Type: run.EventTrialStarted, Trial: &i, Attempt: 1, Time: start})
		state.Apply(run.Event{
			Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: run.Succeeded, Time: start.Add(20 * time.Second),
			Metrics: run.Metrics{"loss": loss},
		})
	}
	state.Apply(run.Event{Type: run.EventTrialStarted, Trial: new(2), Attempt: 1, Time: start.Add(20 * time.Second)})
	var table []run.Row
	for _, rate := range []string{"0.1", "0.01", "0.001"} {
		table = append(table, run.Row{{Name: "lr", Value: json.RawMessage(rate)}})
	}

	fmt.Println(view.New(view.Facts{Spec: spec, Table: table}, state, start.Add(30*time.Second)).Text())
	// Output:
	// train-7   2 of 3 trials   2 at a time   30 s   about 10 s left   best loss 0.190 (trial 1)
	// trial  loss ↓     lr      time
	//   0 ✓   0.420    0.1      20 s
	//   1 ✓   0.190   0.01      20 s
	//   2 ●       –  0.001      10 s
}
