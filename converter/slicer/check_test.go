package slicer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// checked slices cells and gives what can be compared: "x", "x by chance", "x (import)", each with the statement that
// was left out.
func checked(t *testing.T, cells string) string {
	t.Helper()
	s, err := Of(t.Context(), live(cells), Options{Check: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range s.Checks {
		c := &s.Checks[i]
		text := c.Name
		if c.Chance {
			text += " by chance"
		}
		if c.Import {
			text += " (import)"
		}
		if c.Out != nil {
			text += fmt.Sprintf(": %s `%s`", c.Out.Place, c.Out.Text)
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

func TestWhatCanBeCompared(t *testing.T) {
	t.Parallel()
	const imported = "from lib import M\n"
	const reads, numpy = "\n---\ndef f(): return x", "import numpy as np\n"
	const model = imported + "x = M()\n"
	for _, c := range []struct{ name, cells, want string }{
		{"what the body reads", "x = 1\ny = 2" + reads, "x\nf"},
		{"what a helper reads", "x = 1\ndef g(): return x\n---\ndef f(): return g()", "x\ng\nf"},
		{
			"what a method reads", "x = 1\nclass A:\n    def m(self): return x\na = A()\n---\ndef f(): return a",
			"x\na\nf",
		},
		{"not what it is made of", "x = 1\ny = x + 1\nx = x + 1\n---\ndef f(): return y", "y\nf"},
		{"an import", "from lib import LR\n---\ndef f(): return LR", "LR (import)\nf"},
		{"the time", "import time\nt = time.time()\n---\ndef f(): return t", "t by chance\nf"},
		{
			"the time under another name", "from time import perf_counter as now\nt = now()\n---\ndef f(): return t",
			"t by chance\nf",
		},
		{"made of the time", "import time\nt = time.time()\nd = {'t': t}\n---\ndef f(): return d", "d by chance\nf"},
		{
			"the time in a function", "import time\ndef g(): return time.time()\nt = g()\n---\ndef f(): return t",
			"t by chance\ntime (import)\nf",
		},
		{"a function with the time", "import time\n---\ndef f(): return time.time()", "time (import)\nf"},
		{
			"a generator without a seed", numpy + "x = np.random.default_rng().random(3)" + reads,
			"x by chance\nf",
		},
		{
			"a generator with a seed", numpy + "x = np.random.default_rng(3).random(3)" + reads,
			"x\nf",
		},
		{"seeds of the system", numpy + "x = np.random.SeedSequence()" + reads, "x by chance\nf"},
		{"seeds that are given", numpy + "x = np.random.SeedSequence(5)" + reads, "x\nf"},
		{"a generator of torch", "import torch\nx = torch.Generator()" + reads, "x by chance\nf"},
		{"one that is seeded at once", "import torch\nx = torch.Generator().manual_seed(0)" + reads, "x\nf"},
		{"one that is seeded then", "import torch\nx = torch.Generator()\nx.manual_seed(0)" + reads, "x\nf"},
		{
			"one that draws", "import torch\nx = torch.rand(3, generator=torch.Generator().manual_seed(0))" + reads,
			"x\nf",
		},
		{"a generator that is seeded then", "import random\nx = random.Random()\nx.seed(3)" + reads, "x\nf"},
		{"what the process was started with", "import sys\nx = sys.argv[1:]" + reads, "x by chance\nf"},
		{"where modules are found", "from sys import path\nimport sys\nx = list(sys.path)" + reads, "x by chance\nf"},
		{"how long an answer took", model + "y = x.elapsed\n---\ndef f(): return y", "y by chance\nf"},
		{"groups in any order", model + "y = x.group_by('a').agg(1)\n---\ndef f(): return y", "y by chance\nf"},
		{
			"groups in their order",
			model + "y = x.group_by('a', maintain_order=True).agg(1)\nz = x.group_by('a').agg(1).sort('a')\n" +
				"---\ndef f(): return y, z",
			"y\nz\nf",
		},
		{"an identity", "x = id([])" + reads, "x by chance\nf"},
		{"one's own id", "def id(x): return 1\nx = id(2)" + reads, "x\nf"},
		{"tempfile", "import tempfile\nx = tempfile.mkdtemp()" + reads, "x by chance\nf"},
		{"memory", numpy + "x = np.empty(3)" + reads, "x by chance\nf"},
		{"memory that was written", numpy + "x = np.empty(3)\nx[:] = 1" + reads, "x\nf"},
		{
			"a method that looks", model + "x.decision_function(1)\nprint(x)" + reads,
			"x: cell 1, line 3 `x.decision_function(1)`\nf",
		},
		{
			"the last of several", model + "x.decision_function('a', 'b')\n" +
				"x.decision_function(1,\n  2)\nlen(x)" + reads,
			"x: cell 1, line 4 `x.decision_function(1, 2)`\nf",
		},
		{"one that mentions it", "x = [1]\nx[0]" + reads, "x: cell 1, line 2 `x[0]`\nf"},
		{"none that prints it", "x = [1]\nprint(len(x))\nx" + reads, "x: cell 1, line 3 `x`\nf"},
		{
			"by another name", imported + "x = y = M()\ny.decision_function(1)" + reads,
			"x: cell 1, line 3 `y.decision_function(1)`\nf",
		},
		{"not by a name of the same line", imported + "x, y = M(), M()\ny.decision_function(1)" + reads, "x\nf"},
		{
			"long texts are cut", model + "x.decision_function('" + strings.Repeat("a", 100) +
				"')" + reads,
			"x: cell 1, line 3 `x.decision_function(…)`\nf",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Split(checked(t, c.cells), "\n")
			want := strings.Split(c.want, "\n")
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("it gives\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestWithoutCheckNothingIsListed(t *testing.T) {
	t.Parallel()
	s, err := Of(t.Context(), live("x = 1\n---\ndef f(): return x"), Options{})
	if err != nil || s.Checks != nil || s.SeededAt != nil {
		t.Errorf("%v, %v, %v", s.Checks, s.SeededAt, err)
	}
}

func TestWhereTheTopLevelSeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cells, want string }{
		{
			"at the top level", "import numpy as np\nnp.random.seed(0)\n---\ndef f(): return np.random.rand()",
			"map[numpy:{1 2 2}]",
		},
		{
			"in a function", "import random\ndef sow(): random.seed(3)\nsow()\n---\ndef f(): return random.random()",
			"map[random:{1 3 3}]",
		},
		{"while it runs", "import random\n---\ndef f():\n    random.seed(3)\n    return random.random()", "map[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := Of(t.Context(), live(c.cells), Options{Check: true})
			if err != nil || fmt.Sprint(s.SeededAt) != c.want {
				t.Errorf("it gives %v, %v, want %s", s.SeededAt, err, c.want)
			}
		})
	}
}
