package view

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// columns are the names behind a table's columns, as the run has them.
type columns struct {
	parameters []string
	metrics    []string
}

// chooseColumns chooses what stands in the rows: the parameters that differ and the metrics that a row has. What is the
// same in all trials is shown once, in a line above.
func (t *Table) chooseColumns(state *run.State, shown []int) columns {
	var c columns
	for _, p := range parameters(t.Facts.Table) {
		if p.same {
			t.Constants = append(t.Constants, clip(p.name)+" "+Value(p.value))
			continue
		}
		c.parameters = append(c.parameters, p.name)
	}
	if n := len(t.Constants) - maxConstants; n > 0 {
		t.Constants = append(t.Constants[:maxConstants], "… "+prose.Count(n, "more parameter"))
	}
	c.metrics = t.metricColumns(state, shown)
	if n := len(c.parameters) - maxParameters; n > 0 {
		t.Columns += n
		c.parameters = c.parameters[:maxParameters]
	}
	if n := len(c.metrics) - maxMetrics; n > 0 {
		t.Columns += n
		c.metrics = c.metrics[:maxMetrics]
	}
	slices.Sort(c.metrics)
	for _, name := range c.parameters {
		t.Parameters = append(t.Parameters, clip(name))
	}
	for _, name := range c.metrics {
		t.Metrics = append(t.Metrics, clip(name))
	}
	return c
}

// parameter is one hyperparameter of a run.
type parameter struct {
	name  string
	value json.RawMessage // of the first trial
	same  bool            // in all trials
}

// parameters gives the hyperparameters of all rows, in the order in which they come.
func parameters(table []run.Row) []parameter {
	var list []parameter
	at := map[string]int{}
	for i, row := range table {
		for _, p := range row {
			n, ok := at[p.Name]
			if !ok {
				n = len(list)
				at[p.Name] = n
				list = append(list, parameter{name: p.Name, value: p.Value, same: i == 0})
			}
			if q := &list[n]; q.same && !bytes.Equal(q.value, p.Value) {
				q.same = false
			}
		}
		if len(row) < len(list) { // some trial goes without
			for n := range list {
				if list[n].same && !slices.ContainsFunc(row, func(p run.Param) bool { return p.Name == list[n].name }) {
					list[n].same = false
				}
			}
		}
	}
	return list
}

// metricColumns are the metrics of the shown trials beside the first, those that matter most in front: returned ones
// come before those that were only reported.
func (t *Table) metricColumns(state *run.State, shown []int) []string {
	returned, seen := map[string]bool{}, map[string]bool{}
	for _, i := range shown {
		for _, name := range state.Trials[i].Returned {
			returned[name] = true
		}
		for name := range state.Trials[i].Metrics {
			seen[name] = name != t.Lead
		}
	}
	rank := func(name string) int {
		switch {
		case returned[name]:
			return 0
		case !strings.Contains(name, "/"):
			return 1
		default:
			return 2
		}
	}
	var names []string
	for name, column := range seen {
		if column {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return names
}

func (t *Table) row(c columns, trial *run.Trial, now time.Time) Row {
	r := Row{
		Trial: trial.Index, Phase: trial.Phase, Elapsed: trial.Elapsed(now), Attempt: trial.Attempt,
		After: after(trial), Waiting: t.waitingInRow(trial),
		Passes: trial.Waiting != nil && trial.Waiting.Reason.Passes(),
		Best:   trial.Index == t.BestTrial && trial.Phase == run.Succeeded,
	}
	var given run.Row
	if trial.Index < len(t.Facts.Table) {
		given = t.Facts.Table[trial.Index]
	}
	for _, name := range c.parameters {
		value := nothing
		if i := slices.IndexFunc(given, func(p run.Param) bool { return p.Name == name }); i >= 0 {
			value = Value(given[i].Value)
		}
		r.Parameters = append(r.Parameters, value)
	}
	metric := func(name string) string {
		if v, ok := trial.Metrics[name]; ok {
			return Number(v)
		}
		return nothing
	}
	r.Lead = metric(t.Lead)
	for _, name := range c.metrics {
		r.Metrics = append(r.Metrics, metric(name))
	}
	if trial.Phase == run.Failed || trial.Phase == run.Stopped && trial.Reason != run.ReasonStopped {
		r.Error = OneLine(Cause(trial))
	}
	return r
}

// nothing stands where a trial has no value.
const nothing = "–"

// heading is the first metric as the head of its column: an arrow says which way is better.
func (t *Table) heading() string {
	switch t.Direction {
	case run.Max:
		return clip(t.Lead) + " ↑"
	case run.Min:
		return clip(t.Lead) + " ↓"
	default:
		return clip(t.Lead)
	}
}

// has reports which of the columns have something in some row: why is an error, what a trial waits for, or why it
// is tried again.
func (t *Table) has() (lead, course, elapsed, why bool) {
	for i := range t.Rows {
		r := &t.Rows[i]
		lead = lead || r.Lead != nothing
		course = course || r.Spark != ""
		elapsed = elapsed || r.Elapsed > 0
		why = why || r.Error != "" || r.Waiting != "" || r.After != ""
	}
	return lead && t.Lead != "", course, elapsed, why
}
