"""Distributions as hyperparameters: scipy's frozen ones, or whatever else has `rvs`, and Optuna's.

Neither library is imported: an object is recognised by what it has, and Optuna's distributions are plain data.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from typing import Any

from metaml._errors import Refused
from metaml._values.typed import kind_of

Draw = Callable[["Generators"], Any]

# Of these nothing need be checked.
_PLAIN = (int, float, str, bool, bytes, type(None), list, tuple, dict)


class Generators:
    """The random numbers of one draw; with a seed always the same."""

    def __init__(self, seed: int | None) -> None:
        self.plain = random.Random(seed)  # noqa: S311 - hyperparameters are no secret
        self._numpy: Any = None

    @property
    def numpy(self) -> Any:
        """A generator as scipy's distributions take it."""
        if self._numpy is None:
            from numpy.random import RandomState  # whoever has such a distribution has numpy

            self._numpy = RandomState(self.plain.getrandbits(32))
        return self._numpy


def drawing(value: Any) -> Draw | None:
    """How to draw from a distribution; None if the value is none."""
    if type(value) in _PLAIN or isinstance(value, type):
        return None
    if _is_optuna(value):
        return lambda generators: _optuna(value, generators.plain)
    if callable(getattr(value, "rvs", None)):
        return lambda generators: value.rvs(random_state=generators.numpy)
    if type(value).__module__.startswith("scipy.stats.") and callable(getattr(value, "sample", None)):
        return lambda generators: value.sample(rng=generators.numpy)
    return None


def sample(value: Any, name: str, source: str, generators: Generators) -> Any:
    """The value itself, or one drawn from it if it is a distribution.

    Raises:
        Refused: it cannot be drawn from.
    """
    draw = drawing(value)
    if draw is None:
        return value
    try:
        return draw(generators)
    except Exception as error:
        raise Refused(
            f"nothing can be drawn from `{name}` of `{source}`, {kind_of(value)}: {type(error).__name__}: {error}",
            "Give the distribution its arguments: scipy.stats.uniform(0, 1).",
            code="hyper-parameters",
        ) from None


def described(value: Any) -> str | None:
    """What distinguishes distributions, as text: its kind and what it was made with. None if the value is none.

    The pickle of scipy's would have the state of global random numbers in it.
    """
    if drawing(value) is None:
        return None
    inner = getattr(value, "dist", None)
    if inner is not None and hasattr(value, "kwds"):
        return f"{kind_of(inner)} {getattr(inner, 'name', '')} {value.args!r} {value.kwds!r}"
    text = repr(value)
    return kind_of(value) if " at 0x" in text else f"{kind_of(value)} {text}"


def _is_optuna(value: Any) -> bool:
    module = sys.modules.get("optuna.distributions")
    return module is not None and isinstance(value, module.BaseDistribution)


def _optuna(value: Any, generator: random.Random) -> Any:
    """As Optuna's RandomSampler draws."""
    if hasattr(value, "choices"):
        return generator.choice(value.choices)
    low, high, step = value.low, value.high, value.step
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        if value.log:
            drawn = math.exp(generator.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(drawn), low), high)
        return low + step * generator.randint(0, (high - low) // step)
    if value.log:
        return min(max(math.exp(generator.uniform(math.log(low), math.log(high))), low), high)
    if step is not None:
        return low + step * generator.randint(0, round((high - low) / step))
    return generator.uniform(low, high)
