package program

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/slicer"
	"github.com/metaml/metaml/converter/syntax"
	"github.com/metaml/metaml/internal/usererror"
)

const cut = "\n---\n"

// FuzzProgram slices cells of any kind: no panic, and a program that parses when its cells do.
func FuzzProgram(f *testing.F) {
	for seed := range 20 {
		g := &random{
			r: rand.New(rand.NewPCG(uint64(seed), 9)), names: []string{"a", "b", "c"}, live: map[string]string{},
		}
		f.Add(strings.Join(g.notebook(), cut), uint8(0))
	}
	for _, s := range []string{
		"%%time\nx = !ls\n---\ndef f[T: int](a, /, *b: T, c=1, **d) -> x: return a",
		"class A(B := C): pass\n---\ndef f(): return A",
		"match x:\n case {'a': [*b, 1 | 2 as c], **d}: pass\n---\ndef f(): return b",
		"async with a as (b, c): d = await e\n---\nasync def f(): yield d",
		"type A[T] = B\nwith a as b.c, d as e[0]: pass\n---\ndef f(): return A, e",
		"del (a, b[0]), c\nfor a.b in c: pass\nelse: d = 1\n---\ndef f(): return d",
		"f'{a!r:>{b}}' f\"{f'{c}'}\"\n---\nx: int\ndef f(): return c",
		"a = b = c = 1; d += 1; (e := 2)\n---\ndef f(): global a; a = lambda x, *y: [z for z in a if (w := z)]",
		"print 'a'\n---\ndef f(): exec 'x'",
		"@a.b(c)\n@d\nclass X: \n  def f(self): return __class__\n---\ndef f(): return X",
		"try: a\nexcept* B as c: pass\nfinally: d = 1\n---\ndef f(): return d",
		"from . import a\nfrom .b import *\nimport c.d as e, f.g\n---\ndef f(): return e, a, zz",
		"def f():\n\treturn 1\n---\n\n  def f(): pass", "x = '''\n# no\n\n  '''  # yes\n---\ndef f(): return x # \\\n",
		"\\\n---\ndef f(): '",
	} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(2))
	}
	f.Fuzz(func(t *testing.T, src string, kind uint8) {
		if len(src) > 1<<16 {
			return
		}
		ok := true
		doc := &session.Document{V: 1, Kind: []session.Kind{session.Live, session.Saved, session.Script}[kind%3]}
		parses := true
		for i, c := range strings.Split(src, cut) {
			cell := session.Cell{Seq: i + 1, Source: c}
			if doc.Kind == session.Live {
				cell.OK = &ok
			}
			doc.Cells = append(doc.Cells, cell)
		}
		s, err := slicer.Of(context.Background(), doc, slicer.Options{})
		if err != nil {
			if _, ok := errors.AsType[*usererror.Error](err); !ok {
				t.Fatalf("%v is no mistake of a user", err)
			}
			return
		}
		p, err := Make(s, Train)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Explain() + s.Summary() + Script(s)
		for _, st := range s.Statements {
			tree, err := syntax.Parse(st.Text)
			parses = parses && err == nil && tree.ErrorAt == 0
		}
		tree, err := syntax.Parse(p.Main())
		if parses && (err != nil || tree.ErrorAt != 0) {
			t.Errorf("line %d of the program does not parse (%v):\n%s", tree.ErrorAt, err, p.Main())
		}
		lines := strings.Count(p.Main(), "\n")
		for _, m := range p.Map {
			if m.Script < 1 || m.Script > lines || m.Line < 1 {
				t.Errorf("the map names line %d of %d, line %d of its cell", m.Script, lines, m.Line)
			}
		}
	})
}
