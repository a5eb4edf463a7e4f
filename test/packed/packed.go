// Package packed makes archives of programs as pods get them.
//
// It is imported by tests alone, and imports the standard library.
package packed

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"
)

// Files packs files by their names.
func Files(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	var headers []*tar.Header
	for name := range files {
		headers = append(
			headers,
			&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg},
		)
	}
	return Entries(tb, headers, files)
}

// Entries packs entries, with the content of files for those that have a size.
func Entries(tb testing.TB, headers []*tar.Header, files map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(files[h.Name])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
