package requirements

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// Resolve finds what a script needs in the environment of an interpreter, which is started once. Where python is "",
// none is asked: what is known then are names, and the versions that the notebook asks pip for.
func (s *Script) Resolve(ctx context.Context, python string) (*Set, error) {
	w := &work{set: &Set{named: s.Python}, packages: map[string]*Package{}, asked: readAsked(s.Asked)}
	w.set.Notes = w.asked.notes
	w.set.options = w.asked.options
	w.set.indexes = w.asked.indexes
	imports := w.foreign(s)
	if python == "" {
		w.guess(imports)
	} else if err := w.ask(ctx, python, imports); err != nil {
		return nil, err
	}
	w.finish()
	return w.set, nil
}

// work is the state of [Script.Resolve].
type work struct {
	set      *Set
	packages map[string]*Package
	asked    *requests
}

func (w *work) remark(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !slices.Contains(w.set.Notes, note) {
		w.set.Notes = append(w.set.Notes, note)
	}
}

// foreign gives the imports of what neither comes with Python nor along with the script.
func (w *work) foreign(s *Script) []Import {
	var all []Import
	for _, i := range s.Imports {
		top := topOf(i.Module)
		if slicer.IsStandard(top) || top == "__future__" || top == "__main__" || slices.Contains(s.Local, top) {
			continue
		}
		if by := service(i); by != "" {
			w.remark("%s: %s alone has that module", i.place(), by)
			continue
		}
		all = append(all, i)
	}
	return all
}

// place says what asks for a package.
func (i Import) place() string {
	text := "import " + i.Module
	if len(i.Names) > 0 && strings.Contains(i.Module, ".") || len(i.Names) == 1 && namespaces[i.Module] {
		text = "from " + i.Module + " import " + strings.Join(i.Names, ", ")
	}
	if i.Cell > 0 {
		text += fmt.Sprintf(", cell %d", i.Cell)
	}
	if i.Line > 0 {
		text += fmt.Sprintf(", line %d", i.Line)
	}
	if i.Optional {
		text += ", optional"
	}
	return text
}

// direct gives a package that is asked for, and adds the reason.
func (w *work) direct(name, because string) *Package {
	p := w.packages[name]
	if p == nil {
		p = &Package{Name: name}
		w.packages[name] = p
	}
	p.Direct = true
	if !slices.Contains(p.Because, because) {
		p.Because = append(p.Because, because)
	}
	return p
}

// reason is why pip was asked.
func (r request) reason() string {
	by := "pip install"
	if r.from.Kind == Inline {
		by = string(Inline)
	}
	return strings.TrimSuffix(by+", "+r.from.place(), ", ")
}

// request adds what the notebook asks pip for by its own words. Name is that of an address without one.
func (w *work) request(r request, name string) {
	m := requirement.FindStringSubmatch(r.text)
	if m == nil {
		if name == "" {
			name = ofAddress(r.text)
			w.remark("%s is taken for the name of what %s has (%s)", name, r.text, r.reason())
		}
		p := w.direct(name, r.reason())
		p.Source = sourceOf(r.text)
		return
	}
	p := w.direct(distribution.Normalize(m[1]), r.reason())
	w.details(p, r)
	if at, isAddress := strings.CutPrefix(m[3], "@"); isAddress {
		p.Source = sourceOf(strings.TrimSpace(at))
	} else if m[3] != "" {
		p.Specifier = strings.ReplaceAll(strings.TrimRight(m[3], ", "), " ", "")
	}
}

// details takes over the extras that pip is asked for, and the marker, if nothing asks for the package without one.
func (w *work) details(p *Package, r request) {
	m := requirement.FindStringSubmatch(r.text)
	if m == nil {
		return
	}
	if marker := strings.TrimSpace(strings.TrimPrefix(m[4], ";")); marker == "" || len(p.Because) == 1 {
		p.Marker = marker
	}
	for extra := range strings.SplitSeq(strings.Trim(m[2], "[]"), ",") {
		extra = distribution.Normalize(strings.TrimSpace(extra))
		if extra != "" && !slices.Contains(p.Extras, extra) {
			p.Extras = append(p.Extras, extra)
		}
	}
	slices.Sort(p.Extras)
}

var revision = lazyregexp.New(`^(.*/.*[^/])@([^/@]+)$`)

// sourceOf reads an address as it is given to pip.
func sourceOf(text string) *Source {
	base, fragment, _ := strings.Cut(text, "#")
	s := &Source{URL: base}
	if vcs, rest, ok := strings.Cut(base, "+"); ok && source.MatchString(text) {
		s.VCS, s.URL = vcs, rest
		if m := revision.FindStringSubmatch(rest); m != nil {
			s.URL, s.Revision = m[1], m[2]
		}
	}
	for part := range strings.SplitSeq(fragment, "&") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "subdirectory":
			s.Subdirectory = value
		case "sha256":
			s.Hashes = map[string]string{key: value}
		}
	}
	return s
}

// ofAddress guesses the name of what lies at an address: that of the repository or the file.
func ofAddress(text string) string {
	at := strings.TrimSuffix(path.Base(sourceOf(text).URL), ".git")
	at = numbered.ReplaceAllString(archive.ReplaceAllString(at, ""), "")
	name := strings.Trim(distribution.Normalize(unnamed.ReplaceAllString(at, "-")), "-")
	return cmp.Or(name, "unknown")
}

var (
	unnamed  = lazyregexp.New(`[^A-Za-z0-9._-]+`)
	numbered = lazyregexp.New(`-v?\d.*$`)
)

// guess names packages without an interpreter.
func (w *work) guess(imports []Import) {
	for _, r := range w.asked.all {
		w.request(r, "")
	}
	for _, i := range imports {
		w.guessOne(i, "")
	}
}

// guessOne names the package of an import. Where says why no more is known.
func (w *work) guessOne(i Import, where string) {
	because := i.place() + where
	found := guess(i)
	if found == nil {
		w.remark("%s: nothing says which distribution has it", because)
	}
	for _, names := range found {
		name := names[0]
		for _, other := range names {
			if w.packages[other] != nil {
				name = other
				break
			}
		}
		if i.Optional && w.packages[name] == nil {
			w.remark("%s: %s is left out", because, name)
			continue
		}
		w.imported(name, i, where)
	}
}

// imported adds the package of an import, which is needed everywhere if the script does not go on without it.
func (w *work) imported(name string, i Import, where string) {
	if p := w.direct(name, i.place()+where); !i.Optional {
		p.Marker = ""
	}
}

// ask names what an interpreter has.
func (w *work) ask(ctx context.Context, python string, imports []Import) error {
	q := question{Imports: [][2]any{}, Asked: []string{}}
	for _, i := range imports {
		q.Imports = append(q.Imports, [2]any{i.Module, append([]string{}, i.Names...)})
	}
	for _, r := range w.asked.all {
		q.Asked = append(q.Asked, r.text)
	}
	a, err := ask(ctx, python, q)
	if err != nil {
		return err
	}
	w.set.Python, w.set.Implementation, w.set.Platform = a.Python, a.Implementation, a.Platform
	w.set.markers = a.Markers
	there := map[string]*installed{}
	for i := range a.Packages {
		there[a.Packages[i].Name] = &a.Packages[i]
	}
	for i, found := range a.Asked {
		r := w.asked.all[i]
		switch {
		case found.Never:
		case found.Other != "":
			w.request(r, found.Name)
			w.remark("%s %s is installed, and %s (%s): the versions of what it requires are not in here",
				found.Name, found.Other, r.text, r.reason())
		case there[found.Name] == nil:
			w.request(r, found.Name)
			w.remark("%s is not installed (%s)", r.text, r.reason())
		default:
			w.details(w.direct(found.Name, r.reason()), r)
		}
	}
	for i, found := range a.Imports {
		i := imports[i]
		switch {
		case found.Standard:
		case found.Missing:
			w.guessOne(i, ", not installed")
		case found.Unowned:
			w.remark("%s: it is found, and no distribution has it", i.place())
		case len(found.Owners) == 0:
			w.remark("%s: %s have parts of it, and nothing says which are needed", i.place(),
				strings.Join(found.Shared, ", "))
		}
		for _, name := range found.Owners {
			w.imported(name, i, "")
		}
	}
	for i := range a.Packages {
		w.installed(&a.Packages[i])
	}
	w.markers(a.Packages)
	return nil
}

// installed takes over what the interpreter has of a package.
func (w *work) installed(have *installed) {
	p := w.packages[have.Name]
	if p == nil {
		p = &Package{Name: have.Name}
		w.packages[have.Name] = p
	} else if p.Specifier != "" || p.Source != nil {
		return // the notebook installs it in another version
	}
	p.Conda = have.Installer == "conda"
	if python := strings.Join(strings.Fields(have.RequiresPython), ""); specifiers.MatchString(python) {
		p.Python = python
	}
	if distribution.IsVersion(have.Version) {
		p.Version = have.Version
	} else {
		w.remark("%s is installed with the version %q, which no index has", have.Name, have.Version)
	}
	if have.DirectURL != nil && !p.Conda { // conda's are of the machine that built them
		p.Source = have.DirectURL.source()
		if p.Source == nil {
			w.remark("%s was installed from an address that cannot be read", have.Name)
		}
	}
	for _, need := range have.Needs {
		if need.Missing {
			w.remark("%s requires %s, which is not installed", have.Name, need.Name)
		} else if !slices.Contains(p.Needs, need.Name) {
			p.Needs = append(p.Needs, need.Name)
		}
	}
	slices.Sort(p.Needs)
}

var specifiers = lazyregexp.New(`^((===|==|!=|~=|<=|>=|<|>)v?[0-9][0-9A-Za-z.*+!_-]*(,|$))*$`)

var unprintable = lazyregexp.New(`[\s\p{C}]`)

// source gives nil for what no line of a file can name.
func (d *directURL) source() *Source {
	s := &Source{URL: withoutLogin(d.URL), Subdirectory: d.Subdirectory}
	switch {
	case d.VCS != nil:
		s.VCS, s.Commit, s.Revision = d.VCS.VCS, d.VCS.Commit, d.VCS.Revision
	case d.Dir != nil:
		s.Directory, s.Editable = true, d.Dir.Editable
	case d.Archive != nil:
		s.Hashes = d.Archive.Hashes
		if name, digest, ok := strings.Cut(d.Archive.Hash, "="); ok && len(s.Hashes) == 0 {
			s.Hashes = map[string]string{name: digest}
		}
	}
	if s.URL == "" || unprintable.MatchString(s.URL+s.Subdirectory+s.VCS+s.Commit+s.Revision) {
		return nil
	}
	return s
}

// maxAlternatives bounds how many ways of requiring a package are looked at for its marker.
const maxAlternatives = 16

// markers says of each package on which platforms it is needed: a way from the script to it has the markers of all its
// steps, and one of the ways is enough.
func (w *work) markers(all []installed) {
	ways := map[string][][]string{}
	var waiting []string
	reach := func(name string, way []string) {
		known := ways[name]
		for _, other := range known {
			if !slices.ContainsFunc(other, func(m string) bool { return !slices.Contains(way, m) }) {
				return // a way with fewer conditions is known
			}
		}
		known = slices.DeleteFunc(known, func(other []string) bool {
			return !slices.ContainsFunc(way, func(m string) bool { return !slices.Contains(other, m) })
		})
		if len(known) == maxAlternatives {
			known, way = nil, nil
		}
		ways[name] = append(known, way)
		waiting = append(waiting, name)
	}
	there := map[string]*installed{}
	for i := range all {
		there[all[i].Name] = &all[i]
		if p := w.packages[all[i].Name]; p.Direct && p.Marker == "" {
			reach(p.Name, nil)
		} else if p.Direct {
			reach(p.Name, []string{p.Marker})
		}
	}
	for len(waiting) > 0 {
		name := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		for _, need := range there[name].Needs {
			if need.Missing || there[need.Name] == nil {
				continue
			}
			for _, way := range slices.Clone(ways[name]) {
				longer := slices.Clone(way)
				if need.Marker != "" && !unprintable.MatchString(strings.ReplaceAll(need.Marker, " ", "")) &&
					!slices.Contains(longer, need.Marker) {
					longer = append(longer, need.Marker)
				}
				slices.Sort(longer)
				reach(need.Name, longer)
			}
		}
	}
	for name, alternatives := range ways {
		w.packages[name].Marker = joined(alternatives)
	}
}

func joined(alternatives [][]string) string {
	var all []string
	for _, way := range alternatives {
		if len(way) == 0 {
			return ""
		}
		terms := slices.Clone(way)
		for i, term := range terms {
			if len(terms) > 1 && strings.Contains(term, " or ") {
				terms[i] = "(" + term + ")"
			}
		}
		all = append(all, strings.Join(terms, " and "))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " or ")
}

// torch are the packages of which PyTorch has builds in indexes of its own, one for each kind of processor.
// https://pytorch.org/get-started/locally
var torch = lazyregexp.New(`^(torch|torchvision|torchaudio)==[^+]+\+(cpu|cu\d+|rocm[\d.]+|xpu)$`)

// finish sorts the packages, and says where builds are that the public index does not have.
func (w *work) finish() {
	for _, p := range w.packages {
		for _, other := range w.packages {
			if !p.Direct && slices.Contains(other.Needs, p.Name) {
				p.Via = append(p.Via, other.Name)
			}
		}
		slices.Sort(p.Via)
		w.set.Packages = append(w.set.Packages, *p)
	}
	slices.SortFunc(w.set.Packages, func(a, b Package) int {
		if a.Direct != b.Direct {
			if a.Direct {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	for i := range w.set.Packages {
		p := &w.set.Packages[i]
		for _, known := range w.set.indexes {
			if slices.Contains(known.names, p.Name) {
				p.index = known.url
			}
		}
		if p.Source != nil || !strings.Contains(p.Version, "+") || p.index != "" {
			continue
		}
		if m := torch.FindStringSubmatch(p.Name + "==" + p.Version); m != nil {
			p.index = "https://download.pytorch.org/whl/" + m[2]
			w.set.indexes = append(w.set.indexes, index{p.index, []string{p.Name}})
			w.asked.options = w.set.options
			w.asked.keep("--extra-index-url " + p.index)
			w.set.options = w.asked.options
			continue
		}
		w.remark("%s %s is a build that the public index does not have: name the index that has it", p.Name, p.Version)
	}
}
