package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/layer"
)

// inMemory is up to how many bytes of content a program's layer is made in memory.
const inMemory = 8 << 20

// put gives the image of an environment with a program on it, and a model below that, and how many layers these are. Of
// the environment nothing but its manifest and its configuration is needed.
func (m *Maker) put(ctx context.Context, program, model []layer.File, on *Made) (_ v1.Image, layers int, err error) {
	var all []mutate.Addendum
	for _, files := range [][]layer.File{model, program} {
		if len(files) == 0 {
			continue
		}
		top, err := m.programLayer(ctx, files)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, mutate.Addendum{Layer: top, History: history})
	}
	below, err := remember(on)
	if err != nil {
		return nil, 0, fmt.Errorf("put the program on its environment: %w", err)
	}
	picture, err := mutate.Append(below, all...)
	if err != nil {
		return nil, 0, fmt.Errorf("put the program on its environment: %w", err)
	}
	return picture, len(all), nil
}

// programLayer makes the layer of a program: in memory, unless much goes with it.
func (m *Maker) programLayer(ctx context.Context, files []layer.File) (v1.Layer, error) {
	var size int64
	for _, f := range files {
		if f.Content != nil {
			size += f.Content.Size()
		}
	}
	if size > inMemory {
		key, err := digestOfContent(files)
		if err != nil {
			return nil, fmt.Errorf("pack the program: %w", err)
		}
		return m.keep(ctx, "program-"+key, func() ([]layer.File, error) { return files, nil })
	}
	var data bytes.Buffer
	written, err := layer.Write(ctx, &data, files)
	if err != nil {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	return partial.CompressedToLayer(small{Written: written, data: data.Bytes()})
}

// digestOfContent reads files for a key of what they hold.
func digestOfContent(files []layer.File) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, layer.Version)
	for _, f := range files {
		fmt.Fprintf(sum, "%q %o %q %v %d %d\n", f.Path, f.Mode, f.Link, f.Folder, f.Owner, f.Group)
		if f.Content == nil {
			continue
		}
		fmt.Fprintln(sum, f.Content.Size())
		content, err := f.Content.Open()
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// small is a layer in memory.
type small struct {
	layer.Written
	data []byte
}

func (s small) Digest() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: s.Written.Digest}, nil
}

func (s small) DiffID() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: s.Written.DiffID}, nil
}
func (s small) Size() (int64, error)                { return s.Written.Size, nil }
func (s small) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

func (s small) Compressed() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.data)), nil }

// remembered is an environment of which the place has the layers, and this machine what describes them.
type remembered struct {
	made     *Made
	manifest *v1.Manifest
	config   *v1.ConfigFile
}

func remember(made *Made) (v1.Image, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(made.Manifest))
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(made.Config))
	if err != nil {
		return nil, err
	}
	if len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("it has %d layers and describes %d", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	return partial.CompressedToImage(&remembered{made, manifest, config})
}

func (r *remembered) RawConfigFile() ([]byte, error)      { return r.made.Config, nil }
func (r *remembered) RawManifest() ([]byte, error)        { return r.made.Manifest, nil }
func (r *remembered) MediaType() (types.MediaType, error) { return r.manifest.MediaType, nil }

func (r *remembered) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for i, l := range r.manifest.Layers {
		if l.Digest == digest {
			return distant{l, r.config.RootFS.DiffIDs[i]}, nil
		}
	}
	return nil, fmt.Errorf("the environment has no layer %s", digest)
}

// distant is a layer that is in the place and not here.
type distant struct {
	is     v1.Descriptor
	diffID v1.Hash
}

// errGone says that the place lacks a layer of an environment that was there.
var errGone = errors.New("a layer of the environment is no longer there")

func (d distant) Digest() (v1.Hash, error)            { return d.is.Digest, nil }
func (d distant) DiffID() (v1.Hash, error)            { return d.diffID, nil }
func (d distant) Size() (int64, error)                { return d.is.Size, nil }
func (d distant) MediaType() (types.MediaType, error) { return d.is.MediaType, nil }
func (d distant) Compressed() (io.ReadCloser, error)  { return nil, errGone }

// topmost is an image of which the last layers alone are to be sent, so many.
type topmost struct {
	v1.Image
	layers int
}

// Layers implements [v1.Image].
func (t topmost) Layers() ([]v1.Layer, error) {
	layers, err := t.Image.Layers()
	if err != nil {
		return nil, err
	}
	return layers[max(0, len(layers)-t.layers):], nil
}
