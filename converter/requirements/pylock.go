package requirements

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaml/metaml/internal/usererror"
)

// The tables of PEP 751, with their keys in the order of its text.
// https://packaging.python.org/en/latest/specifications/pylock-toml
type (
	lockFile struct {
		LockVersion    string       `toml:"lock-version"`
		Environments   []string     `toml:"environments,omitempty"`
		RequiresPython string       `toml:"requires-python,omitempty"`
		CreatedBy      string       `toml:"created-by"`
		Packages       []lockedItem `toml:"packages"`
	}
	lockedItem struct {
		Name           string           `toml:"name"`
		Version        string           `toml:"version,omitempty"`
		Marker         string           `toml:"marker,omitempty"`
		RequiresPython string           `toml:"requires-python,omitempty"`
		Dependencies   []lockedName     `toml:"dependencies,omitempty,inline"`
		VCS            *lockedVCS       `toml:"vcs,omitempty"`
		Directory      *lockedDirectory `toml:"directory,omitempty"`
		Archive        *lockedArchive   `toml:"archive,omitempty"`
		Index          string           `toml:"index,omitempty"`
	}
	lockedName struct {
		Name string `toml:"name"`
	}
	lockedVCS struct {
		Type         string `toml:"type"`
		URL          string `toml:"url"`
		Revision     string `toml:"requested-revision,omitempty"`
		Commit       string `toml:"commit-id"`
		Subdirectory string `toml:"subdirectory,omitempty"`
	}
	lockedDirectory struct {
		Path         string `toml:"path"`
		Editable     bool   `toml:"editable,omitempty"`
		Subdirectory string `toml:"subdirectory,omitempty"`
	}
	lockedArchive struct {
		URL          string            `toml:"url,omitempty"`
		Path         string            `toml:"path,omitempty"`
		Hashes       map[string]string `toml:"hashes,inline"`
		Subdirectory string            `toml:"subdirectory,omitempty"`
	}
)

// Pylock gives pylock.toml (PEP 751) for the interpreter's minor version and platform. Folder is where it will lie:
// paths of what is edited on this machine are relative to it; where it is "", they are absolute. A file is named with
// its hashes where the environment knows them, which it does for what was installed from an address; see
// [Set.WithoutFiles].
func (s *Set) Pylock(folder string) ([]byte, error) {
	if s.Python == "" {
		return nil, usererror.New(usererror.CodePython, "pylock.toml has the versions that an interpreter has, and "+
			"none was asked").With("Name one: --python PATH.")
	}
	file := lockFile{
		LockVersion: "1.0", Environments: s.environments(), RequiresPython: s.requiresPython(), CreatedBy: creator,
		Packages: []lockedItem{},
	}
	var head strings.Builder
	comment(&head, "", "Made by "+creator+" "+s.from()+".")
	for _, note := range s.Notes {
		comment(&head, "", note)
	}
	if names := s.WithoutFiles(); len(names) > 0 {
		comment(&head, "", "An environment does not know from which files of an index it was made, so that they are "+
			"not in here. This adds them, with their hashes: uv pip compile --no-deps requirements.txt -o pylock.toml")
	}
	for i := range s.Packages {
		p := &s.Packages[i]
		if p.Version == "" && p.Source == nil {
			comment(&head, "", fmt.Sprintf("%s is not in here: its version is not known (%s)", p.requirement(),
				strings.Join(p.Because, "; ")))
			continue
		}
		file.Packages = append(file.Packages, s.locked(p, folder))
	}
	slices.SortFunc(file.Packages, func(a, b lockedItem) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	b.WriteString(head.String() + "\n")
	if err := toml.NewEncoder(&b).SetIndentTables(false).Encode(file); err != nil {
		return nil, fmt.Errorf("write pylock.toml: %w", err)
	}
	return b.Bytes(), nil
}

// WithoutFiles names the packages of which pylock.toml has no file, folder or repository: what came from an index. An
// installer refuses such a lock until the files are added.
func (s *Set) WithoutFiles() []string {
	var names []string
	for i := range s.Packages {
		if p := &s.Packages[i]; p.Version != "" && !p.Source.lockable() {
			names = append(names, p.Name)
		}
	}
	return names
}

// lockable reports whether PEP 751 has a table for a source: an archive needs a hash, a repository a commit.
func (s *Source) lockable() bool {
	switch {
	case s == nil:
		return false
	case s.VCS != "":
		return s.Commit != ""
	case s.Directory:
		return true
	}
	return len(s.Hashes) > 0
}

func (s *Set) locked(p *Package, folder string) lockedItem {
	item := lockedItem{
		Name: p.Name, Version: p.Version, Marker: p.Marker, RequiresPython: p.Python, Index: p.index,
	}
	for _, name := range p.Needs {
		known := slices.ContainsFunc(s.Packages, func(other Package) bool {
			return other.Name == name && (other.Version != "" || other.Source != nil)
		})
		if known {
			item.Dependencies = append(item.Dependencies, lockedName{name})
		}
	}
	at := p.Source
	if !at.lockable() {
		return item
	}
	switch item.Index = ""; {
	case at.VCS != "":
		item.Version = "" // "MUST NOT be included when it cannot be guaranteed to be consistent with the code used"
		item.VCS = &lockedVCS{at.VCS, at.URL, at.Revision, at.Commit, at.Subdirectory}
	case at.Directory:
		item.Version = ""
		item.Directory = &lockedDirectory{at.path(folder), at.Editable, at.Subdirectory}
	case at.local():
		item.Archive = &lockedArchive{Path: at.path(folder), Hashes: at.Hashes, Subdirectory: at.Subdirectory}
	default:
		item.Archive = &lockedArchive{URL: at.URL, Hashes: at.Hashes, Subdirectory: at.Subdirectory}
	}
	return item
}

// path is that of a file: address, from a folder if that is known.
func (s *Source) path(folder string) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.URL
	}
	if folder != "" {
		if relative, err := filepath.Rel(folder, u.Path); err == nil {
			return filepath.ToSlash(relative)
		}
	}
	return u.Path
}

// environments are the markers of the environments that the lock is for: this one.
func (s *Set) environments() []string {
	var terms []string
	for _, name := range slices.Sorted(maps.Keys(s.markers)) {
		if value := s.markers[name]; value != "" && !strings.ContainsAny(value, `"'\`) {
			terms = append(terms, fmt.Sprintf("%s == %q", name, value))
		}
	}
	if terms == nil {
		return nil
	}
	return []string{strings.Join(terms, " and ")}
}

// requiresPython is the minor version of the interpreter that was asked: the versions of packages fit it, and need not
// fit another. Where none was asked, it is that of the notebook or a newer one.
func (s *Set) requiresPython() string {
	if minor := minor(s.Python); minor != "" {
		return "==" + minor + ".*"
	}
	if named := strings.Join(strings.Fields(s.named), ""); named != "" && specifiers.MatchString(named) {
		return named
	}
	if minor := minor(s.named); minor != "" {
		return ">=" + minor
	}
	return ""
}

// minor is "3.11" of "3.11.7"; "" if it is no version of Python 3.
func minor(version string) string {
	if m := python3.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return ""
}
