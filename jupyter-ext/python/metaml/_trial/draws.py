"""Which statements of a program's top level drew from the global streams of random numbers."""

from __future__ import annotations

import random
import sys
from typing import Any

__all__ = ["Draws"]


class Draws:
    """Looks after each statement whether a stream has moved: of ``random``, numpy and torch, as far as they are loaded.

    A seed moves it, too: who reads this knows where the program seeds.

    Args:
        seed: with which libraries are seeded when they are loaded (seeds.py).
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lines: dict[str, list[int]] = {}
        self._before = self._states()

    def after(self, line: int) -> None:
        """The statement that begins at the line was executed; 0: all of them, at once."""
        now = self._states()
        for library, state in now.items():
            before = self._before[library] if library in self._before else self._sown(library)
            if before != state:
                self._lines.setdefault(library, []).append(line)
        self._before = now

    def lines(self) -> dict[str, list[int]]:
        """Library → the lines of the statements that moved its stream."""
        return self._lines

    def _sown(self, library: str) -> Any:
        """The state of a library that was loaded by the statement and has not been drawn from since: numpy loads its
        random numbers when they are first used.
        """
        try:
            if library == "numpy":
                state = sys.modules["numpy.random"].RandomState(self._seed % 2**32).get_state(legacy=False)
                return (state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"])
            return sys.modules["torch"].Generator().manual_seed(self._seed).get_state().numpy().tobytes()
        except Exception:
            return None

    @staticmethod
    def _states() -> dict[str, Any]:
        states: dict[str, Any] = {"random": random.getstate()}
        try:
            if (numpy := sys.modules.get("numpy.random")) is not None:
                state = numpy.mtrand._rand.get_state(legacy=False)
                states["numpy"] = (state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"])
        except (AttributeError, KeyError, TypeError):
            pass  # it is being imported, or has another generator
        try:
            if (torch := sys.modules.get("torch")) is not None:
                states["torch"] = torch.get_rng_state().numpy().tobytes()
        except Exception:  # noqa: S110 (a module of that name that is something else)
            pass
        return states
