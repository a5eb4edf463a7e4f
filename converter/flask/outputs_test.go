package flask_test

import "github.com/metaml/metaml/converter/flask"

// outputs are functions by what they return.
var outputs = []example{
	{"either", `
def f(x):
    answers = {"text": "hi", "bytes": b"hi", "json": [x]}
    return answers[x]`, flask.Options{}, []request{
		post(`"text"`, "hi").answers(text), post(`"bytes"`, "hi").answers(raw), post(`"json"`, `["json"]`),
	}},
	{"stream", `
def f(n):
    if n < 0:
        raise ValueError(n)
    for i in range(n):
        yield {"i": i}`, flask.Options{}, []request{
		post("2", "{\"i\": 0}\n{\"i\": 1}\n").answers(lines), post("0", "").answers(lines),
		bad(500, "-1", `{"error": "f failed; the log has the reason under this id", "id": "`),
	}},
	{"stream_text", `
def f(n):
    for i in range(n):
        yield f"{i} "`, flask.Options{}, []request{post("3", "0 1 2 ").answers(text)}},
	{"stream_any", `
def f(parts):
    yield from parts`, flask.Options{}, []request{
		post(`["a", "b"]`, "ab").answers(text), post(`[1, [2]]`, "1\n[2]\n").answers(lines),
	}},
	{"asynchronous", `
import asyncio
---
async def f(x):
    await asyncio.sleep(0.001)
    return x`, flask.Options{}, []request{post("[1]", "[1]")}},
	{"asynchronous_stream", `
async def f(x):
    for i in x:
        yield i.encode()`, flask.Options{}, []request{post(`["a", "b"]`, "ab").answers(raw)}},
	{"batch", `
def f(inputs):
    return [len(inputs) for _ in inputs]`, flask.Options{Batch: true}, []request{post(`"x"`, "1")}},
	{"batch_array", `
import numpy as np


def f(rows: np.ndarray):
    return rows.sum(axis=1)`, flask.Options{Batch: true}, []request{post(`[1, 2]`, "3.0")}},
	{"failing", `
def f(x):
    if x:
        return object()
    return 1 / x`, flask.Options{Path: "/other"}, []request{
		bad(500, `0`, `{"error": "f failed; the log has the reason under this id", "id": "`),
		bad(500, `1`, `{"error": "f failed;`),
		{at: "/predict", status: 404, want: `{"error": "The requested URL was not found`},
	}},
	{"worded", `
import metaml
from metaml import HTTPError
---
def f(age):
    if age < 0:
        raise HTTPError(422, "age must not be negative")
    if age > 200:
        raise metaml.HTTPError(404, "nobody", headers={"X-Age": "1"})
    if age > 100:
        raise HTTPError(404)
    if age == 0:
        return "new"
    if age == 1:
        return {"age": 1}
    return metaml.Response(b"<p>", type="text/html", status=201)`, flask.Options{
		Path: "/v1/people/a%3Ab:age",
	}, []request{
		bad(422, "-1", `{"error": "age must not be negative"}`), bad(404, "300", `{"error": "nobody"}`),
		bad(404, "101", `{"error": "Not Found"}`),
		bad(201, "2", "<p>").answers("text/html; charset=utf-8"),
		post("0", "new").answers(text), post(`{"age": 1}`, `{"age": 1}`),
	}},
}
