// Package publish brings images to where the nodes of a cluster can have them.
//
// [Publisher] is the door; [Registry] is one. The package may import what everybody may.
package publish

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// Publisher is a place for images.
type Publisher interface {
	// Has reports whether all of an image is there, by the digest of its manifest.
	Has(ctx context.Context, digest v1.Hash) bool
	// Publish brings an image there, and calls it by a tag when all of it is there, unless it is "". What is there is
	// not sent again. progress may be nil.
	Publish(ctx context.Context, image v1.Image, tag string, progress func(sent, all int64)) error
	// Tag calls an image that is there by another tag.
	Tag(ctx context.Context, image v1.Image, tag string) error
	// Reference is what a pod calls the image of a digest.
	Reference(digest v1.Hash) string
	// String names the place, for people.
	String() string
}

// Registry is a repository of a registry.
type Registry struct {
	repository name.Repository

	turn   sync.Mutex
	pusher *remote.Pusher // one for all, which keeps connections, logins and what is there
}

var _ Publisher = (*Registry)(nil)

// NewRegistry gives the repository of a name, "registry.example/team/environments". It asks nothing of the registry.
func NewRegistry(repository string) (*Registry, error) {
	named, err := name.NewRepository(repository)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--repository %s: %v", repository, err),
			"It is like registry.example/team/environments.")
	}
	pusher, err := remote.NewPusher(Options()...)
	if err != nil {
		return nil, fmt.Errorf("send images to %s: %w", repository, err)
	}
	return &Registry{repository: named, pusher: pusher}, nil
}

// Options are those of each request to a registry.
func Options(more ...remote.Option) []remote.Option {
	return append(
		[]remote.Option{remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("metaml")},
		more...)
}

// Has implements [Publisher].
func (r *Registry) Has(ctx context.Context, digest v1.Hash) bool {
	_, err := remote.Head(
		r.repository.Digest(digest.String()),
		r.options(ctx)...)
	return err == nil // what is wrong is said when it is sent
}

// Publish implements [Publisher].
func (r *Registry) Publish(ctx context.Context, image v1.Image, tag string, _ func(sent, all int64)) error {
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("send the image: %w", err)
	}
	if err := r.sender().Push(ctx, r.repository.Digest(digest.String()), image); err != nil {
		r.forget()
		return registry.Explain(err, "send the image to "+r.String(), r.repository.RegistryStr())
	}
	if tag == "" {
		return nil
	}
	return r.Tag(ctx, image, tag)
}

// Tag implements [Publisher].
func (r *Registry) Tag(ctx context.Context, image v1.Image, tag string) error {
	if err := remote.Put(r.repository.Tag(tag), image, r.options(ctx)...); err != nil {
		return registry.Explain(err, "name the image in "+r.String(), r.repository.RegistryStr())
	}
	return nil
}

func (r *Registry) options(ctx context.Context) []remote.Option {
	return Options(remote.WithContext(ctx), remote.Reuse(r.sender()))
}

// Reference implements [Publisher].
func (r *Registry) Reference(digest v1.Hash) string {
	return r.repository.Digest(digest.String()).String()
}

func (r *Registry) sender() *remote.Pusher {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.pusher
}

// forget has the registry asked anew: a pusher keeps what it knows of each layer, failures as well.
func (r *Registry) forget() {
	if other, err := remote.NewPusher(Options()...); err == nil {
		r.turn.Lock()
		defer r.turn.Unlock()
		r.pusher = other
	}
}

// Repository is where the images are.
func (r *Registry) Repository() name.Repository { return r.repository }

func (r *Registry) String() string { return r.repository.String() }
