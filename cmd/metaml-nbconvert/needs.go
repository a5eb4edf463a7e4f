package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/metaml/metaml/converter/nbformat"
	"github.com/metaml/metaml/converter/requirements"
	"github.com/metaml/metaml/converter/script"
	"github.com/metaml/metaml/internal/interpreter"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// declarations takes the inline metadata out of cells: a script may have it once, so it becomes a part of ours. Lines
// keep their numbers.
func declarations(nb *nbformat.Notebook) ([]requirements.Declaration, error) {
	var all []requirements.Declaration
	for i := range nb.Cells {
		c := &nb.Cells[i]
		if c.Type != "code" {
			continue
		}
		d, err := requirements.Declared(c.Source)
		if err != nil {
			return nil, err
		}
		if d != nil {
			lines := strings.Count(c.Source[d.Start:d.End], "\n")
			c.Source = c.Source[:d.Start] + strings.Repeat("\n", lines) + c.Source[d.End:]
			all = append(all, *d)
		}
	}
	return all, nil
}

// needed finds the distributions that a script needs.
func needed(
	ctx context.Context, o *options, j job, nb *nbformat.Notebook, s *script.Script,
	declared []requirements.Declaration,
) (*requirements.Set, error) {
	imports, err := requirements.Imports(s.Text)
	if err != nil {
		return nil, err
	}
	from := map[int]script.Line{}
	for _, l := range s.Lines {
		from[l.Script] = l
	}
	need := requirements.Script{Python: nb.Version, Local: local(j, nb, imports)}
	for _, d := range declared {
		if d.Python != "" {
			need.Python = d.Python
		}
		for _, text := range d.Dependencies {
			need.Asked = append(need.Asked, requirements.Asked{Kind: requirements.Inline, Text: text})
		}
	}
	for _, i := range imports {
		if l, ok := from[i.Line]; ok { // else it is ours, and of the standard library
			i.Cell, i.Line = l.Label, l.Line
			need.Imports = append(need.Imports, i)
		}
	}
	for _, q := range s.Requirements {
		asked := requirements.Asked{Cell: q.Cell, Line: q.Line}
		if asked.Kind, asked.Text = installer(q.Command); asked.Text != "" {
			need.Asked = append(need.Asked, asked)
		}
	}
	python, err := whose(o, nb)
	if err != nil {
		return nil, err
	}
	return need.Resolve(ctx, python)
}

// unpinned says what the interpreter that was asked does not have: it may be another one than the notebook's.
func unpinned(s *requirements.Set) []string {
	var names []string
	for i := range s.Packages {
		if p := &s.Packages[i]; p.Direct && p.Version == "" && p.Specifier == "" && p.Source == nil {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	why := "no Python was found whose packages these are"
	if s.Python != "" {
		why = fmt.Sprintf("%s %s does not have them", s.Implementation, s.Python)
	}
	return []string{fmt.Sprintf("no version of %s is known: %s. Name the notebook's Python by --python.",
		prose.List(names), why)}
}

// whose is the interpreter that is asked; "" where there is none.
func whose(o *options, nb *nbformat.Notebook) (string, error) {
	self, err := os.Executable()
	if err != nil {
		self = "" // it is one place less to look
	}
	python, err := requirements.Interpreter(nb.Kernel, interpreter.Search{
		Named: o.python, Getenv: os.Getenv, Self: self, Binary: "metaml-nbconvert",
	})
	if err != nil && o.python == "" {
		return "", nil // names alone, as the files say
	}
	return python, err
}

// installer parts what a cell installs from the program that does it: pip install x.
func installer(command string) (requirements.Kind, string) {
	before, text, ok := strings.Cut(command, "install ")
	if !ok {
		return "", ""
	}
	switch {
	case strings.Contains(before, "apt"):
		return requirements.Apt, text
	case strings.Contains(before, "conda") || strings.Contains(before, "mamba"):
		return requirements.Conda, text
	case strings.Contains(before, "brew"):
		return "", ""
	}
	return requirements.Pip, text
}

// local are the modules that stand beside the notebook, or that it writes itself.
func local(j job, nb *nbformat.Notebook, imports []requirements.Import) []string {
	var names []string
	dir := filepath.Dir(j.input)
	for _, i := range imports {
		top, _, _ := strings.Cut(i.Module, ".")
		for _, file := range []string{top + ".py", filepath.Join(top, "__init__.py")} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil && j.input != "-" {
				names = append(names, top)
			}
		}
		for _, c := range nb.Cells {
			first, _, _ := strings.Cut(strings.TrimLeft(c.Source, "\n"), "\n")
			if magic, file, ok := strings.Cut(first, " "); ok && (magic == "%%writefile" || magic == "%%file") &&
				strings.TrimSuffix(filepath.Base(strings.TrimSpace(file)), ".py") == top {
				names = append(names, top)
			}
		}
	}
	return names
}

// madeHere is in the files that we made, which are replaced; those of other people are not.
const madeHere = "metaml-nbconvert"

// file is one that is to be written beside a script.
type file struct{ name, text string }

// needNames are the names of requirements.txt and pylock.toml beside the script: of one notebook these, of several
// those of the scripts.
func needNames(o *options, j job) []string {
	dir, names := ".", [2]string{"requirements.txt", "pylock.toml"}
	if j.output != "-" {
		dir = filepath.Dir(j.output)
	}
	if o.several {
		base := strings.TrimSuffix(filepath.Base(j.output), filepath.Ext(j.output))
		// PEP 751 allows one name without a dot between "pylock." and ".toml".
		names = [2]string{base + ".requirements.txt", "pylock." + strings.ReplaceAll(base, ".", "-") + ".toml"}
	}
	return []string{filepath.Join(dir, names[0]), filepath.Join(dir, names[1])}
}

// needFiles are the files beside the script. Without an interpreter there is no lock. Files of other people are
// refused.
func needFiles(o *options, j job, needs *requirements.Set) ([]file, error) {
	names := needNames(o, j)
	files := []file{{names[0], needs.Requirements()}}
	if needs.Python != "" {
		lock, err := needs.Pylock(filepath.Dir(names[1]))
		if err != nil {
			return nil, err
		}
		files = append(files, file{names[1], string(lock)})
	}
	for _, f := range files {
		there, err := os.ReadFile(f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at %s: %w", f.name, err)
		}
		if err == nil && !bytes.Contains(there, []byte(madeHere)) {
			return nil, usererror.New(usererror.CodeRequirements, "%s is there, and was not made by metaml-nbconvert",
				f.name).With("Move it away, or write the script to another folder with --output-dir.")
		}
	}
	return files, nil
}
