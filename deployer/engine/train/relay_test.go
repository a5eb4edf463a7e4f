package train_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer/engine/train"
	"github.com/metaml/metaml/deployer/run"
)

// supervisor is one whose updates are put in by a test.
type supervisor struct {
	updates chan run.Update
	swept   []run.AttemptID
	closed  bool
}

func (s *supervisor) Start(run.Attempt)                                  {}
func (s *supervisor) Signal(run.AttemptID, bool)                         {}
func (s *supervisor) Updates() <-chan run.Update                         { return s.updates }
func (s *supervisor) Finish() []run.Note                                 { return nil }
func (s *supervisor) Close()                                             { s.closed = true }
func (s *supervisor) Sweep(_ context.Context, ids []run.AttemptID) error { s.swept = ids; return nil }

func TestARelayPassesOnInOrderAndAddsItsOwn(t *testing.T) {
	t.Parallel()
	inner := &supervisor{updates: make(chan run.Update, 2)}
	r := train.NewRelay(inner)
	go r.Run(train.Watch{Update: func(u run.Update) {
		if u.Ended != nil {
			r.Send(run.Update{ID: u.ID, Note: &run.Note{Code: "before the end"}}, nil)
		}
	}})
	id := run.AttemptID{Trial: 1, Number: 1}
	inner.updates <- run.Update{ID: id, Started: &run.Started{PID: 1}}
	inner.updates <- run.Update{ID: id, Ended: &run.AttemptEnd{}}
	var got []string
	for range 3 {
		switch u := <-r.Updates(); {
		case u.Started != nil:
			got = append(got, "started")
		case u.Note != nil:
			got = append(got, u.Note.Code)
		case u.Ended != nil:
			got = append(got, "ended")
		}
	}
	if want := []string{"started", "before the end", "ended"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := r.Sweep(t.Context(), []run.AttemptID{id}); err != nil || !slices.Equal(inner.swept, []run.AttemptID{id}) {
		t.Errorf("swept %v, %v", inner.swept, err)
	}
	r.Close()
	r.Close()
	if !inner.closed {
		t.Error("the inner supervisor was not closed")
	}
}

func TestARelayThatNobodyReadsCanBeClosed(t *testing.T) {
	t.Parallel()
	inner := &supervisor{updates: make(chan run.Update)}
	r := train.NewRelay(inner)
	go r.Run(train.Watch{})
	for range 2 { // the second has no room
		inner.updates <- run.Update{Note: &run.Note{}}
	}
	stopped := make(chan struct{})
	close(stopped)
	r.Send(run.Update{}, stopped)
	r.Close()
	r.Send(run.Update{}, nil)
}

func TestARelayLooksNowAndThen(t *testing.T) {
	t.Parallel()
	polls := make(chan struct{})
	r := train.NewRelay(&supervisor{updates: make(chan run.Update)})
	go r.Run(train.Watch{Every: time.Millisecond, Look: func() {
		select {
		case polls <- struct{}{}:
		case <-t.Context().Done():
		}
	}})
	<-polls
	<-polls
	go func() {
		for range polls { // until the relay has ended
		}
	}()
	r.Close()
	close(polls)
}
