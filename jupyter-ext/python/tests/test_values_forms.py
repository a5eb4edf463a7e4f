"""What a serving function gets from the text of a query or a form, and its files."""

from __future__ import annotations

from typing import Any

import pytest
from signatures import PYDANTIC, post

from metaml._values.openapi import publish
from metaml._values.signature import Rejected


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        ("def serve(input): pass", {"a": "1", "b": ["2", "3"]}, "{'a': '1', 'b': ['2', '3']}"),
        ("def serve(n: int): pass", {"n": "3"}, "3"),
        ("def serve(n: int = 5): pass", {}, "5"),
        ("def serve(n: int | None): pass", {"n": ""}, "None"),
        ("def serve(n: int | str): pass", {"n": "x"}, "'x'"),
        ("def serve(ns: list[float]): pass", {"ns": "1"}, "[1.0]"),
        ("def serve(ns: list[float]): pass", {"ns": ["1", "2.5"]}, "[1.0, 2.5]"),
        ("def serve(ns: list[float]): pass", {"ns": "[1, 2]"}, "[1.0, 2.0]"),
        ("def serve(words: list[str]): pass", {"words": "[1, 2]"}, "['[1, 2]']"),
        (
            "def serve(items: list[Item]): pass",
            {"items": '[{"name": "n", "price": 1}]'},
            "[Item(name='n', price=1.0, tags=[])]",
        ),
        ("def serve(p: Point): pass", {"p": ["1", "2"]}, "Point(x=1.0, y=2.0)"),
        ("def serve(p: Point): pass", {"p": "[1, 2]"}, "Point(x=1.0, y=2.0)"),
        (
            "def serve(item: Item): pass",
            {"name": "n", "price": "2", "tags": "t"},
            "Item(name='n', price=2.0, tags=['t'])",
        ),
        ("def serve(d: dict[str, int]): pass", {"a": "1"}, "{'a': 1}"),
        (
            "def serve(a: bool, b: Color, c: Literal[1, 2]): pass",
            {"a": "yes", "b": "red", "c": "2"},
            "([True, <Color.RED: 'red'>, 2], {})",
        ),
        (
            "def serve(when: datetime.date, item: Item): pass",
            {"when": "2024-01-02", "item": '{"name": "n", "price": 1}'},
            None,
        ),
    ],
)
def test_text_in_a_query_is_converted(program: Any, source: str, fields: Any, expected: str | None) -> None:
    found = repr(program(source).from_fields(fields))
    assert expected is None or found == expected


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        ("def serve(n: int): pass", {"n": "x"}, 'n must be a whole number, not "x"'),
        ("def serve(n: int): pass", {"n": ["1", "2"]}, "n is given 2 times"),
        ("def serve(n: int): pass", {}, "n is missing"),
        ("def serve(n: int): pass", {"n": "1", "m": "1"}, "m is not expected"),
        ("def serve(n: bool): pass", {"n": "maybe"}, 'n must be true or false, not "maybe"'),
        ("def serve(p: Point): pass", {"p": "[1"}, "p must be a list of 2 values, as JSON"),
        ("def serve(item: Item): pass", {"name": "n"}, "item.price is missing"),
        ("def serve(item: Item | None): pass", {"name": "n"}, "item.price is missing"),
    ],
)
def test_text_in_a_query_that_does_not_fit_is_named(program: Any, source: str, fields: Any, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        program(source).from_fields(fields)
    assert (caught.value.status, caught.value.body["error"]) == (422, expected)


def test_a_model_in_a_query_is_json(program: Any) -> None:
    pytest.importorskip("pydantic")
    person = program("def serve(p: Person): pass", before=PYDANTIC)
    made = person.from_fields({"name": "N", "homes": '[{"street": "S", "number": 3}]'})
    assert made.homes[0].number == 3
    assert person.from_fields({"name": "N", "homes": '{"street": "S", "number": 3}'}).homes[0].street == "S"
    query = {one["name"]: one for one in publish(person, "/p")["openapi"]["paths"]["/p"]["get"]["parameters"]}
    assert "content" in query["homes"] and "schema" in query["born"]


@pytest.mark.parametrize(
    ("parameters", "fields", "expected"),
    [
        ("image: bytes", {"image": b"abc"}, "b'abc'"),
        ("image: bytes | None", {"image": b"abc"}, "b'abc'"),
        ("image: bytes", {"image": "YWJj"}, "b'abc'"),  # text is base64, as in a query
        ("images: list[bytes]", {"images": [b"a", b"b"]}, "[b'a', b'b']"),
        ("images: list[bytes]", {"images": b"[1]"}, "[b'[1]']"),
        ("form", {"image": b"a", "top": "3"}, "{'image': b'a', 'top': '3'}"),
        ("form: dict[str, bytes]", {"a": b"a"}, "{'a': b'a'}"),
        ("text: str", {"text": b"\xef\xbb\xbfabc"}, "'abc'"),
        ("numbers: list[int]", {"numbers": b"[1, 2]"}, "[1, 2]"),
        ("pair: tuple[int, int]", {"pair": b"[1, 2]"}, "(1, 2)"),
        ("item: Item", {"item": b'{"name": "n", "price": 1}'}, "Item(name='n', price=1.0, tags=[])"),
        ("image: bytes, top: int = 3", {"image": b"a", "top": "2"}, "([b'a', 2], {})"),
        ("image, *, top", {"image": b"a", "top": ["2", b"3"]}, "([b'a'], {'top': ['2', b'3']})"),
    ],
)
def test_a_form_with_files(program: Any, parameters: str, fields: Any, expected: str) -> None:
    assert repr(program(f"def serve({parameters}): pass").from_fields(fields)) == expected


@pytest.mark.parametrize(
    ("parameters", "fields", "expected"),
    [
        ("image: bytes", {"file": b"a"}, "file is not expected"),
        ("image: bytes", {"image": [b"a", b"b"]}, "image is given 2 times"),
        ("text: str", {"text": b"\xff"}, "text must be text, not a file that is not UTF-8"),
        ("n: int", {"n": b"x"}, 'n must be a whole number, not "x"'),
        ("image: bytes, top: int = 3", {"top": "2"}, "image is missing"),
        ("d: dict[str, int]", {"a": b"\xff"}, "d.a must be a whole number, not a file that is not UTF-8"),
        ("item: Item", {"item": b"\xff"}, "item.name is missing"),
    ],
)
def test_what_is_wrong_with_a_form_with_files(program: Any, parameters: str, fields: Any, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        program(f"def serve({parameters}): pass").from_fields(fields)
    assert (caught.value.status, caught.value.body["error"]) == (422, expected)


def test_models_take_files(program: Any) -> None:
    pytest.importorskip("pydantic")
    classes = (
        PYDANTIC
        + "class Upload(pydantic.BaseModel):\n    model_config = {'strict': True}\n    image: bytes\n    tags: "
        "list[str] = []\n"
    )
    made = program("def serve(u: Upload): pass", before=classes).from_fields({"image": b"a", "tags": "x"})
    assert (made.image, made.tags) == (b"a", ["x"])
    plain = program("def serve(p: Person): pass", before=PYDANTIC)
    assert post(plain, {"p": {"name": "N"}}).name == "N"
    assert post(program("def serve(n: Positive): pass", before=PYDANTIC), {"n": 3}) == 3
