"""Batches: several inputs in one call."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from front import array_head, array_item, doubles, failed, fields_item, json_item, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


def test_a_batch_is_one_call_and_what_is_wrong_never_reaches_it(tmp_path: Path) -> None:
    source = "def serve(xs: list[int]):\n    return [{'x': x, 'of': len(xs)} for x in xs]\n"
    with serving(tmp_path, source, batch=8) as (front, _):
        assert front.hello["batch"] == 8 and front.hello["example"] == 1
        answers = front.call(json_item("1"), json_item('"2"'), json_item("3"), fields_item({"xs": "4"}))
        assert [answer.body for answer in answers if answer.status == 200] == [{"x": n, "of": 3} for n in (1, 3, 4)]
        assert answers[1].body["error"] == "xs must be a whole number, not text"
        assert [answer.status for answer in front.call(json_item("[]"), json_item("{"))] == [422, 400]


def test_a_batch_that_raises_is_run_once_more_one_by_one(tmp_path: Path) -> None:
    source = "calls = 0\ndef serve(xs):\n    global calls\n    calls += 1\n    return [[1 / x, calls] for x in xs]\n"
    with serving(tmp_path, source, batch=8) as (front, worker):
        answers = front.call(json_item("1"), json_item("0"), json_item("2"))
        assert [answers[0].body, answers[2].body] == [[1, 2], [0.5, 4]]
        assert f"metaml: {failed(answers[1])} serve raised ZeroDivisionError" in worker.log()
        assert worker.log().count("Traceback") == 1
        failed(front.call(json_item("0"))[0])
        assert front.call(json_item("1"))[0].body == [1, 6]


@pytest.mark.parametrize(
    ("returned", "logged"),
    [
        ("xs[1:]", "serve returned 1 result for a list of 2 inputs; with --batch it must return as many as it gets"),
        ("{1: 2}", "serve returned a dict for a list of 2 inputs, not a list"),
        ("None", "serve returned a NoneType for a list of 2 inputs, not a list"),
        ("'ab'", "serve returned a str for a list of 2 inputs, not a list"),
    ],
)
def test_a_batch_with_the_wrong_results(tmp_path: Path, returned: str, logged: str) -> None:
    with serving(tmp_path, f"def serve(xs):\n    return {returned}\n", batch=8) as (front, worker):
        numbers = [failed(answer) for answer in front.call(json_item("1"), json_item("2"))]
        assert worker.log() == "".join(f"metaml: {number} {logged}\n" for number in numbers)


def test_one_result_of_a_batch_that_cannot_be_json_fails_alone(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(xs):\n    return [float(x) for x in xs]\n", batch=8) as (front, _):
        answers = front.call(json_item('"1"'), json_item('"inf"'))
        assert answers[0].body == 1 and failed(answers[1])


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [("list[np.ndarray]", "[(2,), (2,)]"), ("np.ndarray", "(2, 2)"), ("npt.NDArray[np.float64]", "(2, 2)")],
)
def test_a_stacked_batch_of_arrays(tmp_path: Path, annotation: str, expected: str) -> None:
    pytest.importorskip("numpy")
    source = (
        "import numpy as np, numpy.typing as npt, sys\n"
        f"def serve(xs: {annotation}):\n"
        "    print(xs.shape if isinstance(xs, np.ndarray) else [x.shape for x in xs], file=sys.stderr)\n"
        "    return np.asarray(xs) * 2\n"
    )
    with serving(tmp_path, source, batch=8) as (front, worker):
        numbers = front.send(array_head((2,), 16) + doubles(1, 2, 3, 4), flags=1, count=2)
        kind, flags, count, first, _ = front.frame()
        assert (kind, flags, count, first) == (3, 1, 2, numbers[0])
        assert worker.log() == expected + "\n"
        answers = front.call(array_head((2,), 16) + doubles(1, 2, 3, 4), flags=1, count=2)
        assert answers == [(200, 3, ("float64", (2,), doubles(2, 4))), (200, 3, ("float64", (2,), doubles(6, 8)))]
        answers = front.call(array_item((2,), doubles(1, 2)), array_item((2,), doubles(3, 4)))
        assert answers == [(200, 3, ("float64", (2,), doubles(2, 4))), (200, 3, ("float64", (2,), doubles(6, 8)))]
        bad = front.call(array_item((2,), doubles(1, 2)), json_item('["x"]'), json_item("[3, 4]"))
        assert [answer.status for answer in bad] == [200, 422, 200] and bad[2].body[2] == doubles(6, 8)


def test_a_list_of_arrays_is_stacked_too_if_they_are_alike(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef serve(xs: list[np.ndarray]):\n    return [x[x > 0] for x in xs]\n"
    with serving(tmp_path, source, batch=8) as (front, _):
        numbers = front.send(array_item((2,), doubles(1, 2)), array_item((2,), doubles(3, 4)))
        assert front.reply() == {
            n: (200, 3, ("float64", (2,), d)) for n, d in zip(numbers, [doubles(1, 2), doubles(3, 4)], strict=True)
        }
        answers = front.call(array_item((2,), doubles(1, 2)), array_item((2,), doubles(-3, 4)))
        assert [answer.body[2] for answer in answers] == [doubles(1, 2), doubles(4)]


def test_a_batch_of_arrays_of_several_shapes_is_grouped(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = (
        "import numpy as np\ndef serve(xs: np.ndarray):\n    return np.full(len(xs), xs.shape[0] * 100 + xs.shape[1])\n"
    )
    with serving(tmp_path, source, batch=8) as (front, _):
        items = [array_item((n,), doubles(*range(n))) for n in (1, 2, 1, 3)]
        found = [struct.unpack("<q", answer.body[2])[0] for answer in front.call(*items)]
        assert found == [201, 102, 201, 103]


def test_rows_with_numbers_that_json_has_not_fail_alone(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef serve(xs: np.ndarray):\n    return 1 / xs\n"
    with serving(tmp_path, source, batch=8) as (front, worker):
        answers = front.call(array_head((1,), 8) + doubles(4, 0), flags=1, count=2)
        assert answers[0].body[2] == doubles(0.25)
        assert f"{failed(answers[1])} serve returned infinity at [0], which cannot be JSON" in worker.log()


def test_missing_values_travel_raw_alone_and_stacked(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    nan = float("nan")
    source = "import numpy as np\ndef serve(xs: np.ndarray):\n    return xs * 2\n"
    for batch in (0, 8):
        with serving(tmp_path / str(batch), source, batch=batch) as (front, _):
            answers = front.call(array_head((2,), 16) + doubles(4, nan, nan, 3), flags=1, count=2)
            assert [answer.body[2] for answer in answers] == [doubles(8, nan), doubles(nan, 6)]
            assert front.post([1, None]).body[2] == doubles(2, nan)
            assert front.post([1, {}]).body["error"] == "xs[1] must be a number, not an object"


def test_numbers_alone_are_stacked_too(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef serve(xs: list[np.ndarray]):\n    return np.array([x.ndim + x for x in xs])\n"
    with serving(tmp_path, source, batch=8) as (front, _):
        answers = front.call(array_head((), 8) + doubles(1, 2), flags=1, count=2)
        assert answers == [(200, 3, ("float64", (), doubles(1))), (200, 3, ("float64", (), doubles(2)))]


def test_a_batch_may_be_async_too(tmp_path: Path) -> None:
    source = (
        "import asyncio\nasync def serve(xs: list[float]):\n    await asyncio.sleep(0)\n    return [1 / x "
        "for x in xs]\n"
    )
    with serving(tmp_path, source, batch=4) as (front, _):
        assert [answer.body for answer in front.call(json_item("1"), json_item("2"))] == [1, 0.5]
        assert [answer.status for answer in front.call(json_item("1"), json_item("0"))] == [200, 500]


def test_one_of_a_batch_answers_an_error_of_its_own(tmp_path: Path) -> None:
    source = """
import metaml
def serve(ages):
    if -1 in ages:
        raise metaml.HTTPError(422, "age must not be negative")
    return [metaml.HTTPError(400, "zero") if age == 0 else metaml.Response(age, status=202) for age in ages]
"""
    with serving(tmp_path, source, batch=8) as (front, _):
        answers = front.call(json_item("1"), json_item("-1"), json_item("0"))
        assert [answer.status for answer in answers] == [202, 422, 400]
