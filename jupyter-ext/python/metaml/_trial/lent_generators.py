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
    afterwards: what is drawn meanwhile depends on the seed alone, and the session's own numbers go on as if novalue had
    been drawn.

    A library that is imported meanwhile is seeded too. TensorFlow, whose state cannot be had, is left alone.
    """
    libraries = [
        module for name in ("random", "numpy.random", "torch") if (module := sys.modules.get(name)) is not None
    ]
    generators = [(name, value) for name, value in reached(functions) if value not in libraries]
    back = [
        restore
        for _, value in [*((m.__name__, m) for m in libraries), *generators]
        if (restore := restorer(value)) is not None
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
    generators: list[tuple[str, Any]] = []
    waiting = list(functions)
    seen: list[Any] = []
    while waiting:
        function = waiting.pop()
        if any(function is other for other in seen):
            continue
        seen.append(function)
        names = dict.fromkeys(_names(function.__code__))
        values = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not bound yet
                values.append((name, cell.cell_contents))
        for name, value in values:
            if isinstance(value, types.FunctionType):
                waiting.append(value)
            elif isinstance(value, types.ModuleType) or any(value is other for other in seen):
                continue
            elif restorer(value) is not None:
                seen.append(value)
                generators.append((name, value))
    return generators


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)
