package launch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
)

func TestASubmissionSaysWhatItDoesWhereItTakesLong(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration // each of its two steps
		want  []string
	}{
		{"a short one", quiet / 4, nil},
		{"one that takes long at last", quiet * 3 / 4, []string{"second"}},
		{"one that takes long at once", quiet * 2, []string{"first", "second"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				p := &progress{Progress: Progress{Say: func(text string) { said = append(said, text) }}}
				p.begin()
				for _, step := range []string{"first", "second"} {
					p.note(run.Event{Text: step})
					time.Sleep(c.takes) //nolint:forbidigo // the clock of the test
				}
				p.end()
				p.note(run.Event{Text: "afterwards"})
				synctest.Wait()
				if !slices.Equal(said, c.want) {
					t.Errorf("said %q, want %q", said, c.want)
				}
			})
		})
	}
}

// An image that takes long is one picture, which is drawn anew as its steps go on and folded at its end.
func TestAnImageThatIsMadeIsDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		var drawn []view.Build
		p := &progress{Progress: Progress{
			Say:  func(text string) { said = append(said, text) },
			Draw: func(is view.Build) { drawn = append(drawn, is) },
		}}
		step := func(name string, state run.Phase) {
			p.note(run.Event{Type: run.EventBuildStep, Build: &run.BuildStep{Name: name, Text: name, State: state}})
			time.Sleep(quiet) //nolint:forbidigo // the clock of the test
		}
		p.begin()
		step("resolve", run.Running)
		step("resolve", run.Succeeded)
		step("load", run.Running)
		step("load", run.Succeeded)
		p.end()
		last := drawn[len(drawn)-1]
		if len(said) > 0 || len(drawn) < 4 || !last.Over || len(last.Steps) != 2 || drawn[len(drawn)-2].Over {
			t.Errorf("said %q, drawn %+v", said, drawn)
		}
	})
}

// What people should know is said, once and in any case, though the submission is quick and goes on.
func TestWhatPeopleShouldKnowIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		p := &progress{Progress: Progress{Say: func(text string) { said = append(said, text) }}}
		p.begin()
		p.note(run.Event{Type: run.EventNote, Text: "what goes on"})
		p.note(run.Event{Type: run.EventNote, Code: run.NoteImage, Text: "x 1.0 is yanked", Hint: "Take another."})
		p.note(run.Event{Type: run.EventNote, Text: "what goes on then"})
		p.end()
		synctest.Wait()
		if !slices.Equal(said, []string{"x 1.0 is yanked. Take another."}) {
			t.Errorf("said %q", said)
		}
	})
}
