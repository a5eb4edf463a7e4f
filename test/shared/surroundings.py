"""What a test in Python has around it: the programs that were built, an environment of its own, and a way to wait.

The suites in test/ that run bin/ find it through `pythonpath` in their pytest.ini.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BIN = Path(__file__).resolve().parents[2] / "bin"


def environment(home: Path) -> dict[str, str]:
    """An environment that touches nothing of the person who runs the tests."""
    others = ("METAML", "JUPYTER", "JPY", "IPYTHON", "XDG")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def install_kernel(home: Path) -> Path:
    """Writes the kernelspec of bin/metaml-kernel below `home`; the folder that JUPYTER_PATH takes."""
    if not (BIN / "metaml").exists():
        pytest.exit(f"there is no {BIN / 'metaml'} to test: `make build` makes it", returncode=1)
    subprocess.run(
        [BIN / "metaml", "install", "--prefix", home / "prefix", "--python", sys.executable],
        env=environment(home),
        check=True,
        capture_output=True,
    )
    return home / "prefix" / "share" / "jupyter"


def until(look: Callable[[], Any], why: str | Callable[[], str], seconds: float = 60) -> Any:
    """Waits for a state, and gives it; `why` says what was waited for."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"never happened: {why() if callable(why) else why}"
        time.sleep(0.02)
    return found
