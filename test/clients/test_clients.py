"""What a sweep leaves in the outputs of front ends that do not replace a display: lines, then one table
(docs/internals/kernel.md).

Each test drives the real client. nbclient, papermill and nbconvert, which replace it, are in
test/conformance/test_sweep.py, and JupyterLab is in test/browser. qtconsole sends what `jupyter console` sends; with
its Qt it is 250 MB, and it is not here.
"""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Server
from surroundings import until

CELL = "%%train --completions 3\ndef f():\n    import time; time.sleep(0.5)\n    return {'accuracy': 0.75}"


def text(output: dict[str, Any]) -> str:
    """What an output shows as plain text."""
    shown = output.get("text") or output.get("data", {}).get("text/plain", "")
    return shown if isinstance(shown, str) else "".join(shown)


def one_table(outputs: list[dict[str, Any]]) -> None:
    """Lines of progress, what runs, and one table that is finished."""
    kinds = [output["output_type"] for output in outputs]
    lines = [output for output in outputs if output["output_type"] == "stream"]
    assert kinds == ["stream"] * len(lines) + ["display_data"] * 2, [text(output) for output in outputs]
    said = "".join(map(text, lines))
    assert "ran from" in said and "0 of 3 trials" in said
    assert "ran from" in "".join(outputs[-2]["data"]["text/html"])
    assert "3 trials   succeeded" in text(outputs[-1])


@pytest.mark.parametrize("server", ["jupyter_server_nbmodel"], indirect=True)
def test_jupyter_server_nbmodel(server: Server) -> None:
    _, kernel, _ = server.ask("POST", "/api/kernels", {"name": "metaml"})
    _, _, place = server.ask("POST", f"/api/kernels/{kernel['id']}/execute", {"code": CELL, "metadata": {}})

    def answered() -> Any:
        status, result, _ = server.ask("GET", place)
        return result if status == 200 else None

    result = until(answered, "the cell has been executed")
    assert result["status"] == "ok"
    one_table(json.loads(result["outputs"]))
    server.ask("DELETE", f"/api/kernels/{kernel['id']}")


@pytest.mark.parametrize("server", ["jupyter_server_documents"], indirect=True)
def test_jupyter_server_documents(server: Server) -> None:
    # How it knows that the text is the one that was seen; no client has a better way to ask.
    digest = importlib.import_module("jupyter_server_documents.rooms.ynotebook_room")._source_hash
    path = server.folder / "sweep.ipynb"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a1",
        "source": CELL,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    kernelspec = {"name": "metaml", "display_name": "MetaML", "language": "python"}
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernelspec}, "cells": [cell]})
    )
    _, file, _ = server.ask("POST", f"/api/fileid/index?path={path.name}")
    request = {"path": path.name, "name": path.name, "type": "notebook", "kernel": {"name": "metaml"}}
    _, session, _ = server.ask("POST", "/api/sessions", request)
    room = f"json:notebook:{file['id']}"
    cells = [{"cell_id": "a1", "source_hash": digest(CELL)}]
    server.ask("POST", f"/api/kernels/{session['kernel']['id']}/execute", {"document_id": room, "cells": cells})

    def saved() -> Any:
        try:
            [cell] = json.loads(path.read_text())["cells"]
        except ValueError:  # it is being written
            return None
        return cell["outputs"] if cell["execution_count"] else None

    one_table(until(saved, "the executed notebook is saved"))
    server.ask("DELETE", f"/api/sessions/{session['id']}")


JUPYVERSE = """
import json, sys
import anyio
from fps_kernel_subprocess.kernel_subprocess import KernelSubprocess
from fps_kernels.kernel_driver.driver import KernelDriver
from jupyverse_kernel import DefaultKernelFactory
from pycrdt import Array, Doc, Map, Text

async def main():
    document = Doc()
    document["cells"] = cells = Array()
    cells.append(Map({"cell_type": "code", "source": Text(sys.argv[2]), "outputs": Array(), "execution_state": "idle"}))
    driver = KernelDriver(DefaultKernelFactory(KernelSubprocess), kernelspec_path=sys.argv[1])
    async with anyio.create_task_group() as group:
        await group.start(driver.start)
        await driver.execute(cells[0])
        print(json.dumps(cells[0]["outputs"].to_py()))
        await driver.stop()

anyio.run(main)
"""


def test_jupyverse(environment: dict[str, str], tmp_path: Path) -> None:
    # The part of it that executes cells on the server.
    kernelspec = Path(environment["JUPYTER_PATH"]) / "kernels" / "metaml" / "kernel.json"
    done = subprocess.run(
        [sys.executable, "-c", JUPYVERSE, kernelspec, CELL],
        env={**environment, "TMPDIR": str(tmp_path)},  # it leaves its connection file there
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one_table(json.loads(done.stdout.splitlines()[-1]))


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv: list[Path | str], environment: dict[str, str], folder: Path) -> None:
        self.ours, theirs = pty.openpty()
        # Whether it may ask where the cursor stands: nobody answers here.
        environment = {**environment, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(argv, env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.said = ""

    def wait_for(self, pattern: str) -> str:
        """All that it said, once it said that."""

        def read() -> bool:
            while select.select([self.ours], [], [], 0)[0]:
                self.said += ESCAPES.sub("", os.read(self.ours, 1 << 16).decode(errors="replace"))
            return re.search(pattern, self.said) is not None

        until(read, lambda: f"{pattern!r} in {self.said}")
        return self.said

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())


ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])")


def test_jupyter_console(environment: dict[str, str], tmp_path: Path) -> None:
    console = Path(sys.executable).with_name("jupyter-console")
    terminal = Terminal([console, "--kernel", "metaml"], environment, tmp_path)
    try:
        terminal.wait_for(r"In \[1\]")
        terminal.type(f"\x1b[200~{CELL}\x1b[201~")  # pasted
        terminal.wait_for(r"0\.75\}")
        terminal.type("\x1b\r")  # Escape and Enter execute it
        terminal.wait_for(r"In \[2\]")
        terminal.type("'ne' + 'xt'\r")
        said = terminal.wait_for(r"next")
        assert said.count("3 trials   succeeded") == 1
        assert said.index("0 of 3 trials") < said.index("3 trials   succeeded")
        terminal.type("exit\r")
        terminal.process.wait(PATIENCE)
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.ours)
