package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
)

// TestProgressIsSaidEverMoreRarely: a sweep of a day leaves a page of lines in a notebook, not a hundred thousand.
func TestProgressIsSaidEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{peer: talk.NewWriter(&out)}
		spec := run.Spec{Name: "train-1", Kind: run.Train, Completions: 1}
		state := run.NewState(spec)
		for i := range 24 * 3600 {
			state.Trials[0].Phase = []run.Phase{run.Pending, run.Running}[i%2]
			if err := p.show(view.New(view.Facts{Spec: spec}, state, time.Now())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		}
		if lines := strings.Count(out.String(), "\n"); lines < 1000 || lines > 1500 {
			t.Errorf("%d lines in a day", lines)
		}
	})
}

func TestWhatHasNotChangedIsNotSaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{peer: talk.NewWriter(&out)}
		spec := run.Spec{Name: "train-1", Kind: run.Train, Completions: 2}
		state := run.NewState(spec)
		draw := func() {
			t.Helper()
			if err := p.show(view.New(view.Facts{Spec: spec, Remarks: []string{"a remark"}}, state,
				time.Now())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		}
		draw()
		draw()
		state.Trials[0].Phase = run.Running
		state.Phase = run.Running
		draw()
		state.Trials[0].Phase, state.Trials[1].Phase, state.Phase = run.Succeeded, run.Failed, run.Succeeded
		draw()
		if err := p.failed(&Failure{
			trials: []int{1},
			first:  run.Trial{Index: 1, Error: &run.Error{Type: "ValueError", Text: "x"}},
		}); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for text := range strings.Lines(out.String()) {
			var l struct {
				Type, Text string
				Bundle     map[string]string
			}
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(l.Text+l.Bundle["text/plain"], "  ")
			got = append(got, fmt.Sprintf("%s %s %d", l.Type, first, strings.Count(l.Text, "\n")))
		}
		want := []string{"stream train-1 2", "stream train-1 1", "display train-1 0", "display ValueError: x 0"}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
