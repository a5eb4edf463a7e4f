"""A small front for the tests.

It starts a worker as the agent does (docs/internals/protocols.md §5) and speaks the wire with it (§7)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MODULE = Path(__file__).resolve().parents[1]

FRAME, ITEM, ANSWER = struct.Struct("<IBBHQ"), struct.Struct("<BBHI"), struct.Struct("<HBBI")
HELLO, CALL, REPLY, MORE, QUIT = 1, 2, 3, 4, 5


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


class Answer(NamedTuple):
    """An item of a reply. An array is (dtype, shape, data)."""

    status: int
    kind: int
    body: Any


def json_item(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return ITEM.pack(0, 0, 0, len(data)) + padded(data)


def bytes_item(content_type: str, data: bytes) -> bytes:
    data = content_type.encode() + b"\0" + data
    return ITEM.pack(1, 0, 0, len(data)) + padded(data)


def fields_item(fields: dict[str, Any]) -> bytes:
    data = json.dumps(fields).encode()
    return ITEM.pack(2, 0, 0, len(data)) + padded(data)


def array_head(shape: tuple[int, ...], length: int) -> bytes:
    return ITEM.pack(3, len(shape), 0, length) + padded(struct.pack(f"<{len(shape)}I", *shape))


def array_item(shape: tuple[int, ...], data: bytes) -> bytes:
    return array_head(shape, len(data)) + padded(data)


def head_of(body: bytes) -> tuple[bytes, Any]:
    """What is before the head of an item that has one, and the head."""
    (size,) = struct.unpack_from("<I", body, len(body) - 4)
    return body[: -4 - size], json.loads(body[-4 - size : -4])


def frame(kind: int, number: int, body: bytes = b"", count: int = 0, flags: int = 0) -> bytes:
    return FRAME.pack(len(body), kind, flags, count, number) + body


class Front:
    """A connection to a worker, as the front has it."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)
        kind, _, _, _, body = self.frame()
        assert kind == HELLO
        self.hello: dict[str, Any] = json.loads(body)
        self.number = 0
        self.failure: dict[str, Any] = {}  # why the last call that failed did, as the monitor has it

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.sock.recv(min(size - len(data), 1 << 20))
            if not more:
                raise EOFError("the worker hung up")
            data += more
        return bytes(data)

    def frame(self) -> tuple[int, int, int, int, bytes]:
        size, kind, flags, count, number = FRAME.unpack(self._exactly(16))
        assert size % 8 == 0
        return kind, flags, count, number, self._exactly(size)

    def send(self, *items: bytes, flags: int = 0, count: int = 0) -> list[int]:
        """One call; gives the ids of its items."""
        count = count or len(items)
        first, self.number = self.number, self.number + count
        self.sock.sendall(frame(CALL, first, b"".join(items), count, flags))
        return list(range(first, first + count))

    def reply(self) -> dict[int, Answer]:
        """The next reply, by id."""
        kind, flags, count, number, body = self.frame()
        assert kind == REPLY
        found, at = {}, 0
        if flags & 1:
            status, item_kind, ndim, length = ANSWER.unpack_from(body)
            shape = struct.unpack_from(f"<{ndim}I", body, 8)
            at = 8 + len(padded(bytes(4 * ndim)))
            dtype = body[at : at + 8].rstrip(b"\0").decode()
            for i in range(count):
                start = at + 8 + i * length
                found[number + i] = Answer(status, item_kind, (dtype, shape, body[start : start + length]))
            return found
        for i in range(count):
            status, item_kind, ndim, length = ANSWER.unpack_from(body, at)
            at += 8
            answer: Any
            if item_kind == 3:
                shape = struct.unpack_from(f"<{ndim}I", body, at)
                at += len(padded(bytes(4 * ndim)))
                dtype = body[at : at + 8].rstrip(b"\0").decode()
                at += 8
                answer = (dtype, shape, body[at : at + length])
            else:
                data = body[at : at + length]
                if item_kind == 4 | 0x80 and "failure" in (head := head_of(data)[1]):
                    item_kind, data, self.failure = 4, head_of(data)[0], head["failure"]
                answer = json.loads(data) if item_kind in (0, 4) else data.decode() if item_kind == 2 else data
            found[number + i] = Answer(status, item_kind, answer)
            at += length + -length % 8
        assert at == len(body)
        return found

    def call(self, *items: bytes, flags: int = 0, count: int = 0) -> list[Answer]:
        """The answers of one call, in the order of its items."""
        numbers = self.send(*items, flags=flags, count=count)
        found: dict[int, Answer] = {}
        while len(found) < len(numbers):
            found |= self.reply()
        return [found[number] for number in numbers]

    def post(self, value: Any) -> Answer:
        """Call with a JSON body."""
        return self.call(json_item(json.dumps(value)))[0]

    def stream(self, value: Any) -> Iterator[Answer]:
        """The parts of a stream, and its end; the next one is requested when it is wanted."""
        [number] = self.send(json_item(json.dumps(value)))
        while True:
            answer = self.reply()[number]
            yield answer
            if answer.kind not in (5, 6, 7):
                return
            self.sock.sendall(frame(MORE, number))


class Loader:
    """A loader of a server's program, and the workers that it starts."""

    def __init__(
        self, folder: Path, source: str, *, batch: int = 0, entry: str = "serve", module: str = "_loader"
    ) -> None:
        self.folder = folder
        (folder / "main.py").write_text(source)
        self.runtime = tempfile.TemporaryDirectory()  # the path of a socket may not be long
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(60)
        self.log = folder / "loader.log"
        env = {**os.environ, "PYTHONPATH": str(MODULE), "_METAML_TOKEN": "x" * 8}
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", f"metaml.{module}"],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                (os.POSIX_SPAWN_OPEN, 2, str(self.log), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600),
            ],
            setsid=True,
        )
        theirs.close()
        main = str(folder / "main.py")
        load = {
            "type": "load",
            "dir": str(folder),
            "main": main,
            "argv0": main,
            "entry": entry,
            "cwd": str(folder),
            "seed": 1,
        }
        self.send({**load, "serve": {"batch": batch, "path": "/predict"}})
        self.workers: list[Worker] = []
        self.status: int | None = None

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        data = json.dumps(message).encode()
        socket.send_fds(self.sock, [struct.pack("<I", len(data)) + data], fds or [])

    def receive(self) -> dict[str, Any]:
        return received(self.sock, self.log)

    def until(self, *kinds: str) -> dict[str, Any]:
        while (message := self.receive())["type"] not in kinds:
            pass
        return message

    def start(self, number: int = 0, attempt: int = 1, **more: Any) -> Worker:
        """Start a worker."""
        folder = self.folder / f"{number}-{attempt}"
        folder.mkdir()
        events, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
        )
        files = [os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600) for name in ("stdout", "stderr")]
        message = {
            "type": "start",
            "trial": number,
            "attempt": attempt,
            "token": "y" * 8,
            "folder": str(folder),
            "cwd": "",
        }
        path = os.path.join(self.runtime.name, str(number))
        message |= {"output": str(folder / "output"), "seed": number, "socket": path, **more}
        self.send(message, [*files, theirs.fileno()])
        for fd in files:
            os.close(fd)
        theirs.close()
        events.settimeout(60)
        self.workers.append(worker := Worker(folder, events, path))
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.sock.close()
        if self.status is None:
            os.killpg(self.pid, signal.SIGTERM)
            self.wait()
        self.runtime.cleanup()

    def wait(self) -> int:
        """Its exit status."""
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


class Worker:
    """A process that was started, seen through its events."""

    def __init__(self, folder: Path, events: socket.socket, path: str) -> None:
        self.folder = folder
        self.events = events
        self.path = path
        self._fronts: list[Front] = []

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind."""
        while True:
            line = self.events.recv(1 << 18)
            assert line, f"the worker ended: {self.log()}"
            event: dict[str, Any] = json.loads(line)
            if event["type"] == kind:
                return event

    def ended(self) -> None:
        """Wait for its end."""
        while self.events.recv(1 << 18):
            pass

    def front(self) -> Front:
        """A new connection."""
        front = Front(self.path)
        self._fronts.append(front)
        return front

    def close(self) -> None:
        for front in self._fronts:
            front.close()
        self.events.close()

    def log(self) -> str:
        return (self.folder / "stderr").read_text()


@contextlib.contextmanager
def serving(folder: Path, source: str, *, batch: int = 0) -> Iterator[tuple[Front, Worker]]:
    """A worker that was forked for a function, and a front that is connected to it."""
    folder.mkdir(exist_ok=True)
    loader = Loader(folder, source, batch=batch)
    try:
        said = loader.until("ready", "load_failed")
        assert said["type"] == "ready", said["error"]["traceback"]
        worker = loader.start(become=not said["fork"])
        worker.until("ready")
        yield worker.front(), worker
    finally:
        loader.close()


def refusal(folder: Path, source: str, *, batch: int = 0) -> str:
    """Why a function cannot be served."""
    folder.mkdir(exist_ok=True)
    loader = Loader(folder, source, batch=batch)
    try:
        said = loader.until("ready", "load_failed")
        assert said["type"] == "load_failed", "it can be served"
        text: str = said["error"]["text"]
        return text
    finally:
        loader.close()


def received(sock: socket.socket, log: Path | None = None) -> dict[str, Any]:
    """The next message of a loader, whose stderr may be in a log."""

    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = sock.recv(size - len(data))
            assert more, f"the loader hung up: {log.read_text() if log else ''}"
            data += more
        return data

    message: dict[str, Any] = json.loads(exactly(struct.unpack("<I", exactly(4))[0]))
    return message


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def failed(answer: Answer) -> str:
    """The id of a call that failed."""
    assert (answer.status, answer.kind) == (500, 4)
    assert answer.body["error"] == "serve failed; the log has the reason under this id"
    number: str = answer.body["id"]
    return number


#: Gives a front of a worker for a source, the same for the same source: the fixture `shared`.
Shared = Callable[[str], "tuple[Front, Worker]"]
