"""Functions whose call alone runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import Future
from typing import Any

import pytest

from metaml._trial.drive import drive, waits


def epochs() -> Generator[dict[str, int], None, str]:
    for epoch in range(3):
        yield {"loss": epoch}
    return "done"


async def waiting() -> str:
    await asyncio.sleep(0)
    return "waited"


async def streaming() -> AsyncIterator[int]:
    for number in range(2):
        await asyncio.sleep(0)
        yield number


async def inner() -> Any:
    return epochs()


def outer() -> Generator[int, None, Any]:
    yield 9
    return epochs()


@pytest.mark.parametrize(
    ("function", "reported", "result"),
    [
        (epochs, [{"loss": 0}, {"loss": 1}, {"loss": 2}], "done"),
        (waiting, [], "waited"),
        (streaming, [0, 1], None),
        (inner, [{"loss": 0}, {"loss": 1}, {"loss": 2}], "done"),
        (outer, [9, {"loss": 0}, {"loss": 1}, {"loss": 2}], "done"),
    ],
)
def test_what_is_yielded_is_reported_and_what_is_returned_is_the_result(
    function: Any, reported: list[Any], result: Any
) -> None:
    said: list[Any] = []
    called = function()
    assert waits(called)
    assert drive(called, said.append) == result
    assert said == reported


@pytest.mark.parametrize("value", [None, 1, {"a": 1}, [1], map(str, [1]), iter([1]), Future(), epochs, open])
def test_a_value_is_no_function_that_waits(value: Any) -> None:
    assert not waits(value)


def test_a_request_to_end_reaches_the_function_whenever_it_comes() -> None:
    saved = []

    def careful() -> Generator[int, None, str]:
        try:
            while True:
                yield 1
        except KeyboardInterrupt:
            saved.append("yes")
            return "interrupted"

    def report(_: Any) -> None:
        raise KeyboardInterrupt

    assert drive(careful(), report) == "interrupted"
    assert saved == ["yes"]


def test_the_end_of_an_async_generator_is_run_when_it_is_cut_short() -> None:
    saved = []

    async def careful() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            saved.append("yes")

    def report(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(careful(), report)
    assert saved == ["yes"]
