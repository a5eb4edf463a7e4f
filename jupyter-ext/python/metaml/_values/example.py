"""An input that a function would take, made from the JSON schema of its signature: what a server is tried with before
it answers.

It is small, positive and not the border case that a zero or an empty list would be, since what it is for is to show
whether the function works: a default where there is one, the first of several choices, 1, 1.0, "text", [1, 2, 3], a
date.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaml._values.kinds import Schema

__all__ = ["Unknown", "example_of"]

_DEEPEST = 20
_NUMBERS = 3  # in a list of them


class Unknown(Exception):
    """The schema leaves open what a value could be."""


def example_of(schema: Schema, definitions: dict[str, Schema]) -> Any:
    """A value that a schema allows.

    Args:
        schema: of the body.
        definitions: the schemas that it may refer to, by name.

    Raises:
        Unknown: it says too little.
    """
    try:
        return _Maker(definitions).value(schema, 0)
    except (KeyError, TypeError, ValueError, OverflowError):  # a schema of pydantic's may be anything
        raise Unknown from None


class _Maker:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def value(self, schema: Schema, depth: int, n: int = 0) -> Any:
        """A value; another one for each n, where there are several."""
        if depth > _DEEPEST or "x-numpy" in schema:  # of an array the shape is not known
            raise Unknown
        if "default" in schema:
            return schema["default"]
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][n % len(schema["enum"])]
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], depth + 1, n)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._first(schema[key], depth + 1, n)
        if "allOf" in schema and len(schema["allOf"]) == 1:
            return self.value(schema["allOf"][0], depth + 1, n)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._list(schema, depth)
        if kind == "string":
            return _text(schema, n)
        if kind == "integer":
            return _integer(schema, n)
        if kind == "number":
            return _number(schema, n)
        if kind == "boolean":
            return n % 2 == 0
        if kind == "null":
            return None
        raise Unknown

    def _first(self, schemas: list[Schema], depth: int, n: int) -> Any:
        """Of the first that says enough."""
        for one in sorted(schemas, key=lambda schema: schema.get("type") == "null"):
            try:
                return self.value(one, depth, n)
            except Unknown:
                continue
        raise Unknown

    def _object(self, schema: Schema, depth: int) -> Any:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        found = {
            name: self.value(one, depth + 1) for name, one in properties.items() if name in required or "default" in one
        }
        if not found:
            for name, one in properties.items():  # all may be left out, and an object with nothing in it shows little
                try:
                    found[name] = self.value(one, depth + 1)
                except Unknown:
                    continue
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and not found:
            if more == {}:
                raise Unknown
            key = self.value({"type": "string", **schema.get("propertyNames", {})}, depth + 1)
            try:
                found[key if isinstance(key, str) else str(key)] = self.value(more, depth + 1)
            except Unknown:
                if depth < _DEEPEST // 2:
                    raise
        elif more is None and not found:
            raise Unknown
        return found

    def _list(self, schema: Schema, depth: int) -> Any:
        found = [self.value(one, depth + 1) for one in schema.get("prefixItems", [])]
        if found or schema.get("maxItems") == 0:
            return found
        items = schema.get("items")
        if not isinstance(items, dict):  # as of a table's column: nothing in it would show little
            raise Unknown
        first = self.value(items, depth + 1)
        usual = _NUMBERS if isinstance(first, (int, float)) and not isinstance(first, bool) else 1
        count = max(min(usual, int(schema.get("maxItems", usual))), int(schema.get("minItems", 0)))
        found = [self.value(items, depth + 1, n) for n in range(count)]
        if schema.get("uniqueItems"):
            kept: list[Any] = []
            for one in found:
                if one not in kept:
                    kept.append(one)
            if len(kept) < int(schema.get("minItems", 0)):
                raise Unknown
            return kept
        return found


_TEXTS = {
    "date-time": "2024-01-01T12:00:00",
    "date": "2024-01-01",
    "time": "12:00:00",
    "duration": "PT1S",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "uuid4": "00000000-0000-4000-8000-000000000001",
    "decimal": "1",
    "email": "name@example.org",
    "uri": "https://example.org/",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "password": "password",
}

# Of keys that are numbers (metaml._values.containers.Dict).
_PATTERNS = ("^-?[0-9]+$", "^-?[0-9]+(\\.[0-9]+)?$")


def _text(schema: Schema, n: int) -> str:
    form = schema.get("format")
    if form in _TEXTS:
        return _TEXTS[form]
    if schema.get("pattern") in _PATTERNS:
        return "1"
    if form or "pattern" in schema:
        raise Unknown
    if schema.get("contentEncoding") == "base64":
        return "dGV4dA=="
    if schema.get("contentEncoding"):
        raise Unknown
    text = ("text" if n == 0 else f"text {n + 1}").ljust(int(schema.get("minLength", 0)), "t")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _integer(schema: Schema, n: int) -> int:
    low, high = -math.inf, math.inf
    if "minimum" in schema:
        low = math.ceil(schema["minimum"])
    if "exclusiveMinimum" in schema:
        low = max(low, math.floor(schema["exclusiveMinimum"]) + 1)
    if "maximum" in schema:
        high = math.floor(schema["maximum"])
    if "exclusiveMaximum" in schema:
        high = min(high, math.ceil(schema["exclusiveMaximum"]) - 1)
    step = int(schema.get("multipleOf", 1))
    first = max(low, 1) if high >= 1 else high
    first = math.ceil(first / step) * step
    if first > high:
        first -= step
    if step <= 0 or not low <= first <= high:
        raise Unknown
    return first + n * step if first + n * step <= high else first


def _number(schema: Schema, n: int) -> float:
    low = max(float(schema.get("minimum", -math.inf)), float(schema.get("exclusiveMinimum", -math.inf)))
    high = min(float(schema.get("maximum", math.inf)), float(schema.get("exclusiveMaximum", math.inf)))
    if low > high:
        raise Unknown
    if math.isfinite(low) and math.isfinite(high):
        value = low + (high - low) / 2  # a border may be a case of its own, as 0 and 1 are for a probability
    elif low >= 1:
        value = low + 1
    else:
        value = 1.0 if high > 1 else high - 1
    if step := float(schema.get("multipleOf", 0)):
        value = (math.floor(value / step) or 1) * step
    if not low <= value <= high or value in (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")):
        raise Unknown
    return value + n if value + n < high else value
