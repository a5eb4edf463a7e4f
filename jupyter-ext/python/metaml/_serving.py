"""A server's worker: takes calls from the front, gives them to the user's function, sends back what it returned.

The wire is docs/protocols.md §7. :class:`Service` is what one function needs and is made before the workers are forked;
:class:`Worker` is the loop of one process. Functions that are ``async def`` have a loop of their own, in ``_concurrent.py``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from metaml import _report, _results, _signature, _trial
from metaml._typed import a_kind_of

if TYPE_CHECKING:
    from metaml._loader import Program

__all__ = ["Batch", "Garbage", "Reader", "Replies", "Service", "Stream", "Worker", "ends", "header", "listen", "log", "work"]

HELLO, CALL, REPLY, MORE, QUIT = 1, 2, 3, 4, 5
STACKED = 1  # a flag
# Of an item of a call.
JSON, BYTES, FIELDS, ARRAY = 0, 1, 2, 3
# Of an item of a reply; the first four as above, but for 2.
TEXT, ERROR, PART_BYTES, PART_TEXT, PART_LINES, END = 2, 4, 5, 6, 7, 8

_FRAME = struct.Struct("<IBBHQ")  # size, type, flags, count, id
_ITEM = struct.Struct("<BBHI")  # kind, ndim, 0, length
_ANSWER = struct.Struct("<HBBI")  # status, kind, ndim, length
_SHAPES = [struct.Struct(f"<{n}I{4 * (n % 2)}x") for n in range(65)]
_PADS = [b"", *(bytes(8 - n) for n in range(1, 8))]  # by length % 8

_MAX_FRAME = 256 << 20
_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_DTYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
)
#: Seconds after which what is finished is sent, though more of the same frame is to come; a system call takes a tenth of it.
_PATIENCE = 0.0001
_AT_ONCE = 1 << 20  # bytes of replies that wait for others


class Garbage(Exception):
    """The front sent what the protocol does not know: the connection ends."""


class Service:
    """A function and all that its workers need: prepared once, before they are forked."""

    def __init__(self, program: Program, serve: dict[str, Any]) -> None:
        self.program = program
        self.name = program.entry
        self.batch = int(serve.get("batch") or 0)
        self.signature = _signature.read(program.function(), self.name, batch=self.batch)
        self.call = self.signature.call
        self.answers: dict[tuple[Any, ...], bytes] = {}  # what precedes the data of an array, by dtype and shape
        hello = {
            "function": self.name,
            "input": self.signature.input,
            "batch": self.batch,
            "concurrent": 64 if self.signature.concurrent else 1,
            **self.signature.published(str(serve.get("path") or "/predict")),
        }
        if self.signature.concurrent:  # before the fork
            from metaml import _concurrent  # noqa: F401
        # A schema of pydantic may have a NaN as a default, which is not JSON.
        hello = json.loads(json.dumps(hello), parse_constant=lambda _: None)
        self.hello = json.dumps(hello, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def greeting(self) -> bytes:
        """The hello, as a frame."""
        body = b'{"v":1,"pid":%d,%b' % (os.getpid(), self.hello[1:])
        body += b" " * (-len(body) % 8)
        return _FRAME.pack(len(body), HELLO, 0, 0, 0) + body

    def stacked(self, body: bytearray, count: int) -> Any:
        """The inputs of a stacked call, as one array with them along its first axis."""
        array = self.signature.array
        if array is None or not count:
            raise Garbage("a stacked call of no arrays")
        kind, ndim, _, length = _unpacked(body, 0)
        at, shape = self._shape(body, ndim, 8)
        if kind != ARRAY or at + count * length > len(body):
            raise Garbage("a stacked call longer than its frame")
        return self._view(body, at, (count, *shape), count * length)

    def inputs(self, body: bytearray, count: int, flags: int) -> Iterator[tuple[int, Any]]:
        """The items of a call: kinds and bodies; arrays are views of the body, which nobody else has."""
        if flags & STACKED:
            whole = self.stacked(body, count)
            yield from ((ARRAY, whole[i, ...]) for i in range(count))
            return
        at = 0
        for _ in range(count):
            kind, ndim, _, length = _unpacked(body, at)
            at, shape = self._shape(body, ndim, at + 8)
            if at + length > len(body):
                raise Garbage("an item longer than its frame")
            if kind == ARRAY:
                yield kind, self._view(body, at, shape, length)
            elif kind in (JSON, BYTES):
                yield kind, body[at : at + length]
            elif kind == FIELDS:
                yield kind, _fields(body[at : at + length])
            else:
                raise Garbage(f"an item of kind {kind}")
            at += length + -length % 8

    def _view(self, body: bytearray, at: int, shape: tuple[int, ...], length: int) -> Any:
        array = self.signature.array
        if array is None:
            raise Garbage("an array for a function that takes none")
        try:
            return array.view(body, at, shape, length)
        except ValueError:
            raise Garbage(f"an array whose {length} bytes are not of shape {shape}") from None

    @staticmethod
    def _shape(body: bytearray, ndim: int, at: int) -> tuple[int, tuple[int, ...]]:
        if not ndim:
            return at, ()
        if ndim >= len(_SHAPES):
            raise Garbage(f"an array of {ndim} dimensions")
        shape = _SHAPES[ndim]
        if at + shape.size > len(body):
            raise Garbage("an item longer than its frame")
        return at + shape.size, shape.unpack_from(body, at)

    def argument(self, kind: int, data: Any) -> Any:
        """What the function is called with; raises Rejected."""
        if kind == ARRAY:
            return self.signature.from_array(data)
        if kind == JSON:
            return self.signature.from_json(data)
        if kind == FIELDS:
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
            return item(JSON, _results.to_json(value))
        if kind is str:
            return item(TEXT, _text(value))
        if kind is int or (kind is float and math.isfinite(value)):
            return item(JSON, repr(value).encode())
        if kind is bytes or kind is bytearray or kind is memoryview:
            return item(BYTES, bytes(value))
        numpy = sys.modules.get("numpy")
        if numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic)) and value.dtype.name in _DTYPES:
            if value.nbytes > _MAX_FRAME - 1024:
                raise _too_large(value.nbytes)
            value = _native(value)
            if not _finite(value, numpy):
                _results.to_json(value)  # which names the place
            data = value.tobytes()
            return b"".join((self.before(value.dtype, value.shape, len(data)), data, _PADS[len(data) % 8]))
        if isinstance(value, str):
            return item(TEXT, _text(value))
        return item(JSON, _results.to_json(value))

    def before(self, dtype: Any, shape: tuple[int, ...], length: int) -> bytes:
        """What precedes an array's data in an item."""
        key = (dtype, shape)
        found = self.answers.get(key)
        if found is None:
            if len(self.answers) >= 256:
                self.answers.clear()
            ndim = len(shape)
            found = _ANSWER.pack(200, ARRAY, ndim, length) + _SHAPES[ndim].pack(*shape) + dtype.name.encode().ljust(8, b"\0")
            self.answers[key] = found
        return found

    def rejected(self, error: _signature.Rejected) -> bytes:
        """The item that tells a caller what is wrong with the input."""
        return item(ERROR, json.dumps(error.body, ensure_ascii=False).encode("utf-8", "replace"), error.status)

    def failed(self, error: BaseException) -> bytes:
        """The item of a call that failed. The log has the reason, the caller an id that leads to it."""
        number = os.urandom(6).hex()
        if isinstance(error, _results.NotJSON):
            text = f"metaml: {number} {self.name} returned {error}\n"
        elif isinstance(error, WrongResult):
            text = f"metaml: {number} {error}\n"
        else:
            described = _trial.describe(error, self.program)
            trace = described["traceback"].rstrip("\n")
            text = f"metaml: {number} {self.name} raised {described['type']}: {described['text']}\n{trace}\n"
        log(text)
        body = {"error": f"{self.name} failed; the log has the reason under this id", "id": number}
        return item(ERROR, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), 500)

    def rows(self, value: Any) -> tuple[bytes, ...]:
        """The body of a stacked reply whose items are an array's rows; empty if they have to be looked at one by one."""
        if value.dtype.name not in _DTYPES or value.nbytes > _MAX_FRAME - 1024:
            return ()
        numpy = sys.modules["numpy"]
        value = _native(value)
        if not value.size or not _finite(value, numpy):
            return ()
        data = value.tobytes()
        return self.before(value.dtype, value.shape[1:], len(data) // len(value)), data, _PADS[len(data) % 8]


class WrongResult(Exception):
    """What a function returned for a batch is not a result for each input."""


def _too_large(size: int) -> WrongResult:
    return WrongResult(f"a result of {size >> 20} MiB, more than the 256 MiB that an answer may have")


def item(kind: int, data: bytes, status: int = 200) -> bytes:
    """An item of a reply, but an array."""
    if len(data) > _MAX_FRAME - 64:
        raise _too_large(len(data))
    return b"".join((_ANSWER.pack(status, kind, 0, len(data)), data, _PADS[len(data) % 8]))


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _results.NotJSON("text with half a surrogate pair") from None


def _native(value: Any) -> Any:
    """The array or scalar in this machine's byte order."""
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def _finite(value: Any, numpy: Any) -> bool:
    if value.dtype.kind != "f":
        return True
    if not value.shape:
        return math.isfinite(value)
    flat = value.ravel()
    # The sum of the squares is finite only if all numbers are, and takes a third of the time; it may overflow.
    return math.isfinite(flat.dot(flat)) or bool(numpy.isfinite(flat).all())


def log(text: str) -> None:
    """One block on stderr."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except Exception:  # noqa: S110 (a stream that the program broke must not break its server)
        pass


class Stream:
    """A generator that is being answered, part by part."""

    end = b""

    def __init__(self, source: Any) -> None:
        self.source = source
        self._kind = 0

    def part(self, value: Any) -> bytes:
        """The item of a part. The first decides what the stream is one of."""
        binary = isinstance(value, (bytes, bytearray, memoryview))
        if not self._kind:
            self._kind = PART_BYTES if binary else PART_TEXT if isinstance(value, str) else PART_LINES
        if self._kind == PART_LINES:
            return item(PART_LINES, _results.to_json(value) + b"\n")
        if binary and self._kind == PART_BYTES:
            return item(PART_BYTES, bytes(value))
        if isinstance(value, str):
            return item(self._kind, _text(value))
        raise _results.NotJSON(f"{a_kind_of(value)} in a stream of {'bytes' if self._kind == PART_BYTES else 'text'}")


Stream.end = item(END, b"")


def ends(item: bytes) -> bool:
    """Whether the item of a part is the last of its stream."""
    return item[2] == END or item[2] == ERROR


def _unpacked(body: bytearray, at: int) -> Any:
    if at + 8 > len(body):
        raise Garbage("fewer items than it counts")
    return _ITEM.unpack_from(body, at)


def _fields(data: bytearray) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Garbage("fields that are no object")
    return found


def header(data: bytearray, at: int) -> tuple[int, int, int, int, int]:
    """Size, type, flags, count and id of the frame that begins there."""
    size, kind, flags, count, number = _FRAME.unpack_from(data, at)
    if size % 8 or size > _MAX_FRAME:
        raise Garbage(f"a frame of {size} bytes")
    return size, kind, flags, count, number


class Replies:
    """Finished items, put together until they are sent: when a frame's calls took long, not for each of many short ones."""

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


def listen(path: str) -> socket.socket:
    """A socket that others of this user can dial."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(8)
    return listener


class Worker:
    """The life of one process: one front at a time, one call at a time."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.service = service
        self.listener = listener
        self.stopping = False
        self.front: socket.socket | None = None
        self.streams: dict[int, Stream] = {}
        self._awake, self._wake = os.pipe()
        self._loop: Any = None  # for what a plain function returns that must be awaited

    def stop(self) -> None:
        """Called by the signal: end after the call that is in progress."""
        self.stopping = True
        if self.front is not None and not self.streams:
            with contextlib.suppress(OSError):
                self.front.shutdown(socket.SHUT_RD)  # a read that waits ends
        os.write(self._wake, b"\0")

    def run(self) -> None:
        """Until :meth:`stop`."""
        waiting = select.poll()
        waiting.register(self.listener, select.POLLIN)
        waiting.register(self._awake, select.POLLIN)
        while not self.stopping:
            if any(fd == self._awake for fd, _ in waiting.poll()):
                return
            front, _ = self.listener.accept()
            self.front = front
            try:
                front.sendall(self.service.greeting(), _NOSIGNAL)
                self.serve(front)
            except Garbage as error:
                log(f"metaml: the front sent {error}, and was hung up\n")
            except OSError:
                pass  # it is gone
            finally:
                self.front = None
                for stream in self.streams.values():
                    self.close(stream)
                self.streams.clear()
                front.close()

    def serve(self, front: socket.socket) -> None:
        """Answer one front until it hangs up."""
        frames = Reader(front.recv_into)
        replies = Replies(lambda data: front.sendall(data, _NOSIGNAL))
        service, streams = self.service, self.streams
        while not self.stopping or streams:
            frame = frames.frame()
            if frame is None:
                return
            kind, flags, count, number, body = frame
            if kind == CALL:
                if service.batch:
                    self.together(Batch(service, body, count, flags)).tell(replies, number)
                else:
                    if count > 1:
                        replies.begin()
                    for data_kind, data in service.inputs(body, count, flags):
                        replies.add(number, self.one(number, data_kind, data))
                        number += 1
            elif kind == MORE:
                if (stream := streams.get(number)) is not None:
                    replies.add(number, self.part(number, stream))
            elif kind == QUIT:
                if (stream := streams.pop(number, None)) is not None:
                    self.close(stream)
            else:
                raise Garbage(f"a frame of type {kind}")
            replies.flush()

    def one(self, number: int, kind: int, data: Any) -> bytes:
        """Call the function with one input; gives the item of the answer."""
        service = self.service
        try:
            result = service.call(service.argument(kind, data))
            if type(result) not in _HERE:
                if hasattr(result, "__await__"):
                    result = self.wait_for(result)
                if hasattr(result, "__next__") or hasattr(result, "__anext__"):
                    stream = self.streams[number] = Stream(result)
                    return self.part(number, stream)
            return service.answer(result)
        except _signature.Rejected as error:
            return service.rejected(error)
        except BaseException as error:
            return service.failed(error)

    def part(self, number: int, stream: Stream) -> bytes:
        """The item of the next part of a stream."""
        try:
            if hasattr(stream.source, "__next__"):
                part = stream.part(next(stream.source))
            else:
                part = stream.part(self.wait_for(stream.source.__anext__()))
        except (StopIteration, StopAsyncIteration):
            part = Stream.end
        except BaseException as error:
            part = self.service.failed(error)
        if ends(part):
            del self.streams[number]
            self.close(stream)
        return part

    def close(self, stream: Stream) -> None:
        """End a generator."""
        try:
            if hasattr(stream.source, "aclose"):
                self.wait_for(stream.source.aclose())
            elif hasattr(stream.source, "close"):
                stream.source.close()
        except BaseException as error:
            self.service.failed(error)

    def wait_for(self, awaitable: Any) -> Any:
        """What a plain function returned to be awaited."""
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()

        async def result() -> Any:
            return await awaitable

        return self._loop.run_until_complete(result())

    def together(self, batch: Batch) -> Batch:
        """Call the function with all inputs of a frame."""
        call = self.service.call
        steps = batch.steps()
        try:
            argument = next(steps)
            while True:
                try:
                    result = call(argument)
                    if type(result) not in _HERE and hasattr(result, "__await__"):
                        result = self.wait_for(result)
                except BaseException as error:
                    argument = steps.throw(error)
                else:
                    argument = steps.send(result)
        except StopIteration:
            return batch


#: Types of results that are neither awaited nor drawn from, which need not be asked about it.
_HERE: set[type] = {dict, list, str, bytes, int, float, bool, type(None), tuple}


def _stack(results: Any) -> Any:
    """The results as one array, if they are arrays of one type and shape; else None."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if type(results) is numpy.ndarray:
        return results if results.shape else None
    if type(results) is not list or not results or type(results[0]) is not numpy.ndarray:
        return None
    dtype, shape = results[0].dtype, results[0].shape
    if all(type(one) is numpy.ndarray and one.dtype is dtype and one.shape == shape for one in results):
        return numpy.stack(results)
    return None


class Batch:
    """The inputs of one call of a function that takes several, and what becomes of them."""

    def __init__(self, service: Service, body: bytearray, count: int, flags: int) -> None:
        self.service = service
        self.count = count
        self.answers: dict[int, bytes] = {}  # by position
        self._at: list[int] = []  # positions of the values
        self._values: Any = []
        self._whole: tuple[bytes, ...] = ()  # the body of a stacked reply
        signature = service.signature
        stacked = service.stacked(body, count) if flags & STACKED else None
        if stacked is not None:
            try:
                signature.from_array(stacked[0])
            except _signature.Rejected as error:
                self.answers = dict.fromkeys(range(count), service.rejected(error))
                return
            self._at = list(range(count))
            # Rows, not numpy's scalars, also where an input is a single number.
            self._values = (
                stacked if signature.stacked else list(stacked) if stacked.ndim > 1 else [stacked[i, ...] for i in self._at]
            )
            return
        for at, (kind, data) in enumerate(service.inputs(body, count, flags)):
            try:
                self._values.append(service.argument(kind, data))
                self._at.append(at)
            except _signature.Rejected as error:
                self.answers[at] = service.rejected(error)
            except BaseException as error:
                self.answers[at] = service.failed(error)

    def steps(self) -> Generator[Any, Any, None]:
        """The arguments with which to call the function; gets what it returned or raised."""
        for positions, argument in self._groups():
            try:
                results = yield argument
            except BaseException as error:
                if len(positions) == 1:
                    self.answers[positions[0]] = self.service.failed(error)
                else:
                    yield from self._one_by_one(positions, argument)
            else:
                self._take(positions, results)

    def _groups(self) -> Iterator[tuple[list[int], Any]]:
        """The arguments: one list, or an array of all inputs that have the same shape."""
        values = self._values
        if not len(values):
            return
        if not self.service.signature.stacked or not isinstance(values, list):
            yield self._at, values
            return
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for i, value in enumerate(values):
            by_shape.setdefault(value.shape, []).append(i)
        for found in by_shape.values():
            yield [self._at[i] for i in found], sys.modules["numpy"].stack([values[i] for i in found])

    def _one_by_one(self, positions: list[int], argument: Any) -> Generator[Any, Any, None]:
        for i, at in enumerate(positions):
            try:
                results = yield argument[i : i + 1]
            except BaseException as error:
                self.answers[at] = self.service.failed(error)
            else:
                self._take([at], results)

    def _take(self, positions: list[int], results: Any) -> None:
        """Make answers of what the function returned."""
        service = self.service
        try:
            if self.count == len(positions) and (rows := _stack(results)) is not None and len(rows) == self.count:
                self._whole = service.rows(rows)
                if self._whole:
                    return
            results = self._sequence(results, len(positions))
        except BaseException as error:
            for at in positions:
                self.answers[at] = service.failed(error)
            return
        for at, result in zip(positions, results, strict=True):
            try:
                self.answers[at] = service.answer(result)
            except BaseException as error:
                self.answers[at] = service.failed(error)

    def _sequence(self, results: Any, n: int) -> Any:
        kind = type(results)
        if kind.__module__.partition(".")[0] == "pandas":
            results = _results.simpler(results)
        elif kind is not list and kind is not tuple:
            plain = isinstance(results, (str, bytes, bytearray, dict, set, frozenset))
            if plain or not hasattr(kind, "__len__") or not hasattr(kind, "__iter__"):
                raise WrongResult(f"{self.service.name} returned {a_kind_of(results)} for a list of {n} inputs, not a list")
            if not getattr(results, "shape", True):
                raise WrongResult(f"{self.service.name} returned a single value for a list of {n} inputs, not a list")
        if len(results) != n:
            m = len(results)
            raise WrongResult(
                f"{self.service.name} returned {m} result{'s' * (m != 1)} for a list of {n} input{'s' * (n != 1)}; "
                "with --batch it must return as many as it gets"
            )
        return results

    def tell(self, replies: Replies, number: int) -> None:
        """Answer, in the order of the inputs."""
        if self._whole:
            replies.stacked(number, self.count, self._whole)
            return
        for at in range(self.count):
            replies.add(number + at, self.answers[at])


def work(program: Program, start: dict[str, Any]) -> int:
    """Serve in this process until SIGTERM; gives the exit status."""
    service: Service = program.service  # type: ignore[assignment] # it was prepared, or the load has failed
    _trial.Seeds(start["seed"], program.load.get("self_seeded") or [])
    _trial.reseed(program.module, program.load.get("reseed") or [], start["seed"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        listener = listen(start["socket"])
    except OSError as error:
        text = f"cannot listen on {start['socket']}: {error.strerror or error}"
        _report.send({"type": "error", "error": {"type": "OSError", "text": text, "frames": [], "traceback": text}})
        return _trial.PROGRAM
    worker: Any
    if service.signature.concurrent:
        from metaml import _concurrent

        worker = _concurrent.Worker(service, listener)
    else:
        worker = Worker(service, listener)
    _trial.on_term(worker.stop)
    _report.send({"type": "ready", "socket": start["socket"]})
    worker.run()
    return 0
