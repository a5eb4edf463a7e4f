// Package index is a package index for tests, with wheels that they make.
//
// It is imported by tests alone, and imports the standard library.
package index

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// File is one of a package index.
type File struct {
	Name     string
	Data     []byte
	Uploaded string // "2026-01-01T00:00:00Z"
	Yanked   string // why; "" is not
}

// Wheel makes a wheel that requires others. With it are the files, by their paths.
func Wheel(tb testing.TB, name, version, tag string, files map[string]string, requires ...string) File {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	info := name + "-" + version + ".dist-info/"
	var metadata strings.Builder
	fmt.Fprintf(&metadata, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	for _, r := range requires {
		fmt.Fprintf(&metadata, "Requires-Dist: %s\n", r)
	}
	all := map[string]string{
		info + "METADATA": metadata.String(), info + "WHEEL": "Wheel-Version: 1.0\n", info + "RECORD": "",
	}
	maps.Copy(all, files)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		f, err := w.Create(path)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write([]byte(all[path])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return File{Name: name + "-" + version + "-" + tag + ".whl", Data: b.Bytes(), Uploaded: "2026-01-01T00:00:00Z"}
}

// Source makes a source distribution of files by their paths, which build it (PEP 517).
func Source(tb testing.TB, name, version string, files map[string]string) File {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	all := map[string]string{
		"PKG-INFO": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n",
	}
	maps.Copy(all, files)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		header := &tar.Header{Name: name + "-" + version + "/" + path, Mode: 0o644, Size: int64(len(all[path]))}
		if err := w.WriteHeader(header); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(all[path])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return File{Name: name + "-" + version + ".tar.gz", Data: b.Bytes(), Uploaded: "2026-01-01T00:00:00Z"}
}

// Serve serves packages as PEP 691 has it, until the test ends, and gives the address of the index.
func Serve(tb testing.TB, files ...File) string {
	tb.Helper()
	server := httptest.NewServer(Handler(files...))
	tb.Cleanup(server.Close)
	return server.URL + "/simple"
}

// Handler answers as an index of packages does, for servers of the tests' own.
func Handler(files ...File) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, is := strings.CutPrefix(r.URL.Path, "/files/"); is {
			for _, f := range files {
				if f.Name == name {
					http.ServeContent(w, r, f.Name, time.Time{}, bytes.NewReader(f.Data))
					return
				}
			}
		}
		project := strings.Trim(strings.TrimPrefix(r.URL.Path, "/simple/"), "/")
		page := map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": project}
		list := []any{}
		for _, f := range files {
			if distribution, _, _ := strings.Cut(f.Name, "-"); distribution != project {
				continue
			}
			sum := sha256.Sum256(f.Data)
			one := map[string]any{
				"filename": f.Name, "url": "/files/" + f.Name, "size": len(f.Data),
				"hashes": map[string]string{"sha256": hex.EncodeToString(sum[:])},
			}
			if f.Uploaded != "" {
				one["upload-time"] = f.Uploaded
			}
			if f.Yanked != "" {
				one["yanked"] = f.Yanked
			}
			list = append(list, one)
		}
		if len(list) == 0 {
			http.NotFound(w, r)
			return
		}
		page["files"] = list
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		_ = json.NewEncoder(w).Encode(page)
	})
}
