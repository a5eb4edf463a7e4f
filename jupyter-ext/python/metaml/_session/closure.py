"""Installed distributions with all that they require."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metaml._session.installed import Distribution, Installed
from metaml._session.markers import holds


class Closure:
    """Distributions with all that they require.

    Attributes:
        members: by their normalized names.
        extras: of each member, those that somebody asks for.
        roots: the members that are asked for themselves.
    """

    def __init__(self, there: Installed, without: Iterable[str] = ()) -> None:
        self.members: dict[str, Distribution] = {}
        self.extras: dict[str, set[str]] = {}
        self.roots: set[str] = set()
        self._there = there
        self._without = frozenset(without)

    def add(self, dist: Distribution, *, root: bool = False, extras: Iterable[str] = ()) -> None:
        """Add a distribution and what it requires, with these extras."""
        if root:
            self.roots.add(dist.name)
        waiting: list[tuple[Distribution, frozenset[str]]] = [(dist, frozenset(extras))]
        while waiting:
            dist, asked = waiting.pop()
            known = self.extras.setdefault(dist.name, set())
            if dist.name in self._without or (dist.name in self.members and asked <= known):
                continue
            self.members[dist.name] = dist
            known |= asked
            for requirement in dist.requires:
                if holds(requirement.marker, known):
                    required = self._there.get(requirement.name)
                    if required is not None:
                        waiting.append((required, requirement.extras))

    def described(self, name: str) -> dict[str, Any]:
        """A member as in a lock."""
        dist = self.members[name]
        about: dict[str, Any] = {
            "name": name,
            "version": dist.version,
            "requires": [r.text for r in dist.requires if holds(r.marker, self.extras[name])],
            "installer": dist.installer,
            "editable": dist.editable,
            "root": name in self.roots,
        }
        if dist.direct_url is not None:
            about["direct_url"] = dist.direct_url
        if dist.pure is not None:
            about["pure"] = dist.pure
        return about
