"""The OpenAPI document and the example input that are made from a signature."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from signatures import PYDANTIC, check_inputs, post

from metaml._values import openapi
from metaml._values.openapi import publish
from metaml._values.signature import Rejected


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
    published = publish(signature, "/predict")
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
    document = publish(program(source), "/p")["openapi"]
    answers = document["paths"]["/p"]["post"]["responses"]
    assert list(answers["200"]["content"]) == content.split()
    assert list(answers) == ["200", *openapi._STATUSES, "default"] and {"400", "413", "415", "501", "505"} < set(
        answers
    )
    assert not {"413", "415", "501"} & set(document["paths"]["/p"]["get"]["responses"])


def test_the_document_has_the_functions_name_words_and_query(program: Any) -> None:
    document = publish(program(EVERY), "/p")["openapi"]
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
    pytest.importorskip("openapi_spec_validator").validate(publish(program(source), "/p")["openapi"])


@pytest.mark.parametrize(
    "source", ["def serve(x: int): pass", "def serve(item: Item): pass", "def serve(x: bytes): pass"]
)
def test_the_document_of_a_locked_server(program: Any, source: str) -> None:
    document = publish(program(source), "/p", locked=True)["openapi"]
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"token": []}]
    assert all("401" in operation["responses"] for operation in document["paths"]["/p"].values())
    pytest.importorskip("openapi_spec_validator").validate(document)
    open_to_all = publish(program(source), "/p")["openapi"]
    assert "security" not in open_to_all
    assert "securitySchemes" not in open_to_all.get("components", {})


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


def test_the_document_has_parameters_in_their_places(program: Any) -> None:
    source = (
        "def serve(id: int, item: Item, tags: list[str], pairs: list[tuple[int, int]] = [], when: "
        "datetime.date | None = None): pass"
    )
    signature = program(source, path="/items/{id}")
    published = publish(signature, "/items/{id}")
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
    alone = publish(program("def serve(id: int): pass", path="/{id}"), "/{id}")
    assert "requestBody" not in alone["openapi"]["paths"]["/{id}"]["post"] and alone["example"] == {"id": 1}
    openapi = pytest.importorskip("openapi_spec_validator")
    for one in (published, alone):
        openapi.validate(one["openapi"])


def test_the_document_tells_of_forms_with_files(program: Any) -> None:
    for source in ("def serve(image: bytes): pass", "def serve(image: bytes | None, top: int = 3): pass"):
        document = publish(program(source), "/p")["openapi"]
        form = document["paths"]["/p"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"]["image"] == {"type": "string", "contentMediaType": "application/octet-stream"}
        pytest.importorskip("openapi_spec_validator").validate(document)


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
    published = publish(signature, "/predict")
    assert published.get("example") == expected
    content = published["openapi"]["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["application/json"].get("example") == expected
