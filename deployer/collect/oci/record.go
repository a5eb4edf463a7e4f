package oci

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/collect/archive"
)

// RecordType is the type of the artifact with a record.
const RecordType types.MediaType = "application/vnd.metaml.record.v1+json"

// Record is the folder of a monitor as an artifact with one layer. It is for one goroutine.
type Record struct{ artifact }

// OpenRecord makes the record that a reference names, REGISTRY/NAME:TAG. Nothing is asked of the registry.
func OpenRecord(reference string) (*Record, error) {
	at, err := newArtifact(reference, RecordType)
	return &Record{at}, err
}

// Save sends what is in a folder now, in place of what was sent before. Files may grow meanwhile.
func (r *Record) Save(ctx context.Context, dir string) error {
	doing := "keep the record in " + r.tag.Name()
	from, to := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		pack := gzip.NewWriter(to)
		_ = to.CloseWithError(errors.Join(archive.Write(ctx, pack, dir), pack.Close()))
	}()
	digest, size, err := r.send(ctx, from, doing)
	_ = from.CloseWithError(io.ErrClosedPipe) // where it was not read to its end
	<-packed
	if err != nil {
		return err
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return r.put(ctx, []v1.Descriptor{{MediaType: types.OCILayer, Digest: hash, Size: size}}, doing)
}

// Restore makes a folder, which is not there, of what was sent; nothing, if nothing was. The folder is there whole or
// not at all.
func (r *Record) Restore(ctx context.Context, dir string) error {
	layers, err := r.layers(ctx)
	if err != nil || len(layers) == 0 {
		return err
	}
	doing := "read the record in " + r.tag.Name()
	body, err := r.fetch(ctx, layers[0].Digest.String(), doing)
	if err != nil {
		return err
	}
	defer body.Close()
	fresh := dir + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o700)); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	unpacked, err := gzip.NewReader(body)
	if err == nil {
		err = archive.Read(ctx, unpacked, fresh)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, body) // its digest is compared at its end
	}
	if err == nil {
		err = os.Rename(fresh, dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", doing, err), os.RemoveAll(fresh))
	}
	return nil
}
