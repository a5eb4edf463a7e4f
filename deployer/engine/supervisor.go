package engine

import (
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// Supervisor runs attempts of trials, or of the workers of one revision of a server, as processes: a worker is a trial
// that stays, and says Ready when it listens. Its methods return at once, but for Close; what comes of them arrives on
// Updates. Package agent has the real one.
type Supervisor interface {
	// Start begins an attempt. It is answered by Started, Ready for a worker, and Ended, or by Ended alone.
	Start(run.Attempt)
	// Signal sends a running attempt SIGTERM, or kills it. For an attempt that is not there it does nothing.
	Signal(id run.AttemptID, kill bool)
	// Updates is what happened, in order for each attempt.
	Updates() <-chan run.Update
	// Close kills what still runs and returns when nothing is left of it.
	Close()
}

// Job is what a Supervisor must know about a run, or about a revision of a server.
type Job struct {
	Spec    run.Spec
	Folder  folder.Run
	Table   []run.Row // of a run; nil: the entry function is called without parameters
	Environ []string  // of the submission of a revision; nil: what this process has
}
