"""``lock.txt``: the distributions behind the modules that a program loaded, ``name==version``, one a line.

``python -m metaml._loader.lock`` runs beside the trials at the lowest priority, so it may take its time. It reads
{file, modules} from its standard input, where modules maps each top-level module to its file or folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from metaml._package import FOLDER, SITE

__all__ = ["compile_ours", "locked", "modules"]


def modules() -> dict[str, str]:
    """The top-level modules that are loaded and not Python's own, with their file or folder."""
    files: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        if "." in name or name in sys.stdlib_module_names or name in ("__main__", "metaml"):
            continue
        try:
            # Not getattr: a lazy module would load.
            known = object.__getattribute__(module, "__dict__")
            place = known.get("__file__") or next(iter(known.get("__path__") or ()), None)
        except Exception:  # noqa: S112 (anything may be in sys.modules)
            continue
        if isinstance(place, str):
            files[name] = place
    return files


def locked(places: Mapping[str, str], cache: str | None = None) -> list[str]:
    """The lines of the lock, sorted. What each package folder has is kept in the folder cache until it changes."""
    lines: set[str] = set()
    folders: dict[str, dict[str, list[str]]] = {}
    for name, place in places.items():
        folder = _package_folder(name, place)
        if folder is None:
            continue
        if folder not in folders:
            folders[folder] = _known(folder, cache)
        lines.update(folders[folder].get(name, ()))
    return sorted(lines, key=str.lower)


def _package_folder(name: str, place: str) -> str | None:
    """The folder that a module was found in: where its distribution is described, too."""
    place = os.path.abspath(place)
    folder = os.path.dirname(place)
    if os.path.basename(place).startswith("__init__."):
        folder = os.path.dirname(folder)
    return folder if os.path.isdir(folder) else None


def _known(folder: str, cache: str | None) -> dict[str, list[str]]:
    """Module → its distributions, for one package folder."""
    import hashlib

    stamp = os.stat(folder).st_mtime_ns
    file = None
    if cache is not None:
        digest = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        file = os.path.join(cache, f"packages-{digest}.json")
        try:
            with open(file, encoding="utf-8") as f:
                kept = json.load(f)
            if kept["folder"] == folder and kept["modified"] == stamp:
                return dict(kept["modules"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
    owners = _distributions(folder)
    if file is not None:
        _replace(file, json.dumps({"folder": folder, "modified": stamp, "modules": owners}))
    return owners


def _distributions(folder: str) -> dict[str, list[str]]:
    from importlib import metadata

    owners: dict[str, list[str]] = {}
    for dist in metadata.distributions(path=[folder]):
        name = dist.metadata["Name"]
        if not name:
            continue
        tops = set((dist.read_text("top_level.txt") or "").split())
        for row in (dist.read_text("RECORD") or "").splitlines():
            path = row.partition(",")[0].strip('"')
            top, deeper, _ = path.partition("/")
            if top.isidentifier() and deeper:
                tops.add(top)
            elif not deeper and path.endswith((".py", ".so")):
                tops.add(top.partition(".")[0])
        for top in tops:
            owners.setdefault(top, []).append(f"{name}=={dist.version}")
    return owners


def _replace(path: str, text: str) -> None:
    """Write a file whole. Where it cannot be written it is left out."""
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)


def compile_ours() -> None:
    """Keep our own modules compiled, also for those who tell Python to keep nothing (PYTHONDONTWRITEBYTECODE): they
    mean their folders, and this one is in our cache. It saves each loader 15 ms.
    """
    import importlib.util
    import py_compile

    for folder, _, names in os.walk(FOLDER):
        for path in (os.path.join(folder, name) for name in names if name.endswith(".py")):
            compiled = importlib.util.cache_from_source(path)
            try:
                if not os.path.exists(compiled):
                    py_compile.compile(path, compiled, doraise=True)
            except (OSError, py_compile.PyCompileError):
                return


def main() -> None:
    """Write the lock of one run, then see to it that the next loader starts faster."""
    request: dict[str, Any] = json.load(sys.stdin)
    _replace(request["file"], "".join(f"{line}\n" for line in locked(request["modules"], SITE)))
    if sys.dont_write_bytecode:
        compile_ours()


if __name__ == "__main__":
    main()
