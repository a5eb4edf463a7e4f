package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/bytecode"
	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/environ"
	"github.com/metaml/metaml/internal/usererror"
)

// repository is a [publish.Publisher] that others can send images to.
type repository interface {
	publish.Publisher
	// Repository is its name.
	Repository() name.Repository
}

// check refuses what only a builder can do where there is none.
func (r Request) check() error {
	if r.Builder != nil {
		return nil
	}
	var asked string
	switch {
	case len(r.System) > 0:
		asked = "--apt " + r.System[0]
	case len(r.After) > 0:
		asked = "--post-install " + r.After[0][0]
	default:
		return nil
	}
	return usererror.New(usererror.CodeBuilder, "%s is executed in the image, and no builder is named", asked).
		With("Name a BuildKit: --builder ADDRESS, such as docker:// or unix:///run/buildkit/buildkitd.sock.")
}

// build has a builder make the image, and gives it as it is in the repository then, or in a folder.
func (m *Maker) build(ctx context.Context, on *ground, r Request, made *Made) (_ v1.Image, err error) {
	in, err := m.forBuilder(ctx, r)
	if err != nil {
		return nil, err
	}
	uv, err := m.uvFor(ctx, in.Arch)
	if err != nil {
		return nil, err
	}
	b := builder.Build{
		Arch: in.Arch, Zstd: m.Zstd, Base: hub(made.Base), Python: on.about.Python, Prefix: "/" + prefix,
		Packages: "/" + prefix + "/lib/python" + m.python() + "/site-packages",
		System:   r.System, After: r.After, UV: uv, Resolve: in.Arguments(true), Files: in.Files(),
		Lock: resolve.LockName, Compile: bytecode.Program,
	}
	if !in.Newest.IsZero() {
		b.Bound = []string{"--exclude-newer", in.Newest.UTC().Format(time.RFC3339)}
	}
	if b.BaseConfig, err = on.image.RawConfigFile(); err != nil {
		return nil, registry.Explain(err, "read the base image "+r.Base, on.name.Context().RegistryStr())
	}
	config, err := on.configuration()
	if err != nil {
		return nil, fmt.Errorf("describe the image: %w", err)
	}
	if b.Config, err = json.Marshal(config); err != nil {
		return nil, fmt.Errorf("describe the image: %w", err)
	}
	for _, f := range on.frame(m.python()) {
		b.Frame = append(b.Frame, sent(f))
	}
	b.Variables, b.Secrets = m.hidden(r.Packages)
	to, isRepository := r.To.(repository)
	if isRepository {
		b.Target, b.Plain = hub(to.Repository().Name()), to.Repository().Scheme() == "http"
	} else {
		if b.Folder, err = os.MkdirTemp("", "metaml-image-"); err != nil {
			return nil, fmt.Errorf("make room for the image: %w", err)
		}
		made.folder = b.Folder
	}
	steps := &buildSteps{to: m.Step, open: map[string]Step{}}
	built, err := r.Builder.Build(ctx, b, steps.show)
	if builder.SendsNone(err) {
		var end func()
		if b.Tree, end, err = treeFile(); err != nil {
			return nil, err
		}
		defer end()
		b.Target, b.Folder, isRepository = "", "", false
		built, err = r.Builder.Build(ctx, b, steps.show)
	}
	steps.end(err)
	if f, is := errors.AsType[*builder.Failure](err); is && f.Step == builder.StepResolve && unknown(err) {
		return nil, resolve.Explain(err, f.Log)
	}
	if err != nil {
		return nil, err
	}
	locked, err := resolve.Parse(built.Lock, in)
	if err != nil {
		return nil, err
	}
	made.Wheels = slices.Concat(locked.Wheels, locked.Sources)
	if err := lacking(r.Needs, made.Wheels); err != nil {
		return nil, err
	}
	if b.Tree != "" {
		return m.fromTree(ctx, on, made, b.Tree)
	}
	var picture v1.Image
	if isRepository {
		at := to.Repository().Digest(built.Digest)
		err := m.Registries.Do(ctx, to.Repository(), transport.PullScope, nil, func(o ...remote.Option) (err error) {
			picture, err = remote.Image(at, o...)
			return err
		})
		if err != nil {
			return nil, registry.Explain(err, "read the image that the builder has sent to "+to.String(),
				registry.Called(at.Registry))
		}
	} else if picture, err = laidOut(b.Folder, built.Digest); err != nil {
		return nil, fmt.Errorf("read the image that the builder has made: %w", err)
	}
	made.Layers, err = added(on.image, picture)
	return picture, err
}

// unknown reports whether nobody knows more of an error than that the builder failed.
func unknown(err error) bool {
	is, ok := errors.AsType[*usererror.Error](err)
	return ok && is.Code == usererror.CodeBuilder
}

// laidOut is the image in a folder.
func laidOut(folder, digest string) (v1.Image, error) {
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, err
	}
	at, err := layout.FromPath(folder)
	if err != nil {
		return nil, err
	}
	return at.Image(hash)
}

// added are the layers that an image has and its base has not.
func added(base, picture v1.Image) ([]layer.Written, error) {
	below, err := base.Layers()
	if err != nil {
		return nil, err
	}
	all, err := picture.Layers()
	if err != nil {
		return nil, err
	}
	config, err := picture.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(all) < len(below) || len(config.RootFS.DiffIDs) != len(all) {
		return nil, errors.New("the image that the builder has made is not on its base")
	}
	manifest, err := picture.Manifest()
	if err != nil {
		return nil, err
	}
	var layers []layer.Written
	for i := len(below); i < len(all); i++ {
		layers = append(layers, layer.Written{
			Digest: manifest.Layers[i].Digest.Hex, DiffID: config.RootFS.DiffIDs[i].Hex, Size: manifest.Layers[i].Size,
		})
	}
	return layers, nil
}

// sent is a file of the frame as a builder gets it.
func sent(f layer.File) builder.File {
	to := builder.File{Path: "/" + f.Path, Mode: f.Mode, Link: f.Link, Folder: f.Folder, Owner: f.Owner}
	if text, is := f.Content.(layer.Bytes); is {
		to.Text = text
	}
	return to
}

// passed are the variables by which uv finds packages, and all reach the network, on whichever machine.
var passed = regexp.MustCompile(`^(UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_STRATEGY|FIND_LINKS|` +
	`INDEX_.+_(USERNAME|PASSWORD)|PRERELEASE|RESOLUTION|INSECURE_HOST|HTTP_TIMEOUT|TORCH_BACKEND)|` +
	`(?i:https?_proxy|all_proxy|no_proxy))$`)

// hidden is what a builder gets and keeps in no layer: variables of the session, and files that variables name.
func (m *Maker) hidden(in resolve.Input) (variables map[string]string, files map[string][]byte) {
	variables, files = map[string]string{}, map[string][]byte{}
	asked := m.indexes(in)
	env, logins := asked.Environ, asked.Logins
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if name == "UV_FIND_LINKS" { // folders of this machine are not there
			value = strings.Join(slices.DeleteFunc(strings.FieldsFunc(value, func(r rune) bool {
				return r == ',' || r == ' '
			}), func(one string) bool { return !strings.Contains(one, "://") || strings.HasPrefix(one, "file:") }), ",")
		}
		if value != "" && passed.MatchString(name) {
			variables[name] = value
		}
	}
	var netrc strings.Builder
	netrc.WriteString(indexes.Netrc(m.Environ))
	for _, host := range slices.Sorted(maps.Keys(logins)) {
		password, _ := logins[host].Password()
		fmt.Fprintf(&netrc, "\nmachine %s login %s password %s\n", host, logins[host].Username(), password)
	}
	if netrc.Len() > 0 {
		files["NETRC"] = []byte(netrc.String())
	}
	if authority := environ.Get(env, "SSL_CERT_FILE"); authority != "" {
		if text, err := os.ReadFile(authority); err == nil { // else it is of no use here either
			files["SSL_CERT_FILE"] = text
		}
	}
	return variables, files
}

// buildSteps shows what a builder does as steps of ours.
type buildSteps struct {
	to func(Step)

	mu   sync.Mutex
	open map[string]Step // by name
}

func (b *buildSteps) show(s builder.Step) {
	if b.to == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	step := Step{
		Name: "build: " + s.Name, Text: s.Name, Done: s.Done, Total: s.All, Elapsed: s.Elapsed(), Ended: s.Ended,
	}
	b.open[step.Name] = step
	if s.Ended {
		delete(b.open, step.Name)
	}
	b.to(step)
}

// end ends what is still going on.
func (b *buildSteps) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, step := range b.open {
		step.Ended, step.Failed = true, err != nil
		b.to(step)
	}
}

// hub is Docker Hub as its web address has it. Logins and mirrors of a builder know it by its short name.
func hub(name string) string {
	if rest, is := strings.CutPrefix(name, "index.docker.io/"); is {
		return "docker.io/" + rest
	}
	return name
}
