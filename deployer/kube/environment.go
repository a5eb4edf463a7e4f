package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/run"
)

// image makes the image of what the session has installed, unless it is there, and gives its name by digest.
func (p *Place) image(
	ctx context.Context, load *shipment, s run.Submission, does func(format string, args ...any),
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
		PythonVersion: s.Environment.Python, Say: func(text string) { does("%s", text) },
	}
	made, err := maker.Make(ctx, image.Request{
		Requirements: s.Environment.Requirements, Constraints: s.Environment.Constraints, Arch: load.run.Agent.Arch,
		Base: p.settings.Text("base"), Repository: p.settings.Repository(),
	})
	if err != nil {
		return "", err
	}
	return made.Reference, nil
}
