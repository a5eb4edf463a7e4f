package slicer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/ipython"
	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/internal/usererror"
	"github.com/metaml/metaml/test/venv"
)

// live makes the document of a session whose cells are separated by lines of three dashes; the last one is the cell
// with the magic.
func live(cells string) *session.Document {
	d := &session.Document{V: 1, Kind: session.Live, Interpreter: session.Interpreter{Version: "3.11.2"}}
	ok := true
	for i, c := range strings.Split(strings.TrimPrefix(cells, "\n"), "\n---\n") {
		d.Cells = append(d.Cells, session.Cell{Seq: i + 1, Count: i + 1, Source: c, OK: &ok})
	}
	return d
}

func texts(s *Slice) string {
	var b strings.Builder
	for _, st := range s.Statements {
		b.WriteString(strings.Trim(st.Text, "\n") + "\n")
	}
	return b.String()
}

// keeps have the entry f in their last cell, and name what comes along with it.
var keeps = []struct{ name, cells, want string }{
	{
		"a loop over several at once changes what it changes",
		"axes, xs, n = [[]], [1], {}\nfor i, (ax, x) in enumerate(zip(axes, xs)):\n    ax.append(x)\n    n[x] = " +
			"i\n---\ndef f(): return xs", "axes, xs, n = [[]], [1], {}",
	},
	{
		"zip and what is needed",
		"axes, xs = [[]], [1]\nfor ax, x in zip(axes, xs):\n    ax.append(x)\n---\ndef f(): return axes",
		"axes, xs = [[]], [1]\nfor ax, x in zip(axes, xs):\n    ax.append(x)",
	},
	{
		"a decorator that registers",
		"R = []\ndef reg(g):\n    R.append(g)\n    return g\n@reg\ndef h(): return K\nK = 1\n---\ndef f(): return R",
		"R = []\ndef reg(g):\n    R.append(g)\n    return g\n@reg\ndef h(): return K\nK = 1",
	},
	{
		"a decorator that is a method",
		"from lib import App\napp = App()\n@app.route('/a')\ndef h(): return 1\n@app.task\ndef i(): return " +
			"2\n---\ndef f(): return app",
		"from lib import App\napp = App()\n@app.route('/a')\ndef h(): return 1\n@app.task\ndef i(): return 2",
	},
	{
		"out=", "import numpy as np\na = np.ones(3)\nb = np.ones(3)\nnp.add(a, 1, out=a)\nnp.add(a, 1, " +
			"out=b)\nnp.unique(a)\nnp.sort(b)\n---\ndef f(): return a",
		"import numpy as np\na = np.ones(3)\nnp.add(a, 1, out=a)",
	},
	{
		"a loop's variable is its own",
		"d = {'a': 1}\nfor k in d: print(k)\ne = {}\nfor k in d: e[k] = 1\n---\ndef f(): return e",
		"d = {'a': 1}\ne = {}\nfor k in d: e[k] = 1",
	},
	{
		"what is put into another is not changed",
		"x = [1]\nd = {}\nd['x'] = x\nd['y'] = 1\nl = [x]\nl.append(x)\n---\ndef f(): return x", "x = [1]",
	},
	{
		"what is changed inside of another is", "x = [1]\nd = {}\nd['x'] = x\nd['x'].append(1)\n---\ndef f(): return x",
		"x = [1]\nd = {}\nd['x'] = x\nd['x'].append(1)",
	},
	{"constant", "A = 1\nB = 2\n---\ndef f(): return A", "A = 1"},
	{"import", "import os, sys\nimport json\n---\ndef f(): return json", "import json"},
	{
		"several levels", "a = 1\n---\ndef g(): return a\n---\ndef h(): return g()\n---\ndef f(): return h()",
		"a = 1\ndef g(): return a\ndef h(): return g()",
	},
	{
		"late binding: the last one counts",
		"def g(): return 1\n---\ndef h(): return g()\n---\ndef g(): return 2\n---\ndef f(): return h()",
		"def h(): return g()\ndef g(): return 2",
	},
	{"pure rebinding drops", "x = 1\n---\nx = 2\n---\ndef f(): return x", "x = 2"},
	{"reads what it writes", "x = 1\n---\nx = x + 1\n---\ndef f(): return x", "x = 1\nx = x + 1"},
	{
		"augmented, once per execution", "x = 1\n---\nx += 1\n---\nx += 1\n---\ndef f(): return x",
		"x = 1\nx += 1\nx += 1",
	},
	{"a cell run twice", "x = 1\n---\nx = 1\n---\ndef f(): return x", "x = 1"},
	{
		"run twice, and another name got it that is not needed",
		"d = {'a': 1}\n---\nn = len(d)\nk = d\n---\nd = {'a': 1}\n---\ndef f(): return d, n",
		"d = {'a': 1}\nn = len(d)",
	},
	{
		"run twice with the other name",
		"d = [1]\ne = d\n---\nd = [1]\ne = d\n---\ndef f(): return d, e", "d = [1]\ne = d",
	},
	{
		"run twice without the other name",
		"d = [1]\n---\ne = d\n---\nd = [1]\n---\ndef f(): return d, e", "d = [1]\ne = d\nd = [1]",
	},
	{
		"run twice, and shared before",
		"d = [1]\n---\nc = d\n---\nd = [1]\n---\nc.append(2)\nd.pop()\n---\ndef f(): return d", "d = [1]\nd.pop()",
	},
	{
		"run twice with an effect",
		"l = []\ndef g():\n    l.append(1)\n    return 2\n---\nx = g()\n---\nx = g()\n---\ndef f(): return l",
		"l = []\ndef g():\n    l.append(1)\n    return 2\nx = g()\nx = g()",
	},
	{
		"out of order", "def f(): return g()\n---\ndef g(): return K\n---\nK = 3\n---\ndef f(): return g()",
		"def g(): return K\nK = 3",
	},
	{"item", "d = {}\n---\nd['k'] = 1\n---\nd['j'] = 2\n---\ndef f(): return d", "d = {}\nd['k'] = 1\nd['j'] = 2"},
	{"attribute", "class A: pass\na = A()\na.x = 1\n---\ndef f(): return a.x", "class A: pass\na = A()\na.x = 1"},
	{"append", "l = []\nl.append(1)\nprint(l)\nlen(l)\n---\ndef f(): return l", "l = []\nl.append(1)"},
	{
		"append in a loop", "l = []\nfor i in range(3):\n    l.append(i)\n---\ndef f(): return l",
		"l = []\nfor i in range(3):\n    l.append(i)",
	},
	{
		"change after the use is not needed", "l = [1]\nn = len(l)\nl.append(2)\n---\ndef f(): return n",
		"l = [1]\nn = len(l)",
	},
	{"change through an alias", "a = []\nb = a\nb.append(1)\n---\ndef f(): return a", "a = []\nb = a\nb.append(1)"},
	{
		"change through two containers", "d = []\nc = {'l': d}\nh = [d]\nh[0].append(1)\n---\ndef f(): return c",
		"d = []\nc = {'l': d}\nh = [d]\nh[0].append(1)",
	},
	{
		"what was given to two makers",
		"from lib import Net, Data\ncfg = {}\nnet = Net(cfg)\nds = Data(cfg)\nds.load()\n---\ndef f(): return net",
		"from lib import Net, Data\ncfg = {}\nnet = Net(cfg)",
	},
	{
		"change of what is held", "xs = []\nd = {'x': xs}\nxs.append(3)\n---\ndef f(): return d",
		"xs = []\nd = {'x': xs}\nxs.append(3)",
	},
	{
		"compile",
		"from keras import Sequential\nmodel = Sequential()\nmodel.compile('adam')\nmodel.summary()\n---\ndef f(): " +
			"return model", "from keras import Sequential\nmodel = Sequential()\nmodel.compile('adam')",
	},
	{
		"layers through a loop",
		"from keras import M\nm = M()\nfor l in m.layers:\n    l.trainable = False\n---\ndef f(): return m",
		"from keras import M\nm = M()\nfor l in m.layers:\n    l.trainable = False",
	},
	{
		"training elsewhere is left out",
		"from sklearn.svm import SVC\nX = [[1], [2]]\ny = [0, 1]\n---\nclf = SVC()\nclf.fit(X, y)\nclf.score(X, " +
			"y)\n---\ndef f(): return X, y", "X = [[1], [2]]\ny = [0, 1]",
	},
	{
		"exploring is left out",
		"import pandas as pd\ndf = " +
			"pd.read_csv('a.csv')\ndf.head()\n---\ndf.describe()\n---\ndf.plot()\nprint(df.shape)\ndf\n---\ndf['b'] " +
			"= 1\n---\ndef f(): return df", "import pandas as pd\ndf = pd.read_csv('a.csv')\ndf['b'] = 1",
	},
	{
		"in place",
		"import pandas as pd\ndf = pd.DataFrame()\ndf.drop(columns='a', " +
			"inplace=True)\ndf.drop(columns='b')\n---\ndef f(): return df",
		"import pandas as pd\ndf = pd.DataFrame()\ndf.drop(columns='a', inplace=True)",
	},
	{
		"copy is another object",
		"import pandas as pd\ndf = pd.DataFrame()\nother = df.copy()\nother['x'] = 1\n---\ndef f(): return df",
		"import pandas as pd\ndf = pd.DataFrame()",
	},
	{
		"plots are left out",
		"import matplotlib.pyplot as plt\nx = [1]\nplt.plot(x)\nplt.show()\n---\ndef f(): return x", "x = [1]",
	},
	{
		"seed of a used library",
		"import numpy as np\nnp.random.seed(0)\nx = np.random.rand(3)\n---\ndef f(): return x",
		"import numpy as np\nnp.random.seed(0)\nx = np.random.rand(3)",
	},
	{
		"seed under another name",
		"import numpy as np\nnp.random.seed(0)\n---\nfrom numpy.random import rand\n---\ndef f(): return rand()",
		"import numpy as np\nnp.random.seed(0)\nfrom numpy.random import rand",
	},
	{
		"sys.path", "import sys\nsys.path.insert(0, 'lib')\n---\nx = 1\n---\ndef f(): return x",
		"import sys\nsys.path.insert(0, 'lib')\nx = 1",
	},
	{
		"environment", "import os\nos.environ['A'] = '1'\nos.getcwd()\nos.listdir('.')\n---\ndef f(): return 1",
		"import os\nos.environ['A'] = '1'",
	},
	{"%env", "%env A=1\n---\ndef f(): return 1", "__import__('os').environ['A'] = '1'"},
	{
		"monkey patch", "import lib\ndef g(): pass\nlib.g = g\n---\ndef f(): return lib.x()",
		"import lib\ndef g(): pass\nlib.g = g",
	},
	{
		"method added to a class", "class A: pass\ndef m(self): return K\nA.m = m\nK = 1\n---\ndef f(): return A().m()",
		"class A: pass\ndef m(self): return K\nA.m = m\nK = 1",
	},
	{"base classes", "class A: pass\nclass B(A): pass\n---\ndef f(): return B()", "class A: pass\nclass B(A): pass"},
	{
		"method bodies are late",
		"class A:\n    def m(self): return g()\n---\ndef g(): pass\n---\na = A()\n---\ndef f(): return a",
		"class A:\n    def m(self): return g()\ndef g(): pass\na = A()",
	},
	{
		"decorator",
		"import functools\ndef deco(g):\n    @functools.wraps(g)\n    def inner(*a): return g(*a)\n    return " +
			"inner\n@deco\ndef h(): pass\n---\ndef f(): return h()",
		"import functools\ndef deco(g):\n    @functools.wraps(g)\n    def inner(*a): return g(*a)\n    return " +
			"inner\n@deco\ndef h(): pass",
	},
	{"default", "K = 1\ndef g(a=K): return a\nK = 2\n---\ndef f(): return g()", "K = 1\ndef g(a=K): return a"},
	{
		"annotation", "from typing import List\ndef g(a: List[int]) -> 'X': pass\n---\ndef f(): return g",
		"from typing import List\ndef g(a: List[int]) -> 'X': pass",
	},
	{
		"an annotation as a string",
		"import numpy as np\nfrom typing import Optional\nclass Row: pass\nclass Other: pass\n---\ndef f(a: " +
			"'list[Row]', b: Optional['np.ndarray'] = None) -> \"Row | None\": pass",
		"import numpy as np\nfrom typing import Optional\nclass Row: pass",
	},
	{
		"annotations of fields",
		"from dataclasses import dataclass\nfrom typing import TypedDict\nclass Petal(TypedDict):\n    width: " +
			"float\n@dataclass\nclass Flower:\n    petal: 'Petal'\n    others: list[\"Flower\"]\n---\ndef f(a: " +
			"Flower): pass",
		"from dataclasses import dataclass\nfrom typing import TypedDict\nclass Petal(TypedDict):\n    width: float\n" +
			"@dataclass\nclass Flower:\n    petal: 'Petal'\n    others: list[\"Flower\"]",
	},
	{
		"an alias",
		"import numpy.typing as npt\nimport numpy as np\nImage = npt.NDArray[np.float32]\nUnused = " +
			"list[Image]\n---\ndef f(a: Image): pass",
		"import numpy.typing as npt\nimport numpy as np\nImage = npt.NDArray[np.float32]",
	},
	{
		"a class that comes later",
		"from __future__ import annotations\ndef g(a: Row): pass\n---\nclass Row: pass\n---\ndef f(): return g",
		"from __future__ import annotations\ndef g(a: Row): pass\nclass Row: pass",
	},
	{
		"literals and comments are no names",
		"from typing import Annotated, Literal\nx = open('big')\ny = 2\nMost = 3\ndef Field(n): return n\n---\ndef " +
			"f(a: Literal['x', 'y'], b: Annotated[int, 'x', Field(Most)]): pass",
		"from typing import Annotated, Literal\nMost = 3\ndef Field(n): return n",
	},
	{
		"under TYPE_CHECKING",
		"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib import Row\n---\ndef f(a: 'Row'): pass",
		"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib import Row",
	},
	{
		"@Serve is stripped",
		"from metaml import Serve\nimport lib\nSAMPLE = lib.load('big')\n---\n@Serve(settings={'example': " +
			"SAMPLE})\n@lib.cached\ndef f(a): pass", "import lib\n@lib.cached",
	},
	{"annotated", "x: int = 3\ny: int\n---\ndef f(): return x", "x: int = 3"},
	{"star assignment", "a, *b = 1, 2, 3\n---\ndef f(): return b", "a, *b = 1, 2, 3"},
	{"chained assignment", "a = b = 4\n---\ndef f(): return b", "a = b = 4"},
	{"walrus", "(n := 3)\nprint(m := 4)\n---\ndef f(): return n + m", "(n := 3)\nprint(m := 4)"},
	{
		"walrus in a comprehension", "[last := x for x in range(3)]\n---\ndef f(): return last",
		"[last := x for x in range(3)]",
	},
	{
		"comprehension variables are its own", "x = 1\ny = [x for x in range(3)]\n---\ndef f(): return y",
		"y = [x for x in range(3)]",
	},
	{
		"comprehension reads outside", "k = 2\ny = [x * k for x in range(3) if x < k]\n---\ndef f(): return y",
		"k = 2\ny = [x * k for x in range(3) if x < k]",
	},
	{
		"first iterable of a comprehension", "x = [1]\ny = [x for x in x]\n---\ndef f(): return y",
		"x = [1]\ny = [x for x in x]",
	},
	{"lambda", "k = 2\ng = lambda x: x * k\n---\ndef f(): return g(1)", "k = 2\ng = lambda x: x * k"},
	{"lambda binds late", "g = lambda x: x * k\nk = 3\n---\ndef f(): return g(1)", "g = lambda x: x * k\nk = 3"},
	{
		"global", "def g():\n    global c\n    c = 1\ng()\n---\ndef f(): return c",
		"def g():\n    global c\n    c = 1\ng()",
	},
	{
		"nonlocal is nobody else's",
		"def g():\n    n = 0\n    def h():\n        nonlocal n\n        n += 1\n    return h\nn = 5\n---\ndef f(): " +
			"return g()", "def g():\n    n = 0\n    def h():\n        nonlocal n\n        n += 1\n    return h",
	},
	{
		"a helper that changes its argument",
		"def add(l): l.append(1)\nx = []\nadd(x)\nshow = 1\n---\ndef f(): return x",
		"def add(l): l.append(1)\nx = []\nadd(x)",
	},
	{"a helper that does not", "def look(l): print(l)\nx = []\nlook(x)\n---\ndef f(): return x", "x = []"},
	{
		"a helper that changes a name", "cfg = {}\ndef setup():\n    cfg['a'] = 1\nsetup()\n---\ndef f(): return cfg",
		"cfg = {}\ndef setup():\n    cfg['a'] = 1\nsetup()",
	},
	{
		"a helper that seeds",
		"import random, numpy as np\ndef seed_all(s):\n    random.seed(s)\n    " +
			"np.random.seed(s)\nseed_all(1)\n---\ndef f(): return np.random.rand()",
		"import random, numpy as np\ndef seed_all(s):\n    random.seed(s)\n    np.random.seed(s)\nseed_all(1)",
	},
	{
		"a method of a class of the session",
		"class A:\n    def __init__(self): self.x = 0\n    def grow(self): self.x += 1\n    def look(self): return " +
			"self.x\na = A()\na.grow()\na.look()\n---\ndef f(): return a.x",
		"class A:\n    def __init__(self): self.x = 0\n    def grow(self): self.x += 1\n    def look(self): " +
			"return self.x\na = A()\na.grow()",
	},
	{
		"if", "import sys\nif sys.version_info > (3, 8):\n    x = 1\nelse:\n    x = 2\n---\ndef f(): return x",
		"import sys\nif sys.version_info > (3, 8):\n    x = 1\nelse:\n    x = 2",
	},
	{
		"a conditional binding keeps the earlier", "x = 0\nif x:\n    x = 1\n---\ndef f(): return x",
		"x = 0\nif x:\n    x = 1",
	},
	{
		"both branches bind", "c = 1\nx = 0\nif c:\n    x = 1\nelse:\n    x = 2\n---\ndef f(): return x",
		"c = 1\nif c:\n    x = 1\nelse:\n    x = 2",
	},
	{
		"try import",
		"try:\n    import fast as impl\nexcept ImportError:\n    import slow as impl\n---\ndef f(): return impl",
		"try:\n    import fast as impl\nexcept ImportError:\n    import slow as impl",
	},
	{
		"try that raises", "try:\n    import torch\nexcept ImportError:\n    raise\n---\ndef f(): return torch",
		"try:\n    import torch\nexcept ImportError:\n    raise",
	},
	{
		"with", "p = 'a'\nwith open(p) as fh:\n    data = fh.read()\n---\ndef f(): return data",
		"p = 'a'\nwith open(p) as fh:\n    data = fh.read()",
	},
	{
		"match", "v = [1, 2]\nmatch v:\n    case [a, *rest]:\n        r = a\n    case _:\n        r = 0\n---\ndef " +
			"f(): return r, rest",
		"v = [1, 2]\nmatch v:\n    case [a, *rest]:\n        r = a\n    case _:\n        r = 0",
	},
	{
		"match on a class", "class P: x = 1\nv = P()\nmatch v:\n    case P(x=1): r = 1\n---\ndef f(): return r",
		"class P: x = 1\nv = P()\nmatch v:\n    case P(x=1): r = 1",
	},
	{
		"for else", "for i in range(3):\n    last = i\nelse:\n    done = 1\n---\ndef f(): return last, done",
		"for i in range(3):\n    last = i\nelse:\n    done = 1",
	},
	{"del drops", "x = 1\ny = x\ndel x\n---\nx = 2\n---\ndef f(): return x, y", "x = 1\ny = x\nx = 2"},
	{"del of an item", "d = {'a': 1}\ndel d['a']\n---\ndef f(): return d", "d = {'a': 1}\ndel d['a']"},
	{
		"type alias", "type Pair[T] = tuple[T, T]\ndef g(p: Pair[int]): pass\n---\ndef f(): return g",
		"type Pair[T] = tuple[T, T]\ndef g(p: Pair[int]): pass",
	},
	{
		"generic function", "def g[T: int](a: T) -> T: return a\n---\ndef f(): return g(1)",
		"def g[T: int](a: T) -> T: return a",
	},
	{
		"generic class", "class Box[T]:\n    def get(self) -> T: return K\nK = 1\n---\ndef f(): return Box()",
		"class Box[T]:\n    def get(self) -> T: return K\nK = 1",
	},
	{"format string", "w = 3\nv = 1\ns = f'{v:>{w}}'\n---\ndef f(): return s", "w = 3\nv = 1\ns = f'{v:>{w}}'"},
	{
		"class body", "A = 1\nclass C:\n    A = A\n    B = A\n---\ndef f(): return C",
		"A = 1\nclass C:\n    A = A\n    B = A",
	},
	{
		"future", "from __future__ import annotations\n---\nx = 1\n---\ndef f(a: Nowhere): return x",
		"from __future__ import annotations\nx = 1",
	},
	{"statements on one line", "a = 1; b = 2; c = 3\n---\ndef f(): return b", "b = 2"},
	{
		"ours are no names to rebuild",
		"from metaml import report\nimport metaml\n---\ndef f():\n    report(a=1)\n    return metaml.output()",
		"from metaml import report\nimport metaml",
	},
	{
		"decorators of ours are stripped",
		"import metaml as mm\nfrom metaml import Train as T\ndef hp(): yield " +
			"{}\n---\n@T(settings={'hyper_parameters': hp()})\ndef f(): return 1", "",
	},
	{"time", "%time x = 1\ny = %time 2\n---\ndef f(): return x, y", "x = 1\ny = 2"},
	{"cell magics that wrap", "%%time\nx = 1\n---\n%%capture out\ny = 2\n---\ndef f(): return x, y", "x = 1\ny = 2"},
	{
		"await", "import asyncio\nx = await asyncio.sleep(0, 1)\n---\ndef f(): return x",
		"import asyncio\nx = await asyncio.sleep(0, 1)",
	},
	{
		"trainer",
		"from lightning import Trainer\nfrom net import Net\nm = Net()\ntrainer = " +
			"Trainer()\ntrainer.fit(m)\n---\ndef f(): return m",
		"from lightning import Trainer\nfrom net import Net\nm = Net()\ntrainer = Trainer()\ntrainer.fit(m)",
	},
	{
		"optimizer step",
		"import torch\nm = torch.nn.Linear(1, 1)\nopt = torch.optim.SGD(m.parameters(), lr=.1)\nfor i in range(3):\n " +
			"   loss = m(i)\n    loss.backward()\n    opt.step()\n---\ndef f(): return m",
		"import torch\nm = torch.nn.Linear(1, 1)\nopt = torch.optim.SGD(m.parameters(), lr=.1)\nfor i in " +
			"range(3):\n    loss = m(i)\n    loss.backward()\n    opt.step()",
	},
	{
		"shuffle", "import random\nx = [1, 2]\nrandom.shuffle(x)\n---\ndef f(): return x",
		"import random\nx = [1, 2]\nrandom.shuffle(x)",
	},
	{
		"a trial call of the entry",
		"log = []\n---\ndef f():\n    log.append(1)\n---\nf()\n---\ndef f():\n    log.append(1)", "log = []",
	},
	{"two names for one value", "X, y = [1], [2]\nX.append(3)\n---\ndef f(): return y", "X, y = [1], [2]"},
}

func TestKeeps(t *testing.T) {
	for _, c := range keeps {
		t.Run(c.name, func(t *testing.T) {
			s, err := Of(context.Background(), live(c.cells), Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := texts(s)
			i := strings.LastIndex(got, "def f(")
			if i < 0 {
				t.Fatalf("the entry is missing:\n%s", got)
			}
			if got = strings.Trim(got[:i], "\n"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s\n%s", got, c.want, s.Explain())
			}
		})
	}
}

// TestKeptTextsCompile has CPython compile what is kept of cells that compile.
func TestKeptTextsCompile(t *testing.T) {
	type pair struct {
		Cells []string `json:"cells"`
		Text  string   `json:"text"`
	}
	var pairs []pair
	for _, src := range keeps {
		doc := live(src.cells)
		s := of(t, doc, Options{})
		p := pair{Text: texts(s)}
		for _, c := range doc.Cells {
			p.Cells = append(p.Cells, ipython.Transform(c.Source, ipython.Options{Moved: true}).Code)
		}
		pairs = append(pairs, p)
	}
	py := venv.Python(t)
	in, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), py, "-c", `
import ast, json, sys
def ok(s):
    try:
        compile(s, "x", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError:
        return False
    return True
n = 0
for p in json.load(sys.stdin):
    if all(map(ok, p["cells"])):
        n += 1
        if not ok(p["text"]):
            print("does not compile:\n" + p["text"])
if n < 60:
    print("only", n, "cases compile")
`)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReasonsDoNotDependOnChance guards against the order of Go's maps, which changed the order of reasons once.
func TestReasonsDoNotDependOnChance(t *testing.T) {
	for _, c := range keeps {
		t.Run(c.name, func(t *testing.T) {
			want := of(t, live(c.cells), Options{}).Explain()
			for range 5 {
				if got := of(t, live(c.cells), Options{}).Explain(); got != want {
					t.Fatalf("got\n%s\nand then\n%s", want, got)
				}
			}
		})
	}
}

func complain(t *testing.T, doc *session.Document, o Options) *usererror.Error {
	t.Helper()
	s, err := Of(context.Background(), doc, o)
	var c *usererror.Error
	if !errors.As(err, &c) {
		t.Fatalf("want a mistake, got %v and %v", s, err)
	}
	return c
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, cells, want string }{
		{
			"no source", "x = 1\n---\ndef f():\n    return y + 1",
			"f uses `y` (cell 2, line 2), which no cell defines\nDefine it in a cell.",
		},
		{
			"star of itself", "f2 = 1\n---\ndef f(): return vv",
			"f uses `vv` (cell 2, line 1), which no cell defines\nDefine it in a cell.",
		},
		{
			"a near name", "vectorizer = 1\n---\ndef f(): return vectoriser",
			"f uses `vectoriser` (cell 2, line 1), which no cell defines\nDid you mean vectorizer?",
		},
		{
			"several", "def g(): return a\n---\ndef f(): return g() + b + c",
			"g uses `a` (cell 1, line 1), which no cell defines; the same holds for `b` (cell 2, line 1) and `c` " +
				"(cell 2, line 1)\nDefine it in a cell.",
		},
		{
			"input", "x = input('?')\n---\ndef f(): return x",
			"f uses `x`, which was made by input() in cell 1, line 1\nDefine it in a cell, or ship its value with " +
				"--with x.",
		},
		{
			"a magic with a value", "a = 1\nt = %timeit -o 1\n---\ndef f(): return t",
			"f uses `t`, which was made by the magic %timeit in cell 1, line 2\nMake it by Python in a cell, or ship " +
				"its value with --with t.",
		},
		{
			"a magic in a block", "if 1:\n    !mkdir out\n    %unknown\n    x = 1\n---\ndef f(): return x",
			"f uses `x`, which was made by the magic %unknown in cell 1, line 3\nMake it by Python in a cell, or " +
				"ship its value with --with x.",
		},
		{
			"a magic in a function", "def f():\n    !ls\n    %unknown\n    return 1",
			"f uses the magic %unknown (cell 1, line 3), which only a notebook can do\nLeave it out of the function.",
		},
		{
			"unknown magic", "%store -r df\n---\ndef f(): return df",
			"f uses `df` (cell 2, line 1), which no cell defines: %store in cell 1 may have made it\nDefine it in a " +
				"cell.",
		},
		{
			"bash cell", "%%bash\nx=1\n---\ndef f(): return x",
			"f uses `x` (cell 2, line 1), which no cell defines: %%bash in cell 1 may have made it\nDefine it in a " +
				"cell.",
		},
		{
			"exec", "exec('z = 1')\n---\ndef f(): return z",
			"f uses `z` (cell 2, line 1), which no cell defines: exec() in cell 1 may have made it\nDefine it in a " +
				"cell.",
		},
		{
			"deleted", "x = 1\ndel x\n---\ndef f(): return x",
			"f uses `x` (cell 2, line 1), which is not defined in this session: cell 1 deleted it\nDefine it in a " +
				"cell.",
		},
		{
			"get_ipython", "def f(): return get_ipython()",
			"f uses `get_ipython` (cell 1, line 1), which exists only in a notebook\nLeave it out of the function.",
		},
		{
			"history", "1 + 1\n---\ndef f(): return _",
			"f uses `_` (cell 2, line 1), which is the notebook's own history\nDefine it in a cell.",
		},
		{
			"no function", "def g(): pass\n---\nx = 1",
			"cell 2 defines no function, so there is nothing to run\nPut the function into the cell, or name one: " +
				"--function g (cell 1).",
		},
		{
			"a run of ours",
			"from metaml import Train\n@Train()\ndef g(): return 1\n---\nr = g()\n---\ndef f(): return r",
			"f uses `r` (cell 2, line 1), which calls a function that MetaML runs\nRead what you need of it before, " +
				"or call metaml.run(NAME) inside of the function.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := complain(t, live(c.cells), Options{}).Error(); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// What is not an ordinary call is judged like one: decorators, commands, classes.
func TestEveryCallHasItsExpression(t *testing.T) {
	t.Parallel()
	for _, cells := range []string{
		"class A:\n    def __call__(self, f): return f\na = A()\n@a\ndef g(): pass\n---\ndef f(): return a, g",
		"a = make()\n@a\ndef g(): pass\n@a.get\ndef h(): pass\n@next\ndef i(): pass\n---\ndef f(): return a, g, h, i",
		"def make():\n    return lambda f: f\na = make()\n@a\nclass G: pass\n---\ndef f(): return a, G",
		"def make(): pass\nwith make() as (a, b): pass\nfor a[0] in b: pass\n---\ndef f(): return a, b",
	} {
		t.Run(cells, func(t *testing.T) {
			t.Parallel()
			if s, err := Of(
				t.Context(),
				live(cells),
				Options{Ignore: []string{"make"}},
			); err != nil ||
				len(s.Statements) == 0 {
				t.Errorf("%v, %v", s, err)
			}
		})
	}
}
