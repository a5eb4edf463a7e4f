package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestDirectivesBecomeStubsByLibrary(t *testing.T) {
	libraries, err := scan(fstest.MapFS{
		"net/a.go": {Data: []byte("package net\n\n//go:cgo_import_dynamic libresolv_res_9_nsearch res_9_nsearch " +
			"\"/usr/lib/libresolv.9.dylib\"\n" +
			"//go:cgo_import_dynamic libc_read read \"/usr/lib/libSystem.B.dylib\"\n")},
		"x509/b.go": {Data: []byte("//go:cgo_import_dynamic x509_CFRelease CFRelease " +
			"\"/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation\"\n" +
			"//go:cgo_import_dynamic x509_CFEqual CFEqual " +
			"\"/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation\"\n" +
			"//go:cgo_import_dynamic libc_open open \"libc.so\"\n")},
		"cmd/link/c.go": {Data: []byte("//go:cgo_import_dynamic a b \"/usr/lib/other.dylib\"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, library := range libraries {
		got[library.stub()] = library.text()
	}
	want := map[string]string{
		"frameworks/CoreFoundation.framework/CoreFoundation.tbd": "--- !tapi-tbd\ntbd-version: 4\ntargets: [ " +
			"x86_64-macos, arm64-macos ]\n" +
			"install-name: '/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation'\n" +
			"exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ _CFEqual, _CFRelease ]\n...\n",
		"lib/libresolv.tbd": "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n" +
			"install-name: '/usr/lib/libresolv.9.dylib'\n" +
			"exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ _res_9_nsearch ]\n...\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stubs (-want +got):\n%s", diff)
	}
}

func TestThisGoNeedsTheLibrariesThatTheReleaseLinks(t *testing.T) {
	//nolint:staticcheck // SA1019: tests run where Go is
	libraries, err := scan(os.DirFS(filepath.Join(runtime.GOROOT(), "src")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, library := range libraries {
		got = append(got, library.stub())
	}
	want := []string{
		"frameworks/CoreFoundation.framework/CoreFoundation.tbd",
		"frameworks/Security.framework/Security.tbd",
		"lib/libresolv.tbd",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stubs (-want +got):\n%s\ntools/release names these libraries to the linker", diff)
	}
}

func TestFoldersWithoutSourcesAreRefused(t *testing.T) {
	if _, err := scan(fstest.MapFS{}); err == nil {
		t.Error("no error for an empty GOROOT")
	}
}
