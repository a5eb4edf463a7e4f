"""A sweep by the real metaml, seen through the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import Kernel


@pytest.fixture(scope="module")
def k(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel("metaml", XDG_DATA_HOME=str(tmp_path_factory.mktemp("data")))
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


EXECUTORS = {
    "nbconvert": ["nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb", "in.ipynb"],
    "jupyter execute": ["execute", "--output=done.ipynb", "in.ipynb"],
    "papermill": ["in.ipynb", "done.ipynb", "-p", "base", "3"],
}


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_notebook_without_a_front_end_fails_when_all_trials_do(tmp_path: Path, executor: str, fails: bool) -> None:
    parameters = nbformat.v4.new_code_cell(
        "base = 3" if executor != "papermill" else "base = 0", metadata={"tags": ["parameters"]}
    )
    body = "raise ValueError('on purpose')" if fails else "return {'accuracy': base / 4}"
    cells = [
        parameters,
        *map(
            nbformat.v4.new_code_cell,
            (f"%%train --completions 2\ndef f():\n    {body}", "print(run.state, run.best().metrics)"),
        ),
    ]
    kernelspec = {"name": "metaml", "display_name": "MetaML", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec}), tmp_path / "in.ipynb")
    program = Path(sys.executable).with_name("papermill" if executor == "papermill" else "jupyter")
    ended = subprocess.run(
        [program, *EXECUTORS[executor]],
        cwd=tmp_path,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode != 0) == fails, ended.stderr
    if fails:
        assert "on purpose" in ended.stderr
        if executor != "papermill":  # it alone writes what it has
            return
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    sweep, last = [c for c in done.cells if c.cell_type == "code" and "injected" not in str(c.source)][-2:]
    kinds = [o.output_type for o in sweep.outputs]
    # The slice and the table; trials that fail alike are shown once, at the end of the cell.
    assert kinds == ["display_data", "display_data", *(["error"] if fails else [])]
    assert "2 trials" in sweep.outputs[1].data["text/plain"]
    assert [o.get("text") for o in last.outputs] == ([] if fails else ["succeeded {'accuracy': 0.75}\n"])
