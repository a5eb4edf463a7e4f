package slicer

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhereAProgramSeedsItself(t *testing.T) {
	t.Parallel()
	const numpy, plain = "import numpy as np\n", "import random\n"
	for _, c := range []struct{ cells, want string }{
		{numpy + "np.random.seed(0)\n---\ndef f(): return np.random.rand()", "numpy at cell 1, line 2"},
		{
			plain + numpy + "np.random.seed(0); random.seed(0)\n---\ndef f(): return np.random.rand(), random.random()",
			"numpy at cell 1, line 3; random at cell 1, line 3",
		},
		{
			plain + "SEED = 42\ndef set_seed(s=1):\n    random.seed(s)\nset_seed(SEED)\n---\ndef f(): return " +
				"random.random()", "random at cell 1, line 5",
		},
		{plain + "random.seed()\n---\ndef f(): return random.random()", ""},
		{numpy + "rng = np.random.default_rng(0)\n---\ndef f(): return rng.random()", "rng* at cell 1, line 2"},
		{numpy + "rng = np.random.default_rng()\n---\ndef f(): return rng.random()", ""},
		{numpy + "rng = np.random.default_rng(0)\nx = rng.random(3)\n---\ndef f(): return x", ""},
		{
			numpy + "rng = np.random.RandomState(seed=3)\ndef g(): return rng\n---\ndef f(): return g()",
			"rng* at cell 1, line 2",
		},
		{"import torch\ng = torch.Generator().manual_seed(0)\n---\ndef f(): return g", "g* at cell 1, line 2"},
		{
			"def f():\n    import random\n    random.seed(3)\n    return random.random()",
			"random inside, cell 1, line 3",
		},
		{
			plain + "SEED = 42\n---\ndef f():\n    random.seed(SEED + 1)\n    return random.random()",
			"random inside, cell 2, line 2",
		},
		{
			plain + "def set_seed(s):\n    s = s + 1\n    random.seed(s)\n---\ndef f():\n    set_seed(42)\n    " +
				"return random.random()", "random inside, cell 2, line 2",
		},
		{
			plain + "def set_seed(s):\n    random.seed(s)\n---\ndef f():\n    set_seed(42)\n    return random.random()",
			"random inside, cell 2, line 2",
		},
		{
			plain + "def set_seed(s=42):\n    random.seed(s)\ndef g():\n    set_seed()\n---\ndef f():\n    g()\n    " +
				"return random.random()", "random inside, cell 2, line 2",
		},
		{
			plain + "import metaml\ndef g():\n    random.seed(metaml.seed())\n---\ndef f():\n    g()\n    return " +
				"random.random()", "",
		},
		{
			plain + "import metaml\ndef g(s):\n    random.seed(s + metaml.seed())\n---\ndef f():\n    g(1)\n    " +
				"return random.random()", "",
		},
		{
			numpy + "def g(s): return np.random.RandomState(s)\n---\ndef f(): return g(7).rand()",
			"RandomState* inside, cell 2, line 1",
		},
		{numpy + "def g(s): return np.random.RandomState(s)\n---\ndef f(n): return g(n).rand()", ""},
		{plain + "def f(seed):\n    random.seed(seed)\n    return random.random()", ""},
		{plain + "def f(seed):\n    s = seed + 1\n    random.seed(s)\n    return random.random()", ""},
		{plain + "import metaml\n---\ndef f():\n    random.seed(metaml.seed())\n    return random.random()", ""},
		{plain + "import time\n---\ndef f():\n    random.seed(int(time.time()))\n    return random.random()", ""},
		{
			plain + "def g(n):\n    random.seed(1)\n    return g(n - 1) if n else 0\n---\ndef f(): return g(2)",
			"random inside, cell 2, line 1",
		},
		{
			numpy + "def f():\n    r = np.random.default_rng(7)\n    return r.random()",
			"default_rng* inside, cell 1, line 3",
		},
		{
			numpy + "def g(): return np.random.RandomState(7)\n---\ndef f(): return g().rand()",
			"RandomState* inside, cell 2, line 1",
		},
		{numpy + "def f(seed=3): return np.random.default_rng(seed).random()", ""},
		{numpy + "def f(): return np.random.default_rng().random()", ""},
		{
			"from sklearn.linear_model import SGDClassifier\n---\ndef f(): return SGDClassifier(random_state=0)",
			"SGDClassifier* inside, cell 2, line 1",
		},
		{"from sklearn.linear_model import SGDClassifier\n---\ndef f(): return SGDClassifier(random_state=None)", ""},
		{
			"from sklearn.linear_model import SGDClassifier\nimport metaml\n---\ndef f(): return " +
				"SGDClassifier(random_state=metaml.seed())", "",
		},
		{
			"import numpy as np\nfrom sklearn.model_selection import train_test_split as split\n---\ndef f(): return " +
				"split([1, 2], random_state=0)", "",
		},
	} {
		t.Run(c.cells, func(t *testing.T) {
			t.Parallel()
			s := of(t, live(c.cells), Options{})
			var all []string
			for _, p := range s.Seedings {
				text := p.What
				if p.Own {
					text += "*"
				}
				if p.Inside {
					all = append(all, text+" inside, "+p.Place)
				} else {
					all = append(all, text+" at "+p.Place)
				}
			}
			if got := strings.Join(all, "; "); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.cells, got, c.want)
			}
		})
	}
}

func TestGeneratorsWithASeed(t *testing.T) {
	t.Parallel()
	s := of(t,
		live("import random, numpy as np\na = np.random.default_rng(1)\nb = random.Random(2)\nc = random.Random()\nx "+
			"= a.random()\n---\ndef f(): return b, c, x"), Options{})
	if got := fmt.Sprint(s.Seeded, s.Reseed); got != "[a b] [c]" {
		t.Error(got)
	}
}

// TestALocalModuleThatSeeds has the seeding in a file beside the notebook.
func TestALocalModuleThatSeeds(t *testing.T) {
	files := map[string]string{
		"helpers.py": "import random\nimport numpy as np\n\nDEFAULT = 3\n\ndef set_seed(seed=DEFAULT):\n    " +
			"random.seed(seed)\n    _more(seed)\n\ndef _more(seed):\n    np.random.seed(seed)\n\ndef fixed():\n    " +
			"random.seed(DEFAULT)\n\ndef other(): pass\n",
	}
	for _, c := range []struct{ name, cells, want string }{
		{
			"a number",
			"import helpers\n---\n%%train\ndef f():\n    helpers.set_seed(42)\n    return 1",
			"numpy random [{numpy cell 2, line 3 true false} {random cell 2, line 3 true false}]",
		},
		{
			"the default of the module",
			"from helpers import set_seed as s\n---\n%%train\ndef f():\n    s()\n    return 1",
			"numpy random [{numpy cell 2, line 3 true false} {random cell 2, line 3 true false}]",
		},
		{
			"imported in the function",
			"1\n---\n%%train\ndef f():\n    import helpers as h\n    h.fixed()\n    return 1",
			"random [{random cell 2, line 4 true false}]",
		},
		{
			"a parameter",
			"from helpers import set_seed\n---\n%%train\ndef f(seed):\n    set_seed(seed)\n    return 1",
			"numpy random []",
		},
		{
			"metaml.seed",
			"from helpers import set_seed\nimport metaml\n---\n%%train\ndef f():\n    set_seed(metaml.seed())",
			"numpy random []",
		},
		{
			"another function of the module",
			"from helpers import other\n---\n%%train\ndef f():\n    other()\n    return 1",
			" []",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := of(t, saved(t, c.cells, files), Options{})
			if got := fmt.Sprintf("%s %v", strings.Join(s.SelfSeeded, " "), s.Seedings); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
