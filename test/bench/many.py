"""10,000 trials that do nothing."""

from __future__ import annotations

import contextlib
import threading
import time

import psutil
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from measure import execute, folder, kernel

TRIALS = 10_000


def main() -> None:
    """10,000 trials that do nothing, under a cell: time, and memory of kernel, metaml and monitor together"""
    with folder() as home, kernel(home) as (manager, client):
        assert isinstance(manager.provisioner, LocalProvisioner) and manager.provisioner.process is not None
        ours = psutil.Process(manager.provisioner.process.pid)
        execute(client, "def nothing():\n    pass\n")
        stop = threading.Event()
        peak: dict[str, int] = {}
        watcher = threading.Thread(target=watch, args=(ours, str(home), stop, peak))
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


def watch(kernel: psutil.Process, home: str, stop: threading.Event, peak: dict[str, int]) -> None:
    """Note the most that each of our binaries held: this kernel, what it started, and the monitor of its run."""
    while not stop.wait(0.2):
        agents = (p for p in psutil.process_iter(["name"]) if p.info["name"] == "metaml-agent")
        for process in [kernel, *kernel.children(), *agents]:
            with contextlib.suppress(psutil.Error):
                name = process.name()
                if name in ("metaml", "metaml-kernel") or (
                    name == "metaml-agent" and home in " ".join(process.cmdline())
                ):
                    peak[name] = max(peak.get(name, 0), process.memory_info().rss)
