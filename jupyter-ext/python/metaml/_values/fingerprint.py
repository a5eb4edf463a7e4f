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


def differing(
    expected: Mapping[str, Mapping[str, Any]], namespace: Mapping[str, Any], key: str = ""
) -> list[dict[str, str]]:
    """Names whose value looks otherwise here than it did in the session: {name, live, here}, a few at most.

    Where no value may leave the session's machine, expected has codes in the place of reprs (mac), made with a key.
    What is found out with a key says no value of here either.
    """
    found: list[dict[str, str]] = []
    for name, then in expected.items():
        if len(found) == _MOST:
            break
        if "mac" in then and not key:
            continue
        try:
            if name not in namespace:
                now: dict[str, Any] = {"type": _NOT_DEFINED}
            else:
                now = {**look(namespace[name]), "type": type_name(namespace[name])}
        except Exception:  # noqa: S112 (whatever the value does when its repr is made; it is the program's, and it runs)
            continue
        if key and "repr" in now:
            now["mac"] = _mac(key, name, now.pop("repr"))
        if any(now.get(word) != value for word, value in then.items()):
            live, here = _words(then, key), _words(now, key)
            found.append({"name": name, "live": "another" if live == here else live, "here": here})
    return found


_NOT_DEFINED = "not defined"


def _mac(key: str, name: str, text: str) -> str:
    """The code of a name's repr, HMAC-SHA256 in hex (deployer/pod/ship/expected.go makes the other one)."""
    import hmac  # only where there is a key

    return hmac.new(key.encode(), f"{name}\0{text}".encode("utf-8", "backslashreplace"), "sha256").hexdigest()


def _words(about: Mapping[str, Any], key: str) -> str:
    if "repr" in about:
        return str(about["repr"])
    if "shape" in about:
        return " ".join(
            filter(None, [str(about.get("dtype", "")), "×".join(map(str, about["shape"])) or "a single number"])
        )
    kind = str(about.get("type", "something else"))
    return f"one {kind.removeprefix('builtins.')}" if key and kind != _NOT_DEFINED else kind
