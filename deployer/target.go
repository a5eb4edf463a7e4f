package deployer

import (
	"context"
	"fmt"

	"github.com/metaml/metaml/deployer/kube"
	"github.com/metaml/metaml/deployer/local"
	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Target is where runs execute. It only acts: what a run is and was, deployer/record reads from the folder that the
// target writes, or mirrors, on this machine.
type Target interface {
	// Check refuses settings that no place of the target can honour. It looks at nothing else.
	Check(s *settings.Resolved) error
	// At gives the place of the target that the settings name, for runs that are submitted from a session with this
	// environment.
	At(ctx context.Context, s *settings.Resolved, environ []string) (Place, error)
	Controller
	Finder
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
	// goes on until then is sent to progress, as notes. It is done before ctx ends, or nothing was started. Once it
	// is done the record has the run's spec and table, and those of a server's revision. A server that there is
	// already gets as many replicas as the spec says, unless it was scaled ([run.Server.ScaledTo]).
	Submit(ctx context.Context, s run.Submission, progress func(run.Event)) (run.Submitted, error)
}

// Controller acts on runs that there are. Names are whole.
type Controller interface {
	// Stop stops a run, or one trial of it.
	Stop(ctx context.Context, name string, trial *int, now bool) error
	// StopRevision gives up a revision of a server that does not answer yet.
	StopRevision(ctx context.Context, name string, revision int) error
	// Scale has a server have so many replicas from now on, whatever its cell says. It returns when that is settled;
	// the processes follow.
	Scale(ctx context.Context, name string, n run.Replicas) error
	// Rollback gives a server another revision which is a copy of one that answered; 0 is the one that answered before
	// the one that answers now. Its spec, and the revision that it replaces, are given.
	Rollback(ctx context.Context, name string, revision int) (run.Submitted, error)
	// Token gives the token that callers of a server must have.
	Token(ctx context.Context, name string) (string, error)
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
	Owner() string
	// Remarks gives what people should know of a program here before anything starts. It requests nothing.
	Remarks(program string) []run.Note
	// Outline says what the place would do with a submission beside starting processes, and refuses what it would
	// refuse. It makes nothing.
	Outline(ctx context.Context, s run.Submission) ([]run.Section, error)
	// Environment gives variables for each process of a run, of which so many go on at a time.
	Environment(processes int) map[string]string
}

// Finder finds runs that were submitted from other machines.
type Finder interface {
	// Discover brings the records of our runs in a place here: in the one that is named, as behind the @ of a run's
	// name, or where that is "" in the one that the settings name. It gives the place, "" being this machine, also
	// with an error, as far as it is known.
	Discover(ctx context.Context, place string, s *settings.Resolved) (string, error)
}

// Examiner checks a target before anybody needs it.
type Examiner interface {
	// Examine checks what the target needs for runs with these settings, and says what is missing. It starts nothing.
	Examine(ctx context.Context, s *settings.Resolved) []run.Check
}

// Exporter is a target that can also write what a run is made of, for another program to make it.
type Exporter interface {
	// CheckExport refuses settings with which nothing can be exported. It looks at nothing else.
	CheckExport(s *settings.Resolved) error
	// Export writes what a submission would make. It makes nothing.
	Export(ctx context.Context, s *settings.Resolved, environ []string, what run.Submission) ([]byte, error)
}

// ImageMaker is a target that makes images for what it runs.
type ImageMaker interface {
	// MakeImage makes the image that a submission would get, and starts nothing.
	MakeImage(
		ctx context.Context, s *settings.Resolved, environ []string, what run.Submission, progress func(run.Event),
	) (run.Image, error)
	// WriteDockerfile writes a folder that docker makes the same image of. It makes none.
	WriteDockerfile(
		ctx context.Context, s *settings.Resolved, environ []string, what run.Submission, to string,
		progress func(run.Event),
	) error
}

// localTarget is the target local, which is one place.
type localTarget struct{ *local.Target }

func (t localTarget) Check(*settings.Resolved) error { return nil }

func (t localTarget) At(_ context.Context, _ *settings.Resolved, environ []string) (Place, error) {
	return t.From(environ), nil
}

// Discover finds nothing: all runs of this machine are here.
func (t localTarget) Discover(context.Context, string, *settings.Resolved) (string, error) {
	return "", nil
}

func (t localTarget) Examine(ctx context.Context, _ *settings.Resolved) []run.Check {
	return t.Target.Examine(ctx)
}

// kubeTarget is the target kubernetes, whose places are namespaces of clusters.
type kubeTarget struct{ *kube.Target }

func (t kubeTarget) At(ctx context.Context, s *settings.Resolved, environ []string) (Place, error) {
	place, err := t.Target.At(ctx, s, environ)
	if err != nil {
		return nil, err
	}
	return place, nil
}

func (t kubeTarget) Export(
	ctx context.Context, s *settings.Resolved, environ []string, what run.Submission,
) ([]byte, error) {
	place, err := t.Target.At(ctx, s, environ)
	if err != nil {
		return nil, err
	}
	return place.Export(ctx, what)
}

var (
	_ Exporter   = kubeTarget{}
	_ ImageMaker = kubeTarget{}
)

// Open gives a client of the runs of this machine's user. Monitors are started from the binary agent; follow is the
// command, to which a name is appended, that follows a run in a cluster.
func Open(agent string, follow ...string) (*Client, error) {
	here, err := local.New(agent)
	if err != nil {
		return nil, err
	}
	return NewClient(here.Dir, map[string]Target{
		run.Local: Local(here), run.Kubernetes: kubeTarget{kube.New(here.Dir, follow...)},
	}), nil
}

// Use makes another target the one of a name.
func (c *Client) Use(name string, target Target) { c.targets[name] = target }

// Local makes a target of the runs on this machine.
func Local(here *local.Target) Target { return localTarget{here} }

// NewClient gives a client of the runs whose folders, and mirrors, are in dir.
func NewClient(dir string, targets map[string]Target) *Client {
	c := &Client{targets: targets}
	c.Runs = &record.Reader{
		Dir: dir, Keepers: func(name string) (record.Keeper, error) { return c.target(name) }, Missing: c.discover,
	}
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

// Check refuses a target that is not there, and settings that it cannot honour, wherever they come from. Whoever
// resolves settings calls it before anything else; [Client.Plan] calls it again.
func (c *Client) Check(s *settings.Resolved) error {
	t, err := c.target(s.Text("target"))
	if err != nil {
		return usererror.Wrap(err, usererror.CodeTarget, err.Error(),
			fmt.Sprintf("Leave it out (%s): runs execute on this machine.", s.Values["target"].Origin))
	}
	return t.Check(s)
}

// CheckExport refuses a target whose runs cannot be exported, and settings with which they cannot be.
func (c *Client) CheckExport(s *settings.Resolved) error {
	e, err := c.exporter(s)
	if err != nil {
		return err
	}
	return e.CheckExport(s)
}

// Export writes what a plan that was made for it would start, for another program to start it.
func (c *Client) Export(ctx context.Context, p *Plan) ([]byte, error) {
	r := &p.request
	e, err := c.exporter(r.Settings)
	if err != nil {
		return nil, err
	}
	what := p.submission(quietly)
	what.ServiceMonitor = p.ServiceMonitor
	return e.Export(ctx, r.Settings, r.Environ, what)
}

// MakeImage makes the image that a submission would get, and starts nothing.
func (c *Client) MakeImage(
	ctx context.Context, s *settings.Resolved, environ []string, what run.Submission, progress func(run.Event),
) (run.Image, error) {
	m, err := c.imageMaker(s)
	if err != nil {
		return run.Image{}, err
	}
	return m.MakeImage(ctx, s, environ, what, progress)
}

// WriteDockerfile writes a folder that docker makes the image of a submission of.
func (c *Client) WriteDockerfile(
	ctx context.Context, s *settings.Resolved, environ []string, what run.Submission, to string,
	progress func(run.Event),
) error {
	m, err := c.imageMaker(s)
	if err != nil {
		return err
	}
	return m.WriteDockerfile(ctx, s, environ, what, to, progress)
}

func (c *Client) imageMaker(s *settings.Resolved) (ImageMaker, error) {
	name := s.Text("target")
	t, err := c.target(name)
	if err != nil {
		return nil, err
	}
	m, ok := t.(ImageMaker)
	if !ok {
		return nil, fmt.Errorf("target %s makes no images", name)
	}
	return m, nil
}

func (c *Client) exporter(s *settings.Resolved) (Exporter, error) {
	name := s.Text("target")
	t, err := c.target(name)
	if err != nil {
		return nil, err
	}
	e, ok := t.(Exporter)
	if !ok {
		return nil, &usererror.Error{
			Code: usererror.CodeTarget, Text: fmt.Sprintf("runs on target %s cannot be exported", name),
			Hint: fmt.Sprintf("Those on a cluster can: --target %s.", run.Kubernetes),
		}
	}
	return e, nil
}

// Discover brings the records of the runs here that are in the place which the settings name. It gives that place, also
// with an error, as far as it is known.
func (c *Client) Discover(ctx context.Context, s *settings.Resolved) (place string, err error) {
	t, err := c.target(s.Text("target"))
	if err != nil {
		return "", err
	}
	return t.Discover(ctx, "", s)
}

// discover finds the run of a name with a place that is not known here.
func (c *Client) discover(ctx context.Context, name run.Name) error {
	t := c.targets[run.Kubernetes] // the only one with several places
	if t == nil || name.Place == "" {
		return nil
	}
	_, err := t.Discover(ctx, name.Place, nil)
	return err
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
