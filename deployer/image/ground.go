package image

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/base"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// ground is the image that packages are put on.
type ground struct {
	called string
	name   name.Reference
	image  v1.Image
	digest string // of what has the name: an image, or a list of images for platforms
	about  base.About
}

// ready refuses what cannot be made, and finds what it is put on. The request that it gives has everything.
func (m *Maker) ready(ctx context.Context, r Request) (Request, *ground, error) {
	if err := r.check(); err != nil {
		return r, nil, err
	}
	r = m.completed(r)
	on, err := m.base(ctx, r)
	return r, on, err
}

// base finds out which base image there is. It asks for the digest alone, and not even for that where the name has it.
func (m *Maker) base(ctx context.Context, r Request) (*ground, error) {
	at, err := name.ParseReference(r.Base)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--base %s: %v", r.Base, err),
			"It is like python:"+m.python()+"-slim.")
	}
	on := &ground{called: r.Base, name: at}
	if digest, is := at.(name.Digest); is {
		on.digest = digest.DigestStr()
		return on, nil
	}
	err = m.ask(ctx, on, func(options ...remote.Option) error {
		found, err := remote.Head(at, options...)
		if err != nil { // without a digest, or without a reason: an answer to HEAD has no text
			var all *remote.Descriptor
			if all, err = remote.Get(at, options...); err == nil {
				found = &all.Descriptor
			}
		}
		if err == nil {
			on.digest = found.Digest.String()
		}
		return err
	})
	return on, err
}

// ask does something at the registry of the base.
func (m *Maker) ask(ctx context.Context, on *ground, task func(...remote.Option) error) error {
	at := on.name.Context()
	err := m.Registries.Do(ctx, at, transport.PullScope, nil, task)
	return registry.Explain(err, "read the base image "+on.called, registry.Called(at.Registry))
}

// inspect looks into the base for the platform, and refuses one that no packages can be put on.
func (m *Maker) inspect(ctx context.Context, on *ground, r Request) error {
	err := m.ask(ctx, on, func(options ...remote.Option) error {
		found, err := remote.Image(on.name.Context().Digest(on.digest),
			append(options, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: r.Packages.Arch}))...)
		if err != nil {
			return err
		}
		on.image = found
		on.about, err = base.Inspect(ctx, found, m.python(), filepath.Join(m.Cache, "bases"))
		return err
	})
	if err != nil {
		return err
	}
	config, err := on.image.ConfigFile()
	if err != nil {
		return registry.Explain(err, "read the base image "+on.called, registry.Called(on.name.Context().Registry))
	}
	if is := config.Architecture; is != "" && is != r.Packages.Arch { // it has one platform, which nobody chose
		return usererror.New(usererror.CodeImage, "image %s is for linux/%s, and the image is made for linux/%s",
			on.called, is, r.Packages.Arch).With("Name one for it: --base IMAGE; or another platform: --platform.")
	}
	return on.about.Check(on.called, m.python())
}

// frame are the files of an environment beside its packages: those by which Python knows it (PEP 405), and the user
// that programs are executed by, with a home.
func (on *ground) frame(python string) []layer.File {
	text := func(at, content string) layer.File {
		return layer.File{Path: at, Mode: 0o644, Content: layer.Bytes(content)}
	}
	link := func(at, to string) layer.File { return layer.File{Path: at, Link: to} }
	home, _, _ := strings.Cut(on.about.Python, "/python"+python)
	files := []layer.File{
		text(prefix+"/pyvenv.cfg", "home = "+home+"\ninclude-system-site-packages = false\nversion = "+python+"\n"),
		link(prefix+"/bin/python", on.about.Python), link(prefix+"/bin/python3", "python"),
		link(prefix+"/bin/python"+python, "python"), link(prefix+"/lib64", "lib"),
		{Path: prefix + "/lib/python" + python + "/site-packages", Mode: 0o755, Folder: true},
		{Path: "home/metaml", Mode: 0o755, Folder: true, Owner: user},
	}
	if on.about.Users != "" && !strings.Contains(on.about.Users, fmt.Sprintf(":x:%d:", user)) {
		files = append(files, text("etc/passwd", ended(on.about.Users)+
			fmt.Sprintf("metaml:x:%d:%d::/home/metaml:/usr/sbin/nologin\n", user, user)))
		files = append(files, text("etc/group", ended(on.about.Groups)+fmt.Sprintf("metaml:x:%d:\n", user)))
	}
	return files
}

// ended has a line end at its end, unless it is empty.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// configuration is that of the image, on the layers of the base.
func (on *ground) configuration() (*v1.ConfigFile, error) {
	config, err := on.image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Env = variables(config.Config.Env)
	config.Config.User = fmt.Sprintf("%d:%d", user, user)
	config.Config.WorkingDir = "/home/metaml"
	config.Config.Entrypoint, config.Config.Cmd = nil, []string{"/" + prefix + "/bin/python"}
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	config.Config.Labels["org.opencontainers.image.base.name"] = on.name.Name()
	config.Config.Labels["org.opencontainers.image.base.digest"] = on.digest
	return config, nil
}

// assemble puts layers on the base.
func assemble(on *ground, layers []kept) (v1.Image, error) {
	config, err := on.configuration()
	if err != nil {
		return nil, err
	}
	picture, err := mutate.ConfigFile(mutate.MediaType(on.image, types.OCIManifestSchema1), config)
	if err != nil {
		return nil, err
	}
	picture = mutate.ConfigMediaType(picture, types.OCIConfigJSON)
	var additions []mutate.Addendum
	for _, l := range layers {
		additions = append(additions, mutate.Addendum{Layer: l, History: history})
	}
	return mutate.Append(picture, additions...)
}

// history is that of each of our layers, the same whenever it is made.
var history = v1.History{CreatedBy: "metaml", Created: v1.Time{Time: time.Unix(0, 0).UTC()}}

// variables are those of an image with the environment in front.
func variables(of []string) []string {
	at := "/" + prefix + "/bin"
	all, has := []string{}, false
	for _, v := range of {
		switch key, value, _ := strings.Cut(v, "="); key {
		case "PATH":
			all, has = append(all, "PATH="+at+":"+value), true
		case "VIRTUAL_ENV":
		default:
			all = append(all, v)
		}
	}
	if !has {
		all = append(all, "PATH="+at+":/usr/local/bin:/usr/bin:/bin")
	}
	return append(all, "VIRTUAL_ENV=/"+prefix)
}
