"""Annotations as conversions: what JSON, or the text of a query, becomes before a serving function gets it.

:func:`kind_of` makes the :class:`Kind` of an annotation. A kind converts a value and says what is wrong with it, and has a JSON
schema. In a JSON body text is never a number ("3" is no ``int``), ``true`` is no number, 1 is a ``float`` and 3.0 an ``int``
(as pydantic has it); in a query, where all is text, text is converted.

Of what an annotation may name, nothing is imported that the program has not imported itself: a program that annotates with a
datetime has.
"""

from __future__ import annotations

import collections.abc as abc
import json
import math
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from metaml._errors import Refused
from metaml._typed import a_kind_of

__all__ = ["ANY", "Array", "Bytes", "Kind", "Model", "Problem", "a_kind_of", "field", "hints_of", "kind_of", "word", "wrong"]

#: Where a value is: the parameter's name, then keys and indexes. One list, changed in place while values are converted.
Place = list[Any]
#: A field and what is wrong with it.
Problem = tuple[str, str]
Problems = list[Problem]
Schema = dict[str, Any]

_MOST = 20  # problems of one input


def field(at: Place) -> str:
    """A place as people write it: ``input.items[3].price``."""
    text = str(at[0])
    for key in at[1:]:
        if isinstance(key, int):
            text += f"[{key}]"
        elif isinstance(key, str) and key.isidentifier():
            text += f".{key}"
        else:
            text += f"[{json.dumps(str(key), ensure_ascii=False)}]"
    return text if len(text) <= 200 else text[:200] + "…"


def wrong(problems: Problems, at: Place, error: str) -> None:
    """Note what is wrong at a place."""
    if len(problems) < _MOST:
        problems.append((field(at), error))


def word(value: Any) -> str:
    """A JSON value in a sentence: "text", "a list"."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


class Definitions:
    """The schemas that others refer to, by name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}

    def reference(self, owner: Any, name: str, make: Callable[[], Schema]) -> Schema:
        """A reference to the schema of owner, which is made once."""
        key = id(owner)
        if key not in self._names:
            plain = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "_" for c in name)
            unique, n = plain, 1
            while unique in self.schemas:
                n += 1
                unique = f"{plain}{n}"
            self._names[key] = unique
            self.schemas[unique] = {}  # taken, also while it is made
            self.schemas[unique] = make()
        return {"$ref": f"#/components/schemas/{self._names[key]}"}


class Kind:
    """What an annotation stands for. As it is, anything: the value as it comes."""

    label = "Any"
    #: What the value must be, after "must be".
    noun = "anything"
    #: Python's types of JSON values that are meant for this kind rather than for another of a union.
    exact: tuple[type, ...] = ()
    #: The fields of a query or form make up the whole value.
    fields = True
    #: A body of text is the value.
    takes_text = False

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        """The value for the function. Without meaning if a problem was noted."""
        return value

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        """The same from text, a list of text or, where :attr:`fields` is set, a dict of both."""
        return value

    def schema(self, definitions: Definitions) -> Schema:
        """The JSON schema of what :meth:`convert` takes."""
        return {}

    def element(self) -> Kind | None:
        """The kind of the elements, if this is a list."""
        return None


ANY = Kind()


def _unexpected(kind: Kind, value: Any, at: Place, problems: Problems) -> None:
    wrong(problems, at, f"must be {kind.noun}, not {word(value)}")


class _FromJSON(Kind):
    """A kind whose text in a query is JSON."""

    fields = False

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        try:
            if isinstance(value, str):
                value = json.loads(value)
            elif isinstance(value, list):
                value = [json.loads(one) for one in value]
        except (ValueError, RecursionError):
            return wrong(problems, at, f"must be {self.noun}, as JSON")
        return self.convert(value, at, problems)


class _Scalar(Kind):
    """A kind with one text."""

    fields = False

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, str):
            return self.parse(value, at, problems)
        if isinstance(value, list):
            return wrong(problems, at, f"is given {len(value)} times")
        return _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        """The value behind a text."""
        return self.convert(text, at, problems)

    def refuse(self, text: str, at: Place, problems: Problems) -> None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        wrong(problems, at, f"must be {self.noun}, not {json.dumps(shown, ensure_ascii=False)}")


class _Int(_Scalar):
    label, noun, exact = "int", "a whole number", (int,)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is int:
            return value
        if type(value) is float:
            if value.is_integer():
                return int(value)
            return wrong(problems, at, f"must be a whole number, not {value}")
        return _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        try:
            return int(text)
        except ValueError:
            return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "integer"}


class _Float(_Scalar):
    label, noun, exact = "float", "a number", (float, int)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is float:
            return value
        if type(value) is int:
            try:
                return float(value)
            except OverflowError:
                return wrong(problems, at, "must be a number that fits into 64 bits of floating point")
        return _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        try:
            return float(text)
        except ValueError:
            return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "number"}


class _Bool(_Scalar):
    label, noun, exact = "bool", "true or false", (bool,)
    _words: ClassVar = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return value if type(value) is bool else _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        found = self._words.get(text.lower())
        return self.refuse(text, at, problems) if found is None else found

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "boolean"}


class _Str(_Scalar):
    label, noun, exact, takes_text = "str", "text", (str,), True

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return value if type(value) is str else _unexpected(self, value, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string"}


class _None(_Scalar):
    label, noun, exact = "None", "null", (type(None),)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return None if value is None else _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        return None if text in ("", "null") else self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "null"}


class Bytes(_Scalar):
    """Bytes: a whole body as it comes, or base64 text within JSON."""

    label, noun = "bytes", "base64 text"

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        import base64

        if type(value) is not str:
            return _unexpected(self, value, at, problems)
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            return wrong(problems, at, "must be base64 text")

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string", "contentEncoding": "base64"}


class _FromText(_Scalar):
    """A type of the standard library that has a text."""

    def __init__(self, label: str, noun: str, schema: Schema, make: Callable[[str], Any], numbers: bool = False) -> None:
        self.label = label
        self.noun = noun
        self._schema = schema
        self._make = make
        self._numbers = numbers  # a number will do too

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not str and not (self._numbers and type(value) in (int, float)):
            return _unexpected(self, value, at, problems)
        try:
            return self._make(str(value))
        except (ValueError, ArithmeticError):
            return self.refuse(str(value), at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return dict(self._schema)


class _Choice(_Scalar):
    """Literal and Enum: one of some values, told by value and type."""

    def __init__(self, label: str, choices: Sequence[tuple[Any, Any]]) -> None:
        self.label = label
        self._choices: dict[Any, Any] = {(type(value), value): member for value, member in choices}
        self._values = [value for value, _ in choices]
        shown = [json.dumps(value, ensure_ascii=False) for value in self._values]
        self.noun = shown[0] if len(shown) == 1 else f"one of {', '.join(shown[:20])}{', …' if len(shown) > 20 else ''}"
        self.exact = tuple({type(value) for value in self._values})

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, (str, int, float, type(None))):
            key = (type(value), value)
            if key in self._choices:
                return self._choices[key]
            if type(value) is str:
                return self.refuse(value, at, problems)
            return wrong(problems, at, f"must be {self.noun}, not {json.dumps(value)}")
        return _unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        for value in self._values:
            if text == (value if isinstance(value, str) else json.dumps(value)):
                return self._choices[type(value), value]
        return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"const": self._values[0]} if len(self._values) == 1 else {"enum": list(self._values)}


class _List(Kind):
    """A list, or what is made of one."""

    noun, exact, fields = "a list", (list,), False

    def __init__(self, label: str, of: Kind, make: Callable[[list[Any]], Any] | None, unique: bool = False) -> None:
        self.label = label
        self._of = of
        self._make = make
        self._unique = unique

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not list:
            return _unexpected(self, value, at, problems)
        return self._each(self._of.convert, value, at, problems)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, dict):
            return _unexpected(self, value, at, problems)
        return self._each(self._of.text, value if isinstance(value, list) else [value], at, problems)

    def _each(self, convert: Callable[[Any, Place, Problems], Any], value: list[Any], at: Place, problems: Problems) -> Any:
        if self._of is not ANY:
            before = len(problems)
            made = []
            at.append(0)
            for i, one in enumerate(value):
                at[-1] = i
                made.append(convert(one, at, problems))
                if len(problems) > before and len(problems) >= _MOST:
                    break
            at.pop()
            if len(problems) > before:
                return None
            value = made
        if self._make is None:
            return value
        try:
            return self._make(value)
        except TypeError:
            return wrong(problems, at, "must be a list of what can be in a set: numbers, text")

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {"type": "array", "items": self._of.schema(definitions)}
        if self._unique:
            schema["uniqueItems"] = True
            if self._of is ANY:
                schema["items"] = {"type": ["number", "string", "boolean", "null"]}
        return schema

    def element(self) -> Kind | None:
        return None if self._unique else self._of


class _Tuple(_FromJSON):
    """A list with a kind for each place."""

    exact = (list,)

    def __init__(self, label: str, of: Sequence[Kind], make: Callable[[list[Any]], Any] = tuple) -> None:
        self.label = label
        self._of = of
        self._make = make
        self.noun = f"a list of {len(of)} values"

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not list:
            return _unexpected(self, value, at, problems)
        if len(value) != len(self._of):
            return wrong(problems, at, f"must be {self.noun}, not of {len(value)}")
        made = []
        at.append(0)
        for i, (kind, one) in enumerate(zip(self._of, value, strict=True)):
            at[-1] = i
            made.append(kind.convert(one, at, problems))
        at.pop()
        return self._make(made)

    def schema(self, definitions: Definitions) -> Schema:
        n = len(self._of)
        schema: Schema = {"type": "array", "minItems": n, "maxItems": n}
        if n:
            schema["prefixItems"] = [kind.schema(definitions) for kind in self._of]
        return schema


class _Dict(Kind):
    """An object with any keys."""

    noun, exact = "an object", (dict,)

    def __init__(self, label: str, keys: Kind, of: Kind) -> None:
        self.label = label
        self._keys = None if keys is ANY or isinstance(keys, _Str) else keys
        self._of = of

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(self._of.convert, value, at, problems)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, str):
            try:
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        return self._each(self._of.text, value, at, problems)

    def _each(self, convert: Callable[[Any, Place, Problems], Any], value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not dict:
            return _unexpected(self, value, at, problems)
        if self._keys is None and self._of is ANY:
            return value
        made = {}
        at.append("")
        for key, one in value.items():
            at[-1] = key
            if self._keys is not None:
                found: Problems = []
                key = self._keys.text(key, at, found)
                if found:
                    wrong(problems, at, f"has a key that {found[0][1]}")
                    continue
            made[key] = convert(one, at, problems)
        at.pop()
        return made

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {"type": "object", "additionalProperties": self._of.schema(definitions)}
        if isinstance(self._keys, _Choice):
            names = [v if isinstance(v, str) else json.dumps(v) for v in self._keys._values]
            schema["propertyNames"] = {"enum": names}
        elif isinstance(self._keys, _Int):
            schema["propertyNames"] = {"pattern": "^-?[0-9]+$"}
        elif isinstance(self._keys, _Float):
            schema["propertyNames"] = {"pattern": "^-?[0-9]+(\\.[0-9]+)?$"}
        elif self._keys is not None:
            schema["propertyNames"] = self._keys.schema(definitions)
        return schema


class Field:
    """A key of a record."""

    def __init__(self, name: str, kind: Kind, required: bool, default: Any = None) -> None:
        self.name = name
        self.kind = kind
        self.required = required
        self.default = default


class Record(Kind):
    """An object with keys that are known: a dataclass, a TypedDict."""

    noun, exact = "an object", (dict,)

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.label = name
        self.fields_of: list[Field] = []  # filled in later, since one of them may be of this kind
        self.make: Callable[..., Any] = dict

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(value, at, problems, text=False)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, str):
            try:
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        return self._each(value, at, problems, text=True)

    def _each(self, value: Any, at: Place, problems: Problems, *, text: bool) -> Any:
        if type(value) is not dict:
            return _unexpected(self, value, at, problems)
        before = len(problems)
        made = {}
        left = len(value)
        at.append("")
        for one in self.fields_of:
            at[-1] = one.name
            if one.name in value:
                left -= 1
                convert = one.kind.text if text else one.kind.convert
                made[one.name] = convert(value[one.name], at, problems)
            elif one.required:
                wrong(problems, at, "is missing")
        if left:
            known = {one.name for one in self.fields_of}
            for key in value:
                if key not in known:
                    at[-1] = key
                    wrong(problems, at, f"is not expected; {self.label} has no such field")
        at.pop()
        if len(problems) > before:
            return None
        try:
            return self.make(**made)
        except ValueError as error:  # what a dataclass checks itself
            return wrong(problems, at, f"is not right: {error}")

    def schema(self, definitions: Definitions) -> Schema:
        def make() -> Schema:
            schema: Schema = {"type": "object", "title": self.label, "properties": {}, "additionalProperties": False}
            for one in self.fields_of:
                schema["properties"][one.name] = with_default(one.kind.schema(definitions), one.required, one.default)
            if needed := [one.name for one in self.fields_of if one.required]:
                schema["required"] = needed
            return schema

        return definitions.reference(self.owner, self.label, make)


def with_default(schema: Schema, required: bool, default: Any) -> Schema:
    """A schema that tells the default too, if that is JSON."""
    if required or default is None:
        return schema
    from metaml import _results

    try:
        return {**schema, "default": json.loads(_results.to_json(default))}
    except Exception:
        return schema


class _Union(Kind):
    """One of several kinds: first those that are meant for such a value, then the others."""

    def __init__(self, label: str, of: Sequence[Kind]) -> None:
        self.label = label
        self._of = of
        self.exact = tuple({kind for one in of for kind in one.exact})
        self.fields = any(one.fields for one in of)
        self.takes_text = any(one.takes_text for one in of)
        nouns = list(dict.fromkeys(one.noun for one in of))
        self.noun = ", ".join(nouns[:-1]) + " or " + nouns[-1] if len(nouns) > 1 else nouns[0]

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        kind = type(value)
        meant = [one for one in self._of if kind in one.exact]
        best = next((one for one in meant if one.exact[0] is kind), None)
        order = ([best] if best else []) + meant + [one for one in self._of if one not in meant]
        return self._first(order, meant, "convert", value, at, problems)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        order = sorted(self._of, key=lambda one: one.takes_text or one is ANY)
        meant = (
            [one for one in order if one.fields] if isinstance(value, dict) else [o for o in order if not isinstance(o, _None)]
        )
        return self._first(order, meant, "text", value, at, problems)

    def _first(self, order: list[Kind], meant: list[Kind], way: str, value: Any, at: Place, problems: Problems) -> Any:
        for one in order:
            found: Problems = []
            made = getattr(one, way)(value, at, found)
            if not found:
                return made
        if len(meant) == 1:
            getattr(meant[0], way)(value, at, problems)
        elif meant and not isinstance(value, dict):
            wrong(problems, at, f"must be {self.noun}, not {json.dumps(value, ensure_ascii=False)[:40]}")
        elif meant:
            wrong(problems, at, f"is none of {', '.join(one.label for one in meant)}")
        else:
            _unexpected(self, value, at, problems)
        return None

    def schema(self, definitions: Definitions) -> Schema:
        return {"anyOf": [one.schema(definitions) for one in self._of]}

    def element(self) -> Kind | None:
        elements = [one.element() for one in self._of]
        return elements[0] if len(elements) == 1 else None


class Array(_FromJSON):
    """A numpy array of numbers."""

    noun, exact = "a list of numbers", (list,)

    def __init__(self, label: str, dtype: Any, ndim: int | None) -> None:
        self.label = label
        self.dtype = dtype
        self.ndim = ndim
        self._numpy: Any = sys.modules["numpy"]
        self._word = {"b": "true or false", "i": "a whole number", "u": "a whole number"}.get(dtype.kind, "a number")

    def row(self) -> Array:
        """What such an array is a stack of."""
        return Array(self.label, self.dtype, None if self.ndim is None else max(self.ndim - 1, 0))

    def view(self, body: bytearray, at: int, shape: tuple[int, ...], length: int) -> Any:
        """The array whose data is in a body; ValueError if it is not."""
        flat = self._numpy.frombuffer(body, self.dtype, length // self.dtype.itemsize, at)
        return flat if len(shape) == 1 and len(flat) == shape[0] else flat.reshape(shape)

    def check(self, value: Any, at: Place, problems: Problems) -> None:
        """Whether an array has the dimensions that are annotated."""
        if self.ndim is not None and value.ndim != self.ndim:
            wrong(problems, at, f"must have {self.ndim} dimension{'s' * (self.ndim != 1)}, not {value.ndim}")

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        before = len(problems)
        if type(value) is not list and type(value) not in (int, float, bool):
            return _unexpected(self, value, at, problems)
        numpy = self._numpy
        try:
            made = numpy.asarray(value)
        except (ValueError, OverflowError):
            made = None
        if made is None or made.dtype.kind not in ("b" if self.dtype.kind == "b" else "iuf"):
            if made is None or made.size:
                self._search(value, at, problems)
                if len(problems) > before:
                    return None
            try:
                made = numpy.asarray(value, self.dtype)
            except (ValueError, OverflowError, TypeError):
                return wrong(problems, at, "must have rows of one length" if made is None else f"must be {self.noun} that fit")
        if (
            self.ndim is not None and not made.size and made.ndim < self.ndim
        ):  # [] has no rows, however many dimensions these have
            made = made.reshape(made.shape + (0,) * (self.ndim - made.ndim))
        self.check(made, at, problems)
        if len(problems) > before:
            return None
        return self._cast(made, at, problems)

    def _cast(self, made: Any, at: Place, problems: Problems) -> Any:
        numpy = self._numpy
        if made.dtype == self.dtype:
            return made
        if self.dtype.kind in "iu" and made.size:
            if made.dtype.kind == "f" and not (made == numpy.floor(made)).all():
                return wrong(problems, at, "must be a list of whole numbers")
            limits = numpy.iinfo(self.dtype)
            if int(made.min()) < int(limits.min) or int(made.max()) > int(limits.max):
                return wrong(problems, at, f"must be numbers from {limits.min} to {limits.max}")
        with numpy.errstate(over="ignore"):
            return made.astype(self.dtype)

    def _search(self, value: Any, at: Place, problems: Problems) -> None:
        """Find what is no number, or a row of another length than the first."""
        if type(value) is not list:
            if (type(value) is bool) != (self.dtype.kind == "b") or type(value) not in (bool, int, float):
                wrong(problems, at, f"must be {self._word}, not {word(value)}")
            return
        first: Any = value[0] if value else None
        at.append(0)
        for i, one in enumerate(value):
            at[-1] = i
            before = len(problems)
            self._search(one, at, problems)
            if len(problems) >= _MOST:
                break
            if len(problems) > before:
                continue
            if (type(one) is list) != (type(first) is list):
                wrong(problems, at, f"must be {'a list' if type(first) is list else self._word}, as the others are")
            elif type(one) is list and len(one) != len(first):
                wrong(problems, at, f"must have {_count(first)}, as the first has, not {len(one)}")
        at.pop()

    def schema(self, definitions: Definitions) -> Schema:
        if self.dtype.kind == "b":
            number: Schema = {"type": "boolean"}
        elif self.dtype.kind in "iu":
            limits = self._numpy.iinfo(self.dtype)
            number = {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
        else:
            number = {"type": "number"}
        if self.ndim is None:
            name = f"Array.{self.dtype.name}"
            key = f"array of {self.dtype.name} with any number of dimensions"
            nested: Schema = {"$ref": f"#/components/schemas/{name}"}
            definitions.reference(
                sys.intern(key),
                name,
                lambda: {
                    "anyOf": [number, {"type": "array", "items": nested}],
                    "description": "Numbers, nested lists whose rows have one length.",
                    "x-numpy": self.dtype.name,
                },
            )
            return nested
        for _ in range(self.ndim):
            number = {"type": "array", "items": number}
        return {**number, "x-numpy": self.dtype.name}


def _count(row: list[Any]) -> str:
    return f"{len(row)} element{'s' * (len(row) != 1)}"


class _NumpyScalar(_Scalar):
    """A number of one of numpy's types."""

    def __init__(self, label: str, plain: _Scalar, make: Any, limits: Any) -> None:
        self.label, self._plain, self._make, self._limits = label, plain, make, limits
        self.noun, self.exact = plain.noun, plain.exact

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        found: Problems = []
        return self._made(self._plain.convert(value, at, found), at, found, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        found: Problems = []
        return self._made(self._plain.parse(text, at, found), at, found, problems)

    def _made(self, value: Any, at: Place, found: Problems, problems: Problems) -> Any:
        if found:
            return problems.extend(found)
        if self._limits is not None and not int(self._limits.min) <= value <= int(self._limits.max):
            return wrong(problems, at, f"must be a number from {self._limits.min} to {self._limits.max}")
        return self._make(value)

    def schema(self, definitions: Definitions) -> Schema:
        schema = self._plain.schema(definitions)
        if self._limits is not None:
            schema |= {"minimum": int(self._limits.min), "maximum": int(self._limits.max)}
        return schema


class _Table(_FromJSON):
    """A pandas DataFrame: a list of objects, or an object of lists; a Series: a list."""

    def __init__(self, label: str, make: Any, series: bool) -> None:
        self.label, self._make, self._series = label, make, series
        self.noun = "a list" if series else "a list of objects, or an object of lists"
        self.exact = (list,) if series else (list, dict)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is list:
            if self._series or all(type(row) is dict for row in value):
                return self._make(value)
        elif type(value) is dict and not self._series and all(type(column) is list for column in value.values()):
            try:
                return self._make(value)
            except ValueError:
                return wrong(problems, at, "must have columns of one length")
        if type(value) in (list, dict) and not (type(value) is dict and self._series):
            return wrong(problems, at, f"must be {self.noun}")
        return _unexpected(self, value, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        if self._series:
            return {"type": "array", "items": {}}
        return {
            "anyOf": [
                {"type": "array", "items": {"type": "object"}},
                {"type": "object", "additionalProperties": {"type": "array"}},
            ]
        }


class Model(Kind):
    """What pydantic checks, by its own rules."""

    noun = "an object"

    def __init__(self, label: str, annotation: Any, pydantic: Any) -> None:
        self.label = label
        self.owner = annotation
        self._invalid: Any = pydantic.ValidationError
        self._model = isinstance(annotation, type) and hasattr(annotation, "model_validate")
        if self._model:
            strict = annotation.model_config.get("strict")
            self._check: Any = annotation.model_validate
            self._check_json: Any = annotation.model_validate_json if strict else None
            self._own_schema: Any = annotation.model_json_schema
        else:
            adapter = pydantic.TypeAdapter(annotation)
            self._check, self._check_json, self._own_schema = adapter.validate_python, None, adapter.json_schema
        self._properties: dict[str, Any] = {}
        try:
            self._schema: Schema = self._own_schema(ref_template="{model}")
        except Exception:  # pydantic's, for a field that no schema can tell: it is checked all the same
            self._schema = {}
        self._defs: dict[str, Any] = self._schema.pop("$defs", {})
        top = self._defs.get(self._schema["$ref"], {}) if "$ref" in self._schema else self._schema
        self.fields = top.get("type") == "object"
        self._properties = top.get("properties", {})
        self.exact = (dict,) if self.fields else ()
        self.takes_text = top.get("type") == "string"

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        try:
            if self._check_json is not None:
                return self._check_json(json.dumps(value))
            return self._check(value)
        except self._invalid as error:
            for found in error.errors(include_url=False, include_context=False, include_input=False):
                text = found["msg"]
                if found["type"] == "missing":
                    text = "is missing"
                elif text.startswith("Input should "):
                    text = "must " + text[len("Input should ") :]
                else:
                    text = f"is not right: {text}"
                wrong(problems, [*at, *found["loc"]], text)
            return None

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if self.fields and isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        elif self.fields and isinstance(value, dict):
            lists = {name for name, schema in self._properties.items() if schema.get("type") == "array"}
            value = {name: [one] if name in lists and isinstance(one, str) else one for name, one in value.items()}
        return self.convert(value, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        names: dict[str, Schema] = {}

        def moved(schema: Any) -> Any:
            if isinstance(schema, list):
                return [moved(one) for one in schema]
            if not isinstance(schema, dict):
                return schema
            if isinstance(name := schema.get("$ref"), str) and name in self._defs:
                if name not in names:
                    names[name] = definitions.reference(
                        sys.intern(json.dumps(self._defs[name], sort_keys=True)), name, lambda: moved(self._defs[name])
                    )
                return {**schema, **names[name]}
            return {
                key: {at: names_of(one) for at, one in mapping.items()}
                if key == "mapping" and isinstance(mapping, dict)
                else moved(mapping)
                for key, mapping in schema.items()
            }

        def names_of(name: Any) -> Any:
            return moved({"$ref": name})["$ref"] if isinstance(name, str) else moved(name)

        if self._model:
            return definitions.reference(self.owner, self.label, lambda: moved(self._schema))
        return cast(Schema, moved(self._schema))

    @property
    def required(self) -> list[str]:
        top = self._defs.get(self._schema["$ref"], {}) if "$ref" in self._schema else self._schema
        return list(top.get("required", []))

    def property_schemas(self, definitions: Definitions) -> dict[str, Schema]:
        """The schemas of the fields."""
        whole = self.schema(definitions)
        name = whole.get("$ref", "").rpartition("/")[2]
        return dict(definitions.schemas.get(name, whole).get("properties", {}))


_LISTS = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS = {set: set, abc.MutableSet: set, frozenset: frozenset, abc.Set: frozenset}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_PLAIN: dict[Any, Kind] = {int: _Int(), float: _Float(), bool: _Bool(), str: _Str(), type(None): _None(), bytes: Bytes()}


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
            "Annotate it with built-in types, a dataclass, a TypedDict, a pydantic model or a numpy array, or leave the annotation out.",
        )

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Kind:
        label = label_of(annotation)
        if origin is typing.Annotated:
            checked = any(type(one).__module__.partition(".")[0] in ("pydantic", "annotated_types") for one in args[1:])
            if checked and "pydantic" in sys.modules:
                return Model(label_of(args[0]), annotation, sys.modules["pydantic"])
            return self.make(args[0])
        if origin is typing.Union or origin is types.UnionType:
            members = [self.make(one) for one in args]
            return ANY if ANY in members else _Union(label, members)
        if origin is typing.Literal:
            if not all(isinstance(one, (str, int, type(None))) for one in args):
                raise self.refused(annotation)
            return _Choice(label, [(getattr(one, "value", one), one) for one in args])
        if origin in _LISTS:
            return _List(label, self.make(args[0]) if args else ANY, None)
        if origin in _SETS:
            return _List(label, self.make(args[0]) if args else ANY, _SETS[origin], unique=True)
        if origin in _DICTS:
            keys, of = (self.make(one) for one in args) if args else (ANY, ANY)
            return _Dict(label, keys, of)
        if origin is tuple:
            if len(args) == 2 and args[1] is ...:
                return _List(label, self.make(args[0]), tuple)
            return _Tuple(label, [self.make(one) for one in args if one != ()])
        if origin is getattr(sys.modules.get("numpy"), "ndarray", None):
            return self._array(annotation, args)
        if getattr(origin, "__name__", "") in ("Required", "NotRequired", "ReadOnly"):
            return self.make(args[0])
        raise self.refused(annotation)

    def _class(self, cls: Any) -> Kind:
        name, home = cls.__qualname__, cls.__module__
        if cls in _LISTS:
            return _List(name, ANY, None)
        if cls in _SETS:
            return _List(name, ANY, _SETS[cls], unique=True)
        if cls in _DICTS:
            return _Dict(name, ANY, ANY)
        if cls is tuple:
            return _List(name, ANY, tuple)
        checked = hasattr(cls, "__get_pydantic_core_schema__") or hasattr(cls, "__pydantic_validator__")
        if checked and "pydantic" in sys.modules:
            return Model(name, cls, sys.modules["pydantic"])
        enum = sys.modules.get("enum")
        if enum is not None and issubclass(cls, enum.Enum):
            members = [(one.value, one) for one in cls]
            if not members or not all(isinstance(value, (str, int, float, type(None))) for value, _ in members):
                raise self.refused(cls)
            return _Choice(name, members)
        if issubclass(cls, dict) and hasattr(cls, "__total__"):
            return self._typed_dict(cls)
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            hints = self._hints(cls)
            return _Tuple(name, [self.make(hints.get(one, Any)) for one in cls._fields], lambda values: cls(*values))
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
            raise Refused(f"the annotations of {cls.__qualname__}, which {self.what} has, cannot be read: {error}") from None

    def _typed_dict(self, cls: Any) -> Kind:
        record = self.known[id(cls)] = Record(cls, cls.__qualname__)
        for name, hint in self._hints(cls).items():
            required = name in cls.__required_keys__
            while (
                wrapper := getattr(typing.get_origin(hint), "__name__", "") or getattr(typing.get_origin(hint), "_name", "")
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
            record.fields_of.append(Field(name, self.make(hint), required, None if one.default is missing else one.default))
        return record

    def _from_library(self, cls: Any, name: str, home: str) -> Kind | None:
        top = home.partition(".")[0]
        if top == "datetime":
            return _TIMES[name](cls) if name in _TIMES else None
        if (home, name) == ("uuid", "UUID"):
            return _FromText(name, "a UUID", {"type": "string", "format": "uuid"}, cls)
        if (top, name) in (("decimal", "Decimal"), ("_decimal", "Decimal")):
            return _FromText(
                name, "a number", {"anyOf": [{"type": "number"}, {"type": "string", "format": "decimal"}]}, cls, numbers=True
            )
        if top == "pathlib":
            return _FromText(name, "text", {"type": "string"}, cls)
        if top == "numpy":
            return self._numpy(cls, name)
        if top == "pandas" and name in ("DataFrame", "Series"):
            return _Table(name, cls, name == "Series")
        return None

    def _numpy(self, cls: Any, name: str) -> Kind | None:
        numpy = sys.modules["numpy"]
        if cls is numpy.ndarray:
            return Array("np.ndarray", numpy.dtype("float64"), None)
        if issubclass(cls, numpy.bool_):
            return _NumpyScalar(name, _Bool(), cls, None)
        if issubclass(cls, numpy.integer) and cls not in (numpy.integer, numpy.signedinteger, numpy.unsignedinteger):
            return _NumpyScalar(name, _Int(), cls, numpy.iinfo(cls))
        if issubclass(cls, numpy.floating) and cls is not numpy.floating:
            return _NumpyScalar(name, _Float(), cls, None)
        return None

    def _array(self, annotation: Any, args: tuple[Any, ...]) -> Kind:
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


def _iso(cls: Any, noun: str, form: str) -> Kind:
    # Python 3.10 knows neither Z nor all the lengths of a fraction that ISO 8601 allows.
    def make(text: str) -> Any:
        if form != "date" and text[-1:] in ("Z", "z"):
            text = text[:-1] + "+00:00"
        return cls.fromisoformat(text)

    return _FromText(cls.__qualname__, noun, {"type": "string", "format": form}, make)


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
    return _FromText(cls.__qualname__, 'a duration ("PT90S") or a number of seconds', schema, make, numbers=True)


_TIMES: dict[str, Callable[[Any], Kind]] = {
    "datetime": lambda cls: _iso(cls, "a date and time as in ISO 8601", "date-time"),
    "date": lambda cls: _iso(cls, "a date (YYYY-MM-DD)", "date"),
    "time": lambda cls: _iso(cls, "a time of day (HH:MM:SS)", "time"),
    "timedelta": _seconds,
}
