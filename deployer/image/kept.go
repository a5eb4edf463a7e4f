package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/internal/atomicfile"
)

// kept is a layer in a file of this machine.
type kept struct {
	layer.Written
	file string
	zstd bool
}

var _ v1.Layer = kept{}

func (k kept) Digest() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: k.Written.Digest}, nil
}

func (k kept) DiffID() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: k.Written.DiffID}, nil
}
func (k kept) Size() (int64, error) { return k.Written.Size, nil }

func (k kept) MediaType() (types.MediaType, error) {
	if k.zstd {
		return types.OCILayerZStd, nil
	}
	return types.OCILayer, nil
}

func (k kept) Compressed() (io.ReadCloser, error) { return os.Open(k.file) }

func (k kept) Uncompressed() (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(k)
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}

// both reads one and closes the other, too.
type both struct {
	io.ReadCloser
	below io.Closer
}

func (b both) Close() error { return errors.Join(b.ReadCloser.Close(), b.below.Close()) }

// keep gives the layer of a key. Where it is not here yet, files say what is in it.
func (m *Maker) keep(ctx context.Context, key string, files func() ([]layer.File, error)) (kept, error) {
	dir := filepath.Join(m.Cache, "layers")
	k := kept{file: filepath.Join(dir, key+".tar.gz"), zstd: m.Zstd}
	pack := layer.Write
	if m.Zstd {
		pack = layer.WriteZstd
	}
	about := filepath.Join(dir, key+".json")
	if data, err := os.ReadFile(about); err == nil && json.Unmarshal(data, &k.Written) == nil {
		if info, err := os.Stat(k.file); err == nil && info.Size() == k.Written.Size {
			cache.Used(k.file, about)
			return k, nil
		}
	}
	all, err := files()
	if err != nil {
		return k, err
	}
	if err := cache.Write(k.file, func(half *os.File) (err error) {
		k.Written, err = pack(ctx, half, all)
		return err
	}); err != nil {
		return k, folder.ExplainCache(err, "keep layers in", dir)
	}
	data, err := json.Marshal(k.Written)
	if err != nil {
		return k, fmt.Errorf("keep layers: %w", err)
	}
	return k, atomicfile.Write(about, data, 0o600)
}
