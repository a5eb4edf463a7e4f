"""Serving functions that take arrays of numpy and tables of pandas."""

from __future__ import annotations

from typing import Any

import pytest
from signatures import check_inputs, post

from metaml._values.openapi import publish
from metaml._values.signature import Rejected


def test_a_table_by_its_name_is_no_table_with_a_column_of_objects(program: Any) -> None:
    pytest.importorskip("pandas")
    signature = program("def serve(df: pd.DataFrame): pass", before="import pandas as pd\n")
    for body in ({"df": [{"a": 1}]}, {"df": {"a": [1]}}):
        assert post(signature, body).to_dict("list") == {"a": [1]}
    assert post(signature, {"df": [1]}).to_dict("list") == {"df": [1]}


def test_an_array_or_bytes_beside_what_is_in_the_path(program: Any) -> None:
    numpy = pytest.importorskip("numpy")
    signature = program("def serve(model, x: np.ndarray): pass", before="import numpy as np\n", path="/{model}")
    assert signature.input == {"kind": "array", "dtype": "float64", "ndim": None, "name": "x"}
    [model, x], _ = signature.with_path({"model": "m"}, lambda: signature.from_array(numpy.array([1.0])))
    assert (model, x.tolist()) == ("m", [1.0])
    signature = program("def serve(id: int, image: bytes): pass", path="/{id}")
    assert signature.with_path({"id": "1"}, lambda: signature.from_bytes("image/png", b"abc")) == ([1, b"abc"], {})


NUMPY = "import numpy as np\nimport numpy.typing as npt\n"


@pytest.mark.parametrize(
    ("annotation", "body", "expected"),
    [
        ("np.ndarray", [[1, 2], [3, 4]], "array([[1., 2.],\n       [3., 4.]])"),
        ("np.ndarray", 3, "array(3.)"),
        ("np.ndarray", [], "array([], dtype=float64)"),
        ("npt.NDArray[np.float32]", [0.5, 1], "array([0.5, 1. ], dtype=float32)"),
        ("npt.NDArray[np.int8]", [1.0, -128], "array([   1, -128], dtype=int8)"),
        ("npt.NDArray[np.uint64]", [2**64 - 1], "array([18446744073709551615], dtype=uint64)"),
        ("npt.NDArray[np.bool_]", [True], "array([ True])"),
        ("npt.NDArray[np.floating]", [1], "array([1.])"),
        ("np.ndarray[tuple[int, int], np.dtype[np.float64]]", [[1]], "array([[1.]])"),
        ("list[npt.NDArray[np.int64]]", [[1], [2]], "[array([1]), array([2])]"),
        ("np.ndarray", [10**30], "array([1.e+30])"),
        ("np.ndarray", [1, None], "array([ 1., nan])"),
        ("np.ndarray", [[None, 2], [3, None]], "array([[nan,  2.],\n       [ 3., nan]])"),
        ("npt.NDArray[np.float16]", [None], "array([nan], dtype=float16)"),
        ("list[npt.NDArray[np.float32]]", [[None]], "[array([nan], dtype=float32)]"),
    ],
)
def test_lists_of_numbers_become_arrays(program: Any, annotation: str, body: Any, expected: str) -> None:
    pytest.importorskip("numpy")
    signature = program(f"def serve(input: {annotation}): pass", before=NUMPY)
    assert repr(post(signature, body)) == expected
    check_inputs(signature, 50)


def test_a_number_becomes_one_of_numpy(program: Any) -> None:
    numpy = pytest.importorskip("numpy")
    signature = program("def serve(input: np.int8): pass", before=NUMPY)
    got = post(signature, 7)
    assert (type(got), got) == (numpy.int8, 7)
    check_inputs(signature, 50)


@pytest.mark.parametrize(
    ("annotation", "body", "expected"),
    [
        ("np.ndarray", "x", "input must be a list of numbers, not text"),
        ("np.ndarray", [1, "2"], "input[1] must be a number, not text"),
        ("np.ndarray", ["1"], "input[0] must be a number, not text"),
        ("np.ndarray", None, "input must be a list of numbers, not null"),
        ("np.ndarray", [1, None, "x"], "input[2] must be a number, not text"),
        ("np.ndarray", [[1], None], "input[1] must be a list, as the others are"),
        ("npt.NDArray[np.int64]", [[1, None]], "input[0][1] must be a whole number, not null"),
        ("npt.NDArray[np.bool_]", [None], "input[0] must be true or false, not null"),
        ("np.ndarray", [True], "input[0] must be a number, not true"),
        ("np.ndarray", [[1, 2], [3]], "input[1] must have 2 elements, as the first has, not 1"),
        ("np.ndarray", [1, [3]], "input[1] must be a number, as the others are"),
        ("npt.NDArray[np.int8]", [1.5], "input must be a list of whole numbers"),
        ("npt.NDArray[np.int8]", [300], "input must be numbers from -128 to 127"),
        ("npt.NDArray[np.bool_]", [1], "input[0] must be true or false, not a number"),
        ("np.ndarray[tuple[int, int], np.dtype[np.float64]]", [1], "input must have 2 dimensions, not 1"),
        ("np.int8", 300, "input must be a number from -128 to 127"),
    ],
)
def test_what_is_no_array_is_named(program: Any, annotation: str, body: Any, expected: str) -> None:
    pytest.importorskip("numpy")
    with pytest.raises(Rejected) as caught:
        post(program(f"def serve(input: {annotation}): pass", before=NUMPY), body)
    assert (caught.value.status, caught.value.body["error"]) == (422, expected)


def test_a_number_too_large_for_any_array_of_integers_is_named(program: Any) -> None:
    pytest.importorskip("numpy")
    with pytest.raises(Rejected, match="input must be a list of whole numbers"):
        program("def serve(input: npt.NDArray[np.int8]): pass", before=NUMPY).from_json(bytearray(b"[1e400]"))


@pytest.mark.parametrize(
    ("annotation", "batch", "expected"),
    [
        ("np.ndarray", 0, {"kind": "array", "dtype": "float64", "ndim": None, "name": "input"}),
        ("npt.NDArray[np.float32]", 0, {"kind": "array", "dtype": "float32", "ndim": None, "name": "input"}),
        (
            "np.ndarray[tuple[int, int], np.dtype[np.uint8]]",
            0,
            {"kind": "array", "dtype": "uint8", "ndim": 2, "name": "input"},
        ),
        (
            "np.ndarray[tuple[int, int], np.dtype[np.uint8]]",
            8,
            {"kind": "array", "dtype": "uint8", "ndim": 1, "name": "input"},
        ),
        ("list[np.ndarray]", 8, {"kind": "array", "dtype": "float64", "ndim": None, "name": "input"}),
        ("list[np.ndarray]", 0, {"kind": "json"}),
        ("list[bytes]", 8, {"kind": "bytes"}),
        ("bytes", 0, {"kind": "bytes"}),
        ("int", 0, {"kind": "json"}),
    ],
)
def test_the_front_is_told_what_to_send(program: Any, annotation: str, batch: int, expected: Any) -> None:
    pytest.importorskip("numpy")
    signature = program(f"def serve(input: {annotation}): pass", batch=batch, before=NUMPY)
    assert signature.input == expected
    # Nobody can guess the shape of an array, so there is no example.
    assert ("example" in publish(signature, "/p")) == (annotation == "int")


def test_tables_of_pandas(program: Any) -> None:
    pytest.importorskip("pandas")
    signature = program("def serve(df: pd.DataFrame): pass", before="import pandas as pd\n")
    assert post(signature, [{"a": 1, "b": "x"}]).to_dict("list") == {"a": [1], "b": ["x"]}
    assert post(signature, {"a": [1, 2]}).to_dict("list") == {"a": [1, 2]}
    missing = post(signature, [{"a": 1, "b": "x", "c": None}, {"a": None, "b": None, "c": None}])
    assert missing.dtypes.astype(str)[["a", "c"]].to_list() == ["float64", "float64"]
    assert missing.isna().to_dict("list") == {"a": [False, True], "b": [False, True], "c": [True, True]}
    assert "example" not in publish(signature, "/predict")  # nobody knows its columns
    column = program("def serve(s: pd.Series): pass", before="import pandas as pd\n")
    assert post(column, [1, None]).isna().to_list() == [False, True] and str(post(column, [None]).dtype) == "float64"
    for body, expected in [
        ({"a": [1], "b": []}, "df must have columns of one length"),
        ([1], "df must be a list of objects"),
    ]:
        with pytest.raises(Rejected) as caught:
            post(signature, body)
        assert caught.value.body["error"].startswith(expected)
