package slicer

// builtins are the names that Python itself defines, in any version from 3.10 on.
var builtins = map[string]bool{
	"ArithmeticError": true, "AssertionError": true, "AttributeError": true, "BaseException": true, "BaseExceptionGroup": true,
	"BlockingIOError": true, "BrokenPipeError": true, "BufferError": true, "BytesWarning": true, "ChildProcessError": true,
	"ConnectionAbortedError": true, "ConnectionError": true, "ConnectionRefusedError": true, "ConnectionResetError": true,
	"DeprecationWarning": true, "EOFError": true, "Ellipsis": true, "EncodingWarning": true, "EnvironmentError": true,
	"Exception": true, "ExceptionGroup": true, "False": true, "FileExistsError": true, "FileNotFoundError": true,
	"FloatingPointError": true, "FutureWarning": true, "GeneratorExit": true, "IOError": true, "ImportError": true,
	"ImportWarning": true, "IndentationError": true, "IndexError": true, "InterruptedError": true, "IsADirectoryError": true,
	"KeyError": true, "KeyboardInterrupt": true, "LookupError": true, "MemoryError": true, "ModuleNotFoundError": true,
	"NameError": true, "None": true, "NotADirectoryError": true, "NotImplemented": true, "NotImplementedError": true,
	"OSError": true, "OverflowError": true, "PendingDeprecationWarning": true, "PermissionError": true, "ProcessLookupError": true,
	"PythonFinalizationError": true, "RecursionError": true, "ReferenceError": true, "ResourceWarning": true, "RuntimeError": true,
	"RuntimeWarning": true, "StopAsyncIteration": true, "StopIteration": true, "SyntaxError": true, "SyntaxWarning": true,
	"SystemError": true, "SystemExit": true, "TabError": true, "TimeoutError": true, "True": true, "TypeError": true,
	"UnboundLocalError": true, "UnicodeDecodeError": true, "UnicodeEncodeError": true, "UnicodeError": true,
	"UnicodeTranslateError": true, "UnicodeWarning": true, "UserWarning": true, "ValueError": true, "Warning": true,
	"ZeroDivisionError": true, "_IncompleteInputError": true, "__annotate__": true, "__annotations__": true,
	"__build_class__": true, "__builtins__": true, "__class__": true, "__conditional_annotations__": true, "__debug__": true,
	"__dict__": true, "__doc__": true, "__file__": true, "__import__": true, "__loader__": true, "__name__": true,
	"__package__": true, "__path__": true, "__spec__": true, "abs": true, "aiter": true, "all": true, "anext": true, "any": true,
	"ascii": true, "bin": true, "bool": true, "breakpoint": true, "bytearray": true, "bytes": true, "callable": true, "chr": true,
	"classmethod": true, "compile": true, "complex": true, "copyright": true, "credits": true, "delattr": true, "dict": true,
	"dir": true, "divmod": true, "enumerate": true, "eval": true, "exec": true, "exit": true, "filter": true, "float": true,
	"format": true, "frozenset": true, "getattr": true, "globals": true, "hasattr": true, "hash": true, "help": true, "hex": true,
	"id": true, "input": true, "int": true, "isinstance": true, "issubclass": true, "iter": true, "len": true, "license": true,
	"list": true, "locals": true, "map": true, "max": true, "memoryview": true, "min": true, "next": true, "object": true,
	"oct": true, "open": true, "ord": true, "pow": true, "print": true, "property": true, "quit": true, "range": true, "repr": true,
	"reversed": true, "round": true, "set": true, "setattr": true, "slice": true, "sorted": true, "staticmethod": true, "str": true,
	"sum": true, "super": true, "tuple": true, "type": true, "vars": true, "zip": true,
}

// standard are the modules of Python's standard library, for the rules about process-wide settings and for finding local modules.
var standard = map[string]bool{
	"__future__": true, "_abc": true, "_aix_support": true, "_ast": true, "_asyncio": true, "_bisect": true, "_blake2": true,
	"_bootsubprocess": true, "_bz2": true, "_codecs": true, "_codecs_cn": true, "_codecs_hk": true, "_codecs_iso2022": true,
	"_codecs_jp": true, "_codecs_kr": true, "_codecs_tw": true, "_collections": true, "_collections_abc": true,
	"_compat_pickle": true, "_compression": true, "_contextvars": true, "_crypt": true, "_csv": true, "_ctypes": true,
	"_curses": true, "_curses_panel": true, "_datetime": true, "_dbm": true, "_decimal": true, "_elementtree": true,
	"_frozen_importlib": true, "_frozen_importlib_external": true, "_functools": true, "_gdbm": true, "_hashlib": true,
	"_heapq": true, "_imp": true, "_io": true, "_json": true, "_locale": true, "_lsprof": true, "_lzma": true, "_markupbase": true,
	"_md5": true, "_msi": true, "_multibytecodec": true, "_multiprocessing": true, "_opcode": true, "_operator": true,
	"_osx_support": true, "_overlapped": true, "_pickle": true, "_posixshmem": true, "_posixsubprocess": true, "_py_abc": true,
	"_pydecimal": true, "_pyio": true, "_queue": true, "_random": true, "_scproxy": true, "_sha1": true, "_sha256": true,
	"_sha3": true, "_sha512": true, "_signal": true, "_sitebuiltins": true, "_socket": true, "_sqlite3": true, "_sre": true,
	"_ssl": true, "_stat": true, "_statistics": true, "_string": true, "_strptime": true, "_struct": true, "_symtable": true,
	"_thread": true, "_threading_local": true, "_tkinter": true, "_tokenize": true, "_tracemalloc": true, "_typing": true,
	"_uuid": true, "_warnings": true, "_weakref": true, "_weakrefset": true, "_winapi": true, "_zoneinfo": true, "abc": true,
	"aifc": true, "antigravity": true, "argparse": true, "array": true, "ast": true, "asynchat": true, "asyncio": true,
	"asyncore": true, "atexit": true, "audioop": true, "base64": true, "bdb": true, "binascii": true, "bisect": true,
	"builtins": true, "bz2": true, "cProfile": true, "calendar": true, "cgi": true, "cgitb": true, "chunk": true, "cmath": true,
	"cmd": true, "code": true, "codecs": true, "codeop": true, "collections": true, "colorsys": true, "compileall": true,
	"concurrent": true, "configparser": true, "contextlib": true, "contextvars": true, "copy": true, "copyreg": true, "crypt": true,
	"csv": true, "ctypes": true, "curses": true, "dataclasses": true, "datetime": true, "dbm": true, "decimal": true,
	"difflib": true, "dis": true, "distutils": true, "doctest": true, "email": true, "encodings": true, "ensurepip": true,
	"enum": true, "errno": true, "faulthandler": true, "fcntl": true, "filecmp": true, "fileinput": true, "fnmatch": true,
	"fractions": true, "ftplib": true, "functools": true, "gc": true, "genericpath": true, "getopt": true, "getpass": true,
	"gettext": true, "glob": true, "graphlib": true, "grp": true, "gzip": true, "hashlib": true, "heapq": true, "hmac": true,
	"html": true, "http": true, "idlelib": true, "imaplib": true, "imghdr": true, "imp": true, "importlib": true, "inspect": true,
	"io": true, "ipaddress": true, "itertools": true, "json": true, "keyword": true, "lib2to3": true, "linecache": true,
	"locale": true, "logging": true, "lzma": true, "mailbox": true, "mailcap": true, "marshal": true, "math": true,
	"mimetypes": true, "mmap": true, "modulefinder": true, "msilib": true, "msvcrt": true, "multiprocessing": true, "netrc": true,
	"nis": true, "nntplib": true, "nt": true, "ntpath": true, "nturl2path": true, "numbers": true, "opcode": true, "operator": true,
	"optparse": true, "os": true, "ossaudiodev": true, "pathlib": true, "pdb": true, "pickle": true, "pickletools": true,
	"pipes": true, "pkgutil": true, "platform": true, "plistlib": true, "poplib": true, "posix": true, "posixpath": true,
	"pprint": true, "profile": true, "pstats": true, "pty": true, "pwd": true, "py_compile": true, "pyclbr": true, "pydoc": true,
	"pydoc_data": true, "pyexpat": true, "queue": true, "quopri": true, "random": true, "re": true, "readline": true,
	"reprlib": true, "resource": true, "rlcompleter": true, "runpy": true, "sched": true, "secrets": true, "select": true,
	"selectors": true, "shelve": true, "shlex": true, "shutil": true, "signal": true, "site": true, "smtpd": true, "smtplib": true,
	"sndhdr": true, "socket": true, "socketserver": true, "spwd": true, "sqlite3": true, "sre_compile": true, "sre_constants": true,
	"sre_parse": true, "ssl": true, "stat": true, "statistics": true, "string": true, "stringprep": true, "struct": true,
	"subprocess": true, "sunau": true, "symtable": true, "sys": true, "sysconfig": true, "syslog": true, "tabnanny": true,
	"tarfile": true, "telnetlib": true, "tempfile": true, "termios": true, "textwrap": true, "this": true, "threading": true,
	"time": true, "timeit": true, "tkinter": true, "token": true, "tokenize": true, "tomllib": true, "trace": true,
	"traceback": true, "tracemalloc": true, "tty": true, "turtle": true, "turtledemo": true, "types": true, "typing": true,
	"unicodedata": true, "unittest": true, "urllib": true, "uu": true, "uuid": true, "venv": true, "warnings": true, "wave": true,
	"weakref": true, "webbrowser": true, "winreg": true, "winsound": true, "wsgiref": true, "xdrlib": true, "xml": true,
	"xmlrpc": true, "zipapp": true, "zipfile": true, "zipimport": true, "zlib": true, "zoneinfo": true,
}

// fresh are methods that give a new object and leave their own alone (unless inplace=True).
var fresh = map[string]bool{
	"abs": true, "agg": true, "save": true, "save_weights": true, "save_model": true, "save_pretrained": true, "export": true, "get_weights": true, "get_config": true,
	"count_params": true, "num_parameters": true, "print_trainable_parameters": true, "get_depth": true, "get_n_leaves": true, "staged_predict": true,
	"kneighbors": true, "predict_log_proba": true, "cv_results_": true, "as_posix": true, "absolute": true, "resolve": true, "glob": true, "rglob": true, "iterdir": true, "stat": true, "aggregate": true, "all": true, "any": true, "apply": true, "applymap": true, "argmax": true,
	"argmin": true, "argsort": true, "assign": true, "astype": true, "bar": true, "barh": true, "between": true, "boxplot": true,
	"capitalize": true, "clip": true, "clone": true, "combine_first": true, "conj": true, "copy": true, "corr": true, "count": true,
	"count_nonzero": true, "cov": true, "cumprod": true, "cumsum": true, "decision_function": true, "decode": true,
	"deepcopy": true, "describe": true, "detach": true, "diff": true, "difference": true, "dim": true, "display": true, "dot": true,
	"drop": true, "drop_duplicates": true, "dropna": true, "dtype": true, "duplicated": true, "encode": true, "endswith": true,
	"evaluate": true, "ewm": true, "exists": true, "explode": true, "export_text": true, "feature_importances": true,
	"fillna": true, "filter": true, "format": true, "get_feature_names": true, "get_feature_names_out": true, "get_params": true,
	"get_support": true, "groupby": true, "head": true, "hist": true, "idxmax": true, "idxmin": true, "imshow": true, "index": true,
	"info": true, "inspect": true, "interpolate": true, "intersection": true, "inverse_transform": true, "is_dir": true,
	"is_file": true, "isin": true, "isna": true, "isnull": true, "isoformat": true, "issubset": true, "issuperset": true,
	"item": true, "join": true, "keys": true, "line": true, "lower": true, "lstrip": true, "map": true, "mask": true,
	"matmul": true, "max": true, "mean": true, "median": true, "melt": true, "memory_usage": true, "merge": true, "min": true,
	"mkdir": true, "mode": true, "nlargest": true, "nonzero": true, "normalize": true, "notna": true, "notnull": true,
	"nsmallest": true, "numel": true, "numpy": true, "nunique": true, "pct_change": true, "permute_importance": true, "pie": true,
	"pivot": true, "pivot_table": true, "plot": true, "predict": true, "predict_proba": true, "prod": true, "ptp": true,
	"quantile": true, "query": true, "read": true, "readline": true, "readlines": true, "rename": true, "replace": true,
	"resample": true, "reset_index": true, "rolling": true, "round": true, "rsplit": true, "rstrip": true, "sample": true,
	"savefig": true, "scatter": true, "score": true, "searchsorted": true, "select_dtypes": true, "set_index": true, "shape": true,
	"shift": true, "show": true, "size": true, "sort_values": true, "split": true, "stack": true, "startswith": true,
	"state_dict": true, "std": true, "strftime": true, "strip": true, "sum": true, "summary": true, "symmetric_difference": true,
	"tail": true, "title": true, "to_csv": true, "to_dict": true, "to_excel": true, "to_frame": true, "to_html": true,
	"to_json": true, "to_latex": true, "to_list": true, "to_markdown": true, "to_numpy": true, "to_parquet": true,
	"to_pickle": true, "to_series": true, "to_string": true, "tolist": true, "touch": true, "transform": true, "tz_convert": true,
	"tz_localize": true, "union": true, "unique": true, "unstack": true, "upper": true, "value_counts": true, "var": true,
	"view": true, "where": true, "most_common": true, "elements": true, "total": true, "isdigit": true, "isalpha": true, "isnumeric": true,
	"splitlines": true, "casefold": true, "zfill": true, "ljust": true, "rjust": true, "center": true, "find": true, "rfind": true,
	"partition": true, "rpartition": true, "isoweekday": true, "weekday": true, "timestamp": true, "total_seconds": true, "hexdigest": true,
	"digest": true, "bit_length": true, "as_integer_ratio": true, "nbytes": true, "to_period": true, "to_timestamp": true, "day_name": true,
	"month_name": true, "contains": true, "extract": true, "cat": true, "cut": true, "crosstab": true, "skew": true, "kurt": true, "kurtosis": true,
	"mad": true, "sem": true, "cummax": true, "cummin": true, "rank": true, "first_valid_index": true, "last_valid_index": true, "equals": true,
	"trace": true, "cross_val_score": true, "get_n_splits": true, "score_samples": true, "get_feature_importance": true,
}

// views are functions and methods whose result may be their argument or object, or a part of it.
var views = map[string]bool{
	"as_tensor": true, "asarray": true, "ascontiguousarray": true, "atleast_1d": true, "atleast_2d": true, "children": true,
	"compile": true, "cpu": true, "cuda": true, "double": true, "enumerate": true, "eval": true, "filter": true, "fit": true,
	"float": true, "from_numpy": true, "get": true, "get_layer": true, "half": true, "items": true, "iter": true, "jit": true,
	"layers": true, "map": true, "modules": true, "named_children": true, "named_modules": true, "named_parameters": true,
	"next": true, "parameters": true, "partial": true, "pop": true, "ravel": true, "reshape": true, "reversed": true,
	"setdefault": true, "squeeze": true, "swapaxes": true, "to": true, "train": true, "transpose": true, "values": true,
	"view": true, "vmap": true, "wraps": true, "zip": true,
}

// containers are functions whose result is new and holds what it was given.
var containers = map[string]bool{
	"ChainMap": true, "Counter": true, "MappingProxyType": true, "OrderedDict": true, "SimpleNamespace": true, "chain": true,
	"concat": true, "cycle": true, "defaultdict": true, "deque": true, "dict": true, "frozenset": true, "islice": true,
	"list": true, "namedtuple": true, "product": true, "set": true, "sorted": true, "tuple": true,
}

// showing are functions that show or look, and change nothing that a program could see.
var showing = map[string]bool{
	"Audio": true, "HTML": true, "IFrame": true, "Image": true, "JSON": true, "Latex": true, "Markdown": true, "Video": true,
	"abs": true, "all": true, "any": true, "ascii": true, "bin": true, "bool": true, "breakpoint": true, "bytes": true,
	"callable": true, "chr": true, "clear_output": true, "complex": true, "dict": true, "dir": true, "display": true,
	"divmod": true, "enumerate": true, "exit": true, "filter": true, "float": true, "format": true, "frozenset": true,
	"getattr": true, "globals": true, "hasattr": true, "hash": true, "help": true, "hex": true, "id": true, "input": true,
	"int": true, "isinstance": true, "issubclass": true, "iter": true, "len": true, "list": true, "locals": true, "map": true,
	"max": true, "memoryview": true, "min": true, "object": true, "oct": true, "open": true, "ord": true, "pow": true, "pp": true,
	"pprint": true, "print": true, "property": true, "quit": true, "range": true, "repr": true, "reversed": true, "round": true,
	"set": true, "sleep": true, "slice": true, "sorted": true, "str": true, "sum": true, "super": true, "tqdm": true,
	"trange": true, "tuple": true, "type": true, "vars": true, "zip": true,
}

// looking are modules whose functions show or look.
var looking = map[string]bool{
	"IPython": true, "altair": true, "ast": true, "bokeh": true, "cProfile": true, "cufflinks": true, "dis": true, "fnmatch": true,
	"getpass": true, "glob": true, "graphviz": true, "holoviews": true, "hvplot": true, "inspect": true, "ipywidgets": true,
	"json": true, "line_profiler": true, "math": true, "matplotlib": true, "memory_profiler": true, "missingno": true,
	"operator": true, "pandas_profiling": true, "platform": true, "plotly": true, "pprint": true, "pydoc": true, "pydot": true,
	"pygal": true, "rich": true, "seaborn": true, "statistics": true, "string": true, "sweetviz": true, "tabulate": true,
	"textwrap": true, "time": true, "timeit": true, "tqdm": true, "tracemalloc": true, "webbrowser": true, "ydata_profiling": true,
}

// changing are functions that change their first argument, also where their value is used.
var changing = map[string]bool{
	"clip_grad_norm_": true, "clip_grad_value_": true, "constant_": true, "copyto": true, "delattr": true, "dirac_": true,
	"exec": true, "eye_": true, "fill_diagonal": true, "heapify": true, "heappop": true, "heappush": true, "heappushpop": true,
	"heapreplace": true, "insort": true, "insort_left": true, "insort_right": true, "kaiming_normal_": true,
	"kaiming_uniform_": true, "load_model_weights": true, "load_state_dict": true, "next": true, "normal_": true, "ones_": true,
	"orthogonal_": true, "place": true, "put": true, "putmask": true, "register_hook": true, "setattr": true, "shuffle": true,
	"sparse_": true, "trunc_normal_": true, "uniform_": true, "update_wrapper": true, "vector_to_parameters": true,
	"xavier_normal_": true, "xavier_uniform_": true, "zeros_": true,
}

// storing are methods that put their argument into their object.
var storing = map[string]bool{
	"append": true, "appendleft": true, "extend": true, "extendleft": true, "insert": true, "add": true, "update": true, "setdefault": true, "put": true,
	"push": true, "register": true, "add_module": true, "register_module": true, "register_buffer": true, "register_parameter": true, "set": true,
	"put_nowait": true, "subscribe": true, "connect": true, "attach": true, "set_params": true, "__setitem__": true, "__setattr__": true,
}
