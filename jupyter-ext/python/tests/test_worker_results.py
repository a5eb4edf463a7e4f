"""What becomes of a result or an exception of a worker."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from front import Shared, doubles, failed, head_of, json_item, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


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


FATAL = """
import importlib, io
from metaml import HTTPError

def serve(what):
    if what == "name":
        return missing_name
    if what == "unbound":
        if what == "other":
            value = 1
        return value
    if what == "import":
        import no_such_module
    if what == "from":
        from os import no_such_name
    if what == "by name":
        return importlib.import_module("no_such_module")
    if what == "library":
        import json.no_such_module
    if what == "value":
        raise ValueError("first line.\\nsecond line")
    if what == "ours":
        raise HTTPError(503, "later")
    if what == "infinity":
        return [float("inf")]
    if what == "kind":
        return {1, io}
    if what == "large":
        return bytes(256 << 20)
"""


@pytest.mark.parametrize(
    ("what", "kind", "fatal"),
    [
        ("name", "NameError", True),
        ("unbound", "UnboundLocalError", False),
        ("import", "ModuleNotFoundError", True),
        ("from", "ImportError", True),
        ("by name", "ModuleNotFoundError", False),
        ("library", "ModuleNotFoundError", True),
        ("value", "ValueError", False),
        ("ours", "metaml.HTTPError", False),
        ("infinity", "TypeError", False),
        ("kind", "TypeError", True),
        ("large", "TypeError", False),
    ],
)
def test_the_monitor_learns_why_a_call_failed_and_whether_an_input_can_mend_it(
    shared: Shared, what: str, kind: str, fatal: bool
) -> None:
    front, worker = shared(FATAL)
    number = front.post(what).body["id"]
    failure = front.failure
    assert (failure["error"]["type"], failure["fatal"]) == (kind, fatal)
    assert f"metaml: {number} {failure['text']}\n" in worker.log()
    if frames := failure["error"].get("frames"):
        assert [(frame["function"], frame["mine"]) for frame in frames] == [("serve", True)]


def test_a_failure_is_in_the_cells_of_the_notebook(tmp_path: Path) -> None:
    source_map = {"source": "a.ipynb", "lines": [{"script": 2, "cell": 3, "label": 5, "line": 1}]}
    (tmp_path / "map.json").write_text(json.dumps(source_map))
    (tmp_path / "code").mkdir()
    with serving(tmp_path / "code", "def serve(x):\n    return 1 / x\n") as (front, _):
        failed(front.post(0))
        [frame] = front.failure["error"]["frames"]
        assert (frame["cell"], frame["cell_line"], frame["text"]) == (5, 1, "return 1 / x")
        assert "cell 5, line 1, in serve" in front.failure["error"]["traceback"]


def test_of_several_inputs_the_failure_is_not_repeated(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(xs):\n    raise ValueError(1)\n", batch=4) as (front, _):
        for answer in front.call(json_item("1"), json_item("2")):
            failed(answer)
        assert front.failure == {}
        failed(front.post(1))
        assert front.failure["text"] == "serve raised ValueError: 1"


def test_endless_recursion_and_a_broken_stderr_fail_only_the_call(tmp_path: Path) -> None:
    source = "import sys\ndef serve(x):\n    sys.stderr = None\n    return serve(x) if x else 'fine'\n"
    with serving(tmp_path, source) as (front, _):
        failed(front.post(1))
        assert front.post(0).body == "fine"


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
        assert (status, kind) == (200, 2 | 0x80) and head_of(body) == (
            b"<p>",
            {"type": "text/html; charset=utf-8", "headers": []},
        )
        assert front.post("error") == (422, 4, {"error": "age must not be negative"})
        status, kind, body = front.post("returned")
        assert (status, kind) == (404, 4 | 0x80) and head_of(body)[1] == {"type": "", "headers": [["X-A", "b"]]}
        assert worker.log() == ""
        answer = front.post("ours")
        assert answer.status == 503 and answer.body["error"] == "the model is being loaded"
        assert worker.log() == f"metaml: {answer.body['id']} serve answered 503 the model is being loaded\n"
        assert failed(front.post({"headers": {"A\r\nB": "c"}})) in worker.log()


@pytest.mark.parametrize("made", ["Response('x', headers={'A': 'a\\nb'})", "HTTPError(200)"])
def test_what_is_wrong_with_an_answer_is_told_at_the_line_of_the_program(tmp_path: Path, made: str) -> None:
    with serving(tmp_path, f"import metaml\ndef serve(n):\n    return metaml.{made}\n") as (front, worker):
        failed(front.post(1))
        assert worker.log().count('  File "') == 1
