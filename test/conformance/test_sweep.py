"""A sweep by the real metaml, seen through the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Kernel


@pytest.fixture
def k(tmp_path: Path) -> Iterator[Kernel]:
    kernel = Kernel("metaml", XDG_DATA_HOME=str(tmp_path))
    yield kernel
    kernel.end()


def test_a_sweep_is_shown_and_its_run_is_usable(k: Kernel) -> None:
    k.run("base = 3")
    reply, messages = k.run("%%train --completions 2 --parallelism 2\ndef f():\n    return {'accuracy': base / 4}")
    assert reply["content"]["status"] == "ok", reply["content"]
    kinds = [m["msg_type"] for m in messages]
    assert kinds[:3] == ["status", "execute_input", "display_data"] and kinds[-1] == "status"
    assert "2 trials" in messages[-2]["content"]["data"]["text/plain"]
    assert k.text("print(run.state, run.best().metrics)") == "succeeded {'accuracy': 0.75}\n"


def test_a_sweep_whose_trials_fail_is_a_failed_cell(k: Kernel) -> None:
    reply, _ = k.run("%%train\ndef f():\n    raise ValueError('on purpose')")
    assert reply["content"]["status"] == "error"
    assert "on purpose" in "\n".join(reply["content"]["traceback"]) + reply["content"]["evalue"]


def test_a_refused_cell_says_why_and_the_next_one_runs(k: Kernel) -> None:
    reply, _ = k.run("%%train --paralelism 2\ndef f():\n    return 1")
    assert "--parallelism" in reply["content"]["evalue"]
    assert k.text("print('next')") == "next\n"


def test_interrupt_stops_the_trials(k: Kernel) -> None:
    parent = k.client.execute("%%train\ndef f():\n    import time; time.sleep(60)")
    k.iopub(parent, last=lambda m: m["msg_type"] == "update_display_data")
    k.manager.interrupt_kernel()
    assert k.reply(parent)["content"]["ename"] == "KeyboardInterrupt"
    assert k.text("print(run.state)") == "stopped\n"
