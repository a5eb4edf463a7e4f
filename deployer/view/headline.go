package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// progress says how far the run is; of one that has ended, what became of its trials.
func (t *Table) progress() string {
	if t.Phase.Final() {
		s := prose.Count(t.Total, "trial")
		var parts []string
		if t.Counts.Failed > 0 {
			parts = append(parts, fmt.Sprintf("%d failed", t.Counts.Failed))
		}
		if t.Counts.Stopped > 0 {
			parts = append(parts, fmt.Sprintf("%d stopped", t.Counts.Stopped))
		}
		if never := t.Counts.Pending; never > 0 {
			parts = append(parts, fmt.Sprintf("%d not started", never))
		}
		if len(parts) > 0 {
			s += ", " + strings.Join(parts, ", ")
		}
		return s
	}
	s := fmt.Sprintf("%d of %s", t.Counts.Completed(), prose.Count(t.Total, "trial"))
	if t.Counts.Stopped > 0 {
		s += fmt.Sprintf(", %d stopped", t.Counts.Stopped)
	}
	return s
}

// pace says how fast it goes, how long it took and how long it still takes.
func (t *Table) pace() []string {
	var parts []string
	if !t.Phase.Final() && t.Total > 1 {
		parts = append(parts, fmt.Sprintf("%d at a time", t.Parallel))
	}
	if t.Loading {
		parts = append(parts, "loading the program")
	}
	parts = append(parts, t.passes()...)
	switch {
	case t.Phase.Final():
		parts = append(parts, string(t.Phase)+t.why()+" in "+prose.Duration(t.Elapsed))
	case t.Left > 0:
		parts = append(parts, prose.Duration(t.Elapsed), "about "+roughly(t.Left)+" left")
	default:
		parts = append(parts, prose.Duration(t.Elapsed))
	}
	return parts
}

// why gives the reason of the end, in brackets, unless the trials show it.
func (t *Table) why() string {
	switch t.Reason {
	case "", run.ReasonException, run.ReasonStopped:
		return ""
	case run.ReasonDiffers:
		return " (its values are others than the notebook's)"
	case run.ReasonProgram:
		return " (the program could not be loaded)"
	default:
		return " (" + string(t.Reason) + ")"
	}
}

// best names the best trial, or is "".
func (t *Table) best() string {
	if t.Best == "" {
		return ""
	}
	return fmt.Sprintf("best %s (trial %d)", t.Best, t.BestTrial)
}

// Headline is the run in one line of text.
func (t *Table) Headline() string {
	parts := append([]string{t.Name, t.progress()}, t.pace()...)
	if b := t.best(); b != "" {
		parts = append(parts, b)
	}
	return OneLine(strings.Join(parts, "   "))
}

// mark is the sign of a trial's state.
func mark(p run.Phase) string {
	switch p {
	case run.Pending:
		return "·"
	case run.Running:
		return "●"
	case run.Stopped:
		return "■"
	case run.Failed:
		return "✗"
	case run.Succeeded:
		return "✓"
	}
	return " "
}

// attempt says which attempt a trial is at, unless it is the first.
func (t *Table) attempt(r Row) string {
	if r.Attempt > 1 {
		return fmt.Sprintf("attempt %d", r.Attempt)
	}
	return ""
}

// attemptAfter says which attempt a trial is at and what made it necessary, unless it is the first.
func (t *Table) attemptAfter(r Row) string { return strings.TrimSpace(t.attempt(r) + " " + r.After) }

// constants is what all trials have in common, in one line, or "".
func (t *Table) constants() string {
	line := strings.Join(t.Constants, " · ")
	if line == "" || t.Total == 1 {
		return line
	}
	return "the same in all: " + line
}

// Differs says which values are others than the notebook's. It stands before all else: that is about these values.
func (t *Table) Differs() []string { return differs(t.Notes) }

func differs(notes []run.Note) []string {
	var lines []string
	for _, n := range notes {
		if n.Code == run.NoteDiffers {
			lines = append(lines, OneLine(usererror.Sentences(n.Text, n.Hint)))
		}
	}
	return lines
}

// Remarks are the other notes that people should read, one line each, without repetitions.
func (t *Table) Remarks() []string {
	said := slices.Concat([]string{t.Undecided}, t.hintLines(), t.Facts.Remarks, []string{t.unforked()})
	return remarks(t.Name, said, t.Notes)
}

func remarks(name string, first []string, notes []run.Note) []string {
	const most = 6
	var lines []string
	seen := map[string]bool{}
	said := append([]string{}, first...)
	for _, n := range notes {
		if n.Code == run.NoteTensorBoard || n.Code == run.NoteDiffers {
			continue // they have a place of their own
		}
		said = append(said, usererror.Sentences(n.Text, n.Hint))
	}
	for _, line := range said {
		line = OneLine(line)
		if line == "" || seen[line] {
			continue
		}
		seen[line] = true
		if len(lines) == most {
			lines = append(lines, "… and more: metaml show "+name)
			break
		}
		lines = append(lines, line)
	}
	return lines
}

// footer says what is not shown and what one can do. unfolds: all trials are there to be unfolded.
func (t *Table) footer(unfolds bool) []string {
	var parts []string
	if t.Hidden > 0 {
		text := fmt.Sprintf("%d of %s shown (best, running, failed)", len(t.Rows), prose.Count(t.Total, "trial"))
		if !unfolds {
			text += fmt.Sprintf("; metaml show %s --all shows them", t.Name)
		}
		parts = append(parts, text)
	}
	if t.Columns > 0 {
		parts = append(parts, prose.Count(t.Columns, "column")+" not shown")
	}
	return parts
}

// roughly writes an estimate, which is no better than whole seconds.
func roughly(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d s", max(1, int(d.Round(time.Second).Seconds())))
	}
	return prose.Duration(d.Round(5 * time.Second))
}
