package run

// Submission is a run that is ready to start.
type Submission struct {
	Spec    Spec   // Name may be provisional; the target has the last word
	Program string // program folder, taken over by the target
	Table   []Row  // hyperparameters, row i for trial i; nil when the function takes none
	Again   bool   // start it although a run with the same key is active
}

// Submitted is what became of a submission.
type Submitted struct {
	Spec     Spec
	Attached bool // an active run with the same key was there already: this is it
}

// Liveness says whether somebody looks after a run.
type Liveness string

// The kinds of liveness.
const (
	Alive    Liveness = "alive"    // it has a monitor, or needs none any more
	Orphaned Liveness = "orphaned" // its monitor is gone; the next command that waits for the run starts another
	Rebooted Liveness = "rebooted" // the machine was started again meanwhile; nothing starts by itself
	Damaged  Liveness = "damaged"  // its record cannot be read
)

// Listed is one run as a target lists it.
type Listed struct {
	Spec     Spec
	State    *State
	Liveness Liveness
	Damage   string // why the record cannot be read, when Damaged
}

// Active reports whether the run goes on, or would if somebody waited for it.
func (l *Listed) Active() bool {
	return l.State != nil && !l.State.Phase.Final() && l.Liveness != Rebooted && l.Liveness != Damaged
}
