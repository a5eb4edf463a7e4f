"""The OpenAPI 3.1 document of an endpoint, with an example of its input, made from the function's signature."""

from __future__ import annotations

import collections.abc as abc
import contextlib
import json
import typing
from typing import Any

from metaml._errors import Refused
from metaml._values.annotations import kind_of
from metaml._values.example import Unknown, example_of
from metaml._values.kinds import ANY, Definitions, Kind, QueryField, Schema, with_default
from metaml._values.response import EVENTS, Response
from metaml._values.scalars import Bytes
from metaml._values.signature import Parameter, Signature

__all__ = ["publish"]

_STREAMS = (abc.Iterator, abc.Generator, abc.AsyncIterator, abc.AsyncGenerator, abc.AsyncIterable)


def publish(signature: Signature, path: str, *, locked: bool = False) -> dict[str, Any]:
    """The fields of a hello that tell about the input: ``openapi`` and, where the signature says enough,
    ``example``.

    Args:
        signature: the function's.
        path: where it answers.
        locked: callers must have the server's token.
    """
    definitions = Definitions()
    body = _body(signature, definitions)
    content = _content(signature, definitions, body)
    result = _result(signature, definitions)
    operation: dict[str, Any] = {"summary": signature.name}
    if signature.document:
        operation["description"] = signature.document
    post: dict[str, Any] = {**operation, "operationId": signature.name, "responses": _answers(result, _OF_A_BODY)}
    if content:
        needed = bool(signature.batch) or any(parameter.required for parameter in signature.parameters)
        post["requestBody"] = {"content": content, "required": needed}
        if signature.single and not signature.kind.as_json:
            post["requestBody"]["description"] = (
                f"An object whose one key is {signature.only} is taken as that key's value."
            )
    item: dict[str, Any] = {"post": post}
    if signature.path:
        item["parameters"] = [
            _parameter("path", _field_of(parameter, definitions, required=True)) for parameter in signature.path
        ]
    if not (isinstance(signature.kind, Bytes) and signature.single):
        item["get"] = {
            **operation,
            "operationId": f"{signature.name}_get",
            "parameters": _query(signature, definitions),
            "responses": _answers(result, ()),
        }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": signature.name, "version": "1"},
        "paths": {path: item},
    }
    if signature.document:
        document["info"]["description"] = signature.document
    if definitions.schemas:
        document["components"] = {"schemas": definitions.schemas}
    if locked:
        document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for method in ("post", "get"):
            if method in item:
                item[method]["responses"]["401"] = _problem("The server's token was not sent with it.", _ERROR)
    published: dict[str, Any] = {"openapi": document}
    if "application/json" in content and body:
        with contextlib.suppress(Unknown):
            example = example_of(body, definitions.schemas)
            if signature.path or _taken(signature, example):
                content["application/json"]["example"] = published["example"] = example
    if signature.path:
        published.pop("example", None)
        with contextlib.suppress(Unknown):
            example = example_of(_object(signature.every, signature, definitions), definitions.schemas)
            if _taken(signature, example):
                published["example"] = example
    return published


def _taken(signature: Signature, example: Any) -> bool:
    """Whether the function would be called with it: a schema does not tell all that a program checks."""
    try:
        text = bytearray(json.dumps(example, allow_nan=False).encode())
        if signature.path:
            signature.from_named(text)
        else:
            signature.from_json(text)
    except Exception:  # also one of the program's own, from a check of a field
        return False
    return True


def _body(signature: Signature, definitions: Definitions) -> Schema:
    if signature.single:
        only = signature.parameters[0]
        schema = signature.kind.schema(definitions)
        return schema if signature.batch else with_default(schema, only.required, only.default)
    return _object(signature.parameters, signature, definitions)


def _object(parameters: list[Parameter], signature: Signature, definitions: Definitions) -> Schema:
    """An object with parameters by name."""
    schema: Schema = {"type": "object", "properties": {}}
    for parameter in parameters:
        schema["properties"][parameter.name] = with_default(
            parameter.kind.schema(definitions), parameter.required, parameter.default
        )
    if needed := [parameter.name for parameter in parameters if parameter.required]:
        schema["required"] = needed
    schema["additionalProperties"] = False if signature.extra is None else signature.extra.schema(definitions)
    return schema


def _content(signature: Signature, definitions: Definitions, body: Schema) -> dict[str, Any]:
    """What the body may be, by content type; empty if the path has all parameters."""
    if not signature.parameters and signature.extra is None:
        return {}
    content: dict[str, Any] = {"application/json": {"schema": body}}
    if isinstance(signature.kind, Bytes) and signature.single:
        content = {"application/octet-stream": {}}
    elif signature.single and signature.kind is ANY:
        content = {"application/json": {}, "application/octet-stream": {}}
    elif signature.single and signature.kind.takes_text:
        content["text/plain"] = {"schema": body}
    if any(parameter.kind.takes_bytes for parameter in signature.parameters) or signature.kind.takes_bytes:
        content["multipart/form-data"] = {"schema": _form(signature, definitions)}
    return content


def _form(signature: Signature, definitions: Definitions) -> Schema:
    """The fields of a form; what takes bytes may be a file."""
    schema: Schema = {"type": "object", "properties": {}}
    for parameter in signature.parameters:
        kind = signature.kind if signature.single else parameter.kind
        schema["properties"][parameter.name] = (
            {"type": "string", "contentMediaType": "application/octet-stream"}
            if kind.takes_bytes
            else kind.schema(definitions)
        )
    if needed := [parameter.name for parameter in signature.parameters if parameter.required]:
        schema["required"] = needed
    return schema


def _field_of(parameter: Parameter, definitions: Definitions, *, required: bool) -> QueryField:
    return QueryField(
        parameter.name,
        with_default(parameter.kind.schema(definitions), required, parameter.default),
        required,
        parameter.kind.as_json,
    )


def _parameter(place: str, field: QueryField) -> dict[str, Any]:
    """A parameter of the path or the query. Without a style a list is given by its name several times, and text is
    text.
    """
    described: dict[str, Any] = {"name": field.name, "in": place, "required": field.required}
    if field.as_json:
        return described | {"content": {"application/json": {"schema": field.schema}}}
    return described | {"schema": field.schema}


def _query(signature: Signature, definitions: Definitions) -> list[dict[str, Any]]:
    """The fields of a GET."""

    def any_fields(name: str, schema: Schema) -> dict[str, Any]:
        field = QueryField(name, {"type": "object", "additionalProperties": schema or {"type": "string"}}, False, False)
        return _parameter("query", field) | {"style": "form", "explode": True}

    if not signature.single:
        fields = [
            _parameter("query", _field_of(parameter, definitions, required=parameter.required))
            for parameter in signature.parameters
        ]
        return (
            fields if signature.extra is None else [*fields, any_fields("fields", signature.extra.schema(definitions))]
        )
    kind, only = signature.kind, signature.parameters[0]
    if (known := kind.query(definitions)) is not None:
        return [_parameter("query", field) for field in known]
    if kind.fields:
        return [any_fields(only.name, {})]
    required = only.required or bool(signature.batch)
    return [_parameter("query", QueryField(only.name, kind.schema(definitions), required, kind.as_json))]


#: What the server answers for other reasons than the function's.
_STATUSES = {
    "400": "The request is no HTTP, or its input is not JSON or not UTF-8.",
    "403": "A page of another site asks.",
    "408": "The request came too slowly.",
    "413": "The body is too large.",
    "415": "The body is of a type that the function does not take.",
    "421": "The server is not known by this name.",
    "422": "The input is not what the function takes.",
    "431": "The header is too large.",
    "500": "The function failed; the log has the reason under the id.",
    "501": "The body has a transfer coding other than chunked.",
    "502": "The worker that was answering was lost.",
    "503": "Too many requests wait, or no worker is there; try again.",
    "504": "There was no answer in time.",
    "505": "The version is neither HTTP/1.1 nor HTTP/1.0.",
}
_OF_A_BODY = ("413", "415", "501")

#: An answer of the server's own.
_ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "id": {"type": "string"}},
    "required": ["error"],
}


def _problem(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _answers(result: dict[str, Any], of_a_body: tuple[str, ...]) -> dict[str, Any]:
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
    answers: dict[str, Any] = {"200": {"description": "What the function returned.", "content": result}}
    for status, description in _STATUSES.items():
        if status in _OF_A_BODY and status not in of_a_body:
            continue
        answers[status] = _problem(description, problem if status == "422" else _ERROR)
    answers["default"] = {
        "description": "What the function says with metaml.HTTPError or metaml.Response.",
        "content": {"*/*": {}},
    }
    return answers


def _result(signature: Signature, definitions: Definitions) -> dict[str, Any]:
    returns = signature.returns
    origin, args = typing.get_origin(returns), typing.get_args(returns)
    if origin in _STREAMS or returns in _STREAMS:
        return _parts(args[0] if args else Any, definitions) | {EVENTS: {}}
    if signature.generator:  # its first value says what it is a stream of
        return {"*/*": {}, EVENTS: {}}
    if (plain := _plain(returns)) is not None:
        return plain
    if returns is Response:
        return {"*/*": {}}
    kind = _kind_of_result(returns)
    if signature.batch and kind is not ANY:
        kind = kind.element() or ANY
    return {"application/json": {"schema": kind.schema(definitions)}}


def _parts(of: Any, definitions: Definitions) -> dict[str, Any]:
    """What a stream of such values is."""
    return _plain(of) or {"application/x-ndjson": {"schema": _kind_of_result(of).schema(definitions)}}


def _plain(returns: Any) -> dict[str, Any] | None:
    """Of text and bytes, which are no JSON; None: it is."""
    if returns is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    if returns in (bytes, bytearray, memoryview):
        return {"application/octet-stream": {}, "*/*": {}}  # by its first bytes
    return None


def _kind_of_result(returns: Any) -> Kind:
    try:
        return kind_of(returns, "the result")
    except Refused:  # it is converted when it is there
        return ANY
