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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/lock"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/atomicfile"
)

// Maker makes images.
type Maker struct {
	Cache         string     // folder for what is kept between images
	Environ       []string   // of the session: indexes, logins, proxies
	Python        string     // path of the session's interpreter, which compiles
	PythonVersion string     // its full version, "3.11.7"
	UV            string     // path of uv that --uv names; "" is the one that there is
	Step          func(Step) // what goes on; one call at a time. nil: nobody wants to know
}

// Request is what an image is made of.
type Request struct {
	Requirements string    // requirements.txt: what must be there
	Constraints  string    // another: which versions, where something is there
	Newest       time.Time // see [resolve.Input]
	Arch         string    // of Linux, as Go calls it
	Base         string    // image that it is put on; "" is python:X.Y-slim
	To           publish.Publisher
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
}

const (
	prefix = "opt/venv" // of the environment in the image
	// alone is from how many bytes on a wheel has a layer of its own, so that images share it.
	alone = 20 << 20
	// user is who executes: nobody that a node knows.
	user = 65532
	// unused is how long what is kept between images may lie there without being used.
	unused = 30 * 24 * time.Hour
	// version changes when the same input gives another image.
	version = "1"
)

// python is the minor version, "3.11".
func (m *Maker) python() string { return lock.Minor(m.PythonVersion) }

// Make makes an image and puts it into its place. What is there already is not made again: then neither a package
// index nor a builder is asked.
func (m *Maker) Make(ctx context.Context, r Request) (*Made, error) {
	r.Base = cmp.Or(r.Base, "python:"+m.python()+"-slim")
	on, err := m.base(ctx, r)
	if err != nil {
		return nil, err
	}
	key := m.key(r, on.digest)
	if made := m.known(ctx, r.To, key); made != nil {
		return made, nil
	}
	if err := m.step("base", "looking into "+r.Base, func(func(int64, int64)) error {
		return m.inspect(ctx, on, r.Base)
	}); err != nil {
		return nil, err
	}
	wheels, err := m.resolve(ctx, r)
	if err != nil {
		return nil, err
	}
	layers, err := m.layers(ctx, on, wheels)
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
		Reference: r.To.Reference(digest), Digest: digest, Key: key, Wheels: wheels,
		Base: on.name.Context().Digest(on.digest).String(),
	}
	var size int64
	for _, l := range layers {
		made.Layers = append(made.Layers, l.Written)
		size += l.Written.Size
	}
	if err := m.step("send", fmt.Sprintf("sending what %s does not have, of %s", r.To, megabytes(size)),
		func(far func(int64, int64)) error { return r.To.Publish(ctx, picture, "env-"+key[:12], far) }); err != nil {
		return nil, err
	}
	if err := m.remember(r.To, made); err != nil {
		return nil, err
	}
	m.prune()
	return made, nil
}

// resolve finds the wheels.
func (m *Maker) resolve(ctx context.Context, r Request) ([]resolve.Wheel, error) {
	uv, err := m.uv(ctx)
	if err != nil {
		return nil, err
	}
	var locked *resolve.Locked
	err = m.step("resolve", "resolving packages for linux/"+r.Arch, func(func(int64, int64)) (err error) {
		locked, err = (&resolve.Resolver{UV: uv, Environ: m.Environ}).Resolve(ctx, resolve.Input{
			Requirements: r.Requirements, Constraints: r.Constraints, Python: m.python(), Arch: r.Arch,
			Newest: r.Newest,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return locked.Wheels, nil
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

func (m *Maker) memory(to publish.Publisher, key string) string {
	sum := sha256.Sum256([]byte(to.String()))
	return filepath.Join(m.Cache, "made", key+"-"+hex.EncodeToString(sum[:6])+".json")
}

// known gives an image that was made before and still is in its place, or nil.
func (m *Maker) known(ctx context.Context, to publish.Publisher, key string) *Made {
	var made Made
	data, err := os.ReadFile(m.memory(to, key))
	if err != nil || json.Unmarshal(data, &made) != nil || !to.Has(ctx, made.Digest) {
		return nil // it is made again, which says what is wrong
	}
	made.Known = true
	cache.Used(m.memory(to, key))
	return &made
}

func (m *Maker) remember(to publish.Publisher, made *Made) error {
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
