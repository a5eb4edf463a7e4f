"""What a serving function returns, as JSON: :func:`to_json`.

numpy, pandas, pydantic, torch and the types of the standard library are recognised without being imported: who returns
one of their values has imported them.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from metaml._values.typed import a_kind_of

__all__ = ["NotJSON", "WrongResult", "duration", "simpler", "to_json", "utf8"]


class NotJSON(Exception):
    """A value that cannot be JSON.

    Attributes:
        what (str): what it is, with its article: "a Socket", "NaN".
        place (str): where it is in the whole, as Python would write it: '["a"][3]', or "".
        number (bool): it is a number, of which another one can be JSON.
    """

    def __init__(self, what: str, place: str = "", *, number: bool = False) -> None:
        self.what = what
        self.place = place
        self.number = number
        super().__init__(f"{what}{' at ' + place if place else ''}, which cannot be JSON")


class WrongResult(Exception):
    """A result that is too large, or not a result for each input of a batch.

    Attributes:
        too_large (bool): which of the two.
    """

    def __init__(self, text: str, *, too_large: bool = False) -> None:
        self.too_large = too_large
        super().__init__(text)


def to_json(value: Any, *, base64: bool = False) -> bytes:
    """The value as JSON text in UTF-8. NaN, a missing number, is null.

    Args:
        value: what there is.
        base64: bytes become base64 text; else they are no JSON.

    Raises:
        NotJSON: something in it is none.
    """
    try:
        text = _encode(value)
    except (NotJSON, TypeError, ValueError, RecursionError):
        # Step by step, which finds the place, and what json is stricter about than we are.
        text = _encode(_plain(value, "", [], base64))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can write as an escape
        return json.dumps(json.loads(text)).encode()


def utf8(value: str) -> bytes:
    """Text, as it goes out.

    Raises:
        NotJSON: it has half a surrogate pair.
    """
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise NotJSON("text with half a surrogate pair") from None


def _base64(value: bytes | bytearray | memoryview) -> str:
    from base64 import b64encode

    return b64encode(value).decode()


def simpler(value: Any) -> Any:
    """A value one step nearer to JSON; NotJSON if there is none."""
    kind = type(value)
    modules = sys.modules
    numpy = modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _from_numpy(value, numpy)
    home = kind.__module__.partition(".")[0]
    if home == "pandas" or home == "polars":
        return _from_frame(value, modules[home])
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if (fields := getattr(kind, "__dataclass_fields__", None)) is not None:
        return {name: getattr(value, name) for name, field in fields.items() if field._field_type.name == "_FIELD"}
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes}
    enum = modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return value.value
    if (plain := _from_library(value)) is not None:
        return plain
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return _from_set(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview, str)):
        return list(value)
    if isinstance(value, os.PathLike) and isinstance(path := os.fspath(value), str):
        return path
    if hasattr(value, "shape") and not isinstance(value, type):  # a tensor: torch, jax, tensorflow
        if hasattr(value, "detach"):
            value = value.detach()
        if hasattr(value, "tolist"):
            return value.tolist()
        if hasattr(value, "numpy"):
            return value.numpy()
    raise NotJSON(_named(value))


def _named(value: Any) -> str:
    return "bytes" if isinstance(value, bytes) else a_kind_of(value)


def _from_library(value: Any) -> str | None:
    """Times, decimals and the like, whose text is what other programs expect."""
    modules = sys.modules
    times = modules.get("datetime")
    if times is not None:
        if isinstance(value, (times.date, times.time)):  # a datetime is a date
            return str(value.isoformat())
        if isinstance(value, times.timedelta):
            return duration(value)
    for module, name in (("decimal", "Decimal"), ("uuid", "UUID"), ("fractions", "Fraction")):
        if module in modules and isinstance(value, getattr(modules[module], name)):
            return str(value)
    return None


def duration(value: Any) -> str:
    """A timedelta as ISO 8601 has it: "PT1.5S", "-P3DT0S"."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    part = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{f'{value.days}D' if value.days else ''}T{value.seconds}{part}S"


def _from_set(value: Set[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def _from_numpy(value: Any, numpy: Any) -> Any:
    kind = value.dtype.kind
    if kind == "f" and value.dtype.itemsize != 8:
        # The shortest decimal that gives back this very float32 (or float16): 0.1 and not 0.10000000149011612.
        return value.astype(str).astype(float).tolist() if value.dtype.itemsize < 8 else value.astype(float).tolist()
    if kind in "biufUO":
        return value.tolist()
    if kind == "M":
        missing = numpy.isnat(value)
        if not value.shape:
            return None if missing else str(value)
        texts = value.astype(str)
        return numpy.where(missing, None, texts).tolist() if missing.any() else texts.tolist()
    if kind == "m":
        return value.astype("timedelta64[us]").tolist()
    if kind == "V" and value.dtype.names:
        return value.tolist() if value.shape else dict(zip(value.dtype.names, value.tolist(), strict=True))
    what = "a numpy array" if isinstance(value, numpy.ndarray) else "a numpy value"
    raise NotJSON(f"{what} of {value.dtype}")


def _from_frame(value: Any, library: Any) -> Any:
    """pandas' and polars' tables, columns and missing values."""
    if value is getattr(library, "NA", library) or value is getattr(library, "NaT", library):
        return None
    if hasattr(value, "to_dicts"):
        return value.to_dicts()
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return value.to_dict("records")
    for name in ("tolist", "to_list"):
        if hasattr(value, name):
            return getattr(value, name)()
    if (plain := _from_library(value)) is not None:  # a Timestamp, a Timedelta
        return plain
    raise NotJSON(a_kind_of(value))


def _encoder() -> Callable[[Any], str]:
    encoder = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=simpler
    )
    try:  # what encode does, without making it anew for each value
        make: Any = vars(json.encoder)["c_make_encoder"]
        parts = make(None, simpler, json.encoder.encode_basestring, None, ":", ",", False, False, False)
        if "".join(parts({"a": [1, None]}, 0)) == '{"a":[1,null]}':
            return lambda value: (
                encoder.encode(value) if isinstance(value, (str, float, int)) else "".join(parts(value, 0))
            )
    except Exception:  # noqa: S110 (another Python's json)
        pass
    return encoder.encode


_encode = _encoder()


def _plain(value: Any, place: str, above: list[Any], base64: bool) -> Any:
    """The value in json's own types; NotJSON names the place."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise NotJSON("infinity" if value > 0 else "-infinity", place, number=True)
        return None if math.isnan(value) else float(value)
    if base64 and isinstance(value, (bytes, bytearray, memoryview)):
        return _base64(value)
    if any(value is one for one in above):
        raise NotJSON(f"{a_kind_of(value)} that contains itself", place)
    if len(above) > 200:
        raise NotJSON(f"{a_kind_of(value)} that is nested too deeply", place[:40] + "…")
    above.append(value)
    try:
        if isinstance(value, dict):
            return {
                _key(key, place): _plain(one, f"{place}[{_quoted(key)}]", above, base64) for key, one in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [_plain(one, f"{place}[{i}]", above, base64) for i, one in enumerate(value)]
        try:
            step = simpler(value)
        except NotJSON as error:
            raise NotJSON(error.what, place, number=error.number) from None
        return _plain(step, place, above, base64)
    finally:
        above.pop()


def _key(key: Any, place: str) -> Any:
    step = key
    if not isinstance(key, (str, int, float, type(None))):
        with contextlib.suppress(NotJSON):
            step = simpler(key)
    if isinstance(step, float) and not math.isfinite(step):
        raise NotJSON(f"a dict with {'NaN' if math.isnan(step) else 'infinity'} as a key", place)
    if step is None or isinstance(step, (str, int, float)):
        return step
    raise NotJSON(f"a dict with {a_kind_of(key)} as a key", place)


def _quoted(key: Any) -> str:
    return json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)
