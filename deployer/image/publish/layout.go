package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// Layout is a folder of this machine that has images (OCI image layout 1.1), for those who bring them elsewhere
// themselves.
type Layout struct{ Folder string }

var _ Publisher = (*Layout)(nil)

// Has implements [Publisher].
func (l *Layout) Has(_ context.Context, digest v1.Hash) bool {
	at, err := layout.FromPath(l.Folder)
	if err != nil {
		return false
	}
	image, err := at.Image(digest)
	if err != nil {
		return false
	}
	layers, err := image.Layers()
	if err != nil {
		return false
	}
	for _, is := range layers {
		if l.blob(is) == "" {
			return false
		}
	}
	return true
}

// blob is the file of a layer, or "" where it is not there.
func (l *Layout) blob(of v1.Layer) string {
	digest, err := of.Digest()
	if err != nil {
		return ""
	}
	size, err := of.Size()
	if err != nil {
		return ""
	}
	file := filepath.Join(l.Folder, "blobs", digest.Algorithm, digest.Hex)
	if is, err := os.Stat(file); err != nil || is.Size() != size {
		return ""
	}
	return file
}

// partly is an image of which a folder has layers already: they are not read from where the image is.
type partly struct {
	v1.Image
	in *Layout
}

// Layers implements [v1.Image].
func (p partly) Layers() ([]v1.Layer, error) {
	layers, err := p.Image.Layers()
	if err != nil {
		return nil, err
	}
	all := make([]v1.Layer, len(layers))
	for i, is := range layers {
		all[i] = is
		if file := p.in.blob(is); file != "" {
			all[i] = filed{is, file}
		}
	}
	return all, nil
}

// filed is a layer in a file.
type filed struct {
	v1.Layer
	file string
}

// Compressed implements [v1.Layer].
func (f filed) Compressed() (io.ReadCloser, error) { return os.Open(f.file) }

// Publish implements [Publisher].
func (l *Layout) Publish(ctx context.Context, image v1.Image, tag string, _ func(sent, all int64)) error {
	return l.put(ctx, image, tag)
}

// Tag implements [Publisher].
func (l *Layout) Tag(ctx context.Context, image v1.Image, tag string) error {
	return l.put(ctx, image, tag)
}

// put writes an image, and lists it when all of it is there.
func (l *Layout) put(ctx context.Context, image v1.Image, tag string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	at, err := layout.FromPath(l.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		at, err = layout.Write(l.Folder, empty.Index)
	}
	if err != nil {
		return l.cannot(err)
	}
	digest, err := image.Digest()
	if err != nil {
		return l.cannot(err)
	}
	var named []layout.Option
	if tag != "" {
		named = append(named, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
	}
	if err := at.ReplaceImage(partly{image, l}, match.Digests(digest), named...); err != nil {
		return l.cannot(err)
	}
	return nil
}

func (l *Layout) cannot(err error) error {
	if failed, is := errors.AsType[*fs.PathError](err); is {
		return usererror.Wrap(err, usererror.CodeUnwritable,
			fmt.Sprintf("cannot write the image into %s: %v", l.Folder, failed.Err),
			"See that the disk has room for it.")
	}
	return registry.Explain(err, "write the image into "+l.Folder, "of its base")
}

// Reference implements [Publisher]. No pod can pull it.
func (l *Layout) Reference(digest v1.Hash) string { return l.Folder + "@" + digest.String() }

func (l *Layout) String() string { return "folder " + l.Folder }
