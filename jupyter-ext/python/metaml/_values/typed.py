"""Typed values: how hyperparameters travel as JSON without losing their type (docs/internals/protocols.md §2).

:func:`encode` turns a Python value into JSON-ready data or refuses it by name, :func:`decode` turns it back. numpy,
pandas, torch and others are recognised without being imported.
"""

from __future__ import annotations

import base64
import importlib
import math
import sys
import types
from typing import Any

from metaml._errors import Refused

_BIGGEST = 2**53  # integers beyond it travel as text
_DEEPEST = 50


def encode(value: Any, name: str, *, array: bool = False) -> Any:
    """The JSON-ready form of a value.

    Args:
        value: int, float, bool, str, bytes, None; tuple, list, dict of such; a numpy scalar or an array with one
            element; an importable class or function.
        name: what the value is called in a refusal.
        array: the parameter is annotated as an array or a list: arrays become lists, also those of length 1.

    Raises:
        Refused: the value cannot travel, with what to do about it.
    """
    return _encode(value, name, array, 0)


def _encode(value: Any, name: str, array: bool, depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return _text(value, name)
    if kind is int:
        return value if -_BIGGEST <= value <= _BIGGEST else {"$": "int", "v": str(value)}
    if kind is float:
        return _float(value)
    if depth > _DEEPEST:
        raise _refused(name, "is nested too deeply or contains itself", "Pass a flat value.")
    if kind is bytes:
        return {"$": "bytes", "v": base64.b64encode(value).decode("ascii")}
    if kind is list:
        return [_encode(item, f"{name}[{i}]", array, depth + 1) for i, item in enumerate(value)]
    if kind is tuple:
        return {"$": "tuple", "v": [_encode(item, f"{name}[{i}]", array, depth + 1) for i, item in enumerate(value)]}
    if kind is dict:
        return _dict(value, name, array, depth)
    return _other(value, name, array, depth)


def _text(value: str, name: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused(name, "is a text with half a surrogate pair", "Pass it as bytes.") from None
    return value


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    return {"$": "float", "v": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}


def _dict(value: dict[Any, Any], name: str, array: bool, depth: int) -> Any:
    if all(type(key) is str and key != "$" for key in value):
        return {_text(k, name): _encode(v, f"{name}[{k!r}]", array, depth + 1) for k, v in value.items()}
    return {
        "$": "dict",
        "v": [
            [_encode(k, f"a key of {name}", False, depth + 1), _encode(v, f"{name}[{k!r}]", array, depth + 1)]
            for k, v in value.items()
        ],
    }


def _other(value: Any, name: str, array: bool, depth: int) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _numpy_scalar(value, name, array, depth, numpy)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and callable(getattr(value, "item", None)) and not isinstance(value, type):
        return _array(value, tuple(shape), name, array, depth, numpy)
    named = isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)) or hasattr(value, "__qualname__")
    if named or (numpy is not None and isinstance(value, numpy.ufunc)):
        return {"$": "ref", "v": reference(value, name)}
    if isinstance(value, types.MethodType):
        raise _refused(name, "is a method of an object", "Pass a name, and look the method up in the function.")
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        owner = reference(type(value), name)
        return {"$": "ref", "v": f"{owner}.{value.name}"}
    # Subclasses that add nothing a function could miss: numpy.str_ is one, so is a str from pandas or a config library.
    plain: Any
    for plain in (str, bytes, int, float):
        if isinstance(value, plain):
            return _encode(plain(value), name, array, depth)
    raise _refused(name, f"is {a_kind_of(value)}, which cannot travel to a trial", _fix(value))


def _numpy_scalar(value: Any, name: str, array: bool, depth: int, numpy: Any) -> Any:
    if isinstance(value, numpy.floating):
        # The shortest decimal that gives back this very float32 (or float16): 0.1 and not 0.10000000149011612.
        exact = value.dtype.itemsize >= 8
        return _float(float(value) if exact or not numpy.isfinite(value) else float(str(value)))
    if isinstance(value, (numpy.bool_, numpy.integer, numpy.str_, numpy.bytes_)):
        return _encode(value.item(), name, array, depth)
    raise _refused(name, f"is {a_kind_of(value)}, which cannot travel to a trial", _fix(value))


def _array(value: Any, shape: tuple[int, ...], name: str, array: bool, depth: int, numpy: Any) -> Any:
    if shape == () or (shape == (1,) and not array):
        item = (
            value[0] if shape else value[()] if numpy is not None and isinstance(value, numpy.ndarray) else value.item()
        )
        if getattr(item, "shape", None) == () and not (numpy is not None and isinstance(item, numpy.generic)):
            item = item.item()
        return _encode(item, name, array, depth + 1)
    if array and numpy is not None and isinstance(value, numpy.ndarray):
        return [_encode(item, f"{name}[{i}]", array, depth + 1) for i, item in enumerate(value)]
    what = f"is {a_kind_of(value)} of shape {shape}, which cannot travel to a trial"
    raise _refused(name, what, f"Pass a list ({_tail(name)}.tolist()), or annotate the parameter as a list.")


def reference(value: Any, name: str) -> str:
    """ "module:qualname" of a class or function that can be imported in another process.

    Raises:
        Refused: it cannot be imported by that name.
    """
    # Before numpy 2 its functions on arrays have no module of their own.
    module = getattr(value, "__module__", None) or type(value).__module__
    qualname = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    named = isinstance(module, str) and isinstance(qualname, str) and module != "__main__"
    if named and resolve(str(module), str(qualname)) is value:
        return f"{module}:{qualname}"
    label = qualname if isinstance(qualname, str) else kind_of(value)
    if module == "__main__":
        raise _refused(
            name,
            f"is `{label}`, which is defined in this notebook or script",
            "Pass its name as text and choose it inside the function, or import it from a module.",
        )
    raise _refused(
        name, f"is `{label}`, which cannot be imported by name", "Pass a name, and choose inside the function."
    )


def resolve(module: str, qualname: str) -> Any:
    """The object behind a module's (already imported) name and a dotted path in it, or None."""
    value: Any = sys.modules.get(module)
    for part in qualname.split("."):
        value = getattr(value, part, None)
    return value


def kind_of(value: Any) -> str:
    """The type of a value as people write it: "DataFrame", "numpy.datetime64"."""
    kind = type(value)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def a_kind_of(value: Any) -> str:
    """The type of a value with its article: "an int"."""
    kind = kind_of(value)
    return f"{'an' if kind[0].lower() in 'aeio' else 'a'} {kind}"


def _fix(value: Any) -> str:
    kind = type(value).__name__
    if kind in ("set", "frozenset"):
        return "Pass a sorted list."
    if kind in ("Decimal", "Fraction"):
        return "Pass a float."
    if kind.endswith("Path"):
        return "Pass it as text: str(path)."
    if kind == "complex" or kind.startswith("complex"):
        return "Pass its real and imaginary part."
    if kind in ("datetime", "date", "Timestamp", "datetime64", "Timedelta", "timedelta64"):
        return "Pass it as text."
    return (
        "Numbers, text, bytes, None, lists, tuples, dicts, and classes and functions of modules can travel; "
        "make other objects inside the function."
    )


def _tail(name: str) -> str:
    return name if name.isidentifier() else "value"


def _refused(name: str, what: str, hint: str) -> Refused:
    label = name if "`" in name or " " in name else f"`{name}`"
    return Refused(f"{label} {what}", hint, code="untransferable")


def decode(data: Any) -> Any:
    """The value behind its JSON form.

    Raises:
        ValueError: the form is unknown.
        ImportError, AttributeError: a class or function is not there any more.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "$" not in data:
        return {key: decode(item) for key, item in data.items()}
    kind: Any = data["$"]
    value: Any = data.get("v")
    if kind == "int":
        return int(value)
    if kind == "float":
        return float(value)
    if kind == "bytes":
        return base64.b64decode(value)
    if kind == "tuple":
        return tuple(decode(item) for item in value)
    if kind == "dict":
        return {decode(key): decode(item) for key, item in value}
    if kind == "ref":
        module, _, qualname = value.partition(":")
        target = importlib.import_module(module)
        for part in qualname.split("."):
            target = getattr(target, part)
        return target
    raise ValueError(f"unknown typed value {kind!r}")
