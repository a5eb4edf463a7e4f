package local

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

// A list reads the summary of a run that has ended and not at its events, as long as the two belong together.
func TestListReadsNoEventsOfEndedRuns(t *testing.T) {
	b := newTarget(t)
	spec := submit(t, b, 2)
	f := b.Folder(spec.Name)
	finish(t, f, spec,
		run.Event{
			Type: run.EventTrialEnded, Trial: new(0), Attempt: 1, State: run.Succeeded,
			Metrics: run.Metrics{"a": 3, "b": math.NaN()},
		},
		run.Event{Type: run.EventTrialEnded, Trial: new(1), Attempt: 1, State: run.Failed, Reason: run.ReasonException},
		run.Event{Type: run.EventEnded, State: run.Failed},
	)
	l, err := b.Load(t.Context(), spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	listed := func() *run.State {
		t.Helper()
		all, err := b.List(t.Context())
		if err != nil || len(all) != 1 || all[0].Liveness != run.Ended {
			t.Fatalf("listed %v, %v", all, err)
		}
		return all[0].State
	}
	check := func(s *run.State) {
		t.Helper()
		if s.Phase != l.State.Phase || s.Count() != l.State.Count() || !s.Ended.Equal(l.State.Ended) ||
			fmt.Sprintf("%v %s", s.Trials[0].Metrics, s.Trials[1].Reason) != "map[a:3 b:NaN] exception" ||
			!reflect.DeepEqual(s.Trials[0].Returned, []string{"a", "b"}) {
			t.Errorf("listed as %s with %+v, not as %s with %+v", s.Phase, s.Trials, l.State.Phase, l.State.Trials)
		}
	}
	check(listed())
	events, err := os.ReadFile(f.Events())
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Events(), strings.Repeat("\x00", len(events)))
	check(listed())
	// As after a crash in the middle of a resume: the events are longer than what was summed up, and they count.
	more := fmt.Sprintf(`{"v":1,"source":"monitor","seq":%d,"n":%[1]d,"run":%q,"type":"run.ended","state":"stopped"}`,
		l.State.N+1, l.Spec.Name)
	write(t, f.Events(), string(events)+more+"\n")
	if s := listed(); s.Phase != run.Stopped {
		t.Errorf("the run is %s by a summary that is not of its events", s.Phase)
	}
	write(t, f.Events(), string(events))
	write(t, f.SummaryFile(), `{"v":1,"siz`)
	check(listed())
}

// A run is found by its name, by the name of its series, by a prefix that no other has, and as the newest.
func TestNames(t *testing.T) {
	b := newTarget(t)
	var missing *record.NotFound
	if _, err := b.Load(t.Context(), record.Last); !errors.As(err, &missing) || err.Error() != "there is no run yet" {
		t.Errorf("no run: %v", err)
	}
	first := ended(t, b)
	second := ended(t, b)
	if l, err := b.Load(t.Context(), record.Last); err != nil || l.Spec.Name != second.Name {
		t.Errorf("last: %v %v", l.Spec.Name, err)
	}
	if _, err := b.Load(t.Context(), "trian-1"); !errors.As(err, &missing) || missing.Nearest != "train-1" {
		t.Errorf("a slip: %v", err)
	}
	var user *usererror.Error
	if l, err := b.Load(t.Context(), "train"); err != nil || l.Spec.Name != second.Name {
		t.Errorf("a series: %v %v", l.Spec.Name, err)
	}
	if _, err := b.Load(t.Context(), "tra"); !errors.As(err, &user) ||
		!strings.Contains(user.Hint, "train-1, train-2") {
		t.Errorf("ambiguous: %v", err)
	}
	if err := b.Delete(t.Context(), second.Name); err != nil {
		t.Fatal(err)
	}
	if l, err := b.Load(t.Context(), "tr"); err != nil || l.Spec.Name != first.Name {
		t.Errorf("a prefix: %v %v", l.Spec.Name, err)
	}
	// A deleted run's name is not given to another.
	if name, err := b.Provisional(t.Context(), "train"); err != nil || name != "train-3" {
		t.Errorf("after a deletion: %q %v", name, err)
	}
	if _, err := b.Provisional(t.Context(), "../x"); !errors.As(err, &user) {
		t.Errorf("a series that is a path: %v", err)
	}
}

func TestListNamesWhatIsDamaged(t *testing.T) {
	b := newTarget(t)
	whole := ended(t, b)
	if err := os.MkdirAll(string(b.Folder("broken-1")), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, b.Folder("broken-1").Spec(), "{")
	all, err := b.List(t.Context())
	if err != nil || len(all) != 2 || all[0].Spec.Name != whole.Name || all[1].Spec.Name != "broken-1" ||
		all[1].Damage == "" {
		t.Errorf("%+v %v", all, err)
	}
	if err := b.Delete(t.Context(), "broken-1"); err != nil || there(string(b.Folder("broken-1"))) {
		t.Errorf("delete: %v", err)
	}
}

// BenchmarkList lists 200 runs with 1,000 reports each.
func BenchmarkList(b *testing.B) {
	target := In(b.TempDir(), "")
	for i := range 200 {
		spec := run.Spec{
			V: 1, Name: fmt.Sprintf("train-%d",
				i+1), Series: "train", Completions: 10, Parallelism: 1, Created: time.Now(),
		}
		f := target.Folder(spec.Name)
		if err := os.MkdirAll(string(f), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
			b.Fatal(err)
		}
		var events []run.Event
		for k := range 1010 {
			trial := k % 10
			e := run.Event{
				Trial: &trial, Attempt: 1, Type: run.EventTrialReport, Metrics: run.Metrics{"loss": float64(k)},
			}
			if k >= 1000 {
				e.Type, e.State = run.EventTrialEnded, run.Succeeded
			}
			events = append(events, e)
		}
		finish(b, f, spec, append(events, run.Event{Type: run.EventEnded, State: run.Succeeded})...)
	}
	b.Run("list, from summaries", func(b *testing.B) {
		for b.Loop() {
			if all, err := target.List(b.Context()); err != nil || len(all) != 200 {
				b.Fatal(len(all), err)
			}
		}
	})
	b.Run("each, from events", func(b *testing.B) {
		for b.Loop() {
			for i := range 200 {
				if l, err := target.Exactly(fmt.Sprintf("train-%d", i+1)); err != nil ||
					l.State.Phase != run.Succeeded {
					b.Fatal(l.State, err)
				}
			}
		}
	})
}

func TestRunsThatEndedBeforeAMoment(t *testing.T) {
	b := newTarget(t)
	ended, going, damaged := submit(t, b, 1), submit(t, b, 1), submit(t, b, 1)
	finish(t, b.Folder(ended.Name), ended, run.Event{Type: run.EventEnded, State: run.Stopped, Time: time.Now()})
	write(t, b.Folder(damaged.Name).Spec(), "{")
	for name, c := range map[string]struct {
		moment time.Time
		want   []string
	}{
		"longer ago than it is":    {time.Now().Add(-time.Hour), nil},
		"not as long ago as it is": {time.Now().Add(time.Hour), []string{ended.Name}},
	} {
		t.Run(name, func(t *testing.T) {
			old, err := b.EndedBefore(t.Context(), c.moment)
			var got []string
			for i := range old {
				got = append(got, old[i].Spec.Name)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v, %v; want %v, and neither %s nor %s", got, err, c.want, going.Name, damaged.Name)
			}
		})
	}
}
