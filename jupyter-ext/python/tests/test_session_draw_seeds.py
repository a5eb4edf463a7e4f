"""A draw of hyperparameters with a seed."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from metaml._session.draw import Source, draw

own = random.Random(1)
modern = np.random.default_rng(2)
old = np.random.RandomState(3)


def helper() -> float:
    return own.random()


def single() -> dict[str, float]:
    return {"a": random.random(), "b": float(np.random.rand()), "c": helper(), "d": modern.random(), "e": old.rand()}


def endless() -> Iterator[dict[str, float]]:
    while True:
        yield single()


def closed() -> Callable[[], dict[str, float]]:
    inner = np.random.default_rng()
    return lambda: {"a": inner.random()}


class Sampler:
    def __call__(self) -> dict[str, float]:
        return {"a": random.random()}

    def method(self) -> dict[str, float]:
        return {"a": own.random()}


def rows(given: Any, seed: int | None, completions: int = 3) -> list[Any]:
    drawn: list[Any] = draw(Source(given, "hp"), completions=completions, seed=seed)["rows"]
    return drawn


@pytest.mark.parametrize(
    "make",
    [
        lambda: single,
        lambda: endless,
        endless,
        closed,
        lambda: functools.partial(single),
        Sampler,
        lambda: Sampler().method,
        lambda: lambda: {"lr": random.random()},
    ],
)
def test_the_same_seed_draws_the_same_rows(make: Callable[[], Any]) -> None:
    first = rows(make(), 5)
    assert rows(make(), 5) == first
    assert rows(make(), 5, completions=2) == first[:2]
    assert rows(make(), 6) != first
    assert len({str(row) for row in first}) == 3
    assert rows(make(), None) != rows(make(), None)


def test_the_sessions_own_numbers_go_on_as_if_nothing_had_been_drawn() -> None:
    def seeded() -> None:
        random.seed(7)
        np.random.seed(7)
        own.seed(7)
        modern.bit_generator.state = np.random.default_rng(7).bit_generator.state
        old.seed(7)

    seeded()
    untouched = single()
    seeded()
    rows(endless, 5)
    assert single() == untouched
