"""The wire between a worker and its front: frames from bytes, items of calls, items of replies.

docs/internals/protocols.md §7 is the format.

Nothing here knows what a function is. What a front sends that is not as described is :class:`Garbage`.
"""

from __future__ import annotations

import functools
import json
import struct
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from metaml._values.json_text import WrongResult

if TYPE_CHECKING:
    from metaml._values.arrays import Array

__all__ = [
    "MAX_FRAME",
    "Garbage",
    "Reader",
    "Replies",
    "array_item",
    "ends",
    "greeting",
    "header",
    "inputs",
    "item",
    "rows",
    "stacked",
    "travels",
]

HELLO, CALL, REPLY, MORE, QUIT = 1, 2, 3, 4, 5
STACKED = 1  # a flag
# Of an item of a call.
JSON, BYTES, FIELDS, ARRAY, FORM, NAMED = 0, 1, 2, 3, 4, 5
# Of an item of a reply; 0, 1 and 3 as above.
TEXT, ERROR, PART_BYTES, PART_TEXT, PART_LINES, END, PART_EVENTS = 2, 4, 5, 6, 7, 8, 9
#: Is added where a head follows the body: what the function says of the content type and the headers, or why it failed.
HEADED = 0x80
# Flags of an item of a call: the client accepts server-sent events; the parameters in the path follow the item.
EVENTS, PATH = 1, 2

_FRAME = struct.Struct("<IBBHQ")  # size, type, flags, count, id
_ITEM = struct.Struct("<BBHI")  # kind, ndim, flags, length
_ANSWER = struct.Struct("<HBBI")  # status, kind, ndim, length
_SHAPES = [struct.Struct(f"<{n}I{4 * (n % 2)}x") for n in range(65)]
_PADS = [b"", *(bytes(8 - n) for n in range(1, 8))]  # by length % 8

MAX_FRAME = 256 << 20
_DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
#: Seconds after which what is finished is sent, though more of the same frame is to come; a system call takes a tenth
#: of it.
_PATIENCE = 0.0001
_AT_ONCE = 1 << 20  # bytes of replies that wait for others


_NONE: dict[str, str] = {}


class Garbage(Exception):
    """The front sent what the protocol does not know: the connection ends."""


def header(data: bytearray, at: int) -> tuple[int, int, int, int, int]:
    """Size, type, flags, count and id of the frame that begins there."""
    size, kind, flags, count, number = _FRAME.unpack_from(data, at)
    if size % 8 or size > MAX_FRAME:
        raise Garbage(f"a frame of {size} bytes")
    return size, kind, flags, count, number


def greeting(body: bytes) -> bytes:
    """A hello, as a frame."""
    body += b" " * (-len(body) % 8)
    return _FRAME.pack(len(body), HELLO, 0, 0, 0) + body


def inputs(
    body: bytearray, count: int, flags: int, array: Array | None
) -> Iterator[tuple[int, Any, int, dict[str, str]]]:
    """The items of a call: kinds, bodies, flags and the parameters in the path.

    Arrays, of which ``array`` is the kind, are views of the body, which nobody else has.
    """
    if flags & STACKED:
        whole = stacked(body, count, array)
        item_flags = body[2]
        yield from ((ARRAY, whole[i, ...], item_flags, _NONE) for i in range(count))
        return
    at = 0
    for _ in range(count):
        kind, ndim, item_flags, length = _unpacked(body, at)
        at, shape = _shape(body, ndim, at + 8)
        if at + length > len(body):
            raise Garbage("an item longer than its frame")
        data: Any
        if kind == ARRAY:
            data = _view(array, body, at, shape, length)
        elif kind in (JSON, BYTES, NAMED):
            data = body[at : at + length]
        elif kind == FIELDS:
            data = _fields(body[at : at + length])
        elif kind == FORM:
            data = _form(body[at : at + length])
        else:
            raise Garbage(f"an item of kind {kind}")
        at += length + -length % 8
        path = _NONE
        if item_flags & PATH:
            length = int.from_bytes(body[at : at + 8], "little")
            at += 8
            if at + length > len(body):
                raise Garbage("an item longer than its frame")
            path = _fields(body[at : at + length])
            at += length + -length % 8
        yield kind, data, item_flags, path


def stacked(body: bytearray, count: int, array: Array | None) -> Any:
    """The inputs of a stacked call, as one array with them along its first axis."""
    kind, ndim, _, length = _unpacked(body, 0)
    at, shape = _shape(body, ndim, 8)
    if kind != ARRAY or not count or at + count * length > len(body):
        raise Garbage("a stacked call that is none")
    return _view(array, body, at, (count, *shape), count * length)


def _unpacked(body: bytearray, at: int) -> Any:
    if at + 8 > len(body):
        raise Garbage("fewer items than it counts")
    return _ITEM.unpack_from(body, at)


def _shape(body: bytearray, ndim: int, at: int) -> tuple[int, tuple[int, ...]]:
    if not ndim:
        return at, ()
    if ndim >= len(_SHAPES):
        raise Garbage(f"an array of {ndim} dimensions")
    shape = _SHAPES[ndim]
    if at + shape.size > len(body):
        raise Garbage("an item longer than its frame")
    return at + shape.size, shape.unpack_from(body, at)


def _view(array: Array | None, body: bytearray, at: int, shape: tuple[int, ...], length: int) -> Any:
    if array is None:
        raise Garbage("an array for a function that takes none")
    try:
        return array.view(body, at, shape, length)
    except ValueError:
        raise Garbage(f"an array whose {length} bytes are not of shape {shape}") from None


def _fields(data: bytearray) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Garbage("fields that are no object")
    return fields


def _form(data: bytearray) -> dict[str, Any]:
    """The parts of a form by name: text or, of a file, bytes; a list of these where a name comes several times."""
    form: dict[str, Any] = {}
    at, end = 0, len(data) - 4
    try:
        (size,) = struct.unpack_from("<I", data, end)
        end -= size
        for name, length, is_file in json.loads(data[end : end + size]):
            content = bytes(data[at : at + length])
            at += length
            value = content if is_file else content.decode()
            if name in form:
                before = form[name]
                form[name] = [*before, value] if isinstance(before, list) else [before, value]
            else:
                form[name] = value
    except (ValueError, TypeError, struct.error):
        raise Garbage("a form that is none") from None
    if at != end:
        raise Garbage("a form of another length than it says")
    return form


def _too_large(size: int) -> WrongResult:
    return WrongResult(f"a result of {size >> 20} MiB, more than the 256 MiB that an answer may have", too_large=True)


def item(kind: int, data: bytes, status: int = 200, head: bytes = b"") -> bytes:
    """An item of a reply, but an array."""
    if head:
        kind |= HEADED
        data = b"".join((data, head, len(head).to_bytes(4, "little")))
    if len(data) > MAX_FRAME - 64:
        raise _too_large(len(data))
    return b"".join((_ANSWER.pack(status, kind, 0, len(data)), data, _PADS[len(data) % 8]))


@functools.lru_cache(256)
def _before(dtype: Any, shape: tuple[int, ...], length: int) -> bytes:
    """What precedes an array's data in an item."""
    ndim = len(shape)
    name: bytes = dtype.name.encode()
    return _ANSWER.pack(200, ARRAY, ndim, length) + _SHAPES[ndim].pack(*shape) + name.ljust(8, b"\0")


@functools.lru_cache(256)
def travels(dtype: Any) -> bool:
    """Whether an array of a dtype goes as it is. To ask numpy for a dtype's name takes 2 µs."""
    return dtype.name in _DTYPES


def array_item(value: Any) -> bytes:
    """An item with an array or a scalar of numpy."""
    if value.nbytes > MAX_FRAME - 1024:
        raise _too_large(value.nbytes)
    data = value.tobytes()
    return b"".join((_before(value.dtype, value.shape, len(data)), data, _PADS[len(data) % 8]))


def rows(value: Any) -> tuple[bytes, ...]:
    """The body of a stacked reply whose items are an array's rows."""
    data = value.tobytes()
    return _before(value.dtype, value.shape[1:], len(data) // len(value)), data, _PADS[len(data) % 8]


def ends(item: bytes) -> bool:
    """Whether the item of a part is the last of its stream."""
    return item[2] & ~HEADED in (END, ERROR)


class Replies:
    """Finished items, put together until they are sent: when a frame's calls took long, not for each of many short
    ones.
    """

    def __init__(self, send: Callable[[bytes], Any]) -> None:
        self._send = send
        self._items: list[bytes] = []
        self._first = 0
        self._size = 0
        self._since = 0.0

    def begin(self) -> None:
        """Several calls are about to be made: what took long is to be sent before the next one."""
        self._since = time.monotonic()

    def add(self, number: int, item: bytes) -> None:
        """Send an item, now or together with others."""
        waiting = len(self._items)
        if waiting and (number != self._first + waiting or self._size + len(item) > _AT_ONCE or waiting == 0xFFFF):
            self.flush()
        if not self._items:
            self._first = number
        self._items.append(item)
        self._size += len(item)
        if self._since and time.monotonic() - self._since > _PATIENCE:
            self.flush()
            self._since = time.monotonic()

    def stacked(self, number: int, count: int, body: tuple[bytes, ...]) -> None:
        """Send a stacked reply."""
        self.flush()
        self._send(b"".join((_FRAME.pack(sum(map(len, body)), REPLY, STACKED, count, number), *body)))

    def flush(self) -> None:
        """Send what there is."""
        if self._items:
            items, self._items = self._items, []
            header = _FRAME.pack(self._size, REPLY, 0, len(items), self._first)
            self._size = 0
            self._send(b"".join((header, *items)))


class Reader:
    """Frames from a buffer that is filled as the socket gives."""

    def __init__(self, recv_into: Callable[[memoryview], int]) -> None:
        self._recv_into = recv_into
        self._buffer = bytearray(1 << 16)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def frame(self) -> tuple[int, int, int, int, bytearray] | None:
        """Type, flags, count, id and body of the next frame; None at the end. The body is the caller's.

        Raises:
            Garbage: this is no frame.
        """
        start, end = self._start, self._end
        if end - start < 16:
            if start:
                self._buffer[: end - start] = self._buffer[start:end]
                start, end = 0, end - start
            while end < 16:
                n = self._recv_into(self._view[end:] if end else self._view)
                if not n:
                    return None
                end += n
        size, kind, flags, count, number = header(self._buffer, start)
        start += 16
        have = end - start
        if have >= size:
            body = self._buffer[start : start + size]
            start += size
            self._start, self._end = (0, 0) if start == end else (start, end)
            return kind, flags, count, number, body
        body = bytearray(size)
        view = memoryview(body)
        view[:have] = self._view[start:end]
        while have < size:
            n = self._recv_into(view[have:])
            if not n:
                return None
            have += n
        view.release()
        self._start = self._end = 0
        return kind, flags, count, number, body
