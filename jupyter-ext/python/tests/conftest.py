"""What the module's tests share: a real shell, and a peer that plays `metaml`'s side of a conversation by a script."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from front import Front, Shared, Worker, serving
from IPython import version_info
from IPython.core.interactiveshell import InteractiveShell
from signatures import PROGRAM
from traitlets.config import Config

from metaml import load_ipython_extension
from metaml._binary import talk
from metaml._session import magics
from metaml._values.signature import Signature, read

Line = dict[str, Any]
# One turn of the script: what to send on the line that was received. None waits for the next line.
Turn = Callable[[Line], "list[Line] | None"]

HANG_UP: Line = {"type": "hang up"}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A fresh IPython shell in a folder of its own, without MetaML."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor" if version_info >= (9,) else "NoColor"
    made = InteractiveShell.instance(config=config)
    try:
        yield made
    finally:
        magics.unload_ipython_extension(made)
        InteractiveShell.clear_instance()
        atexit.unregister(made.atexit_operations)
        made.atexit_operations()


@pytest.fixture
def loaded(shell: InteractiveShell) -> InteractiveShell:
    """The same with MetaML."""
    load_ipython_extension(shell)
    return shell


def run_cell(shell: InteractiveShell, text: str, **options: Any) -> Any:
    """Run a cell as a front end does."""
    return shell.run_cell(text, store_history=not options.get("silent"), **options)


class Peer:
    """Plays `metaml` on a socket: answers each line of the module by the script, and keeps what was said."""

    def __init__(self, path: str, turn: Turn) -> None:
        self.heard: list[Line] = []
        self.ended = threading.Event()  # the module closed its end
        self._turn = turn
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link, link.makefile("rwb") as lines:
                for text in lines:
                    line = json.loads(text)
                    self.heard.append(line)
                    answers = self._turn(line) or []
                    if HANG_UP in answers:
                        break
                    for answer in answers:
                        lines.write(json.dumps({"v": 1, **answer}).encode() + b"\n")
                    lines.flush()
            self.ended.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def said(self, kind: str) -> list[Line]:
        """The lines of one type that the module sent."""
        return [line for line in self.heard if line["type"] == kind]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Turn], Peer]]:
    """Make the peer that the module finds, as it finds our kernel."""
    peers = []

    def make(turn: Turn) -> Peer:
        path = os.path.join(tmp_path, "s")
        made = Peer(path, turn)
        peers.append(made)
        monkeypatch.setattr(talk, "kernel_socket", path)
        return made

    yield make
    for made in peers:
        made.close()


def well(
    name: str = "f-1", *needs: Line, before: Sequence[Line] = (), model: Line | None = None, **accepted: Any
) -> Turn:
    """The script of a conversation that goes well: needs are sent one after the other, those of `before` ahead of the
    options.
    """
    first = [{"type": "need", "id": 100 + i, **need} for i, need in enumerate(before)]
    left = [{"type": "need", "id": i, **need} for i, need in enumerate(needs)]
    options = {"type": "options", "settings": {}, "function": "", "into": accepted.get("into", ""), "model": model}

    def turn(line: Line) -> list[Line] | None:
        kind = line["type"]
        if kind == "begin" or (kind == "have" and line["id"] >= 100):
            return [first.pop(0) if first else options]
        if kind in ("request", "have"):
            return [left.pop(0)] if left else [{"type": "accepted", "run": name, "key": "k", **accepted}]
        if kind == "bound":
            return [{"type": "submitted", "run": name}, {"type": "done", "state": "succeeded", "error": None}]
        return None

    return turn


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes functions in a program of their own, which is ``__main__``."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))

    def make(source: str, *, batch: int = 0, before: str = PROGRAM, path: str = "") -> Signature:
        namespace = sys.modules["__main__"].__dict__
        exec(compile(before, "main.py", "exec"), namespace)
        exec(compile(source, "main.py", "exec", dont_inherit=True), namespace)
        return read(namespace["serve"], "serve", batch=batch, path=path)

    return make


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Gives a front of a worker for a source, the same for the same source."""
    with contextlib.ExitStack() as stack:
        made: dict[str, tuple[Front, Worker]] = {}

        def make(source: str) -> tuple[Front, Worker]:
            if source not in made:
                made[source] = stack.enter_context(serving(tmp_path_factory.mktemp("shared"), source))
            return made[source]

        yield make


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the command with one more target, for tests: the runs of "kubernetes" are in a place called "lab". The
    other programs are beside it.
    """
    folder = tmp_path_factory.mktemp("bin")
    path = str(folder / "metaml")
    subprocess.run(["go", "test", "-c", "-o", path, "./cmd/metaml"], cwd=Path(__file__).parents[3], check=True)
    for name in ("metaml-kernel", "metaml-agent"):
        shutil.copy(str(shutil.which(name)), folder)
    return path
