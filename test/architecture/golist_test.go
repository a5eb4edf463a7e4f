package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// goPackage is what `go list` prints of a package.
type goPackage struct {
	Dir, ImportPath, Name                        string
	GoFiles, CgoFiles, TestGoFiles, XTestGoFiles []string
	Imports                                      []string // as they are written
	Deps                                         []string // and what these need
}

var listed = sync.OnceValues(func() ([]goPackage, error) {
	command := exec.Command("go", "list",
		"-json=Dir,ImportPath,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports,Deps", "./...")
	command.Dir = filepath.Join("..", "..")
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return nil, err
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// packages lists the product's packages, without test files.
func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatalf("go list ./...: %v", err)
	}
	if len(all) < 5 {
		t.Fatalf("go list ./... found %d packages, this test reads the wrong folder", len(all))
	}
	return all
}
