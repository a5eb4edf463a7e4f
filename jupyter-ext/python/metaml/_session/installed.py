"""What is installed in this interpreter, read from the folders on `sys.path`.

importlib.metadata gives the same, and takes ten times as long where all distributions are looked at: it parses whole
descriptions. What was read is kept until a folder changes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from metaml._session.markers import Requirement, normalized, parse


class Distribution:
    """An installed distribution, read as far as it is asked.

    Attributes:
        name: normalized.
        folder: where its modules are, on `sys.path`.
    """

    def __init__(self, name: str, folder: str, about: str) -> None:
        self.name = name
        self.folder = folder
        self._about = about  # its .dist-info or .egg-info

    @functools.cached_property
    def version(self) -> str:
        return self._metadata[0]

    @functools.cached_property
    def requires(self) -> list[Requirement]:
        return [read for read in map(parse, self._metadata[1]) if read is not None]

    @functools.cached_property
    def extras(self) -> list[str]:
        """The extras that it offers."""
        return self._metadata[2]

    @functools.cached_property
    def requires_python(self) -> str:
        """Which versions of Python it says that it runs on, such as ">=3.9"; "" if it does not say."""
        return self._metadata[3]

    @functools.cached_property
    def installer(self) -> str:
        """Who installed it, such as "pip", "uv" or "conda"; "" if nobody says."""
        said = self._read("INSTALLER").strip()
        return said or ("conda" if _of_conda(self.name, self.version) else "")

    @functools.cached_property
    def direct_url(self) -> dict[str, Any] | None:
        """From where it was installed, if that was no index: PEP 610."""
        with contextlib.suppress(ValueError):
            read = json.loads(self._read("direct_url.json") or "null")
            return read if isinstance(read, dict) else None
        return None

    @functools.cached_property
    def editable(self) -> bool:
        """Whether it is a folder of source that is worked on."""
        direct = self.direct_url or {}
        if isinstance(direct.get("dir_info"), dict) and direct["dir_info"].get("editable"):
            return True
        # What `setup.py develop` leaves is described where its source is.
        packages = os.path.basename(self.folder) in ("site-packages", "dist-packages")
        return self._about.endswith(".egg-info") and not packages

    @functools.cached_property
    def pure(self) -> bool | None:
        """Whether its wheel has Python alone; None if it was no wheel."""
        match = re.search(r"^Root-Is-Purelib:\s*(\w+)", self._read("WHEEL"), re.MULTILINE | re.IGNORECASE)
        return None if match is None else match[1].lower() == "true"

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """What it installed, relative to its folder. Nothing where it has no record."""
        return frozenset(line.partition(",")[0].strip('"') for line in self._read("RECORD").splitlines())

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """The top-level modules that it brings."""
        tops = {*self._read("top_level.txt").split()}
        for top, behind in set(_TOPS.findall(self._read("RECORD"))):
            if behind == "/":
                tops.add(top)
            elif top.endswith((".py", ".so")) and not top.startswith("__editable__"):
                tops.add(top.partition(".")[0])
        found = frozenset(top for top in tops if top.isidentifier() and top != "__pycache__")
        return found or frozenset((self.name.replace("-", "_"),))

    def has(self, path: str) -> bool:
        """Whether a module's file is one of its own."""
        if self.editable:
            source = unquote(urlsplit(str((self.direct_url or {}).get("url", ""))).path)
            return _below(path, source or self.folder)
        return _below(path, self.folder)

    @functools.cached_property
    def _metadata(self) -> tuple[str, list[str], list[str], str]:
        """Version, requirements, extras and versions of Python."""
        if not self._about.endswith(".dist-info"):
            from importlib.metadata import PathDistribution
            from pathlib import Path

            old = PathDistribution(Path(self._about))
            said = old.metadata
            extras = said.get_all("Provides-Extra") or []
            return old.version or "", old.requires or [], extras, (said.get_all("Requires-Python") or [""])[0]
        # Where the file is missing or broken, the folder's name still says the version.
        version = os.path.basename(self._about)[: -len(".dist-info")].rpartition("-")[2]
        requires, extras, python = [], [], ""
        for key, value in _headers(self._read("METADATA")):
            if key == "version" and value:
                version = value
            elif key == "requires-dist":
                requires.append(value)
            elif key == "provides-extra":
                extras.append(normalized(value))
            elif key == "requires-python":
                python = value
        return version, requires, extras, python

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self._about, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:  # also where .egg-info is a file
            return ""


_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508

_TOPS = re.compile(r'^"?([^/,"\n]+)([/,])', re.MULTILINE)


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """The fields before the description, with keys in lower case."""
    head = text.partition("\n\n")[0]
    for line in re.sub(r"\n[ \t]+", " ", head).split("\n"):
        key, _, value = line.partition(":")
        yield key.lower(), value.strip()


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep) or os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)


@functools.cache
def _conda() -> frozenset[str]:
    """NAME-VERSION of what conda installed."""
    with contextlib.suppress(OSError):
        names = os.listdir(os.path.join(sys.prefix, "conda-meta"))
        return frozenset(name.rsplit("-", 1)[0] for name in names if name.endswith(".json"))
    return frozenset()


def _of_conda(name: str, version: str) -> bool:
    return f"{name}-{version}" in _conda()


class Installed:
    """The distributions on a path; the first of a name counts."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._by_name: dict[str, Distribution] = {}
        for folder in folders:
            for dist in _in(folder):
                self._by_name.setdefault(dist.name, dist)

    def get(self, name: str) -> Distribution | None:
        """The distribution of a normalized name."""
        return self._by_name.get(name)

    def from_address(self, address: str) -> Distribution | None:
        """The distribution that was installed from an address, as it was given to pip."""
        for dist in self._by_name.values():
            if dist.direct_url and same_place(str(dist.direct_url.get("url", "")), address):
                return dist
        return None

    @functools.cached_property
    def _by_module(self) -> dict[str, list[Distribution]]:
        owners: dict[str, list[Distribution]] = {}
        for dist in self._by_name.values():
            for module in dist.modules:
                owners.setdefault(module, []).append(dist)
        return owners

    @functools.cached_property
    def _editable(self) -> list[Distribution]:
        return [dist for dist in self._by_name.values() if dist.editable]

    def owners(self, module: str, path: str | None) -> list[Distribution]:
        """The distributions that bring a module, which was loaded from path, or was not loaded (None).

        Several have parts of one namespace: of what is loaded the one that has the very file is given.
        """
        parts = module.split(".")
        found = self._by_module.get(parts[0], [])
        if path is None:
            if len(found) > 1 and len(parts) > 1:
                prefix = "/".join(parts)
                exact = [d for d in found if any(f.startswith((f"{prefix}/", f"{prefix}.")) for f in d.files)]
                return exact or found
            return found
        here = [dist for dist in found if dist.has(path)]
        if len(here) > 1:
            exact = [d for d in here if os.path.relpath(path, d.folder).replace(os.sep, "/") in d.files]
            here = exact or here
        return here or [dist for dist in self._editable if dist.has(path)]


def same_place(one: str, other: str) -> bool:
    """Whether two addresses are the same but for a login, the revision, and the system that keeps the source."""
    return _place(one) == _place(other)


def _place(address: str) -> str:
    split = urlsplit(re.sub(r"^(git|hg|svn|bzr)\+", "", address.strip()))
    path = split.path.rpartition("@")[0] or split.path
    return (split.hostname or "") + unquote(path).rstrip("/").removesuffix(".git").lower()


_kept: dict[tuple[tuple[str, int], ...], Installed] = {}


def stamps(path: Iterable[str]) -> dict[str, int]:
    """The folders of a search path and when each was changed last, in nanoseconds: as long as they stay, so does what
    is installed. What conda installs is in a folder of its own.
    """
    times: dict[str, int] = {}
    for folder in (*path, os.path.join(sys.prefix, "conda-meta")):
        with contextlib.suppress(OSError):
            times.setdefault(os.path.abspath(folder), os.stat(folder or ".").st_mtime_ns)
    return times


def installed() -> Installed:
    """What is installed now."""
    times = stamps(sys.path)
    key = tuple(times.items())
    if key not in _kept:
        _kept.clear()  # of what was, nothing is asked again
        _kept[key] = Installed(times)
    return _kept[key]


def _in(folder: str) -> Iterator[Distribution]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # a zip file, or not ours to read
        return
    for file in names:
        stem, kind = os.path.splitext(file)
        if kind not in (".dist-info", ".egg-info"):
            continue
        name = stem.rpartition("-")[0] if kind == ".dist-info" else stem.partition("-")[0]
        if _NAME.fullmatch(name):  # pip moves what it replaces to a name with a ~, and an interrupted one leaves it
            yield Distribution(normalized(name), folder, os.path.join(folder, file))
