package view

import (
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestAnImageIsDrawnWhileItIsMade(t *testing.T) {
	steps := run.Build{
		{Name: "resolve", Text: "resolving packages", Seconds: 1.2, State: run.Succeeded},
		{Name: "load", Text: "loading <b>", Done: 10e6, Total: 40e6, Seconds: 2, State: run.Running},
	}
	now := Build{Steps: steps}
	if want := "image: loading <b>  10.0 MB of 40.0 MB, 5.0 MB/s  2.0 s"; now.Headline() != want {
		t.Errorf("it says %q, want %q", now.Headline(), want)
	}
	if html := now.HTML(); !strings.Contains(html, `width:25%`) || strings.Contains(html, "<b>") {
		t.Errorf("it is drawn as %s", html)
	}
	steps.Apply(run.BuildStep{Name: "load", Text: "loading", Seconds: 3, State: run.Succeeded})
	steps.Apply(run.BuildStep{Name: "load", Text: "late news", State: run.Running})
	over := Build{Steps: steps, Over: true}
	if want := "image made in 4.2 s"; over.Headline() != want || !strings.Contains(over.HTML(), "<details>") {
		t.Errorf("at its end it says %q: %s", over.Headline(), over.HTML())
	}
	steps.Apply(run.BuildStep{Name: "send", Text: "sending", State: run.Failed})
	failed := Build{Steps: steps, Over: true}
	if want := "image not made: sending"; failed.Headline() != want {
		t.Errorf("after a failure it says %q, want %q", failed.Headline(), want)
	}
}
