"""A notebook to a script, beside other converters, a program that clears outputs, and `wc -l`."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from measure import BIN, environment, folder, table

PEERS = Path(__file__).resolve().parents[2] / "build" / "venv-bench" / "bin"
SIZES = {"10 kB": (10, 10_000), "1.4 MB, 200 cells": (200, 1_400_000), "54 MB, 400 cells": (400, 54_000_000)}


def notebook(path: Path, cells: int, size: int, seed: int = 1) -> None:
    """A notebook of about a size: code, and pictures and printed lines below it, in turns."""
    rng = random.Random(seed)
    code = min(500, size // cells // 2)
    each = max(0, size // cells - code - 250)
    made = []
    for i in range(cells):
        lines: list[str] = []
        n = 0
        while n < code:
            line = f"value_{i}_{len(lines)} = compute(data[{n}], alpha=0.{n}, name='item {n}')  # step {n}\n"
            lines.append(line)
            n += len(line)
        output: dict[str, object] = {"output_type": "stream", "name": "stdout", "text": []}
        if i % 2:
            picture = base64.b64encode(rng.randbytes(each * 3 // 4)).decode() + "\n"
            output = {
                "output_type": "display_data",
                "data": {"image/png": picture, "text/plain": ["<Figure size 640x480 with 1 Axes>"]},
                "metadata": {},
            }
        else:
            printed: list[str] = []
            n = 0
            while n < each:
                printed.append(f"epoch {len(printed)} loss {rng.random():.5f} accuracy {rng.random():.5f}\n")
                n += len(printed[-1]) + 20
            output["text"] = printed
        made.append(
            {
                "cell_type": "code",
                "execution_count": i + 1,
                "id": f"cell-{i}",
                "metadata": {},
                "outputs": [output],
                "source": lines,
            }
        )
    document = {
        "cells": made,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def commands(home: Path, name: str) -> dict[str, list[str]]:
    """The command of each, which leaves the notebook as it is."""
    source, out = str(home / name), home / "out"
    return {
        "MetaML": [str(BIN / "metaml-nbconvert"), source, "--output-dir", str(out / "metaml")],
        "wc -l": ["wc", "-l", source],
        "nbstripout-fast (clears outputs)": [str(PEERS / "nbstripout-fast"), "-t", source],
        "jupyter nbconvert --to script": [
            str(PEERS / "jupyter-nbconvert"), "--to", "script", "--output-dir", str(out / "nbconvert"), source,
        ],
        "jupytext --to py": [str(PEERS / "jupytext"), "--to", "py", "-o", str(out / "jupytext.py"), source],
        "marimo convert": [str(PEERS / "marimo"), "-y", "convert", source, "-o", str(out / "marimo.py")],
    }  # fmt: skip


def seconds(command: list[str], env: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def emptied(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()


def interleaved(home: Path, all_of: dict[str, list[str]], rounds: Callable[[str], int], goal: str) -> None:
    env = environment(home)
    times: dict[str, list[float]] = {name: [] for name in all_of}
    for i in range(max(map(rounds, all_of)) + 1):
        for name, command in all_of.items():
            if i <= rounds(name):
                emptied(home / "out")  # a script that is there already need not be written
                took = seconds(command, env)
                if i > 0:  # the first warms the files up
                    times[name].append(1000 * took)
    ours = times.pop("MetaML")
    table("ms", ours, times, goal)


def memory(home: Path, name: str) -> float:
    """The largest resident memory of a conversion, in MB. It is asked while the script, which is larger than a pipe
    holds, is being written; what a system says of a child that has ended counts what its parent had as well."""
    command = [str(BIN / "metaml-nbconvert"), str(home / name), "--stdout"]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, bufsize=0) as process:
        if process.stdout is None:
            raise RuntimeError("the pipe was asked for")
        process.stdout.read(1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.stdout.read()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """A notebook to a script: jupyter nbconvert, jupytext, marimo, nbstripout-fast, wc -l."""
    with folder() as home:
        for label, (cells, size) in SIZES.items():
            name = f"{cells}.ipynb"
            notebook(home / name, cells, size)
            print(f"  -- {label}")
            goals = {
                "1.4 MB, 200 cells": "≥ 100 × nbconvert, ≤ 1.5 × nbstripout-fast",
                "54 MB, 400 cells": "≤ 0.3 × nbstripout-fast, ≤ 3 × wc -l, below 40 MB of memory",
            }
            slow = 3 if size > 10_000_000 else 5
            interleaved(
                home,
                commands(home, name),
                lambda peer, slow=slow: 25 if peer in ("MetaML", "wc -l") or "fast" in peer else slow,  # type: ignore[misc]
                goals.get(label, "none"),
            )
            if cells * 500 > 100_000:
                print(f"  memory: {memory(home, name):.1f} MB")
        many(home)


def many(home: Path) -> None:
    """A folder of 200 notebooks in one command."""
    (home / "many").mkdir()
    for i in range(200):
        notebook(home / "many" / f"{i}.ipynb", 10, 10_000, seed=i)
    files = [str(p) for p in sorted((home / "many").iterdir())]
    out = home / "out"
    print("  -- a folder of 200 notebooks of 10 kB")
    interleaved(
        home,
        {
            "MetaML": [str(BIN / "metaml-nbconvert"), str(home / "many"), "--output-dir", str(out)],
            "wc -l": ["wc", "-l", *files],
            "nbstripout-fast (clears outputs)": [str(PEERS / "nbstripout-fast"), "-t", *files],
            "jupyter nbconvert --to script": [
                str(PEERS / "jupyter-nbconvert"),
                "--to",
                "script",
                "--output-dir",
                str(out / "nbconvert"),
                *files,
            ],
            "jupytext --to py": [str(PEERS / "jupytext"), "--to", "py", *files],
        },
        lambda peer: 3 if peer.startswith("jupy") else 15,
        "none",
    )
