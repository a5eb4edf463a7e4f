package image

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/metaml/metaml/deployer/image/fetch"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/publish"
	"github.com/metaml/metaml/deployer/image/resolve"
)

// Outline is what [Maker.Make] would do.
type Outline struct {
	Name   string // that the environment has in its place: "env-1f0c…"
	Base   string // by digest
	There  string // the environment by its digest, where it is in its place; "" where it would be made
	Wheels []resolve.Wheel
	Load   int64 // bytes of wheels that are not on this machine yet
	Layers []OutlineLayer
}

// OutlineLayer is a layer that packages have.
type OutlineLayer struct {
	Wheels []resolve.Wheel
	Size   int64 // bytes; of the wheels, where the layer was never made
	There  bool  // the place has it
}

// layered is a place that has layers by themselves.
type layered interface {
	HasLayer(ctx context.Context, digest v1.Hash) bool
}

// Outline says what Make would do. It asks the package index, unless the environment was made before, and makes
// nothing. With a builder the packages are known only after the environment was made once.
func (m *Maker) Outline(ctx context.Context, r Request) (*Outline, error) {
	r, on, err := m.ready(ctx, r)
	if err != nil {
		return nil, err
	}
	key := m.key(r, on.digest)
	o := &Outline{Name: tagOf(key), Base: on.name.Context().Digest(on.digest).String()}
	if made := m.known(r.To, key); made != nil && r.To.Has(ctx, made.Digest) {
		o.There, o.Wheels = made.Reference, made.Wheels
	} else if r.Builder == nil {
		if o.Wheels, _, err = m.listed(ctx, r); err != nil {
			return nil, err
		}
		o.Load = (&fetch.Fetcher{Folder: filepath.Join(m.Cache, "wheels")}).Missing(o.Wheels)
	}
	for _, members := range groups(o.Wheels) {
		o.Layers = append(o.Layers, m.outlineLayer(ctx, o, members, r.To))
	}
	return o, nil
}

// outlineLayer is the layer of some of the wheels.
func (m *Maker) outlineLayer(ctx context.Context, o *Outline, members []int, to publish.Publisher) OutlineLayer {
	l := OutlineLayer{There: o.There != ""}
	for _, i := range members {
		l.Wheels = append(l.Wheels, o.Wheels[i])
		l.Size += o.Wheels[i].Size
	}
	var kept layer.Written
	at := filepath.Join(m.Cache, "layers", m.layerKey(o.Wheels, members)+".json")
	if data, err := os.ReadFile(at); err == nil && json.Unmarshal(data, &kept) == nil {
		l.Size = kept.Size
		if has, is := to.(layered); is && !l.There {
			l.There = has.HasLayer(ctx, v1.Hash{Algorithm: "sha256", Hex: kept.Digest})
		}
	}
	return l
}
