"""What a script that is not executed needs of the distributions that are installed: those behind its imports, those
that its author asked pip for, and all that these require.

`metaml-nbconvert` sends this module and those that it imports to the interpreter whose environment is meant, which
need not have metaml, and may be older than what metaml runs on: Python 3.9.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

from metaml._session.closure import Closure
from metaml._session.installed import Distribution, Installed, installed, same_place
from metaml._session.markers import Requirement, holds, parse, remaining, satisfies


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """What stands behind imports and requirements.

    Args:
        question: "imports": lists of a module and the names that are imported from it; "asked": requirements as they
            were given to pip, an address without a name among them.
    """
    there = installed()
    closure = Closure(there)
    asked = [_asked(there, closure, text) for text in question["asked"]]
    # What the script itself installs in another version is not what is installed here.
    others = {found["name"] for found in asked if found.get("other")}
    imports = [_imported(there, closure, module, names, others) for module, names in question["imports"]]
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "platform": sysconfig.get_platform(),
        "markers": {
            "sys_platform": sys.platform,
            "platform_machine": platform.machine(),
            "implementation_name": sys.implementation.name,
        },
        "imports": imports,
        "asked": asked,
        "packages": [_described(there, closure, name) for name in sorted(closure.members)],
    }


def _asked(there: Installed, closure: Closure, text: str) -> dict[str, Any]:
    """A requirement that was given to pip, and what is installed of it."""
    requirement = None if "://" in text.partition("@")[0] else parse(text)
    extras: frozenset[str] = frozenset()
    if requirement is None:
        dist = there.from_address(text)
    elif not holds(requirement.marker):
        return {"name": requirement.name, "never": True}
    else:
        dist, extras = there.get(requirement.name), requirement.extras
    found: dict[str, Any] = {"name": dist.name if dist is not None else requirement.name if requirement else ""}
    if dist is None:
        return found
    if requirement is not None and not _fits(dist, requirement):
        return {**found, "other": dist.version}
    closure.add(dist, root=True, extras=extras)
    return found


def _fits(dist: Distribution, requirement: Requirement) -> bool:
    """Whether what is installed is what the requirement asks for."""
    address = requirement.text.partition("@")[2]
    if address:
        return same_place(str((dist.direct_url or {}).get("url", "")), address)
    return satisfies(dist.version, requirement.specifiers)


def _imported(there: Installed, closure: Closure, module: str, names: list[str], others: set[str]) -> dict[str, Any]:
    """The distributions behind an import, which join the closure."""
    owners, shared = _owners(there, module, names)
    if not owners and not shared:
        top = module.partition(".")[0]
        path = _origin(top)
        if path is None:
            return {"missing": True}
        if path in ("built-in", "frozen") or _standard(path):
            return {"standard": True}
        owners = there.owners(top, path)
        if not owners:
            return {"unowned": True}
    for dist in owners:
        if dist.name not in others:
            closure.add(dist, root=True)
    return {"owners": [dist.name for dist in owners], "shared": [dist.name for dist in shared]}


def _owners(there: Installed, module: str, names: list[str]) -> tuple[list[Distribution], list[Distribution]]:
    """The distributions that bring a module, and those that share a namespace of which no part is named."""
    top = module.partition(".")[0]
    found = there.owners(top, None)
    if len(found) < 2:
        return found, []
    whole = {
        dist.name: dist for dist in found if any(file in dist.files for file in (f"{top}/__init__.py", f"{top}.py"))
    }
    for part in [module, *(f"{module}.{name}" for name in names)]:
        while part != top:  # the rest may be no module
            prefix = part.replace(".", "/")
            exact = [d for d in found if any(file.startswith((f"{prefix}/", f"{prefix}.")) for file in d.files)]
            whole.update((dist.name, dist) for dist in exact)
            part = top if exact else part.rpartition(".")[0]
    return (list(whole.values()), []) if whole else ([], found)


def _origin(top: str) -> str | None:
    """The file or folder of a module, which is not executed for it; None if there is no such module."""
    with contextlib.suppress(Exception):  # an editable installation may bring a finder of its own
        spec = importlib.util.find_spec(top)
        if spec is not None:
            return spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    return None


def _standard(path: str) -> bool:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    below = any(path.startswith(os.path.join(folder, "")) for folder in folders if folder)
    return below and "site-packages" not in path and "dist-packages" not in path


def _described(there: Installed, closure: Closure, name: str) -> dict[str, Any]:
    dist, extras = closure.members[name], closure.extras[name]
    about = closure.described(name)
    needs = []
    for requirement in dist.requires:
        if holds(requirement.marker, extras):
            member = requirement.name in closure.members
            needs.append(
                {"name": requirement.name, "marker": remaining(requirement.marker, extras), "missing": not member}
            )
    about.update(needs=needs, requires_python=dist.requires_python)
    if dist.editable and dist.direct_url is None:  # by `setup.py develop`, which is older than PEP 610
        about["direct_url"] = {"url": Path(dist.folder).as_uri(), "dir_info": {"editable": True}}
    return about
