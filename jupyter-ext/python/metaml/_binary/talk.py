"""The conversation with `metaml` about one cell: JSON lines over a socket or a child's pipes.

docs/internals/protocols.md §1 lists the lines.

:func:`connect` opens it, :class:`Conversation` sends and receives lines, and its user closes it in a ``finally``: until
``bound`` was sent that cancels, afterwards it detaches.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from metaml._binary.find import metaml
from metaml._errors import MetaMLError, Refused

VERSION = 1
LONGEST_LINE = 64 << 20  # bytes, as the other side has it

# The kernel's socket. It is taken out of the environment when the extension is loaded, so that a script which the user
# starts from a cell does not speak to this kernel.
kernel_socket = ""


class Closed(MetaMLError):
    """The other side ended before the conversation did."""


class Interrupt(Exception):
    """An interrupt arrived while :meth:`Conversation.receive` was waiting inside :func:`interrupts_held`."""


class Conversation:
    """One conversation. Not to be used by two threads at once, except that any may :meth:`close` it."""

    def __init__(self, read_fd: int, write_fd: int, close: Callable[[], str]) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._close = close
        self._buffer = bytearray()
        self._scanned = 0
        self._wake: int | None = None
        self.closed = False
        self.handed_over = False  # a thread reads on and closes it

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send one line.

        Raises:
            Refused: the line is longer than the other side takes.
            Closed: the other side is gone.
        """
        text = json.dumps({"v": VERSION, "type": kind, **fields}, separators=(",", ":"), allow_nan=False)
        data = text.encode("utf-8") + b"\n"
        if len(data) > LONGEST_LINE:
            raise Refused(
                f"what this cell sends is too large: {len(data) >> 20} MiB of at most {LONGEST_LINE >> 20} MiB",
                "Shorten the hyperparameters or restart the kernel: the text of every executed cell is sent.",
                code="too-large",
            )
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._write_fd, view) :]
        except (BrokenPipeError, ConnectionError):
            raise self._gone() from None

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """Wait for the next line. Lines of unknown types are for the caller to ignore.

        Args:
            seconds: how long to wait for the beginning of a line; None is without end.

        Raises:
            TimeoutError: nothing came.
            Closed: the other side ended.
            Interrupt: within :func:`interrupts_held`, the user pressed Ctrl-C or the stop button.
            MetaMLError: the line is no JSON object, or too long.
        """
        while True:
            end = self._buffer.find(b"\n", self._scanned)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._scanned = 0
                break
            self._scanned = len(self._buffer)
            if self._scanned > LONGEST_LINE:
                raise MetaMLError(f"a line from metaml is longer than {LONGEST_LINE >> 20} MiB")
            if self._wake is not None or seconds is not None:
                waiting = [self._read_fd] if self._wake is None else [self._wake, self._read_fd]
                ready, _, _ = select.select(waiting, [], [], seconds)
                if not ready:
                    raise TimeoutError
                if self._wake is not None and self._wake in ready:
                    os.read(self._wake, 4096)
                    raise Interrupt
            try:
                chunk = os.read(self._read_fd, 1 << 16)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise self._gone()
            self._buffer += chunk
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise MetaMLError(f"metaml sent a line that cannot be read: {line[:200]!r}")
        if message.get("v", VERSION) != VERSION:
            raise MetaMLError(
                f"metaml speaks version {message.get('v')!r} of the protocol, this module version {VERSION}",
                "Restart the kernel, so that both are of one installation.",
            )
        return message

    def close(self) -> str:
        """End the conversation and wait for the child, if there is one. Returns what the child wrote on
        standard error.
        """
        if self.closed:
            return ""
        self.closed = True
        return self._close()

    def _gone(self) -> Closed:
        stderr = self.close().strip()
        return Closed("metaml ended without an answer" + (f": {stderr[-2000:]}" if stderr else ""))


@contextlib.contextmanager
def interrupts_held(conversation: Conversation, *, to_the_end: bool = False) -> Iterator[None]:
    """Within it an interrupt makes :meth:`Conversation.receive` raise :class:`Interrupt`, and never cuts a line
    in two.

    Args:
        to_the_end: after it an interrupt does nothing here, until ipykernel sets its own handler at the end of the
            cell: our kernel hears it too and acts on it, and what is left of the cell is no code of the user's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no interrupt ever reaches another thread
        return
    wake, ring = os.pipe()
    os.set_blocking(ring, False)

    def handler(_signal: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(ring, b"!")

    before = signal.signal(signal.SIGINT, handler)
    conversation._wake = wake
    try:
        yield
    finally:
        conversation._wake = None
        # A function, since a child process would inherit SIG_IGN.
        signal.signal(signal.SIGINT, (lambda _signal, _frame: None) if to_the_end else before)
        os.close(wake)
        os.close(ring)


def connect(*, render: bool = False, own_child: bool = False, command: str = "run") -> Conversation:
    """Open a conversation.

    Args:
        render: let `metaml` make display bundles; else it draws on this process's standard error by itself.
        own_child: start `metaml` even where our kernel has a socket.
        command: "run", or "plan" or "build" for a conversation that starts nothing.

    Raises:
        MetaMLError: no `metaml` was found, or the kernel's socket is gone.
    """
    if kernel_socket and not own_child:
        return _socket(kernel_socket)
    return _child(render, command)


def _socket(path: str) -> Conversation:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(path)
    except OSError as error:
        link.close()
        raise MetaMLError(f"cannot reach the kernel at {path}: {error.strerror}", "Restart the kernel.") from None

    def close() -> str:
        # Shutdown first: a forked child may hold a copy of the descriptor, and would keep the conversation open.
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
        link.close()
        return ""

    return Conversation(link.fileno(), link.fileno(), close)


def _child(render: bool, command: str) -> Conversation:
    argv = [metaml(), command, "--session", "-"]
    stderr: IO[bytes] | None = None
    if render:
        argv.append("--render")
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - close() below closes it
    else:
        sys.stderr.flush()
    try:
        # In a session of its own: Ctrl-C in a terminal is for this process, which says "stop" in words.
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        if stderr is not None:
            stderr.close()
        raise MetaMLError(f"cannot start {argv[0]}: {error.strerror}") from None
    stdin, stdout = child.stdin, child.stdout
    assert stdin is not None  # noqa: S101 - Popen made pipes
    assert stdout is not None  # noqa: S101

    def close() -> str:
        with contextlib.suppress(OSError):
            stdin.close()
        stdout.close()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        if stderr is None:
            return ""
        with stderr:
            stderr.seek(0)
            return stderr.read().decode("utf-8", "replace")

    return Conversation(stdout.fileno(), stdin.fileno(), close)
