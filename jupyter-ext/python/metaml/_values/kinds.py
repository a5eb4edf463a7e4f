"""Kinds of values: how JSON, or the text of a query, becomes what an annotation names, what is wrong with it, and its
JSON schema.

In a JSON body text is never a number ("3" is no ``int``), ``true`` is no number, 1 is a ``float`` and 3.0 an ``int``
(as pydantic has it); in a query or a form, where all is text, text is converted, and so is a file of a form, which
comes as bytes. Which kind an annotation stands for is ``annotations.py``'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

__all__ = [
    "ANY",
    "MOST",
    "Bool",
    "Bytes",
    "Choice",
    "Definitions",
    "Dict",
    "Field",
    "Float",
    "FromJSON",
    "FromText",
    "Int",
    "Kind",
    "List",
    "Null",
    "Place",
    "Problem",
    "Problems",
    "QueryField",
    "Record",
    "Scalar",
    "Schema",
    "Str",
    "Tuple",
    "Union",
    "field",
    "unexpected",
    "with_default",
    "word",
    "wrong",
]

#: Where a value is: the parameter's name, then keys and indexes. One list, changed in place while values are converted.
Place = list[Any]
#: A field and what is wrong with it.
Problem = tuple[str, str]
Problems = list[Problem]
Schema = dict[str, Any]

MOST = 20  # problems of one input


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
    if len(problems) < MOST:
        problems.append((field(at), error if len(error) <= 500 else error[:500] + "…"))


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
    if isinstance(value, bytes):
        return "a file"
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


class QueryField(NamedTuple):
    """A field of a query."""

    name: str
    schema: Schema
    required: bool
    as_json: bool


class Kind:
    """What an annotation stands for. As it is, anything: the value as it comes."""

    label = "Any"
    #: What the value must be, after "must be".
    noun = "anything"
    #: Python's types of JSON values that are meant for this kind rather than for another of a union.
    exact: tuple[type, ...] = ()
    #: Types of which a value stays as it is.
    same: frozenset[type] = frozenset()
    #: The fields of a query or form make up the whole value.
    fields = True
    #: A body of text is the value.
    takes_text = False
    #: A body of bytes is the value.
    takes_bytes = False
    #: Its text in a query is JSON.
    as_json = False
    #: It is a numpy array, which the front may send as such.
    is_array = False

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        """The value for the function. Without meaning if a problem was noted."""
        return value

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        """The same from text, a file, a list of these or, where :attr:`fields` is set, a dict of them all."""
        return value

    def takes(self, value: dict[str, Any]) -> bool:
        """Whether an object with one key may be such a value itself, rather than the parameter of that name."""
        return dict in self.exact

    def schema(self, definitions: Definitions) -> Schema:
        """The JSON schema of what :meth:`convert` takes."""
        return {}

    def element(self) -> Kind | None:
        """The kind of the elements, if this is a list."""
        return None

    def query(self, definitions: Definitions) -> list[QueryField] | None:
        """The fields of a query that make up the value, if these are known."""
        return None


ANY = Kind()


def unexpected(kind: Kind, value: Any, at: Place, problems: Problems) -> None:
    wrong(problems, at, f"must be {kind.noun}, not {word(value)}")


class FromJSON(Kind):
    """A kind whose text in a query is JSON."""

    fields, as_json = False, True

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        try:
            if isinstance(value, (str, bytes)):
                value = json.loads(value)
            elif isinstance(value, list):
                value = [json.loads(one) for one in value]
        except (ValueError, RecursionError):
            return wrong(problems, at, f"must be {self.noun}, as JSON")
        return self.convert(value, at, problems)


class Scalar(Kind):
    """A kind with one text."""

    fields = False

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8-sig")
            except UnicodeDecodeError:
                return wrong(problems, at, f"must be {self.noun}, not a file that is not UTF-8")
        if isinstance(value, str):
            return self.parse(value, at, problems)
        if isinstance(value, list):
            return wrong(problems, at, f"is given {len(value)} times")
        return unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        """The value behind a text."""
        return self.convert(text, at, problems)

    def refuse(self, text: str, at: Place, problems: Problems) -> None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        wrong(problems, at, f"must be {self.noun}, not {json.dumps(shown, ensure_ascii=False)}")


class Int(Scalar):
    label, noun, exact = "int", "a whole number", (int,)
    same = frozenset([int])

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is int:
            return value
        if type(value) is float:
            if value.is_integer():
                return int(value)
            return wrong(problems, at, f"must be a whole number, not {value}")
        return unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        try:
            return int(text)
        except ValueError:
            return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "integer"}


class Float(Scalar):
    label, noun, exact = "float", "a number", (float, int)
    same = frozenset([float])

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is float:
            return value
        if type(value) is int:
            try:
                return float(value)
            except OverflowError:
                return wrong(problems, at, "must be a number that fits into 64 bits of floating point")
        return unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        try:
            return float(text)
        except ValueError:
            return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "number"}


class Bool(Scalar):
    label, noun, exact = "bool", "true or false", (bool,)
    same = frozenset([bool])
    _words: ClassVar = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return value if type(value) is bool else unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        found = self._words.get(text.lower())
        return self.refuse(text, at, problems) if found is None else found

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "boolean"}


class Str(Scalar):
    label, noun, exact, takes_text = "str", "text", (str,), True
    same = frozenset([str])

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return value if type(value) is str else unexpected(self, value, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string"}


class Null(Scalar):
    label, noun, exact = "None", "null", (type(None),)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return None if value is None else unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        return None if text in ("", "null") else self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "null"}


class Bytes(Scalar):
    """Bytes: a whole body as it comes, or base64 text within JSON."""

    label, noun, takes_bytes = "bytes", "base64 text", True

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        return value if isinstance(value, bytes) else super().text(value, at, problems)

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        import base64

        if type(value) is not str:
            return unexpected(self, value, at, problems)
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            return wrong(problems, at, "must be base64 text")

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string", "contentEncoding": "base64"}


class FromText(Scalar):
    """A type of the standard library that has a text."""

    def __init__(
        self, label: str, noun: str, schema: Schema, make: Callable[[str], Any], numbers: bool = False
    ) -> None:
        self.label = label
        self.noun = noun
        self._schema = schema
        self._make = make
        self._numbers = numbers  # a number will do too

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not str and not (self._numbers and type(value) in (int, float)):
            return unexpected(self, value, at, problems)
        try:
            return self._make(str(value))
        except (ValueError, ArithmeticError):
            return self.refuse(str(value), at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return dict(self._schema)


class Choice(Scalar):
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
        return unexpected(self, value, at, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        for value in self._values:
            if text == (value if isinstance(value, str) else json.dumps(value)):
                return self._choices[type(value), value]
        return self.refuse(text, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        return {"const": self._values[0]} if len(self._values) == 1 else {"enum": list(self._values)}


class List(Kind):
    """A list, or what is made of one."""

    noun, exact, fields = "a list", (list,), False

    def __init__(self, label: str, of: Kind, make: Callable[[list[Any]], Any] | None, unique: bool = False) -> None:
        self.label = label
        self._of = of
        self._make = make
        self._unique = unique
        self.as_json = of.as_json

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not list:
            return unexpected(self, value, at, problems)
        if self._of.same and self._make is None and self._of.same.issuperset(map(type, value)):
            return value
        return self._each(self._of.convert, value, at, problems)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, dict):
            return unexpected(self, value, at, problems)
        if (
            isinstance(value, bytes)
            and not (self._of.takes_text or self._of.takes_bytes)
            and value.lstrip()[:1] == b"["
        ):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and value.lstrip()[:1] == "[" and not self._of.takes_text:
            try:  # a list of what has no text of its own
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, f"must be {self.noun}, as JSON")
        return self._each(self._of.text, value if isinstance(value, list) else [value], at, problems)

    def _each(
        self, convert: Callable[[Any, Place, Problems], Any], value: list[Any], at: Place, problems: Problems
    ) -> Any:
        if self._of is not ANY:
            before = len(problems)
            made = []
            at.append(0)
            for i, one in enumerate(value):
                at[-1] = i
                made.append(convert(one, at, problems))
                if len(problems) > before and len(problems) >= MOST:
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


class Tuple(FromJSON):
    """A list with a kind for each place."""

    exact = (list,)

    def __init__(self, label: str, of: Sequence[Kind], make: Callable[[list[Any]], Any] = tuple) -> None:
        self.label = label
        self._of = of
        self._make = make
        self.noun = f"a list of {len(of)} values"

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not list:
            return unexpected(self, value, at, problems)
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


class Dict(Kind):
    """An object with any keys."""

    noun, exact, as_json = "an object", (dict,), True

    def __init__(self, label: str, keys: Kind, of: Kind) -> None:
        self.label = label
        self._keys = None if keys is ANY or isinstance(keys, Str) else keys
        self._of = of

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(self._of.convert, value, at, problems)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, (str, bytes)):
            try:
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        return self._each(self._of.text, value, at, problems)

    def _each(self, convert: Callable[[Any, Place, Problems], Any], value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is not dict:
            return unexpected(self, value, at, problems)
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
        if isinstance(self._keys, Choice):
            names = [v if isinstance(v, str) else json.dumps(v) for v in self._keys._values]
            schema["propertyNames"] = {"enum": names}
        elif isinstance(self._keys, Int):
            schema["propertyNames"] = {"pattern": "^-?[0-9]+$"}
        elif isinstance(self._keys, Float):
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

    noun, exact, as_json = "an object", (dict,), True

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.label = name
        self.fields_of: list[Field] = []  # filled in later, since one of them may be of this kind
        self.make: Callable[..., Any] = dict

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(value, at, problems, text=False)

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, (str, bytes)):
            try:
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        return self._each(value, at, problems, text=True)

    def _each(self, value: Any, at: Place, problems: Problems, *, text: bool) -> Any:
        if type(value) is not dict:
            return unexpected(self, value, at, problems)
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

    def query(self, definitions: Definitions) -> list[QueryField] | None:
        return [
            QueryField(
                one.name,
                with_default(one.kind.schema(definitions), one.required, one.default),
                one.required,
                one.kind.as_json,
            )
            for one in self.fields_of
        ]


def with_default(schema: Schema, required: bool, default: Any) -> Schema:
    """A schema that tells the default too, if that is JSON."""
    if required or default is None:
        return schema
    from metaml._values import to_json

    try:
        return {**schema, "default": json.loads(to_json.to_json(default))}
    except Exception:
        return schema


class Union(Kind):
    """One of several kinds: first those that are meant for such a value, then the others."""

    def __init__(self, label: str, of: Sequence[Kind]) -> None:
        self.label = label
        self._of = of
        self.exact = tuple({kind for one in of for kind in one.exact})
        self.fields = any(one.fields for one in of)
        self.takes_text = any(one.takes_text for one in of)
        self.takes_bytes = any(one.takes_bytes for one in of)
        self.as_json = any(one.as_json for one in of)
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
            [one for one in order if one.fields]
            if isinstance(value, dict)
            else [o for o in order if not isinstance(o, Null)]
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
            unexpected(self, value, at, problems)
        return None

    def takes(self, value: dict[str, Any]) -> bool:
        return any(one.takes(value) for one in self._of)

    def schema(self, definitions: Definitions) -> Schema:
        return {"anyOf": [one.schema(definitions) for one in self._of]}

    def element(self) -> Kind | None:
        elements = [one.element() for one in self._of]
        return elements[0] if len(elements) == 1 else None
