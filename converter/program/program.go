// Package program makes the program folder of a slice: a plain Python script with a real command line, the local
// modules that it imports, and a source map back to the cells (docs/internals/protocols.md §2). Read [Make] first;
// [Program.Write] and [Read] are the folder's two ends.
//
// The digest is over the files of code/ alone. main.py holds code only: comments and blank lines are left out of it, so
// that rewording one changes nothing; what the cells said beside their code is in the source map's cells and in the
// script that [Script] writes for people.
//
// It may import the converter's slicer, session and token, and internal/usererror.
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
)

// Version is the version of program.json and map.json.
const Version = 1

// Main is the path of the script in the folder's code.
const Main = "main.py"

// The kinds of program.
const (
	Train = "train" // the entry is a training function
	Serve = "serve" // the entry answers requests
	Draw  = "draw"  // the entry gives hyperparameters
)

// Program is a program folder.
type Program struct {
	Kind        string
	Entry       string
	IsAsync     bool // the entry is a coroutine function
	IsGenerator bool // the entry is a generator function
	IsValue     bool // the entry is a value
	Parameters  []slicer.Parameter
	Python      string // "3.11"; "" is unknown
	Files       []File // of code/, sorted by path, main.py and program.json among them
	Map         []MapLine
	Digest      string // sha256 of the code, in hex
	Imports     []string
	With        []string // names whose values are expected in with/NAME.pickle, see [Program.Add]
	Reseed      []string
	Seeded      []string
	SelfSeeded  []string
	UsesOutput  bool
	Source      string // notebook or file
}

// File is one file of code/.
type File struct {
	Path string // with slashes, relative to code/
	Mode fs.FileMode
	Data []byte
}

// MapLine says where a line of main.py comes from.
type MapLine struct {
	Script int `json:"script"` // line of main.py, from 1
	Cell   int `json:"cell"`   // seq in the session document
	Label  int `json:"label"`  // execution count of the cell, or its number where it has none: what people call it
	Line   int `json:"line"`   // line in the cell as typed, from 1
}

// WithPath is where the value of a name that is shipped belongs, relative to code/.
func WithPath(name string) string { return "with/" + name + ".pickle" }

// manifest is program.json. What is in it is part of the digest.
type manifest struct {
	V          int                `json:"v"`
	Kind       string             `json:"kind"`
	Entry      string             `json:"entry"`
	Async      bool               `json:"async,omitempty"`
	Generator  bool               `json:"generator,omitempty"`
	Value      bool               `json:"value,omitempty"`
	Parameters []slicer.Parameter `json:"parameters"`
	Python     string             `json:"python,omitempty"`
	Imports    []string           `json:"imports,omitempty"`
	With       []string           `json:"with,omitempty"`
	Reseed     []string           `json:"reseed,omitempty"`
	Seeded     []string           `json:"seeded,omitempty"`
	SelfSeeded []string           `json:"self_seeded,omitempty"`
	UsesOutput bool               `json:"uses_output,omitempty"`
}

// sourceMap is map.json, beside code/ and outside of the digest.
type sourceMap struct {
	V      int       `json:"v"`
	Digest string    `json:"digest"`
	Source string    `json:"source,omitempty"`
	Lines  []MapLine `json:"lines"`
}

// Make makes a program of a slice.
func Make(s *slicer.Slice, kind string) (*Program, error) {
	switch kind {
	case Train, Serve, Draw:
	default:
		return nil, fmt.Errorf("a program is of the kind train, serve or draw, not %q", kind)
	}
	p := &Program{
		Kind: kind, Entry: s.Entry.Name, IsAsync: s.Entry.IsAsync, IsGenerator: s.Entry.IsGenerator,
		IsValue: s.Entry.IsValue, Parameters: s.Entry.Parameters,
		Python: minor(s.Python), Imports: s.Imports, With: s.With, Reseed: s.Reseed, Seeded: s.Seeded,
		SelfSeeded: s.SelfSeeded, UsesOutput: s.UsesOutput, Source: s.Source,
	}
	if p.Parameters == nil {
		p.Parameters = []slicer.Parameter{}
	}
	t := write(s, kind, false)
	p.Map = t.lines
	p.Files = append(p.Files, File{Main, 0o644, []byte(t.String())})
	for _, m := range s.Modules {
		name := strings.ReplaceAll(m.Name, ".", "/")
		if m.Package {
			name += "/__init__"
		}
		name += ".py"
		if name == Main {
			return nil,
				fmt.Errorf("the local module %q cannot come along: the program itself is called main.py; rename %s",
					m.Name, m.File)
		}
		data, err := m.Code()
		if err != nil {
			return nil, fmt.Errorf("read the local module %q: %w", m.Name, err)
		}
		p.Files = append(p.Files, File{name, 0o644, data})
	}
	for name, file := range s.Carried {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("take the value of %s from the training program: %w", name, err)
		}
		p.Files = append(p.Files, File{WithPath(name), 0o644, data})
	}
	data, err := json.MarshalIndent(manifest{
		V: Version, Kind: p.Kind, Entry: p.Entry, Async: p.IsAsync, Generator: p.IsGenerator, Value: p.IsValue,
		Parameters: p.Parameters, Python: p.Python,
		Imports: p.Imports, With: p.With, Reseed: p.Reseed, Seeded: p.Seeded, SelfSeeded: p.SelfSeeded,
		UsesOutput: p.UsesOutput,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write program.json: %w", err)
	}
	p.Files = append(p.Files, File{"program.json", 0o644, append(data, '\n')})
	p.finish()
	return p, nil
}

// minor cuts a version to the part that decides what a program may be run with.
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return version
	}
	return parts[0] + "." + parts[1]
}

// Main gives the text of main.py.
func (p *Program) Main() string {
	for _, f := range p.Files {
		if f.Path == Main {
			return string(f.Data)
		}
	}
	return ""
}

// Add adds a file to the code, such as the value of a name that is shipped, and replaces one with the same path.
func (p *Program) Add(f File) error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if f.Mode == 0 {
		f.Mode = 0o644
	}
	p.Files = slices.DeleteFunc(p.Files, func(o File) bool { return o.Path == f.Path })
	p.Files = append(p.Files, f)
	p.finish()
	return nil
}

func (p *Program) finish() {
	sort.Slice(p.Files, func(i, j int) bool { return p.Files[i].Path < p.Files[j].Path })
	p.Digest = digest(p.Files)
}

// digest is the sha256 over the sorted lines PATH NUL MODE NUL SHA256 LF; the mode is octal: 644 or 755.
func digest(files []File) string {
	lines := make([]string, 0, len(files))
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		lines = append(lines, fmt.Sprintf("%s\x00%o\x00%s\n", f.Path, mode(f.Mode), hex.EncodeToString(sum[:])))
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mode keeps of a file's mode whether it may be executed.
func mode(m fs.FileMode) fs.FileMode {
	if m&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

func checkPath(p string) error {
	if p == "" || path.IsAbs(p) || path.Clean(p) != p || strings.HasPrefix(p, "../") || p == ".." ||
		strings.ContainsAny(p, "\x00\n\\") {
		return fmt.Errorf("%q is no path inside of a program folder", p)
	}
	return nil
}

// Write writes the folder. It must not exist yet, or be empty; it appears whole or not at all.
func (p *Program) Write(dir string) (err error) {
	parent := filepath.Dir(dir)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("write the program: %s is not empty", dir)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // the caller's folder, as it would make it
		return fmt.Errorf("write the program: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, ".program-*")
	if err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	for _, f := range p.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		name := filepath.Join(Code(tmp), filepath.FromSlash(f.Path))
		//nolint:gosec // read by the trials, perhaps of another user in a pod
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("write the program: %w", err)
		}
		if err := os.WriteFile(name, f.Data, mode(f.Mode)); err != nil {
			return fmt.Errorf("write the program: %w", err)
		}
	}
	data, err := json.Marshal(sourceMap{V: Version, Digest: p.Digest, Source: p.Source, Lines: p.Map})
	if err != nil {
		return fmt.Errorf("write map.json: %w", err)
	}
	//nolint:gosec // as above
	if err := os.WriteFile(filepath.Join(tmp, "map.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("write the program: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the program: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("write the program: %w", err)
	}
	return nil
}

// Code is the folder of the code in the program folder dir, which is what a run executes.
func Code(dir string) string { return filepath.Join(dir, "code") }

// maxFolder bounds the code of a folder that is read.
const maxFolder = 1 << 30

// Read reads a folder, and checks its digest against the one in map.json, where there is one: a folder made by hand has
// none.
func Read(dir string) (*Program, error) {
	p := &Program{}
	root := Code(dir)
	var total int64
	folder, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("read the program folder %s: %w", dir, err)
	}
	defer func() { _ = folder.Close() }()
	err = fs.WalkDir(folder.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "__pycache__" {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		if total += info.Size(); total > maxFolder {
			return fmt.Errorf("%s holds more than 1 GiB", root)
		}
		data, err := folder.ReadFile(name)
		if err != nil {
			return err
		}
		p.Files = append(p.Files, File{name, mode(info.Mode()), data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the program folder %s: %w", dir, err)
	}
	p.finish()
	var m manifest
	found := false
	for _, f := range p.Files {
		if f.Path == "program.json" {
			found = true
			if err := json.Unmarshal(f.Data, &m); err != nil {
				return nil, fmt.Errorf("read %s: %w", filepath.Join(root, f.Path), err)
			}
		}
	}
	switch {
	case !found:
		return nil, fmt.Errorf("%s is not a program folder: it has no code/program.json", dir)
	case m.V != Version:
		return nil, fmt.Errorf("%s is a program folder of version %d; this metaml reads version %d", dir, m.V, Version)
	case m.Entry == "":
		return nil, fmt.Errorf("%s is not a program folder: its program.json names no entry", dir)
	case p.Main() == "":
		return nil, fmt.Errorf("%s is not a program folder: it has no code/main.py", dir)
	}
	p.Kind, p.Entry, p.IsAsync, p.IsGenerator, p.IsValue = m.Kind, m.Entry, m.Async, m.Generator, m.Value
	p.Parameters, p.Python, p.Imports, p.With = m.Parameters, m.Python, m.Imports, m.With
	p.Reseed, p.Seeded, p.SelfSeeded, p.UsesOutput = m.Reseed, m.Seeded, m.SelfSeeded, m.UsesOutput
	data, err := os.ReadFile(filepath.Join(dir, "map.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the source map: %w", err)
	}
	var sm sourceMap
	if err := json.Unmarshal(data, &sm); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "map.json"), err)
	}
	if sm.Digest != "" && sm.Digest != p.Digest {
		return nil,
			fmt.Errorf("the program in %s was changed after it was made: its digest is %.12s, and %.12s was written "+
				"down", dir, p.Digest, sm.Digest)
	}
	p.Map, p.Source = sm.Lines, sm.Source
	return p, nil
}
