"""Parameters of a serving function that are in the path of its URL."""

from __future__ import annotations

from typing import Any

import pytest
from signatures import post

from metaml import Refused
from metaml._values.signature import Rejected


@pytest.mark.parametrize(
    ("parameters", "path", "values", "body", "expected"),
    [
        ("id: int", "/items/{id}", {"id": "7"}, "", "([7], {})"),
        ("id: int", "/items/{id}", {"id": "7"}, "{}", "([7], {})"),
        ("id: int, text: str", "/items/{id}", {"id": "7"}, '"abc"', "([7, 'abc'], {})"),
        ("text: str, id: int", "/items/{id}", {"id": "7"}, '{"text": "abc"}', "(['abc', 7], {})"),
        (
            "model, *, rows: list[int], top: int = 3",
            "/{model}:predict",
            {"model": "m"},
            '{"rows": [1]}',
            "(['m'], {'rows': [1], 'top': 3})",
        ),
        ("text: str = 'x', *, id: Color", "/{id}", {"id": "red"}, "", "(['x'], {'id': <Color.RED: 'red'>})"),
        ("id, **more", "/{id}/{kind}", {"id": "1", "kind": "k"}, '{"a": 1}', "(['1'], {'kind': 'k', 'a': 1})"),
    ],
)
def test_parameters_in_the_path(
    program: Any, parameters: str, path: str, values: Any, body: str, expected: str
) -> None:
    signature = program(f"def serve({parameters}): pass", path=path)
    assert repr(signature.with_path(values, lambda: signature.from_json(bytearray(body.encode())))) == expected


@pytest.mark.parametrize(
    ("values", "body", "expected"),
    [
        ({"id": "x"}, '"a"', 'id must be a whole number, not "x"'),
        ({"id": "1"}, "3", "text must be text, not a number"),
        ({"id": "1"}, '{"text": "a", "id": 2}', "text must be text, not an object"),
    ],
)
def test_what_is_wrong_with_a_parameter_in_the_path(program: Any, values: Any, body: str, expected: str) -> None:
    signature = program("def serve(id: int, text: str): pass", path="/items/{id}")
    with pytest.raises(Rejected) as caught:
        signature.with_path(values, lambda: signature.from_json(bytearray(body.encode())))
    assert (caught.value.status, caught.value.body["error"]) == (422, expected)


def test_what_is_in_the_path_is_nowhere_else(program: Any) -> None:
    signature = program("def serve(id: int, a: int, b: int): pass", path="/items/{id}")
    with pytest.raises(Rejected) as caught:
        signature.with_path({"id": "1"}, lambda: signature.from_fields({"id": "2", "a": "1", "b": "2"}))
    assert caught.value.body["error"] == "id is in the path already"
    signature = program("def serve(id: int): pass", path="/items/{id}")
    with pytest.raises(Rejected) as caught:
        signature.with_path({"id": "1"}, lambda: post(signature, {"x": 1}))
    assert caught.value.body["error"] == "x is no parameter of serve"


@pytest.mark.parametrize(
    ("source", "batch", "expected"),
    [
        ("def serve(text: str): pass", 0, "--url /items/{id} has {id}, and serve has no parameter of that name"),
        ("def serve(id): pass", 8, "--url /items/{id} has {id}, and with --batch serve gets one list of inputs"),
    ],
)
def test_a_path_that_no_parameter_fits_is_refused(program: Any, source: str, batch: int, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        program(source, batch=batch, path="/items/{id}")
    assert caught.value.text == expected
