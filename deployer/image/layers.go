package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/metaml/metaml/deployer/image/bytecode"
	"github.com/metaml/metaml/deployer/image/fetch"
	"github.com/metaml/metaml/deployer/image/layer"
	"github.com/metaml/metaml/deployer/image/resolve"
	"github.com/metaml/metaml/deployer/image/wheel"
	"github.com/metaml/metaml/internal/prose"
)

// layers makes the layers of an environment: its frame, the small wheels together, and each large one alone.
func (m *Maker) layers(
	ctx context.Context, r Request, on *ground, wheels []resolve.Wheel,
) (all []kept, err error) {
	asked := m.indexes(r.Packages)
	client, err := asked.Client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	loader := &fetch.Fetcher{
		Folder: filepath.Join(m.Cache, "wheels"), Logins: asked.Logins, Client: client,
	}
	var files []string
	fetched := func(far func(int64, int64)) (err error) {
		loader.Progress = far
		files, err = loader.Fetch(ctx, wheels)
		return err
	}
	if size := loader.Missing(wheels); size > 0 {
		err = m.step("load", fmt.Sprintf("loading %s of packages", prose.Bytes(size)), fetched)
	} else {
		err = fetched(nil)
	}
	if err != nil {
		return nil, err
	}
	err = m.step("pack", "packing "+prose.Count(len(wheels), "package"), func(func(int64, int64)) error {
		all, err = m.pack(ctx, on, wheels, files)
		return err
	})
	return all, err
}

// groups are the wheels that share a layer: the small ones, and each large one alone.
func groups(wheels []resolve.Wheel) [][]int {
	sizes := make([]int64, len(wheels))
	for i := range wheels {
		sizes[i] = wheels[i].Size
	}
	slices.SortFunc(sizes, func(a, b int64) int { return cmp.Compare(b, a) })
	least := int64(alone)
	if len(sizes) > mostAlone {
		least = max(least, sizes[mostAlone])
	}
	groups := [][]int{nil}
	for i := range wheels {
		if wheels[i].Size > least {
			groups = append(groups, []int{i})
		} else {
			groups[0] = append(groups[0], i)
		}
	}
	return groups
}

// pack makes the layers of wheels that are here.
func (m *Maker) pack(ctx context.Context, on *ground, wheels []resolve.Wheel, files []string) ([]kept, error) {
	for i, w := range wheels {
		info, err := os.Stat(files[i])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.File, err)
		}
		wheels[i].Size = info.Size() // not every index says it
	}
	groups := groups(wheels)
	all, errs := make([]kept, len(groups)+1), make([]error, len(groups)+1)
	var group sync.WaitGroup
	group.Go(func() {
		frame := on.frame(m.python())
		digest, err := digestOfContent(frame)
		if err != nil { // never: it is in memory
			errs[0] = err
			return
		}
		key := "frame-" + digest
		if m.Zstd {
			key = "zstd-" + key
		}
		all[0], errs[0] = m.keep(ctx, key, func() ([]layer.File, error) { return frame, nil })
	})
	for n, members := range groups {
		group.Go(func() { all[n+1], errs[n+1] = m.together(ctx, wheels, files, members) })
	}
	group.Wait()
	return all, errors.Join(errs...)
}

// layerKey is the digest of what decides what is in a layer of some wheels.
func (m *Maker) layerKey(wheels []resolve.Wheel, members []int) string {
	sum := sha256.New()
	fmt.Fprintln(sum, version, layer.Version, m.PythonVersion, wheel.Scheme{Prefix: prefix, Python: m.python()})
	for _, i := range members {
		fmt.Fprintln(sum, wheels[i].SHA256)
	}
	if m.Zstd {
		fmt.Fprintln(sum, "zstd")
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// together makes the layer of some wheels.
func (m *Maker) together(ctx context.Context, wheels []resolve.Wheel, paths []string, members []int) (kept, error) {
	at := wheel.Scheme{Prefix: prefix, Python: m.python()}
	var closers []io.Closer
	defer func() {
		for _, c := range closers {
			_ = c.Close() // they were read
		}
	}()
	compiler := &bytecode.Compiler{
		Python: m.Python, Version: m.PythonVersion, Folder: filepath.Join(m.Cache, "bytecode"),
	}
	return m.keep(ctx, m.layerKey(wheels, members), func() ([]layer.File, error) {
		var all []layer.File
		known := map[string]int{} // where the file of a path is among all
		for _, i := range members {
			w, err := wheel.Open(paths[i])
			if err != nil {
				return nil, err
			}
			closers = append(closers, w)
			compiled, err := compiler.Compile(ctx, paths[i], wheels[i].SHA256, w, at)
			if err != nil {
				return nil, err
			}
			closers = append(closers, compiled)
			files, err := w.Files(at, compiled.Code)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				// Namespaces share a file now and then; the last one installed wins, as with pip.
				if i, is := known[f.Path]; is {
					all[i] = f
					continue
				}
				known[f.Path] = len(all)
				all = append(all, f)
			}
		}
		return all, nil
	})
}
