"""Streams of a worker: generators, and events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from front import MORE, QUIT, Shared, failed, frame, json_item, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


STREAMS = """
import sys
def serve(x):
    try:
        for part in eval(x["parts"]):
            if part == "raise":
                raise ValueError("in the middle")
            yield part
    finally:
        print("closed", file=sys.stderr)
"""


@pytest.mark.parametrize("way", ["def", "async def"])
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("['a', 'ü']", [(6, b"a"), (6, "ü".encode()), (8, b"")]),
        ("[b'a', 'b']", [(5, b"a"), (5, b"b"), (8, b"")]),
        ("[{'a': 1}, 'x', 2]", [(7, b'{"a":1}\n'), (7, b'"x"\n'), (7, b"2\n"), (8, b"")]),
        ("[]", [(8, b"")]),
    ],
)
def test_a_generator_is_a_stream(shared: Shared, way: str, parts: str, expected: Any) -> None:
    front, _ = shared(STREAMS.replace("def", way))
    found = [(answer.kind, answer.body) for answer in front.stream({"parts": parts})]
    assert found == expected


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_stream_that_fails_or_is_quit_is_closed(shared: Shared, way: str) -> None:
    front, worker = shared(STREAMS.replace("def", way))
    parts = list(front.stream({"parts": "['a', 'raise']"}))
    number = failed(parts[1])
    assert f"metaml: {number} serve raised ValueError: in the middle" in worker.log()
    parts = list(front.stream({"parts": "['a', 1]"}))
    assert f"metaml: {failed(parts[1])} serve returned an int in a stream of text, which cannot be JSON" in worker.log()
    assert failed(next(front.stream({"parts": "['raise']"})))

    closed = worker.log().count("closed")
    stream = front.stream({"parts": "range(10)"})
    assert next(stream).body == b"0\n"
    front.sock.sendall(frame(QUIT, front.number - 1) + frame(MORE, front.number - 1) + frame(QUIT, 12345))
    # It answers neither of them; the next answer is the next call's.
    assert [answer.kind for answer in front.stream({"parts": "[]"})] == [8]
    assert worker.log().count("closed") == closed + 2


def test_an_asynchronous_generator_that_waits_is_closed_when_it_is_quit(tmp_path: Path) -> None:
    source = """import asyncio, sys
async def serve(seconds):
    try:
        yield seconds
        await asyncio.sleep(seconds)
    finally:
        print("closed", seconds, file=sys.stderr, flush=True)
"""
    with serving(tmp_path, source) as (front, worker):
        stream = front.stream(600)
        assert next(stream).body == b"600\n"
        front.sock.sendall(frame(MORE, front.number - 1))
        assert [answer.kind for answer in front.stream(0)] == [7, 8]  # it waits
        front.sock.sendall(frame(QUIT, front.number - 2))
        for _ in range(1000):  # it is closed beside what comes after it
            assert [answer.kind for answer in front.stream(0)] == [7, 8]
            if "closed 600" in worker.log():
                break
        assert "closed 600" in worker.log() and "metaml" not in worker.log()


def test_streams_end_with_their_front(tmp_path: Path) -> None:
    with serving(tmp_path, STREAMS) as (front, worker):
        assert next(front.stream({"parts": "range(10)"})).body == b"0\n"
        front.close()
        again = worker.front()
        assert [answer.kind for answer in again.stream({"parts": "[]"})] == [8]
        assert worker.log().count("closed") == 2


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_stream_that_fails_before_its_first_part_has_a_status(tmp_path: Path, word: str) -> None:
    source = f"import metaml\n{word} serve(n):\n    if n:\n        raise metaml.HTTPError(409, 'taken')\n    yield 1\n"
    with serving(tmp_path, source) as (front, _):
        assert list(front.stream(1)) == [(409, 4, {"error": "taken"})]
        assert [part.kind for part in front.stream(0)] == [7, 8]


@pytest.mark.parametrize("word", ["def", "async def"])
def test_an_error_within_a_stream_is_in_the_log_since_no_caller_gets_it(tmp_path: Path, word: str) -> None:
    source = f"import metaml\n{word} serve(n):\n    yield n\n    raise metaml.HTTPError(409, 'taken')\n"
    with serving(tmp_path, source) as (front, worker):
        number = list(front.stream(1))[1].body["id"]
        assert worker.log().splitlines()[-1] == f"metaml: {number} serve answered 409 taken, in a stream that had begun"


def test_who_asks_for_events_gets_them(tmp_path: Path) -> None:
    call = bytearray(json_item("[1]"))
    call[2] = 1
    with serving(tmp_path, "def serve(parts):\n    yield from parts\n") as (front, _):
        assert front.call(bytes(call))[0] == (200, 9, b"data: 1\n\n")
