package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/metaml/metaml/internal/atomicfile"
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
	named := map[string]bool{}
	for _, in := range o.inputs {
		found, err := expand(in)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if name := filepath.Clean(f.input); !named[name] {
				named[name] = true
				all = append(all, f)
			}
		}
	}
	all = o.sources(all)
	o.several = len(all) > 1
	if o.several {
		if o.output != "" {
			return nil, wrong("-o is for one notebook, and there are %d: use --output-dir", len(all))
		}
		if o.stdout || o.sourceMap != "" || o.explain {
			return nil, wrong("--stdout, --source-map and --explain are for one notebook, and there are %d", len(all))
		}
	}
	return o.distinct(all)
}

// distinct gives the notebooks their outputs. One that has two names is left with the first; what would be overwritten
// by another one is refused.
func (o *options) distinct(all []job) ([]job, error) {
	where := places{}
	readers := map[string]bool{} // where the notebooks are
	for _, j := range all {
		readers[where.leadsTo(j.input)] = true
	}
	writers, kept := map[string]job{}, all[:0]
	for _, j := range all {
		j.output = o.target(&j)
		if other, ok := writers[where.leadsTo(j.output)]; ok && where.leadsTo(other.input) == where.leadsTo(j.input) {
			continue
		}
		info, err := os.Stat(j.output)
		there := err == nil && j.output != "-"
		if there && info.IsDir() && o.to != "train" {
			return nil, fmt.Errorf("%s is a folder: write into it with --output-dir", j.output)
		}
		if there && !o.inplace && same(j.output, j.input) {
			return nil, fmt.Errorf("%s: the script would replace its own source; name another file with -o", j.input)
		}
		for _, name := range o.outputs(&j) {
			key := where.leadsTo(name)
			other, taken := writers[key]
			switch {
			case taken && other.input == j.input:
				return nil, wrong("%s would be written twice: once as the script, and once beside it", name)
			case taken:
				return nil, fmt.Errorf("%s and %s would both be written to %s: convert them one by one with -o",
					other.input, j.input, name)
			case readers[key] && (!o.inplace || name != j.output):
				return nil, fmt.Errorf("%s is to be converted, and would be replaced by what is made of %s: write "+
					"that to another place with -o or --output-dir", name, j.input)
			}
			writers[key] = j
		}
		kept = append(kept, j)
	}
	return kept, nil
}

// outputs are the files that a job writes.
func (o *options) outputs(j *job) []string {
	var all []string
	if j.output != "-" && j.output != "" && !special(j.output) {
		all = append(all, j.output)
	}
	if o.requirements {
		all = append(all, needNames(o, *j)...)
	}
	if o.sourceMap != "" && !special(o.sourceMap) {
		all = append(all, o.sourceMap)
	}
	return all
}

// sources leaves out what --to notebook has made before of another of these notebooks.
func (o *options) sources(all []job) []job {
	if o.to != "notebook" || o.inplace {
		return all
	}
	where, made := places{}, map[string]bool{}
	for i := range all {
		made[where.leadsTo(o.target(&all[i]))] = true
	}
	return slices.DeleteFunc(all, func(j job) bool {
		return strings.HasSuffix(j.input, ".nbconvert.ipynb") && made[where.leadsTo(j.input)]
	})
}

// places are where folders lead to, each looked up once.
type places map[string]string

// leadsTo is where a path leads to: absolute, and links followed as far as there are files.
func (p places) leadsTo(path string) string {
	dir := filepath.Dir(path)
	if dir == path || isLink(path) {
		full, err := filepath.Abs(path)
		if err != nil {
			return path // the folder of this process is gone; what is opened there fails
		}
		if led, err := filepath.EvalSymlinks(full); err == nil || dir == path {
			return cmp.Or(led, full)
		}
	}
	led, ok := p[dir]
	if !ok {
		led = p.leadsTo(dir)
		p[dir] = led
	}
	return filepath.Join(led, filepath.Base(path))
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// special says that a path leads to a device, a pipe or what this process has open, which are written to and not
// replaced.
func special(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (!info.Mode().IsRegular() || strings.HasPrefix(path, "/dev/"))
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
	before, after, deep := strings.Cut(in, "**")
	if deep {
		after = strings.TrimPrefix(after, "/")
	} else {
		before = in
	}
	if before == "" {
		before = "."
	}
	names, err := filepath.Glob(filepath.Clean(before))
	if err != nil {
		return nil, wrong("%s is no pattern: %w", in, err)
	}
	var all []job
	for _, n := range names {
		info, err := os.Stat(n)
		switch {
		case err == nil && info.IsDir():
			pattern := "*.ipynb"
			if deep && after != "" {
				pattern = after
			}
			found, err := find(n, pattern)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		case !deep && (err != nil || info.Mode().IsRegular()):
			all = append(all, job{input: n})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no notebook matches %s", in)
	}
	return all, nil
}

// below gives the notebooks of a folder, which must have one.
func below(root, pattern string) ([]job, error) {
	all, err := find(root, pattern)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("no notebook is in %s", root)
	}
	return all, err
}

// find gives the files in a folder and all below it whose last names match a pattern, but for what Jupyter and others
// keep in hidden folders.
func find(root, pattern string) ([]job, error) {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, wrong("%s is no pattern: %w", pattern, err)
	}
	top := strings.TrimSuffix(root, "/") + "/" // a link is followed
	var all []job
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == top {
				return fmt.Errorf("%s cannot be read: %w", root, usererror.SystemReason(err))
			}
			return fs.SkipDir // a folder that cannot be read has no notebooks of this person
		}
		if d.IsDir() {
			if path != top && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		inside, err := filepath.Rel(root, path)
		if err != nil || !matches(pattern, inside) || special(path) {
			return nil //nolint:nilerr // all paths of a walk are below its root
		}
		all = append(all, job{input: path, output: inside})
		return nil
	})
	return all, err
}

// matches says whether the last names of a path match a pattern of as many.
func matches(pattern, path string) bool {
	names := strings.Split(path, "/")
	n := strings.Count(pattern, "/") + 1
	if len(names) < n {
		return false
	}
	ok, err := filepath.Match(pattern, strings.Join(names[len(names)-n:], "/"))
	return ok && err == nil
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
	case o.output != "" && o.to == "script" && filepath.Ext(o.output) == "" && !special(o.output):
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
	if special(name) {
		return true, nil
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

// writing is held by whoever writes a file. main takes it for good when it is interrupted, so that nothing is left
// half-written.
var writing sync.RWMutex

// write puts a text into a file, whole or not at all, with the mode that the old one had. A link stays, and a device or
// a pipe is written to.
func write(name string, data []byte) error {
	writing.RLock()
	defer writing.RUnlock()
	if special(name) {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if isLink(name) {
		led, err := filepath.EvalSymlinks(name)
		if err == nil {
			name = led
		}
	}
	return atomicfile.WriteUnsynced(name, data, mode)
}

// unwritable says that a file cannot be written.
func unwritable(name string, err error) error {
	return fmt.Errorf("%s cannot be written: %w. Name another place with -o or --output-dir", name,
		usererror.SystemReason(err))
}
