"""A server's worker: takes calls from the front, gives them to the user's function, sends back what it returned.

The wire is ``wire.py``. :class:`Worker` is the loop of one process. Functions that are ``async def`` have a loop of
their own, in ``concurrent.py``.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Awaitable, Generator
from typing import Any

from metaml._trial import process, report, seeds
from metaml._trial.program import Program
from metaml._worker import wire
from metaml._worker.batch import Batch
from metaml._worker.calls import Calls
from metaml._worker.service import Service, log
from metaml._worker.wire import CALL, MORE, QUIT, Garbage, Reader, Replies

__all__ = ["Worker", "work"]


_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


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
        self.calls: Calls | None = None  # those of the front
        self._awake, self._wake = os.pipe()
        self._loop: Any = None  # for what a plain function returns that must be awaited

    def stop(self) -> None:
        """Called by the signal: end after the call that is in progress."""
        self.stopping = True
        if self.front is not None and not (self.calls and self.calls.streams):
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
                if self.calls is not None:
                    for stream in self.calls.streams.values():
                        self.finish(self.calls.close(stream))
                    self.calls = None
                front.close()

    def serve(self, front: socket.socket) -> None:
        """Answer one front until it hangs up."""
        frames = Reader(front.recv_into)
        replies = Replies(lambda data: front.sendall(data, _NOSIGNAL))
        service, array = self.service, self.service.signature.array
        self.calls = calls = Calls(service, replies.add)
        streams = calls.streams
        while not self.stopping or streams:
            frame = frames.frame()
            if frame is None:
                return
            kind, flags, count, number, body = frame
            if kind == CALL:
                if service.batch:
                    batch = Batch(service, body, count, flags)
                    self.finish(calls.together(batch))
                    batch.tell(replies, number)
                else:
                    if count > 1:
                        replies.begin()
                    for data_kind, data, item_flags, path in wire.inputs(body, count, flags, array):
                        if (rest := calls.single(number, data_kind, data, item_flags, path)) is not None:
                            self.finish(rest)
                        number += 1
            elif kind == MORE:
                if (stream := streams.get(number)) is not None:
                    self.finish(calls.part(number, stream))
            elif kind == QUIT:
                if (stream := streams.pop(number, None)) is not None:
                    self.finish(calls.close(stream))
            else:
                raise Garbage(f"a frame of type {kind}")
            replies.flush()

    def finish(self, work: Generator[Awaitable[Any], Any, Any]) -> Any:
        """Take all steps of a call, waiting in place."""
        try:
            awaited = next(work)
            while True:
                try:
                    result = self.wait_for(awaited)
                except BaseException as error:
                    awaited = work.throw(error)
                else:
                    awaited = work.send(result)
        except StopIteration as end:
            return end.value

    def wait_for(self, awaitable: Any) -> Any:
        """What a plain function returned to be awaited."""
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()

        async def result() -> Any:
            return await awaitable

        return self._loop.run_until_complete(result())


def work(program: Program, start: dict[str, Any]) -> int:
    """Serve in this process until SIGTERM; gives the exit status."""
    service: Service = program.service  # it was prepared, or the load has failed
    seed = start["seed"]
    if start["attempt"] > 1:  # one that takes the place of another does not draw the same once more
        seed = (seed + (start["attempt"] - 1) * 0x9E3779B97F4A7C15) % 2**63
    seeds.Seeds(seed, program.load.get("self_seeded") or [])
    seeds.reseed(program.module, program.load.get("reseed") or [], seed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        listener = listen(start["socket"])
    except OSError as error:
        text = f"cannot listen on {start['socket']}: {error.strerror or error}"
        report.send({"type": "error", "error": {"type": "OSError", "text": text, "frames": [], "traceback": text}})
        return process.PROGRAM
    worker: Any
    if service.signature.concurrent:
        from metaml._worker import concurrent

        worker = concurrent.Worker(service, listener)
    else:
        worker = Worker(service, listener)
    process.on_term(worker.stop)
    report.send({"type": "ready", "socket": start["socket"]})
    worker.run()
    return 0
