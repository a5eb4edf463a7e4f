package deployer

import (
	"context"
	"fmt"
	"maps"

	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Target is where runs execute. It only acts: what a run is and was, deployer/record reads from the folder that the
// target writes, or mirrors, on this machine.
type Target interface {
	// At gives the place of the target that the settings name, where runs can be submitted.
	At(ctx context.Context, s *settings.Resolved) (Place, error)
	Controller
	Examiner
	record.Keeper
}

// Place is where runs of one target are together: each has a name of its own there.
type Place interface {
	Submitter
	Surroundings
}

// Submitter starts runs.
type Submitter interface {
	// Provisional gives the name that the next run of a series would get.
	Provisional(ctx context.Context, series string) (string, error)
	// Active gives an active run with the key, or nil.
	Active(ctx context.Context, key string) (*run.Spec, error)
	// Server gives the active server of which spec would be another revision, or nil.
	Server(ctx context.Context, spec run.Spec) (*run.Listed, error)
	// Submit takes the program folder over and starts the run. Two submissions of one key at once make one run. What
	// goes on until then is sent to progress, as events. It is done before ctx ends, or nothing was started. Once it
	// is done the record has the run's spec and table, and those of a server's revision.
	Submit(ctx context.Context, s run.Submission, progress func(run.Event)) (run.Submitted, error)
}

// Controller acts on runs that there are. Names are whole.
type Controller interface {
	// Stop stops a run, or one trial of it.
	Stop(ctx context.Context, name string, trial *int, now bool) error
	// StopRevision gives up a revision of a server that does not answer yet.
	StopRevision(ctx context.Context, name string, revision int) error
	// Resume goes on with what a run left unfinished; a server answers again.
	Resume(ctx context.Context, name string) error
	// Delete removes a run that is not active, with all that it kept.
	Delete(ctx context.Context, name string) error
}

// Surroundings are what a target knows of its runs before they start.
type Surroundings interface {
	// ID distinguishes the place from all others of its target, however people call it.
	ID() string
	// Owner is who a run that is submitted from here belongs to.
	Owner(environ []string) string
	// Environment gives variables for each process of a run, of which so many go on at a time.
	Environment(environ []string, processes int) map[string]string
}

// Examiner checks a target before anybody needs it.
type Examiner interface {
	// Examine checks what the target needs for runs with these settings, and says what is missing. It starts nothing.
	Examine(ctx context.Context, s *settings.Resolved) []run.Check
}

// localTarget is the target local, which is one place.
type localTarget struct{ *local.Target }

func (t localTarget) At(context.Context, *settings.Resolved) (Place, error) { return t.Target, nil }

func (t localTarget) Examine(ctx context.Context, _ *settings.Resolved) []run.Check {
	return t.Target.Examine(ctx)
}

// Open gives a client of the runs of this machine's user, whose monitors are started from the binary agent. more are
// targets beside local, by name.
func Open(agent string, more map[string]Target) (*Client, error) {
	here, err := local.New(agent)
	if err != nil {
		return nil, err
	}
	targets := map[string]Target{run.Local: Local(here)}
	maps.Copy(targets, more)
	return NewClient(here.Dir, targets), nil
}

// Local makes a target of the runs on this machine.
func Local(here *local.Target) Target { return localTarget{here} }

// NewClient gives a client of the runs whose folders, and mirrors, are in dir.
func NewClient(dir string, targets map[string]Target) *Client {
	c := &Client{targets: targets}
	c.Runs = &record.Reader{Dir: dir, Keepers: func(name string) (record.Keeper, error) { return c.target(name) }}
	return c
}

// Examine checks what runs on this machine need, and the target that the settings name.
func (c *Client) Examine(ctx context.Context, s *settings.Resolved) []run.Check {
	all := c.targets[run.Local].Examine(ctx, s)
	if t := c.targets[s.Text("target")]; t != nil && s.Text("target") != run.Local {
		all = append(all, t.Examine(ctx, s)...)
	}
	return all
}

// target gives a target by its name.
func (c *Client) target(name string) (Target, error) {
	if t := c.targets[name]; t != nil {
		return t, nil
	}
	return nil, &usererror.Error{
		Code: usererror.CodeTarget, Text: fmt.Sprintf("target %s is not in this version of MetaML", name),
	}
}

// of finds the run that a name means, and its target.
func (c *Client) of(ctx context.Context, name string) (full string, t Target, err error) {
	full, target, err := c.Runs.Find(ctx, name)
	if err != nil {
		return "", nil, err
	}
	t, err = c.target(target)
	return full, t, err
}
