"""What the conformance tests share: a kernel started through its kernelspec, and a reader of its channels.

The Go test beside this file builds the kernel, writes the kernelspecs ``metaml`` (with the real metaml beside it) and
``metaml-scripted`` (with metaml_script.py beside it), and runs pytest.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

TIMEOUT = 30
Message = dict[str, Any]


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, name: str, **env: str) -> None:
        self.replies: dict[str, Message] = {}
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(env={**os.environ, **env})
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.allow_stdin = False  # as nbclient; a test of input() sets it
        self.client.wait_for_ready(timeout=TIMEOUT)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Our process, as the front end started it."""
        assert isinstance(self.manager.provisioner, LocalProvisioner) and self.manager.provisioner.process is not None
        return self.manager.provisioner.process

    @property
    def pid(self) -> int:
        return self.process.pid

    def child(self) -> psutil.Process:
        """The wrapped ipykernel."""
        return next(p for p in psutil.Process(self.pid).children() if "ipykernel_launcher" in p.cmdline())

    def iopub(self, parent: str, last: Callable[[Message], bool] | None = None) -> list[Message]:
        """The iopub messages of a request, up to its idle or the one that ``last`` wants."""
        got: list[Message] = []
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") != parent:
                continue
            got.append(message)
            idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            if last(message) if last else idle:
                return got

    def reply(self, parent: str, channel: str = "shell", timeout: float = TIMEOUT) -> Message:
        """The reply to a request; replies to others are kept for who reads them."""
        get = self.client.get_shell_msg if channel == "shell" else self.client.get_control_msg
        end = time.monotonic() + timeout
        while parent not in self.replies:
            message = get(timeout=max(0, end - time.monotonic()))
            self.replies[message["parent_header"].get("msg_id")] = message
        return self.replies.pop(parent)

    def no_reply(self, parent: str, seconds: float = 0.3) -> None:
        with pytest.raises(Empty):
            self.reply(parent, timeout=seconds)

    def run(self, code: str, **kw: Any) -> tuple[Message, list[Message]]:
        """Execute and wait for reply and idle."""
        parent = self.client.execute(code, **kw)
        return self.reply(parent), self.iopub(parent)

    def text(self, code: str) -> str:
        """What a cell prints, or its error."""
        _, messages = self.run(code)
        return "".join(
            m["content"]["text"] if m["msg_type"] == "stream" else m["content"]["evalue"]
            for m in messages
            if m["msg_type"] in ("stream", "error")
        )

    def control(self, kind: str, content: Message | None = None) -> Message:
        message = self.client.session.msg(kind, content or {})
        self.client.control_channel.send(message)
        return self.reply(message["header"]["msg_id"], "control")

    @contextlib.contextmanager
    def another(self, session: str) -> Iterator[Kernel]:
        """Another front end of this kernel, with a session, and so an identity, of its own."""
        other = Kernel.__new__(Kernel)
        other.replies, other.manager, other.client = {}, self.manager, self.manager.client()
        other.client.session.session = session
        other.client.start_channels()
        other.client.allow_stdin = False
        try:
            assert other.client.get_iopub_msg(timeout=TIMEOUT)["msg_type"] == "iopub_welcome"
            yield other
        finally:
            other.client.stop_channels()

    def end(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def runtime_folders() -> set[Path]:
    """The private folders of all kernels that run or were left behind."""
    base = Path(os.environ["XDG_RUNTIME_DIR"])
    return set(base.glob("metaml-k-*"))


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    k = Kernel("metaml")
    yield k
    k.end()


@pytest.fixture
def fresh() -> Iterator[Kernel]:
    k = Kernel("metaml")
    yield k
    k.end()
