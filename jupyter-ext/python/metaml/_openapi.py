"""The OpenAPI 3.1 document of an endpoint, and an example of its input, both made from the function's signature."""

from __future__ import annotations

import collections.abc as abc
import typing
from typing import TYPE_CHECKING, Any

from metaml import _annotations
from metaml._errors import Refused
from metaml._kinds import ANY, Bytes, Definitions, Kind, Schema, with_default

if TYPE_CHECKING:
    from metaml._signature import Signature

__all__ = ["publish"]

_STREAMS = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator, abc.AsyncIterable)
_DEEPEST = 20


def publish(signature: Signature, path: str) -> dict[str, Any]:
    """The fields of a hello that tell about the input: ``openapi`` and, where the signature says enough, ``example``."""
    definitions = Definitions()
    body = _body(signature, definitions)
    common = _answers(signature, definitions)
    operation = {"summary": signature.name, "responses": common}
    if signature.document:
        operation["description"] = signature.document
    content = {"application/json": {"schema": body}}
    if isinstance(signature.kind, Bytes) and signature.single:
        content = {"application/octet-stream": {}}
    elif signature.single and signature.kind is ANY:
        content = {"application/json": {}, "application/octet-stream": {}}
    elif signature.single and signature.kind.takes_text:
        content["text/plain"] = {"schema": body}
    post: dict[str, Any] = {**operation, "operationId": signature.name, "requestBody": {"content": content, "required": True}}
    item: dict[str, Any] = {"post": post}
    if not (isinstance(signature.kind, Bytes) and signature.single):
        item["get"] = {**operation, "operationId": f"{signature.name}_get", "parameters": _query(signature, definitions)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": signature.name, "version": "1"},
        "paths": {path: item},
    }
    if signature.document:
        document["info"]["description"] = signature.document
    if definitions.schemas:
        document["components"] = {"schemas": definitions.schemas}
    found: dict[str, Any] = {"openapi": document}
    try:
        example = _example(body, definitions.schemas, 0)
        post["requestBody"]["content"]["application/json"]["example"] = example
        found["example"] = example
    except (_Unknown, KeyError):
        pass
    return found


def _body(signature: Signature, definitions: Definitions) -> Schema:
    if signature.single:
        only = signature.parameters[0]
        schema = signature.kind.schema(definitions)
        return schema if signature.batch else with_default(schema, only.required, only.default)
    schema = {"type": "object", "properties": {}}
    for one in signature.parameters:
        schema["properties"][one.name] = with_default(one.kind.schema(definitions), one.required, one.default)
    if needed := [one.name for one in signature.parameters if one.required]:
        schema["required"] = needed
    schema["additionalProperties"] = False if signature.extra is None else signature.extra.schema(definitions)
    return schema


def _query(signature: Signature, definitions: Definitions) -> list[dict[str, Any]]:
    """The fields of a GET."""

    def field(name: str, schema: Schema, required: bool) -> dict[str, Any]:
        return {"name": name, "in": "query", "required": required, "schema": schema}

    def any_fields(name: str, schema: Schema) -> dict[str, Any]:
        return field(name, {"type": "object", "additionalProperties": schema or {"type": "string"}}, False) | {
            "style": "form",
            "explode": True,
        }

    if not signature.single:
        found = [
            field(p.name, with_default(p.kind.schema(definitions), p.required, p.default), p.required)
            for p in signature.parameters
        ]
        return found if signature.extra is None else [*found, any_fields("fields", signature.extra.schema(definitions))]
    kind, only = signature.kind, signature.parameters[0]
    if (known := kind.query(definitions)) is not None:
        return [field(*one) for one in known]
    if kind.fields:
        return [any_fields(only.name, {})]
    return [field(only.name, kind.schema(definitions), only.required or bool(signature.batch))]


def _answers(signature: Signature, definitions: Definitions) -> dict[str, Any]:
    problem = {
        "type": "object",
        "properties": {
            "error": {"type": "string"},
            "problems": {
                "type": "array",
                "items": {"type": "object", "properties": {"field": {"type": "string"}, "error": {"type": "string"}}},
            },
        },
        "required": ["error"],
    }
    error = {"type": "object", "properties": {"error": {"type": "string"}, "id": {"type": "string"}}, "required": ["error"]}

    def answer(description: str, schema: Schema) -> dict[str, Any]:
        return {"description": description, "content": {"application/json": {"schema": schema}}}

    return {
        "200": {"description": "What the function returned.", "content": _result(signature, definitions)},
        "422": answer("The input is not what the function takes.", problem),
        "500": answer("The function failed; the log has the reason under the id.", error),
        "503": answer("Too many requests wait.", error),
    }


def _result(signature: Signature, definitions: Definitions) -> dict[str, Any]:
    returns = signature.returns
    origin, args = typing.get_origin(returns), typing.get_args(returns)
    streamed = origin in _STREAMS or returns in _STREAMS
    if streamed:
        returns = args[0] if args else Any
    if returns is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    if returns in (bytes, bytearray, memoryview):
        return {"application/octet-stream": {}}
    kind = _kind_of_result(returns)
    if signature.batch and kind is not ANY:
        kind = kind.element() or ANY
    return {"application/x-ndjson" if streamed else "application/json": {"schema": kind.schema(definitions)}}


def _kind_of_result(returns: Any) -> Kind:
    try:
        return _annotations.kind_of(returns, "the result")
    except Refused:  # it is converted when it is there
        return ANY


class _Unknown(Exception):
    """The schema leaves open what a value could be."""


def _example(schema: Schema, definitions: dict[str, Schema], depth: int) -> Any:
    """A value that a schema allows: defaults first, else the simplest one."""
    if depth > _DEEPEST or "x-numpy" in schema:  # of an array the shape is not known
        raise _Unknown
    if "default" in schema:
        return schema["default"]
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return _example(definitions[schema["$ref"].rpartition("/")[2]], definitions, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _first(schema[key], definitions, depth + 1)
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _example(schema["allOf"][0], definitions, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        return _example_object(schema, definitions, depth)
    if kind == "array":
        return _example_list(schema, definitions, depth)
    if kind == "string":
        return _example_text(schema)
    if kind in ("integer", "number"):
        return _example_number(schema, kind)
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    raise _Unknown


def _first(schemas: list[Schema], definitions: dict[str, Schema], depth: int) -> Any:
    """Of the first that says enough."""
    for one in sorted(schemas, key=lambda schema: schema.get("type") == "null"):
        try:
            return _example(one, definitions, depth)
        except _Unknown:
            continue
    raise _Unknown


def _example_object(schema: Schema, definitions: dict[str, Schema], depth: int) -> Any:
    found = {}
    for name, one in schema.get("properties", {}).items():
        try:
            found[name] = _example(one, definitions, depth + 1)
        except _Unknown:
            if name in schema.get("required", []):
                raise
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and not found:
        if more == {}:
            raise _Unknown
        key = _example({"type": "string", **schema.get("propertyNames", {})}, definitions, depth + 1)
        try:
            found[key if isinstance(key, str) else str(key)] = _example(more, definitions, depth + 1)
        except _Unknown:
            if depth < _DEEPEST // 2:
                raise
    elif more is None and not found:
        raise _Unknown
    return found


def _example_list(schema: Schema, definitions: dict[str, Schema], depth: int) -> Any:
    found = [_example(one, definitions, depth + 1) for one in schema.get("prefixItems", [])]
    items = schema.get("items")
    if isinstance(items, dict) and not found:
        found += [_example(items, definitions, depth + 1)] * max(int(schema.get("minItems", 1)), 1)
    return found


_TEXTS = {
    "date-time": "2024-01-01T00:00:00",
    "date": "2024-01-01",
    "time": "00:00:00",
    "duration": "PT1S",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "decimal": "0",
    "email": "name@example.org",
    "uri": "https://example.org/",
}


def _example_text(schema: Schema) -> str:
    form = schema.get("format")
    if form in _TEXTS:
        return _TEXTS[form]
    if schema.get("pattern") == "^-?[0-9]+$":
        return "0"
    if form or "pattern" in schema:
        raise _Unknown
    text = "" if schema.get("contentEncoding") else "text"
    text = text.ljust(int(schema.get("minLength", 0)), "t")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _example_number(schema: Schema, kind: str) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: Any = 0 if kind == "integer" else 0.0
    if low is not None and (value < low or value == schema.get("exclusiveMinimum")):
        value = low + 1 if "exclusiveMinimum" in schema else low
        if high is not None and value >= high and "exclusiveMinimum" in schema and kind == "number":
            value = (low + high) / 2
    elif high is not None and (value > high or value == schema.get("exclusiveMaximum")):
        value = high - 1 if "exclusiveMaximum" in schema else high
    if "multipleOf" in schema and value % schema["multipleOf"]:
        raise _Unknown
    return value
