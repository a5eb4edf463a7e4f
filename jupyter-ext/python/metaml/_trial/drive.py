"""Runs a training function whose call alone runs nothing: a generator function, a coroutine function, or both at once.

What it yields is reported as by :func:`metaml.report`; what it returns is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["drive", "waits"]


def waits(called: Any) -> bool:
    """Whether what a call gave is a body that has not run yet. Known by its methods, so that compiled functions count
    too, and without abc, whose checks touch many pages of a forked trial. An iterator or a future is none of these, but
    a value.
    """
    kind = type(called)
    if hasattr(kind, "send"):
        return hasattr(kind, "__next__") or hasattr(kind, "__await__")
    return hasattr(kind, "__anext__") and hasattr(kind, "asend")


def drive(called: Any, report: Callable[[Any], None]) -> Any:
    """Run it to its end, hand what it yields to report, and give what it returned. What it raises passes through."""
    while waits(called):
        kind = type(called)
        if hasattr(kind, "__await__"):
            called = _run(_awaited(called))
        elif hasattr(kind, "__anext__"):
            called = _run(_each(called, report))
        else:
            called = _generated(called, report)
    return called


def _generated(generator: Any, report: Callable[[Any], None]) -> Any:
    error: BaseException | None = None
    while True:
        try:
            value = next(generator) if error is None else generator.throw(error)
        except StopIteration as end:
            return end.value
        error = None
        try:
            report(value)
        except BaseException as raised:  # a request to end, say: the function may want to save something
            error = raised


async def _awaited(called: Any) -> Any:
    return await called


async def _each(generator: Any, report: Callable[[Any], None]) -> None:
    try:
        async for value in generator:
            report(value)
    finally:
        if hasattr(generator, "aclose"):
            await generator.aclose()


def _run(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)
