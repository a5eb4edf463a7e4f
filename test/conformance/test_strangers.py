"""Strangers: what others on the machine can do who connect over TCP and do not have the key."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import pytest
import zmq
from conftest import TIMEOUT, Kernel
from surroundings import until

MIB = 1 << 20
# What the kernel may grow by, whatever strangers do.
GROWTH = 64 * 10**6

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
LONG, MORE = 2, 1
CHANNELS = ("shell", "control", "stdin", "iopub", "hb")
KINDS = {"shell": b"DEALER", "control": b"DEALER", "stdin": b"DEALER", "iopub": b"SUB", "hb": b"REQ"}


def address(kernel: Kernel, channel: str) -> tuple[str, int]:
    info: dict[str, Any] = dict(kernel.client.get_connection_info())
    return info["ip"], info[f"{channel}_port"]


def connect(one: zmq.Socket[bytes], kernel: Kernel, channel: str) -> None:
    one.connect("tcp://{}:{}".format(*address(kernel, channel)))


class Stranger:
    """A peer that speaks ZMTP and nothing of Jupyter. It does not mind being cut off."""

    def __init__(self, kernel: Kernel, channel: str, identity: bytes = b"", *, silent: bool = False) -> None:
        self.socket = socket.create_connection(address(kernel, channel), timeout=TIMEOUT)
        if silent:
            return
        properties = _property(b"Socket-Type", KINDS[channel]) + _property(b"Identity", identity)
        body = b"\x05READY" + properties
        with contextlib.suppress(OSError):
            self.socket.sendall(GREETING + bytes([4, len(body)]) + body)
            self._read(64)
            self._read(self._read(2)[1])

    def _read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            part = self.socket.recv(size - len(got))
            if not part:
                raise OSError("cut off")
            got += part
        return got

    def send(self, data: bytes, timeout: float = TIMEOUT) -> None:
        self.socket.settimeout(timeout)
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def begin(self, size: int, sent: int) -> None:
        """The beginning of a frame."""
        self.send(bytes([LONG]) + size.to_bytes(8, "big") + bytes(sent))


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


Strangers = Callable[..., Stranger]


@pytest.fixture
def stranger(fresh: Kernel) -> Iterator[Strangers]:
    with contextlib.ExitStack() as stack:

        def make(*words: object, **options: object) -> Stranger:
            one = Stranger(fresh, *words, **options)  # type: ignore[arg-type]
            stack.callback(one.socket.close)
            return one

        yield make


def idle(stranger: Strangers) -> None:
    for channel in CHANNELS:
        for _ in range(1100):
            stranger(channel)


def silent(stranger: Strangers) -> None:
    for channel in CHANNELS:
        for _ in range(300):
            stranger(channel, silent=True)


def unfinished(stranger: Strangers) -> None:
    for i in range(8):
        stranger(CHANNELS[i % 3]).begin(150 * MIB, 50 * MIB)
    for i in range(40):
        stranger(CHANNELS[i % 3]).begin(20 * MIB, 10 * MIB)


def small_ones(stranger: Strangers) -> None:
    for i in range(300):
        stranger(CHANNELS[i % 3]).begin(MIB, MIB - 1)


def whole(stranger: Strangers) -> None:
    for size in (64 * MIB, 20 * MIB, 5 * MIB):
        for _ in range(5):
            stranger("shell").begin(size, size)


def frames(stranger: Strangers) -> None:
    for i in range(100):
        stranger(CHANNELS[i % 3]).send(bytes([MORE, 0]) * 4000)


def heartbeats(stranger: Strangers) -> None:
    for _ in range(20):
        one = stranger("hb")
        one.send(bytes([MORE, 0, LONG]) + (4000).to_bytes(8, "big") + bytes(4000))
        one.send((bytes([MORE, 0, LONG]) + (4000).to_bytes(8, "big") + bytes(4000)) * 3000, timeout=0.2)
        stranger("hb").begin(100 * MIB, 10 * MIB)


def subscriptions(stranger: Strangers) -> None:
    for _ in range(20):
        one = stranger("iopub")
        one.send(b"".join(bytes([0, 251, 1]) + f"{i:0250d}".encode() for i in range(5000)), timeout=0.2)
        stranger("iopub").begin(100 * MIB, 10 * MIB)


def peak(kernel: Kernel) -> int:
    """The most memory that our process ever had, in bytes."""
    line = next(s for s in Path(f"/proc/{kernel.pid}/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="the most memory is read from /proc")
@pytest.mark.parametrize("attack", [idle, silent, unfinished, small_ones, whole, frames, heartbeats, subscriptions])
def test_strangers_keep_nobody_out_and_take_little_memory(
    fresh: Kernel, stranger: Strangers, attack: Callable[[Strangers], None]
) -> None:
    assert fresh.text("print('before')") == "before\n"
    before = peak(fresh)
    attack(stranger)
    assert fresh.text("print('the front end that was there')") == "the front end that was there\n"
    other = fresh.manager.client()
    other.session.session = "new"
    other.start_channels()
    try:
        other.wait_for_ready(timeout=TIMEOUT)
        assert other.is_alive()
        parent = other.execute("print(input())", allow_stdin=True)
        other.get_stdin_msg(timeout=TIMEOUT)
        other.input("what was requested")
        reply = other.get_shell_msg(timeout=TIMEOUT)
        assert reply["parent_header"]["msg_id"] == parent and reply["content"]["status"] == "ok"
    finally:
        other.stop_channels()
    assert peak(fresh) - before < GROWTH, f"{(peak(fresh) - before) / 1e6:.0f} MB"


def test_memory_is_given_back_when_strangers_have_left(fresh: Kernel) -> None:
    assert fresh.text("print('before')") == "before\n"
    process = psutil.Process(fresh.pid)
    before = process.memory_info().rss
    strangers = [Stranger(fresh, "shell") for _ in range(20)]
    for one in strangers:
        one.begin(20 * MIB, 10 * MIB)
    for one in strangers:
        one.socket.close()
    until(lambda: process.memory_info().rss - before < 10 * MIB, "the memory is given back")


def test_a_stranger_with_the_published_session_gets_no_reply(fresh: Kernel) -> None:
    identity = fresh.client.session.bsession
    parent = fresh.client.execute("import time; time.sleep(1)")
    fresh.iopub(parent, last=lambda m: m["msg_type"] == "execute_input")
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        taken = []
        for channel in ("shell", "control", "stdin"):
            one = stack.enter_context(context.socket(zmq.DEALER))
            one.linger, one.identity = 0, identity
            connect(one, fresh, channel)
            one.send_multipart([b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"])
            taken.append(one)
        assert fresh.reply(parent)["content"]["status"] == "ok"
        parent = fresh.client.execute("input('name? ')", allow_stdin=True)
        assert fresh.client.get_stdin_msg(timeout=TIMEOUT)["content"]["prompt"] == "name? "
        fresh.client.input("me")
        assert fresh.reply(parent)["content"]["status"] == "ok"
        assert not any(one.poll(100) for one in taken)


def test_what_the_kernel_published_is_no_signature(fresh: Kernel) -> None:
    """A stranger hears the outputs, which are signed with the key. Sent back, they must open nothing."""
    identity = fresh.client.session.bsession
    with zmq.Context() as context, context.socket(zmq.SUB) as heard, context.socket(zmq.DEALER) as one:
        heard.linger = one.linger = 0
        heard.subscribe(b"")
        connect(heard, fresh, "iopub")
        assert heard.poll(TIMEOUT * 1000)  # the welcome
        messages = [heard.recv_multipart()]
        parent = fresh.client.execute("import time; time.sleep(1)")
        fresh.iopub(parent, last=lambda m: m["msg_type"] == "execute_input")
        while heard.poll(200):
            messages.append(heard.recv_multipart())
        assert len(messages) > 2
        one.identity = identity
        connect(one, fresh, "shell")
        for frames in messages:
            one.send_multipart(frames[frames.index(b"<IDS|MSG>") :])
        assert fresh.reply(parent)["content"]["status"] == "ok"
        assert not one.poll(200)


def test_a_front_end_that_comes_back_gets_its_replies(fresh: Kernel) -> None:
    parent = fresh.client.execute("import time; time.sleep(1); 42")
    fresh.iopub(parent, last=lambda m: m["msg_type"] == "execute_input")
    channel = fresh.client.shell_channel.socket
    channel.disconnect("tcp://{}:{}".format(*address(fresh, "shell")))
    connect(channel, fresh, "shell")
    with pytest.raises(Empty):
        fresh.reply(parent, timeout=2)  # who it is must be known first
    request = fresh.client.kernel_info()
    assert fresh.reply(parent)["content"]["status"] == "ok"
    assert fresh.reply(request)["content"]["implementation"] == "metaml"
