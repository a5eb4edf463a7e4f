package run_test

import (
	"slices"
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func TestWhatACellDoesToTheReplicas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name               string
		said, scaled, says int
		want               run.Scaling
	}{
		{"the same cell", 2, 0, 2, run.Scaling{Replicas: 2}},
		{"an edited cell", 2, 0, 3, run.Scaling{
			Replicas: 3, Change: true, Note: "serve-1 is scaled from 2 to 3 replicas; its revision stays",
		}},
		{"the same cell, and somebody scaled", 1, 3, 1, run.Scaling{
			Replicas: 3, Note: "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 1 changes that",
		}},
		{"an edited cell, and somebody scaled", 1, 3, 2, run.Scaling{
			Replicas: 3, Note: "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 2 changes that",
		}},
		{"down to one", 2, 1, 2, run.Scaling{
			Replicas: 1, Note: "serve-1 was scaled to 1 replica, which stays: metaml scale serve-1 2 changes that",
		}},
		{"the cell says what somebody scaled it to", 1, 3, 3, run.Scaling{Replicas: 3}},
		{"scaled to what the cell said", 2, 2, 4, run.Scaling{
			Replicas: 4, Change: true, Note: "serve-1 is scaled from 2 to 4 replicas; its revision stays",
		}},
		{"a record without the number", 0, 0, 1, run.Scaling{Replicas: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := run.Server{Replicas: test.scaled}
			if got := s.ScaledTo("serve-1", &run.ServerSpec{Replicas: test.said}, test.says); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTheWorkersOfAServer(t *testing.T) {
	t.Parallel()
	whole := run.Spec{Completions: 6, Server: &run.ServerSpec{Replicas: 2, Workers: 3}}
	old := run.Spec{Completions: 6, Server: &run.ServerSpec{}}
	for _, test := range []struct {
		name           string
		spec           run.Spec
		replicas, want int
	}{
		{"as it says", whole, 0, 6},
		{"scaled", whole, 5, 15},
		{"a record without the numbers", old, 0, 6},
		{"a record without the numbers, scaled", old, 2, 12},
		{"no server", run.Spec{}, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.spec.WorkersOf(test.replicas); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

func TestAServerThatIsScaledAndReplaced(t *testing.T) {
	t.Parallel()
	s := run.NewState(run.Spec{Name: "serve-1", Kind: run.Serve})
	n := int64(0)
	apply := func(events ...run.Event) {
		for _, e := range events {
			n++
			e.Source, e.Seq, e.N = "monitor", n, n
			s.Apply(e)
		}
	}
	worker := func(kind string, index, attempt int, reason run.Reason) run.Event {
		return run.Event{Type: kind, Revision: 1, Worker: &index, Attempt: attempt, Reason: reason}
	}
	apply(
		run.Event{Type: run.EventServerStarting, Revision: 1},
		worker(run.EventWorkerStarted, 0, 1, ""), worker(run.EventWorkerStarted, 1, 1, ""),
		run.Event{Type: run.EventServerReady, Revision: 1},
		run.Event{Type: run.EventServerScaled, Replicas: 1},
		worker(run.EventWorkerEnded, 1, 1, run.ReasonScaled),
	)
	if _, known := s.Server.CountWorkers(1); known != 1 || s.Server.Replicas != 1 {
		t.Errorf("scaled down: %+v", s.Server)
	}
	apply(run.Event{Type: run.EventServerScaled, Replicas: 2}, worker(run.EventWorkerStarted, 1, 2, ""))
	if _, known := s.Server.CountWorkers(1); known != 2 || s.Server.Restarts != 0 {
		t.Errorf("scaled up: %+v", s.Server)
	}
	if s.Server.Before() != 0 {
		t.Errorf("revision %d answered before the first", s.Server.Before())
	}
	apply(
		run.Event{Type: run.EventServerFailed, Revision: 2},
		run.Event{Type: run.EventServerReady, Revision: 3}, run.Event{Type: run.EventServerReady, Revision: 3},
		run.Event{Type: run.EventServerScaled},
	)
	if want := []int{1, 3}; !slices.Equal(s.Server.Answered, want) || s.Server.Before() != 1 || s.Server.Replicas != 0 {
		t.Errorf("replaced: %+v", s.Server)
	}
}
