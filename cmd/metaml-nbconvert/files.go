package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/metaml/metaml/internal/usererror"
)

// job is one notebook to convert.
type job struct {
	input  string // as messages name it; "-" is standard input
	output string // "-" is standard output; "" where nothing is written
}

// jobs finds the notebooks that the command line names, and where each is written to. What would be overwritten is
// refused before anything starts.
func jobs(o *options) ([]job, error) {
	var all []job
	for _, in := range o.inputs {
		found, err := expand(in)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !slices.ContainsFunc(all, func(j job) bool { return j.input == f.input }) {
				all = append(all, f)
			}
		}
	}
	o.several = len(all) > 1
	if o.several {
		if o.output != "" {
			return nil, wrong("-o is for one notebook, and there are %d: use --output-dir", len(all))
		}
		if o.stdout || o.sourceMap != "" || o.explain {
			return nil, wrong("--stdout, --source-map and --explain are for one notebook, and there are %d", len(all))
		}
	}
	writers := map[string]string{}
	for i := range all {
		j := &all[i]
		if j.output = o.target(j); j.output == "-" || j.output == "" {
			continue
		}
		key, err := filepath.Abs(j.output)
		if err != nil {
			return nil, fmt.Errorf("find the folder of %s: %w", j.output, err)
		}
		if other, ok := writers[key]; ok {
			return nil, fmt.Errorf("%s and %s would both be written to %s: convert them one by one with -o",
				other, j.input, j.output)
		}
		writers[key] = j.input
		if info, err := os.Stat(j.output); err == nil && info.IsDir() && o.to != "train" {
			return nil, fmt.Errorf("%s is a folder: write into it with --output-dir", j.output)
		}
		if !o.inplace && same(j.output, j.input) {
			return nil, fmt.Errorf("%s: the script would replace its own source; name another file with -o", j.input)
		}
	}
	return all, nil
}

// expand gives the notebooks that one argument names. output is, for those of a folder, their path in it.
func expand(in string) ([]job, error) {
	if in == "-" {
		return []job{{input: in}}, nil
	}
	info, err := os.Stat(in)
	switch {
	case err == nil && info.IsDir():
		return below(in, "*.ipynb")
	case err == nil:
		return []job{{input: in}}, nil
	case !strings.ContainsAny(in, "*?["):
		return nil, fmt.Errorf("%s cannot be opened: %w", in, usererror.SystemReason(err))
	}
	if before, after, ok := strings.Cut(in, "**"); ok {
		root := strings.TrimSuffix(before, "/")
		if root == "" {
			root = "."
		}
		return below(root, strings.TrimPrefix(after, "/"))
	}
	names, err := filepath.Glob(in)
	if err != nil {
		return nil, wrong("%s is no pattern: %w", in, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no notebook matches %s", in)
	}
	var all []job
	for _, n := range names {
		if info, err := os.Stat(n); err == nil && info.Mode().IsRegular() {
			all = append(all, job{input: n})
		}
	}
	return all, nil
}

// below gives the notebooks in a folder and all below it, but for what Jupyter and others keep in hidden folders.
func below(root, pattern string) ([]job, error) {
	var all []job
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == root {
				return err
			}
			return fs.SkipDir // a folder that cannot be read has no notebooks of this person
		}
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		match, err := filepath.Match(pattern, d.Name())
		if err != nil {
			return wrong("%s is no pattern: %w", pattern, err)
		}
		if rel, inside := filepath.Rel(root, path); match && inside == nil {
			all = append(all, job{input: path, output: rel})
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("no notebook is in %s", root)
	}
	return all, err
}

// target is where a notebook is written to.
func (o *options) target(j *job) string {
	suffix := map[string]string{
		"notebook": ".nbconvert.ipynb", "markdown": ".md", "train": ".program", "serve": "_app.py",
	}[o.to]
	if o.to == "notebook" && (o.from == "percent" || o.from == "markdown" || filepath.Ext(j.input) != ".ipynb") {
		suffix = ".ipynb"
	}
	if suffix == "" {
		suffix = ".py"
	}
	switch {
	case o.explain:
		return ""
	case o.stdout || o.output == "-" || j.input == "-" && o.output == "" && o.outputDir == "" && o.to != "train":
		return "-"
	case o.inplace:
		return j.input
	case o.output != "" && o.to == "script" && filepath.Ext(o.output) == "":
		return o.output + suffix // as jupyter nbconvert does
	case o.output != "":
		return o.output
	}
	inside := j.output
	if inside == "" {
		inside = filepath.Base(j.input)
	}
	if j.input == "-" {
		inside = "notebook"
	}
	dir, base := filepath.Split(inside)
	base = strings.TrimSuffix(base, filepath.Ext(base)) + suffix
	if o.to == "serve" {
		base = importable(strings.TrimSuffix(base, ".py")) + ".py"
	}
	switch {
	case o.outputDir != "":
		return filepath.Join(o.outputDir, dir, base)
	case j.input == "-":
		return base
	}
	return filepath.Join(filepath.Dir(j.input), base)
}

// importable makes a module's name of a file's: gunicorn imports the application.
func importable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			return r
		}
		return '_'
	}, name)
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// differs says whether a file has another content, or is not there.
func differs(name, text string) (bool, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, unwritable(name, err)
	}
	if info.Size() != int64(len(text)) {
		return true, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		data = nil // one that may not be read can still be replaced
	}
	return string(data) != text, nil
}

// unwritable says that a file cannot be written.
func unwritable(name string, err error) error {
	return fmt.Errorf("%s cannot be written: %w. Name another place with -o or --output-dir", name,
		usererror.SystemReason(err))
}
