package main

// chanceStart imports what the statements use.
const chanceStart = `import asyncio, collections, contextlib, dataclasses, enum, functools, io, itertools, json, math
import os, re, sys, textwrap, time, types
import numpy as np
import pandas as pd
np.random.seed(0)`

// chanceNames are names of values; some are those of magics, of helpers and of what a kernel has.
var chanceNames = []string{
	"a", "b", "c", "d", "value", "result", "run", "cat", "load", "more", "who", "out", "data", "x", "y", "store",
	"ls", "env", "history", "e", "i", "df", "name", "show", "figures", "rm",
}

// chanceStatements bind and change.
var chanceStatements = []string{
	"{+int} = {0}", "{+str} = 'text {0}'", "{+list} = [{0}, 2, 3]", "{+dict} = {'a': {0}, 'b': [1]}",
	"{+set} = {'b', 'a', '{0}'}", "{+tup} = ({0}, 'x')", "{+tup} = {0},", "{+arr} = np.arange({0})",
	"{+arr} = np.arange(6.).reshape(2, 3) * {0}", "{+df} = pd.DataFrame({'a': [{0}, 2], 'b': ['x', 'y']})",
	"{+obj} = types.SimpleNamespace(v={0})", "{+int} = {+int} = {0}", "pass\n{+int}: int = {0}",
	"pass\n{+list}: 'list[int]' = [{0}]", "{+int}, {+str} = {0}, 's'", "{+int}, *{+list} = {0}, 2, 3",
	"[{+int}, ({+int}, {+int})] = [{0}, (2, 3)]", "{+list} = [x * 2 for x in range({0}) if x % 3]",
	"{+dict} = {k: v for k, v in zip('abc', range({0}))}", "{+set} = {x % 3 for x in range({0})}",
	"{+str} = f'{{int}:>5} {{int}!r} {{{0}}} {\"x\"}'", "{+str} = '''\n%time {0}\n!ls\nwhat?\n# %%\n%%bash\n'''",
	"{+str} = \"\"\"a\n  %matplotlib inline\n    {0}   \n\"\"\"", "{+str} = 'a\\\n%b\\\n!c'",
	"{+str} = ('%d' % {0} +\n'!x'\n)", "{+int} = 17 \\\n% 5", "{+int} = (17\n% 5)",
	"{+list} = [\n    1,  # one\n\n    {0}\n]", "{int}; {+int} = {0}", "{+int} = {0}; {+int} = 1; print({int})",
	"print({int}, {str}, sep='|')", "print({any})", "print('no end', end='')", "print('a\\nb', flush=True)",
	"print(*[1, {0}])", "sys.stdout.write('written {0}\\n')", "_ = sys.stdout.write('thrown away\\n')",
	"print('err', file=sys.stderr)", "for {+int} in range(3): pass",
	"for {+int} in range(2):\n    {int}\n    print({int})", "for i in range(2):\n    i\nelse:\n    {+int} = i",
	"while True:\n    break",
	"if {0} > 20:\n    {+int} = 1\nelif {0} > 10:\n    {+int} = 2\nelse:\n    {+int} = 3",
	"if ({+int} := {0}) > 3: print('big')",
	"try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    {+str} = str(error)\n" +
		"finally:\n    print('finally')",
	"with contextlib.nullcontext({0}) as {+int}:\n    {int}",
	"with contextlib.suppress(KeyError), contextlib.nullcontext():\n    {}['x']",
	"with contextlib.redirect_stdout(io.StringIO()) as buffer:\n    print('caught')\n" +
		"{+str} = buffer.getvalue()",
	"def {+func}(x={0}):\n    '''Doc\n%time\n'''\n    return x",
	"def {+func}(x=0, *args, k={0}, **more):\n    print('called', x)\n    return {'x': x}",
	"def {+func}(x=0): return x, {0}", "{+func} = lambda x=1, *a: [x, {0}]",
	"@functools.lru_cache(None)\ndef {+func}(x=1):\n    return [x] * 2",
	"@functools.wraps(print)\n# between\ndef {+func}(x=1):\n\n    return x\n",
	"def {+func}(x=1):\n    !echo in a function {x}\n    return x",
	"def {+func}(x=1):\n    found = !echo {x} and $x\n    return found",
	"def gen{1}():\n    yield 1\n    x = yield 2\n{+list} = list(gen{1}())",
	"class C{1}:\n    '''Doc.'''\n    n: int = {0}\n    def __init__(self):\n" +
		"        self.v = {0}\n{+obj} = C{1}()",
	"class R{1}:\n    def __init__(self):\n        self.v = 1\n    def __repr__(self):\n" +
		"        return 'R\\n  {0}'\n{+obj} = R{1}()",
	"class P{1}:\n    def __init__(self):\n        self.v = {0}\n    def _repr_pretty_(self, p, cycle):\n" +
		"        with p.group(2, 'P(', ')'):\n            p.text('v=')\n            p.pretty(self.v)\n" +
		"{+obj} = P{1}()",
	"class H{1}:\n    v = 1\n    def _repr_html_(self):\n        return '<b>bold</b>'\n" +
		"    def __repr__(self):\n        return 'H'\n{+obj} = H{1}()",
	"@dataclasses.dataclass\n" +
		"class D{1}:\n    v: int = {0}\n    more: list = dataclasses.field(default_factory=list)\n" +
		"{+obj} = D{1}()",
	"class E{1}(enum.Enum):\n    A = {0}\n    B = 2\n{+obj} = types.SimpleNamespace(v=E{1}.A)",
	"N{1} = collections.namedtuple('N{1}', 'v w')\n{+tup} = N{1}({0}, 'w')",
	"class L{1}(list):\n    pass\n{+list} = L{1}([1, {0}])",
	"class I{1}(int):\n    def __repr__(self):\n        return 'I'\n{+int} = I{1}({0})",
	"def outer{1}():\n    global {+int}\n    {int} = {0}\nouter{1}()", "{list}.append({0})", "{list} += [{0}]",
	"{dict}['k{0}'] = {list}", "{df}['c'] = {0}", "{df}.loc[0, 'a'] = {0}", "{arr} += 1", "{obj}.v = {0}",
	"del {dict}['b'], {list}[1:]", "assert {int} is not None, 'why'", "import math as m{1}, os.path",
	"from math import (pi,\n    tau as t{1})", "from collections import *",
	"import json; {+str} = json.dumps({dict}, default=str)",
	"match {list}:\n    case [first, *rest]:\n        {+int} = first\n    case _:\n        {+int} = 0",
	"# only a comment", "# a comment?\n{+int} = {0}  # what?", "'''a string in the middle'''",
	"if True:\n    # comment\n    {+int} = {0}\n\n    {int}\n", "if True: {+int} = {0}; {int}",
	"{+str} = __name__", "pd.set_option('display.max_rows', 4)", "np.set_printoptions(precision=3)",
	"{+int} = \\\n    {0}",
	"try:\n    from tqdm.notebook import tqdm\nexcept ImportError:\n    from tqdm import tqdm\n" +
		"{+int} = sum(tqdm(range(3)))",
	"{+str} = r'\\d{0}' r\"\\%\"", "lambda: (yield)", "{+str} = os.path.basename(os.getcwd())[:0]",
	"print(f\"{{dict}!r:.10}\")", "print('''%d\n%s''' % (1, {0}))",
	"async def as{1}(x={0}):\n    await asyncio.sleep(0)\n    return x",
}

// chancePlain is how many of the expressions may stand in a tuple.
const chancePlain = 24

// chanceExpressions are what a cell may end with.
var chanceExpressions = []string{
	"{int}", "{str}", "{list}", "{dict}", "{set}", "{tup}", "{arr}", "{df}", "{any}", "{any}", "{func}({0})",
	"{obj}.v", "None", "'a string {0}'", "{0}", "{0} / 7", "1e{0}", "True", "len({list})", "{list}[0]",
	"[{list}, {dict}]", "{int} == {0}", "not {list}", "{df}['a'].sum()", "{obj}", "{obj}", "{func}()",
	"type({int})", "...", "-{0}", "b'bytes'", "1j", "((), [], {}, set())", "{df}.head(1)", "{df}.describe()",
	"{df}.shape", "{df}.dtypes", "{df}['a']", "{df}.columns", "{df}.T", "{df}[['a']]", "{df}.groupby('a').size()",
	"{df}.index", "{arr}.sum()", "{arr}.mean()", "{arr}.shape", "{arr}.dtype", "{arr}.tolist()", "{arr}[0:0]",
	"np.float64({0})", "np.arange(2000)", "list(range(1200))", "'x' * 200", "['word' * 5] * 12",
	"{i: 'v' * i for i in range(30)}", "{dict}.keys()", "{dict}.items()", "iter([1])", "(x for x in [1])",
	"range({0})", "{list}[::-1]", "{*{list}, 1}", "{**{dict}, 'z': 1}", "[*{list}, *{tup}]", "lambda x: x", "int",
	"len", "print", "os", "math.pi", "re.compile('a+', re.I)", "re.match('a', 'ab')", "Exception('x')",
	"ValueError('a', {0})", "collections.Counter('hello')", "collections.OrderedDict(a={0})",
	"collections.defaultdict(list, a=[1])", "collections.deque([1, {0}], maxlen=3)",
	"types.MappingProxyType({'a': 1})", "frozenset({2, 1})", "bytearray(b'x')", "np.array(['a', 'b'])",
	"np.array([1, None], dtype=object)", "pd.Timestamp('2024-01-02')", "pd.NA", "float('nan')",
	"pd.Series([1.5, 2], name='s')", "pd.Index([1, 2])", "pd.date_range('2024', periods=2)", "{str}.upper()",
	"{str}.split()", "'\\n'.join('ab')", "'a\\nb'", "f'{{int}} {{str}!r:>8}'", "f'''\n%d {{0}}\n'''",
	"'''\n!ls\n%x\n'''", "display({any})", "display({any}, {any})", "display('text')", "display(None)",
	"display()", "display({df})", "{lines}", "{lines}.n", "{lines}.s", "{lines}.grep('a')", "{lines}.fields(0)",
	"{list}.append({0})", "{list}.sort(key=str)", "{list}.pop() if {list} else None", "sys.stdout.write('w\\n')",
	"(y := {0})", "{int} if {0} > 20 else {str}", "{0} if True else None", "{int} and {list}", "1 < {0} < 30",
	"'a' in str({str})", "{int} is None", "~{0}", "{list} + [1]", "'%s!' % {int}", "{0} % 7", "2 ** {0}",
	"{0} // 3", "[i for i in {list}]", "{i for i in 'ab'}", "{i: i for i in 'ab'}", "sum(i for i in range({0}))",
	"(\n{int}\n,\n)", "[\n    1,\n    2,  # two\n]", "{func}", "{list} \\\n    [0:1]", "({list}\n    [0:1])",
	"{dict}.get('nothing')", "json.loads('[1, null]')", "sorted({dict})", "max({list}, default=0, key=str)",
	"isinstance({any}, int)", "getattr({obj}, 'v')", "vars({obj}) if hasattr({obj}, '__dict__') else 0",
	"__name__", "np.random.rand(2)", "{any} is {any}", "np.eye(2)", "np.ma.array([1, 2], mask=[0, 1])",
	"pd.Categorical(['a', 'b'])", "pd.DataFrame()", "pd.Series(dtype=float)", "pd.concat([{df}, {df}])",
	"time.gmtime(0)", "os.environ.get('NOTHING')", "Ellipsis", "NotImplemented", "object", "{set} | {1, 2}",
	"slice(1, {0})", "memoryview(b'a')[0]", "complex(1, {0})", "round(2.5)", "divmod(7, 3)",
	"enumerate('a').__class__", "(({int}))", "[[{list}] * 3] * 3", "{'a': {'b': {'c': [{0}] * 30}}}",
	"textwrap.dedent('''\n    a\n''')", "'é ü ☃ {0}'", "'\\t\\x00\"\\''", "np.int8({0})", "np.bool_(True)",
	"np.datetime64('2024-01-01')", "type('T', (), {})", "staticmethod(len)", "functools.partial(print, {0})",
	"itertools.count({0})", "zip('a', 'b')", "map(str, [1])", "open", "not_defined if False else {0}",
	"{df}.style if False else 1", "{df}.plot if False else 1",
}

// chanceLast are what else a cell may end with.
var chanceLast = []string{
	"print({any})", "print('last');", "{+int} = {0}", "{+list} = [{0}]", "{int} += 1", "pass\n{+int}: int = {0}",
	"pass\n{int}: int", "if True:\n    {int}", "for i in [1]:\n    {int}", "for i in [1]: i",
	"def f{1}(): return 1", "class K{1}: pass", "import math", "del_me = 1; del del_me", "pass", "assert True",
	"with contextlib.nullcontext():\n    {int}", "try:\n    {int}\nfinally:\n    pass", "{int}; {str}",
	"{int}; {+int} = 1", "{int};{str};", "%time {func}({0})", "%time {int} + 0", "!echo the last {int}", "!true",
	"{0},", "{list}, {dict}", "*{list}, {0}", "*{list}, *{tup}", "{int},", "{str}, {int}",
}

// chanceEndings stand behind the last expression of a cell.
var chanceEndings = []string{
	"", "", "", "", "", "", ";", " ;", "; # quiet", "  # a comment;", "\n# comment", "\n\n", "\n    \n",
	";\n\n# quiet", " # é", "\n#%%time",
}

// chanceMagics stand on lines of their own.
var chanceMagics = []string{
	"%time {+int} = {0}", "%time {func}({0})", "%time {list}.append({0})", "%timeit -n1 -r1 {int}",
	"%timeit -n 1 -r 1 sum(range(3))", "%matplotlib inline", "%load_ext autoreload\n%autoreload 2",
	"%config InlineBackend.figure_format = 'png'", "%env NEW_{0}=it's",
	"%env OTHER={int}\n{+str} = os.environ['OTHER']", "%set_env A{0} b c", "%cd .",
	"!mkdir -p sub/{0}\n%cd sub\n%cd ..", "!echo plain", "!echo {int} '{str}'", "!echo {list[0]}",
	"!echo $HOME | wc -c", "!echo a; echo b", "!echo $(({0} + 1))", "!echo \"quoted $int\"", "!printf 'no end'",
	"!echo {int + 1} {{x}}", "{+lines} = !echo one; echo two", "{+lines} = !echo {int}",
	"{+lines} = %sx echo {int}", "{+int} = %time {0}", "{+str} = %env HOME\n{+int} = 1",
	"if True:\n    !echo in a block {int}", "for i in range(2):\n    %time i\n    !echo {i}",
	"if False:\n    %cd nowhere\nelse:\n    %matplotlib inline", "if True:\n    x = !echo block\n    print(x)",
	"for i in range(2):\n    {+lines} = !echo {i}\n    {list}",
	"try:\n    !false\nexcept Exception:\n    print('never')",
	"with contextlib.nullcontext():\n    %time {+int} = {0}", "!!echo lines", "%sx echo sx", "!echo a \\\n  b",
	"%time \\\n  {+int} = {0}", "{+lines} = !echo a \\\n  b", "print?", "{any}?", "?print",
	"if True:\n    print?\n    {+int} = {0}", "%alias ll ls", "%xmode Plain", "%colors NoColor", "%%time?",
	"get_ipython().system('echo by object')", "get_ipython().run_line_magic('time', '{+int} = {0}')",
	"{+lines} = get_ipython().getoutput('echo by object')", "%time print('x'); {+int} = {0}",
	"%time for q in range(2): print(q)", "%time None", "!echo '%time' \"!x\"", "!echo a  # not a comment",
	"!ls nowhere 2>/dev/null", "%rm -f nothing", "%mkdir made{1}", "!touch f{1}.txt && ls f{1}.txt",
	"{+lines} = !cat nowhere 2>&1 | wc -l", "a1, b1 = !echo 1; echo 2", "{dict}['k'] = !echo sub",
	"{obj}.w = !echo attribute", "{+str} = !echo x\n{+str} = 'reset'",
}

// chanceCells are cells with a magic whose body is no Python of the notebook.
var chanceCells = []string{
	"%%bash\necho from bash\necho $((1 + {0}))", "%%sh\nprintf 'x\\n'", "%%html\n<b>bold</b>",
	"%%javascript\nalert(1)", "%%timeit -n1 -r1\nsum(range(3))", "%%timeit -n1 -r1 q = 3\nq * 2",
	"%%writefile note{1}.txt\n%time\n!ls\ntext '''", "%%writefile -a notes.txt\nmore {0}",
	"%%bash --out text{1}\necho kept", "%%python\nprint({0})", "%%script cat\nas it is", "%%sx\necho lines",
	"%%!\necho bang", "%%bash\necho {int} $HOME | wc -l", "%%markdown\n# Heading", "%%latex\nx",
	"%%file f{1}.py\nx = 1",
}

// chanceAwaits await outside of functions.
var chanceAwaits = []string{
	"await asyncio.sleep(0)", "await asyncio.sleep(0, {0})", "{+int} = await asyncio.sleep(0, {0})",
	"{+list} = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, {0}))",
	"async def co{1}(x):\n    await asyncio.sleep(0)\n    return [x]\nawait co{1}({0})",
	"async def co{1}(x):\n    return x\n{+int} = await co{1}({0})\n{int}",
	"async def ag{1}():\n    yield 1\n    yield {0}\n{+list} = [x async for x in ag{1}()]\n{list}",
	"async def ag{1}():\n    yield {0}\nasync for {+int} in ag{1}():\n    print({int})",
	"@contextlib.asynccontextmanager\nasync def cm{1}():\n    yield {0}\nasync with cm{1}() as {+int}:\n" +
		"    print({int})\n{int}",
	"for i in range(2):\n    await asyncio.sleep(0)\n    {+int} = i",
	"{+int} = await asyncio.sleep(0, 1); {+int} = 2",
	"if True:\n    {+str} = await asyncio.sleep(0, '''\n%x\n''')",
	"task{1} = asyncio.create_task(asyncio.sleep(0, {0}))\n{+int} = await task{1}",
	"print(await asyncio.sleep(0, 'printed'))\nawait asyncio.sleep(0)",
	"{+int} = [await asyncio.sleep(0, {0})][0]\n%time {+int} = 1", "await asyncio.sleep(0, 'quiet');",
	"async def co{1}():\n    !echo in async {0}\n    return 1\nawait co{1}()",
	"try:\n    await asyncio.wait_for(asyncio.sleep(9), 0.01)\nexcept asyncio.TimeoutError:\n" +
		"    {+str} = 'timeout'",
	"def plain{1}(x):\n    return x + 1\n{+int} = plain{1}(await asyncio.sleep(0, {0}))\n{int}",
	"lock{1} = asyncio.Lock()\nasync with lock{1}:\n    {+int} = {0}\n{int}",
	"{+int}: int = await asyncio.sleep(0, {0})\n{int}", "(await asyncio.sleep(0, {0})), 2",
	"del_me = 1\nawait asyncio.sleep(0)\ndel del_me", "import math as am{1}; await asyncio.sleep(0)\nam{1}.pi",
	"await asyncio.sleep(0)\nclass A{1}:\n    v = {0}\n{+obj} = A{1}()",
	"{+int} = {0}\nawait asyncio.sleep(0)\n{int} += 1\n{int}",
	"async def co{1}():\n    return {0}\n[await co{1}() for _ in range(2)]",
}

// chanceFailures raise.
var chanceFailures = []string{
	"1 / 0", "raise ValueError('why {0}')", "not_there", "{dict}['missing']", "assert False, 'because'",
	"import not_a_module", "raise SystemExit(0) if False else KeyError('k')",
	"def fails():\n    raise RuntimeError('deep')\nfails()", "[][1]", "int('x')", "print('before'); 1 / 0",
	"{list}.nothing", "await asyncio.wait_for(asyncio.sleep(9), 0.01)",
}

// chanceSettings say which expressions are shown.
var chanceSettings = []string{
	"%config InteractiveShell.ast_node_interactivity = 'all'",
	"%config InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'",
	"from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity " +
		"= 'all'",
	"get_ipython().ast_node_interactivity = 'last'", "%config InteractiveShell.ast_node_interactivity = 'none'",
	"%matplotlib inline", "from IPython.display import display",
	"from IPython.display import display, HTML, Markdown",
	"import IPython.display as D\nfrom IPython import get_ipython",
	"import warnings\nwarnings.filterwarnings('ignore')", "from __future__ import annotations",
}

// chancePlots draw.
var chancePlots = []string{
	"plt.plot([1, {0}]);", "fig, ax = plt.subplots()\nax.plot([1, {0}])", "plt.plot([1, 2])\nplt.show()",
	"plt.hist([1, 2, {0}])\nplt.title('x')", "fig = plt.figure()", "fig = plt.figure()\nfig",
	"for i in range(2):\n    plt.figure()\n    plt.plot([i])", "def draw{1}():\n    plt.plot([1])\ndraw{1}()",
	"plt.close('all')", "pd.Series([1, 2]).plot()",
	"fig, axes = plt.subplots(1, 2)\naxes[0].bar([1], [{0}])\nplt.close(fig)", "plt.figure(figsize=(2, 2));",
	"plt.plot([1])\nplt.savefig('f.png')",
}
