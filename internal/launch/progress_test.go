package launch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/deployer/run"
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
				p := &progress{say: func(text string) { said = append(said, text) }}
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
