package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/talk"
	"github.com/metaml/metaml/internal/usererror"
)

// waited is how waiting for a server ended.
type waited struct {
	state       *run.State
	ready       bool
	interrupted bool // its start was given up through this wait
	detached    bool
}

// awaitServer shows a revision of a server until it is ready, or never will be. Ready is what was told of it after we
// came, or what answers when it is asked; what is dead is started again by following it. asks delivers interrupts,
// which give the revision up: one that would replace another leaves that one alone.
func awaitServer(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string, s screen,
	asks <-chan ask,
) (waited, error) {
	listed, err := client.Runs.Load(ctx, spec.Name)
	if err != nil {
		return waited{}, err
	}
	past := int64(0) // an earlier life of the server is not what is waited for
	if listed.State != nil {
		past = listed.State.N
	}
	events, ended, end := follow(ctx, client, spec.Name)
	defer end()
	w := waited{state: run.NewState(spec)}
	p := newProof(ctx, client, spec)
	defer p.end(nil)
	facts := view.ServerFacts{Spec: spec, Remarks: remarks, Waiting: interrupt != ""}
	told := func() bool { return !w.state.Phase.Final() && w.state.Server.Answering() >= spec.Server.Revision }
	draw := func() error {
		facts.Again = told() && !p.given
		return s.show(view.NewPanel(facts, w.state, time.Now()))
	}
	decided := func() bool {
		v := w.state.Server
		if w.ready = told(); w.ready && !p.given {
			p.ask()
			w.ready = false
		}
		// Where no other revision answers, the end of the run follows, and only then can it be deleted.
		failed := v.Failed != nil && v.Failed.Revision >= spec.Server.Revision && v.Revision > 0
		return w.ready || w.state.Phase.Final() || failed
	}
	due := time.NewTimer(refresh)
	defer due.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				if err := <-ended; err != nil {
					return w, err
				}
				decided()
				return w, errors.Join(draw(), s.close())
			}
			w.state.Apply(e)
			p.see(e, past)
			// What comes at the same moment belongs to the same picture.
			for more := true; more; {
				select {
				case e, ok := <-events:
					if more = ok; ok {
						w.state.Apply(e)
						p.see(e, past)
					}
				default:
					more = false
				}
			}
			if w.state.N < past || !decided() {
				continue
			}
			return w, errors.Join(draw(), s.close())
		case answers := <-p.answers:
			if p.take(answers); decided() {
				return w, errors.Join(draw(), s.close())
			}
		case <-due.C:
			if told() && !p.given {
				p.ask()
			}
			if err := draw(); err != nil {
				return w, err
			}
			due.Reset(refresh)
		case what, ok := <-asks:
			if !ok {
				return w, talk.ErrClosed
			}
			if what.detaches(interrupt) || told() { // what had answered is not given up
				w.detached = true
				return w, s.close()
			}
			if err := giveUp(ctx, client, spec, w.state, what == askNow || w.interrupted); err != nil {
				return w, err
			}
			w.interrupted = true
		case <-ctx.Done():
			return w, context.Cause(ctx)
		}
	}
}

// looked gives the revision of a server that somebody who looks at it wants to see: the newest, unless that failed and
// another answers.
func looked(client *deployer.Client, l *run.Listed) run.Spec {
	s := l.State.Server
	if s == nil || s.Revision == 0 || s.Failed == nil || s.Failed.Revision < l.Spec.Server.Revision {
		return l.Spec
	}
	root := folder.Run(client.Runs.Places(l.Spec.Name, 0, 1).Folder)
	spec, err := root.Revision(s.Revision).ReadSpec()
	if err != nil {
		return l.Spec
	}
	return spec
}

// giveUp ends the start of a revision; if none answers, that of the server.
func giveUp(ctx context.Context, client *deployer.Client, spec run.Spec, state *run.State, now bool) error {
	if state.Server.Answering() > 0 {
		return client.StopRevision(ctx, spec.Name, spec.Server.Revision)
	}
	return client.Stop(ctx, spec.Name, nil, now)
}

// serverOutcome says how waiting for a server ends the cell or the command: nil when it is ready.
func serverOutcome(w waited, spec run.Spec) *ending {
	switch {
	case w.ready:
		return nil
	case w.detached:
		return &ending{
			name: "Detached",
			text: fmt.Sprintf("%s goes on starting; `%%metaml attach %s` shows it, `%%metaml stop %s` stops it",
				spec.Name, spec.Name, spec.Name),
		}
	case w.interrupted:
		text := spec.Name + " was given up before it was ready"
		if w.state.Server.Answering() > 0 {
			text = fmt.Sprintf("revision %d of %s was given up; revision %d goes on answering", spec.Server.Revision,
				spec.Name, w.state.Server.Revision)
		}
		return &ending{name: "KeyboardInterrupt", text: text}
	case w.state.Phase == run.Stopped:
		return &ending{name: "Stopped", text: spec.Name + " was stopped"}
	}
	e := &ending{
		name: "ServerFailed", text: fmt.Sprintf("%s: %s", spec.Name, view.ServerCause(w.state, spec.Server.Revision)),
	}
	if n := w.state.Server.Revision; n > 0 && !w.state.Phase.Final() {
		e.text += fmt.Sprintf("; revision %d goes on answering", n)
	}
	if body := view.ServerFailure(w.state.Server.Failed); body != "" {
		e.traceback = strings.Split(body, "\n")
	}
	return e
}

var identifier = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_]*$`)

// resolveModel finds what --model names: a variable that holds a Run, where there is a session to ask, else a run.
func resolveModel(ctx context.Context, client *deployer.Client, python answers, text string) (deployer.Model, error) {
	if text == "" {
		return deployer.Model{}, nil
	}
	name, which, trial := strings.Cut(text, ":")
	if python != nil && identifier.MatchString(name) {
		have, err := python.ask(ctx, talk.Need{Runs: []string{name}})
		if err != nil {
			return deployer.Model{}, err
		}
		if found := have.Runs[name]; found != "" {
			name = found
			if trial {
				name += ":" + which
			}
			return client.Model(ctx, name)
		}
	}
	m, err := client.Model(ctx, text)
	hint := "Name a run (metaml runs lists them), last, or a variable that holds one."
	if python == nil {
		hint = nameARun
	}
	return m, noModel(err, "--model "+text, hint, python == nil && identifier.MatchString(name))
}

const nameARun = "Name a run (metaml runs lists them), or last."

// noModel says of a run that does not exist where it was named. variable: the name may be one of a variable that nobody
// here has.
func noModel(err error, asked, hint string, variable bool) error {
	var user *usererror.Error
	if !errors.As(err, &user) || user.Code != "not-found" {
		return err
	}
	what := strings.TrimSuffix(user.Text, "; metaml runs lists them") // as the hint does
	if variable {
		what += ", and no session here that could have such a variable"
	}
	return usererror.Wrap(err, usererror.CodeModel, asked+": "+what, hint)
}

// resolveExample gives --example as JSON: as it was written, or the value of a variable.
func resolveExample(ctx context.Context, python answers, text string) (string, error) {
	switch {
	case text == "" || json.Valid([]byte(text)):
		return text, nil
	case !identifier.MatchString(text):
		return "", &usererror.Error{
			Code: usererror.CodeExample,
			Text: fmt.Sprintf("--example takes an input as JSON or the name of a variable, not %s",
				prose.Shorten(text, 60)), Hint: `In the cell, JSON needs quotes around it: --example '{"a": [1, 2]}'.`,
		}
	case python == nil:
		return "", &usererror.Error{
			Code: usererror.CodeExample,
			Text: fmt.Sprintf("--example %s is a variable, and there is no session that has it", text),
			Hint: "Give the input as JSON.",
		}
	}
	have, err := python.ask(ctx, talk.Need{JSON: text})
	if err != nil {
		return "", err
	}
	if !json.Valid([]byte(have.JSON)) {
		return "", fmt.Errorf("the example %s: the module answered something else than JSON", text)
	}
	return have.JSON, nil
}

// serve shows a server until it is ready, on the standard error stream, and answers with the exit code's error.
func (a *app) serve(
	ctx context.Context, client *deployer.Client, spec run.Spec, remarks []string, interrupt string,
) error {
	asks, stop := interrupts(ctx)
	defer stop()
	w, err := awaitServer(ctx, client, spec, remarks, interrupt, newScreen(a, a.err), asks)
	if err != nil {
		return err
	}
	e := serverOutcome(w, spec)
	if e == nil {
		fmt.Fprintf(a.err, "metaml logs %s shows what it prints, metaml stop %s stops it\n", spec.Name, spec.Name)
		return nil
	}
	if e.name == "ServerFailed" || e.name == "Stopped" { // the panel has said it
		if len(e.traceback) > 0 {
			fmt.Fprintln(a.err, strings.Join(e.traceback, "\n"))
		}
		return errRunFailed
	}
	return a.ended(e, spec)
}
