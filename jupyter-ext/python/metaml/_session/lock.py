"""The lock of the session: what is installed of all that a program imports, from which an image is made
(docs/internals/protocols.md §1, `need {lock}`).

It has the distributions that are imported, what these require, and the optional ones that were really loaded: pandas
requires no openpyxl, but where a cell read a spreadsheet, the program will need it, too. Nothing is imported for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import time
import types
from collections.abc import Iterable
from typing import Any

from metaml._session.closure import Closure
from metaml._session.installed import Distribution, Installed, installed
from metaml._session.markers import holds

# What runs a notebook and is in its process, also where the program has no need of it.
_HOSTS = ("ipykernel", "ipython", "metaml")

# Modules that say nothing of what a program needs. Every Python with setuptools loads the last one.
_NOBODYS = ("metaml", "__main__", "__mp_main__", "_distutils_hack")


def lock(modules: Iterable[str]) -> dict[str, Any]:
    """The lock of a program that imports these modules."""
    there = installed()
    closure = _Closure(there, _Loaded(there))
    unowned = []
    for module in modules:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or top in sys.builtin_module_names or top in _NOBODYS:
            continue
        owners = _owners(there, module)
        if not owners:
            unowned.append(module)
        for dist in owners:
            closure.add(dist, root=True)
    closure.add_loaded()
    about = {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
        "libc": _libc(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "packages": [closure.described(name) for name in sorted(closure.members)],
    }
    if unowned:
        about["unowned"] = sorted(unowned)
    return about


class _Closure(Closure):
    """Distributions with all that they require, and what was loaded besides. Whoever runs the program brings metaml."""

    def __init__(self, there: Installed, loaded: _Loaded) -> None:
        super().__init__(there, without=("metaml",))
        self._loaded = loaded

    def add_loaded(self) -> None:
        """Add the optional distributions that were loaded: those that a member offers as an extra, and those that the
        modules of a member refer to.

        An extra says little of what the notebook itself runs on: many offer IPython for their documentation.
        """
        hosts = _Closure(self._there, self._loaded)
        for name in _HOSTS:
            host = self._there.get(name)
            if host is not None and name not in self.members:
                hosts.add(host)
        seen: set[str] = set()
        while seen != self.members.keys():
            for name in self.members.keys() - seen:
                seen.add(name)
                offered = self._offered(self.members[name]) - hosts.members.keys()
                for other in sorted(offered | self._loaded.referred(name)):
                    found = self._there.get(other)
                    if found is not None and other not in self.members:
                        self.add(found, root=True)

    def _offered(self, dist: Distribution) -> set[str]:
        """What a distribution names under an extra, and is loaded."""
        return {
            requirement.name
            for requirement in dist.requires
            if requirement.marker and requirement.name in self._loaded.names and holds(requirement.marker, dist.extras)
        }

    def described(self, name: str) -> dict[str, Any]:
        return {**super().described(name), "loaded": name in self._loaded.names}


class _Loaded:
    """The distributions of which something is loaded in this process."""

    def __init__(self, there: Installed) -> None:
        self._owner: dict[str, str] = {}  # of a loaded module
        self._modules: dict[str, list[dict[str, Any]]] = {}  # names in a distribution's modules
        of_top: dict[str, list[Distribution]] = {}
        for module, value in list(sys.modules.items()):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top in _NOBODYS:
                continue
            known = _known(value)
            path = known.get("__file__")
            if not isinstance(path, str) or not os.path.isabs(path):  # that of torch.ops is "_ops.py"
                continue
            owners = of_top.get(top)
            if owners is None:
                owners = there.owners(top, path)
                if len(there.owners(top, None)) < 2:
                    of_top[top] = owners
                else:  # a namespace that several share
                    owners = there.owners(module, path)
            for dist in owners[:1]:
                self._owner[module] = dist.name
                self._modules.setdefault(dist.name, []).append(known)
        self.names = frozenset(self._modules)

    def referred(self, name: str) -> set[str]:
        """The distributions of the modules, functions and classes that stand in a distribution's modules."""
        found: set[str] = set()
        for known in self._modules.get(name, ()):
            for value in tuple(known.values()):
                kind = type(value)  # and never isinstance: a lazy proxy would load what it stands for
                if kind is types.ModuleType:
                    module = value.__dict__.get("__name__")
                elif kind is types.FunctionType or kind is type:
                    module = value.__module__
                else:
                    continue
                if isinstance(module, str) and module in self._owner:
                    found.add(self._owner[module])
        found.discard(name)
        return found


def _owners(there: Installed, module: str) -> list[Distribution]:
    """The distributions behind a module that a program imports."""
    top = module.partition(".")[0]
    path = _path(sys.modules.get(module))
    if path is not None:
        return there.owners(module, path)
    # A namespace has no file; what is loaded in it has, and nothing else of it was imported.
    loaded = {
        dist.name: dist
        for name, value in list(sys.modules.items())
        if name.startswith(f"{module}.") and (inner := _path(value)) is not None
        for dist in there.owners(name, inner)
    }
    return list(loaded.values()) or there.owners(module, _path(sys.modules.get(top)))


def _known(module: Any) -> dict[str, Any]:
    """The names in a module. Not by getattr: a lazy one would load."""
    with contextlib.suppress(Exception):  # anything may be in sys.modules
        if issubclass(type(module), types.ModuleType):
            known: dict[str, Any] = object.__getattribute__(module, "__dict__")
            return known
    return {}


def _path(module: Any) -> str | None:
    """The file of a module; None if it has none, as a namespace."""
    path = _known(module).get("__file__")
    return path if isinstance(path, str) and os.path.isabs(path) else None


def _libc() -> str:
    """Such as "glibc 2.36"; "" where there is another one."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    return ""
