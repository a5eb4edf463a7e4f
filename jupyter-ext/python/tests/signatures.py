"""Programs with serving functions, and inputs made from what is published of them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from metaml._values.openapi import publish
from metaml._values.signature import Rejected, Signature

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


def post(signature: Signature, body: Any) -> Any:
    return signature.from_json(bytearray(json.dumps(body).encode()))


def check_inputs(signature: Signature, n: int) -> None:
    """Make inputs from what is published, and give them to the signature."""
    document = publish(signature, "/predict")["openapi"]
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
