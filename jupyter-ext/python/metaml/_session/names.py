"""What is alive at the top level of a session, and what a value is: the `names` of the session document and the answers
to `need {describe}`, `{distributions}` and `{with}` (docs/internals/protocols.md §1).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import sys
import tempfile
import types
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from metaml._errors import Refused
from metaml._values.fingerprint import look
from metaml._values.typed import resolve

LARGEST_WITH = 512 << 20  # bytes that one name may ship


def name_of(value: Any) -> dict[str, Any]:
    """The cheap description of a value: kind, module, qualname, type. Calls nothing of the user's."""
    kind = type(value)  # and never isinstance: a lazy proxy would load what it stands for
    if issubclass(kind, types.ModuleType):
        return {"kind": "module", "module": str(vars(value).get("__name__", ""))}
    home = kind.__module__ if isinstance(kind.__module__, str) else "?"
    if home.partition(".")[0] == "metaml":
        # A decorated function is still the user's function; a Run or a Server is ours.
        inner = value.__dict__.get("__wrapped__") if hasattr(value, "__dict__") else None
        if isinstance(inner, types.FunctionType):
            return name_of(inner)
        if kind.__name__ in ("Run", "Server"):
            return {"kind": "metaml", "type": f"metaml.{kind.__name__}"}
    if kind is types.FunctionType or kind is types.BuiltinFunctionType:
        return {
            "kind": "function",
            "module": _public(value.__module__),
            "qualname": value.__qualname__,
            "type": f"{home}.{kind.__name__}",
        }
    if issubclass(kind, type):
        return {
            "kind": "class",
            "module": _public(value.__module__),
            "qualname": value.__qualname__,
            "type": f"{home}.{kind.__name__}",
        }
    return {"kind": "value", "type": f"{home}.{kind.__qualname__}"}


def _public(module: Any) -> str:
    if not isinstance(module, str):
        return ""
    # What people import from us is in the package, not in its private modules.
    return "metaml" if module.startswith("metaml.") else module


def describe(name: str, namespace: Mapping[str, Any], *, size: bool = True) -> dict[str, Any] | None:
    """The deep description of a name, or None if it is not alive. Its size takes as long as pickling the value."""
    if name not in namespace:
        return None
    value = namespace[name]
    about = name_of(value)
    if about["kind"] == "module":
        about["importable"] = about["module"] in sys.modules and about["module"] != "__main__"
        return about
    module, qualname = about.get("module"), about.get("qualname")
    if module is None:  # an object of a library, such as numpy's ufuncs, that is known by name there
        module, qualname = (
            getattr(value, "__module__", None) or type(value).__module__,  # before numpy 2 they have none of their own
            getattr(value, "__qualname__", None) or getattr(value, "__name__", None),
        )
    named = isinstance(module, str) and isinstance(qualname, str) and module != "__main__"
    if named and resolve(str(module), str(qualname)) is value:
        about.update(importable=True, module=module, qualname=qualname)
    about.update(look(value))
    if size and about["kind"] == "value":
        about["size"] = _pickled_size(value)
    return about


class _Stable(pickle.Pickler):
    """Pickles sets in a sorted order, so that equal ones give equal bytes and with them the same run key. A dict keeps
    its order.
    """

    def reducer_override(self, value: Any) -> Any:
        if type(value) in (set, frozenset):
            return type(value), (_ordered(value),)
        return NotImplemented


def _ordered(items: Iterable[Any]) -> list[Any]:
    items = list(items)
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: (type(item).__qualname__, repr(item)))


class _TooLarge(Exception):
    pass


class _Counting(io.RawIOBase):
    """Counts and digests what is written, up to a limit, and hands it on."""

    def __init__(self, limit: int, to: io.BufferedWriter | None = None) -> None:
        self.count = 0
        self.digest = hashlib.sha256()
        self._limit = limit
        self._to = to

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.count += size
        if self.count > self._limit:
            raise _TooLarge
        if self._to is not None:
            self._to.write(data)
            self.digest.update(data)
        return size


def _pickled_size(value: Any) -> int:
    """Bytes that the value would ship; -1 if it cannot be pickled; at least the limit if it is larger."""
    count = getattr(value, "nbytes", None)
    if isinstance(count, int) and type(value).__module__.partition(".")[0] in ("numpy", "torch", "cupy"):
        return count
    out = _Counting(LARGEST_WITH)
    try:
        pickle.Pickler(out, protocol=4).dump(value)
    except _TooLarge:
        return LARGEST_WITH + 1
    except Exception:  # whatever an object's __reduce__ raises
        return -1
    return out.count


def ship(name: str, namespace: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Pickle the value of a name into a file in folder: {file, size in bytes, digest}.

    Sets are sorted first, since their order differs from process to process. The order of a dict is part of its value:
    it is kept.

    Raises:
        Refused: there is no such name, or its value cannot be pickled, or it is too large.
    """
    if name not in namespace:
        raise Refused(f"--with {name}: there is no `{name}` here", "Run the cell that defines it first.", code="with")
    path = os.path.join(folder, f"{name}.pickle")
    with open(path, "wb") as file:
        out = _Counting(LARGEST_WITH, file)
        try:
            _Stable(out, protocol=4).dump(namespace[name])
        except _TooLarge:
            raise Refused(
                f"--with {name}: its value is larger than {LARGEST_WITH >> 20} MiB",
                "Save it to a file, and read that in the function.",
                code="with",
            ) from None
        except Exception as error:  # whatever an object's __reduce__ raises
            raise Refused(
                f"--with {name}: its value cannot be pickled: {error}",
                "Make it inside the function instead.",
                code="with",
            ) from None
    return {"file": path, "size": out.count, "digest": out.digest.hexdigest()}


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that only this user can read, for what `--with` ships; its owner cleans it up when the conversation
    ends.
    """
    import fcntl

    folder = tempfile.TemporaryDirectory(prefix="metaml-staging-", ignore_cleanup_errors=True)
    # As `metaml` does with its own: what a killed process leaves is not locked, and the next one removes it.
    fd = os.open(folder.name, os.O_RDONLY)
    weakref.finalize(folder, os.close, fd)
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder


def distributions(modules: Iterable[str]) -> dict[str, dict[str, str]]:
    """Name and version of the installed distribution behind each top-level module.

    Looks at one distribution per module and not at all of them: mapping every import takes fifty times as long. Modules
    of the standard library and of the user are left out.
    """
    from importlib import metadata

    distributions: dict[str, dict[str, str]] = {}
    others: list[str] = []
    for module in modules:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        try:
            dist = metadata.distribution(_KNOWN.get(top, top))
            if not _provides(dist, top):
                raise metadata.PackageNotFoundError(top)
        except metadata.PackageNotFoundError:
            others.append(module)
            continue
        distributions[module] = {"name": dist.metadata["Name"], "version": dist.version}
    if others:
        distributions.update(_by_folder(others))
    return distributions


# Modules whose distribution has another name; only a short cut, what is not here is found by its folder.
_KNOWN = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def _provides(dist: Any, top: str) -> bool:
    """Whether the module that was imported lies where the distribution is. Two may share a name and not a folder."""
    module = sys.modules.get(top)
    origin = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if module is None or origin is None:
        return True
    root = os.path.realpath(str(dist.locate_file("")))
    return os.path.realpath(origin).startswith(root + os.sep) or _editable(dist)


def _editable(dist: Any) -> bool:
    return '"editable": true' in (dist.read_text("direct_url.json") or "")


def _by_folder(modules: list[str]) -> dict[str, dict[str, str]]:
    """Ask every distribution in the folders of these modules which modules it has."""
    from importlib import metadata

    wanted: dict[str, list[str]] = {}
    for module in modules:
        top = module.partition(".")[0]
        loaded = sys.modules.get(top)
        origin = getattr(loaded, "__file__", None) or next(iter(getattr(loaded, "__path__", ())), None)
        if origin is not None and ("site-packages" in origin or "dist-packages" in origin):
            wanted.setdefault(top, []).append(module)
    distributions: dict[str, dict[str, str]] = {}
    if not wanted:
        return distributions
    for dist in metadata.distributions():
        tops = (dist.read_text("top_level.txt") or "").split() or {
            part.partition(".")[0] if "/" not in part and part.endswith(".py") else part.partition("/")[0]
            for part in _record(dist)
        }
        for top in tops:
            for module in wanted.get(top, ()):
                distributions.setdefault(module, {"name": dist.metadata["Name"], "version": dist.version})
    return distributions


def _record(dist: Any) -> list[str]:
    """Paths in a distribution's RECORD, without what `metadata.files` makes of each."""
    return [line.partition(",")[0] for line in (dist.read_text("RECORD") or "").splitlines()]
