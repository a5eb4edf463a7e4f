package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/run"
)

// image makes the image of what the session has installed, unless it is there, and gives its name by digest.
func (p *Place) image(
	ctx context.Context, load *shipment, s run.Submission, built func(run.BuildStep),
) (string, error) {
	if s.Environment == nil {
		return "", errors.New("an image is to be made, and nobody said of what")
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for what images are made of: %w", err)
	}
	maker := &image.Maker{
		Cache: filepath.Join(caches, "metaml", "images"), Environ: p.environ, Python: s.Spec.Python,
		PythonVersion: s.Environment.Python, Step: func(is image.Step) { built(buildStep(is)) },
	}
	to, err := publish.NewRegistry(p.settings.Repository())
	if err != nil {
		return "", err
	}
	made, err := maker.Make(ctx, image.Request{
		Requirements: s.Environment.Requirements, Constraints: s.Environment.Constraints, Arch: load.run.Agent.Arch,
		Base: p.settings.Text("base"), To: to,
	})
	if err != nil {
		return "", err
	}
	return made.Reference, nil
}

// buildStep is a step as events have it.
func buildStep(is image.Step) run.BuildStep {
	state := run.Running
	switch {
	case is.Failed:
		state = run.Failed
	case is.Ended:
		state = run.Succeeded
	}
	return run.BuildStep{
		Name: is.Name, Text: is.Text, Done: is.Done, Total: is.Total, Seconds: is.Elapsed.Seconds(), State: state,
	}
}
