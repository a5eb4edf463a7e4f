"""What a serving function takes, by its signature: conversions, refusals, what is published of it."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from metaml import Refused
from metaml._values import openapi
from metaml._values.signature import Rejected, Signature, read

PROGRAM = """
from __future__ import annotations
import collections, dataclasses, datetime, decimal, enum, metaml, pathlib, typing, uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Callable, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

T = TypeVar("T")
UserId = NewType("UserId", int)

class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2

@dataclass
class Item:
    name: str
    price: float
    tags: list[str] = field(default_factory=list)

@dataclass
class Order:
    items: list[Item]
    note: str | None = None

@dataclass
class Tree:
    value: int
    below: list[Tree] = field(default_factory=list)

@dataclass
class Checked:
    n: int
    def __post_init__(self):
        if self.n < 0:
            raise ValueError("n is negative")

class Base(TypedDict):
    a: int

class Part(Base, total=False):
    b: str

class Point(NamedTuple):
    x: float
    y: float

class Plain:
    pass
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes functions in a program of their own, which is ``__main__``."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))

    def make(source: str, *, batch: int = 0, before: str = PROGRAM, path: str = "") -> Signature:
        namespace = sys.modules["__main__"].__dict__
        exec(compile(before, "main.py", "exec"), namespace)
        exec(compile(source, "main.py", "exec", dont_inherit=True), namespace)
        return read(namespace["serve"], "serve", batch=batch, path=path)

    return make


def post(signature: Signature, body: Any) -> Any:
    return signature.from_json(bytearray(json.dumps(body).encode()))


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
    published = signature.published("/predict")
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
    ("source", "expected"),
    [
        ("def serve(n: int): pass", 1),
        ("def serve(n: int = 7): pass", 7),
        ("def serve(x: float): pass", 1.0),
        ("def serve(on: bool): pass", True),
        ("def serve(n: list[int]): pass", [1, 2, 3]),
        ("def serve(rows: list[list[float]]): pass", [[1.0, 2.0, 3.0]]),
        ("def serve(n: set[int]): pass", [1, 2, 3]),
        ("def serve(texts: list[str]): pass", ["text"]),
        (
            "def serve(a: str, b: list[float], c=None, *, d: bool = True): pass",
            {"a": "text", "b": [1.0, 2.0, 3.0], "d": True},
        ),
        ("def serve(a: int, b: int | None = None): pass", {"a": 1}),
        ("def serve(o: Order): pass", {"items": [{"name": "text", "price": 1.0}]}),
        ("def serve(o: Part): pass", {"a": 1}),
        ("def serve(p: Point | None): pass", [1.0, 1.0]),
        ("def serve(c: Color, l: Literal[5, 6]): pass", {"c": "red", "l": 5}),
        ("def serve(d: dict[str, int]): pass", {"text": 1}),
        ("def serve(d: dict[int, float]): pass", {"1": 1.0}),
        ("def serve(d: dict[str, bytes]): pass", {"text": "dGV4dA=="}),
        (
            "def serve(d: datetime.date, u: uuid.UUID): pass",
            {"d": "2024-01-01", "u": "00000000-0000-4000-8000-000000000001"},
        ),
        ("def serve(d: datetime.time, t: datetime.timedelta): pass", {"d": "12:00:00", "t": "PT1S"}),
        ("def serve(x: decimal.Decimal): pass", 1.0),
        # Nobody can guess the name of a file that is there.
        ("def serve(file: pathlib.Path): pass", None),
        ("def serve(input): pass", None),
        ("def serve(a: int, b): pass", None),
        ("def serve(a: dict): pass", None),
        ("def serve(a: bytes): pass", None),
    ],
)
def test_an_example_is_made_where_the_signature_says_enough(program: Any, source: str, expected: Any) -> None:
    signature = program(source)
    published = signature.published("/predict")
    assert published.get("example") == expected
    if expected is not None:
        post(signature, expected)


EVERY = """
def serve(a: int, b: Order, c: Tree, d: list[Part] | Point, e: Mapping[Color, decimal.Decimal],
          f: Literal["x", 2] | None,
          g: tuple[int, str, bool], h: set[int], i: datetime.datetime, j: datetime.timedelta, k: uuid.UUID,
          l: dict[int, float],
          m: bytes, n: Any, o: frozenset, p: Level, q: datetime.date, r: float | str = 3, *, s: int = 5,
          **rest: bool) -> list[Item]:
    "Does it all."
"""


def test_inputs_made_from_the_schema_are_taken(program: Any) -> None:
    signature = program(EVERY)
    check_inputs(signature, 300)


def check_inputs(signature: Signature, n: int) -> None:
    """Make inputs from what is published, and give them to the signature."""
    document = signature.published("/predict")["openapi"]
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": document.get("components", {})}
    Draft202012Validator.check_schema(whole)
    dice = random.Random(7)
    for _ in range(n):
        value = make(schema, document, dice, 0)
        Draft202012Validator(whole).validate(value)
        try:
            post(signature, value)
        except Rejected as error:
            pytest.fail(f"{error.body} for {json.dumps(value)}")


def make(schema: dict[str, Any], document: Any, dice: random.Random, depth: int) -> Any:
    """A value that a schema allows."""
    if "x-numpy" in schema:  # rows of one length, which a schema cannot say
        number, ndim = schema, 0
        while "items" in number:
            number, ndim = number["items"], ndim + 1
        if "anyOf" in number:
            number, ndim = number["anyOf"][0], dice.randint(0, 3)
        return nested(number, [dice.randint(0, 3) for _ in range(ndim)], document, dice)
    if "$ref" in schema:
        found = document
        for key in schema["$ref"].split("/")[1:]:
            found = found[key]
        return make(found, document, dice, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return dice.choice(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return make(dice.choice(schema[key]), document, dice, depth)
    kind = schema.get("type") or dice.choice(["integer", "string", "boolean", "null", "number"])
    if isinstance(kind, list):
        kind = dice.choice(kind)
    if kind == "array":
        if "prefixItems" in schema:
            return [make(one, document, dice, depth + 1) for one in schema["prefixItems"]]
        low = schema.get("minItems", 0)
        values = [
            make(schema.get("items", {}), document, dice, depth + 1)
            for _ in range(dice.randint(low, low + (0 if depth > 6 else 3)))
        ]
        if schema.get("uniqueItems"):
            values = [one for i, one in enumerate(values) if not any(one == other for other in values[:i])]
        return values
    if kind == "object":
        made = {}
        for name, one in schema.get("properties", {}).items():
            if name in schema.get("required", []) or (dice.random() < 0.5 and depth < 6):
                made[name] = make(one, document, dice, depth + 1)
        more = schema.get("additionalProperties", {})
        if more is not False:
            for _ in range(dice.randint(0, 2)):
                keys = schema.get("propertyNames", {})
                key = (
                    str(dice.randint(-9, 99))
                    if "pattern" in keys
                    else make({"type": "string", **keys}, document, dice, depth)
                )
                if key not in schema.get("properties", {}):
                    made[key] = make(more if isinstance(more, dict) else {}, document, dice, depth + 1)
        return made
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", -(10**6)), schema.get("maximum", 10**6)
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + 1
        return dice.randint(low, high) if kind == "integer" or dice.random() < 0.3 else dice.uniform(low, high)
    if kind == "string":
        return text(schema, dice)
    return dice.random() < 0.5 if kind == "boolean" else None


def nested(number: dict[str, Any], shape: list[int], document: Any, dice: random.Random) -> Any:
    if not shape:
        return make(number, document, dice, 0)
    if len(shape) == 1 and number["type"] == "number" and dice.random() < 0.3:  # a missing value
        return [None] * shape[0]
    return [nested(number, shape[1:], document, dice) for _ in range(shape[0])]


def text(schema: dict[str, Any], dice: random.Random) -> str:
    two = f"{dice.randint(1, 12):02}"
    formats = {
        "date-time": f"20{two}-{two}-{two}T{two}:{two}:{two}" + dice.choice(["", "Z", "+01:00", ".123Z", ".123456"]),
        "date": f"20{two}-{two}-{two}",
        "time": f"{two}:{two}:{two}",
        "duration": dice.choice(["PT1S", "P1DT2H", "PT1.5S", "-P3D", "P2W"]),
        "uuid": f"{dice.getrandbits(32):08x}-0000-4000-8000-{dice.getrandbits(48):012x}",
        "decimal": str(dice.uniform(-9, 9)),
    }
    if schema.get("contentEncoding") == "base64":
        return dice.choice(["", "eHk=", "eHl6"])
    if (form := schema.get("format")) is not None:
        return formats[form]
    low = schema.get("minLength", 0)
    return "".join(dice.choice("aZ0 ü\n\"'%") for _ in range(dice.randint(low, low + 8)))


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("def serve(a) -> str: pass", "text/plain"),
        ("def serve(a) -> bytes: pass", "application/octet-stream */*"),
        ("def serve(a) -> metaml.Response: pass", "*/*"),
        ("def serve(a) -> Iterator[str]: yield", "text/plain text/event-stream"),
        ("def serve(a) -> Iterator[dict]: yield", "application/x-ndjson text/event-stream"),
        ("def serve(a): yield", "*/* text/event-stream"),
        ("def serve(a) -> Item: pass", "application/json"),
        ("def serve(a) -> Plain: pass", "application/json"),
        ("def serve(a): pass", "application/json"),
    ],
)
def test_the_document_tells_what_is_answered(program: Any, source: str, content: str) -> None:
    document = program(source).published("/p")["openapi"]
    answers = document["paths"]["/p"]["post"]["responses"]
    assert list(answers["200"]["content"]) == content.split()
    assert list(answers) == ["200", *openapi._STATUSES, "default"] and {"400", "413", "415", "501", "505"} < set(
        answers
    )
    assert not {"413", "415", "501"} & set(document["paths"]["/p"]["get"]["responses"])


def test_the_document_has_the_functions_name_words_and_query(program: Any) -> None:
    document = program(EVERY).published("/p")["openapi"]
    assert document["info"] == {"title": "serve", "version": "1", "description": "Does it all."}
    query = {one["name"]: one for one in document["paths"]["/p"]["get"]["parameters"]}
    assert query["a"] == {"name": "a", "in": "query", "required": True, "schema": {"type": "integer"}}
    assert query["s"] == {"name": "s", "in": "query", "required": False, "schema": {"type": "integer", "default": 5}}


@pytest.mark.parametrize(
    "source",
    [
        EVERY,
        "def serve(input): pass",
        "def serve(input: bytes) -> bytes: pass",
        "def serve(input: str = 'x') -> Iterator[str]: yield",
        "def serve(item: Item | None): pass",
        "def serve(d: dict[Color, Tree]) -> Item: pass",
        "def serve(a, **rest: int): pass",
    ],
)
def test_the_document_is_valid_openapi(program: Any, source: str) -> None:
    pytest.importorskip("openapi_spec_validator").validate(program(source).published("/p")["openapi"])


# --- the one parameter, by its name


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


def test_a_table_by_its_name_is_no_table_with_a_column_of_objects(program: Any) -> None:
    pytest.importorskip("pandas")
    signature = program("def serve(df: pd.DataFrame): pass", before="import pandas as pd\n")
    for body in ({"df": [{"a": 1}]}, {"df": {"a": [1]}}):
        assert post(signature, body).to_dict("list") == {"a": [1]}
    assert post(signature, {"df": [1]}).to_dict("list") == {"df": [1]}


# --- parameters in the path


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


def test_an_array_or_bytes_beside_what_is_in_the_path(program: Any) -> None:
    numpy = pytest.importorskip("numpy")
    signature = program("def serve(model, x: np.ndarray): pass", before="import numpy as np\n", path="/{model}")
    assert signature.input == {"kind": "array", "dtype": "float64", "ndim": None, "name": "x"}
    [model, x], _ = signature.with_path({"model": "m"}, lambda: signature.from_array(numpy.array([1.0])))
    assert (model, x.tolist()) == ("m", [1.0])
    signature = program("def serve(id: int, image: bytes): pass", path="/{id}")
    assert signature.with_path({"id": "1"}, lambda: signature.from_bytes("image/png", b"abc")) == ([1, b"abc"], {})


def test_an_example_has_what_is_in_the_path_too(program: Any) -> None:
    signature = program("def serve(id: int, row: dict = {}, *, k: Color = Color.RED): pass", path="/items/{id}")
    assert signature.from_named(bytearray(b'{"id": 7, "row": {"a": 1}}')) == (
        [7, {"a": 1}],
        {"k": sys.modules["__main__"].Color.RED},
    )
    assert signature.from_named(bytearray(b'{"id": "7"}'))[0] == [7, {}]
    signature = program("def serve(id: int, row: dict): pass", path="/items/{id}")
    assert signature.from_named(bytearray(b'{"id": 7, "row": {"row": 1}}')) == ([7, {"row": 1}], {})
    for body, expected in [
        (b"[]", "example must be an object with id, row, not a list"),
        (b'{"row": {}}', "id is missing"),
        (b'{"id": 1}', "row is missing"),
    ]:
        with pytest.raises(Rejected) as caught:
            signature.from_named(bytearray(body))
        assert caught.value.body["error"] == expected


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


def test_the_document_has_parameters_in_their_places(program: Any) -> None:
    source = (
        "def serve(id: int, item: Item, tags: list[str], pairs: list[tuple[int, int]] = [], when: "
        "datetime.date | None = None): pass"
    )
    signature = program(source, path="/items/{id}")
    published = signature.published("/items/{id}")
    item = published["openapi"]["paths"]["/items/{id}"]
    assert item["parameters"] == [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
    query = {one["name"]: one for one in item["get"]["parameters"]}
    assert list(query) == ["item", "tags", "pairs", "when"]
    assert query["item"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Item"}
    assert (
        "content" in query["pairs"]
        and query["tags"]["schema"]["type"] == "array"
        and "anyOf" in query["when"]["schema"]
    )
    # Which is how the server takes them.
    fields = {"item": '{"name": "n", "price": 1}', "tags": ["a", "b"], "pairs": "[[1, 2]]", "when": "2024-01-02"}
    arguments, _ = signature.with_path({"id": "1"}, lambda: signature.from_fields(fields))
    assert arguments[1].price == 1 and arguments[2:4] == [["a", "b"], [(1, 2)]]
    assert (
        published["example"]["id"] == 1
        and "id" not in item["post"]["requestBody"]["content"]["application/json"]["example"]
    )
    alone = program("def serve(id: int): pass", path="/{id}").published("/{id}")
    assert "requestBody" not in alone["openapi"]["paths"]["/{id}"]["post"] and alone["example"] == {"id": 1}
    openapi = pytest.importorskip("openapi_spec_validator")
    for one in (published, alone):
        openapi.validate(one["openapi"])


def test_the_document_tells_of_forms_with_files(program: Any) -> None:
    for source in ("def serve(image: bytes): pass", "def serve(image: bytes | None, top: int = 3): pass"):
        document = program(source).published("/p")["openapi"]
        form = document["paths"]["/p"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"]["image"] == {"type": "string", "contentMediaType": "application/octet-stream"}
        pytest.importorskip("openapi_spec_validator").validate(document)


def test_a_model_in_a_query_is_json(program: Any) -> None:
    pytest.importorskip("pydantic")
    person = program("def serve(p: Person): pass", before=PYDANTIC)
    made = person.from_fields({"name": "N", "homes": '[{"street": "S", "number": 3}]'})
    assert made.homes[0].number == 3
    assert person.from_fields({"name": "N", "homes": '{"street": "S", "number": 3}'}).homes[0].street == "S"
    query = {one["name"]: one for one in person.published("/p")["openapi"]["paths"]["/p"]["get"]["parameters"]}
    assert "content" in query["homes"] and "schema" in query["born"]


# --- forms with files


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
        ("np.int8", 7, "np.int8(7)"),
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
    assert ("example" in signature.published("/p")) == (annotation == "int")


def test_tables_of_pandas(program: Any) -> None:
    pytest.importorskip("pandas")
    signature = program("def serve(df: pd.DataFrame): pass", before="import pandas as pd\n")
    assert post(signature, [{"a": 1, "b": "x"}]).to_dict("list") == {"a": [1], "b": ["x"]}
    assert post(signature, {"a": [1, 2]}).to_dict("list") == {"a": [1, 2]}
    missing = post(signature, [{"a": 1, "b": "x", "c": None}, {"a": None, "b": None, "c": None}])
    assert missing.dtypes.astype(str)[["a", "c"]].to_list() == ["float64", "float64"]
    assert missing.isna().to_dict("list") == {"a": [False, True], "b": [False, True], "c": [True, True]}
    assert "example" not in signature.published("/predict")  # nobody knows its columns
    column = program("def serve(s: pd.Series): pass", before="import pandas as pd\n")
    assert post(column, [1, None]).isna().to_list() == [False, True] and str(post(column, [None]).dtype) == "float64"
    for body, expected in [
        ({"a": [1], "b": []}, "df must have columns of one length"),
        ([1], "df must be a list of objects"),
    ]:
        with pytest.raises(Rejected) as caught:
            post(signature, body)
        assert caught.value.body["error"].startswith(expected)


PYDANTIC = (
    PROGRAM.replace("from __future__ import annotations\n", "")
    + """
import pydantic

class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1)

class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1)
    homes: list[Address] = []
    born: datetime.date | None = None

class Strict(pydantic.BaseModel):
    model_config = {"strict": True}
    day: datetime.date

@pydantic.dataclasses.dataclass
class Pair:
    a: int
    b: int

Positive = Annotated[int, pydantic.Field(gt=0)]

class Even(pydantic.BaseModel):
    n: int

    @pydantic.field_validator("n")
    @classmethod
    def even(cls, n):
        if n % 2:
            raise KeyError(n)
        return n
"""
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def serve(n: Positive): pass", 1),
        ("def serve(n: Annotated[int, pydantic.Field(ge=18, lt=20)]): pass", 18),
        ("def serve(n: Annotated[int, pydantic.Field(lt=0)]): pass", -1),
        ("def serve(n: Annotated[int, pydantic.Field(gt=10, multiple_of=8)]): pass", 16),
        ("def serve(p: Annotated[float, pydantic.Field(ge=0, le=1)]): pass", 0.5),
        ("def serve(p: Annotated[float, pydantic.Field(gt=2)]): pass", 3.0),
        ("def serve(p: Annotated[float, pydantic.Field(lt=-2)]): pass", -3.0),
        ("def serve(t: Annotated[str, pydantic.Field(min_length=6)]): pass", "texttt"),
        ("def serve(t: Annotated[str, pydantic.Field(pattern='^[A-Z]{3}$')]): pass", None),
        ("def serve(t: Annotated[str, pydantic.Field(pattern='^[A-Z]{3}$', examples=['EUR'])]): pass", "EUR"),
        ("def serve(n: Annotated[list[int], pydantic.Field(min_length=5)]): pass", [1, 2, 3, 4, 5]),
        ("def serve(n: Annotated[list[int], pydantic.Field(max_length=2)]): pass", [1, 2]),
        ("def serve(n: Annotated[set[str], pydantic.Field(min_length=2)]): pass", ["text", "text 2"]),
        ("def serve(a: Address): pass", {"street": "text", "number": 1}),
        # Its own check takes nothing that could be made: then nothing is tried.
        ("def serve(e: Even): pass", None),
    ],
)
def test_an_example_keeps_to_what_pydantic_checks(program: Any, source: str, expected: Any) -> None:
    pytest.importorskip("pydantic")
    signature = program(source, before=PYDANTIC)
    published = signature.published("/predict")
    assert published.get("example") == expected
    content = published["openapi"]["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["application/json"].get("example") == expected


def test_pydantic_models_are_honoured(program: Any) -> None:
    pytest.importorskip("pydantic")

    def make(source: str) -> Signature:
        signature: Signature = program(source, before=PYDANTIC)
        return signature

    person = make("def serve(p: Person): pass")
    assert post(person, {"name": "N", "homes": [{"street": "S", "number": 3}]}).homes[0].number == 3
    check_inputs(person, 50)
    with pytest.raises(Rejected) as caught:
        post(person, {"name": "", "homes": [{"number": 0}]})
    assert caught.value.body["problems"] == [
        {"field": "p.name", "error": "is not right: String should have at least 1 character"},
        {"field": "p.homes[0].street", "error": "is missing"},
        {"field": "p.homes[0].number", "error": "must be greater than or equal to 1"},
    ]
    assert person.from_fields({"name": "N", "born": "2024-01-02"}).born.year == 2024
    query = person.published("/p")["openapi"]["paths"]["/p"]["get"]["parameters"]
    assert [(one["name"], one["required"]) for one in query] == [("name", True), ("homes", False), ("born", False)]
    assert person.published("/p")["example"]["name"] == "text"
    assert post(make("def serve(s: Strict): pass"), {"day": "2024-01-02"}).day.year == 2024
    assert post(make("def serve(ps: list[Pair]): pass"), [{"a": 1, "b": 2}])[0].b == 2
    assert post(make("def serve(n: Positive): pass"), 3) == 3
    with pytest.raises(Rejected) as caught:
        post(make("def serve(n: Positive): pass"), 0)
    assert caught.value.body["error"] == "n must be greater than 0"
    every = make("def serve(p: Person | None, n: Positive, ps: list[Pair], a: Address): pass")
    check_inputs(every, 100)
    openapi = pytest.importorskip("openapi_spec_validator")
    for signature in (person, every):
        openapi.validate(signature.published("/p")["openapi"])


def test_nothing_is_imported_that_the_program_has_not(tmp_path: Path) -> None:
    """Reading a signature in a fresh interpreter."""
    import subprocess

    code = (
        "import sys\n"
        "from metaml._loader import loader\n"
        "from metaml._values import signature\n"
        "from metaml._worker import worker\n"
        "def serve(a: int, b: list[str] = []) -> dict[str, float]: pass\n"
        "signature.read(serve, 'serve').published('/p')\n"
        "print(sorted({'inspect', 'asyncio', 'numpy', 'dataclasses', 'datetime', 'typing_extensions', "
        "'pydantic', 'http'} & set(sys.modules)))\n"
    )
    module = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": module}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
