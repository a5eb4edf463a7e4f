"""What it costs to compare a program's values with the session's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import environment, folder, table

RUNS = 7
MODULE = Path(__file__).resolve().parents[2] / "jupyter-ext" / "python"
DATA: dict[str, str] = {
    "100 MB in one array": "values = {'x': rng.random(12_500_000)}",
    "100 MB in 100 arrays": "values = {f'x{i}': rng.random(125_000) for i in range(100)}",
    "100 MB in a table of 40 columns": (
        "numbers = {f'n{i}': rng.random(300_000) for i in range(36)}\n"
        "texts = {f't{i}': [str(j) for j in range(100_000)] * 3 for i in range(4)}\n"
        "values = {'df': pd.DataFrame({**numbers, **texts})}"
    ),
    "a million dicts and lists": "values = {'d': {str(i): {'a': i, 'b': [i]} for i in range(1_000_000)}}",
    "200 numbers": "values = {f'x{i}': i for i in range(200)}",
}
MEASURE = """
import json, sys, time
sys.path.insert(0, {module!r})
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
{data}
from metaml._values import described, differences
times = []
for _ in range({runs} + 1):
    begin = time.perf_counter()
    expected = described.session(values, values)
    between = time.perf_counter()
    assert not differences.differing({{"v": 2, **expected}}, values)
    times.append([1000 * (between - begin), 1000 * (time.perf_counter() - between)])
print(json.dumps(times[1:]))
"""


def main() -> None:
    """Describing a session's values before a run, and comparing the program's with them beside the first trial"""
    with folder() as home:
        for name, data in DATA.items():
            print(f"  {name}", flush=True)
            measured = times(home, data)
            table("ms", [t[0] for t in measured], {"the loader's": [t[1] for t in measured]}, "at most 50 ms each")


def times(home: Path, data: str) -> Any:
    """For each round what the session's and the loader's side took, in ms, in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-c", MEASURE.format(module=str(MODULE), data=data, runs=RUNS)],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads(said)
