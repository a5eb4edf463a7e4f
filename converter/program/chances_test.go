package program

// odd are statements that change something where nobody looks: in a condition, a display, a default, a class body, by
// another name of the method, in another thread.
var odd = []chance{
	{"odd", "if {list}.append({0}) is None:\n    pass"},
	{"odd", "assert {list}.append({0}) is None"},
	{"odd", "f'{{list}.append({0})}'"},
	{"odd", "print({list}.pop() if {list} else 0)"},
	{"odd", "{list}.pop() if {list} else None"},
	{"odd", "{list} and {list}.pop()"},
	{"odd", "({list}.append({0}), 2)[1]"},
	{"odd", "[x for x in [1] if {list}.append(x) is None]"},
	{"odd", "{x: {list}.append(x) for x in [{0}]}"},
	{"odd", "[{+int} := v for v in [{0}]]"},
	{"odd", "print(*[{list}.append({0})])"},
	{"odd", "{list}[0:0] = [{0}]"},
	{"odd", "{+int}: int = {0}"},
	{"odd", "{obj}.v += {0}"},
	{"odd", "{obj}.items[0:0] = [{0}]"},
	{"odd", "{dict}['x'], {dict}['y'] = {0}, 2"},
	{"odd", "for {dict}['x'] in [1, {0}]:\n    pass"},
	{"odd", "for {obj}.v in [1, {0}]:\n    pass"},
	{"odd", "with contextlib.nullcontext({0}) as {dict}['x']:\n    pass"},
	{"odd", "class Body{1}:\n    {list}.append({0})"},
	{"odd", "class Body{1}:\n    y = {list}.pop() if {list} else 0\n{+int} = Body{1}.y"},
	{"odd", "@(lambda f: {list}.append({0}) or f)\ndef deco{1}(x=0):\n    return x"},
	{"odd", "def default{1}(x={list}.append({0})):\n    pass"},
	{"odd", "def noted{1}(x: {list}.append({0})):\n    pass"},
	{"odd", "class Based{1}(*[object for _ in [1] if {list}.append({0}) is None]):\n    pass"},
	{"odd", "with contextlib.suppress(ValueError):\n    {list}.append({0})\n    raise ValueError"},
	{"odd", "try:\n    pass\nfinally:\n    {list}.append({0})"},
	{"odd", "try:\n    {list}.append({0})\n    1 / 0\nexcept ZeroDivisionError as error:\n" +
		"    {dict}['e'] = str(error)"},
	{"odd", "while {list} and len({list}) > 1 and {list}.pop() is not None:\n    pass"},
	{"odd", "for _ in range(2):\n    if {0} > 20:\n        {list}.append({0})\n        break\nelse:\n" +
		"    {list}.append(1)"},
	{"odd", "{+int} = {0} if {list}.append({0}) else 1"},
	{"odd", "lambda: {list}.append({0})"},
	{"odd", "{+int} = ({list}.append({0}), {0})[-1]"},

	{"other name", "{+func} = {list}.append\n{func}({0})"},
	{"other name", "getattr({list}, 'append')({0})"},
	{"other name", "getattr({list}, 'app' + 'end')({0})"},
	{"other name", "operator.methodcaller('append', {0})({list})"},
	{"other name", "functools.partial({list}.append)({0})"},
	{"other name", "({list}.append if {0} > 20 else print)({0})"},
	{"other name", "type({list}).append({list}, {0})"},
	{"other name", "ops = {'add': {list}.append}\nops['add']({0})"},
	{"other name", "for fn in [{list}.append]:\n    fn({0})"},
	{"other name", "fns = []\nfns.append({list}.append)\nfns[0]({0})"},
	{"other name", "def runs{1}(f, *a):\n    f(*a)\nruns{1}({list}.append, {0})"},
	{"other name", "def adds{1}(x, acc={list}):\n    acc.append(x)\nadds{1}({0})"},
	{"other name", "(lambda acc={list}: acc.append({0}))()"},
	{"other name", "list.extend(*[{list}, [{0}]])"},
	{"other name", "operator.iadd({list}, [{0}])"},
	{"other name", "{list}.__iadd__([{0}])"},
	{"other name", "{list}.__setitem__(slice(0, 0), [{0}])"},
	{"other name", "{dict}.__setitem__('w', {0})"},
	{"other name", "{dict}.__ior__({'v': {0}})"},

	{"thread", "worker = threading.Thread(target={list}.append, args=({0},))\nworker.start()\nworker.join()"},
	{"thread", "with concurrent.futures.ThreadPoolExecutor(1) as pool:\n" +
		"    pool.submit({list}.append, {0}).result()"},
	{"thread", "with concurrent.futures.ThreadPoolExecutor(1) as pool:\n    list(pool.map({list}.append, [{0}]))"},
	{"thread", "async def later{1}():\n    {list}.append({0})\n" +
		"asyncio.new_event_loop().run_until_complete(later{1}())"},
	{"thread", "async def later{1}():\n    {list}.append({0})\nawait later{1}()"},

	{"decorated", "def counts(f):\n    def inner(x=0):\n        inner.n += 1\n        return f(x)\n" +
		"    inner.n = 0\n" +
		"    return inner\n@counts\ndef {+func}(x=0):\n    return x"},
	{"decorated", "def memo(f):\n    cache = {}\n    def inner(x=0):\n        if x not in cache:\n" +
		"            cache[x] = f(x)\n        return cache[x]\n    return inner\n@memo\ndef {+func}(x=0):\n" +
		"    return x + {0}"},
	{"decorated", "@functools.wraps(len)\ndef {+func}(x=0):\n    {list}.append(x)\n    return x"},
	{"decorated", "def tries{1}(f):\n    def inner(*a, **k):\n        try:\n            return f(*a, **k)\n" +
		"        except Exception:\n            return 0\n    return inner\n@tries{1}\ndef {+func}(x=0):\n" +
		"    {list}.append(x)\n    return x"},
	{"decorated", "def {+func}(x=0):\n    return x\n" +
		"{func} = (lambda f: lambda x=0: {list}.append(x) or f(x))({func})"},
	{"decorated", "def sends():\n    got = []\n    while True:\n        got.append((yield got))\n" +
		"{+sends} = sends()\n" +
		"next({sends})"},
	{"decorated", "{sends}.send({0})"},
	{"decorated", "{+list} = {sends}.send({0})"},

	{"objects", "class Opt:\n    def __init__(self, m):\n        self.m = m\n    def step(self):\n" +
		"        self.m.v = {0}\n" +
		"        return self\n{+opt} = Opt({obj})"},
	{"objects", "{opt}.step()"},
	{"objects", "print({opt}.step())"},
	{"objects", "class Subject:\n    def __init__(self):\n        self.to = []\n    def subscribe(self, f):\n" +
		"        self.to.append(f)\n        return f\n    def notify(self, x):\n        for f in self.to:\n" +
		"            f(x)\n{+subject} = Subject()"},
	{"objects", "{subject}.subscribe({list}.append)"},
	{"objects", "{subject}.notify({0})"},
	{"objects", "@{subject}.subscribe\ndef hears{1}(x):\n    {list}.append(x)"},
	{"objects", "class Borg:\n    _s = {}\n    def __init__(self):\n        self.__dict__ = self._s\n" +
		"{+borg} = Borg()"},
	{"objects", "Borg().x = {0}"},
	{"objects", "class Single:\n    it = None\n    def __new__(cls):\n        if cls.it is None:\n" +
		"            cls.it = super().__new__(cls)\n            cls.it.items = []\n        return cls.it\n" +
		"{+single} = Single()"},
	{"objects", "Single().items.append({0})"},
	{"objects", "class Counts:\n    n, all = 0, []\n    def __init__(self):\n        Counts.n += 1\n" +
		"        self.all.append({0})\n{+counts} = Counts()"},
	{"objects", "Counts()"},
	{"objects", "[Counts() for _ in range(2)]"},
	{"objects", "{+int} = Counts().n"},
	{"objects", "class Proxy:\n    def __init__(self, to):\n        self.__dict__['to'] = to\n" +
		"    def __getattr__(self, n):\n        return getattr(self.to, n)\n    def __setattr__(self, n, v):\n" +
		"        setattr(self.to, n, v)\nProxy({list}).append({0})"},
	{"objects", "Proxy({obj}).v = {0}"},
	{"objects", "class Setter:\n    def __init__(self):\n        self.log = []\n    @property\n    def p(self):\n" +
		"        return len(self.log)\n    @p.setter\n    def p(self, x):\n        self.log.append(x)\n" +
		"    def __setitem__(self, k, x):\n        self.log.append(k)\n    def __delitem__(self, k):\n" +
		"        self.log.append(-k)\n{+setter} = Setter()"},
	{"objects", "{setter}.p = {0}"},
	{"objects", "{setter}[{0}] = 1"},
	{"objects", "del {setter}[{0}]"},
	{"objects", "class Tree:\n    def __init__(self, v, *kids):\n        self.v, self.items = v, list(kids)\n" +
		"    def each(self):\n        yield self\n        for k in self.items:\n            yield from k.each()\n" +
		"{+tree} = Tree({0}, Tree(1), Tree(2))"},
	{"objects", "for node in {tree}.each():\n    node.v += {0}"},
	{"objects", "{+tree} = {tree}.items[0]"},
	{"objects", "max({tree}.each(), key=lambda n: n.v).v = {0}"},
	{"objects", "{+list} = [n.v for n in {tree}.each()]"},
	{"objects", "@dataclasses.dataclass\nclass Conf:\n    lr: float = {0}\n    tags: list = dataclasses.field(" +
		"default_factory=list)\n    def with_(self, **k):\n        self.__dict__.update(k)\n        return self\n" +
		"{+conf} = Conf()"},
	{"objects", "{conf}.with_(lr={0})"},
	{"objects", "{conf}.tags.append({0})"},
	{"objects", "{+conf} = dataclasses.replace({conf}, lr={0})"},

	{"library", "{+ba} = bytearray(b'abc')"},
	{"library", "{ba}[0] = {0}"},
	{"library", "memoryview({ba})[1:2] = bytes([{0}])"},
	{"library", "struct.pack_into('b', {ba}, 0, {0})"},
	{"library", "io.BytesIO(bytes([{0}])).readinto({ba})"},
	{"library", "{+db} = sqlite3.connect(':memory:')\n{db}.execute('create table t(a)')"},
	{"library", "{db}.execute('insert into t values ({0})')"},
	{"library", "{db}.executemany('insert into t values (?)', [({0},)])"},
	{"library", "def {+func}(x=0):\n    return {db}.execute('select a from t').fetchall()"},
	{"library", "{+list} = {db}.execute('select a from t').fetchall()"},
	{"library", "cursor = {db}.cursor()\ncursor.execute('update t set a = {0}')"},
	{"library", "np.set_printoptions(precision={0} % 5 + 1)\n{+str} = str(np.array([1 / 3]))"},
	{"library", "pd.set_option('display.max_rows', {0})"},
	{"library", "def {+func}(x=0):\n    return pd.get_option('display.max_rows')"},
	{"library", "os.environ['METAML_CHANCE_X'] = '{0}'"},
	{"library", "os.environ.update(METAML_CHANCE_X='{0}')"},
	{"library", "def {+func}(x=0):\n    return os.environ.get('METAML_CHANCE_X')"},
	{"library", "sys.setrecursionlimit(1000 + {0})"},
	{"library", "def {+func}(x=0):\n    return sys.getrecursionlimit()"},
	{"library", "{+var} = contextvars.ContextVar('v', default=0)"},
	{"library", "{var}.set({0})"},
	{"library", "def {+func}(x=0):\n    return {var}.get()"},
	{"library", "handler = logging.StreamHandler({buf})\nlogging.getLogger('x').addHandler(handler)"},
	{"library", "logging.getLogger('x').warning('{0}')"},
	{"library", "csv.register_dialect('mine', delimiter=chr(60 + {0} % 5))"},
	{"library", "def {+func}(x=0):\n    return csv.list_dialects()"},
	{"library", "json.JSONEncoder.item_separator = ' {0}'"},
	{"library", "def {+func}(x=0):\n    return json.JSONEncoder.item_separator"},
	{"library", "import math as m{1}\nm{1}.limit = {0}"},
	{"library", "def {+func}(x=0):\n    import math\n    return getattr(math, 'limit', None)"},
	{"library", "codecs.register_error('mine', lambda e: ('?{0}', e.end))"},
	{"library", "def {+func}(x=0):\n    return 'é'.encode('ascii', 'mine')"},
	{"library", "{+list} = list(dict.fromkeys([{0}, 2], {list}).values())"},
	{"library", "{+dict} = dict.fromkeys('ab', {list})"},
	{"library", "{+dict} = dict(zip('ab', [{list}, {list}]))"},
	{"library", "{+list} = sum([[{list}], [1]], [])"},
	{"library", "{+list} = list(itertools.chain([{list}], [{0}]))"},
	{"library", "{+list} = sorted([{list}, [{0}]], key=len)"},
	{"library", "{+grow} = collections.ChainMap({dict}, {})"},
	{"library", "{grow}['chain'] = {0}"},
	{"library", "{+dict} = collections.Counter('aab')"},
	{"library", "{dict}.update('ab') if isinstance({dict}, collections.Counter) else None"},
	{"library", "{+obj} = types.SimpleNamespace(v={list}, items={list})"},
	{"library", "enc = LabelEncoder()\nenc.fit(['a', 'b{0}'])\n{+enc} = enc"},
	{"library", "{+enc} = LabelEncoder().fit(['a', 'x{0}'])"},
	{"library", "{enc}.fit(['q', 'r{0}'])"},
	{"library", "{enc}.fit_transform(['q', 's{0}'])"},
	{"library", "{enc}.transform({enc}.classes_)"},
	{"library", "{+scale} = StandardScaler()"},
	{"library", "{scale}.fit([[1.0], [{0}]])"},
	{"library", "{scale}.partial_fit([[1.0], [{0}]])"},
	{"library", "{scale}.set_params(with_mean=False)"},
	{"library", "_ = {scale}.fit_transform([[2.0], [{0}]])"},
	{"library", "sklearn.set_config(assume_finite={0} > 20)"},
	{"library", "def {+func}(x=0):\n    return sklearn.get_config()['assume_finite']"},

	{"array", "{+mat} = np.zeros((2, 2)) + {0}"},
	{"array", "for row in {mat}:\n    row[0] = {0}"},
	{"array", "for i, row in enumerate({mat}):\n    row += i"},
	{"array", "for row, other in zip({mat}, {mat}):\n    row -= 1"},
	{"array", "{+arr} = {mat}[0]"},
	{"array", "first, second = {mat}\nsecond[:] = {0}"},
	{"array", "np.fill_diagonal({mat}, {0})"},
	{"array", "{mat}.flat[0] = {0}"},
	{"array", "{mat}.T[0] = {0}"},
	{"array", "np.putmask({arr}, {arr} > 3, {0})"},
	{"array", "np.place({arr}, {arr} > 3, [{0}])"},
	{"array", "{mat}.setfield({0}, np.float64)"},
	{"array", "np.random.default_rng(1).shuffle({mat})"},
	{"array", "np.negative({arr}, {arr})"},
	{"array", "np.clip({arr}, 0, {0}, out={arr})"},
	{"array", "np.cumsum({arr}, out={arr})"},
	{"array", "np.nan_to_num({mat}, copy=False, nan={0})"},
	{"array", "{arr}.partition(1)"},
	{"array", "{+list} = [{mat}, {arr}]\n{list}[0][0] = {0}"},
	{"array", "[row.fill({0}) for row in {mat}]"},
	{"array", "np.apply_along_axis(lambda r: {list}.append(1) or 0, 0, {mat})"},
	{"array", "{+mat} = np.array({mat}, copy=False) if {0} > 60 else np.asarray({mat})"},
	{"array", "{+mat} = np.lib.stride_tricks.as_strided({mat})"},
	{"array", "{+mat} = np.broadcast_to({mat}, (2, 2))"},
	{"array", "{+list} = np.split({arr}, 2)\n{list}[0][0] = {0}"},

	{"frame", "column = {df}['a']\ncolumn.iloc[0] = {0}"},
	{"frame", "{df}.iloc[0, 0] = {0}"},
	{"frame", "{df}.at[0, 'a'] = {0}"},
	{"frame", "{df}.a = {0}"},
	{"frame", "{df}.sort_values('a', inplace=True, ascending={0} > 20)"},
	{"frame", "{df}.reset_index(drop=True, inplace=True)"},
	{"frame", "for c in {df}:\n    {df}[c] = {df}[c] + {0}"},
	{"frame", "for c in {df}.columns:\n    {df}.rename(columns={c: c + '_'}, inplace=True)\n" +
		"{df}.columns = [c.rstrip('_') for c in {df}.columns]"},
	{"frame", "def adds_column{1}(t):\n    t['h'] = {0}\n    return t\n{df}.pipe(adds_column{1})"},
	{"frame", "def adds_column{1}(t):\n    t['h'] = {0}\n    return t\n{+df} = adds_column{1}({df})"},
	{"frame", "{df}.update(pd.DataFrame({'a': [{0}]}))"},
	{"frame", "{df}.loc[len({df})] = {0}"},
	{"frame", "{df}.loc[{df}['a'] > 2, 'a'] = {0}"},
	{"frame", "{df}.index = range(len({df}))"},
	{"frame", "{df}.flags.allows_duplicate_labels = True"},
	{"frame", "{+df} = {df}.assign(z={0})"},
	{"frame", "{+df} = {df}[['a']]"},
	{"frame", "{+df} = {df}.copy()"},
	{"frame", "{+dict} = {'t': {df}}\n{dict}['t']['g'] = {0}"},
	{"frame", "for table in [{df}]:\n    table['loop'] = {0}"},
	{"frame", "parts = dict(list({df}.groupby('a')))\n{+int} = len(parts)"},
	{"frame", "{df}.groupby('a').apply(lambda g: {list}.append(len(g)))"},
	{"frame", "{df}['a'].map({list}.append)"},
	{"frame", "{df}['a'].map({grow})"},
	{"frame", "pd.DataFrame.total{1} = lambda self: len(self) + {0}"},
	{"frame", "def {+func}(x=0):\n    return getattr(pd.DataFrame, 'total1', len)(pd.DataFrame())"},
	{"frame", "@pd.api.extensions.register_dataframe_accessor('acc{1}')\nclass Acc:\n    def __init__(self, t):\n" +
		"        self.t = t\n    def mark(self):\n        self.t['acc'] = {0}\n        return self.t"},
	{"frame", "{df}.acc1.mark()"},
}

// first has what a statement needs that no value of a kind has: a class, a function.
var first = map[string]string{
	"{obj}.{word}({0})": worded, "{+int} = len({obj}.{word}({0}).items)": worded, "_ = {obj}.{word}({0})": worded,
	"{obj}.{word}":                 worded,
	"{obj}.__class__.shared = {0}": worded,
	"type({obj}).shared = [{0}]":   worded,
	"Borg().x = {0}":               borg,
	"Single().items.append({0})":   single,
	"Counts()":                     counted,
	"[Counts() for _ in range(2)]": counted,
	"{+int} = Counts().n":          counted,
	"Proxy({obj}).v = {0}":         proxy,
	"{df}.acc1.mark()":             accessor,
	"def {+func}(x=0):\n    return 'é'.encode('ascii', 'mine')": "" +
		"codecs.register_error('mine', lambda e: ('?', e.end))",
}

const (
	worded = "class Worded{1}:\n    def __init__(self):\n        self.v, self.items = {0}, []\n" +
		"    def {word}(self, x=0):\n        self.items.append(x)\n        return self\n{+obj} = Worded{1}()"
	borg = "class Borg:\n    _s = {}\n    def __init__(self):\n        self.__dict__ = self._s\n" +
		"{+borg} = Borg()"
	single = "class Single:\n    it = None\n    def __new__(cls):\n        if cls.it is None:\n" +
		"            cls.it = super().__new__(cls)\n            cls.it.items = []\n        return cls.it\n" +
		"{+single} = Single()"
	counted = "class Counts:\n    n, all = 0, []\n    def __init__(self):\n        Counts.n += 1\n" +
		"        self.all.append({0})\n{+counts} = Counts()"
	proxy = "class Proxy:\n    def __init__(self, to):\n        self.__dict__['to'] = to\n" +
		"    def __getattr__(self, n):\n        return getattr(self.to, n)\n    def __setattr__(self, n, v):\n" +
		"        setattr(self.to, n, v)"
	accessor = "@pd.api.extensions.register_dataframe_accessor('acc1')\nclass Acc1:\n" +
		"    def __init__(self, t):\n        self.t = t\n    def mark(self):\n        self.t['acc'] = {0}\n" +
		"        return self.t"
)
