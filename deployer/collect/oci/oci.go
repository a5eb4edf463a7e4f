// Package oci keeps the files that trials leave behind in a repository of a registry, whatever their size: each archive
// is a layer of one artifact of the run, an image manifest (OCI image specification 1.1, "Guidelines for Artifact
// Usage") with a tag of the run's. They pass through the monitor's memory, and never lie on its disk.
//
// Read [Archives.Keep] first. It may import deployer/collect, deployer/image/registry and leaves.
package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
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

// ArtifactType is the media type of the artifact's config, an empty object, by which it is known. Registries from
// before version 1.1 of the specification know no other mark.
const ArtifactType types.MediaType = "application/vnd.metaml.outputs.v1+json"

// The annotations of a layer.
const (
	annotationTrial   = "metaml/trial"
	annotationKind    = "metaml/kind"
	annotationRound   = "metaml/round"
	annotationAttempt = "metaml/attempt"
	annotationNumber  = "metaml/number"
	annotationCreated = "org.opencontainers.image.created"
	annotationTitle   = "org.opencontainers.image.title"
)

var config = []byte("{}")

// maxManifest is what registries take, in bytes (OCI distribution specification 1.1, "Pushing Manifests"): 4 MiB. A
// layer has about 450.
const maxManifest = 4 << 20

// Archives are the archives of a run in its artifact. Its methods may be called by several goroutines.
type Archives struct {
	tag    name.Tag
	client *registry.Client // what fails in passing is tried again
	once   *registry.Client // nothing is: what has passed is gone
	there  collect.Outputs

	mu   sync.Mutex // who holds it changes the artifact
	read bool       // what was in it when we began is in there
}

// Open makes the archives of the artifact that a reference names: REGISTRY/NAME:TAG. Nothing is asked of the registry.
// Who may do what there is in Docker's file (DOCKER_CONFIG).
func Open(reference string) (*Archives, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("%q names no place in a registry: %w", reference, err)
	}
	return &Archives{tag: tag, client: &registry.Client{}, once: &registry.Client{Waits: []time.Duration{}}}, nil
}

// Check says why nothing can be kept: the registry is not reached, or does not let us.
func (a *Archives) Check(ctx context.Context) error {
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
func (a *Archives) explain(err error, doing string) error {
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

// List gives the archives that are there.
func (a *Archives) List(ctx context.Context) ([]collect.Output, error) {
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	return a.there.List(), nil
}

// load reads what is in the artifact, if that was not done.
func (a *Archives) load(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.read {
		return nil
	}
	found, err := a.manifest(ctx)
	if err != nil {
		return err
	}
	for _, o := range found {
		a.there.Add(o)
	}
	a.read = true
	return nil
}

// Keep sends an archive to the registry while it comes, in place of the one before. It returns when that is in the
// artifact.
func (a *Archives) Keep(ctx context.Context, of collect.Output, from io.Reader) (collect.Output, error) {
	if err := a.load(ctx); err != nil {
		return of, err
	}
	of, err := a.there.Begin(of)
	if err != nil {
		return of, err
	}
	defer a.there.End(of)
	doing := fmt.Sprintf("keep the files of trial %d in %s", of.Trial, a.tag.Context())
	archive := newPassing(from)
	err = a.once.Do(ctx, a.tag.Context(), transport.PushScope, nil, func(o ...remote.Option) error {
		return remote.WriteLayer(a.tag.Context(), archive, o...)
	})
	if err != nil {
		return of, a.explain(err, doing)
	}
	digest, err := archive.Digest()
	if err != nil {
		return of, fmt.Errorf("%s: %w", doing, err)
	}
	of.Size, of.Time, of.Digest, of.Elsewhere = archive.size, time.Now().UTC(), digest.String(), true
	return of, a.enter(ctx, of, doing)
}

// enter puts an archive that is in the repository into the artifact.
func (a *Archives) enter(ctx context.Context, of collect.Output, doing string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A monitor that is taken for dead may have changed it since.
	found, err := a.manifest(ctx)
	if err != nil {
		return err
	}
	var all collect.Outputs
	for _, o := range append(append(found, a.there.List()...), of) {
		all.Add(o)
	}
	raw, err := encode(all.List())
	if err != nil {
		return err
	}
	if len(raw) > maxManifest {
		return fmt.Errorf("%s: %w: the list of all files is larger than a registry takes", doing, collect.ErrNoRoom)
	}
	err = a.client.Do(ctx, a.tag.Context(), transport.PushScope, nil, func(o ...remote.Option) error {
		if err := remote.WriteLayer(a.tag.Context(), static.NewLayer(config, ArtifactType), o...); err != nil {
			return err
		}
		return remote.Put(a.tag, manifest(raw), o...)
	})
	if err != nil {
		return a.explain(err, doing)
	}
	for _, o := range all.List() {
		a.there.Add(o)
	}
	return nil
}

// Open gives an archive, to read. The error is [fs.ErrNotExist] if there is none.
func (a *Archives) Open(ctx context.Context, at collect.Slot) (io.ReadCloser, collect.Output, error) {
	if err := a.load(ctx); err != nil {
		return nil, collect.Output{}, err
	}
	of, ok := a.there.Get(at)
	if !ok {
		return nil, of, fs.ErrNotExist
	}
	var body io.ReadCloser
	err := a.client.Do(ctx, a.tag.Context(), transport.PullScope, nil, func(o ...remote.Option) error {
		layer, err := remote.Layer(a.tag.Context().Digest(of.Digest), o...)
		if err != nil {
			return err
		}
		body, err = layer.Compressed() // which compares the digest
		return err
	})
	if err != nil {
		return nil, of, a.explain(err, fmt.Sprintf("read the files of trial %d in %s", at.Trial, a.tag.Context()))
	}
	return body, of, nil
}

// manifest reads the artifact; nothing, if there is none.
func (a *Archives) manifest(ctx context.Context) (all []collect.Output, err error) {
	var raw []byte
	err = a.client.Do(ctx, a.tag.Context(), transport.PullScope, nil, func(o ...remote.Option) error {
		found, err := remote.Get(a.tag, o...)
		if err == nil {
			raw = found.Manifest
		}
		return err
	})
	if answer, answered := errors.AsType[*transport.Error](err); answered && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err == nil {
		all, err = decode(raw)
	}
	return all, a.explain(err, "read "+a.tag.Name())
}

// manifest is one that is sent as it is.
type manifest []byte

// RawManifest implements [remote.Taggable].
func (m manifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType says what it is.
func (m manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// encode makes the manifest of an artifact.
func encode(all []collect.Output) ([]byte, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: ArtifactType, Digest: digest, Size: size},
	}
	for _, o := range all {
		digest, err := v1.NewHash(o.Digest)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, v1.Descriptor{
			MediaType: mediaType, Digest: digest, Size: o.Size,
			Annotations: map[string]string{
				annotationTrial: strconv.Itoa(o.Trial), annotationKind: string(o.Kind),
				annotationRound: strconv.Itoa(o.Round), annotationAttempt: strconv.Itoa(o.Attempt),
				annotationNumber: strconv.Itoa(o.Number), annotationCreated: o.Time.Format(time.RFC3339Nano),
				annotationTitle: fmt.Sprintf("trial-%d-%s.tar", o.Trial, o.Kind),
			},
		})
	}
	return json.Marshal(m)
}

// decode reads the manifest of an artifact. What it does not know in it is passed over.
func decode(raw []byte) ([]collect.Output, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.Config.MediaType != ArtifactType {
		return nil, errors.New("it is something else than the files of a run")
	}
	var all []collect.Output
	for _, l := range m.Layers {
		o := collect.Output{
			Kind: collect.Kind(l.Annotations[annotationKind]), Size: l.Size, Digest: l.Digest.String(), Elsewhere: true,
		}
		_, wrong := v1.NewHash(o.Digest)
		for key, to := range map[string]*int{
			annotationTrial: &o.Trial, annotationRound: &o.Round, annotationAttempt: &o.Attempt,
			annotationNumber: &o.Number,
		} {
			n, err := strconv.Atoi(l.Annotations[key])
			*to, wrong = n, errors.Join(wrong, err)
		}
		o.Time, _ = time.Parse(time.RFC3339Nano, l.Annotations[annotationCreated]) // for people
		if wrong == nil && collect.CheckOutput(o) == nil && l.Size >= 0 {
			all = append(all, o)
		}
	}
	return all, nil
}
