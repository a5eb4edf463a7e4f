"""What a serving function takes, by its signature: conversions and refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from signatures import PROGRAM, post

from metaml import Refused
from metaml._values.openapi import publish
from metaml._values.signature import Rejected

# Annotation, JSON that is taken, repr of what the function gets.
TAKEN = [
    ("int", 3, "3"),
    ("int", 3.0, "3"),
    ("int", 10**30, "1000000000000000000000000000000"),
    ("float", 1, "1.0"),
    ("float", 1.5, "1.5"),
    ("str", "ü", "'ü'"),
    ("bool", True, "True"),
    ("None", None, "None"),
    ("Any", {"a": [1]}, "{'a': [1]}"),
    ("object", 1, "1"),
    ("list", [1, "a"], "[1, 'a']"),
    ("list[int]", [1, 2.0], "[1, 2]"),
    ("typing.List[float]", [1], "[1.0]"),
    ("Sequence[str]", ["a"], "['a']"),
    ("Iterable[int]", [1], "[1]"),
    ("tuple[int, str]", [1, "a"], "(1, 'a')"),
    ("tuple[int, ...]", [1, 2], "(1, 2)"),
    ("tuple", [1, "a"], "(1, 'a')"),
    ("set[int]", [1], "{1}"),
    ("frozenset[str]", ["a"], "frozenset({'a'})"),
    ("dict", {"a": 1}, "{'a': 1}"),
    ("dict[str, float]", {"a": 1}, "{'a': 1.0}"),
    ("dict[int, str]", {"7": "x"}, "{7: 'x'}"),
    ("Mapping[Color, int]", {"red": 1}, "{<Color.RED: 'red'>: 1}"),
    ("Optional[int]", None, "None"),
    ("int | None", 3, "3"),
    ("Union[int, str]", "3", "'3'"),
    ("float | int", 3, "3"),
    ("int | float", 3.5, "3.5"),
    ("str | list[str]", ["a"], "['a']"),
    ("Item | int", {"name": "n", "price": 1}, "Item(name='n', price=1.0, tags=[])"),
    ("Literal['a', 1]", 1, "1"),
    ("Color", "red", "<Color.RED: 'red'>"),
    ("Level", 2, "<Level.HIGH: 2>"),
    ("UserId", 3, "3"),
    ("Annotated[int, 'some words']", 3, "3"),
    ("Item", {"name": "n", "price": 2}, "Item(name='n', price=2.0, tags=[])"),
    ("Order", {"items": [{"name": "n", "price": 2}]}, "Order(items=[Item(name='n', price=2.0, tags=[])], note=None)"),
    ("Tree", {"value": 1, "below": [{"value": 2}]}, "Tree(value=1, below=[Tree(value=2, below=[])])"),
    ("Part", {"a": 1}, "{'a': 1}"),
    ("Part", {"a": 1, "b": "x"}, "{'a': 1, 'b': 'x'}"),
    ("Point", [1, 2], "Point(x=1.0, y=2.0)"),
    (
        "datetime.datetime",
        "2024-01-02T03:04:05Z",
        "datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)",
    ),
    ("datetime.date", "2024-01-02", "datetime.date(2024, 1, 2)"),
    ("datetime.time", "03:04:05", "datetime.time(3, 4, 5)"),
    ("datetime.timedelta", "PT1M1.5S", "datetime.timedelta(seconds=61, microseconds=500000)"),
    ("datetime.timedelta", 90, "datetime.timedelta(seconds=90)"),
    ("uuid.UUID", "00000000-0000-0000-0000-000000000001", "UUID('00000000-0000-0000-0000-000000000001')"),
    ("decimal.Decimal", "1.10", "Decimal('1.10')"),
    ("decimal.Decimal", 1.1, "Decimal('1.1')"),
    ("pathlib.PurePosixPath", "a/b", "PurePosixPath('a/b')"),
    ("dict[str, bytes]", {"a": "eHk="}, "{'a': b'xy'}"),
]


@pytest.mark.parametrize(("annotation", "body", "expected"), TAKEN)
def test_a_body_becomes_what_the_annotation_says(program: Any, annotation: str, body: Any, expected: str) -> None:
    signature = program(f"def serve(input: {annotation}): pass")
    assert repr(post(signature, body)) == expected
    published = publish(signature, "/predict")
    schema = {
        **published["openapi"]["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"].get(
            "schema", {}
        )
    }
    schema["components"] = published["openapi"].get("components", {})
    Draft202012Validator(schema).validate(body)


# Annotation, JSON that is not taken, the first problem.
WRONG = [
    ("int", "3", "input must be a whole number, not text"),
    ("int", 3.5, "input must be a whole number, not 3.5"),
    ("int", True, "input must be a whole number, not true"),
    ("float", "1", "input must be a number, not text"),
    ("float", False, "input must be a number, not false"),
    ("float", 10**400, "input must be a number that fits into 64 bits of floating point"),
    ("str", 3, "input must be text, not a number"),
    ("bool", 1, "input must be true or false, not a number"),
    ("None", 1, "input must be null, not a number"),
    ("list", {}, "input must be a list, not an object"),
    ("list[int]", [1, "a"], "input[1] must be a whole number, not text"),
    ("tuple[int, str]", [1], "input must be a list of 2 values, not of 1"),
    ("set[Any]", [[1]], "input must be a list of what can be in a set: numbers, text"),
    ("dict[int, str]", {"x": "y"}, 'input.x has a key that must be a whole number, not "x"'),
    ("dict[str, int]", {"a b": "y"}, 'input["a b"] must be a whole number, not text'),
    ("Optional[int]", "x", "input must be a whole number or null, not text"),
    ("int | str", [], "input must be a whole number or text, not a list"),
    ("Literal['a', 1]", True, 'input must be one of "a", 1, not true'),
    ("Color", "green", 'input must be one of "red", "blue", not "green"'),
    ("Item", {"price": 1}, "input.name is missing"),
    ("Item", {"name": "n", "price": 1, "x": 2}, "input.x is not expected; Item has no such field"),
    ("Item", [], "input must be an object, not a list"),
    (
        "Order",
        {"items": [{"name": "n", "price": 2}, {"name": "n", "price": "2"}]},
        "input.items[1].price must be a number, not text",
    ),
    ("Order | None", {"items": [{"name": 1, "price": 2}]}, "input.items[0].name must be text, not a number"),
    ("Checked", {"n": -1}, "input is not right: n is negative"),
    ("Part", {"b": "x"}, "input.a is missing"),
    ("Point", [1, "a"], "input[1] must be a number, not text"),
    ("datetime.datetime", "yesterday", 'input must be a date and time as in ISO 8601, not "yesterday"'),
    ("datetime.date", 3, "input must be a date (YYYY-MM-DD), not a number"),
    ("uuid.UUID", "1", 'input must be a UUID, not "1"'),
    ("decimal.Decimal", "x", 'input must be a number, not "x"'),
    ("dict[str, bytes]", {"a": "?"}, "input.a must be base64 text"),
]


@pytest.mark.parametrize(("annotation", "body", "expected"), WRONG)
def test_what_does_not_fit_is_named(program: Any, annotation: str, body: Any, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        post(program(f"def serve(input: {annotation}): pass"), body)
    assert (caught.value.status, caught.value.body["error"]) == (422, expected)
    first = caught.value.body["problems"][0]
    assert f"{first['field']} {first['error']}" == expected


def test_at_most_twenty_problems_are_told(program: Any) -> None:
    with pytest.raises(Rejected) as caught:
        post(program("def serve(input: list[int]): pass"), ["x"] * 1000)
    assert len(caught.value.body["problems"]) == 20


SEVERAL = "def serve(a: int, b: str = 'x', *, c: float = 0.5): pass"


@pytest.mark.parametrize(
    ("source", "body", "expected"),
    [
        (SEVERAL, {"a": 1}, "([1, 'x'], {'c': 0.5})"),
        (SEVERAL, {"c": 1, "b": "y", "a": 1}, "([1, 'y'], {'c': 1.0})"),
        ("def serve(a, **rest: int): pass", {"a": [], "b": 1}, "([[]], {'b': 1})"),
        ("def serve(**rest): pass", {}, "([], {})"),
        ("def serve(a, /, b): pass", {"a": 1, "b": 2}, "([1, 2], {})"),
    ],
)
def test_several_parameters_get_the_keys_of_the_body(program: Any, source: str, body: Any, expected: str) -> None:
    assert repr(post(program(source), body)) == expected


def test_an_empty_body_has_no_keys(program: Any) -> None:
    with pytest.raises(Rejected, match="a is missing"):
        program("def serve(a, b=1): pass").from_json(bytearray())
    assert program("def serve(a=0, b=1): pass").from_json(bytearray()) == ([0, 1], {})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["a is missing"]),
        ({"a": 1, "z": 1}, ["z is no parameter of serve"]),
        (
            {"a": "1", "b": 2, "c": None},
            ["a must be a whole number, not text", "b must be text, not a number", "c must be a number, not null"],
        ),
        ([1], ["body must be an object with a, b, c, not a list"]),
    ],
)
def test_missing_extra_and_wrong_keys_are_named(program: Any, body: Any, expected: list[str]) -> None:
    with pytest.raises(Rejected) as caught:
        post(program(SEVERAL), body)
    assert [f"{one['field']} {one['error']}" for one in caught.value.body["problems"]] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is empty, and must be JSON"),
        (b"{", "the body is not JSON: expecting property name enclosed in double quotes at line 1, column 2"),
        (b"[1,\n x]", "the body is not JSON: expecting value at line 2, column 2"),
        (b"[1] 2", "the body is not JSON: extra data at line 1, column 5"),
        (b"[NaN]", "the body is not JSON: NaN is not JSON"),
        (b"-Infinity", "the body is not JSON: -Infinity is not JSON"),
        (b'"\xff"', "the body is not UTF-8 from byte 1 on"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b"1" * 5000, "the body is not JSON: a number of more than 4300 digits"),
    ],
)
def test_what_is_not_json_is_told_with_the_place(program: Any, body: bytes, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        program("def serve(input): pass").from_json(bytearray(body))
    assert (caught.value.status, caught.value.body) == (400, {"error": expected})


def test_an_object_nested_too_deeply_for_its_type_is_refused(program: Any) -> None:
    body = '{"value":1,"below":[' * 300 + '{"value":1}' + "]}" * 300
    with pytest.raises(Rejected) as caught:
        program("def serve(input: Tree): pass").from_json(bytearray(body.encode()))
    assert (caught.value.status, caught.value.body) == (400, {"error": "the body is nested too deeply"})


def test_other_bodies_are_bytes_or_text_or_refused(program: Any) -> None:
    assert program("def serve(input): pass").from_bytes("image/png", b"\x89") == b"\x89"
    assert program("def serve(input: bytes): pass").from_bytes("image/png", b"\x89") == b"\x89"
    assert program("def serve(input: bytes): pass").from_json(bytearray(b"[1]")) == b"[1]"
    assert program("def serve(input: str): pass").from_bytes("text/plain; charset=utf-8", "ü".encode()) == "ü"
    with pytest.raises(Rejected) as caught:
        program("def serve(input: int): pass").from_bytes("text/csv", b"1")
    assert (caught.value.status, caught.value.body["error"]) == (
        415,
        "the body must be JSON (content type application/json), not text/csv",
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def serve(): pass", "serve has no parameters, and a request has to go somewhere"),
        ("def serve(*inputs): pass", "serve has only *inputs, and a request has to go somewhere"),
        ("serve = 3", "serve is an int, not a function"),
        ("serve = max", "the parameters of serve cannot be read"),
        ("def serve(a: Plain): pass", "parameter a of serve is annotated as Plain, which cannot be made from JSON"),
        (
            "def serve(a: list[Callable[[int], str]]): pass",
            "parameter a of serve is annotated as Callable[[int], str], which",
        ),
        ("def serve(a: T): pass", "parameter a of serve is annotated as ~T, which cannot be made from JSON"),
        ("def serve(a: complex): pass", "parameter a of serve is annotated as complex, which cannot be made from JSON"),
        (
            "def serve(a: 'Missing'): pass",
            "the annotation of parameter a of serve cannot be read: name 'Missing' is not defined",
        ),
        (
            "def serve(**rest: Plain): pass",
            "parameter **rest of serve is annotated as Plain, which cannot be made from JSON",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(program: Any, source: str, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        program(source)
    assert caught.value.text.startswith(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def serve(a, b): pass", "serve has 2 parameters, and with --batch a function gets one list of inputs"),
        ("def serve(a: int): pass", "with --batch serve gets a list of inputs, and a is annotated as int"),
        (
            "def serve(a: dict[str, int]): pass",
            "with --batch serve gets a list of inputs, and a is annotated as dict[str, int]",
        ),
        ("def serve(a): yield", "serve is a generator, which answers one input"),
    ],
)
def test_what_cannot_be_batched_is_refused(program: Any, source: str, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        program(source, batch=8)
    assert caught.value.text == expected and caught.value.hint


def test_decorated_functions_and_objects_are_read_through(program: Any) -> None:
    before = (
        PROGRAM
        + "import functools\ndef twice(f):\n @functools.wraps(f)\n def g(*a, **k): return f(*a, **k)\n return g\n"
    )
    assert post(program("@twice\ndef serve(n: int): pass", before=before), 3.0) == 3
    assert program("@twice\nasync def serve(n: int): pass", before=before).concurrent
    assert post(program("class C:\n def __call__(self, n: int): return n\nserve = C()", before=before), 3.0) == 3
    assert post(program("class C:\n def f(self, n: int): return n\nserve = C().f", before=before), 3.0) == 3
    assert (
        repr(post(program("def f(n: int, m): pass\nserve = functools.partial(f, m=3)", before=before), {"n": 3.0}))
        == "([3], {'m': 3})"
    )


@pytest.mark.parametrize(
    ("annotation", "body", "expected"),
    [
        ("str", {"text": "abc"}, "'abc'"),
        ("str | None", {"text": None}, "None"),
        ("int", {"text": 3}, "3"),
        ("list[str]", {"text": ["a"]}, "['a']"),
        ("Any", {"text": "abc"}, "'abc'"),  # also without an annotation
        ("Any", {"text": "abc", "more": 1}, "{'text': 'abc', 'more': 1}"),
        ("Any", {"other": 1}, "{'other': 1}"),
        ("Any", {"text": {"text": 1}}, "{'text': 1}"),
        # Who takes objects gets the object.
        ("dict", {"text": "abc"}, "{'text': 'abc'}"),
        ("Mapping[str, Any]", {"text": {"a": 1}}, "{'text': {'a': 1}}"),
        ("dict | str", {"text": "abc"}, "{'text': 'abc'}"),
        # But if it does not fit: the parameter.
        ("dict[str, int]", {"text": {"a": 1}}, "{'a': 1}"),
        ("Item", {"text": {"name": "n", "price": 1}}, "Item(name='n', price=1.0, tags=[])"),
        ("Base", {"text": {"a": 1}}, "{'a': 1}"),
    ],
)
def test_one_key_that_is_the_parameters_name_is_the_parameter(
    program: Any, annotation: str, body: Any, expected: str
) -> None:
    assert repr(post(program(f"def serve(text: {annotation}): pass"), body)) == expected


@pytest.mark.parametrize(
    ("annotation", "body", "expected"),
    [
        ("str", {"text": 3}, "text must be text, not a number"),
        ("str", {"texts": "a"}, "text must be text, not an object"),
        ("str", {"text": "a", "more": 1}, "text must be text, not an object"),
        ("Item", {"text": {"name": "n"}}, "text.price is missing"),
        ("Item", {"text": 3}, "text.name is missing text.price is missing"),
    ],
)
def test_what_is_wrong_with_a_parameter_by_its_name(program: Any, annotation: str, body: Any, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        post(program(f"def serve(text: {annotation}): pass"), body)
    assert expected.startswith(caught.value.body["error"])


def test_an_input_of_a_batch_may_come_by_the_parameters_name(program: Any) -> None:
    assert post(program("def serve(texts: list[str]): pass", batch=8), {"texts": "abc"}) == "abc"
    assert post(program("def serve(rows: list[dict]): pass", batch=8), {"rows": 1}) == {"rows": 1}
    assert post(program("def serve(rows): pass", batch=8), {"rows": 1}) == 1


def test_bytes_may_come_by_the_parameters_name(program: Any) -> None:
    signature = program("def serve(image: bytes): pass")
    named = b' {"image": "YWJj"}'
    assert signature.from_bytes("application/json; charset=utf-8", named[1:]) == b"abc"
    assert signature.from_bytes("image/png", named) == named
    # `curl -d` and `curl --data-binary` call everything a form.
    form = "application/x-www-form-urlencoded"
    assert signature.from_bytes(form, named[1:]) == signature.from_bytes(form, b"image=YWJj") == b"abc"
    assert signature.from_bytes(form, b"\x89PNG=1&image=") == b"\x89PNG=1&image="
    with pytest.raises(Rejected, match="image must be base64 text"):
        signature.from_bytes(form, b"image=%3F")
    for whole in (b'{"image": "YWJj", "top": 1}', b'{"other": "YWJj"}', b"{", b'{"image": '):
        assert signature.from_bytes("application/json", whole) == whole
    with pytest.raises(Rejected) as caught:
        signature.from_bytes("application/json", b'{"image": "?"}')
    assert caught.value.body["error"] == "image must be base64 text"
    assert program("def serve(image: bytes | None): pass").from_bytes("image/png", b"abc") == b"abc"


def test_nothing_is_imported_that_the_program_has_not(tmp_path: Path) -> None:
    """Reading a signature in a fresh interpreter."""
    import subprocess

    code = (
        "import sys\n"
        "from metaml._loader import loader\n"
        "from metaml._values import openapi, signature\n"
        "from metaml._worker import worker\n"
        "def serve(a: int, b: list[str] = []) -> dict[str, float]: pass\n"
        "openapi.publish(signature.read(serve, 'serve'), '/p')\n"
        "print(sorted({'inspect', 'asyncio', 'numpy', 'dataclasses', 'datetime', 'typing_extensions', "
        "'pydantic', 'http'} & set(sys.modules)))\n"
    )
    module = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": module}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
