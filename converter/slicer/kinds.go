package slicer

import (
	"strings"

	"github.com/metaml/metaml/converter/session"
	"github.com/metaml/metaml/converter/syntax"
)

// This file finds what kind of object an expression gives: from how it is written, from the constructor that is called,
// from an annotation, or from the live session. A method that is known by its name alone is judged by the kind of its
// object (methods.go).

// kind is what is known of an object.
type kind uint8

const (
	unknown    kind = iota
	constant        // a number, text, date, path or a tuple of them: nothing changes it
	table           // of pandas and the like: methods give new tables
	array           // of numpy and the like: methods give new arrays, views share their memory
	mapping         // a dict: reading leaves it alone
	filling         // a defaultdict: reading may add to it
	sequence        // a list, deque or set
	stream          // an open file or buffer: reading moves it
	iterator        // what can be gone over once
	queue           // getting takes from it
	randomness      // a generator of random numbers: drawing moves it
	estimator       // of scikit-learn
	figure          // what is drawn to
	object          // anything else of a library that is known
	foreign         // of a library of which nothing is known
)

// data says that objects of the kind are data: what is made of them does not change them, unless it is known to.
func (k kind) data() bool {
	return k == constant || k == table || k == array || k == mapping || k == filling || k == sequence
}

// ofValues says that objects of the kind hold numbers and texts, and no other objects.
func (k kind) ofValues() bool { return k == constant || k == table || k == array }

// sharesWithCopies says that a copy of an object of the kind holds the same objects.
func (k kind) sharesWithCopies() bool {
	return k == mapping || k == filling || k == sequence || k == object || k == foreign
}

// where is the place of an expression: the time at which it is evaluated, and the scope around it in its statement; nil
// is the top level.
type where struct {
	time int
	sc   *scope
}

// maxKindDepth bounds how far a kind is followed through names and calls.
const maxKindDepth = 12

// kindOf gives the kind of what a name was bound to.
func (w *work) kindOf(v *value) kind {
	if v.kindKnown {
		return v.kind
	}
	v.kindKnown = true // it may be made of itself
	v.kind = w.findKind(v)
	return v.kind
}

func (w *work) findKind(v *value) kind {
	if v.stmt == nil || v.bind == nil || v.bind.fn != nil || v.bind.class != nil || v.bind.imp != nil {
		return unknown
	}
	if k := w.liveKind(v); k != unknown {
		return k
	}
	at := where{time: v.stmt.time}
	if a := v.bind.annotation; a != nil {
		if k := w.annotated(a, at); k != unknown {
			return k
		}
	}
	if v.bind.each != nil {
		return w.kindOfParts(v.bind.each, at, 0)
	}
	if v.bind.value == nil {
		return unknown
	}
	return w.kindAt(v.bind.value, at, 0)
}

// liveKind asks the session, if what the name is bound to there is this value.
func (w *work) liveKind(v *value) kind {
	if w.doc.Kind != session.Live || w.binders[v.name] != v.stmt {
		return unknown
	}
	n, ok := w.doc.Names[v.name]
	if !ok || n.Kind != "value" {
		return unknown
	}
	return kindOfType(n.Type)
}

// kindAt gives the kind of what an expression gives.
func (w *work) kindAt(n *syntax.Node, at where, depth int) kind {
	if n == nil || depth > maxKindDepth {
		return unknown
	}
	switch n.Kind {
	case "integer", "float", "true", "false", "none", "string", "concatenated_string", "ellipsis",
		"comparison_operator", "not_operator":
		return constant
	case "tuple", "expression_list":
		return w.common(n.Children, at, depth, constant)
	case "unary_operator", "parenthesized_expression", "await", "binary_operator", "conditional_expression",
		"boolean_operator":
		if n.Kind == "conditional_expression" && len(n.Children) == 3 {
			return w.common([]*syntax.Node{n.Children[0], n.Children[2]}, at, depth, unknown)
		}
		if n.Kind == "binary_operator" {
			return w.kindOfOperation(n, at, depth)
		}
		return w.common(n.Children, at, depth, unknown)
	case "named_expression":
		return w.kindAt(n.Child("value"), at, depth+1)
	case "assignment":
		return w.kindAt(n.Child("right"), at, depth+1)
	case "dictionary", "dictionary_comprehension":
		return mapping
	case "list", "list_comprehension", "set", "set_comprehension":
		return sequence
	case "generator_expression":
		return iterator
	case "identifier":
		return w.kindOfName(n.Text(), at, depth)
	case "attribute":
		return w.kindOfAttribute(n, at, depth)
	case "subscript":
		switch k := w.kindAt(n.Child("value"), at, depth+1); k {
		case constant, table, array:
			return k
		case sequence:
			if isSlice(n) {
				return k
			}
		}
		return w.kindOfParts(n.Child("value"), at, depth+1)
	case "call":
		return w.kindOfCall(n, at, depth)
	}
	return unknown
}

// kindOfParts is the kind of what a container holds, where all that is seen is of one kind: the values of a dict.
func (w *work) kindOfParts(n *syntax.Node, at where, depth int) kind {
	if n == nil || depth > maxKindDepth {
		return unknown
	}
	switch n.Kind {
	case "list", "tuple", "set":
		return w.common(n.Children, at, depth, unknown)
	case "dictionary":
		var values []*syntax.Node
		for _, c := range n.Children {
			if c.Kind == "pair" {
				c = c.Child("value")
			}
			values = append(values, c)
		}
		return w.common(values, at, depth, unknown)
	case "list_comprehension":
		if body := n.Child("body"); body != nil && body.Kind == "call" {
			return w.kindAt(body, at, depth+1)
		}
	case "call":
		f := n.Child("function")
		if f == nil || f.Kind != "attribute" {
			return unknown
		}
		if name := lastName(f); name == "values" || name == "items" {
			return w.kindOfParts(f.Child("object"), at, depth+1)
		}
	case "identifier":
		if isLocal(n.Text(), at.sc) {
			return unknown
		}
		k := unknown
		for i, v := range w.valuesAt(n.Text(), at.time) {
			if v.bind == nil || v.stmt == nil || v.bind.value == nil || v.kindBusy {
				return unknown
			}
			v.kindBusy = true
			one := w.kindOfParts(v.bind.value, where{time: v.stmt.time}, depth+1)
			v.kindBusy = false
			if i > 0 && one != k || one == constant || len(v.mutations) > 0 {
				return unknown // it may hold something else by now
			}
			k = one
		}
		return k
	}
	return unknown
}

// common is the kind that all of several expressions have; of none of them it is what is given.
func (w *work) common(all []*syntax.Node, at where, depth int, none kind) kind {
	k := none
	first := true
	for _, c := range all {
		if c != nil && c.Kind == "comment" {
			continue
		}
		one := w.kindAt(c, at, depth+1)
		if !first && one != k || none == constant && one != constant {
			return unknown
		}
		k, first = one, false
	}
	return k
}

// kindOfOperation is that of `a + b`: of a table and anything a table, of an array and a number an array.
func (w *work) kindOfOperation(n *syntax.Node, at where, depth int) kind {
	a, b := w.kindAt(n.Child("left"), at, depth+1), w.kindAt(n.Child("right"), at, depth+1)
	switch {
	case a == b:
		return a
	case a == table || b == table:
		return table
	case a == array || b == array:
		return array
	}
	return unknown
}

func (w *work) kindOfName(name string, at where, depth int) kind {
	for sc := at.sc; sc != nil; sc = sc.up {
		if sc.kind == moduleScope || !sc.local[name] {
			continue
		}
		if a := sc.annotations[name]; a != nil {
			return w.annotated(a, at)
		}
		if sc.params[name] || sc.alias[name] != nil && len(sc.values[name]) == 0 {
			return unknown
		}
		if sc.busy[name] {
			return unknown // it is made of itself
		}
		sc.busy[name] = true
		k := w.common(sc.values[name], where{at.time, sc}, depth, unknown)
		delete(sc.busy, name)
		return k
	}
	if w.now != nil && at.time == w.now.time && w.now.loopNames[name] {
		for _, b := range w.now.e.binds {
			if b.name == name && b.each != nil {
				return w.kindOfParts(b.each, at, depth+1)
			}
		}
	}
	values := w.valuesAt(name, at.time)
	if len(values) == 0 {
		return unknown
	}
	k := w.kindOf(values[0])
	for _, v := range values[1:] {
		if w.kindOf(v) != k {
			return unknown
		}
	}
	return k
}

// valuesAt gives what a name means at a time; the body of a function may run later than what it names is bound.
func (w *work) valuesAt(name string, time int) []*value {
	values, _ := w.at(name, time)
	if len(values) == 0 && time < len(w.stmts) {
		values = w.ahead(name)
	}
	return values
}

// plainAttributes are attributes that are numbers, texts or tuples of them wherever they are.
var plainAttributes = words(`
	shape ndim size dtype name stem suffix parent parts __name__ itemsize nbytes pi e inf nan
`)

func (w *work) kindOfAttribute(n *syntax.Node, at where, depth int) kind {
	name := ""
	if a := n.Child("attribute"); a != nil {
		name = a.Text()
	}
	if cl := w.classAt(n.Child("object"), at, depth+1); cl != nil && len(cl.attributes[name]) > 0 {
		values := cl.attributes[name]
		k := w.kindAt(values[0].node, where{at.time, values[0].sc}, depth+1)
		for _, v := range values[1:] {
			if w.kindAt(v.node, where{at.time, v.sc}, depth+1) != k {
				return unknown
			}
		}
		return k
	}
	switch k := w.kindAt(n.Child("object"), at, depth+1); {
	case k == table && (name == "values" || name == "array"):
		return array
	case plainAttributes.has(name):
		return constant
	case k == table || k == array || k == constant:
		return k
	}
	return unknown
}

func (w *work) kindOfCall(n *syntax.Node, at where, depth int) kind {
	f := n.Child("function")
	if f == nil {
		return unknown
	}
	if name := w.importedAt(f, at); name != "" {
		k := kindOfFunction(name)
		if k == unknown && !inTable(functionKinds, name) {
			return foreign
		}
		return k
	}
	if f.Kind == "identifier" {
		return w.kindOfPlainCall(f.Text(), at, depth)
	}
	if f.Kind != "attribute" || f.Child("attribute") == nil {
		return unknown
	}
	method := f.Child("attribute").Text()
	switch k := w.kindAt(f.Child("object"), at, depth+1); {
	case k == table || k == array:
		if method == "to_dict" || method == "tolist" || method == "to_list" {
			return sequence
		}
		if method == "to_numpy" {
			return array
		}
		if method == "iterrows" || method == "itertuples" || method == "groupby" || method == "rolling" {
			return table
		}
		return k
	case k == constant:
		switch method {
		case "open":
			return stream
		case "iterdir", "glob", "rglob", "walk", "finditer", "scandir":
			return iterator
		}
		return constant
	case k == randomness && drawnArrays.has(method):
		return array
	case method == "copy" || method == "deepcopy":
		return k
	}
	return unknown
}

// drawnArrays are methods of random generators that give arrays, or numbers.
var drawnArrays = words(`
	rand randn normal standard_normal integers permutation random_sample poisson multivariate_normal binomial
	exponential beta gamma laplace lognormal dirichlet permuted uniform randint random
`)

// kindOfPlainCall is what the call of a name that was not imported gives.
func (w *work) kindOfPlainCall(name string, at where, depth int) kind {
	if isLocal(name, at.sc) {
		return unknown
	}
	values := w.valuesAt(name, at.time)
	if len(values) == 0 {
		return builtinKinds[name]
	}
	k := unknown
	for i, v := range values {
		one := unknown
		if v.bind != nil && v.bind.fn != nil && !v.bind.fn.busyKind {
			fn := v.bind.fn
			fn.busyKind = true
			one = w.kindOfReturned(fn, at.time, depth)
			fn.busyKind = false
		} else if v.bind != nil && v.bind.class != nil {
			one = w.kindOfInstance(v.bind.class, at.time, depth)
		}
		if i > 0 && one != k {
			return unknown
		}
		k = one
	}
	return k
}

func (w *work) kindOfReturned(fn *function, time, depth int) kind {
	k := unknown
	for i, r := range fn.returned {
		one := w.kindAt(r.node, where{time, r.sc}, depth+1)
		if i > 0 && one != k {
			return unknown
		}
		k = one
	}
	if fn.e.yields {
		return iterator
	}
	return k
}

// kindOfInstance is the kind of an object of a class of the session: what its bases say.
func (w *work) kindOfInstance(c *class, time, depth int) kind {
	if depth > maxKindDepth {
		return unknown
	}
	for _, b := range c.baseNodes {
		if name := w.importedAt(b, where{time: time}); name != "" {
			if k := kindOfFunction(name); k == filling || k == mapping {
				return k
			}
		} else if b.Kind == "identifier" {
			for _, v := range w.valuesAt(b.Text(), time) {
				if v.bind != nil && v.bind.class != nil && v.bind.class != c {
					return w.kindOfInstance(v.bind.class, time, depth+1)
				}
			}
		}
	}
	return object
}

// importedAt gives the full name of what was imported, "numpy.random.rand", "" if it is nothing imported. A name of a
// function's own may be imported by it.
func (w *work) importedAt(n *syntax.Node, at where) string {
	root := n
	for root != nil && root.Kind == "attribute" {
		root = root.Child("object")
	}
	if root == nil || root.Kind != "identifier" {
		return ""
	}
	for sc := at.sc; sc != nil; sc = sc.up {
		if sc.kind == moduleScope || !sc.local[root.Text()] {
			continue
		}
		if imp := sc.imports[root.Text()]; imp != nil {
			return w.dottedIn(n, at.time, map[string]*bind{root.Text(): {imp: imp}})
		}
		return ""
	}
	return w.dotted(n, at.time)
}

// annotated is the kind that an annotation promises.
func (w *work) annotated(n *syntax.Node, at where) kind {
	for n.Kind == "type" && len(n.Children) == 1 {
		n = n.Children[0]
	}
	if n.Kind == "generic_type" || n.Kind == "subscript" {
		if len(n.Children) == 0 {
			return unknown
		}
		n = n.Children[0]
	}
	if n.Kind == "string" {
		return unknown
	}
	if name := w.importedAt(n, at); name != "" {
		return kindOfFunction(name)
	}
	switch n.Text() {
	case "int", "float", "str", "bool", "bytes", "complex", "None", "tuple":
		if n.Text() == "tuple" {
			return unknown // of anything
		}
		return constant
	}
	return builtinKinds[n.Text()]
}

// builtinKinds are what functions and classes of Python itself give.
var builtinKinds = map[string]kind{
	"int": constant, "float": constant, "str": constant, "bool": constant, "bytes": constant, "complex": constant,
	"len": constant, "hash": constant, "id": constant, "ord": constant, "chr": constant, "repr": constant,
	"format": constant, "input": constant, "isinstance": constant, "issubclass": constant, "callable": constant,
	"hasattr": constant, "range": constant, "slice": constant, "ascii": constant, "bin": constant, "hex": constant,
	"oct": constant, "any": constant, "all": constant, "divmod": constant,
	"dict": mapping, "list": sequence, "set": sequence, "bytearray": sequence, "sorted": sequence, "dir": sequence,
	"frozenset": sequence,
	"iter":      iterator, "map": iterator, "filter": iterator, "zip": iterator, "enumerate": iterator,
	"reversed": iterator,
	"open":     stream,
}

// functionKinds are what functions and classes of modules give, by their full names; one that ends with a dot stands
// for all that begins with it. The longest counts.
var functionKinds = map[string]kind{
	"pandas.": table, "polars.": table, "pyarrow.": table, "geopandas.": table, "dask.dataframe.": table,
	"cudf.": table, "modin.pandas.": table, "pandas.ExcelWriter": stream, "pandas.HDFStore": stream,
	"pandas.read_json": unknown, "pandas.ExcelFile": unknown, "seaborn.load_dataset": table,
	"numpy.": array, "cupy.": array, "scipy.sparse.": array, "numpy.random.": array,
	"numpy.random.default_rng": randomness, "numpy.random.RandomState": randomness,
	"numpy.random.Generator": randomness, "numpy.random.SeedSequence": randomness, "numpy.nditer": iterator,
	"numpy.random.PCG64": randomness, "numpy.random.MT19937": randomness, "numpy.random.Philox": randomness,
	"numpy.load": unknown, "numpy.vectorize": unknown, "numpy.memmap": array, "numpy.poly1d": unknown,
	"random.Random": randomness, "random.SystemRandom": randomness, "random.": unknown,
	"random.random": constant, "random.randint": constant, "random.uniform": constant, "torch.Generator": randomness,
	"io.": stream, "io.open": stream, "gzip.": stream, "bz2.": stream, "lzma.": stream, "zipfile.ZipFile": stream,
	"tarfile.": stream, "tempfile.TemporaryFile": stream, "tempfile.NamedTemporaryFile": stream,
	"tempfile.SpooledTemporaryFile": stream, "tempfile.mkdtemp": constant, "tempfile.mktemp": constant,
	"codecs.open": stream, "socket.": stream, "h5py.File": stream, "mmap.": stream, "os.fdopen": stream,
	"subprocess.Popen": stream, "os.popen": stream, "urllib.request.urlopen": stream, "csv.reader": iterator,
	"csv.DictReader": iterator, "csv.writer": stream, "csv.DictWriter": stream, "itertools.": iterator,
	"more_itertools.": iterator, "collections.defaultdict": filling, "collections.Counter": mapping,
	"collections.OrderedDict": mapping, "collections.ChainMap": mapping, "collections.deque": sequence,
	"collections.UserDict": mapping, "collections.UserList": sequence, "typing.Dict": mapping,
	"typing.List": sequence, "typing.Mapping": mapping, "typing.DefaultDict": filling,
	"collections.abc.Mapping": mapping, "queue.": queue, "multiprocessing.Queue": queue,
	"multiprocessing.SimpleQueue": queue, "multiprocessing.JoinableQueue": queue, "asyncio.Queue": queue,
	"pathlib.": constant, "datetime.": constant, "decimal.Decimal": constant, "fractions.Fraction": constant,
	"uuid.": constant, "os.path.": constant, "os.getcwd": constant, "os.getenv": constant, "os.listdir": sequence,
	"os.getpid": constant, "os.urandom": constant, "os.cpu_count": constant, "os.environ.get": constant,
	"time.": constant, "math.": constant, "statistics.": constant, "operator.": unknown, "json.loads": mapping,
	"json.load": mapping, "json.dumps": constant, "yaml.safe_load": mapping, "yaml.load": mapping,
	"tomllib.load": mapping, "tomllib.loads": mapping, "re.compile": constant, "glob.glob": sequence,
	"hashlib.": object, "string.": unknown, "platform.": constant, "getpass.": constant, "secrets.": constant,
	"zoneinfo.ZoneInfo": constant, "shutil.which": constant, "copy.copy": unknown, "copy.deepcopy": unknown,
	"sklearn.": estimator, "xgboost.": estimator, "lightgbm.": estimator, "catboost.": estimator,
	"sklearn.datasets.": mapping, "sklearn.model_selection.train_test_split": unknown,
	"sklearn.metrics.": constant, "sklearn.utils.": unknown, "sklearn.utils.Bunch": mapping,
	"sklearn.model_selection.cross_val_score": array, "sklearn.model_selection.cross_val_predict": array,
	"sklearn.model_selection.ParameterGrid": sequence, "sklearn.base.clone": estimator,
	"xgboost.DMatrix": object, "lightgbm.Dataset": object, "xgboost.train": object, "lightgbm.train": object,
	"matplotlib.": figure, "seaborn.": figure, "plotly.": figure, "bokeh.": figure, "altair.": figure,
	"PIL.": object, "torch.": object, "tensorflow.": object, "keras.": object, "jax.": object,
	"transformers.": object, "datasets.": unknown, "spacy.": object, "nltk.": unknown, "cv2.": array, "gensim.": object,
	"sentence_transformers.": object, "statsmodels.": unknown, "networkx.": object, "shap.": object, "optuna.": object,
	"requests.": object, "bs4.": object, "joblib.": unknown, "tqdm.": unknown, "imblearn.": estimator,
	"torchvision.": object, "timm.": object, "librosa.": array, "skimage.": array, "imageio.": array, "xarray.": table,
	"lightning.": object, "pytorch_lightning.": object, "fastai.": object, "flax.": object, "yaml.": unknown,
	"dotenv.": unknown, "huggingface_hub.": unknown, "prophet.": object, "category_encoders.": estimator,
}

func kindOfFunction(name string) kind {
	k, _ := longest(functionKinds, name)
	return k
}

func inTable(table map[string]kind, name string) bool {
	_, ok := longest(table, name)
	return ok || IsStandard(name)
}

// longest is the entry of a table that says most of a name: its own, or that of what it begins with.
func longest(table map[string]kind, name string) (kind, bool) {
	if k, ok := table[name]; ok {
		return k, true
	}
	for {
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return unknown, false
		}
		if k, ok := table[name[:dot+1]]; ok {
			return k, true
		}
		name = name[:dot]
	}
}

// typeKinds are the kinds of the types that a session names, as functionKinds has those of functions.
var typeKinds = map[string]kind{
	"builtins.int": constant, "builtins.float": constant, "builtins.str": constant, "builtins.bool": constant,
	"builtins.bytes": constant, "builtins.complex": constant, "builtins.NoneType": constant,
	"builtins.range": constant, "builtins.slice": constant, "builtins.ellipsis": constant,
	"builtins.dict": mapping, "builtins.list": sequence, "builtins.set": sequence, "builtins.bytearray": sequence,
	"builtins.frozenset": sequence, "builtins.generator": iterator, "builtins.map": iterator,
	"builtins.filter": iterator, "builtins.zip": iterator, "builtins.enumerate": iterator,
	"builtins.list_iterator": iterator, "builtins.dict_keyiterator": iterator, "builtins.tuple_iterator": iterator,
	"builtins.range_iterator": iterator, "builtins.str_iterator": iterator, "builtins.reversed": iterator,
	"builtins.callable_iterator": iterator, "itertools.": iterator,
	"_io.": stream, "tempfile.": stream, "gzip.": stream, "zipfile.": stream, "_csv.reader": iterator,
	"csv.DictReader": iterator, "_csv.writer": stream, "csv.DictWriter": stream,
	"collections.": mapping, "collections.defaultdict": filling, "collections.deque": sequence,
	"collections.UserList": sequence, "queue.": queue, "_queue.": queue, "multiprocessing.queues.": queue,
	"pathlib.": constant, "pathlib._local.": constant, "datetime.": constant, "decimal.Decimal": constant,
	"fractions.Fraction": constant, "uuid.UUID": constant, "re.Pattern": constant, "zoneinfo.ZoneInfo": constant,
	"pandas.": table, "polars.": table, "pyarrow.": table, "geopandas.": table,
	"numpy.ndarray": array, "numpy.": constant, "numpy.matrix": array, "numpy.ma.": array, "numpy.memmap": array,
	"numpy.rec.": array, "numpy.recarray": array, "numpy.random.": randomness, "numpy.lib.": unknown,
	"numpy.poly1d": unknown, "numpy.vectorize": unknown, "random.Random": randomness, "scipy.sparse.": array,
	"numpy.nditer": iterator, "numpy.flatiter": iterator, "numpy.ufunc": unknown, "numpy.void": unknown,
	"torch._C.Generator": randomness, "sklearn.utils._bunch.Bunch": mapping,
	"sklearn.": estimator, "xgboost.sklearn.": estimator, "lightgbm.sklearn.": estimator, "catboost.core.": estimator,
	"matplotlib.": figure, "seaborn.": figure, "plotly.": figure,
	"torch.": object, "tensorflow.": object, "keras.": object, "PIL.": object,
}

func kindOfType(name string) kind {
	k, ok := longest(typeKinds, name)
	if top := topOf(name); !ok && top != "builtins" && top != "__main__" && !standard.has(top) &&
		!inTable(functionKinds, name) {
		return foreign
	}
	return k
}

// findBinders notes which statement binds each name last. What a function binds, it may bind at any time.
func (w *work) findBinders() {
	w.binders = map[string]*stmt{}
	for _, c := range w.cells {
		for _, s := range c.stmts {
			for _, b := range s.e.binds {
				w.binders[b.name] = s
			}
		}
	}
	for _, c := range w.cells {
		for _, s := range c.stmts {
			for _, b := range s.e.binds {
				if b.fn != nil {
					for _, g := range b.fn.e.globals {
						w.binders[g] = nil
					}
				}
			}
		}
	}
}
