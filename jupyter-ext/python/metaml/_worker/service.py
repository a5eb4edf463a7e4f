"""What the workers of one serving function share: made once, before they are forked."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from metaml._trial import failure
from metaml._trial.program import Program
from metaml._values.json_text import NotJSON, WrongResult, to_json, utf8
from metaml._values.openapi import publish
from metaml._values.response import HTTPError, Response, head_of
from metaml._values.signature import Rejected, read
from metaml._worker import wire
from metaml._worker.stream import Stream
from metaml._worker.wire import ARRAY, BYTES, ERROR, EVENTS, FIELDS, FORM, JSON, NAMED, TEXT, item

__all__ = ["Service", "log"]


class Service:
    """A function and all that its workers need: prepared once, before they are forked."""

    def __init__(self, program: Program, serve: dict[str, Any]) -> None:
        self.program = program
        self.name = program.entry
        self.batch = int(serve.get("batch") or 0)
        path = str(serve.get("path") or "/predict")
        self.signature = read(program.function(), self.name, batch=self.batch, path=path)
        self.call = self.signature.call
        hello = {
            "function": self.name,
            "input": self.signature.input,
            "batch": self.batch,
            "concurrent": 64 if self.signature.concurrent else 1,
            **publish(self.signature, path, locked=bool(serve.get("auth"))),
        }
        # A schema of pydantic may have a NaN as a default, which is not JSON.
        hello = json.loads(json.dumps(hello), parse_constant=lambda _: None)
        self.hello = json.dumps(hello, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def greeting(self) -> bytes:
        """The hello, as a frame."""
        return wire.greeting(b'{"v":1,"pid":%d,%b' % (os.getpid(), self.hello[1:]))

    def argument(self, kind: int, data: Any, path: dict[str, str]) -> Any:
        """What the function is called with; raises Rejected."""
        if not self.signature.path:
            return self._input(kind, data)
        if kind == NAMED:
            return self.signature.from_named(data)
        return self.signature.with_path(path, lambda: self._input(kind, data))

    def _input(self, kind: int, data: Any) -> Any:
        if kind == ARRAY:
            return self.signature.from_array(data)
        if kind == JSON:
            return self.signature.from_json(data)
        if kind in (FIELDS, FORM):
            return self.signature.from_fields(data)
        content_type, _, rest = bytes(data).partition(b"\0")
        return self.signature.from_bytes(content_type.decode("latin-1"), rest)

    def answer(self, value: Any) -> bytes:
        """A result as the item of a reply; of arrays kind 3, of which the front makes JSON.

        Raises:
            NotJSON: it cannot be one.
        """
        kind = type(value)
        if kind is dict or kind is list:
            return item(JSON, to_json(value))
        if kind is str:
            return item(TEXT, utf8(value))
        if kind is int or (kind is float and math.isfinite(value)):
            return item(JSON, repr(value).encode())
        if kind is bytes or kind is bytearray or kind is memoryview:
            return item(BYTES, bytes(value))
        numpy = sys.modules.get("numpy")
        if (
            numpy is not None
            and (kind is numpy.ndarray or isinstance(value, numpy.generic))
            and wire.travels(value.dtype)
        ):
            value = _native(value)
            if _infinite(value, numpy):
                to_json(value)  # which names the place
            return wire.array_item(value)
        if isinstance(value, Response):
            return self._response(value)
        if isinstance(value, HTTPError):
            return self.failed(value)
        if isinstance(value, str):
            return item(TEXT, utf8(value))
        return item(JSON, to_json(value))

    def _response(self, value: Response) -> bytes:
        body = value.body
        if value.status in (204, 304):
            return item(BYTES, b"", value.status, head_of(value))
        if isinstance(body, str):
            return item(TEXT, utf8(body), value.status, head_of(value, text=True))
        if isinstance(body, (bytes, bytearray, memoryview)):
            return item(BYTES, bytes(body), value.status, head_of(value))
        return item(JSON, to_json(body), value.status, head_of(value))

    def stream(self, result: Any, item_flags: int) -> Stream | None:
        """The stream of a generator; None: the result is none."""
        response = result if isinstance(result, Response) else None
        source = result if response is None else response.body
        if hasattr(source, "__next__") or hasattr(source, "__anext__"):
            return Stream(source, bool(item_flags & EVENTS), response)
        return None

    def rejected(self, error: Rejected) -> bytes:
        """The item by which a caller learns what is wrong with the input."""
        return item(ERROR, to_json(error.body), error.status)

    def failed(self, error: BaseException, *, begun: bool = False, several: bool = False) -> bytes:
        """The item of a call that failed. The log has the reason, the caller an id that leads to it. The head, which no
        caller gets, has the reason for the monitor, which decides by it when it tests a revision.

        An HTTPError is the function's own answer, and the log has it only where it is the server's fault, or where
        nobody else learns of it: the answer has begun, and is cut.

        Args:
            error: what was raised.
            begun: a part of the answer was sent.
            several: the error is that of many inputs at once, and as many heads would be too much memory; a test has
                one input.
        """
        if isinstance(error, HTTPError) and error.status < 500 and not begun:
            return item(ERROR, to_json({"error": error.text}), error.status, head_of(error))
        number = os.urandom(6).hex()
        why = self._why(error, begun)
        entry, trace = why["text"], why["error"]["traceback"].rstrip("\n")
        log(f"metaml: {number} {entry}\n" + (f"{trace}\n" if trace != entry else ""))
        said, status, head = f"{self.name} failed; the log has the reason under this id", 500, b""
        if isinstance(error, HTTPError):
            said, status, head = error.text, error.status, head_of(error)
        if not several:
            head = json.dumps({**json.loads(head or b"{}"), "failure": why}).encode()
        return item(ERROR, to_json({"error": said, "id": number}), status, head)

    def _why(self, error: BaseException, begun: bool) -> dict[str, Any]:
        """Why a call failed: {text, fatal, error}, a CallFailure of deployer/run. Fatal: no input can make it right."""
        kind, fatal = "TypeError", False
        if isinstance(error, HTTPError):
            kind, text = "metaml.HTTPError", f"{self.name} answered {error}{', in a stream that had begun' * begun}"
        elif isinstance(error, NotJSON):
            text, fatal = f"{self.name} returned {error}", not error.number
        elif isinstance(error, WrongResult):
            text, fatal = str(error), not error.too_large
        else:
            main = self.program.main
            described = failure.describe(error, main)
            described["frames"] = failure.in_cells([frame for frame in described["frames"] if frame["mine"]], main)
            # A local variable without a value may come of what the input is.
            fatal = type(error) is NameError or (isinstance(error, ImportError) and failure.by_import(error, main))
            text = f"{self.name} raised {described['type']}: {described['text']}"
            return {"text": text, "fatal": fatal, "error": described}
        return {"text": text, "fatal": fatal, "error": {"type": kind, "text": text, "traceback": text}}

    def rows(self, value: Any) -> tuple[bytes, ...]:
        """The body of a stacked reply whose items are an array's rows; empty if they have to be converted one
        by one.
        """
        if not wire.travels(value.dtype) or value.nbytes > wire.MAX_FRAME - 1024 or not value.size:
            return ()
        value = _native(value)
        return () if _infinite(value, sys.modules["numpy"]) else wire.rows(value)


def _native(value: Any) -> Any:
    """The array or scalar in this machine's byte order."""
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def _infinite(value: Any, numpy: Any) -> bool:
    """Whether there is an infinity in it. NaN goes as it is: the front writes null."""
    if value.dtype.kind != "f":
        return False
    if not value.shape:
        return math.isinf(value)
    flat = value.ravel()
    # The sum of the squares is finite only if all numbers are, and takes a third of the time; it may overflow.
    return not math.isfinite(flat.dot(flat)) and bool(numpy.isinf(flat).any())


def log(text: str) -> None:
    """One block on stderr."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except Exception:  # noqa: S110 (a stream that the program broke must not break its server)
        pass
