// Package requirements finds the distributions that a script needs: those behind its imports, those that the notebook
// asked pip for, and all that these require, in the versions that an interpreter has. [Script.Resolve] asks the
// interpreter; the [Set] that it gives writes requirements.txt, pylock.toml (PEP 751) and the inline metadata of a
// script (PEP 723).
//
// What is installed is read by the same Python code that makes the lock of a live session,
// jupyter-ext/python/metaml/_session; it is sent to the interpreter, which need not have metaml. Nothing is imported or
// executed of what is installed, and no network is used.
//
// It may import the converter's packages and internal/interpreter.
package requirements

import (
	"strconv"
	"strings"
)

// Import is a module that a script imports.
type Import struct {
	Module   string   // as it is written, such as "google.cloud"
	Names    []string // what is imported from it; it may be a part of a namespace
	Line     int      // of the script, or of the cell, from 1, where it is first imported
	Cell     int      // of the notebook, from 1; 0 is unknown
	Optional bool     // the script goes on where it is missing
}

// Kind is the installer that a notebook asked for something.
type Kind string

// The kinds of [Asked].
const (
	Pip   Kind = "pip"
	Conda Kind = "conda" // or mamba, micromamba
	Apt   Kind = "apt"   // or apt-get
	// Inline is one of the dependencies that [Declared] finds.
	Inline Kind = "inline metadata"
)

// Asked is what a line such as `%pip install -q "pandas[excel]>=2"` asks an installer for.
type Asked struct {
	Kind Kind
	Text string // what stands behind "install", options and quotes included; of [Inline] one requirement
	Line int    // of the script or the cell, from 1; 0 is unknown
	Cell int    // of the notebook, from 1; 0 is unknown
}

// place is where it stands, such as "cell 2, line 1".
func (a Asked) place() string {
	var parts []string
	if a.Cell > 0 {
		parts = append(parts, "cell "+strconv.Itoa(a.Cell))
	}
	if a.Line > 0 {
		parts = append(parts, "line "+strconv.Itoa(a.Line))
	}
	return strings.Join(parts, ", ")
}

// Script is what is known of a script.
type Script struct {
	Imports []Import // as [Imports] gives them
	Local   []string // top-level modules that come along with it
	Asked   []Asked
	// Python is the version that the notebook names, such as "3.11.7", or what its inline metadata requires, such as
	// ">=3.11". It counts where no interpreter is asked.
	Python string
}

// Set is what a script needs. Its zero value is that of a script that needs nothing.
type Set struct {
	Python         string // version of the interpreter that was asked, such as "3.11.7"; "" where none was
	Implementation string // "CPython"
	Platform       string // as sysconfig.get_platform of Python says it
	Packages       []Package
	Notes          []string // what nobody can install from these files, or what is not known: clauses, one per line

	named   string            // Script.Python
	markers map[string]string // values of the interpreter
	options []string          // of pip, as lines of requirements.txt
	indexes []index
}

// Package is a distribution that a script needs.
type Package struct {
	Name      string   // normalized
	Version   string   // that is installed; "" where that is not known
	Extras    []string // that are asked for
	Specifier string   // what the notebook asks for where Version is not known: ">=2,<3", "" is any
	Direct    bool     // the script or the notebook asks for it
	Because   []string // of a direct one: what asks for it
	Via       []string // of another one: the packages that require it
	Marker    string   // on which platforms of the same Python it is needed; "" is all
	Python    string   // which versions of Python it runs on, such as ">=3.9"; "" is not known
	Source    *Source  // from where it was installed, if that was no index
	Conda     bool     // conda installed it
	Needs     []string // names of the packages that it requires

	index string // base address of the index that the notebook names for it
}

// Pinned reports whether exactly one version or source is named.
func (p *Package) Pinned() bool {
	asked := strings.HasPrefix(p.Specifier, "==") && !strings.Contains(p.Specifier, "*")
	return p.Version != "" || p.Source.exact() || asked
}

// Source is from where a distribution was installed (PEP 610), or is to be.
type Source struct {
	URL          string
	Subdirectory string
	VCS          string            // "git"; "" if it is none
	Commit       string            // of VCS
	Revision     string            // of VCS, as it was asked for
	Hashes       map[string]string // of an archive
	Directory    bool              // it is a folder of this machine
	Editable     bool              // of a folder
}

// exact reports whether the same is found there again.
func (s *Source) exact() bool {
	return s != nil && (s.Commit != "" || s.VCS == "" && !s.local())
}

// local reports whether it is on this machine alone.
func (s *Source) local() bool { return s.Directory || strings.HasPrefix(s.URL, "file:") }

// address is the URL of a requirement (PEP 508).
func (s *Source) address() string {
	var b strings.Builder
	if s.VCS != "" {
		b.WriteString(s.VCS + "+")
	}
	b.WriteString(s.URL)
	if at := s.Commit; at != "" || s.Revision != "" {
		if at == "" {
			at = s.Revision
		}
		b.WriteString("@" + at)
	}
	var fragment []string
	if digest := s.Hashes["sha256"]; digest != "" {
		fragment = append(fragment, "sha256="+digest)
	}
	if s.Subdirectory != "" {
		fragment = append(fragment, "subdirectory="+s.Subdirectory)
	}
	if fragment != nil {
		b.WriteString("#" + strings.Join(fragment, "&"))
	}
	return b.String()
}

// index is one that the notebook names.
type index struct {
	url   string
	names []string // packages that were asked of it
}

// requirement is a package by PEP 508, without its marker.
func (p *Package) requirement() string {
	name := p.Name
	if len(p.Extras) > 0 {
		name += "[" + strings.Join(p.Extras, ",") + "]"
	}
	switch {
	case p.Source != nil && !p.Source.local():
		return name + " @ " + p.Source.address()
	case p.Version != "":
		return name + "==" + p.Version
	}
	return name + p.Specifier
}
