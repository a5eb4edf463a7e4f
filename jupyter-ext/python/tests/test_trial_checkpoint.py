"""`metaml.checkpoint()`: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import metaml
from metaml._trial import report

MODULE = Path(__file__).resolve().parents[1]


class Supervisor:
    """The other end of a trial's events."""

    def __init__(self, theirs: socket.socket) -> None:
        self.theirs = theirs
        self.asked: list[str] = []

    def answer(self, **more: Any) -> None:
        """Answer the next request. A `before` is sent as it is before that."""
        if before := more.pop("before", b""):
            self.theirs.sendall(before)
        request = json.loads(self.theirs.recv(1 << 16))
        assert request["type"] == "checkpoint"
        self.asked.append(request["id"])
        self.theirs.sendall(json.dumps({"type": "kept", "id": request["id"], **more}).encode() + b"\n")

    def answers(self, *answers: dict[str, Any]) -> threading.Thread:
        def run() -> None:
            for each in answers:
                self.answer(**each)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture(params=[socket.SOCK_SEQPACKET, socket.SOCK_STREAM], ids=["packets", "a stream"])
def supervisor(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, request.param)
    monkeypatch.setattr(report, "_events", ours.fileno())
    monkeypatch.setattr(report, "_folder", str(tmp_path))
    with ours, theirs:
        yield Supervisor(theirs)


def test_it_returns_when_the_files_are_kept(supervisor: Supervisor, tmp_path: Path) -> None:
    answering = supervisor.answers({}, {})
    metaml.checkpoint()
    metaml.checkpoint()
    answering.join()
    assert len(set(supervisor.asked)) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("errno", [28, 0])
def test_why_they_are_not_kept(supervisor: Supervisor, errno: int) -> None:
    answering = supervisor.answers({"error": "the disk is full: free some space", "errno": errno})
    with pytest.raises(OSError, match=r"^the disk is full: free some space$") as raised:
        metaml.checkpoint()
    answering.join()
    assert raised.value.errno == (errno or None)


@pytest.mark.parametrize(
    "before", [b'{"type":"kept","id":"other"}\n', b'"id":"other"}\n', b"17\n", b"\n"], ids=["whole", "torn", "odd", ""]
)
def test_the_answers_to_others_are_passed_over(supervisor: Supervisor, before: bytes) -> None:
    answering = supervisor.answers({"before": before})
    metaml.checkpoint()
    answering.join()


def test_a_supervisor_that_is_gone(supervisor: Supervisor) -> None:
    supervisor.theirs.close()
    with pytest.raises(OSError, match="the process that supervises the trial has ended"):
        metaml.checkpoint()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, TimeoutError])
def test_an_exception_gives_it_up_and_lets_the_next_one_through(
    supervisor: Supervisor, raised: type[BaseException]
) -> None:
    given_up = threading.Event()

    def handle(*_: object) -> None:
        raise raised

    def interrupt() -> None:
        request = json.loads(supervisor.theirs.recv(1 << 16))
        # A signal that comes just before a read does not end it, and Python cannot know.
        while not select.select([supervisor.theirs], [], [], 0.2)[0]:
            os.kill(os.getpid(), signal.SIGINT)
        assert json.loads(supervisor.theirs.recv(1 << 16)) == {"type": "abandon", "id": request["id"]}
        given_up.set()
        supervisor.theirs.sendall(json.dumps({"type": "kept", "id": request["id"], "error": "no"}).encode() + b"\n")

    before = signal.signal(signal.SIGINT, handle)
    try:
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        with pytest.raises(raised):
            metaml.checkpoint()
        assert given_up.is_set()
        interrupting.join()
    finally:
        signal.signal(signal.SIGINT, before)
    answering = supervisor.answers({})
    metaml.checkpoint()
    answering.join()


@pytest.mark.parametrize("events", [-1, 99], ids=["outside a trial", "in a worker"])
def test_it_does_nothing(
    events: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "_events", events)
    if events >= 0:
        monkeypatch.setenv("_METAML_TRIAL", "0")
    metaml.checkpoint()
    assert capsys.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_process_that_a_trial_starts_anew_says_once_that_it_cannot() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import metaml\nfor _ in range(2): metaml.checkpoint()\nmetaml.report(x=1)"],
        env={"PYTHONPATH": str(MODULE), "_METAML_TRIAL": "0", "_METAML_SEED": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert first.startswith("metaml: checkpoint() keeps files only from a trial's own process and its forks")
    assert first.endswith("call it in the trial when they have written theirs")
    assert second.startswith("metaml: report() is kept only from")
