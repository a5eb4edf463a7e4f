"""The content of a value as a digest that can be compared between two processes: of numbers, texts, containers, arrays,
tables, and objects by their state.

It runs in the session, so it changes nothing and runs no code of the user's: no property, no ``__getattr__``,
``__eq__``, ``__hash__``, ``__repr__`` or ``__reduce__`` of a class that is not known here. State is read from where
Python keeps it. Streams are not moved and iterators not advanced. What has no such state (open files, locks,
generators, figures) is not compared. docs/internals/engine.md says what of a large value is looked at.

The loader imports this where there is something to compare, so it imports next to nothing; what it knows of numpy,
pandas, polars and torch is done only where these are loaded (tables.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = [
    "NUMBERS",
    "Walk",
    "home",
    "is_stand_in",
    "libraries",
    "measured",
    "mro",
    "namespace_of",
    "numbers_of",
    "sample",
    "skipped",
    "state",
]

OPAQUE = b"?"  # the digest of what has no content
NUMBERS = 1024  # floating-point numbers of one value that its summary is made of
DEEPEST = 80  # containers within containers
LONGEST_TEXT = 1 << 18  # characters or bytes that are all read
_GONE_OVER = 200_000  # elements of a container that has no places
_KEYS = 4096  # of a set, and of a dict whose order is to be ignored


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Packages whose objects are connections, windows, clocks and the like: they are of a process, and have no content.
_LIBRARIES = frozenset(("numpy", "polars", "torch", "PIL"))  # whose arrays and tables are read by tables.py
_NO_CONTENT = _words(
    """IPython ipykernel ipywidgets traitlets comm zmq tornado matplotlib mpl_toolkits tqdm logging threading _thread
    socket _socket ssl _ssl subprocess asyncio _asyncio concurrent multiprocessing selectors select sqlite3 _sqlite3
    http urllib urllib3 requests httpx aiohttp websockets weakref _weakref _weakrefset ctypes _ctypes tempfile queue
    _queue contextvars _contextvars rich wandb mlflow tensorboard tensorboardX metaml mmap sched zipfile tarfile gzip
    bz2 lzma csv _csv h5py tensorflow keras tf_keras openai anthropic boto3 botocore sqlalchemy psycopg psycopg2 pymongo
    redis google pyspark dask distributed ray _io io codecs"""
)
_SOME: tuple[Iterator[Any], ...] = (
    *(iter([]), iter(()), iter(range(0)), iter(range(1 << 70)), iter(""), iter("é"), iter(b""), iter(bytearray())),
    *(iter({}), iter({}.values()), iter({}.items()), reversed({}), iter(set()), reversed([])),
)
_ITERATORS = frozenset(type(iterator).__name__ for iterator in _SOME)

#: What the script is called that runs, of a session and of a program: ``sys.argv[0]``, and what argparse makes of it.
_SCRIPTS = frozenset(("ipykernel_launcher.py", "main.py"))

#: Of a class what reads its objects, or None.
Reader = Callable[[type], "Callable[[Walk, Any], bytes] | None"]


class Walk:
    """One look at a value. :meth:`visit` gives a digest of everything but floating-point numbers and how they are
    placed; these are collected beside it, exactly (:meth:`exactly`) and in a sample (floats).

    Args:
        budget: how many values may be visited; of containers with more, a sample is.
        arrays: what was found out of arrays, by identity, shared by walks over one value.
        reader: what reads objects of a class of numpy, pandas and the like; it gives None for others.
    """

    def __init__(self, budget: int, arrays: dict[Any, Any] | None = None, reader: Reader | None = None) -> None:
        self.reader = reader
        self.left = budget
        self.floats: list[float] = []
        self.sampled = False  # not everything was looked at
        self.opaque = 0  # parts that have no content
        self.packages: set[str] = set()  # whose objects were looked into
        self._share = 1
        self.arrays: dict[Any, Any] = {} if arrays is None else arrays
        self._exact = hashlib.blake2b(digest_size=16)
        self._known: dict[int, bytes] = {}
        self._depths: dict[int, int] = {}
        self._kept: list[Any] = []  # an identity must not be given again during the walk

    def exactly(self) -> bytes:
        """The digest of all numbers that were met, bit by bit."""
        exact = self._exact.copy()
        exact.update(struct.pack(f"={len(self.floats)}d", *self.floats))
        return exact.digest()

    def number(self, value: float) -> None:
        """A floating-point number was met."""
        if len(self.floats) < NUMBERS:
            self.floats.append(value)
        else:
            self._exact.update(struct.pack("=d", value))

    def bits(self, data: bytes) -> None:
        """Numbers were met, and this is what they are exactly."""
        self._exact.update(data)

    def visit(self, value: Any) -> bytes:
        """The digest of a value without its floating-point numbers."""
        self.left -= 1
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(self, value)
        identity = id(value)
        if (known := self._known.get(identity)) is not None:
            return known
        if (depth := self._depths.get(identity)) is not None:
            return b"^%d" % (len(self._depths) - depth)  # it contains itself
        if self.left < 0 or len(self._depths) > DEEPEST:
            self.sampled = True
            return b"~"
        self._depths[identity] = len(self._depths)
        try:
            found = _KINDS.get(kind, _other)(self, value, kind)
        finally:
            del self._depths[identity]
        self._known[identity] = found
        self._kept.append(value)
        return found

    def all(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """The digest of some values in their order."""
        total = hashlib.blake2b(tag, digest_size=16)
        for value in values:
            part = self.visit(value)
            total.update(b"%d:" % len(part))
            total.update(part)
        return total.digest()

    def fixed(self, value: Any) -> bytes:
        """The digest of a value in which numbers count exactly: of a key, whose place depends on it."""
        self.left -= 1
        plain = _PLAIN.get(type(value))
        if plain is not None and type(value) not in (float, complex):
            return plain(self, value)
        inner = Walk(min(64, max(self.left, 0)), self.arrays, self.reader)
        part = inner.visit(value)
        return part + inner.exactly() if inner.floats else part

    def room(self, share: int = 2) -> int:
        """How many elements of a container may be visited."""
        return max(8, self.left // max(share, self._share))

    @contextlib.contextmanager
    def shared(self, among: int) -> Iterator[None]:
        """While it lasts, a container may use no more than its share of what may be visited."""
        before, self._share = self._share, among
        try:
            yield
        finally:
            self._share = before


def sample(size: int, most: int) -> Sequence[int]:
    """At most so many places of something of a size: its head, its tail, and between them at equal distances."""
    if size <= most:
        return range(size)
    head, tail = most // 4, most // 4
    inner = most - head - tail
    between = size - head - tail
    return [*range(head), *(head + between * i // inner for i in range(inner)), *range(size - tail, size)]


def numbers_of(floats: Sequence[float]) -> list[list[int]]:
    """A summary of numbers that can be compared although the last digits differ: each of its values in two grids that
    are offset against each other, so that values nearer than 1e-6 share a cell in one of them. A value stands for how
    many are not finite, their scale, sum, least, largest, norm, and their order.
    """
    finite = [x for x in floats if math.isfinite(x)]
    odd = [0 if x == x else 1 if x > 0 else 2 for x in floats if not math.isfinite(x)]
    scale = max(map(abs, finite), default=0.0)
    values = [float(len(floats)), float(len(odd)), float(sum((i + 1) * o for i, o in enumerate(odd)))]
    if scale > 0:
        parts = [x / scale for x in finite]
        total = math.fsum(map(abs, parts))
        values += [
            math.log(scale),
            math.fsum(parts) / total,
            min(parts),
            max(parts),
            total / len(parts),
            math.sqrt(math.fsum(x * x for x in parts) / len(parts)),
            math.fsum(x * ((i * 2654435761) % 4093 / 4093 - 0.5) for i, x in enumerate(parts)) / total,
        ]
    return [[math.floor(v / _CELL), math.floor(v / _CELL + 0.5)] for v in values]


_CELL = 2.0000001e-6  # of a grid; half of it is how far values may be apart that always count as the same


def home(kind: type) -> str:
    """The module of a class."""
    module = type.__getattribute__(kind, "__module__")
    return module if isinstance(module, str) else "?"


def mro(kind: type) -> tuple[type, ...]:
    """The classes that a class is made of, whatever its metaclass does."""
    return tuple(type.__dict__["__mro__"].__get__(kind))


def namespace_of(kind: type) -> Any:
    """What a class defines itself, whatever its metaclass does."""
    return type.__dict__["__dict__"].__get__(kind)


def skipped(kind: type) -> bool:
    """Whether objects of a class have no content that could be compared."""
    return any(home(c).partition(".")[0] in _NO_CONTENT and c not in _KINDS for c in mro(kind))


def state(value: Any) -> dict[str, Any] | None:
    """The attributes of an object, as Python keeps them; None if it has none. What is computed when it is first looked
    at is left out: looking is no change.
    """
    kind = type(value)
    found: dict[str, Any] = {}
    has = False
    lazy = set()
    for c in mro(kind):
        for name, member in namespace_of(c).items():
            of = type(member)
            if of is types.MemberDescriptorType:
                has = True
                try:
                    found.setdefault(name, member.__get__(value, kind))
                except AttributeError:
                    continue  # it is not set
            elif name == "__dict__" and of is types.GetSetDescriptorType:
                has = True
                attributes = member.__get__(value, kind)
                if type(attributes) is dict:
                    found.update((k, v) for k, v in dict.items(attributes) if type(k) is str)
            elif of.__name__ == "cached_property":
                lazy.add(name)
    if not has:
        return None
    ours = home(kind) == "__main__"
    return {
        k: v
        for k, v in found.items()
        if k not in lazy
        and "cache" not in k.lower()
        and k != "__weakref__"
        and not _address(v)
        and not _duration(k, v)
        and (ours or not _noted(v))
    }


def _duration(name: str, value: Any) -> bool:
    """Whether an attribute is how long something took, as scikit-learn's ``refit_time_``."""
    return type(value) is float and name.endswith("_time_")


def _noted(value: Any) -> bool:
    """Whether an object of a library has noted when it was made, or got a name that nobody gave it, as Optuna's trials
    and studies: the clock knows microseconds, which dates of data seldom have."""
    if type(value) is str:
        return _has_uuid(value)
    return type(value).__name__ == "datetime" and home(type(value)) == "datetime" and value.microsecond != 0


def _has_uuid(text: str) -> bool:
    """Whether a short text has one that was drawn."""
    if not 36 <= len(text) < 200 or "-4" not in text:
        return False
    import re

    return re.search(_UUID, text) is not None


_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def measured(key: Any) -> bool:
    """Whether it is what scikit-learn calls how long a search or a validation took: among results, and of a table that
    is made of them."""
    return type(key) is str and key.removeprefix("mean_").removeprefix("std_") in ("fit_time", "score_time")


def _address(value: Any) -> bool:
    """Whether a number is where something lies in memory, which libraries keep to know an object again."""
    return type(value) is int and 0x5000_0000_0000 <= value < 0x8000_0000_0000


# What has no parts.


def _int(_: Walk, value: int) -> bytes:
    if -(1 << 62) < value < 1 << 62:
        return b"i%d" % value
    size = value.bit_length() // 8 + 1
    return b"I" + hashlib.blake2b(value.to_bytes(size, "little", signed=True), digest_size=16).digest()


def _float(walk: Walk, value: float) -> bytes:
    walk.number(value)
    return b"f"


def _complex(walk: Walk, value: complex) -> bytes:
    walk.number(value.real)
    walk.number(value.imag)
    return b"c"


def _text(walk: Walk, value: str) -> bytes:
    if " at 0x" in value[:LONGEST_TEXT]:
        walk.opaque += 1
        return b"s@"  # it names an object of this process
    if value[-3:] == ".py" and value[value.rfind("/") + 1 :] in _SCRIPTS:
        walk.opaque += 1
        return b"s.py"
    size = len(value)
    if size == 29 and value[-4:] == " GMT" and value[3:5] == ", ":
        walk.opaque += 1
        return b"s GMT"  # the time of an answer, as HTTP writes it
    if size > LONGEST_TEXT:
        walk.sampled = True
        value = "".join(value[i << 12 : (i + 1) << 12] for i in sample((size >> 12) + 1, LONGEST_TEXT >> 12))
    data = value.encode("utf-8", "surrogatepass")
    if len(data) > 64:
        data = hashlib.blake2b(data, digest_size=16).digest()
    return b"s%d:" % size + data


def _bytes(walk: Walk, value: bytes | bytearray | memoryview) -> bytes:
    size = len(value)
    data: Any = value
    if size > LONGEST_TEXT:
        walk.sampled = True
        data = b"".join(value[i << 12 : (i + 1) << 12] for i in sample((size >> 12) + 1, LONGEST_TEXT >> 12))
    return b"b%d:" % size + (bytes(data) if size <= 64 else hashlib.blake2b(data, digest_size=16).digest())


_PLAIN: dict[type, Callable[[Walk, Any], bytes]] = {
    type(None): lambda _, value: b"N",
    bool: lambda _, value: b"T" if value else b"F",
    type(...): lambda _, value: b"E",
    type(NotImplemented): lambda _, value: b"X",
    int: _int,
    float: _float,
    complex: _complex,
    str: _text,
    bytes: _bytes,
    bytearray: _bytes,
}


# What has parts.


def _sequence(walk: Walk, value: Any, kind: type) -> bytes:
    tag = b"(" if kind is tuple else b"[" if kind is list else kind.__name__.encode()
    return _elements(walk, tag, value, len(value))


def _elements(walk: Walk, tag: bytes, value: Any, size: int) -> bytes:
    places = sample(size, walk.room())
    if len(places) < size:
        walk.sampled = True
        return walk.all(tag + b"%d" % size, (value[i] for i in places))
    return walk.all(tag + b"%d" % size, list(value))


def _deque(walk: Walk, value: Any, _: type) -> bytes:
    size, most = len(value), walk.room()
    walk.sampled |= size > most
    return walk.all(f"dq{size};{value.maxlen}".encode(), _taken(value, size, most))


def _dict(walk: Walk, value: Any, kind: type) -> bytes:
    if ordered := kind.__name__ == "OrderedDict":
        import collections

        items: Iterable[tuple[Any, Any]] = collections.OrderedDict.items(value)  # a dict's own order is another one
    else:
        items = dict.items(value)
    return _items(walk, kind.__name__.encode(), items, len(value), ordered=ordered)


def _items(walk: Walk, tag: bytes, items: Iterable[tuple[Any, Any]], size: int, *, ordered: bool = False) -> bytes:
    """Of a dict. As for ``==``, the order of a plain one is no part of it; of a very large one it is."""
    most = min(walk.room(3), _KEYS)
    if size > most:
        walk.sampled = True
    keyed = [
        (b"uuid" if type(k) is str and _has_uuid(k) else walk.fixed(k), None if measured(k) else v)
        for k, v in _taken(items, size, most)
    ]
    if not ordered and size <= most:
        keyed.sort(key=lambda pair: pair[0])
    total = hashlib.blake2b(b"{%s%d" % (tag, size), digest_size=16)
    for key, part in keyed:
        total.update(b"%d:" % len(key))
        total.update(key)
        inner = walk.visit(part)
        total.update(b"%d:" % len(inner))
        total.update(inner)
    return total.digest()


def _taken(items: Iterable[Any], size: int, most: int) -> list[Any]:
    """A sample of what can only be gone over; of very much, its beginning."""
    from itertools import islice

    if size <= most:
        return list(items)
    if size > _GONE_OVER:
        return list(islice(items, most))
    taken: list[Any] = []
    each, at = iter(items), 0
    for place in sample(size, most):
        taken += islice(each, place - at, place - at + 1)
        at = place + 1
    return taken


def _defaultdict(walk: Walk, value: Any, kind: type) -> bytes:
    import collections

    factory = collections.defaultdict.__dict__["default_factory"].__get__(value)
    return walk.all(b"dd", [factory]) + _items(walk, b"", dict.items(value), len(value))


def _set(walk: Walk, value: Any, _: type) -> bytes:
    size = len(value)
    if size > min(_KEYS, max(walk.left, 8)):
        walk.sampled = True
        return b"<%d" % size  # there is no order by which the same ones could be taken
    return hashlib.blake2b(b"<%d" % size + b",".join(sorted(walk.fixed(v) for v in value)), digest_size=16).digest()


def _code(walk: Walk, value: Any, _: type) -> bytes:
    if _runs_commands(value):
        return f"code{value.co_name}".encode()  # what a cell's `!ls` is in a program has other words
    return walk.all(
        b"code",
        (
            value.co_name,
            value.co_code,
            value.co_consts,
            value.co_names,
            value.co_varnames,
            value.co_freevars,
            value.co_argcount,
        ),
    )


def _runs_commands(code: types.CodeType) -> bool:
    names: tuple[str, ...] = code.co_names
    return any(name == "get_ipython" or name.startswith("_metaml_") for name in names) or any(
        type(inner) is types.CodeType and _runs_commands(inner) for inner in code.co_consts
    )


def _function(walk: Walk, value: Any, _: type) -> bytes:
    module = value.__module__
    if module != "__main__":
        return _named(walk, module, value.__qualname__)
    cells = []
    for cell in value.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:
            cells.append(...)  # it is not bound yet
    return walk.all(b"def", (value.__code__, value.__defaults__, value.__kwdefaults__, cells, value.__dict__))


def _named(walk: Walk, module: Any, name: Any) -> bytes:
    """What a module has under a name."""
    root = str(module).partition(".")[0]
    if root in _NO_CONTENT or root == "getpass":
        walk.opaque += 1
        return OPAQUE
    return b"@" + f"{root}:{name}".encode()


def _builtin(walk: Walk, value: Any, _: type) -> bytes:
    owner = value.__self__
    if owner is None or type(owner) is types.ModuleType:
        return _named(walk, value.__module__, value.__qualname__)
    return walk.all(b"built", (value.__name__, owner))


def _method(walk: Walk, value: Any, _: type) -> bytes:
    return walk.all(b"method", (value.__func__, value.__self__))


def _class(walk: Walk, value: Any, _: type) -> bytes:
    name = type.__dict__["__qualname__"].__get__(value)
    if home(value) != "__main__":
        return _named(walk, home(value), name)
    attributes = {
        k: v
        for k, v in namespace_of(value).items()
        if not k.startswith("_abc_")
        and "cache" not in k.lower()
        and (not (k.startswith("__") and k.endswith("__")) or type(v) in _CALLED)
        and k not in ("__annotate__", "__annotate_func__")
        and type(v) not in (types.GetSetDescriptorType, types.MemberDescriptorType)
    }
    return walk.all(b"class", (name, [b.__qualname__ for b in mro(value)[1:]], attributes))


def _wrapped(*names: str) -> Callable[[Walk, Any, type], bytes]:
    return lambda walk, value, kind: walk.all(kind.__name__.encode(), (getattr(value, name) for name in names))


def _buffer(walk: Walk, value: Any, kind: type) -> bytes:
    if value.closed:
        return b"closed"
    content = value.getvalue()
    return walk.all(kind.__name__.encode(), (content, value.tell()))


def _partial(walk: Walk, value: Any, _: type) -> bytes:
    return walk.all(b"partial", (value.func, value.args, value.keywords))


def _text_of(walk: Walk, value: Any, kind: type) -> bytes:
    return walk.all(kind.__name__.encode(), (str(value),))


def _moment(walk: Walk, value: Any, kind: type) -> bytes:
    names = (
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "microsecond",
        "fold",
        "days",
        "seconds",
        "microseconds",
    )
    zone = value.tzinfo if hasattr(kind, "tzinfo") else None
    parts = [getattr(value, name) for name in names if hasattr(kind, name)]
    return walk.all(kind.__name__.encode(), (*parts, zone))


def _plain_random(walk: Walk, value: Any, _: type) -> bytes:
    if value is getattr(sys.modules["random"], "_inst", None):
        return OPAQUE  # it is everybody's
    return walk.all(b"random", value.getstate())


def _iterating(walk: Walk, value: Any, kind: type) -> bytes:
    """What goes over others: these, and how far it is. Nothing is taken from it."""
    return walk.all(kind.__name__.encode(), value.__reduce__()[1:])


def _element(walk: Walk, value: Any, _: type) -> bytes:
    """Of a tree of XML."""
    return walk.all(b"xml", (value.tag, dict(value.items()), value.text, value.tail, [*value]))


def _array_array(walk: Walk, value: Any, _: type) -> bytes:
    return f"arr{value.typecode}".encode() + _bytes(walk, memoryview(value).cast("B"))


_KINDS: dict[type, Callable[[Walk, Any, type], bytes]] = {
    list: _sequence,
    tuple: _sequence,
    dict: _dict,
    set: _set,
    frozenset: _set,
    range: lambda walk, value, _: walk.all(b"range", (value.start, value.stop, value.step)),
    slice: lambda walk, value, _: walk.all(b"slice", (value.start, value.stop, value.step)),
    types.MappingProxyType: lambda walk, value, _: OPAQUE,
    types.SimpleNamespace: lambda walk, value, _: walk.all(b"ns", (object.__getattribute__(value, "__dict__"),)),
    types.FunctionType: _function,
    types.BuiltinFunctionType: _builtin,
    types.MethodType: _method,
    types.CodeType: _code,
    types.ModuleType: lambda walk, value, _: OPAQUE,
    property: _wrapped("fget", "fset", "fdel"),
    staticmethod: _wrapped("__func__"),
    classmethod: _wrapped("__func__"),
    memoryview: lambda walk, value, _: OPAQUE,
    enumerate: _iterating,
    zip: _iterating,
    map: _iterating,
    filter: _iterating,
    reversed: _iterating,
}
_CALLED = (types.FunctionType, property, staticmethod, classmethod)


def _known_later(kind: type) -> Callable[[Walk, Any, type], bytes] | None:
    """How a class of the standard library is read that is not loaded by everybody, by its name."""
    return _LATER.get((home(kind).partition(".")[0], kind.__name__))


_LATER: dict[tuple[str, str], Callable[[Walk, Any, type], bytes]] = {
    ("collections", "deque"): _deque,
    ("collections", "OrderedDict"): _dict,
    ("collections", "Counter"): _dict,
    ("collections", "defaultdict"): _defaultdict,
    ("functools", "partial"): _partial,
    ("_io", "BytesIO"): _buffer,
    ("_io", "StringIO"): _buffer,
    ("pathlib", "PosixPath"): _text_of,
    ("pathlib", "WindowsPath"): _text_of,
    ("pathlib", "PurePosixPath"): _text_of,
    ("pathlib", "PureWindowsPath"): _text_of,
    ("decimal", "Decimal"): _text_of,
    ("decimal", "Context"): _wrapped("prec", "rounding", "Emin", "Emax", "capitals", "clamp"),
    ("xml", "Element"): _element,
    ("datetime", "datetime"): _moment,
    ("datetime", "date"): _moment,
    ("datetime", "time"): _moment,
    ("datetime", "timedelta"): _moment,
    ("datetime", "timezone"): _text_of,
    ("zoneinfo", "ZoneInfo"): _text_of,
    ("random", "Random"): _plain_random,
    ("array", "array"): _array_array,
    ("re", "Pattern"): _wrapped("pattern", "flags"),
    ("itertools", "count"): _text_of,
}
_BUILTIN_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (dict, lambda v: dict(dict.items(v))),
    (list, lambda v: list.__getitem__(v, slice(None))),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
    (set, lambda v: set(set.__iter__(v))),
    (frozenset, lambda v: frozenset(frozenset.__iter__(v))),
    (str, lambda v: str.__getitem__(v, slice(None))),
    (bytes, lambda v: bytes.__getitem__(v, slice(None))),
    (int, int.__int__),
    (float, float.__float__),
)


def _other(walk: Walk, value: Any, kind: type) -> bytes:
    classes = mro(kind)
    if type in classes:
        return _class(walk, value, kind)
    if len(classes) == 2 or home(kind) != "__main__":
        if (later := _known_later(kind)) is not None:
            return later(walk, value, kind)
        if kind.__name__ in _ITERATORS and home(kind) == "builtins":
            return b"iter%d" % value.__length_hint__()
    if walk.reader is not None and (read := walk.reader(kind)) is not None:
        return read(walk, value)
    if is_enum(kind):
        return walk.all(b"enum", (kind.__qualname__, object.__getattribute__(value, "_name_")))
    parts = [content(value) for base, content in _BUILTIN_BASES if base in classes][:1]
    if parts and is_stand_in(kind):
        return walk.visit(parts[0])
    record = tuple in classes and any("_fields" in namespace_of(c) for c in classes)
    if skipped(kind) and not record:
        walk.opaque += 1
        return OPAQUE
    attributes = state(value)
    if attributes is None and not parts:
        walk.opaque += 1
        return OPAQUE
    root = home(kind).partition(".")[0]
    if root not in ("__main__", "builtins"):
        walk.packages.add(root)
    return walk.all(b"obj", (kind.__name__, attributes or {}, *parts))


def quoted(key: Any) -> str:
    """A key as it is mostly written."""
    if type(key) is str and '"' not in key and key.isprintable() and "\\" not in key:
        return f'"{key}"'
    return repr(key)


def is_enum(kind: type) -> bool:
    """Whether a class is an Enum."""
    return any(c.__name__ == "Enum" and home(c) == "enum" for c in mro(kind))


def libraries() -> bool:
    """Whether a library is loaded whose arrays and tables tables.py reads."""
    return not _LIBRARIES.isdisjoint(sys.modules)


def is_stand_in(kind: type) -> bool:
    """IPython's list of a command's lines and the program's own one are lists."""
    return (
        kind.__name__ in ("SList", "LSString") and home(kind).startswith("IPython.")
    ) or kind.__name__ == "_metaml_lines"
