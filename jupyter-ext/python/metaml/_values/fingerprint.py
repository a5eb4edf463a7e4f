"""What a value looks like, in a few words: its repr, or shape and dtype. The session tells those of the names that the
slicer asks for."""

from __future__ import annotations

from typing import Any

__all__ = ["LONGEST_REPR", "look"]

LONGEST_REPR = 200  # characters
_SCALARS = (int, float, bool, type(None), str)


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
