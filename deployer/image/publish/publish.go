// Package publish brings images to where the nodes of a cluster can have them.
//
// [Publisher] is the door; [Registry] is one. It may import deployer/image/registry.
package publish

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

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
	pulled     name.Repository // what nodes call it
	client     *registry.Client

	turn   sync.Mutex
	pusher *remote.Pusher // that has sent images before: it keeps what is there, and failures as well
}

var _ Publisher = (*Registry)(nil)

// NewRegistry gives the repository of a name, "registry.example/team/environments". It asks nothing of the registry.
func NewRegistry(client *registry.Client, repository string) (*Registry, error) {
	named, err := name.NewRepository(repository)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("--repository %s: %v", repository, err),
			"It is like registry.example/team/environments.")
	}
	return &Registry{repository: named, pulled: named, client: client}, nil
}

// PulledAs gives the same repository for nodes that call it otherwise. Option is the setting that names it.
func (r *Registry) PulledAs(option, pulled string) (*Registry, error) {
	named, err := name.NewRepository(pulled)
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeOption, fmt.Sprintf("%s %s: %v", option, pulled, err),
			"It is like registry.example/team/environments.")
	}
	return &Registry{repository: r.repository, pulled: named, client: r.client}, nil
}

// Has implements [Publisher].
func (r *Registry) Has(ctx context.Context, digest v1.Hash) bool {
	return r.client.Do(ctx, r.repository, transport.PullScope, nil, func(options ...remote.Option) error {
		_, err := remote.Head(r.repository.Digest(digest.String()), options...)
		return err
	}) == nil // what is wrong is said when it is sent
}

// HasLayer reports whether a layer is there, by the digest of its bytes.
func (r *Registry) HasLayer(ctx context.Context, digest v1.Hash) bool {
	return r.client.Do(ctx, r.repository, transport.PullScope, nil, func(options ...remote.Option) error {
		is, err := remote.Layer(r.repository.Digest(digest.String()), options...)
		if err != nil {
			return err
		}
		_, err = is.Size() // asks for it
		return err
	}) == nil
}

// Publish implements [Publisher].
func (r *Registry) Publish(ctx context.Context, image v1.Image, tag string, progress func(sent, all int64)) error {
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("send the image: %w", err)
	}
	others, err := sources(image)
	if err != nil {
		return fmt.Errorf("send the image: %w", err)
	}
	at := r.repository.Digest(digest.String())
	// The manifest comes after all that it names, and the tag after the manifest: nothing half-written has a name.
	if err := r.do(ctx, "send the image to", others, func(options ...remote.Option) error {
		if progress == nil {
			return r.push(ctx, at, image, options)
		}
		return pushSaying(at, image, progress, options)
	}); err != nil || tag == "" {
		return err
	}
	return r.Tag(ctx, image, tag)
}

// Tag implements [Publisher].
func (r *Registry) Tag(ctx context.Context, image v1.Image, tag string) error {
	return r.do(ctx, "name the image in", nil, func(options ...remote.Option) error {
		return remote.Put(r.repository.Tag(tag), image, options...)
	})
}

func (r *Registry) do(
	ctx context.Context, doing string, others []name.Repository, task func(...remote.Option) error,
) error {
	err := r.client.Do(ctx, r.repository, transport.PushScope, others, task)
	for _, other := range others { // an image is read while it is sent
		if other.Registry != r.repository.Registry && registry.Asked(err) == other.RegistryStr() {
			return registry.Explain(err, "read "+other.String(), registry.Called(other.Registry))
		}
	}
	return registry.Explain(err, doing+" "+r.String(), registry.Called(r.repository.Registry))
}

// push sends an image, and asks for no layer that was seen there before.
func (r *Registry) push(ctx context.Context, at name.Digest, image v1.Image, options []remote.Option) error {
	keep := func(pusher *remote.Pusher) {
		r.turn.Lock()
		defer r.turn.Unlock()
		r.pusher = pusher
	}
	r.turn.Lock()
	pusher := r.pusher
	r.turn.Unlock()
	if pusher == nil {
		var err error
		if pusher, err = remote.NewPusher(options...); err != nil {
			return err
		}
	}
	err := pusher.Push(ctx, at, image)
	if err != nil {
		pusher = nil
	}
	keep(pusher)
	return err
}

// pushSaying sends an image, and says how far it is.
func pushSaying(at name.Digest, image v1.Image, progress func(sent, all int64), options []remote.Option) error {
	updates, ended := make(chan v1.Update), make(chan struct{})
	defer func() { <-ended }()
	go func() { // ends when the push does, which closes the updates
		defer close(ended)
		for u := range updates {
			if u.Error == nil {
				progress(u.Complete, u.Total)
			}
		}
	}()
	return remote.Push(at, image, append(options, remote.WithProgress(updates))...)
}

// sources are the repositories that have layers of an image already: a registry may take them from there.
func sources(image v1.Image) ([]name.Repository, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var all []name.Repository
	for _, l := range layers {
		if from, is := l.(*remote.MountableLayer); is && !slices.Contains(all, from.Reference.Context()) {
			all = append(all, from.Reference.Context())
		}
	}
	return all, nil
}

// Reference implements [Publisher].
func (r *Registry) Reference(digest v1.Hash) string {
	return r.pulled.Digest(digest.String()).String()
}

// Pulled is what nodes call it.
func (r *Registry) Pulled() name.Repository { return r.pulled }

// Repository is where the images are.
func (r *Registry) Repository() name.Repository { return r.repository }

func (r *Registry) String() string { return r.repository.String() }
