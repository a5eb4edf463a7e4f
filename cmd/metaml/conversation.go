package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// conversation serves one cell or one decorated call: `metaml run --session -` (docs/internals/protocols.md §1). What
// goes wrong is told to the other side; the process itself ends with 0 unless even that failed.
func (a *app) conversation(ctx context.Context, render, planOnly bool) error {
	// Who interrupts a kernel may send the signal to all that it started. We are told to stop in words, by who knows
	// the cell.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, os.Interrupt)
	defer signal.Stop(dropped)
	p := newPeer(a.in, raw(a.out))
	c := &converse{app: a, peer: p, render: render, planOnly: planOnly}
	err := c.serve(ctx)
	switch {
	case err == nil, errors.Is(err, talk.ErrClosed), errors.Is(err, errInterrupted):
		return nil // cancelled or detached; nobody is there to be told
	default:
		return p.Send(c.refused(err))
	}
}

// converse is the state of one conversation.
type converse struct {
	*app
	peer     *peer
	render   bool
	planOnly bool              // `metaml plan`: say what would run and end
	lines    bool              // the front end does not replace displays
	detach   bool              // the cell does not wait for the run
	slice    map[string]string // with lines: what runs, to be displayed with the table
	place    string            // "%%train: " before a refusal
	kind     run.Kind
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
	if errors.Is(err, settings.ErrHelp) {
		return c.showText("help", settings.Help(c.kind))
	}
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	model, err := resolveModel(ctx, client, c.peer, resolved.Text("model"))
	if err != nil {
		return err
	}
	if err := c.options(resolved, model); err != nil {
		return err
	}
	request, err := c.peer.receive(ctx, talk.TypeRequest)
	if err != nil {
		return err
	}
	doc, err := session.Read(strings.NewReader(string(request.Session)))
	if err != nil {
		return err
	}
	s := &submission{
		app: c.app, client: client, doc: doc, settings: resolved, cell: begin.Cell.Seq, function: begin.Function,
		python: c.peer, living: true, model: model,
	}
	defer s.clean()
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
	resolved, err := settings.Resolve(c.kind, settings.Sources{
		Line: given, Typed: settings.FromCell, Decorator: begin.Settings, Environ: c.settingsOf(begin),
		File: settings.FindFile(from),
	})
	if err != nil {
		return nil, err
	}
	return resolved, deployer.Supported(resolved)
}

// settingsOf is the environment that settings are read from: the session's, which a cell can have changed (`%env
// METAML_SEED=3`).
func (c *converse) settingsOf(begin talk.FromModule) []string {
	if begin.Environ == nil {
		return c.environ
	}
	environ := make([]string, 0, len(begin.Environ))
	for name, value := range begin.Environ {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// options tells the module what it needs before the body runs.
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

func (c *converse) submit(ctx context.Context, s *submission) error {
	if err := s.cut(ctx); err != nil {
		return err
	}
	plan, err := s.plan(ctx)
	if err != nil {
		return err
	}
	if c.planOnly {
		return c.showText("plan", planText(s, plan))
	}
	c.detach = s.settings.Has("detach") && s.settings.Bool("detach")
	if err := c.showSlice(s); err != nil {
		return err
	}
	if err := c.peer.Send(talk.Accepted{
		Run: plan.Spec.Name, Kind: string(plan.Spec.Kind), Key: plan.Spec.Key, Attached: plan.Attach != nil,
		Into:   s.settings.Text("into"),
		Metaml: executable(), Detach: c.detach, Interrupt: interruptMeans(s.settings),
	}); err != nil {
		return err
	}
	if _, err := c.peer.receive(ctx, talk.TypeBound); err != nil {
		return err
	}
	submitted, err := s.client.Submit(ctx, plan)
	if err != nil {
		return c.done(nil, &ending{name: "SubmissionFailed", text: message(err)})
	}
	if err := c.peer.Send(talk.Submitted{Run: submitted.Spec.Name, Attached: submitted.Attached}); err != nil {
		return err
	}
	return c.follow(ctx, s.client, submitted.Spec, planNotes(plan, submitted), interruptMeans(s.settings))
}

// planNotes are the lines over the table: that it is an older run that is shown, and what is to be said about the plan.
func planNotes(plan *deployer.Plan, submitted run.Submitted) []string {
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
	case plan.Spec.Kind == run.Serve && plan.Replaces > 0:
		notes = append(notes, fmt.Sprintf("revision %d in place of revision %d", submitted.Spec.Server.Revision,
			plan.Replaces))
	case submitted.Attached:
		notes = append(notes, fmt.Sprintf("attached to %s, which runs the same code already (--again starts another)",
			submitted.Spec.Name))
		notes = append(notes, submitted.Differs...)
	}
	return append(notes, plan.Notes...)
}

// interruptMeans says what an interrupt does to a run that is shown; nothing, where nobody waits for it.
func interruptMeans(s *settings.Resolved) string {
	if s.Has("detach") && s.Bool("detach") {
		return view.Unattended
	}
	if s.Has("interrupt") {
		return s.Text("interrupt")
	}
	return "stop"
}

// showText displays a text in the place of a run and ends the conversation.
func (c *converse) showText(what, text string) error {
	text = view.Visible(text)
	if c.render {
		if err := c.peer.Send(talk.Display{
			Bundle:    map[string]string{"text/plain": text},
			DisplayID: displayID(what),
		}); err != nil {
			return err
		}
	} else if _, err := io.WriteString(c.err, text+"\n"); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return c.done(nil, nil)
}

// showSlice says what will run, once, before anything starts.
func (c *converse) showSlice(s *submission) error {
	explain := s.settings.Bool("explain")
	summary, body := s.summary(), s.body(explain)
	if !c.render {
		if _, err := fmt.Fprintln(c.err, summary); err != nil || !explain {
			return err
		}
		_, err := fmt.Fprintln(c.err, body)
		return err
	}
	plain := summary
	if explain {
		plain += "\n" + body
	}
	plain = view.Visible(plain)
	fold := view.Fold(summary, body)
	if c.lines && !c.detach {
		// First all text, then all displays: jupyverse fails on text behind a display.
		c.slice = map[string]string{"text/html": fold}
		return c.peer.Send(talk.Stream{Text: plain + "\n"})
	}
	what := map[string]string{"text/html": fold, "text/plain": plain}
	return c.peer.Send(talk.Slice{Bundle: what, DisplayID: displayID("slice")})
}

func (c *converse) attach(ctx context.Context, begin talk.FromModule) error {
	c.place = "%metaml attach: "
	client, err := c.client()
	if err != nil {
		return err
	}
	name, options, err := attachLine(begin.Line)
	if err != nil {
		return err
	}
	listed, err := client.Runs.Load(ctx, name)
	if err != nil {
		return err
	}
	if err := c.peer.Send(talk.Accepted{
		Run: listed.Spec.Name, Kind: string(listed.Spec.Kind), Key: listed.Spec.Key, Attached: true,
		Metaml: executable(), Interrupt: options.interrupt,
	}); err != nil {
		return err
	}
	if _, err := c.peer.receive(ctx, talk.TypeBound); err != nil {
		return err
	}
	if err := c.peer.Send(talk.Submitted{Run: listed.Spec.Name, Attached: true}); err != nil {
		return err
	}
	return c.follow(ctx, client, looked(client, &listed), nil, options.interrupt)
}

// refused words an error for the other side.
func (c *converse) refused(err error) talk.Refused {
	line := talk.Refused{Code: "internal", Text: err.Error()}
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
			line.Code, line.Hint = "system", "The system said so; %metaml doctor looks at what a run needs."
		}
	}
	line.Text, line.Hint = view.Visible(c.place+line.Text), view.Visible(line.Hint)
	return line
}

// executable is the path of our own binary, with which the module asks about runs later; it looks for one itself if it
// is "".
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}
