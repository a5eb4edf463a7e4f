package program

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// chance is a statement that notebooks made by chance have: a text in which a word in braces stands for a name that is
// bound already, by the kind of its value, {+list} for a name that gets a list, and {0} for a number.
type chance struct {
	kind string // what it tries, by which a failure is sorted
	text string
}

// pending are kinds of which programs are not right yet; METAML_CHANCE_PENDING tries them, too.
const pending = "pending "

// whole is the text with what it needs first.
func (c chance) whole() string { return strings.TrimPrefix(first[c.text]+"\n"+c.text, "\n") }

// chances are the ways to bind, change, alias, read and call that people use and an analysis may overlook. One that
// cannot be executed, where a name has another value by now, makes a notebook that says nothing; so most suit any value
// of their kind.
var chances = []chance{
	{"chained", "{+list} = {+list} = [{0}]"},
	{"chained", "{+dict} = {+dict} = {'a': {0}}"},
	{"chained", "{+arr} = {+arr} = np.arange(4) + {0}"},
	{"chained", "{+df} = {+df} = pd.DataFrame({'a': [{0}, 2]})"},
	{"chained", "{+list} = {dict}['n'] = [{0}]"},
	{"chained", "({+list}, {+int}) = pair = ([{0}], {0})"},
	{"chained", "{+obj} = {+obj} = types.SimpleNamespace(v={0}, items=[])"},

	{"alias", "{+list} = {list} if {0} > 20 else [{0}]"},
	{"alias", "{+list} = {list} or [{0}]"},
	{"alias", "{+list} = ({list}, {0})[0]"},
	{"alias", "{+list} = {'x': {list}}['x']"},
	{"alias", "{+list} = [{list}][-1]"},
	{"alias", "{+list}, *rest = [{list}, {0}]"},
	{"alias", "if ({+list} := {list}):\n    pass"},
	{"alias", "for {+list} in [{list}]:\n    pass"},
	{"alias", "{+list} = next(iter([{list}]))"},
	{"alias", "{+list} = max([{list}], key=len)"},
	{"alias", "{+list} = {dict}.setdefault('s', [])"},
	{"alias", "{+list} = {dict}.get('n', [])"},
	{"alias", "{+list} = (lambda: {list})()"},
	{"alias", "{+dict} = {**{dict}}"},
	{"alias", "{+dict} = dict({dict})"},
	{"alias", "{+dict} = {dict}.copy()"},
	{"alias", "{+list} = {list}[:]"},
	{"alias", "{+list} = list(reversed({list}))"},
	{"alias", "{+list} = {list} + [{list}]"},
	{"alias", "{+obj} = copy.copy({obj})"},
	{"alias", "{+list}, {+list} = {list}, {list}"},
	{"alias", "{+list} = functools.reduce(lambda p, q: q, [{list}, {list}])"},
	{"alias", "{+dict} = vars({obj})"},
	{"alias", "{+list} = getattr({obj}, 'items')"},
	{"alias", "{+list} = {obj}.items"},
	{"alias", "{+list} = {df}['a'].tolist()"},
	{"alias", "{+arr} = {arr}[1:]"},
	{"alias", "{+arr} = {arr}.view()"},
	{"alias", "{+arr} = {arr}.reshape(-1)"},
	{"alias", "{+arr} = np.asarray({arr})"},
	{"alias", "{+arr} = {arr}.T"},
	{"alias", "{+df} = {df}"},

	{"change", "{list}[:] = [{0}]"},
	{"change", "{list} += [{0}]"},
	{"change", "{list} *= 2"},
	{"change", "{list}.extend([{0}])"},
	{"change", "{list}.insert(0, {0})"},
	{"change", "{list}.sort(key=str)"},
	{"change", "{list}.reverse()"},
	{"change", "{list}.clear()"},
	{"change", "del {list}[1:]"},
	{"change", "{dict} |= {'p': {0}}"},
	{"change", "{dict}.pop('a', None)"},
	{"change", "{dict}.setdefault('q', {0})"},
	{"change", "if 'a' in {dict}:\n    del {dict}['a']"},
	{"change", "setattr({obj}, 'v', {0})"},
	{"change", "{obj}.w = [{0}]"},
	{"change", "vars({obj})['v'] = {0}"},
	{"change", "{obj}.__dict__.update(v={0})"},
	{"change", "{obj}.items.append({0})"},
	{"change", "{obj}.items += [{0}]"},
	{"change", "for one in [{list}, {list}]:\n    one.append({0})"},
	{"change", "for i, one in enumerate([{list}]):\n    one.append(i)"},
	{"change", "for key, one in {dict}.items():\n    if isinstance(one, list):\n        one.append({0})"},
	{"change", "for one in {dict}.values():\n    if isinstance(one, list):\n        one.append({0})"},
	{"change", "[one.append({0}) for one in ({list},)]"},
	{"change", "match {list}:\n    case one:\n        one.append({0})"},
	{"change", "try:\n    {list}.append({0})\n    raise ValueError\nexcept ValueError:\n    {list}.append(1)"},
	{"change", "while len({list}) < 3:\n    {list}.append({0})"},
	{"change", "with contextlib.nullcontext({list}) as one:\n    one.append({0})"},
	{"change", "{arr}[0] = {0}"},
	{"change", "{arr}[{arr} > 5] = {0}"},
	{"change", "{arr} += {0}"},
	{"change", "{arr}.fill({0})"},
	{"change", "{arr}.sort()"},
	{"change", "{df}['b'] = {0}"},
	{"change", "{df}.loc[0, 'a'] = {0}"},
	{"change", "{df}.columns = [f'{c}_' for c in {df}.columns]\n{df}.columns = [c[:-1] for c in {df}.columns]"},
	{"change", "{df}.attrs['k'] = {0}"},
	{"change", "{df}.index.name = 'i{0}'"},
	{"change", "{df}.insert(0, f'c{len({df}.columns)}', {0})"},
	{"change", "{df}.drop(columns='b', inplace=True, errors='ignore')"},
	{"change", "{df}.eval('d = a + {0}', inplace=True)"},
	{"change", "{df}['e'] = {df}['a'].apply(lambda x: x + {0})"},
	{"change", "if 'b' in {df}:\n    {df}.pop('b')"},

	{"argument", "{+buf} = io.StringIO()"},
	{"argument", "{+bytes} = io.BytesIO()"},
	{"argument", "json.dump({'a': {0}}, {buf})"},
	{"argument", "print({0}, file={buf})"},
	{"argument", "csv.writer({buf}).writerow([{0}])"},
	{"argument", "{buf}.write('{0}')"},
	{"argument", "{df}.to_csv({buf})"},
	{"argument", "with contextlib.redirect_stdout({buf}):\n    print({0})"},
	{"argument", "{buf}.seek(0)"},
	{"argument", "pickle.dump([{0}], {bytes})"},
	{"argument", "np.save({bytes}, np.arange({0}))"},
	{"argument", "np.savetxt({bytes}, np.arange(3))"},
	{"argument", "print({0}, file=(target := {buf}))"},
	{"argument", "np.add.at({arr}, [0, 1], {0})"},
	{"argument", "np.copyto({arr}, {0})"},
	{"argument", "np.put({arr}, [0], [{0}])"},
	{"argument", "np.add({arr}, {0}, out={arr})"},
	{"argument", "np.random.default_rng({0}).shuffle({arr})"},
	{"argument", "random.Random({0}).shuffle({list})"},
	{"argument", "heapq.heappush({ints}, {0})"},
	{"argument", "bisect.insort({ints}, {0})"},
	{"argument", "operator.setitem({dict}, 'o', {0})"},
	{"argument", "list.append({list}, {0})"},
	{"argument", "dict.update({dict}, u={0})"},
	{"argument", "object.__setattr__({obj}, 'v', {0})"},
	{"argument", "{+ints} = [{0}]"},

	{"method", "class {+cls}:\n    def __init__(self, v={0}):\n        self.v, self.items = v, []\n" +
		"    def {word}(self, x=0):\n        self.items.append(x)\n        return self\n" +
		"    def add(self, x):\n        self.items.append(x)\n        return self"},
	{"method", "{obj}.{word}({0})"},
	{"method", "{+int} = len({obj}.{word}({0}).items)"},
	{"method", "_ = {obj}.{word}({0})"},
	{"method", "{obj}.{word}"},

	{"reading", "{+lines} = io.StringIO('a\\nb\\nc\\n')"},
	{"reading", "{lines}.readline()"},
	{"reading", "{lines}.read(1)"},
	{"reading", "next({lines}, None)"},
	{"reading", "{+list} = list({lines})"},
	{"reading", "{+iter} = iter([1, 2, 3, {0}])"},
	{"reading", "{+iter} = itertools.count({0})"},
	{"reading", "{+iter} = (x for x in [1, 2, {0}])"},
	{"reading", "next({iter}, None)"},
	{"reading", "{+int} = next({iter}, 0)"},
	{"reading", "for one in {iter}:\n    break"},
	{"reading", "2 in {iter}"},
	{"reading", "print(*itertools.islice({iter}, 1))"},
	{"reading", "list(zip({iter}, [1]))"},
	{"reading", "{+grow} = collections.defaultdict(lambda: {0})"},
	{"reading", "{+grow} = collections.defaultdict(lambda: len({grow}))\n{grow}['first']"},
	{"reading", "{+grow} = collections.defaultdict(itertools.count().__next__)"},
	{"reading", "{grow}['k{0}']"},
	{"reading", "{grow}['k{0}'], {grow}['m']"},
	{"reading", "{+int} = {grow}['k{0}']"},
	{"reading", "{+list} = [{grow}[w] for w in 'ab']"},
	{"reading", "print({grow}['z{0}'])"},
	{"reading", "f\"{{grow}['f{0}']}\""},
	{"reading", "class Missing(dict):\n    def __missing__(self, k):\n        self[k] = len(self)\n" +
		"        return self[k]\n{+grow} = Missing()"},
	{"reading", "{+deque} = collections.deque([1, {0}, 3])"},
	{"reading", "if {deque}:\n    {deque}.popleft()"},
	{"reading", "{deque}.rotate(1)"},
	{"reading", "{+queue} = queue.Queue()\n{queue}.put({0})\n{queue}.put(2)"},
	{"reading", "if not {queue}.empty():\n    {queue}.get()"},
	{"reading", "class Looks:\n    def __init__(self):\n        self.n = 0\n    @property\n    def size(self):\n" +
		"        self.n += 1\n        return self.n\n    def __len__(self):\n        self.n += 1\n        return 1\n" +
		"    def __getitem__(self, k):\n        self.n += 10\n        if k > 2: raise IndexError\n        return k\n" +
		"    def __contains__(self, k):\n        self.n += 100\n        return True\n    def __repr__(self):\n" +
		"        self.n += 1000\n        return 'x'\n{+looks} = Looks()"},
	{"reading", "{looks}.size"},
	{"reading", "len({looks})"},
	{"reading", "{looks}[1]"},
	{"reading", "1 in {looks}"},
	{"reading", "print({looks})"},
	{"reading", "list({looks})"},
	{"reading", "{+int} = {looks}.size + {0}"},

	{"call", "class Calls:\n    def __init__(self):\n        self.built = None\n    def __call__(self, x):\n" +
		"        if self.built is None: self.built = [x]\n        self.built.append(x)\n        return x\n" +
		"{+calls} = Calls()"},
	{"call", "{calls}({0})"},
	{"call", "_ = {calls}({0})"},
	{"call", "{+int} = {calls}({0})"},
	{"call", "print({calls}({0}))"},
	{"call", "[{calls}(x) for x in range(2)]"},
	{"call", "list(map({calls}, [{0}]))"},

	{"closure", "def make{1}():\n    n = [0]\n    def step(x=0):\n        n[0] += 1\n        return n[0] + x\n" +
		"    return step\n{+func} = make{1}()"},
	{"closure", "def make{1}(n=0):\n    def step(x=0):\n        nonlocal n\n        n += 1\n        return n + x\n" +
		"    return step\n{+func} = make{1}({0})"},
	{"closure", "{+func} = (lambda box: lambda x=0: box.append(x) or len(box))({list})"},
	{"closure", "{+func} = functools.partial(lambda box, x=0: box.append(x) or len(box), {list})"},
	{"closure", "{+func} = {list}.append"},
	{"closure", "def {+func}(x=0, held=[]):\n    held.append(x)\n    return len(held)"},
	{"closure", "def {+func}(x=0):\n    {func_}.n = getattr({func_}, 'n', 0) + 1\n    return x"},
	{"closure", "{func}({0})"},
	{"closure", "_ = {func}({0})"},
	{"closure", "print({func}({0}))"},
	{"closure", "{func}.n = {0}"},

	{"callback", "def each{1}(x):\n    {list}.append(x)\n    return x\nlist(map(each{1}, [{0}]))"},
	{"callback", "def each{1}(x):\n    {list}.append(x)\n    return x\npd.Series([{0}]).apply(each{1})"},
	{"callback", "def each{1}(x):\n    {list}.append(x)\n    return x\nsorted([{0}, 1], key=each{1})"},
	{"callback", "def each{1}(m):\n    {list}.append(m.group())\n    return ''\nre.sub('a', each{1}, 'aba')"},
	{"callback", "def each{1}(p, q):\n    {list}.append(p)\n    return q\nfunctools.reduce(each{1}, [{0}, 2, 3])"},
	{"callback", "def each{1}(x):\n    {list}.append(x)\n    return x\nmax([{0}, 1], key=each{1})"},
	{"callback", "list(filter({list}.append, [{0}]))"},
	{"callback", "any({list}.append(x) for x in range(2))"},
	{"callback", "list(map(functools.partial({dict}.__setitem__, 'c'), [{0}]))"},
	{"callback", "def apply{1}(f, x):\n    return f(x)\napply{1}({list}.append, {0})"},
	{"callback", "def apply{1}(f, x):\n    return f(x)\ndef each{1}(x):\n    {dict}['e'] = x\napply{1}(each{1}, {0})"},
	{"callback", "{df}.apply(lambda row: {list}.append(row.name))"},
	{"callback", "collections.Counter(iter(lambda: {list}.append(1) or len({list}), len({list}) + 2))"},
	{"callback", "json.loads('[1.5]', parse_float={list}.append)"},

	{"result", "def part{1}(k):\n    return {dict}.setdefault(k, {})\npart{1}('p')['x'] = {0}"},
	{"result", "def get{1}():\n    return {list}\nget{1}().append({0})"},
	{"result", "(lambda: {list})().append({0})"},
	{"result", "[{list}, {list}][0].append({0})"},
	{"result", "{'a': {list}}['a'].append({0})"},
	{"result", "getattr({obj}, 'items').append({0})"},
	{"result", "{dict}.setdefault('s', []).append({0})"},
	{"result", "({list} or [1]).append({0})"},
	{"result", "max({list}, {list}, key=len).append({0})"},
	{"result", "{+int} = decimal.getcontext().prec = {0} % 9 + 3\n{+dec} = decimal.Decimal(1) / 3"},
	{"result", "decimal.getcontext().prec = {0} % 9 + 3"},
	{"result", "{+dec} = decimal.Decimal(2) / 3"},
	{"result", "def {+func}(x=0):\n    return decimal.Decimal(1) / 7"},
	{"result", "next(iter([{list}])).append({0})"},
	{"result", "list({dict}.values())[:1] and [v.append({0}) for v in {dict}.values() if isinstance(v, list)]"},
	{"result", "copy.copy({obj}).items.append({0})"},
	{"result", "{obj}.__class__.shared = {0}"},
	{"result", "type({obj}).shared = [{0}]"},
	{"result", "{arr}[1:][0] = {0}"},
	{"result", "{arr}.reshape(-1)[0] = {0}"},
	{"result", "{arr}.ravel().sort()"},
	{"result", "np.asarray({arr})[0] = {0}"},

	{"stream", "np.random.seed({0})"},
	{"stream", "random.seed({0})"},
	{"stream", "np.random.seed({0})\n{+arr} = np.random.rand(3)"},
	{"stream", "np.random.rand(2)"},
	{"stream", "print(random.random())"},
	{"stream", "{df}.sample(2, replace=True)"},
	{"stream", "random.choice([1, 2])"},
	{"stream", "seeded = np.random.RandomState({0})\n{+arr} = seeded.rand(3)"},
	{"stream", "{+rng} = np.random.default_rng({0})"},
	{"stream", "{rng}.normal()"},
	{"stream", "{+arr} = {rng}.random(3)"},
	{"stream", "{df}.sample(1, random_state={rng})"},
	{"stream", "random.seed({0})\nrandom.random()\n{+int} = random.randint(0, 99)"},
	{"stream", "np.random.seed({0})\n{df}.sample(1)\n{+arr} = np.random.permutation(4)"},

	{"register", "class Base{1}:\n    subs = []\n    def __init_subclass__(cls, **kw):\n" +
		"        Base{1}.subs.append(cls.__name__)\nclass Sub{0}(Base{1}):\n    pass\n{+list} = Base{1}.subs"},
	{"register", "class Base{1}:\n    pass\nclass Sub{1}(Base{1}):\n    pass\ndef {+func}(x=0):\n" +
		"    return [c.__name__ for c in Base{1}.__subclasses__()]"},
	{"register", "class Meta{1}(type):\n    all = []\n    def __init__(cls, *a, **k):\n" +
		"        Meta{1}.all.append(cls)\nclass With{0}(metaclass=Meta{1}):\n    pass\n" +
		"def {+func}(x=0):\n    return len(Meta{1}.all)"},
	{"register", "REG = {}\ndef reg(f):\n    REG[f.__name__] = f\n    return f\n@reg\ndef fn{1}(x=0):\n    return x\n" +
		"def {+func}(x=0):\n    return sorted(REG)"},
	{"register", "REG2 = {}\ndef named(k):\n    def put(f):\n        REG2[k] = f\n        return f\n    return put\n" +
		"@named({0})\ndef g{1}(x=0):\n    return x\ndef {+func}(x=0):\n    return sorted(REG2)"},
	{"register", "@functools.singledispatch\ndef {+func}(x=0):\n    return 0\n@{func_}.register(int)\n" +
		"def of_int(x):\n    return {0}"},
	{"register", "class Hooked:\n    def __set_name__(self, owner, name):\n        owner.hooked = name\n" +
		"class {+cls}:\n    here = Hooked()\n    def __init__(self, v=0):\n        self.v, self.items = v, []\n" +
		"    def add(self, x):\n        return self"},

	{"class", "{cls}.shared = [{0}]"},
	{"class", "{cls}.add = lambda self, x: self.items.append({0}) or self"},
	{"class", "setattr({cls}, 'n{1}', {0})"},
	{"class", "class {+cls}({cls}):\n    more = {0}\n    def add(self, x):\n        super().add(x)\n" +
		"        return self"},
	{"class", "class Many(list):\n    def append(self, x):\n        list.append(self, [x])\n{+list} = Many([{0}])"},
	{"class", "@dataclasses.dataclass\nclass Holds:\n    v: int = {0}\n    items: list = dataclasses.field(" +
		"default_factory=list)\n{+obj} = Holds()"},
	{"class", "class Enters:\n    def __enter__(self):\n        {list}.append({0})\n        return {list}\n" +
		"    def __exit__(self, *e):\n        {list}.append(0)\nwith Enters():\n    pass"},
	{"class", "class Adds:\n    def __init__(self, v):\n        self.v = v\n    def __iadd__(self, x):\n" +
		"        self.v += x\n        return self\n    def __lshift__(self, x):\n        self.v += x\n" +
		"        return self\n{+adds} = Adds({0})"},
	{"class", "{adds} += {0}"},
	{"class", "{adds} << {0}"},
	{"class", "{+adds} = {adds}"},

	{"generator", "def gen{1}(n):\n    {list}.append(n)\n    yield n\nlist(gen{1}({0}))"},
	{"generator", "def gen{1}(n):\n    {list}.append(n)\n    yield n\ngen{1}({0})"},
	{"generator", "@contextlib.contextmanager\ndef man{1}():\n    {list}.append({0})\n    yield {list}\n" +
		"with man{1}() as one:\n    one.append(1)"},
	{"generator", "{+iter} = map({list}.append, [{0}, 1])"},
	{"generator", "{+iter} = ({list}.append(x) for x in [{0}, 1])"},

	{"global", "def set{1}():\n    globals()['{int}'] = {0}\nset{1}()"},
	{"global", "def set{1}():\n    global {int}, {list}\n    {int} = {0}\n    {list}.append({0})\nset{1}()"},
	{"global", "def outer{1}():\n    def inner():\n        {list}.append({0})\n    inner()\nouter{1}()"},
	{"global", "{int}, {int} = {int}, {0}"},
	{"global", "{+int} = {int} if isinstance({int}, int) else {0}"},

	{"looked", "{list}"},
	{"looked", "len({list})"},
	{"looked", "print({list}, {dict})"},
	{"looked", "sum([{0}, 1])"},
	{"looked", "{df}.head()"},
	{"looked", "{df}.describe()"},
	{"looked", "{df}['a'].value_counts()"},
	{"looked", "{arr}.mean()"},
	{"looked", "np.sort({arr})"},
	{"looked", "sorted({list}, key=str)"},
	{"looked", "{dict}.get('a')"},
	{"looked", "{list}.count({0})"},
	{"looked", "json.dumps({0})"},
	{"looked", "{int} + 1"},
	{"looked", "isinstance({list}, list)"},
	{"looked", "{+str} = f'{{int}} of {0}'"},
	{"looked", "{str}.upper().split()"},
	{"looked", "{+frozen} = ({0}, 'x')"},
	{"looked", "class Model:\n    def __init__(self, n, seed=0):\n        self.n, self.seed, self.w = n, seed, []\n" +
		"    def fit(self, x):\n        self.w.append(x)\n        return self\n{+model} = Model({int}, seed={0})"},
	{"looked", "{model}.fit({0})"},
}

// words are names of methods that mean something harmless elsewhere.
var words = []string{
	"apply", "assign", "view", "get", "read", "copy", "describe", "sum", "head", "count", "keys", "mean", "index",
	"transform", "predict", "score", "format", "lower", "step", "values", "to", "plot", "show", "info", "join",
}

// starting are the imports of notebooks made by chance, and a value of each kind.
const starting = "import asyncio, bisect, codecs, collections, concurrent.futures, contextlib, contextvars\n" +
	"import copy, csv, dataclasses, decimal, functools, heapq, io, itertools, json, logging, operator, os\n" +
	"import pickle, queue, random, re, sqlite3, struct, sys, threading, types\nimport numpy as np\n" +
	"import pandas as pd\nimport sklearn\nfrom sklearn.preprocessing import LabelEncoder, StandardScaler"

var simple = map[string]string{
	"int": "{+int} = {0}", "list": "{+list} = [{0}]", "dict": "{+dict} = {'a': {0}}", "ints": "{+ints} = [{0}]",
	"obj": "{+obj} = types.SimpleNamespace(v={0}, items=[])", "arr": "{+arr} = np.arange(4) + {0}",
	"df": "{+df} = pd.DataFrame({'a': [{0}, 2, 3]})", "func": "def {+func}(x=0):\n    return x + {0}",
	"cls": "class {+cls}:\n    def __init__(self, v={0}):\n        self.v, self.items = v, []\n" +
		"    def add(self, x):\n        self.items.append(x)\n        return self",
	"str": "{+str} = 'a{0}'", "rng": "{+rng} = np.random.default_rng({0})",
}

// statement is one of a notebook made by chance.
type statement struct{ kind, text string }

// maker makes notebooks.
type maker struct {
	random
	all     []chance
	without []string // kinds that it leaves out
	new     string   // what is bound gets this name; "" is one by chance
}

func newMaker(seed uint64, without []string) *maker {
	return &maker{random: random{
		r: rand.New(rand.NewPCG(seed, 2)), names: []string{"a", "b", "c", "d", "e", "f"}, live: map[string]string{},
	}, all: slices.Concat(chances, odd), without: without}
}

// fill puts names and numbers into a chance; "" where no name has the kind that it wants.
func (m *maker) fill(text string) string {
	var b strings.Builder
	last, k, n := "", fmt.Sprint(m.r.IntN(50)), fmt.Sprint(m.r.IntN(3))
	word := words[m.r.IntN(8)]
	if m.r.IntN(3) == 0 {
		word = words[m.r.IntN(len(words))]
	}
	// By its kind, what a line above binds, and what this one does.
	above, here := map[string]string{}, map[string]string{}
	type binding struct{ name, kind string }
	var bound []binding
	for text != "" {
		i := strings.IndexByte(text, '{')
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		if strings.Contains(text[:i], "\n") {
			maps.Copy(above, here)
			clear(here)
		}
		text = text[i+1:]
		j := strings.IndexByte(text, '}')
		if j < 0 {
			b.WriteByte('{')
			break
		}
		hole := text[:j]
		kind, binds := strings.CutPrefix(hole, "+")
		switch {
		case hole == "0":
			b.WriteString(k)
		case hole == "1":
			b.WriteString(n)
		case hole == "word":
			b.WriteString(word)
		case hole == "func_":
			b.WriteString(last)
		case binds && isKind(kind):
			if last = m.new; last == "" || len(bound) > 0 {
				last = m.name()
			}
			bound = append(bound, binding{last, kind})
			here[kind] = last
			b.WriteString(last)
		case isKind(kind):
			name := m.pick(kind)
			if above[kind] != "" {
				name = above[kind]
			}
			if name == "" {
				return ""
			}
			b.WriteString(name)
		default:
			b.WriteByte('{')
			continue
		}
		text = text[j+1:]
	}
	b.WriteString(text)
	for _, one := range bound {
		m.live[one.name] = one.kind
	}
	return b.String()
}

// isKind reports whether a hole stands for a value.
func isKind(hole string) bool {
	for _, r := range hole {
		if r < 'a' || r > 'z' {
			return false
		}
	}
	return hole != ""
}

func (m *maker) statement() statement {
	for range 30 {
		switch m.r.IntN(8) {
		case 0:
			return statement{"plain", m.random.statement()}
		case 1:
			kinds := []string{"int", "list", "dict", "ints", "obj", "arr", "df", "func", "cls", "str", "rng"}
			return statement{"plain", m.fill(simple[kinds[m.r.IntN(len(kinds))]])}
		}
		c := m.all[m.r.IntN(len(m.all))]
		if slices.ContainsFunc(m.without, func(kind string) bool { return strings.HasPrefix(c.kind, kind) }) {
			continue
		}
		if text := m.fill(c.whole()); text != "" {
			return statement{c.kind, text}
		}
		// A value of a kind that it needs, next time.
	}
	return statement{"plain", "print(1)"}
}

// notebook gives cells of statements. The last has the function, which mentions half of the names.
func (m *maker) notebook() [][]statement {
	cells := [][]statement{{{"import", starting}}}
	for range 2 + m.r.IntN(6) {
		if len(cells) > 1 && m.r.IntN(8) == 0 {
			cells = append(cells, cells[1+m.r.IntN(len(cells)-1)]) // a cell run again
			continue
		}
		var c []statement
		for range 1 + m.r.IntN(5) {
			c = append(c, m.statement())
		}
		cells = append(cells, c)
	}
	var b strings.Builder
	b.WriteString("def entry():\n    out = []\n")
	for _, n := range m.names {
		if m.live[n] == "" || m.r.IntN(2) == 0 {
			continue
		}
		fmt.Fprintf(&b, "    out.append(%s)\n", n)
		switch m.live[n] {
		case "func":
			fmt.Fprintf(&b, "    out.append(%s(1))\n", n)
		case "obj":
			fmt.Fprintf(&b, "    out.append(%s.v)\n", n)
		}
	}
	b.WriteString("    return out")
	return append(cells, []statement{{"entry", b.String()}})
}

// texts are the cells of statements.
func texts(cells [][]statement) []string {
	var all []string
	for _, c := range cells {
		var lines []string
		for _, s := range c {
			lines = append(lines, s.text)
		}
		all = append(all, strings.Join(lines, "\n"))
	}
	return all
}
