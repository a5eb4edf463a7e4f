"""`make bench`: MetaML beside its peers in the same run, interleaved; medians and ratios.

    python test/bench [convert|first-line|compare|sweep|many|serving|cluster|live|pods|record|image|kernel …]

Each measurement says what it compares and the goal; none of them fails. `image` and `kernel` are Go
programs of their own, `record` is benchmarks of Go packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cluster
import compare
import convert
import first_line
import many
import pods
import serving
import sweep

ROOT = Path(__file__).resolve().parents[2]


def kernel() -> None:
    """Our kernel beside ipykernel."""
    subprocess.run(
        ["go", "run", "./test/bench/kernel"],
        cwd=ROOT,
        env={**os.environ, "METAML_TEST_PYTHON": sys.executable},
        check=True,
    )


def record() -> None:
    """What 1,000 reports cost the monitor of a run, and what the record of 1,000 trials costs to write and read."""
    subprocess.run(
        ["go", "test", "-run", "^$", "-bench", "Reports|Pack", "./cmd/metaml-monitor", "./deployer/kube/saved"],
        cwd=ROOT,
        check=True,
    )


def image() -> None:
    """An edit of the code, and an environment, to a pushed digest: beside crane append, and uv in a BuildKit."""
    subprocess.run(
        ["go", "run", "./test/bench/image"],
        cwd=ROOT,
        env={**os.environ, "METAML_TEST_PYTHON": sys.executable},
        check=True,
    )


MEASUREMENTS = {
    "convert": convert.main,
    "first-line": first_line.main,
    "compare": compare.main,
    "sweep": sweep.main,
    "many": many.main,
    "serving": serving.main,
    "cluster": cluster.main,
    "live": cluster.live,
    "pods": pods.main,
    "record": record,
    "image": image,
    "kernel": kernel,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    for name in names or MEASUREMENTS:
        print(f"\n== {name}: {(MEASUREMENTS[name].__doc__ or '').splitlines()[0]}", flush=True)
        MEASUREMENTS[name]()
    return 0


sys.exit(main(sys.argv[1:]))
