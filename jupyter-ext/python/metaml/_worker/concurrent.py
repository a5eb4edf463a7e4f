"""The worker of an ``async def`` function: an event loop, and many calls at a time. Imported for such functions
alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

from metaml._worker import wire
from metaml._worker.batch import Batch
from metaml._worker.calls import Calls
from metaml._worker.service import Service, log
from metaml._worker.wire import CALL, MORE, QUIT, Garbage, Replies

__all__ = ["Worker"]


class Worker:
    """The life of one process: one front at a time, its calls beside each other."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.service = service
        self.listener = listener
        self.stopping = False
        self._awake, self._wake = os.pipe()

    def stop(self) -> None:
        """Called by the signal: end after the calls that are in progress."""
        self.stopping = True
        os.write(self._wake, b"\0")  # the loop waits for it

    def run(self) -> None:
        """Until :meth:`stop`."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        life = loop.create_task(self._live(loop))
        while not life.done():
            try:
                loop.run_until_complete(life)
            except (SystemExit, KeyboardInterrupt) as error:  # of a task that the function has started
                if not life.done():
                    self.service.failed(error)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        stop = asyncio.Event()
        loop.add_reader(self._awake, stop.set)
        stopped = loop.create_task(stop.wait())
        self.listener.setblocking(False)
        while not self.stopping:
            accept = loop.create_task(loop.sock_accept(self.listener))
            await asyncio.wait([accept, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not accept.done():
                accept.cancel()
                break
            front = _Front(self.service, loop)
            await loop.connect_accepted_socket(lambda front=front: front, accept.result()[0])  # type: ignore[misc]
            ends: list[asyncio.Future[Any]] = [front.gone, stopped]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await front.drain()
        loop.remove_reader(self._awake)
        stopped.cancel()


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


class _Front(asyncio.Protocol):
    """A connection."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.loop = loop
        self.gone: asyncio.Future[None] = loop.create_future()
        self.transport: Any = None
        self.calls = Calls(
            service,
            self._send,
            gone=self.gone.done,
            task=asyncio.current_task,
            cancel=_cancel,
            cancelled=asyncio.CancelledError,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._received = bytearray()
        self._finished: list[tuple[int, bytes]] = []
        self._replies = Replies(lambda data: self.transport.write(data))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.service.greeting())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        for task in self._tasks:
            task.cancel()
        for stream in self.calls.streams.values():
            self.loop.create_task(self._finish(self.calls.close(stream)))
        self.calls.streams.clear()

    async def drain(self) -> None:
        """Finish what is in progress, take nothing new, hang up."""
        self._draining = True
        self._settled()
        if not self.gone.done():
            idle: asyncio.Task[Any] = self.loop.create_task(self._idle.wait())
            ends: list[asyncio.Future[Any]] = [self.gone, idle]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
        self._flush()
        self.transport.close()
        await self.gone

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        at = 0
        try:
            while len(received) - at >= 16:
                size, kind, flags, count, number = wire.header(received, at)
                if len(received) - at < 16 + size:
                    break
                body = received[at + 16 : at + 16 + size]
                at += 16 + size
                self._frame(kind, flags, count, number, body)
        except (Garbage, struct.error) as error:
            log(f"metaml: the front sent {error}, and was hung up\n")
            self.transport.abort()
            at = len(received)
        del received[:at]

    def _frame(self, kind: int, flags: int, count: int, number: int, body: bytearray) -> None:
        if kind == CALL:
            if self._draining:
                return
            if self.service.batch:
                self._start(self._together(number, Batch(self.service, body, count, flags)))
                return
            items = wire.inputs(body, count, flags, self.service.signature.array)
            for at, (item_kind, data, item_flags, path) in enumerate(items):
                if (rest := self.calls.single(number + at, item_kind, data, item_flags, path)) is not None:
                    self._start(self._finish(rest))
        elif kind == MORE:
            if (stream := self.calls.streams.get(number)) is not None:
                self._start(self._finish(self.calls.part(number, stream)))
        elif kind == QUIT:
            if (stream := self.calls.streams.pop(number, None)) is not None:
                self._start(self._finish(self.calls.close(stream)))
        else:
            raise Garbage(f"a frame of type {kind}")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        self._idle.clear()
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._settled()

    def _settled(self) -> None:
        if not self._tasks and not self.calls.streams:
            self._idle.set()

    async def _finish(self, work: Generator[Awaitable[Any], Any, Any]) -> Any:
        """Take all steps of a call; others go on while it waits."""
        try:
            awaited = next(work)
            while True:
                try:
                    result = await awaited
                except BaseException as error:
                    awaited = work.throw(error)
                else:
                    awaited = work.send(result)
        except StopIteration as end:
            return end.value

    async def _together(self, number: int, batch: Batch) -> None:
        if await self._finish(self.calls.together(batch)):
            self._flush()
            batch.tell(self._replies, number)
            self._replies.flush()

    def _send(self, number: int, answer: bytes) -> None:
        """Calls that end in one turn of the loop are answered together."""
        if not self._finished:
            self.loop.call_soon(self._flush)
        self._finished.append((number, answer))

    def _flush(self) -> None:
        finished, self._finished = self._finished, []
        for number, answer in finished:
            self._replies.add(number, answer)
        self._replies.flush()
