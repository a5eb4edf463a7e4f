"""Which run a cell is, what the user holds, and that nothing is lost when something dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Notebook, Shown, module_folder, monitor_of, show
from surroundings import BIN, until

WAITS = """%%train --name {name} {options}
import os, time
def wait():
    while not os.path.exists({gate!r}):
        time.sleep(0.01)
    return 1"""


class Gate:
    """A file that the trials of a run wait for."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.path = folder / f"{name}.gate"

    def cell(self, options: str = "") -> str:
        return WAITS.format(name=self.name, options=options, gate=str(self.path))

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(notebook: Notebook, request: pytest.FixtureRequest) -> Iterator[Gate]:
    made = Gate(notebook.folder, request.node.name.removeprefix("test_").replace("_", "-")[:30])
    yield made
    made.open()


def running(notebook: Notebook, name: str) -> dict[str, Any]:
    def is_running() -> dict[str, Any]:
        run = show(notebook, name)
        return run if run and run["trials"] and run["trials"][0]["state"] == "running" else {}

    return dict(until(is_running, f"{name} runs"))


def processes(what: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if what in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_the_run_is_out_and_run(notebook: Notebook) -> None:
    shown = notebook.run("%%train --name first\ndef train():\n    return {'loss': 0.5}")
    assert shown.status == "ok"
    assert len(shown.displays) == 2, "the slice and the table"
    assert notebook.run(f"run.name, _.name, Out[{shown.count}].name").results == ["('first-1', 'first-1', 'first-1')"]
    assert notebook.run("run.state, run.best().metrics").results == ["('succeeded', {'loss': 0.5})"]
    assert notebook.run("%%train --name first\ndef train():\n    return {'loss': 0.5}").status == "ok"
    assert notebook.run("run.name").results == ["'first-2'"], "running a cell runs it"


def test_a_run_that_was_not_the_cells_result_is_shown_by_the_next(notebook: Notebook) -> None:
    shown = notebook.run(
        "import metaml\n@metaml.Train(name='kept')\ndef train():\n    return {'loss': 0.5}\nheld = train()"
    )
    assert shown.status == "ok", shown.error
    assert "best loss 0.5" in notebook.run("held").plain, "the table stood under the other cell"
    assert len(notebook.run("train()").displays) == 2, "the slice and the table, which is the result's too"


def test_a_name_of_the_users_is_left_alone(notebook: Notebook) -> None:
    shown = notebook.run("run = 'mine'\n")
    shown = notebook.run("%%train --name polite\ndef train():\n    return 1")
    assert "run" in shown.text
    assert notebook.run("run").results == ["'mine'"]
    notebook.run("del run")
    notebook.run("%%train --name polite --into other\ndef train():\n    return 1")
    assert notebook.run("other.name").results == ["'polite-2'"]


def test_detach_and_attach(notebook: Notebook, gate: Gate) -> None:
    shown = notebook.run(gate.cell("--detach"))
    assert shown.status == "ok"
    name = notebook.run("run.name").results[0].strip("'")
    running(notebook, name)
    again = notebook.run(gate.cell("--detach --retries 3"))
    assert notebook.run("run.name").results == [f"'{name}'"], "the same cell attaches"
    until(lambda: True, "")
    other = notebook.run(gate.cell("--detach --again"))
    assert notebook.run("run.name").results == ["'detach-and-attach-2'"]
    assert (again.status, other.status) == ("ok", "ok")
    gate.open()
    assert notebook.run("run.wait(30).state").results == ["'succeeded'"]
    assert notebook.run(gate.cell("--reuse")).status == "ok"
    assert notebook.run("run.name").results[0] in (f"'{name}'", "'detach-and-attach-2'")


def test_attach_says_what_differs(notebook: Notebook, gate: Gate) -> None:
    notebook.run(gate.cell("--detach"))
    running(notebook, "attach-says-what-differs-1")
    parent = notebook.client.execute(gate.cell("--retries 3"))
    text = ""

    def differs() -> bool:
        nonlocal text
        message = notebook.client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") == parent and "data" in message["content"]:
            text += message["content"]["data"].get("text/plain", "")
        return "retries" in text

    until(differs, "the differing setting is named")
    assert "attached to attach-says-what-differs-1" in text
    gate.open()
    assert notebook.client.get_shell_msg(timeout=30)["content"]["status"] == "ok"


def test_completion_answers_while_a_run_is_shown(notebook: Notebook, gate: Gate) -> None:
    parent = notebook.client.execute(gate.cell())
    running(notebook, "completion-answers-while-a-run-1"[:30] + "-1")
    notebook.client.complete("impor")
    reply = notebook.client.get_shell_msg(timeout=10)
    assert reply["msg_type"] == "complete_reply"
    assert "import" in reply["content"]["matches"]
    gate.open()
    reply = notebook.client.get_shell_msg(timeout=30)
    assert (reply["parent_header"]["msg_id"], reply["content"]["status"]) == (parent, "ok")


def test_interrupt_can_mean_detach(notebook: Notebook, gate: Gate) -> None:
    def interrupt(shown: Shown) -> None:
        if "●" in shown.plain and not interrupted:
            interrupted.append(True)
            notebook.manager.interrupt_kernel()

    interrupted: list[bool] = []
    shown = notebook.run(gate.cell("--interrupt detach"), when=interrupt)
    assert shown.error.startswith("Detached: interrupt-can-mean-detach-1 goes on"), shown.error
    assert show(notebook, "interrupt-can-mean-detach")["state"] == "running"
    gate.open()
    assert notebook.run("import metaml; metaml.run('interrupt-can-mean-detach').wait(30).state").results == [
        "'succeeded'"
    ]


def test_kill_of_metaml_leaves_the_run(notebook: Notebook, gate: Gate) -> None:
    notebook.client.execute(gate.cell())
    running(notebook, "kill-of-metaml-leaves-the-run-1")
    kernel = psutil.Process(notebook.pid)
    [child] = [p for p in kernel.children() if p.name() == "metaml"]
    child.kill()
    reply = notebook.client.get_shell_msg(timeout=10)["content"]
    assert reply["status"] == "error"
    assert "kill-of-metaml-leaves-the-run-1" in reply["evalue"]
    gate.open()
    until(lambda: show(notebook, "kill-of-metaml")["state"] == "succeeded", "the run ends well")


def test_kill_of_the_monitor_goes_on(notebook: Notebook, gate: Gate) -> None:
    parent = notebook.client.execute(gate.cell())
    name = "kill-of-the-monitor-goes-on-1"
    pid = psutil.Process(running(notebook, name)["trials"][0] and monitor_of(notebook, name).pid).pid
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: show(notebook, name)["trials"][0]["attempt"] == 2,
        "the one who waits starts another monitor, and the trial is tried again",
    )
    gate.open()
    reply = notebook.client.get_shell_msg(timeout=30)
    assert (reply["parent_header"]["msg_id"], reply["content"]["status"]) == (parent, "ok")


def test_the_run_survives_its_kernel(home: Path, tmp_path: Path) -> None:
    first = Notebook(tmp_path, home, "metaml")
    gate = Gate(tmp_path, "survivor")
    first.client.execute(gate.cell())
    running(first, "survivor-1")
    first.close_kernel()
    second = Notebook(tmp_path, home, "metaml")
    try:
        assert show(second, "survivor-1")["state"] == "running"
        gate.open()
        assert second.run("%metaml attach survivor-1").status == "ok"
        found = second.run("import metaml; metaml.run('survivor').state")
        assert found.results == ["'succeeded'"], found.error
    finally:
        second.close()


def test_a_run_that_ended_while_nobody_watched_is_named(notebook: Notebook, home: Path, tmp_path: Path) -> None:
    first = Notebook(tmp_path, home, "metaml")
    gate = Gate(tmp_path, "unseen")
    first.client.execute(gate.cell())
    running(first, "unseen-1")
    first.close_kernel()
    gate.open()
    until(lambda: show(notebook, "unseen-1")["state"] == "succeeded", "it ends without a watcher")
    second = Notebook(tmp_path, home, "metaml")
    try:
        assert (
            "unseen-1 ran the same and ended while nobody watched: %metaml attach unseen-1"
            in second.run(gate.cell()).plain
        )
        assert second.run("%metaml attach unseen-1").status == "ok"
        assert "nobody watched" not in second.run(gate.cell()).plain
    finally:
        second.close()


def test_without_our_kernel(home: Path, tmp_path: Path) -> None:
    plain = Notebook(tmp_path, home, "python3", METAML_BIN=str(BIN / "metaml"))
    try:
        plain.run("offset = 3")
        loaded = plain.run(f"import sys; sys.path.insert(0, {module_folder()!r})\n%load_ext metaml")
        assert loaded.status == "ok", loaded.traceback
        shown = plain.run(
            "%%train --hyper-parameters rows\nrows = [{'x': 1}, {'x': 2}]\ndef train(x):\n    return {'score': "
            "x + offset}"
        )
        assert shown.status == "ok", shown.error
        assert "2 trials   succeeded" in shown.plain
        assert plain.run("run.best().metrics").results == ["{'score': 5}"] or plain.run(
            "run.best().metrics"
        ).results == ["{'score': 5.0}"]
        shown = plain.run("%%train\ndef train():\n    1 / 0")
        assert shown.error.startswith("TrialsFailed")
    finally:
        plain.close()


def test_a_train_cell_in_a_loop_waits_in_python(notebook: Notebook) -> None:
    shown = notebook.run(
        "for i in range(2):\n    get_ipython().run_cell_magic('train', '--name looped', f'def train():\\n    "
        "return {i}')\nprint('after')"
    )
    assert shown.status == "ok", shown.traceback
    assert "after" in shown.text
    assert show(notebook, "looped-2")["state"] == "succeeded"


def test_tensorboard_is_there_while_the_run_lasts(notebook: Notebook, gate: Gate) -> None:
    cell = gate.cell("--detach --tensorboard").replace(
        "    while",
        "    from tensorboard.summary import Writer\n    from metaml import output\n    w = "
        "Writer(str(output())); w.add_scalar('wave', 0.25, 3); w.flush()\n    while",
    )
    assert notebook.run(cell).status == "ok"
    name = notebook.run("run.name").results[0].strip("'")
    address = until(lambda: show(notebook, name).get("tensorboard"), "an address is announced")
    assert address.startswith("http://127.0.0.1:")
    until(lambda: show(notebook, name)["trials"][0]["metrics"].get("wave") == 0.25, "the scalar is a metric")
    assert processes(f"--logdir {notebook.home}")
    assert notebook.metaml("tensorboard", name).strip() == address, "it is found again from anywhere"
    gate.open()
    assert notebook.run("run.wait(60).state").results == ["'succeeded'"]
    until(lambda: not processes(f"--logdir {notebook.home}"), "TensorBoard ends with the run")


def test_what_comes_out_otherwise_than_in_the_notebook_is_told(notebook: Notebook) -> None:
    assert (
        notebook.run("import os\nn_files = len(os.listdir('.'))\nkept = 3\nopen('one-more.csv', 'w').close()").status
        == "ok"
    )
    shown = notebook.run("%%train --name otherwise\ndef train():\n    return n_files + kept")
    assert shown.status == "ok", shown.traceback
    there = int(notebook.run("n_files").results[0])
    line = f"`n_files` is {there + 1} here and {there} in the notebook: something beside the cells"
    assert line in shown.plain and "`kept`" not in shown.plain.partition(line)[2].splitlines()[0]


def test_a_function_that_yields_is_run_and_its_yields_are_reports(notebook: Notebook) -> None:
    body = "    print('epoch')\n    for e in range(3):\n        yield {'loss': 1 / (e + 1)}\n    return {'acc': 1}"
    shown = notebook.run("%%train\ndef fit():\n" + body)
    assert shown.status == "ok"
    assert notebook.run("run.logs(0)").results == ["'epoch\\n'"]
    assert notebook.run("run.trials[0].metrics, len(run.history)").results == [
        "({'acc': 1.0, 'loss': 0.3333333333333333}, 3)"
    ]
