package slicer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

func of(t *testing.T, doc *session.Document, o Options) *Slice {
	t.Helper()
	s, err := Of(context.Background(), doc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func notes(s *Slice) string {
	var out []string
	for _, n := range s.Notes {
		out = append(out, n.Text)
	}
	return strings.Join(out, "\n")
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestFailedCellCountsUpToTheFailingLine(t *testing.T) {
	doc := live("x = 1\ny = 1 / 0\nx = 3\n---\ndef f(): return x")
	no := false
	doc.Cells[0].OK, doc.Cells[0].FailedLine = &no, 2
	wantText(t, texts(of(t, doc, Options{})), "x = 1\ndef f(): return x")

	doc = live("x = 1\ny = 1 / 0\nz = 3\n---\ndef f(): return z")
	doc.Cells[0].OK, doc.Cells[0].FailedLine = &no, 2
	wantText(t, complain(t, doc, Options{}).Error(),
		"f uses `z` (cell 2, line 1), which is not defined in this session: cell 1 failed before it was defined\nRun "+
			"that cell again.")
}

func TestSyntaxErrorOfAnEarlierCellIsNobodysBusiness(t *testing.T) {
	doc := live("x = 1\n---\nx = = 3\n---\ndef f(): return x")
	no := false
	doc.Cells[1].OK = &no
	wantText(t, texts(of(t, doc, Options{})), "x = 1\ndef f(): return x")
}

func TestNestedReportsAreNotReplayed(t *testing.T) {
	doc := live("%%capture\nx = []\nx.append(1)\n---\nx = []\nx.append(1)\n---\ndef f(): return x")
	doc.Cells[1].Parent = 1
	wantText(t, texts(of(t, doc, Options{})), "x = []\nx.append(1)\ndef f(): return x")
}

func TestFilesRunByTheMagicCount(t *testing.T) {
	doc := live("%run setup.py\n---\nx = 1\n---\ndef f(): return x")
	doc.Cells[1].Parent, doc.Cells[1].Origin = 1, "run"
	wantText(t, texts(of(t, doc, Options{})), "x = 1\ndef f(): return x")
}

func TestBeforeTheRestart(t *testing.T) {
	doc := live("x = 1\n---\ndef f(): return x")
	doc.Cells[1].Kernel = 1
	wantText(t, complain(t, doc, Options{}).Error(),
		"f uses `x` (cell 2, line 1), which is not defined in this session: cell 1 defined it before the kernel was "+
			"restarted\nRun that cell again.")
}

func TestAFunctionThatIsLostIsNamedWithTheReason(t *testing.T) {
	for reason, c := range map[string]struct {
		cells, want string
		restarted   bool
	}{
		"restart": {
			"def f(): pass\n---\nx = 1",
			"cell 1 defined it before the kernel was restarted\nRun that cell again.", true,
		},
		"deleted": {"def f(): pass\n---\ndel f", "cell 2 deleted it\nDefine it in a cell.", false},
	} {
		t.Run(reason, func(t *testing.T) {
			doc := live(c.cells)
			if c.restarted {
				doc.Cells[1].Kernel = 1
			}
			wantText(t, complain(t, doc, Options{Function: "f"}).Error(),
				"the function `f` is not defined in this session: "+c.want)
		})
	}
}

func TestHistoryCells(t *testing.T) {
	doc := live("x = 1\n---\ny = x\n---\nz = 1\n---\ndef f(): return y")
	for i := range 3 {
		doc.Cells[i].OK, doc.Cells[i].Origin = nil, "history"
	}
	doc.Cells[3].OK = nil // it is being executed
	wantText(t, notes(of(t, doc, Options{})),
		"cells 1 and 2 ran before MetaML was loaded, so it is not known whether they succeeded")
}

func TestCellsAfterTheMagicDoNotCount(t *testing.T) {
	doc := live("x = 1\n---\ndef f(): return x\n---\nx = 2")
	wantText(t, texts(of(t, doc, Options{Cell: 2})), "x = 1\ndef f(): return x")
}

func TestLivingNamesAreImported(t *testing.T) {
	doc := live("%pylab inline\n---\ndef f(): return sin(arange(3)), plt, OrderedDict, Inner")
	doc.Names = map[string]session.Name{
		"sin": {Kind: "function"}, "arange": {Kind: "function"}, "plt": {Kind: "module", Module: "matplotlib.pyplot"},
	}
	requests := 0
	s := of(t, live("def f(): return sin(3), plt, OrderedDict, Inner, np"),
		Options{Describe: func(_ context.Context, names []string) (map[string]session.Name, error) {
			requests++
			wantText(t, strings.Join(names, " "), "Inner OrderedDict np plt sin")
			return map[string]session.Name{
				"sin":         {Kind: "function", Module: "numpy", Qualname: "sin", Importable: true},
				"plt":         {Kind: "module", Module: "matplotlib.pyplot"},
				"np":          {Kind: "module", Module: "numpy"},
				"OrderedDict": {Kind: "class", Module: "collections", Qualname: "OrderedDict", Importable: true},
				"Inner":       {Kind: "class", Module: "lib", Qualname: "Outer.Inner", Importable: true},
			}, nil
		}})
	if requests != 1 {
		t.Errorf("the session got %d requests", requests)
	}
	wantText(t, texts(s),
		"from lib import Outer\nInner = Outer.Inner\nfrom collections import OrderedDict\nimport numpy as np\nimport "+
			"matplotlib.pyplot as plt\nfrom numpy import sin\ndef f(): return sin(3), plt, OrderedDict, Inner, np")
	wantText(t, strings.Join(s.Names, " "), "Inner OrderedDict np plt sin")
	wantText(t, strings.Join(s.Imports, " "), "collections lib matplotlib numpy")
}

func TestWithoutSourceIsRefusedWithItsSize(t *testing.T) {
	doc := live("def f():\n    return vectorizer")
	doc.Names = map[string]session.Name{"vectorizer": {Kind: "value"}, "f": {Kind: "function"}}
	c := complain(t, doc, Options{Describe: func(context.Context, []string) (map[string]session.Name, error) {
		return map[string]session.Name{"vectorizer": {Kind: "value", Size: 1_200_000, Origin: "input() in cell 2"}}, nil
	}})
	wantText(t, c.Error(),
		"f uses `vectorizer` (cell 1, line 2), which no cell defines: it was made by input() in cell 2\nDefine it in "+
			"a cell, or ship its value with --with vectorizer (1.2 MB).")
}

func TestRunsOfOursAreRefusedAndCanBeIgnored(t *testing.T) {
	doc := live("def f(): return run")
	doc.Names = map[string]session.Name{"run": {Kind: "metaml"}}
	wantText(t, complain(t, doc, Options{}).Text,
		"f uses `run` (cell 1, line 1), which is a run of MetaML and not part of a program")
	wantText(t, texts(of(t, doc, Options{Ignore: []string{"run"}})), "def f(): return run")
}

func TestTheMagicBindsRunAfterTheCells(t *testing.T) {
	doc := live("import metaml\nrun = 5\n---\ndef f(): return run")
	doc.Names = map[string]session.Name{"run": {Kind: "metaml"}}
	wantText(t, complain(t, doc, Options{}).Text,
		"f uses `run` (cell 2, line 1), which is a run of MetaML and not part of a program")
	doc = live("import metaml\nrun = metaml.run('a')\n---\ndef f(): return run")
	doc.Names = map[string]session.Name{"run": {Kind: "metaml"}}
	wantText(t, texts(of(t, doc, Options{})), "import metaml\nrun = metaml.run('a')\ndef f(): return run")
}

// TestRunsInAServerPointToItsModel: what a serving cell mentions of a run has another way into the program.
func TestRunsInAServerPointToItsModel(t *testing.T) {
	const hint = "Put --model run on the line of the cell, and load the files that the run left from the folder " +
		"metaml.model()."
	for _, c := range []struct{ name, cells, want string }{
		{
			"an output",
			"%%train\ndef t(): pass\n---\n%%serve\nw = open(run.best().output / 'w')\ndef f(x): return w",
			"w uses `run` (cell 2, line 2), which is a run of MetaML and not part of a program\n" + hint,
		},
		{
			"a trial in a variable",
			"%%train\ndef t(): pass\n---\nbest = run.best()\n---\n%%serve\ndef f(x): return best.output",
			"best uses `run` (cell 2, line 1), which is a run of MetaML and not part of a program\n" + hint,
		},
		{
			"a run of another name",
			"run = 5\n---\n%%train --into run\ndef t(): pass\n---\n%%serve\nw = run.best()\ndef f(x): return w",
			"w uses `run` (cell 3, line 2), which is a run of MetaML and not part of a program\n" +
				hint,
		},
		{
			"a decorated function",
			"from metaml import Serve\n---\n@Serve\ndef f(x): return run.best()",
			"f uses `run` (cell 2, line 2), which is a run of MetaML and not part of a program\n" + hint,
		},
		{
			"a server",
			"%%serve --into api\ndef g(x): return x\n---\n%%serve --model run\ndef f(x): return api.predict(x)",
			"f uses `api` (cell 2, line 2), which is a server of MetaML and not part of a program\n" +
				"Put what you need of it into a variable, such as its URL.",
		},
		{
			"a run in a run",
			"%%train\ndef t(): pass\n---\n%%train\ndef f(): return run.name",
			"f uses `run` (cell 2, line 2), which is a run of MetaML and not part " +
				"of a program\nCall metaml.run(NAME) inside of the function, or put the values that it needs into a " +
				"variable.",
		},
		{
			"what a server may use",
			"import metaml\n---\n%%serve --model run\nfrom metaml import model\nw = model() / 'w'\n" +
				"def f(x): return w, metaml",
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			alive := live(c.cells)
			alive.Names = map[string]session.Name{
				"run": {Kind: "metaml", Type: "metaml.Run"}, "api": {Kind: "metaml", Type: "metaml.Server"},
			}
			saved := live(c.cells)
			saved.Kind = session.Saved
			for _, doc := range []*session.Document{alive, saved} {
				if doc == saved && (strings.HasPrefix(c.cells, "run = 5") || strings.Contains(c.cells, "@Serve")) {
					continue // what the magic has bound since is known in a session alone
				}
				if c.want == "" {
					of(t, doc, Options{})
					continue
				}
				wantText(t, complain(t, doc, Options{}).Error(), c.want)
			}
		})
	}
}

func TestReset(t *testing.T) {
	wantText(t, complain(t, live("x = 1\n---\n%reset -f\ny = 2\n---\ndef f(): return x, y"), Options{}).Error(),
		"f uses `x` (cell 3, line 1), which is not defined in this session: cell 2 reset the session\nDefine it in a "+
			"cell.")
}

func TestShippedValueComesAfterItsClass(t *testing.T) {
	doc := live("class Net:\n    K = 1\n---\nnet = Net()\nnet.train()\n---\ndef f(): return net")
	doc.Names = map[string]session.Name{"net": {Kind: "value", Type: "__main__.Net"}}
	s := of(t, doc, Options{With: []string{"net", "other"}})
	got := texts(s)
	if !strings.HasPrefix(got, "class Net:\n    K = 1\nwith open(") || strings.Contains(got, "net = Net()") ||
		strings.Contains(got, "train()") {
		t.Errorf("got:\n%s", got)
	}
	wantText(t, strings.Join(s.With, " "), "net")
}

func TestStarImportOfASavedNotebook(t *testing.T) {
	doc := live("from math import *\n---\ndef f(): return sin(pi)")
	doc.Kind = session.Saved
	wantText(t, texts(of(t, doc, Options{})), "from math import *\ndef f(): return sin(pi)")
}

func TestSavedNotebookChoosesTheCellWithTheMagic(t *testing.T) {
	doc := live("def helper(): return 1\n---\n%%train --parallelism 2\ndef f(): return helper()\n---\ndef later(): " +
		"pass\n---\nhelper = None")
	doc.Kind = session.Saved
	s := of(t, doc, Options{})
	wantText(t, texts(s), "def helper(): return 1\ndef f(): return helper()")
	if s.Entry.Cell != 2 || s.Entry.Line != 2 {
		t.Errorf("the entry is at cell %d, line %d", s.Entry.Cell, s.Entry.Line)
	}
}

func TestScript(t *testing.T) {
	doc, err := session.FromScript([]byte(`import metaml
from metaml import Train, report

K = 3

def get_hyperparameters():
    yield {'a': K}

@Train(
    settings={'hyper_parameters': get_hyperparameters()},
    package={'name': 'x'})
def train(a):
    report(loss=1)
    return helper(a)

def helper(a): return a * K

if __name__ == "__main__":
    run = train()
    print(run)
`), "")
	if err != nil {
		t.Fatal(err)
	}
	s := of(t, doc, Options{})
	wantText(t, texts(s),
		"from metaml import Train, report\nK = 3\ndef train(a):\n    report(loss=1)\n    return helper(a)\ndef "+
			"helper(a): return a * K")
	if s.Entry.Name != "train" || s.Entry.Line != 12 {
		t.Errorf("the entry is %q at line %d", s.Entry.Name, s.Entry.Line)
	}
	s = of(t, doc, Options{Function: "get_hyperparameters"})
	if !s.Entry.IsGenerator {
		t.Error("the generator is not recognised")
	}
	wantText(t, texts(s), "K = 3\ndef get_hyperparameters():\n    yield {'a': K}")
}

func TestEntryParameters(t *testing.T) {
	s := of(t, live("async def f(a, /, b: int, *rest, c='x  y', d: 'np.ndarray' = None, **kw): return 1"), Options{})
	want := []Parameter{
		{Name: "a", Kind: Positional},
		{Name: "b", Annotation: "int", Kind: Normal},
		{Name: "rest", Kind: VarPosition},
		{Name: "c", Default: "'x  y'", HasDefault: true, Kind: KeywordOnly},
		{Name: "d", Annotation: "'np.ndarray'", Default: "None", HasDefault: true, Kind: KeywordOnly},
		{Name: "kw", Kind: VarKeyword},
	}
	if !slices.Equal(s.Entry.Parameters, want) || !s.Entry.IsAsync || s.Entry.IsGenerator {
		t.Errorf("got %+v", s.Entry)
	}
}

func TestSeveralFunctionsTakeTheLast(t *testing.T) {
	s := of(t, live("def g(): pass\ndef h(): pass\ndef f(): pass"), Options{})
	wantText(t, notes(s), "cell 1 defines g, h and f; f, the last, is run")
	wantText(t, of(t, live("def g(): pass\ndef f(): pass"), Options{Function: "g"}).Entry.Name, "g")
	wantText(t, complain(t, live("def train_model(): pass"), Options{Function: "trainmodel"}).Error(),
		"no cell defines the function `trainmodel`\nDid you mean train_model?")
}

func TestEntryMayBeAValue(t *testing.T) {
	s := of(t, live("rates = [.1, .2]\n---\ngrid = [{'rate': r} for r in rates]\n---\ndef f(rate): pass"),
		Options{Function: "grid", Value: true})
	wantText(t, texts(s), "rates = [.1, .2]\ngrid = [{'rate': r} for r in rates]")
	if !s.Entry.IsValue {
		t.Error("it is a value")
	}
}

func TestRandomGenerators(t *testing.T) {
	s := of(t,
		live("import random, numpy as np, torch\nfrom numpy.random import default_rng as dr\nr = random.Random()\ns "+
			"= random.Random(3)\nn = np.random.default_rng()\nm = dr(None)\ng = torch.Generator()\nh = "+
			"torch.Generator().manual_seed(0)\nk = torch.Generator(device='cpu')\nk.manual_seed(0)\np = "+
			"np.random.Generator(np.random.PCG64())\nunused = dr()\nnp.random.seed(0)\n---\ndef f():\n    "+
			"torch.manual_seed(1)\n    return r, s, n, m, g, h, k, p"), Options{})
	wantText(t, strings.Join(s.Reseed, " "), "g m n p r")
	wantText(t, strings.Join(s.SelfSeeded, " "), "numpy torch")
}

func TestOutputIsSeen(t *testing.T) {
	for _, c := range []struct {
		name, cells string
		want        bool
	}{
		{"report alone", "from metaml import output, report\n---\ndef f(): report(a=1)", false},
		{"output", "from metaml import output\n---\ndef f(): return output()", true},
		{"checkpoint in another function", "import metaml as mm\n---\ndef g(): mm.checkpoint()\ndef f(): g()", true},
		{"another run", "import metaml as mm\n---\nx = mm.run('a')\ndef f(): return x", false},
		{"output by another name", "from metaml import output as o\n---\ndef f(): return o() / 'a.h5'", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := of(t, live(c.cells), Options{}).UsesOutput; got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestVariablesOfTheEnvironmentAreSeen(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{"an item", "import os\n---\ndef f(): return os.environ['A']", "A"},
		{"get and getenv", "import os\nx = os.getenv('B', '')\n---\ndef f(): return x, os.environ.get('A')", "B A"},
		{"by another name", "from os import environ as e, getenv\n---\ndef f(): return e['A'], getenv('B')", "A B"},
		{"imported in the function", "def f():\n    import os\n    return os.environ['A']", "A"},
		{"set by the program", "import os\nos.environ['A'] = '1'\n---\ndef f(): return os.environ['A']", ""},
		{"not in the slice", "import os\nx = os.environ['A']\n---\ndef f(): return 1", ""},
		{"not named literally", "import os\nn = 'A'\n---\ndef f(): return os.environ[n]", ""},
		{"of something else", "os = {}\n---\ndef f(): return os.environ['A']", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantText(t, strings.Join(of(t, live(c.cells), Options{}).Environment, " "), c.want)
		})
	}
}

func TestTheModelThatTheProgramNames(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{"metaml.model", "import metaml\n---\nm = metaml.model('train-model:2')\ndef f(x): return m", "train-model:2"},
		{"model by another name", "from metaml import model as mo\n---\ndef f(x): return mo(\"last\") / 'a'", "last"},
		{"model without a name", "from metaml import model\n---\nm = model()\ndef f(x): return m", ""},
		{"a cell that is left out", "import metaml\n---\nother = metaml.model('unused')\n---\ndef f(x): return x", ""},
		{"a function of the user", "def model(name): return name\n---\nm = model('my own')\ndef f(x): return m", ""},
		{"a variable", "import metaml\nwhich = 'a'\n---\nm = metaml.model(which)\ndef f(x): return m", ""},
		{"an f-string", "import metaml\n---\nm = metaml.model(f'a-{1}')\ndef f(x): return m", ""},
		{"two", "import metaml\n---\nm = [metaml.model('first'), metaml.model('b')]\ndef f(x): return m", "first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := of(t, live(c.cells), Options{}).Model; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLocalModulesComeAlong(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"mylib.py": "import other, numpy\n", "other.py": "def g():\n    import pkg.deep.leaf as l\n", "unused.py": "",
		"pkg/__init__.py": "from .near import *\n", "pkg/near.py": "import mylib\nfrom . import far\n",
		"pkg/far.py": "from ..nowhere import x\n", "pkg/deep/__init__.py": "",
		"pkg/deep/leaf.py": "from ..near import x\nimport scipy.stats\n", "names/one.py": "", "json.py": "",
	})
	doc := live("import mylib, json, sys\nfrom names import one\n---\ndef f(): return mylib, json, one")
	doc.Cwd = dir
	s := of(t, doc, Options{})
	var got []string
	for _, m := range s.Modules {
		got = append(got, m.Name)
	}
	wantText(t, strings.Join(got, " "), "mylib names.one other pkg pkg.deep pkg.deep.leaf pkg.far pkg.near")
	wantText(t, strings.Join(s.Imports, " "), "json numpy scipy sys")
}

func TestModuleNewerThanImported(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"mylib.py": "x = 1\n"})
	doc := live("import mylib\n---\ndef f(): return mylib")
	doc.Cwd = dir
	doc.Modules = []session.Module{{Name: "mylib", File: filepath.Join(dir, "mylib.py"), Modified: 1000}}
	wantText(t, notes(of(t, doc, Options{})),
		"mylib.py was changed after it was imported; the program takes the file as it is now")
}

func TestFilesAreMentioned(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"data/x.csv": "12345", "adam": "", "unused.csv": ""})
	doc := live("p = 'data/x.csv'\nq = 'unused.csv'\n---\ndef f():\n    open('missing.csv'), 'adam', 'data/'\n    " +
		"return p, 'https://a/b.csv'")
	doc.Cwd = dir
	s := of(t, doc, Options{})
	var got []string
	for _, m := range s.Files {
		got = append(got, m.Path+" "+itoa(int(m.Size))+" "+itoa(m.Cell)+":"+itoa(m.Line))
	}
	wantText(t, strings.Join(got, "\n"), "data/x.csv 5 1:1\ndata/ 0 2:2")
}

func TestSummary(t *testing.T) {
	doc := live("import os\n---\nx = 1\n\n# two\ny = (1,\n\n  2)\n---\n1\n---\ndef f():\n    return os, x, y")
	doc.Cells[3].Count = 9
	wantText(t, of(t, doc, Options{}).Summary(), "ran from cells 1, 2 and 9 · 6 lines")
	wantText(t, of(t, live("def f(): pass"), Options{}).Summary(), "ran from cell 1 · 1 line")
}

func TestRerunningACellChangesNothing(t *testing.T) {
	once := "import numpy as np\nK = 2\n---\nx = np.arange(K)\nx[0] = 5\n---\ndef g(): return x * K\n---\ndef f(): " +
		"return g()"
	want := texts(of(t, live(once), Options{}))
	for _, again := range []string{
		"import numpy as np\nK = 2\n---\nx = np.arange(K)\nx[0] = 5\n---\ndef g(): return x * K\n---\nimport numpy " +
			"as np\nK = 2\n---\ndef g(): return x * K\n---\ndef f(): return g()\n---\ndef f(): return g()",
		once + "\n---\n" + once,
	} {
		got := texts(of(t, live(again), Options{}))
		gl, wl := strings.Split(got, "\n"), strings.Split(want, "\n")
		slices.Sort(gl)
		slices.Sort(wl)
		if !slices.Equal(gl, wl) {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestPythonThatTheParserDoesNotKnow(t *testing.T) {
	// A kernel has executed it, so it is Python; the piece is kept whole.
	doc := live("a = 1\nb = t'{a}' if ~~ else 3\n---\nx = 2\n---\ndef f(): return x, b")
	wantText(t, texts(of(t, doc, Options{})), "a = 1\nb = t'{a}' if ~~ else 3\nx = 2\ndef f(): return x, b")
	doc.Kind = session.Saved
	for i := range doc.Cells {
		doc.Cells[i].OK = nil
	}
	wantText(t, complain(t, doc, Options{}).Error(), "cell 1, line 2 is not Python: b = t'{a}' if ~~ else 3")
}

func TestPython2IsNamed(t *testing.T) {
	doc := live("def f():\n    print 'a'\n    x = = 3")
	doc.Kind = session.Saved
	doc.Cells[0].OK = nil
	if got := complain(t, doc, Options{}); got.Code != "python2" || got.Line != 2 {
		t.Errorf("got %+v", got)
	}
}
