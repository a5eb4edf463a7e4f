package mirror

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// podEvents are the events that a pod writes in its own folder, and what of them came from the monitor.
type podEvents struct {
	t      *testing.T
	source collect.Source
	file   string // of the pod
	log    *folder.Log
	live   *live
	sent   int64
}

func newPodEvents(t *testing.T, l *live, source collect.Source) *podEvents {
	t.Helper()
	own := folder.Run(t.TempDir())
	file, err := own.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	log, err := folder.OpenLog(file, func(run.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	return &podEvents{t, source, own.Events(), log, l, 0}
}

func (p *podEvents) reports(values ...float64) {
	for _, v := range values {
		p.add(run.Event{Type: run.EventTrialReport, Time: moment(v), Metrics: run.Metrics{"loss": v}})
	}
}

func (p *podEvents) add(e run.Event) {
	e.V, e.Source, e.Run, e.Trial, e.Attempt = 1, "agent", "train-1", &p.source.Trial, p.source.Attempt
	if err := p.log.Append(&e); err != nil {
		p.t.Fatal(err)
	}
}

func (p *podEvents) read() []byte {
	p.t.Helper()
	data, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// arrives has all that was written come from the monitor, in pieces.
func (p *podEvents) arrives(most int) {
	p.t.Helper()
	data := p.read()[p.sent:]
	for len(data) > 0 {
		n := min(most, len(data))
		if err := p.live.Append(p.source, eventsName, data[:n]); err != nil {
			p.t.Fatal(err)
		}
		p.sent, data = p.sent+int64(n), data[n:]
	}
}

// moment is when a value is reported.
func moment(v float64) time.Time { return start.Add(time.Duration(v * float64(time.Second))) }

// logged is what the log of trial 0 says.
func logged(v float64) run.Event {
	zero := 0
	return run.Event{
		Type: run.EventTrialReport, Trial: &zero, Attempt: 1, Time: moment(v), Last: true,
		Metrics: run.Metrics{"loss": v},
	}
}

// recordOf is a record with one trial that runs, whose reports are taken without a cluster.
type recordOf struct {
	t      *testing.T
	folder folder.Run
	live   *live
	curves *curves
	state  *run.State
	events []run.Event
}

func newRecord(t *testing.T) *recordOf {
	t.Helper()
	f := folder.Run(t.TempDir())
	r := &recordOf{t: t, folder: f, live: newLive(nil, f, "train-1", func() {})}
	r.open()
	return r
}

// open begins anew, as after a crash.
func (r *recordOf) open() {
	r.t.Helper()
	var err error
	if r.curves, err = newCurves(r.folder); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.curves.close)
	zero := 0
	r.state = run.NewState(run.Spec{Name: "train-1", Completions: 1})
	r.state.Apply(run.Event{Type: run.EventTrialStarted, Trial: &zero, Attempt: 1, Time: start})
	for _, e := range r.events {
		r.state.Apply(e)
		r.curves.count(e)
	}
}

func (r *recordOf) take(now time.Time, live bool) {
	r.t.Helper()
	grown, _ := r.live.take()
	events, err := r.curves.take(grown, r.state, func(s collect.Source) (run.AttemptID, bool) {
		return run.AttemptID{Trial: s.Trial, Number: s.Attempt}, true
	})
	if err != nil {
		r.t.Fatal(err)
	}
	events = append(events, r.curves.release(now, live)...)
	for _, e := range events {
		r.state.Apply(e)
	}
	r.events = append(r.events, events...)
}

func (r *recordOf) course() []float64 { return r.state.Trials[0].Series["loss"].Values }

var firstPod = collect.Source{ID: "pod-1", Trial: 0, Attempt: 1, Round: 1}

func TestWhatTheMonitorSendsGoesBeforeTheLog(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(r *recordOf, p *podEvents)
		want []float64
		of   int // reports in the record
	}{
		{"the monitor first", func(r *recordOf, p *podEvents) {
			p.reports(1, 2, 3)
			p.arrives(1 << 20)
			r.take(moment(3), true)
			r.curves.hold(logged(3), moment(3))
			r.take(moment(3.1), true)
		}, []float64{1, 2, 3}, 3},
		{"the log a little earlier", func(r *recordOf, p *podEvents) {
			r.curves.hold(logged(2), moment(2))
			r.take(moment(2), true)
			p.reports(1, 2)
			p.arrives(7)
			r.take(moment(2.2), true)
		}, []float64{1, 2}, 2},
		{"the monitor does not send it", func(r *recordOf, p *podEvents) {
			p.reports(1)
			p.arrives(1 << 20)
			r.take(moment(1), true)
			r.curves.hold(logged(2), moment(2))
			r.take(moment(2+holdReports.Seconds()/2), true)
			if got := r.course(); len(got) != 1 {
				r.t.Errorf("the log was not held back: %v", got)
			}
			r.take(moment(2+holdReports.Seconds()), true)
		}, []float64{1, 2}, 2},
		{"there is no monitor", func(r *recordOf, _ *podEvents) {
			r.curves.hold(logged(2), moment(2))
			r.take(moment(2), false)
		}, []float64{2}, 1},
		{"the monitor comes later", func(r *recordOf, p *podEvents) {
			r.curves.hold(logged(2), moment(2))
			r.take(moment(2), false)
			p.reports(1, 1.5, 2, 3)
			p.arrives(100)
			r.take(moment(4), true)
		}, []float64{1, 1.5, 2, 3}, 5},
		{"the record is opened again", func(r *recordOf, p *podEvents) {
			p.reports(1, 2)
			p.arrives(1 << 20)
			r.take(moment(2), true)
			p.reports(3)
			p.arrives(1 << 20) // and then a crash
			r.open()
			r.take(moment(4), true)
			p.reports(4)
			p.arrives(1 << 20)
			r.take(moment(5), true)
		}, []float64{1, 2, 3, 4}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRecord(t)
			c.play(r, newPodEvents(t, r.live, firstPod))
			if got := r.course(); !slices.Equal(got, c.want) || len(r.events) != c.of {
				t.Errorf("the course is %v of %d reports, want %v of %d", got, len(r.events), c.want, c.of)
			}
		})
	}
}

// An attempt that has ended is waited for until its last report is here, and no longer than the monitor is there.
func TestTheEndOfAnAttemptWaitsForItsReports(t *testing.T) {
	id, now := run.AttemptID{Trial: 0, Number: 1}, moment(10)
	r := newRecord(t)
	p := newPodEvents(t, r.live, firstPod)
	p.reports(1)
	p.arrives(1 << 20)
	r.take(now, true)
	if r.curves.settled(id, now, true) {
		t.Error("its end did not come yet")
	}
	if !r.curves.settled(id, now, false) {
		t.Error("there is no monitor to wait for")
	}
	if !r.curves.settled(id, now.Add(holdReports), true) {
		t.Error("it was waited for long enough")
	}
	p.add(run.Event{Type: run.EventTrialEnded, Time: moment(2), State: run.Succeeded})
	p.arrives(1 << 20)
	r.take(now, true)
	if !r.curves.settled(id, now, true) {
		t.Error("its end is here")
	}
}

// Whatever comes by which way, when, and over how many crashes: each report is in the course once, in its order.
func TestACourseHasEachReportOnce(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 15))
			r := newRecord(t)
			p := newPodEvents(t, r.live, firstPod)
			var want []float64
			now := start
			for range 40 {
				n := random.IntN(6)
				for range n {
					want = append(want, float64(len(want)+1))
					p.reports(want[len(want)-1])
				}
				if n > 0 && random.IntN(2) == 0 {
					r.curves.hold(logged(want[len(want)-1]), now)
				}
				if random.IntN(3) > 0 {
					p.arrives(1 + random.IntN(400))
				}
				now = now.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
				r.take(now, random.IntN(4) > 0)
				if random.IntN(10) == 0 {
					r.open()
				}
			}
			p.arrives(1 << 20)
			r.take(now, true)
			state := run.NewState(run.Spec{Completions: 1})
			for _, v := range want {
				e := logged(v)
				e.Last = false
				state.Apply(e)
			}
			if got, want := r.course(), state.Trials[0].Series["loss"].Values; !slices.Equal(got, want) {
				t.Errorf("the course is %v, want %v", got, want)
			}
			if r.state.Trials[0].LastOnly {
				t.Error("it is said to lack values")
			}
		})
	}
}
