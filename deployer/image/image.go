// Package image makes images of environments: the packages that a program needs, on a base image with the same Python.
// Where all of them have wheels nothing is executed and no builder is asked: uv resolves them, their files become
// layers in this process, and a registry gets what it does not have. The same input gives the same digest.
//
// [Maker] is the door. It may import the packages below it and deployer/folder.
package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/base"
	"github.com/metaml/metaml/deployer/image/bytecode"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/fetch"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/lock"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/deployer/image/wheel"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// Maker makes images.
type Maker struct {
	Cache         string   // folder for what is kept between images
	Environ       []string // of the session: indexes, logins, proxies
	Python        string   // path of the session's interpreter, which compiles
	PythonVersion string   // its full version, "3.11.7"
	UV            string   // path of uv that --uv names; "" is the one that there is
	Say           func(text string)
}

// Request is what an image is made of.
type Request struct {
	Requirements string    // requirements.txt: what must be there
	Constraints  string    // another: which versions, where something is there
	Newest       time.Time // see [resolve.Input]
	Arch         string    // of Linux, as Go calls it
	Base         string    // image that it is put on; "" is python:X.Y-slim
	Repository   string    // that gets it, "registry.example/team/env"
}

// Made is an image in a repository.
type Made struct {
	Reference string          `json:"reference"` // REPOSITORY@sha256:DIGEST
	Key       string          `json:"key"`       // digest of what it is made of
	Wheels    []resolve.Wheel `json:"wheels"`
	Layers    []layer.Written `json:"layers"` // that were put on the base
	Base      string          `json:"base"`   // by digest
	Known     bool            `json:"-"`      // nothing was resolved or sent: it was there
}

const (
	prefix = "opt/venv" // of the environment in the image
	// alone is from how many bytes on a wheel has a layer of its own, so that images share it.
	alone = 20 << 20
	// user is who executes: nobody that a node knows.
	user = 65532
	// often is how often a download says how far it is.
	often = 5 * time.Second
	// unused is how long what is kept between images may lie there without being used.
	unused = 30 * 24 * time.Hour
	// version changes when the same input gives another image.
	version = "1"
)

// python is the minor version, "3.11".
func (m *Maker) python() string { return lock.Minor(m.PythonVersion) }

// Make makes an image and puts it into its repository. What is there already is not made again: then neither a package
// index nor a builder is asked.
func (m *Maker) Make(ctx context.Context, r Request) (*Made, error) {
	repository, err := name.NewRepository(r.Repository)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--repository %s: %v", r.Repository, err),
			"It is like registry.example/team/environments.")
	}
	r.Base = cmp.Or(r.Base, "python:"+m.python()+"-slim")
	on, err := m.base(ctx, r)
	if err != nil {
		return nil, err
	}
	input := m.key(r, on.digest)
	if made := m.known(ctx, repository, input); made != nil {
		return made, nil
	}
	uv, err := m.uv(ctx)
	if err != nil {
		return nil, err
	}
	m.Say("looking into " + r.Base)
	if err := m.inspect(ctx, on, r.Base); err != nil {
		return nil, err
	}
	m.Say("resolving packages for linux/" + r.Arch)
	locked, err := (&resolve.Resolver{UV: uv, Environ: m.Environ}).Resolve(ctx, resolve.Input{
		Requirements: r.Requirements, Constraints: r.Constraints, Python: m.python(), Arch: r.Arch, Newest: r.Newest,
	})
	if err != nil {
		return nil, err
	}
	layers, err := m.layers(ctx, on, locked.Wheels)
	if err != nil {
		return nil, err
	}
	picture, err := assemble(on, layers)
	if err != nil {
		return nil, fmt.Errorf("put the packages on %s: %w", r.Base, err)
	}
	digest, err := picture.Digest()
	if err != nil {
		return nil, fmt.Errorf("put the packages on %s: %w", r.Base, err)
	}
	made := &Made{
		Reference: repository.Digest(digest.String()).String(), Key: input, Wheels: locked.Wheels,
		Base: on.name.Context().Digest(on.digest).String(),
	}
	for _, l := range layers {
		made.Layers = append(made.Layers, l.Written)
	}
	if err := m.push(ctx, repository, picture, layers, "env-"+input[:12]); err != nil {
		return nil, err
	}
	if err := m.remember(repository, made); err != nil {
		return nil, err
	}
	m.prune()
	return made, nil
}

// prune removes what no image has used for long, and what was left half-made then. What cannot be removed stays.
func (m *Maker) prune() {
	for _, folder := range []string{"wheels", "bytecode", "layers", "made", "bases"} {
		entries, err := os.ReadDir(filepath.Join(m.Cache, folder))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > unused {
				_ = os.RemoveAll(filepath.Join(m.Cache, folder, e.Name()))
			}
		}
	}
}

// ground is the image that packages are put on.
type ground struct {
	name   name.Reference
	image  v1.Image
	digest string
	about  base.About
}

// base finds the base image for the platform.
func (m *Maker) base(ctx context.Context, r Request) (*ground, error) {
	at, err := name.ParseReference(r.Base)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--base %s: %v", r.Base, err),
			"It is like python:"+m.python()+"-slim.")
	}
	found, err := remote.Image(
		at,
		m.options(ctx, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: r.Arch}))...)
	if err != nil {
		return nil, explain(err, "read the base image "+r.Base, at.Context().RegistryStr())
	}
	digest, err := found.Digest()
	if err != nil {
		return nil, explain(err, "read the base image "+r.Base, at.Context().RegistryStr())
	}
	return &ground{name: at, image: found, digest: digest.String()}, nil
}

// inspect looks into the base, and refuses one that no packages can be put on.
func (m *Maker) inspect(ctx context.Context, on *ground, called string) (err error) {
	if on.about, err = base.Inspect(ctx, on.image, m.python(), filepath.Join(m.Cache, "bases")); err != nil {
		return explain(err, "read the base image "+called, on.name.Context().RegistryStr())
	}
	return on.about.Check(called, m.python())
}

func (m *Maker) options(ctx context.Context, more ...remote.Option) []remote.Option {
	return append([]remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("metaml"),
	}, more...)
}

// key is the digest of all that decides what the image is. Where two give the same, nothing needs to be resolved again.
func (m *Maker) key(r Request, baseDigest string) string {
	var indexes []string // by which packages are found
	for _, v := range m.Environ {
		if strings.HasPrefix(v, "UV_") || strings.HasPrefix(v, "PIP_") {
			indexes = append(indexes, v)
		}
	}
	slices.Sort(indexes)
	data, _ := json.Marshal([]any{ // of plain values
		version,
		layer.Version,
		r.Requirements,
		r.Constraints,
		r.Newest.UTC(),
		r.Arch,
		baseDigest,
		m.PythonVersion,
		indexes,
	})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (m *Maker) memory(repository name.Repository, key string) string {
	sum := sha256.Sum256([]byte(repository.String()))
	return filepath.Join(m.Cache, "made", key+"-"+hex.EncodeToString(sum[:6])+".json")
}

// known gives an image that was made before and still is in its repository, or nil.
func (m *Maker) known(ctx context.Context, repository name.Repository, key string) *Made {
	var made Made
	data, err := os.ReadFile(m.memory(repository, key))
	if err != nil || json.Unmarshal(data, &made) != nil {
		return nil
	}
	at, err := name.NewDigest(made.Reference)
	if err != nil {
		return nil
	}
	if _, err := remote.Head(at, m.options(ctx)...); err != nil {
		return nil // it is made again, which says what is wrong
	}
	made.Known = true
	cache.Used(m.memory(repository, key))
	return &made
}

func (m *Maker) remember(repository name.Repository, made *Made) error {
	data, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("keep what was made: %w", err)
	}
	at := m.memory(repository, made.Key)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return fmt.Errorf("keep what was made: %w", err)
	}
	return atomicfile.Write(at, data, 0o600)
}

// layers makes the layers of an environment: its frame, the small wheels together, and each large one alone.
func (m *Maker) layers(ctx context.Context, on *ground, wheels []resolve.Wheel) ([]kept, error) {
	began := time.Now()
	shown := began
	var turn sync.Mutex
	loader := &fetch.Fetcher{
		Folder: filepath.Join(m.Cache, "wheels"), Logins: fetch.FindLogins(m.Environ, fetch.Netrc(m.Environ)),
		Progress: func(loaded, all int64) {
			turn.Lock()
			defer turn.Unlock()
			if now := time.Now(); now.Sub(shown) > often {
				shown = now
				m.Say(fmt.Sprintf("loading packages: %s of %s, %s/s", megabytes(loaded), megabytes(all),
					megabytes(int64(float64(loaded)/now.Sub(began).Seconds()))))
			}
		},
	}
	if size := loader.Missing(wheels); size > 0 {
		m.Say(fmt.Sprintf("loading %s of packages", megabytes(size)))
	}
	files, err := loader.Fetch(ctx, wheels)
	if err != nil {
		return nil, err
	}
	m.Say("packing " + prose.Count(len(wheels), "package"))
	var small []int
	groups := [][]int{nil} // of wheels that share a layer; the first is that of the small ones
	for i, w := range wheels {
		info, err := os.Stat(files[i])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.File, err)
		}
		if info.Size() > alone {
			groups = append(groups, []int{i})
			continue
		}
		small = append(small, i)
	}
	groups[0] = small
	all, errs := make([]kept, len(groups)+1), make([]error, len(groups)+1)
	var group sync.WaitGroup
	group.Go(func() {
		frame := on.frame(m.python())
		all[0], errs[0] = m.keep(ctx, "frame-"+digestOf(frame), func() ([]layer.File, error) { return frame, nil })
	})
	for n, members := range groups {
		group.Go(func() { all[n+1], errs[n+1] = m.together(ctx, wheels, files, members) })
	}
	group.Wait()
	return all, errors.Join(errs...)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// together makes the layer of some wheels.
func (m *Maker) together(ctx context.Context, wheels []resolve.Wheel, paths []string, members []int) (kept, error) {
	at := wheel.Scheme{Prefix: prefix, Python: m.python()}
	sum := sha256.New()
	fmt.Fprintln(sum, version, layer.Version, m.PythonVersion, at)
	for _, i := range members {
		fmt.Fprintln(sum, wheels[i].SHA256)
	}
	var closers []io.Closer
	defer func() {
		for _, c := range closers {
			_ = c.Close() // they were read
		}
	}()
	compiler := &bytecode.Compiler{
		Python: m.Python, Version: m.PythonVersion, Folder: filepath.Join(m.Cache, "bytecode"),
	}
	return m.keep(ctx, hex.EncodeToString(sum.Sum(nil)), func() ([]layer.File, error) {
		var all []layer.File
		known := map[string]int{} // where the file of a path is among all
		for _, i := range members {
			w, err := wheel.Open(paths[i])
			if err != nil {
				return nil, err
			}
			closers = append(closers, w)
			compiled, err := compiler.Compile(ctx, paths[i], wheels[i].SHA256, w, at)
			if err != nil {
				return nil, err
			}
			closers = append(closers, compiled)
			files, err := w.Files(at, compiled.Code)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				// Namespaces share a file now and then; the last one installed wins, as with pip.
				if i, is := known[f.Path]; is {
					all[i] = f
					continue
				}
				known[f.Path] = len(all)
				all = append(all, f)
			}
		}
		return all, nil
	})
}

// digestOf is that of files in memory.
func digestOf(files []layer.File) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%q %o %q %v %d %q\n", f.Path, f.Mode, f.Link, f.Folder, f.Owner, f.Content)
	}
	return hex.EncodeToString(sum.Sum(nil))
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

// assemble puts layers on the base.
func assemble(on *ground, layers []kept) (v1.Image, error) {
	config, err := on.image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Env = environment(config.Config.Env)
	config.Config.User = fmt.Sprintf("%d:%d", user, user)
	config.Config.WorkingDir = "/home/metaml"
	config.Config.Entrypoint, config.Config.Cmd = nil, []string{"/" + prefix + "/bin/python"}
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	config.Config.Labels["org.opencontainers.image.base.name"] = on.name.Name()
	config.Config.Labels["org.opencontainers.image.base.digest"] = on.digest
	picture, err := mutate.ConfigFile(mutate.MediaType(on.image, types.OCIManifestSchema1), config)
	if err != nil {
		return nil, err
	}
	picture = mutate.ConfigMediaType(picture, types.OCIConfigJSON)
	var additions []mutate.Addendum
	for _, l := range layers {
		additions = append(additions, mutate.Addendum{
			Layer: l, History: v1.History{CreatedBy: "metaml", Created: v1.Time{Time: time.Unix(0, 0).UTC()}},
		})
	}
	return mutate.Append(picture, additions...)
}

// environment are the variables of an image with the environment in front.
func environment(of []string) []string {
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

// push puts an image into a repository, and names it when all of it is there.
func (m *Maker) push(ctx context.Context, to name.Repository, picture v1.Image, layers []kept, tag string) error {
	var size int64
	for _, l := range layers {
		size += l.Written.Size
	}
	m.Say(fmt.Sprintf("sending what %s does not have, of %s", to.RegistryStr(), megabytes(size)))
	digest, err := picture.Digest()
	if err != nil {
		return fmt.Errorf("send the image: %w", err)
	}
	pusher, err := remote.NewPusher(m.options(ctx)...)
	if err != nil {
		return fmt.Errorf("send the image: %w", err)
	}
	if err := pusher.Push(ctx, to.Digest(digest.String()), picture); err != nil {
		return explain(err, "send the image to "+to.String(), to.RegistryStr())
	}
	if err := pusher.Push(ctx, to.Tag(tag), picture); err != nil {
		return explain(err, "name the image in "+to.String(), to.RegistryStr())
	}
	return nil
}
