package mirror

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Pods that are gone with their nodes are read from what they sent to the monitor while they ran.
func TestPodsThatAreGoneAreReadFromWhatTheySent(t *testing.T) {
	spec := run.Spec{
		V: 1, ID: "1", Name: "train-1", Series: "train", Kind: run.Train, Completions: 3, Parallelism: 3,
		Created: start,
	}
	to, _, _ := far(t, overWith(t, spec, false))
	f := folder.Run(t.TempDir())
	if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(f.Trials(), 0o700); err != nil {
		t.Fatal(err)
	}
	l := newLive(to, f, spec.Name, func() {})
	for trial := range 2 { // nothing came of the third
		p := newPodEvents(t, l, collect.Source{ID: fmt.Sprintf("pod-%d", trial), Trial: trial, Attempt: 1, Round: 1})
		p.add(run.Event{Type: run.EventTrialStarted, Time: moment(0)})
		p.reports(1, 2, 3)
		p.add(run.Event{
			Type: run.EventTrialEnded, Time: moment(4), State: run.Succeeded, Metrics: run.Metrics{"score": 0.5},
		})
		p.arrives(1 << 20)
		if err := l.Append(p.source, folder.Stdout, fmt.Appendf(nil, "printed by %d\n", trial)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time it is all there
		if err := Once(t.Context(), to, f); err != nil {
			t.Fatal(err)
		}
		s := run.NewState(spec)
		if err := f.EachEvent(func(e run.Event) error { s.Apply(e); return nil }); err != nil {
			t.Fatal(err)
		}
		if s.Phase != run.Succeeded {
			t.Errorf("the run is %s", s.Phase)
		}
		for i := range 2 {
			one := &s.Trials[i]
			if one.Phase != run.Succeeded || one.Metrics["score"] != 0.5 || one.Metrics["loss"] != 3 || one.LastOnly ||
				!slices.Equal(one.Series["loss"].Values, []float64{1, 2, 3}) || !one.Ended.Equal(moment(4)) {
				t.Errorf("trial %d is %+v", i, one)
			}
			log, err := os.ReadFile(f.Stream(i, 1, folder.Stdout))
			if want := fmt.Sprintf("printed by %d\n", i); err != nil || string(log) != want {
				t.Errorf("trial %d printed %q, %v, want %q", i, log, err, want)
			}
		}
		if one := &s.Trials[2]; one.Phase != run.Succeeded || one.Text == "" {
			t.Errorf("trial 2 is %+v", one)
		}
	}
}

// A pod that went in the middle of its trial, with its node, is known by what it sent until then: once nothing more can
// come of it.
func TestAPodThatWentInTheMiddleOfItsTrialIsKnown(t *testing.T) {
	spec := savedSpec()
	f := folder.Run(t.TempDir())
	l := newLive(nil, f, spec.Name, func() {})
	source := collect.Source{ID: "pod-0", Trial: 0, Attempt: 1, Round: 1}
	p := newPodEvents(t, l, source)
	p.add(run.Event{Type: run.EventTrialStarted, Time: moment(0)})
	p.reports(1, 2, 3)
	p.arrives(1 << 20)
	for _, c := range []struct {
		name  string
		after time.Duration
		all   bool
		asked bool
		want  bool
	}{
		{"it may be seen soon", missing - time.Second, true, true, false},
		{"more may come", missing + time.Second, false, true, false},
		{"the cluster was not asked for it", missing + time.Second, true, false, false},
		{"it is gone", missing + time.Second, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, s := newRemembered(f), newScene(t, 3)
			left := map[string]collect.Source{source.ID: source}
			r.add(&s.seen, left, &spec, c.all)
			s.seen.now = s.seen.now.Add(c.after)
			if c.asked {
				r.asked = s.seen.now
			}
			r.add(&s.seen, left, &spec, c.all)
			got := s.plans()
			if known := slices.Contains(got, "trial.ended 0/1 failed evicted"); known != c.want {
				t.Errorf("it plans %q", got)
			}
		})
	}
}
