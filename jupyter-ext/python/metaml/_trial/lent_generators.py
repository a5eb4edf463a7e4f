"""Seeding the random generators of a session for a while, and putting them back as they were."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from metaml._trial.random_generators import derived, restorer, sow
from metaml._trial.seeds import Seeds

__all__ = ["lent"]


@contextlib.contextmanager
def lent(seed: int, functions: Iterable[types.FunctionType]) -> Iterator[None]:
    """Seed ``random``, ``numpy.random``, ``torch`` and the generators that functions reach, and put all of them back
    afterwards: what is drawn meanwhile depends on the seed alone, and the session's own numbers go on as if nothing had
    been drawn.

    A library that is imported meanwhile is seeded too. TensorFlow, whose state cannot be had, is left alone.
    """
    libraries = [
        module for name in ("random", "numpy.random", "torch") if (module := sys.modules.get(name)) is not None
    ]
    generators = [(name, thing) for name, thing in reached(functions) if thing not in libraries]
    back = [
        restore
        for _, thing in [*((m.__name__, m) for m in libraries), *generators]
        if (restore := restorer(thing)) is not None
    ]
    try:
        with Seeds(seed, ["tensorflow"]):
            for name, generator in generators:
                sow(generator, derived(seed, name))
            yield
    finally:
        for restore in back:
            restore()


def reached(functions: Iterable[types.FunctionType]) -> list[tuple[str, Any]]:
    """The generators that functions, and those that they call by name, find in their globals and closures, by name."""
    found: list[tuple[str, Any]] = []
    waiting = list(functions)
    seen: list[Any] = []
    while waiting:
        function = waiting.pop()
        if any(function is other for other in seen):
            continue
        seen.append(function)
        names = dict.fromkeys(_names(function.__code__))
        things = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not bound yet
                things.append((name, cell.cell_contents))
        for name, thing in things:
            if isinstance(thing, types.FunctionType):
                waiting.append(thing)
            elif isinstance(thing, types.ModuleType) or any(thing is other for other in seen):
                continue
            elif restorer(thing) is not None:
                seen.append(thing)
                found.append((name, thing))
    return found


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)
