"""A server's worker: takes calls from the front, gives them to the user's function, sends back what it returned.

The wire is ``_wire.py``. :class:`Service` is what one function needs and is made before the workers are forked;
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
import sys
from typing import TYPE_CHECKING, Any

from metaml import _report, _results, _signature, _trial, _wire
from metaml._batch import Batch
from metaml._response import HTTPError, Response, head_of
from metaml._results import WrongResult
from metaml._stream import Stream
from metaml._wire import (
    ARRAY,
    BYTES,
    CALL,
    ERROR,
    EVENTS,
    FIELDS,
    FORM,
    JSON,
    MORE,
    NAMED,
    QUIT,
    TEXT,
    Garbage,
    Reader,
    Replies,
    ends,
    item,
)

if TYPE_CHECKING:
    from metaml._loader import Program

__all__ = ["Service", "Worker", "log", "work"]

_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class Service:
    """A function and all that its workers need: prepared once, before they are forked."""

    def __init__(self, program: Program, serve: dict[str, Any]) -> None:
        self.program = program
        self.name = program.entry
        self.batch = int(serve.get("batch") or 0)
        path = str(serve.get("path") or "/predict")
        self.signature = _signature.read(program.function(), self.name, batch=self.batch, path=path)
        self.call = self.signature.call
        hello = {
            "function": self.name,
            "input": self.signature.input,
            "batch": self.batch,
            "concurrent": 64 if self.signature.concurrent else 1,
            **self.signature.published(path),
        }
        if self.signature.concurrent:  # before the fork
            from metaml import _concurrent  # noqa: F401
        # A schema of pydantic may have a NaN as a default, which is not JSON.
        hello = json.loads(json.dumps(hello), parse_constant=lambda _: None)
        self.hello = json.dumps(hello, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def greeting(self) -> bytes:
        """The hello, as a frame."""
        return _wire.greeting(b'{"v":1,"pid":%d,%b' % (os.getpid(), self.hello[1:]))

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
            return item(JSON, _results.to_json(value))
        if kind is str:
            return item(TEXT, _results.utf8(value))
        if kind is int or (kind is float and math.isfinite(value)):
            return item(JSON, repr(value).encode())
        if kind is bytes or kind is bytearray or kind is memoryview:
            return item(BYTES, bytes(value))
        numpy = sys.modules.get("numpy")
        if numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic)) and _wire.travels(value.dtype):
            value = _native(value)
            if _infinite(value, numpy):
                _results.to_json(value)  # which names the place
            return _wire.array_item(value)
        if isinstance(value, Response):
            return self._response(value)
        if isinstance(value, HTTPError):
            return self.failed(value)
        if isinstance(value, str):
            return item(TEXT, _results.utf8(value))
        return item(JSON, _results.to_json(value))

    def _response(self, value: Response) -> bytes:
        body = value.body
        if value.status in (204, 304):
            return item(BYTES, b"", value.status, head_of(value))
        if isinstance(body, str):
            return item(TEXT, _results.utf8(body), value.status, head_of(value, text=True))
        if isinstance(body, (bytes, bytearray, memoryview)):
            return item(BYTES, bytes(body), value.status, head_of(value))
        return item(JSON, _results.to_json(body), value.status, head_of(value))

    def stream(self, result: Any, asked: int) -> Stream | None:
        """The stream of a generator; None: the result is none."""
        response = result if isinstance(result, Response) else None
        source = result if response is None else response.body
        if hasattr(source, "__next__") or hasattr(source, "__anext__"):
            return Stream(source, bool(asked & EVENTS), response)
        return None

    def rejected(self, error: _signature.Rejected) -> bytes:
        """The item that tells a caller what is wrong with the input."""
        return item(ERROR, _results.to_json(error.body), error.status)

    def failed(self, error: BaseException, *, begun: bool = False) -> bytes:
        """The item of a call that failed. The log has the reason, the caller an id that leads to it.

        An HTTPError is the function's own answer, and the log has it only where it is the server's fault, or where nobody else is
        told: the answer has begun, and is cut.
        """
        if isinstance(error, HTTPError) and error.status < 500 and not begun:
            return item(ERROR, _results.to_json({"error": error.text}), error.status, head_of(error))
        number = os.urandom(6).hex()
        if isinstance(error, HTTPError):
            log(f"metaml: {number} {self.name} answered {error}{', in a stream that had begun' * begun}\n")
            return item(ERROR, _results.to_json({"error": error.text, "id": number}), error.status, head_of(error))
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
        return item(ERROR, _results.to_json(body), 500)

    def rows(self, value: Any) -> tuple[bytes, ...]:
        """The body of a stacked reply whose items are an array's rows; empty if they have to be looked at one by one."""
        if not _wire.travels(value.dtype) or value.nbytes > _wire.MAX_FRAME - 1024 or not value.size:
            return ()
        value = _native(value)
        return () if _infinite(value, sys.modules["numpy"]) else _wire.rows(value)


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
        service, streams, array = self.service, self.streams, self.service.signature.array
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
                    for data_kind, data, asked, path in _wire.inputs(body, count, flags, array):
                        replies.add(number, self.one(number, data_kind, data, asked, path))
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

    def one(self, number: int, kind: int, data: Any, asked: int, path: dict[str, str]) -> bytes:
        """Call the function with one input; gives the item of the answer."""
        service = self.service
        try:
            result = service.call(service.argument(kind, data, path))
            if type(result) not in _HERE:
                if hasattr(result, "__await__"):
                    result = self.wait_for(result)
                if (stream := service.stream(result, asked)) is not None:
                    self.streams[number] = stream
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
            part = stream.end()
        except BaseException as error:
            part = self.service.failed(error, begun=stream.begun)
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
            self.service.failed(error, begun=True)

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


def work(program: Program, start: dict[str, Any]) -> int:
    """Serve in this process until SIGTERM; gives the exit status."""
    service: Service = program.service  # type: ignore[assignment] # it was prepared, or the load has failed
    seed = start["seed"]
    if start["attempt"] > 1:  # one that takes the place of another does not draw the same once more
        seed = (seed + (start["attempt"] - 1) * 0x9E3779B97F4A7C15) % 2**63
    _trial.Seeds(seed, program.load.get("self_seeded") or [])
    _trial.reseed(program.module, program.load.get("reseed") or [], seed)
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
