"""A real worker without a loader: `worker.py SOCKET FUNCTION BATCH` serves a function of this file with metaml._serving."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

rng = np.random.default_rng(0)
LAYERS = [(rng.standard_normal((a, b)) / a**0.5, np.zeros(b)) for a, b in ((64, 256), (256, 256), (256, 10))]


def net(x: NDArray[np.float64]) -> Any:
    """A network of the size that the bench has."""
    for w, b in LAYERS[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = LAYERS[-1]
    return x @ w + b


def double(x: NDArray[np.float64]) -> Any:
    return 2 * x


def echo(input: Any) -> Any:
    return input


def say(input: Any) -> Any:
    """Who answers, and what it got."""
    return {"pid": os.getpid(), "says": sys.argv[4] if len(sys.argv) > 4 else "", "input": input}


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


def main() -> None:
    from metaml import _concurrent, _serving

    path, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    program: Any = SimpleNamespace(entry=name, dir=os.path.dirname(__file__), function=lambda: globals()[name])
    service = _serving.Service(program, {"batch": batch, "path": "/predict"})
    listener = _serving.listen(path)
    worker: Any = _concurrent.Worker(service, listener) if service.signature.concurrent else _serving.Worker(service, listener)
    print("ready", flush=True)
    worker.run()


if __name__ == "__main__":
    main()
