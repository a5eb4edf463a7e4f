package run

import (
	"testing"
	"time"
)

func TestTheFoldOfAServer(t *testing.T) {
	t.Parallel()
	s := NewState(Spec{Name: "serve-1", Kind: Serve, Completions: 1})
	var seq int64
	apply := func(events ...Event) *Server {
		for _, e := range events {
			seq++
			e.Source, e.Seq, e.Time = "monitor", seq, time.Unix(seq, 0)
			s.Apply(e)
		}
		return s.Server
	}
	up := func(revision, attempt int) []Event {
		return []Event{
			{
				Type: EventWorkerStarted, Revision: revision, Worker: new(0), Attempt: attempt,
				PID: 100*revision + attempt,
			},
			{Type: EventWorkerReady, Revision: revision, Worker: new(0), Attempt: attempt},
		}
	}
	apply(Event{Type: EventSubmitted}, Event{Type: EventServerStarting, Revision: 1})
	if v := apply(up(1, 1)...); v.Revision != 0 || v.Starting != 1 || s.Phase != Running || len(v.Workers) != 1 ||
		!v.Workers[0].Ready {
		t.Errorf("while the first starts: %+v", v)
	}
	v := apply(Event{Type: EventServerReady, Revision: 1, Address: "http://127.0.0.1:21873/predict", Example: "1"})
	if v.Revision != 1 || v.Starting != 0 || v.Port() != 21873 {
		t.Errorf("ready: %+v", v)
	}
	// One that is submitted while another starts, and a worker that keeps dying, of which not each end is reported.
	apply(Event{Type: EventServerStarting, Revision: 2}, Event{
		Type: EventServerFailed, Revision: 2, Reason: ReasonSuperseded,
	})
	apply(Event{Type: EventServerStarting, Revision: 3})
	apply(up(3, 1)...)
	apply(Event{Type: EventWorkerEnded, Revision: 1, Worker: new(0), Attempt: 1, Reason: ReasonSignal})
	if v := apply(up(1, 8)...); v.Revision != 1 || v.Starting != 3 || v.Restarts != 7 || v.Failed == nil ||
		v.Failed.Revision != 2 {
		t.Errorf("two at once: %+v", v)
	}
	if v := apply(Event{Type: EventServerReady, Revision: 3}); v.Revision != 3 || v.Failed != nil ||
		len(v.WorkersOf(1)) != 0 || len(v.WorkersOf(3)) != 1 {
		t.Errorf("replaced: %+v", v)
	}
	if v := apply(Event{Type: EventServerFailed, Revision: 3, Reason: ReasonProgram}); v.Revision != 0 ||
		v.Failed.Reason != ReasonProgram {
		t.Errorf("one that answered and cannot be started again: %+v", v)
	}
	apply(Event{Type: EventEnded, State: Failed}, Event{Type: EventResumed},
		Event{Type: EventServerStarting, Revision: 3})
	if v := apply(up(3, 2)...); s.Phase != Running || v.Starting != 3 || len(v.Workers) != 1 || len(s.Trials) != 0 {
		t.Errorf("resumed: %s %+v", s.Phase, v)
	}
	if v := apply(Event{Type: EventServerReady, Revision: 3}); v.Answering() != 3 {
		t.Errorf("ready again: %+v", v)
	}
	if v := apply(Event{Type: EventEnded, State: Stopped}, Event{Type: EventResumed}); v.Answering() != 0 {
		t.Errorf("one that answered, and does not yet again: %+v", v)
	}
	if v := apply(Event{Type: EventServerStarting, Revision: 3},
		Event{Type: EventServerStarting, Revision: 4}); v.Answering() != 3 {
		t.Errorf("with another beside it: %+v", v)
	}
}

func TestWhereAClusterAsksAServer(t *testing.T) {
	for _, c := range []struct {
		name string
		port int
		want string
	}{
		{"predict-1", 0, ""},
		{"predict-1@prod/team", 0, "http://predict-1.team/predict"},
		{"predict-1@prod/team", 80, "http://predict-1.team/predict"},
		{"predict-1@prod/team", 8000, "http://predict-1.team:8000/predict"},
		{"predict-1@arn:aws:eks:eu:1:cluster/prod/team", 0, "http://predict-1.team/predict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := Spec{Name: c.name, Server: &ServerSpec{Path: "/predict", Port: c.port}}
			if got := spec.ServiceURL(); got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
		})
	}
	if got := (&Spec{Name: "fit-1@prod/team"}).ServiceURL(); got != "" {
		t.Errorf("of a sweep it is %q", got)
	}
}
