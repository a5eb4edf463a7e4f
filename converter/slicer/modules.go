package slicer

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
)

// maxModules bounds how many local modules come along.
const maxModules = 5000

// maxModuleBytes bounds the source of a local module that is read for its imports.
const maxModuleBytes = 8 << 20

// packages finds what the program imports: names of installed modules, and local modules that must come along.
func (w *work) packages() error {
	p := newPacker(w)
	for _, s := range w.stmts {
		if _, ok := w.kept[s]; !ok {
			continue
		}
		p.addAll(s.e.imports)
	}
	for _, g := range w.generated {
		p.addAll(g.imp)
	}
	for name := range p.imports {
		w.out.Imports = append(w.out.Imports, name)
	}
	slices.Sort(w.out.Imports)
	for _, m := range p.files {
		w.out.Modules = append(w.out.Modules, m)
	}
	slices.SortFunc(w.out.Modules, func(a, b session.Module) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range w.out.Modules {
		info, err := os.Stat(m.File)
		if err == nil && m.Modified > 0 && float64(info.ModTime().UnixNano())/1e9 > m.Modified+1 {
			w.note(NoteModuleNewer, 0, 0, "Restart the kernel, or reload the module, to run the same code here.",
				"%s was changed after it was imported; the program takes the file as it is now", filepath.Base(m.File))
		}
	}
	return nil
}

// roots are the folders in which local modules are searched for: the session's own, and those of its path outside the
// interpreter's.
func (w *work) roots() []string {
	var out []string
	add := func(dir string) {
		if dir != "" && filepath.IsAbs(dir) && !slices.Contains(out, filepath.Clean(dir)) {
			out = append(out, filepath.Clean(dir))
		}
	}
	add(w.doc.Cwd)
	if w.doc.Source != "" {
		if abs, err := filepath.Abs(w.doc.Source); err == nil {
			add(filepath.Dir(abs))
		}
	}
	prefix := w.doc.Interpreter.Prefix
	for _, dir := range w.doc.Path {
		if dir == "" {
			add(w.doc.Cwd)
			continue
		}
		clean := filepath.Clean(dir)
		inside := prefix != "" && (clean == prefix || strings.HasPrefix(clean,
			filepath.Clean(prefix)+string(filepath.Separator))) && strings.Contains(clean, "python")
		if inside || strings.Contains(clean, "site-packages") || strings.Contains(clean, "dist-packages") ||
			strings.HasSuffix(clean, ".zip") ||
			strings.Contains(clean, "/lib/python") || strings.Contains(clean, "lib-dynload") {
			continue
		}
		add(dir)
	}
	return out
}

// finder finds local modules, and remembers what it found.
type finder struct {
	w     *work
	known map[string]session.Module // by the session
	roots []string
	tops  map[string]bool            // of top-level modules: whether they are local
	found map[string]*session.Module // nil: there is none
	codes map[string]*moduleCode     // nil: it cannot be read
}

func (w *work) finder() *finder {
	if w.find == nil {
		w.find = &finder{
			w: w, known: map[string]session.Module{}, roots: w.roots(), tops: map[string]bool{},
			found: map[string]*session.Module{}, codes: map[string]*moduleCode{},
		}
		for _, m := range w.doc.Modules {
			if filepath.IsAbs(m.File) { // a module that was made by code may say anything
				w.find.known[m.Name] = m
			}
		}
		maps.Copy(w.find.known, w.writtenModules())
	}
	return w.find
}

// packer collects what the program imports.
type packer struct {
	*finder
	files   map[string]session.Module // that come along
	imports map[string]bool           // top-level modules that are not local
}

func newPacker(w *work) *packer {
	return &packer{finder: w.finder(), files: map[string]session.Module{}, imports: map[string]bool{}}
}

func (p *packer) addAll(imports []imported) {
	for _, imp := range imports {
		p.add(imp, "")
	}
}

// add follows an import that is written in the module `from` ("" is the program itself).
func (p *packer) add(imp imported, from string) {
	module := imp.module
	if strings.HasPrefix(module, ".") {
		module = p.absolute(module, from)
		if module == "" {
			return
		}
	}
	top := topOf(module)
	if top == "" || top == "__future__" || top == "metaml" || top == "__main__" {
		return
	}
	if !p.local(top) {
		p.imports[top] = true
		return
	}
	parts := strings.Split(module, ".")
	for i := range parts {
		p.take(strings.Join(parts[:i+1], "."))
	}
	if imp.name != "" && imp.name != "*" {
		p.take(module + "." + imp.name)
	}
}

// IsStandard says that a module comes with Python.
func IsStandard(module string) bool {
	return standard.has(topOf(module)) || builtinModules[topOf(module)]
}

func topOf(module string) string {
	top, _, _ := strings.Cut(module, ".")
	return top
}

// absolute resolves the dots in front of a module's name.
func (p *finder) absolute(module, from string) string {
	dots := len(module) - len(strings.TrimLeft(module, "."))
	parts := strings.Split(from, ".")
	if m := p.module(from); m != nil && m.Package {
		dots--
	}
	if from == "" || dots >= len(parts) && dots > 0 {
		return ""
	}
	parts = parts[:len(parts)-dots]
	if rest := strings.TrimLeft(module, "."); rest != "" {
		parts = append(parts, rest)
	}
	return strings.Join(parts, ".")
}

// local says that a top-level module is the user's own code.
func (p *finder) local(top string) bool {
	is, ok := p.tops[top]
	if !ok {
		is = p.isLocal(top)
		p.tops[top] = is
	}
	return is
}

func (p *finder) isLocal(top string) bool {
	if standard.has(top) || builtinModules[top] {
		_, ok := p.known[top]
		return ok
	}
	if m := p.module(top); m != nil && m.Package && isCompiled(filepath.Dir(m.File)) {
		return false
	}
	if _, ok := p.known[top]; ok {
		return true
	}
	for name := range p.known {
		if strings.HasPrefix(name, top+".") {
			return true // a namespace package
		}
	}
	_, ok := p.search(top)
	if ok {
		return true
	}
	for _, r := range p.roots { // a namespace package: a folder of modules
		if matches, err := filepath.Glob(filepath.Join(r, top, "*.py")); err == nil && len(matches) > 0 &&
			isIdentifier(top) {
			return true
		}
	}
	return false
}

// maxEntries bounds how much of a package's folder is looked at.
const maxEntries = 5000

// isCompiled says that a package has extension modules, as one that was installed from a clone (pip install -e). Its
// sources alone could not be imported.
func isCompiled(folder string) bool {
	compiled, entries := false, 0
	_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if entries++; err != nil || entries > maxEntries {
			return fs.SkipAll
		}
		name := d.Name()
		if !d.IsDir() && (strings.HasSuffix(name, ".pyd") || strings.HasSuffix(name, ".so") &&
			(strings.Contains(name, ".cpython-") || strings.Contains(name, ".abi3."))) {
			compiled = true
			return fs.SkipAll
		}
		return nil
	})
	return compiled
}

var builtinModules = map[string]bool{"builtins": true, "sys": true}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
		digit := c >= '0' && c <= '9'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return s != ""
}

// search finds the file of a module in the folders.
func (p *finder) search(name string) (session.Module, bool) {
	parts := strings.Split(name, ".")
	for _, part := range parts {
		if !isIdentifier(part) {
			return session.Module{}, false
		}
	}
	rel := filepath.Join(parts...)
	for _, r := range p.roots {
		for _, c := range []struct {
			file string
			pkg  bool
		}{{filepath.Join(r, rel, "__init__.py"), true}, {filepath.Join(r, rel+".py"), false}} {
			if info, err := os.Stat(c.file); err == nil && info.Mode().IsRegular() {
				if p.w.doc.Source != "" && sameFile(c.file, p.w.doc.Source) {
					continue
				}
				return session.Module{Name: name, File: c.file, Package: c.pkg}, true
			}
		}
	}
	return session.Module{}, false
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// module finds a local module; nil if there is none.
func (p *finder) module(name string) *session.Module {
	if m, ok := p.found[name]; ok {
		return m
	}
	p.found[name] = nil
	m, ok := p.known[name]
	if !ok {
		if m, ok = p.search(name); !ok {
			m, ok = p.beside(name)
		}
	}
	if ok {
		p.found[name] = &m
	}
	return p.found[name]
}

// code reads a local module, once; nil if it is none, or cannot be read.
func (p *finder) code(name string) *moduleCode {
	if c, ok := p.codes[name]; ok {
		return c
	}
	p.codes[name] = nil
	m := p.module(name)
	if m == nil || !strings.HasSuffix(m.File, ".py") {
		return nil
	}
	if m.Source == nil {
		if info, err := os.Stat(m.File); err != nil || info.Size() > maxModuleBytes {
			return nil
		}
	}
	src, err := m.Code()
	if err != nil {
		return nil
	}
	tree, err := syntax.Parse(string(src))
	if err != nil {
		return nil
	}
	p.codes[name] = codeOfModule(name, tree)
	return p.codes[name]
}

// localCode is the code of a module if it is local.
func (w *work) localCode(name string) *moduleCode {
	if name == "" || !w.finder().local(topOf(name)) {
		return nil
	}
	return w.finder().code(name)
}

// take brings a module along, and follows what it imports.
func (p *packer) take(name string) {
	if _, ok := p.files[name]; ok || len(p.files) >= maxModules {
		return
	}
	m := p.module(name)
	if m == nil || !strings.HasSuffix(m.File, ".py") {
		return
	}
	p.files[name] = *m
	code := p.code(name)
	if code == nil {
		return
	}
	code.root.Walk(func(n *syntax.Node) bool {
		switch n.Kind {
		case "import_statement", "import_from_statement":
			for _, b := range importBinds(n) {
				p.add(*b.imp, name)
			}
			if n.Of("wildcard_import") != nil {
				if mod := n.Child("module_name"); mod != nil {
					p.add(imported{module: strings.Join(strings.Fields(mod.Text()), ""), name: "*"}, name)
				}
			}
			return false
		case "expression_statement":
			return !strings.HasPrefix(n.Text(), `"""`)
		}
		return true
	})
}

// beside finds a submodule next to its package's file.
func (p *finder) beside(name string) (session.Module, bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return session.Module{}, false
	}
	parent := p.module(name[:i])
	if parent == nil || !parent.Package {
		return session.Module{}, false
	}
	dir := filepath.Join(filepath.Dir(parent.File), name[i+1:])
	if info, err := os.Stat(filepath.Join(dir, "__init__.py")); err == nil && info.Mode().IsRegular() {
		return session.Module{Name: name, File: filepath.Join(dir, "__init__.py"), Package: true}, true
	}
	if info, err := os.Stat(dir + ".py"); err == nil && info.Mode().IsRegular() {
		return session.Module{Name: name, File: dir + ".py"}, true
	}
	return session.Module{}, false
}
