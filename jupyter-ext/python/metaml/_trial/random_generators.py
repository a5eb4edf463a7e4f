"""Random generators of every library: seeding one, and seeding the session's for a while.

Nothing here imports a library that is not loaded yet.
"""

from __future__ import annotations

import contextlib
import random
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["derived", "lent", "sow"]


def derived(seed: int, name: str) -> int:
    """A seed of its own for a name."""
    import hashlib  # 2 ms that a program without such generators need not spend

    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:4], "big")


def sow(generator: Any, seed: int) -> None:
    """Seed a generator in place.

    Raises:
        TypeError: it is none that is known.
    """
    if isinstance(generator, random.Random):
        generator.seed(seed)
    elif hasattr(generator, "bit_generator"):  # numpy.random.Generator
        bits = generator.bit_generator
        bits.state = type(bits)(seed).state
    elif hasattr(generator, "manual_seed"):  # torch.Generator
        generator.manual_seed(seed)
    elif hasattr(generator, "reset_from_seed"):  # tf.random.Generator
        generator.reset_from_seed(seed)
    elif hasattr(generator, "seed"):  # numpy.random.RandomState
        generator.seed(seed)
    else:
        raise TypeError(f"a {type(generator).__name__} cannot be reseeded")


def _kept(thing: Any) -> Callable[[], None] | None:
    """What puts a generator, or a library's own one, back into the state that it is in now; None if it is neither."""
    if thing is random or isinstance(thing, random.Random):
        plain = thing.getstate()
        return lambda: thing.setstate(plain)
    kind = type(thing)
    if hasattr(kind, "bit_generator"):
        bits = thing.bit_generator
        state = bits.state
        return lambda: setattr(bits, "state", state)
    if isinstance(thing, types.ModuleType):
        get, put = ("get_rng_state", "set_rng_state") if thing.__name__ == "torch" else ("get_state", "set_state")
    elif kind.__name__ in ("RandomState", "Generator") and kind.__module__.partition(".")[0] in ("numpy", "torch"):
        get, put = "get_state", "set_state"
    else:
        return None
    kept = getattr(thing, get)()
    return lambda: getattr(thing, put)(kept)


@contextlib.contextmanager
def lent(seed: int, functions: Iterable[types.FunctionType]) -> Iterator[None]:
    """Seed ``random``, ``numpy.random``, ``torch`` and the generators that functions reach, and put all of them back
    afterwards: what is drawn meanwhile depends on the seed alone, and the session's own numbers go on as if nothing had
    been drawn.

    A library that is imported meanwhile is seeded too. TensorFlow, whose state cannot be had, is left alone.
    """
    from metaml._trial import seeds

    libraries = [
        module for name in ("random", "numpy.random", "torch") if (module := sys.modules.get(name)) is not None
    ]
    generators = [(name, thing) for name, thing in reached(functions) if thing not in libraries]
    back = [
        restore
        for _, thing in [*((m.__name__, m) for m in libraries), *generators]
        if (restore := _kept(thing)) is not None
    ]
    try:
        with seeds.Seeds(seed, ["tensorflow"]):
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
            elif _kept(thing) is not None:
                seen.append(thing)
                found.append((name, thing))
    return found


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)
