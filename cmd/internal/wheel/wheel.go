package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	"github.com/metaml/metaml/jupyter-ext/labextension"
	"github.com/metaml/metaml/kernel/kernelspec"
)

// binaries are the programs a wheel brings; pip puts them beside python.
var binaries = []string{"metaml", "metaml-agent", "metaml-build", "metaml-kernel", "metaml-nbconvert"}

// subcommand makes `jupyter metaml-nbconvert` work: jupyter looks for a program
// of this name. It finds the real one beside itself, so that nothing depends on
// the PATH.
const subcommand = `#!/bin/sh
exec "$(dirname "$0")/metaml-nbconvert" "$@"
`

// The files of dist-info/licenses (PEP 639).
const (
	ownLicence     = "LICENSE"
	othersLicences = "THIRD-PARTY.txt"
)

// epoch is the time of every file in the zip, the first that the format can say.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// entry is one file of the wheel; its path uses slashes.
type entry struct {
	path string
	mode fs.FileMode
	data []byte
}

// wheel is a wheel in the making. The format: PEP 427, and the PyPA specification "Binary distribution format" 1.0.
type wheel struct {
	version string
	project project
	tag     string // platform tag
	entries []entry
}

func (w *wheel) name() string {
	return fmt.Sprintf("metaml-%s-py3-none-%s.whl", w.version, w.tag)
}

func (w *wheel) add(path string, mode fs.FileMode, data []byte) {
	w.entries = append(w.entries, entry{path: path, mode: mode, data: data})
}

// collect gathers everything but RECORD, which pack writes.
func (w *wheel) collect(in inputs) error {
	if err := w.collectModule(os.DirFS(in.module)); err != nil {
		return err
	}
	data := fmt.Sprintf("metaml-%s.data/", w.version)
	var programs [][]byte
	for _, name := range binaries {
		content, err := os.ReadFile(filepath.Join(in.bin, name))
		if err != nil {
			return fmt.Errorf("read the binary %q (run make build first): %w", name, err)
		}
		if err := check(w.tag, content); err != nil {
			return fmt.Errorf("the binary %q does not fit a wheel for %s: %w", name, w.tag, err)
		}
		w.add(data+"scripts/"+name, 0o755, content)
		programs = append(programs, content)
	}
	for _, p := range ship.Programs {
		for _, arch := range ship.Architectures {
			packed, program, err := podBinary(in.bin, p, arch)
			if err != nil {
				return err
			}
			w.add(data+"data/"+ship.Installed+"/"+pod.BinaryName(p, arch), 0o644, packed)
			programs = append(programs, program)
		}
	}
	w.add(data+"scripts/jupyter-metaml-nbconvert", 0o755, []byte(subcommand))
	for _, file := range kernelspecFiles() {
		w.add(data+"data/share/jupyter/kernels/"+kernelspec.Name+"/"+file.path, 0o644, file.data)
	}
	for name, content := range labextension.Files(w.version) { // pack sorts them
		w.add(data+"data/share/jupyter/labextensions/"+labextension.Name+"/"+name, 0o644, content)
	}
	own, err := os.ReadFile(in.licence)
	if err != nil {
		return fmt.Errorf("read MetaML's licence: %w", err)
	}
	others, err := thirdParty(programs)
	if err != nil {
		return err
	}
	info := w.info()
	w.add(info+"licenses/"+ownLicence, 0o644, own)
	w.add(info+"licenses/"+othersLicences, 0o644, others)
	w.add(info+"METADATA", 0o644, []byte(w.project.metadata(w.version)))
	w.add(info+"WHEEL", 0o644, fmt.Appendf(nil,
		"Wheel-Version: 1.0\nGenerator: metaml\nRoot-Is-Purelib: false\nTag: py3-none-%s\n", w.tag))
	return nil
}

// podBinary reads a program that pods execute, which is Linux's in every wheel: as it is shipped, and unpacked.
func podBinary(bin string, p pod.Program, arch string) (packed, program []byte, err error) {
	name := pod.BinaryName(p, arch)
	if packed, err = os.ReadFile(filepath.Join(bin, name)); err != nil {
		return nil, nil, fmt.Errorf("read the binary %q (run make build first): %w", name, err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		program, err = io.ReadAll(reader)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("unpack the binary %q: %w", name, err)
	}
	if err := check("linux_"+machines[arch], program); err != nil {
		return nil, nil, fmt.Errorf("the binary %q does not fit pods: %w", name, err)
	}
	return packed, program, nil
}

// collectModule adds the Python package, without the caches that Python left in it.
func (w *wheel) collectModule(module fs.FS) error {
	err := fs.WalkDir(module, "metaml", func(name string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() || (path.Ext(name) != ".py" && path.Base(name) != "py.typed") {
			return err
		}
		content, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		w.add(name, 0o644, content)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the metaml module: %w", err)
	}
	return nil
}

func (w *wheel) info() string { return fmt.Sprintf("metaml-%s.dist-info/", w.version) }

// pack writes the zip. RECORD comes last, as the format requires.
func (w *wheel) pack() ([]byte, error) {
	slices.SortFunc(w.entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	// The metadata goes to the end, so that a reader of the tail finds it.
	slices.SortStableFunc(w.entries, func(a, b entry) int {
		return cmp.Compare(strings.Count(a.path, ".dist-info/"), strings.Count(b.path, ".dist-info/"))
	})
	var record strings.Builder
	for i, item := range w.entries {
		if i > 0 && w.entries[i-1].path == item.path {
			return nil, fmt.Errorf("pack the wheel: %q is in it twice", item.path)
		}
		digest := sha256.Sum256(item.data)
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", item.path, base64.RawURLEncoding.EncodeToString(digest[:]),
			len(item.data))
	}
	name := w.info() + "RECORD"
	record.WriteString(name + ",,\n")
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	all := append(slices.Clone(w.entries), entry{path: name, mode: 0o644, data: []byte(record.String())})
	for _, item := range all {
		header := &zip.FileHeader{Name: item.path, Method: zip.Deflate, Modified: epoch}
		header.SetMode(item.mode)
		file, err := archive.CreateHeader(header)
		if err != nil {
			return nil, fmt.Errorf("pack %q: %w", item.path, err)
		}
		if _, err := file.Write(item.data); err != nil {
			return nil, fmt.Errorf("pack %q: %w", item.path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack the wheel: %w", err)
	}
	return buffer.Bytes(), nil
}

// machines are Linux's names of architectures, by Go's.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// hostTag is the tag that pip on this very machine accepts, for a wheel that
// goes nowhere else. Wheels for others are built by zig and carry their tag.
func hostTag() (string, error) {
	machine := machines[runtime.GOARCH]
	switch {
	case machine == "":
	case runtime.GOOS == "linux":
		return "linux_" + machine, nil
	case runtime.GOOS == "darwin" && runtime.GOARCH == "arm64":
		return "macosx_12_0_arm64", nil
	case runtime.GOOS == "darwin":
		return "macosx_12_0_x86_64", nil
	}
	return "", errors.New("MetaML runs on Linux and macOS, on x86_64 and arm64, not on " + runtime.GOOS + "/" +
		runtime.GOARCH)
}
