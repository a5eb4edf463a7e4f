package run

import (
	"context"
	"slices"
	"time"

	"github.com/metaml/metaml/internal/usererror"
)

// The targets that settings may name.
const (
	Local      = "local" // processes on this machine
	Kubernetes = "kubernetes"
)

// Check is what a target, or the command, found out about one part that a run needs.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`             // what was found, or what is wrong
	Remedy string `json:"remedy,omitempty"` // what to do, a sentence
}

// Section is a part of what a place would do with a submission, in lines for people.
type Section struct {
	Title string   `json:"title"`
	Lines []string `json:"lines"`
}

// Submission is a run that is ready to start.
type Submission struct {
	Spec    Spec   // Name may be provisional; the target has the last word
	Program string // program folder, taken over by the target
	Table   []Row  // hyperparameters, row i for trial i; nil when the function takes none
	Again   bool   // start it although a run with the same key is active
	// What the program was made with, for a place that has a Python of its own.
	PythonVersion string            // major and minor, "3.11"; "" is unknown
	Packages      map[string]string // distribution → version, of the direct imports
	Modules       map[string]string // module that is imported directly → its distribution
	// Environment is what an image for the program is made of; nil where one was named.
	Environment *Environment
	Environ     []string // of the session, for a place that has its processes here; nil is that of this process
	// ServiceMonitor has the export of a server say to the Prometheus Operator where its metrics are.
	ServiceMonitor bool
	// FetchModel brings the files of a server's model to where Spec.Server.ModelFolder says, unless they are there; nil
	// where they are. A place that reads them calls it before it does.
	FetchModel func(ctx context.Context) error
}

// BringModel sees to it that the files of a server's model are in Spec.Server.ModelFolder.
func (s *Submission) BringModel(ctx context.Context) error {
	if s.FetchModel == nil {
		return nil
	}
	return s.FetchModel(ctx)
}

// Environment is what a session has installed of all that a program needs, or what a file of requirements says.
type Environment struct {
	Python       string    // full version of the session's Python, "3.11.7"
	Requirements string    // requirements.txt of what the program imports
	Constraints  string    // another, with the versions of all that these need
	Time         time.Time // when the session was asked: it has nothing that is newer; zero is unknown

	// Of a file of requirements.
	File    string              // its path; "" is the session
	Key     string              // digest of what decides which files are found
	Pylock  string              // pylock.toml, in place of the requirements
	UVLock  string              // uv.lock, in place of the requirements
	Project string              // pyproject.toml that belongs to it
	Hashes  map[string][]string // the only files that may be taken, "sha256:…" by package; nil allows all
	Needs   map[string]string   // modules that the program imports, each with the package that brings it here
}

// Image is an image that was made for a program.
type Image struct {
	Reference string // by digest
	Known     bool   // it was there, so nothing was made
}

// Submitted is what became of a submission.
type Submitted struct {
	Spec     Spec
	Attached bool // an active run with the same key was there already: this is it
	// when attached: settings that it has otherwise than submitted, as sentences; none was applied but a server's
	// replicas, where the sentence says so
	Differs  []string
	Replaces int // of a server: the revision that answers until this one is ready; 0 is none
	// of a server: its token, where this submission made it. It is for people who read it now; no record keeps it
	Token string `json:"-"`
	Opens bool   // of a server: the revision that it replaces asks for a token, and this one does not
}

// Liveness says whether somebody looks after a run.
type Liveness string

// The kinds of liveness.
const (
	Ended Liveness = "ended" // nobody needs to
	Alive Liveness = "alive" // its monitor does
	// nobody, for all were killed; the next command that waits for the run starts another monitor
	Dead      Liveness = "dead"
	Restarted Liveness = "restarted" // the machine was restarted meanwhile; nothing goes on before it is resumed
	// somebody else made its record, or it is a copy; nothing of it is executed before it is resumed
	Copied  Liveness = "copied"
	Damaged Liveness = "damaged" // its record cannot be read
)

// Listed is one run as a target lists it.
type Listed struct {
	Spec     Spec
	State    *State
	Target   string // where it runs
	Liveness Liveness
	NotOwn   string // why nothing of its folder may be executed here (folder.Run.Own), or ""
	Damage   string // why the record cannot be read, when Damaged
	Size     int64  // of its record when it was read: as long as it has that size, nothing has changed
	Seen     bool   // somebody was shown how it ended
	Gone     bool   // it is no longer in its cluster: what is kept here is all there is
	Health   Health // of a server that was sent a request; "" is one that was not, or is not going
}

// Active reports whether trials of the run may still start by themselves.
func (l *Listed) Active() bool { return l.Liveness == Alive || l.Liveness == Dead }

// CheckTrial refuses to stop a trial that there is not: of a server, or of another number.
func (l *Listed) CheckTrial(trial int) error {
	name, trials := l.Spec.Name, len(l.State.Trials)
	switch {
	case l.Spec.Kind == Serve:
		return usererror.New(usererror.CodeTrial, "%s is a server, which is stopped as a whole", name).
			With("metaml stop %s does it.", name)
	case trial < 0 || trial >= trials:
		return usererror.New(usererror.CodeTrial, "%s has no trial %d, only 0 to %d", name, trial, trials-1)
	}
	return nil
}

// CheckGiveUp refuses to give up a revision, of those that were submitted, that is not being started.
func (l *Listed) CheckGiveUp(revision int, submitted []int) error {
	name := l.Spec.Name
	switch s := l.State.Server; {
	case s == nil:
		return usererror.New(usererror.CodeRevision, "run %s is no server and has no revisions", name)
	case !l.Active():
		return usererror.New(usererror.CodeRevision, "server %s is not going: it is %s already", name, l.State.Phase)
	case !slices.Contains(submitted, revision):
		return usererror.New(usererror.CodeRevision, "server %s has no revision %d", name, revision)
	case s.Revision >= revision:
		return usererror.New(usererror.CodeReady, "revision %d of %s is not being started: it answers, or has done so",
			revision, name).With("metaml stop %s stops the server.", name)
	}
	return nil
}

// Answers reports whether a server answered the request.
func (l *Listed) Answers() bool { return l.Health == HealthReady }

// SameServer reports whether two serving runs are revisions of one server: a server is its series
// (docs/reference/rules.md §5).
func SameServer(a, b *Spec) bool {
	return a.Kind == Serve && b.Kind == Serve && a.Owner == b.Owner && a.Source == b.Source && a.Series == b.Series
}
