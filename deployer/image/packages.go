package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// indexes are those that the session's pip and uv ask.
func (m *Maker) indexes(in resolve.Input) *indexes.Indexes {
	return indexes.Find(m.Environ, m.Python, in.Requirements)
}

// resolution is the digest of all that decides which files are found. The time is not in it: what was found first is
// kept, and the same requirements give the same again.
func (m *Maker) resolution(in resolve.Input) string {
	in.Requirements = indexes.WithoutLogins(in.Requirements)
	in.Newest, in.Interpreter = time.Time{}, ""
	data, _ := json.Marshal([]any{version, in, m.indexes(in).Key()}) // of plain values
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// found gives the packages and their layers. Where an index no longer has what is in a list that was found before, the
// list is made anew.
func (m *Maker) found(ctx context.Context, r Request, on *ground) ([]resolve.Wheel, []kept, error) {
	wheels, before, err := m.listed(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	layers, err := m.layersOf(ctx, r, on, wheels)
	if said, is := errors.AsType[*usererror.Error](err); !before || !is || said.Code != usererror.CodeIndex {
		return wheels, layers, err
	}
	if err := os.Remove(m.list(r)); err != nil {
		return nil, nil, folder.ExplainCache(err, "keep what was resolved in", m.Cache)
	}
	if wheels, _, err = m.listed(ctx, r); err != nil {
		return nil, nil, err
	}
	layers, err = m.layersOf(ctx, r, on, wheels)
	return wheels, layers, err
}

// list is where the list of packages of a request is kept.
func (m *Maker) list(r Request) string {
	return filepath.Join(m.Cache, "resolved", m.resolution(r.Packages)+".json")
}

// listed gives the packages: those that were found before, else those that an index has.
func (m *Maker) listed(ctx context.Context, r Request) (wheels []resolve.Wheel, before bool, err error) {
	at := m.list(r)
	if data, err := os.ReadFile(at); err == nil && json.Unmarshal(data, &wheels) == nil {
		cache.Used(at)
		return wheels, true, nil
	}
	if wheels, err = m.resolve(ctx, r); err != nil {
		return nil, false, err
	}
	data, err := json.Marshal(wheels)
	if err != nil {
		return nil, false, fmt.Errorf("keep what was resolved: %w", err)
	}
	err = os.MkdirAll(filepath.Dir(at), 0o700)
	if err == nil {
		err = atomicfile.Write(at, data, 0o600)
	}
	if err != nil {
		return nil, false, folder.ExplainCache(err, "keep what was resolved in", m.Cache)
	}
	return wheels, false, nil
}

// layersOf makes the layers of packages, if they are all that the program needs.
func (m *Maker) layersOf(ctx context.Context, r Request, on *ground, wheels []resolve.Wheel) ([]kept, error) {
	if err := lacking(r.Needs, wheels); err != nil {
		return nil, err
	}
	return m.layers(ctx, r, on, wheels)
}

// lacking refuses packages without which the program cannot be imported.
func lacking(needs map[string]string, wheels []resolve.Wheel) error {
	var modules []string
	for _, module := range slices.Sorted(maps.Keys(needs)) {
		name := distribution.Normalize(needs[module])
		if name != "" && !slices.ContainsFunc(wheels, func(w resolve.Wheel) bool {
			return distribution.Normalize(w.Name) == name
		}) {
			modules = append(modules, module)
		}
	}
	if len(modules) == 0 {
		return nil
	}
	return usererror.New(usererror.CodeRequirements, "the file of requirements has no package that brings %s, "+
		"which the program imports", prose.List(modules)).With("Add it to the file, or leave --requirements out.")
}

// resolve finds the wheels.
func (m *Maker) resolve(ctx context.Context, r Request) ([]resolve.Wheel, error) {
	uv, err := m.uv(ctx)
	if err != nil {
		return nil, err
	}
	var locked *resolve.Locked
	err = m.step("resolve", "resolving packages for linux/"+r.Packages.Arch, func(func(int64, int64)) (err error) {
		asked := &resolve.Resolver{UV: uv, Environ: m.indexes(r.Packages).Environ}
		locked, err = asked.Resolve(ctx, r.Packages)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, text := range locked.Notes {
		if m.Note != nil {
			m.Note(text)
		}
	}
	return slices.Concat(locked.Wheels, locked.Sources), nil
}

// forBuilder is what a builder resolves. A list that was resolved before is kept to: it gets the files by their
// addresses. Else, where all has wheels, it gets the versions that are found here, of which none is newer than the
// session's: what is found is kept here, and not by the builder.
func (m *Maker) forBuilder(ctx context.Context, r Request) (resolve.Input, error) {
	in := r.Packages
	if err := in.Check(); err != nil {
		return in, err
	}
	before := in.Pylock != "" || in.UVLock != ""
	if !before && in.Newest.IsZero() {
		return in, nil
	}
	r.Packages.Sources = before
	wheels, _, err := m.listed(ctx, r)
	said, is := errors.AsType[*usererror.Error](err)
	switch {
	case is && said.Code == usererror.CodeResolve && !before:
		return in, nil // something has to be built, or the builder says what is wrong
	case err != nil:
		return in, err
	}
	var files, versions strings.Builder
	for _, w := range wheels {
		fmt.Fprintf(&files, "%s @ %s#sha256=%s\n", w.Name, w.URL, w.SHA256)
		fmt.Fprintf(&versions, "%s==%s\n", w.Name, w.Version)
	}
	if before {
		in.Requirements, in.Constraints, in.Pylock, in.UVLock, in.Project = files.String(), "", "", "", ""
	} else {
		in.Constraints = versions.String()
	}
	return in, nil
}
