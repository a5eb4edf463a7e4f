package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch/watch"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// Converse serves one cell or one decorated call: `metaml run --session -` (docs/internals/protocols.md §1). What goes
// wrong is sent to the other side; the error says that even that failed. what says how far it goes.
func (l *Launcher) Converse(ctx context.Context, render bool, what Purpose) error {
	p := newPeer(l.In, view.Raw(l.Out))
	c := &converse{Launcher: l, peer: p, render: render, what: what}
	err := c.serve(ctx)
	switch {
	case err == nil, errors.Is(err, talk.ErrClosed), errors.Is(err, ErrInterrupted):
		return nil // cancelled or detached; nobody is there to read it
	default:
		return p.Send(c.refused(err))
	}
}

// converse is the state of one conversation.
type converse struct {
	*Launcher
	peer   *peer
	render bool
	what   Purpose
	lines  bool              // the front end does not replace displays
	detach bool              // the cell does not wait for the run
	slice  map[string]string // with lines: what runs, to be displayed with the table
	place  string            // "%%train: " before a refusal
	kind   run.Kind
}

func (c *converse) serve(ctx context.Context) error {
	begin, err := c.peer.receive(ctx, talk.TypeBegin)
	if err != nil {
		return err
	}
	c.lines = begin.Cell.Lines
	switch begin.Kind {
	case talk.KindAttach:
		return c.attach(ctx, begin)
	case talk.KindShow:
		return c.glance(ctx, begin)
	}
	c.kind = run.Kind(begin.Kind)
	if c.kind != run.Train && c.kind != run.Serve {
		return &usererror.Error{
			Code: usererror.CodeKind,
			Text: fmt.Sprintf("%%%%%s is not in this version of MetaML, only %%%%train and %%%%serve", begin.Kind),
		}
	}
	c.place = "%%" + begin.Kind + ": "
	if begin.Settings != nil {
		c.place = "@" + strings.ToUpper(begin.Kind[:1]) + begin.Kind[1:] + ": "
	}
	resolved, err := c.resolve(begin)
	if err == nil && c.what == ToBuild {
		err = settings.MakesNoImage(resolved)
	}
	if errors.Is(err, settings.ErrHelp) {
		return c.showText("help", settings.Help(c.kind))
	}
	if err != nil {
		return err
	}
	s := &Submission{
		Settings: resolved, launcher: c.Launcher, doc: &session.Document{}, cell: begin.Cell.Seq,
		function: begin.Function,
		python:   c.peer, living: true,
	}
	defer s.Close()
	if err := s.open(ctx, c.peer); err != nil {
		return err
	}
	if err := c.options(resolved, s.model); err != nil {
		return err
	}
	request, err := c.peer.receive(ctx, talk.TypeRequest)
	if err != nil {
		return err
	}
	if s.doc, err = session.Read(strings.NewReader(string(request.Session))); err != nil {
		return err
	}
	if err := usable(s.doc); err != nil {
		return err
	}
	return c.submit(ctx, s)
}

// resolve finds the values of the settings.
func (c *converse) resolve(begin talk.FromModule) (*settings.Resolved, error) {
	given, err := settings.ParseLine(c.kind, begin.Line)
	if err != nil {
		return nil, err
	}
	from := begin.Cwd
	if begin.Source != "" && filepath.IsAbs(begin.Source) {
		from = filepath.Dir(begin.Source)
	}
	decorator, err := settings.FromPython(begin.Settings)
	if err != nil {
		return nil, err
	}
	if c.what == ToBuild {
		given = onCluster(given)
	}
	return c.Launcher.resolve(c.kind, settings.Sources{
		Line: given, Typed: settings.FromCell, Decorator: decorator, Environ: c.settingsOf(begin),
		File: settings.FindFile(from), Dir: begin.Cwd,
	})
}

// settingsOf is the environment that settings are read from: the session's, which a cell can have changed (`%env
// METAML_SEED=3`).
func (c *converse) settingsOf(begin talk.FromModule) []string {
	if begin.Environ == nil {
		return c.Environ
	}
	environ := make([]string, 0, len(begin.Environ))
	for name, value := range begin.Environ {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// options sends the module what it needs before the body runs.
func (c *converse) options(resolved *settings.Resolved, model deployer.Model) error {
	line := talk.Options{
		Settings: resolved.Values, Parallelism: resolved.Int("parallelism"), Completions: resolved.Int("completions"),
		HyperParameters: resolved.Text("hyper_parameters"), With: resolved.List("with"), Into: resolved.Text("into"),
		Function: resolved.Text("function"), Detach: resolved.Bool("detach"),
	}
	if model.Name != "" {
		line.Model = &talk.Model{Name: model.Name, Folder: model.Folder}
	}
	return c.peer.Send(line)
}

func (c *converse) submit(ctx context.Context, s *Submission) error {
	if err := s.cut(ctx); err != nil {
		return err
	}
	if c.what == ToBuild {
		return c.build(ctx, s)
	}
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	if c.what == ToPlan {
		outline, err := plan.Outline(ctx)
		if err != nil {
			return err
		}
		return c.showText("plan", s.PlanText(plan, outline))
	}
	c.detach = s.Settings.Has("detach") && s.Settings.Bool("detach")
	if err := c.showSlice(s, plan.Before); err != nil {
		return err
	}
	if err := c.peer.Send(talk.Accepted{
		Run: plan.Spec.Name, Kind: string(plan.Spec.Kind), Key: plan.Spec.Key, Attached: plan.Attach != nil,
		Into:   s.Settings.Text("into"),
		Metaml: c.Binary, Detach: c.detach, Interrupt: InterruptMeans(s.Settings),
	}); err != nil {
		return err
	}
	if _, err := c.peer.receive(ctx, talk.TypeBound); err != nil {
		return err
	}
	requests, done := make(chan watch.Request), make(chan struct{})
	defer close(done)
	go c.requests(requests, done) // ends with the conversation, or when the other side closes it
	submitted, early, err := c.submitted(ctx, s, plan, requests)
	if errors.Is(err, ErrInterrupted) {
		return c.done(nil, &watch.End{Ending: watch.Interrupted, Text: "nothing was started"})
	}
	if err != nil {
		return c.done(nil, &watch.End{Ending: watch.SubmissionFailed, Text: Message(err)})
	}
	if err := c.peer.Send(talk.Submitted{Run: submitted.Spec.Name, Attached: submitted.Attached}); err != nil {
		return err
	}
	return c.follow(ctx, s.client, submitted.Spec, PlanNotes(plan, submitted), InterruptMeans(s.Settings), requests,
		early...)
}

// PlanNotes are the lines over the table: that it is an older run that is shown, and what is to be said about the plan.
func PlanNotes(plan *deployer.Plan, submitted run.Submitted) []string {
	var notes []string
	switch {
	case plan.Reuse != nil:
		notes = append(notes,
			fmt.Sprintf("%s ran the same code with the same settings and is shown again; data files were not compared.",
				plan.Reuse.Name))
	case submitted.Attached && plan.Spec.Kind == run.Serve:
		notes = append(notes,
			fmt.Sprintf("%s runs this code with these settings already (--again starts another revision)",
				submitted.Spec.Name))
		notes = append(notes, submitted.Differs...)
	case plan.Spec.Kind == run.Serve && plan.Replaces > 0:
		submitted.Replaces = plan.Replaces
		notes = append(notes, InPlaceOf(submitted))
	case submitted.Attached:
		notes = append(notes, fmt.Sprintf("attached to %s, which runs the same code already (--again starts another)",
			submitted.Spec.Name))
		notes = append(notes, submitted.Differs...)
	}
	return slices.Concat(notes, AuthNotes(submitted), plan.Notes)
}

// AuthNotes say what a submission changed about who may call a server. The token is for the person who reads it now.
func AuthNotes(s run.Submitted) (notes []string) {
	if s.Token != "" {
		notes = append(notes, fmt.Sprintf("token: %s (shown only now; server.token and metaml token %s have it again)",
			s.Token, s.Spec.Name))
	}
	if s.Opens {
		notes = append(notes, fmt.Sprintf("%s asks for no token, as revision %d did: whoever can reach the server may "+
			"call it", s.Spec.Server.Number(), s.Replaces))
	}
	return notes
}

// InPlaceOf says which revision of a server takes the place of which.
func InPlaceOf(s run.Submitted) string {
	if s.Replaces == 0 {
		return s.Spec.Server.Number()
	}
	return fmt.Sprintf("%s in place of revision %d", s.Spec.Server.Number(), s.Replaces)
}

// submitted submits a plan. A stop that comes meanwhile cancels it, and nothing was started; if it comes too late for
// that, it is for the run, as what else is requested. A front end that goes away changes nothing: the run was wanted.
func (c *converse) submitted(
	ctx context.Context, s *Submission, plan *deployer.Plan, requests <-chan watch.Request,
) (submitted run.Submitted, early []watch.Request, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	go func() { // ends with Submit, which ends with ctx
		defer close(over)
		submitted, err = s.Submit(ctx, plan, c.progress())
	}()
	for {
		select {
		case <-over:
			return submitted, early, err
		case request, ok := <-requests:
			if !ok {
				requests = nil
				continue
			}
			early = append(early, request)
			if request != watch.Detach {
				cancel(ErrInterrupted)
			}
		}
	}
}

// progress shows what a submission does. A front end that went away is seen by what follows.
func (c *converse) progress() Progress {
	to := Progress{Say: func(text string) { _ = c.say(text) }}
	if c.render && !c.lines {
		id, update := watch.DisplayID("image"), false
		to.Draw = func(is view.Build) {
			bundle := map[string]string{"text/html": is.HTML(), "text/plain": is.Headline()}
			_ = c.peer.Send(talk.Display{Bundle: bundle, DisplayID: id, Update: update})
			update = true
		}
	}
	return to
}

// build makes the image of a cell, and shows what it is called. It ends when the cell is interrupted.
func (c *converse) build(ctx context.Context, s *Submission) error {
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	requests, done := make(chan watch.Request), make(chan struct{})
	defer close(done)
	go c.requests(requests, done) // ends with the conversation, or when the other side closes it
	go func() {                   // ends with requests
		for range requests {
			cancel(ErrInterrupted)
		}
		cancel(ErrInterrupted)
	}()
	is, err := s.Build(ctx, c.progress())
	if err != nil {
		return OrInterrupted(ctx, err)
	}
	return c.showText("image", is.Reference)
}

// say prints a line of progress.
func (c *converse) say(text string) error {
	text = view.Visible(text) + "\n"
	if c.render {
		return c.peer.Send(talk.Stream{Text: text})
	}
	_, err := io.WriteString(c.Err, text)
	return err
}

// showText displays a text in the place of a run and ends the conversation.
func (c *converse) showText(what, text string) error {
	text = view.Visible(text)
	if c.render {
		if err := c.peer.Send(talk.Display{
			Bundle:    map[string]string{"text/plain": text},
			DisplayID: watch.DisplayID(what),
		}); err != nil {
			return err
		}
	} else if _, err := io.WriteString(c.Err, text+"\n"); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return c.done(nil, nil)
}

// showSlice says what will run, once, before anything starts, with what people should know of it.
func (c *converse) showSlice(s *Submission, remarks []string) error {
	summary, body := s.Summary(), s.body(s.Settings.Bool("explain"))
	lines := []string{summary}
	if s.Settings.Bool("explain") {
		lines = append(lines, body)
	}
	plain := strings.Join(append(lines, remarks...), "\n")
	if !c.render {
		_, err := fmt.Fprintln(c.Err, plain)
		return err
	}
	plain = view.Visible(plain)
	fold := view.Fold(summary, body, remarks...)
	if c.lines && !c.detach {
		// First all text, then all displays: jupyverse fails on text behind a display.
		c.slice = map[string]string{"text/html": fold}
		return c.peer.Send(talk.Stream{Text: plain + "\n"})
	}
	what := map[string]string{"text/html": fold, "text/plain": plain}
	return c.peer.Send(talk.Slice{Bundle: what, DisplayID: watch.DisplayID("slice")})
}

func (c *converse) attach(ctx context.Context, begin talk.FromModule) error {
	c.place = "%metaml attach: "
	client, err := c.Client()
	if err != nil {
		return err
	}
	name, interrupt, err := AttachLine(begin.Line)
	if err != nil {
		return err
	}
	listed, err := client.Runs.Load(ctx, name)
	if err != nil {
		return err
	}
	if err := c.peer.Send(talk.Accepted{
		Run: listed.Spec.Name, Kind: string(listed.Spec.Kind), Key: listed.Spec.Key, Attached: true, Metaml: c.Binary,
		Interrupt: interrupt,
	}); err != nil {
		return err
	}
	if _, err := c.peer.receive(ctx, talk.TypeBound); err != nil {
		return err
	}
	if err := c.peer.Send(talk.Submitted{Run: listed.Spec.Name, Attached: true}); err != nil {
		return err
	}
	requests, done := make(chan watch.Request), make(chan struct{})
	defer close(done)
	go c.requests(requests, done) // ends with the conversation, or when the other side closes it
	return c.follow(ctx, client, watch.Revision(client, &listed), nil, interrupt, requests)
}

// refused words an error for the other side.
func (c *converse) refused(err error) talk.Refused {
	line := talk.Refused{Code: string(usererror.CodeInternal), Text: err.Error()}
	var (
		user   *usererror.Error
		python *refusal
	)
	switch {
	case errors.As(err, &python):
		line.Code, line.Text, line.Hint = string(python.user.Code), python.user.Text, python.user.Hint
		line.Traceback = python.traceback
	case errors.As(err, &user):
		line.Code, line.Text, line.Hint = string(user.Code), user.Text, user.Hint
		if user.Cell > 0 {
			line.Cell, line.Line = user.Cell, user.Line
		}
	default:
		line.Hint = "This is MetaML's own fault, not yours."
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			line.Code = string(usererror.CodeSystem)
			line.Hint = "The system said so. %metaml doctor looks at what a run needs."
		}
	}
	line.Text, line.Hint = view.Visible(c.place+line.Text), view.Visible(line.Hint)
	return line
}

// glance shows a run or a server as it is now, for whoever has it as the value of a cell. Like all that only reads, it
// starts nothing.
func (c *converse) glance(ctx context.Context, begin talk.FromModule) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	listed, err := client.Runs.Load(ctx, strings.TrimSpace(begin.Line))
	if err != nil {
		return err
	}
	d, failures, err := watch.Glance(ctx, client, &listed, c.proxy())
	if err != nil {
		return err
	}
	shows := func(what string, bundle map[string]string) error {
		return c.peer.Send(talk.Display{Bundle: bundle, DisplayID: watch.DisplayID(what)})
	}
	if err := shows("table", watch.Bundle(d)); err != nil {
		return err
	}
	for _, f := range failures {
		if err := shows("failure", f.Bundle()); err != nil {
			return err
		}
	}
	return c.done(listed.State, nil)
}

// follow shows a run under the cell, or on the terminal where there is one, and ends the conversation.
func (c *converse) follow(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string,
	requests <-chan watch.Request, early ...watch.Request,
) error {
	options := watch.Options{Remarks: remarks, Interrupt: interrupt, Proxy: c.proxy(), Early: early}
	end, err := watch.Until(ctx, client, spec, options, c.screen(), requests)
	if err != nil {
		if errors.Is(err, talk.ErrClosed) || errors.Is(err, context.Canceled) {
			return err
		}
		return c.done(end.State, &watch.End{Ending: watch.Broken, Text: Message(err)})
	}
	return c.done(end.State, &end)
}

// requests passes on what the other side requests, until it closes the conversation or done is closed.
func (c *converse) requests(requests chan<- watch.Request, done <-chan struct{}) {
	defer close(requests)
	for {
		line, err := c.peer.nextUntil(done)
		if err != nil {
			return
		}
		what := watch.Interrupt
		switch {
		case line.Type == talk.TypeDetach:
			what = watch.Detach
		case line.Type != talk.TypeStop:
			continue
		case line.Now:
			what = watch.Now
		}
		select {
		case requests <- what:
		case <-done:
			return
		}
	}
}

func (c *converse) screen() watch.Screen {
	switch {
	case c.render && c.lines:
		return watch.NewProgress(c.peer.Writer, c.detach, c.slice)
	case c.render:
		return watch.NewBundles(c.peer.Writer)
	}
	return watch.NewTerminal(c.Err, c.Environ)
}

// done ends the conversation. end says how the cell ends; nil, or one that is well, raises nothing.
func (c *converse) done(state *run.State, end *watch.End) error {
	var line talk.Done
	if state != nil {
		line.State = string(state.Phase)
	}
	if end != nil && end.Ending != watch.Well {
		text := view.Visible(end.Text)
		traceback := []string{string(end.Ending) + ": " + text}
		for _, line := range end.Traceback {
			traceback = append(traceback, view.Visible(line))
		}
		line.Error = &talk.Failure{Name: string(end.Ending), Value: text, Traceback: traceback}
	}
	return c.peer.Send(line)
}
