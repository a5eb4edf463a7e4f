package train

import (
	"context"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Supervisor runs attempts of trials as processes. Its methods return at once; what comes of them arrives on Updates.
// Package agent has the real one.
type Supervisor interface {
	// Start begins an attempt. It is answered by Started and Ended, or by Ended alone.
	Start(run.Attempt)
	// Signal asks a running attempt to end, or kills it. For an attempt that is not there it does nothing.
	Signal(id run.AttemptID, kill bool)
	// Updates is what happened, in order for each attempt.
	Updates() <-chan run.Update
	// Finish says what should be noted about the run, when all attempts have ended.
	Finish() []run.Note
	// Close kills what still runs and returns when nothing is left of it.
	Close()
}

// Sweeper is the other ability of a Supervisor, needed once, before anything is started: it kills what monitors before
// this one left behind, and returns when nothing is left of it. running are the attempts that had not ended.
type Sweeper interface {
	Sweep(ctx context.Context, running []run.AttemptID) error
}

// Job is what a Supervisor must know about the run.
type Job struct {
	Spec   run.Spec
	Folder folder.Run
	Table  []run.Row // nil: the entry function is called without parameters
}
