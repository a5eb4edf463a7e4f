"""Kinds of values: how JSON, or the text of a query, becomes what an annotation names, what is wrong with it, and its
JSON schema. Here is what all kinds have; the kinds themselves are in ``scalars.py``, ``containers.py``, ``records.py``,
``arrays.py`` and ``pydantic_models.py``.

In a JSON body text is never a number ("3" is no ``int``), ``true`` is no number, 1 is a ``float`` and 3.0 an ``int``
(as pydantic has it); in a query or a form, where all is text, text is converted, and so is a file of a form, which
comes as bytes. Which kind an annotation stands for is ``annotations.py``'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = [
    "ANY",
    "MOST",
    "Definitions",
    "FromJSON",
    "Kind",
    "Object",
    "Place",
    "Problem",
    "Problems",
    "QueryField",
    "Schema",
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


class Object(Kind):
    """A kind of JSON objects. The text of one is JSON; a query or a form gives its keys."""

    noun, exact, as_json = "an object", (dict,), True

    def text(self, value: Any, at: Place, problems: Problems) -> Any:
        if isinstance(value, (str, bytes)):
            try:
                return self.convert(json.loads(value), at, problems)
            except (ValueError, RecursionError):
                return wrong(problems, at, "must be an object, as JSON")
        return self.from_texts(value, at, problems)

    def from_texts(self, value: Any, at: Place, problems: Problems) -> Any:
        """The value from a dict of texts, files, or lists of these."""
        raise NotImplementedError


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


def with_default(schema: Schema, required: bool, default: Any) -> Schema:
    """A schema that has the default too, if that is JSON."""
    if required or default is None:
        return schema
    from metaml._values.json_text import to_json

    try:
        return {**schema, "default": json.loads(to_json(default))}
    except Exception:
        return schema
