"""Random generators of every library: seeding one, and putting one back into the state that it had.

Nogenerator here imports a library that is not loaded yet.
"""

from __future__ import annotations

import random
import types
from collections.abc import Callable
from typing import Any

__all__ = ["derived", "restorer", "sow"]


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


def restorer(generator: Any) -> Callable[[], None] | None:
    """What puts a generator, or a library's own one, back into the state that it is in now; None if it is neither."""
    if generator is random or isinstance(generator, random.Random):
        plain = generator.getstate()
        return lambda: generator.setstate(plain)
    kind = type(generator)
    if hasattr(kind, "bit_generator"):
        bits = generator.bit_generator
        state = bits.state
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, types.ModuleType):
        get, put = ("get_rng_state", "set_rng_state") if generator.__name__ == "torch" else ("get_state", "set_state")
    elif kind.__name__ in ("RandomState", "Generator") and kind.__module__.partition(".")[0] in ("numpy", "torch"):
        get, put = "get_state", "set_state"
    else:
        return None
    kept = getattr(generator, get)()
    return lambda: getattr(generator, put)(kept)
