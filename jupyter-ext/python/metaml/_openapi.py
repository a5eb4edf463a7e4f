"""The OpenAPI 3.1 document of an endpoint, with an example of its input, made from the function's signature."""

from __future__ import annotations

import collections.abc as abc
import json
import typing
from typing import TYPE_CHECKING, Any

from metaml import _annotations, _example
from metaml._errors import Refused
from metaml._kinds import ANY, Bytes, Definitions, Kind, Schema, with_default

if TYPE_CHECKING:
    from metaml._signature import Signature

__all__ = ["publish"]

_STREAMS = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator, abc.AsyncIterable)


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
    if "application/json" in content and body:
        try:
            example = _example.make(body, definitions.schemas)
        except _example.Unknown:
            return found
        if _taken(signature, example):
            post["requestBody"]["content"]["application/json"]["example"] = example
            found["example"] = example
    return found


def _taken(signature: Signature, example: Any) -> bool:
    """Whether the function would be called with it: a schema does not tell all that a program checks."""
    try:
        signature.from_json(bytearray(json.dumps(example, allow_nan=False).encode()))
    except Exception:  # also one of the program's own, from a check of a field
        return False
    return True


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
