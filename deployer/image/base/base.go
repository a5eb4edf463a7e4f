// Package base looks into the image that an environment is put on: where its Python is, and who its users are. It reads
// the layers once for each image, and remembers what it found.
//
// [Inspect] is the door. It may import deployer/image/cache.
package base

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/metaml/metaml/deployer/image/cache"
	"github.com/metaml/metaml/internal/atomicfile"
	"github.com/metaml/metaml/internal/usererror"
)

// About is what an image has.
type About struct {
	Python string `json:"python"` // "/usr/local/bin/python3.11"; "" is none of the wanted version
	Users  string `json:"users"`  // the text of /etc/passwd
	Groups string `json:"groups"` // of /etc/group
	Musl   bool   `json:"musl"`   // its C library is musl, which wheels for manylinux do not run with
}

const maxText = 1 << 20 // of a file that is read, in bytes

// Inspect looks into an image. Python is the wanted version, "3.11"; what is found is kept in folder.
func Inspect(ctx context.Context, image v1.Image, python, folder string) (About, error) {
	digest, err := image.Digest()
	if err != nil {
		return About{}, fmt.Errorf("look into the base image: %w", err)
	}
	kept := filepath.Join(folder, digest.Hex+"-"+python+".json")
	var about About
	if data, err := os.ReadFile(kept); err == nil && json.Unmarshal(data, &about) == nil {
		cache.Used(kept)
		return about, nil
	}
	if about, err = inspect(ctx, image, python); err != nil {
		return About{}, err
	}
	data, err := json.Marshal(about)
	if err != nil {
		return About{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return About{}, fmt.Errorf("keep what the base image has: %w", err)
	}
	return about, atomicfile.Write(kept, data, 0o600)
}

func inspect(ctx context.Context, image v1.Image, python string) (About, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return About{}, fmt.Errorf("look into the base image: %w", err)
	}
	layers, err := image.Layers()
	if err != nil {
		return About{}, fmt.Errorf("look into the base image: %w", err)
	}
	files := map[string]string{} // by paths without a slash before them: the text of those that are read
	for _, layer := range layers {
		if err := read(ctx, layer, files); err != nil {
			return About{}, fmt.Errorf("look into the base image: %w", err)
		}
	}
	about := About{Users: files["etc/passwd"], Groups: files["etc/group"]}
	for name := range files {
		about.Musl = about.Musl || strings.HasPrefix(path.Base(name), "ld-musl-")
	}
	for _, folder := range searched(config) {
		at := path.Join(folder, "python"+python)
		if _, is := files[strings.TrimPrefix(at, "/")]; is {
			about.Python = at
			break
		}
	}
	return about, nil
}

// searched are the folders in which an image looks for programs.
func searched(config *v1.ConfigFile) []string {
	folders := []string{"/usr/local/bin", "/usr/bin", "/bin"}
	for _, v := range config.Config.Env {
		if value, is := strings.CutPrefix(v, "PATH="); is {
			folders = slices.Concat(filepath.SplitList(value), folders)
		}
	}
	return folders
}

// read notes what a layer adds and removes.
func read(ctx context.Context, layer v1.Layer, files map[string]string) error {
	content, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	for r := tar.NewReader(content); ; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		folder, file := path.Split(name)
		// A file .wh.NAME removes NAME, and .wh..wh..opq all that the folder had (OCI image layer specification).
		if removed, is := strings.CutPrefix(file, ".wh."); is {
			gone := folder + removed
			if removed == ".wh..opq" {
				gone = strings.TrimSuffix(folder, "/")
			}
			for at := range files {
				if at == gone || strings.HasPrefix(at, gone+"/") {
					delete(files, at)
				}
			}
			continue
		}
		var text []byte
		if name == "etc/passwd" || name == "etc/group" {
			if text, err = io.ReadAll(io.LimitReader(r, maxText)); err != nil {
				return err
			}
		}
		if header.Typeflag != tar.TypeDir {
			files[name] = string(text)
		}
	}
}

// Check refuses an image that no environment can be put on.
func (a About) Check(image, python string) error {
	switch {
	case a.Musl:
		return usererror.New(usererror.CodeImage, "packages cannot be put on image %s: its C library is musl", image).
			With("Name one with glibc: --base python:%s-slim.", python)
	case a.Python == "":
		return usererror.New(usererror.CodeImage, "image %s has no Python %s, which this session has", image, python).
			With("Name one that has it: --base python:%s-slim.", python)
	}
	return nil
}
