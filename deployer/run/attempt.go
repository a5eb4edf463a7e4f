package run

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"syscall"
)

// The messages between what decides about a run (deployer/engine) and what runs its trials (agent), neither of which
// imports the other.

// AttemptID names an attempt of a trial.
type AttemptID struct {
	Trial  int
	Number int // from 1
}

// Attempt is an attempt that is to be started.
type Attempt struct {
	AttemptID
	Seed int64
	Slot int // 0 … parallelism - 1; attempts that run at the same time have different ones
}

// Update is one thing that happened. One of the pointers is set.
type Update struct {
	ID         AttemptID // the zero value for Loaded, LoadFailed and notes about the run
	Loaded     *Loaded   // the program's top level was executed
	LoadFailed *Error    // the program's top level raised
	Started    *Started  // an attempt's process runs
	Report     *Report   // what metaml.report gave
	Ready      *Ready    // a server's worker answers
	Note       *Note     // something people should know
	Ended      *AttemptEnd
}

// Started says that an attempt's process runs.
type Started struct {
	PID int
	// Restored are the files that were in its output folder before it ran, since an attempt before it had kept them:
	// how many bytes each had, by its path.
	Restored map[string]int64
}

// Ready says that a worker of a server waits for its front at a socket.
type Ready struct{ Socket string }

// Report is what metaml.report gave.
type Report struct {
	Step    *float64
	Metrics Metrics
}

// AttemptEnd says that an attempt is over and nothing is left of its processes.
type AttemptEnd struct {
	Returned bool    // the entry function returned
	Metrics  Metrics // what it returned, if Returned
	Error    *Error  // the exception that ended it
	Program  bool    // Error came from the program's top level
	Exit     int     // exit status, if Signal is 0
	Signal   int     // the signal that ended it
	Lost     bool    // its loader was killed, and it with it
	Internal string  // it could not be run: a sentence
	Reason   Reason  // of Internal, if it is not ReasonInternal
	Seconds  float64
	Output   string
}

// Why says why an attempt of a trial, or of whatever it is called, came to an end before its function returned. The
// text is "" where Error says it.
func (e *AttemptEnd) Why(what string) (Reason, string) {
	switch {
	case e.Internal != "" && e.Reason != "":
		return e.Reason, e.Internal
	case e.Internal != "":
		return ReasonInternal, e.Internal
	case e.Error.DiskFull():
		return ReasonDisk, ""
	case e.Program:
		return e.Error.LoadReason(), ""
	case e.Error != nil && e.Error.Origin == FromExit:
		return ReasonExit, ""
	case e.Error != nil:
		return ReasonException, ""
	case e.Lost:
		return ReasonLost, fmt.Sprintf("the process that the %s was forked from was killed", what)
	case e.Signal != 0:
		return ReasonSignal, "ended " + e.status()
	case what == "trial":
		return ReasonExit, fmt.Sprintf("ended %s before its function returned", e.status())
	default:
		return ReasonExit, "ended " + e.status()
	}
}

// How gives the words of Why that follow "it ended": "with exit status 3", "because …"; "" where Error says it.
func (e *AttemptEnd) How(what string) string {
	_, text := e.Why(what)
	switch {
	case text == "":
		return ""
	case e.Internal != "" || e.Lost:
		return "because " + text
	default:
		return e.status()
	}
}

// status says how the process ended.
func (e *AttemptEnd) status() string {
	if e.Signal != 0 {
		return fmt.Sprintf("by signal %d (%s)", e.Signal, syscall.Signal(e.Signal))
	}
	return fmt.Sprintf("with exit status %d", e.Exit)
}

// TrialSeed is the seed of a trial, the same for all its attempts: from --seed if that was given, else from the run's
// name.
func (s *Spec) TrialSeed(trial int) int64 {
	from := s.Name
	if s.Seed != nil {
		from = fmt.Sprintf("--seed %d", *s.Seed)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", from, trial))
	return int64(binary.BigEndian.Uint32(sum[:]))
}
