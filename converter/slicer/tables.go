package slicer

// builtins are the names that Python itself defines, in any version from 3.10 on.
var builtins = words(`
	ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError
	BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
	ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception ExceptionGroup
	False FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError
	ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError
	MemoryError ModuleNotFoundError NameError None NotADirectoryError NotImplemented NotImplementedError OSError
	OverflowError PendingDeprecationWarning PermissionError ProcessLookupError PythonFinalizationError RecursionError
	ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError
	SyntaxWarning SystemError SystemExit TabError TimeoutError True TypeError UnboundLocalError UnicodeDecodeError
	UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning
	ZeroDivisionError _IncompleteInputError __annotate__ __annotations__ __build_class__ __builtins__ __class__
	__conditional_annotations__ __debug__ __dict__ __doc__ __file__ __import__ __loader__ __name__ __package__ __path__
	__spec__ abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex
	copyright credits delattr dict dir divmod enumerate eval exec exit filter float format frozenset getattr globals
	hasattr hash help hex id input int isinstance issubclass iter len license list locals map max memoryview min next
	object oct open ord pow print property quit range repr reversed round set setattr slice sorted staticmethod str sum
	super tuple type vars zip
`)

// standard are the modules of Python's standard library, for the rules about process-wide settings and for finding
// local modules.
var standard = words(`
	__future__ _abc _aix_support _ast _asyncio _bisect _blake2 _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk
	_codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _compat_pickle _compression
	_contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib
	_frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _io _json _locale _lsprof _lzma _markupbase _md5
	_msi _multibytecodec _multiprocessing _opcode _operator _osx_support _overlapped _pickle _posixshmem
	_posixsubprocess _py_abc _pydecimal _pyio _queue _random _scproxy _sha1 _sha256 _sha3 _sha512 _signal _sitebuiltins
	_socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _symtable _thread _threading_local _tkinter
	_tokenize _tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _zoneinfo abc aifc antigravity argparse
	array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cProfile calendar cgi
	cgitb chunk cmath cmd code codecs codeop collections colorsys compileall concurrent configparser contextlib
	contextvars copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest
	email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc
	genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp
	importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal
	math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers
	opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix
	posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline
	reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib
	sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep
	struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap this
	threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing
	unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc
	zipapp zipfile zipimport zlib zoneinfo
`)

// fresh are methods that give a new object and leave their own alone (unless inplace=True).
var fresh = words(`
	abs agg save save_weights save_model save_pretrained export get_weights get_config count_params num_parameters
	print_trainable_parameters get_depth get_n_leaves staged_predict kneighbors predict_log_proba cv_results_ as_posix
	absolute resolve glob rglob iterdir stat aggregate all any apply applymap argmax argmin argsort assign astype bar
	barh between boxplot capitalize clip clone combine_first conj copy corr count count_nonzero cov cumprod cumsum
	decision_function decode deepcopy describe detach diff difference dim display dot drop drop_duplicates dropna dtype
	duplicated encode endswith evaluate ewm exists explode export_text feature_importances fillna filter format
	get_feature_names get_feature_names_out get_params get_support groupby head hist idxmax idxmin imshow index info
	inspect interpolate intersection inverse_transform is_dir is_file isin isna isnull isoformat issubset issuperset
	item join keys line lower lstrip map mask matmul max mean median melt memory_usage merge min mkdir mode nlargest
	nonzero normalize notna notnull nsmallest numel numpy nunique pct_change permute_importance pie pivot pivot_table
	plot predict predict_proba prod ptp quantile query read readline readlines rename replace resample reset_index
	rolling round rsplit rstrip sample savefig scatter score searchsorted select_dtypes set_index shape shift show size
	sort_values split stack startswith state_dict std strftime strip sum summary symmetric_difference tail title to_csv
	to_dict to_excel to_frame to_html to_json to_latex to_list to_markdown to_numpy to_parquet to_pickle to_series
	to_string tolist touch transform tz_convert tz_localize union unique unstack upper value_counts var view where
	most_common elements total isdigit isalpha isnumeric splitlines casefold zfill ljust rjust center find rfind
	partition rpartition isoweekday weekday timestamp total_seconds hexdigest digest bit_length as_integer_ratio nbytes
	to_period to_timestamp day_name month_name contains extract cat cut crosstab skew kurt kurtosis mad sem cummax
	cummin rank first_valid_index last_valid_index equals trace cross_val_score get_n_splits score_samples
	get_feature_importance
`)

// views are functions and methods whose result may be their argument or object, or a part of it.
var views = words(`
	as_tensor asarray ascontiguousarray atleast_1d atleast_2d children compile cpu cuda double enumerate eval filter
	fit float from_numpy get get_layer half items iter jit layers map modules named_children named_modules
	named_parameters next parameters partial pop ravel reshape reversed setdefault squeeze swapaxes to train transpose
	values view vmap wraps zip reduce choice getitem cast proxy tqdm closing nullcontext SubElement
`)

// containers are functions whose result is new and holds what it was given.
var containers = words(`
	fromkeys ChainMap Counter MappingProxyType OrderedDict SimpleNamespace chain concat cycle defaultdict deque dict
	frozenset islice list namedtuple product set sorted tuple
`)

// showing are functions that show or look, and change nothing that a program could see.
var showing = words(`
	Audio HTML IFrame Image JSON Latex Markdown Video abs all any ascii bin bool breakpoint bytes callable chr
	clear_output complex dict dir display divmod enumerate exit filter float format frozenset getattr globals hasattr
	hash help hex id input int isinstance issubclass iter len list locals map max memoryview min object oct open ord
	pow pp pprint print property quit range repr reversed round set sleep slice sorted str sum super tqdm trange tuple
	type vars zip
`)

// looking are modules whose functions show or look.
var looking = words(`
	re base64 hashlib unicodedata difflib html urllib copy fractions datetime calendar zlib itertools collections csv
	IPython altair ast bokeh cProfile cufflinks dis fnmatch getpass glob graphviz holoviews hvplot inspect ipywidgets
	json line_profiler math matplotlib memory_profiler missingno operator pandas_profiling platform plotly pprint pydoc
	pydot pygal rich seaborn statistics string sweetviz tabulate textwrap time timeit tqdm tracemalloc webbrowser
	ydata_profiling
`)

// changing are functions that change their first argument, also where their value is used.
var changing = words(`
	clip_grad_norm_ clip_grad_value_ constant_ copyto delattr dirac_ exec eye_ fill_diagonal heapify heappop heappush
	heappushpop heapreplace insort insort_left insort_right kaiming_normal_ kaiming_uniform_ load_model_weights
	load_state_dict next normal_ ones_ SubElement indent orthogonal_ place put putmask register_hook setattr shuffle
	sparse_ trunc_normal_ uniform_ update_wrapper vector_to_parameters xavier_normal_ xavier_uniform_ zeros_ setitem
	delitem iadd iconcat ior put_along_axis
`)

// storing are methods that put their argument into their object.
var storing = words(`
	append appendleft extend extendleft insert add update setdefault put push register add_module register_module
	register_buffer register_parameter set put_nowait subscribe connect attach set_params __setitem__ __setattr__
`)
