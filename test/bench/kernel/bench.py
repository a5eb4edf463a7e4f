"""Measures one kernel, as a program that obeys: each line on stdin names a measurement, each line on stdout is its
numbers.

Usage: bench.py KERNEL_NAME
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

NAME = sys.argv[1]


def start() -> tuple[KernelManager, BlockingKernelClient, float]:
    begun = time.perf_counter()
    manager = KernelManager(kernel_name=NAME)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return manager, client, time.perf_counter() - begun


manager, client, _seconds = start()
assert isinstance(manager.provisioner, LocalProvisioner) and manager.provisioner.process is not None
process = manager.provisioner.process


def idle(parent: str) -> int:
    """Wait for a request's idle; the number of displays before it."""
    shown = 0
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != parent:
            continue
        if message["msg_type"] == "display_data":
            shown += 1
        elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return shown


def timed(request: Any) -> float:
    begun = time.perf_counter()
    parent = request()
    while client.get_shell_msg(timeout=60)["parent_header"]["msg_id"] != parent:
        pass
    idle(parent)
    return time.perf_counter() - begun


def execute() -> float:
    return timed(lambda: client.execute("1"))


def info() -> float:
    return timed(client.kernel_info)


def ready() -> float:
    other_manager, other_client, seconds = start()
    other_client.stop_channels()
    other_manager.shutdown_kernel(now=True)
    return seconds


def displays() -> float:
    """Messages a second."""
    code = "from IPython.display import display\nfor _ in range(2000): display({'text/plain': 'x' * 4096}, raw=True)"
    begun = time.perf_counter()
    shown = idle(client.execute(code))
    if shown != 2000:
        raise SystemExit(f"{shown} of 2000 displays arrived")
    return 2000 / (time.perf_counter() - begun)


def large() -> float:
    """MB a second."""
    begun = time.perf_counter()
    idle(client.execute("display({'text/plain': 'x' * 50_000_000}, raw=True)"))
    return 50 / (time.perf_counter() - begun)


def memory() -> float:
    """MB resident of the process that the front end started, at rest: three seconds after the last message."""
    time.sleep(3)
    return float(psutil.Process(process.pid).memory_info().rss) / 1e6


MEASURES = {
    "execute": execute,
    "kernel_info": info,
    "ready": ready,
    "displays": displays,
    "large": large,
    "memory": memory,
}
for line in sys.stdin:
    name, _, count = line.partition(" ")
    print(json.dumps([MEASURES[name]() for _ in range(int(count))]), flush=True)
client.stop_channels()
manager.shutdown_kernel(now=True)
