"""What a run says of values that are others than the notebook's, and of which it says nothing."""

from __future__ import annotations

import re

import pytest
from conftest import Notebook

# What a cell changes so that no analysis of its code sees it: as a text that IPython executes.
HIDDEN = "get_ipython().ex({!r})"

#: Cells, and names of theirs that a function reads: the program has the same values, or others for a good reason.
QUIET = {
    "numbers and texts": ("a, b, c = 1, 2.5, 'é'", "a b c"),
    "containers": ("d = {'k': [1, (2, {3})]}\ns = {'x', 'y', 'z'}\nf = frozenset('abc')", "d s f"),
    "a table that was looked at": (
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})\ndf.describe()\ndf.values\ndf.head()",
        "df",
    ),
    "a table that was consolidated by looking": (
        "import pandas as pd\nwide = pd.DataFrame({'a': [1.0, 2.0]})\nwide['b'] = wide['a'] * 2\n"
        "wide.corr()\nwide.mean()",
        "wide",
    ),
    "an array of objects": ("import numpy as np\nob = np.array(['a', None, 1], dtype=object)", "ob"),
    "random numbers of numpy": ("import numpy as np\nrn = np.random.rand(3)", "rn"),
    "what was made of random numbers": (
        "import numpy as np\nraw = np.random.rand(9)\nmade = {'mean': raw.mean()}\nlist_of = [made]",
        "made list_of",
    ),
    "random numbers of Python": ("import random\nrp = [random.random() for _ in range(3)]", "rp"),
    "a shuffle": ("import random\norder = list(range(50))\nrandom.shuffle(order)", "order"),
    "a generator without a seed": ("import numpy as np\ng1 = np.random.default_rng()\ndr = g1.random(3)", "g1 dr"),
    "a generator without a seed in a function": (
        "import numpy as np\ndef noise():\n    return np.random.default_rng().random(2)\nns = noise()",
        "ns",
    ),
    "a sample": ("import pandas as pd\nsm = pd.DataFrame({'a': range(100)}).sample(5)", "sm"),
    "a split": (
        "import numpy as np\nfrom sklearn.model_selection import train_test_split\n"
        "tr1, te1 = train_test_split(np.arange(100))",
        "tr1 te1",
    ),
    "a model that draws": (
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "rf = RandomForestClassifier(3).fit([[0], [1], [2], [3]], [0, 1, 0, 1])",
        "rf",
    ),
    "a seed in the function alone": (
        "import numpy as np\nbefore_seed = np.random.rand(2)\ndef sow():\n    np.random.seed(0)",
        "before_seed sow",
    ),
    "a seeded generator": ("import numpy as np\ng2 = np.random.default_rng(3)\nd2 = g2.random(3)", "g2 d2"),
    "a seeded generator of Python": ("import random\nr2 = random.Random(5)\nr2.random()\nx2 = r2.random()", "r2 x2"),
    "the time": ("import time\nt0 = time.time()\nt1 = time.perf_counter()", "t0 t1"),
    "a date": ("import datetime\nnow = datetime.datetime.now()\ntoday = str(datetime.date.today())", "now today"),
    "the time in a helper": ("import time\ndef stamp():\n    return time.time()\nst = stamp()", "st"),
    "a duration": ("import time\nbegin = time.time()\nspent = round(time.time() - begin, 9)", "spent"),
    "identities": ("i1 = id(object())\nh1 = hash('a text')", "i1 h1"),
    "a uuid": ("import uuid\nu1 = str(uuid.uuid4())", "u1"),
    "a secret": ("import secrets\nse = secrets.token_hex(4)", "se"),
    "the process": ("import os\npid = os.getpid()", "pid"),
    "a temporary folder": ("import tempfile\ntmp = tempfile.mkdtemp()", "tmp"),
    "an open file": ("handle = open('/etc/hostname')\nhandle.read()", "handle"),
    "an object that names itself": ("class Odd: pass\nname_of = repr(Odd())", "name_of"),
    "a lock": ("import threading\nlk = threading.Lock()\nlk2 = threading.Lock()\nlk2.acquire()", "lk lk2"),
    "a logger": ("import logging\nlog = logging.getLogger('one')\nlog.setLevel(10)", "log"),
    "a generator": ("gen = (i for i in range(3))\nnext(gen)", "gen"),
    "the lines of a command": ("lines = !echo a b", "lines"),
    "a function with a command": ("def listing():\n    out = !echo a\n    return out", "listing"),
    "a later import": ("from getpass import getpass", "getpass"),
    "a module": ("import json as js", "js"),
    "a bar": ("from tqdm.auto import tqdm\nbar = tqdm(range(2), disable=True)", "tqdm bar"),
    "a compiled pattern": ("import re\npat = re.compile('a.c', re.I)", "pat"),
    "memory as it was found": ("import numpy as np\nscratch = np.empty(1000)", "scratch"),
    "classes and objects": (
        "class Net:\n    layers = [1, 2]\n    def __init__(self, n=3):\n        self.n = n\n    def run(self):\n"
        "        return self.n\nnet = Net()",
        "Net net",
    ),
    "a lazy attribute": (
        "import functools\nclass Lazy:\n    @functools.cached_property\n    def big(self):\n        return 3\n"
        "lazy = Lazy()\nlazy.big",
        "lazy",
    ),
    "a cached function": (
        "import functools\n@functools.lru_cache\ndef sq(x):\n    return x * x\nsq(3)",
        "sq",
    ),
    "functions": (
        "def outer(k):\n    def inner(x, *, y=[1]):\n        return x * k\n    return inner\n"
        "fn = outer(3)\nla = lambda x: x",
        "fn la",
    ),
    "a dataclass and an enum": (
        "import dataclasses, enum\n@dataclasses.dataclass\nclass Config:\n    lr: float = 0.1\n"
        "    tags: list = dataclasses.field(default_factory=list)\nclass Colour(enum.Enum):\n    RED = 1\n"
        "cfg = Config()\ncol = Colour.RED",
        "cfg col Config Colour",
    ),
    "a fitted model": (
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.datasets import load_iris\n"
        "lx, ly = load_iris(return_X_y=True)\nlm = LogisticRegression(max_iter=200).fit(lx, ly)\nlm.score(lx, ly)",
        "lm lx ly",
    ),
    "a pipeline": (
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
        "pp = make_pipeline(StandardScaler()).fit([[1.0], [2.0]])\npp.transform([[3.0]])",
        "pp",
    ),
    "a name that is dead": ("step = 1\nvalue = step + 1\nstep = step + 1", "value"),
    "what calls of the function change": (
        "history = []\ndef entry_helper():\n    history.append(1)",
        "history entry_helper",
    ),
    "a cell that was run again": ("import numpy as np\nagain = np.arange(3) * 2\nagain", "again"),
    "polars": ("import polars as pl\npf = pl.DataFrame({'a': [1, None], 's': ['x', 'y']})\npf.describe()", "pf"),
    "dates of pandas": (
        "import pandas as pd\ndt = pd.date_range('2026-01-01', periods=3, tz='UTC')\nts = pd.Timestamp('2026-01-01')\n"
        "cat = pd.Series(['a', 'b'], dtype='category')\nmi = pd.MultiIndex.from_product([['a'], [1, 2]])",
        "dt ts cat mi",
    ),
    "buffers": ("import io\nbuf = io.BytesIO(b'abc')\nbuf.read(1)\nsb = io.StringIO('x')", "buf sb"),
    "iterators": ("it = iter([1, 2, 3])\nnext(it)\nrev = reversed([1, 2])", "it rev"),
    "the environment": ("import os\nhome = os.environ['HOME']\npath = os.environ.get('PATH')", "home path"),
    "numbers with gaps": ("import pandas as pd\nni = pd.Series([1, None], dtype='Int64')", "ni"),
    "a masked array": ("import numpy as np\nma = np.ma.masked_invalid([1.0, float('nan')])", "ma"),
    "nothing is a number": ("nan = float('nan')\nnans = [nan, float('inf')]", "nan nans"),
    "what libraries hold of the global random numbers and of addresses": (
        "import numpy as np\nfrom scipy import stats\nfrom sklearn.feature_extraction.text import TfidfVectorizer\n"
        "np.random.rand()\nds = stats.norm(0, 1)\ntf = TfidfVectorizer().fit(['aa bb'])\ntf.transform(['aa'])",
        "ds tf",
    ),
    "a cycle": ("cyc = [1]\ncyc.append(cyc)", "cyc"),
}


def note(shown: str) -> str:
    """The line on what is otherwise."""
    return "\n".join(line for line in shown.splitlines() if " in the notebook" in line)


def function(name: str, names: str) -> str:
    """A cell with a function that reads names."""
    return (
        f"%%train --name {name} --into r_{name}\ndef f_{name}():\n    return {{'n': len([{', '.join(names.split())}])}}"
    )


@pytest.mark.parametrize("part", range(8))
def test_nothing_is_said_without_a_reason(notebook: Notebook, part: int) -> None:
    cases = list(QUIET.items())[part::8]
    for _, (cell, _) in cases:
        assert not notebook.run(cell).error
    ran = notebook.run(function(f"quiet{part}", " ".join(names for _, (_, names) in cases)))
    assert not ran.error, ran.plain
    assert note(ran.plain) == "", ran.plain


#: A cell, what changes its value where no analysis sees it, the name, and what is said of it.
SAID = {
    "a number": ("n1 = 1", "n1 = 2", "n1", "`n1` is 1 here and 2 in the notebook"),
    "a float": ("n2 = 0.5", "n2 = 0.25", "n2", "`n2` is 0.5 here and 0.25 in the notebook"),
    "a text": ("t1 = 'a'", "t1 = 'b'", "t1", "`t1` is 'a' here and 'b' in the notebook"),
    "nothing": ("t2 = None", "t2 = 3", "t2", "`t2` is None here and 3 in the notebook"),
    "a truth": ("t3 = True", "t3 = False", "t3", "`t3` is True here and False in the notebook"),
    "a type": ("t4 = [1]", "t4 = {}", "t4", "`t4` is a list here and a dict in the notebook"),
    "a list": ("l1 = []", "l1.append(1)", "l1", "`l1` has 0 elements here and 1 in the notebook"),
    "an element": ("l2 = [1, 2]", "l2[1] = 9", "l2", "`l2[1]` is 2 here and 9 in the notebook"),
    "the end of a list": ("l3 = list(range(300))", "l3[-1] = 0", "l3", "`l3` has another content here"),
    "a list in a list": ("l4 = [[1], [2]]", "l4[1].append(3)", "l4", "`l4[1]` has 1 element here and 2 in"),
    "a dict": ("d1 = {}", "d1.update(a=1, b=2)", "d1", "`d1` has 0 entries here and 2 in the notebook"),
    "a value": ("d2 = {'lr': 0}", "d2['lr'] = 1", "d2", '`d2["lr"]` is 0 here and 1 in the notebook'),
    "a key": ("d3 = {'a': 1}", "d3['b'] = d3.pop('a')", "d3", '`d3["b"]` is not there here, and is in the notebook'),
    "a set": ("s1 = {1}", "s1.add(2)", "s1", "`s1` has 1 element here and 2 in the notebook"),
    "a Counter": (
        "import collections\nc1 = collections.Counter('ab')",
        "c1.update('a')",
        "c1",
        '`c1["a"]` is 1 here and 2 in the notebook',
    ),
    "a defaultdict": (
        "import collections\nc2 = collections.defaultdict(lambda: len(c2))",
        "c2['word']",
        "c2",
        "`c2` has 0 entries here and 1 in the notebook",
    ),
    "a deque": ("from collections import deque\nc3 = deque()", "c3.append(1)", "c3", "`c3` has 0 elements here and 1"),
    "an attribute": (
        "class O1: pass\no1 = O1()\no1.w = 0",
        "o1.w = 5",
        "o1",
        "`o1.w` is 0 here and 5 in the notebook",
    ),
    "a new attribute": ("class O2: pass\no2 = O2()", "o2.w = 5", "o2", "`o2.w` is not there here, and is in the"),
    "what an object holds": (
        "class O3:\n    def __init__(self):\n        self.words = {}\no3 = O3()",
        "o3.words['a'] = 1",
        "o3",
        "`o3.words` has 0 entries here and 1 in the notebook",
    ),
    "slots": (
        "class O4:\n    __slots__ = ('n',)\n    def __init__(self):\n        self.n = 0\no4 = O4()",
        "o4.n = 2",
        "o4",
        "`o4.n` is 0 here and 2 in the notebook",
    ),
    "a dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass O5:\n    lr: float\no5 = O5(0.1)",
        "o5.lr = 0.2",
        "o5",
        "`o5.lr` is 0.1 here and 0.2 in the notebook",
    ),
    "a class": ("class O6:\n    n = 0", "O6.n = 3", "O6", "`O6` has another content here than in the notebook"),
    "a method": ("class O7:\n    def f(self): return 1", "O7.f = lambda self: 2", "O7", "`O7` has another content"),
    "a function's default": ("def f1(x=[]):\n    return x", "f1().append(1)", "f1", "`f1` has another content here"),
    "a function's attribute": ("def f2():\n    pass", "f2.calls = 3", "f2", "`f2` has another content here"),
    "what a function closes over": (
        "def make(n):\n    def f(x):\n        return n + x\n    return f\nf3 = make([1][0])",
        "f3.__closure__[0].cell_contents = 5",
        "f3",
        "`f3` has another content here",
    ),
    "a partial": (
        "import functools\nf4 = functools.partial(int, base=2)",
        "f4.keywords['base'] = 3",
        "f4",
        "`f4` has another content here",
    ),
    "a buffer": (
        "import io\nb1 = io.BytesIO()",
        "b1.write(b'abc')",
        "b1",
        "`b1` has 0 bytes here and 3 in the notebook",
    ),
    "a text buffer": ("import io\nb2 = io.StringIO()", "print('a', file=b2)", "b2", "`b2` has 0 characters here and 2"),
    "an iterator": ("i1 = iter([1, 2])", "next(i1)", "i1", "`i1` has another content here than in the notebook"),
    "an array": (
        "import numpy as np\na1 = np.zeros(2)",
        "np.add.at(a1, [0], 1)",
        "a1",
        "`a1[0]` is 0.0 here and 1.0 in",
    ),
    "a large array": (
        "import numpy as np\na2 = np.zeros(200_000)",
        "a2[77_777] = 1",
        "a2",
        "`a2` has another content here than in the notebook",
    ),
    "a shape": (
        "import numpy as np\na3 = np.zeros(2)",
        "a3 = np.zeros((2, 2))",
        "a3",
        "`a3` is float64 2 here and float64",
    ),
    "a dtype": (
        "import numpy as np\na4 = np.zeros(2)",
        "a4 = a4.astype('f4')",
        "a4",
        "`a4` is float64 2 here and float32",
    ),
    "columns": (
        "import pandas as pd\np1 = pd.DataFrame({'a': [1, 2]})",
        "p1['b'] = 1",
        "p1",
        "`p1` has 1 column here and 2 in the notebook",
    ),
    "rows": (
        "import pandas as pd\np2 = pd.DataFrame({'a': [1, 2]})",
        "p2.drop(0, inplace=True)",
        "p2",
        "`p2` has 2 rows here and 1 in the notebook",
    ),
    "a column": (
        "import pandas as pd\np3 = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
        "p3.loc[1, 'b'] = 'z'",
        "p3",
        '`p3["b"]` has another content here',
    ),
    "a column's dtype": (
        "import pandas as pd\np4 = pd.DataFrame({'a': [1, 2]})",
        "p4['a'] = p4['a'].astype(float)",
        "p4",
        '`p4["a"]` is int64 here and float64 in the notebook',
    ),
    "a series": (
        "import pandas as pd\np5 = pd.Series([1, 2])",
        "p5[0] = 9",
        "p5",
        "`p5` has another content here than in the notebook",
    ),
    "a table of polars": (
        "import polars as pl\np6 = pl.DataFrame({'a': [1]})",
        "p6 = p6.with_columns(b=1)",
        "p6",
        "`p6` has 1 column here and 2 in the notebook",
    ),
    "a model": (
        "from sklearn.linear_model import LinearRegression\nm1 = LinearRegression().fit([[1], [2]], [1, 2])",
        "m1.fit([[1], [2]], [1, 3])",
        "m1",
        "`m1.coef_` has another content here than in the notebook",
    ),
    "a model that is not fitted": (
        "from sklearn.preprocessing import StandardScaler\nm2 = StandardScaler()",
        "m2.fit([[1.0]])",
        "m2",
        "is not there here, and is in the notebook",
    ),
    "a generator of numbers": (
        "import numpy as np\ng9 = np.random.default_rng(3)",
        "g9.random()",
        "g9",
        "`g9` has another content here than in the notebook",
    ),
    "Python's generator": (
        "import random\ng8 = random.Random(3)",
        "g8.random()",
        "g8",
        "`g8` has another content here",
    ),
    "a path": (
        "from pathlib import Path\nx1 = Path('a')",
        "x1 = Path('b')",
        "x1",
        "`x1` is a here and b in the notebook",
    ),
    "a date": (
        "import datetime\nx2 = datetime.date(2026, 1, 2)",
        "x2 = datetime.date(2026, 1, 3)",
        "x2",
        "`x2` is 2026-01-02 here and 2026-01-03 in the notebook",
    ),
    "an enum": (
        "import enum\nclass E1(enum.Enum):\n    A = 1\n    B = 2\nx3 = E1.A",
        "x3 = E1.B",
        "x3",
        "`x3` is E1.A here and E1.B in the notebook",
    ),
    "nothing any more": ("x4 = 1", "x4 = None", "x4", "`x4` is 1 here and None in the notebook"),
}


@pytest.mark.parametrize("part", range(12))
def test_what_is_otherwise_is_said(notebook: Notebook, part: int) -> None:
    cases = list(SAID.values())[part::12]
    for cell, change, _, _ in cases:
        assert not notebook.run(cell).error
        assert not notebook.run(HIDDEN.format(change)).error
    ran = notebook.run(function(f"said{part}", " ".join(name for _, _, name, _ in cases)))
    assert not ran.error, ran.plain
    for _, _, _, words in cases:
        assert words in note(ran.plain), ran.plain
    assert len(re.findall(" in the notebook", note(ran.plain))) == len(cases), ran.plain


def test_the_statement_that_was_left_out_is_the_first_line(notebook: Notebook) -> None:
    """That it has to do with the value is known, though not what it does."""
    notebook.run("def hidden(f):\n    return f.__globals__\nparams = {'lr': 0}\ndef keep():\n    return params")
    cell = notebook.run("hidden(keep)['params']['lr'] = 1")
    ran = notebook.run(function("leftout", "params"))
    shown = [b["text/plain"] for b in ran.displays.values() if "leftout-1 " in b.get("text/plain", "")]
    assert shown[-1].startswith(
        f'`params["lr"]` is 0 here and 1 in the notebook: cell {cell.count}, line 1 '
        "(`hidden(keep)['params']['lr'] = …`) was left out. "
    ), ran.plain
    page = next(b["text/html"] for b in ran.displays.values() if "`params" in b.get("text/html", ""))
    assert page.index("`params") < page.index("leftout-1")


def test_the_first_cause_is_said_first(notebook: Notebook) -> None:
    notebook.run("zebra = []")
    notebook.run(HIDDEN.format("zebra.append(1)"))
    notebook.run("middle = [len(zebra)]\napple = middle + [2]")
    said = note(notebook.run(function("causes", "apple middle zebra")).plain)
    assert said.index("`zebra`") < said.index("`middle[0]`") < said.index("`apple[0]`"), said


#: Cells, and names of theirs, of libraries whose objects keep a clock's time, a drawn name or how they were shown.
LOOKED_AT = {
    "a picture": (
        "from PIL import Image\nImage.new('RGB', (9, 9), 'red').save('red.png')\npic = Image.open('red.png')\n"
        "copied = pic.copy()\npic",
        "pic copied",
    ),
    "a search": (
        "from sklearn.linear_model import Ridge\nfrom sklearn.model_selection import GridSearchCV, cross_validate\n"
        "import pandas as pd\ntable_x, table_y = [[float(i)] for i in range(20)], list(range(20))\n"
        "search = GridSearchCV(Ridge(), {'alpha': [1, 2]}, cv=2).fit(table_x, table_y)\n"
        "results = pd.DataFrame(search.cv_results_)\nscores = cross_validate(Ridge(), table_x, table_y, cv=2)\nsearch",
        "search results scores",
    ),
    "a study": (
        "import optuna\noptuna.logging.set_verbosity(optuna.logging.WARNING)\n"
        "study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))\n"
        "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2)\n"
        "tried, best_one, tried_table = study.trials, study.best_trial, study.trials_dataframe()",
        "study tried best_one tried_table",
    ),
    "a parser": (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', default=0.1)\n"
        "args = parser.parse_args([])",
        "parser args",
    ),
    "how far iterators are": (
        "pairs = zip([1, 2], [3, 4])\nnext(pairs)\nnumbered = enumerate([1, 2])\nnext(numbered)\n"
        "mapped = map(str, [1, 2])\nnext(mapped)\nentries = iter({1: 2}.items())",
        "pairs numbered mapped entries",
    ),
    "groups in any order": (
        "import polars as pl\ngroups = pl.DataFrame({'a': list(range(50))}).group_by('a').agg(pl.len())",
        "groups",
    ),
}


@pytest.mark.parametrize("case", LOOKED_AT)
def test_nothing_is_said_of_what_libraries_note_by_themselves(notebook: Notebook, case: str) -> None:
    cell, names = LOOKED_AT[case]
    ran = notebook.run(cell)
    assert not ran.error, ran.plain
    ran = notebook.run(function("noted" + str(list(LOOKED_AT).index(case)), names))
    assert not ran.error, ran.plain
    assert note(ran.plain) == "", ran.plain


def test_what_the_environment_holds_is_not_said(notebook: Notebook) -> None:
    notebook.run("import os\nos.environ['PLANTED'] = 'planted-key'\ntoken = 'x'\nwords = {'planted-key': 1, 'b': 'x'}")
    notebook.run(HIDDEN.format("token = 'a planted-key'; words['b'] = 'planted-key'; words['planted-key'] = 2"))
    ran = notebook.run(function("secret", "token words"))
    assert "`token` is another text here than in the notebook" in note(ran.plain), ran.plain
    assert '`words["b"]` is another text here' in note(ran.plain), ran.plain
    assert "planted" not in ran.plain


def test_what_calls_of_the_function_change_is_no_difference(notebook: Notebook) -> None:
    notebook.run("seen = []\ndef looked(x=1):\n    seen.append(x)\n    return {'n': len(seen)}\nlooked()")
    notebook.run("looked()")
    ran = notebook.run("%%train --function looked --name called\npass")
    assert note(ran.plain) == "", ran.plain


def test_strict_starts_nothing(notebook: Notebook) -> None:
    notebook.run("best_lr = 0.1\nran_it = []")
    notebook.run(HIDDEN.format("best_lr = 0.2"))
    cell = "%%train --strict --name strictly\ndef f_strict():\n    open('ran', 'w').close()\n    return {'n': best_lr}"
    ran = notebook.run(cell)
    assert "nothing of strictly-1 was started: `best_lr` is 0.1 here and 0.2 in the notebook" in ran.error, ran.plain
    assert not (notebook.folder / "ran").exists()
    notebook.run(HIDDEN.format("best_lr = 0.1"))
    assert not notebook.run(cell).error
    assert (notebook.folder / "ran").exists()


def test_a_server_says_what_is_otherwise(notebook: Notebook) -> None:
    notebook.run("weight = {'w': 3}")
    notebook.run(HIDDEN.format("weight['w'] = 4"))
    ran = notebook.run(
        "%%serve --name unlike-server --into srv_unlike\ndef served2(x: int):\n    return x * weight['w']"
    )
    assert '`weight["w"]` is 3 here and 4 in the notebook' in note(ran.plain), ran.plain
    notebook.run("srv_unlike.stop()")


def test_strict_starts_no_server(notebook: Notebook) -> None:
    notebook.run("bias = 1")
    notebook.run(HIDDEN.format("bias = 2"))
    ran = notebook.run(
        "%%serve --strict --name strict-server --into srv_strict\ndef served(x: int):\n    return x + bias"
    )
    assert "`bias` is 1 here and 2 in the notebook" in ran.error, ran.plain


def test_the_plan_names_what_is_not_compared(notebook: Notebook) -> None:
    notebook.run("import time, threading\nnot_now = time.time()\nnot_this = threading.Lock()\nthis_one = 1")
    notebook.run("%%train --name unlike\ndef f_unlike():\n    return [not_now, not_this, this_one]")
    shown = notebook.run("%metaml plan --explain").plain
    assert "values that are not compared with the notebook's" in shown, shown
    assert "not_now: it is another value each time" in shown
    assert "not_this: _thread.lock has no content that can be compared" in shown
