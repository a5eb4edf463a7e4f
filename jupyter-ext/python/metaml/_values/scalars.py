"""Kinds of single values, which have a text: numbers, text, bytes, choices, and types of the standard library."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from metaml._values.kinds import Definitions, Kind, Place, Problems, Schema, unexpected, wrong

__all__ = ["Bool", "Bytes", "Choice", "Float", "FromText", "Int", "Null", "Scalar", "Str"]


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
    """Literal and Enum: one of some values, known by value and type."""

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
