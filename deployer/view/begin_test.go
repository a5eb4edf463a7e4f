package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

// TestTheProgramIsLoadedBeforeATrialRuns: importing what the cells import may take seconds, in which no trial has
// begun.
func TestTheProgramIsLoadedBeforeATrialRuns(t *testing.T) {
	spec := run.Spec{Name: "train-1", Completions: 2, Created: start}
	s := run.NewState(spec)
	const says = "loading the program"
	shows := func() bool {
		table := view.New(view.Facts{Spec: spec}, s, start.Add(6*time.Second))
		inHTML, inText := strings.Contains(table.HTML(), says), strings.Contains(table.Text(), says)
		if inHTML != inText {
			t.Errorf("HTML %v, text %v", inHTML, inText)
		}
		return inHTML
	}
	if !shows() {
		t.Error("not before the first event")
	}
	s.Apply(run.Event{Seq: 1, Source: "monitor", Time: start, Type: run.EventSubmitted})
	if !shows() {
		t.Error("not while it loads")
	}
	s.Apply(run.Event{Seq: 2, Source: "monitor", Time: start, Type: run.EventLoaded, Seconds: 6, Fork: true})
	if shows() {
		t.Error("still when it has been loaded")
	}
}

func TestNothingIsLoadedForATrialThatIsElsewhere(t *testing.T) {
	spec := run.Spec{Name: "train-1@lab/team", Completions: 2, Created: start}
	if text := view.New(view.Facts{Spec: spec}, run.NewState(spec), start).Text(); strings.Contains(text, "loading") {
		t.Errorf("it says %q", text)
	}
}

func TestWhatAnInterruptDoesIsSaidWhereItDoesSomething(t *testing.T) {
	facts, s := sample(t)
	for interrupt, want := range map[string][]string{
		"stop": {"■ stops the run", "Ctrl-C stops the run"}, "detach": {"■ detaches", "Ctrl-C detaches"},
		view.Unattended: {
			"<code>%metaml stop train-model-7</code> stops it",
			"metaml stop train-model-7 stops it",
		}, "": {"", ""},
	} {
		t.Run(interrupt, func(t *testing.T) {
			facts.Interrupt = interrupt
			table := view.New(facts, s, start.Add(42*time.Second))
			html, text := table.HTML(), strings.Join(table.Terminal(120, 40, false), "\n")
			if !strings.Contains(html, want[0]) || !strings.Contains(text, want[1]) {
				t.Errorf("%q: %s\n%s", interrupt, html, text)
			}
			if interrupt == view.Unattended && (strings.Contains(html, "■") || strings.Contains(text, "Ctrl-C")) {
				t.Errorf("it says that an interrupt does something:\n%s", text)
			}
		})
	}
}
