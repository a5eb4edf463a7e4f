package local

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// A list looks at the summary of a run that has ended and not at its events, as long as the two belong together.
func TestListReadsNoEventsOfEndedRuns(t *testing.T) {
	b := newBench(t)
	l := b.run(b.spec(2), "def train(x):\n    assert x\n    return {'a': x, 'b': float('nan')}\n", rows("x", 3, 0))
	b.waitFor("the summary", func() bool { return exists(l.Folder.SummaryFile()) })
	listed := func() *run.State {
		t.Helper()
		all, err := b.List(t.Context())
		if err != nil || len(all) != 1 || all[0].Liveness != Ended {
			t.Fatalf("listed %v, %v", all, err)
		}
		return all[0].State
	}
	check := func(s *run.State) {
		t.Helper()
		if s.Phase != l.State.Phase || s.Count() != l.State.Count() || !s.Ended.Equal(l.State.Ended) ||
			fmt.Sprintf("%v %s", s.Trials[0].Metrics, s.Trials[1].Reason) != "map[a:3 b:NaN] exception" ||
			!reflect.DeepEqual(s.Trials[0].Returned, []string{"a", "b"}) {
			t.Errorf("listed as %s with %+v, not as %s", s.Phase, s.Trials, b.describe(l))
		}
	}
	check(listed())
	events, err := os.ReadFile(l.Folder.Events())
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(l.Folder.Events(), make([]byte, len(events)))
	check(listed())
	// As after a crash in the middle of a resume: the events are longer than what was summed up, and they count.
	more := fmt.Sprintf(`{"v":1,"source":"monitor","seq":%d,"n":%[1]d,"run":%q,"type":"run.ended","state":"stopped"}`, l.State.N+1, l.Spec.Name)
	write(l.Folder.Events(), append(events, more+"\n"...))
	if s := listed(); s.Phase != run.Stopped {
		t.Errorf("the run is %s by a summary that is not of its events", s.Phase)
	}
	write(l.Folder.Events(), events)
	write(l.Folder.SummaryFile(), []byte(`{"v":1,"siz`))
	check(listed())
}

// BenchmarkList lists 200 runs with 1,000 reports each.
func BenchmarkList(b *testing.B) {
	target := &Target{Dir: b.TempDir()}
	for i := range 200 {
		f := target.Folder(fmt.Sprintf("train-%d", i+1))
		if err := os.MkdirAll(string(f), 0o700); err != nil {
			b.Fatal(err)
		}
		spec := run.Spec{V: 1, Name: filepath.Base(string(f)), Series: "train", Completions: 10, Parallelism: 1, Created: time.Now()}
		file, err := os.OpenFile(f.Events(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		state := run.NewState(spec)
		log, err := folder.OpenLog(file, func(e run.Event) { state.Apply(e) })
		if err != nil {
			b.Fatal(err)
		}
		var batch []*run.Event
		for k := range 1010 {
			trial := k % 10
			e := &run.Event{V: 1, Source: "monitor", Run: spec.Name, Time: time.Now(), Trial: &trial, Attempt: 1, Type: run.EventTrialReport, Metrics: run.Metrics{"loss": float64(k)}}
			if k >= 1000 {
				e.Type, e.State = run.EventTrialEnded, run.Succeeded
			}
			batch = append(batch, e)
		}
		batch = append(batch, &run.Event{V: 1, Source: "monitor", Run: spec.Name, Time: time.Now(), Type: run.EventEnded, State: run.Succeeded})
		if err := log.Append(batch...); err != nil {
			b.Fatal(err)
		}
		for _, e := range batch {
			state.Apply(*e)
		}
		if err := folder.ReplaceJSON(f.Spec(), spec); err != nil {
			b.Fatal(err)
		}
		if err := f.WriteSummary(state, log.Size()); err != nil {
			b.Fatal(err)
		}
		_ = file.Close()
	}
	read := func(b *testing.B, read func(string) (Listed, error)) {
		b.Helper()
		for b.Loop() {
			for i := range 200 {
				if l, err := read(fmt.Sprintf("train-%d", i+1)); err != nil || l.State.Phase != run.Succeeded {
					b.Fatal(l.State, err)
				}
			}
		}
	}
	b.Run("summary", func(b *testing.B) { read(b, target.glance) })
	b.Run("events", func(b *testing.B) { read(b, target.read) })
}
