package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadataIsWhatTheProjectSays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pyproject.toml")
	write(t, path, `
[build-system]
requires = []

[project]
name = "metaml"
dynamic = ["version"]
description = "in a line"
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.10"
dependencies = ["a>=1", "b"]
classifiers = ["Framework :: Jupyter"]
readme = {content-type = "text/markdown", text = """
Two
lines.
"""}

[tool.ruff]
line-length = 1
`)
	p, err := readProject(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `Metadata-Version: 2.4
Name: metaml
Version: 1.2.3
Summary: in a line
License-Expression: Apache-2.0
License-File: LICENSE
License-File: THIRD-PARTY.txt
Requires-Python: >=3.10
Requires-Dist: a>=1
Requires-Dist: b
Classifier: Framework :: Jupyter
Description-Content-Type: text/markdown

Two
lines.
`
	if diff := cmp.Diff(want, p.metadata("1.2.3")); diff != "" {
		t.Errorf("METADATA (-want +got):\n%s", diff)
	}
}

func TestMetadataThatWouldBeLeftOutIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pyproject.toml")
	write(t, path, "[project]\nname = \"metaml\"\nkeywords = [\"notebook\"]\n")
	if _, err := readProject(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want the file's name", err)
	}
}
