"""Seeding the random numbers of libraries, as they are imported, and of generators at a program's top level."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from metaml._trial import report

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["Seeds", "reseed"]


class Seeds:
    """Seeds the libraries' random numbers: those that are loaded now, and each of the others when it is imported.

    As a context manager it stops watching imports at its end; without that it watches for good.
    """

    def __init__(self, seed: int, self_seeded: Sequence[str]) -> None:
        self.seed = seed
        self.modules: dict[str, Callable[[Any], None]] = {
            module: plant
            for library, module, plant in (
                ("random", "random", lambda m: m.seed(seed)),
                ("numpy", "numpy.random", lambda m: m.seed(seed % 2**32)),
                ("torch", "torch", lambda m: m.manual_seed(seed)),
                ("tensorflow", "tensorflow", lambda m: m.random.set_seed(seed)),
            )
            if library not in self_seeded
        }
        waiting = set()
        for name, plant in self.modules.items():
            if name in sys.modules:
                self._plant(plant, sys.modules[name])
            else:
                waiting.add(name)
        self._finder = _SeedOnImport(self, waiting)
        if waiting:
            sys.meta_path.insert(0, self._finder)

    @staticmethod
    def _plant(plant: Callable[[Any], None], module: Any) -> None:
        try:
            plant(module)
        except Exception as error:  # a module of that name that is something else
            print(f"metaml: {getattr(module, '__name__', module)} was not seeded: {error}", file=sys.stderr)

    def loaded(self, name: str, module: Any) -> None:
        self._plant(self.modules[name], module)

    def __enter__(self) -> Seeds:
        return self

    def __exit__(self, *_: object) -> None:
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)


class _SeedOnImport:
    """A finder for ``sys.meta_path``. It has no base class, since importing importlib.abc takes 8 ms."""

    def __init__(self, seeds: Seeds, waiting: set[str]) -> None:
        self.seeds = seeds
        self.waiting = waiting

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        self.waiting.discard(fullname)
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = getattr(spec.loader, "exec_module", None)
        if execute is not None:

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                self.seeds.loaded(fullname, module)

            with contextlib.suppress(AttributeError):
                spec.loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]
        return spec


def reseed(module: types.ModuleType, names: Sequence[str], seed: int) -> None:
    """Reseed top-level generators in place, each with a seed of its own."""
    if not names:
        return
    from metaml._trial import random_generators

    for name in names:
        try:
            random_generators.sow(getattr(module, name, None), random_generators.derived(seed, name))
        except Exception as error:
            report.send({"type": "note", "code": "reseed", "text": f"{name} was not reseeded: {error}"})
