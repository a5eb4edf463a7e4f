package watch

import "github.com/metaml/metaml/deployer/run"

// Ending says how watching a run or a server ended. It is also the name of the exception that the cell ends with
// (docs/internals/protocols.md §1).
type Ending string

// The endings.
const (
	Well             Ending = ""                  // the run has succeeded, or the server is ready
	Detached         Ending = "Detached"          // whoever watched has left, and the run goes on
	Interrupted      Ending = "KeyboardInterrupt" // it was stopped, or given up, by who watched
	Stopped          Ending = "Stopped"           // somebody else stopped it
	TrialsFailed     Ending = "TrialsFailed"
	ServerFailed     Ending = "ServerFailed"
	SubmissionFailed Ending = "SubmissionFailed" // it was not started
	Broken           Ending = "MetaMLError"      // it could not be watched any longer
)

// End is how watching a run or a server ended.
type End struct {
	Ending    Ending
	Text      string     // one sentence; "" where it ended well
	Traceback []string   // lines of what the user's code raised, if that is why
	State     *run.State // the last that was seen
}
