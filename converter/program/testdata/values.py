"""Values as plain lists, which are equal if and only if the values have the same content: types, order, what is one
object and what are two, state of objects and of iterators, code and closures of functions.
"""

from __future__ import annotations

import dis
import functools
import re
import struct
import sys
import types
import weakref

ATOMS = (bool, int, str, bytes, complex, type(None), type(Ellipsis), type(NotImplemented), range)
# Where code stands, in the text of a traceback: it is another place in a program.
PLACE = re.compile(r'File "(?:<cell>|main\.py)", line \d+')
UNCOMPARED = "not compared"
# What remembers answers as long as somebody else holds what they are of.
WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
DEEP = 60


class Writer:
    """Writes values of one execution. What is one object is written once, and mentioned by its number afterwards."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[object] = []  # so that no id is given twice

    def write(self, value: object, depth: int = 0) -> object:
        if isinstance(value, float) and type(value) is float:
            return ["float", "nan" if value != value else struct.pack("d", value).hex()]
        if type(value) is str:
            return ["str", repr(PLACE.sub("File", value))]
        if type(value) in ATOMS:
            return [type(value).__name__, repr(value)]
        if type(value) is tuple:  # the compiler makes equal ones one object
            return ["tuple", *(self.write(v, depth + 1) for v in value)]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        if isinstance(value, type) and value.__module__ != "__main__":
            return ["class", f"{value.__module__}.{value.__qualname__}"]
        if isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType)) and not self.bound(value):
            return ["builtin", value.__qualname__]
        if id(value) in self.seen:
            return ["again", self.seen[id(value)]]
        if depth > DEEP:
            return ["deep"]
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return self.content(value, depth + 1)

    @staticmethod
    def bound(value: object) -> bool:
        to = getattr(value, "__self__", None)
        return to is not None and not isinstance(to, types.ModuleType)

    def content(self, value: object, depth: int) -> object:
        def w(v: object) -> object:
            return self.write(v, depth)

        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "__main__" else f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, types.FunctionType):
            if value.__module__ != "__main__":
                return ["function", f"{value.__module__}.{value.__qualname__}"]
            return [
                "function", self.code(value.__code__), w(value.__defaults__), w(value.__kwdefaults__),
                [self.cell(c, depth) for c in value.__closure__ or ()], w(vars(value)),
            ]  # fmt: skip
        if isinstance(value, type):
            return ["class", name, value.__qualname__, [w(b) for b in value.__bases__], self.members(value, depth)]
        if isinstance(value, (types.MethodType, types.BuiltinFunctionType)):
            return ["method", getattr(value, "__name__", ""), w(value.__self__)]
        if isinstance(value, (staticmethod, classmethod)):
            return [name, w(value.__func__)]
        if isinstance(value, property):
            return [name, w(value.fget), w(value.fset), w(value.fdel)]
        if isinstance(value, functools.partial):
            return [name, w(value.func), w(value.args), w(value.keywords)]
        if isinstance(value, types.GeneratorType):
            frame = value.gi_frame
            return [name, self.code(value.gi_code), None if frame is None else [frame.f_lasti, w(frame.f_locals)]]
        if kind in (dict, types.MappingProxyType):
            return ["dict", [[w(k), w(v)] for k, v in value.items()]]
        if kind is list:
            return ["list", *map(w, value)]
        if kind in (set, frozenset):
            return [kind.__name__, sorted((Writer().write(v) for v in value), key=repr)]
        for module, special in SPECIAL.items():
            if kind.__module__.partition(".")[0] == module and module in sys.modules:
                found = special(self, value, depth)
                if found is not None:
                    return [name, found]
        if kind.__module__ == "__main__":
            return [name, self.state(value, depth)]
        if isinstance(value, (weakref.ref, types.CodeType, types.FrameType, types.TracebackType, *WEAK)):
            return [name, UNCOMPARED]
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:
            reduced = None
        if isinstance(reduced, str):
            return [name, reduced]
        if isinstance(reduced, tuple):
            parts = [list(p) if p is not None and i > 2 else p for i, p in enumerate(reduced)]
            return [name, *map(w, parts)]
        return [name, self.state(value, depth)]

    def state(self, value: object, depth: int) -> object:
        """What an object of the notebook's own class has: attributes, slots, and what its base holds."""
        own = [["is", UNCOMPARED]]
        for base in (dict, list, tuple, set, frozenset, str, bytes, int, float):
            if isinstance(value, base):
                # By the base's own methods: those of the class may do anything.
                held = {"dict": lambda: list(dict.items(value)), "str": lambda: str.__str__(value)}.get(base.__name__)
                own = [["is", self.write(held() if held else base(base.__iter__(value)) if hasattr(base, "__iter__")
                                         else base.__repr__(value), depth)]]  # fmt: skip
                break
        else:
            own = []
        for cls in type(value).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for slot in [slots] if isinstance(slots, str) else slots:
                if slot not in ("__dict__", "__weakref__"):
                    try:
                        own.append([slot, self.write(object.__getattribute__(value, slot), depth)])
                    except AttributeError:
                        own.append([slot, "unset"])
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return own
        return [*own, *([k, self.write(v, depth)] for k, v in attributes.items())]

    def members(self, cls: type, depth: int) -> object:
        ignored = {"__dict__", "__weakref__", "__doc__", "__module__", "__abstractmethods__", "_abc_impl"}
        return [[k, self.write(v, depth)] for k, v in vars(cls).items() if k not in ignored]

    def cell(self, cell: types.CellType, depth: int) -> object:
        try:
            return self.write(cell.cell_contents, depth)
        except ValueError:
            return ["empty"]

    def code(self, code: types.CodeType) -> object:
        """Code, but for where it stands and what the compiler makes of that: it calls a function of a module otherwise
        where it sees the import.
        """
        consts = [self.code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
        return [code.co_name, consts, sorted(code.co_names), code.co_varnames, code.co_freevars]


def _numpy(writer: Writer, value: object, depth: int) -> object:
    import numpy as np

    if isinstance(value, np.ndarray):
        content = (
            [writer.write(v, depth) for v in value.ravel().tolist()]
            if value.dtype.hasobject
            else np.ascontiguousarray(value).tobytes().hex()
        )
        base = value.base if isinstance(value.base, np.ndarray) else None
        return [str(value.dtype), value.shape, content, writer.write(base, depth)]
    if isinstance(value, np.generic):
        return [str(value.dtype), value.tobytes().hex()]
    if isinstance(value, np.random.Generator):
        return writer.write(value.bit_generator.state, depth)
    if isinstance(value, np.random.RandomState):
        return writer.write(value.get_state(legacy=False), depth)
    return None


def _pandas(writer: Writer, value: object, depth: int) -> object:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        columns = [[str(value.dtypes.iloc[i]), list(value.iloc[:, i])] for i in range(value.shape[1])]
        parts = [list(value.columns), list(value.columns.names), columns, value.index, value.attrs]
    elif isinstance(value, pd.Series):
        parts = [value.name, str(value.dtype), list(value), value.index, value.attrs]
    elif isinstance(value, pd.Index):
        parts = [list(value.names), str(value.dtype), list(value)]
    else:
        return None
    return [writer.write(p, depth) for p in parts]


def _queue(writer: Writer, value: object, depth: int) -> object:
    return writer.write(value.queue, depth) if hasattr(value, "queue") else None


def _io(writer: Writer, value: object, depth: int) -> object:
    if hasattr(value, "getvalue"):
        return UNCOMPARED if value.closed else [
            writer.write(value.getvalue(), depth),
            value.tell() - len(value.getvalue()),
        ]
    return UNCOMPARED


SPECIAL = {"numpy": _numpy, "pandas": _pandas, "queue": _queue, "_io": _io,
           "_thread": lambda *_: UNCOMPARED, "threading": lambda *_: UNCOMPARED}  # fmt: skip


def mentioned(code: types.CodeType) -> set[str]:
    """The global names that code reads."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= mentioned(const)
    return names


def reached(space: dict, entry: str) -> list[str]:
    """The top-level names that a function may read, in the order of their names: by its text, by that of the functions
    and of the methods of the classes and of the objects that it reaches.
    """
    names: set[str] = set()
    open_values, seen = [space.get(entry)], set()

    def name(mentions: set[str]) -> None:
        for one in mentions:
            if one in space and one not in names and not one.startswith("_metaml"):
                names.add(one)
                open_values.append(space[one])

    def follow(value: object) -> None:
        if isinstance(value, types.FunctionType) and value.__globals__ is space:
            name(mentioned(value.__code__))
            open_values.extend(value.__defaults__ or ())
            for cell in value.__closure__ or ():
                try:
                    open_values.append(cell.cell_contents)
                except ValueError:
                    continue
            open_values.append(getattr(value, "__wrapped__", None))
        elif isinstance(value, type) and value.__module__ == "__main__":
            open_values.extend(vars(value).values())
            open_values.extend(value.__bases__)
        elif isinstance(value, types.MethodType):
            open_values.extend([value.__self__, value.__func__])
        elif isinstance(value, (staticmethod, classmethod)):
            open_values.append(value.__func__)
        elif isinstance(value, property):
            open_values.extend([value.fget, value.fset])
        elif isinstance(value, functools.partial):
            open_values.extend([value.func, *value.args, *value.keywords.values()])
        elif isinstance(value, dict):
            open_values.extend(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            open_values.extend(value)
        if type(value).__module__ == "__main__":
            open_values.append(type(value))
            open_values.append(getattr(value, "__dict__", None))

    while open_values:
        value = open_values.pop()
        if id(value) not in seen and not isinstance(value, ATOMS):
            seen.add(id(value))
            follow(value)
    names.discard(entry)
    return sorted(names)


def difference(one: object, two: object, path: str = "") -> str:
    """Where two written values differ first."""
    if one == two:
        return ""
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)) and len(one) == len(two):
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            if a != b:
                return difference(a, b, f"{path}.{i}")
    return f"{path}: {str(one)[:160]} and {str(two)[:160]}"
