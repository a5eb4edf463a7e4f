"""A batch: several inputs that go to a function at once, and what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from metaml._values.json_text import WrongResult, simpler
from metaml._values.signature import Rejected
from metaml._values.typed import a_kind_of
from metaml._worker import wire

if TYPE_CHECKING:
    from metaml._worker.service import Service

__all__ = ["Batch"]


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
    if all(type(result) is numpy.ndarray and result.dtype is dtype and result.shape == shape for result in results):
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
        stacked = wire.stacked(body, count, signature.array) if flags & wire.STACKED else None
        if stacked is not None:
            try:
                signature.from_array(stacked[0])
            except Rejected as error:
                self.answers = dict.fromkeys(range(count), service.rejected(error))
                return
            self._at = list(range(count))
            # Rows, not numpy's scalars, also where an input is a single number.
            self._values = (
                stacked
                if signature.stacked
                else list(stacked)
                if stacked.ndim > 1
                else [stacked[i, ...] for i in self._at]
            )
            return
        for at, (kind, data, _, path) in enumerate(wire.inputs(body, count, flags, signature.array)):
            try:
                self._values.append(service.argument(kind, data, path))
                self._at.append(at)
            except Rejected as error:
                self.answers[at] = service.rejected(error)
            except BaseException as error:
                self.answers[at] = service.failed(error, several=self.count > 1)

    def steps(self) -> Generator[Any, Any, None]:
        """The arguments with which to call the function; gets what it returned or raised."""
        for positions, argument in self._groups():
            try:
                results = yield argument
            except BaseException as error:
                if len(positions) == 1:
                    self.answers[positions[0]] = self.service.failed(error, several=self.count > 1)
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
        for rows in by_shape.values():
            yield [self._at[i] for i in rows], sys.modules["numpy"].stack([values[i] for i in rows])

    def _one_by_one(self, positions: list[int], argument: Any) -> Generator[Any, Any, None]:
        for i, at in enumerate(positions):
            try:
                results = yield argument[i : i + 1]
            except BaseException as error:
                self.answers[at] = self.service.failed(error, several=self.count > 1)
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
                self.answers[at] = service.failed(error, several=self.count > 1)
            return
        for at, result in zip(positions, results, strict=True):
            try:
                self.answers[at] = service.answer(result)
            except BaseException as error:
                self.answers[at] = service.failed(error, several=self.count > 1)

    def _sequence(self, results: Any, n: int) -> Any:
        kind, given = type(results), f"a list of {n} input{'s' * (n != 1)}"
        if kind.__module__.partition(".")[0] == "pandas":
            results = simpler(results)
        elif kind is not list and kind is not tuple:
            plain = isinstance(results, (str, bytes, bytearray, dict, set, frozenset))
            if plain or not hasattr(kind, "__len__") or not hasattr(kind, "__iter__"):
                raise WrongResult(f"{self.service.name} returned {a_kind_of(results)} for {given}, not a list")
            if not getattr(results, "shape", True):
                raise WrongResult(f"{self.service.name} returned a single value for {given}, not a list")
        if len(results) != n:
            m = len(results)
            raise WrongResult(
                f"{self.service.name} returned {m} result{'s' * (m != 1)} for {given}; "
                "with --batch it must return as many as it gets"
            )
        return results

    def tell(self, replies: wire.Replies, number: int) -> None:
        """Answer, in the order of the inputs."""
        if self._whole:
            replies.stacked(number, self.count, self._whole)
            return
        for at in range(self.count):
            replies.add(number + at, self.answers[at])
