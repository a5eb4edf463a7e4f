package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/prose"
)

// Build is a picture of an image that is being made.
type Build struct {
	Steps run.Build
	Over  bool // it is made, or not to be had
}

// Headline says how far it is in one line.
func (b Build) Headline() string {
	if len(b.Steps) == 0 {
		return "image"
	}
	last, what, done := b.Steps[len(b.Steps)-1], "image", "made"
	if !slices.ContainsFunc(b.Steps, func(s run.BuildStep) bool { return s.Name != run.ModelStep }) {
		what, done = "model", "fetched"
	}
	switch {
	case last.State == run.Failed:
		return fmt.Sprintf("%s not %s: %s", what, done, last.Text)
	case b.Over:
		return fmt.Sprintf("%s %s in %s", what, done, prose.Duration(seconds(b.Steps.Seconds())))
	}
	return what + ": " + StepText(&last)
}

// Text draws the steps, a line each.
func (b Build) Text() string {
	lines := make([]string, len(b.Steps))
	for i := range b.Steps {
		lines[i] = mark(b.Steps[i].State) + " " + StepText(&b.Steps[i])
	}
	return strings.Join(lines, "\n")
}

// HTML draws the steps for a notebook, folded where it is over.
func (b Build) HTML() string {
	if b.Over {
		return Fold(b.Headline(), b.Text())
	}
	type step struct {
		Mark, Text string
		Width      string // of the bar, in percent; "" is none
	}
	var steps []step
	for i := range b.Steps {
		s := &b.Steps[i]
		one := step{Mark: mark(s.State), Text: StepText(s)}
		if s.Total > 0 && s.State == run.Running {
			one.Width = fmt.Sprintf("%.4g", 100*float64(min(s.Done, s.Total))/float64(s.Total))
		}
		steps = append(steps, one)
	}
	return style() + draw("build", steps)
}

// StepText says what a step does, how far it is and how long it has taken.
func StepText(s *run.BuildStep) string {
	text := s.Text
	if s.Total > 0 && s.State == run.Running {
		text += fmt.Sprintf("  %s of %s", prose.Bytes(s.Done), prose.Bytes(s.Total))
		if s.Seconds > 0.5 {
			text += fmt.Sprintf(", %s/s", prose.Bytes(int64(float64(s.Done)/s.Seconds)))
		}
	}
	if s.Seconds >= 0.05 {
		text += "  " + prose.Duration(seconds(s.Seconds))
	}
	return Visible(text)
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
