"""A request to end, in a trial and in its children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1]

CHILDREN = """
import os, signal, time
from metaml._trial.process import on_term

calls = []
on_term(lambda: calls.append(1))
ended = []
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    ended.append(os.waitpid(pid, 0)[1])
assert set(ended) == {signal.SIGTERM}, ended
os.kill(os.getpid(), signal.SIGTERM)
assert calls == [1]
"""


def test_a_child_that_is_ended_at_once_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN], env={"PYTHONPATH": str(MODULE)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
