package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// project is [project] of pyproject.toml, as much of it as MetaML uses (PyPA specification "pyproject.toml"). The
// version is dynamic: it is in VERSION.
type project struct {
	Name           string   `toml:"name"`
	Dynamic        []string `toml:"dynamic"`
	Description    string   `toml:"description"`
	License        string   `toml:"license"`
	LicenseFiles   []string `toml:"license-files"`
	RequiresPython string   `toml:"requires-python"`
	Dependencies   []string `toml:"dependencies"`
	Classifiers    []string `toml:"classifiers"`
	Readme         struct {
		ContentType string `toml:"content-type"`
		Text        string `toml:"text"`
	} `toml:"readme"`
}

// readProject reads [project]. A key that this program does not write into METADATA is refused rather than left out.
func readProject(path string) (project, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return project{}, fmt.Errorf("read the metadata: %w", err)
	}
	var file struct {
		Project     project `toml:"project"`
		BuildSystem any     `toml:"build-system"`
		Tool        any     `toml:"tool"`
	}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&file); err != nil {
		return project{}, fmt.Errorf("read the metadata in %q: %w", path, err)
	}
	return file.Project, nil
}

// metadata is METADATA, "Core metadata" 2.4.
func (p project) metadata(version string) string {
	var text strings.Builder
	line := func(name string, values ...string) {
		for _, value := range values {
			fmt.Fprintf(&text, "%s: %s\n", name, value)
		}
	}
	line("Metadata-Version", "2.4")
	line("Name", p.Name)
	line("Version", version)
	line("Summary", p.Description)
	line("License-Expression", p.License)
	line("License-File", append(p.LicenseFiles, othersLicences)...)
	line("Requires-Python", p.RequiresPython)
	line("Requires-Dist", p.Dependencies...)
	line("Classifier", p.Classifiers...)
	line("Description-Content-Type", p.Readme.ContentType)
	return text.String() + "\n" + strings.TrimPrefix(p.Readme.Text, "\n")
}
