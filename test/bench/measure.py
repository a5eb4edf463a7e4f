"""What the measurements share: a home folder of their own, a kernel, and rows of figures."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

BIN = Path(__file__).resolve().parents[2] / "bin"


def environment(home: Path) -> dict[str, str]:
    """An environment that touches nothing of the person who measures."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("METAML", "JUPYTER", "JPY", "IPYTHON", "XDG"))
    }
    return {
        **kept,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "METAML_PYTHON": sys.executable,
    }


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that is home and working directory, and is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="metaml-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def kernel(home: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """Our kernel, ready."""
    env = environment(home)
    subprocess.run(
        [BIN / "metaml", "install", "--prefix", home, "--python", sys.executable],
        env=env,
        check=True,
        capture_output=True,
    )
    manager = KernelManager(kernel_name="metaml")
    manager.kernel_spec_manager.kernel_dirs = [str(home / "share" / "jupyter" / "kernels")]
    manager.start_kernel(env=env, cwd=str(home))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def execute(
    client: BlockingKernelClient,
    code: str,
    timeout: float = 300,
    see: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Execute a cell to its idle. What it shows is dropped, or seen as a notebook sees it, whose displays are
    replaced: for the kernel that is who is not there to answer a question (nbclient), else a console."""
    reply = client.execute_interactive(
        code, output_hook=see or (lambda _message: None), allow_stdin=see is None, timeout=timeout
    )
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}")


def table(unit: str, ours: Sequence[float], peers: Mapping[str, Sequence[float]], goal: str) -> None:
    """Print medians with their range, and the ratios to the peers' medians."""
    median = statistics.median(ours)
    print(f"  {'MetaML':34} {median:8.1f} {unit}   ({min(ours):.1f} – {max(ours):.1f}, {len(ours)} runs)")
    for name, values in peers.items():
        other = statistics.median(values)
        print(
            f"  {name:34} {other:8.1f} {unit}   ({min(values):.1f} – {max(values):.1f})   MetaML is "
            f"{median / other:.2f} ×, {median - other:+.1f} {unit}"
        )
    print(f"  goal: {goal}", flush=True)
