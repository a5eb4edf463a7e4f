"""Calls of a serving function, without input and output: what happens to each, in steps.

A step that has to wait yields what must be awaited, and gets what came of it, or its exception. The plain loop
(``worker.py``) waits in place, the asynchronous one (``concurrent.py``) lets other calls go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from metaml._values.signature import Rejected
from metaml._worker.batch import Batch
from metaml._worker.service import Service
from metaml._worker.stream import Stream
from metaml._worker.wire import ends

__all__ = ["Calls", "Steps"]

#: What a call does: yields what must be awaited.
Steps = Generator[Awaitable[Any], Any, None]

#: Types of results that are neither awaited nor drawn from, which need not be checked for it.
_PLAIN: set[type] = {dict, list, str, bytes, int, float, bool, type(None), tuple}


class Calls:
    """The calls of one connection and the streams that they have opened.

    Args:
        service: the function.
        send: takes the number of a call and the item that answers it.
        gone: whether nobody wants answers any more.
        task: what executes the step, to be cancelled by cancel; None where calls do not go on beside each other.
        cancel: ends what task gave, and waits for it.
        cancelled: what is raised where a step waited that was cancelled.
    """

    def __init__(
        self,
        service: Service,
        send: Callable[[int, bytes], None],
        *,
        gone: Callable[[], bool] = lambda: False,
        task: Callable[[], Any] = lambda: None,
        cancel: Callable[[Any], Awaitable[None]] | None = None,
        cancelled: type[BaseException] | tuple[()] = (),
    ) -> None:
        self.service = service
        self.streams: dict[int, Stream] = {}
        self._send = send
        self._gone = gone
        self._task = task
        self._cancel = cancel
        self._cancelled = cancelled

    def single(self, number: int, kind: int, data: Any, item_flags: int, path: dict[str, str]) -> Steps | None:
        """Call the function with one input; gives the steps that are left, or None: it is answered."""
        service = self.service
        try:
            result = service.call(service.argument(kind, data, path))
            if type(result) not in _PLAIN:
                return self._rest(number, result, item_flags)
            answer = service.answer(result)
        except BaseException as error:
            answer = self._failed(error)
        if answer:
            self._send(number, answer)
        return None

    def _rest(self, number: int, result: Any, item_flags: int) -> Steps:
        """What a call does with a result that may have to be awaited or drawn from."""
        try:
            if hasattr(result, "__await__"):
                result = yield result
            if (stream := self.service.stream(result, item_flags)) is not None:
                self.streams[number] = stream
                yield from self.part(number, stream)
                return
            answer = self.service.answer(result)
        except BaseException as error:
            answer = self._failed(error)
        if answer:
            self._send(number, answer)

    def _failed(self, error: BaseException) -> bytes:
        """The item of a call that raised; empty if nobody wants it any more."""
        if isinstance(error, Rejected):
            return self.service.rejected(error)
        return b"" if self._gone() else self.service.failed(error)

    def part(self, number: int, stream: Stream) -> Steps:
        """Answer with the next part of a stream, and close it after its last."""
        try:
            if hasattr(stream.source, "__anext__"):
                stream.waiting = self._task()
                part = stream.part((yield stream.source.__anext__()))
            else:
                part = stream.part(next(stream.source))
        except (StopIteration, StopAsyncIteration):
            part = stream.end()
        except BaseException as error:
            if self._gone() or (isinstance(error, self._cancelled) and number not in self.streams):
                return  # it was ended meanwhile
            part = self.service.failed(error, begun=stream.begun)
        finally:
            stream.waiting = None
        if number not in self.streams:
            return
        self._send(number, part)
        if ends(part):
            del self.streams[number]
            yield from self.close(stream)

    def close(self, stream: Stream) -> Steps:
        """End a generator."""
        if stream.waiting is not None and self._cancel is not None:  # one that runs cannot be closed
            yield self._cancel(stream.waiting)
        try:
            if hasattr(stream.source, "aclose"):
                yield stream.source.aclose()
            elif hasattr(stream.source, "close"):
                stream.source.close()
        except BaseException as error:
            self.service.failed(error, begun=True)

    def together(self, batch: Batch) -> Generator[Awaitable[Any], Any, bool]:
        """Call the function with all inputs of a frame; gives whether somebody wants the answers still."""
        call = self.service.call
        steps = batch.steps()
        try:
            argument = next(steps)
            while True:
                try:
                    result = call(argument)
                    if type(result) not in _PLAIN and hasattr(result, "__await__"):
                        result = yield result
                except BaseException as error:
                    if self._gone():
                        return False
                    argument = steps.throw(error)
                else:
                    argument = steps.send(result)
        except StopIteration:
            return True
