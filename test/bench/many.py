"""10,000 trials that do nothing."""

from __future__ import annotations

import contextlib
import threading
import time

import psutil
from measure import execute, folder, kernel

TRIALS = 10_000


def main() -> None:
    """10,000 trials that do nothing, under a cell: time, and memory of kernel, metaml and monitor together"""
    with folder() as home, kernel(home) as (_manager, client):
        execute(client, "def nothing():\n    pass\n")
        stop = threading.Event()
        peak: dict[str, int] = {}
        watcher = threading.Thread(target=watch, args=(str(home), stop, peak))
        watcher.start()
        begin = time.monotonic()
        try:
            execute(client, f"%%train --function nothing --parallelism 2 --completions {TRIALS}", timeout=600)
        finally:
            stop.set()
            watcher.join()
        seconds = time.monotonic() - begin
    print(
        f"  {seconds:.1f} s, {1000 * seconds / TRIALS:.2f} ms a trial; most memory: "
        + ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in peak.items())
    )
    print("  goal: within 60 s; kernel and monitor together below 150 MB", flush=True)


def watch(home: str, stop: threading.Event, peak: dict[str, int]) -> None:
    """Note the most that each of our binaries held."""
    while not stop.wait(0.2):
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                name = process.info["name"]
                if name in ("metaml", "metaml-kernel", "metaml-agent") and (
                    name != "metaml-agent" or home in " ".join(process.cmdline())
                ):
                    peak[name] = max(peak.get(name, 0), process.memory_info().rss)
