package view

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Wait is trials that wait for the same, which is said once and not in their rows.
type Wait struct {
	Reason run.Reason
	Text   string // what they wait for
	Hint   string
	Trials []int // sorted
}

// maxWaitText is how much of what trials wait for is shown, and how much of what to do: a cluster's rules may answer
// with pages.
const maxWaitText = 300

// Line says that they wait, and for what.
func (w *Wait) Line() string {
	return OneLine(fmt.Sprintf("%s %s: %s", who(w.Trials), plural(len(w.Trials), "waits", "wait"),
		usererror.Sentences(prose.Shorten(w.Text, maxWaitText), prose.Shorten(w.Hint, maxWaitText))))
}

// maxWaits is how many things that trials wait for are named above the rows.
const maxWaits = 3

// chooseWaits gathers what several trials wait for, or one that has no row. What passes in moments is left to the
// headline. The other reasons stand in their rows, which are made after this.
func (t *Table) chooseWaits(state *run.State, shown []int) {
	type kind struct {
		reason     run.Reason
		text, hint string
	}
	var order []kind
	alike := map[kind]*Wait{}
	for i := range state.Trials {
		w := state.Trials[i].Waiting
		if w == nil {
			continue
		}
		key := kind{reason: w.Reason}
		if !w.Reason.Passes() {
			key.text, key.hint = w.Text, w.Hint
		}
		if alike[key] == nil {
			alike[key] = &Wait{Reason: w.Reason, Text: waitsFor(w), Hint: w.Hint}
			order = append(order, key)
		}
		alike[key].Trials = append(alike[key].Trials, i)
	}
	for _, key := range order {
		w := alike[key]
		one := len(w.Trials) == 1 && slices.Contains(shown, w.Trials[0])
		switch {
		case one && w.Hint != "":
			t.addHint(w.Trials[0], w.Hint)
		case one:
		case w.Reason.Passes():
			t.passing = append(t.passing, *w)
		default:
			t.Waits = append(t.Waits, *w)
		}
	}
	slices.SortStableFunc(t.Waits, func(a, b Wait) int { return cmp.Compare(len(b.Trials), len(a.Trials)) })
}

// waitsFor says what a trial waits for.
func waitsFor(w *run.Waiting) string {
	switch {
	case w.Reason == run.WaitingPulling:
		return "pulling the image"
	case w.Text == "" || w.Reason.Passes():
		return OneLine(string(w.Reason))
	default:
		return OneLine(w.Text)
	}
}

// waitingInRow is what the row of a trial says of its waiting, unless it is said for several.
func (t *Table) waitingInRow(trial *run.Trial) string {
	has := func(w Wait) bool {
		_, found := slices.BinarySearch(w.Trials, trial.Index)
		return found
	}
	if trial.Waiting == nil || slices.ContainsFunc(t.Waits, has) || slices.ContainsFunc(t.passing, has) {
		return ""
	}
	return waitsFor(trial.Waiting)
}

// pace is how many trials go on at a time: where some are held back, as many as do. It is 0 if nobody knows when one
// will.
func pace(state *run.State) int {
	held := func(t run.Trial) bool { return t.Waiting != nil && !t.Waiting.Reason.Passes() }
	if slices.ContainsFunc(state.Trials, held) {
		return state.Count().Running
	}
	return max(state.Parallelism, 1)
}

// WaitLines says what trials wait for, a line for each thing, those that concern most trials first.
func (t *Table) WaitLines() []string {
	var lines []string
	rest := 0
	for i := range t.Waits {
		if i >= maxWaits {
			rest += len(t.Waits[i].Trials)
			continue
		}
		lines = append(lines, t.Waits[i].Line())
	}
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("%s %s for other things: metaml show %s", prose.Count(rest, "more trial"),
			plural(rest, "waits", "wait"), t.Name))
	}
	return lines
}

// passes is what the headline says of trials that are about to start.
func (t *Table) passes() []string {
	var parts []string
	for _, w := range t.passing {
		if len(w.Trials) == t.Counts.Pending && t.Counts.Running == 0 {
			parts = append(parts, w.Text)
		} else {
			parts = append(parts, fmt.Sprintf("%d %s", len(w.Trials), w.Text))
		}
	}
	return parts
}

// hint is what to do about some trials.
type hint struct {
	trials []int
	text   string
}

// chooseHints gathers what to do about trials that failed.
func (t *Table) chooseHints(state *run.State) {
	for i := range state.Trials {
		trial := &state.Trials[i]
		if trial.Phase != run.Failed || trial.Hint == "" {
			continue
		}
		t.addHint(i, trial.Hint)
	}
}

// maxHints is how many hints are gathered: below the table is room for as many lines.
const maxHints = 6

func (t *Table) addHint(trial int, text string) {
	at := slices.IndexFunc(t.hints, func(h hint) bool { return h.text == text })
	switch {
	case at >= 0:
		t.hints[at].trials = append(t.hints[at].trials, trial)
	case len(t.hints) < maxHints:
		t.hints = append(t.hints, hint{[]int{trial}, text})
	}
}

// hintLines are the hints, a line each.
func (t *Table) hintLines() []string {
	lines := make([]string, 0, len(t.hints))
	slices.SortStableFunc(t.hints, func(a, b hint) int { return cmp.Compare(a.trials[0], b.trials[0]) })
	for _, h := range t.hints {
		text := prose.Shorten(h.text, maxWaitText)
		if t.Total > 1 {
			text = who(h.trials) + ": " + text
		}
		lines = append(lines, text)
	}
	return lines
}

// who names one trial, and counts several.
func who(trials []int) string {
	if len(trials) == 1 {
		return fmt.Sprintf("trial %d", trials[0])
	}
	return prose.Count(len(trials), "trial")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// after says what made an attempt necessary: how the one before it ended, where that was not the trial's own doing.
func after(trial *run.Trial) string {
	if len(trial.Past) == 0 || trial.Past[len(trial.Past)-1].Attempt != trial.Attempt-1 {
		return ""
	}
	switch trial.Past[len(trial.Past)-1].Reason {
	case run.ReasonEvicted:
		return "after an eviction"
	case run.ReasonMemory:
		return "after it ran out of memory"
	case run.ReasonDeleted:
		return "after a deletion"
	case run.ReasonSignal:
		return "after it was killed"
	case run.ReasonLost:
		return "after it was lost"
	case run.ReasonRestarted:
		return "after a restart of the machine"
	case run.ReasonStopped:
		return "after a stop"
	default:
		return ""
	}
}
