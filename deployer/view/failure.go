package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// Failure says why one trial failed: the headline with its place in the notebook, and the user's own frames.
func Failure(t *run.Trial) (summary, body string) {
	summary = fmt.Sprintf("trial %d: %s", t.Index, OneLine(Cause(t)))
	if t.Error == nil {
		return summary, ""
	}
	if place := innermost(t.Error.Frames); place != "" {
		summary += " · " + OneLine(place)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", t.Error.Type, t.Error.Text)
	mine := 0
	for _, f := range slices.Backward(t.Error.Frames) {
		if !f.Mine {
			continue
		}
		mine++
		fmt.Fprintf(&b, "%s, in %s\n", where(f), f.Function)
		if f.Text != "" {
			fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(f.Text))
		}
	}
	if mine == 0 && t.Error.Traceback != "" && t.Error.Traceback != t.Error.Text {
		b.WriteString(t.Error.Traceback)
	}
	return summary, strings.TrimRight(Visible(b.String()), "\n")
}

// FailureKey is the same for trials that failed alike: by the same kind of error, in the same place of the user's code.
func FailureKey(t *run.Trial) string {
	if t.Error == nil {
		return Cause(t)
	}
	var b strings.Builder
	b.WriteString(t.Error.Type)
	mine := 0
	for _, f := range t.Error.Frames {
		if f.Mine {
			mine++
			b.WriteString("\n" + where(f) + " " + f.Function)
		}
	}
	if mine == 0 {
		b.WriteString("\n" + t.Error.Traceback)
	}
	return b.String()
}

// innermost is the place of the last frame in the user's own code.
func innermost(frames []run.Frame) string {
	for _, frame := range slices.Backward(frames) {
		if frame.Mine {
			return where(frame)
		}
	}
	return ""
}

func where(f run.Frame) string {
	if f.Cell > 0 {
		return fmt.Sprintf("cell %d, line %d", f.Cell, f.CellLine)
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}
