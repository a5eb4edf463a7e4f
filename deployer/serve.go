package deployer

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// Model is what metaml.model() gives a server: the outputs of one trial.
type Model struct {
	Name   string // "train-model-7:5"; "" is none
	Folder string
	Code   string // folder code/ of the program that made it: what its pickles name is defined there

	run   string // that it is of
	trial int
}

// planServer works out the next revision of a server. A server is its series, and the key its revision: where one with
// this key answers already, or is about to, nothing is left to do.
func (c *Client) planServer(ctx context.Context, at Place, r Request) (*Plan, error) {
	p := &Plan{Spec: newSpec(at, r, Drawn{}), client: c, place: at, request: r}
	spec := &p.Spec
	answers, err := at.Server(ctx, *spec)
	if err != nil {
		return nil, err
	}
	if r.Export { // it is another server than all that there are
		answers = nil
	}
	var scaling run.Scaling
	if answers != nil && answers.State != nil && answers.State.Server != nil {
		scaling = answers.State.Server.ScaledTo(answers.Spec.Name, c.comesToAnswer(answers), spec.Server.Wanted())
	}
	switch {
	case answers == nil:
		if spec.Name, err = at.Provisional(ctx, spec.Series); err != nil {
			return nil, err
		}
	case answers.Spec.Key == spec.Key && !r.Settings.Bool("again") && current(answers):
		if scaling.Note != "" {
			p.Differs = []string{scaling.Note}
		}
		if answers.Spec.Server.Wanted() != spec.Server.Wanted() {
			p.asked = new(*spec)
			p.asked.Name = answers.Spec.Name
		}
		p.Attach, p.Spec = &answers.Spec, answers.Spec
		return p, nil
	default:
		spec.Name, p.Replaces = answers.Spec.Name, answers.State.Server.Revision
		if scaling.Note != "" && !scaling.Change {
			p.Notes = append(p.Notes, scaling.Note)
		}
	}
	p.Notes = append(p.Notes, reachNotes(spec.Server)...)
	if note := openNote(spec); note != "" {
		p.Notes = append(p.Notes, note)
	}
	p.Notes = append(p.Notes, r.Settings.Notes...)
	spec.Env = at.Environment(spec.Completions)
	return p, nil
}

// reachNotes say whom a server lets in beside those who use this machine.
func reachNotes(s *run.ServerSpec) (notes []string) {
	if host := s.Host; host != "127.0.0.1" && host != "::1" && host != "localhost" {
		note := "whoever reaches this machine reaches the server, and it asks for no password"
		if s.Locked() {
			note = "callers elsewhere send the token unencrypted, unless a proxy with TLS is in between"
		}
		notes = append(notes, fmt.Sprintf("--host %s: %s", host, note))
	}
	if s.Locked() {
		return notes // no page has the token, unless somebody gives it one
	}
	if slices.Contains(s.Origins, "*") {
		notes = append(notes,
			"--cors *: every page that anybody opens in a browser here can call the server and read its answers")
	}
	if slices.Contains(s.Hosts, "*") {
		notes = append(notes,
			"--allow-host *: a page can give the server a name of its own and read its answers as if they came from "+
				"there")
	}
	return notes
}

// current reports whether the newest revision of a server answers or is being started.
func current(l *run.Listed) bool {
	if l.State == nil || l.State.Server == nil || l.Spec.Server == nil {
		return false
	}
	newest, s := l.Spec.Server.Revision, l.State.Server
	return s.Failed == nil || s.Failed.Revision < newest
}

// comesToAnswer is what the revision says that a server comes to if nobody does anything: the newest one, or where that
// has failed, the one that answers.
func (c *Client) comesToAnswer(l *run.Listed) *run.ServerSpec {
	if !current(l) && l.State.Server.Revision > 0 {
		if spec, err := c.Runs.RevisionSpec(l.Spec.Name, l.State.Server.Revision); err == nil && spec.Server != nil {
			return spec.Server
		}
	}
	return l.Spec.Server
}

// serverSpec is the serving part of a Spec.
func serverSpec(s *settings.Resolved, r Request) *run.ServerSpec {
	replicas := s.Replicas()
	return &run.ServerSpec{
		Replicas: replicas.Min, MaxReplicas: replicas.Max, Workers: int(s.Int("workers")),
		Path: s.Text("url"), Host: s.Text("host"), Port: int(s.Int("port")), Batch: int(s.Int("batch")),
		Model: r.Model.Name, ModelFolder: r.Model.Folder, Example: r.Example,
		Hosts: hosts(s, r.Environ), Origins: s.List("cors"), Auth: auth(s),
		Ingress: reachedBy(s), Expose: s.Honours("expose") && s.Bool("expose"),
	}
}

// auth is what callers must have, "" being nothing.
func auth(s *settings.Resolved) string {
	if s.Text("auth") == run.AuthToken {
		return run.AuthToken
	}
	return ""
}

// hosts are the names by which a server may be called: those of --allow-host, and under a JupyterHub the Hub's, whose
// proxy passes on the name that the browser used.
func hosts(s *settings.Resolved, environ []string) []string {
	names := s.List("allow_host")
	for _, kv := range environ {
		variable, value, _ := strings.Cut(kv, "=")
		switch variable {
		case "JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_PUBLIC_HUB_URL", "JUPYTERHUB_HOST":
			if u, err := url.Parse(value); err == nil && u.Hostname() != "" {
				names = append(names, u.Hostname())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// servingKey is what makes two submissions of a server the same revision beside their code.
func servingKey(spec run.Spec) []string {
	if spec.Server == nil {
		return nil
	}
	s := spec.Server
	key := []string{
		s.Path, s.Host, strconv.Itoa(s.Port), strconv.Itoa(s.Batch), s.Model, s.Example, strconv.Itoa(s.Workers),
		spec.Timeout.String(), strconv.FormatBool(spec.Fresh),
	}
	if len(s.Hosts)+len(s.Origins) > 0 {
		key = append(key, strings.Join(s.Hosts, ","), strings.Join(s.Origins, ","))
	}
	if s.Locked() {
		key = append(key, "auth="+s.Auth)
	}
	return key
}

// training finds a run that a model may come from. The last one is the last training: a server is started after it.
func (c *Client) training(ctx context.Context, name string) (run.Listed, error) {
	if name == "last" {
		all, err := c.Runs.List(ctx)
		if err != nil {
			return run.Listed{}, err
		}
		if i := slices.IndexFunc(all, func(l run.Listed) bool { return l.Spec.Kind == run.Train }); i >= 0 {
			name = all[i].Spec.Name
		}
	}
	return c.Runs.Load(ctx, name)
}

// Model finds the outputs that RUN[:TRIAL|:best] names. Without a trial it is the run's only one, or the best. Those of
// a run in a cluster may still be there: whoever reads them first has them fetched.
func (c *Client) Model(ctx context.Context, name string) (Model, error) {
	runName, which, _ := run.CutTrial(name)
	listed, err := c.training(ctx, runName)
	if err != nil {
		return Model{}, err
	}
	full := listed.Spec.Name
	if listed.State == nil || listed.Spec.Kind == run.Serve {
		return Model{}, &usererror.Error{
			Code: usererror.CodeModel, Text: full + " is no training run, so it has no model to serve",
		}
	}
	trials := listed.State.Trials
	index := 0
	switch {
	case which == "" && len(trials) == 1:
	case which == "" || which == "best":
		if listed.State.Count().Succeeded == 0 {
			return Model{}, &usererror.Error{
				Code: usererror.CodeModel,
				Text: fmt.Sprintf("%s has no trial that succeeded, so it has no model to serve", full),
			}
		}
		if index, err = listed.State.Best(); err != nil {
			return Model{}, usererror.Wrap(err, usererror.CodeModel, err.Error(),
				fmt.Sprintf("A trial can be named: --model %s:0.", runName))
		}
	default:
		n, err := strconv.Atoi(which)
		if err != nil || n < 0 {
			return Model{}, &usererror.Error{
				Code: usererror.CodeModel, Text: fmt.Sprintf("--model takes RUN, RUN:TRIAL or RUN:best, not %q", name),
			}
		}
		if n >= len(trials) {
			return Model{}, &usererror.Error{
				Code: usererror.CodeModel, Text: fmt.Sprintf("%s has no trial %d, only 0 to %d", full, n,
					len(trials)-1),
			}
		}
		index = n
	}
	if !trials[index].Phase.Final() {
		return Model{}, &usererror.Error{
			Code: usererror.CodeModel, Text: fmt.Sprintf("trial %d of %s has not ended yet, so its model is not there",
				index, full),
		}
	}
	m := Model{
		Name: fmt.Sprintf("%s:%d", full, index), Folder: c.Runs.Folder(full).Output(index), run: full, trial: index,
	}
	if m.here() {
		err = m.check()
	} else {
		err = c.Runs.Kept(full)
	}
	if err != nil {
		return Model{}, err
	}
	m.Code, err = c.Runs.Code(ctx, full)
	return m, err
}

// here reports whether the files of a model are on this machine, as those of a run on it are.
func (m *Model) here() bool {
	if run.ParseName(m.run).Place == "" {
		return true
	}
	_, err := os.Stat(m.Folder)
	return err == nil
}

// check refuses a model without files.
func (m *Model) check() error {
	if entries, err := os.ReadDir(m.Folder); err != nil || len(entries) == 0 {
		return &usererror.Error{
			Code: usererror.CodeModel, Text: fmt.Sprintf("trial %d of %s kept no files, so it has no model to serve",
				m.trial, m.run),
			Hint: "What the training function writes into metaml.output() is kept.",
		}
	}
	return nil
}

// fetchEvery is how often it is said how much of a model has come.
const fetchEvery = 200 * time.Millisecond

// fetch gives what brings the files of a model here and says how much has come; nil where they are here.
func (c *Client) fetch(m *Model, progress func(run.Event)) func(context.Context) error {
	if m.Name == "" || m.here() {
		return nil
	}
	return func(ctx context.Context) error {
		began := time.Now()
		says := func(state run.Phase) {
			step := run.BuildStep{
				Name: run.ModelStep, Text: "fetching the model " + m.Name, Seconds: time.Since(began).Seconds(),
				State: state,
			}
			step.Done, step.Total, _ = c.Runs.Coming(m.run, m.trial)
			progress(run.Event{Type: run.EventBuildStep, Time: time.Now(), Build: &step})
		}
		fetched := make(chan error, 1)
		go func() {
			_, err := c.Runs.Outputs(ctx, m.run, m.trial)
			fetched <- err
		}()
		often := time.NewTicker(fetchEvery)
		defer often.Stop()
		for {
			select {
			case <-often.C:
				says(run.Running)
				continue
			case err := <-fetched:
				if err == nil {
					err = m.check()
				}
				if err != nil {
					says(run.Failed)
					return err
				}
			}
			says(run.Succeeded)
			return nil
		}
	}
}
