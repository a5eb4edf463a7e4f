package main

import (
	"context"
	"syscall"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/process"
)

// pressing names, in the environment of a test's metaml, how often Ctrl-C is pressed at the last moment of a
// submission.
const pressing = "METAML_TEST_PRESS"

// pressingLate has Ctrl-C pressed when a test's metaml has said its last word.
const pressingLate = "METAML_TEST_PRESS_LATE"

// pressed is a target during whose submissions Ctrl-C is pressed when the run is there already.
type pressed struct {
	deployer.Target
	times int
}

// At gives the place of the target, with the same habit.
func (t pressed) At(ctx context.Context, s *settings.Resolved, environ []string) (deployer.Place, error) {
	place, err := t.Target.At(ctx, s, environ)
	return pressedPlace{place, t.times}, err
}

type pressedPlace struct {
	deployer.Place
	times int
}

// Submit submits, and returns when an interrupt has ended ctx.
func (p pressedPlace) Submit(
	ctx context.Context, s run.Submission, progress func(run.Event),
) (run.Submitted, error) {
	done, err := p.Place.Submit(ctx, s, progress)
	for range p.times {
		if err == nil {
			err = process.Signal(syscall.Getpid(), syscall.SIGINT)
		}
		<-ctx.Done()
	}
	return done, err
}
