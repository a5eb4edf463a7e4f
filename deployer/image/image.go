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
	"os"
	"path"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/metaml/metaml/deployer/image/builder"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/lock"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/prose"
)

// Maker makes images.
type Maker struct {
	Cache         string   // folder for what is kept between images
	Environ       []string // of the session: indexes, logins, proxies
	Python        string   // path of the session's interpreter, which compiles
	PythonVersion string   // its full version, "3.11.7"
	UV            string   // path of uv that --uv names; "" is the one that there is
	Zstd          bool     // layers are compressed by zstd in place of gzip
	Registries    *registry.Client
	Step          func(Step)        // what goes on; one call at a time. nil: nobody wants to know
	Note          func(text string) // what people should know, a sentence without a full stop; nil: nobody wants to
}

// Request is what an image is made of.
type Request struct {
	// Packages are what must be there, for which platform; [Maker] knows the Python.
	Packages resolve.Input
	// Needs are modules that the program imports, each with the package that brings it: these must be there.
	Needs map[string]string
	Base  string // image that it is put on; "" is python:X.Y-slim
	// Mirror is HOST/PATH, below which python:X.Y-slim is; "" is the public registry.
	Mirror string
	To     publish.Publisher
	// Builder makes all of the environment; nil: it is made here, of wheels alone.
	Builder *builder.Builder
	System  []string   // packages of the system
	After   [][]string // commands that are executed in the image when all is installed
	// Program is put on top of the environment, in a layer that changes with each edit; without one the image is the
	// environment alone.
	Program []layer.File
	// Model is put below the program, in a layer of its own, which stays the same while the program is edited.
	Model []layer.File
}

// Made is an image in a repository.
type Made struct {
	Reference string          `json:"reference"` // REPOSITORY@sha256:DIGEST
	Digest    v1.Hash         `json:"digest"`    // of the manifest
	Key       string          `json:"key"`       // digest of what it is made of
	Wheels    []resolve.Wheel `json:"wheels"`
	Layers    []layer.Written `json:"layers"` // that were put on the base
	Base      string          `json:"base"`   // by digest
	Known     bool            `json:"-"`      // nothing was resolved or sent: it was there

	// What describes the image of the environment, by which a program is put on it.
	Manifest json.RawMessage `json:"manifest"`
	Config   json.RawMessage `json:"config"`

	fresh  bool     // it was sent by this process just now
	image  v1.Image // with the program
	folder string   // of this machine, where the builder has laid the image
}

const (
	prefix = "opt/venv" // of the environment in the image
	// alone is from how many bytes on a wheel has a layer of its own, so that images share it, and another version of
	// a small one costs little. mostAlone bounds how many have: an image has 127 layers at most in some runtimes.
	alone     = 4 << 20
	mostAlone = 40
	// user is who executes: nobody that a node knows.
	user = 65532
	// unused is how long what is kept between images may lie there without being used.
	unused = 30 * 24 * time.Hour
	// version changes when the same input gives another image.
	version = "2"
)

// python is the minor version, "3.11".
func (m *Maker) python() string { return lock.Minor(m.PythonVersion) }

// Make makes an image and puts it into its place. What is there already is not made again: then neither a package
// index nor a builder is asked. With a program the image gets no name yet: see [Maker.Tag].
func (m *Maker) Make(ctx context.Context, r Request) (*Made, error) {
	r, on, err := m.ready(ctx, r)
	if err != nil {
		return nil, err
	}
	key := m.key(r, on.digest)
	if made := m.known(r.To, key); made != nil {
		if err := lacking(r.Needs, made.Wheels); err != nil {
			return nil, err
		}
		found, err := m.onKnown(ctx, made, r)
		if err == nil || !errors.Is(err, errGone) {
			return found, err
		}
	}
	made, err := m.environment(ctx, r, on, key)
	if err != nil || r.Program == nil {
		return made, err
	}
	return m.onTop(ctx, made, r)
}

// onKnown makes an image of which the environment was made before; errGone says that it is not there any more.
func (m *Maker) onKnown(ctx context.Context, made *Made, r Request) (*Made, error) {
	if r.Program != nil {
		return m.onTop(ctx, made, r)
	}
	if !r.To.Has(ctx, made.Digest) {
		return nil, errGone // or nobody can say: it is made again, which says what is wrong
	}
	made.Known, made.Reference = true, r.To.Reference(made.Digest)
	return made, nil
}

// onTop puts the program on an environment.
func (m *Maker) onTop(ctx context.Context, made *Made, r Request) (*Made, error) {
	picture, layers, err := m.put(ctx, r.Program, r.Model, made)
	if err != nil {
		return nil, err
	}
	digest, err := picture.Digest()
	if err != nil {
		return nil, fmt.Errorf("put the program on its environment: %w", err)
	}
	with := *made
	with.Digest, with.Reference, with.image = digest, r.To.Reference(digest), picture
	if r.To.Has(ctx, digest) {
		with.Known = true
		return &with, nil
	}
	if !made.fresh && !r.To.Has(ctx, made.Digest) {
		return nil, errGone // or nobody can say: it is made again, which says what is wrong
	}
	// What has the environment has its layers: to ask for each may take a registry long.
	return &with, r.To.Publish(ctx, topmost{picture, layers}, "", nil)
}

// Tag calls an image with a program by a name, when everything that a run needs is there: a registry's cleaner keeps
// what has one.
func (m *Maker) Tag(ctx context.Context, to publish.Publisher, made *Made, tag string) error {
	return to.Tag(ctx, made.image, tag)
}

// environment makes the image of an environment.
func (m *Maker) environment(ctx context.Context, r Request, on *ground, key string) (*Made, error) {
	if err := m.step("base", "looking into "+r.Base, func(func(int64, int64)) error {
		return m.inspect(ctx, on, r)
	}); err != nil {
		return nil, err
	}
	made := &Made{Key: key, Base: on.name.Context().Digest(on.digest).String()}
	defer func() { _ = os.RemoveAll(made.folder) }() // "" is none; by then all of it is where it belongs
	makes := m.compose
	if r.Builder != nil {
		makes = m.build
	}
	picture, err := makes(ctx, on, r, made)
	if err != nil {
		return nil, err
	}
	if err := made.describe(picture); err != nil {
		return nil, fmt.Errorf("put the packages on %s: %w", r.Base, err)
	}
	made.Reference = r.To.Reference(made.Digest)
	manifest, err := picture.Manifest()
	if err != nil {
		return nil, fmt.Errorf("put the packages on %s: %w", r.Base, err)
	}
	var size int64 // the base's layers count as well
	for i := range manifest.Layers {
		size += manifest.Layers[i].Size
	}
	if err := m.step("send", fmt.Sprintf("sending what %s does not have, of %s", r.To, prose.Bytes(size)),
		func(far func(int64, int64)) error { return r.To.Publish(ctx, picture, tagOf(key), far) }); err != nil {
		return nil, err
	}
	made.fresh = true
	if err := m.keepMade(r.To, made); err != nil {
		return nil, err
	}
	m.prune()
	return made, nil
}

// tagOf is the name of an environment.
func tagOf(key string) string { return "env-" + key[:12] }

// describe notes what describes the image.
func (made *Made) describe(picture v1.Image) (err error) {
	if made.Digest, err = picture.Digest(); err != nil {
		return err
	}
	if made.Manifest, err = picture.RawManifest(); err != nil {
		return err
	}
	made.Config, err = picture.RawConfigFile()
	return err
}

// completed is a request with what this maker has for what it leaves open.
func (m *Maker) completed(r Request) Request {
	r.Base = cmp.Or(r.Base, path.Join(r.Mirror, "python:"+m.python()+"-slim"))
	r.Packages.Python, r.Packages.Interpreter = m.python(), m.Python
	return r
}

// compose makes the image here, of wheels.
func (m *Maker) compose(ctx context.Context, on *ground, r Request, made *Made) (v1.Image, error) {
	wheels, layers, err := m.found(ctx, r, on)
	if err != nil {
		return nil, err
	}
	made.Wheels = wheels
	for _, l := range layers {
		made.Layers = append(made.Layers, l.Written)
	}
	picture, err := assemble(on, layers)
	if err != nil {
		return nil, fmt.Errorf("put the packages on %s: %w", r.Base, err)
	}
	return picture, nil
}

// prune removes what no image has used for long, and what was left half-made then. What cannot be removed stays.
func (m *Maker) prune() {
	for _, folder := range []string{"wheels", "bytecode", "layers", "made", "bases", "registries", "resolved", "uv"} {
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

// key is the digest of all that decides what the image is. Where two give the same, nothing needs to be resolved again.
func (m *Maker) key(r Request, baseDigest string) string {
	of := []any{
		version,
		layer.Version,
		m.resolution(r.Packages),
		baseDigest,
		m.PythonVersion,
	}
	if r.Builder != nil { // whichever it is
		of = append(of, "built", r.System, r.After)
	}
	if m.Zstd {
		of = append(of, "zstd")
	}
	data, _ := json.Marshal(of) // of plain values
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (m *Maker) memory(to publish.Publisher, key string) string {
	sum := sha256.Sum256([]byte(to.String()))
	return filepath.Join(m.Cache, "made", key+"-"+hex.EncodeToString(sum[:6])+".json")
}

// known gives an environment that was made before; whether it still is in its place is not known.
func (m *Maker) known(to publish.Publisher, key string) *Made {
	var made Made
	data, err := os.ReadFile(m.memory(to, key))
	if err != nil || json.Unmarshal(data, &made) != nil || made.Manifest == nil {
		return nil
	}
	cache.Used(m.memory(to, key))
	return &made
}

func (m *Maker) keepMade(to publish.Publisher, made *Made) error {
	data, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("keep what was made: %w", err)
	}
	at := m.memory(to, made.Key)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return fmt.Errorf("keep what was made: %w", err)
	}
	return atomicfile.Write(at, data, 0o600)
}
