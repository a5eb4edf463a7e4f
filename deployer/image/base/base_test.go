package base

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one of a layer.
type file struct{ path, text string }

func imageOf(t *testing.T, path string, layers ...[]file) v1.Image {
	t.Helper()
	picture := empty.Image
	for _, files := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, f := range files {
			if err := w.WriteHeader(&tar.Header{Name: f.path, Mode: 0o755, Size: int64(len(f.text))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(f.text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		picture, err = mutate.AppendLayers(picture, static.NewLayer(b.Bytes(), types.OCIUncompressedLayer))
		if err != nil {
			t.Fatal(err)
		}
	}
	picture, err := mutate.Config(picture, v1.Config{Env: []string{"PATH=" + path}})
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

func TestAnImageIsLookedInto(t *testing.T) {
	passwd := file{"etc/passwd", "root:x:0:0::/root:/bin/sh\n"}
	for _, c := range []struct {
		name, path string
		layers     [][]file
		want       About
	}{
		{"its Python", "/usr/bin", [][]file{{passwd, {"usr/bin/python3.11", ""}}}, About{
			Python: "/usr/bin/python3.11", Users: passwd.text,
		}},
		{"the first on its PATH", "/opt/conda/bin:/usr/bin", [][]file{
			{{"./usr/bin/python3.11", ""}, {"opt/conda/bin/python3.11", ""}},
		}, About{Python: "/opt/conda/bin/python3.11"}},
		{"another version alone", "/usr/bin", [][]file{{{"usr/bin/python3.12", ""}}}, About{}},
		{"one that a layer removes", "/usr/bin", [][]file{
			{{"usr/bin/python3.11", ""}, {"usr/local/bin/python3.11", ""}}, {{"usr/bin/.wh.python3.11", ""}},
		}, About{Python: "/usr/local/bin/python3.11"}},
		{"a folder that a layer empties", "/usr/bin", [][]file{
			{{"usr/bin/python3.11", ""}}, {{"usr/bin/.wh..wh..opq", ""}},
		}, About{}},
		{"the last text", "/usr/bin", [][]file{{passwd}, {{"etc/passwd", "other"}}}, About{Users: "other"}},
		{"musl", "/usr/bin", [][]file{{{"lib/ld-musl-x86_64.so.1", ""}}}, About{Musl: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache, picture := t.TempDir(), imageOf(t, c.path, c.layers...)
			for range 2 { // the second time it is remembered
				got, err := Inspect(t.Context(), picture, "3.11", cache)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			}
		})
	}
}
