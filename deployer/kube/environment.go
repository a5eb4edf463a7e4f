package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/prose"
)

// environment is an image that was made for a run.
type environment struct {
	maker *image.Maker
	made  *image.Made
	to    publish.Publisher
}

// tag gives the image a name with the run's in it, so that what cleans up a registry keeps it.
func (e *environment) tag(ctx context.Context, name string) error {
	return e.maker.Tag(ctx, e.to, e.made, name)
}

// image makes the image of what the session has installed with the program on it, unless it is there.
func (p *Place) image(ctx context.Context, load *shipment, s run.Submission, built func(run.BuildStep)) error {
	if s.Environment == nil {
		return errors.New("an image is to be made, and nobody said of what")
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find a folder for what images are made of: %w", err)
	}
	folder := filepath.Join(caches, "metaml", "images")
	registries := &registry.Client{Folder: filepath.Join(folder, "registries")}
	maker := &image.Maker{
		Cache: folder, Registries: registries, Environ: p.environ, Python: s.Spec.Python,
		PythonVersion: s.Environment.Python, Step: func(is image.Step) { built(buildStep(is)) },
	}
	to, err := publish.NewRegistry(registries, p.settings.Repository())
	if err != nil {
		return err
	}
	files, err := programLayer(s.Program)
	if err != nil {
		return err
	}
	builds, err := p.builder()
	if err != nil {
		return err
	}
	made, err := maker.Make(ctx, image.Request{
		Requirements: s.Environment.Requirements, Constraints: s.Environment.Constraints, Arch: load.run.Agent.Arch,
		Base: p.settings.Text("base"), Builder: builds, System: p.settings.System(),
		After: p.settings.Commands(), To: to, Program: files,
	})
	if err != nil {
		return err
	}
	load.image = &environment{maker: maker, made: made, to: to}
	load.run.Options.Image = made.Reference
	return nil
}

// programLayer gives the files of a program folder as they are in an image.
func programLayer(dir string) ([]layer.File, error) {
	files, err := ship.Files(dir)
	if err != nil {
		return nil, err
	}
	all := make([]layer.File, len(files))
	for i := range files {
		all[i] = layer.File{
			Path: path.Join(pod.InImage, files[i].Name), Mode: files[i].Mode, Content: shipped{&files[i]},
		}
	}
	return all, nil
}

// shipped is a file of a program as the content of one in a layer.
type shipped struct{ of *ship.File }

func (s shipped) Size() int64                  { return s.of.Size }
func (s shipped) Open() (io.ReadCloser, error) { return s.of.Open() }

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

// buildProgram speaks to builders. It is beside metaml.
const buildProgram = "metaml-build"

// builder is the one that the settings name, or the session, or nil.
func (p *Place) builder() (*builder.Builder, error) {
	return p.target.builder(p.settings, p.environ)
}

func (t *Target) builder(s *settings.Resolved, environ []string) (*builder.Builder, error) {
	address, err := builder.Find(s.Text("builder"), environ)
	if err != nil || address.URL == "" {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if len(t.Follow) > 0 { // which is metaml
		self = t.Follow[0]
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return &builder.Builder{
		Program: filepath.Join(filepath.Dir(self), buildProgram), Environ: environ, Address: address,
	}, nil
}

// examineBuilder says which builder there is, and whether it answers.
func examineBuilder(ctx context.Context, b *builder.Builder) run.Check {
	is, err := b.Probe(ctx)
	if err != nil {
		return failed("builder", err)
	}
	return run.Check{
		Name: "builder", OK: true,
		Text: fmt.Sprintf("%s, BuildKit %s, for %s", b.Address.URL, cmp.Or(is.Version, "of an unknown version"),
			prose.List(is.Platforms)),
	}
}
