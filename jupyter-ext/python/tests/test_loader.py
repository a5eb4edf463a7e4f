"""The loader, spoken to as its supervisor does (docs/internals/protocols.md §5)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front import received

MODULE = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


class Loader:
    """A loader of one program."""

    def __init__(self, folder: Path, source: str, **load: Any) -> None:
        self.folder = folder
        (folder / "main.py").write_text(source)
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(30)
        env = {**os.environ, "PYTHONPATH": str(MODULE), "_METAML_TOKEN": "x" * 8}
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "metaml._loader"],
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)],
            setsid=True,
        )
        theirs.close()
        main = str(folder / "main.py")
        self.send(
            {"type": "load", "dir": str(folder), "main": main, "argv0": main, "entry": "train", "cwd": "", "seed": 1}
            | load
        )

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        data = json.dumps(message).encode()
        socket.send_fds(self.sock, [struct.pack("<I", len(data)) + data], fds or [])

    def start(self, trial: int) -> None:
        folder = self.folder / str(trial)
        folder.mkdir()
        files = [os.open(folder / name, os.O_CREAT | os.O_WRONLY) for name in ("stdout", "stderr", "events")]
        message = {
            "type": "start",
            "trial": trial,
            "attempt": 1,
            "token": "y" * 8,
            "folder": str(folder),
            "seed": trial,
        }
        self.send({**message, "output": str(folder / "output"), "row": {"x": trial}}, files)
        for fd in files:
            os.close(fd)

    def receive(self) -> dict[str, Any]:
        return received(self.sock)

    def until(self, kind: str) -> dict[str, Any]:
        while (message := self.receive())["type"] != kind:
            pass
        return message


@contextlib.contextmanager
def running(loader: Loader) -> Iterator[Loader]:
    yield loader
    loader.sock.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(loader.pid, signal.SIGCONT)
    assert os.waitpid(loader.pid, 0)[1] == 0


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    with running(Loader(tmp_path, "def train(x):\n    print('trial', x)\n    return x\n")) as loader:
        yield loader


def test_start_messages_that_arrive_at_once_keep_their_descriptors(loader: Loader) -> None:
    assert loader.until("ready")["fork"]
    # Asleep, it finds them all in one read when it wakes up.
    os.kill(loader.pid, signal.SIGSTOP)
    os.waitpid(loader.pid, os.WUNTRACED)
    for trial in range(5):
        loader.start(trial)
    os.kill(loader.pid, signal.SIGCONT)
    ended = {message["trial"]: message["status"] for message in (loader.until("exited") for _ in range(5))}
    assert ended == dict.fromkeys(range(5), 0)
    for trial in range(5):
        assert (loader.folder / str(trial) / "stdout").read_text() == f"trial {trial}\n"
        [result] = (loader.folder / str(trial) / "events").read_text().splitlines()
        assert json.loads(result)["metrics"] == {"value": trial}


def test_what_differs_is_told_before_a_trial_ends_and_leaves_nothing_in_those_that_follow(tmp_path: Path) -> None:
    from metaml._values import described

    expected = tmp_path / "expected.json"
    expected.write_text(json.dumps({"v": 2, **described.session(["a", "b"], {"a": 1, "b": 2})}))
    loaded = "'metaml._values.differences' in sys.modules"
    source = f"import sys\na, b = 1, 3\ndef train(x):\n    print({loaded})\n    return x\n"
    with running(Loader(tmp_path, source, expected=str(expected))) as loader:
        loader.until("ready")
        for trial in range(2):
            loader.start(trial)
            kinds: list[str] = []
            while not kinds or kinds[-1] != "exited":
                message = loader.receive()
                kinds.append(message["type"])
                if message["type"] == "differs":
                    assert [d["text"] for d in message["differs"]] == ["`b` is 3 here and 2 in the notebook"]
            assert ("differs" in kinds) == (trial == 0)
            assert (tmp_path / str(trial) / "stdout").read_text() == "False\n"


def test_what_is_loaded_is_told_once_and_after_the_first_fork(loader: Loader) -> None:
    loader.until("ready")
    for trial in range(2):
        loader.start(trial)
        if trial == 0:
            assert loader.receive()["type"] == "started"
            assert "modules" in loader.until("modules")
        kinds: list[str] = []
        while not kinds or kinds[-1] != "exited":
            kinds.append(loader.receive()["type"])
        assert "modules" not in kinds


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("a.ipynb", "  cell 7, line 2, in train"),
        ("a.py", '  File "a.py", line 2, in train'),
    ],
)
def test_tracebacks_name_the_place_that_the_user_knows(tmp_path: Path, source: str, line: str) -> None:
    from metaml._trial.failure import describe, placed

    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("def train():\n    return {}['x']\n\nimport json\n")
    lines = [{"script": 2, "cell": 3, "label": 7, "line": 2}]
    (tmp_path / "map.json").write_text(json.dumps({"source": f"/n/{source}", "lines": lines}))
    main = str(code / "main.py")
    names: dict[str, Any] = {}
    exec(compile((code / "main.py").read_text(), main, "exec"), names)
    try:
        names["train"]()
    except KeyError as error:
        trace = describe(error, main)["traceback"]
    assert line in trace.splitlines() and main not in trace
    (tmp_path / "map.json").write_text("damaged")
    assert placed(f'File "{main}", line 2', main) == f'File "{main}", line 2'
