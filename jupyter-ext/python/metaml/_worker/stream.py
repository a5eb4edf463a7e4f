"""A generator that a function returned, as the parts of a streamed answer: bytes, text, lines of JSON, or server-sent
events.
"""

from __future__ import annotations

import re
from typing import Any

from metaml._values.json_text import NotJSON, to_json, utf8
from metaml._values.response import EVENTS, Response, head_of
from metaml._values.typed import a_kind_of
from metaml._worker.wire import END, PART_BYTES, PART_EVENTS, PART_LINES, PART_TEXT, item

__all__ = ["Stream"]

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
# A whole event, or several, as they are on the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html).
_EVENT = re.compile(r"(?:(?:data|event|id|retry)?:[^\r\n]*(?:\r\n|\r|\n))+(?:\r\n|\r|\n)")


class Stream:
    """A generator that is being answered, part by part.

    The first part decides what the stream is one of. Of server-sent events the first text decides whether the generator
    writes them itself: then text goes as it is; else each text becomes the data of an event, as everything else does,
    as JSON.
    """

    def __init__(self, source: Any, events: bool = False, response: Response | None = None) -> None:
        self.source = source
        self.waiting: Any = None  # the task that waits for an asynchronous generator's next value
        self._events = events or (response is not None and response.type.partition(";")[0].strip().lower() == EVENTS)
        self._response = response
        self._kind = 0
        self._written: bool | None = None  # whether the generator writes events; None: no text has come

    @property
    def begun(self) -> bool:
        """Whether a part was made, and with it the status of the answer."""
        return bool(self._kind)

    def part(self, value: Any) -> bytes:
        """The item of a part."""
        binary = isinstance(value, (bytes, bytearray, memoryview))
        first = not self._kind
        if first:
            self._kind = self._kind_of(value, binary)
        if self._kind == PART_EVENTS:
            data = self._event(value, binary)
        elif self._kind == PART_LINES:
            data = to_json(value) + b"\n"
        elif binary and self._kind == PART_BYTES:
            data = bytes(value)
        elif isinstance(value, str):
            data = utf8(value)
        else:
            what = "bytes" if self._kind == PART_BYTES else "text"
            raise NotJSON(f"{a_kind_of(value)} in a stream of {what}")
        if first and self._response is not None:
            return item(self._kind, data, self._response.status, head_of(self._response, text=self._kind == PART_TEXT))
        return item(self._kind, data)

    def end(self) -> bytes:
        """The item of the end."""
        if self._kind:
            return item(END, b"")
        response = self._response or Response(type=EVENTS if self._events else "")  # nothing came before it
        return item(END, b"", response.status, head_of(response))

    def _kind_of(self, value: Any, binary: bool) -> int:
        if self._events:
            if not binary:
                return PART_EVENTS
            self._written = _EVENT.match(bytes(value).decode("utf-8", "replace")) is not None
            if self._written:
                return PART_EVENTS
        return PART_BYTES if binary else PART_TEXT if isinstance(value, str) else PART_LINES

    def _event(self, value: Any, binary: bool) -> bytes:
        if binary:
            if self._written:
                return bytes(value)
            raise NotJSON(f"{a_kind_of(value)} in a stream of events")
        if not isinstance(value, str):
            return b"data: " + to_json(value) + b"\n\n"
        text = utf8(value)
        if self._written is None:
            self._written = _EVENT.match(value) is not None
        if self._written:
            return text
        return "".join(f"data: {line}\n" for line in _LINE_ENDS.split(value)).encode() + b"\n"
