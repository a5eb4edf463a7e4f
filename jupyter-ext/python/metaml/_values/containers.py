"""Kinds that are made of other kinds: lists, tuples, objects with any keys, and one of several."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from metaml._values.kinds import (
    ANY,
    MOST,
    Definitions,
    FromJSON,
    Kind,
    Object,
    Place,
    Problems,
    Schema,
    unexpected,
    wrong,
)
from metaml._values.scalars import Choice, Float, Int, Null, Str

__all__ = ["Dict", "List", "Tuple", "Union"]


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


class Dict(Object):
    """An object with any keys."""

    def __init__(self, label: str, keys: Kind, of: Kind) -> None:
        self.label = label
        self._keys = None if keys is ANY or isinstance(keys, Str) else keys
        self._of = of

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        return self._each(self._of.convert, value, at, problems)

    def from_texts(self, value: Any, at: Place, problems: Problems) -> Any:
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
