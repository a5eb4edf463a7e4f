"""With the real `metaml`: a sweep from a cell and from a script, and what the user holds afterwards.

`make test` puts the binaries on the PATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_session_kernel import ROOT, SECONDS, Kernel, start

import metaml
from metaml._binary import find
from metaml._session import setting_names, settings


def binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not on the PATH: run make test", pytrace=False)
    return found


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a person who never used MetaML; with the parameter "elsewhere" of one whose runs go there."""
    there = {}
    if getattr(request, "param", "") == "elsewhere":
        there = {
            "METAML_BIN": request.getfixturevalue("elsewhere"),
            "METAML_TEST_ELSEWHERE": str(tmp_path / "elsewhere"),
            "METAML_TARGET": "kubernetes",
            "METAML_INTERRUPT": "stop",
        }
    with tempfile.TemporaryDirectory() as short:  # sockets have short paths
        yield {
            "METAML_BIN": binary("metaml"),
            "HOME": str(tmp_path / "home"),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "XDG_RUNTIME_DIR": short,
            **there,
        }
        # What a run has of processes may outlive the command that ended it by a moment, and writes there.
        wait_for(lambda: not processes_with(short))


def processes_with(folder: str) -> list[int]:
    """The processes whose XDG_RUNTIME_DIR is a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("XDG_RUNTIME_DIR") == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def wait_for(ok: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so, or for some time."""
    until = time.monotonic() + seconds
    while not ok() and time.monotonic() < until:
        time.sleep(0.05)


@pytest.fixture(params=["ours", "plain"])
def kernel(request: pytest.FixtureRequest, tmp_path: Path, home: dict[str, str]) -> Iterator[Kernel]:
    """Our kernel, and a plain ipykernel with `%load_ext metaml`."""
    plain = request.param == "plain"
    program = os.path.join(os.path.dirname(home["METAML_BIN"]), "metaml-kernel")
    argv = None if plain else [program, "-f", "{connection_file}", "--python", sys.executable]
    manager, client = start(tmp_path, argv=argv, **home)
    try:
        running = Kernel(client)
        running.manager = manager
        if plain:
            running.execute("%load_ext metaml")
        yield running
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel()


def texts(messages: list[dict[str, Any]]) -> str:
    """What a person reads in the output of a cell."""
    return "\n".join(
        str(message["content"].get("data", {}).get("text/plain", message["content"].get("text", "")))
        for message in messages
    )


HELPERS = """
import random
import numpy as np
scale = 2.0
def helper(x):
    return x * scale
def rows():
    for i in range(4):
        yield {"lr": i, "size": np.random.choice([128], 1)}
"""

TRAIN = """%%train --parallelism 2 --hyper-parameters rows
def train_model(lr, size):
    from metaml import report
    for step in range(3):
        report(step=step, loss=helper(lr) + step)
    print("size", size)
    return {"accuracy": lr / size}
"""


@pytest.mark.parametrize(("home", "place"), [("local", ""), ("elsewhere", "@lab")], indirect=["home"])
def test_a_sweep_from_a_cell(kernel: Kernel, place: str) -> None:
    assert kernel.execute(HELPERS)[-1]["content"]["status"] == "ok"
    *shown, reply = kernel.execute(TRAIN, store_history=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "succeeded" in texts(shown)
    assert kernel.value("(run.state, run.name, run in Out.values())") == f"('succeeded', 'train-model-1{place}', True)"
    assert kernel.value("[t.parameters for t in run.trials]") == repr([{"lr": i, "size": 128} for i in range(4)])
    assert kernel.value("(run.best().index, run.best('loss').index, run.objective)") == "(3, 0, ('accuracy', 'max'))"
    assert kernel.value("sorted(r[2:] for r in run.history if r.trial == 1)") == repr(
        [(1, "loss", 2.0), (1, "loss", 3.0), (1, "loss", 4.0)]
    )
    assert kernel.value("run.logs(2).strip()") == "'size 128'"
    assert "train-model-1" in texts(kernel.execute("run"))
    assert "succeeded" in texts(kernel.execute("%metaml runs"))
    assert "succeeded" in texts(kernel.execute("%metaml attach run"))
    assert "lr" in texts(kernel.execute("%metaml plan --parallelism 3 --hyper-parameters rows"))
    assert kernel.value("len(__import__('metaml').runs())") == "1"  # a plan starts nothing


def completions(kernel: Kernel, code: str) -> dict[str, str]:
    """What a front end shows for a cell that ends at the cursor: texts, and what stands beside them."""
    message = kernel.client.complete(code)
    while (reply := kernel.client.get_shell_msg(timeout=SECONDS))["parent_header"]["msg_id"] != message:
        pass
    return {item["text"]: item["type"] for item in reply["content"]["metadata"]["_jupyter_types_experimental"]}


def test_completion(kernel: Kernel) -> None:
    kernel.execute("%%train --name sweep\ndef f():\n    return 1")
    options = completions(kernel, "%%train --")
    assert options["--parallelism"] == "Trials that run at the same time."
    assert set(options) == {f"--{name.replace('_', '-')}" for name in setting_names.TRAIN}
    assert list(completions(kernel, "%%train --cwd ")) == ["session", "trial"]
    assert completions(kernel, "%metaml attach ") == {
        "sweep-1": "succeeded",
        "last": "the newest run",
        "run": "sweep-1",
    }
    assert "stop" in completions(kernel, "%metaml ")


# What a front end sends of itself, and whether it replaces a display (frontend.py).
FRONT_ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "nbclient": ({"allow_stdin": False}, {}, True),
    "JupyterLab": ({"allow_stdin": True}, {"cellId": "a1"}, True),
    "a console": ({"allow_stdin": True}, {}, False),
    "a server that says nothing": ({}, {}, False),
}


def ask(kernel: Kernel, code: str, content: dict[str, Any], metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute a cell as a front end does; gives its outputs and its updates of them."""
    message = kernel.client.session.msg("execute_request", {"code": code, **content}, metadata=metadata)
    kernel.client.shell_channel.send(message)
    shown: list[dict[str, Any]] = []
    while True:
        got = kernel.client.get_iopub_msg(timeout=SECONDS)
        if got["parent_header"].get("msg_id") != message["msg_id"]:
            continue
        if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
            return [m for m in shown if m["msg_type"] not in ("status", "execute_input")]
        shown.append(got)


@pytest.mark.parametrize("how", ["alone", "in a loop", "decorated"])
def test_progress_as_the_front_end_can_show_it(kernel: Kernel, how: str) -> None:
    function = "def f():\n    return 1"
    code = {
        "alone": "%%train --completions 3\n" + function,
        "in a loop": f"for i in range(1): get_ipython().run_cell_magic('train', '--completions 3', {function!r})",
        "decorated": f"import metaml\n@metaml.Train(completions=3)\n{function}\nresult = f()",
    }[how]
    for name, (content, metadata, replaces) in FRONT_ENDS.items():
        shown = [m for m in ask(kernel, code, content, metadata) if m["msg_type"] != "execute_result"]
        if replaces:
            kinds = [m["msg_type"] for m in shown if m["msg_type"] != "update_display_data"]
            assert kinds == ["display_data", "display_data"], (name, texts(shown))
            continue
        # Lines, then what runs, and the table once at the end.
        *lines, slice_, table = shown
        kinds = [m["msg_type"] for m in shown]
        assert kinds == [*["stream"] * len(lines), *["display_data"] * 2], (name, texts(shown))
        assert "ran from" in texts(lines) and "0 of 3 trials" in texts(lines)
        assert list(slice_["content"]["data"]) == ["text/html"]  # its text is among the lines
        assert "3 trials   succeeded" in table["content"]["data"]["text/plain"] and not table["content"].get(
            "transient"
        )


def test_a_detached_table_that_cannot_be_replaced_is_shown_once(kernel: Kernel) -> None:
    shown = ask(kernel, "%%train --detach\ndef f():\n    return 1", {"allow_stdin": True}, {})
    assert "stops the run" not in texts(shown)
    assert kernel.value("run.wait().state") == "'succeeded'"
    after = [m["msg_type"] for m in kernel.execute("0")]
    assert {m["msg_type"] for m in shown} <= {"display_data", "execute_result"} and after == [
        "execute_result",
        "execute_reply",
    ]


def test_a_decorated_function_in_a_notebook(kernel: Kernel) -> None:
    kernel.execute(HELPERS)
    kernel.execute(
        "from metaml import Train\n@Train(hyper_parameters=rows())\ndef fit(lr, size):\n    return helper(lr)"
    )
    *shown, reply = kernel.execute("result = fit()\nafter = result.state")
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "succeeded" in texts(shown)
    assert kernel.value("(after, len(result.trials), fit(1, 2))") == "('succeeded', 4, 2.0)"


def test_in_a_loop_each_waits_for_its_own(kernel: Kernel) -> None:
    code = (
        "for i in range(2):\n    get_ipython().run_cell('%%train --name loop --seed {i}\\ndef f():\\n    "
        "return 1')\nprint(run.name, run.state)"
    )
    *shown, reply = kernel.execute(code)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "loop-2 succeeded" in texts(shown)
    reply = kernel.execute("%%time\n%%train\ndef timed():\n    return 1")[-1]
    assert reply["content"]["status"] == "ok", reply["content"]
    assert kernel.value("(run.name, run.state)") == "('timed-1', 'succeeded')"
    reply = kernel.execute("%%capture\n%%train\ndef captured():\n    return 1")[-1]
    assert reply["content"]["status"] == "ok", reply["content"]
    assert kernel.value("(run.name, run.state)") == "('captured-1', 'succeeded')"


def test_failures_are_errors(kernel: Kernel) -> None:
    for code, ename, text in (
        ("%%train --paralelism 2\ndef f(): pass", "Refused", "--parallelism"),
        ("%%train\ndef f(): return undefined_name", "Refused", "undefined_name"),
        ("%%train\ndef f(): 1/0", "TrialsFailed", "ZeroDivisionError"),
        ("%metaml logs no-such-run", "Refused", "there is no run"),
        ("import metaml; metaml.run('no-such-run')", "MetaMLError", "no-such-run"),
    ):
        reply = kernel.execute(code)[-1]
        assert (reply["content"]["status"], reply["content"].get("ename")) == ("error", ename), reply["content"]
        assert text in reply["content"]["evalue"]


def test_an_interrupt_stops_the_run(kernel: Kernel) -> None:
    code = "%%train\ndef f():\n    import time\n    time.sleep(600)"
    message = kernel.client.execute(code, stop_on_error=False)
    while True:
        got = kernel.client.get_iopub_msg(timeout=SECONDS)
        if "●" in texts([got]):
            break
    assert kernel.manager is not None
    kernel.manager.interrupt_kernel()
    while True:
        reply = kernel.client.get_shell_msg(timeout=SECONDS)
        if reply["parent_header"]["msg_id"] == message:
            break
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.value("run.state") == "'stopped'"


def test_detach_returns_at_once(kernel: Kernel) -> None:
    code = (
        "%%train --detach\ndef f():\n    import os, time\n    while not os.path.exists('go'): "
        "time.sleep(0.01)\n    return 1"
    )
    assert kernel.execute(code)[-1]["content"]["status"] == "ok"
    reply = kernel.execute("run.wait(0.01)")[-1]
    assert reply["content"]["ename"] == "TimeoutError"
    kernel.execute("open('go', 'w').close()")
    assert kernel.value("run.wait().state") == "'succeeded'"


WAITS = """
def wait_for_go(n: int = 1):
    import os, time
    while not os.path.exists('go'): time.sleep(0.01)
    return n
"""


def submitted(home: dict[str, str], name: str) -> set[psutil.Process]:
    """The processes that look after a run, once they are there: its monitor, and a Python of the user's program below
    it.
    """
    record = Path(home["XDG_DATA_HOME"]) / "metaml" / "runs" / name / "monitor.json"

    def look() -> set[psutil.Process]:
        if not record.exists():
            return set()
        try:
            monitor = psutil.Process(json.loads(record.read_text())["pid"])
            below = monitor.children(recursive=True)
            return {monitor, *below} if any("python" in process.name() for process in below) else set()
        except psutil.NoSuchProcess:
            return set()

    found: set[psutil.Process] = until(look)
    return found


def until(look: Callable[[], Any]) -> Any:
    """Wait for a state."""
    end = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def below(pid: int) -> set[psutil.Process]:
    process = psutil.Process(pid)
    return {process, *process.children(recursive=True)}


def interrupt_descendants(kernel: Kernel) -> None:
    """As VS Code does it."""
    for process in below(pid_of(kernel)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)


def pid_of(kernel: Kernel) -> int:
    assert kernel.manager is not None
    return int(getattr(kernel.manager.provisioner, "pid", 0))


def test_what_was_submitted_is_nobodys_descendant(kernel: Kernel, home: dict[str, str], tmp_path: Path) -> None:
    for cell, name in (
        ("%%train --detach" + WAITS, "wait-for-go-1"),
        ("%%serve --example 1\ndef double(x: int): return 2 * x", "double-1"),
    ):
        assert kernel.execute(cell)[-1]["content"]["status"] == "ok"
        assert not submitted(home, name) & below(pid_of(kernel))
    interrupt_descendants(kernel)
    assert kernel.value("server.predict(21)") == "42"
    assert kernel.value("run.state") == "'running'"
    # ipykernel ends what is in its process group when it shuts down.
    assert kernel.manager is not None
    kernel.manager.shutdown_kernel()
    assert all(process.is_running() for name in ("wait-for-go-1", "double-1") for process in submitted(home, name))
    (tmp_path / "go").touch()
    said = subprocess.run([home["METAML_BIN"], "attach", "wait-for-go-1"], env={**os.environ, **home}, check=False)
    assert said.returncode == 0
    subprocess.run([home["METAML_BIN"], "stop", "double-1"], env={**os.environ, **home}, check=True)


def test_an_interrupt_of_all_descendants_stops_the_run_once(kernel: Kernel, home: dict[str, str]) -> None:
    message = kernel.client.execute("%%train" + WAITS, stop_on_error=False)
    assert not submitted(home, "wait-for-go-1") & below(pid_of(kernel))
    while "●" not in texts([kernel.client.get_iopub_msg(timeout=SECONDS)]):
        pass
    interrupt_descendants(kernel)
    while (reply := kernel.client.get_shell_msg(timeout=SECONDS))["parent_header"]["msg_id"] != message:
        pass
    assert (reply["content"]["ename"], reply["content"]["evalue"]) == ("KeyboardInterrupt", "wait-for-go-1 was stopped")
    assert kernel.value("[t.state for t in run.trials]") == "['stopped']"


SCRIPT = """
import random
from metaml import Train

def rows():
    while True:
        yield {"lr": random.random()}

@Train(settings={"parallelism": 2, "hyper_parameters": rows()},
       package={"repository": "example.org/x", "publish": True})
def train_model(lr):
    return {"loss": lr}

if __name__ == "__main__":
    run = train_model()
    print(run.state, len(run.trials), train_model(0.5))
"""


def script(tmp_path: Path, text: str, home: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (tmp_path / "train.py").write_text(text)
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, **home, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_sweep_from_a_script(tmp_path: Path, home: dict[str, str]) -> None:
    got = script(tmp_path, SCRIPT, home)
    assert got.stdout == "succeeded 2 {'loss': 0.5}\n", got.stderr
    assert "train-model-1" in got.stderr
    assert "unused on target local: repository, publish" in got.stderr


def test_what_a_script_submitted_is_nobodys_descendant(tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text(
        "from metaml import Train\n@Train\n" + WAITS.strip() + "\nprint(wait_for_go().state)\n"
    )
    environment = {**os.environ, **home, "PYTHONPATH": ROOT}
    with subprocess.Popen(
        [sys.executable, "train.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert not submitted(home, "wait-for-go-1") & below(running.pid)
        (tmp_path / "go").touch()
        assert running.communicate(timeout=SECONDS)[0] == "succeeded\n"


def test_a_script_whose_trials_fail_ends_with_a_sentence(tmp_path: Path, home: dict[str, str]) -> None:
    got = script(tmp_path, SCRIPT.replace('return {"loss": lr}', "raise ValueError('too small')"), home)
    assert got.returncode == 1
    assert "ValueError: too small" in got.stderr
    assert "metaml/_" not in got.stderr


@pytest.mark.parametrize("kind", ["train", "serve"])
def test_a_decorators_settings_are_the_cells(kind: str, home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAML_BIN", home["METAML_BIN"])
    monkeypatch.setattr(find, "_found", None)
    described = tuple(entry["name"] for entry in json.loads(find.call("settings", "--json", "--kind", kind)))
    assert {"train": setting_names.TRAIN, "serve": setting_names.SERVE}[kind] == described
    help_text = settings.usage(kind)
    assert all(f"--{name.replace('_', '-')}" in help_text for name in described)


def test_a_run_travels_by_its_name() -> None:
    import pickle

    assert pickle.loads(pickle.dumps(metaml.Run("x-1"))) == metaml.Run("x-1")
