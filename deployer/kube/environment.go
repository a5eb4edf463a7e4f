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
	"time"

	"github.com/metaml/metaml/deployer/image"
	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/deployer/kube/cluster"
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
func (p *Place) image(
	ctx context.Context, arch string, s run.Submission, built func(run.BuildStep), note func(text string),
) (*environment, error) {
	maker, request, err := p.request(ctx, arch, s, built)
	if err != nil {
		return nil, err
	}
	maker.Note = note
	if warning := p.images.warning(); warning != "" {
		note(warning)
	}
	made, err := maker.Make(ctx, *request)
	if err != nil {
		return nil, err
	}
	return &environment{maker: maker, made: made, to: request.To}, nil
}

// request says what an image is made of, and by whom.
func (p *Place) request(
	ctx context.Context, arch string, s run.Submission, built func(run.BuildStep),
) (*image.Maker, *image.Request, error) {
	if s.Environment == nil {
		return nil, nil, errors.New("an image is to be made, and nobody said of what")
	}
	to := p.images.to
	maker := &image.Maker{
		Cache: p.images.folder, Registries: p.images.client, Python: s.Spec.Python,
		Environ: indexes.Add(p.environ, p.settings.List("index")), UV: p.settings.Text("uv"),
		Zstd:          p.settings.Text("compression") == "zstd",
		PythonVersion: s.Environment.Python, Step: func(is image.Step) { built(buildStep(is)) },
	}
	var files []layer.File
	if !p.images.loaded {
		var err error
		if files, err = programLayer(s.Program); err != nil {
			return nil, nil, err
		}
	}
	var model []layer.File
	if p.modelInImage(&s.Spec) {
		if err := s.BringModel(ctx); err != nil {
			return nil, nil, err
		}
		shipped, err := ship.ModelFiles(s.Spec.Server.ModelFolder)
		if err != nil {
			return nil, nil, err
		}
		model = layered(pod.ModelInImage, shipped)
	}
	builds, err := p.builder()
	if err != nil {
		return nil, nil, err
	}
	return maker, &image.Request{
		Packages: wanted(s.Environment, arch), Needs: s.Environment.Needs, Base: p.settings.Text("base"),
		Mirror: p.settings.Text("base_mirror"), Builder: builds, System: p.settings.System(),
		After: p.settings.Commands(), To: to, Program: files, Model: model,
	}, nil
}

// MakeImage makes the image that a submission would get, and starts nothing. It needs a cluster only to know its nodes:
// where none answers the image is for linux/amd64.
func (t *Target) MakeImage(
	ctx context.Context, s *settings.Resolved, environ []string, what run.Submission, progress func(run.Event),
) (run.Image, error) {
	note := notices(progress)
	place, arch, err := t.anywhere(ctx, s, environ, progress)
	if err == nil && (s.Bool("publish") || s.Has("load")) {
		place.images, err = place.destination(ctx)
	}
	if err != nil {
		return run.Image{}, err
	}
	made, err := place.image(ctx, arch, what, reported(progress), note)
	if err != nil {
		return run.Image{}, err
	}
	is := run.Image{Reference: made.made.Reference, Known: made.made.Known}
	if place.images.loaded {
		return is, nil
	}
	return is, made.tag(ctx, "program-"+made.made.Digest.Hex[:12])
}

// anywhere is a place for an image that is made for no run, and the architecture of its nodes. The image goes into a
// folder.
func (t *Target) anywhere(
	ctx context.Context, s *settings.Resolved, environ []string, progress func(run.Event),
) (place *Place, arch string, err error) {
	place = &Place{target: t, settings: s, environ: environ}
	if place.images, err = newDestination(); err != nil {
		return nil, "", err
	}
	place.images.to = &publish.Layout{Folder: filepath.Join(filepath.Dir(t.Dir), "images")}
	unknown := "no cluster is known"
	if c, err := cluster.Connect(s.Text("context"), s.Text("namespace")); err == nil {
		place.cluster = c
		if is := place.nodes(ctx); is.known && s.Arch() == "" {
			return place, is.arch, nil
		}
		unknown = "the nodes of cluster " + c.Context + " cannot be read"
	}
	if s.Arch() != "" {
		return place, s.Arch(), nil
	}
	notices(progress)(fmt.Sprintf("%s: the image is for linux/%s, and --platform names another", unknown, usualArch))
	return place, usualArch, nil
}

// notices makes events of what people should know of an image.
func notices(progress func(run.Event)) func(text string) {
	return func(text string) {
		progress(run.Event{Type: run.EventNote, Code: run.NoteImage, Time: time.Now(), Text: text})
	}
}

// reported makes events of steps.
func reported(progress func(run.Event)) func(run.BuildStep) {
	return func(step run.BuildStep) {
		progress(run.Event{Type: run.EventBuildStep, Time: time.Now(), Build: &step})
	}
}

// wanted is what is resolved for an environment.
func wanted(e *run.Environment, arch string) resolve.Input {
	return resolve.Input{
		Requirements: e.Requirements, Constraints: e.Constraints, Pylock: e.Pylock, UVLock: e.UVLock,
		Project: e.Project, Hashes: e.Hashes, Newest: e.Time, Arch: arch,
	}
}

// programLayer gives the files of a program folder as they are in an image.
func programLayer(dir string) ([]layer.File, error) {
	files, err := ship.Files(dir)
	if err != nil {
		return nil, err
	}
	return layered(pod.InImage, files), nil
}

// layered gives files as they are below a folder of an image.
func layered(folder string, files []ship.File) []layer.File {
	all := make([]layer.File, len(files))
	for i := range files {
		all[i] = layer.File{Path: path.Join(folder, files[i].Name), Mode: files[i].Mode, Content: shipped{&files[i]}}
	}
	return all
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

// examineUV says which uv finds the packages of images.
func examineUV(ctx context.Context, s *settings.Resolved) run.Check {
	text, err := image.DescribeUV(ctx, s.Text("uv"), os.Environ())
	if err != nil {
		return failed("uv", err)
	}
	return run.Check{Name: "uv", OK: true, Text: text}
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
