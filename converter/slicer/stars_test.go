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

// starred have the entry f in their last cell.
var starred = []struct {
	name, cells, want string
	saved             bool // it holds of a saved notebook, too, where numpy is not there
}{
	{"a constant", "from math import *\n---\ndef f(): return pi", "from math import *", true},
	{"of a package", "from os.path import *\n---\ndef f(): return join('a', sep)", "from os.path import *", true},
	{"what nobody uses", "from math import *\nx = 1\n---\ndef f(): return x", "x = 1", true},
	{"a local variable", "from math import *\n---\ndef f(pi=3): return pi", "", true},
	{
		"one hides another", "from math import *\nfrom numpy import *\n---\n" +
			"def f(): return sin(pi)", "from numpy import *",
		false,
	},
	{
		"one hides part of another", "from numpy import *\nfrom math import *\n---\ndef f(): return pi, random",
		"from numpy import *\nfrom math import *", false,
	},
	{"rebound later", "from math import *\n---\npi = 3\n---\ndef f(): return pi", "pi = 3", true},
	{"rebound before", "pi = 3\n---\nfrom math import *\n---\ndef f(): return pi", "from math import *", true},
	{"changed later", "from math import *\n---\npi = pi + 1\n---\ndef f(): return pi", "from math import *\n" +
		"pi = pi + 1", true},
	{
		"perhaps", "pi = 3\ntry:\n    from math import *\nexcept ImportError:\n    pass\n---\ndef f(): return pi",
		"pi = 3\ntry:\n    from math import *\nexcept ImportError:\n    pass", true,
	},
	{"a builtin that is hidden", "from numpy import *\n---\ndef f(x): return sum(x)", "from numpy import *", true},
	{"a builtin that is not", "from math import *\n---\ndef f(x): return sum(x)", "", true},
	{
		"a builtin of a helper", "from numpy import *\n---\ndef g(x): return max(x)\n---\ndef f(x): return g(x)",
		"from numpy import *\ndef g(x): return max(x)", false,
	},
	{
		"a seed", "from numpy import *\nrandom.seed(0)\n---\ndef f(): return random.rand()",
		"from numpy import *\nrandom.seed(0)", false,
	},
	{"a module of one's own", "from mine import *\n---\ndef f(): return a", "from mine import *", true},
	{"with __all__", "a = 1\nfrom listed import *\n---\ndef f(): return a", "a = 1", true},
	{"with __all__ of it", "b = 1\nfrom listed import *\n---\ndef f(): return b", "from listed import *", true},
	{"what begins with _", "_a = 1\nfrom mine import *\n---\ndef f(): return _a", "_a = 1", true},
	{"of a module that does so itself", "pi = 3\nfrom mine import *\n---\n" +
		"def f(): return pi", "from mine import *", true},
	{
		"%pylab", "%pylab inline\n---\ndef f(): return array([1])",
		"import numpy, matplotlib\nfrom matplotlib import pylab, mlab, pyplot\nimport numpy as np\n" +
			"import matplotlib.pyplot as plt\nfrom pylab import *\nfrom numpy import *", false,
	},
}

func TestWhatAStarImportBroughtItBringsAgain(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine.py":   "from math import *\na = 1\n_a = 2\n",
		"listed.py": "__all__ = ['b']\n__all__ += ('c',)\na, b, c = 1, 2, 3\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exports := func(_ context.Context, modules []string) (map[string][]string, error) {
		answered := map[string][]string{}
		for m, names := range map[string][]string{
			"math": {"pi", "sin"}, "numpy": {"array", "pi", "sin", "sum", "max", "random"}, "os.path": {"join", "sep"},
			"mine": {"a", "pi"}, "listed": {"b", "c"}, "pylab": {"array"},
		} {
			if slices.Contains(modules, m) {
				answered[m] = names
			}
		}
		return answered, nil
	}
	for _, c := range starred {
		t.Run(c.name, func(t *testing.T) {
			last := c.cells[strings.LastIndex(c.cells, "\n---\n")+len("\n---\n"):]
			want := strings.TrimPrefix(c.want+"\n"+last, "\n")
			doc := live(c.cells)
			doc.Cwd, doc.Path = dir, []string{""}
			got := texts(of(t, doc, Options{Exports: exports}))
			if c.name == "%pylab" { // both may have it, the last has
				want = "from numpy import *\n" + last
			}
			wantText(t, got, want)
			if c.saved {
				doc.Kind = session.Saved
				wantText(t, texts(of(t, doc, Options{})), want)
			}
		})
	}
}
