"""Response and HTTPError: plain objects that check what they are given."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import metaml


def test_a_response_has_what_it_was_given() -> None:
    headers: dict[str, Any] = {"X-A": 1, "Set-Cookie": ["a=1", "b=2"]}
    made = metaml.Response({"a": 1}, type="application/geo+json", status=201, headers=headers)
    assert (made.body, made.type, made.status) == ({"a": 1}, "application/geo+json", 201)
    assert made.headers == (("X-A", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
    assert repr(metaml.Response("x", status=404)) == "Response('x', status=404)"
    assert (metaml.Response().body, metaml.Response(None, status=204).status) == (b"", 204)


def test_an_error_is_an_exception_with_a_sentence() -> None:
    with pytest.raises(metaml.HTTPError, match="422 age must not be negative") as caught:
        raise metaml.HTTPError(422, "age must not be negative", headers={"X-A": "b"})
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.status, again.text, again.headers) == (422, "age must not be negative", (("X-A", "b"),))
    assert not isinstance(caught.value, metaml.MetaMLError)
    assert (metaml.HTTPError(404).text, metaml.HTTPError(499).text) == ("Not Found", "")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"status": 199}, "the status must be a number from 200 to 599, not 199"),
        ({"status": "200"}, "the status must be a number from 200 to 599, not '200'"),
        ({"status": True}, "the status must be a number from 200 to 599, not True"),
        ({"body": "x", "status": 204}, "an answer with the status 204 has no body"),
        ({"type": "png"}, "'png' is no content type, such as image/png"),
        ({"type": "text/html\r\nX: y"}, "is no content type"),
        ({"headers": {"X A": "b"}}, "'X A' is no name of a header"),
        ({"headers": {"X-A\r\nB": "b"}}, "is no name of a header"),
        ({"headers": {"X-A": "b\r\nB: c"}}, "the header X-A has a value that is not plain text on one line"),
        ({"headers": {"X-A": "é"}}, "the header X-A has a value that is not plain text on one line"),
        ({"headers": {"X-A": " b"}}, "the header X-A has a value that is not plain text on one line"),
        ({"headers": {"Content-Length": "1"}}, "the header Content-Length is the server's to say"),
        ({"headers": {"transfer-encoding": "chunked"}}, "the header transfer-encoding is the server's to say"),
        ({"headers": {"Content-Type": "a/b"}}, "the header Content-Type is what type= says"),
        ({"headers": {"Access-Control-Allow-Origin": "*"}}, "start it with --cors ORIGIN"),
        ({"headers": {"X-A": "b" * 13_000}}, "the headers have more than 12 KiB"),
    ],
)
def test_what_no_answer_can_have_is_refused(how: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected.replace("(", r"\(")):
        metaml.Response(**how)


def test_an_error_is_no_success() -> None:
    for status in (200, 399, 600):
        with pytest.raises(ValueError, match="from 400 to 599"):
            metaml.HTTPError(status, "x")
