"""Inside a real ipykernel: what the front end sees of a cell, with a peer that plays our kernel's side by a script."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Line, Peer, well
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

ROOT = str(Path(__file__).parent.parent)
SECONDS = 60


class Kernel:
    """A running ipykernel and its client."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.manager: KernelManager | None = None

    def execute(self, code: str, **options: Any) -> list[dict[str, Any]]:
        """Run a cell; gives what was published, then the reply."""
        message = self.client.execute(code, allow_stdin=False, stop_on_error=False, **options)
        published: list[dict[str, Any]] = []
        while True:
            got = self.client.get_iopub_msg(timeout=SECONDS)
            if got["parent_header"].get("msg_id") != message:
                continue
            if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
                break
            if got["msg_type"] not in ("status", "execute_input"):
                published.append(got)
        while True:
            try:
                reply = self.client.get_shell_msg(timeout=SECONDS)
            except queue.Empty:
                raise TimeoutError(code) from None
            if reply["parent_header"].get("msg_id") == message:
                return [*published, reply]

    def value(self, expression: str) -> str:
        """The repr of an expression, without leaving a cell."""
        reply = self.execute("", user_expressions={"x": expression})[-1]
        return " ".join(reply["content"]["user_expressions"]["x"]["data"]["text/plain"].split())


def start(
    tmp_path: Path, *arguments: str, argv: list[str] | None = None, **environment: str
) -> tuple[KernelManager, BlockingKernelClient]:
    manager = KernelManager(kernel_name="python3")
    spec = manager.kernel_spec
    assert spec is not None
    spec.argv = [*(argv or spec.argv), *arguments]
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("METAML", "_METAML"))}
    manager.start_kernel(
        cwd=str(tmp_path),
        env={**outside, "IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": ROOT, **environment},
    )
    client = manager.blocking_client()
    client.start_channels()
    client.allow_stdin = False  # as nbclient; one that can be asked is a console
    client.wait_for_ready(timeout=SECONDS)
    return manager, client


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[tuple[Kernel, Peer]]:
    """ipykernel as our kernel starts it."""
    path = str(tmp_path / "s")
    displays: list[Line] = [{"type": "display", "bundle": {"text/plain": "table"}, "display_id": "t", "update": False}]

    def turn(line: Line) -> list[Line] | None:
        answer = well("f-1")(line)
        return [*displays, *answer] if line["type"] == "bound" and answer else answer

    peer = Peer(path, turn)
    manager, client = start(tmp_path, "--ext", "metaml", _METAML_SOCKET=path, _METAML_OLD_PYTHONPATH="/before")
    try:
        yield Kernel(client), peer
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        peer.close()


def test_under_our_kernel(ours: tuple[Kernel, Peer], tmp_path: Path) -> None:
    kernel, peer = ours
    # The kernel holds the cell and displays: the module shows nothing and returns.
    *published, reply = kernel.execute("%%train --seed 1\ndef f():\n    return 1", store_history=True)
    assert (published, reply["content"]["status"]) == ([], "ok")
    begin = peer.said("begin")[0]
    assert begin["cell"] == {
        "seq": 1,
        "count": 1,
        "id": "",
        "parent": reply["parent_header"]["msg_id"],
        "alone": True,
        "lines": False,
    }
    assert kernel.value("(run.name, _ is run, Out[1] is run)") == "('f-1', True, True)"
    assert peer.ended.wait(SECONDS)

    # In a loop, under another magic or beside other statements the module waits itself, and displays.
    for code in ("%%capture --no-display\n%%train\ndef f(): pass", "get_ipython().run_cell('%%train\\ndef f(): pass')"):
        *published, reply = kernel.execute(code)
        assert peer.said("begin")[-1]["cell"]["alone"] is False
    assert "table" in [message["content"].get("data", {}).get("text/plain") for message in published]

    # A second look at the run shows its table, or says why not.
    assert kernel.execute("run")[0]["msg_type"] in ("display_data", "stream")

    # The environment of what the user starts is the user's own.
    assert kernel.value("__import__('os').environ['PYTHONPATH']") == "'/before'"
    assert kernel.value("[name for name in __import__('os').environ if name.startswith('_METAML')]") == "[]"

    # An error of the body is published once.
    *published, reply = kernel.execute("%%train\n1/0")
    assert [message["msg_type"] for message in published] == ["error"]
    assert reply["content"]["ename"] == "ZeroDivisionError"

    # A restart is a new process: nothing is carried over.
    assert peer.said("request")[-1]["session"]["cells"][0]["source"].startswith("%%train --seed 1")


def test_help_does_not_run_the_cell(ours: tuple[Kernel, Peer]) -> None:
    kernel, peer = ours
    reply = kernel.execute("%%train?")[-1]
    (page,) = reply["content"]["payload"]
    assert "%%train [OPTIONS]" in page["data"]["text/plain"]
    assert peer.heard == []
