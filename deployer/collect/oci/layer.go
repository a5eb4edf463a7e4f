package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// passing is a layer that is read once, while it comes. Its digest is known then.
type passing struct {
	from io.Reader
	sum  hash.Hash
	size int64
	read bool // somebody has begun to
	done bool
}

func newPassing(from io.Reader) *passing { return &passing{from: from, sum: sha256.New()} }

// errAgain is why an upload cannot be begun anew.
var errAgain = errors.New("the files have come once, and are not kept here")

// Read implements [io.Reader].
func (p *passing) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.sum.Write(b[:n])
	p.size += int64(n)
	p.done = p.done || errors.Is(err, io.EOF)
	return n, err
}

// Close implements [io.Closer]. The source is its owner's.
func (p *passing) Close() error { return nil }

// Compressed implements [v1.Layer].
func (p *passing) Compressed() (io.ReadCloser, error) {
	if p.read {
		return nil, errAgain
	}
	p.read = true
	return p, nil
}

// Uncompressed implements [v1.Layer].
func (p *passing) Uncompressed() (io.ReadCloser, error) { return p.Compressed() }

// Digest implements [v1.Layer].
func (p *passing) Digest() (v1.Hash, error) {
	if !p.done {
		return v1.Hash{}, stream.ErrNotComputed
	}
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(p.sum.Sum(nil))}, nil
}

// DiffID implements [v1.Layer].
func (p *passing) DiffID() (v1.Hash, error) { return p.Digest() }

// Size implements [v1.Layer].
func (p *passing) Size() (int64, error) {
	if !p.done {
		return 0, stream.ErrNotComputed
	}
	return p.size, nil
}

// MediaType implements [v1.Layer]. Archives of trials go as they come: models hardly shrink, and who sends waits.
func (p *passing) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }

var _ v1.Layer = (*passing)(nil)
