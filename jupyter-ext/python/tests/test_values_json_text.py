"""What functions return, as JSON."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import json
import pathlib
import types
import uuid
from typing import Any

import pytest

from metaml._values.json_text import NotJSON, to_json


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Item:
    name: str
    tags: set[str]


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        ({"a": [1, 0.5, "ü"]}, '{"a":[1,0.5,"ü"]}'),
        ({1: "a", None: "b", 0.5: "d"}, '{"1":"a","null":"b","0.5":"d"}'),
        ((1, 2), "[1,2]"),
        (Point(1, 2), "[1,2]"),
        ({3, 1, 2}, "[1,2,3]"),
        (collections.deque([1]), "[1]"),
        (range(3), "[0,1,2]"),
        ({"a": 1}.keys(), '["a"]'),
        (types.MappingProxyType({"a": 1}), '{"a":1}'),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (Item("n", {"t"}), '{"name":"n","tags":["t"]}'),
        ([Color.RED], '["red"]'),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), '"2024-01-02T03:04:05+00:00"'),
        (datetime.date(2024, 1, 2), '"2024-01-02"'),
        (datetime.time(1, 2), '"01:02:00"'),
        (datetime.timedelta(days=1, seconds=1.5), '"P1DT1.5S"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (pathlib.PurePosixPath("a/b"), '"a/b"'),
        ("\ud800", '"\\ud800"'),
    ],
)
def test_values_become_json(value: Any, expected: str) -> None:
    assert to_json(value).decode() == expected


def test_numpy_becomes_json() -> None:
    np = pytest.importorskip("numpy")
    for value, expected in [
        ({"a": np.float32(0.1), "b": np.arange(3), "c": np.array([0.1], "float32")}, '{"a":0.1,"b":[0,1,2],"c":[0.1]}'),
        ({np.int64(3): np.bool_(True)}, '{"3":true}'),
        ([np.float64(0.5), np.str_("x")], '[0.5,"x"]'),
        (np.array(["2024-01-02"], "datetime64[D]"), '["2024-01-02"]'),
        ({"d": np.timedelta64(90, "s")}, '{"d":"PT90S"}'),
        (np.array([{"a": 1}], dtype=object), '[{"a":1}]'),
        (np.array(["a"]), '["a"]'),
    ]:
        assert to_json(value).decode() == expected


def test_pandas_becomes_json() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "when": pd.to_datetime(["2024-01-02", None])})
    assert json.loads(to_json({"rows": frame})) == {
        "rows": [{"a": 1, "when": "2024-01-02T00:00:00"}, {"a": 2, "when": None}]
    }
    assert to_json([pd.Series([1, 2]), pd.NA]) == b"[[1,2],null]"


def test_pydantic_becomes_json() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("M", n=(int, ...), day=(datetime.date, ...))
    assert to_json([model(n=1, day="2024-01-02")]) == b'[{"n":1,"day":"2024-01-02"}]'


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append({"again": circle})
    return circle


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2, 3, io.StringIO()]}, 'a _io.StringIO at ["a"][3]'),
        (object(), "an object"),
        ([float("inf")], "infinity at [0]"),
        ({float("nan"): 1}, "a dict with NaN as a key"),
        ({"a": {"b": -float("inf")}}, '-infinity at ["a"]["b"]'),
        ({"a": b"x"}, 'bytes at ["a"]'),
        (1j, "a complex"),
        ({"a": {(1, 2): 3}}, 'a dict with a tuple as a key at ["a"]'),
        (Item, "a type"),
        (_circle(), 'a list that contains itself at [0]["again"]'),
    ],
)
def test_what_cannot_be_json_is_named_with_its_place(value: Any, expected: str) -> None:
    with pytest.raises(NotJSON) as caught:
        to_json(value)
    assert str(caught.value) == f"{expected}, which cannot be JSON"


def test_numbers_that_json_has_not_are_found_in_arrays_too() -> None:
    np = pytest.importorskip("numpy")
    with pytest.raises(NotJSON) as caught:
        to_json({"p": np.array([[np.nan, np.inf]])})
    assert str(caught.value) == 'infinity at ["p"][0][1], which cannot be JSON'


def test_a_missing_value_is_null_wherever_it_is() -> None:
    nan = float("nan")
    assert to_json(nan) == b"null"
    assert to_json({"loss": nan, "all": [1.0, nan, (nan,)]}) == b'{"loss":null,"all":[1.0,null,[null]]}'


def test_a_missing_value_of_an_array_or_a_table_is_null() -> None:
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert to_json(np.array([[1, np.nan]], "float32")) == b"[[1.0,null]]"
    assert to_json(np.float64("nan")) == b"null"
    assert to_json(np.array(["2024-01-02", "NaT"], "datetime64[D]")) == b'["2024-01-02",null]'
    assert to_json(np.datetime64("NaT")) == b"null"
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None], "c": pd.array([1, None], "Int64")})
    assert to_json(frame) == b'[{"a":1.0,"b":"x","c":1},{"a":null,"b":null,"c":null}]'
    assert to_json(pd.Series([np.nan, 2.0])) == b"[null,2.0]"
    assert to_json(pd.Series(pd.to_datetime(["2024-01-02", None]))) == b'["2024-01-02T00:00:00",null]'


def test_bytes_are_base64_text_for_who_asks() -> None:
    assert (
        to_json({"image": b"abc", "more": [bytearray(b"x"), memoryview(b"y")]}, base64=True)
        == b'{"image":"YWJj","more":["eA==","eQ=="]}'
    )
    with pytest.raises(NotJSON):
        to_json([b"abc"])
