package slicer

import (
	"slices"
	"strings"
	"sync"
)

// This file judges what a call whose code cannot be seen changes: its object, by the kind of that and the name of the
// method, and its arguments, by their kinds and what they are for.

// verdict is what is known of a method.
type verdict uint8

const (
	untouched verdict = iota // it leaves its object alone
	changed                  // it may change its object
	ownParts                 // it changes the object itself, and nothing that it holds
)

// looks are the methods of a kind of object that leave it alone; all others of these kinds change it.
var looks = map[kind]*wordSet{
	mapping: words(`
	get items keys values copy most_common elements total new_child fromkeys has_key
`),
	filling: words("get items keys values copy"),
	sequence: words(`
	index count copy union intersection difference symmetric_difference isdisjoint issubset issuperset decode hex
	find startswith endswith tolist split strip join
`),
	stream: words(`
	getvalue getbuffer tell name fileno isatty readable writable seekable namelist infolist getinfo getnames
	getpeername getsockname keys closed mode
`),
	queue:      words("qsize empty full"),
	randomness: words("get_state getstate initial_seed bit_generator state"),
	estimator: words(`
	predict predict_proba predict_log_proba decision_function score score_samples transform inverse_transform
	get_params get_feature_names_out get_feature_names kneighbors kneighbors_graph radius_neighbors apply
	decision_path staged_predict staged_predict_proba get_support get_depth get_n_leaves evals_result get_booster
	cost_complexity_pruning_path get_metadata_routing get_precision get_covariance split get_n_splits save_model
	get_feature_importance get_best_iteration get_best_score plot sparsify_path bic aic mahalanobis error_norm
	lower_bound feature_importances export_text staged_score
`),
}

// alters are methods that change an array or table, however they are called.
var alters = words(`
	fill sort put partition resize setflags itemset setfield insert pop update popitem setdefault clear extend
	append insert_column replace_column drop_in_place shrink_to_fit __setitem__ rename_in_place byteswap
`)

// accessors are attributes of a table or column whose methods give something new.
var accessors = words("str dt cat plot hvplot style sparse list struct hist")

// plotting are those whose methods give axes, and nothing of the table.
var plotting = words("plot hvplot")

// ambiguous are methods that give a new object in one library, and change their own in another.
var ambiguous = words(`
	apply view read readline readlines transform normalize map filter agg aggregate replace rename round clip drop
	fillna mask where query merge stack join format encode decode detach index extract cat cut shift rank mode find
	explode interpolate resample set_index reset_index difference union intersection total mkdir touch evaluate
	cumsum strip split title shape size count combine_first drop_duplicates dropna sort_values astype applymap line
	trace inspect assign sample rolling groupby pivot melt lower upper first_valid_index unique dot matmul max min
	sum mean std var prod clone copy resolve glob expand display export partition center elements all any
	symmetric_difference unstack conj diff corr
`)

// sides are methods of which the object is changed also where the value is what they are called for, unless its kind
// says otherwise.
var sides = words("apply read readline readlines")

// parting are methods that give the parts of an object.
var parting = words(`
	items values parameters named_parameters children modules layers get_layer keys iterrows itertuples ravel
	reshape squeeze unsqueeze transpose swapaxes flatten permute expand repeat view
`)

// judge says what a method does to its object, by the kind of that.
func judge(k kind, c *call, method string) verdict {
	if c.inplace {
		return changed
	}
	switch k {
	case constant:
		return untouched
	case iterator:
		return changed
	case table, array:
		switch {
		case alters.has(method):
			return changed
		case fresh.has(method) || parting.has(method) || method == "get" || method == "to":
			return untouched
		}
		return changed
	case mapping, filling, sequence:
		switch {
		case looks[k].has(method):
			return untouched
		case storing.has(method) || method == "pop" || method == "remove" || method == "clear" || method == "sort" ||
			method == "reverse" || method == "popleft" || method == "popitem" || method == "discard":
			return ownParts
		}
		return changed
	case stream, queue, randomness, estimator:
		if looks[k].has(method) {
			return untouched
		}
		return changed
	case foreign:
		if ambiguous.has(method) && judgeByName(c, method) == untouched && method != "copy" && method != "get" {
			return changed
		}
	}
	return judgeByName(c, method)
}

// judgeByName is for objects of which nothing is known.
func judgeByName(c *call, method string) verdict {
	thrown := c.discarded && !c.shown
	switch {
	case method == "get" && len(c.args) > 0 && c.args[0].key == "" && c.args[0].node.Kind != "true" &&
		c.args[0].node.Kind != "false":
		return untouched // dict.get(key), and not queue.get(block)
	case method == "get":
		return changed
	case method == "join" && (len(c.args) == 0 || c.args[0].key == "timeout"):
		return changed // of a thread or queue; texts are joined of something
	case method == "__new__":
		return untouched // super().__new__(cls)
	case method == "assign":
		// pandas' takes nothing but names
		if slices.ContainsFunc(c.args, func(a arg) bool { return a.key == "" || a.key == "*" }) || thrown {
			return changed
		}
		return untouched
	case method == "sample":
		if len(c.args) == 0 || thrown {
			return changed // of a space or a distribution, and not of a table
		}
		return untouched
	case sides.has(method):
		return changed
	case parting.has(method):
		return untouched
	case fresh.has(method):
		if thrown && ambiguous.has(method) {
			return changed
		}
		return untouched
	}
	switch method {
	case "append", "appendleft", "extend", "extendleft", "insert", "add", "setdefault":
		if len(c.path) == 1 && c.callee != "" {
			return ownParts
		}
	}
	return changed
}

// writes says that a function or method writes what it has into what it is given: save, dump, to_csv.
func writes(name string) bool {
	for _, start := range []string{"save", "to_", "dump", "write", "export", "print_", "imsave", "imwrite", "tofile"} {
		if strings.HasPrefix(name, start) {
			return name != "to_dict" && name != "to_numpy" && name != "to_list" && name != "to_frame" &&
				name != "to_datetime" && name != "to_numeric" && name != "to_categorical"
		}
	}
	return name == "encode_to" || name == "render_to"
}

// destinations are keyword arguments that a call writes to.
var destinations = words(`
	file stream buf buffer fp fileobj out evals_result dest sink output callbacks callback hooks namespace
`)

// written are the arguments that a call writes to by their names, wherever it is.
func written(c *call) []arg {
	var out []arg
	for _, a := range c.args {
		if destinations.has(a.key) {
			out = append(out, a)
		}
	}
	return out
}

// moving are kinds of which using them is changing them.
func (k kind) moving() bool { return k == stream || k == iterator || k == queue || k == randomness }

// glancing are functions that do not move what they are given, also where that is a stream or an iterator.
var glancing = words(`
	print repr str type id isinstance issubclass len hasattr callable dir vars help hash display getattr iter map
	zip filter enumerate pprint format bool partial islice tee chain cycle TextIOWrapper writer reader DictReader
	DictWriter deepcopy copy tqdm trange reversed
`)

// inspecting are functions that call no function which they are given.
var inspecting = words(`
	isinstance issubclass type print repr str help id hasattr len callable getattr vars dir display getsource
	signature
`)

// holds says that what is made with a function or class may change what it was given later, by the name of that: an
// optimizer, a pipeline, a writer.
func holds(maker string) bool {
	lower := strings.ToLower(strings.TrimLeft(maker, "_"))
	for _, end := range []string{
		"optimizer", "scheduler", "trainer", "learner", "pipeline", "wrapper", "parallel", "handler", "sequential",
		"writer", "engine", "runner", "adapter", "proxy", "recorder", "tracker", "reader", "lookahead", "union",
		"iterator", "model", "module", "agent", "monitor", "callback", "evaluation",
	} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return holding.has(maker)
}

var holding = words(`
	Adam AdamW Adamax NAdam RAdam SparseAdam Adagrad Adadelta RMSprop Rprop SGD ASGD LBFGS Lion Adafactor Muon Lamb
	LARS StepLR MultiStepLR ExponentialLR CosineAnnealingLR LambdaLR OneCycleLR ReduceLROnPlateau LinearLR CyclicLR
	ZipFile TarFile GzipFile BZ2File LZMAFile File TextIOWrapper BufferedReader BufferedWriter BufferedRandom
	TextIOBase redirect_stdout redirect_stderr closing tee islice cycle chain groupby zip_longest takewhile
	dropwhile starmap accumulate make_pipeline make_union make_column_transformer Accelerator get_peft_model
	MultiOutput ThreadPoolExecutor Thread Process Timer partial Generator RandomState PdfPages ExcelWriter
	StreamHandler Tee DataLoader weakref ref WeakValueDictionary Parameter ParameterList ModuleList ModuleDict
	TimeDistributed Bidirectional RNN
`)

// outAt says at which place functions of numpy have the array that they write to: np.add(a, 1, a).
var outAt = map[string]int{
	"add":          2,
	"subtract":     2,
	"multiply":     2,
	"divide":       2,
	"true_divide":  2,
	"floor_divide": 2,
	"power":        2,
	"mod":          2,
	"remainder":    2,
	"maximum":      2,
	"minimum":      2,
	"fmax":         2,
	"fmin":         2,
	"logical_and":  2,
	"logical_or":   2,
	"logical_xor":  2,
	"bitwise_and":  2,
	"bitwise_or":   2,
	"bitwise_xor":  2,
	"left_shift":   2,
	"right_shift":  2,
	"greater":      2,
	"less":         2,
	"equal":        2,
	"hypot":        2,
	"arctan2":      2,
	"matmul":       2,
	"dot":          2,
	"outer":        2,
	"clip":         3,
	"negative":     1,
	"abs":          1,
	"absolute":     1,
	"exp":          1,
	"expm1":        1,
	"exp2":         1,
	"log":          1,
	"log2":         1,
	"log10":        1,
	"log1p":        1,
	"sqrt":         1,
	"square":       1,
	"sin":          1,
	"cos":          1,
	"tan":          1,
	"tanh":         1,
	"floor":        1,
	"ceil":         1,
	"rint":         1,
	"sign":         1,
	"logical_not":  1,
	"invert":       1,
	"reciprocal":   1,
	"isnan":        1,
}

// plainViews are functions of Python itself whose result may be an argument, or a part of one.
var plainViews = words("max min getattr memoryview vars next iter reversed type")

// makingClasses are functions that make a class.
var makingClasses = words("namedtuple make_dataclass NamedTuple type new_class")

// makingGetters are functions that make a function which gives a part of what it is given.
var makingGetters = words("itemgetter attrgetter")

// mayChange says that what a call made may change a value which it was given.
func (w *work) mayChange(maker string, u *value, time int) bool {
	k := w.kindOf(u)
	if k == constant {
		return false
	}
	if c := w.sessionClass(maker, time); c != nil {
		return w.keepsArguments(c, u, time)
	}
	if maker == "" || holds(maker) {
		return maker == "" || !k.ofValues()
	}
	for _, m := range w.valuesAt(maker, time) {
		if m.bind != nil && m.bind.value != nil && m.bind.value.Kind == "call" &&
			(makingClasses.has(lastName(m.bind.value.Child("function"))) ||
				makingGetters.has(lastName(m.bind.value.Child("function")))) {
			return true
		}
	}
	if k == object || k == foreign || k == unknown {
		for _, m := range w.valuesAt(maker, time) {
			if m.bind != nil && m.bind.imp != nil && topOf(m.bind.imp.module) == "sklearn" {
				return false // it works with copies of what it is given
			}
		}
	}
	if k.moving() || !k.data() && (maker == "DataFrame" || maker == "Series" || maker == "array") {
		return true // a table of models
	}
	if isClassName(maker) {
		return k == object || k == foreign || k == unknown && u.bind != nil && u.bind.value != nil && w.madeByClass(u)
	}
	return !k.data()
}

// madeByClass says that a value was made by calling something that is written as a class.
func (w *work) madeByClass(v *value) bool {
	n := v.bind.value
	if n.Kind != "call" || n.Child("function") == nil {
		return false
	}
	return isClassName(lastName(n.Child("function")))
}

// callables are functions that make a function, which is not changed when it is called.
var callables = words(`
	vectorize frompyfunc jit njit lru_cache cache lambdify interp1d itemgetter attrgetter methodcaller grad
	value_and_grad vmap partial compile namedtuple NewType make_dataclass type Enum IntEnum Struct delayed wraps
	getattr poly1d default_rng
`)

// sessionClass is the class of the cells that a name means, or nil.
func (w *work) sessionClass(name string, time int) *class {
	for _, v := range w.valuesAt(name, time) {
		if v.bind != nil && v.bind.class != nil {
			return v.bind.class
		}
	}
	return nil
}

// keepsArguments says that an object of a class of the session holds a value that its constructor was given, as far as
// its code tells: where that is not seen, it may. Of a dict of numbers it may hold no part that could change.
func (w *work) keepsArguments(c *class, u *value, time int) bool {
	f := w.method(c, "__init__", time, 0)
	if f == nil {
		return true
	}
	for _, put := range f.e.contained {
		if slices.ContainsFunc(put.refs, func(r ref) bool {
			return r.param && (!r.part || !w.ofConstants(u)) && w.changesWhatItKeeps(c, r.name, time, 0)
		}) {
			return true
		}
	}
	return slices.ContainsFunc(f.e.calls, func(c call) bool {
		return !c.load && slices.ContainsFunc(c.args, func(a arg) bool { return len(a.refs) > 0 })
	})
}

// changesWhatItKeeps says that a class changes the object of an attribute that is a parameter of its constructor, or
// puts the parameter somewhere else.
func (w *work) changesWhatItKeeps(c *class, param string, time, depth int) bool {
	kept := false
	for name, values := range c.attributes {
		for _, v := range values {
			if v.node == nil || v.node.Kind != "identifier" || v.node.Text() != param {
				continue
			}
			kept = true
			if c.mutates[name] {
				return true
			}
		}
	}
	for _, b := range c.bases {
		if base := w.sessionClass(b, time); base != nil && base != c && depth < maxKindDepth {
			if len(base.attributes) > 0 && w.changesWhatItKeeps(base, param, time, depth+1) {
				return true
			}
			continue
		}
		return true // the code of the base is not seen
	}
	return !kept
}

// ofConstants says that a value is written as a container of numbers and texts.
func (w *work) ofConstants(v *value) bool {
	if v.stmt == nil || v.bind == nil || v.bind.value == nil {
		return false
	}
	switch n := v.bind.value; n.Kind {
	case "dictionary", "list", "set", "tuple":
		for _, c := range n.Children {
			if c.Kind == "pair" {
				c = c.Child("value")
			}
			if c != nil && c.Kind != "comment" && w.kindAt(c, where{time: v.stmt.time}, 0) != constant {
				return false
			}
		}
		return true
	}
	return false
}

// wordSet is a set of words. It is made when it is first asked: a command that cuts nothing out starts without them.
type wordSet struct {
	text string
	once sync.Once
	set  map[string]bool
}

// words is the set of the words of a text.
func words(text string) *wordSet { return &wordSet{text: text} }

// has says whether a word is in a set; none is in nil.
func (w *wordSet) has(word string) bool {
	if w == nil {
		return false
	}
	w.once.Do(func() {
		w.set = map[string]bool{}
		for word := range strings.FieldsSeq(w.text) {
			w.set[word] = true
		}
	})
	return w.set[word]
}
