"""A worker, spoken to as the front does: what a function gets, what becomes of what it returns, how it ends."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from front import array_item, json_item, serving


def test_a_json_body_is_the_argument_and_the_result_is_json(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(input):\n    return {'got': input}\n") as (front, _):
        assert front.hello["function"] == "serve" and front.hello["input"] == {"kind": "json"}
        assert front.post({"a": [1, "ü", None]}) == (200, 0, {"got": {"a": [1, "ü", None]}})
        assert [answer.body for answer in front.call(json_item("1"), json_item("2"))] == [{"got": 1}, {"got": 2}]


def test_an_array_goes_in_and_out_raw(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef serve(x: np.ndarray):\n    x *= 2\n    return x.sum(axis=0)\n"
    with serving(tmp_path, source) as (front, _):
        assert front.hello["input"] == {"kind": "array", "dtype": "float64", "ndim": None}
        data = struct.pack("<6d", *range(6))
        [answer] = front.call(array_item((3, 2), data))
        assert answer == (200, 3, ("float64", (2,), struct.pack("<2d", 12, 18)))


def test_a_batch_is_one_call(tmp_path: Path) -> None:
    source = "def serve(xs: list[int]):\n    return [{'x': x, 'of': len(xs)} for x in xs]\n"
    with serving(tmp_path, source, batch=8) as (front, _):
        assert front.hello["batch"] == 8
        answers = front.call(json_item("1"), json_item('"2"'), json_item("3"))
        assert answers[0].body == {"x": 1, "of": 2} and answers[2].body == {"x": 3, "of": 2}
        assert answers[1].status == 422
