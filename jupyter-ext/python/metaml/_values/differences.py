"""What is otherwise in a program than it was in the session that it was cut from, in the words of who reads it.

The session described its values (:mod:`metaml._values.described`), the program's are described in the same way and
compared. Where no value may leave the session's machine, the descriptions have codes in the place of digests, made with
a key; what is found out with a key says no value of here either.
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from metaml._values.described import Secrets, describe, environment

__all__ = ["MOST", "differing"]

MOST = 5  # differences that are reported
_GONE: dict[str, Any] = {"type": "\0"}


def differing(
    expected: Mapping[str, Any],
    namespace: Mapping[str, Any],
    key: str = "",
    draws: Mapping[str, Sequence[int]] = {},
) -> list[dict[str, str]]:
    """Names whose value is another one here than it was in the session: {name, text, place, statement}, a few at most,
    in the order in which the program makes them.

    Args:
        expected: what the file of the program says (protocols.md §2).
        namespace: the program's top level.
        key: with which the file's codes were made.
        draws: library → lines of the program that moved its stream of random numbers.
    """
    if expected.get("v") != 2:
        return []
    there = expected.get("environment") or {}
    here = environment((there.get("packages") or {}).keys())
    compare = _Compare(key, Secrets(os.environ), exact=there == here, other=_other_versions(there, here))
    seeded = expected.get("seeded") or {}
    by_chance = [n for library, lines in draws.items() for n in lines if n < seeded.get(library, sys.maxsize)]
    found: list[dict[str, str]] = []
    arrays: dict[Any, Any] = {}
    for name, then in sorted(expected["values"].items(), key=lambda item: _made(item[1])):
        if len(found) == MOST:
            break
        # Line 0 is any.
        if then.get("opaque") or any(a <= n <= b or n == 0 for a, b in then.get("lines") or () for n in by_chance):
            continue
        if name not in namespace:
            now: dict[str, Any] = _GONE
        else:
            value, visits = namespace[name], then.get("visits", 32)
            now = describe(value, visits, compare.secrets, arrays, inner=False)
            if compare.same(name, then, now):
                continue
            now = describe(value, visits, compare.secrets, arrays)
        text = compare.words(name, name, then, now)
        if text:
            left_out = then.get("left_out") or {}
            found.append(
                {"name": name, "text": text, **{k: left_out[k] for k in ("place", "statement") if k in left_out}}
            )
    return found


def _made(then: Mapping[str, Any]) -> int:
    """The last line of the program that makes a value. What others are made of comes before them: the first cause."""
    return max((last for _, last in then.get("lines") or ()), default=0)


def _other_versions(there: Mapping[str, Any], here: Mapping[str, Any]) -> set[str]:
    before, now = there.get("packages") or {}, here["packages"]
    return {name for name, version in before.items() if now.get(name) != version and name != "numpy"}


class _Compare:
    """How two descriptions are compared."""

    def __init__(self, key: str, secrets: Secrets, *, exact: bool, other: set[str]) -> None:
        self.key = key
        self.secrets = secrets
        self.exact = exact  # numbers have to be the same bit by bit
        self.other = other  # packages of which this process has another version

    def code(self, name: str, text: Any) -> Any:
        """What the file has in the place of a value: HMAC-SHA256 in hex (deployer/pod/ship/expected.go)."""
        if not self.key:
            return text
        data = f"{name}\0{text}".encode("utf-8", "backslashreplace")
        return hmac.new(self.key.encode(), data, "sha256").hexdigest()

    def same(self, name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether two descriptions are of the same value, as far as one can tell."""
        if then.get("opaque"):
            return True
        if self.other.intersection(then.get("packages") or ()) and now["type"] == then["type"]:
            return then.get("shape") == now.get("shape")  # what a library keeps in its objects is its own matter
        if now is _GONE or now.get("opaque") or now["type"] != then["type"]:
            return False
        if then["digest"] == self.code(name, now["digest"]):
            return True
        if self.exact or "numbers" not in then or "numbers" not in now:
            return False
        return then.get("frame") == self.code(name, now["frame"]) and self._near(name, then["numbers"], now["numbers"])

    def _near(self, name: str, then: Any, now: Any) -> bool:
        """Whether numbers are the same but for their last digits: each value shares a cell in one of the two grids."""
        return len(then) == len(now) and all(
            any(a == self.code(f"{name}\0{i}", b) for i, (a, b) in enumerate(zip(x, y, strict=True)))
            for x, y in zip(then, now, strict=True)
        )

    def words(self, name: str, path: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        """What is otherwise, in words; "" if nothing is."""
        if self.same(name, then, now):
            return ""
        if now is _GONE:
            return f"`{path}` is not defined here and is {_a(then, self.key)} in the notebook"
        if now.get("opaque"):
            return "" if now["type"] == then["type"] else self._types(path, then, now)
        if then["type"] != now["type"]:
            return self._types(path, then, now)
        return self._parts(name, path, then, now) or f"`{path}` has another content here than in the notebook"

    def _types(self, path: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        if not self.key and "repr" in then and "repr" in now:
            return f"`{path}` is {now['repr']} here and {then['repr']} in the notebook"
        return f"`{path}` is {_a(now, self.key)} here and {_a(then, self.key)} in the notebook"

    def _parts(self, name: str, path: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        if "repr" in then or "repr" in now:
            if self.key or "repr" not in then or "repr" not in now or then["repr"] == now["repr"]:
                return f"`{path}` is another {_short(now)} here than in the notebook"
            return f"`{path}` is {now['repr']} here and {then['repr']} in the notebook"
        if (text := _shapes(path, then, now)) or self.key:
            return text
        if then.get("size") != now.get("size"):
            unit = then.get("unit", "element")
            return f"`{path}` has {_count(now['size'], unit)} here and {then['size']} in the notebook"
        before, inside = then.get("parts") or {}, now.get("parts") or {}
        for label, part in before.items():
            if label not in inside:
                return f"`{path}{label}` is not there here, and is in the notebook"
            if inner := self.words(name, path + label, part, inside[label]):
                return inner
        for label in inside:
            if label not in before:
                return f"`{path}{label}` is there here, and not in the notebook"
        return ""


def _shapes(path: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How the shapes of tables and arrays differ."""
    a, b = now.get("shape"), then.get("shape")
    if a is None or b is None:
        if "dtype" in then and now.get("dtype") != then["dtype"]:  # a column
            return f"`{path}` is {now.get('dtype')} here and {then['dtype']} in the notebook"
        return ""
    if "DataFrame" in then["type"] and len(a) == len(b) == 2:
        for axis, unit in ((1, "column"), (0, "row")):
            if a[axis] != b[axis]:
                return f"`{path}` has {_count(a[axis], unit)} here and {b[axis]} in the notebook"
        return ""
    # What dtype pandas finds is a matter of its version.
    alike = now.get("dtype") == then.get("dtype") or then["type"].startswith("pandas.")
    if a != b and len(a) == len(b) == 1 and alike:
        return f"`{path}` has {_count(a[0], 'element')} here and {b[0]} in the notebook"
    if a != b or now.get("dtype") != then.get("dtype"):
        return f"`{path}` is {_shape(now)} here and {_shape(then)} in the notebook"
    return ""


def _shape(about: Mapping[str, Any]) -> str:
    return f"{about.get('dtype', '')} {'×'.join(map(str, about['shape'])) or 'a single number'}".strip()


def _count(size: int, unit: str) -> str:
    plural = unit[:-1] + "ies" if unit.endswith("y") else unit + "s"
    return f"{size} {unit if size == 1 else plural}"


def _short(about: Mapping[str, Any]) -> str:
    return {"int": "number", "float": "number", "str": "text", "pathlib.Path": "path"}.get(about["type"], "value")


def _a(about: Mapping[str, Any], key: str) -> str:
    """A value by its type, or its repr where that may be said."""
    if not key and "repr" in about:
        return str(about["repr"])
    if about["type"] == "NoneType":
        return "None"
    return f"{'an' if about['type'][:1].lower() in 'aeio' else 'a'} {about['type']}"
