package image

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/metaml/metaml/deployer/image/layer"
)

// fromTree makes an image of the files that a builder has made, which can send none itself: what differs from the base
// is one layer on it. Docker Engine's own builder loses the layers of the base where Docker keeps images itself
// (moby/moby#45111).
func (m *Maker) fromTree(ctx context.Context, on *ground, made *Made, tree string) (v1.Image, error) {
	files, err := changes(ctx, on.image, tree)
	if err != nil {
		return nil, fmt.Errorf("read what the builder has made: %w", err)
	}
	key, err := digestOfContent(files)
	if err != nil {
		return nil, fmt.Errorf("read what the builder has made: %w", err)
	}
	top, err := m.keep(ctx, "tree-"+key, func() ([]layer.File, error) { return files, nil })
	if err != nil {
		return nil, err
	}
	made.Layers = []layer.Written{top.Written}
	return assemble(on, []kept{top})
}

// fact is what is known of a file of a tree.
type fact struct {
	header  tar.Header
	content [sha256.Size]byte
	offset  int64 // of its content in the archive
}

// same reports whether two files are one, whenever they were made.
func (f *fact) same(other *fact) bool {
	a, b := &f.header, &other.header
	return a.Typeflag == b.Typeflag && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid &&
		a.Linkname == b.Linkname && (a.Typeflag != tar.TypeReg || f.content == other.content)
}

// facts reads an archive. at says how far it was read.
func facts(ctx context.Context, from io.Reader, at func() (int64, error)) (map[string]*fact, error) {
	all := map[string]*fact{}
	for in := tar.NewReader(from); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		f := &fact{header: *header}
		if f.offset, err = at(); err != nil {
			return nil, err
		}
		name := strings.Trim(path.Clean("/"+header.Name), "/")
		switch header.Typeflag {
		case tar.TypeReg:
			sum := sha256.New()
			if _, err := io.CopyN(sum, in, header.Size); err != nil {
				return nil, err
			}
			sum.Sum(f.content[:0])
		case tar.TypeLink: // the same file as another, which comes before it
			of := all[strings.Trim(path.Clean("/"+header.Linkname), "/")]
			if of == nil {
				return nil, fmt.Errorf("%s is linked to %s, which is not there", header.Name, header.Linkname)
			}
			linked := *of
			f = &linked
		}
		if name != "" {
			all[name] = f
		}
	}
}

// changes are the files of a layer that makes a tree, in an archive, of a base.
func changes(ctx context.Context, base v1.Image, tree string) ([]layer.File, error) {
	below := mutate.Extract(base)
	before, err := facts(ctx, below, func() (int64, error) { return 0, nil })
	if err := errors.Join(err, below.Close()); err != nil {
		return nil, err
	}
	archive, err := os.Open(tree)
	if err != nil {
		return nil, err
	}
	defer func() { _ = archive.Close() }()
	after, err := facts(ctx, archive, func() (int64, error) { return archive.Seek(0, io.SeekCurrent) })
	if err != nil {
		return nil, err
	}
	changed := map[string]layer.File{}
	add := func(name string, f layer.File) {
		changed[name] = f
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) { // with the rights that it has
			if is := after[dir]; is != nil {
				if _, known := changed[dir]; !known {
					changed[dir] = is.file(dir, tree)
				}
			}
		}
	}
	for name, is := range after {
		if was := before[name]; !ours(name) && (was == nil || !is.same(was)) {
			add(name, is.file(name, tree))
		}
	}
	for name := range before {
		if after[name] == nil && after[path.Dir(name)] != nil || after[name] == nil && path.Dir(name) == "." {
			gone := path.Join(path.Dir(name), ".wh."+path.Base(name)) // OCI image specification, "Whiteouts"
			add(gone, layer.File{Path: gone, Mode: 0o644, Content: layer.Bytes(nil)})
		}
	}
	files := make([]layer.File, 0, len(changed))
	for _, f := range changed {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b layer.File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

// ours reports whether a file is one of what builders put beside what is executed.
func ours(name string) bool {
	for _, folder := range []string{"dev", "proc", "sys"} {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return strings.HasPrefix(name, "run/metaml") || name == "etc/resolv.conf" || name == "etc/hosts" ||
		name == ".dockerenv"
}

// file is it as a file of a layer.
func (f *fact) file(name, tree string) layer.File {
	to := layer.File{Path: name, Mode: f.header.Mode & 0o7777, Owner: f.header.Uid, Group: f.header.Gid}
	switch f.header.Typeflag {
	case tar.TypeDir:
		to.Folder = true
	case tar.TypeSymlink:
		to.Link = f.header.Linkname
	default:
		to.Content = part{tree, f.offset, f.header.Size}
	}
	return to
}

// part is content that lies in another file.
type part struct {
	of           string
	offset, size int64
}

func (p part) Size() int64 { return p.size }

func (p part) Open() (io.ReadCloser, error) {
	f, err := os.Open(p.of)
	if err != nil {
		return nil, err
	}
	return both{io.NopCloser(io.NewSectionReader(f, p.offset, p.size)), f}, nil
}

// treeFile is a new file for a tree. end removes it.
func treeFile() (name string, end func(), err error) {
	f, err := os.CreateTemp("", "metaml-tree-*.tar")
	if err != nil {
		return "", nil, fmt.Errorf("make room for the image: %w", err)
	}
	return f.Name(), func() { _ = os.Remove(f.Name()) }, f.Close()
}
