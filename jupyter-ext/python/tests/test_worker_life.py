"""How a worker starts, serves one front after another, and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import struct
import sys
from pathlib import Path

import pytest
from front import CALL, ITEM, Loader, array_item, doubles, frame, json_item, refusal, serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks are for Linux")


@pytest.mark.parametrize(
    ("source", "batch", "expected"),
    [
        ("def serve():\n    pass\n", 0, "serve has no parameters, and a request has to go somewhere"),
        (
            "class P: pass\ndef serve(a: P):\n    pass\n",
            0,
            "parameter a of serve is annotated as P, which cannot be made from JSON",
        ),
        (
            "def serve(a, b):\n    pass\n",
            4,
            "serve has 2 parameters, and with --batch a function gets one list of inputs",
        ),
        ("1 / 0\ndef serve(a):\n    pass\n", 0, "division by zero"),
    ],
)
def test_what_cannot_be_served_is_a_failed_load(tmp_path: Path, source: str, batch: int, expected: str) -> None:
    assert refusal(tmp_path, source, batch=batch).startswith(expected)


def test_the_next_front_is_served_after_a_hang_up_or_garbage(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(x):\n    return x\n") as (front, worker):
        assert stat.S_IMODE(os.stat(worker.path).st_mode) == 0o600
        good = frame(CALL, 1, json_item("1"), 1)
        for sent in [
            b"",
            good[:7],
            good[:20],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            frame(9, 1),
            frame(CALL, 1, b"1234567"),
            struct.pack("<IBBHQ", 0xFFFFFFF8, CALL, 0, 1, 1),
            frame(CALL, 1, b"", 1),
            frame(CALL, 1, ITEM.pack(0, 0, 0, 99) + bytes(8), 1),
            frame(CALL, 1, ITEM.pack(7, 0, 0, 0), 1),
            frame(CALL, 1, ITEM.pack(3, 1, 0, 8) + bytes(16), 1),
            frame(CALL, 1, ITEM.pack(0, 255, 0, 0), 1),
            frame(CALL, 1, ITEM.pack(2, 0, 0, 3) + b"[1]\0\0\0\0\0", 1),
            frame(CALL, 1, json_item("1"), 1, 1),
        ]:
            front.sock.sendall(sent)
            front.sock.shutdown(socket.SHUT_WR)
            with pytest.raises(EOFError):
                front.frame()
            front.close()
            front = worker.front()
            assert front.post(3).body == 3


@pytest.mark.parametrize("way", ["def", "async def"])
def test_random_bytes_never_end_a_worker(tmp_path: Path, way: str) -> None:
    pytest.importorskip("numpy")
    import random

    dice = random.Random(5)
    with serving(tmp_path, f"import numpy as np\n{way} serve(x: np.ndarray):\n    return x\n") as (front, worker):
        good = frame(CALL, 1, array_item((2,), doubles(1, 2)) + json_item("[1]"), 2)
        for _ in range(300):
            data = bytearray(good)
            for _ in range(dice.randint(1, 3)):
                data[dice.randrange(len(data))] = dice.choice([0, 1, 3, 255, dice.randrange(256)])
            with contextlib.suppress(OSError):
                front.sock.sendall(bytes(data))
                front.sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(EOFError, OSError):
                while True:
                    front.frame()
            front.close()
            front = worker.front()
        assert front.post([1]).status == 200


@pytest.mark.parametrize("way", ["def", "async def"])
def test_sigterm_lets_a_worker_finish_its_call(tmp_path: Path, way: str) -> None:
    source = f"""
import asyncio, atexit, os, signal
{way} serve(x):
    if x == "first":
        atexit.register(print, "exit handler")
        return os.getpid()
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    {"await asyncio.sleep(0.05)" if way != "def" else "pass"}
    return "finished"
"""
    loader = Loader(tmp_path, source)
    try:
        loader.until("ready")
        worker = loader.start()
        worker.until("ready")
        front = worker.front()
        pid = front.post("first").body
        [number] = front.send(json_item("1"))
        assert front.reply()[number].body == "finished"
        with pytest.raises(EOFError):
            front.frame()
        worker.ended()
        ended = loader.until("exited")
        assert (ended["pid"], ended["status"]) == (pid, 0)
        assert (worker.folder / "stdout").read_text() == "exit handler\n"
        # Idle, with and without a front.
        for attempt in (2, 3):
            worker = loader.start(attempt=attempt)
            worker.until("ready")
            if attempt == 3:
                front = worker.front()
                os.kill(front.hello["pid"], signal.SIGTERM)
            else:
                os.kill(loader.until("started")["pid"], signal.SIGTERM)
            assert loader.until("exited")["status"] == 0
    finally:
        loader.close()


def test_a_worker_that_is_killed_leaves_a_path_that_the_next_one_takes(tmp_path: Path) -> None:
    loader = Loader(tmp_path, "import os\ndef serve(x):\n    os._exit(7) if x else None\n")
    try:
        loader.until("ready")
        worker = loader.start()
        worker.until("ready")
        front = worker.front()
        front.send(json_item("1"))
        with pytest.raises(EOFError):
            front.frame()
        assert os.waitstatus_to_exitcode(loader.until("exited")["status"]) == 7
        worker = loader.start(attempt=2)
        worker.until("ready")
        assert worker.front().post(0).body is None
    finally:
        loader.close()


def test_workers_draw_other_random_numbers(tmp_path: Path) -> None:
    source = "import random\ndef serve(x):\n    return random.random()\n"
    loader = Loader(tmp_path, source)
    try:
        loader.until("ready")
        found = set()
        for number, attempt in [(0, 1), (1, 1), (1, 2)]:
            worker = loader.start(number, attempt)
            worker.until("ready")
            found.add(worker.front().post(0).body)
        assert len(found) == 3
    finally:
        loader.close()


THREADED = "import threading, time\nt = threading.Thread(target=time.sleep, args=(1000,), daemon=True)\nt.start()\n"


def test_a_program_that_cannot_be_forked_is_served_by_the_loader_itself(tmp_path: Path) -> None:
    loader = Loader(tmp_path, THREADED + "def serve(x):\n    return t.is_alive()\n")
    try:
        ready = loader.until("ready")
        assert not ready["fork"] and "thread" in ready["causes"][0]["text"]
        worker = loader.start(become=True)
        worker.until("ready")
        front = worker.front()
        assert front.post(0).body is True and front.hello["pid"] == loader.pid
        os.kill(loader.pid, signal.SIGTERM)
        worker.ended()
        assert loader.wait() == 0
    finally:
        loader.close()


@pytest.mark.parametrize("source", ["def serve(x: int):\n    return x\n", "def serve():\n    return 0\n"])
def test_a_fresh_process_serves_or_refuses(tmp_path: Path, source: str) -> None:
    loader = Loader(tmp_path, source, module="_loader.attempt")
    try:
        worker = loader.start()
        if "x" in source:
            worker.until("ready")
            assert worker.front().post(3).body == 3
            os.kill(loader.pid, signal.SIGTERM)
            worker.ended()
        else:
            error = worker.until("error")
            assert error["program"] and error["error"]["type"] == "Refused" and error["error"]["origin"] == "metaml"
            assert (
                error["error"]["text"].startswith("serve has no parameters")
                and error["error"]["frames"][0]["line"] == 1
            )
    finally:
        loader.close()


def test_what_is_printed_is_in_the_workers_files_line_by_line(tmp_path: Path) -> None:
    with serving(tmp_path, "def serve(x):\n    print('got', x)\n") as (front, worker):
        front.post(1)
        assert (worker.folder / "stdout").read_text() == "got 1\n"


def test_short_calls_of_a_frame_are_answered_together_and_long_ones_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    source = (
        f"import time\ndef serve(x):\n    if x:\n        open({str(tmp_path / 'gate')!r}).close()\n        "
        "time.sleep(0.001)\n    return x\n"
    )
    with serving(tmp_path, source) as (front, _):
        left, replies = set(front.send(*[json_item("0")] * 2000)), 0
        while left:
            left -= set(front.reply())
            replies += 1
        assert replies < 1000
        for number in front.send(*[json_item("1")] * 3):
            with open(tmp_path / "gate", "w"):
                pass
            assert list(front.reply()) == [number]
