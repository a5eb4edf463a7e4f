"""A cell whose run is in progress: what is held, what goes on, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from conftest import TIMEOUT, Kernel, Message
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from surroundings import until

CELL = "%%train{}\ndef f():\n    return 1"


class Script:
    """The orders to metaml_script.py and what it heard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def order(self, text: str) -> None:
        with (self.folder / "orders").open("a") as f:
            f.write(text + "\n")

    def heard(self) -> list[Message]:
        path = self.folder / "heard"
        lines = path.read_text().splitlines() if path.exists() else []
        return [{"type": "EOF"} if text == "EOF" else json.loads(text) for text in lines]

    def wait(self, kind: str, **fields: Any) -> Message:
        def find() -> Message | None:
            return next(
                (m for m in self.heard() if m["type"] == kind and all(m[k] == v for k, v in fields.items())), None
            )

        found: Message = until(find, f"metaml hears {kind} {fields}")
        return found


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("METAML_SCRIPT", str(tmp_path))
    return Script(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Path]]:
    """One kernel for all tests that leave it alive, and the link that leads its metaml to a test's script."""
    link = tmp_path_factory.mktemp("script") / "current"
    kernel = Kernel("metaml-scripted", METAML_SCRIPT=str(link))
    yield kernel, link
    kernel.end()


@pytest.fixture
def k(shared: tuple[Kernel, Path], script: Script) -> Iterator[Kernel]:
    kernel, link = shared
    link.unlink(missing_ok=True)
    link.symlink_to(script.folder)
    yield kernel
    script.order("done")
    until(lambda: not metamls(kernel), "every metaml of the test has ended")


@pytest.fixture
def own(script: Script) -> Iterator[Kernel]:
    """A kernel for a test that ends it."""
    kernel = Kernel("metaml-scripted")
    yield kernel
    kernel.end()


def shows(text: str) -> Callable[[Message], bool]:
    return lambda m: bool(m["content"].get("data", {}).get("text/plain") == text)


def begin(k: Kernel, options: str = "") -> str:
    """Execute a %%train cell and wait until its run is shown."""
    parent: str = k.client.execute(CELL.format(options))
    k.iopub(parent, last=shows("begun"))
    return parent


def metamls(k: Kernel) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(k.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and "--session" in process.cmdline():
                found.append(process)
    return found


def count(k: Kernel) -> int:
    """The execution count of the last cell."""
    return int(k.run("0")[0]["content"]["execution_count"])


def test_reply_and_idle_wait_for_the_run(k: Kernel, script: Script) -> None:
    before = count(k)
    parent = k.client.execute(CELL.format(" --parallelism 2"))
    messages = k.iopub(parent, last=shows("begun"))
    kinds = [m["msg_type"] for m in messages]
    assert kinds[:2] == ["status", "execute_input"]
    assert [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "display_data"] == [
        "what runs",
        "begun",
    ]
    assert script.wait("begin")["line"].strip() == "--parallelism 2"
    k.no_reply(parent)
    script.order("display half")
    update = k.iopub(parent, last=shows("half"))[-1]
    assert update["msg_type"] == "update_display_data" and update["content"]["transient"] == {"display_id": "table"}
    script.order("done")
    reply = k.reply(parent)
    assert reply["content"]["status"] == "ok" and reply["content"]["execution_count"] == before + 1
    assert k.iopub(parent)[-1]["content"]["execution_state"] == "idle"
    assert k.text("print(run.name)") == "script-1\n"


def test_a_failed_run_is_a_failed_cell(k: Kernel, script: Script) -> None:
    before = count(k)
    parent = begin(k)
    script.order("fail TrialsFailed")
    reply = k.reply(parent)["content"]
    assert (reply["status"], reply["ename"], reply["evalue"]) == ("error", "TrialsFailed", "why")
    assert reply["execution_count"] == before + 1
    kinds = [m["msg_type"] for m in k.iopub(parent)]
    assert kinds[-2:] == ["error", "status"]


def test_everything_else_goes_on(k: Kernel, script: Script) -> None:
    parent = begin(k)
    assert "print" in k.reply(k.client.complete("prin"))["content"]["matches"]
    assert k.reply(k.client.inspect("print"))["content"]["found"]
    assert k.reply(k.client.kernel_info())["content"]["implementation"] == "metaml"
    assert k.reply(k.client.history(hist_access_type="tail", n=1))["content"]["status"] == "ok"
    assert k.control("kernel_info_request")["content"]["implementation"] == "metaml"
    if os.environ.get("METAML_TEST_IPYKERNEL") != "oldest":  # ipykernel 6 has no subshells
        subshell = k.control("create_subshell_request")["content"]["subshell_id"]
        message = k.client.session.msg("execute_request", {"code": "print('beside')"})
        message["header"]["subshell_id"] = subshell
        k.client.shell_channel.send(message)
        assert k.reply(message["header"]["msg_id"])["content"]["status"] == "ok"
    k.no_reply(parent)
    script.order("done")
    assert k.reply(parent)["content"]["status"] == "ok"


def test_the_kernel_stays_busy_for_who_looks_at_the_latest_status(k: Kernel, script: Script) -> None:
    parent = begin(k)
    request = k.client.kernel_info()
    k.iopub(request)
    after = k.client.get_iopub_msg(timeout=TIMEOUT)
    assert (after["parent_header"]["msg_id"], after["content"]) == (parent, {"execution_state": "busy"})
    script.order("done")
    k.reply(parent)


def test_cells_behind_it_wait_and_keep_their_order(k: Kernel, script: Script) -> None:
    parent = k.client.execute(CELL.format(""))
    behind = [k.client.execute(f"print({n})") for n in range(3)]
    k.iopub(parent, last=shows("begun"))
    k.no_reply(behind[0])
    script.order("done")
    first = k.reply(parent)["content"]["execution_count"]
    counts = [k.reply(b)["content"]["execution_count"] for b in behind]
    assert counts == [first + 1, first + 2, first + 3]


def no_longer_aborting(k: Kernel) -> None:
    """ipykernel aborts what arrives until it has taken a mark out of its queue that it put there behind the error. A
    request that comes after the error stands behind the mark."""
    k.reply(k.client.kernel_info())


@pytest.mark.parametrize("stop_on_error", [True, False])
def test_a_failed_run_aborts_what_waits_as_ipykernel_does(k: Kernel, script: Script, stop_on_error: bool) -> None:
    parent = k.client.execute(CELL.format(""), stop_on_error=stop_on_error)
    behind = k.client.execute("print('behind')")
    k.iopub(parent, last=shows("begun"))
    script.order("fail TrialsFailed")
    assert k.reply(parent)["content"]["status"] == "error"
    reply = k.reply(behind)
    if stop_on_error:
        assert reply["content"] == {"status": "aborted"} and reply["metadata"]["status"] == "aborted"
        assert [m["content"]["execution_state"] for m in k.iopub(behind)] == ["busy", "idle"]
    else:
        assert reply["content"]["status"] == "ok"
    no_longer_aborting(k)
    assert k.text("print('later')") == "later\n"


def test_an_error_in_the_body_aborts_what_waits(k: Kernel, script: Script) -> None:
    sent = script.folder / "sent"
    parent = k.client.execute("%%train\n" + WAIT.format(str(sent)) + "1/0")
    behind = k.client.execute("2")
    k.control("kernel_info_request")  # sent after them and answered, so they have arrived
    sent.touch()
    assert k.reply(parent)["content"]["ename"] == "ZeroDivisionError"
    assert k.reply(behind)["content"] == {"status": "aborted"}
    script.wait("EOF")  # nothing was submitted
    no_longer_aborting(k)
    assert k.text("print('later')") == "later\n"


@pytest.mark.parametrize("how", ["signal", "message"])
def test_interrupt_stops_and_a_second_one_stops_now(k: Kernel, script: Script, how: str) -> None:
    def interrupt() -> None:
        if how == "signal":
            k.manager.interrupt_kernel()
        else:
            k.control("interrupt_request")

    parent = begin(k)
    behind = k.client.execute("1")
    interrupt()
    script.wait("stop", now=False)
    k.no_reply(parent)
    interrupt()
    script.wait("stop", now=True)
    assert k.reply(parent)["content"]["ename"] == "KeyboardInterrupt"
    assert k.reply(behind)["content"]["status"] == "aborted"
    assert k.text("print('alive')") == "alive\n"


def test_an_interrupt_that_takes_ipykernels_reply_leaves_no_cell_busy(k: Kernel, script: Script) -> None:
    # Between a cell's last statement and its reply an interrupt is "caught in kernel", and no reply follows. Where the
    # cell waits for its run, the interrupt is for the run and reaches nothing else.
    k.run(
        "kernel = get_ipython().kernel; finish = kernel.finish_metadata\ndef once(*a):\n    "
        "kernel.finish_metadata = finish; import os; os.killpg(0, 2)"
    )
    parent = k.client.execute(CELL.format(" --detach").replace("def f", "kernel.finish_metadata = once\ndef f"))
    behind = k.client.execute("1")
    k.iopub(parent, last=shows("begun"))
    script.order("done")
    assert k.reply(parent)["content"]["ename"] == "KeyboardInterrupt"
    assert k.reply(behind)["content"]["status"] == "aborted"
    assert k.text("print('alive')") == "alive\n"


def test_metaml_that_dies_ends_the_cell_and_says_how_to_go_on(k: Kernel, script: Script) -> None:
    parent = begin(k)
    script.order("crash")
    reply = k.reply(parent)["content"]
    assert reply["ename"] == "Detached"
    assert "%metaml attach script-1" in reply["evalue"] and "about to crash" in reply["evalue"]


def test_metaml_killed_while_something_holds_its_output(k: Kernel, script: Script) -> None:
    parent = begin(k)
    (metaml,) = metamls(k)
    os.kill(metaml.pid, signal.SIGKILL)
    assert k.reply(parent)["content"]["ename"] == "Detached"


def test_metaml_that_dies_before_anything_started(k: Kernel, script: Script) -> None:
    reply, _ = k.run(CELL.format(" --crash-early"))
    assert reply["content"]["status"] == "error"
    assert "metaml ended" in reply["content"]["evalue"] and "about to crash" in reply["content"]["evalue"]


def test_detached_cells_end_at_once_and_go_on_showing(k: Kernel, script: Script) -> None:
    parent = k.client.execute(CELL.format(" --detach"))
    assert k.reply(parent)["content"]["status"] == "ok"
    k.iopub(parent)
    assert k.text("print('next cell')") == "next cell\n"
    script.order("display later")
    assert k.iopub(parent, last=shows("later"))[-1]["parent_header"]["msg_id"] == parent


def test_a_magic_that_is_not_alone_is_the_modules_own(k: Kernel, script: Script) -> None:
    cell = "for i in range(1):\n    get_ipython().run_cell_magic('train', '', 'def f():\\n    return 1')"
    parent = k.client.execute(cell)
    k.iopub(parent, last=shows("begun"))
    script.order("done")
    assert k.reply(parent)["content"]["status"] == "ok"


@pytest.mark.parametrize("how", ["shutdown", "restart", "kill"])
def test_the_end_of_the_kernel_detaches(own: Kernel, script: Script, how: str) -> None:
    k = own
    begin(k)
    (metaml,) = metamls(k)
    if how == "kill":
        os.killpg(k.pid, signal.SIGKILL)
    elif how == "restart":
        k.manager.restart_kernel()
        k.client.wait_for_ready(timeout=TIMEOUT)
        assert k.text("print('new')") == "new\n"
    else:
        k.control("shutdown_request", {"restart": False})
    script.wait("EOF")
    assert not any(m["type"] == "stop" for m in script.heard())
    until(lambda: not metaml.is_running() or metaml.status() == psutil.STATUS_ZOMBIE, "metaml ended by itself")


MENTIONS = {
    "string": "text = '%%train'",
    "comment": "# %%train",
    "help": "%%train?",
    "other magic": "%%capture\ntext = '%%serve'",
    "syntax error": "text = (  # %metaml",
    "error": "1/0  # %%train",
}
# ipykernel aborts what has reached it when a cell fails: the cells wait until both have.
WAIT = "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.01)\n"


@pytest.mark.parametrize(
    "options", [{}, {"silent": True}, {"store_history": False}], ids=["plain", "silent", "no-history"]
)
@pytest.mark.parametrize("what", MENTIONS)
def test_a_cell_that_only_mentions_train_holds_nothing(
    k: Kernel, script: Script, what: str, options: dict[str, Any]
) -> None:
    cell = WAIT.format(str(script.folder / "sent")) + MENTIONS[what] if what == "error" else MENTIONS[what]
    parent, behind = k.client.execute(cell, **options), k.client.execute("1")
    info = k.client.kernel_info()
    if what == "error":
        k.control("kernel_info_request")  # sent after them and answered, so they have arrived
        (script.folder / "sent").touch()
    failed = "error" in what
    assert k.reply(parent)["content"]["status"] == ("error" if failed else "ok")
    aborted = failed and not options.get("silent")
    # A syntax error waits for nobody: what reaches ipykernel after its reply is executed, as without us.
    may_be = {"aborted", "ok"} if aborted and what == "syntax error" else {"aborted"} if aborted else {"ok"}
    assert k.reply(behind)["content"]["status"] in may_be
    assert k.reply(info)["content"]["status"] == "ok"
    assert not any(m["type"] == "begin" for m in script.heard())


def test_a_malformed_request_holds_nothing(k: Kernel) -> None:
    k.client.shell_channel.send(k.client.session.msg("execute_request", {"nothing": "%%train"}))
    assert k.text("print('behind')") == "behind\n"


@pytest.mark.skipif(os.environ.get("METAML_TEST_IPYKERNEL") == "oldest", reason="ipykernel 6 has no subshells")
def test_a_sweep_in_a_subshell_holds_no_other_cell(k: Kernel, script: Script) -> None:
    subshell = k.control("create_subshell_request")["content"]["subshell_id"]
    message = k.client.session.msg("execute_request", {"code": CELL.format("")})
    message["header"]["subshell_id"] = subshell
    k.client.shell_channel.send(message)
    parent = message["header"]["msg_id"]
    k.iopub(parent, last=shows("begun"))
    assert k.text("print('main shell')") == "main shell\n"
    k.no_reply(parent)
    script.order("done")
    assert k.reply(parent)["content"]["status"] == "ok"
    assert k.control("delete_subshell_request", {"subshell_id": subshell})["content"]["status"] == "ok"


def test_a_front_end_that_comes_later_sees_a_busy_kernel_and_waits_its_turn(k: Kernel, script: Script) -> None:
    parent = begin(k)
    behind = k.client.execute("order = [1]")
    with k.another("late") as late:
        info = late.client.kernel_info()
        assert late.reply(info)["content"]["implementation"] == "metaml"
        late.iopub(info)
        status = late.client.get_iopub_msg(timeout=TIMEOUT)
        assert (status["parent_header"]["msg_id"], status["content"]) == (parent, {"execution_state": "busy"})
        order = late.client.execute("order.append(2); print(order)")
        late.reply(late.client.kernel_info())  # what it sent before has arrived
        last = k.client.execute("order.append(3)")
        late.no_reply(order)
        script.order("done")
        in_order = ((k, parent), (k, behind), (late, order), (k, last))
        counts = [who.reply(what)["content"]["execution_count"] for who, what in in_order]
        assert counts == list(range(counts[0], counts[0] + 4))
        assert any(m["content"].get("text") == "[1, 2]\n" for m in late.iopub(order))


def test_a_page_that_is_reloaded_goes_on_seeing_the_run(k: Kernel, script: Script) -> None:
    with k.another("page") as page:
        parent = begin(page)
    with k.another("reloaded") as page:
        behind = page.client.execute("print('behind')")
        script.order("display half")
        page.iopub(parent, last=shows("half"))
        page.no_reply(behind)
        script.order("done")
        assert page.iopub(parent)[-1]["content"]["execution_state"] == "idle"
        assert page.reply(behind)["content"]["status"] == "ok"


def test_reading_magics_are_answered_while_a_run_is_shown(k: Kernel, script: Script) -> None:
    parent = begin(k)
    assert k.run("%metaml runs")[0]["content"]["status"] == "ok"
    with k.another("reloaded") as page:
        attach = page.client.execute("%metaml attach")
        page.iopub(attach, last=shows("begun"))
        script.order("display half")
        page.iopub(attach, last=shows("half"))
        assert page.run("%metaml show script-1")[0]["content"]["status"] == "ok"
        page.no_reply(attach)
        script.order("done")
        assert page.reply(attach)["content"]["status"] == "ok"
        page.iopub(attach)
    assert k.reply(parent)["content"]["status"] == "ok"


def test_an_interrupt_from_a_page_that_does_not_show_the_run_lets_it_go(k: Kernel, script: Script) -> None:
    with k.another("page") as page:
        parent = begin(page)
    with k.another("reloaded") as page:
        behind = page.client.execute("print('behind')")
        notice = page.iopub(behind, last=lambda m: m["msg_type"] == "stream")[-1]["content"]["text"]
        assert "waits for script-1" in notice and "%metaml attach script-1" in notice
        k.manager.interrupt_kernel()
        script.wait("detach")
        assert page.reply(behind)["content"]["status"] == "aborted"
        [error] = [m for m in page.iopub(parent) if m["msg_type"] == "error"]
        assert error["content"]["ename"] == "Detached"
        assert not any(m["type"] == "stop" for m in script.heard())
        notice = page.text("print('next')")
        assert "script-1 goes on" in notice and "%metaml stop script-1" in notice and notice.endswith("next\n")
        assert page.text("print('again')") == "again\n"


def test_an_interrupt_is_for_the_run_alone_while_ipykernel_is_still_in_its_cell(k: Kernel, script: Script) -> None:
    slow = "def slow():\n    import time; open({!r}, 'w').close(); time.sleep(1)\n"
    reached = script.folder / "reached"
    k.run(slow.format(str(reached)) + "get_ipython().events.register('post_execute', slow)")
    reached.unlink(missing_ok=True)
    parent = begin(k)
    until(reached.exists, "the hook after the cell is running")
    k.manager.interrupt_kernel()
    script.wait("stop")
    script.order("fail Detached")
    [error] = [m for m in k.iopub(parent) if m["msg_type"] == "error"]
    assert error["content"]["ename"] == "Detached"
    assert k.reply(parent)["content"]["ename"] == "Detached"
    k.run("get_ipython().events.unregister('post_execute', slow)")


def test_memory_is_flat_while_a_table_updates(k: Kernel, script: Script) -> None:
    parent = begin(k)

    def flood(updates: int) -> int:
        script.order(f"flood {updates}")
        k.iopub(parent, last=shows("flooded"))
        return int(psutil.Process(k.pid).memory_info().rss)

    before = flood(2_000)
    after = flood(20_000)  # 80 MB, of which the collector lets some be
    assert after - before < 15e6, (before, after)
    script.order("done")
    assert k.reply(parent)["content"]["status"] == "ok"


def test_nbclient_fails_when_the_run_does(script: Script) -> None:
    script.order("fail TrialsFailed")
    cells = [nbformat.v4.new_code_cell(c) for c in (CELL.format(""), "never = 1")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(CellExecutionError, match="TrialsFailed"):
        NotebookClient(notebook, kernel_name="metaml-scripted", timeout=60).execute()
    kinds = [o["output_type"] for o in notebook.cells[0]["outputs"]]
    assert kinds == ["display_data", "display_data", "error"]


def test_run_all_of_two_sweeps(k: Kernel, script: Script) -> None:
    first, second = k.client.execute(CELL.format("")), k.client.execute(CELL.format(""))
    k.iopub(first, last=shows("begun"))
    k.no_reply(second)
    script.order("done")  # both processes read the same orders
    assert k.reply(first)["content"]["status"] == "ok"
    assert k.reply(second)["content"]["status"] == "ok"
