package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/metaml/metaml/deployer/image/layer"
)

// archived is a tar file of headers; a regular file has its name as content, unless Size says otherwise.
func archived(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		text := []byte(h.Uname) // which nothing else here needs
		h.Uname, h.Size = "", int64(len(text))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What differs from the base is in the layer, in content, rights, owner or links, and what is gone; nothing else.
func TestWhatATreeHasBesideItsBase(t *testing.T) {
	file := func(name, text string, mode int64, uid, gid int) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: uid, Gid: gid, Uname: text}
	}
	dir := func(name string, mode int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}
	}
	link := func(name, to string, kind byte) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o777}
	}
	base, err := mutate.AppendLayers(empty.Image, static.NewLayer(archived(
		t,
		dir("etc/", 0o755),
		file("etc/same", "1", 0o644, 0, 0),
		file("etc/content", "1", 0o644, 0, 0),
		file(
			"etc/rights",
			"1",
			0o644,
			0,
			0,
		),
		file("etc/owner", "1", 0o644, 0, 0),
		link("etc/link", "a", tar.TypeSymlink),
		dir("root/", 0o700),
		file("root/gone", "1", 0o644, 0, 0),
		dir("away/", 0o755),
		file("away/a", "1", 0o644, 0, 0),
	), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree.tar")
	if err := os.WriteFile(tree, archived(
		t,
		dir("./", 0o755),
		dir("etc", 0o755),
		file("etc/same", "1", 0o644, 0, 0),
		file("etc/content", "2", 0o644, 0, 0),
		file(
			"etc/rights",
			"1",
			0o4755,
			0,
			0,
		),
		file("etc/owner", "1", 0o644, 0, 42),
		link("etc/link", "b", tar.TypeSymlink),
		dir("root", 0o700),
		file("root/new", "new", 0o644, 65532, 65532),
		link("root/hard", "root/new", tar.TypeLink),
		file("run/metaml/install.py", "ours", 0o644, 0, 0),
		file("etc/resolv.conf", "", 0o644, 0, 0),
	), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := changes(t.Context(), base, tree)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(
			got,
			fmt.Sprintf("%s %o %d:%d %s %s", f.Path, f.Mode, f.Owner, f.Group, f.Link, text(t, f.Content)),
		)
	}
	want := []string{
		".wh.away 644 0:0  ", "etc 755 0:0  ", "etc/content 644 0:0  2", "etc/link 777 0:0 b ", "etc/owner 644 0:42  1",
		"etc/rights 4755 0:0  1", "root 700 0:0  ", "root/.wh.gone 644 0:0  ", "root/hard 644 65532:65532  new",
		"root/new 644 65532:65532  new",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func text(t *testing.T, content layer.Content) string {
	t.Helper()
	if content == nil {
		return ""
	}
	from, err := content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	all, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}
