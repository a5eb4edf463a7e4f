package flask_test

import (
	"strings"

	"github.com/metaml/metaml/converter/flask"
)

// inputs are functions by what they take.
var inputs = []example{
	{"anything", `
def f(input):
    return {"got": input if not isinstance(input, bytes) else len(input)}`, flask.Options{}, []request{
		post(`[1, {"a": null}]`, `{"got": [1, {"a": null}]}`),
		get("a=1&b=2&b=3", `{"got": {"a": "1", "b": ["2", "3"]}}`),
		post("\x00\x01\x02", `{"got": 3}`).as("image/png"),
		post(`{"a": 1}`, `{"got": {"a": 1}}`).as(form), post(`[2]`, `{"got": [2]}`).as("none"),
		post(`a=1&b=x`, `{"got": {"a": "1", "b": "x"}}`).as(form),
		bad(400, `{"a"`, `{"error": "the body is not JSON: Expecting ':' delimiter: line 1 column 5 (char 4)"}`),
		bad(400, `{"a": 1,}`, `{"error": "the body is not JSON: `).as(form),
		bad(400, strings.Repeat("[", 100000), `{"error": "the body is not JSON: `),
		bad(400, "\"\xff\"", `{"error": "the body is not JSON: 'utf-8' codec can't decode byte 0xff`),
	}},
	{"arguments", `
def f(a, b: int = 2, *, c: float = 0.5, **more):
    return [a, b, c, more]`, flask.Options{}, []request{
		post(`{"a": "x"}`, `["x", 2, 0.5, {}]`),
		post(`{"a": 1, "b": 3, "c": 4, "d": 5}`, `[1, 3, 4.0, {"d": 5}]`),
		get("a=1&b=3&c=1.5", `["1", 3, 1.5, {}]`),
		bad(422, `{"b": 1}`, `{"error": "missing a required argument: 'a'"}`),
		bad(422, `{"a": 1, "b": "3"}`, `{"error": "b must be int, not str"}`),
		bad(422, `{"a": 1, "b": true}`, `{"error": "b must be int, not bool"}`),
		bad(422, `[1]`, `{"error": "the body must be an object, not list"}`),
		bad(415, `x`, `{"error": "the content type must be application/json"}`).as("image/png"),
	}},
	{"no_others", `
def f(a, b):
    return a + b`, flask.Options{}, []request{
		bad(422, `{"a": 1, "b": 2, "c": 3}`, `{"error": "got an unexpected keyword argument 'c'"}`),
	}},
	{"array", `
import numpy as np
---
def f(image: np.ndarray):
    return image * 2`, flask.Options{}, []request{
		post(`[[1, 2], [3, 4]]`, `[[2.0, 4.0], [6.0, 8.0]]`),
		bad(422, `[[1], [2, 3]]`, `{"error": "image must be an array of float: `),
		bad(422, `["a"]`, `{"error": "image must be an array of float: `),
		{query: "image=1", status: 405, want: `{"error": "The method is not allowed for the requested URL."}`},
	}},
	{"typed_array", `
import numpy
from numpy.typing import NDArray

Image = NDArray[numpy.float32]
---
def f(x: "Image", k: int) -> dict:
    return {"type": str(x.dtype), "sum": (x * k).sum()}`, flask.Options{}, []request{
		post(`{"x": [1, 2], "k": 3}`, `{"type": "float32", "sum": 9.0}`),
		bad(422, `{"x": {}, "k": 3}`, `{"error": "x must be an array of float32: `),
	}},
	{"text", `
def f(name: str) -> str:
    return f"Grüße, {name}"`, flask.Options{}, []request{
		post(`"Ada"`, "Grüße, Ada").answers(text),
		bad(422, `1`, `{"error": "name must be str, not int"}`),
	}},
	{"bytes", `
def f(body: bytes) -> bytes:
    return body[::-1]`, flask.Options{}, []request{
		post("abc", "cba").as("image/png").answers(raw), post(`[1]`, "]1[").answers(raw),
		post("--b\r\nContent-Disposition: form-data; name=\"body\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n", "cba").
			as("multipart/form-data; boundary=b").answers(raw),
		bad(422, "--b\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\nabc\r\n--b--\r\n",
			`{"error": "body is missing: the form has no file of that name"}`).as("multipart/form-data; " +
			"boundary=b"),
	}},
	{"dataclass", `
from dataclasses import dataclass


@dataclass
class Flower:
    width: float
    name: str = "iris"
---
def f(flower: Flower, many: list[Flower] | None = None):
    return [flower, len(many or [])]`, flask.Options{}, []request{
		post(`{"flower": {"width": 1.5}, "many": [{"width": 1}]}`, `[{"width": 1.5, "name": "iris"}, 1]`),
		post(`{"flower": {"width": 1.5}, "many": null}`, `[{"width": 1.5, "name": "iris"}, 0]`),
		bad(422, `{"flower": {"name": "x"}}`, `{"error": "flower: missing a required argument: 'width'"}`),
		bad(422, `{"flower": {"width": 1, "x": 2}}`, `{"error": "flower: got an unexpected keyword argument 'x'"}`),
		bad(422, `{"flower": 3}`, `{"error": "flower must be an object, not int"}`),
		bad(422, `{"flower": {"width": 1}, "many": 3}`, `{"error": "many must be list, not int"}`),
	}},
	{"typed_dict", `
from typing import TypedDict


class Plain(TypedDict):
    width: float


class Flower(Plain, total=False):
    name: str
---
def f(flower: Flower):
    return flower["width"]`, flask.Options{}, []request{
		post(`{"width": 2}`, "2"),
		bad(422, `{"name": "x"}`, `{"error": "flower has no width"}`),
		bad(422, `{"width": 2, "x": 1, "y": 2}`, `{"error": "flower has x, y, which is not expected"}`),
	}},
	{"pydantic_model", `
from pydantic import BaseModel, Field


class Flower(BaseModel):
    width: float = Field(gt=0)


class Rose(Flower):
    thorns: int = 0
---
def f(rose: Rose):
    return rose`, flask.Options{}, []request{
		post(`{"width": 2}`, `{"width": 2.0, "thorns": 0}`), get("width=3", `{"width": 3.0, "thorns": 0}`),
		bad(422, `{"width": -1, "thorns": "x"}`,
			`{"error": "width: Input should be greater than 0; thorns: Input should be a valid integer`),
	}},
	{"pydantic_list", `
from pydantic import BaseModel


class Flower(BaseModel):
    width: float
---
def f(flowers: list[Flower]) -> float:
    return sum(one.width for one in flowers)`, flask.Options{}, []request{
		post(`[{"width": 2}, {"width": 3}]`, "5.0"),
		bad(422, `[{"width": 2}, {}]`, `{"error": "1.width: Field required"}`),
	}},
	{"batch_typed", `
def f(numbers: list[int]):
    return [n + 1 for n in numbers]`, flask.Options{Batch: true}, []request{
		post(`1`, "2"), bad(422, `"1"`, `{"error": "numbers must be int, not str"}`),
	}},
}
