"""What is kept of a value so that another process can say whether its own one is the same, and what is different: a
digest, and of its outermost shape as much as a sentence needs (docs/internals/protocols.md §2)."""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from metaml._values import content
from metaml._values.content import Walk, home, mro, numbers_of, skipped, state

__all__ = ["Secrets", "budget", "describe", "environment", "parts_of", "session", "type_name"]

LONGEST_REPR = 200  # characters
PARTS = 40  # of a value that are kept one by one
_VISITS = 6_000  # values that a session's names are looked at in, all together
_FIRST = 300  # of these, what each name may use in any case

_SCALARS = (int, float, bool, type(None), str, complex)


class Secrets:
    """What the environment's variables hold: no text that has one of these is ever said, and no such number."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {
            value for value in environ.values() if len(value) > 3 and value not in ("True", "False", "None")
        }

    def among(self, text: str) -> bool:
        """Whether a text is or has one."""
        return any(value in text for value in self._values)

    def one(self, text: str) -> bool:
        """Whether a text is one: of a number."""
        return text in self._values


def type_name(kind: type) -> str:
    """A class as people write it, ``numpy.ndarray``."""
    name = f"{home(kind)}.{type.__dict__['__qualname__'].__get__(kind)}"
    root = home(kind).partition(".")[0]
    if content.is_stand_in(kind):
        return "list"
    if root in ("pandas", "polars", "torch", "numpy"):
        return f"{root}.{kind.__name__}"  # the module within it is another one in each version
    if root == "pathlib":
        return "pathlib.Path"
    return name.removeprefix("builtins.").removeprefix("__main__.")


def environment(packages: Iterable[str] = ()) -> dict[str, Any]:
    """What the last digits of numbers, and the attributes of objects, depend on: where these are the same, numbers are
    compared bit by bit."""
    threads = next(
        (os.environ[n] for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if n in os.environ), ""
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "machine": f"{platform.machine()} {_processor()}",
        "threads": int(threads) if threads.isdecimal() else cores,
        "packages": {name: _version(name) for name in sorted({"numpy", *packages}) if name in sys.modules},
    }


def _version(name: str) -> str:
    version = vars(sys.modules[name]).get("__version__")
    return version if isinstance(version, str) else ""


@functools.cache
def _processor() -> str:
    try:
        # The system makes this text as it is read, in 3 ms for two processors; the first lines are enough.
        with open("/proc/cpuinfo", "rb", buffering=0) as f:
            text = f.read(512).decode("utf-8", "replace")
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")


def session(names: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The descriptions of some of a session's names, and what they depend on: {values, environment}."""
    secrets = Secrets(os.environ)
    there = [name for name in names if name in namespace]
    arrays: dict[Any, Any] = {}
    values, packages = {}, set()
    small = max(32, min(_FIRST, _VISITS // max(1, len(there))))
    large = []
    for name in there:
        values[name] = described = describe(namespace[name], small, secrets, arrays)
        if described.get("sampled") and described.pop("short", False):
            large.append(name)
    for name in large:
        most = budget(len(large), _VISITS - small * (len(there) - len(large)))
        if most > small:
            values[name] = describe(namespace[name], most, secrets, arrays)
    for described in values.values():
        described.pop("short", None)
        packages.update(described.get("packages", ()))
    return {"values": values, "environment": environment(packages)}


def budget(names: int, rest: int) -> int:
    """How many values each of some names may be looked at in."""
    return max(32, rest // max(1, names))


def describe(
    value: Any, visits: int, secrets: Secrets, arrays: dict[Any, Any] | None = None, *, inner: bool = True
) -> dict[str, Any]:
    """What is kept of a value. It never raises.

    Args:
        visits: how many values inside of it are looked at.
        secrets: what must not be said.
        arrays: what was found out of arrays before.
        inner: its parts are described, too.
    """
    kind = type(value)
    about: dict[str, Any] = {"type": type_name(kind)}
    arrays = {} if arrays is None else arrays
    try:
        walk = Walk(visits, arrays, _reader())
        frame = walk.visit(value)
        if frame == content.OPAQUE:
            about["opaque"] = True
            return about
        about["digest"] = _hex(frame + walk.exactly())
        if walk.floats:
            about["frame"] = _hex(frame)
            about["numbers"] = numbers_of(walk.floats)
        if walk.sampled:
            about["sampled"] = True
            about["short"] = walk.left < visits // 2
        if walk.packages:
            about["packages"] = sorted(walk.packages)
        about.update(_shape(value, kind, secrets))
        if inner:
            about["visits"] = visits
            most = min(PARTS, max(4, visits // 8))  # all of them together look at no more than the whole did
            parts = {
                label: describe(part, max(8, visits // most), secrets, arrays, inner=False)
                for label, part in islice(parts_of(value, kind).items(), most)
            }
            for part in parts.values():
                part.pop("short", None)
            parts = {label: part for label, part in parts.items() if not secrets.among(label)}
            if parts:
                about["parts"] = parts
    except Exception:  # whatever a damaged object of a library does: it cannot be compared
        return {"type": about["type"], "opaque": True}
    return about


def _reader() -> content.Reader | None:
    if not content.libraries():
        return None
    from metaml._values import tables

    return tables.reader


def _hex(frame: bytes) -> str:
    import hashlib

    return hashlib.blake2b(frame, digest_size=12).hexdigest()


def _shape(value: Any, kind: type, secrets: Secrets) -> dict[str, Any]:
    """Of a value what a sentence may say: its repr, its shape and dtype, how much it holds."""
    if kind in _SCALARS:
        if kind is str and len(value) > LONGEST_REPR:
            return {"size": len(value), "unit": "character"}
        if kind is int and value.bit_length() > 600:
            return {}
        text = repr(value)
        hidden = secrets.among(value) if kind is str else secrets.one(text)
        return {} if hidden or len(text) > LONGEST_REPR else {"repr": text}
    if content.is_enum(kind):
        return {"repr": f"{kind.__name__}.{object.__getattribute__(value, '_name_')}"}
    for base, unit in (
        (dict, "entry"),
        (list, "element"),
        (tuple, "element"),
        (set, "element"),
        (frozenset, "element"),
    ):
        if base in mro(kind):
            return {"size": base.__len__(value), "unit": unit}
    name = f"{home(kind).partition('.')[0]}.{kind.__name__}"
    if name == "collections.deque":
        return {"size": len(value), "unit": "element"}
    if name in ("_io.BytesIO", "_io.StringIO") and not value.closed:
        return {"size": len(value.getvalue()), "unit": "byte" if kind.__name__ == "BytesIO" else "character"}
    if kind in (bytes, bytearray):
        return {"size": len(value), "unit": "byte"}
    if type_name(kind) == "pathlib.Path" or home(kind) == "datetime":
        text = str(value) if type_name(kind) == "pathlib.Path" or kind.__name__ == "timedelta" else value.isoformat()
        return {} if secrets.among(text) or len(text) > LONGEST_REPR else {"repr": text}
    if content.libraries():
        from metaml._values import tables

        return tables.shape_of(value, kind)
    return {}


def parts_of(value: Any, kind: type) -> dict[str, Any]:
    """The outermost parts of a value by what they are called behind its name: ``["lr"]``, ``.coef_``."""
    if kind in _SCALARS or kind in (bytes, bytearray):
        return {}
    classes = mro(kind)
    if dict in classes:
        return {
            f"[{content.quoted(key)}]": part
            for key, part in islice(dict.items(value), PARTS)
            if type(key) in (str, int, bool, float)
            and (type(key) is not str or len(key) <= 60)
            and not content.measured(key)
        }
    if content.is_stand_in(kind) or kind in (list, tuple):
        return {f"[{i}]": part for i, part in enumerate(islice(value, PARTS))}
    if content.libraries():
        from metaml._values import tables

        if tables.kind_of(kind):
            return tables.parts_of(value, kind)
    if type in classes or skipped(kind):
        return {}
    if home(kind) in ("builtins", "functools", "collections", "_io", "datetime", "pathlib", "decimal"):
        return {}
    return {f".{name}": part for name, part in (state(value) or {}).items()}
