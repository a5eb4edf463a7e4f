"""Typed values: what travels comes back the same, and what cannot is refused by name."""

from __future__ import annotations

import collections
import decimal
import enum
import json
import math
import pathlib
from typing import Any

import numpy as np
import pytest

from metaml import Refused
from metaml._values.typed import decode, encode


def travel(value: Any, **options: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value, "x", **options), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 2**53, 2**53 + 1, -(10**40), 0.1, 1.0, -0.0, 1e300, float("inf"), float("-inf"), True, False, None),
        *("", "ü\n", b"", b"\0\xff", [], [1, [2.0, None]], (), (1, ("a",)), {}, {"a": 1}, {"$": 1}),
        *({1: "a", None: (2,)}, {"a": {"b": b"c"}}),
        *(len, collections.OrderedDict, json.JSONDecoder.decode, math.sqrt, np.tanh, np.float32),
    ],
    ids=repr,
)
def test_travels_and_comes_back_the_same(value: Any) -> None:
    back = travel(value)
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_nan_travels() -> None:
    assert math.isnan(travel(float("nan")))


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.float64(0.1), 0.1),
        (np.float32("nan"), math.nan),
        (np.int64(3), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(7), 7),
        (np.array(0.1, dtype=np.float32), 0.1),
        (np.array([256]), 256),
        (np.array(["a"]), "a"),
    ],
    ids=repr,
)
def test_numpy_becomes_python(value: Any, want: Any) -> None:
    back = travel(value)
    assert back == want or (math.isnan(back) and math.isnan(want))
    assert type(back) is type(want)


def test_arrays_stay_lists_where_the_parameter_is_annotated_so() -> None:
    assert travel(np.array([256]), array=True) == [256]
    assert travel(np.array([[1, 2], [3, 4]]), array=True) == [[1, 2], [3, 4]]


def test_an_array_in_a_list_becomes_a_number() -> None:
    assert travel([np.array([1]), np.float32(0.1)]) == [1, 0.1]


class Colour(enum.Enum):
    RED = 1


def test_a_member_of_an_importable_enum_travels_by_name() -> None:
    assert travel(socket_kind()) is socket_kind()


def socket_kind() -> Any:
    import socket

    return socket.AddressFamily.AF_UNIX


@pytest.mark.parametrize(
    ("value", "text", "hint"),
    [
        (
            np.array([1, 2]),
            "`x` is a numpy.ndarray of shape (2,), which cannot travel to a trial",
            "Pass a list (x.tolist())",
        ),
        ({1, 2}, "`x` is a set, which cannot travel to a trial", "Pass a sorted list."),
        (1j, "`x` is a complex, which cannot travel to a trial", "Pass its real and imaginary part."),
        (decimal.Decimal("0.1"), "`x` is a decimal.Decimal, which cannot travel to a trial", "Pass a float."),
        (pathlib.Path("a"), "Path, which cannot travel to a trial", "Pass it as text: str(path)."),
        (np.datetime64("2020-01-01"), "`x` is a numpy.datetime64, which cannot travel to a trial", "Pass it as text."),
        (object(), "`x` is an object, which cannot travel to a trial", "make other objects inside the function"),
        (lambda: 1, "which cannot be imported by name", "Pass a name, and choose inside the function."),
        ([{"a": {1}}], "`x[0]['a']` is a set", "Pass a sorted list."),
        ("\ud800", "`x` is a text with half a surrogate pair", "Pass it as bytes."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_cannot_travel_is_refused_by_name(value: Any, text: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        encode(value, "x")
    assert text in refused.value.text
    assert hint in refused.value.hint


def test_a_list_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Refused, match="nested too deeply or contains itself"):
        encode(loop, "x")


def test_what_main_defines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Colour, "__module__", "__main__")
    with pytest.raises(Refused, match="defined in this notebook or script"):
        encode(Colour, "x")
