// Package oci keeps what the monitor of a run has in a repository of a registry. The files that trials leave behind, of
// whatever size, are layers of one artifact; they pass through the monitor's memory, and never lie on its disk. The
// record, what trials report and print, is another artifact, written now and then.
//
// Read [Archives.Keep] and [Record.Save] first. It may import deployer/collect, deployer/collect/archive,
// deployer/image/registry and leaves.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/collect"
)

// ArtifactType is the type of the artifact with what trials leave behind.
const ArtifactType types.MediaType = "application/vnd.metaml.outputs.v1+json"

// The annotations of a layer with files of a trial.
const (
	annotationTrial   = "metaml/trial"
	annotationKind    = "metaml/kind"
	annotationRound   = "metaml/round"
	annotationAttempt = "metaml/attempt"
	annotationNumber  = "metaml/number"
	annotationCreated = "org.opencontainers.image.created"
	annotationTitle   = "org.opencontainers.image.title"
)

// Archives are the archives of a run in its artifact. Its methods may be called by several goroutines.
type Archives struct {
	artifact
	there collect.Outputs

	mu   sync.Mutex // who holds it changes the artifact
	read bool       // what was in it when we began is in there
}

// Open makes the archives of the artifact that a reference names: REGISTRY/NAME:TAG. Nothing is asked of the registry.
// Who may do what there is in Docker's file (DOCKER_CONFIG).
func Open(reference string) (*Archives, error) {
	at, err := newArtifact(reference, ArtifactType)
	return &Archives{artifact: at}, err
}

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
	layers, err := a.layers(ctx)
	if err != nil {
		return err
	}
	for _, o := range decode(layers) {
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
	digest, size, err := a.send(ctx, from, doing)
	if err != nil {
		return of, err
	}
	of.Size, of.Time, of.Digest, of.Elsewhere = size, time.Now().UTC(), digest, true
	return of, a.enter(ctx, of, doing)
}

// enter puts an archive that is in the repository into the artifact.
func (a *Archives) enter(ctx context.Context, of collect.Output, doing string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A monitor that is taken for dead may have changed it since.
	before, err := a.layers(ctx)
	if err != nil {
		return err
	}
	var all collect.Outputs
	for _, o := range append(append(decode(before), a.there.List()...), of) {
		all.Add(o)
	}
	layers, err := encode(all.List())
	if err != nil {
		return err
	}
	if err := a.put(ctx, layers, doing); err != nil {
		return err
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
	body, err := a.fetch(ctx, of.Digest, fmt.Sprintf("read the files of trial %d in %s", at.Trial, a.tag.Context()))
	return body, of, err
}

// encode makes the layers of an artifact.
func encode(all []collect.Output) (layers []v1.Descriptor, err error) {
	for _, o := range all {
		digest, err := v1.NewHash(o.Digest)
		if err != nil {
			return nil, err
		}
		layers = append(layers, v1.Descriptor{
			MediaType: types.OCIUncompressedLayer, Digest: digest, Size: o.Size,
			Annotations: map[string]string{
				annotationTrial: strconv.Itoa(o.Trial), annotationKind: string(o.Kind),
				annotationRound: strconv.Itoa(o.Round), annotationAttempt: strconv.Itoa(o.Attempt),
				annotationNumber: strconv.Itoa(o.Number), annotationCreated: o.Time.Format(time.RFC3339Nano),
				annotationTitle: fmt.Sprintf("trial-%d-%s.tar", o.Trial, o.Kind),
			},
		})
	}
	return layers, nil
}

// decode reads the layers of an artifact. What it does not know is passed over.
func decode(layers []v1.Descriptor) (all []collect.Output) {
	for _, l := range layers {
		o := collect.Output{
			Kind: collect.Kind(l.Annotations[annotationKind]), Size: l.Size, Digest: l.Digest.String(), Elsewhere: true,
		}
		var wrong error
		for key, to := range map[string]*int{
			annotationTrial: &o.Trial, annotationRound: &o.Round, annotationAttempt: &o.Attempt,
			annotationNumber: &o.Number,
		} {
			n, err := strconv.Atoi(l.Annotations[key])
			*to, wrong = n, errors.Join(wrong, err)
		}
		o.Time, _ = time.Parse(time.RFC3339Nano, l.Annotations[annotationCreated]) // for people
		if wrong == nil && collect.CheckOutput(o) == nil {
			all = append(all, o)
		}
	}
	return all
}
