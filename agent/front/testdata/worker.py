"""A real worker without a loader: `worker.py SOCKET FUNCTION BATCH` serves a function of this file with metaml._serving."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing

rng = np.random.default_rng(0)
LAYERS = [(rng.standard_normal((a, b)) / a**0.5, np.zeros(b)) for a, b in ((64, 256), (256, 256), (256, 10))]


def net(x: "np.typing.NDArray[np.float64]") -> np.ndarray:
    for w, b in LAYERS[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = LAYERS[-1]
    return x @ w + b


def main() -> None:
    from metaml import _serving

    path, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    program = SimpleNamespace(entry=name, function=lambda: globals()[name])
    service = _serving.Service(program, {"batch": batch, "path": "/predict"})  # type: ignore[arg-type]
    worker = _serving.Worker(service, _serving.listen(path))
    print("ready", flush=True)
    worker.run()


if __name__ == "__main__":
    main()
