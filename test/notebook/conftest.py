"""A real kernel of ours in a home folder of its own, and a way to execute cells in it and see what people see."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager
from surroundings import BIN, environment, install_kernel, until

TIMEOUT = 60
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Shown:
    """What one cell showed."""

    text: str = ""
    results: list[str] = field(default_factory=list)
    displays: dict[str, dict[str, str]] = field(default_factory=dict)  # the latest bundle of each display
    updates: int = 0
    error: str = ""  # "ename: evalue"
    traceback: str = ""
    status: str = ""
    count: int = 0

    @property
    def plain(self) -> str:
        """All that is shown, as text."""
        bundles = [b.get("text/plain", "") for b in self.displays.values()]
        return "\n".join([self.text, *bundles, *self.results, self.traceback])


class Notebook:
    """A kernel, started through its kernelspec in a folder."""

    def __init__(self, folder: Path, home: Path, kernel: str, **env: str) -> None:
        self.folder = folder
        self.home = home
        self.env = {**environment(home), **env}
        self.manager = KernelManager(kernel_name=kernel)
        self.manager.kernel_spec_manager.kernel_dirs = [str(home / "prefix" / "share" / "jupyter" / "kernels")]
        self.manager.start_kernel(env=self.env, cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.allow_stdin = False  # as nbclient
        self.client.wait_for_ready(timeout=TIMEOUT)

    @property
    def pid(self) -> int:
        """Process id of our kernel."""
        return int(getattr(self.manager.provisioner, "pid", 0))

    def run(self, code: str, when: Any = None, stop_on_error: bool = True) -> Shown:
        """Execute a cell and wait for its reply and idle. `when(shown)` is called after each message."""
        parent = self.client.execute(code, stop_on_error=stop_on_error)
        shown = Shown()
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") != parent:
                continue
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                shown.text += content["text"]
            elif kind in ("display_data", "update_display_data"):
                identity = content.get("transient", {}).get("display_id") or str(len(shown.displays))
                shown.displays[identity] = content["data"]
                shown.updates += kind == "update_display_data"
            elif kind == "execute_result":
                shown.results.append(content["data"]["text/plain"])
            elif kind == "error":
                shown.error = f"{content['ename']}: {content['evalue']}"
                shown.traceback = COLOURS.sub("", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                break
            if when is not None:
                when(shown)
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == parent:
                shown.status = reply["content"]["status"]
                shown.count = reply["content"].get("execution_count", 0)
                return shown

    def metaml(self, *arguments: str) -> str:
        """What the command line says, on both streams."""
        done = subprocess.run(
            [BIN / "metaml", *arguments],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def close_kernel(self) -> None:
        """Kill the kernel, and nothing that it started for a run; what it had started for itself ends by itself."""
        assert self.pid, "there is no kernel to kill"  # the group of 0 is our own
        own = psutil.Process(self.pid).children(recursive=True)
        os.killpg(os.getpgid(self.pid), signal.SIGKILL)
        self.client.stop_channels()
        _, alive = psutil.wait_procs(own, timeout=TIMEOUT)
        assert not alive, f"{alive} outlive the kernel"

    def close(self) -> None:
        """End kernel and runs."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        runs = self.home / "data" / "metaml" / "runs"
        for run in sorted(runs.glob("[!.]*")) if runs.is_dir() else []:
            self.metaml("stop", "--now", run.name)
            self.metaml("attach", run.name)
            until(functools.partial(ended, self, run.name), f"{run.name} has ended")


def show(notebook: Notebook, name: str) -> dict[str, Any]:
    """What `metaml show --json` says of a run; {} if there is none."""
    said = notebook.metaml("show", name, "--json")
    return dict(json.loads(said)) if said.startswith("{") else {}


def ended(notebook: Notebook, name: str) -> bool:
    """Whether nothing of a run goes on."""
    return show(notebook, name).get("state") in ("stopped", "failed", "succeeded")


def monitor_of(notebook: Notebook, name: str) -> psutil.Process:
    """The process that owns a run."""
    return psutil.Process(
        json.loads((notebook.home / "data" / "metaml" / "runs" / name / "monitor.json").read_text())["pid"]
    )


def module_folder() -> str:
    """The folder of the Python module, for a kernel that is not ours."""
    return str(BIN.parent / "jupyter-ext" / "python")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the kernelspec of bin/metaml-kernel."""
    home = tmp_path_factory.mktemp("home")
    install_kernel(home)
    return home


@pytest.fixture(scope="module")
def notebook(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One kernel for the tests of a file, in a folder of its own."""
    opened = Notebook(tmp_path_factory.mktemp("notebook"), home, "metaml")
    yield opened
    opened.close()
