"""What a function in a worker gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from front import CALL, Answer, array_head, array_item, bytes_item, doubles, fields_item, frame, json_item, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


def test_a_json_body_is_the_argument_whatever_the_parameter_is_called(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(question):\n    return {'got': question}\n") as (front, worker):
        assert front.hello["function"] == "serve" and front.hello["input"] == {"kind": "json"}
        assert (front.hello["v"], front.hello["batch"], front.hello["concurrent"]) == (1, 0, 1)
        assert "/predict" in front.hello["openapi"]["paths"] and "example" not in front.hello
        assert front.post({"a": [1, "ü", None]}) == (200, 0, {"got": {"a": [1, "ü", None]}})
        assert [answer.body for answer in front.call(json_item("1"), json_item("2"))] == [{"got": 1}, {"got": 2}]
        assert front.call(json_item("{"))[0].status == 400
        assert front.call(fields_item({"a": "1", "b": ["2", "3"]}))[0].body == {"got": {"a": "1", "b": ["2", "3"]}}
        assert worker.log() == ""


def test_bodies_of_other_types_are_bytes(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(image: bytes):\n    return image[::-1]\n") as (front, _):
        assert front.hello["input"] == {"kind": "bytes"}
        assert front.call(bytes_item("image/png", b"\0abc"))[0] == (200, 1, b"cba\0")


def test_several_parameters_are_the_keys_of_the_body(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(a: int, b: float = 2, *, c: str = 'x'):\n    return [a, b, c]\n") as (front, _):
        assert front.hello["example"] == {"a": 1, "b": 2, "c": "x"}
        assert front.post({"a": 1}).body == [1, 2, "x"]
        assert front.call(fields_item({"a": "1", "c": "y"}))[0].body == [1, 2, "y"]
        answer = front.post({"a": "1", "d": 1})
        assert (answer.status, answer.kind, answer.body["error"]) == (422, 4, "a must be a whole number, not text")
        assert [one["field"] for one in answer.body["problems"]] == ["a", "d"]


ARRAYS = "import numpy as np\ndef serve(x: np.ndarray):\n    x *= 2\n    return x.sum(axis=0)\n"


def test_an_array_goes_in_and_out_raw_and_may_be_changed(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    with serving(tmp_path, ARRAYS) as (front, _):
        assert front.hello["input"] == {"kind": "array", "dtype": "float64", "ndim": None, "name": "x"}
        answers = front.call(array_item((3, 2), doubles(*range(6))), array_item((2,), doubles(1, 2)))
        assert answers[0] == (200, 3, ("float64", (2,), doubles(12, 18)))
        assert answers[1] == (200, 3, ("float64", (), doubles(6)))
        stacked = front.call(array_head((2,), 16) + doubles(1, 2, 3, 4), flags=1, count=2)
        assert [answer.body[2] for answer in stacked] == [doubles(6), doubles(14)]
        assert front.call(array_item((0, 3), b""))[0].body == ("float64", (3,), doubles(0, 0, 0))
        assert front.call(array_head((0,), 0), flags=1, count=2)[1].body == ("float64", (), doubles(0))
        assert front.post([[1, "a"]]).body["error"] == "x[0][1] must be a number, not text"
        assert front.post([[1, 2]]).body == ("float64", (2,), doubles(2, 4))


def test_an_array_that_a_function_keeps_is_its_own(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = (
        "import numpy as np\nkept = []\ndef serve(x: np.ndarray):\n    kept.append(x)\n    return "
        "np.concatenate(kept)\n"
    )
    with serving(tmp_path, source) as (front, _):
        for n in range(1, 5):
            answer = front.call(array_item((1,), doubles(n)))[0]
            assert answer.body[2] == doubles(*range(1, n + 1))


def test_frames_larger_than_the_buffer_and_in_pieces(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(x):\n    return [len(x), x[-5:]]\n") as (front, _):
        assert front.post("x" * 3_000_000 + "12345").body == [3_000_005, "12345"]
        whole = frame(CALL, 99, json_item('"abc"') + json_item('"d"'), 2)
        for i in range(0, len(whole), 5):
            front.sock.sendall(whole[i : i + 5])
        found: dict[int, Answer] = {}
        while len(found) < 2:
            found |= front.reply()
        assert {number: answer.body for number, answer in found.items()} == {99: [3, "abc"], 100: [1, "d"]}
