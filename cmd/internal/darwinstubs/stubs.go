package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// importLine is a directive in Go's sources: local name, name in the library,
// and the library's place on a Mac.
var importLine = regexp.MustCompile(`(?m)^//go:cgo_import_dynamic +\S+ +(\w+) +"(/[^"]+)"`)

// systemLibrary is linked by zig itself.
const systemLibrary = "/usr/lib/libSystem.B.dylib"

// library is one dynamic library of macOS and what Go wants of it.
type library struct {
	place   string   // install name, such as "/usr/lib/libresolv.9.dylib"
	symbols []string // C names, without the leading underscore of Mach-O
}

// scan reads the directives in Go's sources, sorted by library and name.
func scan(source fs.FS) ([]library, error) {
	names := map[string]map[string]bool{}
	err := fs.WalkDir(source, ".", func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() {
			// The go command and the compiler talk about directives without meaning them.
			if name == "cmd" || item.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		for _, match := range importLine.FindAllStringSubmatch(string(text), -1) {
			symbol, place := match[1], match[2]
			if place == systemLibrary {
				continue
			}
			if names[place] == nil {
				names[place] = map[string]bool{}
			}
			names[place][symbol] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read Go's sources: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("no cgo_import_dynamic line in Go's sources: is GOROOT/src complete?")
	}
	var libraries []library
	for _, place := range slices.Sorted(maps.Keys(names)) {
		libraries = append(libraries, library{place: place, symbols: slices.Sorted(maps.Keys(names[place]))})
	}
	return libraries, nil
}

// stub is the stub's path: where `-framework NAME` or `-lNAME` looks for it.
func (l library) stub() string {
	name := path.Base(l.place)
	if strings.Contains(l.place, ".framework/") {
		return "frameworks/" + name + ".framework/" + name + ".tbd"
	}
	stem, _, _ := strings.Cut(name, ".") // libresolv.9.dylib is found by -lresolv
	return "lib/" + stem + ".tbd"
}

// text is the stub, in version 4 of the text-based format.
func (l library) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\ninstall-name: '%s'\n",
		l.place)
	b.WriteString("exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ ")
	for i, symbol := range l.symbols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("_" + symbol)
	}
	b.WriteString(" ]\n...\n")
	return b.String()
}
