// Package deployer runs programs. A [Client] takes a program folder and resolved settings, answers what would run
// ([Client.Plan]), starts it ([Client.Submit]), and lists, follows, stops and deletes runs. It knows neither notebooks
// nor Jupyter; what it needs from the user's Python (drawing hyperparameters) comes as a function.
//
// Read [Request] first. It may import its targets and what lies below them: deployer/run, deployer/settings.
package deployer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/record"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Request is a program and how to run it.
type Request struct {
	Program    string // program folder; Submit takes it over
	Digest     string // of its code
	Entry      string
	Parameters []string // of the entry function
	Required   []string // those without a default
	Whole      Whole    // the only parameter, if it may get a row as one dict
	Settings   *settings.Resolved
	Source     string // notebook or file, for people and the series
	Python     string
	Cwd        string
	Path       []string
	Environ    []string          // of the session, as os.Environ gives it
	Reseed     []string          // names of random generators that were made without a seed
	Seeded     []string          // of those that were made with one
	SelfSeeded []string          // libraries that the program seeds itself
	With       map[string]string // name → digest of its shipped value
	Include    map[string]string // path of a file that goes with the program → its digest
	Packages   map[string]string // distribution → version, of the direct imports
	Modules    map[string]string // module that is imported directly → its distribution
	// Environment is what an image for the program is made of; nil where one was named.
	Environment *run.Environment
	// PythonVersion is the version of Python, "3.11"; "" is unknown.
	PythonVersion string
	Draw          func(ctx context.Context, r DrawRequest) (Drawn, error)
	Table         []run.Row // hyperparameters that are there already; then nothing is drawn
	Model         Model     // of a server
	Example       string    // of a server: an input for its test, JSON
	Export        bool      // it is for [Client.Export], so another run than all that there are
	Now           time.Time
	key           []string // what of the target's own settings is in the key
}

// Whole is a function's only parameter, which may get a row of hyperparameters as one dict.
type Whole struct {
	Name      string // "" is none
	Annotated bool   // it says itself that it takes a dict
}

// takes reports whether it gets the rows of a table: none has its name, and they have several names, more than a
// function of one parameter takes otherwise.
func (w Whole) takes(rows []run.Row) bool {
	several := w.Annotated
	for _, row := range rows {
		if slices.ContainsFunc(row, func(p run.Param) bool { return p.Name == w.Name }) {
			return false
		}
		several = several || len(row) > 1
	}
	return w.Name != "" && several
}

// DrawRequest requests hyperparameters.
type DrawRequest struct {
	Name        string
	Limit       int // 0 requests the digest alone
	Completions int // 0: as many as the source gives
	Parallelism int
	Parameters  []string
	Required    []string
	Whole       Whole
	Seed        *int64 // of what is drawn from distributions; nil: another draw each time
}

// Drawn is the answer.
type Drawn struct {
	Rows   []run.Row
	Digest string // of the source and its arguments
	Notes  []string
	Whole  string // the parameter that gets each row as one dict; "" is none
}

// Plan is what would run.
type Plan struct {
	Spec    run.Spec
	Table   []run.Row
	Attach  *run.Spec // an active run with the same key: nothing new starts
	Differs []string  // settings that differ from Attach's, in words; what becomes of a server's replicas
	Reuse   *run.Spec // a succeeded run with the same key that --reuse shows again
	Before  []string  // what people should know before anything starts, a line each
	Notes   []string  // hints and warnings, a sentence each
	// Replaces is the revision of a server that answers until this one is ready; 0 is none.
	Replaces int
	// ServiceMonitor is that of [run.Submission], for [Client.Export].
	ServiceMonitor bool
	client         *Client
	place          Place
	request        Request
	asked          *run.Spec // what was submitted, where a server is attached to and its target must know that
}

// Client plans, submits and controls runs on their targets, and reads them.
type Client struct {
	Runs    *record.Reader
	targets map[string]Target
}

// Stop stops a run, or one trial of it.
func (c *Client) Stop(ctx context.Context, name string, trial *int, now bool) error {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return err
	}
	return t.Stop(ctx, full, trial, now)
}

// StopRevision gives up a revision of a server that does not answer yet.
func (c *Client) StopRevision(ctx context.Context, name string, revision int) error {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return err
	}
	return t.StopRevision(ctx, full, revision)
}

// Scale has a server have so many replicas from now on, whatever its cell says.
func (c *Client) Scale(ctx context.Context, name string, n run.Replicas) error {
	if err := settings.CheckReplicas(n); err != nil {
		return usererror.New(usererror.CodeOption, "a number of replicas %s", err)
	}
	full, t, err := c.of(ctx, name)
	if err != nil {
		return err
	}
	return t.Scale(ctx, full, n)
}

// Rollback gives a server another revision, which is a copy of one that answered; 0 is the one before the one that
// answers now.
func (c *Client) Rollback(ctx context.Context, name string, revision int) (run.Submitted, error) {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return run.Submitted{}, err
	}
	return t.Rollback(ctx, full, revision)
}

// Token gives the token that callers of a server must have.
func (c *Client) Token(ctx context.Context, name string) (string, error) {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return "", err
	}
	return t.Token(ctx, full)
}

// Resume goes on with what a run left unfinished; a server answers again.
func (c *Client) Resume(ctx context.Context, name string) error {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return err
	}
	return t.Resume(ctx, full)
}

// Delete removes a run that is not active, with all that it kept.
func (c *Client) Delete(ctx context.Context, name string) error {
	full, t, err := c.of(ctx, name)
	if err != nil {
		return err
	}
	return t.Delete(ctx, full)
}

// maxDrawn bounds the rows that are drawn from a source that never ends and has no --completions.
const maxDrawn = 256

// Plan works out what would run. It starts and writes nothing; hyperparameters are drawn only for a run that is new.
func (c *Client) Plan(ctx context.Context, r Request) (*Plan, error) {
	if err := c.Check(r.Settings); err != nil {
		return nil, err
	}
	target, err := c.target(r.Settings.Text("target"))
	if err != nil {
		return nil, err
	}
	at, err := target.At(ctx, r.Settings, r.Environ)
	if err != nil {
		return nil, err
	}
	if r.key, err = r.Settings.Key(r.Environ); err != nil {
		return nil, err
	}
	if r.Environment != nil && r.Environment.File != "" {
		r.key = append(r.key, "requirements="+r.Environment.Key)
	}
	if r.Settings.Kind == run.Serve {
		return c.planServer(ctx, at, r)
	}
	name := r.Settings.Text("hyper_parameters")
	if r.Table != nil {
		name = ""
	} else if name == "" && len(r.Required) > 0 {
		return nil, &usererror.Error{
			Code: usererror.CodeParameters, Text: fmt.Sprintf("%s needs a value for %s", r.Entry,
				prose.List(r.Required)),
			Hint: "Name a generator, function, list or DataFrame that gives them: --hyper-parameters NAME.",
		}
	}
	parallelism, completions := int(r.Settings.Int("parallelism")), int(r.Settings.Int("completions"))
	draw := DrawRequest{
		Name: name, Completions: completions, Parallelism: parallelism, Parameters: r.Parameters, Required: r.Required,
		Whole: r.Whole,
	}
	if r.Settings.Has("seed") {
		seed := r.Settings.Int("seed")
		draw.Seed = &seed
	}
	var source Drawn
	if name != "" {
		if source, err = r.Draw(ctx, draw); err != nil {
			return nil, err
		}
	}
	p := &Plan{Spec: newSpec(at, r, source), client: c, place: at, request: r}
	if !r.Settings.Bool("again") && !r.Export {
		active, err := at.Active(ctx, p.Spec.Key)
		if err != nil {
			return nil, err
		}
		if active != nil {
			p.Attach, p.Differs = active, run.Differs(*active, p.Spec)
			p.Spec = *active
			return p, nil
		}
	}
	listed, err := c.Runs.List(ctx)
	if err != nil {
		return nil, err
	}
	p.hints(listed)
	if r.Settings.Bool("reuse") && !r.Export {
		if p.Reuse = reusable(listed, p.Spec.Key); p.Reuse != nil {
			p.Spec = *p.Reuse
			return p, nil
		}
	}
	if p.Spec.Name, err = at.Provisional(ctx, p.Spec.Series); err != nil {
		return nil, err
	}
	p.Notes = append(p.Notes, r.Settings.Notes...)
	switch {
	case name != "":
		draw.Limit = maxDrawn
		drawn, err := r.Draw(ctx, draw)
		if err != nil {
			return nil, err
		}
		if len(drawn.Rows) == 0 {
			return nil, &usererror.Error{
				Code: usererror.CodeHyperParameters, Text: fmt.Sprintf("%s gives no hyperparameters", name),
				Hint: "It must give a dict for at least one trial.",
			}
		}
		p.Table, p.Spec.Completions = drawn.Rows, len(drawn.Rows)
		p.Notes = append(p.Notes, drawn.Notes...)
		p.Spec.Whole = drawn.Whole
	case r.Table != nil:
		if completions > len(r.Table) {
			return nil, &usererror.Error{
				Code: usererror.CodeCompletions,
				Text: fmt.Sprintf("--completions %d is more than the table's %d rows", completions, len(r.Table)),
			}
		}
		p.Table = r.Table
		if completions > 0 {
			p.Table = r.Table[:completions]
		}
		p.Spec.Completions = len(p.Table)
		if r.Whole.takes(p.Table) {
			p.Spec.Whole = r.Whole.Name
		}
	case completions > 0:
		p.Spec.Completions = completions
	default:
		p.Spec.Completions = parallelism
	}
	for _, n := range at.Remarks(r.Program) {
		p.Before = append(p.Before, usererror.Sentences(n.Text, n.Hint))
	}
	p.Spec.Parallelism = min(p.Spec.Parallelism, p.Spec.Completions)
	p.Spec.Env = at.Environment(p.Spec.Parallelism)
	return p, nil
}

// Submit starts what was planned; for a plan that attaches or reuses it starts nothing. What goes on until then is sent
// to progress. It is done before ctx ends, or nothing was started.
func (c *Client) Submit(ctx context.Context, p *Plan, progress func(run.Event)) (run.Submitted, error) {
	if p.Attach != nil && p.asked != nil {
		what := p.submission(progress)
		what.Spec = *p.asked
		return p.place.Submit(ctx, what, progress)
	}
	if p.Attach != nil || p.Reuse != nil {
		return run.Submitted{Spec: p.Spec, Attached: true, Differs: p.Differs}, nil
	}
	return p.place.Submit(ctx, p.submission(progress), progress)
}

// submission is what the place gets of a plan.
// quietly is for what says nothing of how far it is.
func quietly(run.Event) {}

func (p *Plan) submission(progress func(run.Event)) run.Submission {
	return run.Submission{
		Spec: p.Spec, Program: p.request.Program, Table: p.Table, Again: p.request.Settings.Bool("again"),
		PythonVersion: p.request.PythonVersion, Packages: p.request.Packages, Modules: p.request.Modules,
		Environment: p.request.Environment, Environ: p.request.Environ,
		FetchModel: p.client.fetch(&p.request.Model, progress),
	}
}

// Outline says what the place of a plan would do with it, for people.
func (p *Plan) Outline(ctx context.Context) ([]run.Section, error) {
	if p.Attach != nil || p.Reuse != nil {
		return nil, nil
	}
	return p.place.Outline(ctx, p.submission(quietly))
}

func newSpec(at Place, r Request, source Drawn) run.Spec {
	s := r.Settings
	spec := run.Spec{
		V:           1,
		Owner:       at.Owner(),
		Source:      r.Source,
		Kind:        s.Kind,
		Created:     r.Now.UTC(),
		Series:      slug(cmp.Or(s.Text("name"), r.Entry)),
		Digest:      r.Digest,
		Entry:       r.Entry,
		Python:      r.Python,
		Cwd:         r.Cwd,
		Path:        r.Path,
		Parallelism: int(s.Int("parallelism")),
		Retries:     int(s.Int("retries")),
		Timeout:     s.Duration("timeout"),
		TrialCwd:    s.Text("cwd") == "trial",
		Fresh:       s.Bool("fresh_process"),
		Strict:      s.Bool("strict"),
		TensorBoard: s.Bool("tensorboard"),
		Notify:      s.Text("notify"),
		Reseed:      r.Reseed,
		SelfSeeded:  r.SelfSeeded,
		Settings:    s.All(),
	}
	if text := s.Text("objective"); text != "" {
		spec.Objective, _ = run.ParseObjective(text) // checked when it was resolved
	}
	if s.Has("seed") {
		seed := s.Int("seed")
		spec.Seed = &seed
		// It goes before the seeds that the program has at top level, which stay what made its data.
		spec.SelfSeeded, spec.Reseed = nil, slices.Concat(r.Reseed, r.Seeded)
	}
	if s.Kind == run.Serve {
		spec.Completions = s.Replicas().Min * int(s.Int("workers"))
		spec.Parallelism, spec.Server, spec.Retries = spec.Completions, serverSpec(s, r), 0
		spec.Timeout = spec.RequestTimeout()
	}
	spec.Key = key(at, spec, r, source)
	return spec
}

// key is the run key (docs/reference/rules.md §5): what makes two submissions the same run. The drawn table,
// parallelism, resources and the full lock are not in it.
func key(at Place, spec run.Spec, r Request, source Drawn) string {
	parts := struct {
		Owner, Source, Series, Digest, Target, Hyper, Completions string
		With, Packages                                            []string
		Serving                                                   []string `json:",omitempty"`
		Settings                                                  []string `json:",omitempty"`
		Include                                                   []string `json:",omitempty"`
	}{
		spec.Owner, spec.Source, spec.Series, spec.Digest, r.Settings.Text("target") + at.ID(), source.Digest,
		r.Settings.Text("completions"),
		pairs(r.With), pairs(r.Packages), servingKey(spec), r.key, pairs(r.Include),
	}
	data, err := json.Marshal(parts)
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func pairs(m map[string]string) []string {
	list := make([]string, 0, len(m))
	for name, value := range m {
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return list
}

// hints are at most two: an older run of the series that is still active, and a finished one of this very key that
// nobody saw.
func (p *Plan) hints(listed []run.Listed) {
	for i := range listed {
		l := &listed[i]
		if l.Spec.Key == p.Spec.Key && l.State != nil && l.State.Phase.Final() && !l.Seen && l.Liveness == run.Ended {
			p.Notes = append(p.Notes, fmt.Sprintf("%s ran the same and ended while nobody watched: %%metaml attach %s",
				l.Spec.Name, l.Spec.Name))
			break
		}
	}
	for i := range listed {
		l := &listed[i]
		sameFunction := l.Spec.Series == p.Spec.Series && l.Spec.Source == p.Spec.Source && l.Spec.Owner == p.Spec.Owner
		if sameFunction && l.Active() && l.Spec.Key != p.Spec.Key {
			p.Notes = append(p.Notes,
				fmt.Sprintf("%s of the same function, from before an edit, is still active: %%metaml stop %s",
					l.Spec.Name, l.Spec.Name))
			return
		}
	}
}

func reusable(listed []run.Listed, key string) *run.Spec {
	for i := range listed {
		if l := &listed[i]; l.Spec.Key == key && l.State != nil && l.State.Phase == run.Succeeded {
			return &l.Spec
		}
	}
	return nil
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes a readable name of a series: "train_model" → "train-model".
func slug(s string) string {
	s = strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if len(s) > 40 {
		s = strings.Trim(s[:40], "-")
	}
	if s == "" {
		return "run"
	}
	return s
}

// SourceName is the short name of a run's notebook or file.
func SourceName(spec run.Spec) string { return filepath.Base(spec.Source) }
