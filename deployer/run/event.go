package run

import (
	"fmt"
	"syscall"
	"time"
)

// The event types (docs/internals/protocols.md §3). Readers ignore types they do not know.
const (
	EventPlanned     = "run.planned"    // Spec facts for the reader: Completions, Parallelism
	EventSubmitted   = "run.submitted"  //
	EventLoaded      = "run.loaded"     // the program's top level was executed: Seconds, Fork, Causes
	EventStopAsked   = "run.stop_asked" // Trial nil: the whole run
	EventResumed     = "run.resumed"    // an ended run goes on: what was requested of it and how it ended are void
	EventEnded       = "run.ended"      // State, Reason; Text: the sentence for a Reason that is not its trials'
	EventTrialQueued = "trial.queued"   // Attempt will be started: a retry, or a trial of a resumed run
	// Reason, Text, Hint: why Attempt has not started; without a Reason nothing holds it any more
	EventTrialWaiting = "trial.waiting"
	EventTrialStarted = "trial.started" // PID, Seed
	EventTrialReport  = "trial.report"  // Step, Metrics; Last: reports before it may be missing
	// State, Reason, Exit, Metrics, Error; Text, Hint; Code CodeDisruption: not the trial's doing
	EventTrialEnded = "trial.ended"
	EventNote       = "note"       // Code, Text, Hint: something people should know
	EventBuildStep  = "build.step" // Build: a part of making the image that the run gets

	EventServerStarting = "server.starting" // Revision is being started
	// Revision answers now: Address, Seconds (from starting), Answer, Example; it replaces an older one
	EventServerReady = "server.ready"
	// Revision never got ready: Reason, Error or Text; an older one goes on answering
	EventServerFailed  = "server.failed"
	EventServerPublic  = "server.public"  // Address outside of its cluster, Text about it; Code NoteWaiting: not yet
	EventServerScaled  = "server.scaled"  // Replicas, MaxReplicas, whatever the revisions say; 0: as they say
	EventWorkerStarted = "worker.started" // Revision, Worker, Attempt, PID
	EventWorkerReady   = "worker.ready"   // Revision, Worker, Attempt: it answers
	// Revision, Worker, Attempt, Reason, Exit, Error, Text; with [ReasonScaled] none takes its place
	EventWorkerEnded  = "worker.ended"
	EventFrontStarted = "front.started" // PID, Attempt
	EventFrontEnded   = "front.ended"   // Attempt, Reason, Exit, Text
)

// CodeDisruption marks the end of an attempt that was cut short by what happened to its supervisor. It does not count
// as one of the retries.
const CodeDisruption = "disruption"

// Event is one line of a run's event stream. (Source, Seq) identifies it; N is stamped by the one writer of the stream
// and grows by one a line. Fields beyond the first block belong to the types named beside them.
type Event struct {
	V       int       `json:"v"`
	Source  string    `json:"source"`
	Seq     int64     `json:"seq"`
	N       int64     `json:"n"`
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Trial   *int      `json:"trial,omitempty"`
	Attempt int       `json:"attempt,omitempty"` // from 1
	Role    string    `json:"role,omitempty"`    // distributed trials
	Rank    int       `json:"rank,omitempty"`    // distributed trials
	Type    string    `json:"type"`

	Completions int      `json:"completions,omitempty"`  // run.planned
	Parallelism int      `json:"parallelism,omitempty"`  // run.planned
	Seconds     float64  `json:"seconds,omitempty"`      // run.loaded: time to load; trial.ended: time of the attempt
	Fork        bool     `json:"fork,omitempty"`         // run.loaded: trials are forks of one loaded process
	Causes      []string `json:"causes,omitempty"`       // run.loaded: why not
	PID         int      `json:"pid,omitempty"`          // trial.started
	Seed        *int64   `json:"seed,omitempty"`         // trial.started
	Step        *float64 `json:"step,omitempty"`         // trial.report
	Metrics     Metrics  `json:"metrics,omitempty"`      // trial.report; trial.ended: the returned metrics
	Last        bool     `json:"last,omitempty"`         // trial.report: the values before it are not all in the stream
	State       Phase    `json:"state,omitempty"`        // trial.ended, run.ended
	Reason      Reason   `json:"reason,omitempty"`       // trial.ended, trial.waiting, run.ended
	Exit        *int     `json:"exit,omitempty"`         // trial.ended: exit code, 128 + signal
	Error       *Error   `json:"error,omitempty"`        // trial.ended: the user's exception
	Output      string   `json:"output,omitempty"`       // trial.ended: where output() was kept
	Revision    int      `json:"revision,omitempty"`     // server.*, worker.*, run.loaded of a server: from 1
	Replicas    int      `json:"replicas,omitempty"`     // server.scaled
	MaxReplicas int      `json:"max_replicas,omitempty"` // server.scaled, of a range
	Worker      *int     `json:"worker,omitempty"`       // worker.*: from 0
	Address     string   `json:"address,omitempty"`      // server.ready, server.public: "http://127.0.0.1:21873/x"
	// server.ready: seconds that the tested answer took; 0 when none was
	Answer  float64 `json:"answer,omitempty"`
	Example string  `json:"example,omitempty"` // server.ready: the input that was tested, JSON, or one to show
	Code    string  `json:"code,omitempty"`    // note; trial.ended
	// note; trial.ended, run.ended: what happened, where Error is not it; trial.waiting: what it waits for
	Text  string     `json:"text,omitempty"`
	Hint  string     `json:"hint,omitempty"`  // note, trial.ended, trial.waiting: what to do, in full sentences
	Build *BuildStep `json:"build,omitempty"` // build.step
}

// Reason says in one word why a state was reached.
type Reason string

// The reasons of the ends of trials and runs.
const (
	ReasonException Reason = "exception"         // the user's code raised
	ReasonProgram   Reason = "program"           // the program's top level failed
	ReasonDiffers   Reason = "differs"           // --strict: a value is another one than in the session
	ReasonSignal    Reason = "signal"            // ended by a signal nobody here sent
	ReasonExit      Reason = "exit"              // ended by sys.exit or os._exit
	ReasonTimeout   Reason = "timeout"           // --timeout
	ReasonLost      Reason = "lost"              // its supervisor or loader went away
	ReasonStopped   Reason = "stopped"           // a stop was requested
	ReasonDisk      Reason = "disk full"         // no space left for the run's own files
	ReasonFolder    Reason = "folder"            // the run's folder was deleted, or cannot be written
	ReasonRestarted Reason = "machine restarted" // the machine was started again meanwhile
	ReasonCopied    Reason = "copied"            // its folder was not made here
	ReasonOutput    Reason = "output"            // what an attempt before kept of its output could not be given to it
	ReasonInternal  Reason = "internal"          // ours

	// Of a cluster. An end that is given with CodeDisruption is no retry.
	ReasonMemory  Reason = "memory"  // killed for using more than its memory: Text limit and peak, Hint what to ask for
	ReasonEvicted Reason = "evicted" // the cluster took its node or its place on it; always with CodeDisruption
	ReasonImage   Reason = "image"   // nothing could run in its image, or the image could not be had
	ReasonDeleted Reason = "deleted" // somebody deleted its pod, or the run, from the cluster

	ReasonPort       Reason = "port"       // the port is in use, or may not be used
	ReasonTest       Reason = "test"       // the answer to the example was an error
	ReasonHung       Reason = "hung"       // a worker did not answer in time and was killed
	ReasonSuperseded Reason = "superseded" // a newer revision was submitted before it was ready
	ReasonScaled     Reason = "scaled"     // of a worker: there were more than wanted
)

// Ours reports whether the reason lies in what runs the trial, or in the machine, and not in the trial's own code. A
// trial that failed so counts for nothing, and a resumed run goes on with it.
func (r Reason) Ours() bool {
	switch r {
	case ReasonLost, ReasonRestarted, ReasonCopied, ReasonDisk, ReasonFolder, ReasonOutput, ReasonInternal,
		ReasonEvicted, ReasonImage, ReasonDeleted:
		return true
	default:
		return false
	}
}

// Retriable reports whether another attempt may help: never for what the user's own code did, nor where the next one
// would get as little memory, or the same image.
func (r Reason) Retriable() bool {
	return r == ReasonSignal || r == ReasonLost || r == ReasonEvicted || r == ReasonDeleted
}

// Frame is one line of a traceback, in the program's own files.
type Frame struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // from 1
	Function string `json:"function"`
	Text     string `json:"text,omitempty"`
	Cell     int    `json:"cell,omitempty"`      // cell number in the notebook, from the source map
	CellLine int    `json:"cell_line,omitempty"` // from 1
	Mine     bool   `json:"mine,omitempty"`      // the user's code, not a library's
}

// DiskFull reports whether the disk was full, or the quota used up: not the doing of the code that happened to write.
func (e *Error) DiskFull() bool {
	return e != nil && (syscall.Errno(e.Errno) == syscall.ENOSPC || syscall.Errno(e.Errno) == syscall.EDQUOT)
}

// TypeDiffers is the type of the error with which --strict refuses a program.
const TypeDiffers = "Differs"

// LoadReason is why a program cannot be run whose top level ended with the error.
func (e *Error) LoadReason() Reason {
	switch {
	case e.DiskFull():
		return ReasonDisk
	case e != nil && e.Type == TypeDiffers && e.Origin == FromMetaML:
		return ReasonDiffers
	}
	return ReasonProgram
}

// LoadText says in one line what a program's top level ended with.
func (e *Error) LoadText() string {
	if e.Origin != FromProgram {
		return e.Text
	}
	return fmt.Sprintf("the program's top level raised %s: %s", e.Type, e.Text)
}

// ErrorOrigin says whose words an error is.
type ErrorOrigin string

// The origins of errors.
const (
	FromProgram ErrorOrigin = ""        // an exception of the user's code, or of a library
	FromExit    ErrorOrigin = "exit"    // the exception of sys.exit, in a trial
	FromProcess ErrorOrigin = "process" // no exception: how the process ended, in a sentence
	FromMetaML  ErrorOrigin = "metaml"  // what MetaML refuses, in a sentence
)

// Error is an exception of the user's code, or what stands in its place.
type Error struct {
	Type      string      `json:"type"`
	Origin    ErrorOrigin `json:"origin,omitempty"`
	Text      string      `json:"text"`
	Frames    []Frame     `json:"frames,omitempty"`
	Traceback string      `json:"traceback,omitempty"` // as Python prints it, bounded
	Errno     int         `json:"errno,omitempty"`     // ENOSPC or EDQUOT, if that is what it comes from
}
