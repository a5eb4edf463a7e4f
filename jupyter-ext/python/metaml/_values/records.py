"""The kind of an object whose keys are known: a dataclass, a TypedDict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaml._values.kinds import (
    Definitions,
    Kind,
    Object,
    Place,
    Problems,
    QueryField,
    Schema,
    unexpected,
    with_default,
    wrong,
)

__all__ = ["Field", "Record"]


class Field:
    """A key of a record."""

    def __init__(self, name: str, kind: Kind, required: bool, default: Any = None) -> None:
        self.name = name
        self.kind = kind
        self.required = required
        self.default = default


class Record(Object):
    """An object with keys that are known: a dataclass, a TypedDict."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.label = name
        self.fields_of: list[Field] = []  # filled in later, since one of them may be of this kind
        self.make: Callable[..., Any] = dict

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(value, at, problems, text=False)

    def from_texts(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(value, at, problems, text=True)

    def _each(self, value: Any, at: Place, problems: Problems, *, text: bool) -> Any:
        if type(value) is not dict:
            return unexpected(self, value, at, problems)
        before = len(problems)
        made = {}
        left = len(value)
        at.append("")
        for field in self.fields_of:
            at[-1] = field.name
            if field.name in value:
                left -= 1
                convert = field.kind.text if text else field.kind.convert
                made[field.name] = convert(value[field.name], at, problems)
            elif field.required:
                wrong(problems, at, "is missing")
        if left:
            known = {field.name for field in self.fields_of}
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
            for field in self.fields_of:
                schema["properties"][field.name] = with_default(
                    field.kind.schema(definitions), field.required, field.default
                )
            if needed := [field.name for field in self.fields_of if field.required]:
                schema["required"] = needed
            return schema

        return definitions.reference(self.owner, self.label, make)

    def query(self, definitions: Definitions) -> list[QueryField] | None:
        return [
            QueryField(
                field.name,
                with_default(field.kind.schema(definitions), field.required, field.default),
                field.required,
                field.kind.as_json,
            )
            for field in self.fields_of
        ]
