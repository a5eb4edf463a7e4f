"""Start, interrupt, restart, end: no orphans, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import TIMEOUT, Kernel, runtime_folders
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import get_kernel_spec
from jupyter_client.manager import KernelManager
from surroundings import until


def gone(*pids: int) -> bool:
    return not any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids)


@pytest.mark.parametrize("how", ["signal", "message"])
def test_interrupt_ends_the_cell_and_not_the_kernel(kernel: Kernel, how: str) -> None:
    parent = kernel.client.execute("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    kernel.iopub(parent, last=lambda m: m["msg_type"] == "stream")
    if how == "signal":
        kernel.manager.interrupt_kernel()
    else:
        assert kernel.control("interrupt_request")["content"]["status"] == "ok"
    reply = kernel.reply(parent)
    assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "KeyboardInterrupt")
    kernel.iopub(parent)
    assert kernel.text("print('alive')") == "alive\n"


def test_interrupt_during_input(kernel: Kernel) -> None:
    parent = kernel.client.execute("input('? ')", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=TIMEOUT)
    kernel.manager.interrupt_kernel()
    assert kernel.reply(parent)["content"]["ename"] == "KeyboardInterrupt"
    kernel.iopub(parent)  # until then ipykernel aborts what comes, stop_on_error


def test_interrupt_reaches_what_the_cell_started(kernel: Kernel) -> None:
    parent = kernel.client.execute("print('begun', flush=True)\n!sleep 60")
    kernel.iopub(parent, last=lambda m: m["msg_type"] == "stream")
    until(lambda: any(p.name() == "sleep" for p in kernel.child().children(recursive=True)), "sleep runs")
    kernel.manager.interrupt_kernel()
    kernel.reply(parent)
    kernel.iopub(parent)
    until(
        lambda: not any(p.name() == "sleep" for p in kernel.child().children(recursive=True)),
        "what the cell started has ended",
    )


def test_restart_gives_a_new_python_and_leaves_no_old_one(fresh: Kernel) -> None:
    old, folders = fresh.child().pid, runtime_folders()
    fresh.run("kept = 1")
    fresh.manager.restart_kernel()
    fresh.client.wait_for_ready(timeout=TIMEOUT)
    assert "not defined" in fresh.text("kept")
    until(lambda: gone(old), "the old ipykernel has ended")
    assert len(runtime_folders()) == len(folders)


def test_shutdown_leaves_nothing(fresh: Kernel) -> None:
    pid, child = fresh.pid, fresh.child().pid
    assert fresh.control("shutdown_request", {"restart": False})["content"] == {"status": "ok", "restart": False}
    until(lambda: gone(pid, child), "both have ended")
    assert fresh.process.wait() == 0
    assert not any(str(pid) in f.read_text() for f in runtime_folders() if f.is_file())


def test_an_ipykernel_that_hangs_at_its_end_is_ended(fresh: Kernel) -> None:
    # Its main thread joins the control thread after it has closed iopub; that thread may wait for iopub.
    pid, child, process = fresh.pid, fresh.child().pid, fresh.process
    fresh.run(
        "import threading; control = get_ipython().kernel.parent.control_thread\n"
        "control.is_alive, control.join = lambda: True, threading.Event().wait  # by then IPython has emptied "
        "the namespace"
    )
    fresh.control("shutdown_request", {"restart": False})
    assert process.wait(timeout=TIMEOUT) == 0
    assert gone(pid, child)


def test_an_ipykernel_that_crashes_at_its_end_has_ended_well(fresh: Kernel) -> None:
    process = fresh.process
    fresh.run("import atexit, os; atexit.register(os.abort)")
    fresh.control("shutdown_request", {"restart": False})
    assert process.wait(timeout=TIMEOUT) == 0


def test_a_shutdown_that_ipykernel_did_not_survive_to_answer_is_answered(fresh: Kernel) -> None:
    process = fresh.process
    fresh.run("import os; get_ipython().kernel.do_shutdown = lambda restart: os.abort()")
    assert fresh.control("shutdown_request", {"restart": False})["content"] == {"status": "ok", "restart": False}
    assert process.wait(timeout=TIMEOUT) == 0


def test_a_killed_kernel_takes_the_wrapped_one_with_it(fresh: Kernel) -> None:
    child = fresh.child().pid
    parent = fresh.client.execute("import time\nprint(1, flush=True)\nwhile True: pass")
    fresh.iopub(parent, last=lambda m: m["msg_type"] == "stream")
    os.kill(fresh.pid, signal.SIGKILL)
    until(lambda: gone(child), "ipykernel died with us", 10)


def test_what_a_killed_kernel_left_is_swept_by_the_next() -> None:
    before = runtime_folders()
    k = Kernel("metaml")
    left = runtime_folders() - before
    assert len(left) == 1
    os.kill(k.pid, signal.SIGKILL)
    k.end()
    Kernel("metaml").end()
    assert not (left & runtime_folders())


def test_death_of_the_wrapped_kernel_is_ours(fresh: Kernel) -> None:
    fresh.child().kill()
    process = fresh.process
    assert process.wait(timeout=TIMEOUT) == 128 + signal.SIGKILL


def test_exit_code_is_the_wrapped_kernels(fresh: Kernel) -> None:
    fresh.client.execute("import os; os._exit(7)")
    assert fresh.process.wait(timeout=TIMEOUT) == 7


spawned: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _leave_none() -> Iterator[None]:
    """A test that fails leaves no kernel behind; the wrapped one dies with it."""
    yield
    while spawned:
        process = spawned.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def spawn(
    tmp_path: Path, *extra: str, env: dict[str, str] | None = None, **fields: object
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start the kernel as a front end that is no jupyter_client would."""
    file = tmp_path / "kernel-direct.json"
    write_connection_file(str(file), key=b"secret")
    if fields:
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    argv = [a.replace("{connection_file}", str(file)) for a in get_kernel_spec("metaml").argv]
    process = subprocess.Popen([*argv, *extra], env={**os.environ, **(env or {})}, stderr=subprocess.PIPE)
    spawned.append(process)
    return process, file


def ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code; a kernel that does not end says what it waits for."""
    try:
        process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        left = [(p.pid, p.status(), p.cmdline()) for p in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGQUIT)
        raise AssertionError(f"still there, with {left}:\n{process.communicate()[1].decode()}") from None
    return process.returncode


def connect(file: Path) -> BlockingKernelClient:
    client = BlockingKernelClient()
    client.load_connection_file(str(file))
    client.start_channels()
    client.wait_for_ready(timeout=TIMEOUT)
    return client


def test_parent_that_dies_leaves_no_orphan(tmp_path: Path) -> None:
    file = tmp_path / "kernel-x.json"
    write_connection_file(str(file), key=b"secret")
    argv = [a.replace("{connection_file}", str(file)) for a in get_kernel_spec("metaml").argv]
    code = (
        f"import os, subprocess, time; p = subprocess.Popen({argv!r}, env=dict(os.environ, "
        "JPY_PARENT_PID=str(os.getpid()))); print(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    client = connect(file)
    child = psutil.Process(pid).children()[0].pid
    client.stop_channels()
    parent.kill()
    parent.wait()
    until(lambda: gone(pid, child), "kernel and ipykernel noticed")


def test_termination_ends_both(tmp_path: Path) -> None:
    process, file = spawn(tmp_path)
    connect(file).stop_channels()
    child = psutil.Process(process.pid).children()[0].pid
    process.terminate()
    ended(process)
    until(lambda: gone(child), "ipykernel has ended")


def test_arguments_reach_ipykernel(tmp_path: Path) -> None:
    process, file = spawn(tmp_path, "--HistoryManager.hist_file=:memory:")
    client = connect(file)
    client.execute_interactive("assert get_ipython().history_manager.hist_file == ':memory:'", timeout=TIMEOUT)
    assert client.shutdown(reply=True, timeout=TIMEOUT)["content"]["status"] == "ok"
    client.stop_channels()
    assert ended(process) == 0


def test_ipc_front_end(tmp_path: Path) -> None:
    ports: dict[str, Any] = {f"{c}_port": i + 1 for i, c in enumerate(("shell", "iopub", "stdin", "control", "hb"))}
    process, file = spawn(tmp_path, transport="ipc", ip=str(tmp_path / "s"), **ports)
    until(lambda: (tmp_path / "s-1").exists(), "the sockets are there")
    client = connect(file)
    assert client.execute_interactive("1", timeout=TIMEOUT)["content"]["status"] == "ok"
    client.stop_channels()
    process.terminate()
    ended(process)


def test_encryption_is_refused_in_one_sentence(tmp_path: Path) -> None:
    process, _ = spawn(tmp_path, curve_publickey="x", curve_secretkey="y")
    _, said = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert said.decode().count("\n") == 1 and "CurveZMQ" in said.decode()


@pytest.mark.parametrize("case", ["no-ipykernel", "no-python"])
def test_missing_parts_are_said_in_the_front_end(tmp_path: Path, case: str) -> None:
    if case == "no-ipykernel":
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
        python, says = str(tmp_path / "venv/bin/python"), "-m pip install ipykernel"
    else:
        python, says = str(tmp_path / "nothing"), "there is no Python at"
    process, file = spawn(tmp_path, "--python", python)
    client = connect(file)
    reply = client.execute_interactive("1 + 1", timeout=TIMEOUT, output_hook=lambda _: None)
    assert reply["content"]["status"] == "error"
    assert says in reply["content"]["evalue"] and python in reply["content"]["evalue"]
    client.shutdown()
    assert ended(process) == 0
    client.stop_channels()


def test_a_module_that_does_not_load_is_told_under_the_first_cell(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == 'metaml':
            raise ImportError('broken on purpose')
sys.meta_path.insert(0, Broken())
"""
    )
    process, file = spawn(tmp_path, env={"PYTHONPATH": str(site)})
    client = connect(file)
    said: list[str] = []
    client.execute_interactive("1", timeout=TIMEOUT, output_hook=lambda m: said.append(m["content"].get("text", "")))
    assert any("MetaML could not be loaded" in s for s in said)
    client.kernel_info()
    assert "could not be loaded" in client.get_shell_msg(timeout=TIMEOUT)["content"]["banner"]
    client.stop_channels()
    process.terminate()
    ended(process)


def test_the_users_environment_is_the_users(tmp_path: Path) -> None:
    process, file = spawn(tmp_path, env={"PYTHONPATH": "/somewhere"})
    client = connect(file)
    said: list[str] = []
    code = "import os; print(os.environ['PYTHONPATH'], [k for k in os.environ if k.startswith('_METAML')])"
    client.execute_interactive(code, timeout=TIMEOUT, output_hook=lambda m: said.append(m["content"].get("text", "")))
    assert "/somewhere []\n" in said
    client.stop_channels()
    process.terminate()
    ended(process)


def test_ready_comes_before_any_output_is_lost() -> None:
    # The very first cell of a kernel, sent while ipykernel is still starting.
    for _ in range(3):
        manager = KernelManager(kernel_name="metaml")
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        assert client.get_iopub_msg(timeout=TIMEOUT)["msg_type"] == "iopub_welcome"  # from here on nothing is missed
        parent = client.execute("print('first')")
        kinds: list[str] = []
        while len(kinds) < 4:
            message = client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") == parent:
                kinds.append(message["msg_type"])
        assert kinds == ["status", "execute_input", "stream", "status"]
        client.stop_channels()
        manager.shutdown_kernel(now=True)
