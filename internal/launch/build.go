package launch

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// Purpose is how far a launch goes.
type Purpose int

// The purposes.
const (
	ToRun   Purpose = iota
	ToPlan          // says what would run
	ToBuild         // makes the image that the run would get
)

// onCluster are the settings of an image that is made for no run: only a cluster's runs have images.
func onCluster(given []settings.Given) []settings.Given {
	target, _ := settings.Lookup("target")
	return append(given, settings.Given{Def: target, Value: run.Kubernetes})
}

// Prepare asks the session what an image is made of, and writes the program.
func (s *Submission) Prepare(ctx context.Context) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	return s.stage()
}

// Build makes the image that the run would get, and starts nothing.
func (s *Submission) Build(ctx context.Context, to Progress) (made run.Image, err error) {
	err = s.ofImage(ctx, to, func(environ []string, what run.Submission, note func(run.Event)) error {
		made, err = s.client.MakeImage(ctx, s.Settings, environ, what, note)
		return err
	})
	return made, err
}

// WriteDockerfile writes a folder that docker makes the image of.
func (s *Submission) WriteDockerfile(ctx context.Context, folder string, to Progress) error {
	return s.ofImage(ctx, to, func(environ []string, what run.Submission, note func(run.Event)) error {
		return s.client.WriteDockerfile(ctx, s.Settings, environ, what, folder, note)
	})
}

func (s *Submission) ofImage(
	ctx context.Context, to Progress, does func(environ []string, what run.Submission, note func(run.Event)) error,
) error {
	environ, err := s.environ(ctx)
	if err != nil {
		return err
	}
	p := &progress{Progress: to}
	p.begin()
	defer p.end()
	return does(environ, run.Submission{
		Spec: run.Spec{Python: s.doc.Interpreter.Path}, Program: filepath.Join(s.staging.Path, "program"),
		PythonVersion: s.program.Python, Environment: s.environment,
	}, p.note)
}

// OrInterrupted gives the interrupt that ended ctx in place of an error that came of it.
func OrInterrupted(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrInterrupted) {
		return cause
	}
	return err
}
