package run

// The words between what decides about a run (deployer/monitor) and what runs its trials (agent), which do not know each other.

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
type Started struct{ PID int }

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
