"""Classes of a library whose methods have names that mean something else in pandas and numpy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator


class Layer:
    """Has a weight."""

    def __init__(self) -> None:
        self.w = 0

    def apply(self, function: Callable[[Layer], None]) -> Layer:
        function(self)
        return self

    def assign(self, w: int) -> None:
        self.w = w

    def view(self) -> Layer:
        return self

    def read(self) -> int:
        self.w += 1
        return self.w

    def get(self) -> int:
        self.w += 1
        return self.w

    def sample(self) -> int:
        self.w += 1
        return self.w

    def transform(self, x: int) -> None:
        self.w += x

    def map(self, function: Callable[[Layer], None]) -> None:
        function(self)

    def __call__(self, x: int) -> int:
        self.w += x
        return self.w

    def __iter__(self) -> Iterator[int]:
        yield self.w


known: list[str] = []


def register(c: type) -> type:
    known.append(c.__name__)
    return c


def set_seed(n: int) -> None:
    random.seed(n)
