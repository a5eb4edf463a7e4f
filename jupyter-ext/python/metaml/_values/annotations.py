"""Annotations: which :class:`Kind` each stands for.

Of what an annotation may name, nothing is imported that the program has not imported itself: a program that annotates
with a datetime has.

Why this is written here, although msgspec and pydantic validate by annotations too:

- It runs in the environment of the user's program, with the Python (3.10 and newer) and the versions that the user
  chose. A library of ours with compiled code could be missing there, or another version than the program needs.
- Every worker imports it before it answers. test_nothing_is_imported_that_the_program_has_not keeps it free even of
  ``inspect`` and ``dataclasses``.
- The same kinds take JSON, the text of a query, the files of a form and raw arrays of numpy, name the field and what
  is wrong with it in the same words for each, and give the schemas of the OpenAPI document and the example that a
  server is tried with. Neither library takes numpy arrays or pandas tables.

Where a program annotates with pydantic, its own pydantic validates and gives the schema (``pydantic_models.py``).
"""

from __future__ import annotations

import collections.abc as abc
import math
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from metaml._errors import Refused
from metaml._values.containers import Dict, List, Tuple, Union
from metaml._values.kinds import ANY, Kind
from metaml._values.records import Field, Record
from metaml._values.scalars import Bool, Bytes, Choice, Float, FromText, Int, Null, Str

__all__ = ["hints_of", "kind_of", "label_of"]

_LISTS = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS = {set: set, abc.MutableSet: set, frozenset: frozenset, abc.Set: frozenset}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_PLAIN: dict[Any, Kind] = {int: Int(), float: Float(), bool: Bool(), str: Str(), type(None): Null(), bytes: Bytes()}


def hints_of(function: Any, name: str) -> dict[str, Any]:
    """The annotations of a function, resolved in its program.

    Raises:
        Refused: one cannot be resolved.
    """
    hints: dict[str, Any] = {}
    try:
        annotations = dict(getattr(function, "__annotations__", None) or {})
    except Exception as error:  # from Python 3.14 on they are evaluated here
        raise Refused(f"the annotations of {name} cannot be read: {error}") from None
    for called, annotation in annotations.items():
        holder = types.SimpleNamespace(__annotations__={called: annotation})
        try:
            hints |= typing.get_type_hints(holder, getattr(function, "__globals__", None), include_extras=True)
        except Exception as error:
            if called != "return":
                raise Refused(
                    f"the annotation of parameter {called} of {name} cannot be read: {error}",
                    "Import what it names in a cell, or leave it out.",
                ) from None
    return hints


def label_of(annotation: Any) -> str:
    """An annotation as people write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("__main__.", "").replace("collections.abc.", "")


def kind_of(annotation: Any, what: str) -> Kind:
    """The kind that an annotation stands for.

    Args:
        annotation: resolved, with its extras.
        what: whose it is, for a refusal: "parameter x of serve".

    Raises:
        Refused: values of it cannot be made from JSON.
    """
    return _Maker(what).make(annotation)


class _Maker:
    """Makes kinds; a class that contains itself gets one."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.known: dict[int, Kind] = {}

    def make(self, annotation: Any) -> Kind:
        try:
            plain = _PLAIN.get(annotation)
        except TypeError:
            plain = None
        if plain is not None:
            return plain
        if annotation is Any or annotation is object:
            return ANY
        if annotation is None:
            return _PLAIN[type(None)]
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is not None:
            return self._generic(annotation, origin, args)
        if (below := getattr(annotation, "__supertype__", None)) is not None:  # NewType
            return self.make(below)
        if type(annotation).__name__ == "TypeAliasType":
            return self.make(annotation.__value__)
        if isinstance(annotation, type):
            if id(annotation) not in self.known:
                self.known[id(annotation)] = self._class(annotation)
            return self.known[id(annotation)]
        raise self.refused(annotation)

    def refused(self, annotation: Any) -> Refused:
        return Refused(
            f"{self.what} is annotated as {label_of(annotation)}, which cannot be made from JSON",
            "Annotate it with built-in types, a dataclass, a TypedDict, a pydantic model or a numpy array, or "
            "leave the annotation out.",
        )

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Kind:
        label = label_of(annotation)
        if origin is typing.Annotated:
            checked = any(type(one).__module__.partition(".")[0] in ("pydantic", "annotated_types") for one in args[1:])
            if checked and "pydantic" in sys.modules:
                return _model(label_of(args[0]), annotation)
            return self.make(args[0])
        if origin is typing.Union or origin is types.UnionType:
            members = [self.make(one) for one in args]
            return ANY if ANY in members else Union(label, members)
        if origin is typing.Literal:
            if not all(isinstance(one, (str, int, type(None))) for one in args):
                raise self.refused(annotation)
            return Choice(label, [(getattr(one, "value", one), one) for one in args])
        if origin in _LISTS:
            return List(label, self.make(args[0]) if args else ANY, None)
        if origin in _SETS:
            return List(label, self.make(args[0]) if args else ANY, _SETS[origin], unique=True)
        if origin in _DICTS:
            keys, of = (self.make(one) for one in args) if args else (ANY, ANY)
            return Dict(label, keys, of)
        if origin is tuple:
            if len(args) == 2 and args[1] is ...:
                return List(label, self.make(args[0]), tuple)
            return Tuple(label, [self.make(one) for one in args if one != ()])
        if origin is getattr(sys.modules.get("numpy"), "ndarray", None):
            return self._array(annotation, args)
        if getattr(origin, "__name__", "") in ("Required", "NotRequired", "ReadOnly"):
            return self.make(args[0])
        raise self.refused(annotation)

    def _class(self, cls: Any) -> Kind:
        name, home = cls.__qualname__, cls.__module__
        if cls in _LISTS:
            return List(name, ANY, None)
        if cls in _SETS:
            return List(name, ANY, _SETS[cls], unique=True)
        if cls in _DICTS:
            return Dict(name, ANY, ANY)
        if cls is tuple:
            return List(name, ANY, tuple)
        checked = hasattr(cls, "__get_pydantic_core_schema__") or hasattr(cls, "__pydantic_validator__")
        if checked and "pydantic" in sys.modules:
            return _model(name, cls)
        enum = sys.modules.get("enum")
        if enum is not None and issubclass(cls, enum.Enum):
            members = [(one.value, one) for one in cls]
            if not members or not all(isinstance(value, (str, int, float, type(None))) for value, _ in members):
                raise self.refused(cls)
            return Choice(name, members)
        if issubclass(cls, dict) and hasattr(cls, "__total__"):
            return self._typed_dict(cls)
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            hints = self._hints(cls)
            return Tuple(name, [self.make(hints.get(one, Any)) for one in cls._fields], lambda values: cls(*values))
        if "__dataclass_fields__" in cls.__dict__:
            return self._dataclass(cls)
        found = self._from_library(cls, name, home)
        if found is None:
            raise self.refused(cls)
        return found

    def _hints(self, cls: Any) -> dict[str, Any]:
        try:
            return typing.get_type_hints(cls, include_extras=True)
        except Exception as error:
            raise Refused(
                f"the annotations of {cls.__qualname__}, which {self.what} has, cannot be read: {error}"
            ) from None

    def _typed_dict(self, cls: Any) -> Kind:
        record = self.known[id(cls)] = Record(cls, cls.__qualname__)
        for name, hint in self._hints(cls).items():
            required = name in cls.__required_keys__
            while (
                wrapper := getattr(typing.get_origin(hint), "__name__", "")
                or getattr(typing.get_origin(hint), "_name", "")
            ) in (
                "Required",
                "NotRequired",
                "ReadOnly",
            ):
                required = {"Required": True, "NotRequired": False}.get(wrapper, required)
                hint = typing.get_args(hint)[0]
            record.fields_of.append(Field(name, self.make(hint), required))
        return record

    def _dataclass(self, cls: Any) -> Kind:
        missing = sys.modules["dataclasses"].MISSING
        record = self.known[id(cls)] = Record(cls, cls.__qualname__)
        record.make = cls
        hints = self._hints(cls)
        for name, one in cls.__dataclass_fields__.items():
            sort = one._field_type.name
            if not one.init or sort == "_FIELD_CLASSVAR":
                continue
            hint = hints.get(name, Any)
            if sort == "_FIELD_INITVAR":
                hint = hint.type
            required = one.default is missing and one.default_factory is missing
            record.fields_of.append(
                Field(name, self.make(hint), required, None if one.default is missing else one.default)
            )
        return record

    def _from_library(self, cls: Any, name: str, home: str) -> Kind | None:
        top = home.partition(".")[0]
        if top == "datetime":
            return _TIMES[name](cls) if name in _TIMES else None
        if (home, name) == ("uuid", "UUID"):
            return FromText(name, "a UUID", {"type": "string", "format": "uuid"}, cls)
        if (top, name) in (("decimal", "Decimal"), ("_decimal", "Decimal")):
            return FromText(
                name,
                "a number",
                {"anyOf": [{"type": "number"}, {"type": "string", "format": "decimal"}]},
                cls,
                numbers=True,
            )
        if top == "pathlib":
            return FromText(name, "text", {"type": "string", "format": "path"}, cls)
        if top == "numpy":
            return self._numpy(cls, name)
        if top == "pandas" and name in ("DataFrame", "Series"):
            from metaml._values.arrays import Table

            return Table(name, cls, name == "Series")
        return None

    def _numpy(self, cls: Any, name: str) -> Kind | None:
        from metaml._values.arrays import Array, NumpyScalar

        numpy = sys.modules["numpy"]
        if cls is numpy.ndarray:
            return Array("np.ndarray", numpy.dtype("float64"), None)
        if issubclass(cls, numpy.bool_):
            return NumpyScalar(name, Bool(), cls, None)
        if issubclass(cls, numpy.integer) and cls not in (numpy.integer, numpy.signedinteger, numpy.unsignedinteger):
            return NumpyScalar(name, Int(), cls, numpy.iinfo(cls))
        if issubclass(cls, numpy.floating) and cls is not numpy.floating:
            return NumpyScalar(name, Float(), cls, None)
        return None

    def _array(self, annotation: Any, args: tuple[Any, ...]) -> Kind:
        from metaml._values.arrays import Array

        numpy = sys.modules["numpy"]
        ndim = None
        if typing.get_origin(args[0]) is tuple:
            sizes = [one for one in typing.get_args(args[0]) if one != ()]
            ndim = None if ... in sizes else len(sizes)
        scalar = (typing.get_args(args[1]) or (Any,))[0] if len(args) > 1 else Any
        if (
            scalar is Any
            or isinstance(scalar, typing.TypeVar)
            or scalar in (numpy.generic, numpy.number, numpy.floating, numpy.inexact)
        ):
            scalar = numpy.float64
        elif scalar in (numpy.integer, numpy.signedinteger):
            scalar = numpy.int64
        elif scalar is numpy.unsignedinteger:
            scalar = numpy.uint64
        try:
            dtype = numpy.dtype(scalar)
        except TypeError:
            raise self.refused(annotation) from None
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise self.refused(annotation)
        return Array(f"np.ndarray of {dtype.name}", dtype, ndim)


def _model(label: str, annotation: Any) -> Kind:
    from metaml._values.pydantic_models import Model

    return Model(label, annotation, sys.modules["pydantic"])


def _iso(cls: Any, noun: str, form: str) -> Kind:
    # Python 3.10 knows neither Z nor all the lengths of a fraction that ISO 8601 allows.
    def make(text: str) -> Any:
        if form != "date" and text[-1:] in ("Z", "z"):
            text = text[:-1] + "+00:00"
        return cls.fromisoformat(text)

    return FromText(cls.__qualname__, noun, {"type": "string", "format": form}, make)


def _seconds(cls: Any) -> Kind:
    import re

    pattern = re.compile(r"([+-])?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z")

    def make(text: str) -> Any:
        found = pattern.match(text)
        if found is None or text[-1] in "PT":
            seconds = float(text)
            if not math.isfinite(seconds):
                raise ValueError(text)
            return cls(seconds=seconds)
        sign, weeks, days, hours, minutes, rest = found.groups()
        made = cls(
            weeks=int(weeks or 0),
            days=int(days or 0),
            hours=int(hours or 0),
            minutes=int(minutes or 0),
            seconds=float(rest or 0),
        )
        return -made if sign == "-" else made

    schema = {"anyOf": [{"type": "string", "format": "duration"}, {"type": "number", "description": "seconds"}]}
    return FromText(cls.__qualname__, 'a duration ("PT90S") or a number of seconds', schema, make, numbers=True)


_TIMES: dict[str, Callable[[Any], Kind]] = {
    "datetime": lambda cls: _iso(cls, "a date and time as in ISO 8601", "date-time"),
    "date": lambda cls: _iso(cls, "a date (YYYY-MM-DD)", "date"),
    "time": lambda cls: _iso(cls, "a time of day (HH:MM:SS)", "time"),
    "timedelta": _seconds,
}
