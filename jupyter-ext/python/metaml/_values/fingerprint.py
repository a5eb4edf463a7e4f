"""What a value looks like, in a few words that can be compared between two processes: its repr, or shape and dtype, or
type.

The session sends those of the names that a program keeps, the loader compares (docs/internals/engine.md). Imported by
every loader that is given something to compare, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LONGEST_REPR", "differing", "look", "type_name"]

LONGEST_REPR = 200  # characters
_SCALARS = (int, float, bool, type(None), str)
_MOST = 5  # differences that are reported


def type_name(value: Any) -> str:
    """The type as people write it, ``numpy.ndarray``."""
    kind = type(value)
    home = kind.__module__ if isinstance(kind.__module__, str) else "?"
    return f"{home}.{kind.__qualname__}"


def look(value: Any) -> dict[str, Any]:
    """The repr of a short scalar, shape and dtype of what has them, else nothing."""
    about: dict[str, Any] = {}
    if type(value) in _SCALARS:
        text = repr(value)
        if len(text) <= LONGEST_REPR:
            about["repr"] = text
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(type(n) is int for n in shape):
        about["shape"] = list(shape)
        if getattr(value, "dtype", None) is not None:
            about["dtype"] = str(value.dtype)
    return about


def differing(expected: Mapping[str, Mapping[str, Any]], namespace: Mapping[str, Any]) -> list[dict[str, str]]:
    """Names whose value looks otherwise here than it did in the session: {name, live, here}, a few at most."""
    found: list[dict[str, str]] = []
    for name, then in expected.items():
        if len(found) == _MOST:
            break
        try:
            if name not in namespace:
                now: dict[str, Any] = {"type": "not defined"}
            else:
                now = {**look(namespace[name]), "type": type_name(namespace[name])}
        except Exception:  # noqa: S112 (whatever the value does when its repr is made; it is the program's, and it runs)
            continue
        if any(now.get(key) != value for key, value in then.items()):
            found.append({"name": name, "live": _words(then), "here": _words(now)})
    return found


def _words(about: Mapping[str, Any]) -> str:
    if "repr" in about:
        return str(about["repr"])
    if "shape" in about:
        return " ".join(
            filter(None, [str(about.get("dtype", "")), "×".join(map(str, about["shape"])) or "a single number"])
        )
    return str(about.get("type", "something else"))
