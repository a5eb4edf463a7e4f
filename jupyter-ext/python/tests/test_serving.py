"""A worker, spoken to as the front does: what a function gets, what becomes of what it returns, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front import (
    CALL,
    ITEM,
    MORE,
    QUIT,
    Answer,
    Front,
    Loader,
    Worker,
    array_head,
    array_item,
    bytes_item,
    fields_item,
    frame,
    json_item,
    refusal,
    serving,
)


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def failed(answer: Answer) -> str:
    """The id of a call that failed."""
    assert (answer.status, answer.kind) == (500, 4)
    assert answer.body["error"] == "serve failed; the log has the reason under this id"
    number: str = answer.body["id"]
    return number


# --- what goes in


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


# --- what comes out

RESULTS = """
import io, json
def serve(what):
    return eval(what)
"""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{'a': (1, None)}", (200, 0, {"a": [1, None]})),
        ("None", (200, 0, None)),
        ("3", (200, 0, 3)),
        ("'text ü'", (200, 2, "text ü")),
        ("bytearray(b'ab')", (200, 1, b"ab")),
        ("memoryview(b'ab')", (200, 1, b"ab")),
        ("iter([])", (200, 8, b"")),
    ],
)
def test_results(tmp_path: Path, shared: Shared, expression: str, expected: Any) -> None:
    front, _ = shared(RESULTS)
    assert front.post(expression) == expected


@pytest.mark.parametrize(
    ("expression", "dtype", "shape", "data"),
    [
        ("np.arange(3)", "int64", (3,), struct.pack("<3q", 0, 1, 2)),
        ("np.float32(0.5)", "float32", (), struct.pack("<f", 0.5)),
        ("np.array([[True], [False]])", "bool", (2, 1), b"\1\0"),
        ("np.arange(4, dtype='>i2').reshape(2, 2).T", "int16", (2, 2), struct.pack("<4h", 0, 2, 1, 3)),
        ("np.zeros((0, 3))", "float64", (0, 3), b""),
        ("np.full(2, 1e200)", "float64", (2,), doubles(1e200, 1e200)),
    ],
)
def test_results_of_numpy_stay_raw(shared: Shared, expression: str, dtype: str, shape: Any, data: bytes) -> None:
    pytest.importorskip("numpy")
    front, _ = shared("import numpy as np\n" + RESULTS)
    assert front.post(expression) == (200, 3, (dtype, shape, data))


def test_results_of_numpy_that_are_no_numbers(shared: Shared) -> None:
    pytest.importorskip("numpy")
    front, _ = shared("import numpy as np\n" + RESULTS)
    assert front.post("np.array(['a', 'b'])") == (200, 0, ["a", "b"])
    assert front.post("np.str_('a')") == (200, 2, "a")


@pytest.mark.parametrize(
    ("expression", "logged"),
    [
        ("{'a': [1, 2, 3, io.StringIO()]}", 'serve returned a _io.StringIO at ["a"][3], which cannot be JSON'),
        ("[float('-inf')]", "serve returned -infinity at [0], which cannot be JSON"),
        ("'\\ud800'", "serve returned text with half a surrogate pair, which cannot be JSON"),
        ("io", "serve returned a module, which cannot be JSON"),
        ("bytes(256 << 20)", "a result of 256 MiB, more than the 256 MiB that an answer may have"),
    ],
)
def test_a_result_that_cannot_be_json_is_named_in_the_log(shared: Shared, expression: str, logged: str) -> None:
    front, worker = shared(RESULTS)
    number = failed(front.post(expression))
    assert worker.log().splitlines()[-1] == f"metaml: {number} {logged}"


def test_arrays_with_numbers_that_json_has_not(shared: Shared) -> None:
    pytest.importorskip("numpy")
    front, worker = shared("import numpy as np\n" + RESULTS)
    number = failed(front.post("np.array([[0, np.inf]])"))
    assert worker.log().splitlines()[-1] == f"metaml: {number} serve returned infinity at [0][1], which cannot be JSON"


# --- errors

ERRORS = """
def inner(x):
    raise {"a": ValueError("bad ü"), "exit": SystemExit(3), "int": KeyboardInterrupt(), "mem": MemoryError()}[x]

def serve(x):
    return inner(x)
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("a", "serve raised ValueError: bad ü"),
        ("exit", "serve raised SystemExit: 3"),
        ("int", "serve raised KeyboardInterrupt: "),
        ("mem", "serve raised MemoryError: "),
        ("other", "serve raised KeyError: 'other'"),
    ],
)
def test_what_a_function_raises_is_in_the_log_under_an_id(shared: Shared, body: str, said: str) -> None:
    front, worker = shared(ERRORS)
    before = len(worker.log())
    number = failed(front.post(body))
    lines = worker.log()[before:].splitlines()
    assert lines[0] == f"metaml: {number} {said}"
    assert lines[1] == "Traceback (most recent call last):"
    files = [line.split('"')[1] for line in lines if line.strip().startswith("File ")]
    assert files and all(os.path.basename(file) == "main.py" for file in files)


def test_endless_recursion_and_a_broken_stderr_fail_only_the_call(tmp_path: Path) -> None:
    source = "import sys\ndef serve(x):\n    sys.stderr = None\n    return serve(x) if x else 'fine'\n"
    with serving(tmp_path, source) as (front, _):
        failed(front.post(1))
        assert front.post(0).body == "fine"


# --- streams

STREAMS = """
import sys
def serve(x):
    try:
        for part in eval(x["parts"]):
            if part == "raise":
                raise ValueError("in the middle")
            yield part
    finally:
        print("closed", file=sys.stderr)
"""


@pytest.mark.parametrize("way", ["def", "async def"])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("['a', 'ü']", [(6, b"a"), (6, "ü".encode()), (8, b"")]),
        ("[b'a', 'b']", [(5, b"a"), (5, b"b"), (8, b"")]),
        ("[{'a': 1}, 'x', 2]", [(7, b'{"a":1}\n'), (7, b'"x"\n'), (7, b"2\n"), (8, b"")]),
        ("[]", [(8, b"")]),
    ],
)
def test_a_generator_is_a_stream(shared: Shared, way: str, parts: str, expected: Any) -> None:
    front, _ = shared(STREAMS.replace("def", way))
    found = [(answer.kind, answer.body) for answer in front.stream({"parts": parts})]
    assert found == expected


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_stream_that_fails_or_is_quit_is_closed(shared: Shared, way: str) -> None:
    front, worker = shared(STREAMS.replace("def", way))
    parts = list(front.stream({"parts": "['a', 'raise']"}))
    number = failed(parts[1])
    assert f"metaml: {number} serve raised ValueError: in the middle" in worker.log()
    parts = list(front.stream({"parts": "['a', 1]"}))
    assert f"metaml: {failed(parts[1])} serve returned an int in a stream of text, which cannot be JSON" in worker.log()
    assert failed(next(front.stream({"parts": "['raise']"})))

    closed = worker.log().count("closed")
    stream = front.stream({"parts": "range(10)"})
    assert next(stream).body == b"0\n"
    front.sock.sendall(frame(QUIT, front.number - 1) + frame(MORE, front.number - 1) + frame(QUIT, 12345))
    # It answers neither of them; the next answer is the next call's.
    assert [answer.kind for answer in front.stream({"parts": "[]"})] == [8]
    assert worker.log().count("closed") == closed + 2


def test_an_asynchronous_generator_that_waits_is_closed_when_it_is_quit(tmp_path: Path) -> None:
    source = """import asyncio, sys
async def serve(seconds):
    try:
        yield seconds
        await asyncio.sleep(seconds)
    finally:
        print("closed", seconds, file=sys.stderr, flush=True)
"""
    with serving(tmp_path, source) as (front, worker):
        stream = front.stream(600)
        assert next(stream).body == b"600\n"
        front.sock.sendall(frame(MORE, front.number - 1))
        assert [answer.kind for answer in front.stream(0)] == [7, 8]  # it waits
        front.sock.sendall(frame(QUIT, front.number - 2))
        for _ in range(1000):  # it is closed beside what comes after it
            assert [answer.kind for answer in front.stream(0)] == [7, 8]
            if "closed 600" in worker.log():
                break
        assert "closed 600" in worker.log() and "metaml" not in worker.log()


def test_streams_end_with_their_front(tmp_path: Path) -> None:
    with serving(tmp_path, STREAMS) as (front, worker):
        assert next(front.stream({"parts": "range(10)"})).body == b"0\n"
        front.close()
        again = worker.front()
        assert [answer.kind for answer in again.stream({"parts": "[]"})] == [8]
        assert worker.log().count("closed") == 2


# --- batches


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


# --- async def


def test_async_calls_run_beside_each_other(tmp_path: Path) -> None:
    source = """
import asyncio
waiting = {}
async def serve(x):
    if x["wait"]:
        waiting[x["n"]] = asyncio.get_running_loop().create_future()
        return [x["n"], await waiting[x["n"]]]
    waiting[x["n"]].set_result("woken")
    if x["n"] == 2:
        raise SystemExit(1)
    return "woke"
"""
    with serving(tmp_path, source) as (front, worker):
        assert front.hello["concurrent"] == 64
        waits = front.send(*(json_item(json.dumps({"wait": True, "n": n})) for n in range(3)))
        found: dict[int, Answer] = {}
        for n in (2, 0, 1):
            [wakes] = front.send(json_item(json.dumps({"wait": False, "n": n})))
            while not {wakes, waits[n]} <= set(found):
                found |= front.reply()
            assert found[waits[n]].body == [n, "woken"]
            assert found[wakes].status == (500 if n == 2 else 200)
        assert "serve raised SystemExit: 1" in worker.log()
        assert front.call(json_item("{"))[0].status == 400


def test_a_batch_may_be_async_too(tmp_path: Path) -> None:
    source = (
        "import asyncio\nasync def serve(xs: list[float]):\n    await asyncio.sleep(0)\n    return [1 / x "
        "for x in xs]\n"
    )
    with serving(tmp_path, source, batch=4) as (front, _):
        assert [answer.body for answer in front.call(json_item("1"), json_item("2"))] == [1, 0.5]
        assert [answer.status for answer in front.call(json_item("1"), json_item("0"))] == [200, 500]


def test_a_plain_function_may_return_what_is_awaited(tmp_path: Path) -> None:
    source = "async def later(x):\n    return x + 1\ndef serve(x):\n    return later(x)\n"
    with serving(tmp_path, source) as (front, _):
        assert front.hello["concurrent"] == 1 and front.post(1).body == 2


def test_a_task_that_an_async_function_started_cannot_end_the_worker(tmp_path: Path) -> None:
    source = """
import asyncio, sys
async def dies():
    sys.exit(3)
async def serve(x):
    if x:
        asyncio.get_running_loop().create_task(dies())
    await asyncio.sleep(0.01)
    return "fine"
"""
    with serving(tmp_path, source) as (front, worker):
        assert front.post(1).body == "fine" and front.post(0).body == "fine"
        assert "SystemExit: 3" in worker.log()


# --- the life of a worker


@pytest.mark.parametrize(
    ("source", "batch", "expected"),
    [
        ("def serve():\n    pass\n", 0, "serve has no parameters, and a request has to go somewhere"),
        (
            "class P: pass\ndef serve(a: P):\n    pass\n",
            0,
            "parameter a of serve is annotated as P, which cannot be made from JSON",
        ),
        (
            "def serve(a, b):\n    pass\n",
            4,
            "serve has 2 parameters, and with --batch a function gets one list of inputs",
        ),
        ("1 / 0\ndef serve(a):\n    pass\n", 0, "division by zero"),
    ],
)
def test_what_cannot_be_served_is_a_failed_load(tmp_path: Path, source: str, batch: int, expected: str) -> None:
    assert refusal(tmp_path, source, batch=batch).startswith(expected)


def test_the_next_front_is_served_after_a_hang_up_or_garbage(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(x):\n    return x\n") as (front, worker):
        assert stat.S_IMODE(os.stat(worker.path).st_mode) == 0o600
        good = frame(CALL, 1, json_item("1"), 1)
        for sent in [
            b"",
            good[:7],
            good[:20],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            frame(9, 1),
            frame(CALL, 1, b"1234567"),
            struct.pack("<IBBHQ", 0xFFFFFFF8, CALL, 0, 1, 1),
            frame(CALL, 1, b"", 1),
            frame(CALL, 1, ITEM.pack(0, 0, 0, 99) + bytes(8), 1),
            frame(CALL, 1, ITEM.pack(7, 0, 0, 0), 1),
            frame(CALL, 1, ITEM.pack(3, 1, 0, 8) + bytes(16), 1),
            frame(CALL, 1, ITEM.pack(0, 255, 0, 0), 1),
            frame(CALL, 1, ITEM.pack(2, 0, 0, 3) + b"[1]\0\0\0\0\0", 1),
            frame(CALL, 1, json_item("1"), 1, 1),
        ]:
            front.sock.sendall(sent)
            front.sock.shutdown(socket.SHUT_WR)
            with pytest.raises(EOFError):
                front.frame()
            front.close()
            front = worker.front()
            assert front.post(3).body == 3


@pytest.mark.parametrize("way", ["def", "async def"])
def test_random_bytes_never_end_a_worker(tmp_path: Path, way: str) -> None:
    pytest.importorskip("numpy")
    import random

    dice = random.Random(5)
    with serving(tmp_path, f"import numpy as np\n{way} serve(x: np.ndarray):\n    return x\n") as (front, worker):
        good = frame(CALL, 1, array_item((2,), doubles(1, 2)) + json_item("[1]"), 2)
        for _ in range(300):
            data = bytearray(good)
            for _ in range(dice.randint(1, 3)):
                data[dice.randrange(len(data))] = dice.choice([0, 1, 3, 255, dice.randrange(256)])
            with contextlib.suppress(OSError):
                front.sock.sendall(bytes(data))
                front.sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(EOFError, OSError):
                while True:
                    front.frame()
            front.close()
            front = worker.front()
        assert front.post([1]).status == 200


@pytest.mark.parametrize("way", ["def", "async def"])
def test_sigterm_lets_a_worker_finish_its_call(tmp_path: Path, way: str) -> None:
    source = f"""
import asyncio, atexit, os, signal
{way} serve(x):
    if x == "first":
        atexit.register(print, "exit handler")
        return os.getpid()
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    {"await asyncio.sleep(0.05)" if way != "def" else "pass"}
    return "finished"
"""
    loader = Loader(tmp_path, source)
    try:
        loader.until("ready")
        worker = loader.start()
        worker.until("ready")
        front = worker.front()
        pid = front.post("first").body
        [number] = front.send(json_item("1"))
        assert front.reply()[number].body == "finished"
        with pytest.raises(EOFError):
            front.frame()
        worker.ended()
        ended = loader.until("exited")
        assert (ended["pid"], ended["status"]) == (pid, 0)
        assert (worker.folder / "stdout").read_text() == "exit handler\n"
        # Idle, with and without a front.
        for attempt in (2, 3):
            worker = loader.start(attempt=attempt)
            worker.until("ready")
            if attempt == 3:
                front = worker.front()
                os.kill(front.hello["pid"], signal.SIGTERM)
            else:
                os.kill(loader.until("started")["pid"], signal.SIGTERM)
            assert loader.until("exited")["status"] == 0
    finally:
        loader.close()


def test_a_worker_that_is_killed_leaves_a_path_that_the_next_one_takes(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "import os\ndef serve(x):\n    os._exit(7) if x else None\n")
    try:
        loader.until("ready")
        worker = loader.start()
        worker.until("ready")
        front = worker.front()
        front.send(json_item("1"))
        with pytest.raises(EOFError):
            front.frame()
        assert os.waitstatus_to_exitcode(loader.until("exited")["status"]) == 7
        worker = loader.start(attempt=2)
        worker.until("ready")
        assert worker.front().post(0).body is None
    finally:
        loader.close()


def test_workers_draw_other_random_numbers(tmp_path: Path) -> None:
    source = "import random\ndef serve(x):\n    return random.random()\n"
    loader = Loader(tmp_path, source)
    try:
        loader.until("ready")
        found = set()
        for number, attempt in [(0, 1), (1, 1), (1, 2)]:
            worker = loader.start(number, attempt)
            worker.until("ready")
            found.add(worker.front().post(0).body)
        assert len(found) == 3
    finally:
        loader.close()


THREADED = "import threading, time\nt = threading.Thread(target=time.sleep, args=(1000,), daemon=True)\nt.start()\n"


def test_a_program_that_cannot_be_forked_is_served_by_the_loader_itself(tmp_path: Path) -> None:
    loader = Loader(tmp_path, THREADED + "def serve(x):\n    return t.is_alive()\n")
    try:
        ready = loader.until("ready")
        assert not ready["fork"] and "thread" in ready["causes"][0]["text"]
        worker = loader.start(become=True)
        worker.until("ready")
        front = worker.front()
        assert front.post(0).body is True and front.hello["pid"] == loader.pid
        os.kill(loader.pid, signal.SIGTERM)
        worker.ended()
        assert loader.wait() == 0
    finally:
        loader.close()


@pytest.mark.parametrize("source", ["def serve(x: int):\n    return x\n", "def serve():\n    return 0\n"])
def test_a_fresh_process_serves_or_refuses(tmp_path: Path, source: str) -> None:
    loader = Loader(tmp_path, source, module="_loader.attempt")
    try:
        worker = loader.start()
        if "x" in source:
            worker.until("ready")
            assert worker.front().post(3).body == 3
            os.kill(loader.pid, signal.SIGTERM)
            worker.ended()
        else:
            error = worker.until("error")
            assert error["program"] and error["error"]["type"] == "Refused" and error["error"]["origin"] == "metaml"
            assert (
                error["error"]["text"].startswith("serve has no parameters")
                and error["error"]["frames"][0]["line"] == 1
            )
    finally:
        loader.close()


def test_what_is_printed_is_in_the_workers_files_line_by_line(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(x):\n    print('got', x)\n") as (front, worker):
        front.post(1)
        assert (worker.folder / "stdout").read_text() == "got 1\n"


def test_short_calls_of_a_frame_are_answered_together_and_long_ones_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    source = (
        f"import time\ndef serve(x):\n    if x:\n        open({str(tmp_path / 'gate')!r}).close()\n        "
        "time.sleep(0.001)\n    return x\n"
    )
    with serving(tmp_path, source) as (front, _):
        left, replies = set(front.send(*[json_item("0")] * 2000)), 0
        while left:
            left -= set(front.reply())
            replies += 1
        assert replies < 1000
        for number in front.send(*[json_item("1")] * 3):
            with open(tmp_path / "gate", "w"):
                pass
            assert list(front.reply()) == [number]


# --- workers that several tests share

Shared = Any


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Gives a front of a worker for a source, the same for the same source."""
    with contextlib.ExitStack() as stack:
        made: dict[str, tuple[Front, Worker]] = {}

        def make(source: str) -> tuple[Front, Worker]:
            if source not in made:
                made[source] = stack.enter_context(serving(tmp_path_factory.mktemp("shared"), source))
            return made[source]

        yield make


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


# --- answers that the function words


WORDED = """
import metaml
def serve(input):
    if input == "error":
        raise metaml.HTTPError(422, "age must not be negative")
    if input == "returned":
        return metaml.HTTPError(404, "no such item", headers={"X-A": "b"})
    if input == "ours":
        raise metaml.HTTPError(503, "the model is being loaded")
    return metaml.Response(**input)
"""


@pytest.mark.parametrize("word", ["def", "async def"])
def test_an_answer_that_the_function_words(tmp_path: Path, word: str) -> None:
    with serving(tmp_path, WORDED.replace("def", word)) as (front, worker):
        assert front.post({"body": "x"}) == (200, 2, "x")
        assert front.post({"body": {"a": 1}, "status": 201}) == (201, 0, {"a": 1})
        status, kind, body = front.post({"body": "<p>", "type": "text/html"})
        assert (status, kind) == (200, 2 | 0x80) and head(body) == (
            "<p>",
            {"type": "text/html; charset=utf-8", "headers": []},
        )
        assert front.post("error") == (422, 4, {"error": "age must not be negative"})
        status, kind, body = front.post("returned")
        assert (status, kind) == (404, 4 | 0x80) and head(body)[1] == {"type": "", "headers": [["X-A", "b"]]}
        assert worker.log() == ""
        answer = front.post("ours")
        assert answer.status == 503 and answer.body["error"] == "the model is being loaded"
        assert worker.log() == f"metaml: {answer.body['id']} serve answered 503 the model is being loaded\n"
        assert failed(front.post({"headers": {"A\r\nB": "c"}})) in worker.log()


def head(body: bytes) -> tuple[str, Any]:
    """What is before the head, and the head."""
    (size,) = struct.unpack_from("<I", body, len(body) - 4)
    return body[: -4 - size].decode(), json.loads(body[-4 - size : -4])


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


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_stream_that_fails_before_its_first_part_has_a_status(tmp_path: Path, word: str) -> None:
    source = f"import metaml\n{word} serve(n):\n    if n:\n        raise metaml.HTTPError(409, 'taken')\n    yield 1\n"
    with serving(tmp_path, source) as (front, _):
        assert list(front.stream(1)) == [(409, 4, {"error": "taken"})]
        assert [part.kind for part in front.stream(0)] == [7, 8]


@pytest.mark.parametrize("word", ["def", "async def"])
def test_an_error_within_a_stream_is_in_the_log_since_no_caller_gets_it(tmp_path: Path, word: str) -> None:
    source = f"import metaml\n{word} serve(n):\n    yield n\n    raise metaml.HTTPError(409, 'taken')\n"
    with serving(tmp_path, source) as (front, worker):
        number = list(front.stream(1))[1].body["id"]
        assert worker.log().splitlines()[-1] == f"metaml: {number} serve answered 409 taken, in a stream that had begun"


@pytest.mark.parametrize("made", ["Response('x', headers={'A': 'a\\nb'})", "HTTPError(200)"])
def test_what_is_wrong_with_an_answer_is_told_at_the_line_of_the_program(tmp_path: Path, made: str) -> None:
    with serving(tmp_path, f"import metaml\ndef serve(n):\n    return metaml.{made}\n") as (front, worker):
        failed(front.post(1))
        assert worker.log().count('  File "') == 1


def test_who_asks_for_events_gets_them(tmp_path: Path) -> None:
    asked = bytearray(json_item("[1]"))
    asked[2] = 1
    with serving(tmp_path, "def serve(parts):\n    yield from parts\n") as (front, _):
        assert front.call(bytes(asked))[0] == (200, 9, b"data: 1\n\n")
