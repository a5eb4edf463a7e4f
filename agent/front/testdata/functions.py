"""Functions that the tests serve."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import metaml


def double(x: NDArray[np.float64]) -> Any:
    return 2 * x


def echo(input: Any) -> Any:
    return input


def say(input: Any) -> Any:
    """Who answers, and what it got."""
    return {"says": os.environ["SAYS"], "input": input}


def act(input: dict[str, Any]) -> Any:
    """Do what the input says."""
    if "sleep" in input:
        time.sleep(input["sleep"])
    if "raise" in input:
        raise ValueError(input["raise"])
    if "exit" in input:
        os._exit(input["exit"])
    if "nan" in input:
        return np.array([[0.0, 1.0], [float("nan"), 2.0]])
    if "infinite" in input:
        return np.array([[0.0, 1.0], [float("inf"), 2.0]])
    if "size" in input:
        return np.arange(input["size"], dtype=float)
    if "text" in input:
        return input["text"]
    if "bytes" in input:
        return bytes(input["bytes"])
    return input


def batched(inputs: list[list[float]]) -> Any:
    """Sleep as long as the first says, and tell how many there were."""
    time.sleep(inputs[0][1])
    return [[input[0], len(inputs)] for input in inputs]


arrived = asyncio.Event()
calls = 0


async def together(input: int) -> int:
    """Answer when so many calls are there."""
    global calls
    calls += 1
    if calls >= input:
        arrived.set()
    await arrived.wait()
    return input


def parts(count: int, size: int = 0, sleep: float = 0, fail: bool = False, mark: str = "") -> Iterator[Any]:
    """A stream. The file `mark` is written when it is closed."""
    try:
        for i in range(count):
            time.sleep(sleep)
            yield {"part": i, "filler": "x" * size}
        if fail:
            raise RuntimeError("in the middle")
    finally:
        if mark:
            with open(mark, "w") as file:
                file.write("closed")


def upload(image: bytes, top: int = 3, more: list[bytes] = []) -> Any:  # noqa: B006
    """Files of a form, beside a number."""
    return {"size": len(image), "last": image[-1] if image else -1, "top": top, "more": len(more)}


def raw(image: bytes) -> bytes:
    """Bytes alone."""
    return image[::-1]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def worded(input: dict[str, Any]) -> Any:
    """Answers that the function words itself."""
    what = input["what"]
    if what == "png":
        return PNG
    if what == "bytes":
        return bytes(input["bytes"])
    if what == "response":
        body = input.get("body", b"")
        return metaml.Response(PNG if body == "png" else body, **input.get("how", {}))
    if what == "stream":
        return metaml.Response(iter(input["parts"]), **input.get("how", {}))
    if what == "error":
        raise metaml.HTTPError(*input["error"], **input.get("how", {}))
    if what == "past":  # what no program can do by mistake
        made = metaml.Response("x")
        made.headers = input["headers"]
        made.type = input.get("type", "")
        return made
    return None


def events(parts: list[Any], sleep: float = 0, fail: bool = False) -> Iterator[Any]:
    """A stream of what came."""
    if fail:
        raise metaml.HTTPError(429, "not now", headers={"Retry-After": "7"})
    for i, part in enumerate(parts):
        if i:
            time.sleep(sleep)
        yield part


def checked(ages: list[int]) -> list[int]:
    """One of a batch may be wrong."""
    if min(ages) < 0:
        raise metaml.HTTPError(422, "age must not be negative")
    return ages


def item(id: int, text: str = "none") -> Any:
    """A parameter in the path, and one that is not."""
    return {"id": id, "text": text}


def scaled(factor: float, x: NDArray[np.float64]) -> Any:
    """A number in the path, an array in the body."""
    return factor * x
