"""A server's worker: takes calls from the front, gives them to the user's function, sends back what it returned.

The wire is docs/protocols.md §7. :class:`Service` is what one function needs and is made before the workers are forked;
:class:`Worker` is the loop of one process. Functions that are ``async def`` have a loop of their own, in ``_concurrent.py``.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from metaml import _report, _results, _signature, _trial
from metaml._typed import a_kind_of

if TYPE_CHECKING:
    from metaml._loader import Program

__all__ = ["Garbage", "Reader", "Replies", "Service", "Stream", "listen", "work"]

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
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split(),
)
#: Seconds after which what is finished is sent, though more of the same frame is to come.
_PATIENCE = 0.001
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
        self.hello = json.dumps(hello, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def greeting(self) -> bytes:
        """The hello, as a frame."""
        body = b'{"v":1,"pid":%d,%b' % (os.getpid(), self.hello[1:])
        body += b" " * (-len(body) % 8)
        return _FRAME.pack(len(body), HELLO, 0, 0, 0) + body

    def inputs(self, body: bytearray, count: int, stacked: bool) -> Iterator[tuple[int, Any]]:
        """The items of a call: kinds and bodies; arrays are views of the body, which nobody else has."""
        array = self.signature.array
        if stacked:
            if array is None or not count:
                raise Garbage("a stacked call")
            kind, ndim, _, length = _ITEM.unpack_from(body)
            at, shape = self._shape(body, ndim, 8)
            if kind != ARRAY or at + count * length > len(body):
                raise Garbage("a stacked call")
            yield ARRAY, array.view(body, at, (count, *shape), count * length)
            return
        at = 0
        for _ in range(count):
            kind, ndim, _, length = _ITEM.unpack_from(body, at)
            at, shape = self._shape(body, ndim, at + 8)
            if at + length > len(body):
                raise Garbage("an item longer than its frame")
            if kind == ARRAY:
                if array is None:
                    raise Garbage("an array for a function that takes none")
                yield kind, array.view(body, at, shape, length)
            elif kind <= FIELDS:
                yield kind, body[at : at + length]
            else:
                raise Garbage(f"an item of kind {kind}")
            at += length + -length % 8

    @staticmethod
    def _shape(body: bytearray, ndim: int, at: int) -> tuple[int, tuple[int, ...]]:
        if not ndim:
            return at, ()
        if ndim >= len(_SHAPES):
            raise Garbage(f"an array of {ndim} dimensions")
        shape = _SHAPES[ndim]
        return at + shape.size, shape.unpack_from(body, at)

    def argument(self, kind: int, data: Any) -> Any:
        """What the function is called with; raises Rejected."""
        if kind == ARRAY:
            return self.signature.from_array(data)
        if kind == JSON:
            return self.signature.from_json(data)
        if kind == FIELDS:
            return self.signature.from_fields(json.loads(bytes(data)))
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
        if kind is bytes or kind is bytearray or kind is memoryview:
            return item(BYTES, bytes(value))
        numpy = sys.modules.get("numpy")
        if numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic)) and value.dtype.name in _DTYPES:
            value = _native(value, numpy)
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


class WrongResult(Exception):
    """What a function returned for a batch is not a result for each input."""


def item(kind: int, data: bytes, status: int = 200) -> bytes:
    """An item of a reply, but an array."""
    if len(data) > _MAX_FRAME - 64:
        raise WrongResult(f"a result of {len(data) >> 20} MiB, more than the 256 MiB that an answer may have")
    return b"".join((_ANSWER.pack(status, kind, 0, len(data)), data, _PADS[len(data) % 8]))


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _results.NotJSON("text with half a surrogate pair") from None


def _native(value: Any, numpy: Any) -> Any:
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

    def __init__(self, source: Any, step: Callable[[Any], Any]) -> None:
        self.source = source
        self._step = step
        self.kind = 0

    def next(self) -> bytes:
        """The item of the next part, or of the end. What the generator raises passes through."""
        try:
            value = self._step(self.source)
        except (StopIteration, StopAsyncIteration):
            return item(END, b"")
        return self.part(value)

    def part(self, value: Any) -> bytes:
        """The item of a part. The first decides what the stream is one of."""
        binary = isinstance(value, (bytes, bytearray, memoryview))
        if not self.kind:
            self.kind = PART_BYTES if binary else PART_TEXT if isinstance(value, str) else PART_LINES
        if self.kind == PART_LINES:
            return item(PART_LINES, _results.to_json(value) + b"\n")
        if binary:
            return item(self.kind, bytes(value))
        if isinstance(value, str):
            return item(self.kind, _text(value))
        raise _results.NotJSON(f"{a_kind_of(value)} in a stream of {'bytes' if self.kind == PART_BYTES else 'text'}")


class Replies:
    """Finished items, put together until they are sent: when a frame's calls took long, not for each of many short ones."""

    def __init__(self, send: Callable[[bytes], Any]) -> None:
        self._send = send
        self._items: list[bytes] = []
        self._first = 0
        self._size = 0
        self._since = 0.0

    def add(self, number: int, item: bytes) -> None:
        if self._items:
            late = time.monotonic() - self._since > _PATIENCE
            if (
                late
                or self._size + len(item) > _AT_ONCE
                or number != self._first + len(self._items)
                or len(self._items) == 0xFFFF
            ):
                self.flush()
        if not self._items:
            self._first, self._since = number, time.monotonic()
        self._items.append(item)
        self._size += len(item)

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
        size, kind, flags, count, number = _FRAME.unpack_from(self._buffer, start)
        if size % 8 or size > _MAX_FRAME:
            raise Garbage(f"a frame of {size} bytes")
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
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
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
            try:
                self.front.shutdown(socket.SHUT_RD)  # a read that waits ends
            except OSError:
                pass
        os.write(self._wake, b"\0")

    def run(self) -> None:
        """Until :meth:`stop`."""
        waiting = select.poll()
        waiting.register(self.listener, select.POLLIN)
        waiting.register(self._awake, select.POLLIN)
        while not self.stopping:
            waiting.poll()
            if self.stopping:
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
        batch = self.service.batch
        while not self.stopping or self.streams:
            frame = frames.frame()
            if frame is None:
                return
            kind, flags, count, number, body = frame
            if kind == CALL:
                try:
                    if batch:
                        self.together(replies, number, count, body, flags)
                    else:
                        for data_kind, data in self.service.inputs(body, count, bool(flags & STACKED)):
                            if flags & STACKED:
                                for one in data:
                                    replies.add(number, self.one(number, data_kind, one))
                                    number += 1
                            else:
                                replies.add(number, self.one(number, data_kind, data))
                                number += 1
                except struct.error as error:
                    raise Garbage("items that end too soon") from error
            elif kind == MORE:
                if (stream := self.streams.get(number)) is not None:
                    replies.add(number, self.part(number, stream))
            elif kind == QUIT:
                if (stream := self.streams.pop(number, None)) is not None:
                    self.close(stream)
            else:
                raise Garbage(f"a frame of type {kind}")
            replies.flush()

    def one(self, number: int, kind: int, data: Any) -> bytes:
        """Call the function with one input; gives the item of the answer."""
        service = self.service
        try:
            result = service.call(service.argument(kind, data))
            if hasattr(result, "__next__") or hasattr(result, "__anext__") or hasattr(result, "__await__"):
                return self.drawn(number, result)
            return service.answer(result)
        except _signature.Rejected as error:
            return service.rejected(error)
        except BaseException as error:
            return service.failed(error)

    def drawn(self, number: int, result: Any) -> bytes:
        """Answer with what is not there yet: a generator's first part, or what a coroutine returns."""
        if hasattr(result, "__await__"):
            return self.service.answer(self.wait_for(result))
        step = next if hasattr(result, "__next__") else lambda source: self.wait_for(source.__anext__())
        stream = Stream(result, step)
        self.streams[number] = stream
        return self.part(number, stream)

    def part(self, number: int, stream: Stream) -> bytes:
        try:
            part = stream.next()
        except BaseException as error:
            part = self.service.failed(error)
        if part[2] in (END, ERROR):
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
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()

        async def result() -> Any:
            return await awaitable

        return self._loop.run_until_complete(result())

    def together(self, replies: Replies, number: int, count: int, body: bytearray, flags: int) -> None:
        """Call the function with all inputs of a frame."""
        for at, answer in Batch(self.service, body, count, bool(flags & STACKED)).answers(self.service.call):
            replies.add(number + at, answer)


class Batch:
    """The inputs of one call of a function that takes several."""

    def __init__(self, service: Service, body: bytearray, count: int, stacked: bool) -> None:
        self.service = service
        self.inputs: list[tuple[int, Any]] = []
        self.rejected: list[tuple[int, bytes]] = []
        at = 0
        for kind, data in service.inputs(body, count, stacked):
            for one in data if stacked else (data,):
                try:
                    self.inputs.append((at, service.argument(kind, one)))
                except _signature.Rejected as error:
                    self.rejected.append((at, service.rejected(error)))
                except BaseException as error:
                    self.rejected.append((at, service.failed(error)))
                at += 1

    def answers(self, call: Callable[[Any], Any]) -> list[tuple[int, bytes]]:
        """The answers of all inputs."""
        values = [value for _, value in self.inputs]
        found = list(self.rejected)
        if values:
            try:
                answers = self.called(call, values)
            except BaseException as error:
                answers = [self.service.failed(error)] if len(values) == 1 else [self.alone(call, value) for value in values]
            found += zip((at for at, _ in self.inputs), answers, strict=True)
        return sorted(found)

    def called(self, call: Callable[[Any], Any], values: list[Any]) -> list[bytes]:
        results = call(values)
        return [self.service.answer(result) for result in results]

    def alone(self, call: Callable[[Any], Any], value: Any) -> bytes:
        try:
            return self.called(call, [value])[0]
        except BaseException as error:
            return self.service.failed(error)


def work(program: Program, start: dict[str, Any]) -> int:
    """Serve in this process until SIGTERM; gives the exit status."""
    service = program.service
    assert service is not None
    _trial.Seeds(start["seed"], program.load.get("self_seeded") or [])
    _trial.reseed(program.module, program.load.get("reseed") or [], start["seed"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        listener = listen(start["socket"])
    except OSError as error:
        text = f"cannot listen on {start['socket']}: {error.strerror or error}"
        _report.send({"type": "error", "error": {"type": "OSError", "text": text, "frames": [], "traceback": text}})
        return _trial.PROGRAM
    worker = Worker(service, listener)
    _trial.on_term(worker.stop)
    _report.send({"type": "ready", "socket": start["socket"]})
    worker.run()
    return 0
