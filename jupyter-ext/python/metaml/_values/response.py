"""Answers that a serving function words itself: :class:`Response`, and :class:`HTTPError` for those that are errors.

Both are plain objects, so that the function can be called in a notebook as anywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["EVENTS", "HTTPError", "Response", "head_of"]

EVENTS = "text/event-stream"

Headers = Mapping[str, "str | int | Iterable[str]"] | Iterable[tuple[str, str | int]]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?\Z")
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(;.*)?\Z")
# What says where a message ends and what the connection does is the server's to say.
_FRAMING = frozenset(
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)
_MOST = 12 << 10  # bytes of headers
_NO_BODY = (204, 304)


def _checked(headers: Headers | None) -> tuple[tuple[str, str], ...]:
    """Names and values, in order; ValueError or TypeError if they are none."""
    if headers is None:
        return ()
    found: list[tuple[str, str]] = []
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    for name, values in pairs:
        for value in [values] if isinstance(values, (str, int)) else values:
            found.append((name, str(value)))
    for name, value in found:
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(f"{name!r} is no name of a header")
        lower = name.lower()
        if lower in _FRAMING:
            raise ValueError(f"the header {name} is the server's to say")
        if lower == "content-type":
            raise ValueError(f"the header {name} is what type= says")
        if lower.startswith("access-control-"):
            raise ValueError(f"the header {name} is the server's to say: start it with --cors ORIGIN")
        if value and not _VALUE.match(value):
            raise ValueError(f"the header {name} has a value that is not plain text on one line: {value[:80]!r}")
    if sum(len(name) + len(value) + 4 for name, value in found) > _MOST:
        raise ValueError(f"the headers have more than {_MOST >> 10} KiB")
    return tuple(found)


def _status(status: Any, low: int) -> int:
    if isinstance(status, bool) or not isinstance(status, int) or not low <= status <= 599:
        raise ValueError(f"the status must be a number from {low} to 599, not {status!r}")
    return int(status)


class Response:
    """A result with a content type, a status or headers of its own, for a serving function to return::

        return metaml.Response(png, type="image/png")
        return metaml.Response({"id": 7}, status=201, headers={"Location": "/items/7"})

    Attributes:
        body: anything that the function could return by itself, a generator too. Without it the answer is empty.
        type (str): the content type, or "" for the usual one of such a body.
        status (int): from 200 to 599.
        headers: pairs of a name and a value.
    """

    def __init__(self, body: Any = b"", *, type: str = "", status: int = 200, headers: Headers | None = None) -> None:
        self.body = body
        self.status = _status(status, 200)
        self.headers = _checked(headers)
        if type and not (isinstance(type, str) and _TYPE.match(type) and _VALUE.match(type)):
            raise ValueError(f"{type!r} is no content type, such as image/png")
        self.type = type
        if self.status in _NO_BODY and not (body is None or body in (b"", "")):
            raise ValueError(f"an answer with the status {self.status} has no body")
        if isinstance(body, (Response, BaseException)):
            raise TypeError(f"a Response of {body!r}")

    def __repr__(self) -> str:
        words = [repr(self.body)[:200]]
        words += [f"type={self.type!r}"] if self.type else []
        words += [f"status={self.status}"] if self.status != 200 else []
        words += [f"headers={dict(self.headers)!r}"] if self.headers else []
        return f"Response({', '.join(words)})"


class HTTPError(Exception):
    """An error that a serving function answers with: the caller gets the status and {"error": text}::

        if age < 0:
            raise metaml.HTTPError(422, "age must not be negative")

    Attributes:
        status (int): from 400 to 599.
        text (str): what is wrong, for the caller to read. Without it the usual words of the status: "Not Found".
        headers: pairs of a name and a value, such as Retry-After.
    """

    def __init__(self, status: int, text: str = "", *, headers: Headers | None = None) -> None:
        self.status = _status(status, 400)
        self.text = str(text) or _phrase(self.status)
        self.headers = _checked(headers)
        super().__init__(self.status, self.text)

    def __str__(self) -> str:
        return f"{self.status} {self.text}".rstrip()

    def __reduce__(self) -> Any:
        return _error, (self.status, self.text, self.headers)


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _error(status: int, text: str, headers: Headers) -> HTTPError:
    return HTTPError(status, text, headers=headers)


# Pickles and messages name them as people import them.
Response.__module__ = HTTPError.__module__ = "metaml"


def head_of(answer: Response | HTTPError, *, text: bool = False) -> bytes:
    """What a worker sends the front beside the body; empty if there is nothing.

    Args:
        answer: of which the type and the headers are sent.
        text: the body is text, which goes in UTF-8.
    """
    kind = getattr(answer, "type", "")
    if text and kind.startswith("text/") and not kind.startswith(EVENTS) and "charset" not in kind.lower():
        kind += "; charset=utf-8"
    if not kind and not answer.headers:
        return b""
    return json.dumps({"type": kind, "headers": answer.headers}).encode()
