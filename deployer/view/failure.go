package view

import (
	"fmt"
	"strings"

	"github.com/metaml/metaml/deployer/run"
)

// Failure says why one trial failed: the headline with its place in the notebook, and the user's own frames.
func Failure(t *run.Trial) (summary, body string) {
	summary = fmt.Sprintf("trial %d: %s", t.Index, Cause(t))
	if t.Error == nil {
		return summary, ""
	}
	if place := innermost(t.Error.Frames); place != "" {
		summary += " · " + place
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", t.Error.Type, t.Error.Text)
	mine := 0
	for i := len(t.Error.Frames) - 1; i >= 0; i-- {
		f := t.Error.Frames[i]
		if !f.Mine {
			continue
		}
		mine++
		fmt.Fprintf(&b, "%s, in %s\n", where(f), f.Function)
		if f.Text != "" {
			fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(f.Text))
		}
	}
	if mine == 0 && t.Error.Traceback != "" {
		b.WriteString(t.Error.Traceback)
	}
	return summary, strings.TrimRight(b.String(), "\n")
}

// innermost is the place of the last frame in the user's own code.
func innermost(frames []run.Frame) string {
	for i := len(frames) - 1; i >= 0; i-- {
		if frames[i].Mine {
			return where(frames[i])
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
