package train

import (
	"context"

	"github.com/metaml/metaml/deployer/engine"
	"github.com/metaml/metaml/deployer/run"
)

// Supervisor runs the attempts of a run's trials.
type Supervisor interface {
	engine.Supervisor
	// Finish says what should be noted about the run, when all attempts have ended.
	Finish() []run.Note
}

// Sweeper is the other ability of a Supervisor, needed once, before anything is started: it kills what monitors before
// this one left behind, and returns when nothing is left of it. running are the attempts that had not ended.
type Sweeper interface {
	Sweep(ctx context.Context, running []run.AttemptID) error
}
