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
		said, scaled, says run.Replicas
		want               run.Scaling
	}{
		{"the same cell", n(2), n(0), n(2), run.Scaling{Replicas: n(2)}},
		{"an edited cell", n(2), n(0), n(3), run.Scaling{
			Replicas: n(3), Change: true, Note: "serve-1 is scaled from 2 to 3 replicas; its revision stays",
		}},
		{"the same cell, and somebody scaled", n(1), n(3), n(1), run.Scaling{
			Replicas: n(3), Note: "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 1 changes that",
		}},
		{"an edited cell, and somebody scaled", n(1), n(3), n(2), run.Scaling{
			Replicas: n(3), Note: "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 2 changes that",
		}},
		{"down to one", n(2), n(1), n(2), run.Scaling{
			Replicas: n(1), Note: "serve-1 was scaled to 1 replica, which stays: metaml scale serve-1 2 changes that",
		}},
		{"the cell says what somebody scaled it to", n(1), n(3), n(3), run.Scaling{Replicas: n(3)}},
		{"scaled to what the cell said", n(2), n(2), n(4), run.Scaling{
			Replicas: n(4), Change: true, Note: "serve-1 is scaled from 2 to 4 replicas; its revision stays",
		}},
		{"a record without the number", n(0), n(0), n(1), run.Scaling{Replicas: n(1)}},
		{"the same range", ranged(2, 10), n(0), ranged(2, 10), run.Scaling{Replicas: ranged(2, 10)}},
		{"another range", ranged(2, 10), n(0), ranged(2, 4), run.Scaling{
			Replicas: ranged(2, 4), Change: true,
			Note: "serve-1 is scaled from 2..10 to 2..4 replicas; its revision stays",
		}},
		{"a range in place of a number", n(2), n(0), ranged(2, 4), run.Scaling{
			Replicas: ranged(2, 4), Change: true, Note: "serve-1 is scaled from 2 to 2..4 replicas; its revision stays",
		}},
		{"a number in place of a range", ranged(2, 4), n(0), n(1), run.Scaling{
			Replicas: n(1), Change: true, Note: "serve-1 is scaled from 2..4 to 1 replica; its revision stays",
		}},
		{"a range, and somebody fixed the number", ranged(2, 10), n(3), ranged(2, 10), run.Scaling{
			Replicas: n(3),
			Note:     "serve-1 was scaled to 3 replicas, which stay: metaml scale serve-1 2..10 changes that",
		}},
		{"a range, and somebody fixed it at its least", ranged(2, 10), n(2), ranged(2, 10), run.Scaling{
			Replicas: n(2),
			Note:     "serve-1 was scaled to 2 replicas, which stay: metaml scale serve-1 2..10 changes that",
		}},
		{"a number, and somebody gave it a range", n(1), ranged(1, 3), n(1), run.Scaling{
			Replicas: ranged(1, 3),
			Note:     "serve-1 was scaled to 1..3 replicas, which stay: metaml scale serve-1 1 changes that",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := run.Server{Replicas: test.scaled.Min, MaxReplicas: test.scaled.Max}
			spec := &run.ServerSpec{Replicas: test.said.Min, MaxReplicas: test.said.Max}
			if got := s.ScaledTo("serve-1", spec, test.says); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// n and ranged are numbers of replicas.
func n(number int) run.Replicas           { return run.Replicas{Min: number} }
func ranged(least, most int) run.Replicas { return run.Replicas{Min: least, Max: most} }

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
