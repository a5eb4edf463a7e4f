package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/image/registry"
	"github.com/metaml/metaml/internal/usererror"
)

// artifact is an image manifest with a tag of the run's (OCI image specification 1.1, "Guidelines for Artifact Usage").
// Its type is the media type of its config, an empty object: registries from before version 1.1 know no other mark.
type artifact struct {
	tag    name.Tag
	is     types.MediaType
	client *registry.Client // what fails in passing is tried again
	once   *registry.Client // nothing is: what has passed is gone
}

// config is what each artifact has for one.
var config = []byte("{}")

// maxManifest is what registries take, in bytes (OCI distribution specification 1.1, "Pushing Manifests"): 4 MiB. A
// layer has about 450.
const maxManifest = 4 << 20

func newArtifact(reference string, is types.MediaType) (artifact, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return artifact{}, fmt.Errorf("%q names no place in a registry: %w", reference, err)
	}
	return artifact{tag, is, &registry.Client{}, &registry.Client{Waits: []time.Duration{}}}, nil
}

// Check says why nothing can be kept: the registry is not reached, or does not let us.
func (a *artifact) Check(ctx context.Context) error {
	err := a.client.Do(ctx, a.tag.Context(), transport.PushScope, nil, func(...remote.Option) error {
		return remote.CheckPushPermission(a.tag, authn.DefaultKeychain, inContext{ctx})
	})
	return a.explain(err, "keep files in "+a.tag.Context().Name())
}

// inContext ends the requests of somebody who knows of no context.
type inContext struct{ ctx context.Context } //nolint:containedctx // that is its use

// RoundTrip implements [http.RoundTripper].
func (i inContext) RoundTrip(r *http.Request) (*http.Response, error) {
	return remote.DefaultTransport.RoundTrip(r.WithContext(i.ctx))
}

// explain puts an error into words. What asking again does not change is a [collect.ErrNoRoom].
func (a *artifact) explain(err error, doing string) error {
	answer, answered := errors.AsType[*transport.Error](err)
	explained := registry.Explain(err, doing, registry.Called(a.tag.Registry))
	if is, ok := errors.AsType[*usererror.Error](explained); ok {
		explained = &wordsError{is.Text, err} // its hint is for who sits at a terminal
	}
	if answered && answer.StatusCode >= 400 && answer.StatusCode < 500 && !answer.Temporary() &&
		answer.StatusCode != http.StatusTooManyRequests {
		return &refusedError{explained}
	}
	return explained
}

// wordsError is an error in other words.
type wordsError struct {
	words string
	err   error
}

func (e *wordsError) Error() string { return e.words }

func (e *wordsError) Unwrap() error { return e.err }

// refusedError is a registry's no.
type refusedError struct{ error }

func (e *refusedError) Unwrap() []error { return []error{e.error, collect.ErrNoRoom} }

// layers reads what is in the artifact; nothing, if there is none.
func (a *artifact) layers(ctx context.Context) ([]v1.Descriptor, error) {
	var raw []byte
	err := a.client.Do(ctx, a.tag.Context(), transport.PullScope, nil, func(o ...remote.Option) error {
		found, err := remote.Get(a.tag, o...)
		if err == nil {
			raw = found.Manifest
		}
		return err
	})
	if answer, answered := errors.AsType[*transport.Error](err); answered && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, a.explain(err, "read "+a.tag.Name())
	}
	layers, err := a.parse(raw)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("read %s: %w", a.tag.Name(), err)}
	}
	return layers, nil
}

func (a *artifact) parse(raw []byte) ([]v1.Descriptor, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if m.Config.MediaType != a.is {
		return nil, errors.New("it is an artifact of another type")
	}
	for _, l := range m.Layers {
		if _, err := v1.NewHash(l.Digest.String()); err != nil || l.Size < 0 {
			return nil, fmt.Errorf("a layer has the digest %q and %d bytes", l.Digest, l.Size)
		}
	}
	return m.Layers, nil
}

// manifest makes that of an artifact.
func (a *artifact) manifest(layers []v1.Descriptor) (manifest, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	return json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: a.is, Digest: digest, Size: size}, Layers: layers,
	})
}

// put has the artifact consist of layers, which are in the repository.
func (a *artifact) put(ctx context.Context, layers []v1.Descriptor, doing string) error {
	raw, err := a.manifest(layers)
	if err != nil {
		return err
	}
	if len(raw) > maxManifest {
		return fmt.Errorf("%s: %w: the list of all files is larger than a registry takes", doing, collect.ErrNoRoom)
	}
	err = a.client.Do(ctx, a.tag.Context(), transport.PushScope, nil, func(o ...remote.Option) error {
		if err := remote.WriteLayer(a.tag.Context(), static.NewLayer(config, a.is), o...); err != nil {
			return err
		}
		return remote.Put(a.tag, raw, o...)
	})
	return a.explain(err, doing)
}

// manifest is one that is sent as it is.
type manifest []byte

// RawManifest implements [remote.Taggable].
func (m manifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType says what it is.
func (m manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// send sends a layer to the repository while it comes.
func (a *artifact) send(ctx context.Context, from io.Reader, doing string) (digest string, size int64, err error) {
	layer := newPassing(from)
	err = a.once.Do(ctx, a.tag.Context(), transport.PushScope, nil, func(o ...remote.Option) error {
		return remote.WriteLayer(a.tag.Context(), layer, o...)
	})
	if err != nil {
		return "", 0, a.explain(err, doing)
	}
	sum, err := layer.Digest()
	return sum.String(), layer.size, err
}

// fetch gives a layer of the repository, to read.
func (a *artifact) fetch(ctx context.Context, digest, doing string) (body io.ReadCloser, err error) {
	err = a.client.Do(ctx, a.tag.Context(), transport.PullScope, nil, func(o ...remote.Option) error {
		layer, err := remote.Layer(a.tag.Context().Digest(digest), o...)
		if err != nil {
			return err
		}
		body, err = layer.Compressed() // which compares the digest
		return err
	})
	return body, a.explain(err, doing)
}
