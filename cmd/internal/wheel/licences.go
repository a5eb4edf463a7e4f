package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/jupytext"
	"github.com/metaml/metaml/converter/nbformat"
)

// Binary copies must carry the licence texts of what is linked into them: MIT, BSD and ISC ask for their notice,
// Apache-2.0 (§4) for its text and for NOTICE files.

// licenceName is how files with licence texts are called.
var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([-._].*)?$`)

// linkedModule is a Go module that is linked into a binary.
type linkedModule struct{ Path, Version string }

func (m linkedModule) String() string { return m.Path + " " + m.Version }

// linked lists the modules that are linked into the binaries, beside ours, sorted and each once; and the Go version.
func linked(contents [][]byte) (modules []linkedModule, goVersion string, err error) {
	for _, content := range contents {
		info, err := buildinfo.Read(bytes.NewReader(content))
		if err != nil {
			return nil, "", fmt.Errorf("read what is linked into a binary: %w", err)
		}
		goVersion = info.GoVersion
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules = append(modules, linkedModule{m.Path, m.Version})
		}
	}
	slices.SortFunc(modules, func(a, b linkedModule) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
	return slices.Compact(modules), goVersion, nil
}

// thirdParty is THIRD-PARTY.txt: the licence texts of everything that is linked into the binaries.
func thirdParty(contents [][]byte) ([]byte, error) {
	modules, goVersion, err := linked(contents)
	if err != nil {
		return nil, err
	}
	folders, err := moduleFolders(modules)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.WriteString("MetaML's programs contain the software below, under these licences.\n")
	own := "The Go programming language, its runtime and standard library, " + goVersion
	goroot := runtime.GOROOT() //nolint:staticcheck // SA1019: this runs by `go run` alone, where it is right
	if err := appendLicences(&text, own, goroot, false); err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := appendLicences(&text, m.String(), folders[m], true); err != nil {
			return nil, err
		}
	}
	appendLicence(&text, "Jupyter's notebook schemas", "LICENSE", []byte(nbformat.SchemaLicence))
	appendLicence(&text, "Jupytext's languages and expressions", "LICENSE", []byte(jupytext.Licence))
	return text.Bytes(), nil
}

// moduleFolders finds the modules' sources in Go's module cache.
func moduleFolders(modules []linkedModule) (map[linkedModule]string, error) {
	folders := map[linkedModule]string{}
	if len(modules) == 0 {
		return folders, nil
	}
	arguments := []string{"mod", "download", "-json"}
	for _, m := range modules {
		arguments = append(arguments, m.Path+"@"+m.Version)
	}
	out, err := exec.Command("go", arguments...).Output() //nolint:noctx // it reads a cache
	if err != nil {
		return nil, fmt.Errorf("find the sources of what is linked: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var module struct{ Path, Version, Dir string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, fmt.Errorf("find the sources of what is linked: %w", err)
		}
		folders[linkedModule{module.Path, module.Version}] = module.Dir
	}
}

// appendLicences adds the licence texts in a folder, and with deep in the folders below it, where code that came from
// elsewhere has its own.
func appendLicences(text *bytes.Buffer, name, folder string, deep bool) error {
	var paths []string
	err := filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case item.IsDir() && path != folder && (!deep || item.Name() == "testdata" || item.Name() == "node_modules"):
			return fs.SkipDir
		case item.Type().IsRegular() && licenceName.MatchString(item.Name()):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the licence of %s: %w", name, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("%s has no file with its licence in %q", name, folder)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", name, err)
		}
		below, err := filepath.Rel(folder, path)
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", name, err)
		}
		appendLicence(text, name, filepath.ToSlash(below), content)
	}
	return nil
}

func appendLicence(text *bytes.Buffer, name, file string, content []byte) {
	heading := name + " (" + file + ")"
	fmt.Fprintf(text, "\n%s\n%s\n\n%s\n", heading, strings.Repeat("=", len(heading)), bytes.TrimSpace(content))
}
