"""`%%serve` and HTTP as other programs speak it: forms with files, missing values, paths, answers that the function
words.
"""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Notebook, ended
from surroundings import until

PNG = r"b'\x89PNG\r\n\x1a\n'"


@pytest.fixture(autouse=True)
def nothing_stays(notebook: Notebook) -> Iterator[None]:
    """No server is left running after a test."""
    yield
    for run in json.loads(notebook.metaml("runs", "--json")):
        if run["state"] not in ("stopped", "failed"):
            notebook.metaml("stop", run["name"])
            until(functools.partial(ended, notebook, run["name"]), f"{run['name']} has stopped")


def value(notebook: Notebook, expression: str) -> Any:
    """What an expression is, which JSON has."""
    shown = notebook.run(f"import json; print(json.dumps({expression}))")
    assert shown.status == "ok", shown.traceback
    return json.loads(shown.text)


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
    """The status, the content type and the body of an answer."""
    request = urllib.request.Request(url, body, {name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def test_inputs_of_every_kind(notebook: Notebook) -> None:
    assert (
        notebook.run("%%serve --into both\ndef both(image: bytes, top: int = 3):\n    return [len(image), top]").status
        == "ok"
    )
    assert value(notebook, "both.predict(image=b'abc', top=2)") == [3, 2]
    url = value(notebook, "both.url")
    form = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="cat.jpg"\r\n\r\n\xff\xd8\xff\xe0\r\n--b--\r\n'
    )
    assert ask(url, form, Content_Type="multipart/form-data; boundary=b") == (200, "application/json", b"[4,3]")
    assert notebook.run("%%serve --into words\ndef words(text: str):\n    return text.upper()").status == "ok"
    assert value(notebook, "words.predict(text='abc')") == value(notebook, "words.predict('abc')") == "ABC"


def test_missing_values_go_in_and_out(notebook: Notebook) -> None:
    pytest.importorskip("pandas")
    cell = "%%serve --into table\nimport pandas as pd\ndef table(df: pd.DataFrame) -> pd.DataFrame:\n    return df"
    assert notebook.run(cell).status == "ok"
    assert value(notebook, "table.predict(pd.DataFrame({'a': [1.0, float('nan')]}))") == [{"a": 1.0}, {"a": None}]
    cell = (
        "%%serve --into row\nimport numpy as np\ndef row(x: np.ndarray):\n    return {'missing': "
        "int(np.isnan(x).sum()), 'x': x}"
    )
    assert notebook.run(cell).status == "ok"
    assert value(notebook, "row.predict(np.array([1.0, np.nan]))") == {"missing": 1, "x": [1.0, None]}


def test_a_parameter_in_the_path(notebook: Notebook) -> None:
    cell = "%%serve --into item --url /v1/items/{id}:read\ndef item(id: int, text: str = '-'):\n    return [id, text]"
    shown = notebook.run(cell)
    assert shown.status == "ok", shown.traceback
    assert value(notebook, "[item.predict(id=7), item.predict('abc', id=8), item.predict(id=9, text='x')]") == [
        [7, "-"],
        [8, "abc"],
        [9, "x"],
    ]
    url = value(notebook, "item.url")
    assert url.endswith("/v1/items/{id}:read")
    assert ask(url.replace("{id}", "5") + "?text=q") == (200, "application/json", b'[5,"q"]')
    refused = notebook.run("%%serve --url /items/{key}\ndef named(id: int):\n    return id")
    assert refused.status == "error" and "named has no parameter of that name" in refused.plain + refused.traceback


def test_answers_that_the_function_words(notebook: Notebook) -> None:
    cell = (
        "%%serve --into worded --example 1\nimport metaml\ndef priced(age: int):\n    if age < 0:\n"
        "        raise metaml.HTTPError(422, 'age must not be negative')\n"
        f"    return metaml.Response({PNG} if age else '<p>', type='' if age else 'text/html', "
        f"headers={{'X-Age': age}})"
    )
    shown = notebook.run(cell)
    assert shown.status == "ok", shown.traceback
    url = value(notebook, "worded.url")
    assert ask(url, b"-1")[::2] == (422, b'{"error":"age must not be negative"}')
    assert ask(url, b"1")[:2] == (200, "image/png")
    assert ask(url, b"0") == (200, "text/html; charset=utf-8", b"<p>")
    # In the notebook it is a function as any other.
    called = notebook.run(
        "try:\n    priced(-1)\nexcept metaml.HTTPError as error:\n    print(error.status, error.text, "
        "priced(1).headers)"
    )
    assert called.text == "422 age must not be negative (('X-Age', '1'),)\n", called.traceback


def test_events_for_who_asks(notebook: Notebook) -> None:
    assert (
        notebook.run(
            "%%serve --into events\ndef events(n: int = 2):\n    for i in range(n):\n        yield {'i': i}"
        ).status
        == "ok"
    )
    url = value(notebook, "events.url")
    assert ask(url, Accept="text/event-stream") == (200, "text/event-stream", b'data: {"i":0}\n\ndata: {"i":1}\n\n')
    assert ask(url) == (200, "application/x-ndjson", b'{"i":0}\n{"i":1}\n')
