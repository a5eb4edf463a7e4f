package run_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

func fold(events ...run.Event) *run.State {
	s := run.NewState(run.Spec{Name: "serve-1", Kind: run.Serve, Completions: 2})
	for i, e := range events {
		e.Source, e.Seq = "monitor", int64(i+1)
		s.Apply(e)
	}
	return s
}

func worker(kind string, revision, index, attempt int) run.Event {
	return run.Event{Type: kind, Revision: revision, Worker: &index, Attempt: attempt}
}

// What answers stays what it is until another revision is ready.
func TestRevisionsOfAServer(t *testing.T) {
	ready := run.Event{Type: run.EventServerReady, Revision: 1, Address: "http://h/predict"}
	failed := run.Event{Type: run.EventServerFailed, Revision: 2, Reason: run.ReasonTest}
	for name, c := range map[string]struct {
		events                      []run.Event
		phase                       run.Phase
		revision, starting, failure int
	}{
		"submitted": {[]run.Event{{Type: run.EventSubmitted}}, run.Pending, 0, 0, 0},
		"starting":  {[]run.Event{{Type: run.EventServerStarting, Revision: 1}}, run.Running, 0, 1, 0},
		"ready":     {[]run.Event{{Type: run.EventServerStarting, Revision: 1}, ready}, run.Running, 1, 0, 0},
		"replacing": {[]run.Event{ready, {Type: run.EventServerStarting, Revision: 2}}, run.Running, 1, 2, 0},
		"failed":    {[]run.Event{ready, {Type: run.EventServerStarting, Revision: 2}, failed}, run.Running, 1, 0, 2},
		"mended": {
			[]run.Event{ready, {Type: run.EventServerStarting, Revision: 2}, failed, {Type: run.EventServerStarting, Revision: 3}, {Type: run.EventServerReady, Revision: 3}},
			run.Running, 3, 0, 0,
		},
		"stopped": {[]run.Event{ready, {Type: run.EventServerStarting, Revision: 2}, {Type: run.EventEnded, State: run.Stopped}}, run.Stopped, 1, 0, 0},
		"resumed": {[]run.Event{ready, {Type: run.EventEnded, State: run.Stopped}, {Type: run.EventResumed}}, run.Running, 1, 0, 0},
	} {
		s := fold(c.events...)
		failure := 0
		if s.Server.Failed != nil {
			failure = s.Server.Failed.Revision
		}
		if s.Phase != c.phase || s.Server.Revision != c.revision || s.Server.Starting != c.starting || failure != c.failure || len(s.Trials) != 0 {
			t.Errorf("%s: %s, revision %d answers, %d is starting, %d failed, %d trials", name, s.Phase, s.Server.Revision, s.Server.Starting, failure, len(s.Trials))
		}
	}
}

func TestWorkersOfAServer(t *testing.T) {
	s := fold(
		run.Event{Type: run.EventServerStarting, Revision: 1},
		worker(run.EventWorkerStarted, 1, 0, 1), worker(run.EventWorkerReady, 1, 0, 1),
		run.Event{Type: run.EventServerReady, Revision: 1},
		worker(run.EventWorkerEnded, 1, 0, 1), worker(run.EventWorkerStarted, 1, 0, 2),
		worker(run.EventWorkerEnded, 1, 0, 1), // late, of an attempt that is past
		run.Event{Type: run.EventServerStarting, Revision: 2},
		worker(run.EventWorkerStarted, 2, 0, 1), worker(run.EventWorkerStarted, 7, 0, 1),
	)
	if w := s.Server.WorkersOf(1); len(w) != 1 || w[0].Attempt != 2 || w[0].Ended || w[0].Ready || s.Server.Restarts != 1 {
		t.Errorf("revision 1 has %+v, %d restarts", w, s.Server.Restarts)
	}
	if len(s.Server.WorkersOf(2)) != 1 || len(s.Server.Workers) != 2 {
		t.Errorf("workers: %+v", s.Server.Workers)
	}
	s.Apply(run.Event{Type: run.EventServerReady, Revision: 2})
	if len(s.Server.WorkersOf(1)) != 0 {
		t.Error("the workers of a revision that was replaced are still there")
	}
}
