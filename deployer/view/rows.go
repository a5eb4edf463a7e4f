package view

import (
	"slices"

	"github.com/metaml/metaml/deployer/run"
)

// chosen picks the trials to show: the best ones, those that run and those that failed, in that order. A small run is
// shown whole, in the order of its trials, so that no row moves while it runs.
func chosen(state *run.State, objective run.Objective, all bool) (shown, hidden []int) {
	if len(state.Trials) <= maxRows || all {
		for i := range state.Trials {
			shown = append(shown, i)
		}
		return shown, nil
	}
	best, running, failed, waiting := sorted(state, objective)
	first := min(len(running), maxRunning)
	last := min(len(failed), maxFailed)
	good := min(len(best), maxRows-first-last)
	shown = slices.Concat(best[:good], running[:first], failed[:last])
	return shown, slices.Concat(best[good:], running[first:], failed[last:], waiting)
}

// The most rows of trials that run and of those that failed, where not all trials are shown.
const (
	maxRunning = 10
	maxFailed  = 5
)

// ranked gives every trial: the best first, what failed last.
func ranked(state *run.State, objective run.Objective) []int {
	best, running, failed, waiting := sorted(state, objective)
	return slices.Concat(best, running, waiting, failed)
}

// sorted gives the trials by what became of them, those that ended without an error from the best to the worst.
func sorted(state *run.State, objective run.Objective) (best, running, failed, waiting []int) {
	for i := range state.Trials {
		switch state.Trials[i].Phase {
		case run.Running:
			running = append(running, i)
		case run.Failed:
			failed = append(failed, i)
		case run.Succeeded, run.Stopped:
			best = append(best, i)
		case run.Pending:
			waiting = append(waiting, i)
		}
	}
	slices.SortStableFunc(best, func(a, b int) int {
		va, oka := state.Trials[a].Metrics[objective.Metric]
		vb, okb := state.Trials[b].Metrics[objective.Metric]
		switch {
		case oka && okb && objective.Better(va, vb):
			return -1
		case oka && okb && objective.Better(vb, va):
			return 1
		case oka != okb && oka:
			return -1
		case oka != okb:
			return 1
		}
		return 0
	})
	return best, running, failed, waiting
}
