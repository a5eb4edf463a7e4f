package slicer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/converter/token"
	"github.com/metaml/metaml/internal/prose"
	"github.com/metaml/metaml/internal/usererror"
)

// maxDefinitions bounds the training program that is read, in bytes.
const maxDefinitions = 16 << 20

// pickled is who needs a definition that is in for its own sake.
const pickled = "the model's pickles"

// ByPickles is why such a definition is in.
const ByPickles = "needed by " + pickled

// definitions brings along what a pickle of the training program may name: its classes with all that they need, and
// those of its functions that it passes on as values and that need nothing but definitions, imports and constants.
func (w *work) definitions() error {
	if w.o.Definitions == "" {
		return nil
	}
	in, err := w.openDefinitions()
	if c, ok := errors.AsType[*usererror.Error](err); ok {
		// The server may well do without.
		w.note(NoteDefinitions, 0, 0, c.Hint, "the classes of the training program do not come along: %s", c.Text)
		return nil
	}
	if err != nil {
		return err
	}
	in.takeClasses()
	in.takeFunctions()
	if len(in.kept) > 0 {
		in.future()
	}
	for _, name := range slices.Sorted(maps.Keys(in.unresolved)) {
		in.settle(in.unresolved[name]) // import *
	}
	if err := in.random(); err != nil {
		return err
	}
	w.warnOfChanges(in)
	w.merge(in)
	return w.bring(in)
}

// openDefinitions interprets the training program. Names of the server's own statements are not searched for in it.
func (w *work) openDefinitions() (*work, error) {
	main := filepath.Join(w.o.Definitions, "main.py")
	if _, err := os.Lstat(w.o.Definitions); errors.Is(err, fs.ErrNotExist) {
		return nil, usererror.New(usererror.CodeModel, "its code is not on this machine").
			With("A model whose pickle names classes of the training needs them: define them in the server's own code.")
	}
	src, err := readBounded(main, maxDefinitions)
	if err != nil {
		return nil, fmt.Errorf("read the training program: %w", err)
	}
	doc, err := session.FromScript(src, main)
	if err != nil {
		return nil, fmt.Errorf("read the training program: %w", err)
	}
	ran := true
	doc.Cells[0].OK = &ran // it is Python even where the parser does not know it yet
	in := &work{ctx: w.ctx, doc: doc, out: &Slice{counts: map[int]int{}}}
	for i := range w.out.Statements {
		in.o.Ignore = append(in.o.Ignore, w.out.Statements[i].Defines...)
	}
	var manifest struct {
		Entry string `json:"entry"`
	}
	if data, err := readBounded(filepath.Join(w.o.Definitions, "program.json"), maxDefinitions); err == nil {
		_ = json.Unmarshal(data, &manifest) // without a name the entry is a function like others
	}
	in.out.Entry.Name = manifest.Entry
	for _, step := range []func() error{in.readCells, in.chooseCell, in.exports, in.flow} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	in.begin()
	in.out.Notes = nil
	for _, s := range in.stmts {
		switch {
		case s.node == nil:
			in.note(NoteDefinitions, 0, 0, "",
				"the classes from line %d of the training program on do not come along: its Python is too new to be "+
					"read", s.line)
		case len(s.modules) > 0 && len(s.e.binds) == 0:
			s.skip = true // seeds and the like are the training's own
		}
	}
	return in, nil
}

func readBounded(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > most:
		return nil, fmt.Errorf("%s is no file of less than %s", name, size(most))
	}
	return os.ReadFile(name)
}

// nameable gives the values of the top level that a pickle can name, of one kind, in the order in which they were made.
func (w *work) nameable(kind func(*value) bool) []*value {
	var out []*value
	for _, s := range w.stmts {
		for _, v := range s.binds {
			alive, _ := w.at(v.name, len(w.stmts))
			if !s.skip && s.node != nil && slices.Contains(alive, v) && kind(v) &&
				!strings.HasPrefix(v.name, "_metaml_") && !w.given(v.name, s.time) {
				out = append(out, v)
			}
		}
	}
	return out
}

// takeClasses takes every class, with whatever it needs.
func (w *work) takeClasses() {
	classes := w.nameable(func(v *value) bool {
		return v.bind.def != nil && v.bind.def.Kind == "class_definition" || w.makesClass(v)
	})
	for _, v := range classes {
		before := maps.Clone(w.kept)
		w.need(v, len(w.stmts), pickled)
		var heavy []string
		for _, s := range w.stmts {
			if _, had := before[s]; had || w.kept[s] == nil || w.light(s) {
				continue
			}
			if n := s.name(); len(s.e.binds) > 0 && !slices.Contains(heavy, n) {
				heavy = append(heavy, n)
			}
		}
		if len(heavy) > 0 {
			w.note(NoteDefinitions, 0, 0, "Give the class what it needs as an argument.",
				"the model's class %s uses %s of the training program, so the server makes that "+
					"too", v.name, prose.List(heavy))
		}
	}
}

// makesClass recognises a class that is made by a call: Point = namedtuple("Point", "x y").
func (w *work) makesClass(v *value) bool {
	if v.stmt.node.Kind != "expression_statement" || len(v.stmt.node.Children) != 1 {
		return false
	}
	a := v.stmt.node.Children[0]
	if a.Kind != "assignment" || a.Child("right") == nil || a.Child("right").Kind != "call" {
		return false
	}
	switch w.dotted(a.Child("right").Child("function"), v.stmt.time) {
	case "collections.namedtuple", "typing.NamedTuple", "typing.TypedDict", "typing.NewType",
		"dataclasses.make_dataclass", "enum.Enum", "enum.IntEnum", "enum.Flag", "enum.StrEnum":
		return true
	}
	return a.Child("right").Child("function").Text() == "type"
}

// takeFunctions takes the functions but the entry, where all that they need is cheap to make. One that is only called
// is in no pickle.
func (w *work) takeFunctions() {
	passed := w.mentionedAsValues()
	for _, v := range w.nameable(func(v *value) bool {
		return v.bind.fn != nil && v.name != w.out.Entry.Name && passed[v.name]
	}) {
		kept, demanded, unresolved := maps.Clone(w.kept), maps.Clone(w.demanded), maps.Clone(w.unresolved)
		w.need(v, len(w.stmts), pickled)
		for _, s := range w.stmts {
			if _, had := kept[s]; !had && w.kept[s] != nil && !w.light(s) {
				w.kept, w.demanded, w.unresolved = kept, demanded, unresolved
				break
			}
		}
	}
}

// mentionedAsValues gives the names that the program mentions otherwise than to call them: FunctionTransformer(scale).
func (w *work) mentionedAsValues() map[string]bool {
	out := map[string]bool{}
	for _, s := range w.stmts {
		if s.skip || s.node == nil {
			continue
		}
		s.node.Walk(func(n *syntax.Node) bool {
			for _, c := range n.Children {
				called := n.Kind == "call" && c.Field == "function"
				named := c.Field == "name" || c.Field == "attribute" // of a definition, of an argument
				if c.Kind == "identifier" && !called && !named {
					out[c.Text()] = true
				}
			}
			return true
		})
	}
	return out
}

// light says that a statement only defines, imports or names a constant.
func (w *work) light(s *stmt) bool {
	if s.node == nil {
		return false
	}
	light := true
	s.node.Walk(func(n *syntax.Node) bool {
		switch n.Kind {
		case "function_definition", "class_definition", "lambda", "decorator":
			return false
		case "for_statement", "while_statement", "with_statement", "await", "list_comprehension", "set_comprehension",
			"dictionary_comprehension", "generator_expression":
			light = false
		case "call":
			light = light && w.lightCall(n, s.time)
		}
		return light
	})
	return light
}

// lightModules have functions and classes that compute nothing to speak of.
var lightModules = words(`
	abc argparse collections contextvars dataclasses datetime decimal enum fractions functools logging math operator
	pathlib re string threading types typing typing_extensions
`)

func (w *work) lightCall(n *syntax.Node, time int) bool {
	f := n.Child("function")
	if f == nil {
		return false
	}
	if f.Kind == "identifier" {
		switch f.Text() {
		case "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "len", "list", "max", "min", "object",
			"range", "round", "set", "str", "tuple", "type":
			return true
		}
	}
	return lightModules.has(topOf(w.dotted(f, time)))
}

// warnOfChanges names what the server defines in another way than the training program.
func (w *work) warnOfChanges(in *work) {
	var changed []string
	for name := range in.passed {
		vs, _ := in.at(name, len(in.stmts))
		var own []*Statement
		for i := range w.out.Statements {
			if slices.Contains(w.out.Statements[i].Defines, name) {
				own = append(own, &w.out.Statements[i])
			}
		}
		if len(vs) == 1 && vs[0].stmt != nil && !isImport(vs[0]) && len(own) == 1 &&
			!sameCode(vs[0].stmt.text, own[0].Text) {
			changed = append(changed, name)
		}
	}
	if len(changed) > 0 {
		slices.Sort(changed)
		w.note(NoteDefinitions, 0, 0, "", "%s changed since the training; the server takes what the notebook has now",
			prose.List(changed))
	}
}

// sameCode compares code word by word, without comments and blank lines.
func sameCode(a, b string) bool {
	x, y := codeWords(a), codeWords(b)
	return slices.Equal(x, y)
}

func codeWords(code string) []string {
	var out []string
	sc := token.NewScanner(code, 0)
	for {
		tok, ok := sc.Next()
		if !ok {
			return out
		}
		if text := strings.TrimSpace(code[tok.Start:tok.End]); tok.Kind != token.Comment && text != "" {
			out = append(out, text)
		}
	}
}

// merge puts the definitions before the server's own statements; but after its imports, and after a statement that
// makes what one reads at once, such as its base class.
func (w *work) merge(in *work) {
	own := w.out.Statements
	lead := 0
	for lead < len(own) && importing(own[lead].Text) {
		lead++
	}
	places := map[string]int{} // name → index in own behind which it is there
	for i, st := range own {
		for _, n := range st.Defines {
			if _, ok := places[n]; !ok || !importing(st.Text) {
				places[n] = i + 1
			}
		}
	}
	type placed struct {
		st Statement
		at int
	}
	var brought []placed
	for _, s := range in.stmts {
		if in.kept[s] == nil || len(s.e.binds) == 0 && slices.ContainsFunc(s.e.uses, func(u use) bool {
			return in.passed[u.name] && !importing(s.text)
		}) {
			continue // the second: it changes what is the server's own
		}
		p := placed{st: in.statement(s), at: lead}
		for _, name := range in.readsNow(s) {
			p.at = max(p.at, places[name])
		}
		if importing(p.st.Text) {
			p.at = 0
		}
		for _, name := range p.st.Defines {
			places[name] = max(places[name], p.at)
		}
		p.st.Cell, p.st.Origin = 0, "model"
		brought = append(brought, p)
	}
	slices.SortStableFunc(brought, func(a, b placed) int { return a.at - b.at })
	w.out.Statements = nil
	for i := 0; i <= len(own); i++ {
		for ; len(brought) > 0 && brought[0].at <= i; brought = brought[1:] {
			w.out.Statements = append(w.out.Statements, brought[0].st)
		}
		if i < len(own) {
			w.out.Statements = append(w.out.Statements, own[i])
		}
	}
}

func importing(code string) bool {
	return strings.HasPrefix(code, "import ") || strings.HasPrefix(code, "from ")
}

// readsNow gives the names that a statement reads when it is executed, and those that the functions of the program read
// which it may call then.
func (w *work) readsNow(s *stmt) []string {
	seen := map[string]bool{}
	var visit func(s *stmt, late bool)
	visit = func(s *stmt, late bool) {
		uses := s.e.uses
		if late {
			uses = append(slices.Clone(uses), s.e.late...)
		}
		for _, u := range uses {
			if seen[u.name] {
				continue
			}
			seen[u.name] = true
			if vs, _ := w.at(u.name, len(w.stmts)); late {
				for _, v := range vs {
					if v.stmt != nil {
						visit(v.stmt, true)
					}
				}
			}
		}
	}
	visit(s, len(s.e.calls) > 0)
	return sorted(seen)
}

// bring adds what belongs to the definitions: the modules that they import and the values that they read. All local
// modules of the training program come along, since a pickle may name their classes too.
func (w *work) bring(in *work) error {
	p := newPacker(in)
	for _, s := range in.stmts {
		for _, imp := range s.e.imports {
			if in.kept[s] != nil || p.local(topOf(imp.module)) {
				p.add(imp, "")
			}
		}
		if in.kept[s] == nil {
			continue
		}
		in.usesOutput(s)
		for _, b := range s.e.binds {
			file := filepath.Join(w.o.Definitions, "with", b.name+".pickle")
			if _, err := os.Stat(file); err == nil && s.node.Kind == "with_statement" {
				if w.out.Carried == nil {
					w.out.Carried = map[string]string{}
				}
				w.out.Carried[b.name] = file
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read the training program: %w", err)
			}
		}
	}
	for _, m := range p.files {
		if !slices.ContainsFunc(w.out.Modules, func(o session.Module) bool { return o.Name == m.Name }) {
			w.out.Modules = append(w.out.Modules, m)
		}
	}
	slices.SortFunc(w.out.Modules, func(a, b session.Module) int { return strings.Compare(a.Name, b.Name) })
	w.out.Imports = union(w.out.Imports, sorted(p.imports))
	w.out.Reseed = union(w.out.Reseed, in.out.Reseed)
	w.out.UsesOutput = w.out.UsesOutput || in.out.UsesOutput
	w.out.Notes = append(w.out.Notes, in.out.Notes...)
	return nil
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
